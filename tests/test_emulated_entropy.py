"""The GPU's kernels of entropies on the host: orders and their limits, units, spectra that are none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import reference
import tolerances
from conftest import Draw, Nx
from emulated import MARGIN, NUMPY, STREAM, Status, kernels, view, written

ORDERS = [0, 0.3, 0.5, 0.9, 0.999999, 1, 1 + 1e-9, 1.01, 1.5, 1.6, 2, 5, 20, 1000, math.inf]
FLOATS = pytest.mark.parametrize("dtype", ["float64", "float32"])


def entropy(
    spectra: np.ndarray,
    orders: Sequence[float],
    unit: float = 1.0,
    epsilon: float | None = None,
    checked: bool = True,
) -> tuple[np.ndarray, Any]:
    batch, n = spectra.shape
    dtype = spectra.dtype
    status = Status()
    out = np.full(batch * len(orders) + 2 * MARGIN, np.nan, dtype=dtype)
    result = out[MARGIN : len(out) - MARGIN].reshape(batch, len(orders))
    kernels.entropy(
        spectra.ctypes.data,
        batch,
        n,
        dtype.name,
        list(orders),
        np.finfo(dtype).eps if epsilon is None else epsilon,
        unit,
        result.ctypes.data,
        status.address,
        *STREAM,
    )
    assert np.isnan(out[:MARGIN]).all()
    assert np.isnan(out[len(out) - MARGIN :]).all()
    if checked and status.fault is None:
        assert not np.isnan(result).any()
    return result, status.fault


def expected(spectra: np.ndarray, orders: Sequence[float], base: float = 2) -> np.ndarray:
    return np.array([[reference.spectrum_entropy(p, alpha, base) for alpha in orders] for p in spectra])


def collision_entropy(a: np.ndarray, unit: float = 1.0) -> np.ndarray:
    with written(len(a), dtype=a.dtype) as out:
        kernels.collision_entropy(view(a), a.dtype.name, unit, out.ctypes.data, *STREAM)
    return out


@FLOATS
@pytest.mark.parametrize("n", [1, 2, 7, 32, 33, 100])
def test_entropies_match_the_reference(n: int, dtype: str, draw: Draw) -> None:
    spectra = np.sort(draw.rng.dirichlet(np.full(n, 0.5), size=5), axis=1)
    spectra = np.maximum(spectra, n * 1e-4 * spectra.max(axis=1, keepdims=True)).astype(dtype)
    result, fault = entropy(spectra, ORDERS)
    assert fault is None
    tolerances.assert_bits(result, expected(spectra, ORDERS), dtype, ORDERS, n=n)


@FLOATS
def test_the_order_of_eigenvalues_and_their_sum_do_not_matter(dtype: str, draw: Draw) -> None:
    spectra = draw.rng.uniform(0.1, 1, size=(1, 40)).astype(dtype)
    shuffled = draw.rng.permutation(spectra[0])[None] * np.dtype(dtype).type(8)
    tolerances.assert_bits(entropy(shuffled, ORDERS)[0], expected(spectra, ORDERS), dtype, ORDERS, n=40)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_extreme_scales(scale: float, draw: Draw) -> None:
    spectra = draw.rng.uniform(0.1, 1, size=(2, 9))
    result, fault = entropy(spectra * scale, ORDERS)
    assert fault is None
    tolerances.assert_bits(result, expected(spectra, ORDERS), "float64", ORDERS, n=9)


@FLOATS
def test_known_spectra(dtype: str) -> None:
    for n in [1, 2, 33]:
        uniform = np.full((1, n), 1 / n, dtype=dtype)
        tolerances.assert_bits(entropy(uniform, ORDERS)[0], np.full((1, len(ORDERS)), math.log2(n)), dtype)
        one = np.zeros((1, n), dtype=dtype)
        one[0, -1] = 1
        result, fault = entropy(one, ORDERS)
        assert fault is None
        assert np.all(result == 0)
        assert not np.signbit(result).any()


@FLOATS
def test_rounding_below_zero_counts_as_zero(dtype: str) -> None:
    eps = float(np.finfo(dtype).eps)
    spectrum = np.array([[-2 * eps, -eps, 0, eps / 8, 0.25, 0.75]], dtype=dtype)
    result, fault = entropy(spectrum, [0, 1, 2])
    assert fault is None
    tolerances.assert_bits(result, expected(np.array([[0.25, 0.75]]), [0, 1, 2]), dtype)
    # The epsilon is that of the dtype the matrices were made in.
    half = np.array([[-2e-3, 0.25, 0.75]], dtype=dtype)
    assert entropy(half, [1], epsilon=2.0**-10)[1] is None
    assert entropy(half, [1])[1] == ("indefinite", 0)


@FLOATS
def test_the_first_spectrum_that_is_none(dtype: str, draw: Draw) -> None:
    spectra = draw.rng.uniform(0.1, 1, size=(9, 5)).astype(dtype)
    whole, _ = entropy(spectra, [0.5, 2])
    for fault, bad in [("indefinite", [-0.1, 0, 0.2, 0.4, 0.5]), ("trace", [0.0] * 5), ("indefinite", [-1.0] * 5)]:
        some = spectra.copy()
        some[[4, 7]] = np.array(bad, dtype=dtype)
        result, found = entropy(some, [0.5, 2])
        assert found == (fault, 4)
        assert np.isnan(result[[4, 7]]).all()
        others = [0, 1, 2, 3, 5, 6, 8]
        np.testing.assert_array_equal(result[others], whole[others])


def test_a_spectrum_that_was_not_found_is_not_taken_for_one(draw: Draw) -> None:
    spectra = draw.rng.uniform(0.1, 1, size=(2, 40))
    spectra[1, 35] = math.nan
    result, _ = entropy(spectra, ORDERS, checked=False)
    assert np.isnan(result[1]).all()
    assert not np.isnan(result[0]).any()


@pytest.mark.parametrize("base", [2, math.e, 10, 0.5])
def test_units(base: float, draw: Draw) -> None:
    spectra = draw.rng.uniform(0.1, 1, size=(2, 9))
    result, _ = entropy(spectra, ORDERS, unit=1 / math.log2(base))
    tolerances.assert_bits(result, expected(spectra, ORDERS, base), "float64", ORDERS, n=9, terms=2)


def test_more_orders_than_a_launch_has_room_for(draw: Draw) -> None:
    spectra, orders = draw.rng.uniform(0.1, 1, size=(2, 4)), [*np.linspace(0, 5, 150), math.inf]
    tolerances.assert_bits(entropy(spectra, orders)[0], expected(spectra, orders), "float64", orders, n=4)


def test_nothing_to_do(draw: Draw) -> None:
    assert entropy(np.empty((0, 4)), [1, 2])[0].shape == (0, 2)
    assert entropy(np.ones((3, 4)), [])[0].shape == (3, 0)
    assert collision_entropy(np.empty((0, 4, 4))).shape == (0,)


# ----------------------------------------------------------------------------------------------- without spectra


@pytest.mark.parametrize("nx", NUMPY, ids=str)
@pytest.mark.parametrize("n", [1, 2, 40, 131])
def test_order_two_from_the_elements(nx: Nx, n: int, draw: Draw) -> None:
    matrices = draw.matrices(3, n)
    a, expected = nx.array(matrices), [reference.entropy(matrix, 2) for matrix in matrices]
    tolerances.assert_bits(collision_entropy(a), expected, nx.dtype)
    tolerances.assert_bits(collision_entropy(a, 0.5), np.array(expected) / 2, nx.dtype)


def test_order_two_of_a_rank_one_matrix_is_no_negative_zero() -> None:
    result = collision_entropy(np.full((2, 4, 4), 0.25))
    assert np.all(result == 0)
    assert not np.signbit(result).any()
