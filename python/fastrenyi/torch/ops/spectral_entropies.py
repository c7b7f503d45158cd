"""Entropies of spectra that are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fastrenyi import _ops
from fastrenyi._array import home_of
from fastrenyi.torch.ops._joints import slopes_of
from fastrenyi.torch.ops._operation import operation
from fastrenyi.torch.ops._shared import as_tensor, computed, computed_in, in_front

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
        (w,) = ctx.saved_tensors
        found = slopes_of(computed(w), grad, ctx.orders, home_of(w).epsilon, ctx.unit)
        return found.to(w.dtype), None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], w: Tensor, *rest: Any) -> Any:
        return _spectral_entropies(in_front(w, in_dims[0], info.batch_size), *rest), 0


_spectral_entropies = operation(
    "spectral_entropies(Tensor w, str name, float[] orders, float unit) -> Tensor",
    "entropy_of_spectrum",
    _SpectralEntropies,
)


def spectral_entropies(w: Tensor, name: str, orders: Sequence[float], unit: float) -> Tensor:
    """Return the entropies (..., orders) of spectra (..., n) of sum one; differentiable in these."""
    found: Tensor = _spectral_entropies(w, name, list(orders), unit)
    return found
