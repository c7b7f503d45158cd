"""The space that products of A with a block of vectors span, and A within it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from fastrenyi._array import Values

__all__ = ["Space", "deflated", "orthonormal"]

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

    def __init__(self, a: Product) -> None:
        """Begin empty."""
        self._a = a
        self.samples = a.n
        self.noise = 0.0
        """Length under which a residual is the rounding of the product."""
        self._basis, self._filled = np.empty((a.n, 0), order="F"), 0
        self._residual = np.empty((a.n, 0))
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
        """Return W u of coordinates u (D, k)."""
        return self._combined(coordinates)

    def grow(self, new: Values | None = None) -> Values:
        """Take the residual into the basis, and new vectors (n, k) beside it; return their coordinates (D, k)."""
        block = orthonormal(self._residual, self.noise)  # beside the basis already
        if new is not None:
            part = new
            for _ in range(2):
                part = self._beside(part)
                part = part - block @ (block.T @ part)
            block = np.concatenate([block, orthonormal(part, _DEPENDENT * self._a.n**0.5)], axis=1)
        block = orthonormal(self._beside(block), 1e-3)
        before, width = self.size, block.shape[1]
        self._append(block)
        coordinates = self._coordinates(new) if new is not None else np.empty((before + width, 0))

        image = self._a @ block
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
        self.inner, self._residual, self.open = whole, residual, residual.T @ residual
        return coordinates

    def _coordinates(self, x: Values) -> Values:
        return self._basis[:, : self._filled].T @ x

    def _combined(self, coordinates: Values) -> Values:
        return self._basis[:, : self._filled] @ coordinates

    def _append(self, block: Values) -> None:
        width = block.shape[1]
        if self._filled + width > self._basis.shape[1]:  # half as much again, so that few copies are made
            larger = np.empty((self._a.n, self._filled * 3 // 2 + width), order="F")
            larger[:, : self._filled] = self._basis[:, : self._filled]
            self._basis = larger
        self._basis[:, self._filled : self._filled + width] = block
        self._filled += width

    def _beside(self, x: Values) -> Values:
        return x - self._combined(self._coordinates(x))


def orthonormal(x: Values, floor: float) -> Values:
    """Return an orthonormal basis of vectors, without directions shorter than `floor`."""
    for _ in range(2):
        squares, directions = np.linalg.eigh(x.T @ x)
        kept = squares > floor**2
        x = x @ (directions[:, kept] / np.sqrt(squares[kept]))
        floor = 1e-3  # of what is orthonormal but for rounding
    return x


def deflated(inner: Values, start: Values, steps: int) -> Values:
    """Return a basis (D, K) of the Krylov space of some vectors alone, in the coordinates of a larger one."""
    basis, block = np.empty((len(inner), 0)), start
    for _ in range(steps):
        size = float(np.linalg.norm(block, 2))
        for _ in range(2):
            block = block - basis @ (basis.T @ block)
        block = orthonormal(block, _DEPENDENT * size)
        if not block.shape[1]:
            break
        basis = np.concatenate([basis, block], axis=1)
        block = inner @ block
    return basis
