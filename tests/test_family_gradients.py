"""Effective numbers, log-determinants and comparisons of Grams: gradients, transforms, compilers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
from conftest import Draw, refused
from family import ONE, SAMPLES, TWO, D, N, gaussians, similarities

FACTOR = torch.from_numpy(np.random.default_rng(5).normal(size=(4, 4)))


def gram_of(f: torch.Tensor) -> torch.Tensor:
    k = f @ f.mT + torch.eye(f.shape[-1], dtype=f.dtype) / 2
    return k / k.diagonal(0, -2, -1).sum(-1)[..., None, None]


DIFFERENTIABLE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    **{name: call for name, (call, _) in SAMPLES.items()},
    "thin": lambda x: fr.participation_ratio(x[..., :2]) + fr.logdet_entropy(x[..., :2], 3.0),
    "wide": lambda x: fr.stable_rank(x[..., :2, :]) + fr.coding_rate(x[..., :2, :]),
    "lidar": lambda x: fr.lidar(torch.stack([x, x * x], -2)),
    "lidar of few": lambda x: fr.lidar(torch.stack([x, x * x, x + x.sin()], -2)[..., :2, :, :], 0.1),
    "infonce": lambda x: fr.infonce(x, x * x + 1, 0.7),
    "effective_rank": lambda x: fr.effective_rank(gram_of(x), [0.5, 1, 2]).sum(-1),
    "effective_rank power": lambda x: fr.effective_rank(gram_of(x), [1, 2], power=0.5).sum(-1),
    "vendi_score": lambda x: fr.vendi_score(4 * fr.normalize(gram_of(x)), [1, 2]).sum(-1),
    "vendi_score p": lambda x: fr.vendi_score(4 * fr.gram(x, bandwidth=1.0), p=x[..., 0, :].softmax(-1)),
    "alignment": lambda x: fr.alignment(gram_of(x), gram_of(x * x)),
    "alignment centered": lambda x: fr.alignment(gram_of(x), gram_of(x * x), centered=True),
    "cauchy_schwarz_information": lambda x: fr.cauchy_schwarz_information(
        fr.gram(x, bandwidth=1.0), fr.gram(x * x, bandwidth=2.0)
    ),
    "cauchy_schwarz_information normalized": lambda x: fr.cauchy_schwarz_information(
        fr.gram(x, bandwidth=1.0), fr.gram(x * x, bandwidth=2.0), normalized=True
    ),
    "relative_entropy": lambda x: fr.relative_entropy(gram_of(x), gram_of(x * x)),
    "relative_entropy of one": lambda x: fr.relative_entropy(gram_of(FACTOR.to(x)), gram_of(x)),
    "cauchy_schwarz_divergence": lambda x: fr.cauchy_schwarz_divergence(x, x * x + 1, bandwidth=2.0),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients(name: str, draw: Draw) -> None:
    x = torch.tensor(draw.samples(2, 4, 4), requires_grad=True)
    assert torch.autograd.gradcheck(DIFFERENTIABLE[name], (x,))


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_under_transforms_and_compilers(name: str, draw: Draw) -> None:
    call = DIFFERENTIABLE[name]
    x = torch.tensor(draw.samples(3, 4, 4))
    one = x[0].clone().requires_grad_()
    (expected,) = torch.autograd.grad(call(one), one)
    torch.testing.assert_close(torch.func.grad(call)(x[0]), expected)
    torch.testing.assert_close(torch.vmap(torch.func.grad(call))(x)[0], expected)
    torch.testing.assert_close(torch.vmap(call, in_dims=1)(x.movedim(0, 1)), call(x))
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    (found,) = torch.autograd.grad(compiled(one), one)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_inside_autocast(name: str, draw: Draw) -> None:
    if "gram_of" in DIFFERENTIABLE[name].__code__.co_names:
        pytest.skip("its Grams are the test's own products")
    x = torch.tensor(draw.samples(4, 4), dtype=torch.float32, requires_grad=True)
    expected = DIFFERENTIABLE[name](x)
    (slope,) = torch.autograd.grad(expected, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = DIFFERENTIABLE[name](x)
        (gradient,) = torch.autograd.grad(found, x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradient, slope, rtol=1e-2, atol=1e-3)


def test_gradients_where_eigenvalues_are_zero_or_the_same(draw: Draw) -> None:
    z = torch.tensor(draw.samples(6, 2), requires_grad=True)
    values = [
        fr.effective_rank(fr.gram(z, "linear"), power=0.5),
        fr.logdet_entropy(z.T),
        fr.participation_ratio(z),
        fr.vendi_score(torch.ones(6, 6, dtype=torch.float64) * z.exp().sum() / z.detach().exp().sum()),
        fr.relative_entropy(fr.gram(z, "linear"), fr.gram(z, "linear")),
        fr.alignment(fr.gram(z, "linear"), torch.full((6, 6), 1 / 6, dtype=torch.float64), centered=True),
    ]
    for value in values:
        (found,) = torch.autograd.grad(value, z, allow_unused=True, retain_graph=True)
        assert found is None or found.isfinite().all()
    zeros = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(fr.logdet_entropy(zeros) + fr.coding_rate(zeros), zeros)
    assert not found.any()


def test_on_a_device(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on a GPU, on its kernels emulated on the host: the same numbers and the same errors."""
    pytest.importorskip("fastrenyi._emulated")
    x, a, b, k = draw.samples(2, N, D), gaussians(draw, 2, N), gaussians(draw, 2, N), similarities(draw, 2, N)
    calls: list[Callable[[Callable[[Any], Any]], Any]] = [
        *(lambda on, f=f: f(on(x)) for f, _ in SAMPLES.values()),
        *(lambda on, f=f, g=k if make is similarities else a: f(on(g)) for f, _, make in ONE.values()),
        *(lambda on, f=f: f(on(a), on(b)) for f, _ in TWO.values()),
        lambda on: fr.cauchy_schwarz_divergence(on(x), on(x + 1), bandwidth=1.0),
        lambda on: fr.vendi_score(on(k), p=[1 / N] * N),
        lambda on: fr.gram(on(x), fr.Linear("both", normalized=True)),
    ]
    bad = x.copy()
    bad[1, 2, 3] = np.nan
    expected = [call(np.asarray) for call in calls]
    x_t = torch.tensor(x, requires_grad=True)
    slopes = {name: torch.autograd.grad(f(x_t[:, :4, :4]).sum(), x_t)[0] for name, f in DIFFERENTIABLE.items()}
    monkeypatch.setitem(fr._backend.MODULES, "cpu", "_emulated")  # type: ignore[attr-defined]
    for call, right in itertools.zip_longest(calls, expected):
        for on in (np.asarray, torch.tensor):
            np.testing.assert_allclose(call(on), right, rtol=1e-9, atol=1e-10)
    for name, f in DIFFERENTIABLE.items():
        (found,) = torch.autograd.grad(f(x_t[:, :4, :4]).sum(), x_t)
        torch.testing.assert_close(found, slopes[name], rtol=1e-7, atol=1e-8)
    assert "(1, 2, 3)" in refused(ValueError, "x", lambda: fr.participation_ratio(bad))
    refused(ValueError, "b", lambda: fr.relative_entropy(np.diag([0.5, 0.5]), np.diag([1.0, 0])))
