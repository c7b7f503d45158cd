"""The entropies of a layer without one of its maps, for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi import _ops
from fastrenyi._array import home_of
from fastrenyi._ops import products
from fastrenyi.torch.ops._joints import joint, of_joints, to_factors
from fastrenyi.torch.ops._operation import once_only, operation
from fastrenyi.torch.ops._shared import as_tensor, computed, computed_in, in_front, in_its_own_dtype, one_by_one

__all__ = ["all_but_one"]


class _AllButOne:
    """``_ops.all_but_one``."""

    @staticmethod
    def kernel(maps: Tensor, *rest: Any) -> Tensor:
        return as_tensor(_ops.all_but_one(maps, *rest))

    @staticmethod
    def fake(maps: Tensor, target: Tensor, orders: list[float], unit: float) -> Tensor:
        return maps.new_empty((2, maps.shape[0], len(orders)), dtype=computed_in(maps))

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: Tensor) -> None:
        *tensors, ctx.orders, ctx.unit = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return *_all_but_one_backward(grad, *ctx.saved_tensors, ctx.orders, ctx.unit), None, None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], maps: Tensor, target: Tensor, *rest: Any) -> Any:
        layers = (in_front(x, axis, info.batch_size) for x, axis in zip((maps, target), in_dims, strict=False))
        return torch.stack([all_but_one(*layer, *rest) for layer in zip(*layers, strict=True)]), 0


all_but_one = operation(
    "all_but_one(Tensor maps, Tensor target, float[] orders, float unit) -> Tensor", "leave_one_out", _AllButOne
)


@in_its_own_dtype
def _to_layer(
    grad: Tensor, maps: Tensor, target: Tensor, orders: Sequence[float], unit: float
) -> tuple[Tensor, Tensor]:
    """Return the gradients with respect to maps (C, n, n) and target (n, n). Cost: 2 C reductions and slopes."""
    epsilon = home_of(maps).epsilon
    a, x = computed(maps), computed(target)
    wide = a.double()
    rest = products.all_but_one(torch, wide).to(a.dtype)
    with_x = [rest, x.expand_as(rest)]
    to_joint = of_joints(joint(with_x), grad[1], orders, epsilon, unit)
    to_rest, to_x = to_factors(to_joint, with_x, range(2))
    to_rest += of_joints(rest, grad[0], orders, epsilon, unit)
    return products.to_each(torch, wide, to_rest.double()).to(maps.dtype), to_x.sum(dim=0).to(target.dtype)


class _AllButOneBackward:
    kernel = staticmethod(_to_layer)

    @staticmethod
    def fake(grad: Tensor, maps: Tensor, target: Tensor, *_: object) -> tuple[Tensor, Tensor]:
        return maps.new_empty(maps.shape), target.new_empty(target.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: tuple[Tensor, ...]) -> None:
        pass

    backward = staticmethod(once_only("leave_one_out"))

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], *args: Any) -> Any:
        return one_by_one(_all_but_one_backward, 3, info, in_dims, args)


_all_but_one_backward = operation(
    "all_but_one_backward(Tensor grad, Tensor maps, Tensor target, float[] orders, float unit) -> (Tensor, Tensor)",
    "leave_one_out",
    _AllButOneBackward,
)
