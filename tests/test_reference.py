"""The reference itself against closed forms and fifty-digit arithmetic; the figures: test_figures."""

from __future__ import annotations

import decimal
import math

import numpy as np
import pytest

import reference
from conftest import Draw


def test_distances_of_a_right_triangle() -> None:
    x = [[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]]
    assert reference.distances(x).tolist() == [[0, 5, 3], [5, 0, 4], [3, 4, 0]]
    assert reference.distances(x, "manhattan").tolist() == [[0, 7, 3], [7, 0, 4], [3, 4, 0]]
    assert reference.pair_distances(x).tolist() == [5, 3, 4]


def test_distances_survive_an_offset_and_extreme_scales() -> None:
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    for offset, scale in [(2.0**20, 2.0**-20), (0.0, 1e300), (0.0, 1e-300)]:
        d = reference.distances(x * scale + offset)[0, 1]
        assert float(d / scale) == pytest.approx(5, rel=1e-15)


@pytest.mark.parametrize(("sigma", "k"), [(1.0, math.exp(-12.5)), (5.0, math.exp(-0.5))])
def test_gaussian_of_two_points(sigma: float, k: float) -> None:
    a = reference.gram_gaussian([[0.0, 0.0], [3.0, 4.0]], sigma)
    np.testing.assert_allclose(a, [[0.5, k / 2], [k / 2, 0.5]], rtol=1e-15)
    p, q = (1 + k) / 2, (1 - k) / 2
    assert reference.entropy(a, 1) == pytest.approx(-p * math.log2(p) - q * math.log2(q), abs=1e-14)
    assert reference.entropy(a, 2) == pytest.approx(-math.log2(p * p + q * q), abs=1e-14)
    assert reference.entropy(a, math.inf) == pytest.approx(-math.log2(p), abs=1e-14)
    assert reference.entropy(a, 2, base=math.e) == pytest.approx(-math.log(p * p + q * q), abs=1e-14)


def test_other_kernels_of_two_points() -> None:
    x = np.array([[1.0, 0.0], [3.0, 4.0]])
    cases = {
        math.exp(-6 / 2): reference.gram_laplacian(x, 2.0),
        3 / 5: reference.gram_cosine(x),
        (2 * 3 + 1) ** 2 / (3 * 51): reference.gram_polynomial(x, degree=2, gamma=2.0, coef0=1.0),
        2.5**3 / (1.5**1.5 * 13.5**1.5): reference.gram_polynomial(x),
        0.0: reference.gram_delta([1, 2]),
        1.0: reference.gram_delta([7, 7]),
    }
    for k, a in cases.items():
        np.testing.assert_allclose(a, [[0.5, k / 2], [k / 2, 0.5]], rtol=1e-14)


def test_a_width_of_zero_is_the_narrow_limit() -> None:
    x = np.array([[1.0], [2.0], [1.0]])
    expected = [[1 / 3, 0, 1 / 3], [0, 1 / 3, 0], [1 / 3, 0, 1 / 3]]
    assert reference.gram_gaussian(x, 0.0).tolist() == expected
    assert reference.gram_laplacian(x, 0.0).tolist() == expected
    assert reference.gram_gaussian(x, 1e-3).tolist() == expected


def test_bandwidths() -> None:
    x = np.array([[0.0], [1.0], [3.0]])
    assert reference.silverman(32, 1) == 2.5
    assert reference.silverman(256, 4, scale=2.0) == 1.0
    assert reference.scott(x) == pytest.approx(math.sqrt(7 / 3) * 3**-0.2, rel=1e-15)
    assert reference.scott(np.hstack([x, 0 * x])) == pytest.approx(math.sqrt(7 / 6) * 3 ** (-1 / 6), rel=1e-15)
    assert reference.median(x) == 2.0
    assert reference.median(np.vstack([x, [[7.0]]]), scale=2.0) == 2 * 3.5  # 1, 2, 3, 4, 6, 7
    assert reference.median([[0.0, 0.0], [3.0, 4.0]], metric="manhattan") == 7.0
    assert reference.neighbours(x, 1) == pytest.approx(4 / 3, rel=1e-15)
    assert reference.neighbours(x, 2, scale=3.0) == pytest.approx(3 * (2 + 1.5 + 2.5) / 3, rel=1e-15)
    with pytest.raises(ValueError, match="neighbours"):
        reference.neighbours(x, 3)


def exact_entropy(p: list[float], alpha: float) -> float:
    """log2(sum p^alpha) / (1 - alpha), or its limit at 1, with fifty digits."""
    with decimal.localcontext(decimal.Context(prec=50)):  # by keyword only from Python 3.11 on
        values = [decimal.Decimal(v) for v in p]
        values = [v / sum(values) for v in values]
        order = decimal.Decimal(alpha)
        if order == 1:
            nats = -sum(v * v.ln() for v in values)
        else:
            nats = sum((order * v.ln()).exp() for v in values).ln() / (1 - order)
        return float(nats / decimal.Decimal(2).ln())


