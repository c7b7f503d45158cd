"""``python -m fastrenyi.bench.gpu``: the workloads of the GPU, verified, timed by CUDA events, beside the limits.

Needs torch alone, and measures CuPy as a peer where it is installed. The limit of a workload is what its arithmetic
takes at the device's rate of matrix products, or its memory traffic at the rate of a copy, whichever is longer; both
rates are measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from fastrenyi import _backend
from fastrenyi.bench.gpu_workloads import OURS, workloads
from fastrenyi.bench.task import Side, Task, Workload

__all__ = ["Clock", "Effort", "Limits", "Row", "as_text", "main", "measure"]


@dataclass(frozen=True)
class Effort:
    """How long to measure one workload."""

    seconds: float = 10.0
    """Rounds of all sides until this is spent; three at least."""
    most: int = 15
    sample: float = 0.02
    """A short side runs as often as this lasts, and one sample is the mean."""


class Clock:
    """Seconds on a device: of CUDA events, or of the host's clock on the CPU.

    Events are recorded in torch's stream, which is the one that CuPy uses as well unless told otherwise.
    """

    def __init__(self, device: str) -> None:
        """Choose the clock."""
        self._on_gpu = device.startswith("cuda")

    def seconds(self, run: Callable[[], object], repeats: int = 1) -> float:
        """Return the mean time of so many runs."""
        if not self._on_gpu:
            begin = time.perf_counter()
            for _ in range(repeats):
                run()
            return (time.perf_counter() - begin) / repeats
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        for _ in range(repeats):
            run()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3 / repeats


@dataclass(frozen=True)
class Limits:
    """What the device can do: operations a second by dtype, and bytes a second."""

    flops: dict[str, float]
    bandwidth: float

    @staticmethod
    def measured(device: str, clock: Clock, n: int = 4096, size: int = 2**30) -> Limits:
        """Measure: products of (n, n) matrices, and a copy of so many bytes, which are read and written."""

        def median(run: Callable[[], object]) -> float:
            run()
            return statistics.median(clock.seconds(run) for _ in range(7))

        flops = {}
        for dtype in (torch.float64, torch.float32):
            a = torch.rand((n, n), dtype=dtype, device=device)
            out = torch.empty_like(a)
            flops[str(dtype).removeprefix("torch.")] = 2 * n**3 / median(partial(torch.mm, a, a, out=out))
        source = torch.zeros(size, dtype=torch.uint8, device=device)
        target = torch.empty_like(source)
        return Limits(flops, 2 * size / median(lambda: target.copy_(source)))

    def of(self, task: Task) -> tuple[float | None, str]:
        """Return the least seconds that a task can take, and what says so."""
        found = []
        if task.flops is not None:
            found.append((task.flops / self.flops[task.dtype], task.dtype))
        if task.traffic is not None:
            found.append((task.traffic / self.bandwidth, "memory"))
        return max(found) if found else (None, "")


@dataclass
class Row:
    """What was found of one workload, by side; seconds are medians, scaled to the whole work."""

    workload: str
    dtype: str = ""
    tolerance: float = math.nan
    limit: float | None = None
    bound: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """Sides that did not end, or of ours with wrong answers, and why."""
    samples: int = 0

    @property
    def failed(self) -> bool:
        """Whether a side of ours is wrong; peers may be what they are."""
        return any(name.startswith(OURS) for name in self.failures)


def measure(workload: Workload, clock: Clock, limits: Limits, effort: Effort) -> Row:
    """Verify all sides, then time those that gave an answer, in turn."""
    row = Row(workload.name)
    try:
        task = workload.make()
        assert not isinstance(task.reference, str)
        right = task.reference()
    except Exception as error:
        row.failures[OURS] = _said(error)
        return row
    row.dtype, row.tolerance = task.dtype, task.tolerance
    row.limit, row.bound = limits.of(task)
    sides = []
    for side in task.sides:
        # A peer may be less accurate than asked, and is marked; of ours that is a failure.
        judged = side if side.name.startswith(OURS) else replace(side, tolerance=math.inf)
        try:
            row.errors[side.name] = task.judge(judged, side.run(), right)
        except Exception as error:
            row.failures[side.name] = _said(error)
        else:
            row.shares[side.name] = side.share
            sides.append(side)
    times = _times(sides, clock, effort)
    row.seconds = {side.name: statistics.median(times[side.name]) / side.share for side in sides}
    row.samples = min(map(len, times.values()), default=0)
    return row


def _said(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}".splitlines()
    return text[0][:200]


def _times(sides: Sequence[Side], clock: Clock, effort: Effort) -> dict[str, list[float]]:
    """Time the sides in turn, each round beginning with another; the first, of one run each, says how often to run."""
    repeats = {}
    for side in sides:
        side.run()  # the run that was verified has made workspaces; this one finds all of them warm
        repeats[side.name] = max(1, min(1000, math.ceil(effort.sample / max(clock.seconds(side.run), 1e-6))))
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    begin = time.perf_counter()
    for done in range(effort.most if sides else 0):
        if done >= min(3, effort.most) and time.perf_counter() - begin > effort.seconds:
            break
        turn = done % len(sides)
        for side in [*sides[turn:], *sides[:turn]]:
            times[side.name].append(clock.seconds(side.run, repeats[side.name]))
    return times


# ------------------------------------------------------------------------------------------------------ the table

_COLUMNS = ("workload", "side", "time", "times ours", "limit", "of limit", "error/allowed", "n")


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-6:.3g} us"


def _lines(row: Row) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    limit = "" if row.limit is None else f"{_seconds(row.limit)} {row.bound}"
    ours = row.seconds.get(OURS)
    for name, seconds in row.seconds.items():
        mark = ("~" if row.shares[name] < 1 else "") + ("*" if not row.errors[name] <= row.tolerance else "")
        lines.append(
            (
                row.workload,
                name + mark,
                _seconds(seconds),
                "" if ours is None else f"{seconds / ours:.2f}",
                limit,
                "" if row.limit is None else f"{row.limit / seconds:.1%}",
                f"{row.errors[name]:.0e}/{row.tolerance:.0e}",
                str(row.samples),
            )
        )
    lines += [(row.workload, name, f"failed: {why}") for name, why in row.failures.items()]
    return lines


def as_text(rows: Sequence[Row], limits: Limits) -> str:
    """Return the table, a line to a side, and what its marks mean."""
    lines = [_COLUMNS, *(line for row in rows for line in _lines(row))]
    # What a side says of its failure goes over the columns that it leaves empty.
    widths = [max(len(line[i]) for line in lines if len(line) == len(_COLUMNS)) for i in range(len(_COLUMNS))]
    widths[:2] = [max(len(line[i]) for line in lines) for i in (0, 1)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip() for line in lines]
    rates = ", ".join(f"{rate / 1e12:.3g} TFLOP/s in {dtype}" for dtype, rate in limits.flops.items())
    return "\n".join(
        [
            f"Matrix products {rates}; a copy {limits.bandwidth / 1e9:.4g} GB/s.",
            "",
            text[0],
            "  ".join("-" * width for width in widths),
            *text[1:],
            "",
            "time: median by CUDA events. ~: of a share of the work, scaled. *: less accurate than allowed.",
            "limit: arithmetic at the rate of matrix products, or memory traffic at that of a copy.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table; 1 if an answer of ours is wrong, 2 without a GPU."""
    parser = argparse.ArgumentParser(prog="python -m fastrenyi.bench.gpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: the answers count, the times mean nothing")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try the benchmarks themselves")
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    parser.add_argument("--seconds", type=float, default=Effort.seconds, help="how long to measure a workload")
    parser.add_argument("--once", action="store_true", help="for a profiler: our public function, once, unmeasured")
    parser.add_argument("--json", type=Path, help="write everything that was measured, after each workload")
    options = parser.parse_args(arguments)
    on_gpu = options.device.startswith("cuda")
    if on_gpu and not torch.cuda.is_available():
        print("torch finds no GPU: nothing was measured", file=sys.stderr)
        return 2
    kernels = _backend.module_for("cuda:0", "gpu") if on_gpu else None
    chosen = [one for one in workloads(options.device, kernels, options.quick) if options.only in one.name]
    if options.once:
        for workload in chosen:
            workload.make().ours.run()
        return 0
    clock = Clock(options.device)
    limits = Limits.measured(options.device, clock, *((64, 2**20) if options.quick else ()))
    effort = Effort(0.0, 1, 0.0) if options.quick else Effort(options.seconds)
    rows: list[Row] = []
    for workload in chosen:
        rows.append(measure(workload, clock, limits, effort))
        for line in _lines(rows[-1]):
            print("  ".join(line), file=sys.stderr, flush=True)
        if on_gpu:
            torch.cuda.empty_cache()
        if options.json is not None:
            _write(options.json, limits, rows, on_gpu)
    print(as_text(rows, limits))
    return int(any(row.failed for row in rows))


def _write(path: Path, limits: Limits, rows: Sequence[Row], on_gpu: bool) -> None:
    """Write all that was measured so far, whole or not at all."""
    found: dict[str, Any] = {"limits": asdict(limits), "rows": [asdict(row) for row in rows]}
    found["device"] = torch.cuda.get_device_name() if on_gpu else "cpu"
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


if __name__ == "__main__":
    sys.exit(main())
