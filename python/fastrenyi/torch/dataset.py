"""What is measured of all prompts together at one layer, of one vector for each prompt or for each view of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

import fastrenyi as fr
from fastrenyi.kernels import Kernel, Linear
from fastrenyi.torch.network.aligned import aligned
from fastrenyi.torch.prompts import apart, smaller

__all__ = ["dataset"]

_EPSILON = 1e-7
"""What RankMe adds to each share of the singular values, which then do not sum to one."""


def dataset(vectors: Tensor, kernel: Kernel, orders: Sequence[float]) -> Iterator[tuple[str, float, float]]:
    """Yield measures of vectors (prompts, views, d), by name, order (NaN where there is none) and value, in nats.

    Of prompts that are all the same, one alone among them, all is NaN but RankMe, which is not centred.
    """
    x = vectors[:, 0].double()
    spread = _spread(x)
    nats = fr.entropy(fr.gram(x, smaller(kernel)), list(orders), base=math.e) if spread else _nothing(len(orders))
    for alpha, value in zip(orders, nats.tolist(), strict=True):
        yield "dataset_entropy", alpha, value
    for alpha, value in zip(orders, nats.exp().tolist(), strict=True):
        yield "dataset_effective_rank", alpha, value
    yield "dataset_participation_ratio", math.nan, float(fr.participation_ratio(x)) if spread else math.nan
    yield "rank_me", math.nan, _rank_me(x) if bool(x.any()) else math.nan
    if vectors.shape[1] > 1:
        yield from _of_views(vectors.double(), kernel, orders)


def _of_views(vectors: Tensor, kernel: Kernel, orders: Sequence[float]) -> Iterator[tuple[str, float, float]]:
    """Yield what views of the same prompts tell: of two, also how well they are told by one another."""
    yield "lidar", math.nan, float(fr.lidar(vectors)) if _spread(vectors.mean(1)) else math.nan
    if vectors.shape[1] != 2:
        return
    a, b = vectors.unbind(1)
    spread = _spread(a) and _spread(b)
    told = fr.dime(fr.gram(a, kernel), fr.gram(b, kernel), alpha=list(orders), base=math.e) if spread else None
    for place, alpha in enumerate(orders):
        yield "dime", alpha, math.nan if told is None else float(told[place])
    yield "infonce", math.nan, float(fr.infonce(a, b, base=math.e))


def _spread(x: Tensor) -> bool:
    return bool(apart(aligned(x[None], None)))


def _nothing(count: int) -> Tensor:
    return torch.full((count,), math.nan, dtype=torch.float64)


def _rank_me(x: Tensor) -> float:
    """Return RankMe of vectors (n, d), as they are."""
    squares = fr.spectrum(fr.gram(x, Linear(side="smaller")))
    rounding = len(squares) * torch.finfo(squares.dtype).eps * squares.max()
    singular = torch.where(squares > rounding, squares, 0).sqrt()
    shares = singular / singular.sum() + _EPSILON
    return float((-(shares * shares.log()).sum()).exp())
