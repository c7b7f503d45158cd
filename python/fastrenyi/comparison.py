"""How far two Grams of the same samples agree."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastrenyi import _check, _dispatch, _matrices, _samples
from fastrenyi._array import Array, ArrayT, Home, broadcast_shapes, has_numbers, wrap

__all__ = ["alignment", "cauchy_schwarz_information", "relative_entropy"]


def _two(a: Any, b: Any) -> tuple[Array, Array, Home]:
    """Accept two Grams (..., n, n) of one n and one home, whose batch axes broadcast."""
    a = _check.adopt(a, "a")
    home = _matrices.gram(a, "a")
    b = _check.adopt(b, "b")
    _check.same_home(_matrices.gram(b, "b"), "b", home, "a")
    if a.shape[-1] != b.shape[-1]:
        _check.value_error("b", f"matrices of n = {a.shape[-1]} samples, as a", f"shape {tuple(b.shape)}")
    try:
        broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2]))
    except ValueError:
        _check.value_error("b", f"batch axes that broadcast with {tuple(a.shape[:-2])}", f"{tuple(b.shape[:-2])}")
    return a, b, home


def _scaled(a: Array, name: str, home: Home) -> Array:
    """Return symmetric matrices, looked at, with their largest number brought to one, which no result here sees."""
    if has_numbers(a):
        _matrices.gram_contents(a, name, trace_one=False)
    xp = home.xp()
    values = home.computed(a)
    largest = xp.amax(abs(home.constant(values)), (-2, -1))[..., None, None]
    return values / _samples.nonzero(largest, xp)


def _total(a: Array) -> Array:
    return a.sum((-2, -1))


def alignment(a: ArrayT, b: ArrayT, centered: bool = False) -> ArrayT:
    """Return the alignment of two kernel matrices: <A, B> / (|A| |B|), in Frobenius' product and norm.

    Centred it is CKA: of H A H and H B H with H = I - 1 1' / n.

    Parameters
    ----------
    a, b : array
        Symmetric matrices (..., n, n) of any trace, of the same samples: NumPy, CuPy or JAX arrays, torch tensors, or
        what gives NumPy an array by DLPack on the CPU or ``__array__``. Batch axes broadcast.
    centered : bool
        Whether both are centred in the feature space of their kernel.

    Returns
    -------
    array
        The batch shape; in the library, dtype and device of a. In [0, 1] for positive semidefinite matrices. NaN,
        without a gradient, where one of them is zero, or once centred is to rounding.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for a and b of different libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN, and matrices that are not symmetric. Inside ``torch.compile``, ``torch.func``,
        ``torch.vmap`` and CUDA graphs the numbers are not looked at.

    Notes
    -----
    Cost O(n^2). Linear CKA is that of ``gram(x, "linear")``. The estimate is the biased one of Kornblith et al.: of few
    samples with many features it is near one whatever the data are; ``permutation_test`` does not know it, a loop over
    permuted samples does.
    Source: Cristianini et al., NIPS 2001; centred: Cortes et al., JMLR 13, 2012; Kornblith et al., ICML 2019.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> a, b = fr.gram(x, bandwidth=1.0), fr.gram(x**2, bandwidth=1.0)
    >>> round(float(fr.alignment(a, b)), 4), round(float(fr.alignment(a, b, centered=True)), 4)
    (0.9136, 0.8901)
    """
    a, b, home = _two(a, b)
    is_centered = _check.flag(centered, "centered")
    xp = home.xp()
    with home.current(a):
        k, other = _scaled(a, "a", home), _scaled(b, "b", home)
        limit = 0.0
        if is_centered:
            limit = 8 * k.shape[-1] * min(home.epsilon, 2.0**-23)
            _matrices.ends_in_samples(k, other, "b", "have a mean")
            k, other = _centred(k), _centred(other)
        squares, of_other = _total(k * k), _total(other * other)
        fine = (squares > limit**2) & (of_other > limit**2)
        norms = xp.where(fine, squares, 1) ** 0.5 * xp.where(fine, of_other, 1) ** 0.5
        found: ArrayT = home.leave(xp.where(fine, _total(k * other) / norms, math.nan))
    return found


def _centred(k: Array) -> Array:
    means = k.mean(-1)
    return k - means[..., :, None] - means[..., None, :] + means.mean(-1)[..., None, None]


def cauchy_schwarz_information(a: ArrayT, b: ArrayT, normalized: bool = False, base: float = 2) -> ArrayT:
    """Return the quadratic mutual information of Cauchy and Schwarz: log V_J + log V_M - 2 log V_C.

    V_J = sum_ij A_ij B_ij / n^2, V_M = sum_ij A_ij sum_ij B_ij / n^4, V_C = sum_i (sum_j A_ij) (sum_j B_ij) / n^3: of
    densities p estimated by the kernel, -log of the squared cosine between p(x, y) and p(x) p(y).

    Parameters
    ----------
    a, b : array
        Grams (..., n, n) of the same samples, of any scale: NumPy, CuPy or JAX arrays, torch tensors, or what gives
        NumPy an array by DLPack on the CPU or ``__array__``. Batch axes broadcast.
    normalized : bool
        Whether to divide by the root of that of a with itself times that of b with itself.
    base : float
        Base of the logarithm; 2 gives bits, ``math.e`` nats, as published.

    Returns
    -------
    array
        The batch shape; in the library, dtype and device of a. Not negative to rounding. Normalised, NaN where a or b
        tells nothing of itself to rounding.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for a and b of different libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric, sums that are not above zero, as of kernels with
        negative values, and a base out of range. Inside ``torch.compile``, ``torch.func``, ``torch.vmap`` and CUDA
        graphs the numbers are not looked at.

    Notes
    -----
    Cost O(n^2). A Gaussian kernel of width sigma is two windows of width sigma / sqrt(2), convolved.
    Source: Principe, Information Theoretic Learning, Springer 2010.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> abs(round(float(fr.cauchy_schwarz_information(a, b)), 9)), round(float(fr.cauchy_schwarz_information(a, a)), 9)
    (0.0, 1.0)
    """
    a, b, home = _two(a, b)
    is_normalized = _check.flag(normalized, "normalized")
    unit = _check.unit(base) / math.log(2)
    xp = home.xp()
    with home.current(a):
        k, other = _scaled(a, "a", home), _scaled(b, "b", home)
        found = _cosine_of_densities(k, other, "a", xp)
        if not is_normalized:
            return home.leave(found * unit)  # type: ignore[no-any-return]
        selves = [_cosine_of_densities(one, one, name, xp) for one, name in ((k, "a"), (other, "b"))]
        limit = 8 * k.shape[-1] * min(home.epsilon, 2.0**-23)
        fine = (selves[0] > limit) & (selves[1] > limit)
        norm = (xp.where(fine, selves[0], 1) * xp.where(fine, selves[1], 1)) ** 0.5
        return home.leave(xp.where(fine, found / norm, math.nan))  # type: ignore[no-any-return]


def _cosine_of_densities(a: Array, b: Array, name: str, xp: Any) -> Array:
    """Return -log of the squared cosine between the joint density and the product of the single ones, in nats."""
    parts = _total(a * b), _total(a) * _total(b), (a.sum(-1) * b.sum(-1)).sum(-1)
    for part in parts:
        if has_numbers(part):
            values = wrap(part)
            if not (values > 0).all():
                least = np.asarray(values).flat[int((~(values > 0)).argmax())]
                way_out = "take a kernel without negative values, such as the Gaussian"
                _check.value_error(
                    name, "Grams whose sums, alone and with the other, are above zero", f"{least:g}", way_out
                )
    joint, single, cross = parts
    return xp.log(joint) + xp.log(single) - 2 * xp.log(cross)


def relative_entropy(a: ArrayT, b: ArrayT, base: float = 2) -> ArrayT:
    """Return the relative entropy of two Grams, von Neumann's: tr A (log A - log B).

    It is not negative, zero where they are the same, and not symmetric.

    Parameters
    ----------
    a, b : array
        Grams (..., n, n): NumPy, CuPy or JAX arrays, torch tensors, or what gives NumPy an array by DLPack on the CPU
        or ``__array__``. Batch axes broadcast.
    base : float
        Base of the logarithm; 2 gives bits.

    Returns
    -------
    array
        The batch shape; in the library, dtype and device of a.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for a and b of different libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric or not of trace one, a base out of range, and where more
        than sqrt(eps) of a lies where b has nothing, to rounding: there it is infinite.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max.

    Notes
    -----
    Eigenvalues of b below n eps lambda_max are not known: what a has there counts as if they were of that size, and
    they have no gradient. Mixing b with a little of eye(n) / n keeps clear of that. Cost O(n^3).
    Source: Umegaki, Kodai Math. Sem. Rep. 14, 1962.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a, b = np.diag([0.5, 0.5]), np.diag([0.75, 0.25])
    >>> round(float(fr.relative_entropy(a, b)), 6), round(float(fr.relative_entropy(b, a)), 6)
    (0.207519, 0.188722)
    """
    a, b, home = _two(a, b)
    unit = _check.unit(base)
    operations = _dispatch.operations(home.library)
    own = operations.entropies([a], ["a"], [[0]], ["a"], [1.0], [1.0], unit)[..., 0]
    found: ArrayT = home.leave(operations.cross_entropy(a, b, unit) - own)
    return found
