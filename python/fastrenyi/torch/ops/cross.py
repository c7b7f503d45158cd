"""The cross entropy of two Grams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi import _ops
from fastrenyi._array import home_of
from fastrenyi._ops.cross import of_cross_entropy
from fastrenyi.torch.ops._operation import once_only, operation
from fastrenyi.torch.ops._shared import aligned, common_batch, computed, computed_in, eigh, in_its_own_dtype

__all__ = ["cross_entropy"]


class _CrossEntropy:
    """-tr(A log2 B) * unit of Grams (..., n, n) whose batch axes broadcast."""

    @staticmethod
    @in_its_own_dtype
    def kernel(a: Tensor, b: Tensor, unit: float) -> Tensor:
        return torch.as_tensor(_ops.cross_entropy(a, b, unit))  # of one pair NumPy gives a number

    @staticmethod
    def fake(a: Tensor, b: Tensor, unit: float) -> Tensor:
        return a.new_empty(common_batch([a, b]), dtype=computed_in(a))

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: Tensor) -> None:
        *grams, ctx.unit = inputs
        ctx.save_for_backward(*grams)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        of_a, of_b = _cross_backward(grad, *ctx.saved_tensors, ctx.unit)
        return of_a, of_b, None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], a: Tensor, b: Tensor, unit: float) -> Any:
        return cross_entropy(*aligned([a, b], in_dims[:2]), unit), 0


cross_entropy = operation("cross_entropy(Tensor a, Tensor b, float unit) -> Tensor", "relative_entropy", _CrossEntropy)


class _CrossBackward:
    """The gradients with respect to both Grams."""

    @staticmethod
    @in_its_own_dtype
    def kernel(grad: Tensor, a: Tensor, b: Tensor, unit: float) -> tuple[Tensor, Tensor]:
        left, right = computed(a), computed(b)
        values, v = eigh(right)
        found = of_cross_entropy(grad.to(left.dtype), left, v, values, home_of(b).epsilon, unit, torch)
        of_a, of_b = (part.sum_to_size(x.shape).to(x.dtype) for part, x in zip(found, (a, b), strict=True))
        return of_a, of_b

    @staticmethod
    def fake(grad: Tensor, a: Tensor, b: Tensor, unit: float) -> tuple[Tensor, Tensor]:
        return a.new_empty(a.shape), b.new_empty(b.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: Any) -> None:
        pass

    backward = staticmethod(once_only("relative_entropy"))

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], grad: Tensor, a: Tensor, b: Tensor, unit: float) -> Any:
        size = info.batch_size
        # Each mapped function has a gradient of its own with respect to a Gram that all of them share.
        grams = [x.expand(size, *x.shape[1:]) for x in aligned([a, b], in_dims[1:3])]
        shapes = [
            x.shape if axis is None else x.movedim(axis, 0).shape[1:]
            for x, axis in zip((a, b), in_dims[1:3], strict=True)
        ]
        upstream = grad.expand(size, *grad.shape) if in_dims[0] is None else grad.movedim(in_dims[0], 0)
        found = _cross_backward(upstream, *grams, unit)
        return tuple(part.reshape(size, *shape) for part, shape in zip(found, shapes, strict=True)), (0, 0)


_cross_backward = operation(
    "cross_entropy_backward(Tensor grad, Tensor a, Tensor b, float unit) -> (Tensor, Tensor)",
    "relative_entropy",
    _CrossBackward,
)
