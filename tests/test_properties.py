"""What holds for every Gram, by hypothesis: bounds, invariance, monotonicity, additivity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastrenyi as fr

BITS = 1e-9
ORDERS = st.one_of(st.sampled_from([1.0, 1.01, 2.0, math.inf, 1 + 1e-12, 1 - 1e-9]), st.floats(1.0, 50.0))
SIZES = st.integers(1, 10)
VALUES = st.floats(-1e3, 1e3).map(lambda v: round(v, 3))
KERNELS = st.sampled_from([fr.Gaussian(1.0), fr.Gaussian(), fr.Laplacian(2.0), fr.Polynomial(2), fr.Delta()])


@st.composite
def samples(draw: Any, n: Any = SIZES, count: int = 1) -> list[np.ndarray]:
    """`count` samples of the same n, of one to three features each; duplicates and constants are likely."""
    size = draw(n)
    values = draw(st.sampled_from([VALUES, st.integers(-2, 2).map(float), st.just(1.0)]))
    return [draw(hnp.arrays(np.float64, (size, draw(st.integers(1, 3))), elements=values)) for _ in range(count)]


@st.composite
def grams(draw: Any, count: int, n: Any = SIZES) -> list[np.ndarray]:
    """`count` Grams of the same n samples under a kernel of their own each."""
    return [fr.gram(x, draw(KERNELS)) for x in draw(samples(n=n, count=count))]


@given(grams(1), ORDERS)
def test_entropy_is_between_zero_and_the_logarithm_of_n(found: list[np.ndarray], alpha: float) -> None:
    (gram,) = found
    entropy = fr.entropy(gram, alpha)
    assert -BITS <= entropy <= math.log2(len(gram)) + BITS


@given(samples(), KERNELS, ORDERS, st.randoms(use_true_random=False))
def test_the_order_of_the_samples_does_not_matter(x: Any, kernel: Any, alpha: float, random: Any) -> None:
    (x,) = x
    order = list(range(len(x)))
    random.shuffle(order)
    gram, shuffled = fr.gram(x, kernel), fr.gram(x[order], kernel)
    np.testing.assert_allclose(shuffled, gram[np.ix_(order, order)], rtol=1e-12, atol=1e-15)
    assert abs(fr.entropy(gram, alpha) - fr.entropy(shuffled, alpha)) <= BITS


@given(grams(2), ORDERS)
def test_a_joint_variable_has_at_least_the_entropy_of_each_part(found: Any, alpha: float) -> None:
    a, b = found
    joint = fr.joint_entropy(a, b, alpha=alpha)
    assert joint >= max(fr.entropy(a, alpha), fr.entropy(b, alpha)) - BITS


@given(grams(1), st.lists(st.one_of(ORDERS, st.floats(0.2, 1.0)), min_size=2, max_size=6))
def test_entropy_falls_with_the_order(found: list[np.ndarray], orders: list[float]) -> None:
    (gram,) = found
    orders = sorted(orders)
    entropies = fr.entropy(gram, orders)
    # Below order one rounding is magnified: eigenvalues of 1e-17 that should be zero weigh n 1e-17^alpha.
    noise = [len(gram) * 1e-16**a / (1 - a) if a < 1 else 0.0 for a in orders]
    assert np.all(np.diff(entropies) <= np.array(noise[1:]) + noise[:-1] + BITS)


@given(grams(4, n=st.integers(2, 8)), st.sampled_from([1.0, 1.01, 2.0]))
def test_the_parts_of_a_layer_add_up(found: list[np.ndarray], alpha: float) -> None:
    target, *maps = found
    layer = fr.layer_decomposition(np.stack(maps), target, alpha)
    pairs = layer.pairwise[np.triu_indices(len(maps), 1)]
    assert abs(layer.tradeoff + layer.nonredundant - pairs.mean()) <= BITS
    if np.isnan(layer.tradeoff_share):  # of nothing, to rounding
        assert abs(layer.mmi) <= BITS
    else:
        whole = (layer.tradeoff_share + layer.nonredundant_share) * layer.mmi
        assert abs(whole - pairs.mean()) <= BITS


@given(grams(1), ORDERS)
def test_a_variable_joined_with_a_constant_is_itself(found: list[np.ndarray], alpha: float) -> None:
    (gram,) = found
    constant = np.full_like(gram, 1 / len(gram))
    assert abs(fr.joint_entropy(gram, constant, alpha=alpha) - fr.entropy(gram, alpha)) <= BITS
    assert abs(fr.mutual_information(gram, constant, alpha=alpha)) <= BITS


@given(grams(2, n=st.integers(1, 5)), ORDERS)
def test_entropies_of_independent_variables_add(found: list[np.ndarray], alpha: float) -> None:
    """On all combinations of two samples the Grams are Kronecker products, and Renyi entropies add."""
    a, b = found
    n = len(a)
    ones = np.full((n, n), 1 / n)
    first, second = np.kron(a, ones), np.kron(ones, b)
    joint = fr.joint_entropy(first, second, alpha=alpha)
    assert abs(joint - fr.entropy(a, alpha) - fr.entropy(b, alpha)) <= BITS
    assert abs(fr.mutual_information(first, second, alpha=alpha)) <= BITS


@given(samples(), KERNELS)
def test_a_gram_is_a_gram(x: Any, kernel: Any) -> None:
    (x,) = x
    gram = fr.gram(x, kernel)
    n = len(x)
    assert np.all(np.diag(gram) == 1 / n)
    np.testing.assert_array_equal(gram, gram.T)
    assert np.all(np.abs(gram) <= 1 / n * (1 + 1e-15))
    assert np.linalg.eigvalsh(gram).min() >= -1e-14


@given(samples(), st.floats(0.1, 10.0), st.integers(-20, 20))
def test_scaling_data_and_width_changes_nothing(x: Any, sigma: float, power: int) -> None:
    (x,) = x
    scale = 2.0**power
    np.testing.assert_array_equal(fr.gram(x * scale, "gaussian", sigma * scale), fr.gram(x, "gaussian", sigma))


@given(grams(3))
def test_informations_of_order_one_are_not_negative(found: list[np.ndarray]) -> None:
    """Von Neumann's entropy is strongly subadditive; other orders are not (see the figures)."""
    a, b, c = found
    assert fr.mutual_information(a, b, alpha=1) >= -BITS
    assert fr.conditional_mutual_information(a, b, c, alpha=1) >= -BITS
    assert fr.total_correlation(a, b, c, alpha=1) >= -BITS
    assert fr.dual_total_correlation(a, b, c, alpha=1) >= -BITS
