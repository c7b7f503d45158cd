"""The figures of the page, as plotly.js takes them: plain dicts and lists, made of the tables of one or several runs.

A figure is ``{"data", "layout", "steps", "told"}``. Where it shows one step, ``steps`` has for each step the traces to
draw besides ``data``; otherwise it is empty. ``told`` are the axes on which values stand, for the table under it.
``page.js`` draws them, gives them the colours of the page, and knows the slider and the choices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrenyi.report.canvas import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY
from fastrenyi.report.findings import TOLERANCE, excess, layers, trace
from fastrenyi.report.groups import by_run
from fastrenyi.report.matrices import last_order, measures_of, scale
from fastrenyi.report.matrices import layers_of as layers_of_pairs
from fastrenyi.table.inequalities import inequalities

if TYPE_CHECKING:
    import pandas as pd

    from fastrenyi.report.groups import Group

Figure = dict[str, Any]

#: Of the runs that are laid over: Okabe and Ito's colours, and marks for who sees none.
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY)
MARKS = ("circle", "square", "diamond", "triangle-up", "x")
_ON_BLACK = {BLUE: "#3d9ae0", SKY: "#a6d8f5"}
_SHADES = 11  # of the colour bar of depth

#: Quantities as plotly's HTML has them.
NAMES = {
    "mi_input": "<i>I</i>(<i>X</i>;<i>T</i>)",
    "mi_target": "<i>I</i>(<i>T</i>;<i>Y</i>)",
    "entropy": "<i>S</i>(<i>T</i>)",
    "tradeoff": "redundancy-synergy trade-off",
    "nonredundant": "non-redundant information",
    "mi_error": "<i>I</i>(δ<sub><i>K</i></sub>; δ<sub><i>i</i></sub>)",
    "tradeoff_share": "share of the trade-off",
    "nonredundant_share": "share of the non-redundant information",
}
#: Of layers with more maps the page has no matrices, which would be most of its size.
MAPS = 128
_ROW = 22  # pixels
_COLOURS = {"viridis": "Viridis", "RdBu_r": "RdBu"}  # plotly's goes from blue to red


def interactive(groups: Sequence[Group]) -> dict[str, Figure]:
    """Return the figures of the page by name."""
    return {
        "plane": _plane(groups) | {"told": "xy"},
        "layers": _over_layers(groups) | {"told": "x"},
        "curves": _curves(groups) | {"told": "y"},
        "pairs": _pairs(groups) | {"told": "z"},
        "chains": _chains(groups, _levels, "{}") | {"told": "x"},
        "differences": _chains(groups, _gaps, "{} lost") | {"told": "x"},
    }


def steps_of(groups: Sequence[Group]) -> list[int]:
    """Return the steps that any of the runs was measured at."""
    return sorted({int(step) for group in groups for step in group.frame["step"]})


def on_black(groups: Sequence[Group]) -> dict[str, str]:
    """Return, for colours of these figures that are lost on black, those to draw in their place there."""
    counts = (len(layers_of(groups)), _SHADES)
    return _ON_BLACK | {_of_depth(k, count): _of_depth(k, count, black=True) for count in counts for k in range(count)}


def layers_of(groups: Sequence[Group]) -> list[str]:
    """Return the layers of all runs, by depth, those of the first one first."""
    return list(dict.fromkeys(name for group in groups for name in layers(group.frame)))


def _plane(groups: Sequence[Group]) -> Figure:
    compared = any(group.frame["mi_input_null"].notna().any() for group in groups)
    drawn = excess if compared else trace
    names = layers_of(groups)
    ways: list[dict[str, Any]] = []
    steps: dict[int, list[Any]] = {step: [] for step in steps_of(groups)}
    reach = [0.0, 0.0]
    for place, group in enumerate(groups):
        colour, mark = _look(place)
        found = {
            name: (drawn(group.frame, name, "mi_input"), drawn(group.frame, name, "mi_target"))
            for name in layers(group.frame)
        }
        way: dict[str, list[Any]] = {"x": [], "y": []}
        for pair in found.values():
            for axis, table in zip("xy", pair, strict=True):
                way[axis] += [*_numbers(table["mean"]), None]
            if compared:
                reach = [max(r, _most(table["needed"])) for r, table in zip(reach, pair, strict=True)]
        ways.append(
            {**way, "mode": "lines", "line": {"color": colour, "width": 1}, "opacity": 0.8, "hoverinfo": "skip",
             "name": f"{group.label} all steps".strip()}
        )  # fmt: skip
        depth = [names.index(name) for name in found]
        marker: dict[str, Any] = {"size": 11, "symbol": mark, "color": colour, "line": {"width": 1, "color": "#ffffff"}}
        if len(groups) == 1:
            scale = [[k / (_SHADES - 1), _of_depth(k, _SHADES)] for k in range(_SHADES)]
            marker |= {"color": depth, "colorscale": scale, "cmin": 0, "cmax": max(1, len(names) - 1),
                       "colorbar": _bar(names)}  # fmt: skip
        for step, traces in steps.items():
            here = [[table.reindex([step]).iloc[0] for table in pair] for pair in found.values()]
            traces.append(
                {
                    "mode": "markers", "marker": marker, "text": [escape(name) for name in found],
                    "x": _numbers(x["mean"] for x, _ in here), "y": _numbers(y["mean"] for _, y in here),
                    "error_x": _bars((x["std"] for x, _ in here), colour),
                    "error_y": _bars((y["std"] for _, y in here), colour),
                    "name": escape(group.label) or "layers", "showlegend": len(groups) > 1,
                    "hovertemplate": f"<b>%{{text}}</b> {escape(group.label)}<br>{NAMES['mi_input']} %{{x:.3f}} ± "
                    f"%{{error_x.array:.3f}}<br>{NAMES['mi_target']} %{{y:.3f}} ± %{{error_y.array:.3f}} bits"
                    "<extra></extra>",
                }
            )  # fmt: skip
    words = " above its null (bits)" if compared else " (bits; no null was measured)"
    layout = _layout(480)
    drawn_ones = [*ways, *(one for traces in steps.values() for one in traces)]
    layout["xaxis"] = {"title": {"text": NAMES["mi_input"] + words}, **_range(drawn_ones, "x")}
    layout["yaxis"] = {"title": {"text": NAMES["mi_target"] + words}, **_range(drawn_ones, "y")}
    layout["shapes"] = [
        {"type": "rect", "layer": "below", "line": {"width": 0}, "fillcolor": GREY, "opacity": 0.25, **sides}
        for r, sides in zip(
            reach,
            ({"x0": -reach[0], "x1": reach[0], "y0": 0, "y1": 1, "yref": "paper"},
             {"y0": -reach[1], "y1": reach[1], "x0": 0, "x1": 1, "xref": "paper"}),
            strict=True,
        )
        if r > 0
    ]  # fmt: skip
    return {"data": ways, "layout": layout, "steps": steps}


def _over_layers(groups: Sequence[Group]) -> Figure:
    names = layers_of(groups)
    steps: dict[int, list[Any]] = {step: [] for step in steps_of(groups)}
    for place, group in enumerate(groups):
        colour, mark = _look(place)
        side = _side(place, len(groups))
        for axis, quantity in (("", "mi_input"), ("2", "mi_target")):
            found = {name: trace(group.frame, name, quantity) for name in layers(group.frame)}
            nulls = {name: trace(group.frame, name, f"{quantity}_null")["mean"] for name in found}
            needed = {name: excess(group.frame, name, quantity)["needed"] for name in found}
            heights = [names.index(name) + side for name in found]
            for step, traces in steps.items():
                band = {"array": _numbers(needed[name].get(step) for name in found), "thickness": 7, "width": 0,
                        "color": _faint(colour)}  # fmt: skip
                said = {"y": heights, "xaxis": f"x{axis}", "text": [escape(name) for name in found], "mode": "markers",
                        "legendgroup": group.label}  # fmt: skip
                label = f"{escape(group.label)} " if group.label else ""
                traces.append(
                    {**said, "x": _numbers(nulls[name].get(step) for name in found), "error_x": band,
                     "marker": {"symbol": "line-ns", "size": 9, "line": {"width": 2, "color": colour}},
                     "showlegend": not axis, "name": f"{label}shuffled, ± 2 sd",
                     "hovertemplate": f"<b>%{{text}}</b> {label}shuffled %{{x:.3f}} bits<extra></extra>"}
                )  # fmt: skip
                here = [found[name].reindex([step]).iloc[0] for name in found]
                traces.append(
                    {**said, "x": _numbers(row["mean"] for row in here), "showlegend": not axis,
                     "error_x": _bars((row["std"] for row in here), colour), "name": f"{label}true",
                     "marker": {"symbol": mark, "size": 8, "color": colour},
                     "hovertemplate": _told(label)}
                )  # fmt: skip
    return {"data": [], "layout": _two(names, ("mi_input", "mi_target"), steps, "{}"), "steps": steps}


def _curves(groups: Sequence[Group]) -> Figure:
    """Every layer's curve of every quantity, its band and its null, of which the page shows those that are asked for.

    Where runs are laid over, a colour is a run; otherwise a layer.
    """
    traces: list[dict[str, Any]] = []
    names = layers_of(groups)
    for place, group in enumerate(groups):
        for name in layers(group.frame):
            colour = _look(place)[0] if len(groups) > 1 else _of_depth(names.index(name), len(names))
            label = " ".join(filter(None, [escape(name), escape(group.label)]))
            for quantity in NAMES:
                table = trace(group.frame, name, quantity).dropna(subset=["mean"])
                if table.empty:
                    continue
                steps, low, high = list(table.index), table["mean"] - table["std"], table["mean"] + table["std"]
                said = {"meta": {"quantity": quantity, "layer": name}, "legendgroup": label, "name": label}
                sampled = _of_sample(group.frame, name, quantity).reindex(table.index)
                traces.append(
                    {**said, "x": [*steps, *steps[::-1]], "y": [*_numbers(high), *_numbers(low)[::-1]],
                     "fill": "toself", "fillcolor": _faint(colour, 0.2), "line": {"width": 0}, "mode": "lines",
                     "hoverinfo": "skip", "showlegend": False}
                )  # fmt: skip
                traces.append(
                    {**said, "x": steps, "y": _numbers(table["mean"]), "customdata": _numbers(table["std"]),
                     "text": list(sampled), "mode": "lines+markers", "marker": {"size": 5},
                     "line": {"color": colour, "width": 2},
                     "hovertemplate": f"<b>{label}</b> step %{{x}}: %{{y:.3f}} ± %{{customdata:.3f}}%{{text}}"
                     "<extra></extra>"}
                )  # fmt: skip
                if f"{quantity}_null" in group.frame:
                    null = trace(group.frame, name, f"{quantity}_null")["mean"].dropna()
                    said |= {"meta": {"quantity": quantity, "layer": name}, "name": f"{label} shuffled"}
                    traces.append(
                        {**said, "x": list(null.index), "y": _numbers(null), "mode": "lines", "showlegend": False,
                         "line": {"color": colour, "width": 1.5, "dash": "dash"},
                         "hovertemplate": f"<b>{label}</b> shuffled, step %{{x}}: %{{y:.3f}}<extra></extra>"}
                    )  # fmt: skip
    layout = _layout(460)
    layout["xaxis"] = {"title": {"text": "training step"}}
    layout["yaxis"] = {"title": {"text": ""}}
    layout["legend"] = {"orientation": "v"}  # at the side, where it scrolls if it is long
    layout["margin"]["b"] = 60
    return {"data": traces, "layout": layout, "steps": {}}


def _pairs(groups: Sequence[Group]) -> Figure:
    """A heat map of each layer, run, moment and measure, of which the page shows one; its maps stand in one order."""
    traces: list[dict[str, Any]] = []
    for group in groups:
        kept = {} if group.pairs is None else by_run(group.pairs)
        moments = {step: name for name, step in group.run.moments_of(group.frame).items()}
        for run, its in kept.items():
            rows = group.frame if group.seeds == 1 else group.frame[group.frame["batch"] == run - 1]
            for layer in layers_of_pairs(its):
                if len(its.loc[its["layer"] == layer, "pairwise"].iloc[0]) > MAPS:
                    continue
                order = last_order(its, layer)
                names = [str(place) for place in order]
                for step in sorted(moments.keys() & set(its.loc[its["layer"] == layer, "step"])):
                    for measure, matrix in measures_of(its, layer, step).items():
                        look = scale([matrix])
                        traces.append(
                            {"type": "heatmap", "x": names, "y": names, "zmin": look["low"], "zmax": look["high"],
                             "z": [_numbers(row) for row in matrix[np.ix_(order, order)]],
                             "colorscale": _COLOURS[look["colours"]], "colorbar": {"thickness": 14, "outlinewidth": 0},
                             "meta": {"measure": measure, "layer": f"{layer} {group.label}".strip(),
                                      "moment": moments[step], "run": str(run)},
                             "name": _mean_of_pairs(rows, layer, measure, step),
                             "hovertemplate": f"<b>{escape(layer)}</b> maps %{{y}} and %{{x}}: %{{z:.3f}} bits"
                             "<extra></extra>"}
                        )  # fmt: skip
    layout = _layout(540)
    layout["margin"] |= {"t": 60, "b": 60}  # the title stands under the buttons
    layout["title"] = {"text": "", "x": 0, "xref": "paper", "y": 1, "yref": "paper", "yanchor": "bottom",
                       "pad": {"b": 6}, "font": {"size": 13}}  # fmt: skip
    layout["xaxis"] = {"type": "category", "title": {"text": "feature map"}, "constrain": "domain", "showgrid": False}
    layout["yaxis"] = {"type": "category", "title": {"text": "feature map"}, "autorange": "reversed",
                       "scaleanchor": "x", "constrain": "domain", "showgrid": False}  # fmt: skip
    return {"data": traces, "layout": layout, "steps": {}}


def _mean_of_pairs(frame: pd.DataFrame, layer: str, measure: str, step: int) -> str:
    """Say what all pairs of a layer have on average, and with shuffled inputs, which is not known of each."""
    true, null = (trace(frame, layer, name)["mean"].get(step) for name in (measure, f"{measure}_null"))
    if true is None or not math.isfinite(true):
        return ""
    shuffled = "" if null is None or not math.isfinite(null) else f", with shuffled inputs {null:.3f}"
    return f"all pairs: mean {true:.3f}{shuffled} bits"


def _of_sample(frame: pd.DataFrame, layer: str, quantity: str) -> pd.Series[Any]:
    """Return, for each step, what is to be said where pairs of maps were sampled: the standard error of that."""
    column = f"{quantity}_standard_error"
    if column not in frame:
        return trace(frame, layer, quantity)["mean"].map(lambda _: "")
    errors = trace(frame, layer, column)["mean"]
    return errors.map(lambda error: f", ± {error:.3f} as a sample of pairs" if error > 0 else "")


def _chains(groups: Sequence[Group], draw: Callable[..., list[dict[str, Any]]], words: str) -> Figure:
    names = layers_of(groups)
    steps: dict[int, list[Any]] = {step: [] for step in steps_of(groups)}
    for place, group in enumerate(groups):
        links = inequalities(group.frame, tolerance=TOLERANCE)
        for axis, chain, quantity in (("", "forward", "mi_input"), ("2", "backward", "mi_error")):
            for step, traces in steps.items():
                here = links[(links["chain"] == chain) & (links["step"] == step)]
                rows = group.frame[group.frame["step"] == step]
                said = {"xaxis": f"x{axis}", "showlegend": False, "legendgroup": group.label}
                traces += [said | one for one in draw(here, rows, names, quantity, place, len(groups), group.label)]
    layout = _two(names, ("mi_input", "mi_error"), steps, words)
    layout["margin"]["t"] = 60  # the names of the chains stand under the buttons
    layout["annotations"] = [
        {"text": f"{chain} chain", "xref": f"x{axis} domain", "x": 0, "xanchor": "left", "yref": "paper", "y": 1,
         "yanchor": "bottom", "showarrow": False}
        for axis, chain in (("", "forward"), ("2", "backward"))
    ]  # fmt: skip
    return {"data": [], "layout": layout, "steps": steps}


def _levels(
    links: pd.DataFrame, rows: pd.DataFrame, names: list[str], quantity: str, place: int, of: int, label: str
) -> list[dict[str, Any]]:
    """The value of each layer beside its null, and the links between them, red and dotted where they go up."""
    colour, mark = _look(place)
    side = _side(place, of)
    layer_by_layer = rows.dropna(subset=[quantity]).groupby("layer", sort=False)
    found = layer_by_layer[quantity].agg(["mean", "std"])
    heights = [names.index(str(name)) + side for name in found.index]
    said = {"mode": "markers", "y": heights, "text": [escape(str(name)) for name in found.index]}
    lines: dict[bool, dict[str, list[Any]]] = {True: {"x": [], "y": []}, False: {"x": [], "y": []}}
    for link in links.itertuples():
        ends = [str(link.source), str(link.target)]
        lines[bool(link.holds)]["x"] += [*_numbers(found["mean"][end] for end in ends), None]
        lines[bool(link.holds)]["y"] += [*(names.index(end) + side for end in ends), None]
    return [
        {**lines[True], "mode": "lines", "line": {"color": colour, "width": 1}, "hoverinfo": "skip"},
        {**lines[False], "mode": "lines", "line": {"color": RED, "width": 2.5, "dash": "dot"}, "hoverinfo": "skip",
         "name": "goes up by more than two errors", "showlegend": quantity == "mi_input" and place == 0},
        {**said, "x": _numbers(layer_by_layer[f"{quantity}_null"].mean()),
         "marker": {"symbol": "line-ns", "size": 9, "line": {"width": 2, "color": colour}},
         "name": f"{escape(label)} shuffled".strip(), "showlegend": quantity == "mi_input",
         "hovertemplate": f"<b>%{{text}}</b> {escape(label)} shuffled %{{x:.3f}} bits<extra></extra>"},
        {**said, "x": _numbers(found["mean"]), "error_x": _bars(found["std"], colour),
         "marker": {"symbol": mark, "size": 8, "color": colour}, "name": escape(label),
         "showlegend": of > 1 and quantity == "mi_input", "hovertemplate": _told(escape(label))},
    ]  # fmt: skip


def _gaps(
    links: pd.DataFrame, rows: pd.DataFrame, names: list[str], quantity: str, place: int, of: int, label: str
) -> list[dict[str, Any]]:
    """What each link loses, in the row of its target, with two errors to each side."""
    colour, mark = _look(place)
    broken = [not holds for holds in links["holds"]]
    return [
        {"mode": "markers", "x": _numbers(links["gap"]), "error_x": _bars(2 * links["gap_error"], colour),
         "y": [names.index(str(target)) + _side(place, of) for target in links["target"]],
         "marker": {"symbol": mark, "size": 8, "color": [RED if up else colour for up in broken]},
         "text": [escape(f"{a} → {b}") for a, b in zip(links["source"], links["target"], strict=True)],
         "customdata": _numbers(links["gap_error"]), "name": escape(label),
         "showlegend": of > 1 and quantity == "mi_input",
         "hovertemplate": f"<b>%{{text}}</b> {escape(label)}<br>%{{x:.4f}}, error %{{customdata:.4f}} bits"
         "<extra></extra>"},
    ]  # fmt: skip


def _two(names: list[str], quantities: tuple[str, str], steps: dict[int, list[Any]], words: str) -> dict[str, Any]:
    """The layout of two panels in which each layer is a row; the axes do not move with the step."""
    everything = [one for traces in steps.values() for one in traces]
    layout = _layout(max(170, _ROW * len(names)) + 150)
    if not any(one["showlegend"] for one in everything):
        layout["margin"]["b"] = 60
    layout["yaxis"] = {"tickvals": list(range(len(names))), "ticktext": [escape(name) for name in names],
                       "range": [len(names) - 0.4, -0.6], "automargin": True, "zeroline": False}  # fmt: skip
    for axis, quantity, domain in zip(("", "2"), quantities, ([0, 0.48], [0.52, 1]), strict=True):
        drawn = [one for one in everything if one["xaxis"] == f"x{axis}"]
        layout[f"xaxis{axis}"] = {"title": {"text": f"{words.format(NAMES[quantity])} (bits)"}, "domain": domain,
                                  "nticks": 6, **_range(drawn, "x")}  # fmt: skip
    return layout


def _layout(height: int) -> dict[str, Any]:
    return {"height": height, "margin": {"t": 30, "r": 20, "b": 95, "l": 60}, "hovermode": "closest",
            "legend": {"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom"}}  # fmt: skip


def _range(traces: Sequence[dict[str, Any]], axis: str) -> dict[str, Any]:
    """The range that holds zero and all of the traces with their bars; plotly's own where nothing is drawn."""
    ends = [0.0]
    for one in traces:
        bars = one.get(f"error_{axis}", {}).get("array") or [0.0] * len(one[axis])
        for value, bar in zip(one[axis], bars, strict=True):
            if value is not None:
                ends += [value - (bar or 0.0), value + (bar or 0.0)]
    low, high = min(ends), max(ends)
    if low == high:
        return {}
    margin = max(0.06 * (high - low), TOLERANCE)  # what is only rounding is not to fill the figure
    return {"range": [low - margin, high + margin]}


