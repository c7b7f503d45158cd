"""The number of maps: how redundancy and synergy of a layer, and what it knows of the label, change with it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from fastrenyi.report import plots
from fastrenyi.study.tables import CONFIG, Study, networks, over_seeds, with_spread

__all__ = ["FILTERS", "summary"]

_SHOWN = {
    "tradeoff_share": "trade-off, share of I(X;{T})",
    "nonredundant_share": "non-redundant, share of I(X;{T})",
    "pair_share": "trade-off, share of a pair's",
    "tradeoff_excess": "trade-off above its null, bits",
    "mi_input_excess": "I(X;T) above its null, bits",
    "mi_target_excess": "I(T;Y) above its null, bits",
}
_BY = [*CONFIG, "step", "epoch", "layer", "depth", "channels"]


def _values(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what is looked at, of the layers that are maps."""
    # A convolution of a single map has no axis less; it has channels all the same, and no pairs.
    maps = frame[frame["channel_dim"] >= 0]
    return maps[[*_BY, "seed", "accuracy", "tradeoff", "nonredundant", "tradeoff_share", "nonredundant_share"]].assign(
        pair_share=maps["tradeoff"] / (maps["tradeoff"] + maps["nonredundant"]),
        **{f"{name}_excess": maps[name] - maps[f"{name}_null"] for name in ("tradeoff", "mi_input", "mi_target")},
    )


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the parts of each layer's information by the number of maps and step, over seeds."""
    return over_seeds(_values(frame), _BY)


def _shown(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the parts at the end of training, a column for each number of maps."""
    values = _values(frame)
    last = values[values["step"] == values["step"].max()]
    rows = []
    for (activation, settings, layer), found in last.groupby(["activation_function", "settings", "layer"], sort=False):
        table = over_seeds(found, _BY).set_index("maps").sort_index()
        for name, title in _SHOWN.items():
            row: dict[str, Any] = {"activation": activation, "settings": settings, "layer": layer, "measure": title}
            row |= {f"{maps} maps": words for maps, words in with_spread(table, name).items()}
            rows.append(row | {"over all": _over_all(found, name)})
    accuracy = over_seeds(last[[*CONFIG, "seed", "accuracy"]], CONFIG)
    told = pd.DataFrame(
        {
            "activation": accuracy["activation_function"],
            "maps": accuracy["maps"],
            "accuracy": with_spread(accuracy, "accuracy"),
        }
    ).drop_duplicates(["activation", "maps"])
    return {"Parts of each layer's information after training": pd.DataFrame(rows), "Accuracy": told}


def _over_all(found: pd.DataFrame, name: str) -> str:
    """Say whether the most maps have more or less than the fewest, seed by seed, by more than two errors."""
    by_seed = found.pivot_table(name, "seed", "maps", sort=True)  # numbers of maps without any value are left out
    if by_seed.shape[1] < 2:
        return "-"
    change = (by_seed.iloc[:, -1] - by_seed.iloc[:, 0]).dropna()
    error = float(change.std() / math.sqrt(len(change))) if len(change) > 1 else math.nan
    if not abs(change.mean()) > 2 * error:
        return "not clear"
    return "grows" if change.mean() > 0 else "falls"


def _draw(frame: pd.DataFrame, out: Path) -> None:
    for (activation, settings), rows in frame.groupby(["activation_function", "settings"], sort=False):
        ordered = rows.sort_values("maps", kind="stable")
        tables = {f"{its['maps'].iloc[0]} maps": its for _, its in ordered.groupby("maps")}
        pooled = {words: table for words, its in tables.items() for _, table in networks(its)}
        plots.comparison(pooled, out / f"maps-{activation}-{settings}.png")


FILTERS = Study(
    leaves_out={"errors": False},
    steps=lambda per_epoch, epochs: sorted({0, per_epoch, per_epoch * epochs}),
    tables=lambda frame: {"summary": summary(frame)},
    shown=_shown,
    draw=_draw,
)
