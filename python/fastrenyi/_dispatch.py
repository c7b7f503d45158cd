"""Which operations serve the arrays of a library: all have the names and arguments of ``fastrenyi._ops``."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from fastrenyi import _ops
from fastrenyi.large.rows import ALONE, Rows

__all__ = ["operations", "rows_of"]

_ROOMS = {"torch": "fastrenyi.torch.ops", "jax": "fastrenyi.jax"}
"""Where the operations stand for libraries that differentiate, map and compile."""


def operations(library: str) -> Any:
    """Return the operations for the arrays of a library.

    Those for tensors and for JAX's arrays are loaded when the first one arrives, so that the core needs neither
    library; ``import fastrenyi.torch`` loads them before. torch.compile traces a look at what has been imported, but no
    import by name.
    """
    if library not in _ROOMS:
        return _ops
    module = sys.modules.get(_ROOMS[library])
    # One that another thread is loading has no __all__ yet, which stands at its end; the import waits for that thread.
    return module if hasattr(module, "__all__") else importlib.import_module(_ROOMS[library])


def rows_of(group: object) -> Rows:
    """Return which rows of a large Gram are here: all, or those of this rank of a process group."""
    return ALONE if group is None else importlib.import_module("fastrenyi.torch.ranks").ranks(group)
