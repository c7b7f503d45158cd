"""The O-information of groups of Grams; constants of the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi import _ops
from fastrenyi.torch.ops._operation import operation
from fastrenyi.torch.ops._shared import as_tensor, computed_in, in_front

__all__ = ["group_o_information"]


class _GroupOInformation:
    """``_ops.group_o_information``."""

    @staticmethod
    def kernel(*args: Any) -> tuple[Tensor, ...]:
        return tuple(as_tensor(part) for part in _ops.group_o_information(*args))

    @staticmethod
    def fake(
        maps: Tensor, target: Tensor | None, size: int, most: int | None, seed: int, orders: list[float], unit: float
    ) -> tuple[Tensor, ...]:
        total = math.comb(int(maps.shape[0]), size)
        listed = total if most is None else min(total, most)
        groups = maps.new_empty((listed, size), dtype=torch.int64)
        return groups, maps.new_empty((listed, len(orders)), dtype=computed_in(maps))

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], maps: Tensor, target: Tensor | None, *rest: Any) -> Any:
        every = in_front(maps, in_dims[0], info.batch_size)
        targets = [None] * len(every) if target is None else in_front(target, in_dims[1], info.batch_size)
        each = [_group_o_information(*layer, *rest) for layer in zip(every, targets, strict=True)]
        return tuple(torch.stack(part) for part in zip(*each, strict=True)), (0, 0)


_group_o_information = operation(
    "group_o_information(Tensor maps, Tensor? target, int size, int? most, int seed, float[] orders, float unit) -> "
    "(Tensor, Tensor)",
    "group_o_information",
    _GroupOInformation,
)


def group_o_information(maps: Tensor, target: Tensor | None, *rest: Any) -> tuple[Tensor, Tensor]:
    """Return groups of Grams and the O-information of each, as ``_ops.group_o_information``."""
    given = None if target is None else target.detach()
    found: tuple[Tensor, Tensor] = _group_o_information(maps.detach(), given, *rest)
    return found
