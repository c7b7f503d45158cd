"""The ranking of maps: against the reference, on maps that say nothing or the same, and beside its null."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
import reference
import tolerances
from conftest import Draw, Nx, refused

FIELDS = ["order", "relevance", "gain", "redundancy", "informative"]


def assert_ranking(
    found: Any, maps: Any, target: Any, nx: Nx, alpha: float = 1.01, n: int = 1, made_in: str | None = None
) -> None:
    """All numbers are the reference's, and at no step was a map left that would have added more than rounding more."""
    dtype = made_in or nx.dtype
    expected = reference.rank_maps(maps, target, alpha)
    for name in ("relevance", "redundancy"):
        result = nx.values(getattr(found, name))
        if len(maps) > 1 or name == "relevance":
            tolerances.assert_bits(result, expected[name], dtype, alpha, n=n, terms=8)
    order, gain = [int(f) for f in found.order], nx.values(found.gain)
    assert sorted(order) == list(range(len(maps)))
    for k, f in enumerate(order):
        chosen = [maps[i] for i in order[:k]]
        gains = {
            i: reference.mutual_information([*chosen, maps[i]], target, alpha)
            - (reference.mutual_information(chosen, target, alpha) if chosen else 0)
            for i in order[k:]
        }
        tolerances.assert_bits(gain[k], gains[f], dtype, alpha, n=n, terms=8)
        assert gains[f] >= max(gains.values()) - tolerances.bits(dtype, alpha, n=n, terms=8)


@pytest.mark.parametrize("count", [1, 2, 6])
def test_rankings_match_the_reference(count: int, nx: Nx, draw: Draw) -> None:
    maps, target = draw.grams(count, 9), draw.grams(9)
    assert_ranking(fr.rank_maps(nx.array(maps), nx.array(target)), maps, target, nx)


@pytest.mark.parametrize("alpha", [0.5, 1, 1.01, 2, 5, math.inf])
def test_orders(alpha: float, draw: Draw) -> None:
    maps, target = draw.matrices(5, 8), draw.grams(8)
    found = fr.rank_maps(maps, target, alpha)
    assert_ranking(found, maps, target, Nx("numpy", "float64"), alpha, n=8)
    assert found.order.tolist() == reference.rank_maps(maps, target, alpha)["order"]


def test_half_precision(nx_dtype: Nx, draw: Draw) -> None:
    maps, target = draw.grams(4, 9), draw.grams(9)
    assert_ranking(fr.rank_maps(nx_dtype.array(maps), nx_dtype.array(target), null=2), maps, target, nx_dtype)


@pytest.mark.parametrize("lower", ["float16", "float32"])
def test_grams_that_were_made_in_a_lower_precision(lower: str, draw: Draw) -> None:
    """Of samples that repeat, rounded Grams are indefinite by more than the epsilon of their new dtype."""
    rows = draw.samples(4, 3, 2)[:, np.arange(12) % 3]
    maps = reference.over_batch(reference.gram_gaussian, rows, sigma=1.0).astype(lower).astype(np.float64)
    target = reference.gram_delta(np.arange(12) % 3 == 0)
    found = fr.rank_maps(maps, target, null=2)
    assert_ranking(found, maps, target, Nx("numpy", "float64"), made_in=lower)


def test_base(draw: Draw) -> None:
    maps, target = draw.grams(4, 8), draw.grams(8)
    bits, nats = (fr.rank_maps(maps, target, base=base) for base in (2, math.e))
    np.testing.assert_array_equal(nats.order, bits.order)
    for name in ("relevance", "gain", "redundancy"):
        np.testing.assert_allclose(getattr(nats, name), getattr(bits, name) * math.log(2), rtol=0, atol=1e-10)


def test_the_parts_are_the_measures(draw: Draw) -> None:
    maps, target = draw.grams(6, 10), draw.grams(10)
    found, layer = fr.rank_maps(maps, target), fr.layer_decomposition(maps, target)
    assert found.gain.sum() == pytest.approx(layer.mmi, abs=1e-10)
    assert found.redundancy.mean() == pytest.approx(layer.tradeoff, abs=1e-10)
    np.testing.assert_array_equal(found.relevance, layer.single)
    assert found.gain[0] == pytest.approx(found.relevance.max(), abs=1e-12)
    first, second, *_ = found.order
    conditional = fr.conditional_mutual_information(maps[second], target, maps[first])
    assert found.gain[1] == pytest.approx(conditional, abs=1e-10)


