"""Spectra of matrices, and entropies of joint variables and of spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from fastrenyi import _ops
from fastrenyi._array import Values, home_of, wrap
from fastrenyi._kernels import HOST
from fastrenyi._ops.backward import of_entropies, summed_to
from fastrenyi._ops.cross import of_cross_entropy
from fastrenyi._ops.entropies import entropies_and_kept
from fastrenyi._ops.slopes import slopes
from fastrenyi.jax._operation import Operation, Shape, Wanted, aligned, apply, computed_in, constant

__all__ = ["cross_entropy", "entropies", "negative_part", "spectral_entropies", "spectrum"]


def _batch(grams: Sequence[Any]) -> tuple[int, ...]:
    return np.broadcast_shapes(*(a.shape[:-2] for a in grams))


def _eigh(a: Values) -> tuple[Values, Values]:
    """Return eigenvalues (..., n) and eigenvectors (..., n, n), in columns."""
    matrices = wrap(a)
    values, vectors = HOST.eigh(matrices.reshape(-1, *matrices.shape[-2:]))
    return values.reshape(matrices.shape[:-1]), vectors.reshape(matrices.shape)


@dataclass(frozen=True)
class _Entropies(Operation):
    """``_ops.entropies``, batch axes before the subsets; with ``keep`` also what the gradient needs."""

    labels: tuple[str, ...]
    subsets: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]
    signs: tuple[float, ...]
    orders: tuple[float, ...]
    unit: float
    keep: bool = False

    def numbers(self, *grams: Values) -> list[Values]:
        if self.keep:
            grams = np.broadcast_arrays(*grams)
        found, kept = entropies_and_kept(
            grams, self.labels, self.subsets, self.names, self.signs, self.orders, self.unit, self.keep
        )
        results = [found if self.signs else np.moveaxis(found, 0, -2)]
        if self.keep:
            each = kept.reshape(len(self.subsets), *grams[0].shape[:-2], *kept.shape[1:])
            results.append(np.moveaxis(each, 0, -3))
        return results

    def shapes(self, *grams: Any) -> list[Shape]:
        n, dtype = grams[0].shape[-1], computed_in(grams[0])
        batch, count = _batch(grams), len(self.subsets)
        found = [((*batch, *(() if self.signs else (count,)), len(self.orders)), dtype)]
        return [*found, ((*batch, count, n + 3, n), dtype)] if self.keep else found

    def forward(self, *grams: Array) -> tuple[Sequence[Array], Any]:
        # Kept in one array: of Grams that are alike. At order 2 it is found again at no cost.
        if self.orders == (2.0,) or any(a.shape != grams[0].shape for a in grams):
            return apply(self, *grams), (grams, [])
        found, kept = apply(replace(self, keep=True), *grams)
        return [found, kept] if self.keep else [found], (grams, [kept])

    def backward(self, wanted: Wanted, kept: Any, grads: Sequence[Array]) -> Sequence[Array | None]:
        grams, known = kept
        found = apply(_EntropiesBackward(self, tuple(wanted), bool(known)), grads[0], *known, *grams)
        each = iter(found)
        return [next(each) if want else None for want in wanted]


@dataclass(frozen=True)
class _EntropiesBackward(Operation):
    """The gradients with respect to those Grams of which they are wanted."""

    of: _Entropies
    wanted: tuple[bool, ...]
    known: bool
    mapped = "repeated"
    public = "entropy"

    def numbers(self, grad: Values, *rest: Values) -> list[Values]:
        of, grams, n = self.of, rest[self.known :], rest[-1].shape[-1]
        kept = np.moveaxis(rest[0], -3, 0).reshape(-1, n + 3, n) if self.known else np.empty((0, n + 3, n), grad.dtype)
        upstream = grad if of.signs else np.moveaxis(grad, -2, 0)
        found = of_entropies(upstream, grams, kept, self.wanted, of.subsets, of.signs, of.orders, of.unit)
        return [part for part, want in zip(found, self.wanted, strict=True) if want]

    def shapes(self, grad: Any, *rest: Any) -> list[Shape]:
        grams = rest[self.known :]
        return [(a.shape, a.dtype) for a, want in zip(grams, self.wanted, strict=True) if want]


def entropies(
    grams: Sequence[Array],
    labels: Sequence[str],
    subsets: Sequence[Sequence[int]],
    names: Sequence[str],
    signs: Sequence[float],
    orders: Sequence[float],
    unit: float,
) -> Array:
    """Return the joint entropies of subsets of Grams, or their signed sum, as ``_ops.entropies``."""
    op = _Entropies(
        tuple(labels), tuple(map(tuple, subsets)), tuple(names), tuple(map(float, signs)), tuple(orders), unit
    )
    (found,) = apply(op, *aligned(grams))
    return found if op.signs else jnp.moveaxis(found, -2, 0)


@dataclass(frozen=True)
class _SpectralEntropies(Operation):
    """The entropies (..., orders) of spectra (..., n) of sum one."""

    name: str
    orders: tuple[float, ...]
    unit: float

    def numbers(self, w: Values) -> list[Values]:
        return [_ops.spectral_entropies(w, self.name, self.orders, self.unit)]

    def shapes(self, w: Any) -> list[Shape]:
        return [((*w.shape[:-1], len(self.orders)), computed_in(w))]

    def backward(self, wanted: Wanted, kept: Any, grads: Sequence[Array]) -> Sequence[Array | None]:
        return apply(_SpectralEntropiesBackward(self.orders, self.unit), *grads, *kept[0])


@dataclass(frozen=True)
class _SpectralEntropiesBackward(Operation):
    orders: tuple[float, ...]
    unit: float
    mapped = "repeated"
    public = "entropy_of_spectrum"

    def numbers(self, grad: Values, w: Values) -> list[Values]:
        values, own = wrap(w).astype(np.float64), float(np.finfo(computed_in(w)).eps)
        return [slopes(values, grad.astype(np.float64), self.orders, home_of(w).epsilon, own, self.unit, np)]

    def shapes(self, grad: Any, w: Any) -> list[Shape]:
        return [(w.shape, w.dtype)]


def spectral_entropies(w: Array, name: str, orders: Sequence[float], unit: float) -> Array:
    """Return the entropies (..., orders) of spectra (..., n) of sum one; differentiable in these."""
    return apply(_SpectralEntropies(name, tuple(orders), unit), w)[0]


@dataclass(frozen=True)
class _Spectrum(Operation):
    """The eigenvalues (..., n) of symmetric matrices (..., n, n)."""

    name: str

    def numbers(self, a: Values) -> list[Values]:
        return [_ops.spectrum(a, self.name)]

    def shapes(self, a: Any) -> list[Shape]:
        return [(a.shape[:-1], computed_in(a))]

    def backward(self, wanted: Wanted, kept: Any, grads: Sequence[Array]) -> Sequence[Array | None]:
        return apply(_SpectrumBackward(), *grads, *kept[0])


@dataclass(frozen=True)
class _SpectrumBackward(Operation):
    """V diag(grad) V'; where eigenvalues repeat, for the eigenvectors that were found."""

    mapped = "repeated"
    public = "spectrum"

    def numbers(self, grad: Values, a: Values) -> list[Values]:
        _, v = _eigh(a)
        return [(v * grad[..., None, :]) @ v.swapaxes(-1, -2)]

    def shapes(self, grad: Any, a: Any) -> list[Shape]:
        return [(a.shape, a.dtype)]


