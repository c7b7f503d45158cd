"""Tables of measurements as files that people read, and files written whole."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastrenyi.table import database
from fastrenyi.table.columns import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "as_parquet", "export", "is_export", "is_parquet", "names_of", "read", "table_of", "temporary_of", "write_whole",
]  # fmt: skip

_SETTINGS, _CHECKSUM = b"fastrenyi", b"fastrenyi.checksum"  # in the schema's metadata
_PARQUET = b"PAR1"


def is_parquet(path: Path) -> bool:
    """Whether a file that is there is one of Parquet."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(_PARQUET)) == _PARQUET


def is_export(path: Path) -> bool:
    """Whether a file is a table for other programs, and no store."""
    return is_parquet(path) or path.suffix == ".csv"


def read(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a store or its export, and its settings, none of a table without; StoreError for other files."""
    import pandas as pd  # noqa: F401 - so that its absence is said, and not that of what is read with it

    with database.naming(path, "restore it from a copy, or name another file"):
        if is_parquet(path):
            return _read_parquet(path)
        if path.suffix == ".csv":
            return _read_csv(path), {}
    frame, settings, *_ = database.read(path)
    return frame, settings


def table_of(path: Path) -> Path:
    """Return the one table of a Monitor that a folder holds, store or export; what is no folder is given back.

    ValueError where there is none, or several: which one is meant, nobody can guess.
    """
    if not path.is_dir():
        return path
    found = sorted(file for file in path.iterdir() if file.is_file() and _holds_table(file))
    if len(found) == 1:
        return found[0]
    if not found:
        raise ValueError(f"frame: expected a store of a Monitor or its export in the folder {path}, got none")
    names = ", ".join(file.name for file in found[:10]) + (", ..." if len(found) > 10 else "")
    raise ValueError(f"frame: expected one table in the folder {path}, got {len(found)}; name one or more of {names}")


def _holds_table(file: Path) -> bool:
    """Whether a file is a Monitor's store, or a table with the columns of one; its rows are not looked at."""
    if is_parquet(file):
        from pyarrow import ArrowException, parquet

        try:
            return set(COLUMNS) <= set(parquet.read_schema(file).names)
        except ArrowException:
            return True  # it says of itself that it is one: reading it says what is wrong
    if file.suffix == ".csv":
        import pandas as pd

        return set(COLUMNS) <= set(pd.read_csv(file, nrows=0).columns)
    return database.is_store(file)


def export(source: Path, target: Path) -> None:
    """Write the table in `source` as the file that the name of `target` says, whole or not at all.

    Parquet or CSV for other programs, SQLite for a Monitor to continue; what a store has of pairs of maps goes to
    another store alone. StoreError for files that are no tables, a name that says none of these, or is there already.
    """
    frame, settings = read(source)
    with database.naming(target, "name another file"):
        if target.exists():
            raise FileExistsError("is there already")
        if target.suffix == ".csv":
            write_whole(target, frame.to_csv(index=False, lineterminator="\n").encode())
        elif target.suffix == ".parquet":
            write_whole(target, as_parquet(frame, settings))
        elif target.suffix == ".db":
            temporary_of(target).unlink(missing_ok=True)  # of a process that was killed
            kept = [] if is_export(source) else database.pairs(source)
            database.append(temporary_of(target), frame, settings, database.EMPTY, 0, kept=kept)
            temporary_of(target).replace(target)
        else:
            raise ValueError("is of no known kind: .parquet, .csv or .db")


def as_parquet(frame: pd.DataFrame, settings: dict[str, Any]) -> bytes:
    """Return the content of a file that `read` gives back: columns beside those of a Monitor are kept."""
    import pyarrow as pa
    from pyarrow import parquet

    content = pa.Table.from_pandas(frame, preserve_index=False)
    ours = {_SETTINGS: json.dumps(settings), _CHECKSUM: database.fingerprint(frame, settings)}
    stream = io.BytesIO()
    parquet.write_table(
        content.replace_schema_metadata({**(content.schema.metadata or {}), **ours}), stream, write_page_checksum=True
    )
    return stream.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a kill at any moment, meets the old or the new one, never a part."""
    temporary = temporary_of(path)
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def temporary_of(path: Path) -> Path:
    """Return the name under which `path` is written before it is complete."""
    return path.with_name(f".{path.name}.part")


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return what tells files apart: their folders' names, else their own, else the whole paths."""
    for names in ([path.absolute().parent.name for path in paths], [path.stem for path in paths]):
        if len(set(names)) == len(paths) and all(names):
            return names
    return [str(path) for path in paths]


def _read_csv(path: Path) -> pd.DataFrame:
    """Each number with all of its digits, and words as they are: a layer may be called "NA", or an activation ""."""
    import pandas as pd

    header = pd.read_csv(path, nrows=0).columns
    known = {name: COLUMNS[name] for name in header if name in COLUMNS}
    return pd.read_csv(
        path,
        dtype={name: dtype for name, dtype in known.items() if dtype != "float64"},
        converters={name: _number for name, dtype in known.items() if dtype == "float64"},
        keep_default_na=False,
        na_values={name: [""] for name in header if name not in known},
    )


def _number(cell: str) -> float:
    return float(cell or "nan")


def _read_parquet(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            content = file.read()
            frame = content.to_pandas(ignore_metadata=True)
            metadata = content.schema.metadata or {}
            settings = json.loads(metadata.get(_SETTINGS, b"{}"))
    except (pa.ArrowException, KeyError, NotImplementedError) as error:
        raise ValueError(f"cannot be read as Parquet ({error})") from None
    if list(frame.columns) != list(COLUMNS):
        return frame, settings  # of another table, or of one that was changed: whoever wants it looks at the columns
    frame = frame.astype(COLUMNS)
    if _CHECKSUM in metadata and metadata[_CHECKSUM] != database.fingerprint(frame, settings):
        raise ValueError("is damaged (the checksum of its rows)")
    return frame, settings
