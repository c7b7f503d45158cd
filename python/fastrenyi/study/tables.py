"""What a study is, and what its tables have in common: means and spreads over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fastrenyi.report.groups import pooled
from fastrenyi.table.columns import COLUMNS

__all__ = ["CONFIG", "Study", "networks", "over_seeds", "with_spread"]

CONFIG = ["data", "net", "activation_function", "maps", "settings"]
"""The columns that say what a run is, beside its seed."""


@dataclass(frozen=True)
class Study:
    """What is measured, when, and what is made of it.

    `leaves_out` are the arguments of a Monitor for what the study does not need. `steps` says when to measure, of the
    steps in an epoch and the epochs. `tables` are written, `shown` is printed, `draw` writes figures into a folder.
    """

    leaves_out: Mapping[str, Any]
    steps: Callable[[int, int], list[int]]
    tables: Callable[[pd.DataFrame], dict[str, pd.DataFrame]]
    shown: Callable[[pd.DataFrame], dict[str, pd.DataFrame]]
    draw: Callable[[pd.DataFrame, Path], None]


def over_seeds(values: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return, by the columns `by`, how many seeds there are and of each other column mean and deviation over them.

    What a seed has several rows of, as of minibatches, is averaged first.
    """
    names = [name for name in values if name not in (*by, "seed")]
    seeds = values.groupby([*by, "seed"], sort=False)[names].mean().groupby(list(by), sort=False)
    mean, spread = seeds.mean(), seeds.std()
    parts = {"seeds": seeds.size()}
    for name in names:
        parts |= {str(name): mean[name], f"{name}_std": spread[name]}
    return pd.DataFrame(parts).reset_index()


def with_spread(table: pd.DataFrame, name: str) -> pd.Series[str]:
    """Return a column of `over_seeds` as words: mean ± spread, the mean alone of one seed, a dash of none."""

    def words(mean: float, spread: float) -> str:
        if pd.isna(mean):
            return "-"
        return f"{mean:.3f}" if pd.isna(spread) else f"{mean:.3f} ± {spread:.3f}"

    return pd.Series(map(words, table[name], table[f"{name}_std"]), index=table.index, dtype=object)


def networks(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Give each network's name and its table, in which the seeds are minibatches, as a report pools them."""
    for key, rows in frame.groupby(CONFIG, sort=False):
        _, net, activation, maps, settings = key
        seeds = [its[list(COLUMNS)] for _, its in rows.groupby("seed", sort=False)]
        yield f"{net}-{activation}-{maps}-maps-{settings}", pooled(seeds) if len(seeds) > 1 else seeds[0]
