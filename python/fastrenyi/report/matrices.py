"""What single pairs of feature maps know of the input, map by map: numbers of ``Monitor.pairs``, their order, a figure.

Of I(X;Ti) and I(X;{Ti,Tj}) two things can be told of a pair: redundancy less synergy, and what is not redundant, both
unique parts and twice the synergy. Redundancy and synergy alone cannot.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from fastrenyi.report.canvas import Column, canvas, finish

if TYPE_CHECKING:
    import pandas as pd

    from fastrenyi._array import Values

#: What is drawn of pairs, in words; their means over all pairs are the columns of the table.
MEASURES = {"tradeoff": "redundancy − synergy", "nonredundant": "non-redundant information"}
_TICKS = 12  # maps that are named along an axis
_BETWEEN = 0.06  # inches: Matplotlib 3.10 does not count all of the numbers beside a colour bar
_PANEL = 1.55  # inches: the height of one, with its title and ticks


def layers_of(pairs: pd.DataFrame) -> list[str]:
    """Return the layers of which pairs were kept, in the order of execution."""
    return list(dict.fromkeys(pairs["layer"]))


def measures_of(pairs: pd.DataFrame, layer: str, step: int) -> dict[str, Values]:
    """Return by :data:`MEASURES` the matrix (C, C) of a layer at a step, mean over minibatches, NaN on the diagonal."""
    of_layer = pairs.loc[(pairs["layer"] == layer) & (pairs["step"] == step), "pairwise"]
    both: Values = np.mean(np.stack(list(of_layer)), axis=0)
    alone = both.diagonal()[:, None] + both.diagonal()
    found = {"tradeoff": alone - both, "nonredundant": 2 * both - alone}
    for matrix in found.values():
        np.fill_diagonal(matrix, np.nan)
    return found


def clustered(tradeoff: Values) -> Values:
    """Return the maps in an order in which redundant ones stand together.

    Leaves of average linkage, in the optimal order, where two maps are as far apart as their redundancy less synergy is
    below the largest of the layer.
    """
    apart = np.nanmax(tradeoff) - tradeoff
    np.fill_diagonal(apart, 0.0)
    found: Values = leaves_list(linkage(squareform(apart, checks=False), "average", optimal_ordering=True))
    return found


def last_order(pairs: pd.DataFrame, layer: str) -> Values:
    """Return the order of a layer's maps at the last step of which pairs were kept."""
    steps = pairs.loc[pairs["layer"] == layer, "step"]
    return clustered(measures_of(pairs, layer, int(steps.max()))["tradeoff"])


def pairs_of_maps(
    pairs: pd.DataFrame, path: Path | None = None, *, step: int | None = None, column: Column = "double"
) -> Figure:
    """Draw both :data:`MEASURES` of each layer's pairs of maps as heat maps, in bits, at a step or the last one.

    `pairs` is a table of ``Monitor.pairs()``, of one method and order. Maps stand in the order of :func:`last_order`,
    named by their index; the diagonal is left out. ValueError for a table without rows, or for a step that is not in
    it.
    """
    if pairs.empty:
        raise ValueError("pairs: expected at least one row, got none; make the Monitor with keep_pairs=True")
    for name in ("method", "alpha"):
        if pairs[name].nunique() > 1:
            raise ValueError(f"pairs: expected rows of one {name}, got {pairs[name].nunique()}; give those of one")
    step = int(pairs["step"].max()) if step is None else step
    here = pairs[pairs["step"] == step]
    if here.empty:
        raise ValueError(f"step: expected one of which pairs were kept, got {step}")
    names = layers_of(here)
    layers_across = 2 if column == "double" else 1
    down = -(-len(names) // layers_across)
    figure = canvas(column, _PANEL * down + 0.35)
    figure.set_layout_engine("constrained", w_pad=_BETWEEN)
    axes = figure.subplots(down, 2 * layers_across, squeeze=False)
    for place, name in enumerate(names):
        row, first = divmod(place, layers_across)
        order = last_order(pairs, name)
        for side, (measure, matrix) in enumerate(measures_of(pairs, name, step).items()):
            _heat(figure, axes[row, 2 * first + side], matrix, order, f"{name}\n{MEASURES[measure]}")
    for panel in list(axes.flat)[2 * len(names) :]:
        panel.remove()
    figure.supxlabel(f"feature maps, ordered by clustering; bits, at step {step}")
    return finish(figure, path)


def scale(matrices: list[Values]) -> dict[str, Any]:
    """Return ends and a colour map that all of these share: one that parts at zero where there are both signs."""
    low, high = (
        float(end(matrix)) for end, matrix in ((np.nanmin, np.stack(matrices)), (np.nanmax, np.stack(matrices)))
    )
    if low < 0 < high:
        reach = max(-low, high)
        return {"low": -reach, "high": reach, "colours": "RdBu_r"}
    return {"low": low, "high": high, "colours": "viridis"}


def _heat(figure: Figure, panel: Axes, matrix: Values, order: Values, title: str) -> None:
    known = scale([matrix])
    image = panel.imshow(
        matrix[np.ix_(order, order)], known["colours"], vmin=known["low"], vmax=known["high"], interpolation="none"
    )
    shown = range(0, len(order), -(-len(order) // _TICKS))
    panel.set_yticks(shown, [str(order[place]) for place in shown])
    panel.set_xticks([])  # the same maps
    panel.tick_params(length=0)
    panel.set_title(title, loc="left")
    bar = figure.colorbar(image, cax=panel.inset_axes((1.05, 0, 0.06, 1)))
    bar.locator = MaxNLocator(4)
