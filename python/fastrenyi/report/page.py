"""One self-contained HTML page of a run: what was found, the figures, the last measurement, settings and versions."""

from __future__ import annotations

import base64
import math
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from fastrenyi.report.canvas import content
from fastrenyi.report.findings import Finding, excess, findings, layers, trace
from fastrenyi.report.plots import FIGURES
from fastrenyi.report.run import Run, check_table, versions
from fastrenyi.table.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

#: The page's file name.
PAGE = "report.html"

_CAPTIONS = {
    "information_plane": (
        "The information plane of each layer, above the null",
        "Each point is a measurement: to the right, how far I(X;T) is above what it is where inputs are shuffled "
        "against the layer's outputs; upwards, how far I(T;Y) is above what it is with shuffled labels. The colour "
        "is the "
        "training step, on a logarithmic scale, from dark (before training) to light. Bars are one standard deviation "
        "over the probe minibatches; in the grey cross, two standard deviations of the null wide, nothing is shown.",
    ),
    "true_and_shuffled": (
        "True against shuffled, before and after training",
        "Dots are the informations as measured, lines the same with the samples of one side shuffled, in a band of two "
        "standard deviations of the mean. A dot within its band shows nothing, however high it stands.",
    ),
    "decomposition": (
        "What the maps of a convolutional layer say together and pair by pair",
        "Blue is the information that the layer holds about the input. For two maps at a time, orange is the mean of "
        "redundancy minus synergy, green what is not redundant: both unique parts and twice the synergy. Dashed, the "
        "same with shuffled inputs: only what is above that has to do with the input. Of wide layers the pairs are a "
        "sample, the same one throughout. Bands are one standard deviation "
        "over the probe minibatches; the step axis is logarithmic beyond 1.",
    ),
    "shares": (
        "The same as shares of the maps' information",
        "Trade-off and non-redundant information divided by the information of all maps together. Their sum, in grey, "
        "is the mean information of a pair of maps over that. Shares contain the null.",
    ),
    "inequalities": (
        "The two data-processing chains",
        "Left, the forward chain: a layer cannot know more about the input than one through which all that it gets has "
        "come. Right, the backward chain: the gradients of the loss with respect to the layers hold less and less "
        "about "
        "the gradient at the output. A line joins two layers where that must hold, and is dotted and red where it "
        "goes up by more than two errors of the difference. The estimator guarantees "
        "neither chain, and the backward one is a theorem in linear networks alone.",
    ),
    "differences": (
        "What each link of the chains loses",
        "The difference of the two informations of a link, taken in each probe minibatch and then averaged, in the row "
        "of the layer that the link leads to. Bars are two standard errors to each side; left of zero the link goes "
        "up. A bar across zero leaves open whether it does.",
    ),
}

_COLUMNS = {
    "entropy": "S(T)",
    "mi_input": "I(X;T)",
    "mi_target": "I(T;Y)",
    "tradeoff": "Trade-off",
    "nonredundant": "Non-redundant",
    "mi_error": "I(δ<sub>K</sub>;δ<sub>i</sub>)",
}

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, sans-serif; color: #1c1c1c; background: #fff; margin: 0 auto; padding: 1.5rem;
  max-width: 62rem; }
