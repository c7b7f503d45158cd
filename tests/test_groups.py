"""The O-information of groups of maps: against the reference, which groups are drawn, what is degenerate, messages."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
import reference
import tolerances
from conftest import Draw, Nx, refused, with_value
from family import of_four_maps

FIELDS = [field.name for field in dataclasses.fields(fr.GroupOInformation)]


def assert_groups(found: Any, expected: dict[tuple[int, ...], float], nx: Nx, alpha: float = 1.01, n: int = 1) -> None:
    groups = [tuple(int(i) for i in group) for group in found.groups]
    assert groups == sorted(expected)
    terms = 2 * (len(groups[0]) + 2)
    values = nx.values(found.values)
    tolerances.assert_bits(values, [expected[group] for group in groups], nx.dtype, alpha, n=n, terms=terms)
    for name, at in (("most_synergistic", values.argmin()), ("most_redundant", values.argmax())):
        assert tuple(int(i) for i in getattr(found, name)) == groups[at]


# ------------------------------------------------------------------------------------------------------------ numbers


def test_the_value_of_the_family() -> None:
    maps, _ = of_four_maps()
    found = fr.group_o_information(maps, 4)
    assert found.values[0] == pytest.approx(-0.0323406334, abs=1e-9)
    assert found.groups.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("with_target", [False, True])
@pytest.mark.parametrize(("count", "size"), [(3, 3), (6, 3), (6, 4), (7, 5), (6, 6)])
def test_groups_match_the_reference(count: int, size: int, with_target: bool, nx: Nx, draw: Draw) -> None:
    maps, target = draw.grams(count, 9), draw.grams(9) if with_target else None
    found = fr.group_o_information(nx.array(maps), size, None if target is None else nx.array(target))
    assert_groups(found, reference.group_o_information(maps, size, target), nx)


def test_two_maps_and_a_target(nx: Nx, draw: Draw) -> None:
    maps, target = draw.grams(5, 9), draw.grams(9)
    found = fr.group_o_information(nx.array(maps), 2, nx.array(target))
    assert_groups(found, reference.group_o_information(maps, 2, target), nx)


@pytest.mark.parametrize("alpha", [0.5, 1, 1.01, 2, 5, math.inf])
def test_orders(alpha: float, draw: Draw) -> None:
    maps, target = draw.matrices(5, 8), draw.grams(8)
    expected = reference.group_o_information(maps, 3, target, alpha)
    assert_groups(fr.group_o_information(maps, 3, target, alpha), expected, Nx("numpy", "float64"), alpha, n=8)


def test_a_sequence_of_orders_is_the_last_axis(nx: Nx, draw: Draw) -> None:
    maps = nx.array(draw.grams(5, 8))
    orders = [1, 1.01, 2, math.inf]
    found = fr.group_o_information(maps, 3, alpha=orders)
    assert np.asarray(found.groups).shape == (10, 3)
    for k, alpha in enumerate(orders):
        one = fr.group_o_information(maps, 3, alpha=alpha)
        tolerances.assert_bits(nx.values(found.values)[:, k], nx.values(one.values), nx.dtype, terms=10)
        for name in ("most_synergistic", "most_redundant"):
            at = np.flatnonzero((np.asarray(found.groups) == np.asarray(getattr(found, name))[:, k]).all(axis=1))
            best = nx.values(one.values).min() if name == "most_synergistic" else nx.values(one.values).max()
            assert nx.values(one.values)[at[0]] == pytest.approx(best, abs=tolerances.bits(nx.dtype, terms=10))


def test_base_and_half_precision(nx_dtype: Nx, draw: Draw) -> None:
    maps = draw.grams(4, 9)
    found = fr.group_o_information(nx_dtype.array(maps), 3, base=math.e)
    expected = [value * math.log(2) for value in reference.group_o_information(maps, 3).values()]
    tolerances.assert_bits(nx_dtype.values(found.values), expected, nx_dtype.dtype, terms=10)


@pytest.mark.parametrize("lower", ["float16", "float32"])
def test_grams_that_were_made_in_a_lower_precision(lower: str, draw: Draw) -> None:
    rows = draw.samples(4, 3, 2)[:, np.arange(12) % 3]
    maps = reference.over_batch(reference.gram_gaussian, rows, sigma=1.0).astype(lower).astype(np.float64)
    target = reference.gram_delta(np.arange(12) % 3 == 0)
    found = fr.group_o_information(maps, 3, target)
    expected = [*reference.group_o_information(maps, 3, target).values()]
    tolerances.assert_bits(found.values, expected, lower, terms=12)


def test_a_tile_does_not_change_anything(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    maps, target = draw.grams(7, 6), draw.grams(6)
    whole = fr.group_o_information(maps, 4, target)
    monkeypatch.setattr("fastrenyi._ops.groups._TILE_BYTES", 3 * 8 * 36)
    np.testing.assert_allclose(fr.group_o_information(maps, 4, target).values, whole.values, rtol=0, atol=1e-12)


def test_large_groups_stay_in_range(draw: Draw) -> None:
    """Twelve to the power of -300 is below what double precision has."""
    maps = reference.over_batch(reference.gram_gaussian, draw.samples(301, 12, 3), sigma=6.0)
    found = fr.group_o_information(maps, 300, max_groups=1)
    expected = reference.o_information(*maps[found.groups[0]])
    assert found.values[0] == pytest.approx(expected, abs=1e-8)


# -------------------------------------------------------------------------------------------------- samples of groups


@pytest.mark.parametrize("most", [1, 7, 34, 35, 36])
def test_a_sample_is_of_the_same_groups_as_the_whole(most: int, nx: Nx, draw: Draw) -> None:
    maps = draw.grams(7, 8)
    expected = reference.group_o_information(maps, 3)
    found = fr.group_o_information(nx.array(maps), 3, max_groups=most, seed=3)
    groups = [tuple(int(i) for i in group) for group in found.groups]
    assert len(set(groups)) == len(groups) == min(most, 35)
    assert_groups(found, {group: expected[group] for group in groups}, nx)
    again = fr.group_o_information(nx.array(maps), 3, max_groups=most, seed=3)
    np.testing.assert_array_equal(np.asarray(found.groups), np.asarray(again.groups))


def test_every_group_is_as_likely(draw: Draw) -> None:
    maps = draw.grams(5, 1)
    counts = dict.fromkeys(itertools.combinations(range(5), 3), 0)
    for seed in range(500):
        for group in fr.group_o_information(maps, 3, max_groups=4, seed=seed).groups.tolist():
            counts[tuple(group)] += 1
    # 200 of 500 each, standard deviation 11
    assert max(abs(count - 200) for count in counts.values()) < 60


def test_a_sample_of_more_groups_than_can_be_counted(draw: Draw) -> None:
    maps = draw.grams(150, 3)
    found = fr.group_o_information(maps, 75, max_groups=5)  # of 1e44
    assert found.groups.shape == (5, 75)
    assert (np.diff(found.groups, axis=1) > 0).all()


# --------------------------------------------------------------------------------------------------------- degenerate


def test_synergy_and_redundancy(nx: Nx) -> None:
    """An exclusive or is found among constants, three copies as the other end."""
    labels = np.arange(32)
    a, b, c = labels % 2, labels // 2 % 2, labels // 4 % 2
    maps = np.stack([reference.gram_delta(x) for x in (0 * a, a, b, a ^ b, c, c, c)])
    found = fr.group_o_information(nx.array(maps), 3, alpha=2)
    assert [int(i) for i in found.most_synergistic] == [1, 2, 3]
    assert [int(i) for i in found.most_redundant] == [4, 5, 6]
    values = nx.values(found.values)
    assert (values.min(), values.max()) == pytest.approx((-1, 1), abs=1e-4)


@pytest.mark.parametrize("n", [1, 2])
def test_one_and_two_samples(n: int, draw: Draw) -> None:
    maps, target = draw.grams(4, n), draw.grams(n)
    found = fr.group_o_information(maps, 3, target)
    assert_groups(found, reference.group_o_information(maps, 3, target), Nx("numpy", "float64"))


def test_a_product_of_nothing_is_named() -> None:
    spread = np.eye(4) / 4
    maps = np.stack([np.diag([0.5, 0.5, 0, 0]), spread, np.diag([0, 0, 0.5, 0.5]), spread])
    message = refused(ValueError, "maps[0], maps[2]", lambda: fr.group_o_information(maps, 3))
    assert "product of trace zero" in message
    refused(ValueError, "target, maps[1]", lambda: fr.group_o_information(maps[1:], 2, maps[0]))


# ---------------------------------------------------------------------------------------------------------- arguments


def test_arguments(draw: Draw) -> None:
    gram = reference.gram_delta(np.arange(4) % 2)
    maps: Any = np.stack([gram] * 4)
    call: Any = fr.group_o_information
    for wrong in [gram, maps[None], maps[:0]]:
        refused(ValueError, "maps", lambda wrong=wrong: call(wrong))
    for kind in [None, "x", [1.0], maps.astype(int)]:
        refused(TypeError, "maps", lambda kind=kind: call(kind))
    for size in [0, 1, 2, -3, 5, 2**31]:
        refused(ValueError, "size", lambda size=size: call(maps, size))
    refused(ValueError, "size", lambda: call(maps, 1, gram))
    refused(ValueError, "size", lambda: call(maps[:2]))
    for kind in [None, "3", 3.0, True, [3], gram]:
        refused(TypeError, "size", lambda kind=kind: call(maps, kind))
    for wrong in [maps, gram[None], reference.gram_delta(np.arange(3)), 2 * gram]:
        refused(ValueError, "target", lambda wrong=wrong: call(maps, 3, wrong))
    for kind in ["x", 1.0, gram.astype(np.float32), torch.from_numpy(gram)]:
        refused(TypeError, "target", lambda kind=kind: call(maps, 3, kind))
    assert "(1, 2, 1)" in refused(ValueError, "maps", lambda: call(with_value(maps, np.nan, (1, 2, 1))))
    assert "(2, 1)" in refused(ValueError, "target", lambda: call(maps, 3, with_value(gram, np.nan, (2, 1))))
    refused(ValueError, "alpha", lambda: call(maps, alpha=-1))
    refused(TypeError, "alpha", lambda: call(maps, alpha="1"))
    refused(ValueError, "base", lambda: call(maps, base=0.5))
    refused(TypeError, "base", lambda: call(maps, base="2"))
    for most in [0, -1, 2**31]:
        refused(ValueError, "max_groups", lambda most=most: call(maps, max_groups=most))
    for kind in ["2", 2.0, True, [3]]:
        refused(TypeError, "max_groups", lambda kind=kind: call(maps, max_groups=kind))
        refused(TypeError, "seed", lambda kind=kind: call(maps, seed=kind))
    refused(ValueError, "seed", lambda: call(maps, seed=-1))
    many = np.broadcast_to(gram, (500, 4, 4))
    assert "20708500" in refused(ValueError, "max_groups", lambda: call(many))


def test_an_indefinite_map_or_target_is_named(draw: Draw) -> None:
    maps, bad = draw.grams(3, 4), np.diag([0.6, 0.6, -0.1, -0.1])
    with pytest.raises(fr.NotPositiveSemidefiniteError, match=r"^target: expected positive semidefinite matrices"):
        fr.group_o_information(maps, 3, bad)
    maps[1] = bad
    with pytest.raises(fr.NotPositiveSemidefiniteError, match=r"^maps\[1\]: expected positive semidefinite matrices"):
        fr.group_o_information(maps, 3)


def test_the_result_is_frozen_and_the_input_is_not_modified(nx: Nx, draw: Draw) -> None:
    maps, target = nx.array(draw.matrices(4, 6)), nx.array(draw.matrices(6))
    before = nx.values(maps).copy(), nx.values(target).copy()
    found = fr.group_o_information(maps, 3, target)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.values = 0.0  # type: ignore[misc]
    np.testing.assert_array_equal(nx.values(maps), before[0])
    np.testing.assert_array_equal(nx.values(target), before[1])


# -------------------------------------------------------------------------------------------------------- under torch


def fields(x: Any, y: Any) -> tuple[Any, ...]:
    maps, target = fr.channel_grams(x, bandwidth=2.0), fr.gram(y, bandwidth=1.0)
    found = fr.group_o_information(maps, 3, target, max_groups=3)
    alone = fr.group_o_information(maps, 3, alpha=[1, 2])
    return tuple(getattr(part, name) for part in (found, alone) for name in FIELDS)


def test_constants_of_the_gradient_mapped_and_compiled(draw: Draw) -> None:
    x, y = torch.tensor(draw.samples(3, 6, 4, 2)), torch.tensor(draw.samples(6, 2), requires_grad=True)
    mapped = torch.vmap(fields, in_dims=(0, None))(x, y)
    torch._dynamo.reset()
    compiled = torch.compile(fields, fullgraph=True, backend="aot_eager")
    for k in range(3):
        alone = fields(x[k], y)
        assert not any(part.requires_grad for part in alone)
        torch.testing.assert_close(tuple(part[k] for part in mapped), alone)
        torch.testing.assert_close(compiled(x[k], y), alone)


def test_the_operation_is_as_pytorch_wants_it(draw: Draw) -> None:
    maps = torch.tensor(draw.grams(4, 5))
    for target, most in ((None, None), (maps[0], 3)):
        torch.library.opcheck(torch.ops.fastrenyi.group_o_information, (maps, target, 3, most, 0, [1.01], 1.0))
