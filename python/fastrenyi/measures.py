"""Entropies and the information measures composed of them: each is a signed sum of joint entropies.

An argument that names a variable is a Gram (..., n, n), or a list or tuple of Grams that together are one variable.
"""

from __future__ import annotations

from typing import Any, overload

from fastrenyi import _check, _dispatch, _matrices, _out
from fastrenyi._array import ArrayT
from fastrenyi._call import Alpha, Call, Variable, numbered
from fastrenyi.large.estimation import Estimate, How
from fastrenyi.large.lazy import Large
from fastrenyi.null import PermutationTest, permutation_test

__all__ = [
    "conditional_entropy", "conditional_mutual_information", "entropy", "entropy_of_spectrum", "joint_entropy",
    "mutual_information", "spectrum",
]  # fmt: skip


def spectrum(a: ArrayT, *, out: ArrayT | None = None) -> ArrayT:
    """Return the eigenvalues lambda_1 <= ... <= lambda_n of symmetric matrices.

    Parameters
    ----------
    a : array
        Symmetric matrices (..., n, n) of any trace: a NumPy, CuPy or JAX array, a torch tensor, or what gives NumPy an
        array by DLPack on the CPU or ``__array__``.
    out : array, optional
        Dense memory of the library, dtype, device and shape of the result to write it to, which is then returned. It
        has no gradient.

    Returns
    -------
    array
        (..., n), ascending, in the library, dtype and device of a.

    Raises
    ------
    TypeError
        For what is not an array of real numbers.
    ValueError
        For wrong shapes, NaN or infinity, and matrices that are not symmetric.

    Notes
    -----
    Cost O(n^3) per matrix. A batch of small matrices is reduced together, a lane of a vector register for each.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> fr.spectrum(np.array([[2.0, 1.0], [1.0, 2.0]]))
    array([1., 3.])
    """
    a = _check.adopt(a, "a")
    home = _matrices.gram(a, "a")
    if out is None:
        found: ArrayT = home.leave(_dispatch.operations(home.library).spectrum(a, "a"))
        return found
    a = _out.accepted(out, home, tuple(a.shape[:-1]), a, "a")
    filled: ArrayT = _out.filled(out, _dispatch.operations("numpy").spectrum(a, "a", _out.within(out)))
    return filled


def entropy_of_spectrum(w: ArrayT, alpha: Alpha = 1.01, base: float = 2) -> ArrayT:
    """Return the Renyi entropy of eigenvalues, or probabilities, that are known: log2(sum_i w_i^alpha) / (1 - alpha).

    Parameters
    ----------
    w : array
        Spectra (..., n) of sum one, in any order, not negative but for rounding: a NumPy, CuPy or JAX array, a torch
        tensor, or what gives NumPy an array by DLPack on the CPU or ``__array__``.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.

    Returns
    -------
    array
        The batch shape, for m orders with a last axis of length m; in the library, dtype and device of w.

    Raises
    ------
    TypeError
        For what is not an array of real numbers.
    ValueError
        For wrong shapes, NaN or infinity, a sum that is not one, and orders or bases out of range. Inside a CUDA graph
        the numbers are not looked at.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps times the largest.

    Notes
    -----
    Cost O(n) for each order. It is ``entropy`` where the spectrum is at hand: one that several calls share, one of a
    solver of your own, frequencies of symbols. Eigenvalues are divided by their sum, which the gradient knows: it does
    not change with the scale of w. At an eigenvalue of zero it is finite above order 1; up to order 1, where it is
    infinite, it is that of an eigenvalue of rounding size.

    Source: Renyi, 1961; Sanchez Giraldo, Rao, Principe, IEEE TIT 61(1), 2015.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> round(float(fr.entropy_of_spectrum(np.array([0.25, 0.25, 0.5]), alpha=1)), 9)
    1.5
    >>> a = fr.gram(np.arange(8.0)[:, None], bandwidth=1.0)
    >>> fr.entropy_of_spectrum(fr.spectrum(a), alpha=[0.5, 2, 5]).round(4)
    array([2.6738, 2.2589, 2.0376])
    """
    w = _check.adopt(w, "w")
    home = _check.real(w, "w")
    shape = tuple(w.shape)
    if not shape or shape[-1] == 0:
        _check.value_error("w", "spectra of shape (..., n) with n >= 1", f"shape {shape}")
    orders, one_order = _check.orders(alpha)
    found = _dispatch.operations(home.library).spectral_entropies(w, "w", orders, _check.unit(base))
    left: ArrayT = home.leave(found[..., 0] if one_order else found)
    return left


