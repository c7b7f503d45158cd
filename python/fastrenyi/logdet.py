"""Logarithms of determinants: how much room samples take, as entropies of Gaussians or as a rate of coding."""

from __future__ import annotations

import math

from fastrenyi import _check, _dispatch, _samples
from fastrenyi._array import Array, ArrayT, Home

__all__ = ["coding_rate", "logdet_entropy"]


def logdet_entropy(x: ArrayT, beta: float = 1.0, base: float = 2) -> ArrayT:
    """Return the log-determinant entropy of samples: 1/2 log det(I + beta X'X / n).

    Parameters
    ----------
    x : array
        Samples (..., n, d), n samples of d features, real numbers: a NumPy or CuPy array, a torch tensor, or what gives
        NumPy an array by DLPack on the CPU or ``__array__``.
    beta : float
        Above zero: the scale at which the samples are looked at.
    base : float
        Base of the logarithm; 2 gives bits, ``math.e`` nats, as published.

    Returns
    -------
    array
        The batch shape; in the library, dtype and device of x. Zero for samples of zeros.

    Raises
    ------
    TypeError
        For what is not an array of real numbers.
    ValueError
        For wrong shapes, NaN or infinity, and a beta or base out of range.

    Notes
    -----
    Nothing is centred. Directions without samples, to rounding, add nothing. Samples with the features of
    two variables side by side have the joint entropy in which their linear Grams add; I(X; Y) = h(X) + h(Y) - h(X, Y).
    Cost O(n d m + m^3), m the smaller of n and d. Half precision is computed in single.
    Source: Zhouyin and Liu, Understanding neural networks with logarithm determinant entropy estimator, arXiv
    2105.03705.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> round(float(fr.logdet_entropy(np.array([[2.0, 0.0], [0.0, 2.0]]), beta=1.5)), 9)
    2.0
    """
    samples, home = _samples.accepted(x, "x")
    found: ArrayT = _half_logdet(samples, home, math.log(_check.positive(beta, "beta")), base)
    return found


def coding_rate(x: ArrayT, eps: float = 0.5, base: float = 2) -> ArrayT:
    """Return the rate at which samples are coded up to a distortion: 1/2 log det(I + d / (n eps^2) X'X).

    Parameters
    ----------
    x : array
        Samples (..., n, d), n samples of d features, real numbers: a NumPy or CuPy array, a torch tensor, or what gives
        NumPy an array by DLPack on the CPU or ``__array__``.
    eps : float
        The distortion, above zero.
    base : float
        Base of the logarithm; 2 gives bits, ``math.e`` nats, as published.

    Returns
    -------
    array
        The batch shape; in the library, dtype and device of x. Zero for samples of zeros.

    Raises
    ------
    TypeError
        For what is not an array of real numbers.
    ValueError
        For wrong shapes, NaN or infinity, and an eps or base out of range.

    Notes
    -----
    Neither centred nor scaled: MCR2 has samples of length one. Its gain is the rate of all samples minus the mean of
    those of the classes, each weighed by its share of the samples. It is ``logdet_entropy(x, d / eps**2)``. Cost
    O(n d m + m^3), m the smaller of n and d. Half precision is computed in single.
    Source: Yu, Chan, You, Song, Ma, Learning diverse and discriminative representations via the principle of maximal
    coding rate reduction, NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> float(fr.coding_rate(np.eye(2), eps=1.0))
    1.0
    """
    samples, home = _samples.accepted(x, "x")
    log_beta = math.log(samples.shape[-1]) - 2 * math.log(_check.positive(eps, "eps"))
    found: ArrayT = _half_logdet(samples, home, log_beta, base)
    return found


def _half_logdet(x: Array, home: Home, log_beta: float, base: float) -> Array:
    """Return 1/2 log det(I + beta X'X / n), by log(1 + beta tr p / n) of the spectrum p of X'X / tr, in logarithms."""
    unit = _check.unit(base) / math.log(2)
    xp = home.xp()
    a = _samples.smaller_gram(x, home, "x")
    p = _dispatch.operations(home.library).spectrum(a, "x")
    with home.current(x):
        z = home.computed(x)
        scale = _samples.nonzero(xp.amax(abs(home.constant(z)), (-2, -1)), xp)
        squares = _samples.nonzero(((z / scale[..., None, None]) ** 2).sum((-2, -1)), xp)
        log_scale = (log_beta - math.log(x.shape[-2])) + 2 * xp.log(scale) + xp.log(squares)
        counts = p > p.shape[-1] * min(home.epsilon, 2.0**-23) * home.constant(p)[..., -1:]
        log_p = xp.log(xp.where(counts, p, xp.ones_like(p)))
        each = xp.logaddexp(xp.zeros_like(p), log_scale[..., None] + log_p)
        return home.leave((each * counts).sum(-1) * (unit / 2))
