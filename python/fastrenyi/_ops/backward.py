"""Gradients of the compiled operations on the CPU, NumPy arrays in and out: what backward passes are made of.

The entropy S(A) = f(lambda) of a symmetric matrix A = V diag(lambda) V^T has the gradient V diag(f'(lambda)) V^T, in
which no difference of eigenvalues is divided by: it is finite for repeated ones. It is made without eigenvectors, as
f'(A) (csrc/ops/slope.hpp). Where f' is infinite, at a zero eigenvalue of orders up to 1, it is that of an eigenvalue of
rounding size: a path of positive semidefinite matrices meets such a point at the bottom of the eigenvalue, so that what
stands there does not count to first order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastrenyi import _check, _core
from fastrenyi._array import Array, Values, home_of, wrap
from fastrenyi._backend import threads
from fastrenyi._kernels.host import HOST
from fastrenyi._kernels.joints import Joints
from fastrenyi._ops import products

__all__ = [
    "LARGEST_BY_RESOLVENTS", "of_all_but_one", "of_entropies", "of_gram", "of_joints", "of_pairs", "of_widths",
    "summed_to",
]  # fmt: skip

LARGEST_BY_RESOLVENTS = 64.0
"""The largest order of an entropy whose gradient is made without eigenvectors (csrc/ops/slope.hpp): the work grows with
the order, and what rounding makes of a high one is not better."""


_TILE_BYTES = 2**24
"""Memory of one Gram of each of the pairs whose gradients are made at a time, in double."""


def of_gram(grad: Array, x: Array, width: float | Array, a: Array, kind: str) -> Values:
    """Return the gradient with respect to x of its Gaussian or Laplacian Grams a (see csrc/ops/gram_slope.hpp)."""
    flat = _check.flat_batch(wrap(x), 2)
    grams, grads = (np.ascontiguousarray(_check.flat_batch(wrap(v), 2)) for v in (a, grad))
    widths = HOST.widths(width, len(flat), given=False)
    return _core.gram_slope(flat, kind, widths, grams, grads, threads()).reshape(x.shape)


def of_widths(grad: Values, widths: Values, a: Values, kind: str) -> Values:
    """Return the gradient with respect to the widths (...) of Gaussian or Laplacian Grams a (..., n, n).

    d A_ij = A_ij |x_i - x_j|^2 / sigma^3 (Gaussian), A_ij |x_i - x_j|_1 / sigma^2 (Laplacian): the distance over the
    width is read back from A.
    """
    distance = -np.log(np.where(a > 0, a * a.shape[-1], 1))
    each = (grad * a * distance).sum((-2, -1), dtype=np.float64) * (2 if kind == "gaussian" else 1)
    return np.where(widths > 0, each / np.where(widths > 0, widths, 1), 0)


def _by_eigenvectors(a: Values, g: Values, orders: Sequence[float], epsilon: float, unit: float) -> Values:
    """Return the gradients of entropies of orders above one, inf among them, weighed by g (b, m).

    With q = lambda / lambda_max, s = alpha - 1 and T = tr A: dS/d lambda = -alpha / (s T) (q^s T / (lambda_max sum
    q^alpha) - 1) nats, in which nothing overflows. Eigenvalues that rounding sets apart from the largest are equal to
    it: of a high order, q^s would make the difference between all and nothing. Rounding is that of the eigenvalues, at
    inf also that of the dtype the matrices came in.
    """
    values, v = _core.eigh(a, threads())
    lam = np.maximum(values.astype(np.float64), 0)
    largest, total = lam[:, -1:], lam.sum(axis=-1, keepdims=True)
    slope = np.zeros_like(lam)
    for k, order in enumerate(orders):
        apart = a.shape[-1] * (epsilon if math.isinf(order) else float(np.finfo(a.dtype).eps))
        q = np.where(lam >= largest * (1 - apart), 1.0, lam / largest)
        power = q ** (order - 1)
        share = power * total / (largest * (power * q).sum(axis=-1, keepdims=True))
        slope += g[:, k, None] * (1 - share) * (1.0 if math.isinf(order) else order / (order - 1))
    weighed = (slope / total * (unit / math.log(2))).astype(a.dtype)
    return np.asarray((v * weighed[:, None, :]) @ v.swapaxes(1, 2))


def _spectral(
    reduced: Values, matrices: Sequence[Values], g: Values, orders: Sequence[float], epsilon: float, unit: float
) -> Values:
    """Return the gradients of the entropies, weighed by g (b, m), of matrices that were reduced.

    ``matrices`` are looked at for orders above LARGEST_BY_RESOLVENTS only.
    """
    low = [k for k, order in enumerate(orders) if order <= LARGEST_BY_RESOLVENTS]
    high = [k for k, order in enumerate(orders) if order > LARGEST_BY_RESOLVENTS]
    found = _core.slope(reduced, np.ascontiguousarray(g[:, low]), [orders[k] for k in low], unit, threads())
    if high:
        found += _by_eigenvectors(np.concatenate(matrices), g[:, high], [orders[k] for k in high], epsilon, unit)
    return found


def of_joints(a: Values, g: Values, orders: Sequence[float], epsilon: float, unit: float) -> Values:
    """Return the gradients of the entropies, weighed by g (b, m) in float64, of matrices (b, n, n) of any trace."""
    if list(orders) == [2.0]:
        found = np.zeros_like(a)
        _, purities, _ = _core.collision_entropy([a], [[0]], unit, threads())
        _core.collision_slope([a], [[0]], purities, np.ascontiguousarray(g[:, 0]), unit, [found], threads())
        return found
    _, reduced = _core.reduce([a], threads())
    return _spectral(reduced, [a], g, orders, epsilon, unit)


def summed_to(values: Values, shape: tuple[int, ...]) -> Values:
    """Return an array summed over the axes that an array of this shape was broadcast along."""
    added = values.ndim - len(shape)
    stretched = tuple(k for k, size in enumerate(shape, added) if size == 1 and values.shape[k] != 1)
    return values.sum(axis=(*range(added), *stretched)).reshape(shape) if added or stretched else values


def of_entropies(
    grad: Array,
    grams: Sequence[Array],
    kept: Array,
    wanted: Sequence[bool],
    subsets: Sequence[Sequence[int]],
    signs: Sequence[float],
    orders: Sequence[float],
    unit: float,
) -> list[Values]:
    """Return the gradients with respect to Grams of ``entropies``; of those not wanted, nothing (0,).

    ``kept`` is what ``entropies_and_kept`` gave to keep, or nothing: then it is found again.
    """
    joints = Joints([wrap(a) for a in grams], subsets, ["grams"] * len(subsets))
    jobs = [k for k, subset in enumerate(subsets) if any(wanted[i] for i in subset)]
    gradient = wrap(grad).astype(np.float64)
    parts = [signs[k] * gradient if len(signs) else gradient[k] for k in jobs]
    m = len(orders)
    # A subset that does not vary over some batch axes was computed once: its gradients add up.
    weights = [summed_to(part, (*joints.batches[k], m)).reshape(-1, m) for k, part in zip(jobs, parts, strict=True)]
    if not jobs:
        return _Sums(joints, wanted).found
    if list(orders) == [2.0]:
        return _of_collisions(joints, wrap(kept), wanted, jobs, weights, unit)
    return _of_spectra(joints, wrap(kept), wanted, jobs, weights, orders, home_of(grams[0]).epsilon, unit)


def _of_all(
    grad: Values, grams: Sequence[Values], subsets: Sequence[Sequence[int]], orders: Sequence[float], unit: float
) -> list[Values]:
    """Return the gradients with respect to all Grams of joint entropies (subsets, *batch, orders)."""
    return of_entropies(grad, grams, np.empty(0), [True] * len(grams), subsets, [], orders, unit)


def of_pairs(
    grads: Sequence[Values], maps: Values, target: Values, index: Values, orders: Sequence[float], unit: float
) -> tuple[Values, Values]:
    """Return the gradients with respect to maps (C, n, n) and target (n, n) of ``_ops.pairs``, some pairs at a time."""
    to_x, to_maps, to_all = grads
    count, n = maps.shape[:2]
    every = [range(count, count + 1), range(count), range(count + 1)]
    *found, to_target = _of_all(np.concatenate([to_x[None], to_all]), [*maps, target], every, orders, unit)
    result = np.stack(found)
    alone, part = _of_all(to_maps[:, :count], [maps, target], [[0], [0, 1]], orders, unit)
    result, to_target = result + alone, to_target + part
    step = max(1, _TILE_BYTES // (8 * n * n))
    for first in range(count, len(index), step):
        i, j = index[first : first + step].T
        of_tile = to_maps[:, first : first + step]
        to_i, to_j, part = _of_all(of_tile, [maps[i], maps[j], target], [[0, 1], [0, 1, 2]], orders, unit)
        np.add.at(result, i, to_i)
        np.add.at(result, j, to_j)
        to_target += part
    return result, to_target


def of_all_but_one(
    grad: Values, maps: Values, target: Values, orders: Sequence[float], unit: float
) -> tuple[Values, Values]:
    """Return the gradients with respect to maps (C, n, n) and target (n, n) of ``_ops.all_but_one``."""
    a = wrap(maps)
    wide = a.astype(np.float64)
    rest = products.all_but_one(np, wide).astype(a.dtype)
    to_rest, to_target = _of_all(grad, [rest, target], [[0], [0, 1]], orders, unit)
    return products.to_each(np, wide, to_rest.astype(np.float64)), to_target


class _Sums:
    """The gradients of Grams while they are added up: zeros in the beginning, or nothing for those not wanted."""

    def __init__(self, joints: Joints, wanted: Sequence[bool]) -> None:
        self._joints, self._wanted = joints, wanted
        self.found = [np.zeros(a.shape if want else 0, a.dtype) for a, want in zip(joints.grams, wanted, strict=True)]

    def add(self, k: int, gradient: Callable[..., None], *args: Any) -> None:
        """Call what adds the gradients of a subset to arrays: to those here, if they have the subset's batch."""
        joints, subset = self._joints, self._joints.subsets[k]
        full = (*joints.batches[k], joints.n, joints.n)
        own = [self._wanted[i] and self.found[i].shape == full for i in subset]
        out = [
            None if not self._wanted[i] else self.found[i] if mine else np.zeros(full, joints.grams[i].dtype)
            for i, mine in zip(subset, own, strict=True)
        ]
        gradient(joints.factors(k), *args, [None if v is None else _check.flat_batch(v, 2) for v in out], threads())
        for i, mine, part in zip(subset, own, out, strict=True):
            if part is not None and not mine:
                self.found[i] += summed_to(part, self.found[i].shape)


