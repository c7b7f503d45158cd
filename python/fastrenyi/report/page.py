"""One self-contained HTML page of one or several runs: findings, figures that move, the last measurement, methods."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plotly.offline import get_plotlyjs

from fastrenyi.report.canvas import COLUMNS, FORMATS, Column, Format, content
from fastrenyi.report.findings import SYMBOLS, Finding, excess, findings, layers, layers_with_maps, trace
from fastrenyi.report.groups import Group, View, by_run, views_of
from fastrenyi.report.interactive import MAPS, NAMES, Figure, interactive, layers_of, on_black, steps_of
from fastrenyi.report.matrices import MEASURES, pairs_of_maps
from fastrenyi.report.methods import ERRORS, methods
from fastrenyi.report.plots import FIGURES, comparison
from fastrenyi.report.run import Run, versions
from fastrenyi.table.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

#: The page's file name, that of the figure of pairs where these are kept, and the page's title.
PAGE = "report.html"
PAIRS = "pairs_of_maps"
TITLE = "What the layers of a network know"

# Findings that are read at once; of more, those that are about all layers, which come first, are.
_AT_ONCE, _ABOUT_ALL = 12, 5
_NAMED = 6  # layers that are named of those without matrices

_HERE = Path(__file__).parent

# Of each figure: title, what a reader who does not see it is told, and how to read it.
_FIGURES = {
    "plane": (
        "The information plane, above the null",
        "Scatter plot of I(T;Y) against I(X;T), a point for each layer at the step of the slider.",
        "A point is a layer at the step of the slider: to the right, how far I(X;T) is above what it is where inputs "
        "are shuffled against the layer's outputs; upwards, how far I(T;Y) is above what it is with shuffled labels. "
        "Thin lines are the whole training. Bars are one standard deviation; in the grey cross, two standard "
        "deviations of the null to each side, nothing is shown.",
    ),
    "layers": (
        "True against shuffled",
        "Two dot plots over the layers: true and shuffled information at the step of the slider.",
        "Dots are the informations as measured, with one standard deviation; strokes the same with the samples of one "
        "side shuffled, in a band of two standard deviations of the mean. A dot within its band shows nothing, however "
        "high it stands.",
    ),
    "curves": (
        "Over training",
        "Curves over training steps of the chosen quantity, for all layers or one.",
        "The quantity chosen above, with a band of one standard deviation and, dashed, the same with shuffled "
        "samples. Of more than eight curves the bands are left out: choose a layer. S(T) is a layer's entropy. "
        "Trade-off is the mean, over pairs of maps, of redundancy minus synergy; non-redundant are both unique parts "
        "and twice the synergy. Of wide layers the pairs are a sample, the same one throughout. Shares contain the "
        "null.",
    ),
    "pairs": (
        "Map by map",
        "Heat map over pairs of feature maps of the chosen layer: the chosen measure of what two know of the input.",
        "Each cell is a pair of feature maps of the chosen layer. Redundancy − synergy is I(X;Ti) + I(X;Tj) − "
        "I(X;{Ti,Tj}): what both maps tell of the input, less what only the two together do. Non-redundant information "
        "is 2 I(X;{Ti,Tj}) − I(X;Ti) − I(X;Tj): what either tells alone, and twice what only the two together do. "
        "Redundancy and synergy apart cannot be known from these informations. In bits, mean over the probe "
        "minibatches. Above the matrix stands the mean over its pairs, and what it is with shuffled inputs; of single "
        "pairs no null is measured, so that of a cell it is not known how much of it shuffled inputs would give too, "
        "nor of two cells whether chance alone makes them differ. Maps are ordered by average linkage, where two are "
        "as far apart as their redundancy − synergy at the last step is below the layer's largest, and the leaves of "
        "the tree stand in the optimal order. Colours span the matrix that is shown; they part at zero where there are "
        "both signs. Each seed is a run with maps of its own, which are not averaged.",
    ),
    "chains": (
        "The two data-processing chains",
        "Two dot plots over the layers: the informations of the forward and of the backward chain, joined by links.",
        "Left, the forward chain: a layer cannot know more about the input than one through which all that it gets "
        "has come. Right, the backward chain: δi is the gradient of the loss with respect to layer i, δK that of the "
        "last layer, of which those before it hold less and less. A line joins two layers where that must hold, and "
        "is dotted and red where it goes up by more than two errors of the difference. Strokes are the same with "
        "shuffled samples: a chain that these keep as well says nothing of the data. The estimator guarantees "
        "neither chain, and the backward one is a theorem in linear networks alone.",
    ),
    "differences": (
        "What each link of the chains loses",
        "Two dot plots over the layers: the paired difference of each link of both chains with its error.",
        "The difference of the two informations of a link, taken within each minibatch and then averaged, in the row "
        "of the layer that the link leads to. Bars are two standard errors to each side; left of zero the link goes "
        "up, red where by more than these. A bar across zero leaves open whether it does; a single minibatch has no "
        "error.",
    ),
}

# Quantities where no tags are allowed.
_PLAIN = {name: re.sub(r"</?(i|sub)>", "", words) for name, words in NAMES.items()}

_NOT_KEPT = (
    "What single pairs of feature maps know was not kept; <code>Monitor(..., keep_pairs=True)</code> keeps it, for "
    "heat maps here."
)

_COLUMNS = {
    "entropy": "<i>S</i>(<i>T</i>)",
    "mi_input": "<i>I</i>(<i>X</i>;<i>T</i>)",
    "mi_target": "<i>I</i>(<i>T</i>;<i>Y</i>)",
    "tradeoff": "Trade-off",
    "nonredundant": "Non-redundant",
    "mi_error": ERRORS,
}


def write_report(
    frame: pd.DataFrame,
    folder: Path,
    run: Run | None = None,
    *,
    title: str = TITLE,
    kind: Format = "png",
    column: Column = "double",
    pairs: pd.DataFrame | None = None,
) -> Path:
    """Write the figures as files and the page into `folder`, each whole or not at all; return the page's path.

    `frame` is a table of ``Monitor.frame()``, `run` the record beside it, `pairs` what ``Monitor.pairs()`` has. Figures
    are files of a `kind`, as wide as a `column` of a journal; of a table of several methods or orders, between which
    the page has a choice, there are none. The folder is made where it is absent. ValueError for a table without rows or
    with columns missing, or words that name no kind or column; OSError where the folder cannot be written.
    """
    return write_together([Group(frame, run or Run(), pairs=pairs)], folder, title=title, kind=kind, column=column)


def write_together(
    groups: Sequence[Group],
    folder: Path,
    *,
    title: str = TITLE,
    kind: Format = "png",
    column: Column = "double",
) -> Path:
    """Write the page of runs laid over one another, and as files the figures of one group or the comparison of several.

    As :func:`write_report`; `groups` are those of :func:`fastrenyi.report.groups.grouped`.
    """
    views = views_of(groups)
    if kind not in FORMATS:
        raise ValueError(f"format: expected {', '.join(FORMATS)}, got {kind!r}")
    if not title.strip():
        raise ValueError("title: expected words, got none")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder: expected a folder, got the file {folder}")
    if column not in COLUMNS:
        raise ValueError(f"column: expected {' or '.join(map(repr, COLUMNS))}, got {column!r}")
    drawn = _for_paper(groups, column) if len(views) == 1 else {}
    files = {f"{name}.{kind}": content(figure, kind) for name, figure in drawn.items()}
    page = html_page(groups, title).encode()
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in files.items():
        write_whole(folder / name, figure)
    write_whole(folder / PAGE, page)
    return folder / PAGE


def _for_paper(groups: Sequence[Group], column: Column) -> dict[str, Any]:
    """Return the figures of one run, or the comparison of several, by their names."""
    if len(groups) > 1:
        return {"comparison": comparison({group.label: group.frame for group in groups}, column=column)}
    (group,) = groups
    drawn = {name: draw(group.frame, group.run, column=column) for name, draw in FIGURES.items()}
    if group.pairs is not None and not group.pairs.empty:
        drawn[PAIRS] = pairs_of_maps(next(iter(by_run(group.pairs).values())), column=column)
    return drawn


def html_page(groups: Sequence[Group], title: str = TITLE) -> str:
    """Return the page as text: all that it needs is in it, plotly.js too."""
    views = views_of(groups)
    drawn = [interactive(of_view) for of_view in views.values()]
    steps = steps_of(groups)
    script, style = ((_HERE / f"page.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))

    def each(write: Callable[[Group], str]) -> str:
        return _each(views, lambda of_view: "\n".join(map(write, of_view)))

    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - fastrenyi</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{each(_opening)}
<p>{_choices(views)} <button id="theme" type="button">Light or dark</button></p>
<hr>
<h2>What was found</h2>
<p>Computed from the table. <i>X</i> is the input, <i>T</i> what a layer puts out, <i>Y</i> the label, <i>I</i> a mutual
information and <i>S</i> an entropy, in bits; what a layer knows is the excess over the null, the same information
with shuffled samples. Green marks what is shown, orange what is not, grey what cannot be told.</p>
{each(_found)}
<h2>Figures</h2>
<p>With the slider, also by the arrow keys, figures go through training; with the mouse over a point they tell its
numbers, which the table under each figure has as well, and a click on the legend takes a curve away.</p>
<noscript><p>These figures need JavaScript; files that <code>fastrenyi report</code> writes of one method and order do
not.</p></noscript>
<div class="controls"><label for="step">Training step</label>
<input id="step" type="range" min="0" max="{len(steps) - 1}" value="{len(steps) - 1}" step="1">
<output id="step-said" for="step">{steps[-1]}</output></div>
{"".join(_figure(name, drawn, groups) for name in _FIGURES)}
<h2>The last measurement</h2>
{each(_last)}
{"".join(_log(group) for group in groups)}
<h2>Methods</h2>
{_each(views, methods)}
<h2>Settings and versions</h2>
{each(_settings)}
{_pairs("This page was made with", versions())}
</main>
<script>{get_plotlyjs()}</script>
{_data("views", [{"method": m, "order": str(a), "figures": f} for (m, a), f in zip(views, drawn, strict=True)])}
{_data("steps", steps)}
{_data("quantities", NAMES)}
{_data("on-black", on_black(groups))}
<script>{script}</script>
</body>
</html>
"""


