"""Verify a task's answers, then time its sides in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from fastrenyi._array import Values
from fastrenyi.bench.outside import task_of
from fastrenyi.bench.task import Side, Task, Workload, WrongAnswerError

__all__ = ["Effort", "Gemm", "Row", "default_threads", "measure", "threads_set", "verify"]


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds of all sides until the time is spent; the first ``least`` may take 4 times that."""

    seconds: float = 10.0
    least: int = 3
    most: int = 25
    pause: float = 0.1
    warm: float = 0.03


@dataclass(frozen=True)
class Row:
    """What was measured of one workload; seconds are medians, scaled to the whole work."""

    workload: str
    group: str
    note: str
    dtype: str
    seconds: dict[str, float]
    """By side, ours first."""
    errors: dict[str, float]
    """By side, in the unit of the tolerance."""
    tolerance: float
    shares: dict[str, float]
    """By side: the share of the work that was timed."""
    unranked: tuple[str, ...]
    """Peers that are not counted as the best, being less accurate than the workload asks."""
    repeats: int
    gflops: float | None
    """Of ours, where its work is counted."""
    memory: dict[str, int] = field(default_factory=dict)
    """Peak bytes over the data, by side; of ours and the best peer."""

    @property
    def best(self) -> str:
        """The quickest peer that counts."""
        return min((name for name in self.peers if name not in self.unranked), key=self.seconds.__getitem__)

    @property
    def peers(self) -> list[str]:
        """All sides but ours."""
        return list(self.seconds)[1:]

    def ratio(self, peer: str) -> float:
        """How many times as long as ours a peer takes."""
        return self.seconds[peer] / self.seconds["ours"]


def default_threads() -> int:
    """Return what torch would use, which obeys OMP_NUM_THREADS."""
    return torch.get_num_threads()


@contextmanager
def threads_set(threads: int) -> Iterator[None]:
    """Give torch, BLAS and OpenMP this many threads, and all of it back."""
    before = torch.get_num_threads()
    with threadpool_limits(limits=threads):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


class Gemm:
    """The machine's rate of matrix products: the better of torch and NumPy, taken again before each row.

    The best of a run stands for all of its rows, so that a busy moment does not flatter one of them.
    """

    def __init__(self, quick: bool = False) -> None:
        """Choose the sizes of the products."""
        self._sizes = (64,) if quick else (1024, 2048)
        self.rates: dict[str, float] = {}

    def sample(self, dtype: str) -> None:
        """Measure: all sizes the first time, then the smallest again."""
        sizes = self._sizes[:1] if dtype in self.rates else self._sizes
        self.rates[dtype] = max(self.rates.get(dtype, 0.0), *(self._measured(n, dtype) for n in sizes))

    @staticmethod
    def _measured(n: int, dtype: str) -> float:
        a = np.random.default_rng(n).normal(size=(n, n)).astype(dtype)
        tensor = torch.from_numpy(a)
        times: dict[str, list[float]] = {"torch": [], "numpy": []}
        for _ in range(7):
            start = time.perf_counter()
            tensor @ tensor
            middle = time.perf_counter()
            a @ a
            end = time.perf_counter()
            times["torch"].append(middle - start)
            times["numpy"].append(end - middle)
        return 2 * n**3 / min(map(statistics.median, times.values())) / 1e9


def verify(task: Task) -> dict[str, float]:
    """Run each side once, which also warms it up, and return its error; raise WrongAnswerError if it is too large."""
    sides = sorted(task.sides, key=lambda side: side.name != task.reference)
    right: Values | None = None if isinstance(task.reference, str) else task.reference()
    errors = {}
    for side in sides:
        raw = side.run()
        if right is None:
            right = np.asarray(side.read(raw), dtype=np.float64)
        errors[side.name] = task.judge(side, raw, right)
    return {side.name: errors[side.name] for side in task.sides}


def _warm(side: Side, seconds: float) -> None:
    """Run a short side for a while, so that it is timed as in a loop of its own.

    After a rest the first runs wake threads and fill caches: of a gradient of half a millisecond the second takes 1.6
    times as long as the tenth.
    """
    end = time.perf_counter() + seconds
    side.run()
    while time.perf_counter() < end:
        side.run()


def _rounds(sides: tuple[Side, ...], effort: Effort) -> dict[str, list[float]]:
    """Time the sides in turn, each round starting with another."""
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    start = time.perf_counter()
    for done in range(effort.most):
        if done:
            spent = time.perf_counter() - start
            allowed = effort.seconds * (1 if done >= effort.least else 4)
            if spent + spent / done > allowed:
                break
        turn = done % len(sides)
        for side in sides[turn:] + sides[:turn]:
            # The threads of the side before spin for some milliseconds after their work: on a machine with no core
            # to spare, the next side would pay for that.
            time.sleep(effort.pause)
            if done and times[side.name][-1] < 0.05:
                _warm(side, effort.warm)
            begin = time.perf_counter()
            side.run()
            times[side.name].append(time.perf_counter() - begin)
    return times


def measure(workload: Workload, effort: Effort, gemm: Gemm) -> Row:
    """Return one row; the threads are the caller's to set."""
    task = task_of(workload)
    try:
        errors = verify(task)
    except WrongAnswerError as error:
        raise WrongAnswerError(f"{workload.name}: {error}") from None
    gemm.sample(task.dtype)
    times = _rounds(task.sides, effort)
    seconds = {side.name: statistics.median(times[side.name]) / side.share for side in task.sides}
    rate = None if task.flops is None else task.flops / seconds["ours"] / 1e9
    return Row(
        workload=workload.name,
        group=workload.group,
        note=workload.note,
        dtype=task.dtype,
        seconds=seconds,
        errors=errors,
        tolerance=task.tolerance,
        shares={side.name: side.share for side in task.sides},
        unranked=tuple(side.name for side in task.peers if not side.ranked),
        repeats=len(times["ours"]),
        gflops=rate,
    )
