"""Grams of the linear kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi import _ops
from fastrenyi._kernels.products import counted, only, prepared, which
from fastrenyi._spec import LinearSpec
from fastrenyi.torch.ops._operation import operation
from fastrenyi.torch.ops._shared import as_tensor, computed, computed_in, in_front, in_its_own_dtype

__all__ = ["linear_gram"]


class _LinearGram:
    """The linear Grams of samples, of so many of each set if sizes are given."""

    @staticmethod
    @in_its_own_dtype
    def kernel(x: Tensor, center: str, normalized: bool, side: str, sizes: Sequence[int], name: str) -> Tensor:
        return as_tensor(_ops.linear_gram(x, LinearSpec(center, normalized, side), sizes, name))

    @staticmethod
    def fake(x: Tensor, center: str, normalized: bool, side: str, *_: object) -> Tensor:
        *batch, n, d = x.shape
        order = LinearSpec(center, normalized, side).order(n, d)
        return x.new_empty((*batch, order, order), dtype=computed_in(x))

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: Tensor) -> None:
        x, *spec, sizes, _name = inputs
        ctx.spec, ctx.sizes = LinearSpec(*spec), list(sizes)
        ctx.save_for_backward(x, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, a = ctx.saved_tensors
        return _to_samples(grad, x, a, ctx.spec, ctx.sizes), None, None, None, None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: Sequence[Any], x: Tensor, center: str, normalized: bool, side: str, sizes: Any, name: str
    ) -> Any:
        size = info.batch_size
        return _linear_gram(in_front(x, in_dims[0], size), center, normalized, side, list(sizes) * size, name), 0


_linear_gram = operation(
    "linear_gram(Tensor x, str center, bool normalized, str side, int[] sizes, str name) -> Tensor",
    "gram",
    _LinearGram,
)


def linear_gram(x: Tensor, spec: LinearSpec, sizes: Sequence[int], name: str) -> Tensor:
    """Return the linear Grams (..., m, m) of samples (..., n, d), as ``_ops.linear_gram``; differentiable in x."""
    found: Tensor = _linear_gram(x, *spec, list(sizes), name)
    return found


@in_its_own_dtype
def _to_samples(grad: Tensor, x: Tensor, a: Tensor, spec: LinearSpec, sizes: Sequence[int]) -> Tensor:
    """Return the gradient with respect to samples (..., n, d) of their linear Grams a.

    To what is multiplied, of A = Z Z' / tr(Z Z'), (G + G' - 2 <G, A>) Z / |Z|^2; from there through the division by
    lengths and the means to the samples. It is zero where nothing is left of them. Cost O(n^2 d).
    """
    counts = counted(x, sizes)
    z, length, scale = prepared(computed(x), spec, counts)
    n, d = x.shape[-2:]
    both, along = grad + grad.mT, 2 * (grad * a).sum((-2, -1), keepdim=True)
    squares = z.square().sum((-2, -1), keepdim=True)
    of_samples = spec.takes_samples(n, d, sizes)
    back = None
    if any(of_samples):
        order = a.shape[-1]
        rows = both @ z[..., :order, :]
        back = torch.cat([rows, rows.new_zeros((*rows.shape[:-2], n - order, d))], dim=-2)
    if not all(of_samples):
        of_features = z @ both
        back = of_features if back is None else torch.where(which(x, of_samples), back, of_features)
    assert back is not None
    to_z = (back - along * z) / torch.where(squares > 0, squares, 1)
    if length is not None:
        to_z = to_z - (to_z * z).sum(-1, keepdim=True) * z
        to_z = torch.where(length > 0, to_z / torch.where(length > 0, length, 1), 0)
    if spec.of_features:
        to_z = to_z - to_z.mean(-1, keepdim=True)
    to_z = only(to_z, counts, torch)
    if spec.of_samples:
        number = n if counts is None else counts.sum(-2, keepdim=True)
        to_z = only(to_z - to_z.sum(-2, keepdim=True) / number, counts, torch)
    found: Tensor = (to_z / scale).to(x.dtype)
    return found
