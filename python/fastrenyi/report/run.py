"""What is known of a run beside its table: settings, training log, versions."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastrenyi.table import files
from fastrenyi.table.columns import COLUMNS, ORDER
from fastrenyi.table.pairs import pairs

if TYPE_CHECKING:
    import pandas as pd

#: The record of a run lies beside its table under this name.
RECORD = "run.json"


@dataclass(frozen=True)
class Run:
    """What a report can say that is not in the table; every field may be empty.

    ``table`` is the :func:`digest` of the table that all this is about, without which :meth:`load` takes the
    record for none. ``settings`` maps a name to its value, ``history`` has a row ``{"step", "epoch", "loss",
    "accuracy"}`` for each measurement, ``moments`` names the steps that are spoken of, ``versions`` is
    :func:`versions` on the machine that measured.
    """

    table: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    moments: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def wrong(self) -> str | None:
        """Return which field is not what it is to be, or nothing."""
        rows = ("step", "epoch", "loss", "accuracy")
        fine = {
            "table": self.table is None or isinstance(self.table, str),
            "settings": isinstance(self.settings, dict),
            "history": isinstance(self.history, list)
            and all(isinstance(row, dict) and all(_is_number(row.get(name)) for name in rows) for row in self.history),
            "moments": isinstance(self.moments, dict) and all(map(_is_number, self.moments.values())),
            "versions": isinstance(self.versions, dict) and all(isinstance(v, str) for v in self.versions.values()),
        }
        return next((f"{name} is {str(getattr(self, name))[:60]!r}" for name, well in fine.items() if not well), None)

    def save(self, folder: Path) -> None:
        """Write the record into `folder`, whole or not at all; OSError if it cannot be written."""
        files.write_whole(folder / RECORD, json.dumps(asdict(self), indent=2).encode())

    @staticmethod
    def load(table: Path) -> Run:
        """Read the record beside a table, without one the settings a Monitor kept in it.

        ValueError for a record that is damaged, or of another table.
        """
        path = table.parent / RECORD
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Run(settings=files.read(table)[1])
        except ValueError as error:
            raise ValueError(f"{path} is not the record of a run ({error}); move it away to go on without") from None
        if not isinstance(content, dict) or set(content) != {entry.name for entry in fields(Run)}:
            raise ValueError(f"{path} is not the record of a run; move it away to go on without")
        run = Run(**content)
        wrong = run.wrong()
        if wrong:
            raise ValueError(f"{path} is not the record of a run ({wrong}); move it away to go on without")
        if run.table != digest(read_table(table)):
            raise ValueError(
                f"{path} is not the record of {table}, but of another table, or of this one before rows were added; "
                "finish its run with fastrenyi demo --resume, or move the record or the table to a folder of its own"
            )
        return run

    def of_method(self, method: str) -> Run:
        """Return what is known of one of several methods: the settings that it shares with others, and its own."""
        known = {name: value for name, value in self.settings.items() if name != "methods"}
        own = self.settings.get("methods", {}).get(method, {})
        return replace(self, settings={"method": method, **known, **own})

    def moments_of(self, frame: pd.DataFrame) -> dict[str, int]:
        """Return the named steps to look at: the run's, else the first, the middle and the last of the table."""
        steps = sorted(int(step) for step in frame["step"].unique())
        known = {name: step for name, step in self.moments.items() if step in steps}
        if known:
            return known
        return {f"step {step}": step for step in (steps[0], steps[len(steps) // 2], steps[-1])}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def digest(frame: pd.DataFrame) -> str:
    """Return what a record knows its table by: SHA-256 of the rows, whatever their order and file."""
    ordered = frame[list(COLUMNS)].sort_values(ORDER)
    return hashlib.sha256(ordered.to_csv(index=False, lineterminator="\n").encode()).hexdigest()


def read_table(path: Path) -> pd.DataFrame:
    """Read the table of a Monitor, a store or one in Parquet; FileNotFoundError or ValueError saying what is wrong."""
    if not path.exists():
        raise FileNotFoundError(f"frame: there is no {path}; give the store of a Monitor, or its table in Parquet")
    frame, _ = files.read(path)
    check_columns(frame)
    return frame


def read_pairs(path: Path, steps: Iterable[int]) -> pd.DataFrame | None:
    """Read what a store has kept of pairs of maps at these steps; nothing of an export, which has none."""
    import pandas as pd

    if files.is_export(path):
        return None
    return pd.concat([pairs(path, step) for step in sorted(set(steps))], ignore_index=True)


def of_order(frame: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Return the rows of one order; ValueError if it is none of the table's."""
    check_columns(frame)
    if alpha not in set(frame["alpha"]):
        raise ValueError(f"alpha: expected an order of the table, {_orders(frame)}, got {alpha}")
    return frame[frame["alpha"] == alpha]


def of_method(frame: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the rows of one method; ValueError if it is none of the table's."""
    check_columns(frame)
    if method not in set(frame["method"]):
        raise ValueError(f"method: expected one of the table's, {_methods(frame)}, got {method!r}")
    return frame[frame["method"] == method]


def check_table(frame: pd.DataFrame) -> None:
    """Raise ValueError unless `frame` has the columns of ``Monitor.frame()``, and rows of one method and order."""
    check_columns(frame)
    if frame["method"].nunique() > 1:
        raise ValueError(
            f"frame: expected rows of one method, got {_methods(frame)}; give those of one, such as "
            f"frame[frame.method == {frame['method'].iloc[0]!r}], or call fastrenyi report with --method"
        )
    if frame["alpha"].nunique() > 1:
        raise ValueError(
            f"frame: expected rows of one order alpha, got {_orders(frame)}; give those of one, such as "
            f"frame[frame.alpha == {frame['alpha'].iloc[0]}], or call fastrenyi report with --alpha"
        )


def _orders(frame: pd.DataFrame) -> str:
    return ", ".join(str(alpha) for alpha in sorted(frame["alpha"].unique()))


def _methods(frame: pd.DataFrame) -> str:
    return ", ".join(map(repr, sorted(frame["method"].unique())))


def check_columns(frame: pd.DataFrame) -> None:
    """Raise ValueError unless `frame` has the columns of ``Monitor.frame()``, with what belongs into them, and rows."""
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise ValueError(f"frame: expected the columns of Monitor.frame(), but {', '.join(missing)} are missing")
    if frame.empty:
        raise ValueError("frame: expected at least one row, got an empty table; call Monitor.measure first")
    if not frame.columns.is_unique:
        raise ValueError("frame: expected each column of Monitor.frame() once, got one twice")
    for name, dtype in COLUMNS.items():
        column = frame[name]
        number = column.dtype.kind in "biuf"
        fine = column.dtype.kind not in "biufcmM" if dtype == "str" else number
        if number and dtype == "int64":
            fine = bool((column == column.round()).all())  # NaN is no whole number
        if not fine:
            expected = {"str": "text", "bool": "True and False", "int64": "whole numbers", "float64": "numbers"}[dtype]
            raise ValueError(
                f"frame: expected {expected} in the column {name}, got {column.dtype} such as {column.iloc[0]!r}; "
                "give the table as Monitor.frame() has it"
            )


def versions() -> dict[str, str]:
    """Return the versions that figures depend on, the linear algebra in use and the processor's kind."""
    from fastrenyi import _core

    found = {"fastrenyi": metadata.version("fastrenyi"), "python": platform.python_version()}
    for name in ("numpy", "scipy", "torch"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return {**found, "BLAS": _core.blas_info(), "machine": f"{platform.system()} {platform.machine()}"}
