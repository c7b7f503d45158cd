"""Effective numbers of dimensions and of kinds: exponentials of entropies, in no unit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastrenyi import _check, _dispatch, _matrices, _samples
from fastrenyi._array import Array, ArrayT, Home, Values, broadcast_shapes, has_numbers, wrap
from fastrenyi._call import Alpha
from fastrenyi._cost import outside
from fastrenyi._kernels import kernels_for
from fastrenyi._ops.precision import judged

__all__ = ["effective_rank", "participation_ratio", "stable_rank", "vendi_score"]

_NOT_SMALL = 0.01


def _exponentials(a: Array, home: Home, name: str, orders: Sequence[float]) -> Array:
    """Return exp(S) of matrices of trace one for each order: (*batch, orders)."""
    nats = _check.unit(math.e)
    with home.current(a):
        found = _dispatch.operations(home.library).entropies([a], [name], [[0]], [name], [1.0], orders, nats)
        return home.xp().exp(found)


def _left(home: Home, found: Array, one_order: bool) -> Any:
    return home.leave(found[..., 0] if one_order else found)


def effective_rank(a: ArrayT, alpha: Alpha = 1, power: float = 1) -> ArrayT:
    """Return the effective rank of a matrix of trace one: exp(S_alpha), with lambda^power for its eigenvalues lambda.

    p_i = lambda_i^power / sum_j lambda_j^power; exp(S_1) = exp(-sum_i p_i ln p_i). It is between 1 and the rank.

    Parameters
    ----------
    a : array
        Symmetric positive semidefinite matrices (..., n, n) of trace one, such as Grams: a NumPy, CuPy or JAX array, a
        torch tensor, or what gives NumPy an array by DLPack on the CPU or ``__array__``.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits. Order 0 is the rank, to rounding.
    power : float
        Above zero. 0.5 takes the singular values of Z in place of the eigenvalues of Z Z'.

    Returns
    -------
    array
        The batch shape, for m orders with a last axis of length m; in the library, dtype and device of a.

    Raises
    ------
    TypeError
        For what is not an array of real numbers.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric or not of trace one, and orders or powers out of range.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max.

    Notes
    -----
    A power of an eigenvalue of rounding size is not small: for a power other than one those of up to n eps lambda_max
    are zero, and have no gradient. Where their powers would be more than a hundredth of the sum, as in single precision
    of many features those of singular values may, a warning says so: make the Gram in float64. Cost O(n^3).

    Conventions elsewhere: Roy and Vetterli's effective rank of a matrix Z is that of its singular values, ``power=0.5``
    of ``gram(Z, "linear")``; RankMe is the same with 1e-7 added to each p_i, which then do not sum to one. Diff-eRank
    is of the eigenvalues, ``power=1``, of centred, normalised tokens, of an untrained minus a trained network.
    Source: Roy and Vetterli, EUSIPCO 2007; Garrido et al. (RankMe), arXiv 2210.02885.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> round(float(fr.effective_rank(np.diag([0.5, 0.5, 0.0]))), 9)
    2.0
    >>> z = np.diag([3.0, 1.0])
    >>> fr.effective_rank(fr.gram(z, "linear"), [1, 2], power=0.5).round(4)
    array([1.7548, 1.6   ])
    """
    x: Array = _check.adopt(a, "a")
    home = _matrices.gram(x, "a")
    orders, one_order = _check.orders(alpha)
    exponent = _check.positive(power, "power")
    if exponent == 1:
        exponentials = _exponentials(x, home, "a", orders)
    else:
        weights = _powered(x, home, exponent)
        with home.current(x):
            entropies = _dispatch.operations(home.library).spectral_entropies(weights, "a", orders, _check.unit(math.e))
            exponentials = home.xp().exp(entropies)
    found: ArrayT = _left(home, exponentials, one_order)
    return found


def _powered(a: Array, home: Home, power: float) -> Array:
    """Return powers of eigenvalues over their sum, (..., n)."""
    operations, xp = _dispatch.operations(home.library), home.xp()
    if has_numbers(a):
        with kernels_for(a) as on:
            on.matrices(a, "a")
    values = operations.spectrum(a, "a")
    if has_numbers(values):
        lowest, highest = wrap(values)[..., 0], wrap(values)[..., -1]
        judged([a], lambda epsilon: _not_negative(lowest, highest, _matrices.below_zero(values.shape[-1], epsilon)))
    with home.current(a):
        largest = home.constant(values)[..., -1:]
        counts = values > min(values.shape[-1] * home.epsilon, 0.5) * largest
        relative = xp.where(counts, values / _samples.nonzero(largest, xp), xp.ones_like(values))
        weights = relative**power * counts
        if has_numbers(values):
            _tell_what_is_lost(wrap(values), wrap(counts), power, home)
        return weights / weights.sum(-1)[..., None]


def _tell_what_is_lost(values: Values, counts: Values, power: float, home: Home) -> None:
    """Warn where eigenvalues that count as zero may be more than zeros: their powers are not small."""
    powers = np.maximum(values, 0).astype(np.float64) ** power
    whole = powers.sum(-1)
    share = np.divide((powers * ~counts).sum(-1), whole, out=np.zeros_like(whole), where=whole > 0)
    if share.size and share.max() > _NOT_SMALL:
        warnings.warn(
            f"effective_rank: eigenvalues that {home.dtype} does not tell from rounding count as zero; to the power "
            f"{power:g} they are up to {share.max():.2g} of the sum: make the Gram in float64",
            stacklevel=outside(),
        )


def _not_negative(lowest: Values, highest: Values, share: float) -> None:
    wrong = lowest < -share * highest
    if wrong.any():
        index = int(wrong.argmax())
        _matrices.verdict(("indefinite", index, float(np.asarray(lowest).flat[index])), "a", lowest.shape)


def participation_ratio(x: ArrayT) -> ArrayT:
    """Return the participation ratio of samples: (sum_i lambda_i)^2 / sum_i lambda_i^2 of their covariance.

    It is 2^S_2 of the centred covariance over its trace: d for features of one variance without correlation, 1 for
    samples on a line.

    Parameters
    ----------
    x : array
        Samples (..., n, d), n samples of d features, real numbers: a NumPy, CuPy or JAX array, a torch tensor, or what
        gives NumPy an array by DLPack on the CPU or ``__array__``.

    Returns
    -------
    array
        The batch shape; in the library, dtype and device of x.

    Raises
    ------
    TypeError
        For what is not an array of real numbers.
    ValueError
        For wrong shapes, NaN or infinity, and samples that are all the same.

    Notes
    -----
    Cost O(n d min(n, d)) and no spectrum: of the n x n and the d x d products the smaller are made. Half precision is
    computed in single. Without taking the mean away it is ``effective_rank(gram(x, "linear"), 2)``.
    Source: Gao, Ganguli et al., 2017; Recanatesi et al., 2019, of neural dimensionality.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> float(fr.participation_ratio(square)), float(fr.participation_ratio(square * [1.0, 0.0]))
    (2.0, 1.0)
    """
    found: ArrayT = _of_samples(x, 2.0, "samples")
    return found


def stable_rank(x: ArrayT) -> ArrayT:
    """Return the stable rank of a matrix: |X|_F^2 / |X|_2^2, the sum of squared singular values over the largest one.

    It is exp(S_inf) of X X' / tr(X X'): at least 1, at most the rank, and moved little by small singular values.

    Parameters
    ----------
    x : array
        Matrices (..., n, d), such as n samples of d features or weights, real numbers: a NumPy, CuPy or JAX array, a
        torch tensor, or what gives NumPy an array by DLPack on the CPU or ``__array__``.

    Returns
    -------
    array
        The batch shape; in the library, dtype and device of x.

    Raises
    ------
    TypeError
        For what is not an array of real numbers.
    ValueError
        For wrong shapes, NaN or infinity, and matrices of zeros.

    Notes
    -----
    Nothing is centred. Cost O(n d m + m^3), m the smaller of n and d. Half precision is computed in single. The
    gradient is that of one of the largest singular values where several are the same.
    Source: Rudelson and Vershynin, J. ACM 54(4), 2007, as numerical rank.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> round(float(fr.stable_rank(np.diag([2.0, 1.0, 1.0]))), 9)
    1.5
    """
    found: ArrayT = _of_samples(x, math.inf, None)
    return found


def _of_samples(x: Any, order: float, center: _samples.Center) -> Any:
    x, home = _samples.accepted(x, "x")
    a = _samples.smaller_gram(x, home, "x", center)
    _samples.refuse_nothing(a, "x", center)
    return _left(home, _exponentials(a, home, "x", [order]), True)


def vendi_score(k: ArrayT, q: Alpha = 1, p: ArrayT | Sequence[float] | npt.NDArray[Any] | None = None) -> ArrayT:
    """Return the Vendi score, the effective number of kinds among n items of similarity k_ij: exp(S_q(K / n)).

    With probabilities p it is exp(S_q) of sqrt(p_i p_j) k_ij: n for items that have nothing in common, 1 for n times
    the same.

    Parameters
    ----------
    k : array
        Similarities (..., n, n), symmetric, positive semidefinite and one on the diagonal: a NumPy, CuPy or JAX array,
        a torch tensor, or what gives NumPy an array by DLPack on the CPU or ``__array__``.
    q : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits.
    p : array or sequence of float, optional
        Probabilities (n,) or (..., n), not negative, of sum one; 1/n each unless given.

    Returns
    -------
    array
        The batch shape, for m orders with a last axis of length m; in the library, dtype and device of k.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for p of another library, dtype or device.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric or not one on the diagonal, probabilities that are
        negative or do not sum to one, and orders out of range. Inside ``torch.compile``, ``torch.func``, ``torch.vmap``
        and CUDA graphs the diagonal and p are not looked at.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max.

    Notes
    -----
    Cost O(n^3), at q = 2 alone O(n^2). Of order 2 it is what RKE calls the mode count.

    The score of a Gram a of unit diagonal, as by ``gram``, is ``effective_rank(a, q)``: a is K / n. Conventions
    elsewhere: the package ``vendi_score`` drops negative eigenvalues, and its ``score_X`` ignores the order.
    Source: Friedman and Dieng, TMLR 2023; Pasarkar and Dieng, arXiv 2310.12952 (orders).

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> k = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> round(float(fr.vendi_score(k, 2)), 9), round(float(fr.vendi_score(k, p=[0.25, 0.25, 0.5])), 9)
    (1.8, 2.0)
    """
    matrix: Array = _check.adopt(k, "k")
    home = _matrices.gram(matrix, "k")
    orders, one_order = _check.orders(q, "q")
    n = matrix.shape[-1]
    if has_numbers(matrix):
        _one_on_the_diagonal(matrix, home)
    with home.current(matrix):
        if p is None:
            weighed = home.computed(matrix) / n
        else:
            root = _roots(p, matrix, home)
            # The product commutes, so that the result is as symmetric as k.
            weighed = home.computed(matrix) * (root[..., :, None] * root[..., None, :])
        # In its own dtype, by which its rounding is judged.
        found: ArrayT = _left(home, _exponentials(home.leave(weighed), home, "k", orders), one_order)
    return found


def _one_on_the_diagonal(k: Array, home: Home) -> None:
    diagonal = np.diagonal(_matrices.gram_contents(k, "k", trace_one=False), axis1=-2, axis2=-1)
    wrong = abs(diagonal - 1) > _matrices.TRACE_TOLERANCE[home.dtype]
    if wrong.any():
        at = np.unravel_index(int(wrong.argmax()), wrong.shape)
        _check.value_error(
            "k", "similarities that are one on the diagonal",
            f"{diagonal[at]:.6g} for the item at index {tuple(int(i) for i in at)}",
            f"pass {k.shape[-1]} * fastrenyi.normalize(k)",
        )  # fmt: skip


def _roots(p: Any, k: Array, home: Home) -> Array:
    """Return the square roots of probabilities (..., n); where one is zero, without a gradient."""
    listed = isinstance(p, (list, tuple))
    weights = _check.adopt(_check.listed(p, "p"), "p")
    given = _check.real(weights, "p")
    if listed:
        weights = home.leave(home.take(weights))
    else:
        _check.same_home(given, "p", home, "k")
    n, shape = k.shape[-1], tuple(weights.shape)
    if not shape or shape[-1] != n:
        _check.value_error("p", f"probabilities of shape (..., {n})", f"shape {shape}")
    try:
        broadcast_shapes(shape[:-1], tuple(k.shape[:-2]))
    except ValueError:
        _check.value_error("p", f"batch axes that broadcast with {tuple(k.shape[:-2])}", f"{shape[:-1]}")
    if has_numbers(weights):
        values = wrap(weights)
        _check.finite(values, "p")
        if (values < 0).any():
            at = np.unravel_index(int((values < 0).argmax()), values.shape)
            _check.value_error(
                "p", "probabilities that are not negative", f"{values[at]:g} at index {tuple(map(int, at))}"
            )
        _matrices.sum_one(weights, "p", "probabilities")
    xp = home.xp()
    computed = home.computed(weights)
    return _samples.nonzero(computed, xp) ** 0.5 * (computed > 0)
