"""What the feature maps of one layer know about a target together, and how redundant or synergistic they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, overload

from fastrenyi import _check, _dispatch, _matrices
from fastrenyi._array import Array, ArrayT, Home
from fastrenyi._call import Alpha, rounding, share
from fastrenyi.leave_one_out import LeaveOneOut, of_layer
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
        (C, C), symmetric: I(X; {Ti, Tj}), NaN for pairs that are not in the sample, and I(X; Ti) on the diagonal; None
        with pairs=False.
    entropy : array
        S(T_1, ..., T_C).
    pairs : int
        How many pairs were measured: C(C-1)/2, or max_pairs where that is less.
    tradeoff_standard_error, nonredundant_standard_error : array
        Standard error of tradeoff and nonredundant as means over a sample: s/sqrt(p) sqrt(1 - p/P) for p of P pairs, s
        the standard deviation (divisor p - 1) over the sample. 0 where all pairs were measured, NaN for a sample of
        one and where there are no pairs. Constants of the gradient.
    null : LayerNull or None
        The same with the target permuted; None unless asked for.
    leave_one_out : LeaveOneOut or None
        What the maps know without each one of them; None unless asked for.

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
    pairs: int
    tradeoff_standard_error: ArrayT
    nonredundant_standard_error: ArrayT
    null: LayerNull[ArrayT] | None
    leave_one_out: LeaveOneOut[ArrayT] | None


@overload
def layer_decomposition(
    maps: ArrayT,
    target: ArrayT,
    alpha: Alpha = ...,
    base: float = ...,
    pairs: bool = ...,
    null: int | None = ...,
    seed: int = ...,
    max_pairs: int | None = ...,
    leave_one_out: bool = ...,
) -> LayerDecomposition[ArrayT]: ...
@overload
def layer_decomposition(
    maps: Mapping[str, ArrayT],
    target: ArrayT,
    alpha: Alpha = ...,
    base: float = ...,
    pairs: bool = ...,
    null: int | None = ...,
    seed: int = ...,
    max_pairs: int | None = ...,
    leave_one_out: bool = ...,
) -> dict[str, LayerDecomposition[ArrayT]]: ...
def layer_decomposition(
    maps: Any,
    target: Any,
    alpha: Alpha = 1.01,
    base: float = 2,
    pairs: bool = True,
    null: int | None = None,
    seed: int = 0,
    max_pairs: int | None = None,
    leave_one_out: bool = False,
) -> Any:
    """Return what the feature maps of a layer know of a target X: mmi = I(X; {T_1..T_C}), tradeoff and nonredundant.

    These are the paper's three quantities: tradeoff = 2/(C(C-1)) sum_{i<j} [I(X;Ti) + I(X;Tj) - I(X;{Ti,Tj})],
    nonredundant = 2/(C(C-1)) sum_{i<j} [2 I(X;{Ti,Tj}) - I(X;Ti) - I(X;Tj)]. tradeoff + nonredundant is the mean
    pairwise I(X;{Ti,Tj}).

    Parameters
    ----------
    maps : array
        Grams (C, n, n) of the feature maps, as ``channel_grams`` makes them: a NumPy, CuPy or JAX array, a torch
        tensor, or what gives NumPy an array by DLPack on the CPU or ``__array__``. Or a mapping from names of layers to
        theirs.
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
        Of the permutations, and of the sample of pairs.
    max_pairs : int, optional
        Measure no more pairs than that: where there are more, so many at random, each at most once. None measures all.
    leave_one_out : bool
        True measures also what the maps know without each one of them, as the function ``leave_one_out`` does: here
        two more spectra for each map, as all else that it needs is there.

    Returns
    -------
    LayerDecomposition, or of a mapping a dict of them by the same names
        In the library, dtype and device of maps. tradeoff, nonredundant and the shares are NaN where there are no pairs
        (C = 1 or ``pairs=False``); shares are NaN where mmi is zero to rounding. Of a sample of pairs tradeoff and
        nonredundant, their shares and nulls are means over the sample, whose standard errors stand beside them, and
        pairwise is NaN for the other pairs; mmi, single and entropy are of all maps as ever.

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
    Cost: 2(C + p) spectra of O(n^3) for p pairs, C(C-1)/2 if that is all, and half of that for each permutation.
    Memory: the Grams and a workspace of at most 64 MB; for permutations once more the Grams.
    Source: arXiv 1804.06537.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> bits = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    >>> maps = np.stack([fr.gram(b, kernel="delta") for b in bits])
    >>> xor = fr.layer_decomposition(maps, fr.gram(bits[0] ^ bits[1], kernel="delta"))
    >>> round(float(xor.mmi), 9), round(float(xor.tradeoff), 9), round(float(xor.nonredundant), 9)
    (1.0, -1.0, 2.0)
    >>> layer = fr.channel_grams(np.random.default_rng(0).normal(size=(20, 60, 3)))  # 60 maps: 1,770 pairs
    >>> some, every = (fr.layer_decomposition(layer, layer[0], max_pairs=p) for p in (300, None))
    >>> some.pairs, every.pairs, bool(abs(some.tradeoff - every.tradeoff) < 3 * some.tradeoff_standard_error)
    (300, 1770, True)
    """
    settings = (alpha, base, pairs, null, seed, max_pairs, leave_one_out)
    if isinstance(maps, Mapping):
        return _check.by_name(lambda layer: _decomposed(layer, target, *settings), maps, "maps")
    return _decomposed(maps, target, *settings)


def _decomposed(
    maps: ArrayT,
    target: ArrayT,
    alpha: Alpha,
    base: float,
    pairs: bool,
    null: int | None,
    seed: int,
    max_pairs: int | None,
    leave_one_out: bool,
) -> LayerDecomposition[ArrayT]:
    """Return what the maps of one layer know of a target."""
    maps, target, home = _matrices.layer(maps, target)
    orders, one_order = _check.orders(alpha)
    unit = _check.unit(base)
    pairs = _check.flag(pairs, "pairs")
    permutations = None if null is None else _check.integer(null, "null", 1)
    seed = _check.integer(seed, "seed", 0)
    most = None if max_pairs is None else _check.integer(max_pairs, "max_pairs", 1)
    leave_one_out = _check.flag(leave_one_out, "leave_one_out")

    operations = _dispatch.operations(home.library)
    index, place = operations.sample_pairs(maps, most if pairs else 0, seed)
    s_x, s_maps, s_all = operations.pairs(maps, target, index, orders, unit)
    mmi = s_x + s_all[0] - s_all[1]
    information = s_x + s_maps[0] - s_maps[1]
    count = maps.shape[0]
    (tradeoff, its_error), (nonredundant, error_of_rest) = _of_pairs(information, index, count, home)

    def leave(values: Array) -> ArrayT:
        found: ArrayT = home.leave(values[..., 0] if one_order else values)
        return found

    def compared(value: Array, under_null: Array) -> PermutationTest[ArrayT]:
        if one_order:
            value, under_null = value[..., 0], under_null[..., 0]
        return PermutationTest.of(value, under_null, home)

    permuted: LayerNull[ArrayT] | None = None
    if permutations is not None:
        how = (permutations, seed, orders, unit)
        listed: list[Array] = list(maps)  # type: ignore[call-overload]
        together = operations.permuted(
            [*listed, target], ["maps"] * count + ["target"], count, ["maps", "target"], *how
        )
        null_mmi = home.constant(s_x + s_all[0]) - together
        null_information = home.constant(s_x + s_maps[0]) - operations.permuted_pairs(maps, target, index, *how)
        null_pairs = [_of_pairs(each, index, count, home) for each in null_information]
        null_tradeoff, null_nonredundant = (
            home.xp().stack([mean for mean, _ in part]) for part in zip(*null_pairs, strict=True)
        )
        permuted = LayerNull(
            compared(mmi, null_mmi), compared(tradeoff, null_tradeoff), compared(nonredundant, null_nonredundant)
        )

    left_out: LeaveOneOut[ArrayT] | None = None
    if leave_one_out:
        left_out = of_layer(maps, target, s_x, information[:count], mmi, home, orders, one_order, unit)

    limits = rounding(orders, int(maps.shape[-1]), home.epsilon, unit, terms=3)
    return LayerDecomposition(
        mmi=leave(mmi),
        tradeoff=leave(tradeoff),
        nonredundant=leave(nonredundant),
        tradeoff_share=leave(share(tradeoff, mmi, limits, home)),
        nonredundant_share=leave(share(nonredundant, mmi, limits, home)),
        single=leave(information[:count]),
        pairwise=leave(_square(information, place, home)) if pairs else None,
        entropy=leave(s_all[0]),
        pairs=len(index) - count,
        tradeoff_standard_error=leave(its_error),
        nonredundant_standard_error=leave(error_of_rest),
        null=permuted,
        leave_one_out=left_out,
    )


def _of_pairs(information: Array, index: Array, count: int, home: Home) -> list[tuple[Array, Array]]:
    """Return trade-off and non-redundant information, each with its standard error, all (orders,).

    Of the informations (count + p, orders) of single maps and of pairs. NaN where there are no pairs.
    """
    single, both = information[:count], information[count:]
    if len(both) == 0:
        nothing = single[0] * math.nan
        return [(nothing, home.constant(nothing))] * 2
    alone = single[index[count:, 0]] + single[index[count:, 1]]
    return [_mean(part, count * (count - 1) // 2, home) for part in (alone - both, 2 * both - alone)]


def _mean(of_pairs: Array, total: int, home: Home) -> tuple[Array, Array]:
    """Return the mean over a sample (p, orders) of so many pairs, drawn without repetition, and its standard error."""
    mean, values = of_pairs.mean(0), home.constant(of_pairs)
    sampled = len(values)
    if sampled == total:
        return mean, values[0] * 0
    if sampled == 1:
        return mean, values[0] * math.nan
    squares = ((values - values.mean(0)) ** 2).sum(0) / (sampled - 1)
    return mean, (squares / sampled * (1 - sampled / total)) ** 0.5


def _square(information: Array, place: Array, home: Home) -> Array:
    """Return the informations (C, C, orders) of pairs of maps, NaN for those that were not measured."""
    with home.current(information):
        xp = home.xp()
        return xp.concatenate([information, home.constant(information[:1]) * math.nan])[place]
