"""The kernels of a device, called with addresses of the host: what they read is carried over, what they write back.

So the tests that call the emulated kernels with NumPy's memory (``emulated.py``) run on a GPU as they are. An array is
carried with all that lies between its elements, a result with the margins around it: what a kernel writes where it
should not comes back too. Each piece of memory is a tensor of its own, no longer than what is carried, so that
compute-sanitizer sees its ends (without torch's cache: PYTORCH_NO_CUDA_MEMORY_CACHING=1).
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

import numpy as np
import torch

UNWRITTEN = "FASTRENYI_TEST_UNWRITTEN_WORKSPACE"
"""If set, a workspace is given as it comes, so that initcheck sees what is read before it is written; else as NaN."""


class Kernels:
    """A module such as ``fastrenyi._cuda``, and the device its memory is on."""

    def __init__(self, module: Any, device: str, margin: int) -> None:
        self._module = module
        self._device = torch.device(device)
        self._margin = margin  # elements around a result that are carried with it
        self._back: list[tuple[torch.Tensor, Any]] = []
        self._kept: list[torch.Tensor] = []

    def __getattr__(self, name: str) -> Any:
        """What touches no memory, such as the sizes of workspaces."""
        return getattr(self._module, name)

    # -------------------------------------------------------------------------------------------- carrying

    def _over(self, address: int, size: int, before: int = 0, back: bool = False) -> int:
        """Carry so many bytes, and `before` bytes before and after them; the address of them on the device."""
        if address == 0 or size == 0:
            return address
        host: Any = np.ctypeslib.as_array((ctypes.c_uint8 * (size + 2 * before)).from_address(address - before))
        offset = (address - before) % 16  # vector loads depend on it
        memory = torch.empty(offset + host.size, dtype=torch.uint8, device=self._device)
        memory[offset:].copy_(torch.from_numpy(host))
        self._kept.append(memory)
        if back:
            self._back.append((memory[offset:], host))
        return memory.data_ptr() + offset + before

    def _view(self, view: tuple[int, ...], size: int) -> tuple[int, ...]:
        address, *shape, _, _, _ = view
        strides = view[4:]
        if 0 in shape:
            return view
        ends = [(length - 1) * stride * size for length, stride in zip(shape, strides, strict=True)]
        low, high = sum(min(end, 0) for end in ends), sum(max(end, 0) for end in ends) + size
        return (self._over(address + low, high - low) - low, *view[1:])

    def _result(self, address: int, count: int, size: int) -> int:
        return self._over(address, count * size, before=self._margin * size, back=True)

    def _status(self, address: int) -> int:
        return self._over(address, 8, back=True)

    def _workspace(self, address: int, size: int) -> int:
        if os.environ.get(UNWRITTEN):
            self._kept.append(torch.empty(size, dtype=torch.uint8, device=self._device))
            return self._kept[-1].data_ptr()
        return self._over(address, size)

    def _call(self, name: str, *arguments: Any) -> None:
        """Call the kernel, wait for it, and carry back what it wrote."""
        try:
            getattr(self._module, name)(*arguments)
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            for memory, host in self._back:
                torch.from_numpy(host).copy_(memory)
        finally:
            self._back, self._kept = [], []

    # --------------------------------------------------------------------------------------------- kernels

    def not_finite(self, x: Any, dtype: str, status: int, device: int, stream: int) -> None:
        self._call("not_finite", self._view(x, _bytes(dtype)), dtype, self._status(status), device, stream)

    def zero_rows(self, x: Any, dtype: str, status: int, device: int, stream: int) -> None:
        self._call("zero_rows", self._view(x, _bytes(dtype)), dtype, self._status(status), device, stream)

    def gram_fault(self, a: Any, dtype: str, tolerance: float, trace_one: bool, status: int, *where: int) -> None:
        view = self._view(a, _bytes(dtype))
        self._call("gram_fault", view, dtype, tolerance, trace_one, self._status(status), *where)

    def gram(self, x: Any, dtype: str, kind: str, widths: int, *rest: Any) -> None:
        *kernel, out, status, device, stream = rest
        size = _bytes(dtype)
        self._call(
            "gram", self._view(x, size), dtype, kind, self._over(widths, 8 * x[1]), *kernel,
            self._result(out, x[1] * x[2] * x[2], size), self._status(status), device, stream,
        )  # fmt: skip

    def distances(self, x: Any, dtype: str, metric: str, out: int, *where: int) -> None:
        size = _bytes(dtype)
        found = self._result(out, x[1] * x[2] * x[2], size)
        self._call("distances", self._view(x, size), dtype, metric, found, *where)

    def delta_gram(self, x: Any, dtype: str, out: int, *where: int) -> None:
        found = self._result(out, x[1] * x[2] * x[2], 8)
        self._call("delta_gram", self._view(x, _bytes(dtype)), dtype, found, *where)

    def hadamard(self, factors: Any, dtype: str, out: int, workspace: int, status: int, *where: int) -> None:
        size = _bytes(dtype)
        batch, n = factors[0][1:3] if factors else (0, 0)
        room = self._module.hadamard_workspace(len(factors), batch, n)
        self._call(
            "hadamard", [self._view(factor, size) for factor in factors], dtype,
            self._result(out, batch * n * n, size), self._workspace(workspace, room), self._status(status), *where,
        )  # fmt: skip

    def entropy(self, spectra: int, batch: int, n: int, dtype: str, orders: Any, *rest: Any) -> None:
        epsilon, unit, out, status, device, stream = rest
        size = _bytes(dtype)
        self._call(
            "entropy", self._over(spectra, batch * n * size), batch, n, dtype, orders, epsilon, unit,
            self._result(out, batch * len(orders), size), self._status(status), device, stream,
        )  # fmt: skip

    def collision_entropy(self, a: Any, dtype: str, unit: float, out: int, *where: int) -> None:
        size = _bytes(dtype)
        self._call("collision_entropy", self._view(a, size), dtype, unit, self._result(out, a[1], size), *where)

    def spectrum(self, a: Any, dtype: str, values: int, workspace: int, room: int, *where: Any) -> None:
        size = _bytes(dtype)
        found = self._result(values, a[1] * a[2], size)
        self._call("spectrum", self._view(a, size), dtype, found, self._workspace(workspace, room), room, *where)

    def eigh(self, a: Any, dtype: str, values: int, vectors: int, workspace: int, room: int, *where: Any) -> None:
        size = _bytes(dtype)
        self._call(
            "eigh", self._view(a, size), dtype, self._result(values, a[1] * a[2], size),
            self._result(vectors, a[1] * a[2] * a[2], size), self._workspace(workspace, room), room, *where,
        )  # fmt: skip

    def pairs(self, maps: Any, target: Any, pairs: int, count: int, dtype: str, orders: Any, *rest: Any) -> None:
        epsilon, unit, alone, joint, workspace, room, status, device, stream = rest
        size, results = _bytes(dtype), count * len(orders)
        self._call(
            "pairs", self._view(maps, size), target and self._view(target, size), self._over(pairs, 16 * count), count,
            dtype, orders, epsilon, unit, self._result(alone, results, size),
            self._result(joint, results if target else 0, size), self._workspace(workspace, room), room,
            self._status(status), device, stream,
        )  # fmt: skip


def _bytes(dtype: str) -> int:
    return np.dtype(dtype).itemsize
