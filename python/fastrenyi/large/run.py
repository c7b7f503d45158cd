"""A signed sum of entropies of large Grams, to a tolerance."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from fastrenyi import _check, _log
from fastrenyi._array import Home
from fastrenyi._cost import free_bytes, outside
from fastrenyi.large.estimation import Estimate, Estimation
from fastrenyi.large.factors import Factor, Labels
from fastrenyi.large.matrix import Matrix
from fastrenyi.large.rows import ALONE, Rows
from fastrenyi.large.tiles import free_at
from fastrenyi.large.variable import Bounds, Variable

__all__ = ["Term", "estimated"]

_MANY = 128  # signs to begin with where a product costs less than the tiles that are made for it
_BLOCKS, _NEXT = 4, 2  # blocks before the first look, and between two at least
_FALLING = 0.7  # from one look to the next
_SHARE, _STEEPNESS = 0.8, 1.5  # of the tolerance, for chance; by how many more columns it falls: seen of digits
_AGAIN = 6  # blocks that new signs take until the bracket is what it was
_AFTER_DRAW = 3  # blocks of which the new one is the first
_HEAVY = 1.25  # Student's t is too light where few eigenvalues carry what is left, from order 2 on, or few probes are
_FEW = 32  # probes
_AT_ONCE = 2048  # samples of which a spectrum costs less than the rest
_AT_LAST = 8192  # where a space of a quarter of them does not suffice
_COPIES = 4  # of a dense Gram, that its spectrum takes
_SINGLE = 1e-4  # bits, from which on single precision may do
_FINE, _SLOW = 5e-3, 1.5  # bits and an order, below which chance decides: more signs to begin with
_ROUNDED = 0.25  # of what is wanted, that its rounding may take
_UNKNOWN = 4 * 2.0**30


@dataclass(frozen=True)
class Term:
    """A joint entropy in a signed sum: its sign, the factors of its Gram, and its name in messages."""

    sign: float
    factors: Sequence[Factor]
    name: str


@dataclass(frozen=True)
class _Interval:
    value: float
    low: float
    high: float
    bracket: float
    chance: float
    rounding: float

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2


def estimated(
    terms: Sequence[Term],
    orders: Sequence[float],
    one: bool,
    unit: float,
    how: Estimation,
    home: Home,
    rows: Rows = ALONE,
) -> Estimate:
    """Return the sum at each order, in `unit` of a bit, of Grams that live at home."""
    begun = time.monotonic()
    if 0.0 in orders:
        _check.value_error(
            "alpha", "orders above 0 for large Grams", 0, "the rank is not to be seen by products: take a dense Gram"
        )
    # Ranks share a machine's memory, and have a GPU each.
    vectors, kept = (
        rows.least(how.memory if how.memory is not None else (free or _UNKNOWN) / 2 / sharing)
        for free, sharing in (
            (free_bytes(), rows.together),
            (free_at(home), 1 if home.device.startswith("cuda") else rows.together),
        )
    )
    labelled = any(isinstance(factor, Labels) for term in terms for factor in term.factors)  # their zeros are exact
    # Below 1 eigenvalues of the size of its rounding count.
    single = how.tol >= _SINGLE * unit and min(orders) >= 1 and set(orders) != {2.0} and not labelled
    sum_ = _Sum(terms, orders, unit, how, home, vectors, kept, rows, "float32" if single else "float64")
    if not sum_.narrowed(begun):  # as single precision does not allow it
        sum_ = _Sum(terms, orders, unit, how, home, vectors, kept, rows, "float64")
        sum_.narrowed(begun)
    if not sum_.converged and rows.first:
        sum_.warn()
    found = sum_.intervals()
    value, low, high = (
        ends[0] if one else np.array(ends)
        for ends in ([i.value for i in found], [i.low for i in found], [i.high for i in found])
    )
    return Estimate(
        value,
        low,
        high,
        confidence=how.confidence,
        exact=not sum_.open,
        converged=sum_.converged,
        columns=sum(variable.columns for variable in sum_.variables),
        products=sum(variable.products for variable in sum_.variables),
        seconds=time.monotonic() - begun,
    )


@dataclass(frozen=True)
class _Look:
    """How wide the widest interval was, and by chance, after so many columns and seconds."""

    columns: int
    half: float
    chance: float
    seconds: float


class _Sum:
    """The variables of a signed sum, on their way together."""

    def __init__(
        self,
        terms: Sequence[Term],
        orders: Sequence[float],
        unit: float,
        how: Estimation,
        home: Home,
        memory: float,
        kept: float,
        rows: Rows,
        dtype: str,
    ) -> None:
        """Of vectors as many are kept as a share of `memory` holds, of tiles all if a share of `kept` holds them."""
        kept = 0.0 if set(orders) == {2.0} else 0.6 * kept / len(terms)  # order 2 is one pass over the tiles
        solved = _AT_ONCE if how.solve is None else how.solve
        signs = 64 if how.tol < _FINE * unit and min(orders) < _SLOW else 32
        matrices = [Matrix(term.factors, home, kept, dtype, rows) for term in terms]
        self._signs, self._orders, self._unit, self._how = [term.sign for term in terms], orders, unit, how
        self._memory, self._single, self._first = memory, dtype == "float32", rows.first
        self._n = max(matrix.n for matrix in matrices)
        self._solvable = self._n <= (_AT_LAST if how.solve is None else how.solve) and (
            _COPIES * 8 * self._n**2 <= memory
        )
        share = self._n // (4 if self._solvable else 2)  # beyond, the spectrum costs no more
        self._most = max(256, min(share, int(0.3 * memory / (8 * self._n * len(terms)))))
        if any(matrix.dear for matrix in matrices) and self._most >= _BLOCKS * _MANY:
            signs = _MANY  # of all: those of the same draw go together
        self.variables = [
            Variable(matrix, orders, term.name, how.seed, signs, solved, rows)
            for matrix, term in zip(matrices, terms, strict=True)
        ]
        self._looks: list[_Look] = []

    def narrowed(self, begun: float) -> bool:
        """Narrow the intervals as far as is wanted and can be; return False where rounding alone is too wide."""
        for variable in self.open:
            variable.draw()
            variable.grow(_BLOCKS - 1)
            variable.look()
        while self.open:
            if self._single and self._widest.rounding > _ROUNDED * self._how.tol:
                return False
            self.note(time.monotonic() - begun)
            if self.converged or not self.step():
                break
        return True

    @property
    def open(self) -> list[Variable]:
        """Those whose entropies are not known exactly."""
        return [variable for variable in self.variables if not variable.exact]

    @property
    def converged(self) -> bool:
        """Whether each interval is as narrow as is wanted."""
        return not self.open or all(interval.half <= self._how.tol for interval in self.intervals())

    def intervals(self) -> list[_Interval]:
        """Return the interval at each order."""
        return [self._interval(order) for order in self._orders]

    def _interval(self, order: float) -> _Interval:
        parts = [(sign, variable.bounds[order]) for sign, variable in zip(self._signs, self.variables, strict=True)]
        value = sum(sign * part.value for sign, part in parts)
        low = sum(sign * (part.low if sign > 0 else part.high) for sign, part in parts)
        high = sum(sign * (part.high if sign > 0 else part.low) for sign, part in parts)
        chance = self._chance(order, parts)
        rounding = sum(abs(sign) * part.rounding for sign, part in parts)
        bracket = (high - low) / 2
        low, high = min(low, value) - chance - rounding, max(high, value) + chance + rounding
        if len(parts) == 1:
            most = math.log2(self._n)
            low, high = max(0.0, min(low, most)), min(most, max(high, 0.0))
            value = min(max(value, low), high)
        unit = self._unit
        return _Interval(value * unit, low * unit, high * unit, bracket * unit, chance * unit, rounding * unit)

    def _chance(self, order: float, parts: Sequence[tuple[float, Bounds]]) -> float:
        """Return q times the standard error: of probes of one draw their sum is taken first, others are independent."""
        draws = {part.draw for _, part in parts if len(part.departures)}
        squares = 0.0
        for draw in draws:
            together = sum(sign * part.departures for sign, part in parts if part.draw == draw)
            squares += float(np.var(together, ddof=1)) / len(np.atleast_1d(together))
        if not draws:
            return 0.0
        fewest = min(len(part.departures) for _, part in parts if len(part.departures))
        quantile = float(stdtrit(fewest - 1, (1 + self._how.confidence) / 2))
        return quantile * (_HEAVY if order >= 2 or fewest < _FEW else 1.0) * math.sqrt(squares)

    @property
    def _widest(self) -> _Interval:
        return max(self.intervals(), key=lambda interval: interval.half)

    def step(self) -> bool:
        """Narrow the widest interval; return False where nothing more can be done."""
        widest = self._widest
        by_chance = widest.chance > widest.bracket
        growing = [variable for variable in self.open if not variable.finished or by_chance]
        if not growing or any(variable.columns + _NEXT * variable.width > self._most for variable in growing):
            if not self._solvable:
                return False
            for variable in self.open:
                variable.solve()
            return True
        for variable in growing:
            if by_chance and (variable.finished or self._drawing(variable, widest.chance)):
                variable.draw()
                variable.grow(_AFTER_DRAW - 1)
            else:
                # By a quarter: a look at many columns costs more than a product of few.
                variable.grow(max(_NEXT, variable.columns // (4 * variable.width)))
            variable.look()
        return True

    def _drawing(self, variable: Variable, chance: float) -> bool:
        """Whether new signs narrow what is left to chance by fewer columns than more blocks do."""
        falling = len(self._looks) < 2 or self._looks[-1].chance < _FALLING * self._looks[-2].chance
        growth = variable.columns * (min(chance / (_SHARE * self._how.tol), 1e9) ** _STEEPNESS - 1)
        return not falling and growth > _AGAIN * variable.next_width

    def note(self, seconds: float) -> None:
        """Remember how far it is, and tell it where that is wanted."""
        widest = self._widest
        columns = sum(variable.columns for variable in self.open)
        self._looks.append(_Look(columns, widest.half, widest.chance, seconds))
        if not self._first:
            return
        now, needed = self._looks[-1], self._needed()
        left = ""
        if needed is not None and len(self._looks) > 1:
            before = self._looks[-2]
            rate = (now.seconds - before.seconds) / max(1, now.columns - before.columns)
            left = f", about {max(0.0, rate * (needed - now.columns)):.0f} s left"
        _log.tell(
            f"n = {self._n:,}, {now.columns} columns, {now.seconds:.0f} s: within {now.half:.1g}, "
            f"wanted {self._how.tol:.1g}{left}",
            asked=self._how.progress,
        )

    def _needed(self) -> int | None:
        """Return how many columns the tolerance takes, if each as many narrow the interval by the same factor."""
        if len(self._looks) < 2 or not self._looks[-1].half < self._looks[-2].half:
            return None
        before, now = self._looks[-2:]
        per_column = math.log(before.half / now.half) / max(1, now.columns - before.columns)
        if per_column == 0:
            return None
        return now.columns + math.ceil(max(0.0, math.log(now.half / self._how.tol)) / per_column)

    def warn(self) -> None:
        """Say that the tolerance was not met, and what would meet it."""
        widest, needed = self._widest, self._needed()
        count = "more" if needed is None else f"about {needed:,}"
        dense = _COPIES * 8 * self._n**2 / 2**30
        warnings.warn(
            f"estimate: the interval is {widest.half:.2g} to each side, wanted {self._how.tol:.2g}: it would take "
            f"{count} columns, where n = {self._n:,} and {self._memory / 2**30:.2g} GiB of memory allow {self._most}; "
            f"raise fastrenyi.Estimation(memory=...), take the spectrum (solve={self._n}, {dense:.2g} GiB), or the "
            "interval as it is",
            stacklevel=outside(),
        )
