"""Each argument of each public function and class, against values of every kind: a named TypeError or ValueError."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
import zoo
from fastrenyi.bandwidths import Bandwidth
from fastrenyi.kernels import Kernel

X = np.random.default_rng(0).normal(size=(6, 3))
MAPS = np.random.default_rng(1).normal(size=(6, 2, 3, 3))
G = fr.gram(X, bandwidth=1.0)
CALLS: dict[str, dict[str, Any]] = {
    "gram": {"x": X}, "channel_grams": {"maps": MAPS}, "tensor_gram": {"maps": MAPS}, "normalize": {"k": 6 * G},
    "spectrum": {"a": G}, "entropy": {"a": G}, "joint_entropy": {"grams": [G, G]},
    "conditional_entropy": {"a": G, "given": G}, "mutual_information": {"a": G, "b": G},
    "conditional_mutual_information": {"a": G, "b": G, "given": G}, "total_correlation": {"grams": [G, G]},
    "dual_total_correlation": {"grams": [G, G]}, "o_information": {"grams": [G, G, G]},
    "interaction_information": {"grams": [G, G, G]}, "divergence": {"x": X, "y": X},
    "lazy_gram": {"x": X}, "Estimation": {},
    "layer_decomposition": {"maps": np.stack([G, G]), "target": G}, "permutation_test": {"a": G, "b": G, "n": 3},
    "Gaussian": {}, "Laplacian": {}, "Polynomial": {}, "Cosine": {}, "Delta": {}, "Silverman": {}, "Scott": {},
    "Median": {}, "NearestNeighbours": {}, "Alignment": {"target": G},
}  # fmt: skip
LEFT_OUT = {"Kernel", "Bandwidth"}  # to be subclassed
ARGUMENTS = [(name, key) for name in CALLS for key in inspect.signature(getattr(fr, name)).parameters]


def values() -> list[Any]:
    found = [*zoo.of_python(), *zoo.of_numpy()]
    try:
        import torch
    except ModuleNotFoundError:
        return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are a prototype
        return [*found, *zoo.of_torch(torch)]


def test_every_function_is_tried() -> None:
    callables = {name for name in fr.__all__ if inspect.isfunction(getattr(fr, name))}
    assert callables <= CALLS.keys()
    rules = {name for name in fr.__all__ if inspect.isclass(getattr(fr, name))}
    assert {name for name in rules if issubclass(getattr(fr, name), (Kernel, Bandwidth))} - LEFT_OUT <= CALLS.keys()


def called(name: str, key: str, value: Any) -> Any:
    function, given = getattr(fr, name), dict(CALLS[name])
    if "grams" in given:
        grams = given.pop("grams")
        return function(*grams[:-1], value) if key == "grams" else function(*grams, **{key: value})
    return function(**{**given, key: value})


@pytest.mark.parametrize(("name", "key"), ARGUMENTS, ids=lambda word: word)
def test_a_wrong_argument_is_named(name: str, key: str) -> None:
    for value in values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            check(lambda value=value: called(name, key, value), key, value)


def check(call: Callable[[], Any], key: str, value: Any) -> None:
    try:
        call()
    except (TypeError, ValueError, fr.BackendUnavailableError) as error:
        message = str(error)
        assert ": expected " in message, f"{type(value).__name__}: {message}"
        assert ", got " in message, message
    except Exception as error:
        pytest.fail(f"{key} of type {type(value).__name__}: {type(error).__name__}: {error}")
