"""The SQLite file that keeps a table of measurements: appended to in one transaction, and read with its checksum."""

from __future__ import annotations

import json
import math
import sqlite3
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from fastrenyi._errors import StoreError
from fastrenyi.table.columns import COLUMNS, ORDER, table

if TYPE_CHECKING:
    import pandas as pd

    from fastrenyi._array import Values

__all__ = [
    "EMPTY",
    "Content",
    "Head",
    "Pairs",
    "append",
    "fingerprint",
    "head",
    "is_store",
    "joined",
    "naming",
    "pairs",
    "read",
]

Head = tuple[int, int]
"""Number of rows, and the checksum of rows and settings: what tells one state of a store from any other."""
EMPTY: Head = (0, 0)
"""The head of a file without rows, or that is not there yet."""
Content = tuple["pd.DataFrame", dict[str, Any], Head, int]
"""Rows, settings, head, and the checksum of the rows alone, from which that of more rows goes on."""
Pairs = tuple[int, int, str, str, float, "Values"]
"""Step, batch, layer, method, alpha, and the informations (C, C) of its pairs of maps."""

_OURS, _FORMAT = 0x46524E59, 3  # application_id and user_version, by which SQLite's files are told apart
_WAIT = 60.0  # seconds for which a writer waits for readers
_CHUNK = 10_000
_SQL = {"int64": "INTEGER", "bool": "INTEGER", "float64": "REAL", "str": "TEXT"}
_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
_COLUMNS = ", ".join(f'"{name}" {_SQL[dtype]}' for name, dtype in COLUMNS.items())
_TEXTS = [place for place, dtype in enumerate(COLUMNS.values()) if dtype == "str"]
_NUMBERS = [place for place, dtype in enumerate(COLUMNS.values()) if dtype != "str"]
_PAIRS = (
    "step INTEGER, batch INTEGER, layer TEXT, method TEXT, alpha REAL, maps INTEGER, pairwise BLOB, checksum INTEGER"
)
_PACKED = struct.Struct(
    "<" + "".join("d" if dtype == "float64" else "q" for dtype in COLUMNS.values() if dtype != "str")
)


@contextmanager
def naming(path: Path, way_out: str) -> Iterator[None]:
    """Turn what the file system, SQLite or the content say into the one error that names `store`."""
    try:
        yield
    except StoreError:
        raise
    except (OSError, sqlite3.Error, ValueError, RuntimeError) as error:
        raise StoreError(f"store: {path}: {error}; {way_out}") from error
    except (TypeError, OverflowError, struct.error) as error:  # cells of other kinds than were written
        raise StoreError(f"store: {path}: is damaged ({error}); {way_out}") from error


def read(path: Path) -> Content:
    """Read the whole table; StoreError where anything of it is not what was written."""
    with _reading(path) as (connection, known):
        if known == EMPTY:
            return table([]), {}, EMPTY, 0
        problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise ValueError(f"is damaged ({problem})")
        settings = connection.execute("SELECT settings FROM store").fetchone()[0]
        frames, count, checksum = [table([])], 0, 0
        for rows in _chunks(connection):
            checksum = _checksum(rows, checksum)
            count += len(rows)
            frames.append(table(rows))
        if known != (count, zlib.crc32(settings.encode(), checksum)):
            raise ValueError(f"is damaged (the checksum of its {count} rows)")
        return joined(frames), json.loads(settings), known, checksum


def is_store(path: Path) -> bool:
    """Whether a file is one of SQLite that says it is ours, in a format of this version or of another."""
    with path.open("rb") as stream:
        begin = stream.read(72)
    return begin.startswith(b"SQLite format 3\0") and begin[68:] == _OURS.to_bytes(4, "big")


def head(path: Path) -> Head:
    """Return the head of the table alone."""
    with _reading(path) as (_, known):
        return known


def pairs(path: Path, step: int | None = None) -> list[Pairs]:
    """Read the pairs of maps that were kept, of all steps or of one; StoreError where they are not what was written."""
    with _reading(path) as (connection, _):
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'pairs'").fetchone() is None:
            return []  # of a store without rows, or one of an earlier version
        where, values = ("", ()) if step is None else ("WHERE step = ?", (step,))
        rows = connection.execute(f"SELECT * FROM pairs {where} ORDER BY step, rowid", values)
        return [_unpacked(row) for row in rows]


@contextmanager
def _reading(path: Path) -> Iterator[tuple[sqlite3.Connection, Head]]:
    """A connection that sees one state of the file, and the head of that state."""
    with naming(path, "restore it from a copy, or name another file"), _opened(path) as connection:
        connection.execute("BEGIN")
        if _pragma(connection, "page_count") == 0:  # of a process that died before its first word
            yield connection, EMPTY
            return
        if _pragma(connection, "application_id") != _OURS:
            raise ValueError("is not a table that a Monitor has written")
        if (found := _pragma(connection, "user_version")) != _FORMAT:
            raise ValueError(f"has the format {found} of another version of fastrenyi; this one reads {_FORMAT}")
        rows, checksum = connection.execute("SELECT rows, checksum FROM store").fetchone()
        yield connection, (rows, checksum)


