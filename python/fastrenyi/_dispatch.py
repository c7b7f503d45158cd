"""Which operations serve the arrays of a library: all have the names and arguments of ``fastrenyi._ops``."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from fastrenyi import _ops
from fastrenyi.large.rows import ALONE, Rows

__all__ = ["operations", "rows_of"]


def operations(library: str) -> Any:
    """Return the operations for the arrays of a library.

    Those for tensors are loaded when the first tensor arrives, so that the core does not need torch; ``import
    fastrenyi.torch`` loads them before. torch.compile traces a look at what has been imported, but no import by name.
    """
    if library != "torch":
        return _ops
    module = sys.modules.get("fastrenyi.torch.ops")
    # One that another thread is loading has no __all__ yet, which stands at its end; the import waits for that thread.
    return module if hasattr(module, "__all__") else importlib.import_module("fastrenyi.torch.ops")


def rows_of(group: object) -> Rows:
    """Return which rows of a large Gram are here: all, or those of this rank of a process group."""
    return ALONE if group is None else importlib.import_module("fastrenyi.torch.ranks").ranks(group)
