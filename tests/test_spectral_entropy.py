"""Entropies of spectra that are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
import reference
import tolerances
from conftest import HALVES, Draw, Nx, refused

ORDERS = [0, 0.5, 0.9, 1, 1.01, 1.5, 2, 5, 100, math.inf]


def spectra(draw: Draw, *shape: int) -> np.ndarray:
    """Positive numbers of sum one, in no order."""
    return draw.rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])


def expected(w: np.ndarray, orders: list[float], base: float = 2) -> np.ndarray:
    rows = w.reshape(-1, w.shape[-1])
    found = [[reference.spectrum_entropy(row, order, base) for order in orders] for row in rows]
    return np.array(found).reshape(*w.shape[:-1], len(orders))


def test_against_the_reference(nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    w = nx.array(spectra(draw, *batch, 3, 7))
    found = nx.values(fr.entropy_of_spectrum(w, ORDERS))
    tolerances.assert_bits(found, expected(nx.values(w), ORDERS), nx.dtype, ORDERS, n=7)
    one = nx.values(fr.entropy_of_spectrum(w, 2, math.e))
    tolerances.assert_bits(one, expected(nx.values(w), [2], math.e)[..., 0], nx.dtype)


@pytest.mark.parametrize("nx_half", HALVES, ids=str)
def test_half_precision(nx_half: Nx, draw: Draw) -> None:
    w = spectra(draw, 4, 7)
    found = nx_half.values(fr.entropy_of_spectrum(nx_half.array(w), [1, 2]))
    tolerances.assert_bits(found, expected(w, [1, 2]), nx_half.dtype)


def test_one_spectrum_and_what_it_is_the_entropy_of(draw: Draw) -> None:
    a = draw.grams(2, 6)
    np.testing.assert_allclose(fr.entropy_of_spectrum(fr.spectrum(a), ORDERS), fr.entropy(a, ORDERS), atol=1e-12)
    assert fr.entropy_of_spectrum(np.array([1.0])) == 0
    assert fr.entropy_of_spectrum(np.array([0.0, 1.0, 0.0]), 1) == 0
    assert fr.entropy_of_spectrum(np.array([0.5, 0.0, 0.5]), 0) == 1
    assert fr.entropy_of_spectrum(np.empty((0, 3))).shape == (0,)
    single = spectra(draw, 9).astype(np.float32)
    assert fr.entropy_of_spectrum(single.astype(np.float64)) == pytest.approx(fr.entropy_of_spectrum(single), abs=1e-6)


def test_rounding_below_zero_is_zero() -> None:
    assert fr.entropy_of_spectrum(np.array([-1e-16, 0.5, 0.5]), 1) == pytest.approx(1)


def test_what_is_refused(nx_dtype: Nx) -> None:
    right = np.full((2, 4), 0.25)
    for kind in [None, right.tolist(), right.astype(int), "w"]:
        refused(TypeError, "w", lambda kind=kind: fr.entropy_of_spectrum(kind))
    for shape in [(0,), (3, 0)]:
        refused(ValueError, "w", lambda shape=shape: fr.entropy_of_spectrum(nx_dtype.array(np.ones(shape))))
    refused(ValueError, "w", lambda: fr.entropy_of_spectrum(np.array(1.0)))
    for value, word in [(np.nan, "(1, 2)"), (np.inf, "(1, 2)"), (0.5, "w / w.sum")]:
        bad = right.copy()
        bad[1, 2] = value
        assert word in refused(ValueError, "w", lambda bad=bad: fr.entropy_of_spectrum(nx_dtype.array(bad)))
    bad = right.copy()
    bad[1] = [0.75, -0.25, 0.25, 0.25]
    with pytest.raises(fr.NotPositiveSemidefiniteError, match=r"w: .* -0.25 at index \(1, 1\)") as caught:
        fr.entropy_of_spectrum(nx_dtype.array(bad))
    assert caught.value.eigenvalue == -0.25
    refused(ValueError, "alpha", lambda: fr.entropy_of_spectrum(nx_dtype.array(right), -1))
    refused(ValueError, "base", lambda: fr.entropy_of_spectrum(nx_dtype.array(right), base=1))


# ------------------------------------------------------------------------------------------------- tensors


def call(x: Any) -> Any:
    return fr.entropy_of_spectrum(x.softmax(-1), [0.5, 1, 1.01, 2, 3, math.inf]).sum(-1)


def test_gradients(draw: Draw) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(draw.samples(2, 5), requires_grad=True)
    assert torch.autograd.gradcheck(call, (x,))
    w = torch.tensor(spectra(draw, 5), requires_grad=True)
    (found,) = torch.autograd.grad(fr.entropy_of_spectrum(w, 2), w)
    p = w.detach()
    slope = -2 * (p / p.square().sum() - 1) / math.log(2)
    torch.testing.assert_close(found, slope)
    assert float((found * p).sum()) == pytest.approx(0, abs=1e-12)  # the scale of w does not count


def test_gradients_at_zero_are_finite() -> None:
    torch = pytest.importorskip("torch")
    for order in ORDERS:
        w = torch.tensor([0.0, 0.5, 0.5, 0.0], dtype=torch.float64, requires_grad=True)
        (found,) = torch.autograd.grad(fr.entropy_of_spectrum(w, order), w)
        assert found.isfinite().all()
        if order == 2:
            np.testing.assert_allclose(found, np.array([2, 0, 0, 2]) / math.log(2), atol=1e-12)


def test_under_transforms_and_compilers(draw: Draw) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(draw.samples(3, 5))
    one = x[0].clone().requires_grad_()
    (expected,) = torch.autograd.grad(call(one), one)
    torch.testing.assert_close(torch.func.grad(call)(x[0]), expected)
    torch.testing.assert_close(torch.vmap(torch.func.grad(call))(x)[0], expected)
    torch.testing.assert_close(torch.vmap(call, in_dims=1)(x.T), call(x))
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    (found,) = torch.autograd.grad(compiled(one), one)
    torch.testing.assert_close(found, expected)


def test_on_a_device(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on a GPU, on its kernels emulated on the host."""
    pytest.importorskip("fastrenyi._emulated")
    torch = pytest.importorskip("torch")
    w = torch.tensor(spectra(draw, 2, 3, 7), requires_grad=True)
    right = fr.entropy_of_spectrum(w, ORDERS)
    (slope,) = torch.autograd.grad(right.sum(), w)
    monkeypatch.setitem(fr._backend.MODULES, "cpu", "_emulated")  # type: ignore[attr-defined]
    found = fr.entropy_of_spectrum(w, ORDERS)
    torch.testing.assert_close(found, right)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), w)[0], slope)
    refused(ValueError, "w", lambda: fr.entropy_of_spectrum(2 * w.detach()))


def test_second_derivatives_are_refused() -> None:
    import torch

    w = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(fr.entropy_of_spectrum(w, 2), w, create_graph=True)
    with pytest.raises(NotImplementedError, match="entropy_of_spectrum: expected one backward pass"):
        grad.sum().backward()
