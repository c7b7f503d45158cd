"""The kernels of the GPU on the host (`_emulated`), called with NumPy's memory in place of a device's.

FASTRENYI_TEST_MEMORY=cuda runs the same tests on a GPU, by `_cuda`, their memory carried over and back (`carried.py`);
=cpu carries it for `_emulated`, which tries the carrying.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import FLOATS
from fastrenyi import _backend

MEMORY = os.environ.get("FASTRENYI_TEST_MEMORY")
STREAM = (0, 0)  # the device and its stream: those of a GPU that are used by default
NUMPY = [nx for nx in FLOATS if nx.library == "numpy"]
MARGIN = 512  # elements before and after a result that nobody may write

kernels: Any
if MEMORY is None:
    kernels = pytest.importorskip("fastrenyi._emulated", reason="no _emulated: build as make test does")
else:
    import carried

    # Whoever asks for this has the module: that it is missing is a failure and not a reason to skip.
    if MEMORY == "cuda":
        module = _backend.module_for("cuda:0", "kernels")
    else:
        module = importlib.import_module("fastrenyi._emulated")
    kernels = carried.Kernels(module, MEMORY, MARGIN)


def view(a: NDArray[Any]) -> tuple[int, ...]:
    """A (b, n, d) array as the kernels take it."""
    assert a.ndim == 3
    return (a.ctypes.data, *a.shape, *(stride // a.itemsize for stride in a.strides))


@contextmanager
def written(*shape: int, dtype: Any) -> Iterator[NDArray[Any]]:
    """Memory for a result, of NaN; afterwards no element of it may be NaN, and nothing around it may have changed."""
    size = int(np.prod(shape))
    memory = np.full(size + 2 * MARGIN, np.nan, dtype=dtype)
    result = memory[MARGIN : MARGIN + size].reshape(shape)
    yield result
    assert not np.isnan(result).any(), f"{np.isnan(result).sum()} of {size} elements not written"
    assert np.isnan(memory[:MARGIN]).all(), "written before the result"
    assert np.isnan(memory[MARGIN + size :]).all(), "written after the result"


class Status:
    """The word in which a kernel says what is wrong."""

    KINDS = ("not finite", "asymmetric", "trace", "indefinite")

    def __init__(self) -> None:
        self.word = np.full(1, 2**64 - 1, dtype=np.uint64)

    @property
    def address(self) -> int:
        return int(self.word.ctypes.data)

    @property
    def fault(self) -> tuple[str, int] | None:
        """The kind, and the matrix."""
        word = int(self.word[0])
        return None if word == 2**64 - 1 else (self.KINDS[word % 4], word // 4)


def workspace(size: int) -> NDArray[Any]:
    """Bytes aligned as an allocator's, and NaN as doubles. Exactly as many, so that AddressSanitizer sees the end."""
    memory = np.full(size, 0xFF, dtype=np.uint8)
    assert memory.ctypes.data % 16 == 0
    return memory
