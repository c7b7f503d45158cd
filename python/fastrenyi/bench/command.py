"""``fastrenyi bench``: measure the workloads and show the table."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from rich.console import Console

from fastrenyi.bench import compare, table
from fastrenyi.bench.measure import Effort, Gemm, Row, default_threads, measure, threads_set
from fastrenyi.bench.memory import peak_bytes
from fastrenyi.bench.outside import every
from fastrenyi.bench.task import Workload

__all__ = ["chosen", "run"]

_SLOWDOWN = 1.25


def chosen(size: str, only: Sequence[str], file: Path | None = None) -> list[Workload]:
    """Return the workloads whose name contains, or with * and ? matches, a pattern; all if there is none."""
    known = every(size, file)
    found = [w for w in known if not only or any(fnmatch(w.name, f"*{pattern}*") for pattern in only)]
    for pattern in only:
        if not any(fnmatch(w.name, f"*{pattern}*") for w in known):
            raise ValueError(f"--only: no workload matches {pattern!r}; there are {', '.join(w.name for w in known)}")
    return found


def run(
    size: str = "normal",
    only: Sequence[str] = (),
    threads: int | None = None,
    json_path: Path | None = None,
    markdown: bool = False,
    memory: bool = True,
    budget: float | None = None,
    file: Path | None = None,
    earlier: Path | None = None,
    slowdown: float | None = None,
    per_gemm: bool = False,
) -> bool:
    """Measure and print the table; the JSON file is written anew after each row.

    `file` has more workloads. Beside the run in the file `earlier` a second table has the ratios of our times, and
    False is returned where one is above `slowdown`, 1.25 unless given.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"--threads: expected at least 1, got {threads}")
    if budget is not None and not budget > 0:
        raise ValueError(f"--budget: expected a time above zero, got {budget:g}")
    if slowdown is not None and not 0 < slowdown < math.inf:
        raise ValueError(f"--slowdown: expected a factor above zero, got {slowdown:g}")
    if earlier is None and (slowdown is not None or per_gemm):
        name = "--per-gemm" if slowdown is None else "--slowdown"
        raise ValueError(f"{name}: expected --compare FILE beside it, whose times it is about")
    listed = chosen(size, only, file)
    quick = size == "quick"
    effort = Effort(0.0, 1, 1) if quick else Effort() if budget is None else Effort(seconds=budget)
    threads = default_threads() if threads is None else threads
    progress = Console(stderr=True)
    before = None
    if earlier is not None:
        before = compare.Before.load(earlier, size, threads, [workload.name for workload in listed])
        for words in before.differences():
            progress.print(f"warning: --compare: {words}", highlight=False, soft_wrap=True)
    gemm = Gemm(quick)
    rows: list[Row] = []
    for workload in listed:
        with progress.status(workload.name):
            with threads_set(threads):
                row = measure(workload, effort, gemm)
            if memory:
                peaks = {name: peak_bytes(size, workload.name, name, threads, file) for name in ("ours", row.best)}
                row = replace(row, memory={name: peak for name, peak in peaks.items() if peak is not None})
        rows.append(row)
        if not quick:
            ours = table.seconds(row.seconds["ours"])
            progress.print(f"{row.workload}: {ours}, {row.ratio(row.best):.2f} times {row.best}", highlight=False)
        if json_path is not None:
            found = table.as_json(rows, gemm, size, threads)
            json_path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    # A file or a pipe has no width, and takes whole lines.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    if markdown:
        print(table.as_markdown(rows, gemm, threads))
    else:
        console.print(table.as_table(rows, gemm))
    if before is None:
        return True
    allowed = _SLOWDOWN if slowdown is None else slowdown
    changed = compare.changes(before, rows, gemm, per_gemm)
    print(f"\n{compare.title(before, per_gemm)}")
    if markdown:
        print(f"\n{compare.as_markdown(changed)}\n")
    else:
        console.print(compare.as_table(changed))
    print(compare.verdict(changed, allowed))
    return not compare.slower(changed, allowed)
