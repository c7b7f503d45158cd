"""The gradient of Gaussian and Laplacian Grams against extended precision, where digits could be lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastrenyi import _core

UNIT = {"float64": 2.0**-52, "float32": 2.0**-23}


def right(x: NDArray[Any], width: float, kind: str, grad: NDArray[Any]) -> NDArray[np.float64]:
    """Sums over j of the weights times differences, or their signs."""
    exact = x.astype(np.longdouble)
    differences = exact[:, None] - exact[None]
    sigma = np.longdouble(width)
    if kind == "gaussian":
        a, pull = np.exp(-np.square(differences).sum(-1) / (2 * sigma**2)), differences / sigma**2
    else:
        a, pull = np.exp(-np.abs(differences).sum(-1) / sigma), np.sign(differences) / sigma
    weights = (grad + grad.T) * a / len(x)
    return np.asarray(-(weights[:, :, None] * pull).sum(axis=1), dtype=np.float64)


def found(x: NDArray[Any], width: float, kind: str, grad: NDArray[Any], threads: int = 0) -> NDArray[Any]:
    widths = np.array([width])
    a = _core.gram(x[None], kind, widths, 1, 1.0, 0.0, 0)
    return np.asarray(_core.gram_slope(x[None], kind, widths, a, grad.astype(x.dtype)[None], threads)[0])


def close(x: NDArray[Any], width: float, kind: str, rng: np.random.Generator) -> None:
    grad = rng.normal(size=(len(x), len(x))).astype(x.dtype)
    expected = right(x, width, kind, grad)
    tolerance = 64 * len(x) ** 0.5 * UNIT[x.dtype.name] * np.abs(expected).max()
    assert np.abs(found(x, width, kind, grad) - expected).max() <= tolerance


FAR = {"float64": 1e16, "float32": 1e7}


@pytest.mark.parametrize("kind", ["gaussian", "laplacian"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("place", ["first", "last", "offset", "clusters", "wide"])
def test_no_digit_is_lost(place: str, dtype: str, kind: str, rng: np.random.Generator) -> None:
    x, far, width = rng.normal(size=(20, 4)), FAR[dtype], 2.0
    if place == "first":
        x[0] = far
    elif place == "last":
        x[-1] = -far
    elif place == "offset":
        x += far / 100
    elif place == "clusters":
        x[10:] += far / 300
    else:
        x, width = x * 1e30, 1e30
    close(x.astype(dtype), width, kind, rng)


@pytest.mark.parametrize("kind", ["gaussian", "laplacian"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (17, 33), (65, 70), (130, 5), (70, 16)], ids=str)
def test_shapes(shape: tuple[int, int], dtype: str, kind: str, rng: np.random.Generator) -> None:
    close(rng.normal(size=shape).astype(dtype), 1.5, kind, rng)


@pytest.mark.parametrize("kind", ["gaussian", "laplacian"])
def test_strides_and_threads(kind: str, rng: np.random.Generator) -> None:
    wide = rng.normal(size=(70, 20))
    grad = rng.normal(size=(70, 70))
    dense = found(np.ascontiguousarray(wide[::-1, ::2]), 1.5, kind, grad, 1)
    np.testing.assert_array_equal(found(wide[::-1, ::2], 1.5, kind, grad, 2), dense)


@pytest.mark.parametrize("kind", ["gaussian", "laplacian"])
@pytest.mark.parametrize("width", [1e-310, 1e-40, 1e-30, 1.0, 1e30])
def test_extremes_are_finite(width: float, kind: str, rng: np.random.Generator) -> None:
    x = rng.normal(size=(6, 3)).astype(np.float32)
    x[0], x[1] = 3e38, -3e38
    x[2] = x[3]
    assert np.isfinite(found(x, width, kind, rng.normal(size=(6, 6)))).all()


def test_no_width_no_slope(rng: np.random.Generator) -> None:
    x = rng.normal(size=(4, 2))
    a = np.eye(4)[None] / 4
    np.testing.assert_array_equal(_core.gram_slope(x[None], "gaussian", np.zeros(1), a, np.ones((1, 4, 4)), 0), 0)
