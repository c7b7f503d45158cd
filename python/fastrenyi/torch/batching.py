"""How the operations run under ``torch.vmap``: the axis mapped over becomes the first batch axis.

Gradients under ``torch.func.grad`` and ``jacrev`` come here as well, where they are mapped over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def _widths(width: Tensor | None, axis: int | None, samples: Tensor) -> Tensor | None:
    """Return a width for each of the samples (size, ..., n, d), or the one that all of them share."""
    if width is None or (axis is None and not width.ndim):
        return width
    width = _in_front(width, axis, len(samples))
    inner = (1,) * (samples.ndim - 2 - width.ndim)
    return width.reshape(len(samples), *inner, *width.shape[1:]).expand(samples.shape[:-2])


def _gram(info: Any, axes: tuple[Any, ...], x: Tensor, layout: str, width: Tensor | None, *rest: Any) -> Any:
    samples = _samples(x, axes[0], info.batch_size, layout)
    return ops._gram.op(samples, "samples", _widths(width, axes[2], samples), *rest), 0


def _gram_slope(
    info: Any,
    axes: tuple[Any, ...],
    grad: Tensor,
    x: Tensor,
    layout: str,
    width: Tensor | None,
    sigma: float,
    a: Tensor,
    *rest: Any,
) -> Any:
    size = info.batch_size
    samples = _samples(x, axes[1], size, layout)
    grad, a = _in_front(grad, axes[0], size), _in_front(a, axes[5], size)
    found = ops._gram_slope.op(grad, samples, "samples", _widths(width, axes[3], samples), sigma, a, *rest)
    laid_out = found.swapaxes(1, 2) if layout == "maps" else found
    return laid_out.reshape(_in_front(x, axes[1], size).shape), 0


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
    return ops.pooled.op(*_aligned([x, y], axes, info.batch_size)), 0


def _spectrum(info: Any, axes: tuple[Any, ...], a: Tensor, name: str) -> Any:
    return ops.spectrum.op(_in_front(a, axes[0], info.batch_size), name), 0


def _spectrum_slope(info: Any, axes: tuple[Any, ...], grad: Tensor, a: Tensor) -> Any:
    return ops.spectrum_slope.op(
        *(_in_front(x, axis, info.batch_size) for x, axis in zip((grad, a), axes, strict=True))
    ), 0


def _entropies(info: Any, axes: tuple[Any, ...], grams: Sequence[Tensor], *rest: Any) -> Any:
    kept = None  # for the gradient, not a result of the mapped function
    *_, signs, _orders, _unit, _keep = rest
    batch = 0 if signs else 1  # the subsets come before the batch, where they are not summed
    return entropies._entropies.op(_aligned(grams, axes[0], info.batch_size), *rest), (batch, kept)


def _entropies_slope(
    info: Any,
    axes: tuple[Any, ...],
    grad: Tensor,
    grams: Sequence[Tensor],
    kept: Tensor,
    wanted: Sequence[bool],
    subsets: Sequence[int],
    signs: Sequence[float],
    *rest: Any,
) -> Any:
    size, batch = info.batch_size, 0 if signs else 1
    grad = _in_front(grad, axes[0], size).movedim(0, batch)
    aligned = _aligned(grams, axes[1], size)
    if any(want and len(a) != size for a, want in zip(aligned, wanted, strict=True)):
        # Each mapped function has a gradient of its own with respect to a Gram that all of them share.
        aligned = [a.expand(size, *a.shape[1:]) if want else a for a, want in zip(aligned, wanted, strict=True)]
        kept = kept.new_empty((0, *kept.shape[1:]))
    found = entropies._entropies_slope.op(grad, aligned, kept, wanted, subsets, signs, *rest)
    each = zip(found, grams, axes[1], wanted, strict=True)
    shaped = (
        part.reshape(size, *(a.shape if axis is None else a.movedim(axis, 0).shape[1:])) if want else part
        for part, a, axis, want in each
    )
    return tuple(shaped), tuple(0 if want else None for want in wanted)


def _one_by_one(op: Callable[..., Any]) -> Callable[..., Any]:
    """Return the rule of an operation on a layer, which is a batch of pairs already: one layer after the other."""

    def rule(info: Any, axes: tuple[Any, ...], *args: Any) -> Any:
        count = sum(isinstance(x, Tensor) for x in args)
        layers = [_in_front(x, axis, info.batch_size) for x, axis in zip(args[:count], axes, strict=False)]
        found = [op(*layer, *args[count:]) for layer in zip(*layers, strict=True)]
        return tuple(torch.stack(part) for part in zip(*found, strict=True)), (0,) * len(found[0])

    return rule


torch.library.register_vmap(ops._bandwidth, _bandwidth)
torch.library.register_vmap(ops._delta_gram, _delta_gram)
ops._gram.mapped(_gram)
ops._gram_slope.mapped(_gram_slope)
ops.pooled.mapped(_pooled)
ops.spectrum.mapped(_spectrum)
ops.spectrum_slope.mapped(_spectrum_slope)
entropies._entropies.mapped(_entropies)
entropies._entropies_slope.mapped(_entropies_slope)
entropies.pairs.mapped(_one_by_one(entropies.pairs.op))
entropies.pairs_slope.mapped(_one_by_one(entropies.pairs_slope.op))
