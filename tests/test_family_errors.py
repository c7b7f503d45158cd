"""Effective numbers, log-determinants and comparisons of Grams: what is refused, and on a device."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import fastrenyi as fr
from conftest import Draw, Nx, refused, with_value
from family import N, assert_near, gaussians, near, similarities


@pytest.mark.parametrize("name", ["participation_ratio", "stable_rank", "coding_rate", "logdet_entropy", "eigenscore"])
def test_wrong_samples(name: str, nx_dtype: Nx) -> None:
    call = getattr(fr, name)
    for kind in (None, "x", [[1.0]], np.eye(3, dtype=int), np.eye(3) * 1j):
        refused(TypeError, "x", lambda kind=kind: call(kind))
    for shape in ((3,), (), (0, 3), (3, 0)):
        refused(ValueError, "x", lambda shape=shape: call(nx_dtype.array(np.ones(shape)) if shape else np.array(1.0)))
    for shape in ((2, 3, 4), (2, 4, 3)):
        for value in (np.nan, np.inf):
            bad = with_value(np.ones(shape), value, (1, 2, 1))
            assert "(1, 2, 1)" in refused(ValueError, "x", lambda bad=bad: call(nx_dtype.array(bad)))


def test_samples_of_which_nothing_is_left() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    x[1] = 0.1
    assert "(1,)" in refused(ValueError, "x", lambda: fr.participation_ratio(x))
    refused(ValueError, "x", lambda: fr.participation_ratio(x[:, :1]))
    x[1] = 0
    assert "(1,)" in refused(ValueError, "x", lambda: fr.stable_rank(x))


def test_wrong_numbers(draw: Draw) -> None:
    x, a, k = draw.samples(4, 3), near(draw, 4), similarities(draw, 4)
    for name, call in {
        "eps": lambda v: fr.coding_rate(x, v),
        "beta": lambda v: fr.logdet_entropy(x, v),
        "delta": lambda v: fr.lidar(np.stack([x, x], 1), v),
        "temperature": lambda v: fr.infonce(x, x, v),
        "t": lambda v: fr.graph_gram(a, t=v),
        "nu": lambda v: fr.graph_gram(a, "matern", nu=v),
        "kappa": lambda v: fr.graph_gram(a, "matern", kappa=v),
        "power": lambda v: fr.effective_rank(a, power=v),
        "base": lambda v: fr.relative_entropy(a, a, v),
    }.items():
        for value in (0, -1.0, math.inf, math.nan):
            refused(ValueError, name, lambda value=value, call=call: call(value))
        optional = name in ("t", "nu", "kappa")
        for kind in ("1", True, [1.0]) if optional else (None, "1", True, [1.0]):
            refused(TypeError, name, lambda kind=kind, call=call: call(kind))
    for call in (
        lambda v: fr.coding_rate(x, base=v), lambda v: fr.logdet_entropy(x, base=v), lambda v: fr.infonce(x, x, base=v),
        lambda v: fr.cauchy_schwarz_information(a, a, base=v), lambda v: fr.cauchy_schwarz_divergence(x, x, base=v),
    ):  # fmt: skip
        refused(ValueError, "base", lambda call=call: call(1))
    for name, call in {"alpha": lambda v: fr.effective_rank(a, v), "q": lambda v: fr.vendi_score(k, v)}.items():
        for value in (-1, [], [1, -0.5], math.nan):
            refused(ValueError, name, lambda value=value, call=call: call(value))
        refused(TypeError, name, lambda call=call: call("1"))
    refused(TypeError, "centered", lambda: fr.alignment(a, a, 1))
    refused(TypeError, "normalized", lambda: fr.cauchy_schwarz_information(a, a, "yes"))


@pytest.mark.parametrize("name", ["alignment", "cauchy_schwarz_information", "relative_entropy"])
def test_two_matrices_that_are_wrong(name: str, draw: Draw) -> None:
    call = getattr(fr, name)
    a = gaussians(draw, 2, N)
    for wrong in (None, a.tolist(), a.astype(int)):
        refused(TypeError, "a", lambda wrong=wrong: call(wrong, a))
        refused(TypeError, "b", lambda wrong=wrong: call(a, wrong))
    refused(TypeError, "b", lambda: call(a, a.astype(np.float32)))
    refused(TypeError, "b", lambda: call(a, torch.tensor(a)))
    for shape in ((2, 3), (3,), (0, 0)):
        refused(ValueError, "a", lambda shape=shape: call(np.ones(shape), a))
        refused(ValueError, "b", lambda shape=shape: call(a, np.ones(shape)))
    refused(ValueError, "b", lambda: call(a, gaussians(draw, N + 1)))
    refused(ValueError, "b", lambda: call(a, gaussians(draw, 3, N)))
    for value in (np.nan, 0.7):
        refused(ValueError, "a", lambda value=value: call(with_value(a, value, (1, 0, 2)), a))
        refused(ValueError, "b", lambda value=value: call(a, with_value(a, value, (1, 0, 2))))
    if name == "relative_entropy":
        refused(ValueError, "a", lambda: call(2 * a, a))
        refused(ValueError, "b", lambda: call(a, 2 * a))
        indefinite = np.diag([1.5, -0.5])
        for first, pair in (("a", (indefinite, np.eye(2) / 2)), ("b", (np.eye(2) / 2, indefinite))):
            refused(fr.NotPositiveSemidefiniteError, first, lambda pair=pair: call(*pair))


def test_grams_with_sums_that_have_no_logarithm() -> None:
    opposite = np.array([[1.0, -1.0], [-1.0, 1.0]])
    message = refused(ValueError, "a", lambda: fr.cauchy_schwarz_information(opposite, np.eye(2)))
    assert "negative values" in message
    far = np.array([[1e9]])
    message = refused(ValueError, "y", lambda: fr.cauchy_schwarz_divergence(0 * far, far))
    assert "wider" in message


def test_wrong_matrices(draw: Draw) -> None:
    a, k = near(draw, 2, 4), similarities(draw, 2, 4)
    bad = np.stack([np.eye(2) / 2, np.diag([1.5, -0.5])])
    for power in (1, 0.5):
        refused(ValueError, "a", lambda power=power: fr.effective_rank(2 * a, power=power))
        refused(TypeError, "a", lambda power=power: fr.effective_rank(None, power=power))
        refused(ValueError, "a", lambda power=power: fr.effective_rank(a[..., :3], power=power))
        refused(ValueError, "a", lambda power=power: fr.effective_rank(with_value(a, 3, (0, 1, 2)), power=power))
        indefinite = fr.NotPositiveSemidefiniteError
        assert "(1,)" in refused(indefinite, "a", lambda power=power: fr.effective_rank(bad, power=power))
    assert "(1, 3)" in refused(ValueError, "k", lambda: fr.vendi_score(with_value(k, 0.9, (1, 3, 3))))
    refused(ValueError, "k", lambda: fr.vendi_score(a))
    refused(fr.NotPositiveSemidefiniteError, "k", lambda: fr.vendi_score(np.array([[1.0, 2.0], [2.0, 1.0]])))


def test_wrong_probabilities(draw: Draw) -> None:
    k = similarities(draw, 2, 4)
    right = np.full(4, 0.25)
    for wrong in (
        right[:3],
        np.full((3, 4), 0.25),
        right * 2,
        np.array([1.5, -0.5, 0, 0]),
        with_value(right, np.nan, (2,)),
    ):
        refused(ValueError, "p", lambda wrong=wrong: fr.vendi_score(k, p=wrong))
    for wrong in ("p", 0.25, [["a"]], right.astype(np.float32), torch.tensor(right), {}):
        refused(TypeError, "p", lambda wrong=wrong: fr.vendi_score(k, p=wrong))
    assert_near(fr.vendi_score(torch.tensor(k), p=[0.25] * 4), fr.vendi_score(k), "float64")
