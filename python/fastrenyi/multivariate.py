"""Measures of how several variables depend on each other; what they share with all others stands in ``measures``."""

from __future__ import annotations

from itertools import combinations
from typing import Any, overload

from fastrenyi import _check
from fastrenyi._array import Array, ArrayT
from fastrenyi._call import Alpha, Call, Variable, numbered, share
from fastrenyi.large.estimation import Estimate, How
from fastrenyi.large.lazy import Large

__all__ = ["dual_total_correlation", "interaction_information", "o_information", "total_correlation"]


def _singles_and_joint(call: Call[ArrayT]) -> tuple[Array, Array]:
    count = len(call.members)
    found = call.entropies(*((i,) for i in range(count)), tuple(range(count)))
    return found[:-1], found[-1]


def _all_but_one_and_joint(call: Call[ArrayT]) -> tuple[Array, Array]:
    everything = tuple(range(len(call.members)))
    found = call.entropies(*(everything[:i] + everything[i + 1 :] for i in everything), everything)
    return found[:-1], found[-1]


@overload
def total_correlation(  # type: ignore[overload-overlap]
    *grams: Variable[ArrayT], normalized: bool = ..., alpha: Alpha = ..., base: float = ..., estimate: None = ...
) -> ArrayT: ...
@overload
def total_correlation(
    *grams: Large, normalized: bool = ..., alpha: Alpha = ..., base: float = ..., estimate: How = ...
) -> Estimate: ...
def total_correlation(
    *grams: Any, normalized: bool = False, alpha: Alpha = 1.01, base: float = 2, estimate: How = None
) -> Any:
    """Return the total correlation: T = sum_i S(A_i) - S(A_1, ..., A_L).

    Parameters
    ----------
    *grams : arrays or sequences of arrays
        Each a Gram (..., n, n), or a list or tuple of Grams that together are one joint variable.
    normalized : bool
        True gives T* = T / (sum_i S(A_i) - max_i S(A_i)): 0 for independent variables, 1 for copies, and NaN where at
        most one variable has any entropy.
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
    negative; it is not clipped. Cost: L + 1 entropies of O(n^3) each, at alpha = 2 alone O(n^2), where no negative
    eigenvalue is found.
    Source: Yu et al., AAAI 2021.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a = fr.gram(np.array([0, 0, 1, 1]), kernel="delta")
    >>> np.round([fr.total_correlation(a, a, a), fr.total_correlation(a, a, a, normalized=True)], 6)
    array([2., 1.])
    """
    call = Call(numbered(grams, 2), alpha, base, estimate)
    normalized = _check.flag(normalized, "normalized")
    if call.estimation is not None:
        if normalized:
            call.refuse_estimates("normalized=True")
        everything = tuple(range(len(grams)))
        return call.sum(*((1, (i,)) for i in everything), (-1, everything))
    singles, joint = _singles_and_joint(call)
    result = singles.sum(axis=0) - joint
    if normalized:
        most = singles.sum(axis=0) - call.home.xp().amax(singles, 0)
        result = share(result, most, call.rounding(len(grams)), call.home)
    return call.leave(result)


@overload
def dual_total_correlation(  # type: ignore[overload-overlap]
    *grams: Variable[ArrayT], normalized: bool = ..., alpha: Alpha = ..., base: float = ..., estimate: None = ...
) -> ArrayT: ...
@overload
def dual_total_correlation(
    *grams: Large, normalized: bool = ..., alpha: Alpha = ..., base: float = ..., estimate: How = ...
) -> Estimate: ...
def dual_total_correlation(
    *grams: Any, normalized: bool = False, alpha: Alpha = 1.01, base: float = 2, estimate: How = None
) -> Any:
    """Return the dual total correlation: D = sum_i S(all but A_i) - (L - 1) S(A_1, ..., A_L).

    Parameters
    ----------
    *grams : arrays or sequences of arrays
        Each a Gram (..., n, n), or a list or tuple of Grams that together are one joint variable.
    normalized : bool
        True gives D* = D / S(A_1, ..., A_L), NaN where the joint entropy is zero to rounding.
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
    negative; it is not clipped. Cost: L + 1 entropies of O(n^3) each and O(L^2 n^2) besides, at alpha = 2 alone O(n^2),
    where no negative eigenvalue is found.
    Source: Yu et al., AAAI 2021.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a = fr.gram(np.array([0, 0, 1, 1]), kernel="delta")
    >>> np.round([fr.dual_total_correlation(a, a, a), fr.dual_total_correlation(a, a, a, normalized=True)], 6)
    array([1., 1.])
    """
    call = Call(numbered(grams, 2), alpha, base, estimate)
    normalized = _check.flag(normalized, "normalized")
    if call.estimation is not None:
        if normalized:
            call.refuse_estimates("normalized=True")
        everything = tuple(range(len(grams)))
        return call.sum(*((1, everything[:i] + everything[i + 1 :]) for i in everything), (1 - len(grams), everything))
    others, joint = _all_but_one_and_joint(call)
    result = others.sum(axis=0) - (len(grams) - 1) * joint
    return call.leave(share(result, joint, call.rounding(1), call.home) if normalized else result)


