"""The entropies of a layer: its maps, its pairs of maps and all of them, alone and with a target."""

from __future__ import annotations

from collections.abc import Sequence

from fastrenyi._array import Array, home_of
from fastrenyi._kernels import kernels_for
from fastrenyi._kernels.joints import Joints
from fastrenyi._ops.precision import judged

__all__ = ["pairs"]


def pairs(maps: Array, target: Array, every: bool, orders: Sequence[float], unit: float) -> tuple[Array, Array, Array]:
    """Return the entropies that the decomposition of a layer is made of; maps (C, n, n), target (n, n).

    S(X) as (orders,); S(Ti, Tj) and S(Ti, Tj, X) as (2, C, C, orders), of the single maps on the diagonal, or for
    these alone, without ``every`` pair, (2, C, orders); S(T_1..T_C) and S(T_1..T_C, X) as (2, orders).
    """

    def measure(epsilon: float) -> tuple[Array, Array, Array]:
        with kernels_for(maps) as on:
            grams, x = on.matrices(maps, "maps"), on.matrices(target, "target")
            s_x, _ = on.entropies(Joints([x], [[0]], ["target"]), orders, epsilon, unit)

            # A map alone is the pair of the map with itself; then all pairs above the diagonal.
            count = len(grams)
            alone = on.pairs_alone(count)
            index = on.contiguous(on.xp.concatenate([alone, on.pairs_above(count)])) if every else alone
            found = on.pairs(grams, x, index, orders, epsilon, unit)
            if every:
                square = on.empty((2, count, count, len(orders)), home_of(found).dtype)
                first, second = index[:, 0], index[:, 1]
                square[:, first, second] = found
                square[:, second, first] = found
                found = square

            joint = on.joint(Joints(list(grams), [range(count)], ["maps"]), 0)[0]
            both = Joints([joint, x], [[0], [0, 1]], ["maps", "maps, target"])
            s_all, _ = on.entropies(both, orders, epsilon, unit)
            return s_x[0], found, s_all

    return judged([maps, target], measure)
