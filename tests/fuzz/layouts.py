"""Arrays laid out in memory at random, in blocks that hold nothing besides what they span.

Steps between elements are of either sign, axes in any order, places between elements hold NaN. A block begins with the
first element and ends with the last: under AddressSanitizer whatever reads past either end is caught, as the allocators
of NumPy and torch ask malloc for exactly as much as an array has. So the bindings are fuzzed by ``make fuzz-sanitize``
through the functions that users call, and no harness in C++ has to make what NumPy makes.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def laid_out(values: Any, dtype: str, library: str, rng: np.random.Generator) -> Any:
    """`values` as an array of this library and dtype, somehow in memory."""
    values = np.asarray(values)
    signs = rng.choice([1, -1], values.ndim) if library == "numpy" else np.ones(values.ndim, int)
    if rng.random() < 0.3:  # as nearly all arrays are
        signs, order, gaps = np.ones(values.ndim, int), range(values.ndim)[::-1], [1] * values.ndim
    else:
        order, gaps = rng.permutation(values.ndim), rng.choice([1, 1, 2, 3], values.ndim)
    strides, next_one = [0] * values.ndim, 1
    for axis in order:
        strides[axis] = next_one * int(gaps[axis])
        next_one = strides[axis] * max(values.shape[axis], 1)
    spans = [(length - 1) * stride for length, stride in zip(values.shape, strides, strict=True)]
    count = 1 + sum(spans) if values.size else 0
    start = sum(span for span, sign in zip(spans, signs, strict=True) if sign < 0) if values.size else 0
    steps = [int(stride * sign) for stride, sign in zip(strides, signs, strict=True)]
    if library == "torch":
        torch = sys.modules["torch"]
        kind = getattr(torch, dtype)
        block = (
            torch.full((count,), torch.nan, dtype=kind) if kind.is_floating_point else torch.zeros(count, dtype=kind)
        )
        found = block.as_strided(values.shape, steps, start)
        found.copy_(torch.from_numpy(np.array(values)))
        return found
    kind = np.dtype(dtype)
    if rng.random() < 0.05:
        kind = kind.newbyteorder()
    shift = int(rng.random() < 0.05)  # not aligned
    block = np.full(shift + count * kind.itemsize, 0xFF, np.uint8)  # of floats: NaN
    found = np.ndarray(
        values.shape, kind, block, shift + start * kind.itemsize, [step * kind.itemsize for step in steps]
    )
    found[...] = values
    return found


def told(x: Any) -> dict[str, Any]:
    """What an array is, for a person."""
    if isinstance(x, np.ndarray):
        return {"library": "numpy", "dtype": x.dtype.str, "shape": x.shape, "strides": x.strides}
    return {"library": "torch", "dtype": str(x.dtype), "shape": tuple(x.shape), "strides": tuple(x.stride())}
