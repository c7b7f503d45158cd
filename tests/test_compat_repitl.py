"""fastrenyi.compat.repitl against the formulas of repitl, written here."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
import fastrenyi.compat.repitl as itl
from conftest import Draw, refused
from fastrenyi.compat.repitl import difference_of_entropies, divergences, kernel_utils, matrix_itl

torch = pytest.importorskip("torch")
ORDERS = [0.5, 1, 1.01, 2, 5]


@pytest.fixture(autouse=True)
def _unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_itl, "_SAID", set())


def renyi(k: np.ndarray, alpha: float) -> float:
    """In nats, of any trace."""
    p = np.linalg.eigvalsh(k)
    p = p[p > 1e-14] / p.sum()
    return float(-np.sum(p * np.log(p)) if alpha == 1 else np.log(np.sum(p**alpha)) / (1 - alpha))


def kernels(draw: Draw, count: int, n: int = 8) -> list[np.ndarray]:
    """Of unit diagonal."""
    return [n * draw.grams(n) for _ in range(count)]


@pytest.mark.parametrize("alpha", ORDERS)
def test_entropies(alpha: float, draw: Draw) -> None:
    x, y = kernels(draw, 2)
    joint = x * y
    for given in (lambda k: k, torch.from_numpy):
        for found, expected in [
            (itl.matrixAlphaEntropy(given(x), alpha), renyi(x, alpha)),
            (itl.matrixAlphaEntropy(given(x / 3), alpha if alpha != 2 else 3), renyi(x, alpha if alpha != 2 else 3)),
            (itl.matrixAlphaJointEntropy([given(x), given(y)], alpha), renyi(joint, alpha)),
            (itl.matrixAlphaConditionalEntropy(given(x), given(y), alpha), renyi(joint, alpha) - renyi(y, alpha)),
            (
                itl.matrixAlphaMutualInformation(given(x), given(y), alpha),
                renyi(x, alpha) + renyi(y, alpha) - renyi(joint, alpha),
            ),
            (itl.generalizedInformationPotential(given(x), alpha), np.sum((np.linalg.eigvalsh(x) / 8) ** alpha)),
        ]:
            assert float(found) == pytest.approx(expected, abs=1e-6 if alpha < 1 else 1e-10)
    assert float(itl.frobeniusGIP(x)) == pytest.approx(np.sum(x**2) / 64)


def test_von_neumann(draw: Draw) -> None:
    (x,) = kernels(draw, 1)
    values = np.linalg.eigvalsh(x)
    assert itl.vonNeumannEntropy(x) == pytest.approx(renyi(x, 1))
    assert itl.vonNeumannEigenValues(values) == pytest.approx(renyi(x, 1))
    few = np.concatenate([np.full(5, values[:5].mean()), values[5:]])
    assert itl.vonNeumannEntropy(x, True, 3) == pytest.approx(renyi(np.diag(few), 1))
    most = np.concatenate([[values[0]], values[1:]])
    assert itl.vonNeumannEigenValues(values[::-1].copy(), True) == pytest.approx(renyi(np.diag(most), 1))
    half = np.concatenate([np.full(4, values[:4].mean()), values[4:]])
    assert itl.vonNeumannEigenValues(values[::-1].copy(), True, 0.5) == pytest.approx(renyi(np.diag(half), 1))


def test_order_two_of_matrices_of_trace_one(draw: Draw) -> None:
    """repitl's own number, by its formula, is -log(|K|^2 / n^2), which is right of unit diagonals alone."""
    x, y = kernels(draw, 2)
    right = -math.log(np.sum((x / 8) ** 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert itl.matrixAlphaEntropy(x, 2) == pytest.approx(right)
    with pytest.warns(UserWarning, match=r"divides by n\^2 = 64") as told:
        assert itl.matrixAlphaEntropy(x / 8, 2) == pytest.approx(right)
    assert told[0].filename == __file__
    assert -math.log(np.sum((x / 8) ** 2) / 64) != pytest.approx(right)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once
        assert itl.matrixAlphaMutualInformation(x / 8, y / 8, 2) == pytest.approx(
            renyi(x, 2) + renyi(y, 2) - renyi(x * y, 2)
        )


def test_kernels(draw: Draw) -> None:
    x, y = draw.samples(5, 3), draw.samples(4, 3)
    difference = x[:, None] - y[None]
    square, manhattan = np.sum(difference**2, -1), np.sum(abs(difference), -1)
    soft = [np.exp(v) / np.linalg.norm(np.exp(v), axis=1, keepdims=True) for v in (x, y)]
    g = x @ x.T
    for given in (lambda v: v, torch.from_numpy):
        a, b = given(x), given(y)
        for found, expected in [
            (itl.gaussianKernel(a, b, 1.5), np.exp(-square / 4.5)),
            (itl.gaussianKernel(a, b), np.exp(-square / 3)),
            (itl.gaussianKernel(a, b, 1.5, "products"), np.exp(-square / 4.5)),
            (itl.factorizedLaplacianKernel(a, b, 1.5), np.exp(-manhattan / (1.5 * math.sqrt(2)))),
            (itl.ellipticalLaplacianKernel(a, b, 1.5), np.exp(-np.sqrt(square / 2) / 1.5)),
            (itl.softmaxKernel(a, b), soft[0] @ soft[1].T),
            (itl.exponentialKernel(a, b, 1.5), np.exp(x @ y.T / 1.5)),
            (itl.linearKernel(a, b, 1.5), x @ y.T / 1.5),
            (itl.squaredEuclideanDistance(a, b), square),
            (itl.squaredEuclideanDistanceTiled(a, b), square),
            (itl.manhattanDistanceTiled(a, b), manhattan),
            (itl.normalizeGramMatrix(given(g)), g / np.sqrt(np.outer(np.diag(g), np.diag(g)))),
        ]:
            np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("alpha", ORDERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_divergence(alpha: float, weighted: bool, draw: Draw) -> None:
    x, y = draw.samples(5, 3), draw.samples(8, 3)
    pooled = np.concatenate([x, y])
    k = np.exp(-np.sum((pooled[:, None] - pooled[None]) ** 2, -1) / (2 * 1.5**2))
    labels = np.arange(13) < 5
    shares = np.array([5, 8]) / 13
    if weighted:
        root = np.sqrt(np.where(labels, 13 / 10, 13 / 16))
        k, shares = k * np.outer(root, root), np.array([0.5, 0.5])
    expected = renyi(k, alpha) + renyi(np.diag(shares), alpha) - renyi(k * np.equal.outer(labels, labels), alpha)
    for found in (
        itl.divergenceJR(x, y, 1.5, alpha, weighted),
        itl.divergenceJR(torch.from_numpy(x), torch.from_numpy(y), 1.5, alpha, weighted),
    ):
        assert float(found) == pytest.approx(expected, abs=1e-6 if alpha < 1 else 1e-10)
    if not weighted and alpha == 1:
        assert float(found) == pytest.approx(fr.divergence(x, y, "gaussian", 1.5, alpha=1, base=math.e))


def test_divergences_of_features(draw: Draw) -> None:
    x, y = draw.samples(9, 4), draw.samples(12, 4)
    a, b = x.T @ x / 9, y.T @ y / 12
    for alpha in (1, 2, 3):
        mixed = 9 / 21 * a + 12 / 21 * b
        expected = renyi(mixed, alpha) - 9 / 21 * renyi(a, alpha) - 12 / 21 * renyi(b, alpha)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert itl.repJRD(x, y, alpha) == pytest.approx(expected)
            assert itl.repJRD_cov(a, b, alpha, 9 / 21, 12 / 21) == pytest.approx(expected)
    expected = renyi(a / 2 + b / 2, 1) - renyi(a, 1) / 2 - renyi(b, 1) / 2
    assert itl.repJSD(x, y, weighted=True) == pytest.approx(expected)
    assert itl.repJSD_cov(a, b) == pytest.approx(expected)
    assert itl.repJSD(x, y) == pytest.approx(itl.repJRD(x, y, 1))
    x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y))
    a, b = x.T @ x / 9, y.T @ y / 12

    def log(c: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(c)
        return (vectors * np.log(values)) @ vectors.T

    assert itl.repKL(x, y) == pytest.approx(np.trace(a @ (log(a) - log(b))))
    assert itl.repKL_cov(a, b) == pytest.approx(itl.repKL(x, y))
    both = np.einsum("ni,nj->nij", x[:, :2], x[:, 2:]).reshape(9, -1)
    expected = sum(renyi(v @ v.T, 1) for v in (x[:, :2], x[:, 2:])) - renyi(both @ both.T, 1)
    for kind in ("covariance", "kernel"):
        assert itl.repMutualInformation(x[:, :2].copy(), x[:, 2:].copy(), kind) == pytest.approx(expected, abs=1e-9)


def every_order(k: np.ndarray) -> Iterator[np.ndarray]:
    import itertools

    for order in itertools.permutations(range(len(k))):
        yield k[np.ix_(order, order)]


def test_differences(draw: Draw) -> None:
    x, y = kernels(draw, 2, 5)
    together = renyi(x * y, 1.01)
    all_orders = np.mean([renyi(x * k, 1.01) for k in every_order(y)])
    found, joint, permuted = itl.doe(x, y, 1.01, 4000, True)
    assert joint == pytest.approx(together)
    assert permuted == pytest.approx(all_orders, abs=0.01)
    assert found == pytest.approx(all_orders - together, abs=0.01)
    assert itl.doe_symmetric(x, y, 1.01, 2000) == pytest.approx(all_orders - together, abs=0.01)
    potentials = np.mean([np.sum((x * k / 5) ** 2) for k in every_order(y)]) - np.sum((x * y / 5) ** 2)
    assert itl.dip(x, y, 2) == pytest.approx(potentials)
    assert itl.dip(x / 5, y / 5, 2) == pytest.approx(potentials)
    assert itl.dip_symmetric(x, y, 2) == pytest.approx(potentials)
    assert itl.dip(x, y, 2, 500, allow_exact_compute=False) == pytest.approx(potentials, abs=0.01)
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    torch.manual_seed(3)
    first = itl.doe(a, b, 1.01)
    torch.manual_seed(3)
    assert itl.doe(a, b, 1.01) == first
    np.testing.assert_allclose(np.sort(itl.permuteGram(a).ravel()), np.sort(x.ravel()))


def test_gradients(draw: Draw) -> None:
    x = torch.tensor(draw.samples(5, 3), requires_grad=True)
    y = torch.tensor(draw.samples(4, 3))

    def all_of(x: Any) -> Any:
        k = itl.gaussianKernel(x, x, 2.0)
        other = itl.factorizedLaplacianKernel(x, x, 2.0)
        parts = [
            itl.matrixAlphaMutualInformation(k, other, 1.5),
            itl.dip(k, other, 2),
            itl.divergenceJR(x, y, 2.0, 1.01, True),
            itl.vonNeumannEntropy(k, True, 2),
        ]
        return sum(parts)

    assert torch.autograd.gradcheck(all_of, (x,))


SIGNATURES = {
    "matrixAlphaEntropy": "K, alpha",
    "matrixAlphaJointEntropy": "K_list, alpha",
    "matrixAlphaConditionalEntropy": "Kx, Ky, alpha",
    "matrixAlphaMutualInformation": "Kx, Ky, alpha",
    "generalizedInformationPotential": "K, alpha, allow_frobenius_speedup",
    "vonNeumannEntropy": "K, lowRank, rank",
    "vonNeumannEigenValues": "Ev, lowRank, rank_proportion",
    "gaussianKernel": "X, Y, sigma, calcOption",
    "doe": "Kx, Ky, alpha, n_iters, shouldReturnComponents",
    "dip": "Kx, Ky, alpha, n_iters, allow_exact_compute",
    "divergenceJR": "X, Y, sigma, alpha, weighted, n_rff",
    "repJSD": "X, Y, weighted",
    "repJRD_cov": "covX, covY, alpha, pix, piy",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_are_those_of_repitl(name: str) -> None:
    assert ", ".join(inspect.signature(getattr(itl, name)).parameters) == SIGNATURES[name]


def test_modules_have_the_names_of_its_files() -> None:
    for module in (matrix_itl, kernel_utils, difference_of_entropies, divergences):
        names = set(module.__all__) - {"of_trace_one"}
        assert names <= set(itl.__all__)
        assert all(getattr(itl, name) is getattr(module, name) for name in names)


def test_what_is_refused(draw: Draw) -> None:
    (k,) = kernels(draw, 1)
    x = draw.samples(8, 3)
    wrong: list[tuple[type[Exception], str, Callable[[], Any]]] = [
        (TypeError, "K", lambda: itl.matrixAlphaEntropy(None, 2)),  # type: ignore[type-var]
        (ValueError, "K", lambda: itl.matrixAlphaEntropy(x, 2)),
        (ValueError, "K", lambda: itl.matrixAlphaEntropy(np.zeros((3, 3)), 2)),
        (ValueError, "alpha", lambda: itl.matrixAlphaEntropy(k, -1)),
        (TypeError, "K_list", lambda: itl.matrixAlphaJointEntropy(k, 2)),  # type: ignore[arg-type]
        (ValueError, "K_list", lambda: itl.matrixAlphaJointEntropy([k, k[:3, :3]], 2)),
        (TypeError, "K_list", lambda: itl.matrixAlphaJointEntropy([k, torch.from_numpy(k)], 2)),  # type: ignore[list-item]
        (TypeError, "rank", lambda: itl.vonNeumannEntropy(k, True)),
        (ValueError, "rank", lambda: itl.vonNeumannEntropy(k, True, 8)),
        (ValueError, "rank_proportion", lambda: itl.vonNeumannEigenValues(np.ones(4), True, 1.5)),
        (ValueError, "type", lambda: itl.repMutualInformation(x, x, "both")),
        (TypeError, "calcOption", lambda: itl.gaussianKernel(x, x, 1.0, 1)),  # type: ignore[arg-type]
        (ValueError, "bandwidth", lambda: itl.gaussianKernel(x, x, -1.0)),
        (ValueError, "n_rff", lambda: itl.divergenceJR(x, x, 1.0, 2, n_rff=10)),
        (ValueError, "Y", lambda: itl.divergenceJR(x, x[:, :2], 1.0, 2)),
        (ValueError, "pix", lambda: itl.repJSD_cov(k, k, -1.0)),
        (ValueError, "covY", lambda: itl.repJSD_cov(k, k[:2, :2])),
        (TypeError, "allow_exact_compute", lambda: itl.dip(k, k, 2, 10, 1)),  # type: ignore[arg-type]
        (ValueError, "n_iters", lambda: itl.dip(k, k, 3, 0)),
        (TypeError, "shouldReturnComponents", lambda: itl.doe(k, k, 2, 10, 1)),  # type: ignore[arg-type]
    ]
    for kind, name, call in wrong:
        refused(kind, name, call)
    with pytest.raises(fr.NotPositiveSemidefiniteError):
        itl.matrixAlphaEntropy(np.array([[1.0, 2.0], [2.0, 1.0]]), 1.5)
