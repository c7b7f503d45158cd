"""Which maps of a layer know most of a target together; constants of the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi import _ops
from fastrenyi.torch.ops._operation import operation
from fastrenyi.torch.ops._shared import as_tensor, computed_in, in_front

__all__ = ["chosen"]


class _Chosen:
    """``_ops.chosen``."""

    @staticmethod
    def kernel(*args: Any) -> tuple[Tensor, Tensor]:
        order, found = _ops.chosen(*args)
        return as_tensor(order), as_tensor(found)

    @staticmethod
    def fake(
        maps: Tensor, target: Tensor, most: int, limit: float, orders: list[float], unit: float
    ) -> tuple[Tensor, Tensor]:
        order = maps.new_empty((maps.shape[0],), dtype=torch.int64)
        return order, maps.new_empty((2, most, len(orders)), dtype=computed_in(maps))

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], maps: Tensor, target: Tensor, *rest: Any) -> Any:
        layers = (in_front(x, axis, info.batch_size) for x, axis in zip((maps, target), in_dims, strict=False))
        each = [_chosen(*layer, *rest) for layer in zip(*layers, strict=True)]
        return tuple(torch.stack(part) for part in zip(*each, strict=True)), (0, 0)


_chosen = operation(
    "chosen(Tensor maps, Tensor target, int most, float limit, float[] orders, float unit) -> (Tensor, Tensor)",
    "rank_maps",
    _Chosen,
)


def chosen(maps: Tensor, target: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    """Return the maps as they are chosen and the entropies of the first of them, as ``_ops.chosen``."""
    found: tuple[Tensor, Tensor] = _chosen(maps.detach(), target.detach(), *rest)
    return found
