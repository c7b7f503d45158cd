"""What a layer knows about a target without each one of its feature maps, and how much of it is in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from fastrenyi import _check, _dispatch, _matrices
from fastrenyi._array import Array, ArrayT, Home
from fastrenyi._call import Alpha, rounding, share

__all__ = ["LeaveOneOut", "leave_one_out", "of_layer"]


@dataclass(frozen=True, eq=False)
class LeaveOneOut(Generic[ArrayT]):
    """What C feature maps know of a target X, all of them, each alone, and all but each: I, I_i and I_-i.

    All in the unit of the base but vulnerability, which has none. For m orders every field has one more axis of
    length m, the last.

    Attributes
    ----------
    without : array
        (C,): I_-i = I({T_j, j != i}; X); 0 to rounding for a single map.
    single : array
        (C,): I_i = I(T_i; X).
    joint : array
        I = I({T_1..T_C}; X).
    synergy : array
        I - max_i I_-i: what nothing less than all maps knows, by minimum mutual information (MMI).
    redundancy : array
        min_i I_i: what each map knows, by minimum mutual information.
    unique_lower, unique_upper : array
        max_i [I_i - I_-i]+ and max_i min([I - I_-i]+, I_i), [.]+ being zero for what is below: between them is the
        most that one map knows and the others together do not (UniBound), whatever redundancy is taken to be.
    vulnerability : array
        sum_i (I - I_-i) / I: 0 where each map can be spared, C where the loss of any one takes all. NaN where I is zero
        to rounding.

    Notes
    -----
    ``leave_one_out`` makes it, and ``layer_decomposition(..., leave_one_out=True)``. Cost: none of its own.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> bits = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    >>> maps = np.stack([fr.gram(b, kernel="delta") for b in bits])
    >>> copy = fr.leave_one_out(maps, maps[0])  # the first map is the target
    >>> abs(copy.without.round(6)), round(float(copy.unique_lower), 6), round(float(copy.vulnerability), 6)
    (array([0., 1.]), 1.0, 1.0)
    """

    without: ArrayT
    single: ArrayT
    joint: ArrayT
    synergy: ArrayT
    redundancy: ArrayT
    unique_lower: ArrayT
    unique_upper: ArrayT
    vulnerability: ArrayT


def leave_one_out(maps: ArrayT, target: ArrayT, alpha: Alpha = 1.01, base: float = 2) -> LeaveOneOut[ArrayT]:
    """Return what the feature maps of a layer know of a target X without each of them: I_-i = I({T_j, j != i}; X).

    Beside it stand I_i = I(T_i; X) and I = I({T_1..T_C}; X), and what is made of the three: synergy = I - max_i I_-i,
    redundancy = min_i I_i, bounds of unique information, and vulnerability = sum_i (I - I_-i) / I.

    Parameters
    ----------
    maps : array
        Grams (C, n, n) of the feature maps, as ``channel_grams`` makes them: a NumPy, CuPy or JAX array, a torch
        tensor, or what gives NumPy an array by DLPack on the CPU or ``__array__``.
    target : array
        Gram (n, n) of the input, of the labels, or of another variable.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.

    Returns
    -------
    LeaveOneOut
        In the library, dtype and device of maps.

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
    Nothing is clipped but where [.]+ says so: I_-i may be above I, as information of this estimator may fall with a
    variable more. Of many maps, or narrow kernels, I and all I_-i are log2 n less rounding whatever the maps are, and
    their differences say nothing.

    Cost: 4 C + 3 spectra of O(n^3), and 3 C entrywise products. Memory: five times the Grams in double, and a workspace
    of at most 64 MB. The gradient of a largest or smallest is shared by those that are it.

    Source: synergy and redundancy as in Proca et al., PLOS Computational Biology 20(6), 2024; UniBound: Tokui and Sato,
    ICLR 2022; vulnerability: Ehrlich, Schneider et al., TMLR 2023, in measures of their own.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> bits = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    >>> maps = np.stack([fr.gram(b, kernel="delta") for b in bits])
    >>> xor = fr.leave_one_out(maps, fr.gram(bits[0] ^ bits[1], kernel="delta"))
    >>> round(float(xor.synergy), 6), abs(round(float(xor.redundancy), 6)), round(float(xor.vulnerability), 6)
    (1.0, 0.0, 2.0)
    """
    maps, target, home = _matrices.layer(maps, target)
    orders, one_order = _check.orders(alpha)
    unit = _check.unit(base)
    operations = _dispatch.operations(home.library)
    alone, _ = operations.sample_pairs(maps, 0, 0)
    s_x, s_maps, s_all = operations.pairs(maps, target, alone, orders, unit)
    single, joint = (s_x + s[0] - s[1] for s in (s_maps, s_all))
    return of_layer(maps, target, s_x, single, joint, home, orders, one_order, unit)


def of_layer(
    maps: Array,
    target: Array,
    s_x: Array,
    single: Array,
    joint: Array,
    home: Home,
    orders: Sequence[float],
    one_order: bool,
    unit: float,
) -> LeaveOneOut[ArrayT]:
    """Return it of checked Grams of which S(X), I_i (C, orders) and I (orders,) are known."""
    s = _dispatch.operations(home.library).all_but_one(maps, target, orders, unit)
    without = s_x + s[0] - s[1]
    with home.current(without):
        xp = home.xp()
        lost, beyond = joint - without, single - without
        lost_at_most, beyond = lost * (lost > 0), beyond * (beyond > 0)
        limits = rounding(orders, int(maps.shape[-1]), home.epsilon, unit, terms=3)

        def leave(values: Array) -> ArrayT:
            found: ArrayT = home.leave(values[..., 0] if one_order else values)
            return found

        return LeaveOneOut(
            without=leave(without),
            single=leave(single),
            joint=leave(joint),
            synergy=leave(joint - xp.amax(without, 0)),
            redundancy=leave(xp.amin(single, 0)),
            unique_lower=leave(xp.amax(beyond, 0)),
            unique_upper=leave(xp.amax(xp.minimum(lost_at_most, single), 0)),
            vulnerability=leave(share(lost.sum(0), joint, limits, home)),
        )
