"""What was kept of single pairs of feature maps: a matrix for each layer, step, minibatch, method and order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastrenyi import _check
from fastrenyi.table import database

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["pairs", "pairs_table"]

_COLUMNS = {
    "step": "int64",
    "batch": "int64",
    "layer": "str",
    "method": "str",
    "alpha": "float64",
    "pairwise": "object",
}


def pairs(run: Any, step: int | None = None) -> pd.DataFrame:
    """Return what each two feature maps of a layer know of the input together, I(X;{Ti,Tj}), as a Monitor has kept it.

    Parameters
    ----------
    run : path or Monitor
        The store of a Monitor that was made with ``keep_pairs=True``, or that Monitor.
    step : int, optional
        The step to read; None reads all of them.

    Returns
    -------
    pandas.DataFrame
        Columns step, batch, layer, method and alpha, as in `Monitor.frame()`, and pairwise: an array (C, C) for C maps,
        symmetric, in bits, I(X;{Ti,Tj}) of two maps and I(X;Ti) on the diagonal. With ``P`` the array and ``s`` its
        diagonal, ``s[:, None] + s - P`` is redundancy less synergy of each pair and ``2 * P - s[:, None] - s`` its
        non-redundant information; their means over all pairs are the columns tradeoff and nonredundant of the table.
        No rows where none were kept: without `keep_pairs`, and of layers of which a sample of pairs was measured.

    Raises
    ------
    TypeError
        For a run that is no path and no Monitor, and a step that is no whole number.
    ValueError
        For a negative step.
    StoreError
        For a file that is no store, or damaged.

    Notes
    -----
    Cost: 8 C^2 bytes for each row.
    Source: Yu, Wickstrom, Jenssen, Principe, IEEE TNNLS 32(1), 2021 (arXiv 1804.06537).

    Examples
    --------
    >>> import torch, fastrenyi.torch as frt
    >>> from fastrenyi.table import pairs
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 3))
    >>> probe = [(torch.randn(20, 1, 8, 8), torch.arange(20) % 3)]
    >>> monitor = frt.Monitor(model, probe, keep_pairs=True)
    >>> rows = monitor.measure(step=0)
    >>> found = pairs(monitor)
    >>> found[["step", "batch", "layer"]]
       step  batch layer
    0     0      0     0
    >>> P = found.pairwise[0]
    >>> s = P.diagonal()
    >>> tradeoff = (s[:, None] + s - P)[~torch.eye(4, dtype=bool).numpy()].mean()
    >>> P.shape, bool(abs(tradeoff - rows.tradeoff[0]) < 1e-5)
    ((4, 4), True)
    """
    if callable(getattr(run, "measure", None)) and callable(getattr(run, "pairs", None)):
        found: pd.DataFrame = run.pairs(step)
        return found
    if not isinstance(run, (str, os.PathLike)):
        _check.kind_error("run", "a store's path or a Monitor", _check.quoted(run))
    at = None if step is None else _check.integer(step, "step", 0)
    return pairs_table(database.pairs(Path(run), at))


def pairs_table(kept: Sequence[database.Pairs]) -> pd.DataFrame:
    """The rows as a table, by step."""
    import pandas as pd

    frame = pd.DataFrame(list(kept), columns=list(_COLUMNS)).astype(_COLUMNS)
    return frame.sort_values("step", kind="stable", ignore_index=True)
