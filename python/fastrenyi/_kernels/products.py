"""Products of samples, by the array's own library, whose matrix products nothing of ours comes near."""

from __future__ import annotations

from typing import Any

from fastrenyi._array import Array

__all__ = ["products"]


def products(xp: Any, x: Array) -> Array:
    """Return X X' / tr(X X'), (b, n, n), of samples (b, n, d): symmetric, and zero where all of them are.

    Samples are divided by the largest number among them first, so that no square leaves the range.
    """
    largest = xp.maximum(xp.amax(x, (-2, -1)), -xp.amin(x, (-2, -1)))[:, None, None]
    scaled = x / xp.where(largest > 0, largest, 1)
    k = scaled @ scaled.swapaxes(-1, -2)
    trace = k.diagonal(0, -2, -1).sum(-1)[:, None, None]
    return (k + k.swapaxes(-1, -2)) / xp.where(trace > 0, 2 * trace, 1)
