"""Eigenvalues of batches of symmetric matrices, ascending."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import fastrenyi as fr
import reference
import tolerances
from conftest import Draw, Nx, run_python
from fastrenyi import _core


def symmetric(draw: Draw, *shape: int) -> np.ndarray:
    a = draw.samples(*shape, shape[-1])
    return (a + np.swapaxes(a, -1, -2)) / 2


def assert_spectrum(actual: np.ndarray, expected: np.ndarray, dtype: str) -> None:
    assert actual.shape == expected.shape
    largest = np.abs(expected).max(axis=-1, keepdims=True, initial=0.0)
    error = np.abs(actual - expected)
    assert np.all(error <= tolerances.EIGENVALUE[dtype] * largest), error.max()


def test_spectra_match_the_reference(nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    a = nx.array(symmetric(draw, *batch, 9))
    result = nx.values(fr.spectrum(a))
    assert result.shape == (*batch, 9)
    assert np.all(np.diff(result, axis=-1) >= 0)
    if result.size:
        assert_spectrum(result, over_batch(nx.values(a)), nx.dtype)


def over_batch(a: np.ndarray) -> np.ndarray:
    flat = a.reshape(-1, *a.shape[-2:])
    return np.stack([reference.spectrum(item) for item in flat]).reshape(a.shape[:-1])


@pytest.mark.parametrize("n", [1, 2, 3, 8, 33, 100, 257])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_sizes(n: int, count: int, draw: Draw) -> None:
    a = symmetric(draw, count, n)
    assert_spectrum(fr.spectrum(a), over_batch(a), "float64")


@pytest.mark.parametrize("n", [769, 2900])
def test_large_matrix_of_known_spectrum(n: int, draw: Draw) -> None:
    """A diagonal reflected by H = I - 2 v v'."""
    values = np.sort(draw.samples(n))
    v = draw.samples(n)
    v /= np.linalg.norm(v)
    dv = values * v
    a = np.diag(values) - 2 * (np.outer(v, dv) + np.outer(dv, v)) + 4 * (v @ dv) * np.outer(v, v)
    error = np.abs(fr.spectrum(a) - values)
    assert error.max() <= 8 * n * np.finfo(np.float64).eps * np.abs(values).max()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [769, 800, 1025])
def test_the_way_by_a_band(n: int, dtype: str, draw: Draw) -> None:
    """Orders that are and are not multiples of its width, and what trouble eigenvalues have; the same bits on each."""
    x = draw.samples(n, 3)
    for a in (
        symmetric(draw, 1, n)[0],
        np.full((n, n), 1 / n),
        np.eye(n),
        x @ x.T,
        np.kron(np.eye(-(-n // 7)), np.ones((7, 7)))[:n, :n],
        np.exp(-((x[:, None] - x) ** 2).sum(-1) / 2e6),
        np.diag(np.arange(n) % 5 - 2.0),
        1e-300 * (x @ x.T) if dtype == "float64" else 1e-36 * (x @ x.T),
    ):
        values = a.astype(dtype)
        found = [_core.spectrum(values[None], threads)[0] for threads in (1, 2, 5)]
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])
        exact = np.linalg.eigvalsh(values.astype(np.float64))
        error = np.abs(found[0] - exact).max() / np.abs(exact).max()
        assert error <= n * np.finfo(dtype).eps, error


def test_half_precision(nx_dtype: Nx, draw: Draw) -> None:
    a = nx_dtype.array(symmetric(draw, 3, 7))
    result = nx_dtype.values(fr.spectrum(a))
    assert_spectrum(result, over_batch(nx_dtype.values(a)), nx_dtype.dtype)


def test_known_spectra(nx: Nx) -> None:
    def found(matrix: np.ndarray) -> np.ndarray:
        return nx.values(fr.spectrum(nx.array(matrix)))

    close = {"rtol": 0, "atol": 10 * tolerances.EIGENVALUE[nx.dtype]}
    np.testing.assert_array_equal(found(np.zeros((4, 4))), np.zeros(4))
    np.testing.assert_allclose(found(np.eye(5)), np.ones(5), **close)
    np.testing.assert_allclose(found(np.ones((5, 5))), [0, 0, 0, 0, 5], **close)
    np.testing.assert_allclose(found(np.diag([3.0, -1.0, 2.0, 2.0])), [-1, 2, 2, 3], **close)
    np.testing.assert_allclose(found(np.array([[2.0, 1.0], [1.0, 2.0]])), [1, 3], **close)


@pytest.mark.parametrize("scale", [2.0**1000, 2.0**500, 2.0**-500, 2.0**-1000])
def test_scale_does_not_matter(scale: float, draw: Draw) -> None:
    a = symmetric(draw, 2, 12)
    assert_spectrum(fr.spectrum(a * scale) / scale, over_batch(a), "float64")


def test_input_is_not_modified(nx: Nx, draw: Draw) -> None:
    a = nx.array(symmetric(draw, 3, 6))
    before = nx.values(a).copy()
    fr.spectrum(a)
    np.testing.assert_array_equal(nx.values(a), before)


def test_an_item_does_not_depend_on_its_batch(draw: Draw) -> None:
    a = symmetric(draw, 9, 40)
    together = fr.spectrum(a)
    for k in range(9):
        assert_spectrum(together[k], fr.spectrum(a[k]), "float64")


def padded(matrices: list[np.ndarray], n: int) -> np.ndarray:
    """Matrices as leading blocks of matrices of order n."""
    return np.stack([np.pad(a, (0, n - len(a))) for a in matrices])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [9, 70, 300, 800])
