"""Logarithms of determinants: how much room samples take, as entropies of Gaussians or as a rate of coding."""

from __future__ import annotations

import math

from fastrenyi import _check, _dispatch, _samples
from fastrenyi._array import Array, ArrayT, Home
from fastrenyi._kernels import products
from fastrenyi._spec import LinearSpec

__all__ = ["coding_rate", "eigenscore", "logdet_entropy"]


def logdet_entropy(x: ArrayT, beta: float = 1.0, base: float = 2) -> ArrayT:
    """Return the log-determinant entropy of samples: 1/2 log det(I + beta X'X / n).

    Parameters
    ----------
    x : array
        Samples (..., n, d), n samples of d features, real numbers: a NumPy, CuPy or JAX array, a torch tensor, or what
        gives NumPy an array by DLPack on the CPU or ``__array__``.
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
        Samples (..., n, d), n samples of d features, real numbers: a NumPy, CuPy or JAX array, a torch tensor, or what
        gives NumPy an array by DLPack on the CPU or ``__array__``.
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


def eigenscore(x: ArrayT, eps: float = 1e-3, form: str = "paper") -> ArrayT:
    """Return the EigenScore of n answers, how much they differ in meaning: (1/n) log det(X J X' + eps I).

    J takes away from each answer the mean over its features: J = I - 1 1' / d.

    Parameters
    ----------
    x : array
        Embeddings (..., n, d) of n answers to one question, real numbers: a NumPy, CuPy or JAX array, a torch tensor,
        or what gives NumPy an array by DLPack on the CPU or ``__array__``.
    eps : float
        Above zero: what is added to each eigenvalue.
    form : str
        "paper", in nats, or "released", what the published code computes: of X J X' / (d - 1) in place of X J X', and
        the logarithm to base 10.

    Returns
    -------
    array
        The batch shape; in the library, dtype and device of x. log(eps) where nothing is left of the answers.

    Raises
    ------
    TypeError
        For what is not an array of real numbers.
    ValueError
        For wrong shapes, NaN or infinity, an eps or form out of range, and one feature in the released form.

    Notes
    -----
    The two forms differ by more than a factor, as eps is added to other eigenvalues. The mean over features
    is taken away, not the mean answer: it is not the covariance of the features. Cost O(n d m + m^3), m the
    smaller of n and d. Half precision is computed in single.
    Source: Chen et al. (INSIDE), ICLR 2024; the released form read in the published code, ``func/metric.py``.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> x = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])
    >>> round(float(fr.eigenscore(x)), 6), round(float(fr.eigenscore(x, form="released")), 6)
    (0.549973, -0.061891)
    """
    samples, home = _samples.accepted(x, "x")
    n, d = samples.shape[-2:]
    log_eps = math.log(_check.positive(eps, "eps"))
    released = _check.choice(form, "form", ("paper", "released")) == "released"
    if released and d == 1:
        _check.value_error("x", "answers of two or more features, as the released form divides by d - 1", "one")
    log_squares, counts = _log_squares(samples, home, "features")
    with home.current(samples):
        above = log_squares - (log_eps + (math.log(d - 1) if released else 0.0))
        each = home.xp().logaddexp(home.xp().zeros_like(above), above)
        nats = log_eps + (each * counts).sum(-1) / n
        found: ArrayT = home.leave(nats / math.log(10) if released else nats)
    return found


def _half_logdet(x: Array, home: Home, log_beta: float, base: float) -> Array:
    """Return 1/2 log det(I + beta X'X / n), by log(1 + beta s / n) of the squared singular values s, in logarithms."""
    unit = _check.unit(base) / math.log(2)
    log_squares, counts = _log_squares(x, home)
    with home.current(x):
        above = log_squares + (log_beta - math.log(x.shape[-2]))
        each = home.xp().logaddexp(home.xp().zeros_like(above), above)
        return home.leave((each * counts).sum(-1) * (unit / 2))


def _log_squares(x: Array, home: Home, center: _samples.Center = None) -> tuple[Array, Array]:
    """Return the logarithms of the squared singular values of samples, min(n, d) of them, and which are not rounding.

    They are those of the spectrum p of X'X / tr, added to that of tr, so that no square leaves the range.
    """
    xp = home.xp()
    a = _samples.smaller_gram(x, home, "x", center)
    p = _dispatch.operations(home.library).spectrum(a, "x")
    with home.current(x):
        z, _, scale = products.prepared(home.computed(x), LinearSpec(center or "", False, "samples"), None)
        squares = _samples.nonzero((z**2).sum((-2, -1)), xp)
        counts = p > p.shape[-1] * min(home.epsilon, 2.0**-23) * home.constant(p)[..., -1:]
        log_p = xp.log(xp.where(counts, p, xp.ones_like(p)))
        return (2 * xp.log(scale[..., 0, 0]) + xp.log(squares))[..., None] + log_p, counts
