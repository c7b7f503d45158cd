"""Each argument of each public function and class, against values of every kind: a named TypeError or ValueError."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import calls
import fastrenyi as fr
import zoo
from fastrenyi.bandwidths import Bandwidth
from fastrenyi.kernels import Kernel

CALLS = calls.all_calls()
LEFT_OUT = {"Kernel", "Bandwidth"}  # to be subclassed
OF_RESULTS = {"Activations", "BINNED", "PAPER", "TENSOR", "losses"}
ARGUMENTS = [(name, key) for name in CALLS for key in CALLS[name].keys]


def test_every_function_is_tried() -> None:
    callables = {name for name in fr.__all__ if inspect.isfunction(getattr(fr, name))}
    assert callables <= CALLS.keys()
    rules = {name for name in fr.__all__ if inspect.isclass(getattr(fr, name))}
    assert {name for name in rules if issubclass(getattr(fr, name), (Kernel, Bandwidth))} - LEFT_OUT <= CALLS.keys()


def test_every_function_for_networks_is_tried() -> None:
    frt = pytest.importorskip("fastrenyi.torch")
    assert set(frt.__all__) - OF_RESULTS <= CALLS.keys()
    assert {f"losses.{name}" for name in frt.losses.__all__} <= CALLS.keys()
    assert {f"losses.{name}()" for name in frt.losses.__all__} <= CALLS.keys()


@pytest.mark.parametrize(("name", "key"), ARGUMENTS, ids=lambda word: word)
def test_a_wrong_argument_is_named(name: str, key: str) -> None:
    call = CALLS[name]
    for value in zoo.every():
        if call.tries(key, value):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                found = calls.fault(call, {key: value})
            assert not found, f"{name}({key}=...) of type {type(value).__name__}: {found}"


# ------------------------------------------------------------------------------------- the sweep itself can fail


def raises(error: BaseException) -> Any:
    def function(a: Any) -> None:
        raise error

    return function


@pytest.mark.parametrize(
    "function",
    [
        raises(IndexError("list index out of range")),
        raises(TypeError("unsupported operand")),
        raises(ValueError("b: expected a number, got none")),  # another's name
        lambda a: np.array([1.0, np.nan]),
    ],
)
def test_a_bare_error_and_a_result_of_nan_are_faults(function: Any) -> None:
    assert calls.fault(calls.Call(function, {"a": 1}), {"a": 2})


@pytest.mark.parametrize("function", [raises(ValueError("a: expected a number, got none")), lambda a: np.ones(3)])
def test_a_named_error_and_numbers_are_none(function: Any) -> None:
    assert not calls.fault(calls.Call(function, {"a": 1}), {"a": 2})
