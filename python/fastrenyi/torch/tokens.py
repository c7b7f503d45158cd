"""Integers as categories: what kernels of real numbers see of tokens and of masks of classes."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["one_hot"]


def one_hot(tokens: Tensor) -> Tensor:
    """Return one column, in float64, for each token that occurs at a place: tokens (n, ...) to (n, columns).

    The squared distance of two samples is twice the number of places at which they differ.
    """
    flat = tokens.reshape(len(tokens), -1)
    ordered, order = flat.sort(0)
    new = torch.zeros_like(ordered)
    new[1:] = ordered[1:] != ordered[:-1]
    codes = torch.zeros_like(ordered).scatter(0, order, new.cumsum(0).to(ordered.dtype)).long()  # 0, 1, ... at a place
    counts = codes.amax(0) + 1
    columns = torch.zeros(len(flat), int(counts.sum()), dtype=torch.float64, device=flat.device)
    return columns.scatter_(1, codes + (counts.cumsum(0) - counts), 1.0)
