"""The table of measurements, and the Parquet file that keeps it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fastrenyi import _check

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "Store", "table"]

COLUMNS = {
    "step": "int64",
    "batch": "int64",
    "layer": "str",
    "depth": "int64",
    "channels": "int64",
    "samples": "int64",
    "activation": "str",
    "input_via": "str",
    "error_via": "str",
    "input_entropy": "float64",
    "target_entropy": "float64",
    "entropy": "float64",
    "saturated": "bool",
    "dead": "bool",
    "permutations": "int64",
    "pair_permutations": "int64",
    **{
        name: "float64"
        for quantity in ("mi_input", "mi_target", "mi_error", "tradeoff", "nonredundant")
        for name in (quantity, f"{quantity}_null", f"{quantity}_null_std")
    },
    "tradeoff_share": "float64",
    "nonredundant_share": "float64",
}
_KEY = b"fastrenyi"  # of the settings in the schema's metadata
_INFORMATIVE = {"version"}  # settings that may change from one run to the next


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a table with the columns and dtypes of `COLUMNS`, sorted."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    return frame.sort_values(["step", "batch", "depth"], ignore_index=True)


class Store:
    """All rows measured under one group of settings, in memory and, given a path, in a Parquet file.

    The file is replaced whole: written beside the old one, brought to the disk, renamed over it. Whoever reads it
    and whenever the process dies, it is either the old table or the new one. One process writes to it at a time.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        """Continue what is at `path`; ValueError if that is no store, or one with other settings."""
        self.path = path
        self.settings = settings
        self.frame = table([])
        if path is None:
            return
        if not path.parent.is_dir():
            _check.value_error("store", "a file in an existing folder", str(path), f"create {path.parent}")
        if path.exists():
            self.frame, kept = _read(path)
            _agree(path, kept, settings)

    def append(self, rows: pd.DataFrame) -> None:
        """Add rows, on the disk first: after a failed write they are nowhere, and can be measured again."""
        import pandas as pd

        frame = pd.concat([self.frame, rows]) if len(self.frame) else rows
        frame = frame.sort_values(["step", "batch", "depth"], ignore_index=True)
        if self.path is not None:
            _write(frame, self.settings, self.path)
        self.frame = frame


def _agree(path: Path, kept: dict[str, Any], settings: dict[str, Any]) -> None:
    names = sorted((kept.keys() | settings.keys()) - _INFORMATIVE)
    different = [
        f"{name} was {kept.get(name)!r} and is {settings.get(name)!r}"
        for name in names
        if kept.get(name) != settings.get(name)
    ]
    if different:
        _check.value_error(
            "store",
            f"the settings that {path} was begun with",
            f"others ({'; '.join(different)})",
            "give the old settings, or another file",
        )


def _read(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def refuse(why: str) -> NoReturn:
        _check.value_error("store", "a table that a Monitor has written", f"{path}, {why}", "name another file")

    if not path.is_file():
        refuse("which is not a file")
    try:
        with pq.ParquetFile(path) as file:
            content = file.read()
    except (pa.ArrowInvalid, OSError) as error:
        refuse(f"which cannot be read as Parquet ({error})")
    metadata = content.schema.metadata or {}
    if _KEY not in metadata:
        refuse("a Parquet file without the settings of a Monitor")
    if content.schema.names != list(COLUMNS):
        refuse(f"with the columns {', '.join(content.schema.names)}")
    frame = content.to_pandas().astype(COLUMNS)
    return frame, json.loads(metadata[_KEY])


def _write(frame: pd.DataFrame, settings: dict[str, Any], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pa.Table.from_pandas(frame, preserve_index=False)
    content = content.replace_schema_metadata({**content.schema.metadata, _KEY: json.dumps(settings)})
    path = path.resolve()  # of a link, replace the file it leads to
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream:
            pq.write_table(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)  # the new name, too, has to be on the disk
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
