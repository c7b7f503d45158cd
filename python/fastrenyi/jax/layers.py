"""What is measured of a layer: its maps (C, n, n), pairs and groups of them. Under vmap, called for each layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from fastrenyi import _ops
from fastrenyi._array import Values
from fastrenyi._ops.backward import of_all_but_one, of_pairs
from fastrenyi.jax._operation import Operation, Shape, Wanted, aligned, apply, computed_in, constant

__all__ = ["all_but_one", "chosen", "group_o_information", "pairs", "permuted", "permuted_pairs", "sample_pairs"]


def sample_pairs(maps: Array, most: int | None, seed: int) -> tuple[Values, Values]:
    """Return which pairs of maps to measure and where each stands in that, as ``_ops.sample_pairs``: known at once."""
    index, place = _ops.sample_pairs(np.empty((maps.shape[0], 1, 1)), most, seed)
    return index, place


@dataclass(frozen=True)
class _Pairs(Operation):
    orders: tuple[float, ...]
    unit: float
    mapped = "each"

    def numbers(self, maps: Values, target: Values, index: Values) -> Sequence[Values]:
        return _ops.pairs(maps, target, index, self.orders, self.unit)

    def shapes(self, maps: Any, target: Any, index: Any) -> list[Shape]:
        m = len(self.orders)
        return [(shape, computed_in(maps)) for shape in ((m,), (2, index.shape[0], m), (2, m))]

    def backward(self, wanted: Wanted, kept: Any, grads: Sequence[Array]) -> Sequence[Array | None]:
        return [*apply(_PairsBackward(self.orders, self.unit), *kept[0], *grads), None]


@dataclass(frozen=True)
class _PairsBackward(Operation):
    orders: tuple[float, ...]
    unit: float
    mapped = "each"
    public = "layer_decomposition"

    def numbers(self, maps: Values, target: Values, index: Values, *grads: Values) -> Sequence[Values]:
        return of_pairs(grads, maps, target, index, self.orders, self.unit)

    def shapes(self, maps: Any, target: Any, *_: Any) -> list[Shape]:
        return [(maps.shape, maps.dtype), (target.shape, target.dtype)]


def pairs(maps: Array, target: Array, index: Values, orders: Sequence[float], unit: float) -> list[Array]:
    """Return the entropies that the decomposition of a layer is made of, as ``_ops.pairs``; differentiable."""
    return apply(_Pairs(tuple(orders), unit), maps, target, index)


@dataclass(frozen=True)
class _AllButOne(Operation):
    orders: tuple[float, ...]
    unit: float
    mapped = "each"

    def numbers(self, maps: Values, target: Values) -> list[Values]:
        return [_ops.all_but_one(maps, target, self.orders, self.unit)]

    def shapes(self, maps: Any, target: Any) -> list[Shape]:
        return [((2, maps.shape[0], len(self.orders)), computed_in(maps))]

    def backward(self, wanted: Wanted, kept: Any, grads: Sequence[Array]) -> Sequence[Array | None]:
        return apply(_AllButOneBackward(self.orders, self.unit), *kept[0], *grads)


@dataclass(frozen=True)
class _AllButOneBackward(Operation):
    orders: tuple[float, ...]
    unit: float
    mapped = "each"
    public = "leave_one_out"

    def numbers(self, maps: Values, target: Values, grad: Values) -> Sequence[Values]:
        return of_all_but_one(grad, maps, target, self.orders, self.unit)

    def shapes(self, maps: Any, target: Any, *_: Any) -> list[Shape]:
        return [(maps.shape, maps.dtype), (target.shape, target.dtype)]


def all_but_one(maps: Array, target: Array, orders: Sequence[float], unit: float) -> Array:
    """Return the entropies of all maps but one, as ``_ops.all_but_one``; differentiable."""
    return apply(_AllButOne(tuple(orders), unit), maps, target)[0]


@dataclass(frozen=True)
class _Chosen(Operation):
    most: int
    limit: float
    orders: tuple[float, ...]
    unit: float
    mapped = "each"

    def numbers(self, maps: Values, target: Values) -> Sequence[Values]:
        return _ops.chosen(maps, target, self.most, self.limit, self.orders, self.unit)

    def shapes(self, maps: Any, target: Any) -> list[Shape]:
        return [((maps.shape[0],), np.int64), ((2, self.most, len(self.orders)), computed_in(maps))]


def chosen(maps: Array, target: Array, most: int, limit: float, orders: Sequence[float], unit: float) -> list[Array]:
    """Return the maps as they are chosen and the entropies of the first of them, as ``_ops.chosen``: constants."""
    return constant(_Chosen(most, limit, tuple(orders), unit), maps, target)


@dataclass(frozen=True)
class _GroupOInformation(Operation):
    size: int
    most: int | None
    seed: int
    orders: tuple[float, ...]
    unit: float
    mapped = "each"

    def numbers(self, maps: Values, *target: Values) -> Sequence[Values]:
        one = target[0] if target else None
        return _ops.group_o_information(maps, one, self.size, self.most, self.seed, self.orders, self.unit)

    def shapes(self, maps: Any, *_: Any) -> list[Shape]:
        total = math.comb(maps.shape[0], self.size)
        listed = total if self.most is None else min(total, self.most)
        return [((listed, self.size), np.int64), ((listed, len(self.orders)), computed_in(maps))]


def group_o_information(
    maps: Array, target: Array | None, size: int, most: int | None, seed: int, orders: Sequence[float], unit: float
) -> list[Array]:
    """Return groups of Grams and the O-information of each, as ``_ops.group_o_information``: constants."""
    arrays = [maps] if target is None else [maps, target]
    return constant(_GroupOInformation(size, most, seed, tuple(orders), unit), *arrays)


@dataclass(frozen=True)
class _Permuted(Operation):
    """``_ops.permuted``, the permutations behind the batch axes."""

    labels: tuple[str, ...]
    split: int
    names: tuple[str, ...]
    count: int
    seed: int
    orders: tuple[float, ...]
    unit: float

    def numbers(self, *grams: Values) -> list[Values]:
        how = (self.count, self.seed, self.orders, self.unit)
        return [np.moveaxis(_ops.permuted(grams, self.labels, self.split, self.names, *how), 0, -2)]

    def shapes(self, *grams: Any) -> list[Shape]:
        batch = np.broadcast_shapes(*(a.shape[:-2] for a in grams))
        return [((*batch, self.count, len(self.orders)), computed_in(grams[0]))]


def permuted(
    grams: Sequence[Array],
    labels: Sequence[str],
    split: int,
    names: Sequence[str],
    count: int,
    seed: int,
    orders: Sequence[float],
    unit: float,
) -> Array:
    """Return the joint entropies of two variables, one of them permuted, as ``_ops.permuted``: constants."""
    op = _Permuted(tuple(labels), split, tuple(names), count, seed, tuple(orders), unit)
    return jnp.moveaxis(constant(op, *aligned(grams))[0], -2, 0)


@dataclass(frozen=True)
class _PermutedPairs(Operation):
    count: int
    seed: int
    orders: tuple[float, ...]
    unit: float
    mapped = "each"

    def numbers(self, maps: Values, target: Values, index: Values) -> list[Values]:
        return [_ops.permuted_pairs(maps, target, index, self.count, self.seed, self.orders, self.unit)]

    def shapes(self, maps: Any, target: Any, index: Any) -> list[Shape]:
        return [((self.count, index.shape[0], len(self.orders)), computed_in(maps))]


def permuted_pairs(
    maps: Array, target: Array, index: Values, count: int, seed: int, orders: Sequence[float], unit: float
) -> Array:
    """Return the entropies of pairs of maps with a target permuted, as ``_ops.permuted_pairs``: constants."""
    return constant(_PermutedPairs(count, seed, tuple(orders), unit), maps, target, index)[0]
