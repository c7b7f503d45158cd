"""``repitl.kernel_utils``: kernel matrices (n, m) of samples X (n, d) and Y (m, d), with repitl's meaning of sigma."""

from __future__ import annotations

import math

from fastrenyi import _check
from fastrenyi._array import Array, home_of
from fastrenyi._between import accepted_two, distances
from fastrenyi.kernels import Cosine, Gaussian, Laplacian, Linear
from fastrenyi.normalization import normalize

__all__ = [
    "ellipticalLaplacianKernel", "exponentialKernel", "factorizedLaplacianKernel", "gaussianKernel", "linearKernel",
    "manhattanDistanceTiled", "normalizeGramMatrix", "softmaxKernel", "squaredEuclideanDistance",
    "squaredEuclideanDistanceTiled",
]  # fmt: skip


def gaussianKernel(X: Array, Y: Array, sigma: float | None = None, calcOption: str = "tiled") -> Array:
    """Return exp(-|x - y|^2 / (2 sigma^2)), sigma = sqrt(d / 2) unless given: ``Gaussian(sigma)(X, Y)``.

    ``calcOption`` chooses nothing here: distances are by differences, in less memory than tiles.

    Examples
    --------
    >>> import numpy as np, fastrenyi.compat.repitl as itl
    >>> itl.gaussianKernel(np.array([[0.0], [1.0]]), np.array([[0.0]]), 1.0).round(4)
    array([[1.    ],
           [0.6065]])
    """
    if not isinstance(calcOption, str):
        _check.kind_error("calcOption", "a string", calcOption)
    if sigma is None:
        x: Array = _check.adopt(X, "X")
        _check.real(x, "X")
        sigma = math.sqrt(x.shape[-1] / 2)
    return Gaussian(sigma)(X, Y)


def factorizedLaplacianKernel(X: Array, Y: Array, sigma: float) -> Array:
    """Return exp(-|x - y|_1 / (sqrt(2) sigma)): ``Laplacian(sqrt(2) sigma)(X, Y)``."""
    return Laplacian(sigma * math.sqrt(2))(X, Y)


def ellipticalLaplacianKernel(X: Array, Y: Array, sigma: float) -> Array:
    """Return exp(-|x - y| / (sqrt(2) sigma)), of Euclidean distances."""
    found: Array = _distances(X, Y, "euclidean")
    return home_of(found).xp().exp(found / (-math.sqrt(2) * sigma))


def softmaxKernel(X: Array, Y: Array) -> Array:
    """Return the cosine of the softmax of each sample's features."""
    x, y = accepted_two(X, Y, ("X", "Y"), _check.real_dtype)
    return Cosine()(_softmax(x), _softmax(y))


def _softmax(x: Array) -> Array:
    xp = home_of(x).xp()
    weights = xp.exp(x - xp.amax(x, -1)[..., None])
    return weights / weights.sum(-1)[..., None]


def exponentialKernel(X: Array, Y: Array, sigma: float) -> Array:
    """Return exp(<x, y> / sigma)."""
    found = linearKernel(X, Y, sigma)
    return home_of(found).xp().exp(found)


def linearKernel(X: Array, Y: Array, sigma: float) -> Array:
    """Return <x, y> / sigma."""
    return Linear()(X, Y) / sigma


def squaredEuclideanDistance(X: Array, Y: Array) -> Array:
    """Return |x - y|^2, by differences."""
    return _distances(X, Y, "euclidean") ** 2


def squaredEuclideanDistanceTiled(x: Array, y: Array) -> Array:
    """Return |x - y|^2, by differences."""
    return squaredEuclideanDistance(x, y)


def manhattanDistanceTiled(x: Array, y: Array) -> Array:
    """Return |x - y|_1, by differences."""
    return _distances(x, y, "manhattan")


def _distances(x: Array, y: Array, metric: str) -> Array:
    left, right = accepted_two(x, y, ("X", "Y"), _check.real_dtype)
    home = home_of(left)
    return home.leave(distances(home.computed(left), home.computed(right), metric))


def normalizeGramMatrix(G: Array) -> Array:
    """Return G_ij / sqrt(G_ii G_jj), with ones on the diagonal: n times ``fastrenyi.normalize(G)``."""
    found = normalize(G)
    return found * found.shape[-1]
