"""A run beside an earlier one, from the file that it wrote: by what factor our times have changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from fastrenyi.bench.measure import Gemm, Row
from fastrenyi.bench.table import FORMAT, aligned, machine, markdown, seconds

__all__ = ["Before", "Change", "as_markdown", "as_table", "changes", "slower", "title", "verdict"]

_COLUMNS = ("workload", "before", "now", "now / before")


@dataclass(frozen=True)
class Before:
    """An earlier run, as far as it is compared."""

    path: Path
    machine: dict[str, str]
    """What the times depend on, of which nothing is refused: processor, instruction set, BLAS."""
    of: str
    """Version, commit and date."""
    seconds: dict[str, float]
    """Ours, by workload."""
    dtypes: dict[str, str]
    rates: dict[str, float]
    """Of matrix products, by dtype."""

    @classmethod
    def load(cls, path: Path, size: str, threads: int, names: Iterable[str]) -> Before:
        """Read a file that ``--json`` has written; ValueError where its times cannot stand beside those of now."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = content.get("format")
        except (ValueError, AttributeError) as error:
            raise ValueError(f"--compare: {path}: expected what fastrenyi bench --json writes, got {error}") from None
        if found != FORMAT:
            got = "a file without one, of an earlier version" if found is None else f"{found!r}"
            raise ValueError(f"--compare: {path}: expected format {FORMAT}, got {got}; measure it again")
        try:
            before = cls._of(path, content)
            measured, on = str(content["size"]), int(content["threads"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"--compare: {path}: expected format {FORMAT} whole, got {error!r}; measure it again"
            ) from None
        if measured != size:
            way_out = f"run with --{measured}" if measured != "normal" else "run without --quick and --full"
            raise ValueError(f"--compare: {path}: expected a run of size {size}, got {measured}; {way_out}")
        if on != threads:
            raise ValueError(f"--compare: {path}: expected a run on {threads} threads, got {on}; give --threads {on}")
        if not before.seconds.keys() & set(names):
            raise ValueError(f"--compare: {path}: expected workloads of this run, got {', '.join(before.seconds)}")
        return before

    @classmethod
    def _of(cls, path: Path, content: dict[str, Any]) -> Before:
        rows = {str(row["workload"]): row for row in content["rows"]}
        before = cls(
            path=path,
            machine={name: str(content[name]) for name in machine()},
            of=f"fastrenyi {content['versions']['fastrenyi']}, commit {content['commit'] or 'not known'}, "
            f"{content['date']}",
            seconds={name: float(row["seconds"]["ours"]) for name, row in rows.items()},
            dtypes={name: str(row["dtype"]) for name, row in rows.items()},
            rates={str(dtype): float(rate) for dtype, rate in content["gemm_gflops"].items()},
        )
        if not all(value > 0 for value in [*before.seconds.values(), *before.rates.values()]):
            raise ValueError("times and rates above zero")
        if not set(before.dtypes.values()) <= before.rates.keys():
            raise ValueError("a rate for each dtype")
        return before

    def differences(self) -> list[str]:
        """Return what of this machine is another than then."""
        return [
            f"{name}: {self.machine[name]} then, {value} now"
            for name, value in machine().items()
            if self.machine[name] != value
        ]


@dataclass(frozen=True)
class Change:
    """Our time of one workload, then and now; None where it was not measured then."""

    workload: str
    before: float | None
    now: float
    ratio: float | None


def changes(before: Before, rows: Sequence[Row], gemm: Gemm, per_gemm: bool) -> list[Change]:
    """Return the change of each row: of its time, or with `per_gemm` of its time in matrix products of its machine."""
    found = []
    for row in rows:
        now, then = row.seconds["ours"], before.seconds.get(row.workload)
        ratio = None if then is None else now / then
        if ratio is not None and per_gemm:
            ratio *= gemm.rates[row.dtype] / before.rates[before.dtypes[row.workload]]
        found.append(Change(row.workload, then, now, ratio))
    return found


def slower(found: Sequence[Change], slowdown: float) -> list[Change]:
    """Return those that take longer than so many times as long as before."""
    return [change for change in found if change.ratio is not None and change.ratio > slowdown]


def title(before: Before, per_gemm: bool) -> str:
    """Return what the ratios are of."""
    how = "in matrix products of each run's own machine (--per-gemm)" if per_gemm else "not corrected for the machine"
    return f"Ours beside {before.path} ({before.of}); ratios of times {how}."


def as_table(found: Sequence[Change]) -> Table:
    """Return a table for the terminal."""
    table = aligned(Table(box=SIMPLE), _COLUMNS, left=_COLUMNS[:1])
    for change in found:
        table.add_row(*_cells(change))
    return table


def as_markdown(found: Sequence[Change]) -> str:
    """Return the table in Markdown."""
    return "\n".join(markdown(_COLUMNS, map(_cells, found)))


def verdict(found: Sequence[Change], slowdown: float) -> str:
    """Return the last line."""
    names = ", ".join(f"{change.workload} ({change.ratio:.2f})" for change in slower(found, slowdown))
    return f"slower than {slowdown:g} times: {names or 'none'}"


def _cells(change: Change) -> tuple[str, str, str, str]:
    before = "not measured" if change.before is None else seconds(change.before)
    return change.workload, before, seconds(change.now), "" if change.ratio is None else f"{change.ratio:.2f}"
