"""Entropies and the information measures composed of them.

Every measure is a signed sum of joint entropies. An argument that names a variable is a Gram (..., n, n), or a list
or tuple of Grams that together are one joint variable; batch axes broadcast. What gives NumPy an array by DLPack on the
CPU or ``__array__`` is taken as that array. All measures share these:

- ``alpha`` is an order in [0, inf] or a sequence of orders, which then are the last axis of the result. 0, 1, 2 and
  inf are the
  exact limits. The default 1.01 is the paper's, close to Shannon.
- ``base`` is the base of the logarithm: 2 gives bits.
- Results have the batch shape and the library, dtype and device of the Grams. They are not clipped: for alpha != 1 a
  mutual
  information can be negative.
- TypeError is raised for what is not an array of real numbers and for arrays of different libraries or dtypes;
  ValueError for
  wrong shapes, NaN, matrices that are not symmetric or not of trace one, and orders or bases out of range;
  NotPositiveSemidefiniteError for a matrix with an eigenvalue below -n eps lambda_max.
- Orders below 1 weigh small eigenvalues: those that are rounding, about n eps lambda_max, add up to n (n eps)^alpha,
  so that
  well below 0.5 the entropy of a Gram of low rank is dominated by them. At 0 exactly they are cut off.
- Cost is O(n^3) per entropy (O(n^2) where alpha is 2 alone, which needs no spectrum and so finds no negative
  eigenvalue),
  plus O(n^2) per Gram of a joint variable. Memory is one joint Gram per entropy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from itertools import combinations
from typing import Any, Generic, TypeAlias

import numpy as np
import numpy.typing as npt

from fastrenyi import _backend, _check
from fastrenyi._array import Array, ArrayT, Home, wrap
from fastrenyi.bandwidths import BandwidthLike
from fastrenyi.kernels import KernelLike, as_kernel

__all__ = [
    "Alpha", "Variable", "conditional_entropy", "conditional_mutual_information", "divergence",
    "dual_total_correlation", "entropy", "interaction_information", "joint_entropy", "mutual_information",
    "o_information", "spectrum", "total_correlation",
]  # fmt: skip

Alpha: TypeAlias = float | Sequence[float] | npt.NDArray[np.floating | np.integer]
Variable: TypeAlias = ArrayT | Sequence[ArrayT]


class _Call(Generic[ArrayT]):
    """One call of a measure: its variables, checked, and the entropies of their combinations."""

    def __init__(self, variables: dict[str, Variable[ArrayT]], alpha: Alpha, base: float) -> None:
        self.names = list(variables)
        self.grams: list[Array] = []
        self.labels: list[str] = []
        self.members: list[list[int]] = []
        """The positions in grams of each variable's Grams."""
        homes: list[Home] = []
        for name, variable in variables.items():
            is_joint = isinstance(variable, (list, tuple))
            if is_joint and not variable:
                _check.value_error(name, "at least one Gram", "an empty sequence")
            first = len(self.grams)
            listed: Any = variable if is_joint else [variable]
            for k, x in enumerate(listed):
                label = f"{name}[{k}]" if is_joint else name
                x = _check.adopt(x, label)
                homes.append(_check.gram(x, label))
                self.grams.append(x)
                self.labels.append(label)
                _check.same_home(homes[-1], label, homes[0], self.labels[0])
                n = self.grams[0].shape[-1]
                if x.shape[-1] != n:
                    expected = f"Grams of n = {n} samples, as {self.labels[0]}"
                    _check.value_error(label, expected, f"shape {tuple(x.shape)}")
            self.members.append(list(range(first, len(self.grams))))
        self.home = homes[0]
        self.operations = _backend.operations(self.home.library, self.home.device)
        self.orders, self.one_order = _check.orders(alpha)
        self.unit = _check.unit(base)
        self._check_batches()

    def _check_batches(self) -> None:
        if all(a.shape == self.grams[0].shape for a in self.grams):
            return
        shape: tuple[int, ...] = ()
        for name, members in zip(self.names, self.members, strict=True):
            for i in members:
                batch = tuple(self.grams[i].shape[:-2])
                try:
                    shape = np.broadcast_shapes(shape, batch)
                except ValueError:
                    _check.value_error(name, f"batch axes that broadcast with {shape}", f"{batch}")

    def entropies(self, *subsets: tuple[int, ...]) -> Array:
        """Return the joint entropies of subsets of the variables, by position: (subsets, *batch, orders)."""
        return self._found(subsets, [])

    def sum(self, *terms: tuple[float, tuple[int, ...]]) -> ArrayT:
        """Return the sum of joint entropies of subsets, each with its sign, as the caller is to have it."""
        return self.leave(self._found([subset for _, subset in terms], [sign for sign, _ in terms]))

    def _found(self, subsets: Sequence[tuple[int, ...]], signs: list[float]) -> Array:
        return self.operations.entropies(
            self.grams,
            self.labels,
            [[k for i in subset for k in self.members[i]] for subset in subsets],
            [", ".join([self.names[i] for i in subset]) for subset in subsets],
            signs,
            self.orders,
            self.unit,
        )

    def leave(self, result: Array) -> ArrayT:
        """Give a result (*batch, orders) back to the caller."""
        found: ArrayT = self.home.leave(result.squeeze(-1) if self.one_order else result)
        return found


