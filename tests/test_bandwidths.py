"""Kernel widths: every rule against the reference, through the Gram it makes; the narrow limit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
import reference
import tolerances
from conftest import Draw, Nx

RULES: dict[str, tuple[Any, Callable[..., float]]] = {
    "silverman": (fr.Silverman(), lambda x, metric: reference.silverman(*x.shape)),
    "silverman-0.1": (fr.Silverman(0.1), lambda x, metric: reference.silverman(*x.shape, scale=0.1)),
    "scott": (fr.Scott(), lambda x, metric: reference.scott(x)),
    "scott-3": (fr.Scott(3.0), lambda x, metric: reference.scott(x, 3.0)),
    "median": (fr.Median(), lambda x, metric: reference.median(x, metric=metric)),
    "median-0.5": (fr.Median(0.5), lambda x, metric: reference.median(x, 0.5, metric)),
    "neighbours": (fr.NearestNeighbours(), lambda x, metric: reference.neighbours(x, metric=metric)),
    "neighbours-3": (fr.NearestNeighbours(3, 2.0), lambda x, m: reference.neighbours(x, 3, 2.0, m)),
}
KERNELS = {
    "gaussian": (reference.gram_gaussian, "euclidean"),
    "laplacian": (reference.gram_laplacian, "manhattan"),
}


@pytest.fixture(params=RULES)
def rule(request: pytest.FixtureRequest) -> tuple[Any, Callable[..., float]]:
    """A rule of fastrenyi and the same of the reference."""
    return RULES[request.param]


@pytest.mark.parametrize("name", KERNELS)
def test_rules_match_the_reference(rule: Any, name: str, nx: Nx, draw: Draw) -> None:
    """Each sample set has a width of its own, found with the kernel's own distance."""
    ours, theirs = rule
    gram, metric = KERNELS[name]
    spread = np.array([0.3, 1.0, 4.0])[:, None, None]
    x = nx.array(draw.samples(2, 3, 12, 4) * spread)
    expected = reference.over_batch(lambda item: gram(item, theirs(item, metric)), nx.values(x))
    tolerances.assert_gram(nx.values(fr.gram(x, name, ours)), expected, nx.dtype)


def test_rules_in_half_precision(rule: Any, nx_dtype: Nx, draw: Draw) -> None:
    ours, theirs = rule
    x = nx_dtype.array(draw.samples(12, 4))
    values = nx_dtype.values(x)
    expected = reference.gram_gaussian(values, theirs(values, "euclidean"))
    tolerances.assert_gram(nx_dtype.values(fr.gram(x, "gaussian", ours)), expected, nx_dtype.dtype)


def test_rules_of_an_empty_batch(rule: Any) -> None:
    for shape in [(0, 12, 4), (2, 0, 12, 4)]:
        assert fr.gram(np.zeros(shape), "gaussian", rule[0]).shape == (*shape[:-1], 12)


@pytest.mark.parametrize("odd", [3, 4, 11, 12])
def test_median_of_odd_and_even_counts_of_pairs(odd: int, draw: Draw) -> None:
    x = draw.samples(odd, 2)
    width = reference.median(x)
    tolerances.assert_gram(fr.gram(x, "gaussian", "median"), reference.gram_gaussian(x, width), "float64")


def test_names_are_the_rules_with_their_defaults(draw: Draw) -> None:
    x = draw.samples(15, 3)
    for name, instance in [
        ("silverman", fr.Silverman()),
        ("scott", fr.Scott()),
        ("median", fr.Median()),
        ("neighbours", fr.NearestNeighbours()),
    ]:
        np.testing.assert_array_equal(fr.gram(x, "gaussian", name), fr.gram(x, "gaussian", instance))
        np.testing.assert_array_equal(fr.gram(x, "gaussian", name), fr.gram(x, fr.Gaussian(instance)))
        np.testing.assert_array_equal(fr.gram(x, fr.Gaussian(name)), fr.gram(x, fr.Gaussian(instance)))
    np.testing.assert_array_equal(fr.gram(x), fr.gram(x, "gaussian", fr.Silverman(5.0)))


def test_rules_are_values() -> None:
    assert fr.Silverman() == fr.Silverman(5.0)
    assert fr.NearestNeighbours() == fr.NearestNeighbours(10, 1.0)
    assert len({fr.Median(), fr.Median(1.0), fr.Median(2.0), fr.Scott()}) == 3
    for rule in [fr.Silverman(2.0), fr.Scott(2.0), fr.Median(2.0), fr.NearestNeighbours(3, 2.0)]:
        assert eval(repr(rule), vars(fr)) == rule
        with pytest.raises(dataclasses.FrozenInstanceError):
            rule.scale = 1.0  # type: ignore[misc]


def test_neighbours_are_the_nearest_and_not_the_first(draw: Draw) -> None:
    """The order of the samples does not matter, and a sample is not its own neighbour."""
    x = draw.samples(20, 3)
    order = draw.rng.permutation(20)
    a = fr.gram(x, "gaussian", fr.NearestNeighbours(4))
    b = fr.gram(x[order], "gaussian", fr.NearestNeighbours(4))
    tolerances.assert_gram(b, a[np.ix_(order, order)], "float64")
    line = np.array([[0.0], [1.0], [3.0]])  # nearest others at 1, 1 and 2
    expected = reference.gram_gaussian(line, 4 / 3)
    tolerances.assert_gram(fr.gram(line, "gaussian", fr.NearestNeighbours(1)), expected, "float64")


