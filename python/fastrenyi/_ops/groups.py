"""The O-information of groups of Grams, of all or of a sample of them, each entropy taken once."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np

from fastrenyi._array import Array, Values, home_of
from fastrenyi._kernels import kernels_for
from fastrenyi._ops import products
from fastrenyi._ops.precision import judged

__all__ = ["group_o_information"]

_TILE_BYTES = 2**24
"""Memory of the joint Grams that are made at a time, in double; some three times that is held."""


def group_o_information(
    maps: Array,
    target: Array | None,
    size: int,
    most: int | None,
    seed: int,
    orders: Sequence[float],
    unit: float,
) -> tuple[Array, Array]:
    """Return groups of so many of the Grams (C, n, n), int64 (p, size), and the O-information of each, (p, orders).

    All groups where ``most`` is None or not fewer, else as many at random, without repetition; in order. A target
    (n, n) is one more member of each.
    """

    def measure(epsilon: float) -> tuple[Array, Array]:
        with kernels_for(maps) as on:
            grams = on.matrices(maps, "maps")
            groups = _groups(len(grams), size, most, seed)
            names, members = [f"maps[{k}]" for k in range(len(grams))], groups
            if target is not None:  # in front, where neighbours share it
                grams = on.xp.concatenate([on.matrices(target, "target")[None], grams])
                names, members = ["target", *names], np.insert(groups + 1, 0, 0, axis=1)
            alone = on.pairs_alone(len(grams))
            s_one = on.pairs(grams, None, alone, orders, epsilon, unit, lambda i, _: names[i])[0]
        variables = members.shape[1]
        without = np.stack([np.delete(members, k, axis=1) for k in range(variables)], axis=1)
        smaller, which = np.unique(without.reshape(-1, variables - 1), axis=0, return_inverse=True)
        how = (grams, names, orders, epsilon, unit)
        s_without, s_all = _entropies(smaller, *how), _entropies(members, *how)
        with kernels_for(maps) as on:
            which = which.reshape(without.shape[:2])
            difference = s_one[on.here(members, "int64")] - s_without[on.here(which, "int64")]
            return on.here(groups, "int64"), (variables - 2) * s_all + difference.sum(1)

    return judged([maps] if target is None else [maps, target], measure)


def _groups(count: int, size: int, most: int | None, seed: int) -> Values:
    """Return groups (p, size) of so many positions below ``count``, ascending and in order, each at most once."""
    total = math.comb(count, size)
    if most is None or most >= total:
        listed = itertools.chain.from_iterable(itertools.combinations(range(count), size))
        return np.fromiter(listed, np.int64, total * size).reshape(total, size)
    rng = np.random.default_rng(seed)
    found = np.empty((0, size), np.int64)
    while len(found) < most:
        found = np.unique(np.concatenate([found, _drawn(rng, count, size, most)]), axis=0)
    return found[np.sort(rng.choice(len(found), most, replace=False, shuffle=False))]


def _drawn(rng: np.random.Generator, count: int, size: int, number: int) -> Values:
    """Return random groups (number, size), ascending, by Floyd's algorithm: some may be the same."""
    found = np.empty((number, size), np.int64)
    for k, last in enumerate(range(count - size, count)):
        drawn = rng.integers(last + 1, size=number)
        there = (found[:, :k] == drawn[:, None]).any(axis=1)
        found[:, k] = np.where(there, last, drawn)
    return np.sort(found, axis=1)


def _entropies(
    members: Values, grams: Array, names: Sequence[str], orders: Sequence[float], epsilon: float, unit: float
) -> Array:
    """Return the joint entropies (p, orders) of groups ``members`` (p, k), in order, of two or more of the Grams.

    A group is a pair of its last member and its head, which is all before, and the same for neighbours: some heads at a
    time are multiplied, and stand behind the Grams.
    """
    whole, n = len(grams), grams.shape[-1]
    heads, head = np.unique(members[:, :-1], axis=0, return_inverse=True)
    head = head.reshape(-1)
    step = min(len(heads), max(1, _TILE_BYTES // (8 * n * n)))
    found = []
    with kernels_for(grams) as on:
        wide, room = on.cast(grams, "float64"), on.empty((whole + step, n, n), home_of(grams).dtype)
        room[:whole] = grams
    for first in range(0, len(heads), step):
        start, end = np.searchsorted(head, [first, first + step])
        name = functools.partial(_name, names, heads[first : first + step])
        with kernels_for(grams) as on:
            made = products.together(on.xp, wide, on.here(heads[first : first + step], "int64"))
            room[whole : whole + len(made)] = made
            index = np.stack([members[start:end, -1], whole + head[start:end] - first], axis=1)
            found.append(on.pairs(room, None, on.here(index, "int64"), orders, epsilon, unit, name)[0])
    with kernels_for(grams) as on:
        return on.xp.concatenate(found)


def _name(names: Sequence[str], heads: Values, last: int, head: int) -> str:
    """Return what messages call a group."""
    return ", ".join(names[k] for k in (*heads[head - len(names)], last))
