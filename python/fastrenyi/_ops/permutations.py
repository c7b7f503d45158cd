"""Entropies with a variable whose samples are in another order: what is found where nothing is shared.

A Gram in another order is the same Gram by index, so that its own entropy does not change: only joint ones are new.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastrenyi import _matrices
from fastrenyi._array import Array, Values, home_of
from fastrenyi._kernels import Kernels, kernels_for
from fastrenyi._kernels.joints import Joints, pair_name
from fastrenyi._ops.precision import judged

__all__ = ["permutations", "permuted", "permuted_pairs"]

_PURPOSE = "are put in another order"
_WORKSPACE_BYTES = 2**25
"""Memory of the Grams in another order that are made at a time."""


def permutations(count: int, n: int, seed: int) -> Values:
    """Return random orders (count, n) of n samples: the first ones do not depend on how many are drawn."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(n) for _ in range(count)])


def _in_order(on: Kernels, a: Array, order: Array) -> Array:
    """Return a Gram (n, n) with its samples in another order (n,)."""
    return on.xp.take(a, order[:, None] * len(order) + order[None, :])


def permuted(
    grams: Sequence[Array],
    labels: Sequence[str],
    split: int,
    names: Sequence[str],
    count: int,
    seed: int,
    orders: Sequence[float],
    unit: float,
) -> Array:
    """Return the joint entropies S(A, P B P') for ``count`` random permutations P: (count, *batch, orders).

    A is the first ``split`` Grams together, B the others; their batch axes broadcast. ``names`` are theirs.
    """
    together = ", ".join(names)

    def measure(epsilon: float) -> Array:
        with kernels_for(grams[0]) as on:
            matrices = [on.matrices(a, label) for a, label in zip(grams, labels, strict=True)]
            every = range(len(matrices))
            sides = Joints(matrices, [every[:split], every[split:]], names)
            batch, n = np.broadcast_shapes(*sides.batches), sides.n
            whole = (*batch, n, n)
            a, b = (on.xp.broadcast_to(on.joint(sides, k).reshape(*sides.batches[k], n, n), whole) for k in (0, 1))
            a, b = a.reshape(-1, n, n), b.reshape(-1, n, n)
            _matrices.ends_in_samples(a, b, names[1], _PURPOSE)
            order = on.here(permutations(count, n, seed), "int64")
            step = min(count, max(1, _WORKSPACE_BYTES // (8 * n * n)))
            both = on.empty((step + 1, n, n), home_of(a).dtype)
            found = on.empty((count, len(a), len(orders)), home_of(a).dtype)
            for first in range(0, count, step):
                some = order[first : first + step]
                with_first = on.pairs_alone(len(some)) + 1
                with_first[:, 0] = 0
                for k in range(len(a)):
                    both[0] = a[k]
                    for i, one in enumerate(some):
                        both[1 + i] = _in_order(on, b[k], one)
                    part = on.pairs(both[: len(some) + 1], None, with_first, orders, epsilon, unit, lambda *_: together)
                    found[first : first + step, k] = part[0]
            return found.reshape(count, *batch, len(orders))

    return judged(grams, measure)


def permuted_pairs(
    maps: Array, target: Array, index: Array, count: int, seed: int, orders: Sequence[float], unit: float
) -> Array:
    """Return S(Ti, Tj, P X P') for ``count`` random permutations P: (count, p, orders).

    Maps are (C, n, n), the target (n, n), the pairs in ``index`` (p, 2) as ``sample_pairs`` gives them.
    """

    def measure(epsilon: float) -> Array:
        with kernels_for(maps) as on:
            grams, x = on.matrices(maps, "maps"), on.matrices(target, "target")
            length, n = len(grams), int(grams.shape[-1])
            _matrices.ends_in_samples(grams, x, "target", _PURPOSE)
            order = on.here(permutations(count, n, seed), "int64")

            def name(i: int, j: int) -> str:
                return f"{pair_name(i % length, j % length)}, target"

            # Below, behind the maps stand these with the target: S(Ti, Tj, X) is that of map i and of map j with it,
            # and of a map alone that of the map with it alone.
            first, second = on.here(index, "int64").T
            with_target = on.xp.stack([first + length * (first == second), second + length], 1)
            found = []
            for one in order:
                with_x = on.joint(Joints([grams, _in_order(on, x, one)], [[0, 1]], ["maps, target"]), 0)
                both = on.xp.concatenate([grams, with_x])
                found.append(on.pairs(both, None, on.contiguous(with_target), orders, epsilon, unit, name)[0])
            return on.xp.stack(found)

    return judged([maps, target], measure)
