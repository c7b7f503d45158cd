"""Gradients by ``torch.func``, alone, mapped over and over maps, against those of ``torch.autograd``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fastrenyi as fr  # noqa: E402
from test_gradients import MAPPED  # noqa: E402

NAMES = pytest.mark.parametrize("name", MAPPED)
AXES = pytest.mark.parametrize("axes", [(0, None), (1, 2), (None, 0)], ids=str)
BOTH = (0, 1)


@pytest.fixture
def samples(rng: np.random.Generator) -> Callable[..., Any]:
    return lambda *shape: torch.tensor(np.abs(rng.normal(size=shape)) + 0.1)


@pytest.fixture
def scalar(rng: np.random.Generator) -> Callable[[str], Callable[..., Any]]:
    """Return one of the functions, weighed to one number."""

    def weighed(name: str) -> Callable[..., Any]:
        seed = int(rng.integers(1000))

        def f(x: Any, y: Any) -> Any:
            found = MAPPED[name](x, y)
            return (found * torch.tensor(np.random.default_rng(seed).normal(size=found.shape))).sum()

        return f

    return weighed


def by_autograd(f: Callable[..., Any], x: Any, y: Any) -> tuple[Any, Any]:
    x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
    value = f(x, y)
    found = torch.autograd.grad(value, (x, y), allow_unused=True) if value.requires_grad else (None, None)
    return tuple(torch.zeros_like(v) if slope is None else slope for v, slope in zip((x, y), found, strict=True))


def close(found: Any, expected: Any) -> None:
    torch.testing.assert_close(tuple(found), tuple(expected), rtol=1e-6, atol=1e-9)


@NAMES
def test_grad(name: str, scalar: Callable[..., Any], samples: Callable[..., Any]) -> None:
    f, x, y = scalar(name), samples(6, 3), samples(6, 3)
    expected = by_autograd(f, x, y)
    close(torch.func.grad(f, argnums=BOTH)(x, y), expected)
    close(torch.func.grad(f, argnums=BOTH)(x.requires_grad_(), y), expected)


@NAMES
def test_the_value_is_the_same(name: str, scalar: Callable[..., Any], samples: Callable[..., Any]) -> None:
    f, x, y = scalar(name), samples(6, 3), samples(6, 3)
    slope, value = torch.func.grad_and_value(f)(x, y)
    torch.testing.assert_close(value, f(x, y))
    torch.testing.assert_close(slope, by_autograd(f, x, y)[0], rtol=1e-6, atol=1e-9)


@AXES
@NAMES
def test_a_gradient_for_each(
    name: str, axes: tuple[Any, Any], scalar: Callable[..., Any], samples: Callable[..., Any]
) -> None:
    """With respect to what each has of its own, and to what they share."""
    f = scalar(name)
    singles = [[samples(6, 3) for _ in range(3)] for _ in BOTH]
    x, y = (part[0] if axis is None else torch.stack(part, dim=axis) for part, axis in zip(singles, axes, strict=True))
    found = torch.vmap(torch.func.grad(f, argnums=BOTH), in_dims=axes)(x, y)
    alone = [
        by_autograd(f, *(part[0 if axis is None else k] for part, axis in zip(singles, axes, strict=True)))
        for k in range(3)
    ]
    close(found, (torch.stack(part) for part in zip(*alone, strict=True)))


@AXES
@NAMES
def test_the_gradient_of_a_map(
    name: str, axes: tuple[Any, Any], scalar: Callable[..., Any], samples: Callable[..., Any]
) -> None:
    f = scalar(name)
    x, y = (samples(6, 3) if axis is None else samples(6, 3, 2).movedim(2, axis) for axis in axes)

    def mapped(x: Any, y: Any) -> Any:
        return torch.vmap(f, in_dims=axes)(x, y).sum()

    close(torch.func.grad(mapped, argnums=BOTH)(x, y), by_autograd(mapped, x, y))


@NAMES
def test_jacobians(name: str, samples: Callable[..., Any]) -> None:
    f, x, y = MAPPED[name], samples(5, 2), samples(5, 2)
    found = torch.func.jacrev(f, argnums=BOTH)(x, y)
    close(found, torch.autograd.functional.jacobian(f, (x, y)))


def test_jacobians_of_orders_and_of_grams(samples: Callable[..., Any]) -> None:
    """One reduction serves all orders and both Grams; 100 is one that eigenvectors serve."""
    x, y = samples(5, 2), samples(3, 5, 2)

    def f(x: Any, y: Any) -> Any:
        a, b = fr.gram(x, bandwidth=1.0), fr.gram(y, bandwidth=2.0)
        return torch.stack([fr.mutual_information(a, b, alpha=k) for k in (0.5, 1, 2, 100)])

    expected = torch.autograd.functional.jacobian(f, (x, y))
    close(torch.func.jacrev(f, argnums=BOTH)(x, y), expected)
    # each y with a gradient with respect to the x that they share
    found = torch.vmap(torch.func.jacrev(f, argnums=BOTH), in_dims=(None, 0))(x, y)
    to_y = expected[1].diagonal(dim1=1, dim2=2).movedim(-1, 0)
    torch.testing.assert_close(found[0].movedim(0, 1), expected[0], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(found[1], to_y, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian", "cosine", fr.Polynomial(3)], ids=str)
def test_second_derivatives_of_grams(kernel: Any, samples: Callable[..., Any]) -> None:
    def f(x: Any) -> Any:
        return fr.gram(x, kernel).square().sum()

    x = samples(4, 2)
    close((torch.func.jacrev(torch.func.grad(f))(x),), (torch.autograd.functional.hessian(f, x),))


@pytest.mark.parametrize("name", ["information", "cosine", "layer"])
def test_second_derivatives_of_spectra_are_refused(
    name: str, scalar: Callable[..., Any], samples: Callable[..., Any]
) -> None:
    f = scalar(name)
    with pytest.raises(NotImplementedError, match="second"):
        torch.func.grad(lambda x: torch.func.grad(f)(x, samples(6, 3)).sum())(samples(6, 3))


def test_levels_outside_have_gradients_of_their_own(scalar: Callable[..., Any], samples: Callable[..., Any]) -> None:
    """The value that a transformation passes on, and what was closed over, are differentiable outside of it."""
    f, x, y = scalar("information"), samples(6, 3).requires_grad_(), samples(6, 3).requires_grad_()
    _, value = torch.func.grad_and_value(f)(x, y)
    close(torch.autograd.grad(value, (x, y)), by_autograd(f, x, y))
    _, value = torch.func.grad_and_value(lambda x: torch.func.grad_and_value(f, argnums=1)(x, y)[1])(x)
    close(torch.autograd.grad(value, (x, y)), by_autograd(f, x, y))
    found = torch.func.grad(lambda y: torch.func.grad_and_value(lambda x: f(x, y))(x)[1])(y)
    torch.testing.assert_close(found, by_autograd(f, x, y)[1])


def information(x: Any, y: Any) -> Any:
    return fr.mutual_information(fr.gram(x, bandwidth=1.0), fr.gram(y, bandwidth=1.0))


@pytest.mark.parametrize("mapped", [False, True])
def test_compiled_without_a_break(mapped: bool, samples: Callable[..., Any]) -> None:
    torch._dynamo.reset()
    x, y = samples(2, 6, 3), samples(6, 3)
    slope = torch.func.grad(information)
    if mapped:
        found = torch.compile(torch.vmap(slope, in_dims=(0, None)), fullgraph=True, backend="aot_eager")(x, y)
        close(found, (by_autograd(information, one, y)[0] for one in x))
    else:
        found = torch.compile(slope, fullgraph=True, backend="aot_eager")(x[0], y)
        torch.testing.assert_close(found, by_autograd(information, x[0], y)[0])


def test_second_derivatives_compiled(samples: Callable[..., Any]) -> None:
    torch._dynamo.reset()

    def f(x: Any) -> Any:
        return fr.gram(x, bandwidth=1.5).square().sum()

    def along(x: Any) -> Any:
        return torch.func.grad(lambda x: torch.func.grad(f)(x).square().sum())(x)

    x = samples(4, 2)
    torch.testing.assert_close(torch.compile(along, fullgraph=True, backend="aot_eager")(x), along(x))


def test_second_derivatives_of_spectra_are_refused_by_compiled_code(samples: Callable[..., Any]) -> None:
    torch._dynamo.reset()
    x, y = samples(4, 2), samples(4, 2)
    twice = torch.func.grad(lambda x: torch.func.grad(information)(x, y).sum())
    with pytest.raises(Exception, match="second"):
        torch.compile(twice, fullgraph=True, backend="aot_eager")(x)


@pytest.mark.parametrize("name", ["information", "divergence"])
def test_batches_of_gradients_of_entropies_are_refused(name: str, samples: Callable[..., Any]) -> None:
    x, y = samples(5, 2), samples(5, 2)
    with pytest.raises(NotImplementedError, match=r": expected one gradient at a time, got .*; use torch.func.jacrev"):
        torch.autograd.functional.jacobian(MAPPED[name], (x, y), vectorize=True)


@pytest.mark.parametrize("kernel", ["gaussian", "cosine"])
def test_batches_of_gradients_of_grams(kernel: str, samples: Callable[..., Any]) -> None:
    x = samples(5, 2)
    found, expected = (
        torch.autograd.functional.jacobian(lambda x: fr.gram(x, kernel), x, vectorize=each) for each in (True, False)
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
@pytest.mark.parametrize("place", ["outlier", "clusters", "narrow", "huge"])
def test_no_digit_is_lost(place: str, kernel: str, rng: np.random.Generator) -> None:
    """In float32, where gradients by products of matrices would have few digits left, or none."""
    x, width = torch.tensor(rng.normal(size=(24, 3)), dtype=torch.float32), 1.0
    if place == "outlier":
        x[-1] = 1e5
    elif place == "clusters":
        x[12:] += 1e4
    else:
        x, width = (x, 1e-39) if place == "narrow" else (x * 3e37, 3e37)

    def f(x: Any) -> Any:
        return fr.entropy(fr.gram(x, kernel, width), alpha=2)

    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(f(leaf), leaf)
    (with_graph,) = torch.autograd.grad(f(leaf), leaf, create_graph=True)
    assert expected.isfinite().all()
    for found in (torch.func.grad(f)(x), with_graph, torch.vmap(torch.func.grad(f))(x[None])[0]):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=0.0)
