"""All rows that were measured under one group of settings, in memory and on the disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastrenyi import _check
from fastrenyi._errors import StoreError
from fastrenyi.table import database
from fastrenyi.table.columns import table
from fastrenyi.table.files import is_parquet
from fastrenyi.table.pairs import pairs_table
from fastrenyi.table.writer import Writer, writer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Store", "agree", "path_of"]

_INFORMATIVE = {"version"}  # settings that may change from one run to the next


def path_of(store: object) -> Path | None:
    """Accept the path of a store, or None."""
    if store is None:
        return None
    if not isinstance(store, (str, os.PathLike)):
        _check.kind_error("store", "the path of a file, or None", type(store).__name__)
    path = os.fspath(store)
    if not isinstance(path, str) or not path or "\0" in path:
        _check.value_error("store", "the path of a file, or None", repr(path))
    return Path(path)


class Store:
    """All rows measured under one group of settings, in memory and, given a path, in a file of SQLite.

    Rows are on the disk before they count as measured. One process writes at a time, and from its first `writing` on
    no other one; readers see the table as it was before a measurement or after it.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        """Continue what is at `path`; StoreError if that is no store, one with other settings, or in use."""
        self.path = path
        self.settings = settings
        self._frames = [table([])]
        self._pairs: list[database.Pairs] = []  # where there is no file: matrices of many steps are large
        self._steps: set[int] = set()
        self._head = database.EMPTY
        self._checksum = 0
        self._seen = 0  # of this process's turns at the file
        if path is None:
            self._meet()
            return
        with database.naming(path, "name another file"):
            if not path.parent.is_dir():
                raise StoreError(f"store: expected a file in an existing folder, got {path}; create {path.parent}")
            if path.exists() and not path.is_file():
                raise StoreError(f"store: expected a file, got {path}, which is none; name another file")
            if path.suffix == ".parquet" or is_parquet(path):
                name = path.with_suffix(".db")
                raise StoreError(
                    f"store: expected the name of a SQLite file, such as {name}, got {path}; "
                    f"fastrenyi export {path} {name} makes one of a Parquet table, and the other way round"
                )
            self.path = path.absolute()  # wherever the process goes from here
            self._meet()
        self._refresh()
        if self._writer is not None:
            self._writer.refuse_others()

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process, or into the copy of a model that holds its Monitor."""
        with self._turn:
            return {name: value for name, value in self.__dict__.items() if name not in ("_writer", "_turn")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Meet the file anew: the right to write to it stays where it was."""
        self.__dict__.update(state)
        self._meet()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The turn of this thread, in the process that may write; StoreError if that is another one."""
        with self._turn:
            if self._writer is not None:
                self._writer.take()
                self._refresh()
            yield

    def append(self, rows: pd.DataFrame, instead_of: int | None = None, kept: Sequence[database.Pairs] = ()) -> None:
        """Add rows, and pairs kept of them, on the disk first: after StoreError they are nowhere, to be measured again.

        Those of the step ``instead_of`` go with it, or stay where it fails.
        """
        with self.writing():
            if self.path is not None and self._writer is not None:
                self._writer.turns += 1  # seen where all that follows is done, whatever ends it
                known = self._head, self._checksum
                self._head, self._checksum = database.append(self.path, rows, self.settings, *known, instead_of, kept)
            else:
                self._pairs = [*(row for row in self._pairs if row[0] != instead_of), *kept]
            if instead_of is not None:
                self._frames = [frame[frame["step"] != instead_of] for frame in self._frames]
            self._add(rows)
            if self._writer is not None:
                self._seen = self._writer.turns

    @property
    def steps(self) -> list[int]:
        """The steps measured so far, ascending."""
        with self._turn:
            self._look()
            return sorted(self._steps)

    @property
    def frame(self) -> pd.DataFrame:
        """All rows, sorted."""
        with self._turn:
            self._look()
            self._frames = [database.joined(self._frames)]
            return self._frames[0]

    def pairs(self, step: int | None = None) -> pd.DataFrame:
        """The pairs of maps that were kept, of all steps or of one; those of a file are read from it each time."""
        with self._turn:
            if self.path is None:
                return pairs_table([row for row in self._pairs if step in (None, row[0])])
            return pairs_table(database.pairs(self.path, step) if self.path.exists() else [])

    def last_before(self, step: int, column: str) -> dict[tuple[str, int], dict[str, float]]:
        """Return by method and batch what the column had last of each layer, at the steps before this one."""
        rows = self.frame
        rows = rows[(rows["step"] < step) & rows[column].notna()]
        last = rows.drop_duplicates(["method", "batch", "layer"], keep="last")  # they ascend by step
        found: dict[tuple[str, int], dict[str, float]] = {}
        for method, batch, layer, value in last[["method", "batch", "layer", column]].itertuples(index=False):
            found.setdefault((method, batch), {})[layer] = value
        return found

    def close(self) -> None:
        """Let other processes write, until this one does so again."""
        if self._writer is not None:
            with self._turn:
                self._writer.let_go()

    def _meet(self) -> None:
        self._writer: Writer | None = None if self.path is None else writer(self.path)
        self._turn = threading.RLock() if self._writer is None else self._writer.turn

    def _add(self, rows: pd.DataFrame) -> None:
        self._frames.append(rows)
        self._steps.update(int(step) for step in rows["step"].unique())

    def _look(self) -> None:
        """Memory is the table where this process writes and did so last here, whatever has become of the file."""
        if self._writer is not None and not (self._writer.held and self._seen == self._writer.turns):
            self._refresh()

    def _refresh(self) -> None:
        """Read what is on the disk, if that is not what is in memory."""
        if self.path is None or self._writer is None:
            return
        if (self.path.exists() or self._head != database.EMPTY) and database.head(self.path) != self._head:
            frame, kept, self._head, self._checksum = database.read(self.path)
            agree(self.path, kept, self.settings)
            self._frames, self._steps = [table([])], set()
            self._add(frame)
        self._seen = self._writer.turns


def agree(path: Path, kept: dict[str, Any], settings: dict[str, Any]) -> None:
    """Refuse to go on with other settings than those a file was begun with."""
    names = sorted((kept.keys() | settings.keys()) - _INFORMATIVE)
    different = [
        f"{name} was {kept.get(name)!r} and is {settings.get(name)!r}"
        for name in names
        if kept.get(name) != settings.get(name)
    ]
    if different:
        raise StoreError(
            f"store: expected the settings that {path} was begun with, got others ({'; '.join(different)}); "
            "give the old settings, or another file"
        )
