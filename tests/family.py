"""Functions of the family by their names, with their twins in the reference, and samples for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import fastrenyi as fr
import reference
from conftest import Draw

N, D = 7, 5
RELATIVE = {"float64": 1e-9, "float32": 2e-4, "float16": 3e-2, "bfloat16": 2e-1}


def near(draw: Draw, *shape: int) -> np.ndarray:
    """Positive definite matrices of trace one, far enough from singular to be rounded to half precision."""
    return 0.8 * draw.matrices(*shape) + 0.2 * np.eye(shape[-1]) / shape[-1]


def similarities(draw: Draw, *shape: int) -> np.ndarray:
    return 0.8 * shape[-1] * draw.grams(*shape) + 0.2 * np.eye(shape[-1])


SAMPLES: dict[str, tuple[Callable[..., Any], Callable[..., float]]] = {
    "participation_ratio": (fr.participation_ratio, reference.participation_ratio),
    "stable_rank": (fr.stable_rank, reference.stable_rank),
    "coding_rate": (fr.coding_rate, reference.coding_rate),
    "coding_rate eps base": (
        lambda x: fr.coding_rate(x, 2.0, math.e),
        lambda x: reference.coding_rate(x, 2.0, math.e),
    ),
    "logdet_entropy": (fr.logdet_entropy, reference.logdet_entropy),
    "eigenscore": (fr.eigenscore, reference.eigenscore),
    "eigenscore released": (
        lambda x: fr.eigenscore(x, 0.1, "released"),
        lambda x: reference.eigenscore(x, 0.1, "released"),
    ),
    "spectral_slope": (lambda x: fr.spectral_slope(x, 1), lambda x: reference.spectral_slope(x, 1)),
    "spectral_slope of two, not weighted": (
        lambda x: fr.spectral_slope(x, 2, 3, weighted=False),
        lambda x: reference.spectral_slope(x, 2, 3, weighted=False),
    ),
    "curvature": (fr.curvature, reference.curvature),
    "logdet_entropy beta": (lambda x: fr.logdet_entropy(x, 0.3), lambda x: reference.logdet_entropy(x, 0.3)),
}
ONE: dict[str, tuple[Callable[..., Any], Callable[..., float], Callable[..., np.ndarray]]] = {
    "effective_rank": (fr.effective_rank, reference.effective_rank, near),
    "effective_rank of singular values": (
        lambda a: fr.effective_rank(a, 1.01, 0.5),
        lambda a: reference.effective_rank(a, 1.01, 0.5),
        near,
    ),
    "vendi_score": (fr.vendi_score, reference.vendi_score, similarities),
    "vendi_score of order 2": (
        lambda k: fr.vendi_score(k, 2),
        lambda k: reference.vendi_score(k, 2),
        similarities,
    ),
}
TWO: dict[str, tuple[Callable[..., Any], Callable[..., float]]] = {
    "alignment": (fr.alignment, reference.alignment),
    "alignment centered": (lambda a, b: fr.alignment(a, b, centered=True), reference.centred_alignment),
    "cauchy_schwarz_information": (fr.cauchy_schwarz_information, reference.cauchy_schwarz_information),
    "relative_entropy": (fr.relative_entropy, reference.relative_entropy),
}


def gaussians(draw: Draw, *shape: int) -> np.ndarray:
    """Grams without negative entries."""
    return 0.8 * draw.grams(*shape) + 0.2 * np.eye(shape[-1]) / shape[-1]


def over_batch(function: Callable[..., float], *arrays: np.ndarray) -> np.ndarray:
    batch = arrays[0].shape[:-2]
    return np.array([function(*(a[at] for a in arrays)) for at in np.ndindex(*batch)]).reshape(batch)


def assert_near(found: Any, expected: np.ndarray, dtype: str) -> None:
    found = np.asarray(found)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=RELATIVE[dtype], atol=RELATIVE[dtype] / 10)


def of_four_maps() -> tuple[np.ndarray, np.ndarray]:
    """Grams of four variables of twenty samples, and of their four classes, of which values are known elsewhere."""
    i = np.arange(20)
    x = np.sin(np.outer(i + 1, [1, 2, 3]))
    z = np.tanh(x @ np.array([[1, -1], [0.5, 1], [-1, 0.5]]))
    columns = np.column_stack([x, z[:, 0]])
    width = reference.silverman(20, 1, 5.0)
    maps = np.stack([reference.gram_gaussian(column[:, None], width) for column in columns.T])
    return maps, reference.gram_delta(i % 4)
