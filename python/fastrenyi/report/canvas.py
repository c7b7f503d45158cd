"""What all figures have in common: their size on paper, rows that layers stand on, and the files they become."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from fastrenyi.table.files import write_whole

Column = Literal["single", "double"]
Format = Literal["png", "svg", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)
COLUMNS: tuple[Column, ...] = get_args(Column)

#: Inches: a column of a journal, and a page of two.
WIDTHS: dict[Column, float] = {"single": 3.5, "double": 7.2}
#: Points, of all text in a figure, as journals ask for; figures are printed at their own size.
SIZE = 7.0
#: Up to so many layers, with names of so many letters, have a panel each; others are rows of one.
PANELS, LETTERS = 12, 22

# Okabe and Ito's colours, told apart by colour-blind readers too.
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
PINK, SKY, GREY = "#cc79a7", "#56b4e9", "#777777"

#: Quantities as mathematics.
SYMBOLS = {
    "mi_input": r"$I(X;T)$",
    "mi_target": r"$I(T;Y)$",
    "mi_error": r"$I(\delta_K;\delta_i)$",
    "input_entropy": r"$S(X)$",
    "share": r"$I(X;T_i,T_j)/I(X;T)$",
}

_ROW = 0.145  # inches: a line of text and what keeps it from the next


def canvas(column: Column, height: float) -> Figure:
    """Return an empty figure as wide as a column of a journal; ValueError for a column that is none."""
    if column not in WIDTHS:
        raise ValueError(f"column: expected {' or '.join(map(repr, COLUMNS))}, got {column!r}")
    figure = Figure(figsize=(WIDTHS[column], height), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def crowded(names: Sequence[str]) -> bool:
    """Whether layers are too many, or their names too long, for a panel each."""
    return len(names) > PANELS or any(len(name) > LETTERS for name in names)


def grid(column: Column, count: int, share_x: bool = False, below: str = "") -> tuple[Figure, list[Axes]]:
    """Return a figure of `count` panels of one size, two or four in a row; `below` is said under the lowest ones."""
    across = min(count, 4 if column == "double" else 2)
    down = -(-count // across)
    figure = canvas(column, 1.25 * down + 0.7)
    axes = figure.subplots(down, across, squeeze=False, sharex=share_x, sharey=True)
    panels = list(axes.flat)
    for place, panel in enumerate(panels):
        lowest = place + across >= count  # of its column
        panel.tick_params(labelbottom=lowest)
        panel.set_xlabel(below if lowest else "")
        if place >= count:
            panel.remove()
    for axis in (panels[0].xaxis, panels[0].yaxis):  # shared: it is to look at a panel that stays
        axis.set_major_locator(MaxNLocator(4 if column == "double" else 3))
    return figure, panels[:count]


def rows(column: Column, names: Sequence[str], panels: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels side by side in which each layer is a row, the first on top, whatever their number."""
    figure = canvas(column, max(1.2, _ROW * len(names)) + 0.6)
    axes = list(figure.subplots(1, panels, squeeze=False, sharey=True)[0])
    axes[0].set_yticks(range(len(names)), list(names))
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    for panel in axes:
        panel.xaxis.set_major_locator(MaxNLocator(5 if column == "double" else 3))
        panel.tick_params(axis="y", length=0)
        panel.set_axisbelow(True)
        panel.grid(axis="y", color=GREY, alpha=0.15, linewidth=0.5)
    return figure, axes


def say(panel: Axes, text: str) -> None:
    """Write what there is instead of a drawing; the panel's other texts stay."""
    panel.xaxis.set_visible(False)
    panel.spines[:].set_visible(False)
    panel.text(0.5, 0.5, text, ha="center", va="center", color=GREY, transform=panel.transAxes)


def legend(figure: Figure, handles: Sequence[Artist], labels: Sequence[str], column: Column) -> None:
    """Put the legend below all panels, which keep their height, in as many lines as its words need."""
    letters = [len(re.sub(r"\\[a-z]+|[{}$]", "", label)) for label in labels]
    wide = max(letters, default=1) + 7  # and what shows the colour
    across = max(1, min(len(labels), int(WIDTHS[column] / 0.058 / wide)))
    figure.set_figheight(figure.get_figheight() + _ROW * -(-len(labels) // across))
    figure.legend(
        handles, labels, loc="outside lower center", ncols=across, frameon=False, fontsize=SIZE, columnspacing=1.2
    )


def dots(panel: Axes, means: Any, errors: Any, places: Any, colour: Any, label: str, mark: str = "o") -> None:
    """Draw values in their rows, with their errors to each side."""
    panel.errorbar(means, places, xerr=errors, fmt=mark, color=colour, markersize=3, elinewidth=0.8, label=label)


def legend_of(
    figure: Figure, panel: Axes, column: Column, *, null: str | None = None, also: Mapping[str, Line2D] | None = None
) -> None:
    """Put a panel's legend below all panels, with lines of what it does not name: a band of nulls, and others."""
    handles, labels = panel.get_legend_handles_labels()
    more = dict(also or {})
    if null is not None:
        more[null] = Line2D([], [], color=GREY, marker="|", linestyle="-", linewidth=4, alpha=0.5)
    legend(figure, [*handles, *more.values()], [*labels, *more], column)


def finish(figure: Figure, path: Path | None) -> Figure:
    """Give all text its size, take names of layers as text, and write the figure where there is a path."""
    for panel in figure.axes:
        panel.spines[["top", "right"]].set_visible(False)
        for axis in (panel.xaxis, panel.yaxis):
            axis.get_major_ticks()  # which are made when they are first needed
            axis.get_offset_text()
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_fontsize(SIZE)
        ours = any(symbol in text.get_text() for symbol in SYMBOLS.values())
        if not ours and "\\mathdefault" not in text.get_text():  # which matplotlib's own formulas begin with
            text.set_parse_math(False)  # a layer's name is none, whatever is in it
    if path is not None:
        write_whole(path, content(figure, _format_of(path)))
    return figure


def content(figure: Figure, kind: Format) -> bytes:
    """Return a figure as the bytes of a file; text in a PDF stays text, in fonts that journals take."""
    buffer = io.BytesIO()
    undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]  # the same bytes each time
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "fastrenyi"}):
        figure.savefig(buffer, format=kind, metadata=undated)
    return buffer.getvalue()


def _format_of(path: Path) -> Format:
    for kind in FORMATS:
        if path.suffix == f".{kind}":
            return kind
    raise ValueError(f"path: expected a name that ends in {', '.join(f'.{kind}' for kind in FORMATS)}, got {path}")
