"""Runs that are looked at together: those of one label are seeds of one experiment, those of several are laid over.

Tables of several methods and orders are looked at by one of these at a time: each is a view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fastrenyi.report.run import Run, check_columns
from fastrenyi.table.columns import ORDER

if TYPE_CHECKING:
    import pandas as pd

_KEY = ["method", "alpha", "step", "layer"]

View = tuple[str, float]
"""A method and an order."""


@dataclass(frozen=True)
class Group:
    """The table of one run, or the :func:`pooled` one of several seeds, and what it is called.

    ``pairs`` is what ``Monitor.pairs()`` has kept of it, of several seeds with a column ``run``, counted from 1: the
    maps of one are not those of another, so that there is no mean over them.
    """

    frame: pd.DataFrame
    run: Run = field(default_factory=Run)
    label: str = ""
    seeds: int = 1
    pairs: pd.DataFrame | None = None

    @property
    def views(self) -> list[View]:
        """The methods and orders of the table, methods in the order in which the settings have them."""
        known = list(self.run.settings.get("methods", {}))
        found = self.frame[["method", "alpha"]].drop_duplicates().itertuples(index=False, name=None)
        return sorted(found, key=lambda view: known.index(view[0]) if view[0] in known else len(known))

    def of(self, method: str, alpha: float) -> Group:
        """Return what is of one method and order."""

        def chosen(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[(frame["method"] == method) & (frame["alpha"] == alpha)]

        pairs = None if self.pairs is None else chosen(self.pairs)
        run = self.run.of_method(method) if method in self.run.settings.get("methods", {}) else self.run
        return replace(self, frame=chosen(self.frame), run=run, pairs=pairs)


def views_of(groups: Sequence[Group]) -> dict[View, list[Group]]:
    """Return the groups by method and order; one that has a single one of these is in each view.

    ValueError for tables without rows or with columns missing, and where several have other methods or orders.
    """
    for group in groups:
        check_columns(group.frame)
    several = [group.views for group in groups if len(group.views) > 1]
    if any(set(views) != set(several[0]) for views in several):
        told = "; ".join(", ".join(f"{method!r} of order {alpha:g}" for method, alpha in views) for views in several)
        raise ValueError(
            f"frames: expected tables of the same methods and orders, got {told}; choose by --method and --alpha"
        )
    if not several:
        return {groups[0].views[0]: list(groups)}
    return {view: [group.of(*(view if len(group.views) > 1 else group.views[0])) for group in groups]
            for view in several[0]}  # fmt: skip


def grouped(
    frames: Sequence[pd.DataFrame],
    runs: Sequence[Run],
    labels: Sequence[str],
    pairs: Sequence[pd.DataFrame | None] | None = None,
) -> list[Group]:
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
        kept = [] if pairs is None else [pairs[place] for place in places]
        found.append(Group(frame, runs[places[0]], label, len(places), _side_by_side(kept)))
    return found


def by_run(pairs: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """Return what was kept of pairs by the number of the run, counted from 1."""
    if "run" not in pairs:
        return {1: pairs}
    return {int(run): pairs[pairs["run"] == run] for run in dict.fromkeys(pairs["run"])}


def _side_by_side(kept: Sequence[pd.DataFrame | None]) -> pd.DataFrame | None:
    import pandas as pd

    tables = [one.assign(run=run) for run, one in enumerate(kept, 1) if one is not None]
    return pd.concat(tables, ignore_index=True) if tables else None


def pooled(frames: Sequence[pd.DataFrame], label: str = "") -> pd.DataFrame:
    """Return one table in which each run is a minibatch: its means over its own, with the nulls' deviations of these.

    So whatever is drawn or said with an error has that over seeds. ValueError where runs have other layers, steps,
    methods or orders than the first one.
    """
    import pandas as pd

    tables = []
    for seed, frame in enumerate(frames):
        check_columns(frame)
        ordered = frame.sort_values(["step", "depth", "batch"])
        for name in ("method", "alpha", "step", "layer"):
            if set(ordered[name]) != set(frames[0][name]):
                raise ValueError(
                    f"labels: expected runs of one label to have the same {name}s, but run {seed + 1} of {label!r} has "
                    "others; give it a label of its own"
                )
        numbers = [str(name) for name in ordered.columns if ordered[name].dtype.kind == "f" and name not in _KEY]
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
    return whole.sort_values(ORDER, ignore_index=True)
