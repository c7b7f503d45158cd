"""Measures of how several variables depend on each other; what they share with all others stands in ``measures``."""

from __future__ import annotations

from itertools import combinations

from fastrenyi import _check
from fastrenyi._array import Array, ArrayT
from fastrenyi.measures import Alpha, Call, Variable, numbered, share

__all__ = ["dual_total_correlation", "interaction_information", "o_information", "total_correlation"]


def _singles_and_joint(call: Call[ArrayT]) -> tuple[Array, Array]:
    count = len(call.members)
    found = call.entropies(*((i,) for i in range(count)), tuple(range(count)))
    return found[:-1], found[-1]


def _all_but_one_and_joint(call: Call[ArrayT]) -> tuple[Array, Array]:
    everything = tuple(range(len(call.members)))
    found = call.entropies(*(everything[:i] + everything[i + 1 :] for i in everything), everything)
    return found[:-1], found[-1]


def total_correlation(
    *grams: Variable[ArrayT], normalized: bool = False, alpha: Alpha = 1.01, base: float = 2
) -> ArrayT:
    """Return the total correlation: T = sum_i S(A_i) - S(A_1, ..., A_L).

    ``normalized=True`` gives T* = T / (sum_i S(A_i) - max_i S(A_i)), which is 0 for independent variables and 1 for
    copies; NaN where at most one variable has any entropy. Source: Yu et al., AAAI 2021.

    >>> import numpy as np, fastrenyi as fr
    >>> a = fr.gram(np.array([0, 0, 1, 1]), kernel="delta")
    >>> np.round([fr.total_correlation(a, a, a), fr.total_correlation(a, a, a, normalized=True)], 6)
    array([2., 1.])
    """
    call = Call(numbered(grams, 2), alpha, base)
    normalized = _check.flag(normalized, "normalized")
    singles, joint = _singles_and_joint(call)
    result = singles.sum(axis=0) - joint
    if normalized:
        result = share(result, singles.sum(axis=0) - call.home.xp.amax(singles, 0), call.home)
    return call.leave(result)


def dual_total_correlation(
    *grams: Variable[ArrayT], normalized: bool = False, alpha: Alpha = 1.01, base: float = 2
) -> ArrayT:
    """Return the dual total correlation: D = sum_i S(all but A_i) - (L - 1) S(A_1, ..., A_L).

    ``normalized=True`` gives D* = D / S(A_1, ..., A_L), NaN where the joint entropy is zero. Cost: L + 1 entropies
    and O(L^2 n^2).
    Source: Yu et al., AAAI 2021.

    >>> import numpy as np, fastrenyi as fr
    >>> a = fr.gram(np.array([0, 0, 1, 1]), kernel="delta")
    >>> np.round([fr.dual_total_correlation(a, a, a), fr.dual_total_correlation(a, a, a, normalized=True)], 6)
    array([1., 1.])
    """
    call = Call(numbered(grams, 2), alpha, base)
    normalized = _check.flag(normalized, "normalized")
    others, joint = _all_but_one_and_joint(call)
    result = others.sum(axis=0) - (len(grams) - 1) * joint
    return call.leave(share(result, joint, call.home) if normalized else result)


def o_information(*grams: Variable[ArrayT], alpha: Alpha = 1.01, base: float = 2) -> ArrayT:
    """Return the O-information: Omega = T - D, the total correlation less the dual total correlation.

    Positive where redundancy prevails, negative where synergy does. Source: Rosas et al., Physical Review E 100, 2019.

    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> xor = fr.gram(np.array([0, 1, 1, 0]), kernel="delta")
    >>> np.round([fr.o_information(a, b, xor), fr.o_information(a, a, a)], 6)
    array([-1.,  1.])
    """
    call = Call(numbered(grams, 2), alpha, base)
    count = len(grams)
    everything = tuple(range(count))
    return call.sum(
        *((1, (i,)) for i in everything),
        *((-1, everything[:i] + everything[i + 1 :]) for i in everything),
        (count - 2, everything),
    )


def interaction_information(*grams: Variable[ArrayT], alpha: Alpha = 1.01, base: float = 2) -> ArrayT:
    """Return the interaction information: -sum over the non-empty subsets T of (-1)^|T| S(T).

    For two variables it is I(A; B), for three I(A; B) - I(A; B | C): redundancy is positive and synergy negative, the
    sign of ``layer_decomposition``'s trade-off (McGill's has the other sign for an odd number of variables). Cost:
    2^L - 1 entropies; more than 12 variables raise ValueError. Source: McGill, Psychometrika 19, 1954.

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
    call = Call(variables, alpha, base)
    subsets = [s for size in range(1, len(grams) + 1) for s in combinations(range(len(grams)), size)]
    return call.sum(*(((-1) ** (len(subset) + 1), subset) for subset in subsets))
