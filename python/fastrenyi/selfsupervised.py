"""What self-supervised representations are judged by: views of samples, and how fast their spectrum falls."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastrenyi import _check, _dispatch, _matrices, _samples
from fastrenyi._array import Array, ArrayT, Home, broadcast_shapes, has_numbers, wrap
from fastrenyi._call import Alpha, Call, Variable
from fastrenyi._ops.permutations import permutations as orders_of
from fastrenyi._spec import LinearSpec
from fastrenyi.effective import effective_rank

__all__ = ["dime", "infonce", "lidar", "spectral_slope"]

_VIEWS = 4096
"""Whose deviations from their means are in memory together: more only so that there are no more than ``_PARTS``."""
_PARTS = 16

_LOG_RANGE = 460.0  # of a ridge: its square root and what is divided by that stay within double precision


def lidar(x: ArrayT, delta: float = 1e-4) -> ArrayT:
    """Return the LiDAR of views of samples: the effective rank of W^(-1/2) B W^(-1/2), between over within samples.

    With views x_ij of sample i, their mean m_i and the mean m of all: B = mean_i (m_i - m) (m_i - m)' and
    W = mean_ij (x_ij - m_i) (x_ij - m_i)' + delta I. It is between 1 and the smaller of n - 1 and d.

    Parameters
    ----------
    x : array
        Representations (..., n, views, d) of two or more views, such as augmentations, of each of n samples, real
        numbers: a NumPy, CuPy or JAX array, a torch tensor, or what gives NumPy an array by DLPack on the CPU or
        ``__array__``.
    delta : float
        Above zero: what is added to the eigenvalues of the scatter within samples.

    Returns
    -------
    array
        The batch shape; in the library, dtype and device of x.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for a JAX array where ``jax_enable_x64`` is not set.
    ValueError
        For wrong shapes, NaN or infinity, a delta out of range, and samples whose views have the same mean.

    Notes
    -----
    delta is absolute: the result depends on the scale of x where the scatter within samples is not far above it.
    Smaller than d eps tr W, which is rounding, it counts as that. Computed in double precision. Cost O(n views d^2 +
    d^3).

    Conventions elsewhere: some implementations divide B by n - 1 and W by n (views - 1), which is this with a delta
    smaller by (views - 1) / views; RankMe's 1e-7 and its like, added to each p_i, are not added here; the harness of
    Skean et al. reports the entropy over log min(n, d) in place of the effective rank.
    Source: Thilak et al., ICLR 2024, arXiv 2312.04000; means as in the code of Skean et al., arXiv 2502.02013.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> means = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> x = means[:, None, :] + 0.1 * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> round(float(fr.lidar(x)), 6), round(float(fr.lidar(x * [1.0, 0.0])), 6)
    (2.0, 1.0)
    """
    samples, home = _samples.accepted(x, "x")
    if samples.ndim < 3 or samples.shape[-3] == 0 or samples.shape[-2] < 2:
        expected = "representations of shape (..., n, views, d) with n >= 1 and views >= 2"
        _check.value_error("x", expected, f"shape {tuple(samples.shape)}")
    log_delta = math.log(_check.positive(delta, "delta"))
    wide = _check.double(home, "x", "lidar")
    with home.current(samples):
        whitened = _whitened_means(wide.leave(samples), wide, log_delta)
    a = _samples.smaller_gram(whitened, wide, "x", "samples")
    if has_numbers(a) and not wrap(a).any((-2, -1)).all():
        _check.value_error("x", "samples whose views differ in their means", "only equal means")
    found: ArrayT = home.leave(effective_rank(a))
    return found


def _whitened_means(x: Array, home: Home, log_delta: float) -> Array:
    """Return the means over views (..., n, d), as W = L L' makes of them L^(-1) m, up to a scale."""
    xp = home.xp()
    n, views, d = x.shape[-3:]
    known = home.constant(x)
    scale = _samples.nonzero(xp.maximum(xp.amax(known, (-3, -2, -1)), -xp.amin(known, (-3, -2, -1))), xp)
    within: Array = 0
    of_parts = []
    at_once = max(1, _VIEWS // views, -(-n // _PARTS))
    for start in range(0, n, at_once):
        z = x[..., start : start + at_once, :, :] / scale[..., None, None, None]
        of_parts.append(z.mean(-2))
        z -= of_parts[-1][..., None, :]  # which is nobody else's
        rest = z.reshape(*z.shape[:-3], z.shape[-3] * views, d)
        within = within + rest.swapaxes(-1, -2) @ rest / (n * views)
    means = xp.concatenate(of_parts, -2)
    trace = within.diagonal(0, -2, -1).sum(-1)
    ridge = xp.exp(xp.clip(log_delta - 2 * xp.log(scale), -_LOG_RANGE, _LOG_RANGE))
    ridge = xp.maximum(ridge, d * home.epsilon * home.constant(trace))
    root = xp.linalg.cholesky(within + ridge[..., None, None] * home.eye(d, within))
    return _solved(root, (means - means[..., :1, :]).swapaxes(-1, -2), home).swapaxes(-1, -2)


def _solved(lower: Array, right: Array, home: Home) -> Array:
    """Return L^(-1) B of lower triangles (..., d, d)."""
    if home.library == "torch":
        return home.xp().linalg.solve_triangular(lower, right, upper=False)
    return home.xp().linalg.solve(lower, right)


def spectral_slope(x: ArrayT, first: int = 4, last: int = 100, weighted: bool = True) -> ArrayT:
    """Return the exponent of the power law i^(-a) that the eigenvalues of the covariance fall by, the a of alpha-ReQ.

    It is minus the slope of log lambda_i on log i by least squares, over the eigenvalues of rank ``first`` to ``last``
    (the largest has rank 1) that are above rounding, weighted by 1 / i.

    Parameters
    ----------
    x : array
        Samples (..., n, d), n samples of d features, real numbers: a NumPy, CuPy or JAX array, a torch tensor, or what
        gives NumPy an array by DLPack on the CPU or ``__array__``.
    first, last : int
        The first and last rank of the fit, both included.
    weighted : bool
        False gives each rank the same weight.

    Returns
    -------
    array
        The batch shape; in the library, dtype and device of x.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for ranks that are no integers.
    ValueError
        For wrong shapes, NaN or infinity, ranks out of range, samples that are all the same, and fewer than two
        eigenvalues to fit. Inside ``torch.compile``, ``torch.func``, ``torch.vmap`` and CUDA graphs that is NaN.

    Notes
    -----
    Above rounding are eigenvalues above m eps lambda_max, m the smaller of n and d: the others, such as the one that
    centring leaves of n samples with more features, have a logarithm of noise. Cost O(n d m + m^3). Half precision is
    computed in single.

    Conventions elsewhere: ranks 4 to 100 and the weights are those of the published code, whose callers also take ranks
    4 to 50 and 12 to 100; the paper has neither.
    Source: Agrawal, Mondal, Ghosh, Richards (alpha-ReQ), NeurIPS 2022; the fit of Stringer et al., Nature 571, 2019.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> scales = np.arange(1.0, 8.0) ** -0.75  # of features without correlation: variances fall by i^(-1.5)
    >>> x = np.vstack([np.diag(scales), -np.diag(scales)])
    >>> round(float(fr.spectral_slope(x, first=1)), 9)
    1.5
    """
    samples, home = _samples.accepted(x, "x")
    low = _check.integer(first, "first", 1)
    high = _check.integer(last, "last", low + 1)
    by_rank = _check.flag(weighted, "weighted")
    a = _samples.smaller_gram(samples, home, "x", "samples")
    _samples.refuse_nothing(a, "x", "samples")
    values = _dispatch.operations(home.library).spectrum(a, "x")
    xp = home.xp()
    with home.current(samples):
        ones = xp.ones_like(values)
        ranks = values.shape[-1] + 1 - ones.cumsum(-1)
        rounding = values.shape[-1] * min(home.epsilon, 2.0**-23) * home.constant(values)[..., -1:]
        counts = (ranks >= low) & (ranks <= high) & (values > rounding)
        enough = counts.sum(-1) > 1
        _fit_of_two(enough, low, high)
        weights = xp.where(counts, 1 / ranks if by_rank else ones, 0 * ones)
        log_ranks, log_values = xp.log(ranks), xp.log(xp.where(counts, values, ones))
        mean = (weights * log_ranks).sum(-1) / _samples.nonzero(weights.sum(-1), xp)
        apart = weights * (log_ranks - mean[..., None])
        spread = _samples.nonzero((apart * log_ranks).sum(-1), xp)
        found: ArrayT = home.leave(xp.where(enough, -(apart * log_values).sum(-1) / spread, math.nan * spread))
    return found


def _fit_of_two(enough: Array, first: int, last: int) -> None:
    if has_numbers(enough):
        seen = np.asarray(wrap(enough))
        if not seen.all():
            where = f" at index {tuple(map(int, np.unravel_index(int(seen.argmin()), seen.shape)))}" * (seen.ndim > 0)
            expected = f"samples with two eigenvalues above rounding or more from rank {first} to {last}"
            _check.value_error("x", expected, f"fewer{where}", "pass a lower first, or more samples")


def _two_views(a: Any, b: Any) -> tuple[Array, Array, Home]:
    """Accept two views (..., n, d) of the same samples, with as many features."""
    left, home = _samples.accepted(a, "a")
    right, other = _samples.accepted(b, "b")
    _check.same_home(other, "b", home, "a")
    if left.shape[-2:] != right.shape[-2:]:
        expected = f"samples of shape (..., {left.shape[-2]}, {left.shape[-1]}), as a"
        _check.value_error("b", expected, f"shape {tuple(right.shape)}")
    try:
        broadcast_shapes(tuple(left.shape[:-2]), tuple(right.shape[:-2]))
    except ValueError:
        _check.value_error(
            "b", f"batch axes that broadcast with {tuple(left.shape[:-2])}", f"{tuple(right.shape[:-2])}"
        )
    return left, right, home


def infonce(a: ArrayT, b: ArrayT, temperature: float = 0.1, base: float = 2) -> ArrayT:
    """Return InfoNCE of two views: how well each sample is told by its other view among all 2n - 1 others.

    Of the 2n rows z_i of both views, of length one, and the other view z_p(i) of each:
    mean_i [log sum_{j != i} exp(<z_i, z_j> / temperature) - <z_i, z_p(i)> / temperature]. Low is good.

    Parameters
    ----------
    a, b : array
        Representations (..., n, d) of two views of the same n samples, real numbers: NumPy, CuPy or JAX arrays, torch
        tensors, or what gives NumPy an array by DLPack on the CPU or ``__array__``. Batch axes broadcast.
    temperature : float
        Above zero; below 1e-30 as that.
    base : float
        Base of the logarithm; 2 gives bits, ``math.e`` nats, as published.

    Returns
    -------
    array
        The batch shape; in the library, dtype and device of a. Zero of one sample; log(2n - 1) where all rows are the
        same.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for a and b of different libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN or infinity, and a temperature or base out of range.

    Notes
    -----
    A row of zeros has the product zero with all. Others of both views count, as in SimCLR. Cost O(n^2 d). Half
    precision is computed in single.
    Source: van den Oord, Li, Vinyals, arXiv 1807.03748; Chen et al. (SimCLR), ICML 2020; temperature 0.1 and the form
    as in the code of Skean et al., arXiv 2502.02013.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> x = np.eye(3)
    >>> round(float(fr.infonce(x, x)), 6), round(float(fr.infonce(x, x[[1, 2, 0]])), 4)
    (0.000262, 14.4272)
    """
    left, right, home = _two_views(a, b)
    scale = min(1 / _check.positive(temperature, "temperature"), 1e30)  # what single precision has room for
    unit = _check.unit(base) / math.log(2)
    xp, n = home.xp(), left.shape[-2]
    batch = broadcast_shapes(tuple(left.shape[:-2]), tuple(right.shape[:-2]))
    with home.current(left):
        rows = [_samples.prepared(view, home, None, True) for view in (left, right)]
        z = xp.concatenate([xp.broadcast_to(view, (*batch, *view.shape[-2:])) for view in rows], -2)
        trace = (z * z).sum((-2, -1))[..., None, None]
        k = trace * _dispatch.operations(home.library).linear_gram(z, LinearSpec("", False, "samples"), [], "a")
        itself = xp.ones_like(home.constant(k)).cumsum(-1) == xp.ones_like(home.constant(k)).cumsum(-2)
        others = xp.where(itself, -2.0, k)
        nearest = home.constant(xp.amax(others, -1))
        sums = (xp.exp((others - nearest[..., None]) * scale) * ~itself).sum(-1)
        paired = k[..., :n, n:].diagonal(0, -2, -1)
        told = xp.log(sums).mean(-1) + (nearest.mean(-1) - paired.mean(-1)) * scale
        found: ArrayT = home.leave(told * unit)
    return found


def dime(
    a: Variable[ArrayT],
    b: Variable[ArrayT],
    permutations: int = 10,
    seed: int = 0,
    *,
    alpha: Alpha = 1.01,
    base: float = 2,
) -> ArrayT:
    """Return the difference of matrix-based entropies of two views: mean over permutations of S(A, P B P') - S(A, B).

    How much less the views tell as they are paired than paired at random: near zero where they share nothing.

    Parameters
    ----------
    a, b : array or sequence of arrays
        Each a Gram (..., n, n) of the same samples, or a list or tuple of Grams that together are one joint variable.
    permutations : int
        How many random pairings are averaged.
    seed : int
        Of the permutations, which are the same for each of a batch.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.

    Returns
    -------
    array
        The batch shape, for m orders with a last axis of length m; in the library, dtype and device of a.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, for Grams of different libraries, dtypes or devices, and for
        permutations or a seed that are no integers.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric or not of trace one, and numbers out of range.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max.

    Notes
    -----
    It is the excess of ``permutation_test(a, b, permutations, seed)``, with the gradient of both terms, which the test
    has not. Cost O(permutations n^3), memory O(permutations n^2). ``torch.compile`` does not take it.

    Conventions elsewhere: the harness of Skean et al. takes linear Grams, alpha = 1 and 10 permutations; where there
    are more samples than features it permutes the features of d x d covariances, which is another quantity.
    Source: Skean, Hoyos Osorio, Brockmeier, Sanchez Giraldo, arXiv 2301.08164.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> x = np.arange(8.0)[:, None]
    >>> a = fr.gram(x, bandwidth=1.0)
    >>> round(float(fr.dime(a, a)), 4), abs(round(float(fr.dime(a, np.full((8, 8), 1 / 8))), 9))
    (0.1081, 0.0)
    """
    call: Call[ArrayT] = Call({"a": a, "b": b}, alpha, base)
    call.refuse_estimates("permutations")
    count, first = _check.integer(permutations, "permutations", 1), _check.integer(seed, "seed", 0)
    home, axes = call.home, max(gram.ndim for gram in call.grams)
    _matrices.ends_in_samples(
        call.grams[call.members[0][0]], call.grams[call.members[1][0]], "b", "are put in another order"
    )
    with home.current(call.grams[0]):
        orders = home.take(orders_of(count, call.grams[0].shape[-1], first))
        mixed: list[Any] = [_mixed(call.grams[i], orders, axes) for i in call.members[1]]
    apart: Call[ArrayT] = Call({"a": a, "b": mixed}, alpha, base)
    return call.leave(apart.entropies((0, 1))[0].mean(0) - call.entropies((0, 1))[0])


def _mixed(gram: Array, orders: Array, axes: int) -> Array:
    """Return a Gram with its samples in other orders (k, n), which are an axis in front of all batch axes."""
    alone = gram.reshape(*(1,) * (axes + 1 - gram.ndim), *gram.shape)
    return alone[..., orders[:, :, None], orders[:, None, :]].swapaxes(0, -3)[..., 0, :, :]
