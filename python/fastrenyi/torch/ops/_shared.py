"""What the operations for tensors share: where numbers are computed, in which dtype and shape, and mapped axes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from fastrenyi._kernels import kernels_for

__all__ = [
    "aligned", "as_tensor", "common_batch", "computed", "computed_in", "eigh", "in_front",
    "in_its_own_dtype", "joined", "one_by_one", "parted",
]  # fmt: skip


def computed_in(x: Tensor) -> torch.dtype:
    """Return the dtype that results for x are computed in."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def computed(x: Tensor) -> Tensor:
    """Return x in that dtype."""
    return x if x.dtype == torch.float64 else x.float()


# torch.jit.trace records no list of words: the names of arrays for messages travel as one.
_BETWEEN = "|"


def joined(words: Sequence[str]) -> str:
    """Return words as one."""
    return _BETWEEN.join(words)


def parted(word: str) -> list[str]:
    """Return the words that were ``joined``."""
    return word.split(_BETWEEN)


def as_tensor(found: Any) -> Tensor:
    """Return what the kernels gave as a tensor."""
    return found if isinstance(found, Tensor) else torch.from_numpy(found)


def common_batch(grams: Sequence[Tensor]) -> torch.Size:
    """Return the batch shape of arrays whose batch axes broadcast."""
    shape: torch.Size = torch.broadcast_shapes(*(a.shape[:-2] for a in grams))  # type: ignore[no-untyped-call]
    return shape


def eigh(a: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues (..., n) and eigenvectors (..., n, n), in columns."""
    flat = a.reshape(-1, *a.shape[-2:])
    values, vectors = (as_tensor(found) for found in kernels_for(flat).eigh(flat))
    return values.reshape(a.shape[:-1]), vectors.reshape(a.shape)


_Gradient = TypeVar("_Gradient", bound=Callable[..., Any])


def in_its_own_dtype(gradient: _Gradient) -> _Gradient:
    """Return a gradient that is taken with autocast off: a backward pass inside it would multiply in half precision."""

    @functools.wraps(gradient)
    def taken(x: Tensor, *rest: Any) -> Any:
        if not torch.is_autocast_enabled(x.device.type):
            return gradient(x, *rest)
        with torch.autocast(x.device.type, enabled=False):
            return gradient(x, *rest)

    return cast(_Gradient, taken)


# torch.vmap: the axis that is mapped over becomes the first batch axis ------------------------------------------------


def in_front(x: Tensor, axis: int | None, size: int) -> Tensor:
    """Return an array with the mapped axis in front, which it is given if it has none."""
    return x.expand(size, *x.shape) if axis is None else x.movedim(axis, 0)


def aligned(arrays: Sequence[Tensor], axes: Sequence[int | None]) -> list[Tensor]:
    """Return arrays with the mapped axis in front, then as many batch axes each as the one with most."""
    ranks = [x.ndim - (axis is not None) for x, axis in zip(arrays, axes, strict=True)]
    found = []
    for x, axis, rank in zip(arrays, axes, ranks, strict=True):
        front = x[None] if axis is None else x.movedim(axis, 0)
        found.append(front.reshape(front.shape[0], *(1,) * (max(ranks) - rank), *front.shape[1:]))
    return found


def one_by_one(call: Callable[..., Any], count: int, info: Any, in_dims: Sequence[Any], args: Sequence[Any]) -> Any:
    """Map an operation on a layer, which is a batch of pairs already: one layer after the other.

    The first ``count`` arguments are tensors.
    """
    layers = [in_front(x, axis, info.batch_size) for x, axis in zip(args[:count], in_dims, strict=False)]
    found = [call(*layer, *args[count:]) for layer in zip(*layers, strict=True)]
    return tuple(torch.stack(part) for part in zip(*found, strict=True)), (0,) * len(found[0])
