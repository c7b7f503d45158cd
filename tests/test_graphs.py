"""Grams of graphs: SciPy's functions of matrices, a published value, what is known of them, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
import reference
from conftest import HALVES, Draw, Nx, refused, with_value
from family import RELATIVE

W = np.array([[0, 0.9, 0.1, 0.2], [0.9, 0, 0.1, 0.1], [0.1, 0.1, 0, 0.7], [0.2, 0.1, 0.7, 0]])
SETTINGS: list[dict[str, Any]] = [
    {}, {"t": 3.0}, {"t": 1e-9}, {"kernel": "matern"}, {"kernel": "matern", "nu": 2.5, "kappa": 3.0},
    {"kernel": "matern", "nu": 0.3, "kappa": 0.1},
]  # fmt: skip


def weights(draw: Draw, *shape: int) -> np.ndarray:
    w = draw.rng.uniform(size=shape)
    return w + w.swapaxes(-1, -2)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_graph_gram(settings: dict[str, Any], nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    w = nx.array(weights(draw, *batch, 6, 6))
    found = nx.values(fr.graph_gram(w, **settings))
    values = nx.values(w)
    assert found.shape == values.shape
    for at in np.ndindex(*batch):
        expected = reference.graph_gram(values[at], **settings)
        np.testing.assert_allclose(found[at], expected, rtol=RELATIVE[nx.dtype], atol=RELATIVE[nx.dtype] / 10)
    np.testing.assert_array_equal(found, found.swapaxes(-1, -2))


@pytest.mark.parametrize("nx_half", HALVES, ids=str)
def test_half_precision(nx_half: Nx, draw: Draw) -> None:
    w = weights(draw, 5, 5)
    expected = reference.graph_gram(nx_half.rounded(w))
    found = nx_half.values(fr.graph_gram(nx_half.array(w)))
    np.testing.assert_allclose(found, expected, atol=RELATIVE[nx_half.dtype])


def test_kernel_language_entropy() -> None:
    assert fr.entropy(fr.graph_gram(W, t=0.3), 1, math.e) == pytest.approx(1.355737158346, abs=1e-10)


def test_what_is_known_of_graphs(draw: Draw) -> None:
    """Without edges nodes have nothing in common; after a long time each component is one node."""
    for kernel in ("heat", "matern"):
        np.testing.assert_allclose(fr.graph_gram(np.zeros((4, 4)), kernel), np.eye(4) / 4)
        assert fr.graph_gram(np.array([[5.0]]), kernel) == 1
    parted = np.kron(np.eye(2), np.ones((3, 3)))
    for late in (fr.graph_gram(parted, t=1e6), fr.graph_gram(parted, "matern", kappa=1e9)):
        np.testing.assert_allclose(late, parted / 6, atol=1e-12)
        assert fr.entropy(late, 1) == pytest.approx(1)
    w = weights(draw, 5, 5)
    np.testing.assert_allclose(fr.graph_gram(w - np.diag(np.diag(w))), fr.graph_gram(w), rtol=1e-11)
    np.testing.assert_allclose(fr.graph_gram(np.asfortranarray(w)[::-1, ::-1]), fr.graph_gram(w)[::-1, ::-1])


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_scale_and_extreme_settings(scale: float) -> None:
    np.testing.assert_allclose(fr.graph_gram(W * scale, t=0.3 / scale), fr.graph_gram(W, t=0.3), rtol=1e-9)
    root = math.sqrt(scale)
    np.testing.assert_allclose(
        fr.graph_gram(W * scale, "matern", kappa=1 / root), fr.graph_gram(W, "matern"), rtol=1e-9
    )
    for settings in ({"t": 1e308}, {"t": 1e-320}, {"kernel": "matern", "nu": 1e-320}, {"kernel": "matern", "nu": 1e300},
                     {"kernel": "matern", "kappa": 1e300}, {"kernel": "matern", "kappa": 1e-320}):  # fmt: skip
        found = fr.graph_gram(W * scale, **settings)  # type: ignore[arg-type]
        np.testing.assert_allclose(np.diag(found), 0.25)
        assert 0 <= fr.entropy(found, 1) <= 2 + 1e-12


def test_under_transforms_and_compilers(draw: Draw) -> None:
    w = torch.tensor(weights(draw, 3, 4, 4))
    expected = fr.graph_gram(w)
    torch.testing.assert_close(torch.vmap(fr.graph_gram)(w), expected)
    torch.testing.assert_close(torch.compile(fr.graph_gram, fullgraph=True, backend="aot_eager")(w), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(fr.graph_gram(w.float()), expected.float())
    assert "detach" in refused(TypeError, "w", lambda: fr.graph_gram(w.clone().requires_grad_()))
    refused(TypeError, "w", lambda: torch.func.grad(lambda v: fr.graph_gram(v).sum())(w))


def test_what_is_wrong_is_refused() -> None:
    for kind in (None, W.tolist(), W.astype(int), W * 1j):
        refused(TypeError, "w", lambda kind=kind: fr.graph_gram(kind))
    for wrong in (W[0], W[:, :3], np.zeros((0, 0)), with_value(W, np.nan, (1, 2)), with_value(W, 0.8, (1, 0))):
        refused(ValueError, "w", lambda wrong=wrong: fr.graph_gram(wrong))
    negative = np.stack([W, W])
    negative[1, 0, 2] = negative[1, 2, 0] = -0.1
    assert "(1, 0, 2)" in refused(ValueError, "w", lambda: fr.graph_gram(negative))
    refused(ValueError, "kernel", lambda: fr.graph_gram(W, "laplacian"))
    refused(TypeError, "kernel", lambda: fr.graph_gram(W, None))  # type: ignore[arg-type]
    assert "leave it out" in refused(ValueError, "t", lambda: fr.graph_gram(W, "matern", t=0.3))
    refused(ValueError, "nu", lambda: fr.graph_gram(W, nu=1.0))
    refused(ValueError, "kappa", lambda: fr.graph_gram(W, kappa=1.0))
