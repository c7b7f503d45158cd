"""Prompts of different lengths in one tensor: tokens that count first, padding behind them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Aligned", "aligned"]


class Aligned(NamedTuple):
    """The tokens of prompts at one layer."""

    tokens: Tensor
    """(prompts, longest, d), in single or double precision; behind those that count, anything."""
    lengths: Tensor
    """(prompts,), how many count."""

    @property
    def counts(self) -> Tensor:
        """(prompts, longest), whether a place holds a token that counts."""
        places = torch.arange(self.tokens.shape[1], device=self.tokens.device)
        return places < self.lengths[:, None]

    def of(self, which: Tensor) -> Aligned:
        """Return those of some prompts."""
        return Aligned(self.tokens[which], self.lengths[which])

    def mean(self) -> Tensor:
        """Return the mean token of each prompt, (prompts, d)."""
        return self.tokens.masked_fill(~self.counts[..., None], 0).sum(1) / self.lengths[:, None]

    def normalized(self) -> Aligned:
        """Return tokens less the mean one of their prompt, and of length one, or zero."""
        centred = (self.tokens - self.mean()[:, None]).masked_fill(~self.counts[..., None], 0)
        length = centred.norm(dim=-1, keepdim=True)
        return Aligned(centred / torch.where(length > 0, length, 1), self.lengths)


def aligned(states: Tensor, mask: Tensor | None) -> Aligned:
    """Return hidden states (prompts, tokens, d) by a mask (prompts, tokens): padding before, behind or between."""
    states = states if states.dtype in (torch.float32, torch.float64) else states.float()
    prompts, tokens, d = states.shape
    if mask is None:
        return Aligned(states, torch.full((prompts,), tokens, device=states.device))
    mask = mask.to(states.device)
    lengths = mask.sum(1)
    if not bool((mask[:, :-1] >= mask[:, 1:]).all()):
        order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)
        states = states.gather(1, order[..., None].expand(-1, -1, d))
    return Aligned(states[:, : int(lengths.max())], lengths)
