"""The tables of several runs as one, and as the arrays of xarray."""

from __future__ import annotations

import json
import math
import numbers
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastrenyi import _check
from fastrenyi.table import files
from fastrenyi.table.columns import COLUMNS, ORDER, check_columns

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["accept_config", "tidy", "to_xarray"]

_RUN, _SEED = "run", "seed"
_CONFIG = "config"
"""The setting under which a store has what its user said of the run."""
_KEYS = ["layer" if name == "depth" else name for name in ORDER]
"""What rows of one run are told apart by, in words: the axes of the arrays."""
_OF_LAYERS = ("part", "depth", "channels", "channel_dim", "activation", "input_via", "error_via")
_NEEDED = ["step", "batch", "layer", "depth"]
_NO_BITS = {"alpha", "bandwidth", "tradeoff_share", "nonredundant_share"}


def tidy(
    runs: Any,
    config: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    settings: Sequence[str] = (),
) -> pd.DataFrame:
    """Return the tables of runs as one: a row for each measurement, and columns that say of which run it is.

    Parameters
    ----------
    runs : path, Monitor, pandas.DataFrame, or several of them
        Stores of a Monitor, their exports in Parquet or CSV, Monitors, or tables such as `Monitor.frame()` gives: one,
        a list, or a dict by names. Names of a list are those of the files' folders, or of the files, as far as they
        tell them apart, and else places 0, 1, ...
    config : mapping, or a list of one for each run, optional
        Columns with the same value throughout a run, such as ``{"seed": 3, "lr": 0.1}``: numbers, strings or None. They
        are added to the `config` that the Monitor was made with, and replace what has their name there.
    settings : list of str
        Names of what the Monitors were made with that is to be a column as well, such as "kernel" or "kernel_on";
        lists as JSON. A Monitor's own "seed", of permutations, is not to be had here.

    Returns
    -------
    pandas.DataFrame
        Columns run (its name), seed (NaN where nobody has said one), those of `config`, those of `settings`, and those
        of `Monitor.frame()`. Rows in the order of the runs, in each as in its table. What a run has nothing of is NaN.

    Raises
    ------
    TypeError
        For runs of another kind, a config that is no mapping, or values in it that are no numbers and no strings.
    ValueError
        For runs of the same name, a config for another number of runs, a name in it that a table has itself, or a
        setting that no run has.
    StoreError
        An OSError and a ValueError, for files that are no tables.

    Notes
    -----
    ``.to_csv("all.csv", index=False)`` and ``.to_parquet`` write it; ``fastrenyi.table.to_xarray`` makes arrays of it.
    Needs pandas and not torch. Cost: linear in the rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from fastrenyi.table import tidy
    >>> one = pd.DataFrame({"step": 0, "batch": 0, "depth": 0, "layer": ["conv1"], "alpha": 1.01, "entropy": 4.0})
    >>> tidy({"narrow": one, "wide": one.assign(entropy=5.0)}, config=[{"seed": 0, "maps": 6}, {"seed": 0, "maps": 12}])
          run  seed  maps  step  batch  depth  layer  alpha  entropy
    0  narrow     0     6     0      0      0  conv1   1.01      4.0
    1    wide     0    12     0      0      0  conv1   1.01      5.0
    """
    import pandas as pd

    sources = _named(runs)
    given = _configs(config, len(sources))
    if isinstance(settings, str) or not isinstance(settings, (list, tuple)):
        _check.kind_error("settings", "a list of names", _check.quoted(settings))
    frames, about = [], []
    for (name, source), own in zip(sources.items(), given, strict=True):
        frame, recorded = _content(source)
        known = {**recorded.get(_CONFIG, {}), **own}
        seed = known.pop(_SEED, math.nan)
        about.append({_RUN: name, _SEED: seed, **known, **_picked(settings, recorded)})
        if twice := [column for column in about[-1] if column in frame]:
            _check.value_error("runs", "tables without columns of their own for runs", f"one with {', '.join(twice)}")
        frames.append(frame)
    if missing := [name for name in settings if not any(name in row for row in about)]:
        _check.value_error("settings", "what a Monitor was made with, as Monitor.settings names it", missing[0])
    # Each column of one kind throughout, whichever run has it.
    whole = pd.DataFrame(about)
    repeated = whole.loc[whole.index.repeat([len(frame) for frame in frames])].reset_index(drop=True)
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat([repeated, pd.concat(filled, ignore_index=True)], axis=1)


