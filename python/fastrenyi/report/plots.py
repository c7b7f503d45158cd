"""Figures of a Monitor's table: each function takes the table and returns a matplotlib Figure.

Figures are made without pyplot, so that nothing global is touched and no display is needed. They are as wide as a
column of a journal, `column`, or as two, with text of one size. All values are means over the probe minibatches, bars
and bands one standard deviation. Each raises ValueError for a table without rows or with columns missing; `path` also
writes the figure there, as PNG, SVG or PDF by its name, whole or not at all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from fastrenyi.report.canvas import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    RED,
    SKY,
    SYMBOLS,
    Column,
    canvas,
    crowded,
    dots,
    finish,
    grid,
    legend_of,
    rows,
    say,
)
from fastrenyi.report.chains import differences, inequalities
from fastrenyi.report.findings import at_step, excess, layers, layers_with_maps, trace
from fastrenyi.report.run import Run, check_table

if TYPE_CHECKING:
    import pandas as pd

_CURVES = {
    "mi_input": (BLUE, SYMBOLS["mi_input"]),
    "tradeoff": (ORANGE, "redundancy-synergy trade-off"),
    "nonredundant": (GREEN, "non-redundant information"),
}
_SHARES = {
    "tradeoff_share": (ORANGE, "redundancy-synergy trade-off"),
    "nonredundant_share": (GREEN, "non-redundant information"),
}


def information_plane(
    frame: pd.DataFrame, run: Run | None = None, path: Path | None = None, *, column: Column = "double"
) -> Figure:
    """Draw the excess over the null of I(X;T) to the right and of I(T;Y) upwards, by step, in bits.

    One panel a layer, coloured by step, or, of more than twelve layers or ones with long names, one of all, coloured by
    depth. The grey
    cross is where nothing is shared: two standard deviations of the null to each side. Without a null the informations
    themselves are drawn, and said to be that.
    """
    check_table(frame)
    names = layers(frame)
    compared = not frame["mi_input_null"].isna().all()
    drawn = excess if compared else trace
    found = {name: (drawn(frame, name, "mi_input"), drawn(frame, name, "mi_target")) for name in names}
    words = "above its null (bits)" if compared else "(bits; no null)"
    if crowded(names):
        figure = canvas(column, 0.75 * (3.5 if column == "single" else 7.2) + 0.4)
        axes = [figure.subplots()]
        _joint_plane(axes[0], found, compared)
    else:
        figure, axes = grid(column, len(names), share_x=True)
        _planes(axes, found, compared)
    figure.supxlabel(f"{SYMBOLS['mi_input']} {words}")
    figure.supylabel(f"{SYMBOLS['mi_target']} {words}")
    return finish(figure, path)


def _planes(axes: Sequence[Axes], found: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], compared: bool) -> None:
    steps = sorted({int(step) for known, _ in found.values() for step in known.index})
    norm = SymLogNorm(linthresh=1, vmin=steps[0], vmax=max(steps[-1], steps[0] + 1))
    for panel, (name, (known, labels)) in zip(axes, found.items(), strict=True):
        if compared:
            _cross(panel, known["needed"].max(), labels["needed"].max())
        panel.plot(known["mean"], labels["mean"], color="#bbbbbb", linewidth=0.8, zorder=1)
        shades = colormaps["viridis"](norm(known.index))
        _bars(panel, known, labels, shades)
        panel.scatter(known["mean"], labels["mean"], c=shades, s=16, edgecolors="white", linewidths=0.4, zorder=3)
        panel.set_title(name)
    figure = axes[0].get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(ScalarMappable(norm, "viridis"), ax=list(axes), label="training step", shrink=0.9, aspect=25)
    bar.ax.yaxis.set_major_locator(FixedLocator(_ticks(steps[-1])))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())


def _joint_plane(panel: Axes, found: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], compared: bool) -> None:
    """Draw the way of each layer, and where it ends."""
    norm = Normalize(0, len(found) - 1)
    if compared:
        _cross(panel, *(max(pair[k]["needed"].max() for pair in found.values()) for k in (0, 1)))
    for depth, (known, labels) in enumerate(found.values()):
        shade = colormaps["viridis"](norm(depth))
        panel.plot(known["mean"], labels["mean"], color=shade, linewidth=0.6, alpha=0.5, zorder=1)
        _bars(panel, known.iloc[-1:], labels.iloc[-1:], [shade])
        panel.scatter(
            known["mean"].iloc[-1:], labels["mean"].iloc[-1:], color=shade, s=14, edgecolors="white", linewidths=0.4,
            zorder=3,
        )  # fmt: skip
    names = list(found)
    shown = np.unique(np.linspace(0, len(names) - 1, 9).round().astype(int))
    figure = panel.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(ScalarMappable(norm, "viridis"), ax=panel, shrink=0.9, aspect=25)
    bar.ax.yaxis.set_major_locator(FixedLocator(shown.tolist()))
    bar.ax.set_yticks(shown, [names[place] for place in shown])
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.invert_yaxis()
    panel.set_title("line: training, dot: the last step", loc="left")


def _cross(panel: Axes, across: float, up: float) -> None:
    for reach, span in ((across, panel.axvspan), (up, panel.axhspan)):
        if not math.isnan(reach):
            span(-reach, reach, color=GREY, alpha=0.25, linewidth=0, zorder=0)


def _bars(panel: Axes, known: pd.DataFrame, labels: pd.DataFrame, shades: Any) -> None:
    panel.errorbar(
        known["mean"], labels["mean"], xerr=known["std"], yerr=labels["std"], fmt="none", ecolor=shades,
        elinewidth=0.6, zorder=2,
    )  # fmt: skip


def true_and_shuffled(
    frame: pd.DataFrame, run: Run | None = None, path: Path | None = None, *, column: Column = "double"
) -> Figure:
    """Draw I(X;T) and I(T;Y) of each layer at the first and the last step, beside what they are of shuffled samples."""
    check_table(frame)
    names = layers(frame)
    figure, axes = rows(column, names, 2)
    steps = sorted({int(frame["step"].min()), int(frame["step"].max())})
    for panel, quantity in zip(axes, ("mi_input", "mi_target"), strict=True):
        for step, colour, side in zip(steps, (ORANGE, BLUE), (-0.17, 0.17), strict=False):
            _beside_null(panel, frame, names, quantity, step, colour, side, f"step {step}")
        panel.set_xlim(left=min(0.0, panel.get_xlim()[0]))
        panel.set_xlabel(f"{SYMBOLS[quantity]} (bits)")
    legend_of(figure, axes[0], column, null="shuffled, ± 2 standard deviations")
    return finish(figure, path)


def decomposition(
    frame: pd.DataFrame, run: Run | None = None, path: Path | None = None, *, column: Column = "double"
) -> Figure:
    """Draw I(X;T), trade-off and non-redundant information of each convolutional layer and their nulls, in bits.

    Over the steps, or, of more than twelve layers or ones with long names, at the last one.
    """
    check_table(frame)
    names = layers_with_maps(frame)
    if crowded(names):
        return _at_the_end(frame, names, _CURVES, "bits", column, path, null="with shuffled inputs")

    def draw(panel: Axes, name: str) -> None:
        for quantity, (colour, label) in _CURVES.items():
            null = trace(frame, name, f"{quantity}_null")["mean"]
            panel.plot(null.index, null, color=colour, linestyle="--", linewidth=0.8)
            _curve(panel, trace(frame, name, quantity), colour, label)
        entropy = frame["input_entropy"].mean()
        panel.axhline(entropy, color=GREY, linestyle=":", linewidth=1, label=SYMBOLS["input_entropy"])
        panel.plot([], [], color=GREY, linestyle="--", linewidth=0.8, label="with shuffled inputs")

    return _over_steps(frame, names, run, path, draw, "bits", column)


def shares(
    frame: pd.DataFrame, run: Run | None = None, path: Path | None = None, *, column: Column = "double"
) -> Figure:
    """Draw the same as shares of I(X;{T_1..T_C}), the information of all maps together."""
    check_table(frame)
    names = layers_with_maps(frame)
    if crowded(names):
        return _at_the_end(frame, names, _SHARES, "share", column, path)
    summed = frame.assign(sum=frame["tradeoff_share"] + frame["nonredundant_share"])

    def draw(panel: Axes, name: str) -> None:
        _curve(panel, trace(summed, name, "sum"), GREY, f"sum: mean of {SYMBOLS['share']}")
        for quantity, (colour, label) in _SHARES.items():
            _curve(panel, trace(frame, name, quantity), colour, label)

    return _over_steps(frame, names, run, path, draw, "share", column)


def comparison(frames: Mapping[str, pd.DataFrame], path: Path | None = None, *, column: Column = "double") -> Figure:
    """Draw, of runs by their labels, how far I(X;T) and I(T;Y) of each layer are above their nulls at the last step.

    Bars are one standard deviation, grey bands where nothing is shared. Without a null the informations themselves are
    drawn, and said to be that.
    """
    for frame in frames.values():
        check_table(frame)
    names = list(dict.fromkeys(name for frame in frames.values() for name in layers(frame)))
    figure, axes = rows(column, names, 2)
    compared = all(frame["mi_input_null"].notna().any() for frame in frames.values())
    sides = np.linspace(-0.25, 0.25, len(frames)) if len(frames) > 1 else [0.0]
    gap = "\n" if column == "single" else " "
    looks = itertools.cycle(zip((BLUE, ORANGE, GREEN, RED, PINK, SKY), "osD^vP", strict=True))
    for side, (label, frame), (colour, mark) in zip(sides, frames.items(), looks, strict=False):
        last = int(frame["step"].max())
        for panel, quantity in zip(axes, ("mi_input", "mi_target"), strict=True):
            found = [(excess if compared else trace)(frame, name, quantity).reindex([last]).iloc[0] for name in names]
            places = np.arange(len(names)) + side
            if compared:
                reach = np.array([row["needed"] for row in found])
                panel.barh(places, 2 * reach, 0.3, -reach, color=GREY, alpha=0.25, linewidth=0)
            means, spreads = ([row[part] for row in found] for part in ("mean", "std"))
            dots(panel, means, spreads, places, colour, f"{label}, step {last}", mark)
            panel.axvline(0, color=GREY, linewidth=0.8, zorder=0)
            panel.set_xlabel(f"{SYMBOLS[quantity]}{gap}{'above its null (bits)' if compared else '(bits; no null)'}")
    legend_of(figure, axes[0], column)
    return finish(figure, path)


#: The figures of a report of one run: file name and function.
FIGURES: dict[str, Callable[..., Figure]] = {
    "information_plane": information_plane,
    "true_and_shuffled": true_and_shuffled,
    "decomposition": decomposition,
    "shares": shares,
    "inequalities": inequalities,
    "differences": differences,
}


def _beside_null(
    panel: Axes, frame: pd.DataFrame, names: list[str], quantity: str, step: int, colour: str, side: float, label: str
) -> None:
    """Draw a quantity in the rows of its layers, in the band where it would be of shuffled samples."""
    places = np.arange(len(names)) + side
    if f"{quantity}_null" in frame:
        null = at_step(frame, names, f"{quantity}_null", step)["mean"]
        reach = np.array([excess(frame, name, quantity)["needed"].get(step, math.nan) for name in names])
        panel.barh(places, 2 * reach, 0.3, null - reach, color=colour, alpha=0.25, linewidth=0)
        panel.scatter(null, places, marker="|", color=colour, s=14, linewidths=0.8)
    found = at_step(frame, names, quantity, step)
    dots(panel, found["mean"], found["std"], places, colour, label)


def _at_the_end(
    frame: pd.DataFrame,
    names: list[str],
    quantities: Mapping[str, tuple[str, str]],
    unit: str,
    column: Column,
    path: Path | None,
    null: str | None = None,
) -> Figure:
    last = int(frame["step"].max())
    figure, (panel,) = rows(column, names)
    for quantity, (colour, label) in quantities.items():
        _beside_null(panel, frame, names, quantity, last, colour, 0.0, label)
    panel.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    panel.set_xlabel(f"{unit}, at step {last}")
    legend_of(figure, panel, column, null=null)
    return finish(figure, path)


def _over_steps(
    frame: pd.DataFrame,
    names: list[str],
    run: Run | None,
    path: Path | None,
    draw: Callable[[Axes, str], None],
    unit: str,
    column: Column,
) -> Figure:
    figure, axes = grid(column, max(1, len(names)), below="training step" if names else "")
    if not names:
        say(axes[0], "no layer with two feature maps or more\nwas measured with pairs=True")
        axes[0].yaxis.set_visible(False)
        return finish(figure, path)
    last = int(frame["step"].max())
    epoch = (run or Run()).moments.get("after one epoch")
    for panel, name in zip(axes, names, strict=True):
        draw(panel, name)
        if epoch is not None and epoch < last:
            panel.axvline(epoch, color=GREY, alpha=0.5, linewidth=0.8, zorder=0, label="one epoch")
        maps = int(frame.loc[frame["layer"] == name, "channels"].iloc[0])
        panel.set_title(f"{name}\n{maps} maps", loc="left")
        panel.set_xscale("symlog", linthresh=1, linscale=0.5)
        panel.set_xlim(-0.3, 1.3 * max(last, 1))
        panel.xaxis.set_major_locator(FixedLocator(_ticks(last)))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes[0].set_ylabel(unit)
    legend_of(figure, axes[0], column)
    return finish(figure, path)


def _curve(panel: Axes, table: pd.DataFrame, colour: str, label: str) -> None:
    mean, spread = table["mean"], table["std"]
    panel.fill_between(table.index, mean - spread, mean + spread, color=colour, alpha=0.18, linewidth=0)
    panel.plot(table.index, mean, color=colour, marker="o", markersize=2, linewidth=1, label=label)


def _ticks(last: int) -> list[int]:
    """Return 0 and the powers of ten up to `last`, and `last` itself where it stands clear of them."""
    powers = [10**exponent for exponent in range(len(str(max(1, last))))]
    return [0, *powers, *([last] if last > 2.5 * powers[-1] else [])]
