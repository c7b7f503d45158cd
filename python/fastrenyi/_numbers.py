"""What computes the operations for arrays on a device: ``_operations``, or its twin for GPUs."""

from __future__ import annotations

from typing import Any

from fastrenyi import _device_operations, _operations
from fastrenyi._backend import serves_core

__all__ = ["numbers"]


def numbers(device: str) -> Any:
    """Return the operations for the memory of a device."""
    return _operations if serves_core(device) else _device_operations
