"""What a table shows, in words: each sentence is computed from the rows and turns when they do.

What a layer knows is the excess of an information over its null, and nothing is said of an excess that could as well be
chance: below what two standard deviations stand for, where the deviation is known from few permutations only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scipy import special

from fastrenyi.report.run import Run, check_table
from fastrenyi.table.inequalities import inequalities

if TYPE_CHECKING:
    import pandas as pd

#: Differences below this many bits count as equal.
TOLERANCE = 1e-3
#: An excess counts from so many standard deviations of the null on, more where these are known from few permutations.
DEVIATIONS = 2.0

SYMBOLS = {"forward": "I(X;T)", "backward": "I(δ_K;δ_i)"}
_MOVED = 5e-4  # of a share: what is printed as a tenth of a percent
_CHANCE = 1 - math.erfc(DEVIATIONS / math.sqrt(2)) / 2  # of a normal variable to stay below that
_FEW = 12  # layers that are named one by one
_PAIRS = ("tradeoff", "nonredundant")
_OF = {"mi_input": ("the input", "I(X;T)"), "mi_target": ("the label", "I(T;Y)")}


@dataclass(frozen=True)
class Finding:
    """A title, the sentences, and whether what the title says is shown (None: it cannot be said)."""

    title: str
    text: str
    shown: bool | None


def findings(frame: pd.DataFrame, run: Run | None = None) -> list[Finding]:
    """Say what `frame` shows.

    `frame` is a table of ``Monitor.frame()``, `run` the record beside it. Information is in bits and averaged
    over the probe minibatches; differences below :data:`TOLERANCE` bits count as equal. ValueError for a
    table without rows or with columns missing.
    """
    check_table(frame)
    run = run or Run()
    moments = run.moments_of(frame)
    links = inequalities(frame, tolerance=TOLERANCE)
    said = [_knowledge(frame, column, moments) for column in _OF]
    said.append(_learning(frame))
    dead = set(frame.loc[frame["dead"], ["step", "layer"]].itertuples(index=False, name=None))
    alive = [not {(step, a), (step, b)} & dead for step, a, b in links[["step", "source", "target"]].to_numpy()]
    said += [_chain(links.loc[alive], chain, moments) for chain in SYMBOLS]
    said += _kernels(frame)
    for layer in layers_with_maps(frame):
        said.append(_tradeoff(frame, layer))
        said.append(_movement(frame, layer, moments))
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


def at_step(frame: pd.DataFrame, names: list[str], quantity: str, step: int) -> pd.DataFrame:
    """Return mean and std of each layer at one step, NaN where it was not measured."""
    here = frame[frame["step"] == step].groupby("layer")[quantity].agg(["mean", "std"]).reindex(names)
    return here.assign(std=here["std"].fillna(0.0))


def excess(frame: pd.DataFrame, layer: str, column: str) -> pd.DataFrame:
    """Return, for each step, how far a quantity is above its null, averaged over the m probe minibatches.

    Columns: mean of the excess; std over the minibatches (0 for one); error, the standard deviation that the mean
    would have if nothing were shared, sqrt((1 + 1/k) sum of the nulls' variances) / m, of k permutations each;
    needed, what the mean is to be above: two of them where they are known, by Student's t of m (k - 1) degrees of
    freedom. NaN without a null, error and needed also for one permutation.
    """
    here = frame[frame["layer"] == layer]
    permutations = here["pair_permutations" if column in _PAIRS else "permutations"]
    table = here.assign(
        excess=here[column] - here[f"{column}_null"],
        variance=here[f"{column}_null_std"] ** 2 * (1 + 1 / permutations.where(permutations > 0)),
        freedom=permutations - 1,
    ).groupby("step")
    found = table["excess"].agg(["mean", "std"])
    counted = table["excess"].count()
    error = table["variance"].sum(min_count=1) ** 0.5 / counted.where(counted > 0)
    freedom = table["freedom"].sum()
    needed = error * special.stdtrit(freedom.where(freedom > 0), _CHANCE)
    return found.assign(std=found["std"].where(counted > 1, 0.0), error=error, needed=needed)


def _knowledge(frame: pd.DataFrame, column: str, moments: dict[str, int]) -> Finding:
    of, symbol = _OF[column]
    title = f"What the layers know of {of}"
    if frame[f"{column}_null"].isna().all():
        text = (
            f"It cannot be said: {symbol} was measured without a null, what it is where the samples of {of} are "
            "shuffled against the layer's. With few samples and narrow kernels that can be nearly as large "
            "whatever the data are."
        )
        return Finding(title, text, None)
    sentences: list[str] = []
    clear: bool | None = None
    for name, step in moments.items():
        found = {layer: excess(frame, layer, column) for layer in layers(frame)}
        there = {layer: rows.loc[step] for layer, rows in found.items() if step in rows.index}
        unknown = [layer for layer, row in there.items() if row[["mean", "needed"]].isna().any()]
        above = {layer: row for layer, row in there.items() if row["mean"] > max(TOLERANCE, row["needed"])}
        above = {layer: row for layer, row in above.items() if layer not in unknown}
        below = [layer for layer in there if layer not in above and layer not in unknown]
        told = []
        if above:
            values = _values({layer: (row["mean"], row["error"]) for layer, row in above.items()}, ".3f")
            told.append(f"above its null by {values}")
        if below:
            told.append(f"not told apart from its null in {_names(below)}")
        if unknown:
            told.append(f"without a null, or one of a single permutation, in {_names(unknown)}")
        sentences.append(f"{_capital(name)}, {symbol} is {'; '.join(told)}.")
        clear = None if unknown else not below
    if "±" in " ".join(sentences):
        sentences.append("(± one standard deviation of the mean where nothing is shared.)")
    return Finding(title, " ".join(sentences), clear)


def _learning(frame: pd.DataFrame) -> Finding:
    title = "Learning: what the layers came to know of the label"
    steps = sorted(frame["step"].unique())
    if len(steps) < 2 or frame["mi_target_null"].isna().all():
        return Finding(title, "It takes two measurements with a null to tell.", None)
    first, last = steps[0], steps[-1]
    grown: list[str] = []
    told: dict[str, tuple[Any, Any]] = {}
    for layer in layers(frame):
        rows = excess(frame, layer, "mi_target")
        if first in rows.index and last in rows.index:
            changes = _changes(
                frame.assign(above=frame["mi_target"] - frame["mi_target_null"]), layer, "above", first, last
            )
            if changes.empty or rows.loc[[first, last], "needed"].isna().any():
                continue
            change, spread = float(changes.mean()), float(changes.std()) if len(changes) > 1 else 0.0
            # What the minibatches differ by, and what a change would be if nothing were shared.
            error = math.hypot(spread / math.sqrt(len(changes)), rows["error"][first], rows["error"][last])
            told[layer] = (change, error)
            if change > max(TOLERANCE, DEVIATIONS * error):
                grown.append(layer)
    if not told:
        return Finding(title, "It takes two measurements with a null of two permutations or more to tell.", None)
    text = f"From the first to the last measurement the excess of I(T;Y) changed by {_values(told, '+.3f')}."
    text += f" It grew by more than two of its errors in {_names(grown)}." if grown else " It grew nowhere clearly."
    return Finding(title, text, bool(grown))


def _changes(frame: pd.DataFrame, layer: str, column: str, first: int, last: int) -> pd.Series[float]:
    """Return by how much a column changed between two steps, for each minibatch."""
    here = frame[frame["layer"] == layer].set_index(["step", "batch"])[column]
    changes: pd.Series[float] = (here.loc[last] - here.loc[first]).dropna()
    return changes


def _chain(links: pd.DataFrame, chain: str, moments: dict[str, int]) -> Finding:
    title = f"The {chain} data-processing chain holds"
    links = links[links["chain"] == chain]
    if links.empty:
        return Finding(
            title,
            "It was not measured, or no layer gets all that it has through another one that says something.",
            None,
        )
    sentences = []
    for name, step in moments.items():
        here = links[links["step"] == step]
        if here.empty:
            continue
        broken = here[~here["holds"]]
        if broken.empty:
            sentences.append(f"{_capital(name)}: at all {len(here)} links.")
        else:
            worst = broken.sort_values("violation").iloc[-1]
            sentences.append(
                f"{_capital(name)}: broken at {len(broken)} of {len(here)} links, most at {worst['source']} → "
                f"{worst['target']} by {worst['violation']:.3f} bits."
            )
    broken = links[~links["holds"]]
    count, doubtful = links["step"].nunique(), links[links["holds"] & (links["violation"] > TOLERANCE)]
    alone = links["gap_error"].isna().all()
    if broken.empty:
        sentences.append(
            f"At every link of all {count} measurements{', to within its error' if len(doubtful) else ''}."
        )
    else:
        worst = broken.sort_values("violation").iloc[-1]
        error = "" if math.isnan(worst["gap_error"]) else f" ± {worst['gap_error']:.3f}"
        sentences.append(
            f"Over all {count} measurements {len(broken)} of {len(links)} links are "
            f"broken{'' if alone else ' by more than two errors'}; "
            f"the largest violation is {worst['violation']:.3f}{error} bits, at {worst['source']} → "
            f"{worst['target']} at step {worst['step']}, where {SYMBOLS[chain]} goes up from {worst['left']:.3f} to "
            f"{worst['right']:.3f} bits."
        )
    if len(doubtful):
        sentences.append(
            f"{len(doubtful)} more go up, by at most {doubtful['violation'].max():.3f} bits, less than two errors "
            "of the difference: of them it cannot be said."
        )
    if alone:
        sentences.append("Of one minibatch no error is known.")
    if chain == "backward":
        sentences.append(
            "It is a theorem in linear networks alone: elsewhere an error also has something of the sample from the "
            "slopes of activation functions."
        )
    shuffled = links[["left_null", "right_null"]].dropna()
    if len(shuffled):
        kept = int((shuffled["right_null"] <= shuffled["left_null"] + TOLERANCE).sum())
        also = ", so that by itself it says nothing of the data" if kept == len(shuffled) else ""
        sentences.append(f"With shuffled samples it holds at {kept} of {len(shuffled)} links{also}.")
    sentences.append(
        "The estimator guarantees no chain: what a kernel sees of a layer depends on its width, so that a violation "
        "says as much of the widths as of the network."
    )
    shown = None if len(doubtful) or alone else bool(broken.empty)
    return Finding(title, " ".join(sentences), shown)


def _kernels(frame: pd.DataFrame) -> list[Finding]:
    """What is to be said of layers that no kernel width fits."""
    said = []
    for mark, title, text in (
        ("saturated", "Kernels too narrow", "entropy is above 98 % of log2 n: to the kernel all samples are apart"),
        ("dead", "Layers that say nothing", "entropy is below 1e-4 bits: the layer puts out the same for all samples"),
        ("not_finite", "Layers that were not finite", "output or error was not finite, and not measured"),
    ):
        names = [layer for layer in layers(frame) if frame.loc[frame["layer"] == layer, mark].astype(bool).any()]
        if names:
            said.append(Finding(title, f"In {_names(names)}, at some step, the {text}.", None))
    return said


def _tradeoff(frame: pd.DataFrame, layer: str) -> Finding:
    last = int(frame["step"].max())
    title = f"Pairs of maps of {layer} repeat more of the input than of a shuffled one"
    traced = [trace(frame, layer, column)["mean"] for column in ("tradeoff", "tradeoff_share", "nonredundant_share")]
    if any(last not in values.index or math.isnan(values.loc[last]) for values in traced):
        return Finding(
            title,
            "At the end pairs were not measured, or the layer puts out the same for all samples, or no finite numbers.",
            None,
        )
    value, share, rest = (float(values.loc[last]) for values in traced)
    above = excess(frame, layer, "tradeoff").loc[last]
    text = f"At the end the redundancy-synergy trade-off is {value:.3f} bits{_of_sample(frame, layer, last)}"
    shown: bool | None = None
    if above[["mean", "needed"]].isna().any():
        text += (
            ", measured without a null, or one of a single permutation: what the input has to do with it is not known."
        )
    elif abs(above["mean"]) <= max(TOLERANCE, above["needed"]):
        text += f", {above['mean']:+.3f} ± {above['error']:.3f} above what it is with shuffled inputs: not told apart."
    else:
        shown = bool(above["mean"] > 0)
        text += f", {above['mean']:+.3f} ± {above['error']:.3f} above what it is with shuffled inputs."
    text += f" It is {share:.1%} of the multivariate mutual information; the non-redundant information is {rest:.1%}."
    return Finding(title, text, shown)


def _of_sample(frame: pd.DataFrame, layer: str, step: int) -> str:
    """Return what is to be said where not all pairs of maps were measured: the same ones at all minibatches."""
    here = frame[(frame["layer"] == layer) & (frame["step"] == step)]
    error = float(here["tradeoff_standard_error"].max())
    if error == 0:
        return ""
    if math.isnan(error):
        return " (of a single pair, drawn at random)"
    return f" (± {error:.3f}, as a mean over {int(here['pairs'].iloc[0]):,} pairs drawn at random)"


def _movement(frame: pd.DataFrame, layer: str, moments: dict[str, int]) -> Finding:
    title = f"How the shares of {layer} moved"
    redundant = trace(frame, layer, "tradeoff_share")["mean"]
    rest = trace(frame, layer, "nonredundant_share")["mean"]
    names, steps = list(moments), list(moments.values())
    if len(set(steps)) < 3 or not set(steps) <= set(redundant.dropna().index):
        return Finding(title, "It takes three measurements or more of a layer that is not dead to tell.", None)
    told = " → ".join(f"{redundant.loc[step]:.1%}" for step in steps)
    told_rest = " → ".join(f"{rest.loc[step]:.1%}" for step in steps)
    start, middle, end = steps[0], steps[1], steps[-1]
    early, late = _range(redundant, start, middle), _range(redundant, middle, end)
    changes = _changes(frame, layer, "tradeoff_share", start, end)
    change, count = float(changes.mean()), len(changes)
    amount = f"by {100 * change:+.1f}"
    if count > 1:
        error = float(changes.std()) / math.sqrt(count)
        amount += f" ± {100 * error:.1f}"
        clear = abs(change) >= max(_MOVED, DEVIATIONS * error)
        moved = ("grew" if change > 0 else "fell") if clear else "is not told apart from what it was"
    else:
        moved = "was measured on one minibatch, which does not say whether it moved"
    text = (
        f"Trade-off share: {told}; non-redundant share: {told_rest} ({', '.join(names)}). The trade-off "
        f"share {moved} over training ({amount} percentage points). It moved within {100 * early:.1f} "
        f"percentage points in the first {middle - start} steps and within {100 * late:.1f} in the {end - middle} "
        "after them. Shares are of informations as they are, what shuffled inputs give among them."
    )
    return Finding(title, text, None)


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


def _values(values: dict[str, tuple[Any, Any]], form: str) -> str:
    """Word the value and error of each layer, of many the least and the greatest, in bits."""
    words = {name: f"{name} {value:{form}} ± {error:.3f}" for name, (value, error) in values.items()}
    if len(words) <= _FEW:
        return f"{', '.join(words.values())} bits"
    ordered = sorted(values, key=lambda name: values[name][0])
    return f"{words[ordered[0]]} to {words[ordered[-1]]} bits in {len(words)} layers"


def _names(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= _FEW else f"{len(names)} layers, {names[0]} to {names[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
