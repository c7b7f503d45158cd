"""The decomposition of a layer: against the reference, its identities, its shape for one map and without pairs."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
import reference
import tolerances
from conftest import Draw, Nx

SCALARS = ["mmi", "tradeoff", "nonredundant", "entropy"]
SHARES = ["tradeoff_share", "nonredundant_share"]


def assert_decomposition(found: Any, expected: dict[str, Any], nx: Nx, alpha: float = 1.01, n: int = 1) -> None:
    for name in [*SCALARS, "single", "pairwise"]:
        result = nx.values(getattr(found, name))
        tolerances.assert_bits(result, expected[name], nx.dtype, alpha, n=n, terms=8)
    for name in SHARES:
        result = nx.values(getattr(found, name)) * expected["mmi"]
        tolerances.assert_bits(result, expected[name] * expected["mmi"], nx.dtype, alpha, n=n, terms=16)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_layers_match_the_reference(count: int, nx: Nx, draw: Draw) -> None:
    maps, target = draw.grams(count, 9), draw.grams(9)
    found = fr.layer_decomposition(nx.array(maps), nx.array(target))
    assert_decomposition(found, reference.layer_decomposition(maps, target), nx)


@pytest.mark.parametrize("alpha", [0.5, 1, 2, 5, math.inf])
def test_orders(alpha: float, draw: Draw) -> None:
    maps, target = draw.matrices(4, 8), draw.grams(8)
    found = fr.layer_decomposition(maps, target, alpha)
    nx = Nx("numpy", "float64")
    assert_decomposition(found, reference.layer_decomposition(maps, target, alpha), nx, alpha, n=8)


def test_a_sequence_of_orders_is_the_last_axis(nx: Nx, draw: Draw) -> None:
    maps, target = nx.array(draw.grams(4, 8)), nx.array(draw.grams(8))
    orders = [1, 1.01, 2, math.inf]
    found = fr.layer_decomposition(maps, target, orders)
    for k, alpha in enumerate(orders):
        one = fr.layer_decomposition(maps, target, alpha)
        others = {"null", "pairs", "leave_one_out"}
        for name in {field.name for field in dataclasses.fields(fr.LayerDecomposition)} - others:
            every, single = nx.values(getattr(found, name)), nx.values(getattr(one, name))
            assert every.shape == (*single.shape, len(orders))
            tolerances.assert_bits(every[..., k], single, nx.dtype, terms=16)


def test_base(draw: Draw) -> None:
    """Information scales with the unit, shares do not."""
    maps, target = draw.grams(4, 8), draw.grams(8)
    bits, nats = (fr.layer_decomposition(maps, target, base=base) for base in (2, math.e))
    for name in [*SCALARS, "single", "pairwise"]:
        np.testing.assert_allclose(getattr(nats, name), getattr(bits, name) * math.log(2), rtol=0, atol=1e-10)
    for name in SHARES:
        np.testing.assert_allclose(getattr(nats, name), getattr(bits, name), rtol=1e-8)


def test_half_precision(nx_dtype: Nx, draw: Draw) -> None:
    maps, target = draw.grams(3, 9), draw.grams(9)
    found = fr.layer_decomposition(nx_dtype.array(maps), nx_dtype.array(target))
    assert_decomposition(found, reference.layer_decomposition(maps, target), nx_dtype)


@pytest.mark.parametrize("alpha", [1, 1.01, 2])
def test_the_parts_add_up_to_the_mean_pair(alpha: float, draw: Draw) -> None:
    count = 7
    maps, target = draw.grams(count, 15), draw.grams(15)
    found = fr.layer_decomposition(maps, target, alpha)
    upper = np.triu_indices(count, 1)
    mean = found.pairwise[upper].mean()
    assert found.tradeoff + found.nonredundant == pytest.approx(mean, abs=1e-12)
    assert found.tradeoff_share + found.nonredundant_share == pytest.approx(mean / found.mmi, abs=1e-12)
    np.testing.assert_array_equal(found.pairwise, found.pairwise.T)
    np.testing.assert_array_equal(np.diag(found.pairwise), found.single)


def test_the_parts_are_the_measures(draw: Draw) -> None:
    maps, target = draw.grams(3, 10), draw.grams(10)
    found = fr.layer_decomposition(maps, target)
    assert found.mmi == pytest.approx(fr.mutual_information(target, list(maps)), abs=1e-10)
    assert found.entropy == pytest.approx(fr.joint_entropy(*maps), abs=1e-10)
    np.testing.assert_allclose(found.single, fr.mutual_information(maps, target), rtol=0, atol=1e-10)
    pair = fr.mutual_information([maps[0], maps[2]], target)
    assert found.pairwise[0, 2] == pytest.approx(pair, abs=1e-10)


def test_order_of_the_maps_does_not_matter(draw: Draw) -> None:
    maps, target = draw.grams(5, 10), draw.grams(10)
    order = draw.rng.permutation(5)
    a, b = fr.layer_decomposition(maps, target), fr.layer_decomposition(maps[order], target)
    for name in SCALARS:
        assert getattr(a, name) == pytest.approx(getattr(b, name), abs=1e-10)
    np.testing.assert_allclose(a.pairwise[np.ix_(order, order)], b.pairwise, rtol=0, atol=1e-10)


def test_one_map_has_no_pairs(nx: Nx, draw: Draw) -> None:
    maps, target = draw.grams(1, 9), draw.grams(9)
    found = fr.layer_decomposition(nx.array(maps), nx.array(target))
    expected = reference.mutual_information(maps[0], target)
    tolerances.assert_bits(nx.values(found.mmi), expected, nx.dtype, terms=3)
    tolerances.assert_bits(nx.values(found.single), [expected], nx.dtype, terms=3)
    tolerances.assert_bits(nx.values(found.pairwise), [[expected]], nx.dtype, terms=3)
    tolerances.assert_bits(nx.values(found.entropy), reference.entropy(maps[0]), nx.dtype)
    for name in ["tradeoff", "nonredundant", *SHARES]:
        assert np.isnan(nx.values(getattr(found, name)))


def test_without_pairs(nx: Nx, draw: Draw) -> None:
    maps, target = nx.array(draw.grams(4, 9)), nx.array(draw.grams(9))
    found = fr.layer_decomposition(maps, target, pairs=False)
    full = fr.layer_decomposition(maps, target)
    for name in ["mmi", "entropy", "single"]:
        np.testing.assert_array_equal(nx.values(getattr(found, name)), nx.values(getattr(full, name)))
    assert found.pairwise is None
    for name in ["tradeoff", "nonredundant", *SHARES]:
        assert np.isnan(nx.values(getattr(found, name)))


def of_pairs(found: Any, nx: Nx) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trade-off and non-redundant information of each pair that was measured, and which pairs these are."""
    pairwise, single = nx.values(found.pairwise), nx.values(found.single)
    rows, columns = np.triu_indices(len(single), 1)
    there = ~np.isnan(pairwise[rows, columns])
    rows, columns = rows[there], columns[there]
    alone, both = single[rows] + single[columns], pairwise[rows, columns]
    return alone - both, 2 * both - alone, np.stack([rows, columns], 1)


