"""Figures of both data-processing chains: the informations of their layers, and what each link loses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fastrenyi.report.canvas import GREY, RED, SYMBOLS, Column, dots, finish, legend_of, rows, say
from fastrenyi.report.findings import TOLERANCE, at_step, layers
from fastrenyi.report.run import Run, check_table
from fastrenyi.table.inequalities import inequalities as links_of

if TYPE_CHECKING:
    import pandas as pd

_CHAINS = {"forward": "mi_input", "backward": "mi_error"}


def inequalities(
    frame: pd.DataFrame,
    run: Run | None = None,
    path: Path | None = None,
    *,
    moments: dict[str, int] | None = None,
    column: Column = "double",
) -> Figure:
    """Draw the informations of both data-processing chains, in bits, at named steps; links that go up are dotted.

    Strokes are what the informations are of shuffled samples.

    `moments` maps what the legend says to a step of the table; by default those of the run, without one the
    first, the middle and the last step. ValueError for a step that was not measured.
    """
    return _chains(frame, run, path, moments, column, differences=False)


def differences(
    frame: pd.DataFrame,
    run: Run | None = None,
    path: Path | None = None,
    *,
    moments: dict[str, int] | None = None,
    column: Column = "double",
) -> Figure:
    """Draw what each link of both chains loses, with two of its errors to each side, in bits, at named steps.

    The difference is taken in each probe minibatch, source less target, and stands in the row of the target; below
    zero the link goes up. A single minibatch has no error. `moments` are those of :func:`inequalities`.
    """
    return _chains(frame, run, path, moments, column, differences=True)


def _chains(
    frame: pd.DataFrame,
    run: Run | None,
    path: Path | None,
    moments: dict[str, int] | None,
    column: Column,
    *,
    differences: bool,
) -> Figure:
    check_table(frame)
    moments = moments or (run or Run()).moments_of(frame)
    absent = [step for step in moments.values() if step not in set(frame["step"])]
    if absent:
        raise ValueError(f"moments: expected measured steps, got {absent[0]}, which is not in the table")
    links = links_of(frame, tolerance=TOLERANCE)
    names = layers(frame)
    figure, axes = rows(column, names, 2)
    shades = colormaps["viridis"](np.linspace(0.0, 0.8, len(moments)))
    sides = np.linspace(-0.25, 0.25, len(moments)) if len(moments) > 1 else [0.0]
    for panel, (chain, quantity) in zip(axes, _CHAINS.items(), strict=True):
        panel.set_title(f"{chain} chain")
        measured = links[links["chain"] == chain]
        if measured.empty:
            say(panel, "not measured")
            continue
        for shade, side, (label, step) in zip(shades, sides, moments.items(), strict=True):
            here = measured[measured["step"] == step]
            if differences:
                places = [names.index(str(target)) + side for target in here["target"]]
                error = 2 * here["gap_error"].fillna(0.0)
                dots(panel, here["gap"], error, places, shade, label)
            else:
                _levels(panel, frame, names, here, quantity, step, shade, label)
        symbol = SYMBOLS[quantity]
        gap = "\n" if column == "single" else " "  # two panels in one column leave no line for all of it
        panel.set_xlabel(f"decrease of{gap}{symbol} (bits)" if differences else f"{symbol} (bits)")
        if differences:
            panel.axvline(0, color=GREY, linewidth=0.8, zorder=0)
        else:
            panel.set_xlim(left=min(0.0, panel.get_xlim()[0]))
    dotted = Line2D([], [], color=RED, linestyle=":", linewidth=1.2)
    drawn = next((panel for panel in axes if panel.get_legend_handles_labels()[1]), axes[0])
    also = {} if differences else {"goes up by more than two errors": dotted}
    shuffled = None if differences or frame[["mi_input_null", "mi_error_null"]].isna().all(axis=None) else "shuffled"
    legend_of(figure, drawn, column, null=shuffled, also=also)
    return finish(figure, path)


def _levels(
    panel: Axes, frame: pd.DataFrame, names: list[str], links: pd.DataFrame, quantity: str, step: int, shade: Any,
    label: str,
) -> None:  # fmt: skip
    """Draw one chain at one step: all layers that have a value, and the links between them."""
    found = at_step(frame, names, quantity, step)
    null = at_step(frame, names, f"{quantity}_null", step)["mean"]
    panel.scatter(null, range(len(names)), marker="|", color=[shade], s=14, linewidths=0.8)
    dots(panel, found["mean"], found["std"], range(len(names)), shade, label)
    for link in links.itertuples():
        ends = [names.index(str(link.source)), names.index(str(link.target))]
        style: dict[str, Any] = (
            {"color": shade, "linewidth": 0.6, "alpha": 0.6}
            if link.holds
            else {"color": RED, "linestyle": ":", "linewidth": 1.2}
        )
        panel.plot(found["mean"].iloc[ends], ends, **style)
