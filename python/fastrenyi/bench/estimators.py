"""What others compute of a large Gram, written from their formulas.

Each takes the Gram A (n, n) as a float64 array and an order above 1, and returns bits; none gives an interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg

__all__ = ["ESTIMATORS", "minibatches", "random_features"]


def _renyi(power: float, alpha: float) -> float:
    return math.log2(max(power, np.finfo(float).tiny)) / (1 - alpha)


def _signs(n: int, count: int) -> Any:
    return np.random.default_rng(0).integers(0, 2, (n, count)) * 2.0 - 1.0


def chebyshev(a: Any, alpha: float, probes: int = 100, degree: int = 40) -> float:
    """Return S by a Chebyshev series of x^alpha and Hutchinson's trace; Gong, Yu, Chen, IEEE TSP 70, 2022."""
    n = len(a)
    top = float(np.abs(a).sum(axis=1).max())  # Gershgorin's bound of the largest eigenvalue
    series = np.polynomial.Chebyshev.interpolate(lambda x: ((x + 1) / 2) ** alpha, degree).coef
    z = _signs(n, probes)

    def times(v: Any) -> Any:
        return (2 / top) * (a @ v) - v

    before, now = z, times(z)
    total = series[0] * float((z * before).sum()) + series[1] * float((z * now).sum())
    for coefficient in series[2:]:
        before, now = now, 2 * times(now) - before
        total += coefficient * float((z * now).sum())
    return _renyi(top**alpha * total / probes, alpha)


def lanczos(a: Any, alpha: float, probes: int = 100, steps: int = 20) -> float:
    """Return S by Lanczos quadrature of x^alpha for each probe; Ubaru, Chen, Saad, SIMAX 38, 2017."""
    n = len(a)
    q = _signs(n, probes) / math.sqrt(n)
    before, basis = np.zeros_like(q), [q]
    diagonal: list[Any] = []
    off: list[Any] = []
    for _ in range(steps):
        w = a @ q
        diagonal.append((q * w).sum(axis=0))
        w -= diagonal[-1] * q + (off[-1] * before if off else 0)
        for v in basis:  # again, as Lanczos loses what is orthogonal
            w -= v * (v * w).sum(axis=0)
        off.append(np.linalg.norm(w, axis=0))
        before, q = q, w / np.maximum(off[-1], np.finfo(float).tiny)
        basis.append(q)
    total = 0.0
    for k in range(probes):
        nodes, vectors = linalg.eigh_tridiagonal([d[k] for d in diagonal], [e[k] for e in off[:-1]])
        total += n * float(vectors[0] ** 2 @ np.maximum(nodes, 0) ** alpha)
    return _renyi(total / probes, alpha)


def low_rank(a: Any, alpha: float, rank: int = 100) -> float:
    """Return S of the largest eigenvalues and a flat tail; Dong, Gong, Yu, Li, AAAI 2023."""
    n = len(a)
    rank = min(rank, n // 2)
    space = _signs(n, min(rank + 20, n))
    for _ in range(4):
        space = np.linalg.qr(a @ space)[0]
    values = np.linalg.eigvalsh(space.T @ (a @ space))[-rank:]
    tail = max(0.0, 1 - float(values.sum())) / (n - rank)
    return _renyi(float((values**alpha).sum()) + (n - rank) * tail**alpha, alpha)


ESTIMATORS: dict[str, Callable[[Any, float], float]] = {
    "Chebyshev, 100 probes, degree 40": chebyshev,
    "Lanczos, 100 probes, 20 steps": lanczos,
    "100 eigenvalues and a flat tail": low_rank,
}


def random_features(x: Any, width: float, alpha: float, count: int = 1000) -> float:
    """Return S of random Fourier features of a Gaussian kernel; Jalali, Ospanov, Gohari, Farnia, arXiv 2402.01702."""
    rng = np.random.default_rng(0)
    angles = x @ (rng.normal(size=(x.shape[1], count)) / width)
    features = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / math.sqrt(count * len(x))
    values = np.linalg.eigvalsh(features.T @ features)
    return _renyi(float((np.maximum(values, 0) ** alpha).sum()), alpha)


def minibatches(x: Any, width: float, alpha: float, size: int = 100) -> float:
    """Return the mean of S over minibatches, with the width of all: what people do."""
    import fastrenyi as fr

    size = min(size, len(x))
    count = len(x) // size
    batches = np.random.default_rng(0).permutation(len(x))[: count * size].reshape(count, size)
    return float(fr.entropy(fr.gram(x[batches], bandwidth=width), alpha).mean())
