"""One call of a measure: its variables, checked, and the entropies that it is a sum of.

An argument that names a variable is a Gram (..., n, n), or a list or tuple of Grams that together are one variable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Generic, TypeAlias

import numpy as np
import numpy.typing as npt

from fastrenyi import _check, _dispatch, _matrices
from fastrenyi._array import Array, ArrayT, Home
from fastrenyi.large.estimation import Estimate, Estimation, as_estimation
from fastrenyi.large.lazy import LazyGram, factor_of
from fastrenyi.large.rows import ALONE

__all__ = ["Alpha", "Call", "Variable", "numbered", "rounding", "share"]

Alpha: TypeAlias = float | Sequence[float] | npt.NDArray[np.floating | np.integer]
Variable: TypeAlias = ArrayT | Sequence[ArrayT]


class Call(Generic[ArrayT]):
    """One call of a measure: its variables, checked, and the entropies of their combinations."""

    def __init__(
        self, variables: dict[str, Variable[ArrayT]], alpha: Alpha, base: float, estimate: object = None
    ) -> None:
        """Check the arguments of a measure."""
        self.estimation = None if estimate is None else as_estimation(estimate)
        self.names = list(variables)
        self.grams: list[Array] = []
        self.labels: list[str] = []
        self.members: list[list[int]] = []
        """The positions in grams of each variable's Grams."""
        homes: list[Home] = []
        for name, variable in variables.items():
            is_joint = isinstance(variable, (list, tuple))
            if is_joint and not variable:
                _check.value_error(name, "at least one Gram", "an empty sequence")
            _matrices.not_rows(variable, name)
            first = len(self.grams)
            listed: Any = variable if is_joint else [variable]
            for k, x in enumerate(listed):
                label = f"{name}[{k}]" if is_joint else name
                if isinstance(x, LazyGram):
                    self.estimation = self.estimation or Estimation()
                    homes.append(x.home)
                else:
                    x = _check.adopt(x, label)
                    homes.append(_matrices.gram(x, label))
                self.grams.append(x)
                self.labels.append(label)
                # Estimates are made in a precision of their own.
                like = homes[0] if self.estimation is None else homes[0].with_dtype(homes[-1].dtype)
                _check.same_home(homes[-1], label, like, self.labels[0])
                n = self.grams[0].shape[-1]
                if x.shape[-1] != n:
                    expected = f"Grams of n = {n} samples, as {self.labels[0]}"
                    _check.value_error(label, expected, f"shape {tuple(x.shape)}")
            self.members.append(list(range(first, len(self.grams))))
        self.home = homes[0]
        self.operations = _dispatch.operations(self.home.library)
        self.orders, self.one_order = _check.orders(alpha)
        self.unit = _check.unit(base)
        self._check_batches()

    def _check_batches(self) -> None:
        if self.estimation is not None or all(a.shape == self.grams[0].shape for a in self.grams):
            return
        shape: tuple[int, ...] = ()
        for name, members in zip(self.names, self.members, strict=True):
            for i in members:
                batch = tuple(self.grams[i].shape[:-2])
                try:
                    shape = np.broadcast_shapes(shape, batch)
                except ValueError:
                    _check.value_error(name, f"batch axes that broadcast with {shape}", f"{batch}")

    def entropies(self, *subsets: tuple[int, ...]) -> Array:
        """Return the joint entropies of subsets of the variables, by position: (subsets, *batch, orders)."""
        return self._found(subsets, [])

    def sum(self, *terms: tuple[float, tuple[int, ...]]) -> Any:
        """Return the sum of joint entropies of subsets, each with its sign, as the caller is to have it."""
        if self.estimation is not None:
            return self._estimated(terms, self.estimation)
        return self.leave(self._found([subset for _, subset in terms], [sign for sign, _ in terms]))

    def _estimated(self, terms: Sequence[tuple[float, tuple[int, ...]]], how: Estimation) -> Estimate:
        from fastrenyi.large.run import Term, estimated

        factors = [factor_of(a, label) for a, label in zip(self.grams, self.labels, strict=True)]
        lazy = [(a.rows, label) for a, label in zip(self.grams, self.labels, strict=True) if isinstance(a, LazyGram)]
        rows = lazy[0][0] if lazy else ALONE
        for other, label in lazy:
            if other != rows:
                _check.value_error(label, f"a lazy Gram of the same group as {lazy[0][1]}", f"{other}, and {rows}")
        name = ", ".join
        return estimated(
            [
                Term(sign, [factors[k] for i in subset for k in self.members[i]], name(self.names[i] for i in subset))
                for sign, subset in terms
                if sign != 0
            ],
            self.orders, self.one_order, self.unit, how, self.home, rows,
        )  # fmt: skip

    def refuse_estimates(self, what: str) -> None:
        """Refuse large Grams for what is not estimated."""
        if self.estimation is not None:
            _check.kind_error(self.labels[0], f"dense Grams for {what}", "large ones", "make them by fastrenyi.gram")

    def _found(self, subsets: Sequence[tuple[int, ...]], signs: list[float]) -> Array:
        return self.operations.entropies(
            self.grams,
            self.labels,
            [[k for i in subset for k in self.members[i]] for subset in subsets],
            [", ".join([self.names[i] for i in subset]) for subset in subsets],
            signs,
            self.orders,
            self.unit,
        )

    def rounding(self, terms: int) -> list[float]:
        """Return, for each order, what a sum of so many entropies may come to where it is zero."""
        return rounding(self.orders, int(self.grams[0].shape[-1]), self.home.epsilon, self.unit, terms)

    def permuted(self, count: int, seed: int) -> Array:
        """Return the joint entropies of two variables, the second one permuted: (count, *batch, orders)."""
        split = len(self.members[0])
        return self.operations.permuted(self.grams, self.labels, split, self.names, count, seed, self.orders, self.unit)

    def leave(self, result: Array) -> ArrayT:
        """Give a result (*batch, orders) back to the caller."""
        found: ArrayT = self.home.leave(result.squeeze(-1) if self.one_order else result)
        return found