def test_duplicates_count_as_neighbours(draw: Draw) -> None:
    x = np.repeat(draw.samples(5, 2), 3, axis=0)
    width = reference.neighbours(x, 3)
    assert width > 0
    expected = reference.gram_gaussian(x, width)
    tolerances.assert_gram(fr.gram(x, "gaussian", fr.NearestNeighbours(3)), expected, "float64")
    assert reference.neighbours(x, 2) == 0
    np.testing.assert_array_equal(fr.gram(x, "gaussian", fr.NearestNeighbours(2)), reference.gram_delta(x))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("rule", [fr.Scott(), fr.Median(), fr.NearestNeighbours(2)], ids=str)
def test_a_width_of_zero_is_the_narrow_limit(rule: Any, name: str, nx: Nx) -> None:
    """Constants have no spread: equal samples 1, and no division by zero."""
    a = nx.values(fr.gram(nx.array(np.full((2, 5, 3), 0.1)), name, rule))
    np.testing.assert_array_equal(a, np.full((2, 5, 5), nx.rounded(0.2)))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("step", [1.0, 1e-5, 1e-290, 5e-324])
def test_median_of_mostly_duplicates(name: str, step: float) -> None:
    """Samples that differ, by however little, are 0 in the narrow limit."""
    x = np.zeros((9, 2))
    x[8, 1] = step
    np.testing.assert_array_equal(fr.gram(x, name, "median"), reference.gram_delta(x))


@pytest.mark.parametrize("rule", [fr.Silverman(), fr.Scott(), fr.Median()], ids=str)
def test_one_sample(rule: Any, nx: Nx) -> None:
    x = nx.array(np.full((3, 1, 2), 0.7))
    np.testing.assert_array_equal(nx.values(fr.gram(x, "gaussian", rule)), np.ones((3, 1, 1)))


@pytest.mark.parametrize("scale", [2.0**990, 2.0**500, 2.0**-500, 2.0**-990])
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("rule", [fr.Scott(), fr.Median(), fr.NearestNeighbours(3)], ids=str)
def test_data_rules_scale_with_the_data(rule: Any, name: str, scale: float, draw: Draw) -> None:
    x = draw.samples(9, 4)
    expected = fr.gram(x, name, rule)
    tolerances.assert_gram(fr.gram(x * scale, name, rule), expected, "float64")


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("rule", [fr.Scott(), fr.Median(), fr.NearestNeighbours(3)], ids=str)
def test_data_rules_far_from_the_origin(rule: Any, name: str, draw: Draw) -> None:
    x = np.round(draw.samples(9, 4) * 1024) / 1024  # exact at the offset
    tolerances.assert_gram(fr.gram(x + 2.0**20, name, rule), fr.gram(x, name, rule), "float64")


def test_rules_serve_channels_and_tensors(draw: Draw) -> None:
    maps = draw.samples(13, 3, 2, 2)
    for rule, theirs in RULES.values():
        flat = maps.reshape(13, 3, 4).transpose(1, 0, 2)
        expected = [reference.gram_gaussian(m, theirs(m, "euclidean")) for m in flat]
        tolerances.assert_gram(fr.channel_grams(maps, "gaussian", rule), np.stack(expected), "float64")
        whole = maps.reshape(13, 12)
        expected = reference.gram_gaussian(whole, theirs(whole, "euclidean"))
        tolerances.assert_gram(fr.tensor_gram(maps, "gaussian", rule), expected, "float64")


# -------------------------------------------------------------------------------------------------- alignment


@pytest.mark.parametrize("name", KERNELS)
def test_alignment_takes_the_best_of_its_widths(name: str, nx: Nx, draw: Draw) -> None:
    gram, _ = KERNELS[name]
    labels = np.repeat([0, 1, 2], 4)
    x = nx.array(draw.samples(2, 12, 3) + 2.0 * labels[:, None])
    target = reference.gram_delta(labels)
    widths = [0.03, 0.3, 1.0, 3.0, 30.0]
    rule = fr.Alignment(nx.plain.array(target), widths=widths)
    result = nx.values(fr.gram(x, name, rule))
    for item, found in zip(nx.values(x), result, strict=True):
        tried = [gram(item, width) for width in widths]
        best = tried[int(np.argmax([reference.alignment(a, target) for a in tried]))]
        tolerances.assert_gram(found, best, nx.dtype)


def test_alignment_with_its_own_grid_is_near_the_best(draw: Draw) -> None:
    labels = np.repeat([0, 1], 8)
    x = draw.samples(16, 3) + 3.0 * labels[:, None]
    target = reference.gram_delta(labels)
    found = reference.alignment(fr.gram(x, "gaussian", fr.Alignment(target)), target)
    median = reference.median(x)
    best = max(
        reference.alignment(reference.gram_gaussian(x, median * factor), target)
        for factor in np.geomspace(0.1, 10, 201)
    )
    assert found == pytest.approx(best, rel=5e-3)
