"""Gradients in the modes of PyTorch that change what an operation may do: compilers, forward mode, autocast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch.ops  # noqa: E402
from fastrenyi import _slopes  # noqa: E402
from fastrenyi.torch import gradients, losses  # noqa: E402


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


# Batches of nothing ---------------------------------------------------------------------------------------------------

EMPTY: dict[str, Callable[[Any], Any]] = {
    "entropy": lambda x: fr.entropy(fr.gram(x)),
    "orders": lambda x: fr.entropy(fr.gram(x), [0.5, 2, 100, float("inf")]),
    "order 2": lambda x: fr.mutual_information(fr.gram(x), fr.gram(torch.ones(5, 1).double()), alpha=2),
    "joint": lambda x: fr.joint_entropy(fr.gram(x), fr.gram(torch.ones(5, 1).double())),
    "divergence": lambda x: fr.divergence(x, x[:, :3]),
    "spectrum": lambda x: fr.spectrum(fr.gram(x)),
    "cosine": lambda x: fr.gram(x, "cosine"),
    "laplacian": lambda x: fr.gram(x, "laplacian"),
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_batch_has_an_empty_gradient(name: str, leaf: Callable[..., Any]) -> None:
    x = leaf(0, 5, 2)
    EMPTY[name](x).sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("order", [65.0, 1e9, 1e300, float("inf")])
def test_slopes_for_devices_are_the_same_at_high_orders(order: float, rng: np.random.Generator) -> None:
    """Those of a device's tensors are PyTorch's to compute; they are the compiled ones' twins."""
    matrices = [np.diag(rng.uniform(0.1, 1, size=5)), np.eye(5) / 5, np.diag([1.0, 0, 0, 0, 0])]
    a = torch.tensor(np.stack(matrices))
    values, v = torch.linalg.eigh(a)
    weights = torch.tensor(rng.normal(size=(3, 2)))
    found = gradients._slopes_of(values, weights, [order, 2.0], 2.0**-52, 1.0)
    expected = _slopes.of_joints(a.numpy(), weights.numpy(), [order, 2.0], 2.0**-52, 1.0)
    torch.testing.assert_close((v * found[:, None, :]) @ v.mT, torch.from_numpy(expected), rtol=1e-9, atol=1e-9)
