"""The curvature of a path: what is known of it, and what is refused. The reference is in test_family."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import fastrenyi as fr
from conftest import Draw, refused, with_value


def test_what_is_known_of_curvature() -> None:
    line = np.arange(5.0)[:, None] * [1.0, 2.0]
    assert fr.curvature(line) == pytest.approx(0, abs=1e-15)
    assert fr.curvature(line[[0, 1, 0, 1]]) == pytest.approx(math.pi)
    turns = np.exp(2j * np.pi * np.arange(13) / 12)
    assert fr.curvature(np.stack([turns.real, turns.imag], 1)) == pytest.approx(math.pi / 6)


@pytest.mark.parametrize("angle", [1e-12, 1e-9, 1e-5])
def test_small_angles_keep_their_digits(angle: float) -> None:
    path = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, angle]])
    assert fr.curvature(path) == pytest.approx(angle, rel=1e-9)


def test_steps_of_length_zero_do_not_count() -> None:
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    assert fr.curvature(square[[0, 1, 2, 2, 2]]) == pytest.approx(math.pi / 2)
    assert fr.curvature(square[[0, 0, 1, 1, 2]]) == fr.curvature(square[[0, 0, 0]]) == 0
    x = torch.tensor(np.stack([square[[0, 0, 1, 1]], square, 0 * square, square[[0, 1, 0, 1]]]), requires_grad=True)
    (found,) = torch.autograd.grad(fr.curvature(x).sum(), x)
    assert found.isfinite().all()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_scale_and_place(scale: float, draw: Draw) -> None:
    x = draw.samples(6, 4)
    assert fr.curvature(scale * x) == pytest.approx(fr.curvature(x), rel=1e-9)
    assert fr.curvature(x + 1e6) == pytest.approx(fr.curvature(x), rel=1e-6)
    assert fr.curvature(x[::-1].T.copy().T) == pytest.approx(fr.curvature(x), rel=1e-12)


def test_wrong_paths(draw: Draw) -> None:
    for kind in (None, "x", [[1.0]], np.eye(3, dtype=int), np.eye(3) * 1j):
        refused(TypeError, "x", lambda kind=kind: fr.curvature(kind))
    for shape in ((3,), (2, 4), (0, 3), (3, 0)):
        refused(ValueError, "x", lambda shape=shape: fr.curvature(np.ones(shape)))
    x = draw.samples(2, 4, 3)
    assert "(1, 2, 0)" in refused(ValueError, "x", lambda: fr.curvature(with_value(x, np.nan, (1, 2, 0))))
