"""The right answers, by NumPy in float64 from the formulas, and how far others are from them."""

from __future__ import annotations

import numpy as np

from fastrenyi._array import Values

__all__ = ["bits_error", "eigenvalue_error", "entropies", "information", "pair_entropies"]


def eigenvalue_error(found: Values, right: Values, epsilon: float) -> float:
    """Return the largest error in n eps |A|."""
    n = right.shape[-1]
    scale = np.abs(right).max(axis=-1, keepdims=True)
    return float((np.abs(found - right) / (n * epsilon * scale)).max())


def bits_error(found: Values, right: Values) -> float:
    """Return the largest absolute error."""
    return float(np.abs(found - right).max())


def entropies(a: Values, alpha: float) -> Values:
    """Return S_alpha in bits of matrices that are divided by their trace first, in float64 by NumPy."""
    a = a.astype(np.float64)
    if alpha == 2:
        found = -np.log2(np.square(a).sum(axis=(-2, -1)) / np.trace(a, axis1=-2, axis2=-1) ** 2)
    else:
        values = np.linalg.eigvalsh(a)
        p = np.maximum(values, 0) / values.sum(axis=-1, keepdims=True)
        safe = np.where(p > 0, p, 1)
        if alpha == 1:
            found = -(safe * np.log2(safe)).sum(axis=-1)
        else:
            found = np.log2((safe**alpha * (p > 0)).sum(axis=-1)) / (1 - alpha)
    return np.asarray(found)


def pair_entropies(maps: Values, target: Values, index: Values, alpha: float) -> Values:
    """Return (p, 2): S(Ti, Tj) and S(Ti, Tj, X)."""
    found = []
    for i, j in index:
        product = maps[i].astype(np.float64) * maps[j]
        found.append(entropies(np.stack([product, product * target]), alpha))
    return np.stack(found)


def information(maps: Values, target: Values, index: Values, alpha: float) -> Values:
    """Return I(X; {Ti, Tj}) of pairs of maps."""
    both = pair_entropies(maps, target, index, alpha)
    return np.asarray(entropies(target, alpha) + both[:, 0] - both[:, 1])
