"""What the feature maps of one layer know about a target together, and how redundant or synergistic they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic

from fastrenyi import _check, _dispatch
from fastrenyi._array import Array, ArrayT
from fastrenyi._call import Alpha, rounding, share
from fastrenyi.null import PermutationTest

__all__ = ["LayerDecomposition", "LayerNull", "layer_decomposition"]


@dataclass(frozen=True, eq=False)
class LayerNull(Generic[ArrayT]):
    """What the quantities of a layer are where the target's samples are permuted, beside what they are.

    Attributes
    ----------
    mmi, tradeoff, nonredundant : PermutationTest
        Of the same permutations; tradeoff and nonredundant are NaN where there are no pairs.

    Notes
    -----
    ``layer_decomposition(..., null=k)`` makes it. Cost: none of its own.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> maps = fr.channel_grams(np.random.default_rng(0).normal(size=(10, 4, 5, 5)))
    >>> fr.layer_decomposition(maps, maps[0], null=3).null.tradeoff.null.shape
    (3,)
    """

    mmi: PermutationTest[ArrayT]
    tradeoff: PermutationTest[ArrayT]
    nonredundant: PermutationTest[ArrayT]


@dataclass(frozen=True, eq=False)
class LayerDecomposition(Generic[ArrayT]):
    """The information that C feature maps have of a target X: mmi = I(X; {T_1..T_C}), and of what kind it is.

    All in the unit of the base, shares of 1. For m orders every field has one more axis of length m, the last.

    Attributes
    ----------
    mmi : array
        Multivariate mutual information I(X; {T_1..T_C}).
    tradeoff : array
        Redundancy-synergy trade-off: mean over pairs of I(X;Ti) + I(X;Tj) - I(X;{Ti,Tj}) = redundancy - synergy.
    nonredundant : array
        Weighted non-redundant information: mean over pairs of 2 I(X;{Ti,Tj}) - I(X;Ti) - I(X;Tj).
    tradeoff_share, nonredundant_share : array
        tradeoff / mmi and nonredundant / mmi.
    single : array
        (C,): I(X; Ti).
    pairwise : array or None
        (C, C), symmetric: I(X; {Ti, Tj}), and I(X; Ti) on the diagonal; None with pairs=False.
    entropy : array
        S(T_1, ..., T_C).
    null : LayerNull or None
        The same with the target permuted; None unless asked for.

    Notes
    -----
    ``layer_decomposition`` makes it. Cost: none of its own.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> maps = fr.channel_grams(np.random.default_rng(0).normal(size=(10, 4, 5, 5)))
    >>> layer = fr.layer_decomposition(maps, maps[0])
    >>> layer.single.shape, bool(np.isclose(layer.tradeoff_share, layer.tradeoff / layer.mmi))
    ((4,), True)
    """

    mmi: ArrayT
    tradeoff: ArrayT
    nonredundant: ArrayT
    tradeoff_share: ArrayT
    nonredundant_share: ArrayT
    single: ArrayT
    pairwise: ArrayT | None
    entropy: ArrayT
    null: LayerNull[ArrayT] | None


def layer_decomposition(
    maps: ArrayT,
    target: ArrayT,
    alpha: Alpha = 1.01,
    base: float = 2,
    pairs: bool = True,
    null: int | None = None,
    seed: int = 0,
) -> LayerDecomposition[ArrayT]:
    """Return what the feature maps of a layer know of a target X: mmi = I(X; {T_1..T_C}), tradeoff and nonredundant.

    These are the paper's three quantities: tradeoff = 2/(C(C-1)) sum_{i<j} [I(X;Ti) + I(X;Tj) - I(X;{Ti,Tj})],
    nonredundant = 2/(C(C-1)) sum_{i<j} [2 I(X;{Ti,Tj}) - I(X;Ti) - I(X;Tj)]. tradeoff + nonredundant is the mean
    pairwise I(X;{Ti,Tj}).

    Parameters
    ----------
    maps : array
        Grams (C, n, n) of the feature maps, as ``channel_grams`` makes them: a NumPy or CuPy array, a torch tensor, or
        what gives NumPy an array by DLPack on the CPU or ``__array__``.
    target : array
        Gram (n, n) of the input, of the labels, or of another variable.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.
    pairs : bool
        False leaves out the C(C-1)/2 pairs, which are nearly all of the cost.
    null : int, optional
        Measure the same with the target's samples in so many random orders, as ``permutation_test`` does.
    seed : int
        Of the permutations.

    Returns
    -------
    LayerDecomposition
        In the library, dtype and device of maps. tradeoff, nonredundant and the shares are NaN where there are no pairs
        (C = 1 or ``pairs=False``); shares are NaN where mmi is zero to rounding.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for Grams of different libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric or not of trace one, and orders or bases out of range.
    NotPositiveSemidefiniteError
        For an eigenvalue below -n eps lambda_max.

    Notes
    -----
    Cost: C(C+1) spectra of O(n^3), and half of that for each permutation. Memory: the Grams and a workspace of at
    most 64 MB; for permutations once more the Grams.
    Source: arXiv 1804.06537.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> bits = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    >>> maps = np.stack([fr.gram(b, kernel="delta") for b in bits])
    >>> xor = fr.layer_decomposition(maps, fr.gram(bits[0] ^ bits[1], kernel="delta"))
    >>> round(float(xor.mmi), 9), round(float(xor.tradeoff), 9), round(float(xor.nonredundant), 9)
    (1.0, -1.0, 2.0)
    """
    maps = _check.adopt(maps, "maps")
    home = _check.gram(maps, "maps")
    if maps.ndim != 3 or maps.shape[0] == 0:
        _check.value_error("maps", "Grams of shape (C, n, n) with C >= 1", f"shape {tuple(maps.shape)}")
    target = _check.adopt(target, "target")
    _check.same_home(_check.gram(target, "target"), "target", home, "maps")
    if target.shape != maps.shape[1:]:
        _check.value_error("target", f"one Gram of shape {tuple(maps.shape[1:])}", f"shape {tuple(target.shape)}")
    orders, one_order = _check.orders(alpha)
    unit = _check.unit(base)
    pairs = _check.flag(pairs, "pairs")
    permutations = None if null is None else _check.integer(null, "null", 1)
    seed = _check.integer(seed, "seed", 0)

    operations = _dispatch.operations(home.library)
    s_x, s_maps, s_all = operations.pairs(maps, target, pairs, orders, unit)
    mmi = s_x + s_all[0] - s_all[1]
    information = s_x + s_maps[0] - s_maps[1]
    tradeoff, nonredundant = _of_pairs(information, mmi, pairs)

    def leave(values: Array) -> ArrayT:
        found: ArrayT = home.leave(values[..., 0] if one_order else values)
        return found

    def compared(value: Array, under_null: Array) -> PermutationTest[ArrayT]:
        if one_order:
            value, under_null = value[..., 0], under_null[..., 0]
        return PermutationTest.of(value, under_null, home)

    listed: list[Array] = list(maps)  # type: ignore[call-overload]
    count = len(listed)
    permuted: LayerNull[ArrayT] | None = None
    if permutations is not None:
        how = (permutations, seed, orders, unit)
        together = operations.permuted(
            [*listed, target], ["maps"] * count + ["target"], count, ["maps", "target"], *how
        )
        null_mmi = home.constant(s_x + s_all[0]) - together
        null_information = home.constant(s_x + s_maps[0]) - operations.permuted_pairs(maps, target, pairs, *how)
        null_pairs = [_of_pairs(each, one, pairs) for each, one in zip(null_information, null_mmi, strict=True)]
        null_tradeoff, null_nonredundant = (home.xp().stack(part) for part in zip(*null_pairs, strict=True))
        permuted = LayerNull(
            compared(mmi, null_mmi), compared(tradeoff, null_tradeoff), compared(nonredundant, null_nonredundant)
        )

    limits = rounding(orders, int(maps.shape[-1]), home.epsilon, unit, terms=3)
    return LayerDecomposition(
        mmi=leave(mmi),
        tradeoff=leave(tradeoff),
        nonredundant=leave(nonredundant),
        tradeoff_share=leave(share(tradeoff, mmi, limits, home)),
        nonredundant_share=leave(share(nonredundant, mmi, limits, home)),
        single=leave(_single(information, pairs)),
        pairwise=leave(information) if pairs else None,
        entropy=leave(s_all[0]),
        null=permuted,
    )


def _single(information: Array, pairs: bool) -> Array:
    """Return I(X; Ti) as (C, orders), of the informations of all pairs (C, C, orders) or of single maps."""
    return information.diagonal(0, 0, 1).swapaxes(0, 1) if pairs else information


def _of_pairs(information: Array, mmi: Array, pairs: bool) -> tuple[Array, Array]:
    """Return the trade-off and the non-redundant information (orders,), NaN where there are no pairs."""
    count = len(information)
    if not pairs or count < 2:
        return mmi * math.nan, mmi * math.nan
    # Each pair stands twice in the square and its maps once on the diagonal; each map is in C - 1 pairs.
    single = _single(information, pairs)
    pairwise = (information.sum(axis=0).sum(axis=0) - single.sum(axis=0)) / (count * (count - 1))
    alone = 2 * single.sum(axis=0) / count
    return alone - pairwise, 2 * pairwise - alone
