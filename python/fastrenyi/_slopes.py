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

from fastrenyi import _backend, _check, _core
from fastrenyi._array import Array, Values, home_of, wrap
from fastrenyi._operations import aligned, batch_shape, each_width

__all__ = ["LARGEST_BY_RESOLVENTS", "of_entropies", "of_gram", "of_joints"]

LARGEST_BY_RESOLVENTS = 64.0
"""The largest order of an entropy whose gradient is made without eigenvectors (csrc/ops/slope.hpp): the work grows with
the order, and what rounding makes of a high one is not better."""


def of_gram(grad: Array, x: Array, width: float | Array, a: Array, kind: str) -> Values:
    """Return the gradient with respect to x of its Gaussian or Laplacian Grams a (see csrc/ops/gram_slope.hpp)."""
    flat = _check.flat_batch(wrap(x), 2)
    grams, grads = (np.ascontiguousarray(_check.flat_batch(wrap(v), 2)) for v in (a, grad))
    return _core.gram_slope(flat, kind, each_width(width, len(flat)), grams, grads, _backend.threads()).reshape(x.shape)


def _by_eigenvectors(a: Values, g: Values, orders: Sequence[float], epsilon: float, unit: float) -> Values:
    """Return the gradients of entropies of orders above one, inf among them, weighed by g (b, m).

    With q = lambda / lambda_max, s = alpha - 1 and T = tr A: dS/d lambda = -alpha / (s T) (q^s T / (lambda_max sum
    q^alpha) - 1) nats, in which nothing overflows. Eigenvalues that rounding sets apart from the largest are equal to
    it: of a high order, q^s would make the difference between all and nothing. Rounding is that of the eigenvalues, at
    inf also that of the dtype the matrices came in.
    """
    values, v = _core.eigh(a, _backend.threads())
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
    found = _core.slope(reduced, np.ascontiguousarray(g[:, low]), [orders[k] for k in low], unit, _backend.threads())
    if high:
        found += _by_eigenvectors(np.concatenate(matrices), g[:, high], [orders[k] for k in high], epsilon, unit)
    return found


def of_joints(a: Values, g: Values, orders: Sequence[float], epsilon: float, unit: float) -> Values:
    """Return the gradients of the entropies, weighed by g (b, m) in float64, of matrices (b, n, n) of any trace."""
    if list(orders) == [2.0]:
        found, threads = np.zeros_like(a), _backend.threads()
        _, purities, _ = _core.collision_entropy([a], [[0]], unit, threads)
        _core.collision_slope([a], [[0]], purities, np.ascontiguousarray(g[:, 0]), unit, [found], threads)
        return found
    _, reduced = _core.reduce([a], _backend.threads())
    return _spectral(reduced, [a], g, orders, epsilon, unit)


def _summed_to(values: Values, shape: tuple[int, ...]) -> Values:
    """Return an array summed over the axes that an array of this shape was broadcast along."""
    added = values.ndim - len(shape)
    stretched = tuple(k for k, size in enumerate(shape, added) if size == 1 and values.shape[k] != 1)
    return values.sum(axis=(*range(added), *stretched)).reshape(shape) if added or stretched else values