def numbered(grams: tuple[Variable[ArrayT], ...], least: int) -> dict[str, Variable[ArrayT]]:
    """Return the variables of a measure of any number of them by the names they have in messages."""
    if len(grams) < least:
        _check.value_error("grams", f"at least {least} variable{'s' if least > 1 else ''}", len(grams))
    return {f"grams[{i}]": gram for i, gram in enumerate(grams)}


def rounding(orders: Sequence[float], n: int, epsilon: float, unit: float, terms: int) -> list[float]:
    """Return, for each order, what a sum of so many entropies of n samples may come to where it is zero.

    An eigenvalue of zero comes as one of epsilon, in either direction, and adds (epsilon^alpha - epsilon) / (1 - alpha)
    to an entropy in nats: twice what was seen of constants, on a CPU and through the kernels of a GPU. Half precision
    is computed in single. No more than a hundredth of the largest entropy: for orders near zero all of a spectrum is
    rounding.
    """
    epsilon, most = min(epsilon, 2.0**-23), 0.01 * math.log2(n)

    def of(order: float) -> float:
        if order == 0 or math.isinf(order):
            return 0.0  # no eigenvalue of rounding size counts
        if order == 1:
            return -epsilon * math.log(epsilon)
        return float(abs((epsilon**order - epsilon) / (1 - order)))

    each = (terms * n * (of(order) / math.log(2) + 2 * epsilon) for order in orders)
    return [unit * min(limit, most) for limit in each]


def share(part: Array, whole: Array, limits: Sequence[float], home: Home) -> Array:
    """Divide, giving NaN for a share of nothing, which is up to a limit for each order (the last axis).

    The gradient there is zero.
    """
    with home.current(part):
        xp = home.xp()
        nothing = xp.stack([abs(whole[..., k]) <= limit for k, limit in enumerate(limits)], -1)
        return xp.where(nothing, math.nan, part / xp.where(nothing, 1.0, whole))