def _each(views: Mapping[View, list[Group]], write: Callable[[list[Group]], str]) -> str:
    """Write something once if it is the same in all views, and else for each of them, of which one is shown."""
    written = [write(of_view) for of_view in views.values()]
    if len(set(written)) == 1:
        return written[0]
    return "".join(
        f'<div data-view="{place}"{" hidden" if place else ""}>{text}</div>' for place, text in enumerate(written)
    )


def _choices(views: Mapping[View, list[Group]]) -> str:
    """Return the choice of a method, and that of an order, which page.js fills with those of the method."""
    methods_of_all = list(dict.fromkeys(method for method, _ in views))
    orders = list(dict.fromkeys(str(alpha) for _, alpha in views))
    return _select("method", "Method", methods_of_all) + _select("order", "Order α", orders)


def _select(name: str, label: str, options: Sequence[str], words: Mapping[str, str] | None = None) -> str:
    """Return a choice, which is not shown where there is but one."""
    listed = "".join(
        f'<option value="{escape(option, quote=True)}">{escape((words or {}).get(option, option))}</option>'
        for option in options
    )
    hidden = " hidden" if len(options) < 2 else ""
    return f'<label{hidden}>{label} <select id="{name}">{listed}</select></label> '


def _data(name: str, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f'<script type="application/json" id="{name}">{text.replace("<", chr(92) + "u003c")}</script>'


def _opening(group: Group) -> str:
    frame = group.frame
    batches = frame["batch"].nunique()
    sizes = sorted(set(frame["samples"]))
    size = f" of {sizes[0]} samples" if len(sizes) == 1 else ""
    what = f"{batches} runs, averaged over their probe minibatches" if group.seeds > 1 else (
        f"{batches} probe minibatch{'es' if batches > 1 else ''}"
    )  # fmt: skip
    label = f"<b>{escape(group.label)}</b>: " if group.label else ""
    return (
        f"<p>{label}{len(layers(frame))} layers, measured at {frame['step'].nunique()} moments of training on {what}"
        f"{size} by the matrix-based Rényi entropy of order α&nbsp;=&nbsp;{frame['alpha'].iloc[0]:g}.</p>"
    )


def _found(group: Group) -> str:
    said = [_finding(one) for one in findings(group.frame, group.run)]
    first, rest = (said, []) if len(said) <= _AT_ONCE else (said[:_ABOUT_ALL], said[_ABOUT_ALL:])
    lists = [f'<ul class="findings">{"".join(items)}</ul>' for items in (first, rest)]
    more = f"<details><summary>{len(rest)} more, layer by layer</summary>{lists[1]}</details>" if rest else ""
    return _heading(group) + lists[0] + more


def _heading(group: Group) -> str:
    return f"<h3>{escape(group.label)}</h3>" if group.label else ""


def _settings(group: Group) -> str:
    told = (
        _pairs("Settings", group.run.settings)
        if group.run.settings
        else "<p>No record of the run lies beside the table.</p>"
    )
    return _heading(group) + told + (_pairs("Measured with", group.run.versions) if group.run.versions else "")


def _finding(one: Finding) -> str:
    mark, verdict = {
        True: ("yes", "shown"),
        False: ("no", "not shown"),
        None: ("open", ""),
    }[one.shown]
    text = _printed(escape(one.text)).replace(SYMBOLS["backward"], ERRORS)
    shown = f' <span class="verdict">({verdict})</span>' if verdict else ""
    return f'<li class="{mark}"><h3>{escape(one.title)}{shown}</h3><p>{text}</p></li>'


def _figure(name: str, drawn: Sequence[Mapping[str, Figure]], groups: Sequence[Group]) -> str:
    title, alt, caption = _FIGURES[name]
    choice, more = "", ""
    metas = [trace["meta"] for figures in drawn for trace in figures[name]["data"] if "meta" in trace]
    if name == "curves":
        measured = {meta["quantity"] for meta in metas}
        every = {"": "all layers", **{one: one for one in layers_of(groups)}}
        choice = _select("quantity", "Quantity", [one for one in NAMES if one in measured], _PLAIN)
        choice += _select("layer", "Layer", list(every), every)
    elif name == "pairs":
        more = "".join(f'<p class="note">{words}</p>' for words in _without_pairs(groups))
        if not metas:
            return f"<figure><h3>{escape(title)}</h3>{more}</figure>"
        of = {key: list(dict.fromkeys(meta[key] for meta in metas)) for key in ("layer", "measure", "moment", "run")}
        choice = _select("pairs-layer", "Layer", of["layer"]) + _select("measure", "Measure", of["measure"], MEASURES)
        choice += _select("moment", "Moment", of["moment"][::-1]) + _select("run", "Run", of["run"])
    return (
        f'<figure><h3>{escape(title)}</h3><p>{choice}</p><div class="plot" id="{name}" role="group" '
        f'aria-label="{escape(alt, quote=True)}"></div><figcaption>{escape(caption)}</figcaption>{more}'
        f'<details data-of="{name}"><summary>These numbers as a table</summary><div class="wide" tabindex="0"></div>'
        "</details></figure>"
    )


def _without_pairs(groups: Sequence[Group]) -> Iterator[str]:
    """Say of which layers there are no matrices, and why."""
    if all(group.pairs is None or group.pairs.empty for group in groups):
        yield _NOT_KEPT
        return
    for group in groups:
        kept = group.pairs if group.pairs is not None else group.frame[:0]
        sampled = [escape(name) for name in layers_with_maps(group.frame) if name not in set(kept["layer"])]
        wide = group.frame["layer"].isin(kept["layer"]) & (group.frame["channels"] > MAPS)
        maps = [escape(name) for name in dict.fromkeys(group.frame.loc[wide, "layer"])]
        label = f"{escape(group.label)}: " if group.label else ""
        if sampled:
            yield (
                f"{label}Not kept of {_some(sampled)}; <code>Monitor(..., keep_pairs=True)</code> keeps layers of "
                "which all pairs are measured, <code>max_pairs=None</code> measures them."
            )
        if maps:
            yield (
                f"{label}Of more than {MAPS} maps, and so in <code>Monitor.pairs()</code> and the figure for paper "
                f"alone: {_some(maps)}."
            )


def _some(names: Sequence[str]) -> str:
    """Name a few, and say how many more there are; the page's choice of layers has all the others."""
    more = len(names) - _NAMED
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:_NAMED])} and {more} more layers"


