"""How the operations run under ``torch.vmap``: the axis mapped over becomes the first batch axis.

``torch.func.grad`` and ``jacrev`` are not for custom operations whose gradient is registered: PyTorch refuses them by
name. The gradient of a mapped function is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi.torch import entropies, ops

__all__: list[str] = []


def _in_front(x: Tensor, axis: int | None, size: int) -> Tensor:
    return x.expand(size, *x.shape) if axis is None else x.movedim(axis, 0)


def _samples(x: Tensor, axis: int | None, size: int, layout: str) -> Tensor:
    """Return the samples (size, ..., n, d) of arrays of any layout."""
    x = _in_front(x, axis, size)
    if layout == "maps":
        return x.reshape(*x.shape[:3], -1).swapaxes(1, 2)
    return x.reshape(*x.shape[:2], -1) if layout == "tensors" else x


def _gram(info: Any, axes: tuple[Any, ...], x: Tensor, layout: str, width: Tensor | None, *rest: Any) -> Any:
    samples = _samples(x, axes[0], info.batch_size, layout)
    if width is not None and (axes[2] is not None or width.ndim):
        width = _in_front(width, axes[2], info.batch_size)
        width = width.reshape(info.batch_size, *(1,) * (samples.ndim - 2 - width.ndim), *width.shape[1:])
        width = width.expand(samples.shape[:-2])
    return ops._gram.op(samples, "samples", width, *rest), 0


def _bandwidth(
    info: Any, axes: tuple[Any, ...], x: Tensor, layout: str, rule: str, numbers: Any, target: Tensor | None, *rest: Any
) -> Any:
    if axes[4] is not None:
        raise NotImplementedError(
            "bandwidth: expected one target Gram for Alignment, got one for each under vmap; "
            "call it in a loop, or find the widths before"
        )
    return ops._bandwidth(_samples(x, axes[0], info.batch_size, layout), "samples", rule, numbers, target, *rest), 0


def _delta_gram(info: Any, axes: tuple[Any, ...], x: Tensor, layout: str, name: str) -> Any:
    return ops._delta_gram(_samples(x, axes[0], info.batch_size, layout), "samples", name), 0


def _aligned(arrays: Sequence[Tensor], axes: Sequence[int | None], size: int) -> list[Tensor]:
    """Return arrays with the mapped axis in front, then as many batch axes each as the one with most."""
    ranks = [x.ndim - (axis is not None) for x, axis in zip(arrays, axes, strict=True)]
    found = []
    for x, axis, rank in zip(arrays, axes, ranks, strict=True):
        front = x[None] if axis is None else x.movedim(axis, 0)
        found.append(front.reshape(front.shape[0], *(1,) * (max(ranks) - rank), *front.shape[1:]))
    return found


def _pooled(info: Any, axes: tuple[Any, ...], x: Tensor, y: Tensor) -> Any:
    return ops.pooled(*_aligned([x, y], axes, info.batch_size)), 0


def _spectrum(info: Any, axes: tuple[Any, ...], a: Tensor, name: str) -> Any:
    return ops.spectrum(_in_front(a, axes[0], info.batch_size), name), 0


def _entropies(info: Any, axes: tuple[Any, ...], grams: Sequence[Tensor], *rest: Any) -> Any:
    kept = None  # for the gradient, not a result of the mapped function
    *_, signs, _orders, _unit, _keep = rest
    batch = 0 if signs else 1  # the subsets come before the batch, where they are not summed
    return entropies._entropies.op(_aligned(grams, axes[0], info.batch_size), *rest), (batch, kept)


def _pairs(info: Any, axes: tuple[Any, ...], maps: Tensor, target: Tensor, *rest: Any) -> Any:
    """One layer after the other: each is a batch of pairs already."""
    layers, targets = _in_front(maps, axes[0], info.batch_size), _in_front(target, axes[1], info.batch_size)
    found = [ops.pairs(layer, x, *rest) for layer, x in zip(layers, targets, strict=True)]
    return tuple(torch.stack(part) for part in zip(*found, strict=True)), (0, 0, 0)


_RULES: list[tuple[Any, Any]] = [
    (ops._gram.op, _gram),
    (ops._bandwidth, _bandwidth),
    (ops._delta_gram, _delta_gram),
    (ops._pooled, _pooled),
    (ops._spectrum, _spectrum),
    (entropies._entropies.op, _entropies),
    (entropies._pairs, _pairs),
]
for _operation, _rule in _RULES:
    torch.library.register_vmap(_operation, _rule)