def spectrum(a: Array, name: str) -> Array:
    """Return the eigenvalues (..., n) of symmetric matrices (..., n, n); differentiable."""
    return apply(_Spectrum(name), a)[0]


@dataclass(frozen=True)
class _CrossEntropy(Operation):
    """-tr(A log2 B) * unit of Grams (..., n, n) whose batch axes broadcast."""

    unit: float

    def numbers(self, a: Values, b: Values) -> list[Values]:
        return [_ops.cross_entropy(a, b, self.unit)]

    def shapes(self, a: Any, b: Any) -> list[Shape]:
        return [(_batch([a, b]), computed_in(a))]

    def backward(self, wanted: Wanted, kept: Any, grads: Sequence[Array]) -> Sequence[Array | None]:
        return apply(_CrossEntropyBackward(self.unit), *grads, *kept[0])


@dataclass(frozen=True)
class _CrossEntropyBackward(Operation):
    unit: float
    mapped = "repeated"
    public = "relative_entropy"

    def numbers(self, grad: Values, a: Values, b: Values) -> list[Values]:
        values, vectors = _eigh(b)
        found = of_cross_entropy(grad, wrap(a), vectors, values, home_of(b).epsilon, self.unit, np)
        return [summed_to(part, x.shape) for part, x in zip(found, (a, b), strict=True)]

    def shapes(self, grad: Any, a: Any, b: Any) -> list[Shape]:
        return [(a.shape, a.dtype), (b.shape, b.dtype)]


def cross_entropy(a: Array, b: Array, unit: float) -> Array:
    """Return -tr(A log2 B) * unit of Grams (..., n, n) whose batch axes broadcast; differentiable in both."""
    return apply(_CrossEntropy(unit), *aligned([a, b]))[0]


@dataclass(frozen=True)
class _NegativePart(Operation):
    name: str

    def numbers(self, k: Values) -> list[Values]:
        return [_ops.negative_part(k, self.name)]

    def shapes(self, k: Any) -> list[Shape]:
        return [(k.shape, computed_in(k))]


def negative_part(k: Array, name: str) -> Array:
    """Return what negative eigenvalues make of symmetric matrices (..., n, n), as ``_ops.negative_part``."""
    return constant(_NegativePart(name), k)[0]
