"""The two data-processing inequalities as a network trains: which links hold, and by how much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from fastrenyi.demo import measured_steps
from fastrenyi.report import chains
from fastrenyi.study.tables import CONFIG, Study, networks, over_seeds, with_spread
from fastrenyi.table.inequalities import inequalities

__all__ = ["BROKEN", "INEQUALITIES", "links", "summary"]

BROKEN = 1e-3
"""A rise along a chain above so many bits counts as one."""


def links(frame: pd.DataFrame) -> pd.DataFrame:
    """Return each link of both chains of each run at each step, with what it rises by (up) and whether it holds."""
    key = [*CONFIG, "seed"]
    parts = []
    for values, rows in frame.groupby(key, sort=False):
        told = inequalities(rows, BROKEN).merge(rows[["step", "epoch"]].drop_duplicates(), on="step")
        names: dict[str, Any] = dict(zip(key, values, strict=True))
        parts.append(told.assign(**names)[[*key, "epoch", *told.columns.drop("epoch")]])
    return pd.concat(parts, ignore_index=True)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return, for each chain at each step, the shares of links that rise and do not hold, and the worst, over seeds."""
    return _over_seeds(links(frame), [*CONFIG, "chain", "step", "epoch"])


def _over_seeds(found: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    each = found.assign(links=1, up=found["violation"] > BROKEN, broken=~found["holds"]).groupby([*by, "seed"])
    counted = each.agg(links=("links", "sum"), up=("up", "sum"), broken=("broken", "sum"), worst=("violation", "max"))
    return over_seeds(counted.reset_index(), by)


def _shown(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the chains over all moments, and their links at the end of training."""
    found = links(frame)
    by = ["activation_function", "maps", "settings", "chain"]
    counts = found.assign(up=found["violation"] > BROKEN, broken=~found["holds"]).groupby(by, sort=False)
    moments = _over_seeds(found, by)
    every = moments[by].rename(columns={"activation_function": "activation"})
    for name, words in (("up", "up"), ("broken", "up by more than two errors")):
        all_of = counts[name].agg(["sum", "size"]).reset_index()
        merged = moments[by].merge(all_of, on=by)
        every[words] = [f"{up}/{of}" for up, of in zip(merged["sum"], merged["size"], strict=True)]
    every["worst of a seed, bits"] = with_spread(moments, "worst")
    last = found[found["step"] == found["step"].max()]
    end = over_seeds(last[[*by, "source", "target", "seed", "left", "right", "gap"]], [*by, "source", "target"])
    each = end[[*by, "source", "target"]].rename(columns={"activation_function": "activation"})
    for name, words in (("left", "at the source"), ("right", "at the target"), ("gap", "falls by")):
        each[f"{words}, bits"] = with_spread(end, name)
    return {
        f'Chains, over all seeds and moments ("up": by more than {BROKEN:g} bits)': every,
        "Links after training": each,
    }


def _draw(frame: pd.DataFrame, out: Path) -> None:
    for name, table in networks(frame):
        chains.inequalities(table, path=out / f"inequalities-{name}.png")
        chains.differences(table, path=out / f"differences-{name}.png")


INEQUALITIES = Study(
    leaves_out={"pairs": False},
    steps=measured_steps,
    tables=lambda frame: {"summary": summary(frame), "links": links(frame)},
    shown=_shown,
    draw=_draw,
)
