"""Grams of samples, and the widths that rules find: constants of the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fastrenyi import _ops
from fastrenyi._array import Values, wrap
from fastrenyi._bandwidth import Bandwidth
from fastrenyi._kernels import products
from fastrenyi._ops.backward import of_gram, of_widths
from fastrenyi._spec import KernelSpec, LinearSpec
from fastrenyi.jax._operation import Operation, Shape, Wanted, apply, computed, computed_in, constant

__all__ = ["bandwidth", "delta_gram", "gram", "linear_gram"]


def _square(x: Any, dtype: Any) -> list[Shape]:
    return [((*x.shape[:-1], x.shape[-2]), dtype)]


@dataclass(frozen=True)
class _Gram(Operation):
    """The Grams of samples (..., n, d) and, unless ``sigma`` is the width of all, of their widths (...)."""

    kernel: KernelSpec
    sigma: float | None
    given: bool
    name: str
    mapped = "repeated"

    def numbers(self, x: Values, *widths: Values) -> list[Values]:
        return [_ops.gram(x, self.kernel, widths[0] if widths else self.sigma, self.given, self.name)]

    def shapes(self, x: Any, *_: Any) -> list[Shape]:
        return _square(x, computed_in(x))

    def backward(self, wanted: Wanted, kept: Any, grads: Sequence[Array]) -> Sequence[Array | None]:
        (x, *widths), (a,) = kept
        if self.kernel.widthed:
            return apply(_GramBackward(self.kernel.kind, self.sigma), *grads, a, x, *widths)
        found: Sequence[Array] = jax.vjp(lambda x: _polynomial(x, self.kernel), x)[1](grads[0])
        return found


@dataclass(frozen=True)
class _GramBackward(Operation):
    """The gradients with respect to samples and widths of Gaussian or Laplacian Grams."""

    kind: str
    sigma: float | None
    mapped = "repeated"
    public = "gram"

    def numbers(self, grad: Values, a: Values, x: Values, *widths: Values) -> list[Values]:
        to_x = of_gram(grad, x, widths[0] if widths else self.sigma, a, self.kind)
        return [to_x, *(of_widths(grad, width, a, self.kind) for width in widths)]

    def shapes(self, grad: Any, a: Any, *arguments: Any) -> list[Shape]:
        return [(x.shape, x.dtype) for x in arguments]


def _polynomial(x: Array, kernel: KernelSpec) -> Array:
    """Return what is differentiated in place of a polynomial Gram, whose numbers it has."""
    x = computed(x)
    k = kernel.gamma * (x @ x.swapaxes(-1, -2)) + kernel.coef0
    norms = jnp.sqrt(k.diagonal(0, -2, -1))
    return (k / (norms[..., :, None] * norms[..., None, :])) ** kernel.degree / x.shape[-2]


def gram(x: Array, kernel: KernelSpec, width: Any, given: bool, name: str) -> Array:
    """Return the Grams (..., n, n) of samples (..., n, d), as ``_ops.gram``; differentiable in x and a width array."""
    if width is None or isinstance(width, (int, float)):
        return apply(_Gram(kernel, None if width is None else float(width), given, name), x)[0]
    if not isinstance(width, Array):
        width = wrap(width)
    widths = jnp.broadcast_to(jnp.asarray(width), x.shape[:-2])
    return apply(_Gram(kernel, None, given, name), x, widths)[0]


@dataclass(frozen=True)
class _LinearGram(Operation):
    """The linear Grams of samples, of so many of each set if sizes are given."""

    spec: LinearSpec
    sizes: tuple[int, ...]
    name: str

    def numbers(self, x: Values) -> list[Values]:
        times = int(np.prod(x.shape[:-2])) // len(self.sizes) if self.sizes else 0
        return [_ops.linear_gram(x, self.spec, self.sizes * times, self.name)]

    def shapes(self, x: Any) -> list[Shape]:
        *batch, n, d = x.shape
        return [((*batch, *[self.spec.order(n, d)] * 2), computed_in(x))]

    def backward(self, wanted: Wanted, kept: Any, grads: Sequence[Array]) -> Sequence[Array | None]:
        (x,), _ = kept
        back = jax.vjp(lambda x: products.products(computed(x), self.spec, self.sizes), x)[1]
        found: Sequence[Array] = back(grads[0])
        return found


def linear_gram(x: Array, spec: LinearSpec, sizes: Sequence[int], name: str) -> Array:
    """Return the linear Grams (..., m, m) of samples (..., n, d), as ``_ops.linear_gram``; differentiable in x."""
    return apply(_LinearGram(spec, tuple(sizes), name), x)[0]


@dataclass(frozen=True)
class _DeltaGram(Operation):
    name: str

    def numbers(self, x: Values) -> list[Values]:
        return [_ops.delta_gram(x, self.name)]

    def shapes(self, x: Any) -> list[Shape]:
        return _square(x, np.float64)


def delta_gram(x: Array, name: str) -> Array:
    """Return the Grams of the Delta kernel, constant wherever they have a gradient."""
    return constant(_DeltaGram(name), x)[0]


@dataclass(frozen=True)
class _Bandwidth(Operation):
    rule: Bandwidth
    kernel: KernelSpec
    name: str

    def numbers(self, x: Values) -> list[Values]:
        return [_ops.bandwidth(x, self.rule, self.kernel, self.name)]

    def shapes(self, x: Any) -> list[Shape]:
        return [(x.shape[:-2], np.float64)]


def bandwidth(x: Array, rule: Bandwidth, kernel: KernelSpec, name: str) -> Array:
    """Return the widths (...) that a rule finds, in the widest dtype that JAX has here: constants of the gradient."""
    return constant(_Bandwidth(rule, kernel, name), x)[0]
