"""The operations of ``fastrenyi._operations`` for tensors: PyTorch custom operations with gradients.

Each is registered under ``torch.ops.fastrenyi`` with its shapes (so that ``torch.compile`` traces it without a break)
and its gradient: Grams and entropies, which training runs in every step, as ``registration`` says, the others as
``custom_op``. The numbers come from the compiled operations. Backward passes are operations too; those of entropies,
spectra and pairs have no gradient of their own and say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from fastrenyi import _backend, _slopes
from fastrenyi.bandwidths import Bandwidth, code, decode
from fastrenyi.kernels import shape_of_samples
from fastrenyi.torch import gradients
from fastrenyi.torch.registration import Operation, once, once_only

__all__ = ["bandwidth", "delta_gram", "entropies", "gram", "largest", "pairs", "pooled", "share", "spectrum"]


def _computed_in(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _device(x: Tensor) -> str:
    return "cpu" if x.is_cpu else str(x.device)


def _numbers(x: Tensor) -> Any:
    """Return what computes the numbers for tensors on the device of x."""
    return _backend.numbers(_device(x))


def _serves_core(x: Tensor) -> bool:
    return _backend.serves_core(_device(x))


def _tensor(found: Any) -> Tensor:
    return found if isinstance(found, Tensor) else torch.from_numpy(found)


# Gram ---------------------------------------------------------------------------------------------------------------


def _gram_numbers(
    x: Tensor,
    layout: str,
    width: Tensor | None,
    sigma: float,
    kind: str,
    degree: int,
    gamma: float,
    coef0: float,
    name: str,
    given: bool,
) -> Tensor:
    one = sigma if width is None else width
    return _tensor(_numbers(x).gram(x, layout, one, kind, degree, gamma, coef0, name, given))


def _gram_shape(x: Tensor, layout: str) -> tuple[int, ...]:
    *batch, n, _ = shape_of_samples(x, layout)
    return (*batch, n, n)


_gram = Operation(
    "gram(Tensor x, str layout, Tensor? width, float sigma, str kind, int degree, float gamma, float coef0, str name, "
    "bool given) -> Tensor",
    _gram_numbers,
    lambda x, layout, *_: x.new_empty(_gram_shape(x, layout), dtype=_computed_in(x)),
)

_gram_slope = Operation(
    "gram_slope(Tensor grad, Tensor x, str layout, Tensor? width, float sigma, Tensor a, str kind, int degree, "
    "float gamma, float coef0) -> Tensor",
    lambda grad, x, layout, width, sigma, a, kind, *polynomial: (
        gradients.of_samples(grad, x, layout, width, sigma, a, kind, *polynomial).contiguous()
        if kind in gradients.POLYNOMIALS or not _serves_core(x)
        else torch.from_numpy(_slopes.of_gram(grad, x, layout, sigma if width is None else width, a, kind)).to(x.dtype)
    ),
    lambda grad, x, *_: torch.empty_like(x, memory_format=torch.contiguous_format),
)


class _Gram(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        x, ctx.layout, width, ctx.sigma, ctx.kind, ctx.degree, ctx.gamma, ctx.coef0, *_ = args
        a = _gram.below_autograd(*args)
        ctx.save_for_backward(x, width, a)
        return a

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, width, a = ctx.saved_tensors
        to_x = to_width = None
        if ctx.needs_input_grad[0]:
            # Of a second derivative every step must be known to autograd; else it is one compiled pass.
            slope = gradients.of_samples if torch.is_grad_enabled() else _gram_slope
            to_x = slope(grad, x, ctx.layout, width, ctx.sigma, a, ctx.kind, ctx.degree, ctx.gamma, ctx.coef0)
        if ctx.needs_input_grad[2]:
            to_width = gradients.of_width(width, a, grad, ctx.kind)
        return to_x, None, to_width, None, None, None, None, None, None, None


_gram.differentiable(_Gram.apply)


def gram(
    x: Tensor,
    layout: str,
    width: Any,
    kind: str,
    degree: int,
    gamma: float,
    coef0: float,
    name: str,
    given: bool,
) -> Tensor:
    """Return the Grams (..., n, n) of samples (..., n, d), as ``_operations.gram``; differentiable in x and width.

    A width is one number, which has no gradient, or a tensor.
    """
    sigma = 0.0
    if isinstance(width, (int, float)):
        width, sigma = None, float(width)
    elif width is not None and not isinstance(width, Tensor):
        width = torch.as_tensor(width, dtype=torch.float64)
    found: Tensor = _gram(x, layout, width, sigma, kind, degree, gamma, coef0, name, given)
    return found


@custom_op("fastrenyi::bandwidth", mutates_args=())
def _bandwidth(
    x: Tensor, layout: str, rule: str, numbers: Sequence[float], target: Tensor | None, metric: str, name: str
) -> Tensor:
    return _tensor(_numbers(x).bandwidth(x, layout, decode(rule, numbers, target), metric, name))


@_bandwidth.register_fake
def _(x: Tensor, layout: str, *_: object) -> Tensor:
    return x.new_empty(shape_of_samples(x, layout)[:-2], dtype=torch.float64)


def bandwidth(x: Tensor, layout: str, rule: Bandwidth, metric: str, name: str) -> Tensor:
    """Return the widths (...) that a rule finds: constants of the gradient."""
    rule_name, numbers, target = code(rule)
    if target is not None:
        target = torch.as_tensor(target).detach()
    found: Tensor = _bandwidth(x.detach(), layout, rule_name, numbers, target, metric, name)
    return found


@custom_op("fastrenyi::delta_gram", mutates_args=())
def _delta_gram(x: Tensor, layout: str, name: str) -> Tensor:
    return _tensor(_numbers(x).delta_gram(x, layout, name))


@_delta_gram.register_fake
def _(x: Tensor, layout: str, name: str) -> Tensor:
    return x.new_empty(_gram_shape(x, layout), dtype=torch.float64)


def delta_gram(x: Tensor, layout: str, name: str) -> Tensor:
    """Return the Grams of the Delta kernel, constant wherever they have a gradient."""
    found: Tensor = _delta_gram(x.detach(), layout, name)
    return found


@custom_op("fastrenyi::pooled", mutates_args=())
def pooled(x: Tensor, y: Tensor) -> Tensor:
    """Return two sets of samples as one, (..., n, d) and (..., m, d) as (..., n + m, d); batch axes broadcast."""
    return _tensor(_numbers(x).pooled(x, y)).to(x.dtype)


@pooled.register_fake
def _(x: Tensor, y: Tensor) -> Tensor:
    return x.new_empty((*_common_batch([x, y]), x.shape[-2] + y.shape[-2], x.shape[-1]))


def _pooled_saved(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.shapes = [v.shape for v in inputs]


def _pooled_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
    parts = torch.split(grad, [shape[-2] for shape in ctx.shapes], dim=-2)
    return tuple(part.sum_to_size(shape) for part, shape in zip(parts, ctx.shapes, strict=True))


pooled.register_autograd(_pooled_backward, setup_context=_pooled_saved)


# Spectrum -----------------------------------------------------------------------------------------------------------


@custom_op("fastrenyi::spectrum", mutates_args=())
def spectrum(a: Tensor, name: str) -> Tensor:
    """Return the eigenvalues (..., n) of symmetric matrices (..., n, n)."""
    return _tensor(_numbers(a).spectrum(a, name))


@spectrum.register_fake
def _(a: Tensor, name: str) -> Tensor:
    return a.new_empty(a.shape[:-1], dtype=_computed_in(a))


@custom_op("fastrenyi::spectrum_backward", mutates_args=())
def _spectrum_backward(grad: Tensor, a: Tensor) -> Tensor:
    return gradients.of_spectrum(grad, a)


@_spectrum_backward.register_fake
def _(grad: Tensor, a: Tensor) -> Tensor:
    return torch.empty_like(a, memory_format=torch.contiguous_format)


_spectrum_backward.register_autograd(once_only("spectrum"))
spectrum.register_autograd(
    lambda ctx, grad: (_spectrum_backward(grad, *ctx.saved_tensors), None),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
)


# Entropies ----------------------------------------------------------------------------------------------------------

_END = -1  # ends a subset in a flat list: operations take no lists of lists
_COMMA = "|"  # between names in a string: operations take no lists of strings


def _split(subsets: Sequence[int]) -> list[list[int]]:
    found: list[list[int]] = [[]]
    for position in subsets:
        if position == _END:
            found.append([])
        else:
            found[-1].append(position)
    return found[:-1]


def _common_batch(grams: Sequence[Tensor]) -> torch.Size:
    shape: torch.Size = torch.broadcast_shapes(*(a.shape[:-2] for a in grams))  # type: ignore[no-untyped-call]
    return shape


def _entropies_numbers(
    grams: list[Tensor],
    labels: str,
    subsets: list[int],
    names: str,
    signs: list[float],
    orders: list[float],
    unit: float,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    found, kept = _numbers(grams[0]).entropies_for_slope(
        grams, labels.split(_COMMA), _split(subsets), names.split(_COMMA), signs, orders, unit, keep
    )
    return _tensor(found), _tensor(kept)


def _entropies_shapes(
    grams: list[Tensor],
    labels: str,
    subsets: list[int],
    names: str,
    signs: list[float],
    orders: list[float],
    unit: float,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    listed, n = _split(subsets), grams[0].shape[-1]
    dtype = _computed_in(grams[0])
    keep = keep and _serves_core(grams[0])
    count = sum(_common_batch([grams[i] for i in subset]).numel() for subset in listed) if keep else 0
    first = () if signs else (len(listed),)
    return (
        grams[0].new_empty((*first, *_common_batch(grams), len(orders)), dtype=dtype),
        grams[0].new_empty((count, n + 3, n), dtype=dtype),
    )


_entropies = Operation(
    "entropies(Tensor[] grams, str labels, int[] subsets, str names, float[] signs, float[] orders, float unit, "
    "bool keep) -> (Tensor, Tensor)",
    _entropies_numbers,
    _entropies_shapes,
)


def _entropies_slope_numbers(
    grad: Tensor,
    grams: list[Tensor],
    reduced: Tensor,
    wanted: list[bool],
    subsets: list[int],
    signs: list[float],
    orders: list[float],
    unit: float,
) -> list[Tensor]:
    if not _serves_core(grad):
        return gradients.of_entropies(grad, grams, wanted, _split(subsets), signs, orders, unit)
    found = _slopes.of_entropies(grad, grams, reduced, wanted, _split(subsets), signs, orders, unit)
    return [torch.from_numpy(part).to(a.dtype) for part, a in zip(found, grams, strict=True)]


_entropies_slope = Operation(
    "entropies_slope(Tensor grad, Tensor[] grams, Tensor reduced, bool[] wanted, int[] subsets, float[] signs, "
    "float[] orders, float unit) -> Tensor[]",
    _entropies_slope_numbers,
    lambda grad, grams, reduced, wanted, *_: [
        a.new_empty(a.shape if want else (0,)) for a, want in zip(grams, wanted, strict=True)
    ],
)


class _Entropies(torch.autograd.Function):
    """Its tensors come last, one by one: of a list autograd would see nothing."""

    @staticmethod
    def forward(
        ctx: Any, labels: str, subsets: Any, names: str, signs: Any, orders: Any, unit: float, *grams: Any
    ) -> Any:
        ctx.subsets, ctx.signs, ctx.orders, ctx.unit = subsets, signs, orders, unit
        # Order 2 alone needs no spectrum, and nothing of one is kept.
        keep = orders != [2.0]
        found, kept = _entropies.below_autograd(list(grams), labels, subsets, names, signs, orders, unit, keep)
        ctx.mark_non_differentiable(kept)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*grams, kept)
        return found, kept

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        *grams, reduced = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[6:])
        if grads[0] is None:  # nothing depends on it
            return None, None, None, None, None, None, *(None for _ in grams)
        found = _entropies_slope(grads[0], grams, reduced, wanted, ctx.subsets, ctx.signs, ctx.orders, ctx.unit)
        found = once("entropy", found, [grads[0], *grams])
        to_grams = (part if want else None for part, want in zip(found, wanted, strict=True))
        return None, None, None, None, None, None, *to_grams


_entropies.differentiable(
    lambda grams, labels, subsets, names, signs, orders, unit, keep: _Entropies.apply(  # type: ignore[no-untyped-call]
        labels, subsets, names, signs, orders, unit, *grams
    )
)


def entropies(
    grams: Sequence[Tensor],
    labels: Sequence[str],
    subsets: Sequence[Sequence[int]],
    names: Sequence[str],
    signs: Sequence[float],
    orders: Sequence[float],
    unit: float,
) -> Tensor:
    """Return the joint entropies of subsets of Grams, or their signed sum, as ``_operations.entropies``."""
    flat = [position for subset in subsets for position in (*subset, _END)]
    found, _ = _entropies(
        list(grams), _COMMA.join(labels), flat, _COMMA.join(names), list(signs), list(orders), unit, False
    )
    return found  # type: ignore[no-any-return]


# Pairs --------------------------------------------------------------------------------------------------------------


@custom_op("fastrenyi::pairs", mutates_args=())
def pairs(
    maps: Tensor, target: Tensor, every: bool, orders: Sequence[float], unit: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the entropies that the decomposition of a layer is made of, as ``_operations.pairs``."""
    s_x, s_maps, s_all = _numbers(maps).pairs(maps, target, every, orders, unit)
    return _tensor(s_x), _tensor(s_maps), _tensor(s_all)


