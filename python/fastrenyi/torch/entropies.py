"""Joint entropies of tensors, and those of the pairs of a layer, as PyTorch operations; see ``ops``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from fastrenyi import _slopes
from fastrenyi.torch import gradients
from fastrenyi.torch.placement import as_tensor, common_batch, computed_in, numbers_for, serves_core
from fastrenyi.torch.registration import Operation, once, once_only, reverse_only

__all__ = ["entropies", "pairs"]

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
    found, kept = numbers_for(grams[0]).entropies_for_slope(
        grams, labels.split(_COMMA), _split(subsets), names.split(_COMMA), signs, orders, unit, keep
    )
    return as_tensor(found), as_tensor(kept)


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
    dtype = computed_in(grams[0])
    keep = keep and serves_core(grams[0])
    count = sum(common_batch([grams[i] for i in subset]).numel() for subset in listed) if keep else 0
    first = () if signs else (len(listed),)
    return (
        grams[0].new_empty((*first, *common_batch(grams), len(orders)), dtype=dtype),
        grams[0].new_empty((count, n + 3, n), dtype=dtype),
    )


_entropies = Operation(
    "entropies(Tensor[] grams, str labels, int[] subsets, str names, float[] signs, float[] orders, float unit, "
    "bool keep) -> (Tensor, Tensor)",
    _entropies_numbers,
    _entropies_shapes,
    "entropy",
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
    if not serves_core(grad):
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
    "entropy",
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
def _pairs(
    maps: Tensor, target: Tensor, every: bool, orders: Sequence[float], unit: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the entropies that the decomposition of a layer is made of, as ``_operations.pairs``."""
    s_x, s_maps, s_all = numbers_for(maps).pairs(maps, target, every, orders, unit)
    return as_tensor(s_x), as_tensor(s_maps), as_tensor(s_all)


@_pairs.register_fake
def _(maps: Tensor, target: Tensor, every: bool, orders: Sequence[float], unit: float) -> tuple[Tensor, Tensor, Tensor]:
    dtype, count, m = computed_in(maps), maps.shape[0], len(orders)
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
    back = reverse_only("layer_decomposition", _pairs_backward)
    found = back(to_x, to_maps, to_all, *ctx.saved_tensors, ctx.every, ctx.orders, ctx.unit)
    return *found, None, None, None


_pairs.register_autograd(_pairs_gradient, setup_context=_pairs_saved)
pairs = reverse_only("layer_decomposition", _pairs)