@pytest.mark.parametrize("alpha", [1e-3, 0.5, 0.9, 1 - 1e-6, 1 - 1e-15, 1, 1 + 1e-15, 1 + 1e-12, 1.01, 1.1, 2, 5, 700])
@pytest.mark.parametrize("p", [[0.5, 0.25, 0.125, 0.125], [0.97, 0.0299999999, 1e-10]], ids=str)
def test_entropy_against_fifty_digits(p: list[float], alpha: float) -> None:
    assert reference.spectrum_entropy(p, alpha) == pytest.approx(exact_entropy(p, alpha), abs=1e-15)


def test_entropy_of_the_extremes() -> None:
    for alpha in [0, 0.5, 1, 1.01, 2, 5, math.inf]:
        assert reference.entropy(np.eye(8) / 8, alpha) == pytest.approx(3, abs=1e-14)
        assert reference.entropy(np.full((8, 8), 1 / 8), alpha) == pytest.approx(0, abs=1e-7)
        assert reference.entropy(reference.gram_delta(np.arange(20) % 5), alpha) == pytest.approx(
            math.log2(5), abs=1e-6
        )
    assert reference.entropy(reference.gram_delta([0, 0, 1, 2]), 0) == math.log2(3)
    with pytest.raises(ValueError, match="eigenvalue"):
        reference.entropy([[0.5, 0.6], [0.6, 0.5]])


def test_joint_of_gaussians_is_the_gaussian_of_both(draw: Draw) -> None:
    x, y = draw.samples(9, 2), draw.samples(9, 3)
    both = reference.gram_gaussian(np.hstack([x, y]), 1.5)
    grams = [reference.gram_gaussian(x, 1.5), reference.gram_gaussian(y, 1.5)]
    np.testing.assert_allclose(reference.joint(*grams), both, rtol=1e-14)
    np.testing.assert_allclose(reference.joint(grams), both, rtol=1e-14)
    np.testing.assert_allclose(
        reference.joint(*[grams[0]] * 512), reference.gram_gaussian(x, 1.5 / math.sqrt(512)), rtol=1e-11
    )


def test_joint_of_a_diagonal_that_is_not_uniform() -> None:
    a, b = np.diag([0.75, 0.25]), np.array([[0.4, 0.1], [0.1, 0.6]])
    np.testing.assert_allclose(reference.joint(a, b), np.diag([0.3, 0.15]) / 0.45, rtol=1e-15)


def test_measures_of_xor() -> None:
    """Two fair bits and their exclusive or: every pair is independent, any two give the third."""
    bits = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    a, b, c = (reference.gram_delta(v) for v in (bits[:, 0], bits[:, 1], bits[:, 0] ^ bits[:, 1]))
    for alpha in [1, 1.01, 2]:
        order = {"alpha": alpha}
        close = pytest.approx
        assert reference.joint_entropy(a, b, **order) == close(2, abs=1e-12)
        assert reference.conditional_entropy(c, [a, b], **order) == close(0, abs=1e-12)
        assert reference.mutual_information(a, b, **order) == close(0, abs=1e-12)
        assert reference.mutual_information([a, b], c, **order) == close(1, abs=1e-12)
        assert reference.conditional_mutual_information(a, b, c, **order) == close(1, abs=1e-12)
        assert reference.total_correlation(a, b, c, **order) == close(1, abs=1e-12)
        assert reference.total_correlation(a, b, c, normalized=True, **order) == close(0.5, abs=1e-12)
        assert reference.dual_total_correlation(a, b, c, **order) == close(2, abs=1e-12)
        assert reference.dual_total_correlation(a, b, c, normalized=True, **order) == close(1, abs=1e-12)
        assert reference.o_information(a, b, c, **order) == close(-1, abs=1e-12)
        assert reference.interaction_information(a, b, c, **order) == close(-1, abs=1e-12)
        assert reference.interaction_information(a, a, a, **order) == close(1, abs=1e-12)
        pair, with_target = reference.pair_entropies([a, b, a], c, **order)
        np.testing.assert_allclose(pair, [[1, 2, 1], [2, 1, 2], [1, 2, 1]], atol=1e-12)
        np.testing.assert_allclose(with_target, np.full((3, 3), 2), atol=1e-12)


def test_divergence_of_separate_and_of_equal_samples() -> None:
    x = np.array([[0.0], [0.0]])

    def gram(v: np.ndarray) -> np.ndarray:
        return reference.gram_gaussian(v, 1.0)

    assert reference.divergence(x, x, gram, alpha=1) == pytest.approx(0, abs=1e-12)
    assert reference.divergence(x, x[:1] + 1e3, gram, alpha=1) == pytest.approx(math.log2(3) - 2 / 3, abs=1e-12)


def test_over_batch_keeps_the_leading_axes(draw: Draw) -> None:
    x = draw.samples(2, 3, 5, 4)
    result = reference.over_batch(reference.gram_gaussian, x, sigma=2.0)
    assert result.shape == (2, 3, 5, 5)
    np.testing.assert_array_equal(result[1, 2], reference.gram_gaussian(x[1, 2], 2.0))
    assert reference.over_batch(reference.gram_gaussian, x[:0], sigma=2.0).shape == (0, 3, 5, 5)
