"""What a matrix must be to be a Gram, what of a spectrum, and the messages of those that are none."""

from __future__ import annotations

import numbers
from typing import NoReturn

import numpy as np

from fastrenyi import _backend, _check, _core
from fastrenyi._array import BITS, Array, Home, Values, Verdict, has_numbers, home_of, made_in, wrap
from fastrenyi._check import index_told
from fastrenyi._conversions import moved
from fastrenyi._errors import NotPositiveSemidefiniteError

__all__ = [
    "TRACE_TOLERANCE", "below_zero", "beyond_rounding", "ends_in_samples", "gram", "gram_contents", "layer", "maps",
    "not_rows", "positive_diagonal", "spectrum", "sum_one", "verdict",
]  # fmt: skip

_LEAST_JUDGED = 8  # as least_judged of csrc/ops/entropy.hpp
TRACE_TOLERANCE = {"float64": 1e-8, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}
"""How far the trace of a Gram may be from one, and mirrored entries apart, by the dtype that it was made in."""


def maps(x: Array) -> tuple[Array, Home]:
    """Accept the Grams (C, n, n) of a layer's feature maps."""
    x = _check.adopt(x, "maps")
    home = gram(x, "maps")
    if x.ndim != 3 or x.shape[0] == 0:
        _check.value_error("maps", "Grams of shape (C, n, n) with C >= 1", f"shape {tuple(x.shape)}")
    return x, home


def layer(given: Array, target: Array) -> tuple[Array, Array, Home]:
    """Accept the Grams (C, n, n) of a layer's feature maps and the one (n, n) of a target, of one home."""
    found, home = maps(given)
    target = _check.adopt(target, "target")
    _check.same_home(gram(target, "target"), "target", home, "maps")
    if target.shape != found.shape[1:]:
        _check.value_error("target", f"one Gram of shape {tuple(found.shape[1:])}", f"shape {tuple(target.shape)}")
    return found, target, home


def not_rows(x: object, name: str) -> None:
    """Refuse a matrix in lists, of which no row is a Gram."""
    rows = x if isinstance(x, (list, tuple)) else [x]
    if all(isinstance(row, (list, tuple)) and all(isinstance(item, numbers.Number) for item in row) for row in rows):
        _check.kind_error(name, "a Gram, or a sequence of Grams", "a list of rows", f"pass numpy.asarray({name})")


def gram(x: Array, name: str) -> Home:
    """Accept (..., n, n) real matrices; ``gram_contents`` looks at the numbers."""
    home = _check.real(x, name)
    shape = tuple(x.shape)
    if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] == 0:
        _check.value_error(
            name, "square matrices of shape (..., n, n) with n >= 1", f"shape {shape}",
            "make Grams of samples with fastrenyi.gram",
        )  # fmt: skip
    return home


def _differing(value: float, expected: float) -> str:
    """Return a number for a message in which it is to be told from another one."""
    difference = value - expected
    if abs(difference) < 1e-3 * abs(expected):
        return f"{expected:.6g} {'-' if difference < 0 else '+'} {abs(difference):.2g}"
    return f"{value:.6g}"


def gram_contents(x: Array, name: str, *, trace_one: bool = True) -> Values:
    """Accept symmetric finite matrices, of trace one unless told otherwise, and return them as a NumPy array.

    What is wrong by the precision of their dtype is judged by that of their numbers. Nothing is looked at where
    ``settings`` say so.
    """
    values = wrap(x)
    if not _check.LOOKING.get():
        return values

    def first_fault(dtype: str) -> tuple[str, int, float] | None:
        return _core.gram_fault(_check.flat_batch(values, 2), TRACE_TOLERANCE[dtype], trace_one, _backend.threads())

    fault = first_fault(home_of(x).dtype)
    if fault is not None:
        fault = first_fault(made_in(x).dtype)
    if fault is None:
        return values
    kind, index, value = fault
    if kind == "not finite":
        _check.value_error(
            name, "finite numbers", f"{value} at index {index_told(index, values.shape)}", "clean the data first"
        )
    if kind == "asymmetric":
        at = np.unravel_index(index, values.shape)
        mirrored = float(values[(*at[:-2], at[-1], at[-2])])
        _check.value_error(
            name, "symmetric matrices",
            f"{_differing(value, mirrored)} at index {index_told(index, values.shape)} and {mirrored:.6g} mirrored",
            f"take the mean of the matrix and its transpose, ({name} + {name}.swapaxes(-1, -2)) / 2",
        )  # fmt: skip
    where = "" if values.ndim == 2 else f" at index {index_told(index, values.shape[:-2])}"
    _check.value_error(
        name, "Grams of trace one", f"a trace of {_differing(value, 1.0)}{where}",
        f"pass fastrenyi.normalize({name}) of a kernel matrix, "
        f"{name} / {name}.diagonal(0, -2, -1).sum(-1)[..., None, None] of a Gram that has lost its trace, "
        "or make Grams of samples with fastrenyi.gram",
    )  # fmt: skip


