"""What a table shows, in words: each sentence is computed from the rows and turns when they do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastrenyi.report.run import Run, check_table
from fastrenyi.table.inequalities import inequalities

if TYPE_CHECKING:
    import pandas as pd

#: Differences below this many bits count as equal.
TOLERANCE = 1e-3
#: A violation up to this many bits counts as one of the small ones that the paper reports in the backward chain.
SMALL = 0.1
#: I(X;T) above this part of S(X) counts as saturated.
SATURATED = 0.95

SYMBOLS = {"forward": "I(X;T)", "backward": "I(δ_K;δ_i)"}


@dataclass(frozen=True)
class Finding:
    """A title, the sentences, and whether this is what the paper reports (None: cannot be said)."""

    title: str
    text: str
    as_reported: bool | None


def findings(frame: pd.DataFrame, run: Run | None = None) -> list[Finding]:
    """Say what `frame` shows about what the paper reports.

    `frame` is a table of ``Monitor.frame()``, `run` the record beside it. Information is in bits and averaged
    over the probe minibatches; differences below :data:`TOLERANCE` bits count as equal. ValueError for a
    table without rows or with columns missing. Source: Yu et al., IEEE TNNLS 32(1), 2021.
    """
    check_table(frame)
    run = run or Run()
    links = inequalities(frame, tolerance=TOLERANCE)
    said = [_unsaid()]
    said += [_chain(frame, links, chain, run.moments_of(frame)) for chain in ("forward", "backward")]
    said.append(_saturation(frame, run))
    for layer in layers_with_maps(frame):
        said.append(_tradeoff(frame, layer))
        said.append(_movement(frame, layer, run.moments_of(frame)))
    if run.history:
        said.append(_accuracy(run))
    return said


def layers(frame: pd.DataFrame) -> list[str]:
    """Return the names of the layers in the order of their depth."""
    ordered = frame[["depth", "layer"]].drop_duplicates().sort_values("depth")
    return [str(name) for name in ordered["layer"]]


def layers_with_maps(frame: pd.DataFrame) -> list[str]:
    """Return the layers that have a trade-off, which takes two feature maps or more, by depth."""
    return layers(frame[frame["tradeoff"].notna()])


def trace(frame: pd.DataFrame, layer: str, column: str) -> pd.DataFrame:
    """Return mean and std (0 for one minibatch) of a column over the probe minibatches, a row for each step."""
    table = frame[frame["layer"] == layer].groupby("step")[column].agg(["mean", "std"])
    return table.assign(std=table["std"].fillna(0.0))


def _unsaid() -> Finding:
    text = (
        "No null was measured: how large each information would be if the samples of the input or of the labels were "
        "shuffled against the layer's. With few samples and narrow kernels that can be nearly as large, so that a high "
        "value does not show what a layer knows, and a chain may hold or break whatever the data are."
    )
    return Finding("What these numbers do not say", text, None)


def _chain(frame: pd.DataFrame, links: pd.DataFrame, chain: str, moments: dict[str, int]) -> Finding:
    title = f"The {chain} data-processing chain"
    links = links[(links["chain"] == chain) & links["gap"].notna()]
    if links.empty:
        return Finding(title, "It was not measured, or fewer than two layers belong to it.", None)
    symbol = SYMBOLS[chain]
    sentences = []
    for name, step in moments.items():
        here = links[links["step"] == step]
        if here.empty:
            continue
        broken = here[~here["holds"]]
        if broken.empty:
            sentences.append(f"{_capital(name)}: it holds at all {len(here)} links.")
        else:
            worst = broken.sort_values("violation").iloc[-1]
            sentences.append(
                f"{_capital(name)}: it is broken at {len(broken)} of {len(here)} links, most at {worst['source']} → "
                f"{worst['target']} by {worst['violation']:.3f} bits."
            )
    broken = links[~links["holds"]]
    if broken.empty:
        sentences.append(f"It holds at every link of all {links['step'].nunique()} measurements.")
    else:
        worst = broken.sort_values("violation").iloc[-1]
        sentences.append(
            f"Over all {links['step'].nunique()} measurements {len(broken)} of {len(links)} links are broken; the "
            f"largest violation is {worst['violation']:.3f} bits, at {worst['source']} → {worst['target']} at step "
            f"{worst['step']}, where {symbol} goes up from {worst['left']:.3f} to {worst['right']:.3f} bits"
            f"{_spread(frame, chain, worst)}."
        )
        if chain == "backward":
            sentences.append("The paper, too, reports small violations of this chain.")
    allowed = {"forward": TOLERANCE, "backward": SMALL}[chain]
    return Finding(title, " ".join(sentences), bool(links["violation"].max() <= allowed))


def _spread(frame: pd.DataFrame, chain: str, link: pd.Series[float]) -> str:
    """Say how much that step up differs between the probe minibatches."""
    column = "mi_input" if chain == "forward" else "mi_error"
    here = frame[frame["step"] == link["step"]].pivot(index="batch", columns="layer", values=column)
    if len(here) < 2:
        return ""
    spread = float((here[link["target"]] - here[link["source"]]).std())
    return f" (standard deviation of that difference over {len(here)} probe minibatches: {spread:.3f} bits)"


def _saturation(frame: pd.DataFrame, run: Run) -> Finding:
    first, last = layers(frame)[0], int(frame["step"].max())
    known = float(trace(frame, first, "mi_input")["mean"].loc[last])
    title = f"The information that {first} holds about the input"
    text = f"At the end I(X;{first}) is {known:.3f} bits"
    if run.input_entropy is None:
        return Finding(title, f"{text}; S(X) is not stored with this table.", None)
    part = known / run.input_entropy if run.input_entropy else math.nan
    bound = f", where log2 n = {math.log2(run.samples):.3f} bits is the most" if run.samples else ""
    close = part > SATURATED
    text += (
        f", {part:.1%} of S(X) = {run.input_entropy:.3f} bits{bound}: the "
        f"{'estimate is close to the most it can be' if close else 'estimate does not saturate'}."
    )
    if close:
        text += " By itself that is no evidence that the layer knows its input: shuffled inputs can come as close."
    return Finding(title, text, close)


def _tradeoff(frame: pd.DataFrame, layer: str) -> Finding:
    last = int(frame["step"].max())
    value, share, rest = (
        float(trace(frame, layer, column)["mean"].loc[last])
        for column in ("tradeoff", "tradeoff_share", "nonredundant_share")
    )
    if abs(value) < TOLERANCE:
        meaning = "zero: redundancy and synergy balance"
    elif value > 0:
        meaning = "positive: two maps of this layer repeat each other more than they complete each other"
    else:
        meaning = "negative: two maps of this layer say more together than apart, synergy outweighs redundancy"
    text = (
        f"At the end the redundancy-synergy trade-off is {value:.3f} bits, {meaning}. It is {share:.1%} of the "
        f"multivariate mutual information; the non-redundant information is {rest:.1%}."
    )
    return Finding(f"Redundancy and synergy in {layer}", text, value > TOLERANCE)


def _movement(frame: pd.DataFrame, layer: str, moments: dict[str, int]) -> Finding:
    title = f"How the shares of {layer} moved"
    redundant = trace(frame, layer, "tradeoff_share")["mean"]
    rest = trace(frame, layer, "nonredundant_share")["mean"]
    names, steps = list(moments), list(moments.values())
    if len(set(steps)) < 3:
        return Finding(title, "It takes three measurements or more to tell.", None)
    told = " → ".join(f"{redundant.loc[step]:.1%}" for step in steps)
    told_rest = " → ".join(f"{rest.loc[step]:.1%}" for step in steps)
    start, middle, end = steps[0], steps[1], steps[-1]
    early, late = _range(redundant, start, middle), _range(redundant, middle, end)
    grew = redundant.loc[end] > redundant.loc[start]
    text = (
        f"Trade-off share: {told}; non-redundant share: {told_rest} ({', '.join(names)}). The trade-off "
        f"share {'grew' if grew else 'did not grow'} over training. It moved within {100 * early:.1f} percentage "
        f"points in the first {middle - start} steps and within {100 * late:.1f} in the {end - middle} after them, "
        f"{'less late than early' if early > late else 'no less late than early'}."
    )
    return Finding(title, text, bool(early > late))


def _range(values: pd.Series[float], start: int, end: int) -> float:
    """Return the distance between the highest and the lowest value from `start` to `end`."""
    part = values.loc[start:end]
    return float(part.max() - part.min())


def _accuracy(run: Run) -> Finding:
    first, last = run.history[0], run.history[-1]
    text = (
        f"At the end the network names {last['accuracy']:.1%} of the held-out digits correctly (cross entropy "
        f"{last['loss']:.3f} nats); before it was {first['accuracy']:.1%} ({first['loss']:.3f} nats)."
    )
    return Finding("Accuracy", text, None)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
