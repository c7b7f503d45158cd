"""What is taken away from a matrix that is to be positive semidefinite; a constant of the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fastrenyi import _ops
from fastrenyi.torch.ops._operation import operation
from fastrenyi.torch.ops._shared import as_tensor, computed_in, in_front, in_its_own_dtype

__all__ = ["negative_part"]


class _NegativePart:
    """``_ops.negative_part``."""

    @staticmethod
    @in_its_own_dtype
    def kernel(k: Tensor, name: str) -> Tensor:
        return as_tensor(_ops.negative_part(k, name))

    @staticmethod
    def fake(k: Tensor, name: str) -> Tensor:
        return k.new_empty(k.shape, dtype=computed_in(k))

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], k: Tensor, name: str) -> Any:
        return _negative_part(in_front(k, in_dims[0], info.batch_size), name), 0


_negative_part = operation("negative_part(Tensor k, str name) -> Tensor", "normalize", _NegativePart)


def negative_part(k: Tensor, name: str) -> Tensor:
    """Return what negative eigenvalues make of symmetric matrices (..., n, n), as ``_ops.negative_part``."""
    found: Tensor = _negative_part(k.detach(), name)
    return found