def _numbered(grams: tuple[Variable[ArrayT], ...], least: int) -> dict[str, Variable[ArrayT]]:
    if len(grams) < least:
        _check.value_error("grams", f"at least {least} variable{'s' if least > 1 else ''}", len(grams))
    return {f"grams[{i}]": gram for i, gram in enumerate(grams)}


def spectrum(a: ArrayT) -> ArrayT:
    """Return the eigenvalues of symmetric matrices in ascending order.

    Shapes: a (..., n, n) symmetric, of any trace; the result (..., n), in the library, dtype and device of a. Cost
    O(n^3).
    Raises TypeError for what is not an array of real numbers, ValueError for shapes, NaN and asymmetry.

    >>> import numpy as np, fastrenyi as fr
    >>> fr.spectrum(np.array([[2.0, 1.0], [1.0, 2.0]]))
    array([1., 3.])
    """
    a = _check.adopt(a, "a")
    home = _check.gram(a, "a")
    found: ArrayT = home.leave(_backend.operations(home.library, home.device).spectrum(a, "a"))
    return found


def entropy(a: Variable[ArrayT], alpha: Alpha = 1.01, base: float = 2) -> ArrayT:
    """Return the matrix-based Renyi entropy: S_alpha(A) = log2(sum_i lambda_i^alpha) / (1 - alpha).

    Source: Sanchez Giraldo, Rao, Principe, IEEE TIT 61(1), 2015. Shapes, units, errors and cost as above in this
    module.

    >>> import numpy as np, fastrenyi as fr
    >>> a = fr.gram(np.arange(8.0)[:, None], bandwidth=1.0)
    >>> fr.entropy(a, alpha=[0.5, 2, 5]).round(4)
    array([2.6738, 2.2589, 2.0376])
    """
    call = _Call({"a": a}, alpha, base)
    return call.sum((1, (0,)))


def joint_entropy(*grams: Variable[ArrayT], alpha: Alpha = 1.01, base: float = 2) -> ArrayT:
    """Return the joint entropy: S(A_1, ..., A_C) = S(A_1 o ... o A_C / tr(A_1 o ... o A_C)), o the entrywise product.

    Source: Yu, Sanchez Giraldo, Jenssen, Principe, IEEE TPAMI 42(11), 2020.

    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> float(fr.joint_entropy(a, b))
    2.0
    """
    call = _Call(_numbered(grams, 1), alpha, base)
    return call.sum((1, tuple(range(len(grams)))))


def conditional_entropy(
    a: Variable[ArrayT], given: Variable[ArrayT], *, alpha: Alpha = 1.01, base: float = 2
) -> ArrayT:
    """Return the conditional entropy: S(A | G) = S(A, G) - S(G).

    Source: Sanchez Giraldo, Rao, Principe, IEEE TIT 61(1), 2015.

    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> np.abs(np.round([fr.conditional_entropy(a, b), fr.conditional_entropy(a, a)], 6))
    array([1., 0.])
    """
    call = _Call({"a": a, "given": given}, alpha, base)
    return call.sum((1, (0, 1)), (-1, (1,)))


def mutual_information(a: Variable[ArrayT], b: Variable[ArrayT], *, alpha: Alpha = 1.01, base: float = 2) -> ArrayT:
    """Return the mutual information: I(A; B) = S(A) + S(B) - S(A, B).

    Source: arXiv 1804.06537.

    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> xor = fr.gram(np.array([0, 1, 1, 0]), kernel="delta")
    >>> np.abs(np.round([fr.mutual_information(a, xor), fr.mutual_information([a, b], xor)], 6))
    array([0., 1.])
    """
    call = _Call({"a": a, "b": b}, alpha, base)
    return call.sum((1, (0,)), (1, (1,)), (-1, (0, 1)))


