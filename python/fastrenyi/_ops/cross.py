"""The cross entropy of two Grams, and what its gradient is made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastrenyi import _check, _matrices
from fastrenyi._array import Array, has_numbers, wrap
from fastrenyi._kernels import kernels_for
from fastrenyi._ops.precision import judged

__all__ = ["cross_entropy", "of_cross_entropy"]


def _known_eigenvalues(values: Array, epsilon: float, xp: Any) -> tuple[Array, Array]:
    """Return eigenvalues (..., n), those below n eps of the largest as of that size, and which these are not."""
    floor = min(values.shape[-1] * epsilon, 0.5) * values[..., -1:]
    return xp.where(values > floor, values, floor), values > floor


def cross_entropy(a: Array, b: Array, unit: float) -> Array:
    """Return -tr(A log2 B) * unit of Grams (..., n, n) whose batch axes broadcast."""
    n = a.shape[-1]

    def measure(epsilon: float) -> Array:
        with kernels_for(a) as on:
            left, right = on.matrices(a, "a"), on.matrices(b, "b")
            values, vectors = (
                part.reshape(*right.shape[:-2], *part.shape[1:]) for part in on.eigh(_check.flat_batch(right, 2))
            )
            _not_indefinite(values, n * epsilon)
            eigenvalues, known = _known_eigenvalues(values, epsilon, on.xp)
            weights = (vectors * (left @ vectors)).sum(-2)
            _within(on.xp.where(known, 0, weights).sum(-1), math.sqrt(epsilon))
            return -(weights * on.xp.log(eigenvalues)).sum(-1) * (unit / math.log(2))

    return judged([a, b], measure)


def of_cross_entropy(
    grad: Array, a: Array, vectors: Array, values: Array, epsilon: float, unit: float, xp: Any
) -> tuple[Array, Array]:
    """Return the gradients with respect to a and to b of their cross entropy, whose batch axes broadcast.

    ``vectors`` and ``values`` are the eigenvectors and eigenvalues of b. The gradient to B is -V (F o V'AV) V' with
    F_kl = (log l_k - log l_l) / (l_k - l_l), 1 / l_k on the diagonal, and zero between eigenvalues that are not known.
    """
    values, known = _known_eigenvalues(values, epsilon, xp)
    across = vectors.swapaxes(-1, -2)
    scale = (-unit / math.log(2) * grad)[..., None, None]
    of_a = scale * ((vectors * xp.log(values)[..., None, :]) @ across)
    least = xp.minimum(values[..., :, None], values[..., None, :])
    apart = abs(values[..., :, None] - values[..., None, :]) / least
    ratio = xp.where(apart > 0, xp.log1p(apart) / xp.where(apart > 0, apart, 1.0), 1.0) / least
    ratio = xp.where(known[..., :, None] | known[..., None, :], ratio, 0.0)
    return of_a, scale * (vectors @ (ratio * (across @ a @ vectors)) @ across)


def _not_indefinite(values: Array, share: float) -> None:
    if has_numbers(values):
        found = wrap(values)
        wrong = found[..., 0] < -share * found[..., -1]
        if wrong.any():
            index = int(wrong.argmax())
            _matrices.verdict(("indefinite", index, float(found[..., 0].flat[index])), "b", wrong.shape)


def _within(outside: Array, most: float) -> None:
    """Refuse Grams of which more than a share lies where the other one has nothing."""
    if has_numbers(outside):
        shares = np.asarray(wrap(outside))
        if (shares > most).any():
            _check.value_error(
                "b", "a Gram that has eigenvalues above rounding wherever a has",
                f"{shares.max():.2g} of a where it has none", "the relative entropy is infinite; mix b with eye(n) / n",
            )  # fmt: skip
