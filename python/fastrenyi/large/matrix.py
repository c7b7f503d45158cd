"""The Gram of a joint variable as tiles: kept where memory allows, made again where it does not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from fastrenyi._array import Array, Home, Values
from fastrenyi.large.factors import Factor, Labels, merged
from fastrenyi.large.rows import ALONE, Rows
from fastrenyi.large.tiles import tiles

__all__ = ["Matrix"]

_TILE = 2048
_DEAR = 64  # features


class Matrix:
    """A = K / tr K, K the entrywise product of factors, of which products with vectors are taken.

    In single precision tiles are of K less a number that all entries are about, which is added to products in double.
    Where labels are a factor, samples with the same label stand together, and tiles without any such are left out.
    Vectors are in the order of the samples throughout.
    """

    def __init__(self, factors: Sequence[Factor], home: Home, memory: float, dtype: str, rows: Rows = ALONE) -> None:
        """Nothing is made yet; tiles of `dtype` are kept as far as `memory` bytes at home hold all of them.

        Of several ranks each has some of the tiles.
        """
        factors = merged(factors)
        self._made, self._rows = tiles(factors, home), rows
        self.n = factors[0].n
        self.dtype = np.dtype(dtype)
        self.nonnegative = all(factor.nonnegative for factor in factors)
        labels = [factor for factor in factors if isinstance(factor, Labels)]
        self._codes = labels[0].codes if labels else np.zeros(self.n, np.int64)
        self._order = np.argsort(self._codes, kind="stable")
        sizes = np.unique(self._codes, return_counts=True)[1]
        ends = np.cumsum(sizes)
        self.blocks = [self._order[end - size : end] for end, size in zip(ends, sizes, strict=True)]
        """The samples of each label: A has no entries between them."""
        self.error = sum(factor.error for factor in factors)
        """What rounding of its entries may change of an eigenvalue."""
        self.epsilon = max(factor.epsilon for factor in factors)
        """Rounding by which an eigenvalue below zero is judged."""
        self._diagonal = np.ones(self.n)
        for factor in factors:
            own = factor.diagonal()
            if own is not None:
                self._diagonal *= own
        self.trace = float(self._diagonal.sum())
        self._places = [slice(start, start + _TILE) for start in range(0, self.n, _TILE)]
        self._pieces = [self._order[place] for place in self._places]
        pairs = [
            (i, j)
            for i, j in itertools.combinations_with_replacement(range(len(self._pieces)), 2)
            if self._codes[self._pieces[i][-1]] >= self._codes[self._pieces[j][0]]
        ]
        self.dear = self._bytes(pairs) > memory and sum(factor.features for factor in factors) >= _DEAR
        """Whether tiles are made again for each product, at more cost than that of multiplying few vectors."""
        memory -= self._made.held
        self._pairs = rows.share(pairs)
        self.bytes = self._bytes(self._pairs)
        # All ranks or none: they sum together what the pass that makes tiles has found.
        self._kept: list[Array] | None = [] if -rows.least(-self.bytes) <= memory else None
        self._squares, self._rounded = math.nan, 0.0
        self._shift = self._middle() if self.dtype == np.float32 else 0.0

    def _bytes(self, pairs: Sequence[tuple[int, int]]) -> int:
        return sum(len(self._pieces[i]) * len(self._pieces[j]) for i, j in pairs) * self.dtype.itemsize

    def _middle(self) -> float:
        """Return what entries are about: single precision rounds what they differ from it by."""
        some = self._order[:: max(1, self.n // 512)]
        return float(self._made.entries(some, some).mean())

    def entries(self, rows: Values, columns: Values) -> Values:
        """Return some entries of A, by the indices of samples."""
        found = self._made.entries(rows, columns)
        found /= self.trace
        return found

    def squares(self) -> float:
        """Return |A|_F^2, by a pass over the tiles if none has been made."""
        if math.isnan(self._squares):
            for _ in self._tiles():
                pass
        return self._squares

    def rounded(self) -> float:
        """Return the norm of what is rounded to the dtype of tiles: of A, but for what all entries are about."""
        self.squares()
        return self._rounded

    def __matmul__(self, x: Values) -> Values:
        """Return A x of vectors x (n, k), in float64 but for the tiles' own precision."""
        made = self._made
        narrow, sums = made.narrow(x[self._order], self.dtype.name), made.zeros(*x.shape)
        for rows, columns, tile in self._tiles():
            made.multiply(tile, narrow, sums, rows, columns)
        found = made.host(sums)
        if self._rows.first:
            found += self._shift * x.sum(axis=0)
        result = np.empty(x.shape)
        result[self._order] = self._rows.total(found) / self.trace
        return result

    def _tiles(self) -> Iterator[tuple[slice, slice, Array]]:
        """Rows, columns and entries of the tiles of K, in the order of labels, on and above the diagonal."""
        if not math.isnan(self._squares) and self._kept is not None:
            for (i, j), tile in zip(self._pairs, self._kept, strict=True):
                yield self._places[i], self._places[j], tile
            return
        kept: list[Array] = []
        squares = np.zeros(2)
        for i, j in self._pairs:
            tile, square = self._made.measured(self._pieces[i], self._pieces[j], self.dtype.name, self._shift)
            rounded = square if self._shift == 0 else self._made.square(tile)
            squares += np.array([square, rounded]) * (1 if i == j else 2)
            if self._kept is not None:
                kept.append(tile)
            yield self._places[i], self._places[j], tile
        found, rounded = self._rows.total(squares).tolist()
        self._squares, self._rounded = found / self.trace**2, rounded**0.5 / self.trace
        if self._kept is not None:
            self._kept = kept
