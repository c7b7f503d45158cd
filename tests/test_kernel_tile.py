"""Tiles of a Gaussian kernel matrix, against the reference."""

from __future__ import annotations

import numpy as np
import pytest

import reference
from fastrenyi import _core


def of_reference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    together = np.concatenate([x, y])
    return reference.gram_gaussian(together, 1.0)[: len(x), len(x) :] * len(together)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize(
    ("m", "k", "d"), [(1, 1, 1), (1, 70, 3), (65, 1, 2), (63, 130, 5), (64, 64, 1), (129, 200, 40)]
)
def test_tiles(m: int, k: int, d: int, single: bool, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(m, d)), rng.normal(size=(k, d))
    expected = of_reference(x, y)
    for threads in (0, 1, 2):
        found, squares = _core.gaussian_tile(x, y, single, 0.0, threads)
        assert found.dtype == (np.float32 if single else np.float64)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 if single else 1e-13)
        assert squares == pytest.approx(float((expected**2).sum()), rel=1e-12)


def test_the_number_of_threads_changes_no_bit(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(200, 7)), rng.normal(size=(150, 7))
    one, many = (_core.gaussian_tile(x, y, False, 0.0, threads) for threads in (1, 3))
    np.testing.assert_array_equal(one[0], many[0])
    assert one[1] == many[1]


def test_what_is_taken_off_is_taken_off_before_rounding(rng: np.random.Generator) -> None:
    x = 1e-4 * rng.normal(size=(40, 3))
    whole, squares = _core.gaussian_tile(x, x, False, 0.0, 0)
    found, same = _core.gaussian_tile(x, x, True, 1.0, 0)
    np.testing.assert_allclose(found, whole - 1.0, rtol=1e-6, atol=1e-14)
    assert squares == same


def test_equal_and_distant_samples(rng: np.random.Generator) -> None:
    x = rng.normal(size=(70, 4))
    found, _ = _core.gaussian_tile(x, np.concatenate([x, x + 1e3, np.zeros((1, 4))]), False, 0.0, 0)
    assert np.diagonal(found) == pytest.approx(np.ones(70), abs=1e-14)
    assert (found[:, 70:140] == 0).all()
    assert found.max() <= 1.0
    np.testing.assert_allclose(found[:, 140], np.exp(-(x**2).sum(axis=1) / 2), rtol=1e-13)


def test_memory_in_any_order(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(90, 6)), rng.normal(size=(40, 6))
    expected = _core.gaussian_tile(x, y, False, 0.0, 0)[0]
    found = _core.gaussian_tile(np.asfortranarray(x), np.repeat(y, 2, axis=0)[::2], False, 0.0, 0)[0]
    np.testing.assert_array_equal(found, expected)


def test_shapes_that_do_not_go_together() -> None:
    for x, y in ((np.ones((2, 3)), np.ones((2, 4))), (np.ones(3), np.ones((2, 3))), (np.ones((2, 0)), np.ones((2, 0)))):
        with pytest.raises(ValueError, match="expected samples"):
            _core.gaussian_tile(x, y, False, 0.0, 0)


def test_no_samples() -> None:
    found, squares = _core.gaussian_tile(np.ones((0, 3)), np.ones((2, 3)), False, 0.0, 0)
    assert found.shape == (0, 2)
    assert squares == 0.0
