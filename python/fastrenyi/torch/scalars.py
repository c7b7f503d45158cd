"""Measurements of a Monitor as named numbers, for loggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["scalars", "write_scalars"]

_KEYS = {
    "step", "batch", "layer", "depth", "method", "alpha", "channels", "samples", "permutations", "pair_permutations",
    "pairs",
}  # fmt: skip


def scalars(frame: pd.DataFrame) -> dict[int, dict[str, float]]:
    """Return, for each step of ``Monitor.measure`` or ``Monitor.frame``, {"layer/quantity": its mean over the batches}.

    Of a table of several methods or orders {"layer/quantity/method=name/alpha=order": ...}, of what there are several.
    Quantities that do not apply to a layer (NaN) are left out.
    """
    several = [name for name in ("method", "alpha") if name in frame and frame[name].nunique() > 1]
    quantities = [column for column in frame.select_dtypes("number") if column not in _KEYS]
    means = frame.groupby(["step", "layer", *several], sort=False)[quantities].mean()
    found: dict[int, dict[str, float]] = {}
    for key, row in means.iterrows():
        step, layer, *which = cast("tuple[Any, ...]", key)
        tail = "".join(f"/{name}={value}" for name, value in zip(several, which, strict=True))
        of_step = found.setdefault(int(step), {})
        of_step |= {f"{layer}/{name}{tail}": float(value) for name, value in row.dropna().items()}
    return found


def write_scalars(writer: Any, frame: pd.DataFrame) -> None:
    """Write the measurements to a TensorBoard ``SummaryWriter``, or what has its ``add_scalar(tag, value, step)``.

    Parameters
    ----------
    writer : object
        Its ``add_scalar`` is called with the tag "layer/quantity", of several methods and orders
        "layer/quantity/method=paper/alpha=2.0", the mean over the probe minibatches, and the step.
    frame : pandas.DataFrame
        That of one ``Monitor.measure`` as training goes, or that of ``Monitor.frame`` for a whole run.

    Returns
    -------
    None
        Quantities that do not apply to a layer (NaN) are left out.

    Raises
    ------
    KeyError
        From pandas for a frame without the columns step and layer.

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
    for step, values in scalars(frame).items():
        for tag, value in values.items():
            writer.add_scalar(tag, value, step)
