"""The entropies of a layer without one of its maps, for each of them."""

from __future__ import annotations

from collections.abc import Sequence

from fastrenyi._array import Array, home_of
from fastrenyi._kernels import kernels_for
from fastrenyi._ops import products
from fastrenyi._ops.precision import judged

__all__ = ["all_but_one"]


def all_but_one(maps: Array, target: Array, orders: Sequence[float], unit: float) -> Array:
    """Return S of all maps (C, n, n) but one, and S of these and the target (n, n), for each map: (2, C, orders).

    All maps but a single one are a constant. Products run in double.
    """

    def measure(epsilon: float) -> Array:
        with kernels_for(maps) as on:
            grams, x = on.matrices(maps, "maps"), on.matrices(target, "target")
            rest = on.cast(products.all_but_one(on.xp, on.cast(grams, "float64")), home_of(grams).dtype)
            alone = on.pairs_alone(len(rest))
            return on.pairs(rest, x, alone, orders, epsilon, unit, lambda i, _: f"maps but maps[{i}]")

    return judged([maps, target], measure)
