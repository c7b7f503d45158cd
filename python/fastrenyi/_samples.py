"""Samples (..., n, d) as matrices: looked at, and the products of samples or features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from fastrenyi import _check, _dispatch
from fastrenyi._array import Array, Home, has_numbers, wrap
from fastrenyi._kernels import kernels_for, products
from fastrenyi._kernels.products import nonzero
from fastrenyi._spec import LinearSpec

__all__ = ["Center", "accepted", "linear_gram", "look_at", "nonzero", "prepared", "refuse_nothing", "smaller_gram"]

Center: TypeAlias = Literal["samples", "features", "both"] | None
"""What means are taken away: over samples from each feature, over features from each sample, or both."""


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
    if has_numbers(x) and _check.LOOKING.get():
        with kernels_for(x) as on:
            on.finite(x, name)


def prepared(x: Array, home: Home, center: Center, normalized: bool) -> Array:
    """Return samples centred and then, if they are to be, of length one; over a power of two of their size."""
    with home.current(x):
        return products.prepared(home.computed(x), LinearSpec(center or "", normalized, "samples"), None).z


def linear_gram(x: Array, home: Home, spec: LinearSpec, sizes: Sequence[int], name: str) -> Array:
    """Return the linear Grams of samples, of so many of each set if sizes are given; none may be of nothing."""
    found = _dispatch.operations(home.library).linear_gram(x, spec, sizes, name)
    refuse_nothing(found, name, spec.center)
    return found


def smaller_gram(x: Array, home: Home, name: str, center: Center = None) -> Array:
    """Return the products of samples or of features, whichever are fewer, over their trace; zero where all are zero."""
    spec = LinearSpec(center or "", False, "smaller")
    return _dispatch.operations(home.library).linear_gram(x, spec, [], name)


def refuse_nothing(gram: Array, name: str, center: str | None) -> None:
    """Refuse samples of which nothing is left: their Gram has no trace."""
    if not has_numbers(gram) or not _check.LOOKING.get():
        return
    missing = wrap(gram.diagonal(0, -2, -1).sum(-1)) == 0
    if missing.any():
        at = np.unravel_index(int(missing.argmax()), missing.shape)
        where = f" at index {tuple(int(i) for i in at)}" if missing.ndim else ""
        centred = "" if not center else f" once centred over {center if center != 'both' else 'samples and features'}"
        _check.value_error(name, f"samples that are not all zero{centred}", f"only zeros{where}", "leave them out")