@overload
def entropy(a: Variable[ArrayT], alpha: Alpha = ..., base: float = ..., *, estimate: None = ...) -> ArrayT: ...  # type: ignore[overload-overlap]
@overload
def entropy(a: Large, alpha: Alpha = ..., base: float = ..., *, estimate: How = ...) -> Estimate: ...
def entropy(a: Any, alpha: Alpha = 1.01, base: float = 2, *, estimate: How = None) -> Any:
    """Return the matrix-based Renyi entropy: S_alpha(A) = log2(sum_i lambda_i^alpha) / (1 - alpha).

    Parameters
    ----------
    a : array or sequence of arrays
        A Gram (..., n, n), or a list or tuple of Grams that together are one joint variable.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.
    estimate : float or Estimation, optional
        Half the width of the interval wanted, or how to come to it. With it, and of Grams by ``lazy_gram``, the result
        is an ``Estimate``.

    Returns
    -------
    array
        The batch shape, for m orders with a last axis of length m; in the library, dtype and device of the Grams.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for Grams of different libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric or not of trace one, and orders or bases out of range.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max.

    Notes
    -----
    Grams are NumPy, CuPy or JAX arrays or torch tensors; what gives NumPy an array by DLPack on the CPU or
    ``__array__``, such as a table of pandas, is taken as that array. Batch axes broadcast. Cost: O(n^3), at alpha = 2
    alone O(n^2), where no negative eigenvalue is found.

    A trace of one, symmetry and eigenvalues not below zero are asked for up to rounding: that of the dtype, and where
    it does not explain what is found, that of a lower dtype which has all significant bits of the numbers. So a float32
    Gram may be cast to float64, for twice the cost; the result is as exact as its numbers were made.

    Orders below 1 weigh small eigenvalues: those that are rounding, about n eps lambda_max, add up to n (n eps)^alpha,
    so that well below 0.5 the entropy of a Gram of low rank is dominated by them. At 0 exactly they are cut off.

    Source: Sanchez Giraldo, Rao, Principe, IEEE TIT 61(1), 2015.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a = fr.gram(np.arange(8.0)[:, None], bandwidth=1.0)
    >>> fr.entropy(a, alpha=[0.5, 2, 5]).round(4)
    array([2.6738, 2.2589, 2.0376])
    """
    call = Call({"a": a}, alpha, base, estimate)
    return call.sum((1, (0,)))


@overload
def joint_entropy(*grams: Variable[ArrayT], alpha: Alpha = ..., base: float = ..., estimate: None = ...) -> ArrayT: ...  # type: ignore[overload-overlap]
@overload
def joint_entropy(*grams: Large, alpha: Alpha = ..., base: float = ..., estimate: How = ...) -> Estimate: ...
def joint_entropy(*grams: Any, alpha: Alpha = 1.01, base: float = 2, estimate: How = None) -> Any:
    """Return the joint entropy: S(A_1, ..., A_C) = S(A_1 o ... o A_C / tr(A_1 o ... o A_C)).

    The small circle is the entrywise product.

    Parameters
    ----------
    *grams : arrays or sequences of arrays
        Each a Gram (..., n, n), or a list or tuple of Grams that together are one joint variable.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.
    estimate : float or Estimation, optional
        Half the width of the interval wanted, or how to come to it. With it, and of Grams by ``lazy_gram``, the result
        is an ``Estimate``.

    Returns
    -------
    array
        The batch shape, for m orders with a last axis of length m; in the library, dtype and device of the Grams.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for Grams of different libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric or not of trace one, and orders or bases out of range.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max.

    Notes
    -----
    Grams are NumPy, CuPy or JAX arrays or torch tensors; what gives NumPy an array by DLPack on the CPU or
    ``__array__``, such as a table of pandas, is taken as that array. Batch axes broadcast. Cost: O(C n^2), and one
    entropy of O(n^3), at alpha = 2 alone O(n^2), where no negative eigenvalue is found. Memory: one joint Gram.
    Source: Yu, Sanchez Giraldo, Jenssen, Principe, IEEE TPAMI 42(11), 2020.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> float(fr.joint_entropy(a, b))
    2.0
    """
    call = Call(numbered(grams, 1), alpha, base, estimate)
    return call.sum((1, tuple(range(len(grams)))))


