"""The columns of the table of measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastrenyi import _check

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["COLUMNS", "ORDER", "check_columns", "table"]

COLUMNS = {
    "step": "int64",
    "batch": "int64",
    "layer": "str",
    "part": "str",
    "depth": "int64",
    "method": "str",
    "alpha": "float64",
    "channels": "int64",
    "channel_dim": "int64",
    "samples": "int64",
    "activation": "str",
    "input_via": "str",
    "error_via": "str",
    "bandwidth": "float64",
    "input_entropy": "float64",
    "target_entropy": "float64",
    "entropy": "float64",
    "saturated": "bool",
    "dead": "bool",
    "not_finite": "str",
    "permutations": "int64",
    "pair_permutations": "int64",
    "pairs": "int64",
    **{
        name: "float64"
        for quantity in ("mi_input", "mi_target", "mi_error", "tradeoff", "nonredundant")
        for name in (quantity, f"{quantity}_null", f"{quantity}_null_std")
    },
    "tradeoff_share": "float64",
    "nonredundant_share": "float64",
    "tradeoff_standard_error": "float64",
    "nonredundant_standard_error": "float64",
}
ORDER = ["step", "batch", "depth", "method", "alpha"]
"""What the rows are sorted by, and told apart."""


def table(rows: Sequence[dict[str, Any] | tuple[Any, ...]]) -> pd.DataFrame:
    """The rows as a table with the columns and dtypes of `COLUMNS`, sorted."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    return frame.sort_values(ORDER, ignore_index=True)


def check_columns(frame: object, names: Sequence[str], name: str = "frame") -> None:
    """Refuse what is no table with these columns."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        _check.kind_error(name, "a pandas DataFrame, as Monitor.frame() gives", _check.quoted(frame))
    missing = [column for column in names if column not in frame.columns]
    if missing:
        _check.value_error(
            name, f"the columns {', '.join(names)}", f"none called {', '.join(missing)}", "pass Monitor.frame()"
        )
