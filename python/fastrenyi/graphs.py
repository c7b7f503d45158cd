"""Grams of the nodes of a graph, by kernels of its Laplacian."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrenyi import _check, _dispatch, _matrices
from fastrenyi._array import Array, ArrayT, Home, has_numbers
from fastrenyi._kernels import kernels_for

__all__ = ["graph_gram"]

_SETTINGS = {"heat": ("t",), "matern": ("nu", "kappa")}
_DEFAULTS = {"t": 0.3, "nu": 1.0, "kappa": 1.0}
_LARGEST = 1e300  # of a number in an exponent or a logarithm, where more is the same


def graph_gram(
    w: ArrayT, kernel: str = "heat", t: float | None = None, nu: float | None = None, kappa: float | None = None
) -> ArrayT:
    """Return the Gram of the nodes of a graph: a kernel of the Laplacian L = D - W, scaled to unit diagonal, over k.

    D is the diagonal of the sums of rows of W. The heat kernel is exp(-t L); Matern's is (2 nu / kappa^2 I + L)^(-nu).
    Kernel language entropy is ``entropy(graph_gram(w), 1, math.e)`` of answers w that entail one another.

    Parameters
    ----------
    w : array
        Weights (..., k, k) of the edges between k nodes, symmetric and not negative, real numbers: a NumPy, CuPy or JAX
        array, a torch tensor, or what gives NumPy an array by DLPack on the CPU or ``__array__``. Finite numbers on
        the diagonal, not negative, do not count but for rounding.
    kernel : str
        "heat" or "matern".
    t : float, optional
        The time of the heat kernel, above zero; 0.3 unless given.
    nu, kappa : float, optional
        The smoothness and the length of Matern's kernel, above zero; 1 unless given.

    Returns
    -------
    array
        (..., k, k) with trace 1 and, to rounding, 1/k on the diagonal, in the library, dtype and device of w.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, for a tensor that requires a gradient, for a JAX array whose gradient
        is taken, and for one where ``jax_enable_x64`` is not set.
    ValueError
        For wrong shapes, NaN or infinity, weights that are not symmetric or negative, and settings out of range or of
        the other kernel. Inside ``torch.compile``, ``torch.vmap`` and CUDA graphs the weights are not looked at.

    Notes
    -----
    By eigenvectors, in double precision; eigenvalues of L up to k eps of the largest are zero. Cost O(k^3). Gradients
    are refused. The scaling is ``normalize``'s: the Gram goes into any measure, with others of the same nodes as well.

    Conventions elsewhere: the published code takes t = 0.4 unless told otherwise, divides the entropy by log k, and has
    the normalised Laplacian as a choice, which is not offered.
    Source: Nikitin et al., Kernel language entropy, NeurIPS 2024; Matern: Borovitskiy et al., AISTATS 2021.

    Examples
    --------
    >>> import math, numpy as np, fastrenyi as fr
    >>> w = np.array([[0.0, 0.9, 0.1], [0.9, 0.0, 0.1], [0.1, 0.1, 0.0]])  # two answers that agree, and a third
    >>> round(float(fr.entropy(fr.graph_gram(w), 1, math.e)), 4), round(float(fr.entropy(fr.graph_gram(0 * w), 1)), 4)
    (1.0744, 1.585)
    """
    weights: Array = _check.adopt(w, "w")
    home = _matrices.gram(weights, "w")
    chosen = _check.choice(kernel, "kernel", tuple(_SETTINGS))
    settings = _settings(chosen, {"t": t, "nu": nu, "kappa": kappa})
    weights = _dispatch.operations(home.library).without_gradient(weights, "w", "graph_gram")
    if has_numbers(weights):
        _not_negative(_matrices.gram_contents(weights, "w", trace_one=False))
    with home.current(weights):
        k = _kernel(weights, _check.double(home, "w", "graph_gram"), chosen, settings)
        root = k.diagonal(0, -2, -1) ** 0.5
        # The product commutes, so that the result is as symmetric as k.
        found: ArrayT = home.leave(k / (root[..., :, None] * root[..., None, :]) / k.shape[-1])
    return found


def _settings(kernel: str, given: dict[str, float | None]) -> dict[str, float]:
    """Return the settings of a kernel; those of the other one are refused."""
    settings = {}
    for name, value in given.items():
        if name in _SETTINGS[kernel]:
            settings[name] = _DEFAULTS[name] if value is None else _check.positive(value, name)
        elif value is not None:
            _check.value_error(name, f"None, as the kernel {kernel!r} has none", value, "leave it out")
    return settings


def _not_negative(w: Any) -> None:
    if (w < 0).any():
        at = np.unravel_index(int((w < 0).argmax()), w.shape)
        _check.value_error("w", "weights that are not negative", f"{w[at]:g} at index {tuple(map(int, at))}")


def _kernel(w: Array, home: Home, kernel: str, settings: dict[str, float]) -> Array:
    """Return f(D - W) in double precision, up to a factor: f over f(0), in which nothing leaves the range."""
    xp = home.xp()
    weights = home.leave(w)
    values, vectors = _eigh(home.eye(w.shape[-1], weights) * weights.sum(-1)[..., None] - weights, home)
    values = xp.where(values > values.shape[-1] * home.epsilon * values[..., -1:], values, 0 * values)
    if kernel == "heat":
        logarithm = -_times(values, settings["t"], xp)
    else:
        nu, kappa = settings["nu"], settings["kappa"]
        logarithm = -min(nu, _LARGEST) * xp.log1p(_times(values, kappa * (kappa / (2 * nu)), xp))
    half = vectors * xp.exp(logarithm / 2)[..., None, :]
    found = half @ half.swapaxes(-1, -2)
    return (found + found.swapaxes(-1, -2)) / 2


def _eigh(a: Array, home: Home) -> tuple[Array, Array]:
    if not has_numbers(a):
        traced: tuple[Array, Array] = home.xp().linalg.eigh(a)
        return traced
    with kernels_for(a) as on:
        found = on.eigh(_check.flat_batch(a, 2))
    values, vectors = (home.take(part) if isinstance(part, np.ndarray) else part for part in found)
    return values.reshape(a.shape[:-1]), vectors.reshape(a.shape)


def _times(values: Array, factor: float, xp: Any) -> Array:
    """Return numbers that are not negative times a factor, in range."""
    factor = min(factor, _LARGEST)
    return xp.clip(values, 0, _LARGEST / max(factor, 1 / _LARGEST)) * factor
