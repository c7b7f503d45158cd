"""The Gram of a joint variable as tiles: kept where memory allows, made again where it does not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from fastrenyi._array import Values
from fastrenyi.large.factors import Factor, Gaussian, Labels, merged

__all__ = ["Matrix"]

_TILE = 2048


class Matrix:
    """A = K / tr K, K the entrywise product of factors, of which products with vectors are taken.

    Where labels are a factor, samples with the same label stand together, and tiles without any such are left out.
    Vectors are in the order of the samples throughout.
    """

    def __init__(self, factors: Sequence[Factor], memory: float, dtype: str) -> None:
        """Nothing is made yet; tiles of `dtype` are kept as far as `memory` bytes hold all of them."""
        self._factors = merged(factors)
        self.n = self._factors[0].n
        self.dtype = np.dtype(dtype)
        self.nonnegative = all(factor.nonnegative for factor in self._factors)
        labels = [factor for factor in self._factors if isinstance(factor, Labels)]
        self._codes = labels[0].codes if labels else np.zeros(self.n, np.int64)
        self._order = np.argsort(self._codes, kind="stable")
        sizes = np.unique(self._codes, return_counts=True)[1]
        ends = np.cumsum(sizes)
        self.blocks = [self._order[end - size : end] for end, size in zip(ends, sizes, strict=True)]
        """The samples of each label: A has no entries between them."""
        self.error = sum(factor.error for factor in self._factors)
        """What rounding of its entries may change of an eigenvalue."""
        self.epsilon = max(factor.epsilon for factor in self._factors)
        """Rounding by which an eigenvalue below zero is judged."""
        self._diagonal = np.ones(self.n)
        for factor in self._factors:
            own = factor.diagonal()
            if own is not None:
                self._diagonal *= own
        self.trace = float(self._diagonal.sum())
        self._places = [slice(start, start + _TILE) for start in range(0, self.n, _TILE)]
        self._pieces = [self._order[place] for place in self._places]
        self._pairs = [
            (i, j)
            for i, j in itertools.combinations_with_replacement(range(len(self._pieces)), 2)
            if self._codes[self._pieces[i][-1]] >= self._codes[self._pieces[j][0]]
        ]
        self.bytes = sum(len(self._pieces[i]) * len(self._pieces[j]) for i, j in self._pairs) * self.dtype.itemsize
        self._kept: list[Values] | None = [] if self.bytes <= memory else None
        self._squares: float | None = None

    def entries(self, rows: Values, columns: Values) -> Values:
        """Return some entries of A, by the indices of samples."""
        found = self._kernel(rows, columns)
        found /= self.trace
        return found

    def _measured(self, rows: Values, columns: Values) -> tuple[Values, float]:
        """Return entries of K in the dtype of tiles, and the sum of their squares before they were rounded."""
        only = self._factors[0]
        if len(self._factors) == 1 and isinstance(only, Gaussian):
            return only.measured(rows, columns, self.dtype.name)
        found = self._kernel(rows, columns)
        return found.astype(self.dtype, copy=False), float(np.vdot(found, found))

    def _kernel(self, rows: Values, columns: Values) -> Values:
        found = self._factors[0].tile(rows, columns)
        for factor in self._factors[1:]:
            found *= factor.tile(rows, columns)
        return found

    def squares(self) -> float:
        """Return |A|_F^2, by a pass over the tiles if none has been made."""
        if self._squares is None:
            for _ in self._tiles():
                pass
        assert self._squares is not None
        return self._squares

    def __matmul__(self, x: Values) -> Values:
        """Return A x of vectors x (n, k), in float64 but for the tiles' own precision."""
        # Of K, whose ones are exact in any precision.
        narrow = x[self._order].astype(self.dtype, copy=False)
        found = np.zeros_like(x, dtype=np.float64)
        for rows, columns, tile in self._tiles():
            found[rows] += tile @ narrow[columns]
            if rows != columns:
                found[columns] += tile.T @ narrow[rows]
        result = np.empty_like(found)
        result[self._order] = found / self.trace
        return result

    def _tiles(self) -> Iterator[tuple[slice, slice, Values]]:
        """Rows, columns and entries of the tiles of K, in the order of labels, on and above the diagonal."""
        if self._squares is not None and self._kept is not None:
            for (i, j), tile in zip(self._pairs, self._kept, strict=True):
                yield self._places[i], self._places[j], tile
            return
        kept: list[Values] = []
        squares = 0.0
        for i, j in self._pairs:
            tile, square = self._measured(self._pieces[i], self._pieces[j])
            squares += square * (1 if i == j else 2)
            if self._kept is not None:
                kept.append(tile)
            yield self._places[i], self._places[j], tile
        self._squares = squares / self.trace**2
        if self._kept is not None:
            self._kept = kept
