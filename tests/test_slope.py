"""The slope of entropies, at the level of the compiled operation, against eigenvectors in float64."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import Draw
from fastrenyi import _core
from fastrenyi._ops import backward

ORDERS = [0.1, 0.5, 0.9, 1.0, 1.0 + 1e-9, 1.01, 1.5, 2.0, 2.3, 3.0, 10.0]
TOLERANCE = {np.float64: 1e-12, np.float32: 2e-5}


def _expected(a: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Return V f'(lambda) V^T, the slope in bits of one matrix of full rank."""
    lam, v = np.linalg.eigh(a)
    total = lam.sum()
    log_p = np.log(lam / total)
    if alpha > 1.5:  # near 1 this loses its digits, and the form below does far from it
        slope = alpha / (1 - alpha) * (np.exp((alpha - 1) * log_p) / np.exp(alpha * log_p).sum() - 1) / total
    elif alpha == 1:
        slope = -(log_p - (lam / total) @ log_p) / total
    else:
        s = alpha - 1
        entropy = -np.log1p((lam / total) @ np.expm1(s * log_p)) / s
        slope = -alpha / s * np.expm1(s * (log_p + entropy)) / total
    return np.asarray((v * slope) @ v.T / np.log(2))


def _of_full_rank(rng: np.random.Generator, batch: int, n: int) -> NDArray[np.float64]:
    """Return symmetric matrices of spectra within two decades."""
    q = np.linalg.qr(rng.normal(size=(batch, n, n)))[0]
    lam = 10 ** rng.uniform(-2, 0, size=(batch, n))
    a = (q * lam[:, None]) @ q.transpose(0, 2, 1)
    return np.asarray(a + a.transpose(0, 2, 1))


def _slope(a: NDArray[np.floating], grads: NDArray[np.float64], orders: list[float]) -> NDArray[np.floating]:
    return _core.slope(_core.reduce([a], 0)[1], grads, orders, 1.0, 0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 15, 16, 17, 33, 64, 101])
@pytest.mark.parametrize("alpha", ORDERS)
def test_slope(rng: np.random.Generator, alpha: float, n: int, dtype: type) -> None:
    a = _of_full_rank(rng, 3, n).astype(dtype)
    weights = rng.normal(size=(3, 1))
    found = _slope(a, weights, [alpha])
    expected = weights[:, :, None] * np.stack([_expected(x.astype(np.float64), alpha) for x in a])
    scale = np.abs(expected).max(axis=(1, 2), keepdims=True) + 1 / np.trace(a, axis1=1, axis2=2)[:, None, None]
    assert found.dtype == dtype
    assert (found == found.transpose(0, 2, 1)).all()
    np.testing.assert_allclose(found / scale, expected / scale, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 2, 3, 16, 50, 130])
@pytest.mark.parametrize("batch", [0, 1, 2, 19])
def test_reduced(rng: np.random.Generator, batch: int, n: int, dtype: type) -> None:
    a = rng.normal(size=(batch, n, n))
    a = (a + a.transpose(0, 2, 1)).astype(dtype)
    before = a.copy()
    values, reduced = _core.reduce([a], 2)
    tolerance = 20 * n * float(np.finfo(dtype).eps) * np.abs(values).max(initial=1)
    assert (a == before).all()
    assert values.shape == (batch, n)
    assert reduced.shape == (batch, n + 3, n)
    assert (reduced[:, n + 2] == values).all()
    np.testing.assert_allclose(values, np.linalg.eigvalsh(a.astype(np.float64)), atol=tolerance)
    for matrix, rows in zip(a.astype(np.float64), reduced.astype(np.float64), strict=True):
        q = np.eye(n)
        for k in range(2, n):  # Q = H_{n-1} ... H_2
            q = q - np.outer(rows[k], rows[k] @ q)
        off = rows[n + 1, : n - 1]
        t = np.diag(rows[n]) + np.diag(off, 1) + np.diag(off, -1)
        np.testing.assert_allclose(q @ t @ q.T, matrix, atol=tolerance)


