"""The derivatives of entropies with respect to eigenvalues that are known, by what the libraries have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fastrenyi._array import Array
from fastrenyi._ops.backward import LARGEST_BY_RESOLVENTS

__all__ = ["slopes"]


def slopes(
    values: Array, grad: Array, orders: Sequence[float], epsilon: float, own_epsilon: float, unit: float, xp: Any
) -> Array:
    """Return sum_m grad_m dS_m / d lambda (..., n) of spectra (..., n) of any trace, grad (..., m); both in double.

    With p = lambda / T, t = alpha - 1 and S in nats: alpha expm1(t (ln p + S)) / (-t T), at t = 0 -(ln p + S) / T.
    Where that is infinite, at a zero eigenvalue of orders up to 1, it is that of an eigenvalue of rounding size.
    ``own_epsilon`` is that of the dtype the eigenvalues were found in.
    """
    lam = xp.where(values > 0, values, 0 * values)
    n = lam.shape[-1]
    largest, total = xp.amax(lam, -1)[..., None], lam.sum(-1)[..., None]
    p = lam / total
    log = xp.log(xp.where(p > 0, p, 1.0))
    below = -xp.amin(values, -1)[..., None]  # what is clipped shows how large rounding is
    bounded = xp.log(xp.maximum(p, xp.maximum(epsilon * largest, below) / total))
    result = 0 * lam
    for k, order in enumerate(orders):
        if order == 0:
            continue
        if order > LARGEST_BY_RESOLVENTS:  # the same formula as there
            apart = n * (epsilon if math.isinf(order) else own_epsilon)
            q = xp.where(lam >= largest * (1 - apart), 1.0, lam / largest)
            power = q ** (order - 1)
            share = power * total / (largest * (power * q).sum(-1)[..., None])
            slope = (1 - share) / total * (1 if math.isinf(order) else order / (order - 1))
        else:
            t = order - 1
            if t == 0:
                entropy = -(p * log).sum(-1)[..., None]
                slope = -(bounded + entropy) / total
            else:
                entropy = -xp.log1p((p * xp.expm1(t * log)).sum(-1)[..., None]) / t
                slope = xp.expm1(t * (bounded + entropy)) * (order / -t) / total
        result = result + grad[..., k, None] * slope
    return result * (unit / math.log(2))