@pytest.mark.parametrize("alpha", [1.01, 2])
def test_a_sample_of_pairs_is_of_the_same_pairs_as_the_whole(alpha: float, nx: Nx, draw: Draw) -> None:
    count, most, seed = 9, 14, int(draw.rng.integers(1000))
    maps, target = draw.grams(count, 8), draw.grams(8)
    expected = reference.layer_decomposition(maps, target, alpha)
    some = fr.layer_decomposition(nx.array(maps), nx.array(target), alpha, seed=seed, max_pairs=most)
    tradeoff, rest, which = of_pairs(some, nx)
    assert some.pairs == len(which) == most
    pairwise = nx.values(some.pairwise)
    np.testing.assert_array_equal(pairwise, pairwise.T)
    there = ~np.isnan(pairwise)
    tolerances.assert_bits(pairwise[there], np.asarray(expected["pairwise"])[there], nx.dtype, alpha, n=8, terms=8)
    for name in ("mmi", "entropy", "single"):
        tolerances.assert_bits(nx.values(getattr(some, name)), expected[name], nx.dtype, alpha, n=8, terms=8)
    factor = math.sqrt((1 - most / 36) / most)  # 36 pairs in all
    for name, values in (("tradeoff", tradeoff), ("nonredundant", rest)):
        tolerances.assert_bits(nx.values(getattr(some, name)), values.mean(), nx.dtype, alpha, n=8, terms=8)
        error = nx.values(getattr(some, f"{name}_standard_error"))
        tolerances.assert_bits(error, values.std(ddof=1) * factor, nx.dtype, alpha, n=8, terms=8)
        share = nx.values(getattr(some, f"{name}_share")) * expected["mmi"]
        tolerances.assert_bits(share, values.mean(), nx.dtype, alpha, n=8, terms=16)


def test_samples_are_those_of_their_seed(draw: Draw) -> None:
    maps, target = draw.grams(9, 6), draw.grams(6)
    nx = Nx("numpy", "float64")
    which = [
        of_pairs(fr.layer_decomposition(maps, target, seed=seed, max_pairs=10), nx)[2].tolist() for seed in (3, 3, 4)
    ]
    assert which[0] == which[1] != which[2]
    other = of_pairs(fr.layer_decomposition(draw.grams(9, 7), draw.grams(7), 2, seed=3, max_pairs=10), nx)[2]
    assert other.tolist() == which[0]


@pytest.mark.parametrize("most", [None, 15, 16, 10**6])
def test_a_sample_of_all_pairs_is_the_whole(most: int | None, nx: Nx, draw: Draw) -> None:
    maps, target = nx.array(draw.grams(6, 8)), nx.array(draw.grams(8))
    found, whole = fr.layer_decomposition(maps, target, max_pairs=most), fr.layer_decomposition(maps, target)
    assert found.pairs == 15
    for name in ("tradeoff", "nonredundant"):
        np.testing.assert_array_equal(nx.values(getattr(found, name)), nx.values(getattr(whole, name)))
        assert nx.values(getattr(found, f"{name}_standard_error")) == 0
    np.testing.assert_array_equal(nx.values(found.pairwise), nx.values(whole.pairwise))


