"""An entropy as a function of the trace of a function of A."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastrenyi._array import Values

__all__ = ["Order"]

_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Order:
    """S = h(t), t = tr f(A) with tr A = 1, for an order of 0 < alpha < inf.

    Up to 2, f(x) = (x^alpha - x) / (1 - alpha) and S = log2(1 + (1 - alpha) t) / (1 - alpha): an error of t is not
    divided by 1 - alpha. From 2 on f(x) = (x / unit)^alpha, as t would cancel; a unit near the largest eigenvalue keeps
    powers in range.
    """

    alpha: float
    unit: float = 1.0

    def function(self, x: Values) -> Values:
        """Return f of eigenvalues."""
        if self.alpha == 1:
            return np.where(x > 0, -x * np.log(np.maximum(x, _TINY)), 0.0)
        if self.alpha < 2:
            logs = np.log(np.maximum(x, _TINY))
            return np.where(x > 0, x * np.expm1((self.alpha - 1) * logs) / (1 - self.alpha), 0.0)
        powers: Values = (x / self.unit) ** self.alpha
        return powers

    def entropy(self, trace: float) -> float:
        """Return S of t, in bits; infinite where t is out of its range."""
        if self.alpha == 1:
            return trace / math.log(2)
        power = 1 + (1 - self.alpha) * trace if self.alpha < 2 else trace
        if power <= 0:
            return math.inf if self.alpha > 1 else -math.inf
        if self.alpha < 2:
            logarithm = math.log1p((1 - self.alpha) * trace)
        else:
            logarithm = math.log(trace) + self.alpha * math.log(self.unit)
        return logarithm / math.log(2) / (1 - self.alpha)

    def slope(self, trace: float) -> float:
        """Return |dS/dt|."""
        if self.alpha == 1:
            return 1 / math.log(2)
        if self.alpha < 2:
            return 1 / (math.log(2) * max(1 + (1 - self.alpha) * trace, _TINY))
        return 1 / (math.log(2) * (self.alpha - 1) * max(trace, _TINY))
