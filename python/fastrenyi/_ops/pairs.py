"""The entropies of a layer: its maps, its pairs of maps and all of them, alone and with a target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastrenyi._array import Array
from fastrenyi._kernels import kernels_for
from fastrenyi._kernels.joints import Joints
from fastrenyi._ops.precision import judged

__all__ = ["pairs", "sample_pairs"]


def sample_pairs(maps: Array, most: int | None, seed: int) -> tuple[Array, Array]:
    """Return which pairs of maps (C, n, n) to measure, int64 (C + p, 2), and where each stands in that, int64 (C, C).

    First each map with itself, which is the map alone; then the pairs above the diagonal, all of them where ``most`` is
    None or not fewer, else as many at random, without repetition. A pair that is not among them stands at C + p.
    """
    with kernels_for(maps) as on:
        count = len(maps)
        total = count * (count - 1) // 2
        alone, above = on.pairs_alone(count), on.pairs_above(count)
        if most is not None and most < total:
            chosen = np.sort(np.random.default_rng(seed).choice(total, most, replace=False, shuffle=False))
            above = above[on.here(chosen, "int64")]
        index = on.contiguous(on.xp.concatenate([alone, above]))
        place = on.full((count, count), len(index), "int64")
        first, second = index[:, 0], index[:, 1]
        # Counted on the device itself, as the pairs are.
        place[first, second] = place[second, first] = on.full((len(index),), 1, "int64").cumsum(0) - 1
        return index, place


def pairs(maps: Array, target: Array, index: Array, orders: Sequence[float], unit: float) -> tuple[Array, Array, Array]:
    """Return the entropies that the decomposition of a layer is made of; maps (C, n, n), target (n, n).

    S(X) as (orders,); S(Ti, Tj) and S(Ti, Tj, X) of the pairs in ``index`` (p, 2), as ``sample_pairs`` gives it, as
    (2, p, orders); S(T_1..T_C) and S(T_1..T_C, X) as (2, orders).
    """

    def measure(epsilon: float) -> tuple[Array, Array, Array]:
        with kernels_for(maps) as on:
            grams, x = on.matrices(maps, "maps"), on.matrices(target, "target")
            s_x, _ = on.entropies(Joints([x], [[0]], ["target"]), orders, epsilon, unit)
            found = on.pairs(grams, x, on.contiguous(on.here(index, "int64")), orders, epsilon, unit)
            joint = on.joint(Joints(list(grams), [range(len(grams))], ["maps"]), 0)[0]
            both = Joints([joint, x], [[0], [0, 1]], ["maps", "maps, target"])
            s_all, _ = on.entropies(both, orders, epsilon, unit)
            return s_x[0], found, s_all

    return judged([maps, target], measure)
