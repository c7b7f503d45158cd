"""Eigenvectors, at the level of the compiled operation."""

from __future__ import annotations

import numpy as np
import pytest

from fastrenyi import _core


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 2, 9, 60])
@pytest.mark.parametrize("batch", [0, 1, 5])
def test_values_and_vectors(rng: np.random.Generator, batch: int, n: int, dtype: type) -> None:
    a = rng.normal(size=(batch, n, n))
    a = (a + a.transpose(0, 2, 1)).astype(dtype)
    before = a.copy()
    values, vectors = _core.eigh(a, 2)
    tolerance = 20 * n * float(np.finfo(dtype).eps)
    assert (a == before).all()
    assert values.shape == (batch, n)
    assert (np.diff(values, axis=1) >= 0).all()
    norm = np.abs(values).max(initial=1)
    np.testing.assert_allclose((vectors * values[:, None]) @ vectors.transpose(0, 2, 1), a, atol=tolerance * norm)
    identity = np.broadcast_to(np.eye(n), a.shape)
    np.testing.assert_allclose(vectors.transpose(0, 2, 1) @ vectors, identity, atol=tolerance)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(a.astype(np.float64)), atol=tolerance * norm)


def test_strides(rng: np.random.Generator) -> None:
    a = rng.normal(size=(3, 12, 12))
    a = a + a.transpose(0, 2, 1)
    wide = np.zeros((3, 24, 36))
    wide[:, ::2, ::3] = a
    for view in (a, a.transpose(0, 2, 1), wide[:, ::2, ::3]):
        values, vectors = _core.eigh(view, 1)
        np.testing.assert_allclose((vectors * values[:, None]) @ vectors.transpose(0, 2, 1), a, atol=1e-12)
