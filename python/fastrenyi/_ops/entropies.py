"""Spectra of matrices, and entropies of joint variables and of spectra."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import numpy as np

from fastrenyi import _check, _matrices
from fastrenyi._array import Array, has_numbers, home_of
from fastrenyi._kernels import Kernels, kernels_for
from fastrenyi._kernels.joints import Joints
from fastrenyi._ops.precision import judged

__all__ = ["entropies", "entropies_and_kept", "spectral_entropies", "spectrum"]


def spectrum(a: Array, name: str, out: Array | None = None) -> Array:
    """Return the eigenvalues (..., n) of symmetric matrices (..., n, n) of any trace.

    They are written to ``out``, dense and of the dtype they are computed in, if there is one.
    """
    with kernels_for(a) as on:
        values = on.matrices(a, name, trace_one=False)
        into = None if out is None else _check.flat_batch(out, 1)
        return on.spectra(_check.flat_batch(values, 2), into).reshape(tuple(values.shape[:-1]))


def spectral_entropies(w: Array, name: str, orders: Sequence[float], unit: float) -> Array:
    """Return the entropies (..., orders) of spectra (..., n) of sum one, which need not be in order."""
    # While a CUDA graph is recorded nothing can be looked at.
    epsilon = _matrices.spectrum(w, name) if has_numbers(w) else home_of(w).epsilon
    *batch, n = w.shape
    with kernels_for(w) as on:
        values = on.contiguous(on.finite(w.reshape(-1, n), name))
        found = on.spectral_entropies(
            values, orders, epsilon, unit, lambda found: _matrices.verdict(found, name, batch)
        )
        return found.reshape(*batch, len(orders))


def entropies(
    grams: Sequence[Array],
    labels: Sequence[str],
    subsets: Sequence[Sequence[int]],
    names: Sequence[str],
    signs: Sequence[float],
    orders: Sequence[float],
    unit: float,
) -> Array:
    """Return the joint entropies of subsets of Grams, by position: (subsets, *batch, orders), batch axes broadcast.

    With a sign for each subset, their signed sum (*batch, orders). ``labels`` name the Grams and ``names`` the subsets,
    for messages.
    """
    return entropies_and_kept(grams, labels, subsets, names, signs, orders, unit, False)[0]


def entropies_and_kept(
    grams: Sequence[Array],
    labels: Sequence[str],
    subsets: Sequence[Sequence[int]],
    names: Sequence[str],
    signs: Sequence[float],
    orders: Sequence[float],
    unit: float,
    keep: bool,
) -> tuple[Array, Array]:
    """Return ``entropies`` and what their gradients need, if it is to be kept and the kernels keep it."""

    def measure(epsilon: float) -> tuple[Array, Array]:
        with kernels_for(grams[0]) as on:
            joints = Joints([on.matrices(a, label) for a, label in zip(grams, labels, strict=True)], subsets, names)
            found, kept = on.entropies(joints, orders, epsilon, unit, keep)
            if not keep or kept is None:
                kept = on.empty((0, joints.n + 3, joints.n), home_of(found).dtype)
            return _shaped(on, joints, found, signs), kept

    return judged(grams, measure)


def _shaped(on: Kernels, joints: Joints, found: Array, signs: Sequence[float]) -> Array:
    """Return entropies (joints, orders) with their batch axes, or their signed sum."""
    m = found.shape[-1]
    if joints.alike and not len(signs):
        return found.reshape(len(joints), *joints.batches[0], m)
    each = [found[joints.part(k)].reshape(*batch, m) for k, batch in enumerate(joints.batches)]
    if len(signs):
        signed = (sign * part for sign, part in zip(signs, each, strict=True))
        return on.contiguous(functools.reduce(operator.add, signed))
    whole = np.broadcast_shapes(*(tuple(part.shape) for part in each))
    return on.xp.stack([on.xp.broadcast_to(part, whole) for part in each])
