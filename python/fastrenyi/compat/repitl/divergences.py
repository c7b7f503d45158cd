"""``repitl.divergences``: how far two samples, or two covariances, are apart, in nats.

Random Fourier features (``n_rff``) are not offered: ``fastrenyi.lazy_gram`` is for samples too many for a Gram.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastrenyi import _check, _matrices
from fastrenyi._array import Array, home_of
from fastrenyi._between import accepted_two
from fastrenyi.comparison import relative_entropy
from fastrenyi.compat.repitl.kernel_utils import gaussianKernel
from fastrenyi.compat.repitl.matrix_itl import matrixAlphaEntropy, matrixAlphaJointEntropy, of_trace_one
from fastrenyi.measures import entropy_of_spectrum

__all__ = [
    "divergenceJR", "divergenceJR_unweighted", "divergenceJR_weighted", "repJRD", "repJRD_cov", "repJSD", "repJSD_cov",
    "repKL", "repKL_cov",
]  # fmt: skip


def divergenceJR(
    X: Array, Y: Array, sigma: float, alpha: float, weighted: bool = False, n_rff: int | None = None
) -> Any:
    """Return S(X and Y pooled) + S(which of both) - S(pooled, which of both) of Gaussian kernels of one width.

    It is the mutual information of samples and of which set they are of. ``fastrenyi.divergence`` takes the entropies
    of both sets by their sizes instead, which is the same at alpha = 1 alone. With ``weighted`` both count a half.

    Examples
    --------
    >>> import numpy as np, fastrenyi.compat.repitl as itl
    >>> x = np.arange(4.0)[:, None]
    >>> round(float(itl.divergenceJR(x, x + 100, 1.0, 1.01)), 6)  # nothing in common: ln 2
    0.693147
    """
    if n_rff is not None:
        _check.value_error("n_rff", "None", n_rff, "for many samples use fastrenyi.divergence(..., estimate=0.01)")
    if _check.flag(weighted, "weighted"):
        return divergenceJR_weighted(X, Y, sigma, alpha)
    return divergenceJR_unweighted(X, Y, sigma, alpha)


def divergenceJR_unweighted(X: Array, Y: Array, sigma: float, alpha: float) -> Any:
    """Return ``divergenceJR`` in which each sample counts the same."""
    return _divergence(X, Y, sigma, alpha, False)


def divergenceJR_weighted(X: Array, Y: Array, sigma: float, alpha: float) -> Any:
    """Return ``divergenceJR`` in which both sets count the same."""
    return _divergence(X, Y, sigma, alpha, True)


def _divergence(x: Any, y: Any, sigma: float, alpha: float, weighted: bool) -> Any:
    x, y = accepted_two(x, y, ("X", "Y"), _check.real_dtype)
    home, n, m = home_of(x), x.shape[-2], y.shape[-2]
    pooled = home.xp().concatenate([x, y], -2)
    k: Any = gaussianKernel(pooled, pooled, sigma)
    of_x = np.arange(n + m) < n
    shares = np.array([0.5, 0.5]) if weighted else np.array([n, m]) / (n + m)
    if weighted:
        root = home.leave(home.take(np.sqrt(np.where(of_x, (n + m) / (2 * n), (n + m) / (2 * m)))))
        k = k * (root[:, None] * root[None, :])
    labels = home.leave(home.take((of_x[:, None] == of_x[None, :]).astype(np.float64)))
    which: Any = entropy_of_spectrum(shares, alpha, math.e)
    return matrixAlphaEntropy(k, alpha) + float(which) - matrixAlphaJointEntropy([k, labels], alpha)


def repJSD(X: Array, Y: Array, weighted: bool = False) -> Any:
    """Return S(mixture) - the mixture of S, of order 1, of the covariances X'X / n of features (n, d) and (m, d)."""
    x, y = accepted_two(X, Y, ("X", "Y"), _check.real_dtype)
    n, m = x.shape[-2], y.shape[-2]
    share = 0.5 if _check.flag(weighted, "weighted") else n / (n + m)
    return repJSD_cov(_covariance(x), _covariance(y), share, 1 - share)


def repJSD_cov(covX: Array, covY: Array, pix: float = 0.5, piy: float = 0.5) -> Any:
    """Return S(mixture) - the mixture of S, of order 1, of two covariances."""
    return repJRD_cov(covX, covY, 1, pix, piy)


def repJRD(X: Array, Y: Array, alpha: float) -> Any:
    """Return S(mixture) - the mixture of S, of any order, of the covariances X'X / n of features."""
    x, y = accepted_two(X, Y, ("X", "Y"), _check.real_dtype)
    n, m = x.shape[-2], y.shape[-2]
    return repJRD_cov(_covariance(x), _covariance(y), alpha, n / (n + m), m / (n + m))


def repJRD_cov(covX: Array, covY: Array, alpha: float, pix: float = 0.5, piy: float = 0.5) -> Any:
    """Return S(mixture) - the mixture of S, of any order, of two covariances, mixed as they are given."""
    first, second = _check.not_negative(pix, "pix"), _check.not_negative(piy, "piy")
    x, y = _covariances(covX, covY, ("covX", "covY"))
    apart: Any = (matrixAlphaEntropy(x, alpha), matrixAlphaEntropy(y, alpha))
    return matrixAlphaEntropy(first * x + second * y, alpha) - (first * apart[0] + second * apart[1])


def repKL(X: Array, Y: Array) -> Any:
    """Return tr(Cx (log Cx - log Cy)) of the covariances X'X / n of features of length one, in nats.

    Where repitl takes eigenvalues of zero as 1e-10, a Cx that has something where Cy has nothing is refused.
    """
    x, y = accepted_two(X, Y, ("X", "Y"), _check.real_dtype)
    return repKL_cov(_covariance(x), _covariance(y))


def repKL_cov(Cx: Array, Cy: Array) -> Any:
    """Return tr(Cx (log Cx - log Cy)) of covariances, each over its trace, in nats."""
    x, y = _covariances(Cx, Cy, ("Cx", "Cy"))
    return relative_entropy(of_trace_one(x, "Cx"), of_trace_one(y, "Cy"), base=math.e)


def _covariances(x: Any, y: Any, names: tuple[str, str]) -> tuple[Array, Array]:
    x, y = (_check.adopt(c, name) for c, name in zip((x, y), names, strict=True))
    home = _matrices.gram(x, names[0])
    _check.same_home(_matrices.gram(y, names[1]), names[1], home, names[0])
    if x.shape[-1] != y.shape[-1]:
        _check.value_error(names[1], f"matrices of d = {x.shape[-1]}, as {names[0]}", f"shape {tuple(y.shape)}")
    return x, y


def _covariance(x: Array) -> Array:
    return x.swapaxes(-1, -2) @ x / x.shape[-2]
