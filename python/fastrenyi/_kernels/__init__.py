"""The compiled kernels over arrays of any library: what the operations in ``fastrenyi._ops`` are written over, once.

``kernels_for(x)`` serves the memory that x lies in: ``Host`` over ``_core``, ``OnDevice`` over ``_cuda``. Both have the
same methods. A method that looks at numbers raises at once on the host; on a device it notes what a kernel is to look
at, and leaving the ``with`` block reads all notes and raises: the only time it waits for the device.
"""

from __future__ import annotations

from typing import TypeAlias

from fastrenyi import _backend
from fastrenyi._array import Array, home_of
from fastrenyi._kernels.device import OnDevice
from fastrenyi._kernels.host import HOST, Host

__all__ = ["HOST", "Kernels", "kernels_for", "serves_core"]

Kernels: TypeAlias = Host | OnDevice


def serves_core(x: Array) -> bool:
    """Whether an array is NumPy's to the kernels."""
    return _backend.serves_core(home_of(x).device)


def kernels_for(x: Array) -> Kernels:
    """Return the kernels for the memory of an array."""
    return HOST if serves_core(x) else OnDevice(x)
