"""Renyi entropies in long double, as intervals: all that rounding of a stated size can make of them.

The model of rounding. A spectrum of a matrix of order n that is computed with machine epsilon e has eigenvalues

    l_i + d_i,  |d_i| <= D = 4 e ((n + 8) l_max + k),

where k is the number of Grams whose entrywise product the matrix is (each factor rounds each entry once; the trace is
one). Eigenvalues that are zero may so be anything up to D, which an order a below one weighs with D^a: the entropy's
interval grows as its condition at that spectrum does, and for orders near zero it says little, as such a result does. A
matrix that rounding has left with negative eigenvalues, as a Gram in half precision is, is known up to their sum.

With sum p = 1 every entropy is a monotone function of T = sum_i h(p_i), h(p) = (p^a - p) / (1 - a), at a = 1 its limit
-p log p: nats = log(1 + (1 - a) T) / (1 - a). h is concave, h(0) = h(1) = 0, and largest at a^(1 / (1 - a)), so that
each term's least and largest value over [l_i - D, l_i + D] are known without a search, also for orders close to one.
Results are of spectra divided by their sum, which keeps the trace but for rounding and for zeros that were below zero
and are taken as zero: of z such ones the sum is wrong by s = z D + 4 n e, and the entropy by at most (2 + log n) s.
Order 0 counts eigenvalues: those that may lie on either side of n e l_max are counted or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDE = np.longdouble


@dataclass(frozen=True)
class Interval:
    """Where a result may lie, both ends included; arrays of one shape."""

    low: Any
    high: Any

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Interval:
        ends = (self.low * WIDE(factor), self.high * WIDE(factor))
        return Interval(np.minimum(*ends), np.maximum(*ends))

    def wider(self, by: Any) -> Interval:
        return Interval(self.low - by, self.high + by)

    def over(self, other: Interval) -> Interval:
        """The quotient; everything where the divisor may be zero or below."""
        positive = other.low > 0
        divisors = [np.where(positive, end, 1) for end in (other.low, other.high)]
        quotients = [end / divisor for end in (self.low, self.high) for divisor in divisors]
        low, high = np.minimum.reduce(quotients), np.maximum.reduce(quotients)
        return Interval(np.where(positive, low, -np.inf), np.where(positive, high, np.inf))

    def holds(self, value: Any) -> Any:
        return (np.asarray(value) >= self.low) & (np.asarray(value) <= self.high)


def eigenvalues(matrices: Any) -> Any:
    """Eigenvalues (b, n) of symmetric matrices (b, n, n) in long double, by Jacobi's rotations.

    Rotations begin in the basis that float64 finds, made orthonormal to long double first: it only saves sweeps.
    """
    a = np.asarray(matrices).astype(WIDE)
    n = a.shape[-1]
    v = np.linalg.eigh(a.astype(np.float64))[1].astype(WIDE)
    identity = np.eye(n, dtype=WIDE)
    for _ in range(2):
        v = v @ (3 * identity - np.swapaxes(v, 1, 2) @ v) / 2
    a = np.swapaxes(v, 1, 2) @ a @ v
    smallest = n * np.finfo(WIDE).eps * np.sqrt(np.sum(a * a, axis=(1, 2)))
    for _ in range(30):
        if not sum([_rotate(a, p, q, smallest) for p, q in _pairs(n)]):
            return np.diagonal(a, axis1=1, axis2=2)
    raise AssertionError("Jacobi's rotations did not end")


def _pairs(n: int) -> Iterator[tuple[int, int]]:
    return ((p, q) for p in range(n) for q in range(p + 1, n))


def _rotate(a: Any, p: int, q: int, smallest: Any) -> bool:
    """Make a[:, p, q] zero where it is more than rounding; whether there was such a one."""
    apart = a[:, p, q]
    turn = np.abs(apart) > smallest
    if not turn.any():
        return False
    divisor = np.where(turn, 2 * apart, 1)
    theta = (a[:, q, q] - a[:, p, p]) / divisor
    t = np.where(theta < 0, -1, 1) / (np.abs(theta) + np.sqrt(theta * theta + 1))
    t = np.where(turn, t, 0)[:, None]
    c = 1 / np.sqrt(t * t + 1)
    s = t * c
    row_p, row_q = a[:, p].copy(), a[:, q].copy()
    a[:, p], a[:, q] = c * row_p - s * row_q, s * row_p + c * row_q
    column_p, column_q = a[:, :, p].copy(), a[:, :, q].copy()
    a[:, :, p], a[:, :, q] = c * column_p - s * column_q, s * column_p + c * column_q
    return True


def joint(grams: list[Any]) -> Any:
    """The entrywise product of Grams (b, n, n), of trace one."""
    product = np.ones((1, 1, 1), dtype=WIDE)
    for gram in grams:
        product = product * gram.astype(WIDE)
        product = product / np.trace(product, axis1=1, axis2=2)[:, None, None]
    return product


def entropy(matrix: Any, orders: list[float], factors: int, epsilon: float, rounding: float) -> Interval:
    """The entropies (b, orders), in bits, of matrices (b, n, n) of trace one.

    `epsilon` is the machine epsilon of what computes, `rounding` that of the dtype the matrices came in.
    """
    n = matrix.shape[-1]
    found = eigenvalues(matrix)
    negative = -np.minimum(found, 0).sum(axis=1)
    largest = found.max(axis=1)
    delta = np.maximum(4 * epsilon * ((n + 8) * largest + factors), negative)[:, None]
    values = np.maximum(found, 0)
    values = values / values.sum(axis=1, keepdims=True)
    each = [_nats(values, delta, order, n * rounding * largest[:, None]) for order in orders]
    low, high = (np.stack([getattr(nats, end) for nats in each], -1) / np.log(WIDE(2)) for end in ("low", "high"))
    most = np.log2(WIDE(n))
    of_sum = (found <= delta).sum(axis=1) * delta[:, 0] + 4 * n * epsilon
    slack = 4 * epsilon * (n + 8) + 4 * negative + (2 + np.log(WIDE(n))) * of_sum
    return Interval(np.clip(low, 0, most), np.clip(high, 0, most)).wider(slack[:, None])


def _nats(p: Any, delta: Any, order: float, nothing: Any) -> Interval:
    low, high = np.clip(p - delta, 0, 1), np.clip(p + delta, 0, 1)
    if order == 0:
        least, most = (low > nothing).sum(axis=1), (p > nothing / 16).sum(axis=1)
        return Interval(np.log(np.maximum(least, 1).astype(WIDE)), np.log(np.maximum(most, 1).astype(WIDE)))
    if np.isinf(order):
        return Interval(-np.log(high.max(axis=1)), -np.log(np.maximum(low.max(axis=1), np.finfo(WIDE).tiny)))
    if order > 2:
        return Interval(_power_sum(high, order), _power_sum(low, order))
    ends = [_h(low, order), _h(high, order)]
    top = WIDE(np.exp(-1)) if order == 1 else np.exp(np.log(WIDE(order)) / (1 - WIDE(order)))
    most = np.where((low < top) & (top < high), _h(top, order), np.maximum(*ends))
    return Interval(_of_sum(np.minimum(*ends).sum(axis=1), order), _of_sum(most.sum(axis=1), order))


def _power_sum(p: Any, order: float) -> Any:
    """log(sum p^a) / (1 - a) for a > 2, over the largest."""
    largest = np.maximum(p.max(axis=1), np.finfo(WIDE).tiny)
    scaled = np.sum((p / largest[:, None]) ** WIDE(order), axis=1)
    return (WIDE(order) * np.log(largest) + np.log(np.maximum(scaled, np.finfo(WIDE).tiny))) / (1 - WIDE(order))


def _h(p: Any, order: float) -> Any:
    logarithm = np.log(np.where(p > 0, p, 1))
    t = WIDE(order) - 1
    return -p * (logarithm if t == 0 else _expm1_over(t, np.where(p > 0, logarithm, 0)))


def _expm1_over(t: Any, logarithm: Any) -> Any:
    return np.expm1(t * logarithm) / t


def _of_sum(total: Any, order: float) -> Any:
    t = WIDE(order) - 1
    if t == 0:
        return total
    return np.log1p(np.maximum(-t * total, np.finfo(WIDE).eps - 1)) / -t
