"""The two data-processing inequalities, checked on a table of measurements."""

from __future__ import annotations

import math
import numbers
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from fastrenyi import _check

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["inequalities"]

_COLUMNS = {
    "step": "int64",
    "chain": "str",
    "source": "str",
    "target": "str",
    "left": "float64",
    "right": "float64",
    "gap": "float64",
    "violation": "float64",
    "holds": "bool",
}


def inequalities(frame: pd.DataFrame, tolerance: float = 0.0) -> pd.DataFrame:
    """Check both data-processing inequalities link by link: I(X;T_1) >= ... >= I(X;T_K) and its twin of the errors.

    Forward, along the layers: I(X;T_1) >= I(X;T_2) >= ... >= I(X;T_K). Backward, along the errors delta_i (the
    gradient of the loss with respect to layer i's output): I(delta_K;delta_{K-1}) >= I(delta_K;delta_{K-2}) >= ...
    >= I(delta_K;delta_1). The estimator guarantees neither, as each layer has a kernel width of its own: small
    violations are findings.

    Parameters
    ----------
    frame : pandas.DataFrame
        As `Monitor.frame()` gives it; the columns step, batch, layer, depth, mi_input and mi_error are used.
    tolerance : float
        By how many bits a link may be violated and still hold; finite, not negative.

    Returns
    -------
    pandas.DataFrame
        One row per link, by step, the forward chain first, in the direction of the chain: step; chain ("forward" or
        "backward"); source and target, the two layers; left and right, their mutual informations in bits, each the
        mean over the minibatches; gap = left - right; violation = max(0, -gap); holds, whether violation <= tolerance.
        Layers without a value (NaN) are no part of the chain. There is no row where there is no link.

    Raises
    ------
    TypeError
        For a frame that is no DataFrame, columns that are not numeric, or a tolerance that is no number.
    ValueError
        For missing columns, a layer that is there twice, or a tolerance out of range.

    Notes
    -----
    Cost: linear in the rows. Source: arXiv 1804.06537.

    Examples
    --------
    >>> import pandas as pd
    >>> import fastrenyi.torch as frt
    >>> frame = pd.DataFrame({
    ...     "step": 0, "batch": 0, "layer": ["conv1", "conv2", "fc"], "depth": [0, 1, 2],
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
    means = frame.groupby(["step", "layer"], as_index=False, sort=True)[["depth", "mi_input", "mi_error"]].mean()
    links: list[dict[str, Any]] = []
    for step, layers in means.sort_values("depth", kind="stable").groupby("step", sort=True):
        for chain, column in (("forward", "mi_input"), ("backward", "mi_error")):
            known = layers[layers[column].notna()]
            # The errors travel from the last layer to the first.
            ordered = known if chain == "forward" else known.iloc[::-1]
            values = zip(ordered["layer"], ordered[column], strict=True)
            for (source, left), (target, right) in pairwise(values):
                gap = left - right
                violation = max(0.0, -gap)
                links.append(
                    {
                        "step": step,
                        "chain": chain,
                        "source": source,
                        "target": target,
                        "left": left,
                        "right": right,
                        "gap": gap,
                        "violation": violation,
                        "holds": violation <= tolerance,
                    }
                )
    return pd.DataFrame(links, columns=list(_COLUMNS)).astype(_COLUMNS)


def _check_arguments(frame: object, tolerance: object) -> None:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        _check.kind_error("frame", "a pandas DataFrame, as Monitor.frame() gives", type(frame).__name__)
    used = ["step", "batch", "layer", "depth", "mi_input", "mi_error"]
    missing = [name for name in used if name not in frame.columns]
    if missing:
        _check.value_error(
            "frame", f"the columns {', '.join(used)}", f"none called {', '.join(missing)}", "pass Monitor.frame()"
        )
    for name in used:
        if name != "layer" and not pd.api.types.is_numeric_dtype(frame[name]):
            _check.kind_error("frame", f"numbers in the column {name}", f"dtype {frame[name].dtype}")
    twice = frame.duplicated(["step", "batch", "layer"])
    if twice.any():
        step, batch, layer = frame.loc[twice, ["step", "batch", "layer"]].iloc[0]
        _check.value_error(
            "frame",
            "one row per step, batch and layer",
            f"two of step {step}, batch {batch}, layer {layer!r}",
            "keep one of them, or take one run at a time",
        )
    if isinstance(tolerance, bool) or not isinstance(tolerance, numbers.Real):
        _check.kind_error("tolerance", "a number", type(tolerance).__name__)
    if not (math.isfinite(tolerance) and float(tolerance) >= 0):
        _check.value_error("tolerance", "a finite number of bits, not negative", tolerance)