def sum_one(x: Array, name: str, expected: str) -> None:
    """Refuse numbers (..., n) whose sum is not one, by the precision of their dtype or that they were made in."""
    total = np.asarray(wrap(x).sum(-1, dtype=np.float64))

    def wrong(dtype: str) -> Values:
        return abs(total - 1) > TRACE_TOLERANCE[dtype]

    if wrong(home_of(x).dtype).any() and (found := wrong(made_in(x).dtype)).any():
        got = f"a sum of {_differing(float(total.flat[int(found.argmax())]), 1.0)}"
        _check.value_error(name, f"{expected} of sum one", got, f"pass {name} / {name}.sum(-1)[..., None]")


def below_zero(n: int, epsilon: float) -> float:
    """Return the share of the largest eigenvalue by which rounding may put one below zero."""
    return max(n, _LEAST_JUDGED) * epsilon


def spectrum(x: Array, name: str) -> float:
    """Accept spectra (..., n) of sum one, in any order, and return the epsilon that their rounding is judged by."""
    if not _check.LOOKING.get():
        return home_of(x).epsilon
    values = wrap(x)
    _check.finite(values, name)
    sum_one(x, name, "eigenvalues")
    for home in (home_of(x), made_in(x)):
        wrong = values < -below_zero(values.shape[-1], home.epsilon) * values.max(-1, keepdims=True, initial=0)
        if not wrong.any():
            return home.epsilon
    index = int(wrong.argmax())
    lowest, where = float(values.flat[index]), index_told(index, values.shape)
    raise NotPositiveSemidefiniteError(
        f"{name}: expected eigenvalues that are not negative, got {lowest:.6g} at index {where}, "
        f"below what rounding of {home.dtype} explains",
        lowest,
    )


def ends_in_samples(a: Array, b: Array, name: str, purpose: str) -> None:
    """Refuse Grams (..., n, n) that both end in a row of zeros, as padded ones do, where all rows are to be samples."""
    if not (has_numbers(a) and has_numbers(b) and _check.LOOKING.get()):
        return
    last = [np.asarray(wrap(gram[..., -1:, -1:])) for gram in (a, b)]
    if ((last[0] == 0) & (last[1] == 0)).any():
        _check.value_error(
            name, f"Grams whose rows are all of samples, which {purpose}", "rows of zeros at the end of both",
            "of padded Grams pass what counts of each set, [:n, :n]",
        )  # fmt: skip


def positive_diagonal(diagonal: Values, name: str) -> None:
    """Refuse kernel matrices with an entry on the diagonal (..., n) that is not above zero."""
    wrong = ~(diagonal > 0)
    if wrong.any():
        index = np.unravel_index(int(wrong.argmax()), wrong.shape)
        where = index_told(int(wrong.argmax()), wrong.shape)
        _check.value_error(
            name, "kernel matrices with a positive diagonal", f"{diagonal[index]:g} for the sample at index {where}",
            "leave that sample out",
        )  # fmt: skip


def verdict(found: Verdict, name: str, shape: tuple[int, ...]) -> None:
    """Raise what a kernel found: an indefinite matrix or a product of trace zero. ``shape`` is the batch shape."""
    if found is None:
        return
    kind, index, value = found
    where = f" at index {index_told(index, shape)}" if shape else ""
    if kind == "indefinite":
        expected = "positive semidefinite matrices"
        raise NotPositiveSemidefiniteError(
            f"{name}: expected {expected}, got an eigenvalue of {value:.6g}{where}", value
        )
    _check.value_error(name, "Grams whose entrywise product has a positive trace", f"a product of trace zero{where}")


def beyond_rounding(found: NotPositiveSemidefiniteError, home: Home) -> NoReturn:
    """Raise what a kernel found of matrices that were made in the dtype of this home.

    A lower dtype is the way out where its rounding explains the eigenvalue, also after a cast to it: of half its
    epsilon, as the largest eigenvalue is at least 1/n.
    """
    way_out = "make Grams of samples with fastrenyi.gram, or clip similarities with fastrenyi.normalize(k, clip=True)"
    for dtype in reversed(BITS):
        lower = home.with_dtype(dtype)
        known = home.library == "torch" or dtype != "bfloat16"
        if known and lower.epsilon > home.epsilon and -found.eigenvalue <= lower.epsilon / 2:
            written = moved(home, "a", lower)
            way_out = f"if the numbers were made in {dtype}, pass each Gram a as {written}, else {way_out}"
            break
    message = f"{found}, below what rounding of {home.dtype} explains; {way_out}"
    raise NotPositiveSemidefiniteError(message, found.eigenvalue)
