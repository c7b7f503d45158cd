"""What a lazy Gram is made of: kernels of samples, of which any rectangle can be made when it is asked for.

The entries of a factor are those of a kernel matrix with ones on its diagonal; a joint variable is their product.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from fastrenyi import _check, _core
from fastrenyi._array import Array, Values, wrap
from fastrenyi._backend import threads

__all__ = ["Dense", "Factor", "Gaussian", "Inner", "Labels", "Laplacian", "coded", "exponential", "finite", "merged"]

_FINITE_ROWS = 4096  # looked at together, so that a memory map need not be in memory
_KEPT = 2**25  # numbers of scaled samples that are kept, so that they are not made again for each tile
_EPSILON = 2.0**-52
_FAR = 1e4  # half squared lengths, in widths, from which on distances by products have lost digits that count
_TOO_FAR = 1e200
_NEAR = -40.0  # exponents under which nothing is left of them


class Factor(Protocol):
    """A kernel matrix (n, n) with ones on its diagonal (of a dense one, with n times its own)."""

    n: int
    features: int
    """Numbers of a sample that an entry is made of."""
    nonnegative: bool
    """Whether no entry is below zero."""
    error: float
    """How far an entry may be from what it is to be."""
    epsilon: float
    """Machine epsilon of what it was made in."""

    def tile(self, rows: Values, columns: Values) -> Values:
        """Return the float64 entries of some rows and columns, by their indices, made on the host."""

    def diagonal(self) -> Values | None:
        """Return the diagonal (n,), None for ones."""

    def part(self, rows: slice) -> Factor:
        """Return that of some of the samples."""


class _Scaled:
    """Sets of samples side by side, each centred and divided by its width."""

    nonnegative = True
    epsilon = _EPSILON

    def __init__(self, sets: Sequence[tuple[Values, float]]) -> None:
        self.sets = list(sets)
        self.n = len(self.sets[0][0])
        with np.errstate(over="ignore", invalid="ignore"):
            self._centres = [_mean(x) for x, _ in self.sets]
            self.features = sum(x.shape[1] for x, _ in self.sets)
            self._whole = self._rows(slice(None)) if self.n * self.features <= _KEPT else None
        self.farthest = self._farthest()
        """Half the largest squared length of a scaled sample."""
        self.error = 4 * _EPSILON * min(self.farthest, _FAR)

    def part(self, rows: slice) -> Factor:
        """Return that of some of the samples."""
        found: Factor = type(self)([(x[rows], width) for x, width in self.sets])  # type: ignore[assignment]
        return found

    def rows(self, index: Values) -> Values:
        """Return some samples (m, d)."""
        return self._rows(index) if self._whole is None else self._whole[index]

    def _farthest(self) -> float:
        found = 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, self.n, _FINITE_ROWS):
                rows = self._rows(slice(start, start + _FINITE_ROWS))
                found = np.fmax(found, float(np.einsum("ij,ij->i", rows, rows).max()) / 2)
                if not np.isfinite(rows).all() or not found < _TOO_FAR:
                    expected, way_out = "samples within 1e100 widths of their mean", "rescale samples and width"
                    _check.value_error(
                        "x", expected, "others", f"take out what is far from all the others, or {way_out}"
                    )
        return float(found)

    def _rows(self, index: Values | slice) -> Values:
        parts = [
            (x[index].astype(np.float64) - centre) / width
            for (x, width), centre in zip(self.sets, self._centres, strict=True)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def diagonal(self) -> None:
        """Ones."""
        return


class Gaussian(_Scaled):
    """exp(-|x - y|^2 / 2) of scaled samples: a product of Gaussians of any widths is one of them."""

    def tile(self, rows: Values, columns: Values) -> Values:
        """Return some of its entries."""
        return self.measured(rows, columns, "float64", 0.0)[0]

    def measured(self, rows: Values, columns: Values, dtype: str, shift: float) -> tuple[Values, float]:
        """Return some of its entries less a shift in a dtype, and the sum of the entries' squares."""
        x, y = self.rows(rows), self.rows(columns)
        if self.farthest > _FAR:
            found = exponential(x, y, self.farthest, np)
            squares = float(np.vdot(found, found))
            found -= shift
            found = found.astype(dtype, copy=False)
        else:
            found, squares = _core.gaussian_tile(x, y, dtype == "float32", shift, threads())
        if rows is columns:
            np.fill_diagonal(found, 1.0 - shift)
        return found, squares


def exponential(x: Array, y: Array, farthest: float, xp: Any) -> Array:
    """Return exp(-|x - y|^2 / 2) of scaled samples by products, in the library xp.

    Where lengths have lost what tells two samples apart, they are made again by differences.
    """
    exponents = x @ y.T
    exponents -= (x * x).sum(1)[:, None] / 2
    exponents -= (y * y).sum(1) / 2
    if farthest > _FAR:
        _by_differences(exponents, x, y, xp.where(exponents > _NEAR - 1e-14 * farthest))
    return xp.exp(exponents.clip(max=0.0))