def test_no_error_is_known_of_a_sample_of_one(nx: Nx, draw: Draw) -> None:
    maps, target = nx.array(draw.grams(4, 8)), nx.array(draw.grams(8))
    found = fr.layer_decomposition(maps, target, max_pairs=1)
    assert found.pairs == 1
    assert np.isfinite(nx.values(found.tradeoff))
    assert np.isnan(nx.values(found.tradeoff_standard_error))
    two = fr.layer_decomposition(maps[:2], target, max_pairs=1)  # which is all of them
    assert nx.values(two.tradeoff_standard_error) == 0
    for one in (
        fr.layer_decomposition(maps[:1], target, max_pairs=5),
        fr.layer_decomposition(maps, target, pairs=False),
    ):
        assert one.pairs == 0
        assert np.isnan(nx.values(one.nonredundant_standard_error))


def test_the_standard_error_is_the_spread_over_samples(draw: Draw) -> None:
    """Over many samples, the mean of the sampled means is that over all pairs, and their spread is the error."""
    maps, target = fr.channel_grams(draw.samples(10, 12, 2)), draw.grams(10)
    whole = fr.layer_decomposition(maps, target)
    samples = [fr.layer_decomposition(maps, target, seed=seed, max_pairs=30) for seed in range(300)]
    for name in ("tradeoff", "nonredundant"):
        means = np.array([getattr(one, name) for one in samples])
        errors = np.array([getattr(one, f"{name}_standard_error") for one in samples])
        assert abs(means.mean() - getattr(whole, name)) < 5 * errors.mean() / math.sqrt(len(means))
        assert (errors**2).mean() == pytest.approx(means.var(), rel=0.4)


def test_nulls_of_a_sample_are_of_its_pairs(nx: Nx, draw: Draw) -> None:
    maps, target = draw.grams(7, 9), draw.grams(9)
    found = fr.layer_decomposition(nx.array(maps), nx.array(target), null=3, seed=5, max_pairs=8)
    which = of_pairs(found, nx)[2]
    rng = np.random.default_rng(5)
    for k in range(3):
        order = rng.permutation(9)
        one = target[order][:, order]
        single = np.array([reference.mutual_information(a, one) for a in maps])
        both = np.array([reference.mutual_information([maps[i], maps[j]], one) for i, j in which])
        alone = single[which].sum(1)
        for name, values in (("tradeoff", alone - both), ("nonredundant", 2 * both - alone)):
            result = nx.values(getattr(found.null, name).null)[k]
            tolerances.assert_bits(result, values.mean(), nx.dtype, n=9, terms=8)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("alpha", [1.01, 2])
def test_one_and_two_samples(n: int, alpha: float, draw: Draw) -> None:
    maps, target = draw.grams(3, n), draw.grams(n)
    found = fr.layer_decomposition(maps, target, alpha)
    expected = reference.layer_decomposition(maps, target, alpha)
    for name in [*SCALARS, "single", "pairwise"]:
        np.testing.assert_allclose(getattr(found, name), expected[name], rtol=0, atol=1e-10)
    if n == 1:
        assert found.mmi == 0
        assert math.isnan(found.tradeoff_share)
        assert math.isnan(found.nonredundant_share)


def test_maps_that_saw_nothing() -> None:
    """Constant maps carry no information, copies of the target all of it."""
    target = fr.gram(np.arange(8), "delta")
    constant = np.full((3, 8, 8), 1 / 8)
    found = fr.layer_decomposition(constant, target, 2)
    assert found.mmi == found.tradeoff == found.nonredundant == found.entropy == 0
    copies = fr.layer_decomposition(np.stack([target] * 3), target, 2)
    assert copies.mmi == copies.tradeoff == copies.entropy == 3
    assert copies.nonredundant == 0
    assert copies.tradeoff_share == 1


def test_many_maps(draw: Draw) -> None:
    """The joint of 300 maps neither underflows nor overflows."""
    maps = np.stack([fr.gram(draw.samples(10, 2), "gaussian", 30.0) for _ in range(300)])
    target = draw.grams(10)
    found = fr.layer_decomposition(maps, target, pairs=False)
    assert found.entropy == pytest.approx(reference.joint_entropy(*maps), abs=1e-9)
    assert found.mmi == pytest.approx(reference.mutual_information(list(maps), target), abs=1e-9)


def test_the_result_is_frozen_and_the_input_is_not_modified(nx: Nx, draw: Draw) -> None:
    maps, target = nx.array(draw.matrices(3, 6)), nx.array(draw.matrices(6))
    before = nx.values(maps).copy(), nx.values(target).copy()
    found = fr.layer_decomposition(maps, target)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.mmi = 0.0  # type: ignore[misc]
    np.testing.assert_array_equal(nx.values(maps), before[0])
    np.testing.assert_array_equal(nx.values(target), before[1])