@pairs.register_fake
def _(maps: Tensor, target: Tensor, every: bool, orders: Sequence[float], unit: float) -> tuple[Tensor, Tensor, Tensor]:
    dtype, count, m = _computed_in(maps), maps.shape[0], len(orders)
    square = (2, count, count, m) if every else (2, count, m)
    return tuple(maps.new_empty(shape, dtype=dtype) for shape in ((m,), square, (2, m)))  # type: ignore[return-value]


@custom_op("fastrenyi::pairs_backward", mutates_args=())
def _pairs_backward(
    to_x: Tensor,
    to_maps: Tensor,
    to_all: Tensor,
    maps: Tensor,
    target: Tensor,
    every: bool,
    orders: Sequence[float],
    unit: float,
) -> tuple[Tensor, Tensor]:
    return gradients.of_pairs(to_x, to_maps, to_all, maps, target, every, orders, unit)


@_pairs_backward.register_fake
def _(
    to_x: Tensor,
    to_maps: Tensor,
    to_all: Tensor,
    maps: Tensor,
    target: Tensor,
    every: bool,
    orders: Sequence[float],
    unit: float,
) -> tuple[Tensor, Tensor]:
    return maps.new_empty(maps.shape), target.new_empty(target.shape)


_pairs_backward.register_autograd(once_only("layer_decomposition"))


def _pairs_saved(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    maps, target, ctx.every, ctx.orders, ctx.unit = inputs
    ctx.save_for_backward(maps, target)


def _pairs_gradient(ctx: Any, to_x: Tensor, to_maps: Tensor, to_all: Tensor) -> tuple[Any, ...]:
    found = _pairs_backward(to_x, to_maps, to_all, *ctx.saved_tensors, ctx.every, ctx.orders, ctx.unit)
    return *found, None, None, None


pairs.register_autograd(_pairs_gradient, setup_context=_pairs_saved)


# What PyTorch has, under the names of _operations --------------------------------------------------------------------


def share(part: Tensor, whole: Tensor) -> Tensor:
    """Divide, giving NaN for a share of nothing; its gradient there is zero."""
    nothing = whole == 0
    return torch.where(nothing, torch.nan, part / torch.where(nothing, 1.0, whole))


def largest(values: Tensor) -> Tensor:
    """Return the largest along the first axis."""
    return values.amax(dim=0)
