"""What is measured of each prompt of a minibatch at one layer: numbers of its own tokens alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

import fastrenyi as fr
from fastrenyi.kernels import Kernel, Linear
from fastrenyi.torch.network.aligned import Aligned

__all__ = ["apart", "numbers", "smaller"]

_COVARIANCE = Linear("samples", side="smaller")
_ROUNDING = 16
"""Units of the largest number by which what is the same may differ: no less than a centred kernel takes for nothing."""


def numbers(found: Aligned, taken: Aligned, kernel: Kernel, orders: Sequence[float]) -> Tensor:
    """Return for each prompt tokens, curvature, participation ratio and the entropies, in nats: (prompts, 3 + orders).

    The curvature is that of the tokens `taken`. Where all tokens are the same, as one alone is, there is no spread to
    measure, and all but their number is NaN; so is the curvature of two.
    """
    rows = found.tokens.new_full((len(found.tokens), 3 + len(orders)), torch.nan, dtype=torch.float64)
    rows[:, 0] = found.lengths
    spread = apart(found)
    if bool(spread.any()):
        some = found.of(spread)
        lengths = some.lengths.tolist()
        rows[spread, 1] = _curvature(taken.of(spread))
        rows[spread, 2] = fr.effective_rank(fr.gram(some.tokens, _COVARIANCE, lengths=lengths), 2).double()
        grams = fr.gram(some.tokens, smaller(kernel), lengths=lengths)
        rows[spread, 3:] = fr.entropy(grams, list(orders), base=math.e).double()
    return rows


def smaller(kernel: Kernel) -> Kernel:
    """Return a kernel as it is quickest for what is a function of the spectrum alone."""
    return replace(kernel, side="smaller") if isinstance(kernel, Linear) else kernel


def apart(found: Aligned) -> Tensor:
    """Whether not all tokens of a prompt are the same, to rounding: (prompts,) of bools."""
    padding = ~found.counts
    off = (found.tokens - found.tokens[:, :1]).abs().amax(-1).masked_fill(padding, 0).amax(1)
    largest = found.tokens.abs().amax(-1).masked_fill(padding, 0).amax(1)
    return off > _ROUNDING * torch.finfo(found.tokens.dtype).eps * largest


def _curvature(found: Aligned) -> Tensor:
    """Return the curvature of each path of tokens; NaN for two, between which there is one step."""
    tokens, rows = found.tokens, torch.arange(len(found.tokens), device=found.tokens.device)
    last = tokens[rows, found.lengths - 1]
    stays = torch.where(found.counts[..., None], tokens, last[:, None])  # steps of no length, which do not count
    if tokens.shape[1] < 3:
        return rows.new_full(rows.shape, torch.nan, dtype=torch.float64)
    angles: Tensor = fr.curvature(stays)
    return angles.double().masked_fill(found.lengths < 3, torch.nan)
