"""Kernels called with two sets of samples, and as other libraries call them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
import reference
from conftest import HALVES, Draw, Nx, refused

KERNELS: dict[str, tuple[Any, Any]] = {
    "gaussian": (fr.Gaussian(1.5), lambda u, v: math.exp(-np.sum((u - v) ** 2) / 4.5)),
    "laplacian": (fr.Laplacian(1.5), lambda u, v: math.exp(-np.sum(abs(u - v)) / 1.5)),
    "polynomial": (fr.Polynomial(2, 0.5, 1.0), lambda u, v: (u @ v / 2 + 1) ** 2),
    "cosine": (fr.Cosine(), lambda u, v: u @ v / math.sqrt((u @ u) * (v @ v))),
    "linear": (fr.Linear(), lambda u, v: u @ v),
    "linear of units": (fr.Linear(normalized=True), lambda u, v: u @ v / math.sqrt((u @ u) * (v @ v))),
    "delta": (fr.Delta(), lambda u, v: float((u == v).all())),
}
ROUGH = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-2, "bfloat16": 2e-1}


def expected(k: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    x, y = (np.broadcast_to(v, (*batch, *v.shape[-2:])) for v in (x, y))
    found = [[[k(u, v) for v in y[at]] for u in x[at]] for at in np.ndindex(*batch)]
    return np.array(found).reshape(*batch, x.shape[-2], y.shape[-2])


@pytest.mark.parametrize("name", KERNELS)
def test_against_the_formula(name: str, nx: Nx, draw: Draw) -> None:
    kernel, k = KERNELS[name]
    x, y = draw.samples(2, 1, 4, 3), draw.samples(5, 6, 3)
    y[:, 2] = x[0, 0, 1]
    x, y = nx.array(x), nx.array(y)
    found = nx.values(kernel(x, y))
    np.testing.assert_allclose(found, expected(k, nx.values(x), nx.values(y)), rtol=0, atol=10 * ROUGH[nx.dtype])
    alone = nx.values(kernel(x[0, 0]))
    np.testing.assert_allclose(alone, expected(k, *2 * [nx.values(x)[0, 0]]), rtol=0, atol=10 * ROUGH[nx.dtype])
    np.testing.assert_allclose(alone, alone.T, rtol=1e-6)


@pytest.mark.parametrize("nx_half", HALVES, ids=str)
def test_half_precision(nx_half: Nx, draw: Draw) -> None:
    x, y = nx_half.array(draw.samples(4, 3) / 2), nx_half.array(draw.samples(6, 3) / 2)
    for kernel, k in KERNELS.values():
        found = nx_half.values(kernel(x, y))
        right = expected(k, nx_half.values(x), nx_half.values(y))
        np.testing.assert_allclose(found, right, rtol=ROUGH[nx_half.dtype], atol=ROUGH[nx_half.dtype])


@pytest.mark.parametrize("name", KERNELS)
def test_normalised_it_is_the_gram(name: str, draw: Draw) -> None:
    kernel, _ = KERNELS[name]
    x = draw.samples(7, 3)
    k = kernel(x)
    right = k / np.trace(k) if name == "linear" else fr.normalize(k)
    np.testing.assert_allclose(fr.gram(x, kernel), right, rtol=0, atol=1e-13)


def test_one_sample_and_labels(draw: Draw) -> None:
    x, y = draw.samples(4, 3), draw.samples(6, 3)
    k = fr.Gaussian(1.5)
    whole = k(x, y)
    np.testing.assert_allclose(k(x[1], y), whole[1])
    np.testing.assert_allclose(k(x, y[2]), whole[:, 2])
    assert k(x[1], y[2]) == pytest.approx(whole[1, 2])
    assert k(x[1]) == 1
    np.testing.assert_array_equal(fr.Delta()(np.array([0, 1]), np.array([1, 1, 2])), [[0, 0, 0], [1, 1, 0]])


def test_far_from_the_origin_no_digit_is_lost(draw: Draw) -> None:
    x, y = draw.samples(4, 3), draw.samples(5, 3)
    np.testing.assert_allclose(fr.Gaussian(1.0)(x + 2.0**30, y + 2.0**30), fr.Gaussian(1.0)(x, y), rtol=1e-5)
    assert fr.Gaussian(1e-3)(x + 1e6, x[:2] + 1e6)[0, 0] == 1


def test_what_is_learnt_is_learnt_of_the_second(draw: Draw) -> None:
    x, y = draw.samples(4, 3), draw.samples(9, 3)
    for rule, width in [
        ("median", reference.median(y)),
        ("silverman", reference.silverman(9, 3)),
        (fr.NearestNeighbours(3), reference.neighbours(y, 3)),
    ]:
        np.testing.assert_allclose(fr.Gaussian(rule)(x, y), fr.Gaussian(width)(x, y), rtol=1e-12)
        np.testing.assert_allclose(fr.Gaussian(rule)(y), fr.Gaussian(width)(y), rtol=1e-12)
    mean = y.mean(0)
    np.testing.assert_allclose(fr.Linear("samples")(x, y), (x - mean) @ (y - mean).T, atol=1e-12)
    both = [v - mean - (v - mean).mean(1, keepdims=True) for v in (x, y)]
    np.testing.assert_allclose(fr.Linear("both")(x, y), both[0] @ both[1].T, atol=1e-12)
    widths = np.array([1.0, 2.0])
    found = fr.Gaussian(widths)(x, np.stack([y, y]))
    np.testing.assert_allclose(found, [fr.Gaussian(1.0)(x, y), fr.Gaussian(2.0)(x, y)])


@pytest.mark.parametrize("name", sorted(KERNELS.keys() - {"delta"}))
def test_gradients(name: str, draw: Draw) -> None:
    kernel, _ = KERNELS[name]
    x, y = (torch.tensor(draw.samples(2, n, 3), requires_grad=True) for n in (3, 4))
    assert torch.autograd.gradcheck(kernel, (x, y))
    found = torch.vmap(kernel)(x.detach(), y.detach())
    torch.testing.assert_close(found, kernel(x.detach(), y.detach()))
    compiled = torch.compile(lambda x: kernel(x, y).sum(), fullgraph=True, backend="aot_eager")
    (slope,) = torch.autograd.grad(kernel(x, y).sum(), x)
    torch.testing.assert_close(torch.autograd.grad(compiled(x), x)[0], slope)


def test_of_a_width_that_is_a_tensor(draw: Draw) -> None:
    x = torch.tensor(draw.samples(5, 3))
    width = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: fr.Gaussian(w)(x, x[:2]), (width,))


def test_what_is_refused(nx_dtype: Nx, draw: Draw) -> None:
    k = fr.Gaussian(1.0)
    x, y = nx_dtype.array(draw.samples(4, 3)), nx_dtype.array(draw.samples(5, 3))
    for kind in [None, "x", 3]:
        refused(TypeError, "x", lambda kind=kind: k(kind, y))
    refused(TypeError, "y", lambda: k(x, "y"))
    refused(ValueError, "y", lambda: k(x, y[:, :2]))
    refused(ValueError, "x", lambda: k(x[:0], y))
    refused(ValueError, "y", lambda: k(nx_dtype.array(np.ones((2, 4, 3))), nx_dtype.array(np.ones((3, 4, 3)))))
    for place, name in ((0, "x"), (1, "y")):
        given = [draw.samples(4, 3), draw.samples(4, 3)]
        given[place][2, 1] = np.nan
        assert "(2, 1)" in refused(ValueError, name, lambda given=given: k(*map(nx_dtype.array, given)))
        given[place][2] = 0
        refused(ValueError, name, lambda given=given: fr.Cosine()(*map(nx_dtype.array, given)))
    refused(ValueError, "bandwidth", lambda: fr.Gaussian("median")(nx_dtype.array(np.ones((3, 2)))))
    refused(ValueError, "side", lambda: fr.Linear(side="features")(x, y))


# ------------------------------------------------------------------------------------------- scikit-learn


def test_settings_are_got_and_set() -> None:
    k = fr.Polynomial(2)
    assert k.get_params() == {"degree": 2, "gamma": None, "coef0": 1.0}
    assert k.set_params(degree=3, gamma=0.5) is k
    assert k == fr.Polynomial(3, 0.5)
    refused(ValueError, "degree", lambda: k.set_params(degree=0))
    assert "degree, gamma, coef0" in refused(ValueError, "width", lambda: k.set_params(width=1))
    assert k == fr.Polynomial(3, 0.5)
    assert fr.Gaussian("median").get_params(deep=True) == {"bandwidth": "median"}


@pytest.fixture
def digits() -> tuple[np.ndarray, np.ndarray]:
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(n_class=3, return_X_y=True)
    return x[:150] / 16.0, y[:150]


def test_in_a_support_vector_machine(digits: tuple[np.ndarray, np.ndarray]) -> None:
    from sklearn.base import clone
    from sklearn.svm import SVC

    x, y = digits
    theirs = SVC(kernel="rbf", gamma=0.5 / 2.0**2).fit(x[:100], y[:100])
    ours = clone(SVC(kernel=fr.Gaussian(2.0))).fit(x[:100], y[:100])
    np.testing.assert_allclose(
        ours.decision_function(x[100:]),
        theirs.decision_function(x[100:]),
        atol=2e-3,  # both stop at a tolerance
    )
    assert SVC(kernel=fr.Gaussian("median")).fit(x[:100], y[:100]).score(x[100:], y[100:]) > 0.9
    assert clone(fr.Gaussian(fr.Median(0.5))) == fr.Gaussian(fr.Median(0.5))


def test_in_a_search_and_in_a_pipeline(digits: tuple[np.ndarray, np.ndarray]) -> None:
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    x, y = digits
    given = fr.Gaussian(1.0)
    model = make_pipeline(StandardScaler(), SVC(kernel=given))
    found = GridSearchCV(model, {"svc__kernel__bandwidth": [1e-3, 8.0]}, cv=3).fit(x, y)
    assert found.best_params_ == {"svc__kernel__bandwidth": 8.0}
    assert given == fr.Gaussian(1.0)


def test_in_other_kernel_methods(digits: tuple[np.ndarray, np.ndarray]) -> None:
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.metrics.pairwise import pairwise_kernels

    x, y = digits
    x, y = x[:30], y[:30]
    np.testing.assert_allclose(pairwise_kernels(x, metric=fr.Gaussian(2.0)), fr.Gaussian(2.0)(x), rtol=1e-12)
    ours = KernelRidge(kernel=fr.Laplacian(2.0)).fit(x[:20], y[:20])
    theirs = KernelRidge(kernel="laplacian", gamma=0.5).fit(x[:20], y[:20])
    np.testing.assert_allclose(ours.predict(x[20:]), theirs.predict(x[20:]), rtol=1e-9)


def test_on_a_device(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on a GPU, on its kernels emulated on the host."""
    pytest.importorskip("fastrenyi._emulated")
    x, y = torch.from_numpy(draw.samples(2, 4, 3)), torch.from_numpy(draw.samples(2, 5, 3))
    kernels = [*(kernel for kernel, _ in KERNELS.values()), fr.Gaussian("median"), fr.Linear("both", normalized=True)]
    expected = [kernel(x, y) for kernel in kernels]
    monkeypatch.setitem(fr._backend.MODULES, "cpu", "_emulated")  # type: ignore[attr-defined]
    for kernel, right in zip(kernels, expected, strict=True):
        torch.testing.assert_close(kernel(x, y), right)
    y[1, 2] = 0
    refused(ValueError, "y", lambda: fr.Cosine()(x, y))
