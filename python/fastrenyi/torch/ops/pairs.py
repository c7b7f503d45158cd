"""The entropies that the decomposition of a layer is made of, those of all its pairs of maps among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi import _ops
from fastrenyi._array import home_of
from fastrenyi.torch.ops._joints import joint, of_joints, to_factors
from fastrenyi.torch.ops._operation import once_only, operation
from fastrenyi.torch.ops._shared import as_tensor, computed, computed_in, in_its_own_dtype, one_by_one

__all__ = ["pairs"]

_TILE_BYTES = 2**25
"""Memory of one tile of pairs, of which the backward pass holds some ten."""


class _Pairs:
    """The entropies of ``_ops.pairs``."""

    @staticmethod
    def kernel(maps: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        return tuple(as_tensor(part) for part in _ops.pairs(maps, *rest))

    @staticmethod
    def fake(maps: Tensor, target: Tensor, every: bool, orders: list[float], unit: float) -> tuple[Tensor, ...]:
        dtype, count, m = computed_in(maps), maps.shape[0], len(orders)
        square = (2, count, count, m) if every else (2, count, m)
        return tuple(maps.new_empty(shape, dtype=dtype) for shape in ((m,), square, (2, m)))

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: tuple[Tensor, ...]) -> None:
        maps, target, ctx.every, ctx.orders, ctx.unit = inputs
        ctx.save_for_backward(maps, target)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        found = _pairs_backward(*grads, *ctx.saved_tensors, ctx.every, ctx.orders, ctx.unit)
        return *found, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], *args: Any) -> Any:
        return one_by_one(pairs, 2, info, in_dims, args)


pairs = operation(
    "pairs(Tensor maps, Tensor target, bool every, float[] orders, float unit) -> (Tensor, Tensor, Tensor)",
    "layer_decomposition",
    _Pairs,
)


@in_its_own_dtype
def _to_layer(
    to_x: Tensor,
    to_maps: Tensor,
    to_all: Tensor,
    maps: Tensor,
    target: Tensor,
    every: bool,
    orders: Sequence[float],
    unit: float,
) -> tuple[Tensor, Tensor]:
    """Return the gradients with respect to maps (C, n, n) and target (n, n) of the entropies of all pairs.

    Cost: C(C+1) reductions and slopes, a tile of pairs at a time.
    """
    epsilon = home_of(maps).epsilon
    a, x = computed(maps), computed(target)[None]
    count, n = a.shape[:2]
    result, result_x = a.new_zeros(a.shape), x.new_zeros(x.shape)  # contiguous, whatever a and x are

    def back(factors: list[Tensor], grad: Tensor) -> list[Tensor]:
        product = joint(factors)
        to_joint = of_joints(product, grad, orders, epsilon, unit)
        return to_factors(to_joint, factors, range(len(factors)))

    result_x += back([x], to_x[None])[0]
    # All maps together, and with the target.
    layer = [*torch.split(a, 1), x]
    for grad, factors in ((to_all[:1], layer[:-1]), (to_all[1:], layer)):
        found = back(factors, grad)
        result += torch.cat(found[:count])
        for part in found[count:]:
            result_x += part
    # Each map alone, and with the target.
    alone = to_maps.diagonal(dim1=1, dim2=2).movedim(-1, 1) if every else to_maps
    result += back([a], alone[0])[0]
    to_a, with_x = back([a, x.expand_as(a)], alone[1])
    result += to_a
    result_x += with_x.sum(dim=0, keepdim=True)
    if every and count > 1:
        both = to_maps + to_maps.transpose(1, 2)
        rows, cols = torch.triu_indices(count, count, 1, device=a.device)
        step = max(1, _TILE_BYTES // (n * n * a.element_size()))
        for i, j in zip(rows.split(step), cols.split(step), strict=True):
            for grad, factors in ((both[0, i, j], [a[i], a[j]]), (both[1, i, j], [a[i], a[j], x.expand(len(i), n, n)])):
                found = back(factors, grad)
                result.index_add_(0, i, found[0])
                result.index_add_(0, j, found[1])
                for part in found[2:]:
                    result_x += part.sum(dim=0, keepdim=True)
    return result.to(maps.dtype), result_x[0].to(target.dtype)


class _PairsBackward:
    kernel = staticmethod(_to_layer)

    @staticmethod
    def fake(
        to_x: Tensor, to_maps: Tensor, to_all: Tensor, maps: Tensor, target: Tensor, *_: object
    ) -> tuple[Tensor, Tensor]:
        return maps.new_empty(maps.shape), target.new_empty(target.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: tuple[Tensor, ...]) -> None:
        pass

    backward = staticmethod(once_only("layer_decomposition"))

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], *args: Any) -> Any:
        return one_by_one(_pairs_backward, 5, info, in_dims, args)


_pairs_backward = operation(
    "pairs_backward(Tensor to_x, Tensor to_maps, Tensor to_all, Tensor maps, Tensor target, bool every, "
    "float[] orders, float unit) -> (Tensor, Tensor)",
    "layer_decomposition",
    _PairsBackward,
)
