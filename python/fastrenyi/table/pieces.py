"""What is made of one minibatch after another, in memory and, given a path, in a file of SQLite: whole pieces alone."""

from __future__ import annotations

import io
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

import numpy as np

from fastrenyi._errors import StoreError
from fastrenyi.table.database import naming
from fastrenyi.table.store import agree
from fastrenyi.table.writer import writer

if TYPE_CHECKING:
    from fastrenyi._array import Values

__all__ = ["Piece", "Pieces"]

Piece: TypeAlias = "dict[str, Values]"
"""Arrays by name."""

_OURS, _FORMAT = 0x46525052, 1  # application_id and user_version, by which SQLite's files are told apart
_WAY_OUT = "restore it from a copy, or name another file"


class Pieces:
    """Pieces in the order of the minibatches they are of, each known by a fingerprint of its minibatch.

    A piece is on the disk before it counts, in a transaction of its own and with a checksum: a run that was ended at
    any moment goes on behind the last whole one. One process writes at a time.
    """

    def __init__(self, path: Path | None, settings: Mapping[str, Any]) -> None:
        """Read what is at the path; StoreError if that is no such file, one with other settings, damaged or in use."""
        self.path = path
        self.pieces: list[Piece] = []
        self.fingerprints: list[str] = []
        self._settings = dict(settings)
        self._writer = None
        if path is None:
            return
        with naming(path, "name another file"):
            if not path.parent.is_dir():
                raise StoreError(f"store: expected a file in an existing folder, got {path}; create {path.parent}")
            if path.exists() and not path.is_file():
                raise StoreError(f"store: expected a file, got {path}, which is none; name another file")
        self._writer = writer(path)
        self._writer.take()
        try:
            self._begin(path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let other processes write."""
        if self._writer is not None:
            self._writer.let_go()

    def append(self, fingerprint: str, piece: Piece) -> None:
        """Keep a piece, on the disk first."""
        if self.path is not None:
            content = _packed(piece)
            row = len(self.pieces), fingerprint, content, _checksum(len(self.pieces), fingerprint, content)
            with naming(self.path, "make room or name another file"), _writing(self.path) as connection:
                connection.execute("INSERT INTO pieces VALUES (?, ?, ?, ?)", row)
        self.fingerprints.append(fingerprint)
        self.pieces.append(piece)

    def _begin(self, path: Path) -> None:
        text = json.dumps(self._settings)
        with naming(path, _WAY_OUT), _writing(path) as connection:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                self._read(path, connection)
                return
            connection.execute(f"PRAGMA application_id={_OURS}")
            connection.execute(f"PRAGMA user_version={_FORMAT}")
            connection.execute("CREATE TABLE settings (settings TEXT, checksum INTEGER)")
            connection.execute(
                "CREATE TABLE pieces (place INTEGER PRIMARY KEY, fingerprint TEXT, content BLOB, checksum INTEGER)"
            )
            connection.execute("INSERT INTO settings VALUES (?, ?)", (text, zlib.crc32(text.encode())))

    def _read(self, path: Path, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA application_id").fetchone()[0] != _OURS:
            raise ValueError("is not a store of representations")
        if (found := connection.execute("PRAGMA user_version").fetchone()[0]) != _FORMAT:
            raise ValueError(f"has the format {found} of another version of fastrenyi; this one reads {_FORMAT}")
        text, checksum = connection.execute("SELECT settings, checksum FROM settings").fetchone()
        if zlib.crc32(text.encode()) != checksum:
            raise ValueError("is damaged (the checksum of its settings)")
        agree(path, json.loads(text), self._settings)
        for place, row in enumerate(connection.execute("SELECT * FROM pieces ORDER BY place")):
            at, fingerprint, content, checksum = row
            if at != place or checksum != _checksum(at, fingerprint, content):
                raise ValueError(f"is damaged (the checksum of minibatch {place})")
            self.fingerprints.append(fingerprint)
            self.pieces.append(_unpacked(content))


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction, all of it or nothing, and on the disk at its end."""
    uri = f"file:{quote(str(path))}?mode=rwc"
    with closing(sqlite3.connect(uri, uri=True, timeout=60.0, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=EXTRA")  # the name of the journal, too, has to be off the disk
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")


def _packed(piece: Piece) -> bytes:
    stream, arrays = io.BytesIO(), dict[str, Any](piece)
    np.savez(stream, **arrays)
    return stream.getvalue()


def _unpacked(content: bytes) -> Piece:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def _checksum(place: int, fingerprint: str, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(f"{place} {fingerprint}".encode()))
