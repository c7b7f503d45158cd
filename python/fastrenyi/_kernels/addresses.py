"""Arrays in the memory of a device, for the module that serves it: addresses, strides, the stream, new memory.

An array stays one of its library (torch or CuPy), which allocates all memory, results and workspace alike. The library
is found where the array comes from; it is never imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

import numpy as np

from fastrenyi import _backend
from fastrenyi._array import Array, Values, home_of, wrap

__all__ = ["Device", "as_numpy"]


class Device:
    """The device of an array, as its library sees it, and the compiled module for it."""

    def __init__(self, like: Array) -> None:
        """Find library, device and the library's current stream."""
        home = home_of(like)
        self.module: ModuleType = _backend.module_for(home.device, "x")
        self._torch = home.library == "torch"
        self.xp: Any = sys.modules[home.library]
        self._device: Any = getattr(like, "device", "cpu")  # NumPy's arrays have it from 2.0 on
        self.index = int(home.device.partition(":")[2] or 0)
        self.stream = 0
        if home.device != "cpu":  # the emulation's has none
            cuda = self.xp.cuda
            if self._torch:
                self.stream = cuda.current_stream(self._device).cuda_stream
            else:
                with self.current():
                    self.stream = cuda.get_current_stream().ptr

    # Memory ----------------------------------------------------------------------------------------------------------

    def empty(self, shape: Sequence[int], dtype: str) -> Array:
        """Return new memory."""
        return self._new("empty", tuple(shape), dtype)

    def full(self, shape: Sequence[int], value: float, dtype: str) -> Array:
        """Return new memory with one number everywhere, written on the stream."""
        return self._new("full", tuple(shape), dtype, value)

    def _new(self, how: str, shape: tuple[int, ...], dtype: str, *value: float) -> Array:
        kind = getattr(self.xp, dtype)
        if self._torch:
            return getattr(self.xp, how)(shape, *value, dtype=kind, device=self._device)
        with self.current():
            return getattr(self.xp, how)(shape, *value, dtype=kind)

    def current(self) -> AbstractContextManager[Any]:
        """Make this device the current one of a library that has one."""
        if self._device_is_host():
            return nullcontext()
        cuda = self.xp.cuda
        return cuda.device(self._device) if self._torch else cuda.Device(self.index)  # type: ignore[no-any-return]

    def workspace(self, size: int) -> Array:
        """Return so many bytes."""
        return self.empty((size,), "uint8")

    def computed(self, x: Array) -> Array:
        """Return an array without a gradient and, of half precision, as float32."""
        if self._torch:
            x = x.detach().resolve_conj().resolve_neg()
            return x.float() if x.element_size() == 2 and x.dtype.is_floating_point else x
        if self.xp is np:
            return wrap(x)
        return x.astype("float32") if x.dtype == "float16" else x

    def cast(self, x: Array, dtype: str) -> Array:
        """Return an array in another dtype, the same one where it has that."""
        return x.to(getattr(self.xp, dtype)) if self._torch else x.astype(dtype, copy=False)

    def contiguous(self, x: Array) -> Array:
        """Return an array without strides of its own."""
        return x.contiguous() if self._torch else self.xp.ascontiguousarray(x)

    def host(self, x: Array) -> Any:
        """Return a copy in the memory of the host: a tensor on the CPU, or a NumPy array. Waits for the device."""
        if self._torch:
            return x.detach().cpu()
        return x if self.xp is np else self.xp.asnumpy(x)

    def here(self, x: Array, dtype: str) -> Array:
        """Return an array of any library on this device."""
        if self._torch:
            return self.xp.as_tensor(x).detach().to(device=self._device, dtype=getattr(self.xp, dtype))
        with self.current():
            return self.xp.asarray(x, dtype=dtype)

    def pairs_alone(self, count: int) -> Array:
        """Return the int64 pairs (p, 2) of each with itself, made on the device."""
        return self.full((count, 2), 1, "int64").cumsum(0) - 1

    def pairs_above(self, count: int) -> Array:
        """Return the int64 pairs (p, 2) above the diagonal of a square, made on the device."""
        if self._torch:
            return self.xp.triu_indices(count, count, 1, device=self._device).T
        with self.current():
            return self.xp.stack(self.xp.triu_indices(count, 1)).T

    # What a kernel is told -------------------------------------------------------------------------------------------

    def address(self, x: Array) -> int:
        """Return where an array begins, never null: that of an empty one is not looked at."""
        found = x.data_ptr() if self._torch else x.ctypes.data if self.xp is np else x.data.ptr
        return int(found) or 1

    def view(self, x: Array) -> tuple[int, ...]:
        """Return an array of three axes as address, lengths and strides in elements."""
        strides = x.stride() if self._torch else tuple(stride // x.itemsize for stride in x.strides)
        return (self.address(x), *(int(length) for length in x.shape), *(int(stride) for stride in strides))

    def run(self, kernel: str, *args: Any) -> None:
        """Start a kernel on the stream."""
        getattr(self.module, kernel)(*args, self.index, self.stream)

    def capturing(self) -> bool:
        """Whether the stream records a CUDA graph, so that nothing may wait for it; in a ``with current()`` block."""
        if self.stream == 0 and self._device_is_host():
            return False
        if self._torch:
            return bool(self.xp.cuda.is_current_stream_capturing())
        return bool(self.xp.cuda.get_current_stream().is_capturing())

    def _device_is_host(self) -> bool:
        return self.xp is np or str(self._device) == "cpu"


def as_numpy(x: Any) -> Values:
    """Return what ``Device.host`` gave as a NumPy array."""
    return np.asarray(x)