def _by_differences(exponents: Array, x: Array, y: Array, where: tuple[Array, ...]) -> None:
    step = max(1, 2**22 // x.shape[1])
    for start in range(0, len(where[0]), step):
        i, j = (index[start : start + step] for index in where)
        between = x[i] - y[j]
        exponents[i, j] = (between * between).sum(1) / -2


class Laplacian(_Scaled):
    """exp(-|x - y|_1) of scaled samples: a product of Laplacians of any widths is one of them."""

    def tile(self, rows: Values, columns: Values) -> Values:
        """Return some of its entries."""
        from scipy.spatial.distance import cdist

        found: Values = cdist(self.rows(rows), self.rows(columns), "cityblock")
        np.negative(found, out=found)
        return np.exp(found, out=found)


class Inner:
    """(gamma <x, y> + coef0)^degree over the roots of the diagonal: polynomial and cosine kernels."""

    epsilon = _EPSILON

    def __init__(self, x: Values, degree: int, gamma: float, coef0: float) -> None:
        """Of samples (n, d)."""
        self._x, self._gamma, self._coef0 = x, gamma, coef0
        self.degree = degree
        self.n, self.features = x.shape
        self.nonnegative = degree % 2 == 0
        self.error = 4 * _EPSILON * degree

    def units(self, index: Values) -> Values:
        """Return (sqrt(gamma) x, sqrt(coef0)) of some samples at length one, the largest first: squares are small."""
        x = np.concatenate(
            [np.sqrt(self._gamma) * self._x[index].astype(np.float64), np.full((len(index), 1), np.sqrt(self._coef0))],
            1,
        )
        x /= np.abs(x).max(axis=1, keepdims=True)
        x /= np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
        return x

    def tile(self, rows: Values, columns: Values) -> Values:
        """Return some of its entries."""
        found: Values = self.units(rows) @ self.units(columns).T
        found **= self.degree
        if rows is columns:
            np.fill_diagonal(found, 1.0)
        return found

    def part(self, rows: slice) -> Factor:
        """Return that of some of the samples."""
        return Inner(self._x[rows], self.degree, self._gamma, self._coef0)

    def diagonal(self) -> None:
        """Ones."""
        return


class Labels:
    """1 for samples with the same label, else 0: the Delta kernel."""

    features = 1
    nonnegative = True
    error = 0.0
    epsilon = _EPSILON

    def __init__(self, codes: Values) -> None:
        """Of integers (n,)."""
        self.codes, self.n = codes, len(codes)

    def tile(self, rows: Values, columns: Values) -> Values:
        """Return some of its entries."""
        found: Values = (self.codes[rows][:, None] == self.codes[columns]).astype(np.float64)
        return found

    def part(self, rows: slice) -> Factor:
        """Return that of some of the samples."""
        return Labels(self.codes[rows])

    def diagonal(self) -> None:
        """Ones."""
        return


class Dense:
    """A Gram that a user has, times n."""

    features = 1
    error = 0.0

    def __init__(self, a: Array, epsilon: float = _EPSILON) -> None:
        """Of a symmetric matrix (n, n), where it is, whose numbers have this machine epsilon."""
        self.matrix, self.n, self.epsilon = a, len(a), epsilon
        self.nonnegative = bool(a.min() >= 0)

    def tile(self, rows: Values, columns: Values) -> Values:
        """Return some of its entries."""
        found: Values = self.matrix[rows][:, columns].astype(np.float64)
        found *= self.n
        return found

    def part(self, rows: slice) -> Factor:
        """Return that of some of the samples, whose trace is not one."""
        return Dense(self.matrix[rows, rows], self.epsilon)

    def diagonal(self) -> Values:
        """Its own."""
        found: Values = wrap(self.matrix.diagonal()).astype(np.float64) * self.n
        return found


def merged(factors: Sequence[Factor]) -> list[Factor]:
    """Return as few factors of the same product: one Gaussian, one Laplacian, and one of labels."""
    found: list[Factor] = [factor for factor in factors if isinstance(factor, (Inner, Dense))]
    for kind in (Gaussian, Laplacian):
        sets = [one for factor in factors if isinstance(factor, kind) for one in factor.sets]
        if sets:
            found.append(kind(sets))
    labels = [factor.codes for factor in factors if isinstance(factor, Labels)]
    if labels:
        found.append(Labels(coded(np.stack(labels, axis=1))))
    return found


def coded(values: Values) -> Values:
    """Return samples (n, d) as integers, the same for equal ones."""
    rows = np.ascontiguousarray(values)
    codes: Values = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    return codes


def finite(x: Values, name: str) -> None:
    """Refuse NaN and infinity in samples (n, d) that may be a memory map."""
    for start in range(0, len(x), _FINITE_ROWS):
        part = np.asarray(x[start : start + _FINITE_ROWS])
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            row, feature = (int(index) for index in np.argwhere(~np.isfinite(part))[0])
            got = f"{part[row, feature]} at index ({start + row}, {feature})"
            _check.value_error(name, "finite numbers", got, "clean the data first")


def _mean(x: Values) -> Values:
    parts = [
        np.asarray(x[start : start + _FINITE_ROWS], np.float64).sum(axis=0) for start in range(0, len(x), _FINITE_ROWS)
    ]
    total: Values = functools.reduce(np.add, parts)
    return total / len(x)
