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
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from fastrenyi.report.findings import TOLERANCE, excess, layers, layers_with_maps, trace
from fastrenyi.report.run import Run, check_table
from fastrenyi.table.files import write_whole
from fastrenyi.table.inequalities import inequalities as links_of

if TYPE_CHECKING:
    import pandas as pd

# Okabe and Ito's colours, told apart by colour-blind readers too.
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#777777"
_CURVES = (
    ("mi_input", _BLUE, "I(X;T)"),
    ("tradeoff", _ORANGE, "redundancy-synergy trade-off"),
    ("nonredundant", _GREEN, "non-redundant information"),
)
_SHARES = (
    ("tradeoff_share", _ORANGE, "redundancy-synergy trade-off"),
    ("nonredundant_share", _GREEN, "non-redundant information"),
)
_CHAINS = {
    "forward": ("mi_input", "forward: the input, layer by layer", "I(X;T), bits"),
    "backward": ("mi_error", "backward: the error, layer by layer", "I(δ_K; δ_i), bits"),
}
_TRUE = {"mi_input": "I(X;T)", "mi_target": "I(T;Y)"}
_PANEL = 3.1  # inches


def information_plane(frame: pd.DataFrame, run: Run | None = None, path: Path | None = None) -> Figure:
    """Draw one panel a layer: the excess over the null of I(X;T) to the right and of I(T;Y) upwards, by step, in bits.

    The grey cross is where nothing is shared: two standard deviations of the null to each side. Without a null the
    informations themselves are drawn, and said to be that.
    """
    check_table(frame)
    names = layers(frame)
    compared = not frame["mi_input_null"].isna().all()
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = _figure(columns, rows, extra=0.9)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    steps = np.sort(frame["step"].unique())
    norm = SymLogNorm(linthresh=1, vmin=steps[0], vmax=max(steps[-1], steps[0] + 1))
    colours = colormaps["viridis"]
    drawn = excess if compared else trace
    for panel, name in zip(axes.flat, names, strict=False):
        known, labels = drawn(frame, name, "mi_input"), drawn(frame, name, "mi_target")
        if compared:
            for rows_of, span in ((known, panel.axvspan), (labels, panel.axhspan)):
                reach = rows_of["needed"].max()
                span(-reach, reach, color=_GREY, alpha=0.25, linewidth=0, zorder=0)
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
        panel.set_title(name)
    for place, panel in enumerate(axes.flat):
        panel.tick_params(labelbottom=place + columns >= len(names))  # the lowest panel of each column
        if place >= len(names):
            panel.remove()
    words = " above its null, bits" if compared else ", bits (no null)"
    figure.supxlabel(f"I(X;T){words}")
    figure.supylabel(f"I(T;Y){words}")
    bar = figure.colorbar(
        ScalarMappable(norm, colours), ax=list(axes.flat)[: len(names)], label="training step", shrink=0.9
    )
    bar.ax.yaxis.set_major_locator(FixedLocator(_ticks(int(steps[-1]))))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    return _finish(figure, path)


def true_and_shuffled(frame: pd.DataFrame, run: Run | None = None, path: Path | None = None) -> Figure:
    """Draw I(X;T) and I(T;Y) of each layer at the first and the last step, beside what they are of shuffled samples."""
    check_table(frame)
    names = layers(frame)
    steps = sorted({int(frame["step"].min()), int(frame["step"].max())})
    figure = _figure(2, 1, extra=1.0, width=1.6)
    axes = figure.subplots(1, 2)
    for panel, (column, title) in zip(axes, _TRUE.items(), strict=True):
        for step, colour, side in zip(steps, (_ORANGE, _BLUE), (-0.1, 0.1), strict=False):
            rows = [frame[(frame["layer"] == name) & (frame["step"] == step)] for name in names]
            places = np.arange(len(names)) + side
            null = np.array([row[f"{column}_null"].mean() for row in rows])
            reach = np.array([excess(frame, name, column)["needed"].get(step, math.nan) for name in names])
            panel.bar(places, 2 * reach, 0.2, null - reach, color=colour, alpha=0.25, linewidth=0)
            panel.scatter(places, null, marker="_", color=colour, s=120, label=f"step {step}, shuffled")
            values = [row[column].mean() for row in rows]
            panel.scatter(places, values, color=colour, s=32, zorder=3, label=f"step {step}, true")
        panel.set_title(title)
        panel.set_xticks(range(len(names)), names, rotation=30 if len(names) > 6 else 0)
        panel.set_ylim(bottom=0)
    axes[0].set_ylabel("bits")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    return _finish(figure, path)


def decomposition(frame: pd.DataFrame, run: Run | None = None, path: Path | None = None) -> Figure:
    """Draw I(X;T), trade-off and non-redundant information of each convolutional layer and their nulls, in bits."""

    def draw(panel: Axes, name: str) -> None:
        for column, colour, label in _CURVES:
            if f"{column}_null" in frame:
                null = trace(frame, name, f"{column}_null")["mean"]
                panel.plot(null.index, null, color=colour, linestyle="--", linewidth=1)
            _curve(panel, trace(frame, name, column), colour, label)
        panel.axhline(frame["input_entropy"].mean(), color=_GREY, linestyle=":", linewidth=1.2, label="S(X)")
        panel.plot([], [], color=_GREY, linestyle="--", linewidth=1, label="with shuffled inputs")

    return _over_steps(frame, run, path, draw, "bits")


def shares(frame: pd.DataFrame, run: Run | None = None, path: Path | None = None) -> Figure:
    """Draw the same as shares of I(X;{T_1..T_C}), the information of all maps together."""

    def draw(panel: Axes, name: str) -> None:
        total = trace(frame.assign(sum=frame["tradeoff_share"] + frame["nonredundant_share"]), name, "sum")
        _curve(panel, total, _GREY, "sum = mean over pairs of I(X;{Ti,Tj}) / I(X;{T_1..T_C})")
        for column, colour, label in _SHARES:
            _curve(panel, trace(frame, name, column), colour, label)

    return _over_steps(frame, run, path, draw, "share")


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
    labels.append("link that goes up by more than two errors, by so many bits")
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    return _finish(figure, path)


def _chain(
    panel: Axes, frame: pd.DataFrame, links: pd.DataFrame, column: str, shade: Sequence[float], label: str
) -> None:
    """Draw one chain at one step: all layers that have a value, and the links between them."""
    if links.empty:
        return
    step = links["step"].iloc[0]
    names = [name for name in layers(frame) if step in trace(frame, name, column)["mean"].dropna().index]
    if links["chain"].iloc[0] == "backward":
        names.reverse()
    means, spreads = zip(*(trace(frame, name, column).loc[step] for name in names), strict=True)
    panel.errorbar(range(len(names)), means, yerr=spreads, fmt="o", color=shade, capsize=2, markersize=5, label=label)
    for link in links.itertuples():
        ends = [names.index(str(link.source)), names.index(str(link.target))]
        heights = [means[end] for end in ends]
        panel.plot(ends, heights, color=shade, linestyle="-" if link.holds else ":")
        if not link.holds:
            panel.annotate(
                f"+{link.violation:.3f}",
                (sum(ends) / 2, sum(heights) / 2),
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
    "true_and_shuffled": true_and_shuffled,
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
        for axis in (panel.xaxis, panel.yaxis):
            axis.get_major_ticks()  # which are made when they are first needed
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if "\\mathdefault" not in text.get_text():  # which the formulas of matplotlib's own ticks begin with
            text.set_parse_math(False)  # a layer's name is none, whatever is in it
    if path is not None:
        write_whole(path, png(figure))
    return figure


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
