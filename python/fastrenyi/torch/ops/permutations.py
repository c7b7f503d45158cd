"""Entropies with a variable whose samples are in another order; constants of the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi import _ops
from fastrenyi.torch.ops._operation import operation
from fastrenyi.torch.ops._shared import aligned, as_tensor, common_batch, computed_in, in_front, joined, parted

__all__ = ["permuted", "permuted_pairs"]


class _Permuted:
    """``_ops.permuted``."""

    @staticmethod
    def kernel(grams: list[Tensor], labels: str, split: int, names: str, *rest: Any) -> Tensor:
        return as_tensor(_ops.permuted(grams, parted(labels), split, parted(names), *rest))

    @staticmethod
    def fake(
        grams: list[Tensor],
        labels: str,
        split: int,
        names: str,
        count: int,
        seed: int,
        orders: list[float],
        unit: float,
    ) -> Tensor:
        return grams[0].new_empty((count, *common_batch(grams), len(orders)), dtype=computed_in(grams[0]))

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], grams: list[Tensor], *rest: Any) -> Any:
        return _permuted(aligned(grams, in_dims[0]), *rest), 1


_permuted = operation(
    "permuted(Tensor[] grams, str labels, int split, str names, int count, int seed, float[] orders, float unit) "
    "-> Tensor",
    "permutation_test",
    _Permuted,
)


def permuted(grams: Sequence[Tensor], labels: Sequence[str], split: int, names: Sequence[str], *rest: Any) -> Tensor:
    """Return the joint entropies of two variables, one of them permuted, as ``_ops.permuted``."""
    found: Tensor = _permuted([a.detach() for a in grams], joined(labels), split, joined(names), *rest)
    return found


class _PermutedPairs:
    """``_ops.permuted_pairs``."""

    @staticmethod
    def kernel(*args: Any) -> Tensor:
        return as_tensor(_ops.permuted_pairs(*args))

    @staticmethod
    def fake(
        maps: Tensor, target: Tensor, index: Tensor, count: int, seed: int, orders: list[float], unit: float
    ) -> Tensor:
        return maps.new_empty((count, index.shape[0], len(orders)), dtype=computed_in(maps))

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], maps: Tensor, target: Tensor, index: Tensor, *rest: Any) -> Any:
        layers = (in_front(x, axis, info.batch_size) for x, axis in zip((maps, target, index), in_dims, strict=False))
        return torch.stack([_permuted_pairs(*layer, *rest) for layer in zip(*layers, strict=True)]), 0


_permuted_pairs = operation(
    "permuted_pairs(Tensor maps, Tensor target, Tensor index, int count, int seed, float[] orders, float unit) "
    "-> Tensor",
    "layer_decomposition",
    _PermutedPairs,
)


def permuted_pairs(maps: Tensor, target: Tensor, *rest: Any) -> Tensor:
    """Return the entropies of pairs of maps with a target permuted, as ``_ops.permuted_pairs``."""
    found: Tensor = _permuted_pairs(maps.detach(), target.detach(), *rest)
    return found
