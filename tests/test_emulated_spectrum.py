"""The GPU's kernels of spectra on the host: their limits of size, degenerate and extreme matrices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import reference
import tolerances
from conftest import Draw, Nx
from emulated import MARGIN, NUMPY, STREAM, kernels, view, workspace, written

FLOATS = pytest.mark.parametrize("dtype", ["float64", "float32"])
# of tiles of 32 rows, and of what a block shares out
BORDERS = [31, 32, 33, 63, 64, 65, 95, 96, 97, 100, 104, 105, 127, 128, 129]


def spectrum(a: NDArray) -> NDArray:
    batch, n, _ = a.shape
    dtype = a.dtype.name
    room = workspace(kernels.spectrum_workspace(batch, n, dtype, STREAM[0]))
    with written(batch, n, dtype=a.dtype) as values:
        kernels.spectrum(view(a), dtype, values.ctypes.data, room.ctypes.data, room.size, *STREAM)
    return values


def check(a: NDArray, values: NDArray | None = None) -> None:
    """Ascending, and within rounding of the reference."""
    values = spectrum(a) if values is None else values
    assert (np.diff(values, axis=1) >= 0).all()
    n = a.shape[1]
    for matrix, found in zip(a, values, strict=True):
        scale = float(np.abs(matrix).max()) or 1.0
        theirs = reference.spectrum(matrix.astype(np.float64) / scale)
        allowed = 8 * n * tolerances.UNIT[a.dtype.name] * float(np.abs(theirs).max())
        error = np.abs(found.astype(np.float64) / scale - theirs).max()
        assert error <= allowed, f"{error} over {allowed}"


def trace_one(a: NDArray) -> NDArray:
    return a / np.trace(a, axis1=-2, axis2=-1)[..., None, None]


# ---------------------------------------------------------------------------------------- against the reference


@FLOATS
@pytest.mark.parametrize("n", [*range(1, 10), 20, *BORDERS])
def test_spectra_match_the_reference(n: int, dtype: str, draw: Draw) -> None:
    grams = np.concatenate([draw.grams(1, n), draw.grams(1, n, sigma=0.1), draw.matrices(1, n)])
    check(grams.astype(dtype))


@FLOATS
def test_matrices_that_are_not_positive(dtype: str, draw: Draw) -> None:
    a = draw.samples(6, 21, 21)
    check((a + a.transpose(0, 2, 1)).astype(dtype))
    check(-draw.grams(3, 17).astype(dtype))


def test_every_size_of_a_tile(draw: Draw) -> None:
    for n in range(1, 70):
        check(draw.matrices(1, n))


def the_tridiagonal(n: int) -> NDArray:
    return 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)


def wilkinson(n: int) -> NDArray:
    """Pairs of eigenvalues that differ by less than rounding."""
    return np.diag(np.abs(np.arange(n) - n // 2).astype(float)) + np.eye(n, k=1) + np.eye(n, k=-1)


DEGENERATE: dict[str, Callable[[int], NDArray]] = {
    "identity": lambda n: np.eye(n) / n,
    "ones": lambda n: np.full((n, n), 1 / n),
    "zeros": lambda n: np.zeros((n, n)),
    "one element": lambda n: np.diag(np.arange(n) == n // 2).astype(float),
    "last element": lambda n: np.diag(np.arange(n) == n - 1).astype(float),
    "two blocks": lambda n: np.kron(np.eye(2), np.full((n // 2 + 1, n // 2 + 1), 1.0))[:n, :n] / n,
    "labels": lambda n: reference.gram_delta(np.arange(n) % 3),
    "duplicates": lambda n: reference.gram_gaussian(np.repeat(np.arange(n // 2 + 1.0), 2)[:n, None], 2.0),
    "graded": lambda n: np.minimum.outer(0.5 ** np.arange(n), 0.5 ** np.arange(n)),
    "graded, ascending": lambda n: np.minimum.outer(2.0 ** np.arange(n), 2.0 ** np.arange(n)) / 2.0**n,
    "diagonal": lambda n: np.diag(np.arange(n) - n / 3),
    "tridiagonal": the_tridiagonal,
    "wilkinson": wilkinson,
    "antidiagonal": lambda n: np.eye(n)[::-1].copy(),
    "hilbert": lambda n: 1 / (1 + np.add.outer(np.arange(n), np.arange(n))),
}


@FLOATS
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_matrices(name: str, dtype: str) -> None:
    for n in (1, 2, 3, 4, 11, 21, 34):
        check(DEGENERATE[name](n)[None].astype(dtype))


@FLOATS
def test_what_is_exact_stays_exact(dtype: str) -> None:
    assert (spectrum(np.zeros((2, 9, 9), dtype)) == 0).all()
    one = np.array([[[3.0]], [[-1e-30]], [[0.0]]], dtype)
    np.testing.assert_array_equal(spectrum(one), one[:, 0])


@FLOATS
@pytest.mark.parametrize("n", [2, 3, 5, 40])
def test_rounding_does_not_look_indefinite(n: int, dtype: str, draw: Draw) -> None:
    """Singular Grams: no eigenvalue may fall below -max(n, 8) eps lambda_max, which would be an error."""
    x = draw.samples(200 if n < 10 else 5, n)
    ones = x[:, :, None] * x[:, None, :] / np.sum(x * x, axis=1)[:, None, None]
    twins = np.exp(-(np.subtract.outer(x[:, : n // 2 + 1], x[:, : n // 2 + 1])[0, :, 0] ** 2))
    twins = np.repeat(np.repeat(twins, 2, 0), 2, 1)[None, :n, :n] / n
    for a in (ones, twins):
        values = spectrum(a.astype(dtype)).astype(np.float64)
        assert (values[:, 0] >= -n * tolerances.UNIT[dtype] * values[:, -1]).all(), values[:, 0] / values[:, -1]


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [("float64", s) for s in (1e-300, 1e-150, 1e-70, 1e70, 1e150, 1e300)]
    + [("float32", s) for s in (1e-36, 1e-18, 1e-8, 1e8, 1e18, 1e36)],
)
def test_extreme_scales(dtype: str, scale: float, draw: Draw) -> None:
    grams = draw.grams(2, 13)
    check((grams * scale).astype(dtype))
    check((grams * np.array([1.0, scale])[:, None, None]).astype(dtype))


@pytest.mark.parametrize("exponent", [-135, -145, -150, -155, -158, -162, -170, -200])
@pytest.mark.parametrize("n", [2, 5, 40])
def test_columns_whose_squares_come_to_nothing(n: int, exponent: int) -> None:
    a = np.full((1, n, n), 10.0**exponent)
    a[0, range(n), range(n)] = np.linspace(0.2, 1, n)
    check(a)
    check(np.eye(n)[None] * 0.2 + 10.0**exponent)


def test_a_small_column_beside_a_large_element() -> None:
    for small, large in [(1e-134, 1e60), (1e-135, 1e50), (1e-140, 1e30)]:
        check(np.array([[[1, small], [small, large]]]))
    check(np.array([[[1, 1e-19], [1e-19, 3e7]]], dtype=np.float32))


# ------------------------------------------------------------------------------------------- size and layout


@FLOATS
def test_up_to_the_limit_of_a_block_and_beyond(dtype: str, draw: Draw) -> None:
    most = kernels.block_order(dtype)
    assert most >= 192
    assert kernels.spectrum_workspace(7, most, dtype, STREAM[0]) == 0
    assert kernels.spectrum_workspace(7, most + 1, dtype, STREAM[0]) > 0
    for n in (160, 192, 193, most, most + 1):
        check(draw.grams(1, n).astype(dtype))


@pytest.mark.parametrize("nx", NUMPY, ids=str)
def test_layouts(nx: Nx, draw: Draw) -> None:
    a = draw.matrices(3, 14)
    plain = spectrum(nx.plain.array(a))
    check(nx.plain.array(a), plain)
    np.testing.assert_array_equal(spectrum(nx.array(a)), plain)


def test_a_matrix_for_a_whole_batch(draw: Draw) -> None:
    a = draw.grams(12)
    found = spectrum(np.broadcast_to(a, (5, 12, 12)))
    np.testing.assert_array_equal(found, np.broadcast_to(found[0], found.shape))
    check(a[None], found[:1])


def test_an_empty_batch() -> None:
    assert spectrum(np.empty((0, 5, 5))).shape == (0, 5)


@FLOATS
@pytest.mark.parametrize("n", [7, 40])
def test_neighbours_do_not_matter(n: int, dtype: str, draw: Draw) -> None:
    """The same bits alone, at any place of a batch, and next to matrices that hold NaN."""
    a = draw.matrices(5, n).astype(dtype)
    together = spectrum(a)
    for b in range(5):
        np.testing.assert_array_equal(spectrum(a[b : b + 1])[0], together[b])
    np.testing.assert_array_equal(spectrum(a[::-1]), together[::-1])
    a[1] = np.nan
    a[3, 2, 1] = a[3, 1, 2] = np.inf
    values = np.empty(5 * n + 2 * MARGIN, dtype)[MARGIN:-MARGIN].reshape(5, n)
    room = workspace(kernels.spectrum_workspace(5, n, dtype, STREAM[0]))
    kernels.spectrum(view(a), dtype, values.ctypes.data, room.ctypes.data, room.size, *STREAM)
    np.testing.assert_array_equal(values[::2], together[::2])
    assert np.isnan(values[1::2]).all()


# ---------------------------------------------------------------------------------------------- eigenvectors


@FLOATS
@pytest.mark.parametrize("n", [1, 2, 9, 40])
def test_eigenvectors(n: int, dtype: str, draw: Draw) -> None:
    for a in (draw.matrices(3, n).astype(dtype), np.eye(n, dtype=dtype)[None] / n):
        room = workspace(kernels.eigh_workspace(len(a), n, dtype, STREAM[0]))
        with written(len(a), n, dtype=dtype) as values, written(*a.shape, dtype=dtype) as vectors:
            kernels.eigh(view(a), dtype, values.ctypes.data, vectors.ctypes.data, room.ctypes.data, room.size, *STREAM)
        check(a, values)
        allowed = 8 * n * tolerances.UNIT[dtype]
        wide = vectors.astype(np.float64)
        again = (wide * values[:, None].astype(np.float64)) @ wide.transpose(0, 2, 1)
        np.testing.assert_allclose(again, a, rtol=0, atol=allowed)
        np.testing.assert_allclose(
            wide.transpose(0, 2, 1) @ wide, np.broadcast_to(np.eye(n), a.shape), rtol=0, atol=allowed
        )