def _chunks(connection: sqlite3.Connection) -> Iterator[list[tuple[Any, ...]]]:
    """The rows in the order in which they were written, which is that of the checksum."""
    cursor = connection.execute(f"SELECT {_NAMES} FROM measurements ORDER BY rowid")
    while rows := cursor.fetchmany(_CHUNK):
        yield rows


def _pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def append(
    path: Path,
    frame: pd.DataFrame,
    settings: dict[str, Any],
    known: Head,
    checksum: int,
    instead_of: int | None = None,
    kept: Sequence[Pairs] = (),
) -> tuple[Head, int]:
    """Add rows, and pairs that are kept of them, and wait until they are on the disk: all or, after StoreError, none.

    `known` is the head that the file has, EMPTY for one that is not there, `checksum` that of its rows. In the same
    transaction the rows of the step `instead_of` are removed, which takes a look at all others, for the checksum.
    """
    way_out = "the rows measured so far are in Monitor.frame(); make room or name another file"
    with naming(path, way_out), _opened(path, mode="rwc") as connection:
        rows = [_cells(row) for row in frame[list(COLUMNS)].itertuples(index=False, name=None)]
        text = json.dumps(settings)
        connection.execute("PRAGMA synchronous=EXTRA")  # the name of the journal, too, has to be off the disk
        connection.execute("BEGIN IMMEDIATE")
        if known == EMPTY and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise ValueError("was begun by another process meanwhile")
        if known != EMPTY and connection.execute("SELECT rows, checksum FROM store").fetchone() != known:
            raise ValueError("was changed by another process meanwhile")
        if known == EMPTY:
            connection.execute(f"PRAGMA application_id={_OURS}")
            connection.execute(f"PRAGMA user_version={_FORMAT}")
            connection.execute(f"CREATE TABLE measurements ({_COLUMNS})")
            connection.execute("CREATE TABLE store (settings TEXT, rows INTEGER, checksum INTEGER)")
            connection.execute("INSERT INTO store VALUES ('', 0, 0)")
        connection.execute(f"CREATE TABLE IF NOT EXISTS pairs ({_PAIRS})")
        count = known[0]
        if instead_of is not None:
            connection.execute("DELETE FROM pairs WHERE step = ?", (instead_of,))
            connection.execute("DELETE FROM measurements WHERE step = ?", (instead_of,))
            count = checksum = 0
            for others in _chunks(connection):
                count, checksum = count + len(others), _checksum(others, checksum)
        checksum = _checksum(rows, checksum)
        after = count + len(rows), zlib.crc32(text.encode(), checksum)
        places = ", ".join("?" * len(COLUMNS))
        connection.executemany(f"INSERT INTO measurements VALUES ({places})", rows)
        connection.executemany("INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", map(_packed, kept))
        connection.execute("UPDATE store SET settings = ?, rows = ?, checksum = ?", (text, *after))
        connection.execute("COMMIT")
        return after, checksum


def fingerprint(frame: pd.DataFrame, settings: dict[str, Any]) -> bytes:
    """Return the checksum of a whole table, for files of other kinds."""
    rows = [_cells(row) for row in frame[list(COLUMNS)].itertuples(index=False, name=None)]
    return f"{zlib.crc32(json.dumps(settings).encode(), _checksum(rows, 0)):08x}".encode()


def joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all frames as one, sorted."""
    import pandas as pd

    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(filled).sort_values(ORDER, ignore_index=True)


@contextmanager
def _opened(path: Path, mode: str = "rw") -> Iterator[sqlite3.Connection]:
    """A connection for one transaction: none is open while nothing is read or written, or across a fork."""
    uri = f"file:{quote(str(path))}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT, isolation_level=None)) as connection:
        yield connection


def _cells(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row as SQLite keeps and gives it."""
    return tuple(_cell(value) for value in row)


def _cell(value: Any) -> Any:
    """NaN is what is missing, True is 1, and no zero is negative."""
    if isinstance(value, float):
        return None if math.isnan(value) else value + 0.0
    return value if isinstance(value, str) else int(value)


def _checksum(rows: list[tuple[Any, ...]], checksum: int) -> int:
    """CRC-32 of the rows, going on from that of those before them."""
    for row in rows:
        numbers = [math.nan if row[place] is None else row[place] for place in _NUMBERS]
        texts = "\0".join([row[place] for place in _TEXTS])
        checksum = zlib.crc32(texts.encode(), zlib.crc32(_PACKED.pack(*numbers), checksum))
    return checksum


def _packed(row: Pairs) -> tuple[Any, ...]:
    """A matrix as SQLite keeps it, rows of little-endian float64, with a checksum of its own: each is read alone."""
    *key, matrix = row
    cells = (*key, len(matrix), np.asarray(matrix, "<f8").tobytes())
    return *cells, _checksum_of_pairs(cells)


def _unpacked(row: tuple[Any, ...]) -> Pairs:
    *cells, checksum = row
    step, batch, layer, method, alpha, maps, content = cells
    if checksum != _checksum_of_pairs(tuple(cells)):
        raise ValueError(f"is damaged (the checksum of the pairs of maps of layer {layer!r} at step {step})")
    return step, batch, layer, method, alpha, np.frombuffer(content, "<f8").reshape(maps, maps).astype(np.float64)


def _checksum_of_pairs(cells: tuple[Any, ...]) -> int:
    *key, content = cells
    return zlib.crc32(content, zlib.crc32(json.dumps(key).encode()))
