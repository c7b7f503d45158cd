"""Entropies of spectra that are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi import _ops
from fastrenyi._array import home_of
from fastrenyi.torch.ops._joints import slopes_of
from fastrenyi.torch.ops._operation import once_only, operation
from fastrenyi.torch.ops._shared import as_tensor, computed, computed_in, in_front, in_its_own_dtype

__all__ = ["spectral_entropies"]


class _SpectralEntropies:
    """The entropies (..., orders) of spectra (..., n) of sum one."""

    @staticmethod
    def kernel(w: Tensor, name: str, orders: list[float], unit: float) -> Tensor:
        return as_tensor(_ops.spectral_entropies(w, name, orders, unit))

    @staticmethod
    def fake(w: Tensor, name: str, orders: list[float], unit: float) -> Tensor:
        return w.new_empty((*w.shape[:-1], len(orders)), dtype=computed_in(w))

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: Tensor) -> None:
        w, _name, ctx.orders, ctx.unit = inputs
        ctx.save_for_backward(w)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return _spectral_entropies_backward(grad, *ctx.saved_tensors, ctx.orders, ctx.unit), None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], w: Tensor, *rest: Any) -> Any:
        return _spectral_entropies(in_front(w, in_dims[0], info.batch_size), *rest), 0


_spectral_entropies = operation(
    "spectral_entropies(Tensor w, str name, float[] orders, float unit) -> Tensor",
    "entropy_of_spectrum",
    _SpectralEntropies,
)


@in_its_own_dtype
def _to_spectrum(grad: Tensor, w: Tensor, orders: list[float], unit: float) -> Tensor:
    return slopes_of(computed(w), grad, orders, home_of(w).epsilon, unit).to(w.dtype)


class _SpectralEntropiesBackward:
    kernel = staticmethod(_to_spectrum)

    @staticmethod
    def fake(grad: Tensor, w: Tensor, orders: list[float], unit: float) -> Tensor:
        return torch.empty_like(w, memory_format=torch.contiguous_format)

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: Tensor) -> None:
        pass

    backward = staticmethod(once_only("entropy_of_spectrum"))

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], grad: Tensor, w: Tensor, *rest: Any) -> Any:
        grad, w = (in_front(x, axis, info.batch_size) for x, axis in zip((grad, w), in_dims[:2], strict=True))
        return _spectral_entropies_backward(grad, w, *rest), 0


_spectral_entropies_backward = operation(
    "spectral_entropies_backward(Tensor grad, Tensor w, float[] orders, float unit) -> Tensor",
    "entropy_of_spectrum",
    _SpectralEntropiesBackward,
)


def spectral_entropies(w: Tensor, name: str, orders: Sequence[float], unit: float) -> Tensor:
    """Return the entropies (..., orders) of spectra (..., n) of sum one; differentiable in these."""
    found: Tensor = _spectral_entropies(w, name, list(orders), unit)
    return found
