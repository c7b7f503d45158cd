"""Runs that are looked at together: those of one label are seeds of one experiment, those of several are laid over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastrenyi.report.run import Run, check_table

if TYPE_CHECKING:
    import pandas as pd

_KEY = ["step", "layer"]


@dataclass(frozen=True)
class Group:
    """The table of one run, or the :func:`pooled` one of several seeds, and what it is called."""

    frame: pd.DataFrame
    run: Run = field(default_factory=Run)
    label: str = ""
    seeds: int = 1


def grouped(frames: Sequence[pd.DataFrame], runs: Sequence[Run], labels: Sequence[str]) -> list[Group]:
    """Return a group for each label, in the order in which they come; ValueError for runs that are no seeds of one."""
    if len(labels) != len(frames):
        raise ValueError(f"labels: expected one for each table, {len(frames)}, got {len(labels)}")
    found = []
    for label in dict.fromkeys(labels):
        places = [place for place, its in enumerate(labels) if its == label]
        if not label.strip():
            raise ValueError("labels: expected words, got an empty one")
        frame = frames[places[0]]
        if len(places) > 1:
            frame = pooled([frames[place] for place in places], label)
        found.append(Group(frame, runs[places[0]], label, len(places)))
    return found


def pooled(frames: Sequence[pd.DataFrame], label: str = "") -> pd.DataFrame:
    """Return one table in which each run is a minibatch: its means over its own, with the nulls' deviations of these.

    So whatever is drawn or said with an error has that over seeds. ValueError where runs have other layers, steps,
    methods or orders than the first one.
    """
    import pandas as pd

    tables = []
    for seed, frame in enumerate(frames):
        check_table(frame)
        ordered = frame.sort_values(["step", "depth", "batch"])
        for name in ("method", "alpha", "step", "layer"):
            if set(ordered[name]) != set(frames[0][name]):
                raise ValueError(
                    f"labels: expected runs of one label to have the same {name}s, but run {seed + 1} of {label!r} has "
                    "others; give it a label of its own"
                )
        numbers = [str(name) for name in ordered.columns if ordered[name].dtype.kind == "f"]
        by = ordered.groupby(_KEY, sort=False)
        table = by.first()
        table[numbers] = by[numbers].mean()
        for name in numbers:
            if name.endswith("_null_std"):  # of a mean of independent nulls
                squares = (ordered[name] ** 2).groupby([ordered[key] for key in _KEY], sort=False)
                table[name] = squares.sum(min_count=1) ** 0.5 / squares.count()
        for name in ("saturated", "dead"):
            table[name] = by[name].any()
        table["not_finite"] = by["not_finite"].max()
        table["batch"] = seed
        tables.append(table.reset_index())
    whole = pd.concat(tables, ignore_index=True)[list(frames[0].columns)]
    return whole.sort_values(["step", "batch", "depth"], ignore_index=True)
