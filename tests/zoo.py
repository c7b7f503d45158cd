"""What an argument may be by mistake: values of every kind, for each of which a message has to name the argument."""

from __future__ import annotations

import datetime
import decimal
import fractions
import math
import sys
import warnings
from typing import Any

import numpy as np


class _Refuses:
    """Refuses to be asked for anything."""

    def __array__(self, dtype: object = None, copy: object = None) -> Any:
        raise RuntimeError("no")

    def __len__(self) -> int:
        raise RuntimeError("no length")


class _Number:
    def __float__(self) -> float:
        return 1.5


def of_python() -> list[Any]:
    """Values of the language and its library."""
    return [
        None, True, False, 0, 1, -1, 2, 3.5, -0.0, math.nan, math.inf, -math.inf, 10**20, 10**400, -(10**400), 10**5000,
        sys.maxsize, 1e-320, 1j, "", "x", "a\0b", b"x", [], [1], [[1, 2]], [[1], [2, 3]], (), {}, set(), object(),
        print, _Refuses(), _Number(), range(3), decimal.Decimal("1.5"), fractions.Fraction(1, 3),
        fractions.Fraction(10**400), datetime.date(2026, 1, 1), len, type, iter([1]), slice(None), Ellipsis,
        NotImplemented, ValueError("no"),
    ]  # fmt: skip


def of_numpy() -> list[Any]:
    """Arrays and numbers of NumPy."""
    return [
        np.array(1.0), np.float32(2), np.float64(math.nan), np.int64(3), np.bool_(True), np.array([1.0]),
        np.array([[1.0]]), np.array([]), np.empty((0, 3)), np.empty((3, 0)), np.zeros((2, 2)), np.eye(3), np.eye(6) / 6,
        np.full((6, 6), math.nan), np.array("a"), np.array(["a"]), np.array([None]), np.array([[1j]]),
        np.ma.masked_array([1.0], [True]), np.datetime64("2026-01-01"), np.array([("a", 1)], dtype="U1,i4"),
    ]  # fmt: skip


def of_torch(torch: Any) -> list[Any]:
    """Tensors of every layout, and what only looks like one."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        fake = torch.ones(3, 3)
    return [
        torch.tensor(1.0), torch.tensor([1.0, 2.0]), torch.tensor(True), torch.eye(3), torch.empty(0), fake,
        torch.ones(2, 2, dtype=torch.complex64), torch.ones(2, 2, device="meta"), torch.eye(2).to_sparse(),
        torch.nested.nested_tensor([torch.ones(2, 2), torch.ones(3, 2)], layout=torch.jagged),
        torch.nested.nested_tensor([torch.ones(2, 2), torch.ones(3, 2)]),
    ]  # fmt: skip


def every() -> list[Any]:
    """All of the above that this environment can make."""
    found = [*of_python(), *of_numpy()]
    try:
        import torch
    except ModuleNotFoundError:
        return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are a prototype
        return [*found, *of_torch(torch)]
