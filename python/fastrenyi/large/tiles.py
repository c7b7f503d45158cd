"""Where the tiles of a large Gram are made and multiplied: where its samples are.

In the host's memory by the compiled kernels; on a GPU by the array's own library, in double precision, while the
vectors stay on the host: a product moves (n, k) numbers there and back, and makes or reads n^2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from fastrenyi import _core
from fastrenyi._array import Array, Home, Values, wrap
from fastrenyi._backend import serves_core, threads
from fastrenyi._cost import free_bytes
from fastrenyi.large.factors import Dense, Factor, Gaussian, Inner, Labels, Laplacian, exponential

__all__ = ["Tiles", "free_at", "tiles"]

_CHUNK = 2**16  # samples that are moved at once


class Tiles(Protocol):
    """Tiles of K, the entrywise product of factors."""

    held: int
    """Bytes that are taken beside the tiles, where these are kept."""

    def entries(self, rows: Values, columns: Values) -> Values:
        """Return float64 entries of K in the host's memory, by the indices of samples."""

    def measured(self, rows: Values, columns: Values, dtype: str, shift: float) -> tuple[Array, float]:
        """Return entries less the shift in a dtype, where they are to stay, and the sum of the entries' squares."""

    def square(self, tile: Array) -> float:
        """Return the sum of squares of a tile."""

    def narrow(self, x: Values, dtype: str) -> Array:
        """Return vectors (n, k) as they are multiplied."""

    def zeros(self, n: int, k: int) -> Array:
        """Return sums of products, to be added to."""

    def multiply(self, tile: Array, x: Array, sums: Array, rows: slice, columns: slice) -> None:
        """Add to the sums what a tile and, off the diagonal, its mirror image make of the vectors."""

    def host(self, sums: Array) -> Values:
        """Return sums in the host's memory."""


class _OnHost:
    held = 0

    def __init__(self, factors: Sequence[Factor]) -> None:
        self._factors = factors

    def entries(self, rows: Values, columns: Values) -> Values:
        found = self._factors[0].tile(rows, columns)
        for factor in self._factors[1:]:
            found *= factor.tile(rows, columns)
        return found

    def measured(self, rows: Values, columns: Values, dtype: str, shift: float) -> tuple[Values, float]:
        only = self._factors[0]
        if len(self._factors) == 1 and isinstance(only, Gaussian):
            return only.measured(rows, columns, dtype, shift)
        found = self.entries(rows, columns)
        squares = self.square(found)
        found -= shift
        return np.ascontiguousarray(found, dtype), squares

    def square(self, tile: Values) -> float:
        return float(np.vdot(tile, tile))

    def narrow(self, x: Values, dtype: str) -> Values:
        return x.astype(dtype, order="C", copy=False)

    def zeros(self, n: int, k: int) -> Values:
        return np.zeros((n, k))

    def multiply(self, tile: Values, x: Values, sums: Values, rows: slice, columns: slice) -> None:
        below = None if rows == columns else sums[columns]
        _core.tile_product(tile, x[rows], x[columns], sums[rows], below, threads())

    def host(self, sums: Values) -> Values:
        return sums


def _whole(rows: Callable[[Values], Values], n: int, home: Home) -> Array:
    """Return on the device what is made of all samples, some at a time."""
    index = np.arange(n)
    return home.xp().concatenate([home.take(rows(index[i : i + _CHUNK])) for i in range(0, n, _CHUNK)])


def _maker(factor: Factor, home: Home) -> Callable[[Any, Any], Array]:
    """Return what makes float64 entries of a factor from indices on the device."""
    xp, wide = home.xp(), home.with_dtype("float64")
    if isinstance(factor, Gaussian):
        x, farthest = _whole(factor.rows, factor.n, home), factor.farthest
        return lambda i, j: exponential(x[i], x[j], farthest, xp)
    if isinstance(factor, Laplacian):
        columns = _whole(factor.rows, factor.n, home).T
        return lambda i, j: xp.exp(-sum(abs(one[i][:, None] - one[j]) for one in columns))
    if isinstance(factor, Inner):
        units = _whole(factor.units, factor.n, home)
        return lambda i, j: (units[i] @ units[j].T) ** factor.degree
    if isinstance(factor, Labels):
        codes = home.take(factor.codes)
        return lambda i, j: wide.leave(codes[i][:, None] == codes[j])
    assert isinstance(factor, Dense)
    a = factor.matrix
    return lambda i, j: wide.leave(a[i][:, j]) * factor.n


class _OnDevice:
    """By what NumPy, CuPy and torch have in common.

    Products are of doubles whatever tiles are kept in: of floats, a library may round to fewer bits (TF32).
    """

    def __init__(self, factors: Sequence[Factor], home: Home) -> None:
        self._home, self._xp = home, home.xp()
        self._anchor = home.take(np.zeros(1))
        with home.current(self._anchor):
            self._makers = [_maker(factor, home) for factor in factors]
        self.held = sum(8 * factor.n * factor.features for factor in factors)

    def _as(self, x: Array, dtype: str) -> Array:
        return self._home.with_dtype(dtype).leave(x)

    def _made(self, rows: Values, columns: Values) -> Array:
        i, j = self._home.take(rows), self._home.take(columns)
        found = self._makers[0](i, j)
        for maker in self._makers[1:]:
            found *= maker(i, j)
        return found

    def entries(self, rows: Values, columns: Values) -> Values:
        with self._home.current(self._anchor):
            return np.array(wrap(self._made(rows, columns)))

    def measured(self, rows: Values, columns: Values, dtype: str, shift: float) -> tuple[Array, float]:
        with self._home.current(self._anchor):
            found = self._made(rows, columns)
            squares = self.square(found)
            found -= shift
            return self._as(found, dtype), squares

    def square(self, tile: Array) -> float:
        with self._home.current(self._anchor):
            wide = self._as(tile, "float64")
            return float((wide * wide).sum())

    def narrow(self, x: Values, dtype: str) -> Array:
        return self._home.take(x)

    def zeros(self, n: int, k: int) -> Array:
        return self._home.take(np.zeros((n, k)))

    def multiply(self, tile: Array, x: Array, sums: Array, rows: slice, columns: slice) -> None:
        with self._home.current(self._anchor):
            wide = self._as(tile, "float64")
            sums[rows] += wide @ x[columns]
            if rows != columns:
                sums[columns] += wide.T @ x[rows]

    def host(self, sums: Array) -> Values:
        return wrap(sums)


def tiles(factors: Sequence[Factor], home: Home) -> Tiles:
    """Return the tiles of factors of samples that live there."""
    return _OnHost(factors) if serves_core(home.device) else _OnDevice(factors, home)


def free_at(home: Home) -> int | None:
    """Return the bytes that tiles can have; None where nothing says."""
    if not home.device.startswith("cuda"):
        return free_bytes()
    xp = home.xp()
    if home.library == "torch":  # what the library holds for later counts
        unused = xp.cuda.memory_reserved(home.device) - xp.cuda.memory_allocated(home.device)
        return int(xp.cuda.mem_get_info(home.device)[0]) + int(unused)
    with xp.cuda.Device(int(home.device.partition(":")[2])) as device:
        return int(device.mem_info[0]) + int(xp.get_default_memory_pool().free_bytes())