def _bar(names: list[str]) -> dict[str, Any]:
    count = min(9, len(names))
    shown = sorted({round(k * (len(names) - 1) / max(1, count - 1)) for k in range(count)})
    return {
        "tickvals": shown,
        "ticktext": [escape(names[place]) for place in shown],
        "thickness": 14,
        "outlinewidth": 0,
    }


def _of_depth(depth: int, count: int, *, black: bool = False) -> str:
    """Return a layer's colour: of viridis the part that stands out on white, or on black."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return to_hex(colormaps["viridis"]((0.4 if black else 0.0) + 0.6 * depth / max(1, count - 1)))


def _told(label: str) -> str:
    return f"<b>%{{text}}</b> {label}<br>%{{x:.3f}} ± %{{error_x.array:.3f}} bits<extra></extra>"


def _look(place: int) -> tuple[str, str]:
    return COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)]


def _side(place: int, of: int) -> float:
    return 0.0 if of == 1 else 0.5 * place / (of - 1) - 0.25


def _bars(values: Any, colour: str) -> dict[str, Any]:
    return {"array": _numbers(values), "color": colour, "thickness": 1.2, "width": 3}


def _faint(colour: str, alpha: float = 0.45) -> str:
    return f"{colour}{round(255 * alpha):02x}"


def _numbers(values: Any) -> list[float | None]:
    """Return numbers with as many digits as a figure shows; what is none is left out, as plotly does with null."""
    return [None if value is None or not math.isfinite(value) else float(f"{value:.6g}") for value in values]


def _most(values: pd.Series[float]) -> float:
    found = float(values.max())
    return 0.0 if math.isnan(found) else found
