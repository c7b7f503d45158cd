"""Which maps of a layer know most of a target together: chosen one after the other, each for what it adds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastrenyi._array import Array, Values, home_of, wrap
from fastrenyi._kernels import kernels_for
from fastrenyi._kernels.joints import Joints
from fastrenyi._ops.precision import judged

__all__ = ["chosen"]


def chosen(
    maps: Array, target: Array, most: int, limit: float, orders: Sequence[float], unit: float
) -> tuple[Array, Array]:
    """Return the maps as they are chosen, int64 (C,), and the entropies of the first 1..K of them, (2, K, orders).

    Maps are (C, n, n), the target X is (n, n), K is ``most``, no more than C; maps that are not chosen stand last. The
    entropies are S(T_1..T_k) and S(T_1..T_k, X); the next map is the one that makes their difference, of the first
    order, largest. Of maps that differ by no more than ``limit``, which is rounding, that is the one which knows most
    alone, and then the first.
    """

    def measure(epsilon: float) -> tuple[Array, Array]:
        with kernels_for(maps) as on:
            grams, x = on.matrices(maps, "maps"), on.matrices(target, "target")
            count = len(grams)
            # Behind the maps stands what has been chosen, as one map: a candidate is a pair with it.
            both = on.xp.concatenate([grams, grams[:1]])
            together = both[count:]
            index = on.pairs_alone(count)
            order, left = [], np.arange(count)
            found = on.empty((2, most, len(orders)), home_of(grams).dtype)
            for k in range(most):
                candidates = on.contiguous(index[on.here(left, "int64")])
                s = on.pairs(both, x, candidates, orders, epsilon, unit, lambda *_: "maps")
                information = wrap(s[0, :, 0] - s[1, :, 0])  # less S(X), the same for all
                if k == 0:
                    alone = information
                place = _best(information, alone[left], limit)
                f = int(left[place])
                found[:, k] = s[:, place]
                one = grams[f : f + 1]
                together[:] = one if k == 0 else on.joint(Joints([together, one], [[0, 1]], ["maps"]), 0)
                order.append(f)
                left = np.delete(left, place)
                index[:, 1] = count
            return on.here(np.array([*order, *left]), "int64"), found

    return judged([maps, target], measure)


def _best(together: Values, alone: Values, limit: float) -> int:
    """Return the place of the largest, up to a limit by which numbers differ that are the same."""
    known = np.where(together >= together.max() - limit, alone, -np.inf)
    return int((known >= known.max() - limit).argmax())