@pytest.mark.parametrize("most", [1, 3, 6, 100])
def test_no_more_maps_than_asked_for(most: int, nx: Nx, draw: Draw) -> None:
    maps, target = nx.array(draw.grams(6, 9)), nx.array(draw.grams(9))
    some, every = fr.rank_maps(maps, target, max_maps=most, null=2), fr.rank_maps(maps, target, null=2)
    for name in ("order", "gain"):
        np.testing.assert_array_equal(np.asarray(getattr(some, name)), np.asarray(getattr(every, name))[:most])
    for name in ("relevance", "redundancy"):
        np.testing.assert_array_equal(np.asarray(getattr(some, name)), np.asarray(getattr(every, name)))
    np.testing.assert_array_equal(np.asarray(some.null.gain.null), np.asarray(every.null.gain.null)[:, :most])


def test_without_redundancy(nx: Nx, draw: Draw) -> None:
    maps, target = nx.array(draw.grams(6, 9)), nx.array(draw.grams(9))
    quick, whole = (fr.rank_maps(maps, target, null=2, redundancy=told) for told in (False, True))
    assert quick.redundancy is None
    for name in ("order", "relevance", "gain", "informative"):
        np.testing.assert_array_equal(np.asarray(getattr(quick, name)), np.asarray(getattr(whole, name)))
    np.testing.assert_array_equal(np.asarray(quick.null.gain.null), np.asarray(whole.null.gain.null))


