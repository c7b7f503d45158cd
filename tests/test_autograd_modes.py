"""Gradients in the modes of PyTorch that change what an operation may do: compilers, forward mode, autocast."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fastrenyi as fr  # noqa: E402
from fastrenyi._ops import backward  # noqa: E402
from fastrenyi.grams import channels  # noqa: E402
from fastrenyi.torch import losses  # noqa: E402
from fastrenyi.torch.ops import _joints  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit")  # PyTorch uses it itself


@pytest.fixture
def leaf(rng: np.random.Generator) -> Callable[..., Any]:
    return lambda *shape: torch.tensor(rng.normal(size=shape), requires_grad=True)


# Compilers: a fake promises the strides that inductor's code relies on ------------------------------------------------


@pytest.mark.parametrize("kind", ["gaussian", "laplacian", "polynomial", "cosine"])
def test_slopes_of_maps_have_the_strides_of_their_fakes(kind: str, leaf: Callable[..., Any]) -> None:
    maps = leaf(6, 3, 2, 2).detach()
    grams = fr.channel_grams(maps, fr.Polynomial(1, 1.0) if kind == "polynomial" else kind)
    arguments = (torch.ones_like(grams), channels(maps), None, grams, 1.0, kind, 1, 1.0, 1.0)
    torch.library.opcheck(torch.ops.fastrenyi.gram_backward, arguments)


def test_entropies_have_the_strides_of_their_fakes(leaf: Callable[..., Any]) -> None:
    a, b = fr.gram(leaf(3, 1, 5, 2)).detach(), fr.gram(leaf(4, 5, 2)).detach()
    arguments = ([a, b], "a|b", [0, -1, 1, -1], "a|b", [], [1.01, 2.0], 1.0, False)
    torch.library.opcheck(torch.ops.fastrenyi.entropies, arguments)


@pytest.mark.parametrize("most", [None, 2, 0])
def test_slopes_of_pairs_have_the_strides_of_their_fakes(most: int | None, leaf: Callable[..., Any]) -> None:
    maps, target = fr.gram(leaf(3, 5, 2)).detach(), fr.gram(leaf(5, 2)).detach()
    ops = torch.ops.fastrenyi
    torch.library.opcheck(ops.sample_pairs, (maps, most, 3))
    index, _ = ops.sample_pairs(maps, most, 3)
    torch.library.opcheck(ops.pairs, (maps, target, index, [1.01, 2.0], 1.0))
    torch.library.opcheck(ops.permuted_pairs, (maps, target, index, 2, 0, [1.01], 1.0))
    grads = [torch.ones_like(part) for part in ops.pairs(maps, target, index, [1.01], 1.0)]
    turned = maps.movedim(0, 2).contiguous().movedim(2, 0)  # the same Grams, a dense array in another order
    torch.library.opcheck(ops.pairs_backward, (*grads, turned, target, index, [1.01], 1.0))


@pytest.mark.filterwarnings("ignore:Skipping serialization")  # 2.6 itself
def test_by_inductor(leaf: Callable[..., Any]) -> None:
    torch._dynamo.reset()
    loss = losses.TotalCorrelationLoss(bandwidth=1.0)
    z = leaf(7, 3)
    found, expected = (torch.autograd.grad(f(z).exp(), z)[0] for f in (torch.compile(loss, fullgraph=True), loss))
    torch.testing.assert_close(found, expected)


def test_compiled_once_for_any_number_of_samples(leaf: Callable[..., Any]) -> None:
    torch._dynamo.reset()
    counter = importlib.import_module("torch._dynamo.testing").CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(lambda x: fr.gram(x).square().sum(), fullgraph=True, dynamic=True, backend=counter)
    counts = []  # a compiler may begin again within the first call
    for n in range(20, 30):
        x = leaf(n, 3)
        found, expected = (torch.autograd.grad(value, x)[0] for value in (compiled(x), fr.gram(x).square().sum()))
        torch.testing.assert_close(found, expected)
        counts.append(counter.frame_count)
    assert counts == counts[:1] * 10


# Batches of nothing ---------------------------------------------------------------------------------------------------

EMPTY: dict[str, Callable[[Any], Any]] = {
    "entropy": lambda x: fr.entropy(fr.gram(x)),
    "orders": lambda x: fr.entropy(fr.gram(x), [0.5, 2, 100, float("inf")]),
    "order 2": lambda x: fr.mutual_information(fr.gram(x), fr.gram(torch.ones(5, 1).double()), alpha=2),
    "all empty": lambda x: fr.mutual_information(fr.gram(x), fr.gram(x + 1), alpha=2),
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
    found = _joints.slopes_of(values, weights, [order, 2.0], 2.0**-52, 1.0)
    expected = backward.of_joints(a.numpy(), weights.numpy(), [order, 2.0], 2.0**-52, 1.0)
    torch.testing.assert_close((v * found[:, None, :]) @ v.mT, torch.from_numpy(expected), rtol=1e-9, atol=1e-9)


# Forward mode, which would lose the tangent without a word ------------------------------------------------------------

CONSTANT = torch.linspace(-1, 1, 10).double().reshape(5, 2)
FORWARD: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "gram": ("gram", lambda x: fr.gram(x, bandwidth=1.0)),
    "width": ("gram", lambda x: fr.gram(CONSTANT, bandwidth=x.square().sum())),
    "cosine": ("gram", lambda x: fr.gram(x, "cosine")),
    "channel_grams": ("gram", lambda x: fr.channel_grams(x)),
    "entropy": ("entropy", lambda x: fr.entropy(x @ x.mT / (x * x).sum())),
    "spectrum": ("spectrum", lambda x: fr.spectrum(x @ x.mT)),
    "divergence": ("gram", lambda x: fr.divergence(x, x[:3])),
    "layer_decomposition": (
        "layer_decomposition",
        lambda x: fr.layer_decomposition((x @ x.mT / (x * x).sum()).expand(2, 5, 5), fr.gram(CONSTANT)).entropy,
    ),
    "leave_one_out": (
        "layer_decomposition",
        lambda x: fr.leave_one_out((x @ x.mT / (x * x).sum()).expand(2, 5, 5), fr.gram(CONSTANT)).without,
    ),
}


def forwards(f: Callable[[Any], Any], x: Any) -> dict[str, Callable[[], Any]]:
    """Return the ways of forward mode through f."""
    ones, jvp = torch.ones_like(x), torch.func.jvp

    def dual() -> Any:
        with torch.autograd.forward_ad.dual_level():
            return f(torch.autograd.forward_ad.make_dual(x, ones))

    return {
        "dual": dual,
        "jvp": lambda: jvp(f, (x,), (ones,)),
        "jacfwd": lambda: torch.func.jacfwd(f)(x),
        "mapped within": lambda: jvp(torch.vmap(f), (x[None],), (ones[None],)),
        "mapped": lambda: torch.vmap(lambda x: jvp(f, (x,), (ones,))[1])(x[None]),
        "of the outer": lambda: jvp(lambda y: jvp(lambda z: f(y) * z.sum(), (x,), (ones,))[1], (x,), (ones,)),
        "under a map of others": lambda: jvp(lambda y: torch.vmap(lambda z: f(y) * z)(x), (x,), (ones,)),
    }


@pytest.mark.parametrize("way", forwards(lambda x: x, CONSTANT))
@pytest.mark.parametrize("name", FORWARD)
def test_forward_mode_is_refused(name: str, way: str, leaf: Callable[..., Any]) -> None:
    public, f = FORWARD[name]
    for x in (leaf(5, 2).detach(), leaf(5, 2)):
        with pytest.raises(NotImplementedError, match=rf"^{public}: expected .*, got .*forward mode.*; use backward"):
            forwards(f, x)[way]()


@pytest.mark.parametrize("way", ["dual", "jvp"])
def test_forward_mode_is_refused_by_compiled_code(way: str, leaf: Callable[..., Any]) -> None:
    torch._dynamo.reset()
    x = leaf(5, 2).detach()
    compiled = torch.compile(lambda x: fr.entropy(fr.gram(x)), backend="aot_eager")
    assert compiled(x).isfinite()
    with pytest.raises(NotImplementedError, match=r"^gram: .*forward mode"):
        forwards(compiled, x)[way]()


def test_forward_mode_over_a_backward_pass_is_refused(leaf: Callable[..., Any]) -> None:
    a = leaf(5, 2)
    for found, message in (
        (fr.gram(a), "gram"),
        (fr.entropy(fr.gram(a)), "entropy"),
        (fr.spectrum(fr.gram(a)), "spec"),
    ):
        with torch.autograd.forward_ad.dual_level():
            start = torch.ones_like(found)
            dual = torch.autograd.forward_ad.make_dual(start, start)
            with pytest.raises(NotImplementedError, match=f"^{message}"):
                torch.autograd.grad(found, a, dual)


def test_tensors_without_a_tangent_are_measured_under_forward_mode(leaf: Callable[..., Any]) -> None:
    """Where a level is open, tensors without a tangent are measured as ever."""
    x = leaf(5, 2)
    with torch.autograd.forward_ad.dual_level():
        assert fr.entropy(fr.gram(x)).item() == fr.entropy(fr.gram(x)).item()
        fr.divergence(x, x).backward()
    y = x.detach()
    _, tangent = torch.func.jvp(
        lambda z: z.sum() * fr.spectrum(fr.gram(y.sin())).sum(), (y,), (torch.ones(5, 2).double(),)
    )
    assert tangent.item() == pytest.approx(10)


# Autocast, which takes products of matrices in half precision ---------------------------------------------------------

SLOPES: dict[str, Callable[[Any], Any]] = {
    "gaussian": lambda x: fr.gram(x, bandwidth=2.0),
    "cosine": lambda x: fr.gram(x, "cosine"),
    "polynomial": lambda x: fr.gram(x, fr.Polynomial(3)),
    "spectrum": lambda x: fr.spectrum(fr.gram(x)),
    "entropy": lambda x: fr.entropy(fr.gram(x), [1.01, 100]),
    "divergence": lambda x: fr.divergence(x, x[:4]),
    "layer_decomposition": lambda x: fr.layer_decomposition(fr.channel_grams(x), fr.gram(x)).tradeoff,
    "leave_one_out": lambda x: fr.leave_one_out(fr.channel_grams(x), fr.gram(x)).without,
    "layer_decomposition of some pairs": lambda x: (
        fr.layer_decomposition(fr.channel_grams(x), fr.gram(x), null=2, max_pairs=2).tradeoff
    ),
}


@pytest.mark.parametrize("name", SLOPES)
def test_a_backward_pass_inside_autocast_is_the_same(name: str, rng: np.random.Generator) -> None:
    x = torch.tensor(rng.normal(size=(8, 3)), dtype=torch.float32, requires_grad=True)
    weights = torch.tensor(rng.normal(size=SLOPES[name](x).shape), dtype=torch.float32)
    (expected,) = torch.autograd.grad((SLOPES[name](x) * weights).sum(), x)
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = torch.autograd.grad((SLOPES[name](x) * weights).sum(), x)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian", "cosine", fr.Polynomial(3)], ids=str)
def test_a_backward_pass_with_a_graph_inside_autocast_is_the_same(kernel: Any, rng: np.random.Generator) -> None:
    """The second backward pass is of PyTorch's own operations, and as theirs is wherever it runs."""
    x = torch.tensor(rng.normal(size=(8, 3)), dtype=torch.float32, requires_grad=True)
    weights = torch.tensor(rng.normal(size=(8, 8)), dtype=torch.float32)
    found = []
    for enabled in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            (slope,) = torch.autograd.grad((fr.gram(x, kernel) * weights).sum(), x, create_graph=True)
        found.append((slope.detach(), *torch.autograd.grad(slope.square().sum(), x)))
    torch.testing.assert_close(*found)


