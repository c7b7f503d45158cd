"""Which operations serve the arrays of a library: all have the names and arguments of ``_operations``."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from fastrenyi._numbers import numbers

__all__ = ["operations"]


def operations(library: str, device: str) -> Any:
    """Return the operations for the arrays of a library on a device.

    Those for tensors are loaded when the first tensor arrives, so that the core does not need torch; ``import
    fastrenyi.torch`` loads them before. torch.compile traces a look at what has been imported, but no import by name.
    """
    if library != "torch":
        return numbers(device)
    return sys.modules.get("fastrenyi.torch.ops") or importlib.import_module("fastrenyi.torch.ops")
