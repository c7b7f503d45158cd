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

__all__ = ["pairs", "sample_pairs"]

_TILE_BYTES = 2**25
"""Memory of one tile of pairs, of which the backward pass holds some ten."""


class _SamplePairs:
    """``_ops.sample_pairs``."""

    @staticmethod
    def kernel(maps: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        return tuple(as_tensor(part) for part in _ops.sample_pairs(maps, *rest))

    @staticmethod
    def fake(maps: Tensor, most: int | None, seed: int) -> tuple[Tensor, ...]:
        count = maps.shape[0]
        total = count * (count - 1) // 2
        listed = count + (total if most is None else torch.sym_min(total, most))  # type: ignore[no-untyped-call]
        return tuple(maps.new_empty(shape, dtype=torch.int64) for shape in ((listed, 2), (count, count)))

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], maps: Tensor, *rest: Any) -> Any:
        # The same pairs of each layer that is mapped over.
        return _sample_pairs(maps if in_dims[0] is None else maps.select(in_dims[0], 0), *rest), (None, None)


_sample_pairs = operation(
    "sample_pairs(Tensor maps, int? most, int seed) -> (Tensor, Tensor)", "layer_decomposition", _SamplePairs
)


def sample_pairs(maps: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    """Return which pairs of maps to measure and where each stands in that, as ``_ops.sample_pairs``."""
    found: tuple[Tensor, Tensor] = _sample_pairs(maps.detach(), *rest)
    return found


class _Pairs:
    """The entropies of ``_ops.pairs``."""

    @staticmethod
    def kernel(maps: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        return tuple(as_tensor(part) for part in _ops.pairs(maps, *rest))

    @staticmethod
    def fake(maps: Tensor, target: Tensor, index: Tensor, orders: list[float], unit: float) -> tuple[Tensor, ...]:
        dtype, m = computed_in(maps), len(orders)
        return tuple(maps.new_empty(shape, dtype=dtype) for shape in ((m,), (2, index.shape[0], m), (2, m)))

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: tuple[Tensor, ...]) -> None:
        *tensors, ctx.orders, ctx.unit = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        found = _pairs_backward(*grads, *ctx.saved_tensors, ctx.orders, ctx.unit)
        return *found, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], *args: Any) -> Any:
        return one_by_one(pairs, 3, info, in_dims, args)


pairs = operation(
    "pairs(Tensor maps, Tensor target, Tensor index, float[] orders, float unit) -> (Tensor, Tensor, Tensor)",
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
    index: Tensor,
    orders: Sequence[float],
    unit: float,
) -> tuple[Tensor, Tensor]:
    """Return the gradients with respect to maps (C, n, n) and target (n, n) of the entropies of pairs.

    Cost: two reductions and slopes for each of them, a tile of pairs at a time.
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
    result += back([a], to_maps[0, :count])[0]
    to_a, with_x = back([a, x.expand_as(a)], to_maps[1, :count])
    result += to_a
    result_x += with_x.sum(dim=0, keepdim=True)
    step = max(1, _TILE_BYTES // (n * n * a.element_size()))
    for first in range(count, len(index), step):
        some = slice(first, first + step)
        i, j = index[some].unbind(1)
        for grad, factors in (
            (to_maps[0, some], [a[i], a[j]]),
            (to_maps[1, some], [a[i], a[j], x.expand(len(i), n, n)]),
        ):
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
        return one_by_one(_pairs_backward, 6, info, in_dims, args)


_pairs_backward = operation(
    "pairs_backward(Tensor to_x, Tensor to_maps, Tensor to_all, Tensor maps, Tensor target, "
    "Tensor index, float[] orders, float unit) -> (Tensor, Tensor)",
    "layer_decomposition",
    _PairsBackward,
)
