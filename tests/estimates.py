"""Samples, and what is asked of an estimate of them."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

import fastrenyi as fr

KERNELS = {
    "gaussian": fr.Gaussian(1.3),
    "silverman": fr.Gaussian(),
    "laplacian": fr.Laplacian(2.0),
    "polynomial": fr.Polynomial(2),
    "cosine": fr.Cosine(),
    "delta": fr.Delta(),
}
ORDERS = [0.5, 1, 1.01, 1.5, 2, 2.5, 5, 8, 15, 40, 200, 1000, math.inf]


def samples(rng: np.random.Generator, n: int = 400, d: int = 4) -> np.ndarray:
    return rng.normal(size=(n, d)) * rng.uniform(0.5, 2, size=d)


def quiet(call: Any, *args: Any, **options: Any) -> Any:
    """A call whose tolerance may be out of reach."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return call(*args, **options)


def holds(found: fr.Estimate, exact: Any, slack: float = 1e-9) -> None:
    exact = np.asarray(exact)
    assert (found.low - slack <= exact).all(), (found, exact)
    assert (exact <= found.high + slack).all(), (found, exact)
    assert (np.asarray(found.low) <= found.value).all()
    assert (np.asarray(found.value) <= found.high).all()