h1 { font-size: 1.7rem; line-height: 1.25; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
h3 { font-size: 1rem; margin: 0; }
ul.findings { list-style: none; padding: 0; }
ul.findings li { border-left: 5px solid #999; padding: 0 0 0 .9rem; margin: 1rem 0; }
ul.findings li.yes { border-color: #009e73; } ul.findings li.no { border-color: #d55e00; }
ul.findings p { margin: .1rem 0; } .verdict { font-size: .8rem; color: #555; }
figure { margin: 1.5rem 0 2.5rem; } figure img { width: 100%; height: auto; }
figcaption { color: #444; font-size: .92rem; }
.wide { overflow-x: auto; margin-bottom: 1.2rem; } table { border-collapse: collapse; font-size: .92rem; }
th, td { padding: .3rem .8rem .3rem 0; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
tbody th { font-weight: normal; } th:first-child { text-align: left; }
caption { text-align: left; color: #444; padding-bottom: .4rem; white-space: nowrap; }
.pairs td { text-align: left; white-space: normal; }
"""


def write_report(frame: pd.DataFrame, folder: Path, run: Run | None = None) -> Path:
    """Write the figures as PNG files and the page into `folder`, each whole or not at all; return the page's path.

    `frame` is a table of ``Monitor.frame()``, `run` the record beside it. The folder is made where it is
    absent. ValueError for a table without rows or with columns missing, OSError where the folder cannot be
    written.
    """
    check_table(frame)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder: expected a folder, got the file {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    images = {name: content(draw(frame, run), "png") for name, draw in FIGURES.items()}
    page = html_page(frame, images, run).encode()
    for name, image in images.items():
        write_whole(folder / f"{name}.png", image)
    write_whole(folder / PAGE, page)
    return folder / PAGE


def html_page(frame: pd.DataFrame, images: dict[str, bytes], run: Run | None = None) -> str:
    """Return the page as text; `images` are the PNG bytes of each of ``plots.FIGURES``."""
    check_table(frame)
    run = run or Run()
    said = findings(frame, run)
    title = "What the layers of a network know"
    found = "\n".join(_finding(one) for one in said)
    figures = "\n".join(_figure(name, images[name], said) for name in FIGURES)
    settings = (
        _pairs("Settings", run.settings) if run.settings else "<p>No record of the run lies beside the table.</p>"
    )
    measured = _pairs("Measured with", run.versions) if run.versions else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - fastrenyi</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{_opening(frame)}</p>
<h2>What was found</h2>
<p>Computed from the table. Information is in bits; what a layer knows is the excess over the null, the same information
with shuffled samples. Green marks what is shown, orange what is not, grey what cannot be told.</p>
<ul class="findings">
{found}
</ul>
<h2>Figures</h2>
{figures}
<h2>The last measurement</h2>
{_last(frame)}
{_log(run)}
<h2>Settings and versions</h2>
{settings}
{measured}
{_pairs("This page was made with", versions())}
<h2>How this was made</h2>
<p>Each probe minibatch passes through the network; every feature map, vector, the input and the labels become a Gram
matrix A of trace one, and the entropy is S<sub>α</sub>(A) = log<sub>2</sub>(Σ λ<sub>i</sub><sup>α</sup>) / (1 − α) of
its eigenvalues. Joint entropies are those of entrywise products; I(A;B) = S(A) + S(B) − S(A,B), where A may be a
layer, or all its maps. The method is from S. Yu, K. Wickstrøm, R. Jenssen and J. C. Príncipe, “Understanding
Convolutional Neural Networks with Information Theory: An Initial Exploration”, IEEE TNNLS 32(1), 2021, arXiv
1804.06537; the estimator from L. G. Sanchez Giraldo, M. Rao and J. C. Príncipe, IEEE TIT 61(1), 2015.</p>
</main>
</body>
</html>
"""


def _opening(frame: pd.DataFrame) -> str:
    batches = frame["batch"].nunique()
    sizes = sorted(set(frame["samples"]))
    size = f" of {sizes[0]} samples" if len(sizes) == 1 else ""
    return (
        f"{len(layers(frame))} layers, measured at {frame['step'].nunique()} moments of training on {batches} probe "
        f"minibatch{'es' if batches > 1 else ''}{size} by the matrix-based Rényi entropy of order α = "
        f"{frame['alpha'].iloc[0]:g}."
    )


def _finding(one: Finding) -> str:
    mark, verdict = {
        True: ("yes", "shown"),
        False: ("no", "not shown"),
        None: ("open", ""),
    }[one.shown]
    shown = f' <span class="verdict">({verdict})</span>' if verdict else ""
    return f'<li class="{mark}"><h3>{escape(one.title)}{shown}</h3><p>{escape(one.text)}</p></li>'


def _figure(name: str, image: bytes, said: list[Finding]) -> str:
    title, caption = _CAPTIONS[name]
    alt = {
        "information_plane": "Scatter plots, one for each layer, of I(T;Y) against I(X;T), coloured by training step.",
        "true_and_shuffled": "Two plots over the layers: true and shuffled information at the first and last step.",
        "decomposition": "Curves over training steps: I(X;T), trade-off and non-redundant information.",
        "shares": "Curves over training steps: the shares of trade-off and non-redundant information.",
        "inequalities": "Two line plots over the layers: the forward and the backward chain at several steps.",
        "differences": "Two dot plots over the layers: what each link of both chains loses, at several steps.",
    }[name]
    words = {"inequalities": "chain", "true_and_shuffled": "What the layers know"}.get(name)
    told = [one for one in said if words is not None and words in one.title]
    text = escape(" ".join([alt, *(one.text for one in told)]), quote=True)
    data = base64.b64encode(image).decode()
    return (
        f'<figure><h3>{escape(title)}</h3><img alt="{text}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _last(frame: pd.DataFrame) -> str:
    last = int(frame["step"].max())
    rows = []
    for name in layers(frame):
        here = frame[(frame["layer"] == name) & (frame["step"] == last)]
        cells = [escape(name), str(int(here["channels"].iloc[0]))]
        for column in _COLUMNS:
            cell = _number(trace(here, name, column))
            if f"{column}_null" in here and cell != "-":
                cell += _above(excess(here, name, column))
            if f"{column}_share" in here and cell != "-":
                cell += f" ({trace(here, name, f'{column}_share')['mean'].item():.1%})"
            cells.append(cell)
        rows.append(cells)
    caption = (
        f"Step {last}: mean ± standard deviation over the probe minibatches, in bits; how far above the null "
        "(percent of the maps' information)."
    )
    return _table(caption, ["Layer", "Maps", *_COLUMNS.values()], rows)


def _number(row: pd.DataFrame) -> str:
    mean, std = row["mean"].item(), row["std"].item()
    return "-" if math.isnan(mean) else f"{mean:.3f} ± {std:.3f}"


def _above(row: pd.DataFrame) -> str:
    mean, error = row["mean"].item(), row["error"].item()
    return "" if math.isnan(mean) else f"; {mean:+.3f} ± {error:.3f}"


def _log(run: Run) -> str:
    if not run.history:
        return ""
    rows = [
        [f"{row['step']:g}", f"{row['epoch']:.2f}", f"{row['loss']:.3f}", f"{row['accuracy']:.1%}"]
        for row in run.history
    ]
    caption = "On the held-out digits; the loss is the cross entropy in nats."
    return "<h2>Training log</h2>" + _table(caption, ["Step", "Epoch", "Loss", "Accuracy"], rows)


def _table(caption: str, head: list[str], rows: list[list[str]]) -> str:
    """Lay out cells that are HTML already; the first of each row is its head."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="wide" tabindex="0"><table><caption>{escape(caption)}</caption>'
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
