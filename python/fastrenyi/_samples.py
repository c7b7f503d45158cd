"""Samples (..., n, d) as matrices: looked at, centred, of length one, and their products, on the smaller side.

What PyTorch, NumPy and CuPy have in common, and so with gradients; products are the operation ``gram``.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from fastrenyi import _check, _dispatch
from fastrenyi._array import Array, Home, has_numbers, wrap
from fastrenyi._kernels import kernels_for
from fastrenyi._spec import KernelSpec

__all__ = ["Center", "accepted", "look_at", "nonzero", "prepared", "refuse_nothing", "smaller_gram"]

Center: TypeAlias = Literal["samples", "features", "both"] | None
"""What means are taken away: over samples from each feature, over features from each sample, or both."""

_ROUNDING = 8  # units of the largest number that a difference of two means may come to where it is zero


def accepted(x: Any, name: str) -> tuple[Array, Home]:
    """Accept samples (..., n, d) of real, finite numbers."""
    x = _check.adopt(x, name)
    home = _check.real(x, name)
    if x.ndim < 2 or 0 in x.shape[-2:]:
        way_out = f"for n samples of one feature pass {name}[:, None]" if x.ndim == 1 else ""
        _check.value_error(name, "samples of shape (..., n, d) with n, d >= 1", f"shape {tuple(x.shape)}", way_out)
    look_at(x, name)
    return x, home


def look_at(x: Array, name: str) -> None:
    """Refuse NaN and infinity by their place in what was given; where nothing can be seen, operations see later."""
    if has_numbers(x):
        with kernels_for(x) as on:
            on.finite(x, name)


def prepared(x: Array, home: Home, center: Center, normalized: bool) -> Array:
    """Return samples centred and then, if they are to be, of length one; of any scale, if anything is to be done.

    The first sample, or feature, is taken away before the mean is: what is constant is zero then, without rounding.
    What rounding leaves of nothing would be all that there is of a Gram of trace one; it is zero as well.
    """
    if center is None and not normalized:
        return x
    xp = home.xp()
    with home.current(x):
        z = home.computed(x)
        largest = nonzero(_largest(z, home), xp)
        z = z / (largest / (2 * xp.frexp(largest)[0]))[..., None, None]  # by a power of two, which is exact
        if center in ("samples", "both"):
            z = z - z[..., :1, :]
            z = z - z.mean(-2)[..., None, :]
        if center in ("features", "both"):
            z = z - z[..., :1]
            z = z - z.mean(-1)[..., None]
        rounding = 0.0 if center is None else _ROUNDING * min(home.epsilon, 2.0**-23)
        if not normalized:
            return z * (_largest(z, home) > rounding)[..., None, None]
        longest = xp.amax(abs(home.constant(z)), -1)[..., None]
        z = z / nonzero(longest, xp) * (longest > rounding)
        return z / nonzero((z * z).sum(-1)[..., None], xp) ** 0.5


def _largest(x: Array, home: Home) -> Array:
    """Return the largest magnitude of each sample set, without a gradient."""
    return home.xp().amax(abs(home.constant(x)), (-2, -1))


def nonzero(x: Array, xp: Any) -> Array:
    """Return numbers that are not negative as they can be divided by: one for zero, without a gradient."""
    return xp.where(x > 0, x, xp.ones_like(x))


def smaller_gram(x: Array, home: Home, name: str, center: Center = None) -> Array:
    """Return the products of samples or of features, whichever are fewer, over their trace; zero where all are zero."""
    z = prepared(x, home, center, False)
    side = z if z.shape[-2] <= z.shape[-1] else z.swapaxes(-1, -2)
    return _dispatch.operations(home.library).gram(side, KernelSpec.plain("linear"), None, True, name)


def refuse_nothing(gram: Array, name: str, center: Center) -> None:
    """Refuse samples of which nothing is left: their Gram has no trace."""
    if not has_numbers(gram):
        return
    missing = wrap(gram.diagonal(0, -2, -1).sum(-1)) == 0
    if missing.any():
        at = np.unravel_index(int(missing.argmax()), missing.shape)
        where = f" at index {tuple(int(i) for i in at)}" if missing.ndim else ""
        centred = (
            "" if center is None else f" once centred over {center if center != 'both' else 'samples and features'}"
        )
        _check.value_error(name, f"samples that are not all zero{centred}", f"only zeros{where}", "leave them out")
