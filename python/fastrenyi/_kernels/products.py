"""Products of samples by the array's own library: where none are compiled, and for gradients.

What PyTorch, NumPy and CuPy have in common, written once. The numbers are those of csrc/ops/linear_gram.hpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fastrenyi._array import Array, home_of
from fastrenyi._spec import LinearSpec

__all__ = ["Prepared", "counted", "nonzero", "only", "prepared", "products", "which"]

_ROUNDING = 8  # units of the largest number that a difference of two means may come to where it is zero


class Prepared(NamedTuple):
    """Samples as their products are taken, and what brings a gradient back to those that were given."""

    z: Array
    length: Array | None
    """What each has been divided by, (..., n, 1), if they are of length one; zero for those that are zero."""
    scale: Array
    """What all have been divided by before, (..., 1, 1), or each, (..., n, 1)."""


def nonzero(x: Array, xp: Any) -> Array:
    """Return numbers that are not negative as they can be divided by: one for zero, without a gradient."""
    return xp.where(x > 0, x, xp.ones_like(x))


def counted(x: Array, sizes: Sequence[int]) -> Array | None:
    """Return which of the samples (..., n, d) count, (..., n, 1), of as many of each set; None for all."""
    if not sizes:
        return None
    home = home_of(x)
    places, sizes_there = home.places(range(x.shape[-2])), home.places(list(sizes))
    return (places < sizes_there[:, None]).reshape(*x.shape[:-1], 1)


def only(x: Array, counts: Array | None, xp: Any) -> Array:
    """Return samples, zeros in place of those that do not count."""
    return x if counts is None else xp.where(counts, x, xp.zeros_like(x))


def prepared(x: Array, spec: LinearSpec, counts: Array | None) -> Prepared:
    """Return samples centred and then, if they are to be, of length one, divided by a power of two first.

    The first sample, or feature, is taken away before the mean is: what is constant is zero then, without rounding.
    What rounding leaves of nothing would be all that there is of a Gram of trace one; it is zero as well.
    """
    home = home_of(x)
    xp = home.xp()
    z = only(x, counts, xp)
    largest = xp.amax(abs(home.constant(z)), -1)[..., None]
    if spec.of_samples or not spec.normalized:  # or else each sample by its own size
        largest = xp.amax(largest, -2)[..., None, :]
    largest = nonzero(largest, xp)
    scale = largest / (2 * xp.frexp(largest)[0])
    z = z / scale
    if spec.of_samples:
        z = only(z - z[..., :1, :], counts, xp)
        one = xp.ones_like(z[..., :1])
        count = only(one, counts, xp).sum(-2)[..., None, :]
        z = only(z - z.sum(-2)[..., None, :] / count, counts, xp)
    if spec.of_features:
        z = z - z[..., :1]
        z = z - z.mean(-1)[..., None]
    nothing = _ROUNDING * home.epsilon if spec.center else 0.0
    longest = xp.amax(abs(home.constant(z)), -1)[..., None]
    z = z * (xp.amax(longest, -2) > nothing)[..., None, :]
    if not spec.normalized:
        return Prepared(z, None, scale)
    z = z / nonzero(longest, xp) * (longest > nothing)
    length = nonzero((z * z).sum(-1)[..., None], xp) ** 0.5
    return Prepared(z / length, length * longest * (longest > nothing), scale)


def products(x: Array, spec: LinearSpec, sizes: Sequence[int]) -> Array:
    """Return the linear Grams (..., m, m) of samples (..., n, d): symmetric, and zero where nothing is left of them."""
    home = home_of(x)
    xp = home.xp()
    z = prepared(x, spec, counted(x, sizes)).z
    n, d = x.shape[-2:]
    of_samples = spec.takes_samples(n, d, sizes)
    m = spec.order(n, d)
    k: Array = None
    if any(of_samples):
        rows = z[..., :m, :]
        k = rows @ rows.swapaxes(-1, -2)
    if not all(of_samples):
        of_features = z.swapaxes(-1, -2) @ z
        k = of_features if k is None else xp.where(which(x, of_samples), k, of_features)
    trace = nonzero((z * z).sum((-2, -1)), xp)[..., None, None]
    return (k + k.swapaxes(-1, -2)) / (2 * trace)


def which(x: Array, of_samples: Sequence[bool]) -> Array:
    """Return of which sets (..., 1, 1) products of samples are taken."""
    return (home_of(x).places(list(of_samples)) > 0).reshape(*x.shape[:-2], 1, 1)
