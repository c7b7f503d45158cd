"""The two data-processing inequalities, checked on a table of measurements."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastrenyi import _check
from fastrenyi.table.columns import check_columns

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["inequalities"]

_COLUMNS = {
    "step": "int64",
    "method": "str",
    "alpha": "float64",
    "chain": "str",
    "source": "str",
    "target": "str",
    "left": "float64",
    "right": "float64",
    "left_null": "float64",
    "right_null": "float64",
    "gap": "float64",
    "gap_error": "float64",
    "violation": "float64",
    "holds": "bool",
}
_CHAINS = {"forward": ("mi_input", "input_via"), "backward": ("mi_error", "error_via")}
_USED = ["step", "batch", "layer", "depth", "mi_input", "mi_error", "input_via", "error_via"]
_WORDS = {"layer", "input_via", "error_via"}


def inequalities(frame: pd.DataFrame, tolerance: float = 0.0) -> pd.DataFrame:
    """Check both data-processing inequalities link by link, along the ways that information takes.

    Forward I(X;T_i) >= I(X;T_j), backward I(delta_K;delta_j) >= I(delta_K;delta_i), i before j. A link leads from one
    layer to another whose information can only have come through it: forward, where all that layer j gets of the input
    has come through layer i (the column input_via); backward, where all of the error of layer i has come through layer
    j (error_via). Layers side by side, and those with a way around, have no link: the inequality says nothing of them.

    Parameters
    ----------
    frame : pandas.DataFrame
        As `Monitor.frame()` gives it; the columns step, batch, layer, depth, mi_input, mi_error, input_via and
        error_via are used, and method and alpha where they are there: each method and order has its own links.
    tolerance : float
        By how many bits a link may be violated and still hold; finite, not negative.

    Returns
    -------
    pandas.DataFrame
        One row per link, by step, method and order, the forward chain first, in the direction of the chain: step;
        method ("" for a frame without it); alpha (NaN for a frame without it); chain ("forward" or "backward"); source
        and target, the two layers; left and right, their mutual informations in bits, each the mean over the
        minibatches; left_null and right_null, the means of their nulls (NaN in a frame without them): a chain that
        these keep as well holds whatever the data are; gap = left - right; gap_error, the standard error of the mean of
        that difference over the minibatches (NaN for one); violation = max(0, -gap); holds, whether violation is at
        most tolerance, or at most two gap_error above it. Layers without a value (NaN) are no part of a chain.

    Raises
    ------
    TypeError
        For a frame that is no DataFrame, columns that are not numeric, or a tolerance that is no number.
    ValueError
        For missing columns, a layer that is there twice, or a tolerance out of range.

    Notes
    -----
    The forward inequality is a theorem for such links. The backward one is where networks are linear; elsewhere an
    error also has something of the sample from the slopes of activation functions, which the paper leaves aside.

    The estimator guarantees neither: a kernel sees a variable at the scale of its width. Widths that do not follow each
    layer's scale, as Silverman's rule without the spread, measure mostly how large errors are, and they grow toward
    the input; so does a product of kernels that narrows with the number of maps. A violation in linear networks, where
    the true chain must hold, is one of the estimator. Cost: linear in the rows. Source: arXiv 1804.06537.

    Examples
    --------
    >>> import pandas as pd
    >>> import fastrenyi.torch as frt
    >>> frame = pd.DataFrame({
    ...     "step": 0, "batch": 0, "layer": ["conv1", "conv2", "fc"], "depth": [0, 1, 2],
    ...     "input_via": ["", "conv1", "conv2"], "error_via": ["conv2", "fc", ""],
    ...     "mi_input": [6.0, 5.5, 5.75], "mi_error": [2.0, 3.0, float("nan")],
    ... })
    >>> links = frt.inequalities(frame)
    >>> links[["chain", "source", "target", "gap", "violation", "holds"]]
          chain source target   gap  violation  holds
    0   forward  conv1  conv2  0.50       0.00   True
    1   forward  conv2     fc -0.25       0.25  False
    2  backward  conv2  conv1  1.00       0.00   True
    """
    import pandas as pd

    _check_arguments(frame, tolerance)
    if "alpha" not in frame:
        frame = frame.assign(alpha=math.nan)
    if "method" not in frame:
        frame = frame.assign(method="")
    links = [
        {"step": step, "method": method, "alpha": alpha, "chain": chain, **link}
        for (step, method, alpha), rows in frame.groupby(["step", "method", "alpha"], sort=True, dropna=False)
        for chain, (value, via) in _CHAINS.items()
        for link in _links(rows.sort_values("depth", kind="stable"), value, via, tolerance)
    ]
    return pd.DataFrame(links, columns=list(_COLUMNS)).astype(_COLUMNS)


def _links(rows: pd.DataFrame, value: str, via: str, tolerance: float) -> Iterator[dict[str, Any]]:
    """The links of one chain at one step, in its direction."""
    values = rows[rows[value].notna()].pivot_table(value, "batch", "layer", sort=False)
    null = f"{value}_null"
    nulls = dict(rows.groupby("layer")[null].mean()) if null in rows else {}
    layers = [str(layer) for layer in values]
    if value == "mi_error":
        layers.reverse()  # the errors travel from the last layer to the first
    # What is not there at every minibatch is no way.
    ways = {str(layer): set(found) for layer, found in rows.groupby("layer")[via]}
    sources = {layer: found.pop() if len(found) == 1 else "" for layer, found in ways.items()}
    for target in layers:
        source, passed = sources[target], {target}
        while source and source not in values and source not in passed:  # a layer without a value is passed by
            passed.add(source)
            source = sources.get(source, "")
        if not source or source in passed:
            continue
        left, right = values[source], values[target]
        gaps = (left - right).dropna()
        gap = float(gaps.mean())
        error = float(gaps.std() / math.sqrt(len(gaps)))  # NaN for one minibatch
        violation = max(0.0, -gap)
        yield {
            "source": source,
            "target": target,
            "left": left.mean(),
            "right": right.mean(),
            "left_null": nulls.get(source, math.nan),
            "right_null": nulls.get(target, math.nan),
            "gap": gap,
            "gap_error": error,
            "violation": violation,
            "holds": violation <= tolerance + (0.0 if math.isnan(error) else 2 * error),
        }


def _check_arguments(frame: pd.DataFrame, tolerance: object) -> None:
    import pandas as pd

    check_columns(frame, _USED)
    for name in _USED:
        if name not in _WORDS and not pd.api.types.is_numeric_dtype(frame[name]):
            _check.kind_error("frame", f"numbers in the column {name}", f"dtype {frame[name].dtype}")
    if "alpha" in frame and not pd.api.types.is_numeric_dtype(frame["alpha"]):
        _check.kind_error("frame", "numbers in the column alpha", f"dtype {frame['alpha'].dtype}")
    twice = frame.duplicated([name for name in ("step", "batch", "layer", "method", "alpha") if name in frame])
    if twice.any():
        step, batch, layer = frame.loc[twice, ["step", "batch", "layer"]].iloc[0]
        _check.value_error(
            "frame",
            "one row per step, batch, layer, method and order",
            f"two of step {step}, batch {batch}, layer {layer!r}",
            "keep one of them, or take one run at a time",
        )
    _check.not_negative(tolerance, "tolerance")