@overload
def conditional_entropy(  # type: ignore[overload-overlap]
    a: Variable[ArrayT], given: Variable[ArrayT], *, alpha: Alpha = ..., base: float = ..., estimate: None = ...
) -> ArrayT: ...
@overload
def conditional_entropy(
    a: Large, given: Large, *, alpha: Alpha = ..., base: float = ..., estimate: How = ...
) -> Estimate: ...
def conditional_entropy(a: Any, given: Any, *, alpha: Alpha = 1.01, base: float = 2, estimate: How = None) -> Any:
    """Return the conditional entropy: S(A | G) = S(A, G) - S(G).

    Parameters
    ----------
    a, given : array or sequence of arrays
        Each a Gram (..., n, n), or a list or tuple of Grams that together are one joint variable.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.
    estimate : float or Estimation, optional
        Half the width of the interval wanted, or how to come to it. With it, and of Grams by ``lazy_gram``, the result
        is an ``Estimate``.

    Returns
    -------
    array
        The batch shape, for m orders with a last axis of length m; in the library, dtype and device of the Grams.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for Grams of different libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric or not of trace one, and orders or bases out of range.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max.

    Notes
    -----
    Grams are NumPy, CuPy or JAX arrays or torch tensors; what gives NumPy an array by DLPack on the CPU or
    ``__array__``, such as a table of pandas, is taken as that array. Batch axes broadcast. Cost: two entropies of
    O(n^3) each, at alpha = 2 alone O(n^2), where no negative eigenvalue is found.
    Source: Sanchez Giraldo, Rao, Principe, IEEE TIT 61(1), 2015.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> np.abs(np.round([fr.conditional_entropy(a, b), fr.conditional_entropy(a, a)], 6))
    array([1., 0.])
    """
    call = Call({"a": a, "given": given}, alpha, base, estimate)
    return call.sum((1, (0, 1)), (-1, (1,)))


