"""Kernels and their widths given wrong: the right type of error, with the argument's name at the front."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
from conftest import refused, with_value

NAN, INF = math.nan, math.inf

X = np.arange(12.0).reshape(4, 3) ** 1.5
GRAM = fr.gram(X, "gaussian", 3.0)
OTHER = fr.gram(X[:, ::-1] ** 0.5, "gaussian", 1.0)
SMALL = np.eye(3) / 3
MAPS = np.stack([GRAM, OTHER])


@pytest.mark.parametrize(
    "call", [fr.gram, fr.channel_grams, fr.tensor_gram, lambda x, k, *w: fr.divergence(x, x, k, *w)]
)
def test_kernel_and_bandwidth(call: Callable[..., Any]) -> None:
    for kernel in [None, 3, fr.Gaussian, object(), ["gaussian"]]:
        refused(TypeError, "kernel", lambda kernel=kernel: call(X, kernel))
    for kernel in ["gausian", "", "GAUSSIAN"]:
        refused(ValueError, "kernel", lambda kernel=kernel: call(X, kernel))
    for width in [[1.0], (1.0,), object(), True, fr.Silverman, 1j, {"scale": 1}]:
        refused(TypeError, "bandwidth", lambda width=width: call(X, "gaussian", width))
    for width in [0, 0.0, -1.0, NAN, INF, "silver", "", np.array([1.0, -1.0]), np.ones(5), np.ones((2, 2))]:
        refused(ValueError, "bandwidth", lambda width=width: call(X, "gaussian", width))


def test_bandwidth_given_twice_or_for_nothing() -> None:
    for kernel in [fr.Gaussian(), fr.Gaussian(1.0), fr.Laplacian("median")]:
        refused(ValueError, "bandwidth", lambda kernel=kernel: fr.gram(X, kernel, 2.0))
    for kernel in ["cosine", "polynomial", "delta", fr.Cosine(), fr.Polynomial(), fr.Delta()]:
        refused(ValueError, "bandwidth", lambda kernel=kernel: fr.gram(X, kernel, "median"))


@pytest.mark.parametrize("shape", [(3, 2), (6,), (2,), (3,), (2, 3, 1)])
def test_bandwidths_must_have_the_batch_shape(shape: tuple[int, ...]) -> None:
    x = np.ones((2, 3, 4, 5))
    refused(ValueError, "bandwidth", lambda: fr.gram(x, "gaussian", np.ones(shape)))


@pytest.mark.parametrize("kernel", [fr.Gaussian, fr.Laplacian])
def test_widths_in_kernels(kernel: Any) -> None:
    for width in [object(), None, True, [1.0]]:
        refused(TypeError, "bandwidth", lambda width=width: kernel(width))
    for width in [0, -1, NAN, INF, "silver"]:
        refused(ValueError, "bandwidth", lambda width=width: kernel(width))


@pytest.mark.parametrize("rule", [fr.Silverman, fr.Scott, fr.Median, lambda scale: fr.NearestNeighbours(3, scale)])
def test_scale(rule: Any) -> None:
    for scale in ["1", None, True, [1.0], 1j]:
        refused(TypeError, "scale", lambda scale=scale: rule(scale))
    for scale in [0, -1, NAN, INF]:
        refused(ValueError, "scale", lambda scale=scale: rule(scale))


def test_neighbours() -> None:
    for k in ["1", None, True, 2.0]:
        refused(TypeError, "k", lambda k=k: fr.NearestNeighbours(k))
    for k in [0, -1]:
        refused(ValueError, "k", lambda k=k: fr.NearestNeighbours(k))
    for k in [4, 5]:
        refused(ValueError, "bandwidth", lambda k=k: fr.gram(X, "gaussian", fr.NearestNeighbours(k)))
    refused(ValueError, "bandwidth", lambda: fr.gram(X, "gaussian", "neighbours"))
    assert fr.gram(X, "gaussian", fr.NearestNeighbours(3)).shape == (4, 4)


def test_alignment() -> None:
    for target in [[[1.0]], GRAM.astype(int), "labels"]:
        refused(TypeError, "target", lambda target=target: fr.Alignment(target))
    for target in [MAPS, GRAM[:2], GRAM * 2, with_value(GRAM, NAN, (0, 0)), with_value(GRAM, 0.3, (0, 1))]:
        refused(ValueError, "target", lambda target=target: fr.Alignment(target))
    for widths in [1.0, "wide", ["1"], [True], [None]]:
        refused(TypeError, "widths", lambda widths=widths: fr.Alignment(GRAM, widths=widths))
    for widths in [[], [0.0], [1.0, -1.0], [NAN], [INF]]:
        refused(ValueError, "widths", lambda widths=widths: fr.Alignment(GRAM, widths=widths))
    refused(ValueError, "bandwidth", lambda: fr.gram(X, "gaussian", fr.Alignment(SMALL)))


@pytest.mark.parametrize("rule", [fr.Median(), fr.Scott(), fr.NearestNeighbours(1), fr.Silverman(1e308)], ids=str)
def test_a_rule_that_leaves_the_range_of_numbers(rule: Any) -> None:
    """Distances of 6.8e308 are infinite; the width is refused, or the Gram is right all the same."""
    x = np.array([[1.7e308] * 4, [-1.7e308] * 4])
    refusal = ""
    gram = np.eye(2)
    try:
        gram = fr.gram(x, "gaussian", rule)
    except ValueError as error:
        refusal = str(error)
    assert refusal == "" or refusal.startswith("bandwidth: ")
    assert np.all(np.isfinite(gram))
    assert np.all(np.diag(gram) > 0)


def test_polynomial() -> None:
    for degree in ["2", None, True, 2.0]:
        refused(TypeError, "degree", lambda degree=degree: fr.Polynomial(degree))
    for degree in [0, -1]:
        refused(ValueError, "degree", lambda degree=degree: fr.Polynomial(degree))
    for gamma in ["2", True, 1j]:
        refused(TypeError, "gamma", lambda gamma=gamma: fr.Polynomial(gamma=gamma))
    for gamma in [0, -1, NAN, INF]:
        refused(ValueError, "gamma", lambda gamma=gamma: fr.Polynomial(gamma=gamma))
    for coef0 in ["2", True, None]:
        refused(TypeError, "coef0", lambda coef0=coef0: fr.Polynomial(coef0=coef0))
    for coef0 in [-1, NAN, INF]:
        refused(ValueError, "coef0", lambda coef0=coef0: fr.Polynomial(coef0=coef0))


def test_delta() -> None:
    for dtype in ["float16", "int64", "single", 3, np.int32, torch.float16]:
        refused(ValueError, "dtype", lambda dtype=dtype: fr.Delta(dtype))
    for x in [np.ones(3, dtype=complex), np.ones(3, dtype=object), None]:
        refused(TypeError, "x", lambda x=x: fr.gram(x, "delta"))
    for x in [np.array(1), np.ones(0, dtype=int), np.ones((2, 0), dtype=int), np.array([1.0, NAN])]:
        refused(ValueError, "x", lambda x=x: fr.gram(x, "delta"))


@pytest.mark.parametrize("kernel", [fr.Gaussian, fr.Laplacian])
def test_kernels_of_arrays_compare_by_value(kernel: Any) -> None:
    widths = np.array([1.0, 2.0])
    same = [kernel(widths), kernel(widths.copy())]
    others = [
        kernel(widths + 1), kernel(widths.astype(np.float32)), kernel(torch.tensor(widths)), kernel(widths[None]),
        kernel(2.0), kernel(), fr.Cosine(), "gaussian",
    ]  # fmt: skip
    assert same[0] == same[1]
    assert len({*same, *others}) == 1 + len(others)
    assert all(same[0] != other for other in others)
    assert fr.Gaussian(1.0) != fr.Laplacian(1.0)
    assert kernel(2) == kernel(2.0)
    assert kernel() == kernel("silverman")


def test_alignments_compare_by_value() -> None:
    rules = [fr.Alignment(GRAM), fr.Alignment(OTHER), fr.Alignment(GRAM, [1.0, 2.0])]
    assert len({*rules, fr.Alignment(GRAM.copy()), fr.Alignment(GRAM, np.array([1.0, 2.0]))}) == 3
    assert fr.Gaussian(rules[0]) == fr.Gaussian(fr.Alignment(GRAM.copy())) != fr.Gaussian(rules[1])


def test_alignments_print_short() -> None:
    grams = [np.eye(100) / 100, np.full((100, 100), 0.01)]
    first, second = (repr(fr.Gaussian(fr.Alignment(gram))) for gram in grams)
    assert first != second
    target = r"<numpy float64 on cpu, shape \(100, 100\), crc32 \w{8}>"
    assert re.fullmatch(rf"Gaussian\(bandwidth=Alignment\(target={target}, widths=None\)\)", first)


def test_strings_where_numbers_belong_are_shown_as_such() -> None:
    for alpha in ["inf", "Infinity", [1, "inf"]]:
        message = refused(TypeError, "alpha", lambda alpha=alpha: fr.entropy(GRAM, alpha))
        assert message.endswith("; pass math.inf")
        assert "got '" in message
    assert "got '2'" in refused(TypeError, "base", lambda: fr.entropy(GRAM, base="2"))
    assert "got '3'" in refused(TypeError, "degree", lambda: fr.Polynomial("3"))