def _of_collisions(
    joints: Joints,
    kept: Values,
    wanted: Sequence[bool],
    jobs: Sequence[int],
    weights: Sequence[Values],
    unit: float,
) -> list[Values]:
    """Return the gradients of order 2, from the squares and traces of the joint Grams; of one shape, all at once."""
    sums = _Sums(joints, wanted)
    if joints.alike:
        flat = [_check.flat_batch(a, 2) for a in joints.grams]
        out = [_check.flat_batch(a, 2) if want else None for a, want in zip(sums.found, wanted, strict=True)]
        purities = kept if len(kept) else _core.collision_entropy(flat, joints.subsets, unit, threads())[1]
        purities = np.concatenate([purities[joints.part(k)] for k in jobs])
        listed = [joints.subsets[k] for k in jobs]
        _core.collision_slope(flat, listed, purities, np.concatenate(weights)[:, 0], unit, out, threads())
        return sums.found
    for k, weight in zip(jobs, weights, strict=True):
        alone = [range(len(joints.subsets[k]))]
        purities = kept[joints.part(k)]
        if not len(kept):
            _, purities, _ = _core.collision_entropy(joints.factors(k), alone, unit, threads())
        sums.add(k, _core.collision_slope, alone, purities, np.ascontiguousarray(weight[:, 0]), unit)
    return sums.found


def _of_spectra(
    joints: Joints,
    kept: Values,
    wanted: Sequence[bool],
    jobs: Sequence[int],
    weights: Sequence[Values],
    orders: Sequence[float],
    epsilon: float,
    unit: float,
) -> list[Values]:
    """Return the gradients of other orders, from the reduced joint Grams: first to the joint, then to its factors."""
    grams: list[Values] = []
    if not len(kept) or max(orders) > LARGEST_BY_RESOLVENTS:
        grams = [HOST.joint(joints, k) for k in jobs]
    if not len(kept):
        _, reduced = _core.reduce(grams, threads())
    elif list(jobs) == list(range(jobs[0], jobs[-1] + 1)):  # neighbours: a view
        reduced = kept[joints.starts[jobs[0]] : joints.starts[jobs[-1] + 1]]
    else:
        reduced = np.concatenate([kept[joints.part(k)] for k in jobs])
    found = _spectral(reduced, grams, np.concatenate(weights), orders, epsilon, unit)
    sums, ends = _Sums(joints, wanted), np.cumsum([len(weight) for weight in weights])
    for k, to_joint in zip(jobs, np.split(found, ends[:-1]), strict=True):
        sums.add(k, _core.joint_slope, to_joint)
    return sums.found