def test_rows_of_zeros_behind_a_matrix(n: int, dtype: str, draw: Draw) -> None:
    """Each is solved in about its own order, and its other eigenvalues are zeros, in their place."""
    orders = [*draw.rng.integers(1, n + 1, size=6 if n == 800 else 40), 1, n]
    each = [draw.rounded(dtype, int(order)) for order in orders]
    a = padded([x - 0.3 * np.eye(len(x), dtype=dtype) / len(x) for x in each], n)  # eigenvalues of both signs
    found = fr.spectrum(a)
    assert (np.diff(found) >= 0).all()
    for k, order in enumerate(orders):
        expected = np.sort(
            np.concatenate([np.linalg.eigvalsh(a[k, :order, :order].astype(float)), np.zeros(n - order)])
        )
        np.testing.assert_allclose(found[k], expected, rtol=0, atol=tolerances.EIGENVALUE[dtype] * abs(expected).max())
        assert (found[k] == 0).sum() >= n - order
    alphas = [0.5, 1, 2, np.inf]
    for x, entropies in zip(each, fr.entropy(padded(each, n), alphas), strict=True):
        tolerances.assert_bits(entropies, fr.entropy(x, alphas), dtype, alphas, n)


def test_rows_of_zeros_of_one_factor(draw: Draw) -> None:
    a, b = draw.grams(40), padded([draw.grams(25)], 40)[0]
    expected = reference.entropy(reference.joint(a[:25, :25], b[:25, :25]), 1.01)
    np.testing.assert_allclose(fr.joint_entropy(a, b), expected, atol=tolerances.BITS["float64"])
    maps = np.stack([a, b, a])
    found = fr.layer_decomposition(maps, a)
    np.testing.assert_allclose(found.single[1], reference.mutual_information(b, a), atol=1e-9)


@pytest.mark.parametrize("n", [1, 5, 900])
def test_a_diagonal_matrix_needs_no_solver(n: int, draw: Draw) -> None:
    a = np.stack([np.diag(draw.samples(n)), symmetric(draw, n), np.zeros((n, n))])
    found = fr.spectrum(a)
    np.testing.assert_array_equal(found[0], np.sort(a[0].diagonal()))
    assert_spectrum(found[1], np.linalg.eigvalsh(a[1]), "float64")
    assert not found[2].any()


def test_a_zero_on_the_diagonal_hides_nothing() -> None:
    a = np.array([[0.5, 0.0, 0.3], [0.0, 0.5, 0.0], [0.3, 0.0, 0.0]])
    np.testing.assert_allclose(fr.spectrum(a), np.linalg.eigvalsh(a), atol=1e-15)
    with pytest.raises(fr.NotPositiveSemidefiniteError):
        fr.entropy(a, 1.01)
    np.testing.assert_array_equal(fr.spectrum(np.zeros((2, 5, 5))), np.zeros((2, 5)))


def test_blas_gets_no_more_threads_than_it_has() -> None:
    """It keeps to the processors; raised above them by OMP_NUM_THREADS its threads only wait for each other."""
    if not Path("/proc/self/task").is_dir():
        pytest.skip("counts threads in /proc")
    output = run_python(
        """
        import os
        import numpy as np
        import fastrenyi as fr
        a = np.eye(200)
        start = len(os.listdir("/proc/self/task"))
        fr.spectrum(a)
        print(len(os.listdir("/proc/self/task")) - start)
        """,
        OMP_NUM_THREADS=str(2 * (os.cpu_count() or 1) + 2),
    )
    assert output == "0\n"


def test_a_blas_without_thread_controls_is_left_alone() -> None:
    """Reference BLAS and BLIS have none of the functions that are looked for."""
    output = run_python(
        """
        import scipy.linalg.cython_lapack as lapack
        lapack.__file__ = "/nonexistent.so"
        import numpy as np, fastrenyi as fr
        assert fr.spectrum(np.eye(1000)).sum() == 1000
        print(repr(fr._core.blas_info()))
        """
    )
    assert output == "''\n"
