"""Tensors whose gradient is refused."""

from __future__ import annotations

from torch import Tensor

from fastrenyi import _check

__all__ = ["without_gradient"]


def without_gradient(x: Tensor, name: str, what: str) -> Tensor:
    """Return a tensor that requires no gradient, which ``what`` has not; refuse others."""
    if x.requires_grad:
        expected = f"a tensor without a gradient, which {what} has not"
        _check.kind_error(name, expected, "one that requires it", f"pass {name}.detach()")
    return x
