"""``repitl.matrix_itl``: entropies of kernel matrices of any trace, in nats."""

from __future__ import annotations

import functools
import math
import operator
import warnings
from collections.abc import Sequence

import numpy as np

from fastrenyi import _check, _matrices
from fastrenyi._array import Array, has_numbers, home_of, wrap
from fastrenyi._cost import outside
from fastrenyi.kernels import Linear
from fastrenyi.measures import entropy, entropy_of_spectrum, spectrum

__all__ = [
    "frobeniusGIP", "generalizedInformationPotential", "matrixAlphaConditionalEntropy", "matrixAlphaEntropy",
    "matrixAlphaJointEntropy", "matrixAlphaMutualInformation", "of_trace_one", "repMutualInformation",
    "vonNeumannEigenValues", "vonNeumannEntropy",
]  # fmt: skip

_SAID: set[str] = set()


def of_trace_one(k: Array, name: str) -> Array:
    """Return a kernel matrix over its trace, which must be positive."""
    k = _check.adopt(k, name)
    home = _matrices.gram(k, name)
    trace = home.computed(k).diagonal(0, -2, -1).sum(-1)
    if has_numbers(trace):
        numbers = np.asarray(wrap(trace))
        if not (np.isfinite(numbers) & (numbers > 0)).all():
            _check.value_error(name, "kernel matrices of positive trace", f"{numbers.min():g}")
    return home.leave(home.computed(k) / trace[..., None, None])


def _say_of_order_two(k: Array, alpha: object) -> None:
    """Say once that repitl has another number: it divides by n^2 whatever the trace."""
    if alpha != 2 or _SAID or not has_numbers(k):
        return
    n, traces = k.shape[-1], np.asarray(wrap(k.diagonal(0, -2, -1).sum(-1)))
    if (abs(traces / n - 1) > 1e-3).any():
        _SAID.add("order two")
        warnings.warn(
            f"at alpha = 2 repitl divides by n^2 = {n**2}, which is the squared trace of matrices with ones on their "
            f"diagonal, and not of these, of trace {traces.flat[0]:g}; here it is divided by the squared trace",
            stacklevel=outside(),
        )


def _entropy(k: Array, alpha: float, name: str) -> Array:
    k = _check.adopt(k, name)
    a = of_trace_one(k, name)
    _say_of_order_two(k, alpha)
    return entropy(a, alpha, math.e)


def matrixAlphaEntropy(K: Array, alpha: float) -> Array:
    """Return S_alpha of K / tr K in nats, of kernel matrices (..., n, n) of any trace.

    Examples
    --------
    >>> import numpy as np, fastrenyi.compat.repitl as itl
    >>> round(float(itl.matrixAlphaEntropy(np.eye(4), 1.5)), 6)  # ln 4
    1.386294
    """
    return _entropy(K, alpha, "K")


def matrixAlphaJointEntropy(K_list: Sequence[Array], alpha: float) -> Array:
    """Return S_alpha of the entrywise product of kernel matrices, over its trace, in nats."""
    if not isinstance(K_list, (list, tuple)) or not K_list:
        _check.kind_error("K_list", "a list of kernel matrices", _check.quoted(K_list))
    listed = [_check.adopt(k, "K_list") for k in K_list]
    homes = [_matrices.gram(k, "K_list") for k in listed]
    for home, k in zip(homes, listed, strict=True):
        _check.same_home(home, "K_list", homes[0], "K_list[0]")
        if k.shape[-1] != listed[0].shape[-1]:
            expected = f"matrices of n = {listed[0].shape[-1]} samples"
            _check.value_error("K_list", expected, f"shape {tuple(k.shape)}")
    return _entropy(functools.reduce(operator.mul, listed), alpha, "K_list")


def matrixAlphaConditionalEntropy(Kx: Array, Ky: Array, alpha: float) -> Array:
    """Return S_alpha(X, Y) - S_alpha(Y) in nats."""
    return matrixAlphaJointEntropy([Kx, Ky], alpha) - _entropy(Ky, alpha, "Ky")


def matrixAlphaMutualInformation(Kx: Array, Ky: Array, alpha: float) -> Array:
    """Return S_alpha(X) + S_alpha(Y) - S_alpha(X, Y) in nats.

    Examples
    --------
    >>> import numpy as np, fastrenyi.compat.repitl as itl
    >>> k = np.eye(4)
    >>> round(float(itl.matrixAlphaMutualInformation(k, k, 1.01)), 6)
    1.386294
    """
    both = matrixAlphaJointEntropy([Kx, Ky], alpha)
    return _entropy(Kx, alpha, "Kx") + _entropy(Ky, alpha, "Ky") - both


def generalizedInformationPotential(K: Array, alpha: float, allow_frobenius_speedup: bool = True) -> Array:
    """Return tr((K / tr K)^alpha); how it is computed is not the caller's to choose."""
    _check.flag(allow_frobenius_speedup, "allow_frobenius_speedup")
    (order,), _ = _check.orders([alpha])
    k: Array = _check.adopt(K, "K")
    return home_of(k).xp().exp(_entropy(k, order, "K") * (1 - order))


def frobeniusGIP(K: Array) -> Array:
    """Return tr((K / tr K)^2)."""
    return generalizedInformationPotential(K, 2)


def vonNeumannEntropy(K: Array, lowRank: bool = False, rank: int | None = None) -> Array:
    """Return S_1 of K / tr K in nats; with lowRank all but the ``rank`` largest eigenvalues are set to their mean."""
    if not _check.flag(lowRank, "lowRank"):
        return _entropy(K, 1, "K")
    values = spectrum(of_trace_one(K, "K"))
    n = values.shape[-1]
    kept = _check.integer(rank, "rank", 1)
    if kept >= n:
        _check.value_error("rank", f"a rank below n = {n}", kept)
    return _averaged(values, n - kept)


def vonNeumannEigenValues(Ev: Array, lowRank: bool = False, rank_proportion: float = 0.9) -> Array:
    """Return the von Neumann entropy, in nats, of eigenvalues (..., n) of any sum, for lowRank in descending order.

    With lowRank, those after the first int(rank_proportion n) are set to their mean.
    """
    values: Array = _check.adopt(Ev, "Ev")
    _check.real(values, "Ev")
    if not _check.flag(lowRank, "lowRank"):
        return _averaged(values, 0)
    n = values.shape[-1]
    kept = int(_check.share(rank_proportion, "rank_proportion") * n)
    return _averaged(values[..., list(range(n - 1, -1, -1))], n - kept)


def _averaged(values: Array, count: int) -> Array:
    """Return the entropy of eigenvalues, the first so many of which are set to their mean."""
    home = home_of(values)
    xp = home.xp()
    if count:
        mean = values[..., :count].mean(-1)[..., None]
        same = xp.broadcast_to(mean, (*values.shape[:-1], count))
        values = xp.concatenate([same, values[..., count:]], -1)
    return entropy_of_spectrum(values / values.sum(-1)[..., None], 1, math.e)


def repMutualInformation(X: Array, Y: Array, type: str = "covariance") -> Array:
    """Return the mutual information of order 1, in nats, of the linear kernels of features (n, p) and (n, q).

    Both values of ``type``, "covariance" and "kernel", have one spectrum and so one result.
    """
    _check.choice(type, "type", ("covariance", "kernel"))
    return matrixAlphaMutualInformation(Linear()(X), Linear()(Y), 1)