def _printed(text: str) -> str:
    """Return text with minus signs in place of the hyphens before numbers."""
    return re.sub(r"(?<![\w.\-])-(?=\d)", "−", text)


def _last(group: Group) -> str:
    frame = group.frame
    last = int(frame["step"].max())
    rows = []
    for name in layers(frame):
        here = frame[(frame["layer"] == name) & (frame["step"] == last)]
        cells = [escape(name), str(int(here["channels"].iloc[0]))]
        for column in _COLUMNS:
            cell = _number(trace(here, name, column))
            if f"{column}_share" in here and cell != "-":
                cell += f" ({trace(here, name, f'{column}_share')['mean'].item():.1%})"
            if f"{column}_null" in here and cell != "-":
                cell += _above(excess(here, name, column))
            cells.append(cell)
        rows.append(cells)
    caption = (
        f"{f'{group.label}, s' if group.label else 'S'}tep {last}: mean ± standard deviation over the "
        f"{'runs' if group.seeds > 1 else 'probe minibatches'}, in bits (percent of the maps' information); below it, "
        "how far above the null."
    )
    return _table(caption, ["Layer", "Maps", *_COLUMNS.values()], rows)


def _number(row: pd.DataFrame) -> str:
    mean, std = row["mean"].item(), row["std"].item()
    return "-" if math.isnan(mean) else _printed(f"{mean:.3f} ± {std:.3f}")


def _above(row: pd.DataFrame) -> str:
    mean, error = row["mean"].item(), row["error"].item()
    return "" if math.isnan(mean) else _printed(f"<br>{mean:+.3f} ± {error:.3f}")


def _log(group: Group) -> str:
    run = group.run
    if not run.history:
        return ""
    rows = [
        [f"{row['step']:g}", f"{row['epoch']:.2f}", f"{row['loss']:.3f}", f"{row['accuracy']:.1%}"]
        for row in run.history
    ]
    caption = "On the held-out digits; the loss is the cross entropy in nats."
    return "<h2>Training log</h2>" + _heading(group) + _table(caption, ["Step", "Epoch", "Loss", "Accuracy"], rows)


def _table(caption: str, head: list[str], rows: list[list[str]]) -> str:
    """Lay out cells that are HTML already; the first of each row is its head."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="wide" tabindex="0"><table><caption><span>{escape(caption)}</span></caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _pairs(title: str, values: dict[str, object] | dict[str, str]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td>{escape(str(value))}</td></tr>'
        for name, value in values.items()
    )
    return (
        f'<div class="wide"><table class="pairs"><caption>{escape(title)}</caption><tbody>{rows}</tbody></table></div>'
    )
