"""How large an information is where nothing is shared: the null, by permutations of one side's samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic

from fastrenyi import _check
from fastrenyi._array import Array, ArrayT, Home
from fastrenyi._call import Alpha, Call, Variable

__all__ = ["PermutationTest", "permutation_test"]

_ROUNDING = 64
"""Differences of so many epsilons of an information count as rounding; in half precision nothing is computed."""


@dataclass(frozen=True, eq=False)
class PermutationTest(Generic[ArrayT]):
    """A measured value beside its null: what the same measure gives where one side's samples are permuted.

    Of n samples and narrow kernels an information can be near log2 n whatever the data are; what the data say is the
    excess over the null.

    Attributes
    ----------
    value : array
        The measure, of the samples as they are.
    null : array
        (k, ...): the same of k random permutations.
    mean, std : array
        Mean and standard deviation (divisor k - 1; NaN for k = 1) of the null.
    excess : array
        value - mean. Of independent data it is zero, give or take std sqrt(1 + 1/k).
    z : array
        excess / std; NaN where the null does not vary by more than rounding.
    pvalue : array
        (1 + the number of permutations that give no less than value) / (k + 1): the chance of such a value, or a larger
        one, where nothing is shared.

    Notes
    -----
    ``permutation_test``, ``mutual_information(..., null=k)`` and ``layer_decomposition(..., null=k)`` make it.
    All in the library, dtype and device of the Grams; the null is a constant of the gradient. Cost: none of its own.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(100, 784))
    >>> a, b = fr.gram(x), fr.gram(rng.normal(size=(100, 784)))
    >>> test = fr.permutation_test(a, b)
    >>> round(float(test.value), 3), abs(float(test.excess)) < 1e-3  # log2 100 bits, and nothing is shared
    (6.644, True)
    """

    value: ArrayT
    null: ArrayT
    mean: ArrayT
    std: ArrayT
    excess: ArrayT
    z: ArrayT
    pvalue: ArrayT

    @classmethod
    def of(cls, value: Array, null: Array, home: Home) -> PermutationTest[ArrayT]:
        """Compare a value (...) with those of permutations (k, ...), in the precision they were computed in."""
        xp, count = home.xp(), len(null)
        mean = null.sum(0) / count
        squares = ((null - mean) ** 2).sum(0)
        std = (squares / (count - 1)) ** 0.5 if count > 1 else squares * math.nan
        epsilon = 2.0**-52 if home.dtype == "float64" else 2.0**-23
        rounding = _ROUNDING * epsilon * (1 + abs(value))
        excess = value - mean
        z = xp.where(std > rounding, excess, math.nan) / xp.where(std > rounding, std, 1.0)
        reached = (null >= value - rounding).sum(0)
        pvalue = (1 + reached + 0 * value) / (1 + count)  # in the dtype of value, and NaN where it is
        return cls(*(home.leave(part) for part in (value, null, mean, std, excess, z, pvalue)))


def permutation_test(
    a: Variable[ArrayT],
    b: Variable[ArrayT],
    n: int = 200,
    seed: int = 0,
    *,
    alpha: Alpha = 1.01,
    base: float = 2,
) -> PermutationTest[ArrayT]:
    """Return the mutual information I(A; B) and its null: I(A; P B P') of random permutations P.

    Parameters
    ----------
    a, b : array or sequence of arrays
        Each a Gram (..., n, n), or a list or tuple of Grams that together are one joint variable.
    n : int
        How many permutations: 200 resolve a p-value of 0.005; mean and standard deviation need some ten.
    seed : int
        Of the permutations, which are the same for each of a batch: differences between them are paired.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.

    Returns
    -------
    PermutationTest
        value, null (n, ...), mean, std, excess, z and pvalue, each of the batch shape, for m orders with a last axis
        of length m.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, for Grams of different libraries, dtypes or devices, and for n or seed
        that are no integers.
    ValueError
        For wrong shapes, NaN, matrices that are not symmetric or not of trace one, and numbers out of range.
    NotPositiveSemidefiniteError
        For an eigenvalue below -max(n, 8) eps lambda_max.

    Notes
    -----
    A permutation needs exchangeable samples: not those of one time series. A permuted Gram is the same by index, so
    that its entropy does not change. Cost: n + 3 entropies of O(n^3) each (of n samples), in batches; memory 64 MB.
    Source: the permutation test as in ``scipy.stats.permutation_test`` with ``permutation_type="pairings"``.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> labels = np.arange(60) % 3
    >>> a = fr.gram(labels[:, None] + np.random.default_rng(0).normal(size=(60, 1)), bandwidth=0.5)
    >>> test = fr.permutation_test(a, fr.gram(labels, "delta"))
    >>> bool(test.excess > 0), float(test.pvalue) < 0.01, test.null.shape
    (True, True, (200,))
    """
    call = Call({"a": a, "b": b}, alpha, base)
    call.refuse_estimates("permutations")
    count, seed = _check.integer(n, "n", 1), _check.integer(seed, "seed", 0)
    s_a, s_b, s_ab = call.entropies((0,), (1,), (0, 1))
    alone = s_a + s_b
    null = call.home.constant(alone) - call.permuted(count, seed)
    value = alone - s_ab
    if call.one_order:
        value, null = value.squeeze(-1), null.squeeze(-1)
    return PermutationTest.of(value, null, call.home)
