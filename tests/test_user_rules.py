"""A rule for widths that a user has written: served where numbers are there, refused with the way out elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
from fastrenyi import _backend
from fastrenyi.bandwidths import Bandwidth


class Range(Bandwidth):
    """The largest difference in any feature."""

    def _widths(self, x: Any, kernel: Any) -> Any:
        return np.ptp(np.asarray(x, dtype=np.float64), axis=1).max(axis=1)


def test_for_numpy(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 7, 2))
    widths = np.ptp(x, axis=1).max(axis=1)
    np.testing.assert_array_equal(fr.gram(x, bandwidth=Range()), fr.gram(x, bandwidth=widths))


def test_for_tensors_with_a_gradient(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(rng.normal(size=(7, 2)), requires_grad=True)
    width = float(np.ptp(x.detach().numpy(), axis=0).max())
    found, expected = (torch.autograd.grad(fr.gram(x, bandwidth=w).square().sum(), x)[0] for w in (Range(), width))
    torch.testing.assert_close(found, expected)


def test_refused_where_numbers_are_not_there(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(rng.normal(size=(2, 7, 2)))
    with pytest.raises(NotImplementedError, match=r"^bandwidth: expected .*, got Range; find the widths before"):
        torch.vmap(lambda x: fr.gram(x, bandwidth=Range()))(x)
    torch._dynamo.reset()
    with pytest.raises(Exception, match="got Range; find the widths before"):
        torch.compile(lambda x: fr.gram(x, bandwidth=Range()), fullgraph=True, backend="aot_eager")(x)


def test_refused_on_devices(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastrenyi._emulated")
    monkeypatch.setitem(_backend.MODULES, "cpu", "_emulated")
    with pytest.raises(
        TypeError, match=r"^bandwidth: expected a rule of fastrenyi .*, got Range; find the widths before"
    ):
        fr.gram(rng.normal(size=(7, 2)), bandwidth=Range())
