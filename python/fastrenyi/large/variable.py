"""One joint variable: its entropies exactly where that is cheap, else between bounds that narrow as its space grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fastrenyi import _core, _matrices
from fastrenyi._array import Values
from fastrenyi._backend import threads
from fastrenyi.large.krylov import Space, deflated
from fastrenyi.large.matrix import Matrix
from fastrenyi.large.order import Order
from fastrenyi.large.quadrature import Noise, Traces, traces
from fastrenyi.large.rows import ALONE, Rows

__all__ = ["Bounds", "Variable"]

_NEXT = 64
_WORD = 64  # signs are bits
_POWER_STEPS = 8
_TIGHT = 1e-6  # between bounds of the largest eigenvalue
_MEASURED, _MEASURED_AT_ONCE = 64, 2048  # rows, and columns
_STEEP = 1e100  # beyond which numbers say nothing


def _margin(alpha: float) -> int:
    """Return by how many blocks the vectors have to end before the last, so that powers of A below alpha are exact."""
    return max(2, math.ceil((alpha - 1) / 2))


@dataclass(frozen=True)
class Bounds:
    """An entropy in bits: its value, the deterministic bracket, and how each probe departs from their mean."""

    value: float
    low: float
    high: float
    rounding: float = 0.0
    departures: Values = field(default_factory=lambda: np.empty(0))
    draw: int = -1
    """Which signs the probes are: those of the same draw go together."""


class Variable:
    """The Gram A (n, n) of a joint variable, and what is known of its entropies."""

    def __init__(
        self, matrix: Matrix, orders: Sequence[float], name: str, seed: int, signs: int, solved: int, rows: Rows = ALONE
    ) -> None:
        """Take the orders whose entropies need no space; the others follow as it grows, first by so many signs.

        All are taken from the spectrum where that costs no more than the one of so many samples.
        """
        self._a, self._orders, self._name, self._seed, self._rows = matrix, list(orders), name, seed, rows
        self._space = Space(matrix, rows)
        self._first = signs
        self._blocks = 0
        self._draw = -1
        self._signs = np.empty((0, 0))  # coordinates of deflators and probes
        self._inside = 0  # coordinates of the space that a later draw deflates by
        self._lost: float | None = None  # share of the largest eigenvalue, as measured
        self._powered = 0.0, math.inf  # bounds of the largest eigenvalue
        self.products = 0
        self.bounds: dict[float, Bounds] = {}
        if sum(len(block) ** 3 for block in matrix.blocks) <= solved**3:
            self.solve()
        elif 2.0 in self._orders:
            self._refuse_indefinite(1 - matrix.squares(), 1.0)  # of trace one and no eigenvalue below zero, at most one
            collision = -math.log2(min(1.0, matrix.squares()))
            self.bounds[2.0] = Bounds(collision, collision, collision, 1e-15 * matrix.n**0.5 + 4 * matrix.error)
        self.exact = all(order in self.bounds for order in self._orders)

    @property
    def columns(self) -> int:
        """Vectors of length n that are kept."""
        return self._space.size

    @property
    def samples(self) -> int:
        """The number n of samples."""
        return self._a.n

    @property
    def width(self) -> int:
        """Vectors that are added at a time."""
        return self._first + _NEXT * self._draw

    @property
    def next_width(self) -> int:
        """Vectors that are added at a time once new signs are drawn."""
        return self.width + _NEXT

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to find in this direction."""
        return self._space.finished

    def solve(self) -> None:
        """Take the whole spectrum, of each block of samples with one label."""
        self.bounds = self._rows.once(self._solved)
        self.exact = True

    def _solved(self) -> dict[float, Bounds]:
        blocks = [self._a.entries(block, block) for block in self._a.blocks]
        values = np.concatenate([_core.spectrum(np.ascontiguousarray(block)[None], threads())[0] for block in blocks])
        rounding = 2.0**-52 * float(values.max()) + self._a.error
        self._refuse_indefinite(float(values.min()), float(values.max()))
        values = np.maximum(values, 0.0)
        found, _ = _core.entropy(values[None], self._orders, 1.0, 1.0, threads())
        bounds = {}
        for alpha, value in zip(self._orders, found[0].tolist(), strict=True):
            error = 1e-14 * math.log2(max(2, self._a.n)) + rounding / float(values.max())
            if 0 < alpha < math.inf:
                order = Order(alpha, float(values.max()))
                at = order.function(values)
                error += order.slope(float(at.sum())) * float(np.abs(order.function(values + rounding) - at).sum())
            bounds[alpha] = Bounds(value, value, value, error)
        return bounds

    def _refuse_indefinite(self, least: float, largest: float) -> None:
        if least < -(_matrices.below_zero(self._a.n, self._a.epsilon) * largest + self._a.error):
            _matrices.verdict(("indefinite", 0, least), self._name, ())

    def draw(self) -> None:
        """Begin, or begin again with new signs, deflated by all that has been found."""
        self._draw += 1
        self._inside = self._space.size
        self._blocks = 0
        count = self._first if self._draw == 0 else _NEXT
        words = np.random.Philox(key=[self._seed, self._draw]).random_raw(self._a.n * -(-count // _WORD))
        bits = (words.reshape(self._a.n, -1, 1) >> np.arange(min(count, _WORD), dtype=np.uint64)) & np.uint64(1)
        self._signs = self._grow(bits.reshape(self._a.n, count) * 2.0 - 1.0)

    def grow(self, blocks: int) -> None:
        """Multiply by A so many times."""
        for _ in range(blocks):
            if self._space.finished:
                return
            self._grow()

    def _grow(self, new: Values | None = None) -> Values:
        before = self._space.size
        found = self._space.grow(new)
        self._blocks += 1
        self.products += self._space.size - before
        self._space.noise = self._noise.absolute
        return found

    @property
    def _noise(self) -> Noise:
        """What the rounding of tiles, of products with them and of the space may change of eigenvalues."""
        unit = 2.0**-53 if self._a.dtype == np.float64 else 2.0**-24
        size = self._a.squares() ** 0.5
        # Entries are rounded at random, sums of as many equal ones all alike.
        absolute = max(4 * unit * self._a.rounded() / self._a.n**0.5, 2.0**-50 * size) + self._a.error
        if self._lost is not None:
            return Noise(self._lost, size, absolute)
        return Noise(16 * unit, self._a.rounded(), absolute)

    def _measure(self) -> None:
        """Measure what single precision does to the largest eigenvalue, where its rounding is most, on some rows."""
        directions = self._rows.once(lambda: np.linalg.eigh(self._space.inner)[1][:, -1:])
        v = self._space.vector(directions)
        some = np.arange(0, self._a.n, max(1, self._a.n // _MEASURED))
        pieces = np.array_split(np.arange(self._a.n), -(-self._a.n // _MEASURED_AT_ONCE))
        exact = v[some] * sum(self._a.entries(some, piece) @ v[piece] for piece in pieces)
        lost = v[some] * (self._a @ v)[some] - exact
        self.products += 1
        alike, scattered = abs(float(lost.sum())), 3 * float(np.linalg.norm(lost))
        self._lost = self._rows.once(lambda: 2 * (alike + scattered) / float(exact.sum()))

    def look(self) -> None:
        """Find the bounds that the space gives now."""
        if self._lost is None and self._a.dtype == np.float32 and not self._a.dear:
            self._measure()
        self.bounds.update(self._rows.once(self._between))
        if math.inf in self._orders:
            self.bounds[math.inf] = self._largest()

    def _between(self) -> dict[float, Bounds]:
        bounds = {}
        ritz = np.linalg.eigvalsh(self._space.inner)
        # What was measured along the largest eigenvalue may be less than elsewhere.
        share = self._noise.share(ritz[-1]) + (16 * 2.0**-24 if self._a.dtype == np.float32 else 0.0)
        self._refuse_indefinite(float(ritz[0]) + share * float(ritz[-1]), ritz[-1])
        between = [Order(alpha, float(ritz[-1])) for alpha in self._orders if alpha not in (2.0, math.inf)]
        for margin in {_margin(order.alpha) for order in between}:
            together = [order for order in between if _margin(order.alpha) == margin]
            spaces = self._deflation(margin)
            if spaces is None:
                bounds.update({order.alpha: self._enclosed(order, ritz) for order in together})
                continue
            found = traces(self._space, *spaces, self._a.squares(), self._noise, together)
            for order, trace in zip(together, found, strict=True):
                bounds[order.alpha] = self._bounds(order, trace, ritz)
        return bounds

    def _deflation(self, margin: int) -> tuple[Values, Values] | None:
        """Return V and the p = (I - VV')z in coordinates of the space, if they end so many blocks before its last."""
        size = self._space.size
        if self._blocks <= margin and not self._space.finished:
            return None
        signs = np.concatenate([self._signs, np.zeros((size - len(self._signs), self._signs.shape[1]))])
        if self._draw == 0:
            deflators, probes = np.split(signs, 2, axis=1)
            steps = self._blocks if self._space.finished else max(1, self._blocks - margin)
            inside = deflated(self._space.inner, deflators, steps, self._space.noise)
            for _ in range(2):
                probes = probes - inside @ (inside.T @ probes)
            return inside, probes
        probes = signs.copy()
        probes[: self._inside] = 0.0
        return np.eye(size, self._inside), probes

    def _enclosed(self, order: Order, ritz: Values) -> Bounds:
        """Bound an entropy of an order above 2 without chance.

        Eigenvalues are no less than Ritz values, and |A|_F^2 is known: what it has beyond their squares adds the most
        to a sum of higher powers where it is in the largest one.
        """
        known = np.maximum(ritz, 0.0) ** 2
        beyond = max(0.0, self._a.squares() - float(known.sum()))
        powers = order.function(np.sqrt(known))
        with np.errstate(over="ignore"):
            largest = float(order.function(np.sqrt(known[-1:] + beyond))[0])
        low = order.entropy(float(powers[:-1].sum()) + largest) if math.isfinite(largest) else 0.0
        high = order.entropy(float(powers.sum()))
        rounding = order.alpha / (order.alpha - 1) * 2 * self._noise.share(order.unit)
        return Bounds((low + high) / 2, low, high, rounding)

    def _bounds(self, order: Order, trace: Traces, ritz: Values) -> Bounds:
        if not (np.abs([*trace.probes, trace.low, trace.high, trace.rounding]) < _STEEP).all():
            return self._enclosed(order, ritz)
        count = len(trace.probes)
        mean = float(trace.probes.mean())
        away = 3 * float(trace.probes.std(ddof=1)) / count**0.5
        low, high = sorted(order.entropy(t) for t in (trace.low, trace.high))
        slope = max(order.slope(t) for t in (trace.low - away, mean, trace.high + away))
        if slope > _STEEP:  # the trace may be none at all: too few signs to say anything
            return self._enclosed(order, ritz) if order.alpha > 2 else self._unknown()
        found = Bounds(
            order.entropy(mean), low, high, slope * trace.rounding, slope * (trace.probes - mean), self._draw
        )
        if order.alpha > 2:
            enclosed = self._enclosed(order, ritz)
            if not enclosed.high - enclosed.low > high - low + slope * away:
                return enclosed
        return found

    def _unknown(self) -> Bounds:
        most = math.log2(self._a.n)
        return Bounds(most / 2, 0.0, most)

    def _largest(self) -> Bounds:
        """Bound -log2 of the largest eigenvalue: by Ritz values and |A|_F^2, or by Collatz and Wielandt."""
        ritz, directions = self._rows.once(lambda: np.linalg.eigh(self._space.inner))
        low = float(ritz[-1])
        high = math.sqrt(max(self._a.squares() - float((ritz[:-1] ** 2).sum()), low**2))
        if self._a.nonnegative and high > low * (1 + _TIGHT):
            if self._powered[1] > low * (1 + _TIGHT):
                found = self._power(self._space.vector(directions[:, -1:]))
                self._powered = max(found[0], self._powered[0]), min(found[1], self._powered[1])
            low, high = max(low, self._powered[0]), min(high, self._powered[1])
        value = -math.log2(low)
        return Bounds(value, -math.log2(high), value, 4 * self._noise.share(low))

    def _power(self, v: Values) -> tuple[float, float]:
        """Return bounds min (A v)_i / v_i <= lambda_1 <= max (A v)_i / v_i of a vector above zero, after some steps."""
        v = np.abs(v)
        v = np.maximum(v, 1e-4 * v.max())
        low, high = 0.0, math.inf
        for _ in range(_POWER_STEPS):
            image = self._a @ v
            self.products += 1
            ratios = image / v
            low, high = max(low, float(ratios.min())), min(high, float(ratios.max()))
            if high <= low * (1 + _TIGHT):
                break
            v = image / image.max()
        return low, high
