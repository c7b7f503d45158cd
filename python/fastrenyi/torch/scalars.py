"""Measurements of a Monitor as named numbers, for loggers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from fastrenyi import _check
from fastrenyi.table.columns import COLUMNS, ORDER, check_columns

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["by_step", "scalars", "write_scalars"]

_REFUSED = re.compile(r"[^/\w.\- ]")  # by mlflow, in the name of a metric


def scalars(frame: pd.DataFrame) -> dict[str, float]:
    """Return the last step of a table as named numbers, such as a tracker of experiments logs.

    Parameters
    ----------
    frame : pandas.DataFrame
        As `Monitor.measure` or `Monitor.frame` give it; the columns step and layer, and those with quantities in bits.

    Returns
    -------
    dict from str to float
        {"layer/quantity": its mean over the probe minibatches}, such as "conv1/mi_target"; of a table of several
        methods or orders {"layer/quantity/alpha_2.0": ...}; of a model that is itself the layer {"quantity": ...}.
        Quantities that do not apply to a layer (NaN) are left out. What trackers
        refuse in a name, such as the # of a layer's second call, is "-".

    Raises
    ------
    TypeError
        For a frame that is no DataFrame.
    ValueError
        For a frame without these columns, without rows, or of several runs.

    Notes
    -----
    For ``wandb.log(frt.scalars(rows), step=step)`` or ``mlflow.log_metrics(frt.scalars(rows), step=step)`` with
    ``rows = monitor.measure(step)``; ``write_scalars`` is for TensorBoard. Cost: linear in the rows.

    Examples
    --------
    >>> import pandas as pd, fastrenyi.torch as frt
    >>> frame = pd.DataFrame({"step": [0, 0, 3, 3], "batch": [0, 1, 0, 1], "layer": "fc", "entropy": [1.0, 1, 4, 5]})
    >>> frt.scalars(frame)
    {'fc/entropy': 4.5}
    """
    check_columns(frame, ["step", "layer"])
    if frame.empty:
        _check.value_error("frame", "at least one row", "none", "call Monitor.measure first")
    return by_step(frame[frame["step"] == frame["step"].max()]).popitem()[1]


def by_step(frame: pd.DataFrame) -> dict[int, dict[str, float]]:
    """Return by step what ``scalars`` gives of the last."""
    check_columns(frame, ["step", "layer"])
    if "run" in frame and frame["run"].nunique() > 1:
        _check.value_error("frame", "rows of one run", f"{frame['run'].nunique()} runs", "take one of them")
    # Besides steps and layers, what rows are told apart by, if there are several of it.
    others = [name for name in ORDER if name not in ("step", "batch", "depth") and name in frame]
    others = [name for name in others if frame[name].nunique() > 1]
    quantities = [name for name in map(str, frame.columns) if COLUMNS.get(name) == "float64" and name not in ORDER]
    means = frame.groupby(["step", "layer", *others], sort=False)[quantities].mean()
    found: dict[int, dict[str, float]] = {}
    for key, row in means.iterrows():
        step, layer, *values = cast("tuple[Any, ...]", key)
        tail = "".join(f"/{name}_{value}" for name, value in zip(others, values, strict=True))
        of_step = found.setdefault(int(step), {})
        place = f"{layer}/" if layer else ""  # of a model that is one layer itself
        of_step |= {_REFUSED.sub("-", f"{place}{name}{tail}"): float(each) for name, each in row.dropna().items()}
    return found


def write_scalars(writer: Any, frame: pd.DataFrame) -> None:
    """Write the measurements to a TensorBoard ``SummaryWriter``, or what has its ``add_scalar(tag, value, step)``.

    Parameters
    ----------
    writer : object
        Its ``add_scalar`` is called with the tag "layer/quantity", of several methods and orders
        "layer/quantity/method_paper/alpha_2.0", the mean over the probe minibatches, and the step, as ``scalars`` names
        them.
    frame : pandas.DataFrame
        That of one ``Monitor.measure`` as training goes, or that of ``Monitor.frame`` for a whole run.

    Returns
    -------
    None
        Quantities that do not apply to a layer (NaN) are left out.

    Raises
    ------
    TypeError
        For a writer without ``add_scalar``, or a frame that is no DataFrame.
    ValueError
        For a frame without the columns step and layer, or of several runs.

    Notes
    -----
    Cost: linear in the rows.

    Examples
    --------
    >>> import pandas as pd, fastrenyi.torch as frt
    >>> class Writer:
    ...     def add_scalar(self, tag, value, step):
    ...         print(step, tag, value)
    >>> frame = pd.DataFrame({"step": 3, "batch": [0, 1], "layer": "conv1", "entropy": [4.0, 5.0]})
    >>> frt.write_scalars(Writer(), frame)
    3 conv1/entropy 4.5
    """
    if not callable(getattr(writer, "add_scalar", None)):
        _check.kind_error("writer", "a SummaryWriter, or what has its add_scalar", _check.quoted(writer))
    for step, values in by_step(frame).items():
        for tag, value in values.items():
            writer.add_scalar(tag, value, step)
