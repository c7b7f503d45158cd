"""Gradients in the modes of PyTorch that change what an operation may do: compilers, forward mode, autocast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch.ops  # noqa: E402
from fastrenyi.torch import losses  # noqa: E402


@pytest.fixture
def leaf(rng: np.random.Generator) -> Callable[..., Any]:
    return lambda *shape: torch.tensor(rng.normal(size=shape), requires_grad=True)


# Compilers: a fake promises the strides that inductor's code relies on ------------------------------------------------


@pytest.mark.parametrize("kind", ["gaussian", "laplacian", "polynomial", "cosine"])
def test_slopes_of_maps_lie_as_promised(kind: str, leaf: Callable[..., Any]) -> None:
    maps = leaf(6, 3, 2, 2).detach()
    grams = fr.channel_grams(maps, fr.Polynomial(1, 1.0) if kind == "polynomial" else kind)
    arguments = (torch.ones_like(grams), maps, "maps", None, 1.0, grams, kind, 1, 1.0, 1.0)
    torch.library.opcheck(torch.ops.fastrenyi.gram_slope, arguments)


def test_pools_lie_as_promised(leaf: Callable[..., Any]) -> None:
    x, y = leaf(3, 6).detach().mT, leaf(3, 5).detach().mT
    torch.library.opcheck(torch.ops.fastrenyi.pooled, (x, y))


def test_entropies_lie_as_promised(leaf: Callable[..., Any]) -> None:
    a, b = fr.gram(leaf(3, 1, 5, 2)).detach(), fr.gram(leaf(4, 5, 2)).detach()
    arguments = ([a, b], "a|b", [0, -1, 1, -1], "a|b", [], [1.01, 2.0], 1.0, False)
    torch.library.opcheck(torch.ops.fastrenyi.entropies, arguments)


@pytest.mark.parametrize("every", [True, False])
def test_slopes_of_pairs_lie_as_promised(every: bool, leaf: Callable[..., Any]) -> None:
    maps, target = fr.gram(leaf(3, 5, 2)).detach(), fr.gram(leaf(5, 2)).detach()
    ops = torch.ops.fastrenyi
    grads = [torch.ones_like(part) for part in ops.pairs(maps, target, every, [1.01], 1.0)]
    turned = maps.movedim(0, 2).contiguous().movedim(2, 0)  # the same Grams, a dense array in another order
    torch.library.opcheck(ops.pairs_backward, (*grads, turned, target, every, [1.01], 1.0))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's own modules
def test_by_inductor(leaf: Callable[..., Any]) -> None:
    torch._dynamo.reset()
    loss = losses.TotalCorrelationLoss(bandwidth=1.0)
    z = leaf(7, 3)
    found, expected = (torch.autograd.grad(f(z).exp(), z)[0] for f in (torch.compile(loss, fullgraph=True), loss))
    torch.testing.assert_close(found, expected)