def test_compiled_inside_autocast_is_the_same(rng: np.random.Generator) -> None:
    torch._dynamo.reset()
    x = torch.tensor(rng.normal(size=(8, 3)), dtype=torch.float32, requires_grad=True)
    compiled = torch.compile(lambda x: fr.gram(x, "cosine").square().sum(), fullgraph=True, backend="aot_eager")
    (expected,) = torch.autograd.grad(fr.gram(x, "cosine").square().sum(), x)
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = torch.autograd.grad(compiled(x), x)
    torch.testing.assert_close(found, expected)


# Tracers, and those that look at the graph of autograd ----------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_a_trace_depends_on_its_input(leaf: Callable[..., Any]) -> None:
    x, y = leaf(6, 3).detach(), leaf(6, 3).detach()
    for f in (lambda x: fr.entropy(fr.gram(x, bandwidth=1.0)), lambda x: fr.spectrum(fr.gram(x, bandwidth=1.0))):
        torch.testing.assert_close(torch.jit.trace(f, (x,), check_trace=False)(y), f(y))


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # dynamo's own look at a loss
def test_a_compiled_backward_pass(leaf: Callable[..., Any]) -> None:
    torch._dynamo.reset()
    x = leaf(6, 3)
    (expected,) = torch.autograd.grad(fr.entropy(fr.gram(x, bandwidth=1.0), alpha=2), x)
    loss = fr.entropy(fr.gram(x, bandwidth=1.0), alpha=2)
    with torch._dynamo.config.patch(compiled_autograd=True):
        torch.compile(lambda: loss.backward(), backend="aot_eager")()
    torch.testing.assert_close(x.grad, expected)


def test_nodes_have_names(leaf: Callable[..., Any]) -> None:
    assert fr.gram(leaf(6, 3), bandwidth=1.0).grad_fn.name() == "fastrenyi_gramBackward"
