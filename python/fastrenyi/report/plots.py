"""Figures of a Monitor's table: each function takes the table and returns a matplotlib Figure.

Figures are made without pyplot, so that nothing global is touched and no display is needed. All values are
means over the probe minibatches, bars and bands one standard deviation. Each raises ValueError for a table
without rows or with columns missing; `path` also writes the figure there, as PNG, whole or not at all.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from fastrenyi.report.findings import TOLERANCE, layers, layers_with_maps, trace
from fastrenyi.report.run import Run, check_table, write_whole
from fastrenyi.table.inequalities import inequalities as links_of

if TYPE_CHECKING:
    import pandas as pd

# Okabe and Ito's colours, told apart by colour-blind readers too.
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#777777"
_CURVES = (
    ("mi_input", _BLUE, "I(X;T), all maps together"),
    ("tradeoff", _ORANGE, "redundancy-synergy trade-off"),
    ("nonredundant", _GREEN, "non-redundant information"),
)
_SHARES = (
    ("tradeoff_share", _ORANGE, "redundancy-synergy trade-off"),
    ("nonredundant_share", _GREEN, "non-redundant information"),
)
_CHAINS = {
    "forward": ("mi_input", "forward: the input, layer by layer", "I(X;T), bits"),
    "backward": ("mi_error", "backward: the error, layer by layer", r"I($\delta_K$; $\delta_i$), bits"),
}
_PANEL = 3.1  # inches


def information_plane(frame: pd.DataFrame, run: Run | None = None, path: Path | None = None) -> Figure:
    """Draw one panel a layer with I(X;T) to the right and I(T;Y) upwards, a point for each step, in bits."""
    check_table(frame)
    names = layers(frame)
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = _figure(columns, rows, extra=0.9)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    steps = np.sort(frame["step"].unique())
    norm = SymLogNorm(linthresh=1, vmin=steps[0], vmax=max(steps[-1], steps[0] + 1))
    colours = colormaps["viridis"]
    for panel, name in zip(axes.flat, names, strict=False):
        known, labels = trace(frame, name, "mi_input"), trace(frame, name, "mi_target")
        panel.plot(known["mean"], labels["mean"], color="#bbbbbb", linewidth=1, zorder=1)
        shades = colours(norm(known.index))
        panel.errorbar(
            known["mean"],
            labels["mean"],
            xerr=known["std"],
            yerr=labels["std"],
            fmt="none",
            ecolor=shades,
            elinewidth=0.8,
            zorder=2,
        )
        panel.scatter(known["mean"], labels["mean"], c=shades, s=36, edgecolors="white", linewidths=0.6, zorder=3)
        if run is not None and run.input_entropy is not None:
            panel.axvline(run.input_entropy, color=_GREY, linestyle=":", linewidth=1)
        panel.set_title(name)
    for place, panel in enumerate(axes.flat):
        panel.tick_params(labelbottom=place + columns >= len(names))  # the lowest panel of each column
        if place >= len(names):
            panel.remove()
    figure.supxlabel("I(X;T), bits")
    figure.supylabel("I(T;Y), bits")
    bar = figure.colorbar(
        ScalarMappable(norm, colours), ax=list(axes.flat)[: len(names)], label="training step", shrink=0.9
    )
    bar.ax.yaxis.set_major_locator(FixedLocator(_ticks(int(steps[-1]))))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    return _finish(figure, path)


def decomposition(frame: pd.DataFrame, run: Run | None = None, path: Path | None = None) -> Figure:
    """Draw I(X;T), trade-off and non-redundant information of each convolutional layer over steps, in bits."""

    def draw(panel: Axes, name: str) -> None:
        for column, colour, label in _CURVES:
            _curve(panel, trace(frame, name, column), colour, label)
        if run is not None and run.input_entropy is not None:
            panel.axhline(run.input_entropy, color=_GREY, linestyle=":", linewidth=1.2, label="S(X)")

    return _over_steps(frame, run, path, draw, "bits")


def shares(frame: pd.DataFrame, run: Run | None = None, path: Path | None = None) -> Figure:
    """Draw the same as shares of I(X;T)."""

    def draw(panel: Axes, name: str) -> None:
        total = trace(frame.assign(sum=frame["tradeoff_share"] + frame["nonredundant_share"]), name, "sum")
        _curve(panel, total, _GREY, "sum = mean over pairs of I(X;{Ti,Tj}) / I(X;T)")
        for column, colour, label in _SHARES:
            _curve(panel, trace(frame, name, column), colour, label)

    return _over_steps(frame, run, path, draw, "share of I(X;T)")


def inequalities(
    frame: pd.DataFrame,
    run: Run | None = None,
    path: Path | None = None,
    *,
    moments: dict[str, int] | None = None,
) -> Figure:
    """Draw both data-processing chains, in bits, at named steps; links that go up are dotted.

    `moments` maps what the legend says to a step of the table; by default those of the run, without one the
    first, the middle and the last step. ValueError for a step that was not measured.
    """
    check_table(frame)
    moments = moments or (run or Run()).moments_of(frame)
    absent = [step for step in moments.values() if step not in set(frame["step"])]
    if absent:
        raise ValueError(f"moments: expected measured steps, got {absent[0]}, which is not in the table")
    links = links_of(frame, tolerance=TOLERANCE)
    figure = _figure(2, 1, extra=1.0, width=1.6)
    axes = figure.subplots(1, 2)
    shades = colormaps["viridis"](np.linspace(0.0, 0.75, len(moments)))
    for panel, (chain, (column, title, axis)) in zip(axes, _CHAINS.items(), strict=True):
        panel.set_title(title)
        measured = links[links["chain"] == chain]
        if measured.empty:
            _say(panel, "not measured")
            continue
        for shade, (label, step) in zip(shades, moments.items(), strict=True):
            _chain(panel, frame, measured[measured["step"] == step], column, shade, label)
        panel.set_ylabel(axis)
        panel.set_ylim(bottom=min(0.0, panel.get_ylim()[0]))
    handles, labels = next((panel for panel in axes if panel.axison), axes[0]).get_legend_handles_labels()
    handles.append(Line2D([], [], color=_GREY, linestyle=":"))
    labels.append("link that goes up, by so many bits")
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    return _finish(figure, path)


def _chain(
    panel: Axes, frame: pd.DataFrame, links: pd.DataFrame, column: str, shade: Sequence[float], label: str
) -> None:
    """Draw one chain at one step."""
    if links.empty:
        return
    names = [*links["source"], links["target"].iloc[-1]]
    step = links["step"].iloc[0]
    means, spreads = zip(*(trace(frame, name, column).loc[step] for name in names), strict=True)
    panel.errorbar(range(len(names)), means, yerr=spreads, fmt="o", color=shade, capsize=2, markersize=5, label=label)
    for place, (holds, violation) in enumerate(zip(links["holds"], links["violation"], strict=True)):
        ends = means[place : place + 2]
        panel.plot([place, place + 1], ends, color=shade, linestyle="-" if holds else ":")
        if not holds:
            panel.annotate(
                f"+{violation:.3f}",
                (place + 0.5, sum(ends) / 2),
                xytext=(0, 5),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=_RED,
            )
    panel.set_xticks(range(len(names)), names)


#: The figures of a report: file name, function, title, and how to read it.
FIGURES: dict[str, Callable[..., Figure]] = {
    "information_plane": information_plane,
    "decomposition": decomposition,
    "shares": shares,
    "inequalities": inequalities,
}


def _over_steps(
    frame: pd.DataFrame, run: Run | None, path: Path | None, draw: Callable[[Axes, str], None], unit: str
) -> Figure:
    check_table(frame)
    names = layers_with_maps(frame)
    figure = _figure(max(1, len(names)), 1, extra=1.2, width=1.6)
    axes = figure.subplots(1, max(1, len(names)), squeeze=False, sharey=True)[0]
    if not names:
        _say(axes[0], "no layer with two feature maps or more\nwas measured with pairs=True")
        return _finish(figure, path)
    last = int(frame["step"].max())
    epoch = (run or Run()).moments.get("after one epoch")
    for panel, name in zip(axes, names, strict=True):
        draw(panel, name)
        if epoch is not None and epoch < last:
            panel.axvline(epoch, color="#cccccc", linewidth=1, zorder=0)
            panel.annotate(
                "1 epoch",
                (epoch, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color=_GREY,
            )
        maps = int(frame.loc[frame["layer"] == name, "channels"].iloc[0])
        panel.set_title(f"{name}, {maps} maps", loc="left")
        panel.set_xlabel("training step")
        panel.set_xscale("symlog", linthresh=1, linscale=0.5)
        panel.set_xlim(-0.3, 1.3 * max(last, 1))
        panel.xaxis.set_major_locator(FixedLocator(_ticks(last)))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes[0].set_ylabel(unit)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    return _finish(figure, path)


def _curve(panel: Axes, table: pd.DataFrame, colour: str, label: str) -> None:
    mean, spread = table["mean"], table["std"]
    panel.fill_between(table.index, mean - spread, mean + spread, color=colour, alpha=0.18, linewidth=0)
    panel.plot(table.index, mean, color=colour, marker="o", markersize=3.5, linewidth=1.6, label=label)


def _ticks(last: int) -> list[int]:
    """Return 0 and the powers of ten up to `last`, and `last` itself where it stands clear of them."""
    powers = [10**exponent for exponent in range(len(str(max(1, last))))]
    return [0, *powers, *([last] if last > 2.5 * powers[-1] else [])]


def _figure(columns: int, rows: int, extra: float, width: float = 1.0) -> Figure:
    size = (width * _PANEL * columns + extra, _PANEL * rows + 0.4)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _say(panel: Axes, text: str) -> None:
    panel.set_axis_off()
    panel.text(0.5, 0.5, text, ha="center", va="center", color=_GREY, transform=panel.transAxes)


def _finish(figure: Figure, path: Path | None) -> Figure:
    for panel in figure.axes:
        panel.spines[["top", "right"]].set_visible(False)
    if path is not None:
        write_whole(path, png(figure))
    return figure


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