def test_orders_add_up(rng: np.random.Generator) -> None:
    a = _of_full_rank(rng, 4, 20)
    orders = [0.0, 0.5, 1.01, 2.0, 4.2]
    weights = rng.normal(size=(4, len(orders)))
    parts = [_slope(a, weights[:, [k]], [order]) for k, order in enumerate(orders)]
    assert (parts[0] == 0).all()
    np.testing.assert_allclose(_slope(a, weights, orders), np.sum(parts, axis=0), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.01, 2.0, 5.0])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_finite_where_eigenvalues_are_zero(draw: Draw, alpha: float, dtype: type) -> None:
    """Duplicates, constants, a single direction: zero and repeated eigenvalues, some below zero by rounding."""
    x = draw.samples(12, 3)
    doubled = np.concatenate([x, x])
    distances = np.square(doubled[:, None] - doubled).sum(axis=-1)
    cases = np.stack([np.exp(-distances) / 24, np.full((24, 24), 1 / 24), np.eye(24) / 24, np.diag([1.0] + 23 * [0.0])])
    found = _slope(cases.astype(dtype), np.ones((4, 1)), [alpha])
    assert np.isfinite(found).all()
    # The scale of a matrix has no entropy: <A, dS/dA> = 0.
    along = (cases * found).sum(axis=(1, 2)) / np.abs(found).max(axis=(1, 2)).clip(1)
    np.testing.assert_allclose(along, 0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("exponent", [-60, -20, 20, 60])
@pytest.mark.parametrize(("dtype", "factor"), [(np.float64, 4), (np.float32, 0.5)])
def test_scale(rng: np.random.Generator, exponent: int, dtype: type, factor: float) -> None:
    """S does not change with the scale of a matrix, its slope is inverse to it."""
    a = _of_full_rank(rng, 2, 30).astype(dtype)
    scale = 2.0 ** int(exponent * factor)
    plain, scaled = _slope(a, np.ones((2, 1)), [1.01]), _slope(dtype(scale) * a, np.ones((2, 1)), [1.01])
    np.testing.assert_allclose(scaled.astype(np.float64) * scale, plain, atol=TOLERANCE[dtype] * np.abs(plain).max())


def test_weights_may_be_small(rng: np.random.Generator) -> None:
    a = _of_full_rank(rng, 1, 40).astype(np.float32)
    plain, small = (_slope(a, np.full((1, 1), size), [1.01]) for size in (1.0, 1e-20))
    np.testing.assert_allclose(small * 1e20, plain, rtol=1e-5, atol=1e-6 * np.abs(plain).max())


def test_same_bits_for_any_number_of_threads(rng: np.random.Generator) -> None:
    a = _of_full_rank(rng, 5, 90)
    weights = np.ones((5, 1))
    one, two = (_core.slope(_core.reduce([a], t)[1], weights, [1.01], 1.0, t) for t in (1, 2))
    assert (one == two).all()
    assert (_slope(a[2:3], weights[:1], [1.01])[0] == one[2]).all()


HIGH = [65.0, 1e3, 1e9, 1e300, float("inf")]


def _expected_of_high(lam: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Return dS/d lambda in bits, S = log2(T / lambda_max) alpha / s - log2(sum q^alpha) / s, s = alpha - 1."""
    total, largest = lam.sum(), lam.max()
    q = lam / largest
    if alpha == np.inf:
        return np.asarray((1 / total - (q == 1) / (largest * (q == 1).sum())) / np.log(2))
    ratio, s = alpha / (alpha - 1), alpha - 1
    to_sum = q**s / (q**alpha).sum() / largest  # of log(sum lambda^alpha) / alpha
    return np.asarray(ratio * (1 / total - to_sum) / np.log(2))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("alpha", HIGH)
def test_high_orders(rng: np.random.Generator, alpha: float, n: int, dtype: type) -> None:
    """By eigenvectors; what is tested is that nothing overflows, and the same beside orders that are made otherwise."""
    q = np.linalg.qr(rng.normal(size=(2, n, n)))[0]
    lam = rng.uniform(0.01, 0.9, size=(2, n))
    lam[:, -1] = 1.0
    a = np.asarray((q * lam[:, None]) @ q.transpose(0, 2, 1))
    a = ((a + a.transpose(0, 2, 1)) / 2).astype(dtype)
    expected = np.stack([(v * _expected_of_high(x, alpha)) @ v.T for v, x in zip(q, lam, strict=True)])
    epsilon, tolerance = float(np.finfo(dtype).eps), 200 * TOLERANCE[dtype]
    ones = np.ones((2, 1))
    found = backward.of_joints(a, ones, [alpha], epsilon, 1.0)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, atol=tolerance)
    among = backward.of_joints(a, np.ones((2, 3)), [1.01, alpha, 2.0], epsilon, 1.0)
    others = backward.of_joints(a, np.ones((2, 2)), [1.01, 2.0], epsilon, 1.0)
    np.testing.assert_allclose(among, expected + others, atol=tolerance * np.abs(others).max(initial=1))


@pytest.mark.parametrize("alpha", HIGH)
def test_high_orders_of_equal_eigenvalues(draw: Draw, alpha: float) -> None:
    for a in (np.eye(24) / 24, np.full((24, 24), 1 / 24), np.diag([0.5, 0.5, *22 * [0.0]])):
        found = backward.of_joints(a[None], np.ones((1, 1)), [alpha], 2.0**-52, 1.0)[0]
        assert np.isfinite(found).all()
        lam, v = np.linalg.eigh(a)
        top = lam > lam[-1] - 1e-12
        expected = (v * ((1 - top / lam[-1] / top.sum()) / np.log(2))) @ v.T
        np.testing.assert_allclose(found, expected * (1.0 if alpha == np.inf else alpha / (alpha - 1)), atol=1e-9)


@pytest.mark.parametrize("alpha", [64.0, 65.0])
def test_both_ways_of_high_orders_agree_with_differences(draw: Draw, alpha: float) -> None:
    a = draw.grams(6, sigma=2.0)
    direction = draw.grams(6) - a
    step = 1e-6

    def entropy(a: NDArray[np.float64]) -> float:
        lam = np.linalg.eigvalsh(a)
        return float(np.log2(((lam / lam.sum()) ** alpha).sum()) / (1 - alpha))

    found = (backward.of_joints(a[None], np.ones((1, 1)), [alpha], 2.0**-52, 1.0)[0] * direction).sum()
    expected = (entropy(a + step * direction) - entropy(a - step * direction)) / (2 * step)
    assert abs(found - expected) < 1e-5 * max(1.0, abs(expected))


def test_the_kernel_refuses_high_orders(rng: np.random.Generator) -> None:
    a = _of_full_rank(rng, 1, 3)
    for alpha in (backward.LARGEST_BY_RESOLVENTS + 1, np.inf, np.nan):
        with pytest.raises(ValueError, match="orders"):
            _slope(a, np.ones((1, 1)), [alpha])


def test_a_product_of_trace_zero_has_no_gradient_and_says_so() -> None:
    a, b = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    with pytest.raises(ValueError, match=r"^grams: expected Grams whose entrywise product has a positive trace"):
        backward.of_entropies(
            np.ones((1, 1, 1)), [a[None], b[None]], np.empty((0, 5, 2)), [True, True], [[0, 1]], [], [1.5], 1.0
        )