def to_xarray(frame: pd.DataFrame) -> xr.Dataset:
    """Return a table as arrays by step, minibatch, layer and order, and by run where it has several.

    Parameters
    ----------
    frame : pandas.DataFrame
        As `Monitor.frame()` or `tidy` give it.

    Returns
    -------
    xarray.Dataset
        A variable for each column, of dimensions (run,) step, batch, layer, method, alpha; layers in the order of
        execution. What describes a layer or a run (depth, channels, seed, ...) are coordinates along layer, run or
        both, if they say it all. In bits where the attribute units says so. Where there is no row numbers are NaN,
        words "", and True and False become 1 and 0. Of a table without rows the same variables, of no places.

    Raises
    ------
    ImportError
        If xarray is missing (``pip install 'fastrenyi[xarray]'``).
    TypeError
        For a frame that is no DataFrame.
    ValueError
        For missing columns, or two rows of the same run, step, batch, layer, method and alpha.

    Notes
    -----
    Of several methods ``.sel({"method": "tensor"})`` takes one: xarray has a use of its own for ``method=``. Cost: the
    number of runs, steps, minibatches, layers, methods and orders, multiplied: for runs measured at
    the same steps.

    Examples
    --------
    >>> import pandas as pd
    >>> from fastrenyi.table import to_xarray
    >>> frame = pd.DataFrame({
    ...     "step": [0, 0, 9, 9], "batch": 0, "layer": ["fc", "conv", "fc", "conv"], "depth": [1, 0, 1, 0],
    ...     "alpha": 1.01, "mi_target": [1.0, 0.5, 2.0, 0.75],
    ... })
    >>> to_xarray(frame).mi_target.sel(step=9, batch=0, alpha=1.01).to_series()
    layer
    conv    0.75
    fc      2.00
    Name: mi_target, dtype: float64
    """
    try:
        import xarray  # noqa: F401 - by which pandas makes one
    except ImportError as error:
        raise ImportError(
            f"to_xarray needs xarray: pip install 'fastrenyi[xarray]' ({error})", name="xarray"
        ) from error
    check_columns(frame, _NEEDED)
    keys = [name for name in (_RUN, *_KEYS) if name in frame]
    twice = frame.duplicated(keys)
    if twice.any():
        place = ", ".join(f"{name} {value}" for name, value in frame.loc[twice, keys].iloc[0].items())
        _check.value_error("frame", "one row for each place", f"two of {place}", "keep one, or join runs by tidy")
    shape = {name: frame[name].drop_duplicates() for name in keys}
    shape["layer"] = frame.sort_values("depth", kind="stable")["layer"].drop_duplicates()
    if math.prod(map(len, shape.values())) > len(frame):
        flags = frame.select_dtypes("bool").columns
        frame = frame.astype(dict.fromkeys(flags, "float64"))
    values = [name for name in map(str, frame.columns) if name not in keys]
    describing = [name for name in values if name in _OF_LAYERS or name not in COLUMNS]
    along = {name: _axes(frame, name, keys) for name in describing}
    measured = [name for name in values if name not in along]
    found = _spread(frame, keys, measured, shape)
    for name in describing:
        found = found.assign_coords({name: _spread(frame, along[name], [name], shape)[name]})
    for name in measured:
        if COLUMNS.get(name) == "float64" and name not in _NO_BITS:
            found[name].attrs["units"] = "bits"
    return found


def accept_config(config: object, name: str = "config") -> dict[str, Any]:
    """Accept what a user says of a run: words to numbers or strings, as JSON keeps them and a column holds them."""
    if not isinstance(config, Mapping):
        _check.kind_error(name, "a mapping from names to numbers or strings", _check.quoted(config))
    found: dict[str, Any] = {}
    for key, value in config.items():
        if not isinstance(key, str) or not key:
            _check.kind_error(name, "names that are strings", _check.quoted(key))
        if key in COLUMNS or key == _RUN:
            _check.value_error(name, "names that no column of the table has", repr(key), f"call it model_{key}")
        found[key] = _plain(value, f"{name}[{key!r}]")
    return found


