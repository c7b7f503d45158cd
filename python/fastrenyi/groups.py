"""Which groups of feature maps are synergistic, and which redundant: the O-information of all of them, or a sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic

from fastrenyi import _check, _dispatch, _matrices
from fastrenyi._array import Array, ArrayT
from fastrenyi._call import Alpha

__all__ = ["GroupOInformation", "group_o_information"]

_MOST = 10_000_000
"""So many groups are measured without being asked for by number."""


@dataclass(frozen=True, eq=False)
class GroupOInformation(Generic[ArrayT]):
    """The O-information of groups of feature maps, and the groups in which synergy and redundancy prevail most.

    Attributes
    ----------
    groups : array of integers
        (p, size): which maps each group is of, ascending and in order.
    values : array
        (p,): the O-information of each group, in the unit of the base: below zero where synergy prevails, above zero
        where redundancy does. For m orders (p, m).
    most_synergistic, most_redundant : array of integers
        (size,): the groups of the smallest and of the largest value, the first of those that are the same. For m orders
        (size, m).

    Notes
    -----
    ``group_o_information`` makes it. All are constants of the gradient. Cost: none of its own.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> maps = fr.channel_grams(np.random.default_rng(0).normal(size=(10, 5, 4, 4)))
    >>> found = fr.group_o_information(maps, size=3)
    >>> found.groups.shape, found.values.shape, found.most_redundant.shape
    ((10, 3), (10,), (3,))
    """

    groups: ArrayT
    values: ArrayT
    most_synergistic: ArrayT
    most_redundant: ArrayT


def group_o_information(
    maps: ArrayT,
    size: int = 3,
    target: ArrayT | None = None,
    alpha: Alpha = 1.01,
    base: float = 2,
    max_groups: int | None = None,
    seed: int = 0,
) -> GroupOInformation[ArrayT]:
    """Return the O-information of every group of so many feature maps: Omega = T - D, as ``o_information`` of each.

    T is the total correlation of the maps of a group, D the dual total correlation; with a target they are those of the
    group and the target. Omega = (k - 2) S(all) + sum_i [S(A_i) - S(all but A_i)] for k variables.

    Parameters
    ----------
    maps : array
        Grams (C, n, n) of the feature maps, as ``channel_grams`` makes them: a NumPy, CuPy or JAX array, a torch
        tensor, or what gives NumPy an array by DLPack on the CPU or ``__array__``.
    size : int
        How many maps make a group: at least 3, with a target 2.
    target : array, optional
        Gram (n, n) of a variable that is one more member of every group.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.
    max_groups : int, optional
        Measure no more groups than that: where there are more, so many at random, each at most once. None measures all,
        if they are no more than ten million.
    seed : int
        Of the sample of groups.

    Returns
    -------
    GroupOInformation
        In the library, dtype and device of maps; groups are int64.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, and for Grams of different libraries, dtypes or devices.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric or not of trace one, orders, bases, sizes or counts out
        of range, and more than ten million groups unless ``max_groups`` says how many.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max.

    Notes
    -----
    The smallest of many values is small also where no group is synergistic: compare it with what is found of permuted
    samples, or of other data. For the gradient of a group that was found call ``o_information`` of its maps.

    Cost: one spectrum of O(n^3) for each map, for each group and for each group less one member; these are shared, so
    that all triples of C maps take C(C-1)/2 more. Memory: a tile of joint Grams of about 100 MB, a workspace of at most
    64 MB, the Grams, and some 240 bytes for each group.

    Clauw et al. search groups of neurons with the entropy of a Gaussian copula, 1/2 log det of the covariance of normal
    scores. That is another estimator, of samples and not of Grams, and not offered here.

    Source: Rosas et al., Physical Review E 100, 2019 (O-information); Clauw et al., arXiv 2211.00416 (groups).

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a, b, c = np.random.default_rng(0).integers(2, size=(3, 64))
    >>> maps = np.stack([fr.gram(bits, kernel="delta") for bits in (a, b, c, a ^ b, c)])
    >>> found = fr.group_o_information(maps, size=3)
    >>> found.most_synergistic, round(float(found.values.min()), 1)  # two bits and their exclusive or
    (array([0, 1, 3]), -1.0)
    """
    if target is None:
        maps, home = _matrices.maps(maps)
    else:
        maps, target, home = _matrices.layer(maps, target)
    size = _check.integer(size, "size", 1)
    count, least = int(maps.shape[0]), 3 if target is None else 2
    if size < least:
        _check.value_error(
            "size", "at least 3 maps, or 2 and a target", size, "the O-information of two is always zero"
        )
    if size > count:
        _check.value_error("size", f"a group of no more than the {count} maps", size)
    orders, one_order = _check.orders(alpha)
    unit = _check.unit(base)
    most = None if max_groups is None else _check.integer(max_groups, "max_groups", 1)
    total = math.comb(count, size)
    if most is None and total > _MOST:
        _check.value_error("max_groups", f"how many of {total} groups to measure", "None")
    seed = _check.integer(seed, "seed", 0)

    operations = _dispatch.operations(home.library)
    groups, values = operations.group_o_information(maps, target, size, most, seed, orders, unit)

    def leave(found: Array) -> Array:
        return found[..., 0] if one_order else found

    with home.current(values):
        smallest, largest = (leave(groups[at].T) for at in (values.argmin(0), values.argmax(0)))
    return GroupOInformation(
        groups=groups, values=home.leave(leave(values)), most_synergistic=smallest, most_redundant=largest
    )
