"""Entropies: orders, bases, limits, and matrices that have none."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
import reference
import tolerances
from conftest import Draw, Nx
from fastrenyi import _backend

ORDERS = [0.5, 0.9, 1, 1.01, 1.5, 2, 5, 20, math.inf]


def expected(grams: np.ndarray, alpha: float, base: float = 2) -> np.ndarray:
    batch = grams.shape[:-2]
    values = [reference.entropy(grams[index], alpha, base) for index in np.ndindex(*batch)]
    return np.array(values).reshape(batch)


def rotated(draw: Draw, eigenvalues: Any) -> np.ndarray:
    """A symmetric matrix of these eigenvalues and random eigenvectors."""
    p = np.asarray(eigenvalues, dtype=np.float64)
    q, _ = np.linalg.qr(draw.samples(p.size, p.size))
    a = (q * p) @ q.T
    return (a + a.T) / 2


# ------------------------------------------------------------------------------------ against the reference


def test_entropies_match_the_reference(nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    grams = draw.matrices(*batch, 7)
    for alpha in ORDERS:
        result = nx.values(fr.entropy(nx.array(grams), alpha))
        tolerances.assert_bits(result, expected(grams, alpha), nx.dtype, alpha, n=7)


def test_grams_of_samples(nx: Nx, draw: Draw) -> None:
    grams = draw.grams(2, 20, sigma=0.5)
    for alpha in ORDERS:
        result = nx.values(fr.entropy(nx.array(grams), alpha))
        tolerances.assert_bits(result, expected(grams, alpha), nx.dtype, alpha, n=20)


def test_half_precision(nx_dtype: Nx, draw: Draw) -> None:
    grams = draw.grams(3, 12)
    result = nx_dtype.values(fr.entropy(nx_dtype.array(grams)))
    tolerances.assert_bits(result, expected(grams, 1.01), nx_dtype.dtype)
    # A Gram made in half precision is accepted as one.
    x = nx_dtype.array(draw.samples(3, 30, 4))
    exact = reference.over_batch(reference.gram_gaussian, nx_dtype.values(x), sigma=2.0)
    result = nx_dtype.values(fr.entropy(fr.gram(x, "gaussian", 2.0)))
    tolerances.assert_bits(result, expected(exact, 1.01), nx_dtype.dtype, terms=2)


def test_the_default_is_the_order_and_unit_of_the_paper(draw: Draw) -> None:
    gram = draw.grams(8)
    assert fr.entropy(gram) == fr.entropy(gram, 1.01, 2)
    assert fr.entropy(gram) == fr.entropy(a=gram, alpha=1.01, base=2.0)


@pytest.mark.parametrize("base", [2, math.e, 10, 1.5, 7.5])
def test_bases(base: float, nx: Nx, draw: Draw) -> None:
    grams = draw.grams(2, 9)
    for alpha in [1, 1.01, 2, [0.9, 2]]:
        result = nx.values(fr.entropy(nx.array(grams), alpha, base))
        orders = [alpha] if np.isscalar(alpha) else alpha
        theirs = np.stack([expected(grams, order, base) for order in orders], axis=-1)
        tolerances.assert_bits(result.reshape(theirs.shape), theirs, nx.dtype, orders, n=9, terms=2)


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_a_sequence_of_orders_is_the_last_axis(kind: Any, nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    grams = nx.array(draw.matrices(*batch, 6))
    result = nx.values(fr.entropy(grams, kind(ORDERS)))
    assert result.shape == (*batch, len(ORDERS))
    for k, alpha in enumerate(ORDERS):
        one = nx.values(fr.entropy(grams, alpha))
        # Order 2 alone takes another way, without a spectrum.
        np.testing.assert_allclose(result[..., k], one, rtol=0, atol=tolerances.BITS[nx.dtype])


def test_a_sequence_of_one_keeps_its_axis(nx: Nx, draw: Draw) -> None:
    grams = nx.array(draw.matrices(3, 6))
    for alpha in [[2], [1.01], (math.inf,)]:
        assert nx.values(fr.entropy(grams, alpha)).shape == (3, 1)
        assert nx.values(fr.entropy(grams[0], alpha)).shape == (1,)


def test_one_gram_gives_a_scalar(draw: Draw) -> None:
    import torch

    gram = draw.grams(6)
    assert isinstance(fr.entropy(gram), np.float64)
    assert isinstance(fr.entropy(gram.astype(np.float32)), np.float32)
    tensor = fr.entropy(torch.from_numpy(gram))
    assert tensor.shape == ()
    assert tensor.dtype == torch.float64


@pytest.mark.parametrize("alpha", [np.float64(2), np.float32(0.5), np.int64(1), np.array(1.01), True])
def test_orders_of_other_kinds(alpha: Any, draw: Draw) -> None:
    gram = draw.grams(6)
    if alpha is True:
        with pytest.raises(TypeError, match=r"^alpha"):
            fr.entropy(gram, alpha)
        return
    assert fr.entropy(gram, alpha) == fr.entropy(gram, float(alpha))


# ---------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("p", [[0.5, 0.3, 0.2], [0.9, 0.09, 0.01 - 1e-9, 1e-9], [0.25] * 4, [1.0]], ids=str)
@pytest.mark.parametrize("distance", [1e-15, 1e-12, 1e-9, 1e-7, 1e-5, 1e-3, 0.1, 0.3, 0.49999, 0.50001, 0.7])
@pytest.mark.parametrize("sign", [-1, 1])
def test_near_one(p: list[float], distance: float, sign: int, draw: Draw) -> None:
    """The formula is 0 / 0 at order 1; close to it, it is as accurate as at 1 itself."""
    alpha = 1 + sign * distance
    exact = reference.spectrum_entropy(p, alpha)
    # Bisection, on a GPU, finds eigenvalues to rounding of the largest: below order 1 that shows.
    of_diagonal = 1e-13 if alpha >= 1 or _backend.serves_core("cpu") else 1e-9
    assert fr.entropy(np.diag(p), alpha) == pytest.approx(exact, abs=of_diagonal)
    tolerance = 1e-12 if alpha > 0.9 else 1e-5
    assert fr.entropy(rotated(draw, p), alpha) == pytest.approx(exact, abs=tolerance)


def test_the_limit_at_one_is_reached_from_both_sides(draw: Draw) -> None:
    gram = draw.grams(30, sigma=0.7)
    at_one = fr.entropy(gram, 1)
    assert fr.entropy(gram, 1 + 1e-12) == pytest.approx(at_one, abs=1e-10)
    assert fr.entropy(gram, 1 - 1e-12) == pytest.approx(at_one, abs=1e-10)
    assert fr.entropy(gram, 1 - 1e-9) == pytest.approx(at_one, abs=1e-7)
    assert fr.entropy(gram, math.nextafter(1, 2)) == pytest.approx(at_one, abs=1e-12)
    assert fr.entropy(gram, math.nextafter(1, 0)) == pytest.approx(at_one, abs=1e-12)


def test_order_zero_is_the_rank(nx: Nx, draw: Draw) -> None:
    for rank in [1, 2, 5, 9]:
        p = np.zeros(9)
        p[:rank] = draw.rng.uniform(0.5, 1, size=rank)
        result = nx.values(fr.entropy(nx.array(rotated(draw, p / p.sum())), 0))
        assert result == nx.rounded(math.log2(rank))


def test_orders_near_zero_and_large(draw: Draw) -> None:
    p = [0.5, 0.3, 0.19, 0.01]
    for alpha in [1e-12, 1e-6, 1e-3, 50, 700, 2000]:
        assert fr.entropy(np.diag(p), alpha) == pytest.approx(reference.spectrum_entropy(p, alpha), abs=1e-12)
    for alpha in [1e4, 1e8, 1e300]:
        at_most = alpha / (alpha - 1) * fr.entropy(np.diag(p), math.inf)
        assert fr.entropy(np.diag(p), alpha) == pytest.approx(at_most, abs=1e-12)


def test_order_infinity_is_the_largest_eigenvalue(nx: Nx, draw: Draw) -> None:
    result = nx.values(fr.entropy(nx.array(rotated(draw, [0.5, 0.3, 0.2])), math.inf))
    tolerances.assert_bits(result, 1.0, nx.dtype)


@pytest.mark.parametrize("alpha", [0, 0.5, 1, 1.01, 2, 5, math.inf])
def test_one_sample_has_no_entropy(alpha: float, nx: Nx) -> None:
    result = nx.values(fr.entropy(nx.array(np.ones((2, 1, 1))), alpha))
    np.testing.assert_array_equal(result, np.zeros(2))
    assert not np.signbit(result).any()


@pytest.mark.parametrize("alpha", [1, 1.01, 2, 5, math.inf])
def test_rank_one_has_no_entropy(alpha: float, nx: Nx, draw: Draw) -> None:
    v = draw.samples(12)
    pure = np.outer(v, v) / (v @ v)
    result = nx.values(fr.entropy(nx.array(pure), alpha))
    tolerances.assert_bits(result, 0.0, nx.dtype)


@pytest.mark.parametrize("alpha", [0, 0.5, 1, 1.01, 2, 5, math.inf])
def test_two_samples(alpha: float, nx: Nx) -> None:
    for k in [0.0, 0.3, 0.999]:
        gram = np.array([[0.5, k / 2], [k / 2, 0.5]])
        theirs = reference.spectrum_entropy([(1 - k) / 2, (1 + k) / 2], alpha)
        result = nx.values(fr.entropy(nx.array(gram), alpha))
        tolerances.assert_bits(result, theirs, nx.dtype, alpha, n=2)


# ------------------------------------------------------------------------------------- not a Gram matrix


@pytest.mark.parametrize("alpha", [0, 0.5, 1, 1.01, 5, math.inf, [1, 2]])
def test_an_indefinite_matrix_has_no_entropy(alpha: Any, nx: Nx) -> None:
    good = np.eye(3) / 3
    bad = np.diag([0.7, 0.5, -0.2])
    with pytest.raises(fr.NotPositiveSemidefiniteError, match=r"^a: ") as caught:
        fr.entropy(nx.array(bad), alpha)
    assert isinstance(caught.value, ValueError)
    assert caught.value.eigenvalue == pytest.approx(-0.2, rel=1e-5)
    assert float(re.findall(r"-\d[\d.e-]*\d", str(caught.value))[0]) == pytest.approx(-0.2, rel=1e-5)
    batch = np.stack([[good, good, good], [good, bad, good]])
    with pytest.raises(fr.NotPositiveSemidefiniteError, match=r"^a: .*\(1, 1\)"):
        fr.entropy(nx.array(batch), alpha)


def test_rounding_below_zero_is_zero(draw: Draw) -> None:
    """An eigenvalue of -max(n, 8) eps lambda_max is the border: half of it is rounding, four times is not."""
    for n in [3, 8, 40]:
        rounding = max(n, 8) * 2.0**-52 * 0.5
        for factor, fine in [(-0.5, True), (-4.0, False)]:
            p = np.zeros(n)
            p[:3] = [0.5, 0.5 - factor * rounding, factor * rounding]
            if fine:
                assert fr.entropy(np.diag(p), 1) == pytest.approx(1, abs=1e-12)
                assert fr.entropy(np.diag(p), 1, estimate=0.01).value == pytest.approx(1, abs=1e-12)
            else:
                for how in [None, 0.01]:
                    with pytest.raises(fr.NotPositiveSemidefiniteError, match=r"^a: "):
                        fr.entropy(np.diag(p), 1, estimate=how)


def test_singular_grams_are_no_error(nx: Nx, draw: Draw) -> None:
    """Duplicates and wide kernels make eigenvalues that are zero but for rounding of either sign."""
    for n in [2, 10, 60]:
        x = np.repeat(draw.samples(n, 2), 3, axis=0)
        for sigma in [0.1, 1.0, 100.0]:
            gram = fr.gram(nx.array(x), "gaussian", sigma)
            exact = reference.entropy(reference.gram_gaussian(nx.rounded(x), sigma), 1.01)
            tolerances.assert_bits(nx.values(fr.entropy(gram)), exact, nx.dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_small_singular_grams_are_no_error(dtype: Any, draw: Draw) -> None:
    """Of as many a few have an eigenvalue below -n eps lambda_max, which rounding of n products has put there."""
    for n in [2, 3, 4, 5, 8]:
        x = (draw.samples(100000, n, 2) @ draw.samples(100000, 2, 6)).astype(dtype)
        assert (fr.entropy(fr.gram(x, "linear"), 2) <= 1 + 1e-5).all()  # of rank two
        assert (fr.entropy(fr.gram(x, "linear"), 1) <= 1 + 1e-5).all()


def test_input_is_not_modified(nx: Nx, draw: Draw) -> None:
    a = nx.array(draw.matrices(3, 6))
    before = nx.values(a).copy()
    fr.entropy(a, [1, 2])
    fr.entropy(a, 2)
    np.testing.assert_array_equal(nx.values(a), before)


def test_rounding_of_the_trace_does_not_spoil_orders_near_one(draw: Draw) -> None:
    """A trace of 1 + 1e-9 is accepted; (1 - trace) / (alpha - 1) must not enter the result."""
    gram = draw.matrices(8)
    for alpha in [1, 1 + 1e-12, 1.01, 2, [2, 3], math.inf]:
        np.testing.assert_allclose(fr.entropy(gram * (1 + 1e-9), alpha), fr.entropy(gram, alpha), rtol=0, atol=1e-10)
