"""Eigenvalues of symmetric matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi import _ops
from fastrenyi.torch.ops._operation import once_only, operation
from fastrenyi.torch.ops._shared import as_tensor, computed, computed_in, eigh, in_front, in_its_own_dtype

__all__ = ["spectrum"]


class _Spectrum:
    """The eigenvalues (..., n) of symmetric matrices (..., n, n)."""

    @staticmethod
    def kernel(a: Tensor, name: str) -> Tensor:
        return as_tensor(_ops.spectrum(a, name))

    @staticmethod
    def fake(a: Tensor, name: str) -> Tensor:
        return a.new_empty(a.shape[:-1], dtype=computed_in(a))

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return _spectrum_backward(grad, *ctx.saved_tensors), None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], a: Tensor, name: str) -> Any:
        return spectrum(in_front(a, in_dims[0], info.batch_size), name), 0


spectrum = operation(
    "spectrum(Tensor a, str name) -> Tensor",
    "spectrum",
    _Spectrum,
)


@in_its_own_dtype
def _to_matrix(grad: Tensor, a: Tensor) -> Tensor:
    """Return V diag(grad) V^T; where eigenvalues repeat, for the eigenvectors that were found."""
    _, v = eigh(computed(a))
    return ((v * grad[..., None, :]) @ v.mT).to(a.dtype)


class _SpectrumBackward:
    kernel = staticmethod(_to_matrix)

    @staticmethod
    def fake(grad: Tensor, a: Tensor) -> Tensor:
        return torch.empty_like(a, memory_format=torch.contiguous_format)

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: Tensor) -> None:
        pass

    backward = staticmethod(once_only("spectrum"))

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], *tensors: Tensor) -> Any:
        return _spectrum_backward(
            *(in_front(x, axis, info.batch_size) for x, axis in zip(tensors, in_dims, strict=True))
        ), 0


_spectrum_backward = operation(
    "spectrum_backward(Tensor grad, Tensor a) -> Tensor",
    "spectrum",
    _SpectrumBackward,
)
