"""``fastrenyi bench``: measure the workloads and show the table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from rich.console import Console

from fastrenyi.bench import table
from fastrenyi.bench.measure import Effort, Gemm, Row, default_threads, measure, threads_set
from fastrenyi.bench.memory import peak_bytes
from fastrenyi.bench.task import Workload
from fastrenyi.bench.workloads import workloads

__all__ = ["chosen", "run"]


def chosen(size: str, only: Sequence[str]) -> list[Workload]:
    """Return the workloads whose name contains, or with * and ? matches, a pattern; all if there is none."""
    every = workloads(size)
    found = [w for w in every if not only or any(fnmatch(w.name, f"*{pattern}*") for pattern in only)]
    for pattern in only:
        if not any(fnmatch(w.name, f"*{pattern}*") for w in every):
            raise ValueError(f"--only: no workload matches {pattern!r}; there are {', '.join(w.name for w in every)}")
    return found


def run(
    size: str = "normal",
    only: Sequence[str] = (),
    threads: int | None = None,
    json_path: Path | None = None,
    markdown: bool = False,
    memory: bool = True,
    budget: float | None = None,
) -> list[Row]:
    """Measure, print the table, and return its rows; the JSON file is written anew after each row."""
    if threads is not None and threads < 1:
        raise ValueError(f"--threads: expected at least 1, got {threads}")
    if budget is not None and not budget > 0:
        raise ValueError(f"--budget: expected a time above zero, got {budget:g}")
    listed = chosen(size, only)
    quick = size == "quick"
    effort = Effort(0.0, 1, 1) if quick else Effort() if budget is None else Effort(seconds=budget)
    threads = default_threads() if threads is None else threads
    progress = Console(stderr=True)
    gemm = Gemm(quick)
    rows: list[Row] = []
    for workload in listed:
        with progress.status(workload.name):
            with threads_set(threads):
                row = measure(workload, effort, gemm)
            if memory:
                peaks = {name: peak_bytes(size, workload.name, name, threads) for name in ("ours", row.best)}
                row = replace(row, memory={name: peak for name, peak in peaks.items() if peak is not None})
        rows.append(row)
        if not quick:
            ours = table.seconds(row.seconds["ours"])
            progress.print(f"{row.workload}: {ours}, {row.ratio(row.best):.2f} times {row.best}", highlight=False)
        if json_path is not None:
            found = table.as_json(rows, gemm, size, threads)
            json_path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if markdown:
        print(table.as_markdown(rows, gemm, threads))
    else:
        # A file or a pipe has no width, and takes whole lines.
        console = Console() if sys.stdout.isatty() else Console(width=160)
        console.print(table.as_table(rows, gemm))
    return rows
