"""What a workload is: two or more sides that answer the same question, and how their answers are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastrenyi._array import Values

__all__ = ["Side", "Task", "Workload", "WrongAnswerError"]


class WrongAnswerError(ValueError):
    """A side's answer is further from the reference than the workload allows: nothing it measures would count."""


@dataclass(frozen=True)
class Side:
    """One way to do the work.

    ``read`` turns what ``run`` returns into the answers of the reference that ``part`` selects; it is not timed.
    """

    name: str
    run: Callable[[], Any]
    read: Callable[[Any], Values] = np.asarray
    part: slice = field(default_factory=lambda: slice(None))
    share: float = 1.0
    """The share of the work that ``run`` does; the time is divided by it."""
    tolerance: float | None = None
    """Where this side is allowed more error than the workload's tolerance. Such a side is never the best peer."""

    @property
    def ranked(self) -> bool:
        """Whether this side may be the best peer."""
        return self.tolerance is None


@dataclass(frozen=True)
class Task:
    """A workload with its data made."""

    ours: Side
    peers: tuple[Side, ...]
    reference: Callable[[], Values] | str
    """The right answers in float64, or the name of the peer that gives them where another run would be too dear."""
    error: Callable[[Values, Values], float]
    """How far answers are from those of the reference, in the unit of the tolerance."""
    tolerance: float
    dtype: str
    flops: float | None = None
    traffic: float | None = None
    """Bytes that have to come from memory and go to it, whoever does the work."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """The data by name, for peers from outside, which read it and do not write into it."""

    @property
    def sides(self) -> tuple[Side, ...]:
        """Ours first."""
        return (self.ours, *self.peers)

    def judge(self, side: Side, raw: object, reference: Values) -> float:
        """Return the error of what a side returned, or raise WrongAnswerError."""
        found = np.atleast_1d(np.asarray(side.read(raw), dtype=np.float64))
        right = np.atleast_1d(reference)[side.part]
        allowed = self.tolerance if side.tolerance is None else side.tolerance
        error = self.error(found, right) if found.shape == right.shape else np.inf
        # Not (error <= allowed) also catches NaN.
        if not error <= allowed:
            raise WrongAnswerError(
                f"{side.name}: expected answers within {allowed:g}, got an error of {error:g} "
                f"(answers {found.shape}, reference {right.shape})"
            )
        return float(error)


@dataclass(frozen=True)
class Workload:
    """A named workload; ``make`` makes its data."""

    name: str
    group: str
    """What is asked: spectrum, entropy, layer, pairs, null, gram, gradient, large or representations, or another."""
    make: Callable[[], Task]
    note: str = ""
