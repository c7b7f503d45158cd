"""Sample sets of different numbers of samples, padded to one: which samples count, and sets of one size together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fastrenyi import _check
from fastrenyi._array import AnyArray, Array, Home, Values, has_numbers, wrap

__all__ = ["Lengths", "Mask", "Sets", "of_each_size", "sets_of"]

Lengths: TypeAlias = "int | Sequence[int] | AnyArray"
"""How many samples of each set count, the first ones."""

Mask: TypeAlias = AnyArray
"""Which samples of each set count."""


class Sets(NamedTuple):
    """Samples (..., n, d) with those that count in front, how many those are of each set, and what was given."""

    samples: Array
    sizes: list[int]
    given: Array
    mask: Values | None

    def counted(self) -> Values:
        """Return what was given, with zeros for the samples that do not count."""
        values, n = wrap(self.given), self.given.shape[-2]
        mask = self.mask
        if mask is None:
            mask = (np.arange(n) < np.reshape(self.sizes, (*values.shape[:-2], 1))).astype(bool)
        return np.where(mask[..., None], values, np.zeros_like(values))


def sets_of(x: Array, home: Home, name: str, lengths: Lengths | None, mask: Mask | None) -> Sets:
    """Return which samples of x (..., n, d) count."""
    if lengths is not None and mask is not None:
        _check.value_error("lengths", "lengths or a mask", "both", "leave one of them out")
    *batch, n, _ = x.shape
    if mask is None:
        sets = Sets(x, _sizes(lengths, tuple(batch), n), x, None)
    else:
        given = _given(mask, "mask", (*batch, n))
        if not ((given == 0) | (given == 1)).all():
            other = given[(given != 0) & (given != 1)][0]
            _check.value_error("mask", "True and False, or ones and zeros", f"{other}")
        sets = Sets(_in_front(x, given == 1, home), given.sum(-1).ravel().tolist(), x, given == 1)
    if 0 in sets.sizes:
        got = f"none at index {_index(sets.sizes.index(0), batch)}"
        argument = "lengths" if mask is None else "mask"
        _check.value_error(argument, "at least one sample in each set", got, f"leave it out of {name}")
    return sets


def _sizes(lengths: Any, batch: tuple[int, ...], n: int) -> list[int]:
    """Return the size of each set. Of integers without NumPy, which torch.compile would trace."""
    count = math.prod(batch)
    if isinstance(lengths, (list, tuple)) and len(batch) == 1 and all(type(size) is int for size in lengths):
        sizes = list(lengths)
        if len(sizes) != count:
            _check.value_error("lengths", f"{count} integers, one for each set", f"{len(sizes)}")
    elif isinstance(lengths, (int, np.integer)) and not isinstance(lengths, bool):
        sizes = [int(lengths)] * count
    else:
        sizes = _given(lengths, "lengths", batch).ravel().tolist()
    for place, size in enumerate(sizes):
        if not 0 <= size <= n:
            _check.value_error("lengths", f"1 to {n} samples for the set at index {_index(place, batch)}", size)
    return sizes


def _given(x: Any, name: str, shape: tuple[int, ...]) -> Values:
    """Return integers on the host, broadcast to a shape."""
    if isinstance(x, (list, tuple)):
        _check.listed(x, name)  # which makes other numbers of integers
        x = np.asarray(x)
    x = _check.adopt(x, name)
    _check.array(x, name)
    if not has_numbers(x):
        _check.value_error(
            name, "numbers that can be looked at", "an array that is traced or mapped over", "pass lengths as integers"
        )
    values = wrap(x)
    if values.dtype.kind not in "biu":
        way_out = "pass mask == 1" if name == "mask" else ""
        _check.kind_error(name, "integers", f"dtype {values.dtype.name}", way_out)
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        _check.value_error(name, f"a shape that broadcasts to {shape}", f"{tuple(values.shape)}")


def _in_front(x: Array, mask: Values, home: Home) -> Array:
    """Return samples (..., n, d) with those that count before the others, in their order."""
    if (mask[..., :-1] >= mask[..., 1:]).all():
        return x
    n, d = x.shape[-2:]
    order = np.argsort(~mask.reshape(-1, n), axis=-1, kind="stable")
    flat = x.reshape(-1, n, d)
    moved = flat[home.places(range(len(order)))[:, None], home.take(order)]
    return moved.reshape(x.shape)


def _index(place: int, batch: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(int, np.unravel_index(place, tuple(batch))))


def of_each_size(sets: Sets, home: Home, made: Callable[[Array, str], Array], name: str) -> Array:
    """Return the matrices that are made of samples (k, size, d), padded with zeros: (..., n, n).

    Sets that are refused are looked for one by one, so that the message has the place of one of them.
    """
    x = sets.samples
    *batch, n, d = x.shape
    flat = x.reshape(-1, n, d)
    together: dict[int, list[int]] = {}
    for place, size in enumerate(sets.sizes):
        together.setdefault(size, []).append(place)
    try:
        found = [made(flat[home.places(places), :size], name) for size, places in together.items()]
    except ValueError:
        if has_numbers(x):
            for place, size in enumerate(sets.sizes):
                at = ", ".join(map(str, _index(place, batch)))
                made(flat[place, :size], f"{name}[{at}]" if at else name)
        raise
    if not found:
        return made(x, name)
    whole = home.zeros(found[0], (len(flat), n, n))
    for (size, places), part in zip(together.items(), found, strict=True):
        whole = home.put(whole, (home.places(places), slice(size), slice(size)), part)
    return whole.reshape(*batch, n, n)
