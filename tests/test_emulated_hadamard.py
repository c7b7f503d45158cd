"""The GPU's kernels of joint Grams on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference
import tolerances
from conftest import Draw, Nx
from emulated import NUMPY, STREAM, Status, kernels, view, workspace, written


def hadamard(*factors: np.ndarray) -> tuple[np.ndarray, Any]:
    batch, n, _ = factors[0].shape
    memory, status = workspace(kernels.hadamard_workspace(len(factors), batch, n)), Status()
    with written(batch, n, n, dtype=factors[0].dtype) as out:
        kernels.hadamard(
            [view(factor) for factor in factors],
            factors[0].dtype.name,
            out.ctypes.data,
            memory.ctypes.data,
            status.address,
            *STREAM,
        )
    return out, status.fault


def expected(*factors: np.ndarray) -> np.ndarray:
    return np.stack([reference.joint(*(factor[b] for factor in factors)) for b in range(len(factors[0]))])


@pytest.mark.parametrize("nx", NUMPY, ids=str)
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_products_match_the_reference(nx: Nx, count: int, draw: Draw) -> None:
    factors = [nx.array(draw.matrices(3, 19)) for _ in range(count)]
    result, fault = hadamard(*factors)
    assert fault is None
    tolerances.assert_gram(result, expected(*map(nx.values, factors)), nx.dtype)


@pytest.mark.parametrize("n", [1, 2, 65, 130])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sizes(n: int, dtype: str, draw: Draw) -> None:
    factors = [draw.matrices(2, n).astype(dtype) for _ in range(2)]
    result, fault = hadamard(*factors)
    assert fault is None
    tolerances.assert_gram(result, expected(*factors), dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_more_factors_than_a_launch_has_room_for(dtype: str, draw: Draw) -> None:
    maps = draw.grams(250, 5, sigma=20.0).astype(dtype)
    factors = [maps[c : c + 1] for c in range(250)]
    result, fault = hadamard(*factors)
    assert fault is None
    tolerances.assert_gram(result, expected(*factors), dtype)


def test_broadcast_factors(draw: Draw) -> None:
    many, one = draw.grams(4, 6), draw.grams(1, 6)
    result, fault = hadamard(many, np.broadcast_to(one, (4, 6, 6)))
    assert fault is None
    tolerances.assert_gram(result, expected(many, np.repeat(one, 4, axis=0)), "float64")


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_any_number_of_factors_at_any_scale(scale: float, draw: Draw) -> None:
    factors = [draw.grams(1, 5) for _ in range(6)]
    result, fault = hadamard(*(factor * scale for factor in factors))
    assert fault is None
    tolerances.assert_gram(result, expected(*factors), "float64")


def test_diagonals_that_meet_far_below_their_largest(draw: Draw) -> None:
    weights = [np.array([1, 1e-200, 1e-200]), np.array([1e-200, 1, 1e-200])]
    factors = [np.ones((1, 3, 3)) * np.sqrt(w)[:, None] * np.sqrt(w)[None, :] for w in weights]
    result, fault = hadamard(*factors, *factors)
    assert fault is None
    tolerances.assert_gram(result, expected(*factors, *factors), "float64")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_product_of_trace_zero(dtype: str, draw: Draw) -> None:
    a, b, c = (draw.grams(4, 6).astype(dtype) for _ in range(3))
    for first, matrix in [(a, 3), (b, 1)]:
        first[matrix] = 0
        first[matrix, 0, 0] = 1
        c[matrix, 0, 0] = 0
    result, fault = hadamard(a, b, c)
    assert fault == ("trace", 1)
    assert np.all(result[[1, 3]] == 0)
    good = [0, 2]
    tolerances.assert_gram(result[good], expected(a[good], b[good], c[good]), dtype)


def test_a_matrix_does_not_depend_on_its_neighbours(draw: Draw) -> None:
    a, b = draw.matrices(5, 9), draw.matrices(5, 9)
    whole, _ = hadamard(a, b)
    np.testing.assert_array_equal(whole[3:4], hadamard(a[3:4], b[3:4])[0])


def test_an_empty_batch_and_what_is_refused(draw: Draw) -> None:
    result, fault = hadamard(np.empty((0, 3, 3)), np.empty((0, 3, 3)))
    assert result.shape == (0, 3, 3)
    assert fault is None
    with pytest.raises(ValueError, match="one shape"):
        hadamard(draw.grams(2, 3), draw.grams(1, 3))
    with pytest.raises(ValueError, match="square"):
        hadamard(np.ones((1, 3, 2)))
    with pytest.raises(ValueError, match="factor"):
        kernels.hadamard([], "float64", 0, 0, 0, *STREAM)
