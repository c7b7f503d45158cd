"""Products with parts of a large symmetric matrix, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from fastrenyi import _core


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "k", "p"), [(1, 1, 1), (1, 700, 3), (600, 1, 2), (255, 513, 5), (512, 256, 32)])
def test_both_products_are_added(m: int, k: int, p: int, dtype: str, rng: np.random.Generator) -> None:
    tile, x, y = (rng.normal(size=shape).astype(dtype) for shape in ((m, k), (m, p), (k, p)))
    at_rows, at_columns = rng.normal(size=(m, p)), rng.normal(size=(k, p))
    exact = tile.astype(np.float64)
    results = []
    for threads in (1, 3):
        rows, columns = at_rows.copy(), at_columns.copy()
        _core.tile_product(tile, x, y, rows, columns, threads)
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(rows, at_rows + exact @ y, rtol=0, atol=tolerance * (k**0.5 + 1))
        np.testing.assert_allclose(columns, at_columns + exact.T @ x, rtol=0, atol=tolerance * (m**0.5 + 1))
        results.append((rows, columns))
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(one, many)


def test_on_the_diagonal_once(rng: np.random.Generator) -> None:
    tile, x, rows = rng.normal(size=(20, 20)), rng.normal(size=(20, 2)), np.zeros((20, 2))
    _core.tile_product(tile, x, x, rows, None, 0)
    np.testing.assert_allclose(rows, tile @ x, atol=1e-13)


def test_long_sums_lose_no_more_than_short_ones(rng: np.random.Generator) -> None:
    """A sum of a million equal numbers in single precision would be off by far more."""
    tile = np.full((1, 2**20), 0.1, np.float32)
    rows = np.zeros((1, 1))
    _core.tile_product(tile, np.ones((1, 1), np.float32), np.ones((2**20, 1), np.float32), rows, None, 0)
    assert rows[0, 0] == pytest.approx(2**20 * float(np.float32(0.1)), rel=2e-6)


def test_nothing() -> None:
    rows = np.ones((3, 2))
    _core.tile_product(np.ones((3, 0)), np.ones((3, 2)), np.ones((0, 2)), rows, np.ones((0, 2)), 0)
    np.testing.assert_array_equal(rows, 1)


def test_what_does_not_go_together() -> None:
    tile, x, y, rows = np.ones((3, 4)), np.ones((3, 2)), np.ones((4, 2)), np.zeros((3, 2))
    for wrong in ((tile, y, x, rows, None), (tile, x, y, rows.T.copy(), None), (tile, x, y, rows, rows)):
        with pytest.raises(ValueError, match="expected vectors and sums"):
            _core.tile_product(*wrong, 0)
    with pytest.raises(TypeError):
        _core.tile_product(tile, x, y, np.zeros((2, 3)).T, None, 0)  # would be added to a copy
    frozen = rows.copy()
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match=r"not writeable|read-only"):
        _core.tile_product(tile, x, y, frozen, None, 0)