def _of_collisions(
    grad: Array,
    grams: Sequence[Array],
    kept: Array,
    wanted: Sequence[bool],
    subsets: Sequence[Sequence[int]],
    signs: Sequence[float],
    unit: float,
) -> list[Values]:
    """Return ``of_entropies`` of order 2 for Grams of one shape, of which all subsets go back at once."""
    threads = _backend.threads()
    flat = [_check.flat_batch(wrap(a), 2) for a in grams]
    out = [np.zeros(a.shape, a.dtype) if want else None for a, want in zip(flat, wanted, strict=True)]
    jobs = [k for k, subset in enumerate(subsets) if any(wanted[i] for i in subset)]
    if jobs:
        gradient = wrap(grad).astype(np.float64).reshape(1 if len(signs) else len(subsets), -1)
        weights = np.multiply.outer(signs, gradient[0]) if len(signs) else gradient
        purities = wrap(kept) if len(kept) else _core.collision_entropy(flat, subsets, unit, threads)[1]
        purities = purities.reshape(len(subsets), -1, 2)[jobs].reshape(-1, 2)
        listed = [subsets[k] for k in jobs]
        _core.collision_slope(flat, listed, purities, weights[jobs].reshape(-1), unit, out, threads)
    nothing = np.zeros(0, flat[0].dtype)
    return [nothing if part is None else part.reshape(a.shape) for part, a in zip(out, grams, strict=True)]


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
    """Return the gradients with respect to Grams of ``_operations.entropies``; of those not wanted, nothing (0,).

    ``kept`` is what ``entropies_and_kept`` gave to keep, or nothing: then it is found again.
    """
    if list(orders) == [2.0] and all(a.shape == grams[0].shape for a in grams):
        return _of_collisions(grad, grams, kept, wanted, subsets, signs, unit)
    epsilon, threads = home_of(grams[0]).epsilon, _backend.threads()
    computed = [wrap(a) for a in grams]
    factors = [[computed[i] for i in subset] for subset in subsets]
    # A subset that does not vary over some batch axes was computed once: its gradients add up.
    batches = [batch_shape(each) for each in factors]
    jobs = [k for k, subset in enumerate(subsets) if any(wanted[i] for i in subset)]
    gradient = wrap(grad).astype(np.float64)
    m = len(orders)

    def weights(k: int) -> Values:
        part = signs[k] * gradient if len(signs) else gradient[k]
        return np.ascontiguousarray(_summed_to(part, (*batches[k], m)).reshape(-1, m))

    # Zeros, or nothing: what is found is added.
    result = [np.zeros(a.shape if want else 0, a.dtype) for a, want in zip(computed, wanted, strict=True)]

    def add(k: int, slope: Callable[..., None], *args: Any) -> None:
        """Call a slope of subset k with the arrays it is to add to: those of the result, if they have its batch."""
        n, batch = computed[0].shape[-1], batches[k]
        full = (*batch, n, n)
        own = [result[i] if wanted[i] and result[i].shape == full else None for i in subsets[k]]
        out = [
            None if not wanted[i] else np.zeros(full, computed[i].dtype) if mine is None else mine
            for i, mine in zip(subsets[k], own, strict=True)
        ]
        slope(aligned(factors[k], batch), *args, [None if v is None else _check.flat_batch(v, 2) for v in out], threads)
        for i, mine, part in zip(subsets[k], own, out, strict=True):
            if mine is None and part is not None:
                result[i] += _summed_to(part, result[i].shape)

    sizes = [math.prod(batch) for batch in batches]
    ends = np.cumsum(sizes)
    if list(orders) == [2.0]:
        for k in jobs:
            alone = [range(len(subsets[k]))]
            purities = wrap(kept)[ends[k] - sizes[k] : ends[k]]
            if not len(kept):
                _, purities, _ = _core.collision_entropy(aligned(factors[k], batches[k]), alone, unit, threads)
            add(k, _core.collision_slope, alone, purities, np.ascontiguousarray(weights(k)[:, 0]), unit)
    elif jobs:
        joints: list[Values] = []
        if not len(kept) or max(orders) > LARGEST_BY_RESOLVENTS:
            joints = [_joint(aligned(factors[k], batches[k])) for k in jobs]
        reduced = wrap(kept)
        if not len(reduced):
            _, reduced = _core.reduce(joints, threads)
        elif jobs == list(range(jobs[0], jobs[-1] + 1)):  # neighbours: a view
            reduced = reduced[ends[jobs[0]] - sizes[jobs[0]] : ends[jobs[-1]]]
        else:
            reduced = np.concatenate([reduced[ends[k] - sizes[k] : ends[k]] for k in jobs])
        found = _spectral(reduced, joints, np.concatenate([weights(k) for k in jobs]), orders, epsilon, unit)
        for k, to_joint in zip(jobs, np.split(found, np.cumsum([sizes[k] for k in jobs])[:-1]), strict=True):
            add(k, _core.joint_slope, to_joint)
    return result


def _joint(factors: Sequence[Values]) -> Values:
    return factors[0] if len(factors) == 1 else _core.hadamard(factors, _backend.threads())[0]
