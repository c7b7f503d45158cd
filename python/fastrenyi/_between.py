"""Two sets of samples: accepted, and the distances and products between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastrenyi import _check
from fastrenyi._array import Array, Home, broadcast_shapes, home_of
from fastrenyi._kernels.products import nonzero

__all__ = ["accepted_two", "distances", "equal", "of_length_one"]


def accepted_two(x: Any, y: Any, names: tuple[str, str], accept: Callable[[Home, str], None]) -> tuple[Array, Array]:
    """Accept samples (..., n, d) and (..., m, d) of one home, of a dtype that ``accept`` does not refuse."""
    first, second = names
    x = _check.adopt(x, first)
    home = _check.array(x, first)
    y = _check.adopt(y, second)
    home_y = _check.array(y, second)
    accept(home, first)
    accept(home_y, second)
    _check.same_home(home_y, second, home, first)
    for values, name in ((x, first), (y, second)):
        if values.ndim < 2 or values.shape[-2] == 0 or values.shape[-1] == 0:
            _check.value_error(name, "samples of shape (..., n, d) with n, d >= 1", f"shape {tuple(values.shape)}")
    if x.shape[-1] != y.shape[-1]:
        _check.value_error(second, f"samples of d = {x.shape[-1]} features, as {first}", f"shape {tuple(y.shape)}")
    try:
        broadcast_shapes(tuple(x.shape[:-2]), tuple(y.shape[:-2]))
    except ValueError:
        _check.value_error(second, f"batch axes that broadcast with {tuple(x.shape[:-2])}", f"{tuple(y.shape[:-2])}")
    return x, y


def distances(x: Array, y: Array, metric: str) -> Array:
    """Return the distances (..., n, m), "euclidean" or "manhattan", by differences: no digit is lost by products."""
    home = home_of(x)
    if home.library == "torch":
        power = 2.0 if metric == "euclidean" else 1.0
        return home.xp().cdist(x, y, power, compute_mode="donot_use_mm_for_euclid_dist")
    xp = home.xp()
    batch = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    x, y = (xp.broadcast_to(v, (*batch, *v.shape[-2:])) for v in (x, y))
    if home.library == "numpy":
        from scipy.spatial.distance import cdist

        found = np.empty((*batch, x.shape[-2], y.shape[-2]))
        for at in np.ndindex(*batch):
            found[at] = cdist(x[at], y[at], "euclidean" if metric == "euclidean" else "cityblock")
        return found.astype(x.dtype, copy=False)
    with home.current(x):
        by_feature = (abs(x[..., :, None, k] - y[..., None, :, k]) for k in range(x.shape[-1]))
        return sum(part * part for part in by_feature) ** 0.5 if metric == "euclidean" else sum(by_feature)


def equal(x: Array, y: Array) -> Array:
    """Return where samples are equal in every feature, (..., n, m)."""
    found = x[..., :, None, 0] == y[..., None, :, 0]
    for k in range(1, x.shape[-1]):
        found = found & (x[..., :, None, k] == y[..., None, :, k])
    return found


def of_length_one(x: Array) -> Array:
    """Return samples over their length; those of length zero stay zero."""
    home = home_of(x)
    xp = home.xp()
    x = x / nonzero(xp.amax(abs(home.constant(x)), -1)[..., None], xp)
    found: Array = x / nonzero((x * x).sum(-1)[..., None], xp) ** 0.5
    return found
