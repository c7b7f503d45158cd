"""The operations of ``fastrenyi._operations`` for tensors: PyTorch custom operations with gradients.

Each is registered under ``torch.ops.fastrenyi`` with its shapes, so that ``torch.compile`` traces it without a break,
and, but for widths and the Delta kernel, which have none, with its gradient (``registration``). The numbers come from
the compiled operations. Backward passes are operations too; those of entropies, spectra and pairs have no gradient of
their own and say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from fastrenyi import _slopes
from fastrenyi.bandwidths import Bandwidth, code, decode
from fastrenyi.kernels import shape_of_samples
from fastrenyi.torch import gradients
from fastrenyi.torch.entropies import entropies, pairs
from fastrenyi.torch.placement import as_tensor, common_batch, computed_in, numbers_for, serves_core
from fastrenyi.torch.registration import Operation, once_only

__all__ = ["bandwidth", "delta_gram", "entropies", "gram", "largest", "pairs", "pooled", "share", "spectrum"]


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
    return as_tensor(numbers_for(x).gram(x, layout, one, kind, degree, gamma, coef0, name, given))


def _gram_shape(x: Tensor, layout: str) -> tuple[int, ...]:
    *batch, n, _ = shape_of_samples(x, layout)
    return (*batch, n, n)


_gram = Operation(
    "gram(Tensor x, str layout, Tensor? width, float sigma, str kind, int degree, float gamma, float coef0, str name, "
    "bool given) -> Tensor",
    _gram_numbers,
    lambda x, layout, *_: x.new_empty(_gram_shape(x, layout), dtype=computed_in(x)),
    "gram",
)

_gram_slope = Operation(
    "gram_slope(Tensor grad, Tensor x, str layout, Tensor? width, float sigma, Tensor a, str kind, int degree, "
    "float gamma, float coef0) -> Tensor",
    lambda grad, x, layout, width, sigma, a, kind, *polynomial: (
        gradients.of_samples(grad, x, layout, width, sigma, a, kind, *polynomial)
        if kind in gradients.POLYNOMIALS or not serves_core(x)
        else torch.from_numpy(_slopes.of_gram(grad, x, layout, sigma if width is None else width, a, kind)).to(x.dtype)
    ),
    lambda grad, x, *_: torch.empty_like(x, memory_format=torch.contiguous_format),
    "gram",
)


def _gram_saved(ctx: Any, inputs: Sequence[Any], output: Tensor) -> None:
    x, ctx.layout, width, *ctx.of_kernel, _name, _given = inputs
    ctx.save_for_backward(x, width, output)


def _gram_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    x, width, a = ctx.saved_tensors
    sigma, kind, *polynomial = ctx.of_kernel
    _, of_x, _, of_width, *_ = ctx.needs_input_grad
    to_x = _gram_slope(grad, x, ctx.layout, width, sigma, a, kind, *polynomial) if of_x else None
    return to_x, None, gradients.of_width(width, a, grad, kind) if of_width else None


def _gram_slope_saved(ctx: Any, inputs: Sequence[Any], output: Tensor) -> None:
    grad, x, ctx.layout, width, ctx.sigma, a, *ctx.of_kernel = inputs
    ctx.save_for_backward(grad, x, width, a)


def _gram_slope_gradient(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    """Return the way back through a slope: through tensor operations that compute the same."""
    grad, x, width, a = ctx.saved_tensors

    def slope(grad: Tensor, x: Tensor, a: Tensor, *width: Tensor) -> Tensor:
        return gradients.of_samples(grad, x, ctx.layout, width[0] if width else None, ctx.sigma, a, *ctx.of_kernel)

    back = torch.func.vjp(slope, grad, x, a, *(() if width is None else (width,)))[1]
    to_grad, to_x, to_a, *to_width = back(upstream)
    return to_grad, to_x, None, to_width[0] if to_width else None, None, to_a


_gram.differentiable(_gram_saved, _gram_gradient)
_gram_slope.differentiable(_gram_slope_saved, _gram_slope_gradient)


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
    if isinstance(width, (int, float)) and torch.compiler.is_compiling():
        width = torch.scalar_tensor(width, dtype=torch.float64)  # a number would be compiled in, again for every n
    elif isinstance(width, (int, float)):
        width, sigma = None, float(width)
    elif width is not None and not isinstance(width, Tensor):
        width = torch.as_tensor(width, dtype=torch.float64)
    found: Tensor = _gram(x, layout, width, sigma, kind, degree, gamma, coef0, name, given)
    return found


@custom_op("fastrenyi::bandwidth", mutates_args=())
def _bandwidth(
    x: Tensor, layout: str, rule: str, numbers: Sequence[float], target: Tensor | None, metric: str, name: str
) -> Tensor:
    return as_tensor(numbers_for(x).bandwidth(x, layout, decode(rule, numbers, target), metric, name))


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
    return as_tensor(numbers_for(x).delta_gram(x, layout, name))


@_delta_gram.register_fake
def _(x: Tensor, layout: str, name: str) -> Tensor:
    return x.new_empty(_gram_shape(x, layout), dtype=torch.float64)


def delta_gram(x: Tensor, layout: str, name: str) -> Tensor:
    """Return the Grams of the Delta kernel, constant wherever they have a gradient."""
    found: Tensor = _delta_gram(x.detach(), layout, name)
    return found


def _pooled_saved(ctx: Any, inputs: Sequence[Any], output: Tensor) -> None:
    ctx.shapes = [v.shape for v in inputs]


def _pooled_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
    parts = torch.split(grad, [shape[-2] for shape in ctx.shapes], dim=-2)
    return tuple(part.sum_to_size(shape) for part, shape in zip(parts, ctx.shapes, strict=True))


pooled = Operation(
    "pooled(Tensor x, Tensor y) -> Tensor",
    lambda x, y: as_tensor(numbers_for(x).pooled(x, y)).to(x.dtype),
    lambda x, y: x.new_empty((*common_batch([x, y]), x.shape[-2] + y.shape[-2], x.shape[-1])),
    "divergence",
)
"""Two sets of samples as one, (..., n, d) and (..., m, d) as (..., n + m, d); batch axes broadcast."""

pooled.differentiable(_pooled_saved, _pooled_gradient)


# Spectrum -----------------------------------------------------------------------------------------------------------


spectrum = Operation(
    "spectrum(Tensor a, str name) -> Tensor",
    lambda a, name: as_tensor(numbers_for(a).spectrum(a, name)),
    lambda a, name: a.new_empty(a.shape[:-1], dtype=computed_in(a)),
    "spectrum",
)
"""The eigenvalues (..., n) of symmetric matrices (..., n, n)."""

spectrum_slope = Operation(
    "spectrum_slope(Tensor grad, Tensor a) -> Tensor",
    gradients.of_spectrum,
    lambda grad, a: torch.empty_like(a, memory_format=torch.contiguous_format),
    "spectrum",
)

spectrum.differentiable(
    lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
    lambda ctx, grad: (spectrum_slope(grad, *ctx.saved_tensors),),
)
spectrum_slope.differentiable(lambda *_: None, once_only("spectrum"))


# What PyTorch has, under the names of _operations --------------------------------------------------------------------


def share(part: Tensor, whole: Tensor) -> Tensor:
    """Divide, giving NaN for a share of nothing; its gradient there is zero."""
    nothing = whole == 0
    return torch.where(nothing, torch.nan, part / torch.where(nothing, 1.0, whole))


def largest(values: Tensor) -> Tensor:
    """Return the largest along the first axis."""
    return values.amax(dim=0)
