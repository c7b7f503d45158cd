"""Sample sets of different numbers of samples, padded to one: which samples count, and sets of one size together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
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
    """Sample sets of one size: their places in the flat batch, and the places of their samples, if not the first."""

    size: int
    which: list[int]
    rows: list[list[int]]

    def samples(self, flat: Array, home: Home) -> Array:
        """Return the samples that count, (sets, size, d), of all (b, n, d)."""
        which = home.places(self.which)
        if not self.rows:
            return flat[which, : self.size]
        return flat[which[:, None], home.places(self.rows)]

    def alone(self) -> Iterator[Sets]:
        """Yield each set by itself."""
        for k, place in enumerate(self.which):
            yield Sets(self.size, [place], self.rows[k : k + 1])


def sets_of(x: Array, name: str, lengths: Lengths | None, mask: Mask | None) -> list[Sets]:
    """Return which samples of x (..., n, d) count, as sets of one size each."""
    if lengths is not None and mask is not None:
        _check.value_error("lengths", "lengths or a mask", "both", "leave one of them out")
    *batch, n, _ = x.shape
    rows: list[list[int]] = []
    if mask is not None:
        rows = _rows(mask, tuple(batch), n)
        sizes = [len(places) for places in rows]
    else:
        sizes = _sizes(lengths, tuple(batch), n)
    together: dict[int, list[int]] = {}
    for place, size in enumerate(sizes):
        together.setdefault(size, []).append(place)
    if 0 in together:
        got = f"none at index {_index(together[0][0], batch)}"
        _check.value_error(
            "mask" if rows else "lengths", "at least one sample in each set", got, f"leave it out of {name}"
        )
    return [Sets(size, which, [rows[k] for k in which] if rows else []) for size, which in together.items()]


def _sizes(lengths: Any, batch: tuple[int, ...], n: int) -> list[int]:
    """Return the size of each set. Of integers without NumPy, which torch.compile would trace."""
    count = math.prod(batch)
    if isinstance(lengths, (list, tuple)) and len(batch) == 1 and all(type(size) is int for size in lengths):
        sizes = list(lengths)
        if len(sizes) != count:
            _check.value_error("lengths", f"{count} integers, one for each set", f"{len(sizes)}")
    elif type(lengths) is int:
        sizes = [lengths] * count
    else:
        sizes = _given(lengths, "lengths", batch).ravel().tolist()
    for size in sizes:
        if not 0 <= size <= n:
            _check.value_error("lengths", f"numbers of samples up to {n}", size)
    return sizes


def _rows(mask: Any, batch: tuple[int, ...], n: int) -> list[list[int]]:
    """Return the places of the samples of each set."""
    values = _given(mask, "mask", (*batch, n)).reshape(-1, n)
    if not ((values == 0) | (values == 1)).all():
        _check.value_error("mask", "True and False, or ones and zeros", "other numbers")
    return [np.flatnonzero(row).tolist() for row in values]


def _given(x: Any, name: str, shape: tuple[int, ...]) -> Values:
    """Return integers on the host, broadcast to a shape."""
    if isinstance(x, (list, tuple)):
        _check.listed(x, name)  # which makes other numbers of integers
        x = np.asarray(x)
    x = _check.adopt(x, name)
    _check.array(x, name)
    if not has_numbers(x):
        _check.value_error(
            name, "numbers that can be looked at", "a tensor that is traced or mapped over", "pass lengths as integers"
        )
    values = wrap(x)
    if values.dtype.kind not in "biu":
        _check.kind_error(name, "integers", f"dtype {values.dtype.name}")
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        _check.value_error(name, f"a shape that broadcasts to {shape}", f"{tuple(values.shape)}")


def _index(place: int, batch: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(int, np.unravel_index(place, tuple(batch))))


def of_each_size(
    x: Array, home: Home, sets: list[Sets], made: Callable[[Array, str], Array], order: int, name: str
) -> Array:
    """Return matrices made of the samples that count (sets, size, d), padded with zeros: (..., order, order).

    Sets that are refused are looked for one by one, so that the message has the place of one of them.
    """
    if not sets:
        return made(x, name)
    flat = x.reshape(-1, *x.shape[-2:])
    try:
        found = [made(some.samples(flat, home), name) for some in sets]
    except ValueError:
        if has_numbers(x):
            _check.finite(_without_padding(x, sets), name)
            for alone in (each for some in sets for each in some.alone()):
                at = _index(alone.which[0], x.shape[:-2])
                made(alone.samples(flat, home)[0], f"{name}[{', '.join(map(str, at))}]" if at else name)
        raise
    whole = home.zeros(found[0], (flat.shape[0], order, order))
    for some, part in zip(sets, found, strict=True):
        whole[home.places(some.which), : part.shape[-1], : part.shape[-1]] = part
    return whole.reshape(*x.shape[:-2], order, order)


def _without_padding(x: Array, sets: list[Sets]) -> Values:
    values = wrap(x).reshape(-1, *x.shape[-2:])
    counted = np.zeros_like(values)
    for some in sets:
        for k, place in enumerate(some.which):
            rows = some.rows[k] if some.rows else range(some.size)
            counted[place, list(rows)] = values[place, list(rows)]
    return counted.reshape(x.shape)