@overload
def o_information(*grams: Variable[ArrayT], alpha: Alpha = ..., base: float = ..., estimate: None = ...) -> ArrayT: ...  # type: ignore[overload-overlap]
@overload
def o_information(*grams: Large, alpha: Alpha = ..., base: float = ..., estimate: How = ...) -> Estimate: ...
def o_information(*grams: Any, alpha: Alpha = 1.01, base: float = 2, estimate: How = None) -> Any:
    """Return the O-information, the total correlation less the dual total correlation: Omega = T - D.

    Positive where redundancy prevails, negative where synergy does.

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
    ``__array__``, such as a table of pandas, is taken as that array. Batch axes broadcast. Cost: 2 L + 1 entropies of
    O(n^3) each, at alpha = 2 alone O(n^2), where no negative eigenvalue is found.
    Source: Rosas et al., Physical Review E 100, 2019.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> xor = fr.gram(np.array([0, 1, 1, 0]), kernel="delta")
    >>> np.round([fr.o_information(a, b, xor), fr.o_information(a, a, a)], 6)
    array([-1.,  1.])
    """
    call = Call(numbered(grams, 2), alpha, base, estimate)
    count = len(grams)
    everything = tuple(range(count))
    return call.sum(
        *((1, (i,)) for i in everything),
        *((-1, everything[:i] + everything[i + 1 :]) for i in everything),
        (count - 2, everything),
    )


@overload
def interaction_information(  # type: ignore[overload-overlap]
    *grams: Variable[ArrayT], alpha: Alpha = ..., base: float = ..., estimate: None = ...
) -> ArrayT: ...
@overload
def interaction_information(*grams: Large, alpha: Alpha = ..., base: float = ..., estimate: How = ...) -> Estimate: ...
def interaction_information(*grams: Any, alpha: Alpha = 1.01, base: float = 2, estimate: How = None) -> Any:
    """Return the interaction information: -sum over the non-empty subsets T of (-1)^|T| S(T).

    For two variables it is I(A; B), for three I(A; B) - I(A; B | C): redundancy is positive and synergy negative, the
    sign of ``layer_decomposition``'s trade-off (McGill's has the other sign for an odd number of variables).

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
        For wrong shapes, NaN, matrices that are not symmetric or not of trace one, orders or bases out of range, and
        more than 12 variables.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max.

    Notes
    -----
    Grams are NumPy, CuPy or JAX arrays or torch tensors; what gives NumPy an array by DLPack on the CPU or
    ``__array__``, such as a table of pandas, is taken as that array. Batch axes broadcast. Cost: 2^L - 1 entropies of
    O(n^3) each, at alpha = 2 alone O(n^2), where no negative eigenvalue is found.
    Source: McGill, Psychometrika 19, 1954.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> xor = fr.gram(np.array([0, 1, 1, 0]), kernel="delta")
    >>> round(float(fr.interaction_information(a, b, xor)), 6)
    -1.0
    """
    variables = numbered(grams, 2)
    if len(grams) > 12:
        _check.value_error(
            "grams",
            "at most 12 variables, as the cost doubles with each",
            len(grams),
            "join some of them in lists",
        )
    call = Call(variables, alpha, base, estimate)
    subsets = [s for size in range(1, len(grams) + 1) for s in combinations(range(len(grams)), size)]
    return call.sum(*(((-1) ** (len(subset) + 1), subset) for subset in subsets))