@overload
def mutual_information(  # type: ignore[overload-overlap]
    a: Variable[ArrayT],
    b: Variable[ArrayT],
    *,
    alpha: Alpha = ...,
    base: float = ...,
    null: None = ...,
    seed: int = ...,
    estimate: None = ...,
) -> ArrayT: ...
@overload
def mutual_information(
    a: Variable[ArrayT], b: Variable[ArrayT], *, alpha: Alpha = ..., base: float = ..., null: int, seed: int = ...
) -> PermutationTest[ArrayT]: ...
@overload
def mutual_information(
    a: Large, b: Large, *, alpha: Alpha = ..., base: float = ..., estimate: How = ...
) -> Estimate: ...
def mutual_information(
    a: Any,
    b: Any,
    *,
    alpha: Alpha = 1.01,
    base: float = 2,
    null: int | None = None,
    seed: int = 0,
    estimate: How = None,
) -> Any:
    """Return the mutual information: I(A; B) = S(A) + S(B) - S(A, B).

    Parameters
    ----------
    a, b : array or sequence of arrays
        Each a Gram (..., n, n), or a list or tuple of Grams that together are one joint variable.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.
    null : int, optional
        Compare it with so many random permutations of the samples of b, as ``permutation_test``.
    seed : int
        Of the permutations.
    estimate : float or Estimation, optional
        Half the width of the interval wanted, or how to come to it. With it, and of Grams by ``lazy_gram``, the result
        is an ``Estimate``.

    Returns
    -------
    array, or PermutationTest with a null
        The batch shape, for m orders with a last axis of length m; in the library, dtype and device of the Grams.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for Grams of different libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric or not of trace one, and orders or bases out of range.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max.

    Notes
    -----
    Grams are NumPy, CuPy or JAX arrays or torch tensors; what gives NumPy an array by DLPack on the CPU or
    ``__array__``, such as a table of pandas, is taken as that array. Batch axes broadcast. For alpha != 1 it can be
    negative; it is not clipped. Of few samples and narrow kernels it is near log2 n whatever the data are: what they
    say is the excess over the null. Cost: three entropies of O(n^3) each, at alpha = 2 alone O(n^2), where no negative
    eigenvalue is found.
    Source: Yu, Wickstrom, Jenssen, Principe, arXiv 1804.06537.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> xor = fr.gram(np.array([0, 1, 1, 0]), kernel="delta")
    >>> np.abs(np.round([fr.mutual_information(a, xor), fr.mutual_information([a, b], xor)], 6))
    array([0., 1.])
    """
    if null is not None:
        return permutation_test(a, b, _check.integer(null, "null", 1), seed, alpha=alpha, base=base)
    call = Call({"a": a, "b": b}, alpha, base, estimate)
    return call.sum((1, (0,)), (1, (1,)), (-1, (0, 1)))


@overload
def conditional_mutual_information(  # type: ignore[overload-overlap]
    a: Variable[ArrayT],
    b: Variable[ArrayT],
    given: Variable[ArrayT],
    *,
    alpha: Alpha = ...,
    base: float = ...,
    estimate: None = ...,
) -> ArrayT: ...
@overload
def conditional_mutual_information(
    a: Large, b: Large, given: Large, *, alpha: Alpha = ..., base: float = ..., estimate: How = ...
) -> Estimate: ...
def conditional_mutual_information(
    a: Any, b: Any, given: Any, *, alpha: Alpha = 1.01, base: float = 2, estimate: How = None
) -> Any:
    """Return the conditional mutual information: I(A; B | G) = S(A, G) + S(B, G) - S(A, B, G) - S(G).

    Parameters
    ----------
    a, b, given : array or sequence of arrays
        Each a Gram (..., n, n), or a list or tuple of Grams that together are one joint variable.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.
    estimate : float or Estimation, optional
        Half the width of the interval wanted, or how to come to it. With it, and of Grams by ``lazy_gram``, the result
        is an ``Estimate``.

    Returns
    -------
    array
        The batch shape, for m orders with a last axis of length m; in the library, dtype and device of the Grams.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for Grams of different libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric or not of trace one, and orders or bases out of range.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max.

    Notes
    -----
    Grams are NumPy, CuPy or JAX arrays or torch tensors; what gives NumPy an array by DLPack on the CPU or
    ``__array__``, such as a table of pandas, is taken as that array. Batch axes broadcast. For alpha != 1 it can be
    negative; it is not clipped. Cost: four entropies of O(n^3) each, at alpha = 2 alone O(n^2), where no negative
    eigenvalue is found.
    Source: Yu, Sanchez Giraldo, Jenssen, Principe, IEEE TPAMI 42(11), 2020.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> xor = fr.gram(np.array([0, 1, 1, 0]), kernel="delta")
    >>> round(float(fr.conditional_mutual_information(a, xor, b)), 6)
    1.0
    """
    call = Call({"a": a, "b": b, "given": given}, alpha, base, estimate)
    return call.sum((1, (0, 2)), (1, (1, 2)), (-1, (0, 1, 2)), (-1, (2,)))
