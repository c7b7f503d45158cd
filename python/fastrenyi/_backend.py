"""Which compiled module serves which device, with how many threads, and which operations serve which library."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from fastrenyi import _core
from fastrenyi._errors import BackendUnavailableError

__all__ = ["module_for", "operations", "threads"]


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


def operations(library: str) -> Any:
    """Return the operations for the arrays of a library: all have the names and arguments of ``_operations``.

    Those for tensors are found by name when the first tensor arrives, so that the core does not need torch;
    ``import fastrenyi.torch`` finds them before.
    """
    name = "fastrenyi.torch.ops" if library == "torch" else "fastrenyi._operations"
    # torch.compile traces a look at what has been imported, but no import by name.
    return sys.modules[name] if name in sys.modules else importlib.import_module(name)