def test_maps_that_say_nothing_and_the_same(nx: Nx, draw: Draw) -> None:
    """A copy and a constant add nothing to what is there, whatever they say alone, and stand last."""
    labels = np.arange(24) % 4
    low, high, nothing = labels % 2, labels // 2, 0 * labels
    maps = np.stack([reference.gram_delta(x) for x in (nothing, low, low, high, nothing)])
    found = fr.rank_maps(nx.array(maps), nx.array(reference.gram_delta(labels)), alpha=2)
    assert [int(f) for f in found.order] == [1, 3, 2, 0, 4]
    np.testing.assert_allclose(nx.values(found.gain), [1, 1, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(nx.values(found.relevance), [0, 1, 1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(nx.values(found.redundancy), [0, 0.25, 0.25, 0, 0], atol=1e-6)
    assert int(found.informative) == 2


def test_maps_that_together_tell_all_samples_apart() -> None:
    """Behind them nothing can be added; the rest stands in the order of its relevance."""
    labels = np.arange(8) % 2
    bits = [np.arange(8) >> k & 1 for k in range(3)]
    maps = np.stack([reference.gram_delta(x) for x in (np.arange(8), *reversed(bits))])
    found = fr.rank_maps(maps, reference.gram_delta(labels), null=20)
    assert found.order.tolist() == [0, 3, 1, 2]
    np.testing.assert_allclose(found.gain, [1, 0, 0, 0], atol=1e-9)
    assert found.informative == 0  # the first tells permuted labels as well


@pytest.mark.parametrize("n", [1, 2])
def test_one_and_two_samples(n: int, draw: Draw) -> None:
    maps, target = draw.grams(3, n), draw.grams(n)
    found = fr.rank_maps(maps, target, null=2)
    assert_ranking(found, maps, target, Nx("numpy", "float64"))
    if n == 1:
        assert found.order.tolist() == [0, 1, 2]
        assert found.informative == 0


def test_one_map_has_no_others(draw: Draw) -> None:
    found = fr.rank_maps(draw.grams(1, 6), draw.grams(6), null=2)
    assert np.isnan(found.redundancy).all()
    np.testing.assert_array_equal(found.gain, found.relevance)
    np.testing.assert_array_equal(found.null.gain.null, found.null.relevance.null)


def test_many_maps_in_single_precision(draw: Draw) -> None:
    maps = reference.over_batch(reference.gram_gaussian, draw.samples(200, 12, 3), sigma=4.0)
    target = draw.grams(12)
    found = fr.rank_maps(maps.astype(np.float32), target.astype(np.float32))
    assert found.gain.sum() == pytest.approx(reference.mutual_information(list(maps), target), abs=5e-3)


def test_the_null_is_of_permuted_maps(nx: Nx, draw: Draw) -> None:
    maps, target, count = draw.grams(4, 9), draw.grams(9), 3
    found = fr.rank_maps(nx.array(maps), nx.array(target), null=count, seed=7)
    order = [int(f) for f in found.order]
    rng = np.random.default_rng(7)
    relevance, gain = np.empty((count, 4)), np.empty((count, 4))
    for p in range(count):
        one = np.argsort(rng.permutation(9))  # of the maps, by which the labels stay as they are
        permuted = maps[:, one][:, :, one]
        relevance[p] = [reference.mutual_information(a, target) for a in permuted]
        for k in range(4):
            given = [maps[i] for i in order[:k]]
            known = reference.mutual_information(given, target) if given else 0.0
            left = [reference.mutual_information([*given, permuted[i]], target) - known for i in order[k:]]
            gain[p, k] = max(left)
    for test, expected, value in ((found.null.relevance, relevance, "relevance"), (found.null.gain, gain, "gain")):
        tolerances.assert_bits(nx.values(test.null), expected, nx.dtype, terms=8)
        np.testing.assert_array_equal(nx.values(test.value), nx.values(getattr(found, value)))


def test_what_the_null_says(draw: Draw) -> None:
    """Of labels that have nothing to do with the maps hardly ever a map is informative; of a map's own, it is."""
    labels = np.arange(60) % 3
    target = fr.gram(labels, "delta")
    counts = []
    for _ in range(20):
        maps = fr.channel_grams(draw.samples(60, 10, 2), bandwidth=1.0)
        counts.append(int(fr.rank_maps(maps, target, max_maps=2, null=20).informative))
    assert np.count_nonzero(counts) <= 6  # 1 of 21 each: more has a chance of 2e-5
    told = np.concatenate([draw.samples(60, 3, 1), 3.0 * labels[:, None, None]], axis=1)
    found = fr.rank_maps(fr.channel_grams(told, bandwidth=1.0), target, null=20)
    assert found.order[0] == 3
    assert found.informative >= 1


def test_arguments() -> None:
    gram = reference.gram_delta(np.arange(4) % 2)
    maps: Any = np.stack([gram] * 3)
    for wrong in [gram, maps[None], maps[:0]]:
        refused(ValueError, "maps", lambda wrong=wrong: fr.rank_maps(wrong, gram))
    for wrong in [maps, gram[None], reference.gram_delta(np.arange(3))]:
        refused(ValueError, "target", lambda wrong=wrong: fr.rank_maps(maps, wrong))
    refused(TypeError, "alpha", lambda: fr.rank_maps(maps, gram, [1, 2]))  # type: ignore[arg-type]
    for name in ("max_maps", "null"):
        for most in [0, -1, 2**31]:
            refused(ValueError, name, lambda name=name, most=most: fr.rank_maps(maps, gram, **{name: most}))
        for kind in ["2", 2.0, True, [3]]:
            refused(TypeError, name, lambda name=name, kind=kind: fr.rank_maps(maps, gram, **{name: kind}))
    refused(ValueError, "seed", lambda: fr.rank_maps(maps, gram, seed=-1))
    refused(TypeError, "redundancy", lambda: fr.rank_maps(maps, gram, redundancy=1))  # type: ignore[arg-type]


def test_the_result_is_frozen_and_the_input_is_not_modified(nx: Nx, draw: Draw) -> None:
    maps, target = nx.array(draw.matrices(3, 6)), nx.array(draw.matrices(6))
    before = nx.values(maps).copy(), nx.values(target).copy()
    found = fr.rank_maps(maps, target, null=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.gain = 0.0
    np.testing.assert_array_equal(nx.values(maps), before[0])
    np.testing.assert_array_equal(nx.values(target), before[1])


def leaves(draw: Draw, *shape: int) -> Any:
    return torch.tensor(draw.samples(*shape), requires_grad=True)


def ranked(x: Any, y: Any, null: int | None = None) -> Any:
    return fr.rank_maps(fr.channel_grams(x, bandwidth=1.0), fr.gram(y, bandwidth=1.0), null=null, max_maps=2)


def test_gradients_of_what_has_them(draw: Draw) -> None:
    x, y = leaves(draw, 6, 3, 2), leaves(draw, 6, 2)
    assert torch.autograd.gradcheck(lambda x, y: (ranked(x, y).relevance, ranked(x, y).redundancy), (x, y))
    found = ranked(x, y, null=2)
    constants = (found.order, found.gain, found.informative, found.null.gain.value, found.null.relevance.value)
    assert not any(part.requires_grad for part in constants)


def test_mapped_and_compiled(draw: Draw) -> None:
    x, y = leaves(draw, 3, 6, 4, 2).detach(), leaves(draw, 6, 2).detach()

    def fields(x: Any, y: Any) -> Any:
        found = ranked(x, y, null=2)
        return *(getattr(found, name) for name in FIELDS), found.null.gain.null

    mapped = torch.vmap(fields, in_dims=(0, None))(x, y)
    torch._dynamo.reset()
    compiled = torch.compile(fields, fullgraph=True, backend="aot_eager")
    for k in range(3):
        alone = fields(x[k], y)
        torch.testing.assert_close(tuple(part[k] for part in mapped), alone)
        torch.testing.assert_close(compiled(x[k], y), alone)


def test_the_operation_is_as_pytorch_wants_it(draw: Draw) -> None:
    maps = torch.tensor(draw.grams(4, 5))
    torch.library.opcheck(torch.ops.fastrenyi.chosen, (maps, maps[0], 3, 0.0, [1.01], 1.0))