def conditional_mutual_information(
    a: Variable[ArrayT], b: Variable[ArrayT], given: Variable[ArrayT], *, alpha: Alpha = 1.01, base: float = 2
) -> ArrayT:
    """Return the conditional mutual information: I(A; B | G) = S(A, G) + S(B, G) - S(A, B, G) - S(G).

    Source: Yu, Sanchez Giraldo, Jenssen, Principe, IEEE TPAMI 42(11), 2020.

    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> xor = fr.gram(np.array([0, 1, 1, 0]), kernel="delta")
    >>> round(float(fr.conditional_mutual_information(a, xor, b)), 6)
    1.0
    """
    call = _Call({"a": a, "b": b, "given": given}, alpha, base)
    return call.sum((1, (0, 2)), (1, (1, 2)), (-1, (0, 1, 2)), (-1, (2,)))


def share(part: Array, whole: Array, home: Home) -> Array:
    """Divide, giving NaN for a share of nothing; its gradient there is zero."""
    with home.current(part):
        nothing = whole == 0
        return home.xp.where(nothing, math.nan, part / home.xp.where(nothing, 1.0, whole))


def _singles_and_joint(call: _Call[ArrayT]) -> tuple[Array, Array]:
    count = len(call.members)
    found = call.entropies(*((i,) for i in range(count)), tuple(range(count)))
    return found[:-1], found[-1]


def _all_but_one_and_joint(call: _Call[ArrayT]) -> tuple[Array, Array]:
    everything = tuple(range(len(call.members)))
    found = call.entropies(*(everything[:i] + everything[i + 1 :] for i in everything), everything)
    return found[:-1], found[-1]


def total_correlation(
    *grams: Variable[ArrayT], normalized: bool = False, alpha: Alpha = 1.01, base: float = 2
) -> ArrayT:
    """Return the total correlation: T = sum_i S(A_i) - S(A_1, ..., A_L).

    ``normalized=True`` gives T* = T / (sum_i S(A_i) - max_i S(A_i)), which is 0 for independent variables and 1 for
    copies; NaN where at most one variable has any entropy. Source: Yu et al., AAAI 2021.

    >>> import numpy as np, fastrenyi as fr
    >>> a = fr.gram(np.array([0, 0, 1, 1]), kernel="delta")
    >>> np.round([fr.total_correlation(a, a, a), fr.total_correlation(a, a, a, normalized=True)], 6)
    array([2., 1.])
    """
    call = _Call(_numbered(grams, 2), alpha, base)
    normalized = _check.flag(normalized, "normalized")
    singles, joint = _singles_and_joint(call)
    result = singles.sum(axis=0) - joint
    if normalized:
        result = share(result, singles.sum(axis=0) - call.home.xp.amax(singles, 0), call.home)
    return call.leave(result)


def dual_total_correlation(
    *grams: Variable[ArrayT], normalized: bool = False, alpha: Alpha = 1.01, base: float = 2
) -> ArrayT:
    """Return the dual total correlation: D = sum_i S(all but A_i) - (L - 1) S(A_1, ..., A_L).

    ``normalized=True`` gives D* = D / S(A_1, ..., A_L), NaN where the joint entropy is zero. Cost: L + 1 entropies
    and O(L^2 n^2).
    Source: Yu et al., AAAI 2021.

    >>> import numpy as np, fastrenyi as fr
    >>> a = fr.gram(np.array([0, 0, 1, 1]), kernel="delta")
    >>> np.round([fr.dual_total_correlation(a, a, a), fr.dual_total_correlation(a, a, a, normalized=True)], 6)
    array([1., 1.])
    """
    call = _Call(_numbered(grams, 2), alpha, base)
    normalized = _check.flag(normalized, "normalized")
    others, joint = _all_but_one_and_joint(call)
    result = others.sum(axis=0) - (len(grams) - 1) * joint
    return call.leave(share(result, joint, call.home) if normalized else result)


def o_information(*grams: Variable[ArrayT], alpha: Alpha = 1.01, base: float = 2) -> ArrayT:
    """Return the O-information: Omega = T - D, the total correlation less the dual total correlation.

    Positive where redundancy prevails, negative where synergy does. Source: Rosas et al., Physical Review E 100, 2019.

    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> xor = fr.gram(np.array([0, 1, 1, 0]), kernel="delta")
    >>> np.round([fr.o_information(a, b, xor), fr.o_information(a, a, a)], 6)
    array([-1.,  1.])
    """
    call = _Call(_numbered(grams, 2), alpha, base)
    count = len(grams)
    everything = tuple(range(count))
    return call.sum(
        *((1, (i,)) for i in everything),
        *((-1, everything[:i] + everything[i + 1 :]) for i in everything),
        (count - 2, everything),
    )


