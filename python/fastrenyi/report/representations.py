"""A figure of the table of representations: each measure by layer, of one model or of several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fastrenyi.report.canvas import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY, Column, canvas, finish, legend

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LABELS", "representations"]

LABELS = {
    "prompt_entropy": "prompt entropy",
    "prompt_entropy_by_log_n": "prompt entropy over log n",
    "effective_rank": "effective rank",
    "participation_ratio": "participation ratio",
    "curvature": "curvature (radians)",
    "dataset_entropy": "dataset entropy",
    "rank_me": "RankMe",
    "lidar": "LiDAR",
    "dime": "DiME",
    "infonce": "InfoNCE",
    "diff_erank": "Diff-eRank",
}
"""What is drawn, of what there is, and what it is called."""

_COLOURS = (BLUE, ORANGE, GREEN, RED, PINK, SKY)
_STYLES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")


def representations(frame: pd.DataFrame, path: Path | None = None, *, column: Column = "double") -> Figure:
    """Draw measures by layer, with bands of one standard error over prompts: a colour a model, a style an order.

    A column `model` tells models apart.
    """
    named = frame if "model" in frame else frame.assign(model="")
    drawn = [name for name in LABELS if (named["measure"] == name).any()]
    across = 4 if column == "double" else 2
    down = -(-len(drawn) // across)
    figure = canvas(column, 1.45 * down + 0.3)
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    models = list(named["model"].unique())
    orders = [float(order) for order in named["alpha"].dropna().unique()]
    for panel, name in zip(panels, drawn, strict=False):
        rows = named[named["measure"] == name]
        for (model, alpha), line in rows.groupby(["model", "alpha"], sort=False, dropna=False):
            colour = _COLOURS[models.index(model) % len(_COLOURS)]
            style = _STYLES[orders.index(alpha) % len(_STYLES)] if alpha in orders else "-"
            panel.plot(line["depth"], line["value"], style, color=colour, linewidth=1, marker="o", markersize=2)
            error = line["standard_error"].fillna(0)
            panel.fill_between(
                line["depth"], line["value"] - error, line["value"] + error, color=colour, alpha=0.2, linewidth=0
            )
        panel.set_title(LABELS[name])
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        panel.yaxis.set_major_locator(MaxNLocator(4))
    for place, panel in enumerate(panels):
        panel.set_xlabel("layer" if place + across >= len(drawn) else "")
        if place >= len(drawn):
            panel.remove()
    _tell(figure, models, orders, column)
    return finish(figure, path)


def _tell(figure: Figure, models: list[str], orders: list[float], column: Column) -> None:
    """Say which colour is which model, and which style which order, where there are several."""
    lines = {str(model): Line2D([], [], color=_COLOURS[k % len(_COLOURS)]) for k, model in enumerate(models)}
    styles = {
        f"order {order:g}": Line2D([], [], color=GREY, linestyle=_STYLES[k % len(_STYLES)])
        for k, order in enumerate(orders)
    }
    told = {**(lines if len(lines) > 1 else {}), **(styles if len(styles) > 1 else {})}
    if told:
        legend(figure, list(told.values()), list(told), column)
