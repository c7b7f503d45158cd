"""The numbers of prompts by layer, and the tidy tables that are made of them: of layers, and of single prompts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from fastrenyi._array import Values

__all__ = ["BY", "Layer", "by_layer", "by_prompt", "differences", "normalised"]

BY = ("by_log_n", "by_log_d", "by_log_min", "by_log_n_log_d")
"""What an entropy is divided by: the logarithms of the number of vectors, of features, of the fewer, or of both."""
_ENTROPIES = ("dataset_entropy", "dime", "infonce")
"""Measures of all prompts together that have a unit."""
_COLUMNS = ["depth", "layer", "measure", "alpha", "value", "standard_error", "n_prompts"]


@dataclass(frozen=True)
class Layer:
    """What was measured of one layer."""

    name: str
    d: int
    """Features of its states."""
    numbers: Values
    """(prompts, 3 + orders): tokens, curvature, participation ratio, entropies in nats."""
    dataset: Sequence[tuple[str, float, float]]
    """Measures of all prompts together, orders (NaN where there is none), and their values, entropies in nats."""


def by_layer(layers: Sequence[Layer], orders: Sequence[float], base: float) -> pd.DataFrame:
    """Return means over prompts with their standard errors, and what is of all prompts together."""
    import pandas as pd

    rows = []
    for depth, layer in enumerate(layers):
        known = depth, layer.name
        for measure, alpha, values in _of_prompts(layer, orders, base):
            count, mean, error = _mean(values)
            if measure == "effective_rank":  # the exponential of the mean entropy, as Diff-eRank has it of a data set
                count, mean, error = _mean(np.log(values))
                mean = math.exp(mean)
                error *= mean
            rows.append((*known, measure, alpha, mean, error, count))
        n = len(layer.numbers)
        for measure, alpha, value in layer.dataset:
            unit = math.log(base) if measure in _ENTROPIES else 1.0
            rows.append((*known, measure, alpha, value / unit, math.nan, n))
            if measure == "dataset_entropy":
                shares = normalised(np.array([value]), np.array([float(n)]), layer.d)
                rows += [(*known, f"{measure}_{by}", alpha, float(share[0]), math.nan, n) for by, share in shares]
    return _table(pd.DataFrame(rows, columns=_COLUMNS))


def differences(layers: Sequence[Layer], others: Sequence[Layer], orders: Sequence[float]) -> pd.DataFrame:
    """Return Diff-eRank by layer: the effective rank of the others, such as untrained ones, less that of the layers.

    The error is that of paired prompts, to first order in it.
    """
    import pandas as pd

    rows = []
    for depth, (layer, other) in enumerate(zip(layers, others, strict=True)):
        for place, alpha in enumerate(orders, 3):
            here, there = layer.numbers[:, place], other.numbers[:, place]
            both = ~np.isnan(here) & ~np.isnan(there)
            ranks = [math.exp(nats[both].mean()) if both.any() else math.nan for nats in (here, there)]
            count, _, error = _mean(ranks[1] * there[both] - ranks[0] * here[both])
            rows.append((depth, layer.name, "diff_erank", alpha, ranks[1] - ranks[0], error, count))
    return _table(pd.DataFrame(rows, columns=_COLUMNS))


def by_prompt(layers: Sequence[Layer], orders: Sequence[float], base: float) -> pd.DataFrame:
    """Return the numbers of each prompt."""
    import pandas as pd

    parts = [
        pd.DataFrame({
            "prompt": np.arange(len(values)), "depth": depth, "layer": layer.name, "measure": measure, "alpha": alpha,
            "value": values,
        })
        for depth, layer in enumerate(layers)
        for measure, alpha, values in _of_prompts(layer, orders, base)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).astype({"layer": "str", "measure": "str"})


def _table(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({"layer": "str", "measure": "str", "n_prompts": "int64"})


def _of_prompts(layer: Layer, orders: Sequence[float], base: float) -> Iterator[tuple[str, float, Values]]:
    tokens, curvature, ratio, *entropies = layer.numbers.T
    yield "tokens", math.nan, tokens
    for alpha, nats in zip(orders, entropies, strict=True):
        yield "prompt_entropy", alpha, nats / math.log(base)
        for by, share in normalised(nats, tokens, layer.d):
            yield f"prompt_entropy_{by}", alpha, share
        yield "effective_rank", alpha, np.exp(nats)
    yield "participation_ratio", math.nan, ratio
    yield "curvature", math.nan, curvature


def normalised(nats: Values, n: Values, d: int) -> Iterator[tuple[str, Values]]:
    """Return entropies over the logarithms of numbers of vectors and features; NaN where that is zero."""
    log_n, log_d = np.log(n), math.log(d)
    over = log_n, np.full_like(log_n, log_d), np.minimum(log_n, log_d), log_n * log_d
    for by, most in zip(BY, over, strict=True):
        yield by, np.divide(nats, most, out=np.full_like(nats, math.nan), where=most > 0)


def _mean(values: Values) -> tuple[int, float, float]:
    """Return the number of prompts that have a value, their mean, and s / sqrt(m); NaN of none, or of one."""
    known = values[~np.isnan(values)]
    count = len(known)
    mean = float(known.mean()) if count else math.nan
    error = float(known.std(ddof=1) / math.sqrt(count)) if count > 1 else math.nan
    return count, mean, error
