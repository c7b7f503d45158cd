"""The space that products of A with a block of vectors span, and A within it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from fastrenyi._array import Values
from fastrenyi.large.rows import ALONE, Rows

__all__ = ["Space", "deflated", "orthonormal"]

_PANEL = 256  # columns that are kept together: wide enough for products, narrow enough to be copied as they grow
_DEPENDENT = 1e-9  # of a vector's length, below which what is left of it is rounding


class Product(Protocol):
    """What multiplies vectors."""

    n: int

    def __matmul__(self, x: Values) -> Values:
        """Return A x of vectors (n, k)."""


class Space:
    """An orthonormal basis W (n, D) with A W = W M + X R', X orthonormal to W and R from the last block alone.

    The basis is in float64 whatever the product: what is estimated is small differences of its parts.
    """

    def __init__(self, a: Product, rows: Rows = ALONE) -> None:
        """Begin empty. Of several ranks each has its own rows of the basis, and all of M."""
        self._a, self._rows = a, rows
        self.samples = a.n
        self.noise = 0.0
        """Length under which a residual is the rounding of the product."""
        here = len(rows.own(np.empty((a.n, 0))))
        self._panels: list[Values] = []  # the basis, in columns that are kept together
        self._residual = np.empty((here, 0))
        self.inner = np.empty((0, 0))
        """M = W' A W."""
        self.open = np.empty((0, 0))
        """The residual's inner products, of the coordinates of the last block: R R'."""

    @property
    def size(self) -> int:
        """D, the number of vectors in the basis."""
        return len(self.inner)

    @property
    def finished(self) -> bool:
        """Whether A leads nowhere else from here."""
        return self.size > 0 and float(np.trace(self.open)) <= self.noise**2

    def vector(self, coordinates: Values) -> Values:
        """Return W u (n, k) of coordinates u (D, k)."""
        return self._rows.whole(self._combined(coordinates), self._a.n)

    def grow(self, vectors: Values | None = None) -> Values:
        """Take the residual into the basis, and new vectors (n, k) beside it; return their coordinates (D, k)."""
        block = self._orthonormal(self._residual, self.noise)  # beside the basis already
        new = None if vectors is None else self._rows.own(vectors)
        if new is not None:
            part = new
            for _ in range(2):
                part = self._beside(part)
                part = part - block @ self._inner([block], part)
            block = np.concatenate([block, self._orthonormal(part, _DEPENDENT * self._a.n**0.5)], axis=1)
        block = self._orthonormal(self._beside(block), 1e-3)
        before, width = self.size, block.shape[1]
        self._append(block)
        coordinates = self._coordinates(new) if new is not None else np.empty((before + width, 0))

        image = self._rows.own(self._a @ self._rows.whole(block, self._a.n))
        inner = self._coordinates(image)
        residual = image - self._combined(inner)
        again = self._coordinates(residual)
        residual -= self._combined(again)
        inner += again
        whole = np.zeros((before + width, before + width))
        whole[:before, :before] = self.inner
        whole[:, before:] = inner
        whole[before:, :before] = inner[:before].T
        whole[before:, before:] = (inner[before:] + inner[before:].T) / 2
        self._residual = residual
        lengths = self._inner([residual], residual)
        self.inner, self.open = self._rows.once(lambda: (whole, lengths))
        return coordinates

    def _inner(self, panels: Sequence[Values], x: Values) -> Values:
        """Return the inner products of all columns of some panels with vectors."""
        return self._rows.total(np.concatenate([panel.T @ x for panel in panels] or [np.empty((0, x.shape[1]))]))

    def _coordinates(self, x: Values) -> Values:
        return self._inner(self._panels, x)

    def _combined(self, coordinates: Values) -> Values:
        found, filled = np.zeros((len(self._residual), coordinates.shape[1])), 0
        for panel in self._panels:
            found += panel @ coordinates[filled : filled + panel.shape[1]]
            filled += panel.shape[1]
        return found

    def _append(self, block: Values) -> None:
        """Take vectors into the basis, into its last panel as long as that is narrow."""
        if self._panels and self._panels[-1].shape[1] + block.shape[1] <= _PANEL:
            block = np.concatenate([self._panels.pop(), block], axis=1)
        self._panels.append(block)

    def _beside(self, x: Values) -> Values:
        return x - self._combined(self._coordinates(x))

    def _orthonormal(self, x: Values, floor: float) -> Values:
        return orthonormal(x, floor, self._rows)


def _turns(squares: Values, floor: float) -> Values:
    """Return what makes vectors with these inner products orthonormal."""
    lengths, directions = np.linalg.eigh(squares)
    kept = lengths > floor**2
    found: Values = directions[:, kept] / np.sqrt(lengths[kept])
    return found


def orthonormal(x: Values, floor: float, rows: Rows = ALONE) -> Values:
    """Return an orthonormal basis of vectors, without directions shorter than `floor`."""
    for _ in range(2):
        x = x @ rows.once(functools.partial(_turns, rows.total(x.T @ x), floor))
        floor = 1e-3  # of what is orthonormal but for rounding
    return x


def deflated(inner: Values, start: Values, steps: int, noise: float) -> Values:
    """Return a basis (D, K) of the Krylov space of some vectors alone, in the coordinates of a larger one.

    What is shorter than `noise` is rounding, and leads nowhere.
    """
    basis, block = np.empty((len(inner), 0)), start
    for _ in range(steps):
        size = float(np.linalg.norm(block, 2))
        for _ in range(2):
            block = block - basis @ (basis.T @ block)
        block = orthonormal(block, max(_DEPENDENT * size, noise))
        if not block.shape[1]:
            break
        basis = np.concatenate([basis, block], axis=1)
        block = inner @ block
    return basis
