"""fastrenyi.compat.vendi against formulas and, where it is installed, the package."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
import reference
from conftest import Draw, refused
from fastrenyi.compat import vendi

ORDERS: list[Any] = [0.5, 1, 2, 5, "inf"]


def number(q: Any) -> float:
    return math.inf if q == "inf" else q


@pytest.fixture
def package() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it names a module that SciPy gives up
        yield pytest.importorskip("vendi_score.vendi")


def similarities(draw: Draw, n: int) -> np.ndarray:
    return n * draw.grams(n)


@pytest.mark.parametrize("q", ORDERS)
def test_against_formulas(q: Any, draw: Draw) -> None:
    x = draw.samples(9, 4)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    k, p = similarities(draw, 9), draw.rng.dirichlet(np.ones(9))
    found_expected = [
        (vendi.score_K(k, q), reference.vendi_score(k, number(q))),
        (vendi.score_K(k, q, p), reference.vendi_score(k, number(q), p)),
        (vendi.score_K(3 * k, q, normalize=True), reference.vendi_score(k, number(q))),
        (vendi.score_X(x, q), reference.vendi_score(unit @ unit.T, number(q))),
        (vendi.score_X(x, q, p), reference.vendi_score(unit @ unit.T, number(q), p)),
        (vendi.score_X(unit, q, normalize=False), reference.vendi_score(unit @ unit.T, number(q))),
        (vendi.score_dual(x, q), reference.vendi_score(unit @ unit.T, number(q))),
        (vendi.score(list(x), np.dot, q, p, True), reference.vendi_score(unit @ unit.T, number(q), p)),
        (vendi.score(x, fr.Gaussian(1.0), q), reference.vendi_score(9 * reference.gram_gaussian(x, 1.0), number(q))),
    ]
    # Of less than full rank, orders below one weigh what is rounding.
    tolerance = 1e-6 if number(q) < 1 else 1e-9
    for found, expected in found_expected:
        assert found == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("q", ORDERS)
def test_against_the_package(q: Any, draw: Draw, package: Any) -> None:
    x, k, p = draw.samples(9, 12), similarities(draw, 9), draw.rng.dirichlet(np.ones(9))

    def similar(a: Any, b: Any) -> float:
        return math.exp(-float(np.sum((a - b) ** 2)))

    for name, arguments in [
        ("score", (x, similar)), ("score_K", (k,)), ("score_X", (x,)), ("score_dual", (x.T,)),
    ]:  # fmt: skip
        for more in [{}, {"p": p}, {"normalize": True}]:
            if (name == "score_dual" and "p" in more) or (name == "score_X" and q != 1):
                continue
            theirs = getattr(package, name)(*arguments, q=q, **more)
            assert getattr(vendi, name)(*arguments, q=q, **more) == pytest.approx(theirs, abs=1e-10, rel=1e-9)
    assert fr.vendi_score(k, number(q), p) == pytest.approx(package.score_K(k, q=q, p=p), abs=1e-10, rel=1e-10)


def test_arguments_are_those_of_the_package(package: Any) -> None:
    for name in vendi.__all__:
        ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (vendi, package))
        assert [(n, v.default) for n, v in ours.items()] == [(n, v.default) for n, v in theirs.items()]


def test_where_the_package_is_wrong(draw: Draw, package: Any) -> None:
    x = draw.samples(9, 4)
    assert package.score_X(x, q=2) == package.score_X(x, q=1)
    assert vendi.score_X(x, q=2) == pytest.approx(package.score_dual(x, q=2))
    k = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 1.0]])
    assert np.isfinite(package.score_K(k))
    with pytest.raises(fr.NotPositiveSemidefiniteError, match="clip=True"):
        vendi.score_K(k)
    with pytest.warns(UserWarning, match="negative eigenvalues"):
        assert 1 < vendi.score_K(3 * fr.normalize(k, clip=True)) < 3


def test_several_orders_and_tensors(draw: Draw) -> None:
    torch = pytest.importorskip("torch")
    k = similarities(draw, 6)
    np.testing.assert_allclose(vendi.score_K(k, [1, 2]), [vendi.score_K(k, 1), vendi.score_K(k, 2)])
    x = torch.tensor(draw.samples(6, 3), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: vendi.score_X(x, 2), (x,))


def test_what_is_refused(draw: Draw) -> None:
    x, k = draw.samples(5, 3), similarities(draw, 5)
    refused(ValueError, "k", lambda: vendi.score_K(2 * k))
    refused(TypeError, "q", lambda: vendi.score_K(k, "two"))
    refused(ValueError, "q", lambda: vendi.score_dual(x, -1))
    refused(ValueError, "p", lambda: vendi.score_K(k, p=np.ones(5)))
    refused(TypeError, "normalize", lambda: vendi.score_K(k, normalize="yes"))  # type: ignore[arg-type]
    refused(TypeError, "normalize", lambda: vendi.score_X(x, normalize=1))  # type: ignore[arg-type]
    assert "normalize=True" in refused(ValueError, "X", lambda: vendi.score_X(2 * x, normalize=False))
    refused(TypeError, "X", lambda: vendi.score_dual("x"))
    refused(TypeError, "k", lambda: vendi.score(x, "cosine"))  # type: ignore[arg-type]
    refused(TypeError, "k", lambda: vendi.score(x, lambda a, b: "near"))  # type: ignore[arg-type,return-value]
