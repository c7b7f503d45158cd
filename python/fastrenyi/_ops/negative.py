"""What is taken away from a matrix that is to be positive semidefinite and is not."""

from __future__ import annotations

import warnings

import numpy as np

from fastrenyi import _check
from fastrenyi._array import Array, has_numbers, home_of, made_in, wrap
from fastrenyi._cost import outside
from fastrenyi._kernels import kernels_for

__all__ = ["negative_part"]


def negative_part(k: Array, name: str) -> Array:
    """Return V min(L, 0) V' of symmetric matrices (..., n, n) = V L V', and warn of what is more than rounding.

    In place of zero stands what passes for rounding, so that what is left passes whatever rounding does to it.
    """
    with kernels_for(k) as on:
        values = on.matrices(k, name, trace_one=False)
        eigenvalues, vectors = on.eigh(_check.flat_batch(values, 2))
        floor = eigenvalues.shape[-1] * home_of(eigenvalues).epsilon * abs(eigenvalues[:, -1:])
        negative = on.xp.where(eigenvalues < floor, eigenvalues - floor, on.xp.zeros_like(eigenvalues))
        found = (vectors * negative[:, None, :]) @ vectors.swapaxes(-1, -2)
    if has_numbers(k):
        _tell(k, wrap(eigenvalues), name)
    return ((found + found.swapaxes(-1, -2)) / 2).reshape(values.shape)


def _tell(k: Array, eigenvalues: Array, name: str) -> None:
    sizes = abs(eigenvalues)
    rounding = eigenvalues.shape[-1] * max(home_of(k).epsilon, made_in(k).epsilon) * sizes.max(-1, initial=0)
    if (eigenvalues.min(-1, initial=0) < -rounding).any():
        whole = sizes.sum(-1)
        shares = np.where(eigenvalues < 0, sizes, 0).sum(-1) / np.where(whole > 0, whole, 1)
        warnings.warn(
            f"{name}: negative eigenvalues were set to zero, {shares.max():.2%} of what all add up to in size: what is "
            "measured is another matrix",
            stacklevel=outside(),
        )
