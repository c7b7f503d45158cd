"""What the GPU's kernels find wrong with data, on the host: every fault, wherever it is, with its matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import reference
from conftest import Draw, Nx
from emulated import NUMPY, STREAM, Status, kernels, view

FLOATS = pytest.mark.parametrize("dtype", ["float64", "float32"])


def not_finite(x: np.ndarray) -> tuple[str, int] | None:
    status = Status()
    kernels.not_finite(view(x), x.dtype.name, status.address, *STREAM)
    return status.fault


def zero_rows(x: np.ndarray) -> tuple[str, int] | None:
    status = Status()
    kernels.zero_rows(view(x), x.dtype.name, status.address, *STREAM)
    return status.fault


def gram_fault(a: np.ndarray, tolerance: float = 1e-4, trace_one: bool = True) -> tuple[str, int] | None:
    status = Status()
    kernels.gram_fault(view(a), a.dtype.name, tolerance, trace_one, status.address, *STREAM)
    return status.fault


# ------------------------------------------------------------------------------------------------ not finite


@pytest.mark.parametrize("nx", NUMPY, ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 3, 5), (2, 40, 33), (3, 1, 5000)])
def test_the_first_matrix_that_is_not_finite(nx: Nx, shape: tuple[int, ...], draw: Draw) -> None:
    x = nx.array(draw.samples(*shape))
    assert not_finite(x) is None
    for value in [math.nan, math.inf, -math.inf]:
        places = [tuple(draw.rng.integers(0, shape)) for _ in range(3)]
        bad = nx.array(np.array(x))  # the same layout, another memory
        for place in places:
            bad[place] = value
        assert not_finite(bad) == ("not finite", min(place[0] for place in places))


@FLOATS
def test_every_element_is_looked_at(dtype: str) -> None:
    for shape in [(3, 2, 5), (5, 3, 2)]:
        for order in [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)]:
            x = np.zeros([shape[axis] for axis in order], dtype=dtype).transpose(np.argsort(order))
            assert x.shape == shape
            for place in np.ndindex(*shape):
                x[place] = math.nan
                assert not_finite(x) == ("not finite", place[0])
                x[place] = 0


@FLOATS
def test_long_lines_are_cut_without_a_gap(dtype: str) -> None:
    x = np.zeros((2, 1, 9001), dtype=dtype)
    for k in [0, 4095, 4096, 8191, 8192, 9000]:
        x[1, 0, k] = math.inf
        assert not_finite(x) == ("not finite", 1), k
        x[1, 0, k] = 0


@FLOATS
def test_the_largest_numbers_are_finite(dtype: str) -> None:
    x = np.full((1, 3, 3), np.finfo(dtype).max, dtype=dtype)
    assert not_finite(x) is None
    assert not_finite(-x) is None


def test_broadcast_and_empty(draw: Draw) -> None:
    x = draw.samples(1, 3, 4)
    assert not_finite(np.broadcast_to(x, (5, 3, 4))) is None
    x[0, 1, 2] = math.inf
    assert not_finite(np.broadcast_to(x, (5, 3, 4))) == ("not finite", 0)
    one = np.array([1.0, math.nan])[:, None, None]
    assert not_finite(np.broadcast_to(one, (2, 3, 4))) == ("not finite", 1)
    for call in [not_finite, zero_rows]:
        assert call(np.empty((0, 3, 4))) is None


# -------------------------------------------------------------------------------------------------- zero rows


@pytest.mark.parametrize("nx", NUMPY, ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 2), (2, 70, 33)])
def test_the_first_matrix_with_a_row_of_zeros(nx: Nx, shape: tuple[int, ...], draw: Draw) -> None:
    values = draw.samples(*shape)
    assert zero_rows(nx.array(values)) is None
    values[-1, -1] = -0.0
    assert zero_rows(nx.array(values)) == ("not finite", shape[0] - 1)
    values[-1, -1, -1] = 1e-30  # one element is enough
    assert zero_rows(nx.array(values)) is None
    values[0, shape[1] // 2] = 0
    assert zero_rows(nx.array(values)) == ("not finite", 0)


# -------------------------------------------------------------------------------------------- faults of a Gram


@pytest.mark.parametrize("nx", NUMPY, ids=str)
@pytest.mark.parametrize("n", [1, 2, 31, 33, 67])
def test_grams_are_without_fault(nx: Nx, n: int, draw: Draw) -> None:
    assert gram_fault(nx.array(draw.grams(3, n))) is None


@FLOATS
@pytest.mark.parametrize("n", [2, 33, 150])
def test_every_kind_of_fault(dtype: str, n: int, draw: Draw) -> None:
    grams = draw.grams(4, n).astype(dtype)
    i, j = sorted(draw.rng.choice(n, size=2, replace=False))
    for place in [(2, i, j), (2, j, i)]:
        a = grams.copy()
        a[place] += 1e-2
        assert gram_fault(a) == ("asymmetric", 2)
        a[3, i, j] = math.nan
        assert gram_fault(a) == ("asymmetric", 2)
        a[2, j, j] = math.inf  # before anything else in the same matrix
        assert gram_fault(a) == ("not finite", 2)
        a[1, 0, 0] += 1e-2
        assert gram_fault(a) == ("trace", 1)
        assert gram_fault(a, trace_one=False) == ("not finite", 2)
        a[1, 0, n - 1] += 1e-2
        assert gram_fault(a) == ("asymmetric", 1)


def test_asymmetry_is_judged_by_the_largest_element(draw: Draw) -> None:
    a = draw.grams(1, 20) * 1e6
    a[0, 3, 7] += 1e-2
    assert gram_fault(a, trace_one=False) is None
    assert gram_fault(a * 1e-300, trace_one=False) is None
    a[0, 3, 7] += 1e3
    assert gram_fault(a, trace_one=False) == ("asymmetric", 0)
    assert gram_fault(a * 1e-300, trace_one=False) == ("asymmetric", 0)
    huge = np.array([[[1.0, 1e308], [-1e308, 1.0]]])
    assert gram_fault(huge, trace_one=False) == ("asymmetric", 0)


def test_every_pair_is_compared(draw: Draw) -> None:
    n = 35
    a = reference.gram_gaussian(draw.samples(n, 3), 1.0)[None]
    for i, j in [(0, 34), (34, 0), (32, 31), (31, 32), (33, 34), (1, 0), (17, 33)]:
        bad: Any = a.copy()
        bad[0, i, j] += 1e-2
        assert gram_fault(bad) == ("asymmetric", 0), (i, j)


def test_an_empty_batch() -> None:
    assert gram_fault(np.empty((0, 3, 3))) is None
    with pytest.raises(ValueError, match="square"):
        gram_fault(np.ones((1, 3, 2)))
