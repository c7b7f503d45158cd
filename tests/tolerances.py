"""How close results have to be to `reference.py`, in one place, per dtype.

``GRAM`` is an absolute tolerance on n * A (entries of order one), ``EIGENVALUE`` on the eigenvalues relative
to the largest, ``BITS`` on an entropy of order alpha >= 1. Below order one a spectrum's rounding is magnified
(the slope of p^alpha at zero is infinite): `bits` adds that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

GRAM = {"float64": 2e-14, "float32": 2e-6, "float16": 2e-3, "bfloat16": 1.6e-2}
EIGENVALUE = {"float64": 1e-13, "float32": 2e-5, "float16": 5e-3, "bfloat16": 4e-2}
BITS = {"float64": 1e-10, "float32": 5e-4, "float16": 2e-2, "bfloat16": 1.5e-1}
DISTANCE = {"float64": 1e-12, "float32": 2e-6}  # relative

UNIT = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def bits(dtype: str, alpha: float | Iterable[float] = 1.01, n: int = 1, terms: int = 1) -> Any:
    """The absolute tolerance of a sum of `terms` entropies of order alpha of (n, n) Grams of full rank."""
    orders = np.asarray(alpha, dtype=np.float64)
    below = np.where(orders < 1, orders, 1.0)
    magnified = n * (8 * UNIT[dtype]) ** below / np.where(orders < 1, 1 - orders, 1.0)
    return terms * (BITS[dtype] + np.where((orders > 0) & (orders < 1), magnified, 0.0))


def assert_bits(actual: Any, expected: Any, dtype: str, alpha: Any = 1.01, n: int = 1, terms: int = 1) -> None:
    """Entropies (bits) agree to the tolerance of their dtype; shapes agree exactly."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    error = np.abs(actual - expected)
    allowed = np.broadcast_to(bits(dtype, alpha, n, terms), error.shape)
    # Not (error <= allowed) also catches NaN.
    wrong = ~(error <= allowed)
    assert not wrong.any(), f"errors {error[wrong]} over {allowed[wrong]}: {actual[wrong]}, {expected[wrong]}"


def assert_gram(actual: Any, expected: Any, dtype: str) -> None:
    """Grams agree entry by entry, in units of 1 / n."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    n = expected.shape[-1]
    np.testing.assert_allclose(actual * n, expected * n, rtol=0, atol=GRAM[dtype])
