"""How far apart two samples are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from fastrenyi import _check, _dispatch
from fastrenyi._array import AnyArray, Array, ArrayT, Home, broadcast_shapes, has_numbers, home_of, wrap
from fastrenyi._between import accepted_two
from fastrenyi._call import Alpha
from fastrenyi.bandwidths import BandwidthLike
from fastrenyi.kernels import Kernel, KernelLike, Linear, as_kernel
from fastrenyi.large.estimation import Estimate, How, as_estimation
from fastrenyi.large.lazy import factor_of, lazy_gram

__all__ = ["cauchy_schwarz_divergence", "divergence", "log_means"]


def _pooled(x: Array, y: Array, home: Home) -> Array:
    """Return two sets of samples as one, (..., n, d) and (..., m, d) as (..., n + m, d); batch axes broadcast."""
    xp = home.xp()
    batch = broadcast_shapes(tuple(x.shape[:-2]), tuple(y.shape[:-2]))
    with home.current(x):
        return xp.concatenate([xp.broadcast_to(v, (*batch, *v.shape[-2:])) for v in (x, y)], -2)


_NAMES = ("x", "y")


def _two(
    x: Any, y: Any, kernel: KernelLike, bandwidth: BandwidthLike | None, names: tuple[str, str] = _NAMES
) -> tuple[Array, Array, Home, Kernel]:
    """Accept two sets of samples of as many features, and the kernel for both."""
    for values, name in zip((x, y), names, strict=True):
        _check.array(_check.adopt(values, name), name)
    chosen = as_kernel(kernel, bandwidth)
    x, y = accepted_two(x, y, names, chosen._accept)
    home = home_of(x)
    return x, y, home, chosen


def _gram(pooled: Array, x: Array, y: Array, home: Home, kernel: Kernel, names: tuple[str, str] = _NAMES) -> Array:
    """Return the Gram of both sets of samples as one."""
    try:
        return kernel._gram(pooled, home, names[0])
    except ValueError:
        for values, name in zip((x, y), names, strict=True):
            if has_numbers(values):
                _check.finite(wrap(values), name)  # so that the index is one of what was given
        raise


def _estimated(
    pooled: Array, n: int, kernel: Kernel, orders: Sequence[float], one: bool, unit: float, how: How
) -> Estimate:
    """Return the divergence of the first n samples from the others, estimated."""
    from fastrenyi.large.run import Term, estimated

    if pooled.ndim != 2:
        _check.value_error("x", "samples of shape (n, d) to estimate of", f"shape {tuple(pooled.shape)}")
    every = factor_of(lazy_gram(pooled, kernel), "x")
    share = n / every.n
    terms = [
        Term(1, [every], "x, y"),
        Term(-share, [every.part(slice(0, n))], "x"),
        Term(share - 1, [every.part(slice(n, None))], "y"),
    ]
    return estimated(terms, orders, one, unit, as_estimation(how), home_of(pooled))


@overload
def divergence(  # type: ignore[overload-overlap]
    x: ArrayT,
    y: ArrayT,
    kernel: KernelLike = ...,
    bandwidth: BandwidthLike | None = ...,
    *,
    alpha: Alpha = ...,
    base: float = ...,
    estimate: None = ...,
) -> ArrayT: ...
@overload
def divergence(
    x: AnyArray,
    y: AnyArray,
    kernel: KernelLike = ...,
    bandwidth: BandwidthLike | None = ...,
    *,
    alpha: Alpha = ...,
    base: float = ...,
    estimate: How,
) -> Estimate: ...
def divergence(
    x: Any,
    y: Any,
    kernel: KernelLike = "gaussian",
    bandwidth: BandwidthLike | None = None,
    *,
    alpha: Alpha = 1.01,
    base: float = 2,
    estimate: How = None,
) -> Any:
    """Return the Jensen-Renyi divergence of two samples: S(x and y pooled) - n/(n+m) S(x) - m/(n+m) S(y).

    Zero for equal samples, and at most the entropy of the mixing proportions for samples far apart.

    Parameters
    ----------
    x, y : array
        Samples (..., n, d) and (..., m, d); batch axes broadcast.
    kernel : str or Kernel
        "gaussian", "laplacian", "cosine", "polynomial", "delta", or a kernel such as ``Gaussian(bandwidth=2.0)``.
    bandwidth : float, array, str or Bandwidth, optional
        The kernel's width, or a rule for it such as "median", which looks at the pooled sample. None is the kernel's
        own.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.
    estimate : float or Estimation, optional
        Half the width of the interval wanted, or how to come to it. With it the result is an ``Estimate``.

    Returns
    -------
    array
        The batch shape, for m orders with a last axis of length m; in the library, dtype and device of x.

    Raises
    ------
    TypeError
        For what is not an array of real numbers (for the Delta kernel also integers), and x and y of different
        libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN or infinity, widths that are not positive or do not apply, and orders or bases out of
        range.

    Notes
    -----
    Samples are NumPy, CuPy or JAX arrays or torch tensors; what gives NumPy an array by DLPack on the CPU or
    ``__array__`` is taken as that array. Cost O((n+m)^2 d + (n+m)^3).
    Source: the representation Jensen-Renyi divergence of Hoyos Osorio, Skean, Brockmeier and Sanchez Giraldo, arXiv
    2112.01583.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> x = np.arange(4.0)[:, None]
    >>> abs(round(float(fr.divergence(x, x)), 9)), round(float(fr.divergence(x, x + 1000, bandwidth=1.0)), 9)
    (0.0, 1.0)
    """
    x, y, home, chosen = _two(x, y, kernel, bandwidth)
    if isinstance(chosen, Linear):
        _check.value_error("kernel", "one of unit diagonal", repr(chosen), 'take "cosine"')
    orders, one_order = _check.orders(alpha)
    unit = _check.unit(base)
    operations = _dispatch.operations(home.library)
    n, m = x.shape[-2], y.shape[-2]
    pooled = _pooled(x, y, home)
    if estimate is not None:
        return _estimated(pooled, n, chosen, orders, one_order, unit, estimate)
    grams = _gram(pooled, x, y, home, chosen)
    home = chosen._result_home(home)
    s, s_x, s_y = (
        operations.entropies([part], ["x"], [[0]], ["x"], [1], orders, unit)
        for part in (grams, grams[..., :n, :n] * ((n + m) / n), grams[..., n:, n:] * ((n + m) / m))
    )
    result = s - (n * s_x + m * s_y) / (n + m)
    return home.leave(result[..., 0] if one_order else result)


def cauchy_schwarz_divergence(
    x: ArrayT,
    y: ArrayT,
    kernel: KernelLike = "gaussian",
    bandwidth: BandwidthLike | None = None,
    base: float = 2,
) -> ArrayT:
    """Return the divergence of Cauchy and Schwarz: log mean k(x, x') + log mean k(y, y') - 2 log mean k(x, y).

    It is -log of the squared cosine between the mean embeddings of the samples, or the densities that the kernel
    estimates: zero for equal samples, and without a bound for samples far apart.

    Parameters
    ----------
    x, y : array
        Samples (..., n, d) and (..., m, d); batch axes broadcast.
    kernel : str or Kernel
        "gaussian", "laplacian", "cosine", "polynomial", "linear", "delta", or a kernel such as
        ``Gaussian(bandwidth=2.0)``.
    bandwidth : float, array, str or Bandwidth, optional
        The kernel's width, or a rule for it such as "median", which looks at the pooled sample. None is the kernel's
        own.
    base : float
        Base of the logarithm; 2 gives bits, ``math.e`` nats.

    Returns
    -------
    array
        The batch shape; in the library, dtype and device of x.

    Raises
    ------
    TypeError
        For what is not an array of real numbers (for the Delta kernel also integers), and x and y of different
        libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN or infinity, widths that are not positive or do not apply, a base out of range, and a mean
        of the kernel that is not above zero, as between samples too far apart for its width. Inside ``torch.compile``,
        ``torch.func``, ``torch.vmap`` and CUDA graphs the means are not looked at.

    Notes
    -----
    Samples are NumPy, CuPy or JAX arrays or torch tensors; what gives NumPy an array by DLPack on the CPU or
    ``__array__`` is taken as that array. A kernel that is not one for equal samples is divided by the root of its
    diagonal, the linear one by its trace. Cost O((n+m)^2 d).
    Source: Jenssen, Principe, Erdogmus, Eltoft, J. Franklin Institute 343(6), 2006.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> x = np.array([[0.0], [1.0]])
    >>> abs(round(float(fr.cauchy_schwarz_divergence(x, x)), 9)), round(
    ...     float(fr.cauchy_schwarz_divergence(x[:1], x[1:], bandwidth=1.0, base=np.e)), 9)
    (0.0, 1.0)
    """
    within, of_y, between, home = log_means(x, y, kernel, bandwidth)
    unit = _check.unit(base) / math.log(2)
    found: ArrayT = home.leave((within + of_y - 2 * between) * unit)
    return found


def log_means(
    x: Any, y: Any, kernel: KernelLike, bandwidth: BandwidthLike | None, names: tuple[str, str] = _NAMES
) -> tuple[Array, Array, Array, Home]:
    """Return log mean k(x, x'), log mean k(y, y') and log mean k(x, y) in nats, and where results go.

    Of a linear kernel up to a number that they have in common.
    """
    x, y, home, chosen = _two(x, y, kernel, bandwidth, names)
    n, m = x.shape[-2], y.shape[-2]
    a = _gram(_pooled(x, y, home), x, y, home, chosen, names) * (n + m)
    xp = home.xp()
    with home.current(a):
        means = [part.mean((-2, -1)) for part in (a[..., :n, :n], a[..., n:, n:], a[..., :n, n:])]
        for mean, name in zip(means, (*names, names[1]), strict=True):
            _above_zero(mean, name)
        within, of_y, between = (xp.log(mean) for mean in means)
    return within, of_y, between, chosen._result_home(home)


def _above_zero(mean: Array, name: str) -> None:
    if has_numbers(mean):
        values = np.asarray(wrap(mean))
        if not (values > 0).all():
            expected = "samples over which the kernel has a mean above zero"
            _check.value_error(
                name, expected, f"{values.min():g}", "take a wider kernel, or one without negative values"
            )
