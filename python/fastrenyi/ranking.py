"""Which feature maps of a layer matter for a target: alone, after those chosen before, and beside the others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic

from fastrenyi import _check, _dispatch, _matrices
from fastrenyi._array import Array, ArrayT
from fastrenyi._call import rounding
from fastrenyi.null import PermutationTest

__all__ = ["MapRanking", "RankingNull", "rank_maps"]


@dataclass(frozen=True, eq=False)
class RankingNull(Generic[ArrayT]):
    """What relevance and gain of feature maps are where the samples of the map are permuted, beside what they are.

    Attributes
    ----------
    relevance : PermutationTest
        (C,) of each map: I(P T_f P'; Y), which is as the information of permuted labels.
    gain : PermutationTest
        (K,) of the maps chosen: the largest I(P T_f P'; Y | S) of the maps that were left, S being those chosen before.
        S, and what it knows of the target, is as it is: compared are maps of the same spectra that have nothing to do
        with either, of which the largest is chosen as well.

    Notes
    -----
    ``rank_maps(..., null=k)`` makes it, of the same permutations for all maps. Cost: none of its own.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> maps = fr.channel_grams(np.random.default_rng(0).normal(size=(10, 4, 5, 5)))
    >>> fr.rank_maps(maps, maps[0], null=3).null.gain.null.shape
    (3, 4)
    """

    relevance: PermutationTest[ArrayT]
    gain: PermutationTest[ArrayT]


@dataclass(frozen=True, eq=False)
class MapRanking(Generic[ArrayT]):
    """The C feature maps of a layer in the order in which they were chosen for what they add about a target Y.

    In the unit of the base.

    Attributes
    ----------
    order : array of integers
        (K,): the map chosen first, second and so on; all C, or max_maps of them.
    relevance : array
        (C,): I(T_f; Y) of each map.
    gain : array
        (K,): I(T_f; Y | those chosen before it) of each map in order. The sum of the first k is what these know
        together.
    redundancy : array or None
        (C,): mean over the other maps Tj of I(T_f; Y) + I(Tj; Y) - I({T_f, Tj}; Y), redundancy less synergy of each
        map. Its mean is the tradeoff of ``layer_decomposition``. NaN for one map; None with redundancy=False.
    informative : array of integers
        (): how many maps, from the first in order, gain more than rounding, and with a null more than in each of the
        permutations.
    null : RankingNull or None
        Relevance and gain of permuted maps; None unless asked for.

    Notes
    -----
    ``rank_maps`` makes it. order, gain, informative and null are constants of the gradient. Cost: none of its own.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> bits = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    >>> maps = np.stack([fr.gram(b, kernel="delta") for b in bits])
    >>> found = fr.rank_maps(maps, fr.gram(bits[0] ^ bits[1], kernel="delta"))
    >>> abs(found.relevance.round(6)), abs(found.gain.round(6)), found.redundancy.round(6)  # neither alone, but both
    (array([0., 0.]), array([0., 1.]), array([-1., -1.]))
    """

    order: ArrayT
    relevance: ArrayT
    gain: ArrayT
    redundancy: ArrayT | None
    informative: ArrayT
    null: RankingNull[ArrayT] | None


def rank_maps(
    maps: ArrayT,
    target: ArrayT,
    alpha: float = 1.01,
    base: float = 2,
    max_maps: int | None = None,
    null: int | None = None,
    seed: int = 0,
    redundancy: bool = True,
) -> MapRanking[ArrayT]:
    """Return the feature maps of a layer in the order of what each adds, to those before it, about a target Y.

    First the map of largest I(T_f; Y), then time and again the one of largest I(T_f; Y | S) = I({S, T_f}; Y) - I(S; Y),
    S being all that were chosen before it. What stands last may be pruned first.

    Parameters
    ----------
    maps : array
        Grams (C, n, n) of the feature maps, as ``channel_grams`` makes them with a kernel and a width: a NumPy, CuPy or
        JAX array, a torch tensor, or what gives NumPy an array by DLPack on the CPU or ``__array__``.
    target : array
        Gram (n, n) of the labels, or of another variable.
    alpha : float
        Order in [0, inf]; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.
    max_maps : int, optional
        Choose no more maps than that. None puts all in order.
    null : int, optional
        Measure relevance and gains also with the samples of the map in so many random orders.
    seed : int
        Of the permutations.
    redundancy : bool
        False leaves out the C(C-1)/2 pairs, which are most of the cost where few of many maps are chosen.

    Returns
    -------
    MapRanking
        In the library, dtype and device of maps; positions and counts are int64.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for Grams of different libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric or not of trace one, and orders, bases or counts out of
        range.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max.

    Notes
    -----
    The joint entropy of many maps grows until it is log2 n, where all samples are apart: then nothing can be added,
    gains are rounding, and what is left stands in the order of its relevance. Before that, gains are also large because
    of it, of maps that have nothing to do with the target: only what exceeds the null says something. Wide kernels
    saturate later.

    Of maps that differ by no more than rounding, the one of larger relevance is chosen, and then the first. A map that
    says something only together with another one that is not chosen yet is not seen.

    Cost: two spectra of O(n^3) for each map left at each step, C (C + 1) for all maps, and as many for redundancy; for
    each permutation once more those of the steps. Memory: once more the Grams, for permutations three times, and a
    workspace of at most 64 MB.
    Source: relevance as in HRel (Sarvani et al., Neural Networks 147, 2022); choice by conditional mutual information
    as in Yu, Sanchez Giraldo, Jenssen, Principe, IEEE TPAMI 42(11), 2020.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(60) % 4
    >>> low, high = labels % 2, labels // 2
    >>> maps = np.stack([low, low, high, rng.normal(size=60)], axis=1) + 0.1 * rng.normal(size=(60, 4))
    >>> found = fr.rank_maps(fr.channel_grams(maps, bandwidth=0.5), fr.gram(labels, "delta"), null=20)
    >>> sorted(map(int, found.order[:2])), int(found.informative)  # a copy and noise come last
    ([0, 2], 2)
    """
    maps, target, home = _matrices.layer(maps, target)
    orders, one_order = _check.orders(alpha)
    if not one_order:
        _check.kind_error("alpha", "one order, as each has a ranking of its own", "several", "call once for each")
    unit = _check.unit(base)
    count, n = int(maps.shape[0]), int(maps.shape[-1])
    most = count if max_maps is None else min(count, _check.integer(max_maps, "max_maps", 1))
    permutations = None if null is None else _check.integer(null, "null", 1)
    seed = _check.integer(seed, "seed", 0)
    redundancy = _check.flag(redundancy, "redundancy")

    operations, xp = _dispatch.operations(home.library), home.xp()
    limit = rounding(orders, n, home.epsilon, unit, terms=4)[0]
    index, place = operations.sample_pairs(maps, None if redundancy else 0, 0)
    s_y, s_maps, _ = operations.pairs(maps, target, index, orders, unit)
    information = (s_y + s_maps[0] - s_maps[1])[:, 0]
    relevance = information[:count]
    order, s_first = operations.chosen(maps, target, most, limit, orders, unit)
    with home.current(relevance):
        known = (home.constant(s_y) + s_first[0] - s_first[1])[:, 0]
        gain = known - xp.concatenate([known[:1] * 0, known[:-1]])
        adds = gain > limit
        shared: Array = None
        if redundancy:
            others = count - 1 if count > 1 else math.nan
            both = information[place].sum(1) - relevance  # over the other maps: on the diagonal stands the map alone
            shared = home.leave(relevance + (relevance.sum() - relevance - both) / others)

    compared: RankingNull[ArrayT] | None = None
    if permutations is not None:
        how = (permutations, seed, orders, unit)
        s_alone = home.constant(s_y + s_maps[0, :count])
        null_relevance = (s_alone - operations.permuted_pairs(maps, target, index[:count], *how))[..., 0]
        largest = [xp.stack([one.max() for one in null_relevance])]
        # In half precision a product of Grams would be rounded to it.
        exact = home if home.epsilon < 2.0**-22 else home.with_dtype("float32")
        ordered, y = exact.leave(home.constant(maps))[order], exact.leave(home.constant(target))
        given = ordered[0]
        for k in range(1, most):
            # To permute what is given and the target is to permute the map: only how they stand to each other counts.
            s, s_with = (
                operations.permuted_pairs(ordered[k:], x, index[: count - k], *how)[..., 0]
                for x in (given, _together(given, y))
            )
            gains = s - s_with + (s_first[1, k - 1] - s_first[0, k - 1])
            largest.append(xp.stack([one.max() for one in gains]))
            given = _together(given, ordered[k])
        with home.current(relevance):
            null_gain = xp.stack(largest, 1)
            adds = adds & (null_gain < gain - limit).all(0)
        compared = RankingNull(
            PermutationTest.of(home.constant(relevance), null_relevance, home),
            PermutationTest.of(gain, null_gain, home),
        )

    with home.current(relevance):
        informative = adds.cumprod(0).sum(0)
    return MapRanking(
        order=order[:most],
        relevance=home.leave(relevance),
        gain=home.leave(gain),
        redundancy=shared,
        informative=informative,
        null=compared,
    )


def _together(a: Array, b: Array) -> Array:
    """Return the Gram of two variables."""
    product = a * b
    return product / product.diagonal().sum()
