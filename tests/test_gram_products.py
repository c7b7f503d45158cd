"""Grams of many samples of many features, whose distances are made by matrix products: no digit may show it."""

from __future__ import annotations

import numpy as np
import pytest

import fastrenyi as fr
import reference
import tolerances
from conftest import Draw, Nx
from fastrenyi import _core

SHAPES = [(32, 16), (33, 17), (39, 64), (64, 513), (100, 196), (70, 1100)]


def middle_width(x: np.ndarray) -> float:
    """The width at which entries are neither near one nor near zero."""
    return float(np.median(reference.distances(x)))


def related(draw: Draw, n: int, d: int) -> np.ndarray:
    """Samples of which some are equal, some nearly, some in one direction, one far away, and one the mean."""
    x = draw.samples(n, d)
    x[1] = x[0]
    x[2] = x[0]
    x[2, d // 2] = np.nextafter(x[0, d // 2], np.inf)
    x[3] = x[0] * (1 + 2.0**-20)
    x[4] = 3 * x[0]
    x[5] = 1e4 * x[5]
    x[7:20] = x[6] + 0.1 * x[7:20]
    x[21] = 0
    return x


@pytest.mark.parametrize("shape", SHAPES)
def test_against_the_reference(shape: tuple[int, int], nx: Nx, draw: Draw) -> None:
    x = nx.array(related(draw, *shape))
    values = nx.values(x)
    width = middle_width(values)
    expected = reference.gram_gaussian(values, width)
    result = nx.values(fr.gram(x, "gaussian", width))
    tolerances.assert_gram(result, expected, nx.dtype)
    np.testing.assert_array_equal(result, result.T)
    assert np.all(np.diagonal(result) == nx.rounded(1 / shape[0]))
    assert result[0, 1] == result[0, 0]
    np.testing.assert_array_equal(result, nx.values(fr.gram(nx.plain.array(values), "gaussian", width)))


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e6, -1e6, 1e12])
@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e3])
def test_gram_gives_distances_back(offset: float, spread: float, draw: Draw) -> None:
    """-2 s^2 log(n A) is the squared distance; where A is not near 1 or 0 the logarithm keeps its digits."""
    n, d = 60, 150
    x = spread * related(draw, n, d) + offset
    exact = reference.distances(x).astype(np.float64)
    for width in np.quantile(exact[exact > 0], [0.02, 0.2, 0.5, 0.9]):
        a = n * fr.gram(x, "gaussian", float(width))
        told = (a < 0.9) & (a > 1e-5)
        found = np.sqrt(-2 * width**2 * np.log(a[told]))
        np.testing.assert_allclose(found, exact[told], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_near_duplicates_among_distant_samples(dtype: str, draw: Draw) -> None:
    """Two samples 2^-10 apart, others 2^10 away: the narrow width sees exactly that distance."""
    x = (draw.rng.integers(-4, 5, size=(40, 30)) * 2.0**10).astype(dtype)
    x[1] = x[0]
    x[2] = x[0]
    x[2, 1] += 2.0**-10
    a = fr.gram(x, "gaussian", 2.0**-10)
    assert a[0, 1] == a[0, 0]
    assert a[0, 2] == a[1, 2] == pytest.approx(np.exp(-0.5) / 40, rel=1e-14 if dtype == "float64" else 1e-7)
    assert np.all(a[0, 3:] == 0)


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e15])
def test_duplicates_are_equal_exactly(offset: float, draw: Draw) -> None:
    x = np.repeat(draw.samples(14, 40) + offset, 3, axis=0)
    a = fr.gram(x, "gaussian", 0.37)
    for first in range(0, 42, 3):
        assert np.all(a[first : first + 3, first : first + 3] == 1 / 42)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("value", [0.0, 1.0, -3.7, 1e30, 1e-30])
def test_constant_samples(dtype: str, value: float) -> None:
    x = np.full((50, 30), value, dtype)
    np.testing.assert_array_equal(fr.gram(x, "gaussian", 1.0), np.full((50, 50), 1 / 50, dtype))


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e-30, 1e30, 1e150, 1e300])
def test_any_scale(scale: float, draw: Draw) -> None:
    """In proportion to the width, and beside a width of one: nothing that leaves the range is seen."""
    x = related(draw, 40, 30)
    width = middle_width(x)
    tolerances.assert_gram(fr.gram(x * scale, "gaussian", width * scale), fr.gram(x, "gaussian", width), "float64")
    expected = reference.gram_gaussian(x * scale, 1.0)
    np.testing.assert_allclose(fr.gram(x * scale, "gaussian", 1.0), expected, rtol=1e-13)


@pytest.mark.parametrize("scale", [1e-37, 1e-20, 1e18, 1e20, 1e33])
def test_any_scale_of_singles(scale: float, draw: Draw) -> None:
    x = (related(draw, 40, 30) * scale).astype("float32")
    expected = reference.gram_gaussian(x, 1.0)
    tolerances.assert_gram(fr.gram(x, "gaussian", 1.0), expected, "float32")


def test_one_sample_out_of_range_of_the_others(draw: Draw) -> None:
    """The mean is near none, and its products overflow."""
    x = draw.samples(40, 30)
    x[7, 3] = 1e200
    x[8, 3] = -1.7e308
    expected = reference.gram_gaussian(x, 4.0)
    tolerances.assert_gram(fr.gram(x, "gaussian", 4.0), expected, "float64")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_threads_and_company_change_no_bit(dtype: str, draw: Draw) -> None:
    """One matrix, whose blocks threads share, and many, which they share out."""
    x = draw.samples(3, 150, 600).astype(dtype)
    width = np.full(3, 30.0)
    expected = _core.gram(x, "gaussian", width, 1, 1.0, 0.0, 1)
    for threads in (2, 3):
        np.testing.assert_array_equal(_core.gram(x, "gaussian", width, 1, 1.0, 0.0, threads), expected)
        alone = _core.gram(x[:1], "gaussian", width[:1], 1, 1.0, 0.0, threads)
        np.testing.assert_array_equal(alone[0], expected[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kernel", ["gaussian", "laplacian", "polynomial", "cosine"])
def test_what_is_not_finite_is_named(kernel: str, bad: float, draw: Draw) -> None:
    maps = draw.samples(40, 3, 5, 5)
    maps[7, 1, 2, 3] = maps[9, 0, 0, 0] = bad
    with pytest.raises(ValueError, match=r"maps: expected finite numbers, got (nan|inf) at index \(7, 1, 2, 3\)"):
        fr.channel_grams(maps, kernel)