def interaction_information(*grams: Variable[ArrayT], alpha: Alpha = 1.01, base: float = 2) -> ArrayT:
    """Return the interaction information: -sum over the non-empty subsets T of (-1)^|T| S(T).

    For two variables it is I(A; B), for three I(A; B) - I(A; B | C): redundancy is positive and synergy negative, the
    sign of ``layer_decomposition``'s trade-off (McGill's has the other sign for an odd number of variables). Cost:
    2^L - 1 entropies; more than 12 variables raise ValueError. Source: McGill, Psychometrika 19, 1954.

    >>> import numpy as np, fastrenyi as fr
    >>> a, b = (fr.gram(np.array(bits), kernel="delta") for bits in ([0, 0, 1, 1], [0, 1, 0, 1]))
    >>> xor = fr.gram(np.array([0, 1, 1, 0]), kernel="delta")
    >>> round(float(fr.interaction_information(a, b, xor)), 6)
    -1.0
    """
    variables = _numbered(grams, 2)
    if len(grams) > 12:
        _check.value_error(
            "grams",
            "at most 12 variables, as the cost doubles with each",
            len(grams),
            "join some of them in lists",
        )
    call = _Call(variables, alpha, base)
    subsets = [s for size in range(1, len(grams) + 1) for s in combinations(range(len(grams)), size)]
    return call.sum(*(((-1) ** (len(subset) + 1), subset) for subset in subsets))


def _pooled(x: Array, y: Array, home: Home) -> Array:
    """Return two sets of samples as one, (..., n, d) and (..., m, d) as (..., n + m, d); batch axes broadcast."""
    xp = home.xp
    batch = np.broadcast_shapes(tuple(x.shape[:-2]), tuple(y.shape[:-2]))
    with home.current(x):
        return xp.concatenate([xp.broadcast_to(v, (*batch, *v.shape[-2:])) for v in (x, y)], -2)


def divergence(
    x: ArrayT,
    y: ArrayT,
    kernel: KernelLike = "gaussian",
    bandwidth: BandwidthLike | None = None,
    *,
    alpha: Alpha = 1.01,
    base: float = 2,
) -> ArrayT:
    """Return the Jensen-Renyi divergence of two samples: S(x and y pooled) - n/(n+m) S(x) - m/(n+m) S(y).

    Zero for equal samples, and at most the entropy of the mixing proportions for samples far apart. The kernel's
    width is found on the pooled sample. Shapes: x (..., n, d), y (..., m, d), batch axes broadcast; the result has
    the batch shape. Cost O((n+m)^2 d + (n+m)^3). Source: the representation Jensen-Renyi divergence of Hoyos Osorio,
    Skean, Brockmeier and Sanchez Giraldo, arXiv 2112.01583.

    >>> import numpy as np, fastrenyi as fr
    >>> x = np.arange(4.0)[:, None]
    >>> abs(round(float(fr.divergence(x, x)), 9)), round(float(fr.divergence(x, x + 1000, bandwidth=1.0)), 9)
    (0.0, 1.0)
    """
    x = _check.adopt(x, "x")
    home = _check.array(x, "x")
    y = _check.adopt(y, "y")
    home_y = _check.array(y, "y")
    chosen = as_kernel(kernel, bandwidth)
    chosen._accept(home, "x")
    chosen._accept(home_y, "y")
    _check.same_home(home_y, "y", home, "x")
    for values, name in ((x, "x"), (y, "y")):
        if values.ndim < 2 or values.shape[-2] == 0 or values.shape[-1] == 0:
            _check.value_error(name, "samples of shape (..., n, d) with n, d >= 1", f"shape {tuple(values.shape)}")
    if x.shape[-1] != y.shape[-1]:
        _check.value_error("y", f"samples of d = {x.shape[-1]} features, as x", f"shape {tuple(y.shape)}")
    try:
        np.broadcast_shapes(tuple(x.shape[:-2]), tuple(y.shape[:-2]))
    except ValueError:
        _check.value_error("y", f"batch axes that broadcast with {tuple(x.shape[:-2])}", f"{tuple(y.shape[:-2])}")
    orders, one_order = _check.orders(alpha)
    unit = _check.unit(base)
    operations = _backend.operations(home.library, home.device)
    n, m = x.shape[-2], y.shape[-2]
    pooled = _pooled(x, y, home)
    try:
        grams = chosen._gram(pooled, home, "x")
    except ValueError:
        with suppress(RuntimeError):  # tensors that are mapped over have no numbers to look at
            for values, name in ((x, "x"), (y, "y")):
                _check.finite(wrap(values), name)
        raise
    home = chosen._result_home(home)
    s, s_x, s_y = (
        operations.entropies([part], ["x"], [[0]], ["x"], [1], orders, unit)
        for part in (grams, grams[..., :n, :n] * ((n + m) / n), grams[..., n:, n:] * ((n + m) / m))
    )
    result = s - (n * s_x + m * s_y) / (n + m)
    found: ArrayT = home.leave(result[..., 0] if one_order else result)
    return found
