"""``repitl.difference_of_entropies``: what pairing saves against pairing at random, in nats.

Random orders of the samples are drawn from the generator of the array's library, as ``torch.manual_seed`` sets it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastrenyi import _check, _matrices
from fastrenyi._array import Array, Home, home_of
from fastrenyi.compat.repitl.matrix_itl import (
    generalizedInformationPotential,
    matrixAlphaJointEntropy,
    of_trace_one,
)
from fastrenyi.selfsupervised import dime

__all__ = ["dip", "dip_symmetric", "doe", "doe_symmetric", "permuteGram"]


def permuteGram(K: Array) -> Array:
    """Return a kernel matrix of the samples in random order."""
    k: Array = _check.adopt(K, "K")
    home = _matrices.gram(k, "K")
    order = home.places(np.random.default_rng(_seed(home)).permutation(k.shape[-1]).tolist())
    return k[..., order, :][..., order]


def _seed(home: Home) -> int:
    xp = np if home.library == "jax" else home.xp()  # JAX has no seed of its own
    return int(xp.randint(2**31 - 1, ()) if home.library == "torch" else xp.random.randint(2**31 - 1))


def doe(Kx: Array, Ky: Array, alpha: float, n_iters: int = 10, shouldReturnComponents: bool = False) -> Any:
    """Return the mean over random orders P of S_alpha(X, P Y) - S_alpha(X, Y), and these two on request, in nats.

    It is ``fastrenyi.dime`` of K over its trace.

    Examples
    --------
    >>> import numpy as np, fastrenyi.compat.repitl as itl
    >>> round(float(itl.doe(np.eye(4), np.ones((4, 4)), 1.01)), 9)
    0.0
    """
    _check.flag(shouldReturnComponents, "shouldReturnComponents")
    x = of_trace_one(Kx, "Kx")
    found = dime(x, of_trace_one(Ky, "Ky"), n_iters, _seed(home_of(x)), alpha=alpha, base=math.e)
    if not shouldReturnComponents:
        return found
    together: Any = matrixAlphaJointEntropy([Kx, Ky], alpha)
    return found, together, found + together


def doe_symmetric(Kx: Array, Ky: Array, alpha: float, n_iters: int = 10) -> Any:
    """Return the mean of ``doe`` with either side permuted."""
    return (doe(Kx, Ky, alpha, n_iters) + doe(Ky, Kx, alpha, n_iters)) / 2


def dip(Kx: Array, Ky: Array, alpha: float, n_iters: int = 10, allow_exact_compute: bool = True) -> Any:
    """Return the mean over random orders of tr(P^alpha) of the joint Gram, less that of the pairs as they are.

    At alpha = 2, unless it is not allowed, the mean over all orders: for that one of the diagonals must be constant.
    """
    if _check.flag(allow_exact_compute, "allow_exact_compute") and alpha == 2:
        return _exact(Kx, Ky)
    count = _check.integer(n_iters, "n_iters", 1)
    paired: Any = generalizedInformationPotential(_product(Kx, Ky), alpha)
    permuted: Any = [generalizedInformationPotential(_product(Kx, permuteGram(Ky)), alpha) for _ in range(count)]
    return sum(permuted) / count - paired


def dip_symmetric(Kx: Array, Ky: Array, alpha: float, n_iters: int = 10, allow_exact_compute: bool = True) -> Any:
    """Return the mean of ``dip`` with either side permuted."""
    return (dip(Kx, Ky, alpha, n_iters, allow_exact_compute) + dip(Ky, Kx, alpha, n_iters, allow_exact_compute)) / 2


def _product(x: Array, y: Array) -> Array:
    """Return the entrywise product of kernel matrices over n times the trace, so that ones stay on a diagonal."""
    x, y = (of_trace_one(k, name) * k.shape[-1] for k, name in ((x, "Kx"), (y, "Ky")))
    return x * y


def _exact(x: Array, y: Array) -> Array:
    """Return sum x_ij^2 (mean of y^2 - y_ij^2) / n^2, for traces of n; means on and off the diagonal are apart."""
    paired = generalizedInformationPotential(_product(x, y), 2)
    x, y = (of_trace_one(k, name) * k.shape[-1] for k, name in ((x, "Kx"), (y, "Ky")))
    n = x.shape[-1]
    (on_x, off_x), (on_y, off_y) = _squares(x), _squares(y)
    mean = (on_x * on_y / n + (off_x * off_y / (n * n - n) if n > 1 else 0)) / n**2
    return mean - paired


def _squares(k: Array) -> tuple[Array, Array]:
    """Return the sums of squares on and off the diagonal."""
    squares = k * k
    on = squares.diagonal(0, -2, -1).sum(-1)
    return on, squares.sum((-2, -1)) - on
