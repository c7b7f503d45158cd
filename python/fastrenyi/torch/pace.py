"""When a Monitor measures: every so many steps, or as often as leaves it a share of the time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from fastrenyi import _check

__all__ = ["Pace"]


class Pace:
    """Which steps are measured: multiples of ``every``, or for "auto" those that come when the last one is paid for.

    A measurement of c seconds with a share s is paid for by c (1/s - 1) seconds of other work. So no cost has to be
    foretold, one that grows is followed by a longer wait, and up to the last measurement the share is kept.
    """

    def __init__(self, every: int | Literal["auto"], share: float) -> None:
        """Check both; nothing is to be paid for yet."""
        self._every = _steps(every)
        self._share = _check.positive(share, "share")
        if self._share >= 1:
            _check.value_error("share", "a share of the time, above 0 and below 1", share)
        self._ended, self._wait = 0.0, 0.0

    def due(self, step: int) -> bool:
        """Whether the step is one to measure at."""
        if self._every is not None:
            return step % self._every == 0
        # A clock that reads less than before is that of another machine, to which this came in a pickle.
        return not 0 <= time.perf_counter() - self._ended < self._wait

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Note what is done inside as a measurement, also where it fails."""
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()  # what the training has queued there is none of the measurement's cost
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._ended = time.perf_counter()
            self._wait = (self._ended - begun) * (1 / self._share - 1)


def _steps(every: object) -> int | None:
    if isinstance(every, str):
        if every != "auto":
            _check.value_error("every", "a number of steps, or 'auto'", repr(every))
        return None
    return _check.integer(every, "every", 1)
