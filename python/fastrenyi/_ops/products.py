"""Entrywise products of many Grams, of any scale, by what the libraries have in common.

The largest number on the diagonal of a product, which bounds a positive semidefinite one, is brought back to one on the
way, so that any number of factors stays in range.
"""

from __future__ import annotations

from typing import Any

from fastrenyi._array import Array

__all__ = ["all_but_one", "in_pairs", "peaks", "to_each", "together"]


def peaks(xp: Any, a: Array) -> Array:
    """Return the largest number on the diagonal of matrices (b, n, n), (b, 1, 1); one where there is none above 0."""
    largest = xp.amax(a.diagonal(0, -2, -1), -1)[:, None, None]
    return xp.where(largest > 0, largest, 1)


def together(xp: Any, a: Array, members: Array) -> Array:
    """Return the products (p, n, n) of those of the matrices (C, n, n) that stand at ``members`` (p, k)."""
    found = a[members[:, 0]]
    for k in range(1, members.shape[1]):
        found = found * a[members[:, k]]
        found = found / peaks(xp, found)
    return found


def in_pairs(xp: Any, a: Array, neutral: Array) -> tuple[Array, Array]:
    """Return the first and the second ones of pairs of neighbours; the last one's, if it has none, is ``neutral``."""
    if len(a) % 2:
        a = xp.concatenate([a, neutral])
    return a[0::2], a[1::2]


def all_but_one(xp: Any, a: Array) -> Array:
    """Return for each of the matrices (C, n, n) the product of all others; of a single one, a matrix of ones.

    All others are the one beside it and all pairs of neighbours but its own, which are found the same way: 3 C products
    in log2 C steps, none of more than 2 log2 C factors behind one another.
    """
    count = len(a)
    if count == 1:
        return xp.ones_like(a)
    first, second = in_pairs(xp, a, xp.ones_like(a[:1]))
    both = first * second
    rest = all_but_one(xp, both / peaks(xp, both))
    found = xp.stack([rest * second, rest * first], 1).reshape(-1, *a.shape[1:])[:count]
    return found / peaks(xp, found)


def to_each(xp: Any, a: Array, to_rest: Array) -> Array:
    """Return the gradient with respect to matrices (C, n, n), from that to ``all_but_one`` of them.

    What it is the gradient of does not change with the scale of a product, so that its scales count as constants.
    """
    count = len(a)
    if count == 1:
        return xp.zeros_like(a)
    first, second = in_pairs(xp, a, xp.ones_like(a[:1]))
    to_first, to_second = in_pairs(xp, to_rest, xp.zeros_like(a[:1]))
    both = first * second
    scale = peaks(xp, both)
    both = both / scale
    rest = all_but_one(xp, both)
    to_first = to_first / peaks(xp, rest * second)
    to_second = to_second / peaks(xp, rest * first)
    to_both = to_each(xp, both, to_first * second + to_second * first) / scale
    found = xp.stack([to_second * rest + to_both * second, to_first * rest + to_both * first], 1)
    return found.reshape(-1, *a.shape[1:])[:count]
