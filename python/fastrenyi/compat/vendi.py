"""The functions of the package ``vendi_score``: Vendi scores of samples, similarities and vectors.

``from fastrenyi.compat import vendi`` in place of ``from vendi_score import vendi``. Where results differ, they do so
on purpose: ``score_X`` obeys the order q; similarities that are not one on the diagonal, and those with negative
eigenvalues beyond rounding, are refused where vendi_score gives numbers that are no count. Arrays may be NumPy's or
torch's, with gradients, and q several orders.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from fastrenyi import _check, _matrices
from fastrenyi._array import Array, has_numbers, wrap
from fastrenyi.effective import effective_rank, vendi_score
from fastrenyi.grams import gram
from fastrenyi.kernels import Kernel, Linear
from fastrenyi.normalization import normalize as normalized

__all__ = ["score", "score_K", "score_X", "score_dual"]

Order: TypeAlias = Any
"""A number in [0, inf], "inf" for infinity, or a sequence of orders."""


def score(
    samples: Sequence[Any] | Array,
    k: Callable[[Any, Any], float] | Kernel,
    q: Order = 1,
    p: Any = None,
    normalize: bool = False,
) -> Any:
    """Return the Vendi score of samples by a similarity of two of them.

    Parameters
    ----------
    samples : sequence
        Any things that ``k`` can compare.
    k : callable
        k(samples[i], samples[j]) is a number, 1 for the same; or a kernel such as ``fastrenyi.Gaussian(1.0)``, which is
        called once with all samples, an array (n, d).
    q : float or sequence of float
        Order in [0, inf], or m orders; "inf" is infinity.
    p : array or sequence of float, optional
        Probabilities (n,) of sum one; 1/n each unless given.
    normalize : bool
        Whether similarities are divided by the roots of k of a sample with itself.

    Returns
    -------
    float or array
        The score, for m orders of shape (m,).

    Raises
    ------
    TypeError, ValueError
        As from ``score_K``, and for a ``k`` that gives no numbers.

    Notes
    -----
    Cost n (n + 1) / 2 calls of k, and O(n^3).

    Examples
    --------
    >>> from fastrenyi.compat import vendi
    >>> round(float(vendi.score([0, 0, 10, 10, 20, 20], lambda a, b: float(a == b))), 9)
    3.0
    """
    if isinstance(k, Kernel):
        return score_K(k(samples), q, p, normalize)  # type: ignore[type-var]
    if not callable(k):
        _check.kind_error("k", "a function of two samples", _check.quoted(k))
    n = len(samples)
    matrix = np.zeros((n, n))
    for i in range(n):
        for j in range(i, n):
            found = k(samples[i], samples[j])
            try:
                matrix[i, j] = matrix[j, i] = float(found)
            except (TypeError, ValueError):
                _check.kind_error("k", "a function that gives a number", found)
    return score_K(matrix, q, p, normalize)


def score_K(K: Array, q: Order = 1, p: Any = None, normalize: bool = False) -> Any:
    """Return the Vendi score of similarities (..., n, n): exp(S_q) of K / n, or of sqrt(p_i p_j) K_ij.

    Parameters
    ----------
    K : array
        Similarities, symmetric, positive semidefinite and, unless they are to be normalised, one on the diagonal.
    q : float or sequence of float
        Order in [0, inf], or m orders; "inf" is infinity.
    p : array or sequence of float, optional
        Probabilities (n,) of sum one; 1/n each unless given.
    normalize : bool
        Whether K is divided by the roots of its diagonal.

    Returns
    -------
    float or array
        The batch shape, for m orders with a last axis of length m; in the library, dtype and device of K.

    Raises
    ------
    TypeError, ValueError
        As from ``fastrenyi.vendi_score``, which names K ``k``.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max: vendi_score leaves these out, and the score of what is left
        may come to more than n. ``n * fastrenyi.normalize(K, clip=True)`` is the nearest K that has a score.

    Notes
    -----
    Cost O(n^3), at q = 2 alone O(n^2).

    Examples
    --------
    >>> import numpy as np
    >>> from fastrenyi.compat import vendi
    >>> K = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> round(float(vendi.score_K(K)), 6), round(float(vendi.score_K(K, q="inf")), 6)
    (1.889882, 1.5)
    """
    _check.flag(normalize, "normalize")
    if normalize:
        matrix: Array = normalized(K)
        K = matrix.shape[-1] * matrix
    return vendi_score(K, _order(q), p)


def score_X(X: Array, q: Order = 1, p: Any = None, normalize: bool = True) -> Any:
    """Return the Vendi score of vectors by their inner products: ``score_K`` of X X'.

    Parameters
    ----------
    X : array
        Vectors (n, d); with ``normalize=False`` of length one.
    q : float or sequence of float
        Order in [0, inf], or m orders; "inf" is infinity. (vendi_score 0.0.3 takes order 1 whatever q is.)
    p : array or sequence of float, optional
        Probabilities (n,) of sum one; 1/n each unless given.
    normalize : bool
        Whether each vector is divided by its length.

    Returns
    -------
    float or array
        As from ``score_K``.

    Raises
    ------
    TypeError, ValueError
        For what is not an array (n, d) of real, finite numbers, and vectors that are not of length one.

    Notes
    -----
    Cost O(n d min(n, d)) without p, by the smaller products, and O(n^2 d + n^3) with it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrenyi.compat import vendi
    >>> X = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
    >>> round(float(vendi.score_X(X)), 6), round(float(vendi.score_X(X, q=2)), 6)
    (1.889882, 1.8)
    """
    if p is None:
        return score_dual(X, q, normalize)
    _unit(X, normalize)
    return vendi_score(Linear(normalized=normalize)(X), _order(q), p)


def score_dual(X: Array, q: Order = 1, normalize: bool = True) -> Any:
    """Return the Vendi score of vectors by the products of their features: the same as ``score_X``, for d below n.

    Parameters
    ----------
    X : array
        Vectors (n, d); with ``normalize=False`` of length one.
    q : float or sequence of float
        Order in [0, inf], or m orders; "inf" is infinity.
    normalize : bool
        Whether each vector is divided by its length. Vectors of length zero do not count.

    Returns
    -------
    float or array
        As from ``score_K``.

    Raises
    ------
    TypeError, ValueError
        For what is not an array (n, d) of real, finite numbers, and vectors that are not of length one.

    Notes
    -----
    Cost O(n d min(n, d)): the smaller products are taken.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrenyi.compat import vendi
    >>> round(float(vendi.score_dual(np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]))), 6)
    1.889882
    """
    _unit(X, normalize)
    return effective_rank(gram(X, Linear(normalized=normalize, side="smaller")), _order(q))


def _order(q: Order) -> Any:
    if isinstance(q, str) and q == "inf":
        return math.inf
    _check.orders(q, "q")
    return q


def _unit(x: Array, normalize: bool) -> None:
    """Refuse vectors that are to be of length one and are not."""
    _check.flag(normalize, "normalize")
    values = _check.adopt(x, "X")
    home = _check.real(values, "X")
    if normalize or not has_numbers(values):
        return
    squares = (wrap(values).astype(np.float64) ** 2).sum(-1)
    wrong = ~(abs(squares - 1) <= _matrices.TRACE_TOLERANCE[home.dtype])
    if wrong.any():
        at = np.unravel_index(int(wrong.argmax()), wrong.shape)
        got = f"{squares[at] ** 0.5:.6g} at index {tuple(map(int, at))}"
        _check.value_error("X", "vectors of length one", got, "pass normalize=True")
