"""Which compiled module serves which device, and with how many threads."""

from __future__ import annotations

import sys
from types import ModuleType

from fastrenyi import _core
from fastrenyi._errors import BackendUnavailableError

__all__ = ["module_for", "threads"]


def module_for(device: str, name: str) -> ModuleType:
    """Return the compiled module for a device, or say why there is none."""
    if device == "cpu":
        return _core
    raise BackendUnavailableError(
        f"{name}: expected an array on the CPU, got one on {device!r}, for which this build of fastrenyi has no "
        f"backend; move it first, for instance with {name}.cpu()"
    )


def threads() -> int:
    """Return the threads a kernel may use: PyTorch's setting if it is loaded, else 0 for OpenMP's own."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch is not None and hasattr(torch, "get_num_threads") else 0
