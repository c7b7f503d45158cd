"""Eigenvectors, at the level of the compiled operation."""

from __future__ import annotations

import numpy as np
import pytest

from fastrenyi import _core


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 2, 9, 16, 17, 60])
@pytest.mark.parametrize("batch", [0, 1, 5, 21])
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


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [0.0, 1e-300, 1e-30, 1e30, 1e300])
def test_small_ones_of_any_kind(rng: np.random.Generator, scale: float, dtype: type) -> None:
    """Constants, repeated eigenvalues, rank one, a diagonal, blocks, of any size, in one batch and each alone."""
    if dtype is np.float32 and scale in (1e-300, 1e300):
        scale **= 0.1
    x = rng.normal(size=(12, 1))
    basis = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    graded = (basis * 10.0 ** -np.arange(12)) @ basis.T
    kinds = [np.ones((12, 12)), np.eye(12), x @ x.T, np.diag(x[:, 0]), np.kron(np.eye(3), np.ones((4, 4))), graded]
    kinds += [(basis * np.repeat([1.0, 1.0 + 1e-9, -1.0], 4)) @ basis.T, rng.normal(size=(12, 12))]
    a = (np.stack([(k + k.T) / 2 for k in kinds]) * scale).astype(dtype)
    values, vectors = _core.eigh(a, 2)
    unit = scale or 1.0
    tolerance = 200 * float(np.finfo(dtype).eps)
    wide, exact = vectors.astype(np.float64), a.astype(np.float64) / unit
    np.testing.assert_allclose(
        (wide * (values.astype(np.float64) / unit)[:, None]) @ wide.transpose(0, 2, 1), exact, atol=10 * tolerance
    )
    np.testing.assert_allclose(wide.transpose(0, 2, 1) @ wide, np.broadcast_to(np.eye(12), a.shape), atol=tolerance)
    for k in range(len(a)):  # the same bits, whatever the others are
        alone, own = _core.eigh(a[k : k + 1], 1)
        np.testing.assert_array_equal(alone[0], values[k])
        np.testing.assert_array_equal(own[0], vectors[k])
