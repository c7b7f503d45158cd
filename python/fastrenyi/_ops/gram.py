"""Kernel widths and Gram matrices of samples."""

from __future__ import annotations

from collections.abc import Sequence

from fastrenyi import _check
from fastrenyi._array import Array, home_of
from fastrenyi._bandwidth import Bandwidth
from fastrenyi._kernels import kernels_for
from fastrenyi._spec import KernelSpec, LinearSpec

__all__ = ["bandwidth", "delta_gram", "gram", "linear_gram"]


def bandwidth(x: Array, rule: Bandwidth, kernel: KernelSpec, name: str) -> Array:
    """Return the float64 widths (...) that a rule finds for samples (..., n, d)."""
    with kernels_for(x) as on:
        values = on.finite(x, name)
        found = rule._found(_check.flat_batch(values, 2), kernel.kind)
        return found.reshape(tuple(values.shape[:-2]))


def gram(
    x: Array,
    kernel: KernelSpec,
    width: float | Array | None,
    given: bool,
    name: str,
    out: Array | None = None,
) -> Array:
    """Return the Grams (..., n, n) of samples (..., n, d).

    A Gaussian or Laplacian has a width or widths (...). ``given`` widths must be above zero; a rule may find zero, the
    narrow limit. They are written to ``out``, dense and of the dtype they are computed in, if there is one.
    """
    with kernels_for(x) as on:
        values, word = on.watched(x, name)
        flat = _check.flat_batch(values, 2)
        widths = None
        if kernel.widthed:
            widths = on.widths(width, len(flat), given)
        elif kernel.coef0 == 0:
            on.nonzero_rows(values, name, kernel.kind)
        into = None if out is None else _check.flat_batch(out, 2)
        return on.grams(flat, kernel, widths, word, into).reshape(*values.shape[:-1], values.shape[-2])


def linear_gram(x: Array, spec: LinearSpec, sizes: Sequence[int], name: str) -> Array:
    """Return the linear Grams (..., m, m) of samples (..., n, d), of so many of each set if sizes are given.

    That of samples of which nothing is left is zero.
    """
    with kernels_for(x) as on:
        return on.linear_grams(x, spec, sizes, name)


def delta_gram(x: Array, name: str) -> Array:
    """Return the float64 Grams (..., n, n) of the Delta kernel; the samples (..., n, d) may be integers."""
    with kernels_for(x) as on:
        values = on.finite(x, name)
        if not home_of(values).dtype.startswith("float"):
            values = on.cast(values, "int64")
        return on.delta_grams(_check.flat_batch(values, 2)).reshape(*values.shape[:-1], values.shape[-2])
