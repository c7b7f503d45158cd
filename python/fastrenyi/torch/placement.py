"""Where the numbers of a tensor are computed, in which dtype and shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi import _backend

__all__ = ["as_tensor", "common_batch", "computed_in", "numbers_for", "serves_core"]


def computed_in(x: Tensor) -> torch.dtype:
    """Return the dtype that results for x are computed in."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _device(x: Tensor) -> str:
    return "cpu" if x.is_cpu else str(x.device)


def numbers_for(x: Tensor) -> Any:
    """Return what computes the numbers for tensors on the device of x."""
    return _backend.numbers(_device(x))


def serves_core(x: Tensor) -> bool:
    """Whether the tensor is a NumPy array to the kernels."""
    return _backend.serves_core(_device(x))


def as_tensor(found: Any) -> Tensor:
    """Return what ``numbers_for`` gave as a tensor."""
    return found if isinstance(found, Tensor) else torch.from_numpy(found)


def common_batch(grams: Sequence[Tensor]) -> torch.Size:
    """Return the batch shape of arrays whose batch axes broadcast."""
    shape: torch.Size = torch.broadcast_shapes(*(a.shape[:-2] for a in grams))  # type: ignore[no-untyped-call]
    return shape
