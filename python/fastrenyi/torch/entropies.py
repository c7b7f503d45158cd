"""Joint entropies of tensors, and those of the pairs of a layer, as PyTorch operations; see ``ops``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi import _slopes
from fastrenyi.torch import gradients
from fastrenyi.torch.placement import as_tensor, common_batch, computed_in, numbers_for, serves_core
from fastrenyi.torch.registration import Operation, once_only

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
        grams[0].new_empty((count, 2), dtype=torch.float64)
        if keep and orders == [2.0]
        else grams[0].new_empty((count, n + 3, n), dtype=dtype),
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
    kept: Tensor,
    wanted: list[bool],
    subsets: list[int],
    signs: list[float],
    orders: list[float],
    unit: float,
) -> list[Tensor]:
    if not serves_core(grad):
        return gradients.of_entropies(grad, grams, wanted, _split(subsets), signs, orders, unit)
    found = _slopes.of_entropies(grad, grams, kept, wanted, _split(subsets), signs, orders, unit)
    return [torch.from_numpy(part).to(a.dtype) for part, a in zip(found, grams, strict=True)]


_entropies_slope = Operation(
    "entropies_slope(Tensor grad, Tensor[] grams, Tensor kept, bool[] wanted, int[] subsets, float[] signs, "
    "float[] orders, float unit) -> Tensor[]",
    _entropies_slope_numbers,
    lambda grad, grams, kept, wanted, *_: [
        a.new_empty(a.shape if want else (0,)) for a, want in zip(grams, wanted, strict=True)
    ],
    "entropy",
)


def _entropies_saved(ctx: Any, inputs: Sequence[Any], output: tuple[Tensor, Tensor]) -> None:
    grams, _labels, ctx.subsets, _names, ctx.signs, ctx.orders, ctx.unit, _keep = inputs
    _, kept = output
    ctx.mark_non_differentiable(kept)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*grams, kept)


def _entropies_gradient(ctx: Any, grad: Tensor | None, _: None) -> tuple[Any, ...]:
    *grams, kept = ctx.saved_tensors
    if grad is None:  # nothing depends on it
        return ()
    wanted = list(ctx.needs_input_grad[1 : 1 + len(grams)])
    found = _entropies_slope(grad, grams, kept, wanted, ctx.subsets, ctx.signs, ctx.orders, ctx.unit)
    return ([part if want else None for part, want in zip(found, wanted, strict=True)],)


_entropies.differentiable(
    _entropies_saved,
    _entropies_gradient,
    lambda *args: (*args[:-1], True),  # keep what the way back needs
)
_entropies_slope.differentiable(lambda *_: None, once_only("entropy"))


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


def _pairs_numbers(
    maps: Tensor, target: Tensor, every: bool, orders: list[float], unit: float
) -> tuple[Tensor, Tensor, Tensor]:
    s_x, s_maps, s_all = numbers_for(maps).pairs(maps, target, every, orders, unit)
    return as_tensor(s_x), as_tensor(s_maps), as_tensor(s_all)


def _pairs_shapes(
    maps: Tensor, target: Tensor, every: bool, orders: list[float], unit: float
) -> tuple[Tensor, Tensor, Tensor]:
    dtype, count, m = computed_in(maps), maps.shape[0], len(orders)
    square = (2, count, count, m) if every else (2, count, m)
    return tuple(maps.new_empty(shape, dtype=dtype) for shape in ((m,), square, (2, m)))  # type: ignore[return-value]


def _pairs_saved(ctx: Any, inputs: Sequence[Any], output: tuple[Tensor, ...]) -> None:
    maps, target, ctx.every, ctx.orders, ctx.unit = inputs
    ctx.save_for_backward(maps, target)


pairs = Operation(
    "pairs(Tensor maps, Tensor target, bool every, float[] orders, float unit) -> (Tensor, Tensor, Tensor)",
    _pairs_numbers,
    _pairs_shapes,
    "layer_decomposition",
)
"""The entropies that the decomposition of a layer is made of, as ``_operations.pairs``."""

pairs_slope = Operation(
    "pairs_slope(Tensor to_x, Tensor to_maps, Tensor to_all, Tensor maps, Tensor target, bool every, float[] orders, "
    "float unit) -> (Tensor, Tensor)",
    gradients.of_pairs,
    lambda to_x, to_maps, to_all, maps, target, *_: (maps.new_empty(maps.shape), target.new_empty(target.shape)),
    "layer_decomposition",
)

pairs.differentiable(
    _pairs_saved, lambda ctx, *grads: pairs_slope(*grads, *ctx.saved_tensors, ctx.every, ctx.orders, ctx.unit)
)
pairs_slope.differentiable(lambda *_: None, once_only("layer_decomposition"))
