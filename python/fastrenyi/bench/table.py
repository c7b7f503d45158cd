"""Rows as a table for the terminal, as Markdown and as JSON."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import metadata
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from fastrenyi import _core, _info
from fastrenyi.bench.measure import Gemm, Row

__all__ = ["FORMAT", "aligned", "as_json", "as_markdown", "as_table", "machine", "markdown", "seconds"]

FORMAT = 1
"""Of the JSON, as benchmarks/README.md describes it: another number where a reader of this one would be misled."""
_COLUMNS = ("workload", "ours", "peers (times ours)", "best", "GFLOP/s", "of GEMM", "memory", "error", "n")


def seconds(value: float) -> str:
    """Return a duration with three digits and its unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= scale or unit == "µs":
            return f"{value / scale:.3g} {unit}"
    raise AssertionError


def _bytes(value: int) -> str:
    return f"{value / 1e6:.3g} MB"


def _cells(row: Row, gemm: Gemm) -> tuple[str, list[str], list[str]]:
    """Return the name, the peers' times, and the other cells, which are right-aligned."""
    peers = [
        f"{name}{'~' if row.shares[name] < 1 else ''} {seconds(row.seconds[name])} ({row.ratio(name):.2f}{off})"
        for name in row.peers
        for off in [f", off by {row.errors[name]:.0e}" if name in row.unranked else ""]
    ]
    return (
        row.workload,
        peers,
        [
            seconds(row.seconds["ours"]),
            f"{row.ratio(row.best):.2f}",
            "" if row.gflops is None else f"{row.gflops:.3g}",
            "" if row.gflops is None else f"{row.gflops / gemm.rates[row.dtype]:.0%}",
            "/".join(map(_bytes, row.memory.values())),
            f"{row.errors['ours']:.0e}/{row.tolerance:.0e}",
            str(row.repeats),
        ],
    )


def as_table(rows: Sequence[Row], gemm: Gemm) -> Table:
    """Return a table for the terminal."""
    table = aligned(Table(box=SIMPLE), _COLUMNS, left=("workload", "peers (times ours)"))
    for row in rows:
        name, peers, (ours, *rest) = _cells(row, gemm)
        table.add_row(name, ours, "\n".join(peers), *rest)
    return table


def aligned(table: Table, columns: Sequence[str], left: Collection[str]) -> Table:
    """Add columns to a table, those that are not of numbers to the left."""
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", no_wrap=True)
    return table


def as_markdown(rows: Sequence[Row], gemm: Gemm, threads: int) -> str:
    """Return the table that ``benchmarks/README.md`` keeps."""
    cells = []
    for row in rows:
        name, peers, (ours, *rest) = _cells(row, gemm)
        cells.append([name, ours, "<br>".join(peers), *rest])
    lines = [_conditions(gemm, threads), "", *markdown(_COLUMNS, cells)]
    notes = [f"- {row.workload}: {row.note}" for row in rows if row.note]
    return "\n".join(lines + (["", *notes] if notes else []))


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, of which all columns but the first are to the right."""
    return [_line(columns), _line(["---", *["---:" for _ in columns[1:]]]), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def machine() -> dict[str, str]:
    """Return what of the machine and its libraries our times depend on, by the names of the JSON."""
    return {
        "processor": _info.processor(),
        "machine": platform.machine(),
        "isa": _core.build_info()["isa_in_use"],
        "blas": _core.blas_info(),
    }


def _conditions(gemm: Gemm, threads: int) -> str:
    rates = ", ".join(f"{rate:.3g} GFLOP/s in {dtype}" for dtype, rate in gemm.rates.items())
    isa = _core.build_info()["isa_in_use"]
    return f"{threads} thread{'s' if threads != 1 else ''}, {isa}; GEMM {rates}."


def as_json(rows: Sequence[Row], gemm: Gemm, size: str, threads: int) -> dict[str, Any]:
    """Return everything that was measured, and on what."""
    versions = {name: metadata.version(name) for name in ("fastrenyi", "numpy", "scipy", "torch")}
    return {
        "format": FORMAT,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _info.commit(),
        "size": size,
        "threads": threads,
        "python": platform.python_version(),
        **machine(),
        "versions": versions,
        "gemm_gflops": gemm.rates,
        "rows": [
            {
                **asdict(row),
                "best": row.best,
                "ratios": {name: row.ratio(name) for name in row.peers},
                "gemm_share": None if row.gflops is None else row.gflops / gemm.rates[row.dtype],
            }
            for row in rows
        ],
    }
