"""Joint Grams, at the level of the compiled operation."""

from __future__ import annotations

import numpy as np
import pytest

import reference
from fastrenyi import _core


def grams(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Positive semidefinite matrices of trace one with uneven diagonals."""
    x = rng.normal(size=(*shape, shape[-1]))
    a = x @ np.swapaxes(x, -1, -2)
    return np.asarray(a / np.trace(a, axis1=-2, axis2=-1)[..., None, None])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("factors", [1, 2, 3, 9])
def test_products_match_the_reference(rng: np.random.Generator, factors: int, n: int, dtype: type) -> None:
    batches = [grams(rng, 5, n).astype(dtype) for _ in range(factors)]
    product, verdict = _core.hadamard(batches, 2)
    assert verdict is None
    assert product.dtype == dtype
    for k in range(5):
        right = reference.joint(*(batch[k].astype(np.float64) for batch in batches))
        np.testing.assert_allclose(product[k], right, rtol=0, atol=8 * np.finfo(dtype).eps)
    np.testing.assert_allclose(np.trace(product, axis1=1, axis2=2), 1, atol=n * np.finfo(dtype).eps)


def test_strides_broadcasting_and_order(rng: np.random.Generator) -> None:
    a, b = grams(rng, 4, 6), grams(rng, 6)
    everywhere = np.broadcast_to(b, a.shape)
    right, _ = _core.hadamard([a, np.ascontiguousarray(everywhere)], 1)
    np.testing.assert_array_equal(_core.hadamard([a, everywhere], 2)[0], right)
    np.testing.assert_array_equal(_core.hadamard([np.asfortranarray(a), everywhere], 2)[0], right)
    np.testing.assert_allclose(_core.hadamard([everywhere, a[:, ::-1, ::-1][:, ::-1, ::-1]], 2)[0], right, rtol=1e-14)


def test_many_factors_stay_in_range(rng: np.random.Generator) -> None:
    """1,000 factors whose plain product would be 100^-1000."""
    a = np.full((100, 100), 1 / 100)
    np.testing.assert_allclose(_core.hadamard([a[None]] * 1000, 2)[0][0], a, rtol=1e-12)
    np.testing.assert_allclose(_core.hadamard([np.eye(100)[None] / 100] * 1000, 2)[0][0], np.eye(100) / 100, rtol=1e-12)


def test_nothing_in_common_is_reported(rng: np.random.Generator) -> None:
    a, b = np.zeros((3, 4, 4)), np.zeros((3, 4, 4))
    a[:, 0, 0] = 1
    b[:, 0, 0] = 1
    b[1] = np.diag([0.0, 1, 0, 0])
    product, verdict = _core.hadamard([a, b], 2)
    assert verdict == ("zero trace", 1, 0.0)
    assert (product[1] == 0).all()