def _plain(value: Any, name: str) -> Any:
    """A number or a string as Python has it."""
    if isinstance(value, numbers.Number) and hasattr(value, "item"):
        value = value.item()
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if not isinstance(value, float):
        _check.kind_error(
            name, "a number, a string or None", _check.quoted(value), "give parts of it names of their own"
        )
    if not math.isfinite(value):
        _check.value_error(name, "a finite number", value)
    return value


def _named(runs: Any) -> dict[str, Any]:
    """The runs by name."""
    expected = "a store's path, a Monitor, a table, or a list or dict of them"
    if isinstance(runs, Mapping):
        if wrong := [name for name in runs if not isinstance(name, str)]:
            _check.kind_error("runs", "names that are strings", wrong[0])
        sources = dict(runs)
    else:
        listed = list(runs) if isinstance(runs, (list, tuple)) else [runs]
        paths = [place for place, source in enumerate(listed) if isinstance(source, (str, os.PathLike))]
        names = {place: str(place) for place in range(len(listed))}
        names |= dict(zip(paths, files.names_of([Path(listed[place]) for place in paths]), strict=True))
        if len(set(names.values())) < len(names):
            _check.value_error("runs", "different ones", ", ".join(names.values()), "pass a dict by name")
        sources = {names[place]: source for place, source in enumerate(listed)}
    if not sources:
        _check.value_error("runs", expected, "none")
    for source in sources.values():
        if not (isinstance(source, (str, os.PathLike)) or _is_table(source) or _is_monitor(source)):
            _check.kind_error("runs", expected, source)
    return sources


def _is_table(source: object) -> bool:
    import pandas as pd

    return isinstance(source, pd.DataFrame)


def _is_monitor(source: object) -> bool:
    """By what it has, as this floor knows no torch."""
    return callable(getattr(source, "frame", None)) and isinstance(getattr(source, "settings", None), dict)


def _content(source: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Table and settings."""
    if _is_table(source):
        frame, recorded = source, {}
    elif _is_monitor(source):
        frame, recorded = source.frame(), source.settings
    else:
        frame, recorded = files.read(Path(source))
    check_columns(frame, _NEEDED, "runs")
    return frame, recorded


def _configs(config: object, count: int) -> list[dict[str, Any]]:
    if config is None:
        return [{}] * count
    if not isinstance(config, (list, tuple)):
        return [accept_config(config)] * count
    if len(config) != count:
        _check.value_error("config", f"one for each of {count} runs", len(config))
    return [accept_config(one, f"config[{place}]") for place, one in enumerate(config)]


def _picked(names: Sequence[Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a Monitor as columns."""
    found: dict[str, Any] = {}
    for name in names:
        if not isinstance(name, str):
            _check.kind_error("settings", "a list of names", f"{type(name).__name__} in it")
        if name in COLUMNS:
            _check.value_error("settings", "names that no column of the table has", repr(name), "it is there already")
        if name in (_SEED, _CONFIG):
            _check.value_error("settings", "names other than seed and config, which have columns", repr(name))
        if name in recorded:
            value = recorded[name]
            found[name] = json.dumps(value) if isinstance(value, (list, dict)) else value
    return found


def _axes(frame: pd.DataFrame, name: str, keys: list[str]) -> list[str]:
    """The fewest of the axes along which a description is to be told."""
    tried: Iterator[list[str]] = (axes for axes in ([_RUN], ["layer"], [_RUN, "layer"]) if set(axes) <= set(keys))
    for axes in tried:
        if (frame.groupby(axes)[name].nunique(dropna=False) == 1).all():
            return axes
    return keys


def _spread(frame: pd.DataFrame, axes: list[str], names: list[str], shape: Mapping[str, Any]) -> xr.Dataset:
    """Columns as arrays along some axes."""
    rows = frame.drop_duplicates(axes)
    words = [name for name in names if rows[name].dtype.kind not in "biufc"]
    rows = rows.astype(dict.fromkeys([*words, *(a for a in axes if rows[a].dtype.kind not in "biuf")], object))
    found = rows.set_index(axes)[names].to_xarray()
    found = found.reindex({axis: shape[axis].to_numpy(rows[axis].dtype) for axis in axes})
    return found.assign({name: found[name].fillna("") for name in words})
