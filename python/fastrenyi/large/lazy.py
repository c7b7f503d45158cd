"""The Gram of many samples, of which nothing is made until it is asked for."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np

from fastrenyi import _check, _dispatch
from fastrenyi._array import AnyArray, Array, Home, Values, has_numbers, home_of, is_array, made_in, wrap
from fastrenyi._kernel import is_compiled
from fastrenyi._kernels import HOST, kernels_for
from fastrenyi.bandwidths import Alignment, Bandwidth, BandwidthLike, NearestNeighbours, Scott, as_bandwidth
from fastrenyi.kernels import (
    Cosine,
    Delta,
    Gaussian,
    Kernel,
    KernelLike,
    Linear,
    Polynomial,
    Widthed,
    as_kernel,
)
from fastrenyi.large import factors
from fastrenyi.large.matrix import Matrix
from fastrenyi.large.rows import Rows

__all__ = ["Large", "LazyGram", "factor_of", "lazy_gram"]

_SUBSAMPLE = 2000


class LazyGram:
    """The Gram of many samples that ``lazy_gram`` returns: it knows how to make any part of itself, and keeps none.

    Attributes
    ----------
    shape : tuple of int
        (n, n).
    dtype : dtype
        Of products, that of the samples in their library.

    Notes
    -----
    Cost: none before it is used. ``lazy @ v`` is the product with vectors (n,) or (n, k), in O(n^2 (d + k)) time and
    O(n (d + k)) memory: entries are made anew each time. ``scipy.sparse.linalg.aslinearoperator`` takes it. Measures
    take it in place of a Gram.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> lazy = fr.lazy_gram(np.arange(3.0)[:, None], bandwidth=1.0)
    >>> lazy
    LazyGram(n=3, d=1, Gaussian(bandwidth=1.0), numpy float64 on cpu)
    >>> bool(np.allclose(lazy @ np.ones(3), fr.gram(np.arange(3.0)[:, None], bandwidth=1.0).sum(axis=1)))
    True
    """

    def __init__(self, factor: factors.Factor, home: Home, told: str, rows: Rows) -> None:
        """Keep what ``lazy_gram`` has checked."""
        self._factor, self._home, self._told, self._rows = factor, home, told, rows
        self._matrix: Matrix | None = None

    @property
    def rows(self) -> Rows:
        """Which rows of it this process is to work on."""
        return self._rows

    @property
    def home(self) -> Home:
        """Library, dtype and device of the samples."""
        return self._home

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return self._factor.n, self._factor.n

    @property
    def ndim(self) -> int:
        """2."""
        return 2

    @property
    def dtype(self) -> Any:
        """The dtype of products."""
        return (
            np.dtype(self._home.dtype) if self._home.library == "numpy" else getattr(self._home.xp(), self._home.dtype)
        )

    def __repr__(self) -> str:
        """What it is the Gram of."""
        return f"LazyGram(n={self._factor.n}, {self._told}, {self._home})"

    def __matmul__(self, v: Array) -> Array:
        """Return the product with vectors (n,) or (n, k), in their library."""
        home = _check.real(v, "v")
        if v.ndim not in (1, 2) or v.shape[0] != self.shape[0]:
            _check.value_error("v", f"vectors of shape ({self.shape[0]},) or ({self.shape[0]}, k)", tuple(v.shape))
        values = wrap(v).astype(np.float64)
        if self._matrix is None:
            self._matrix = Matrix([self._factor], self._home, 0, "float64", self._rows)
        found = self._matrix @ values.reshape(len(values), -1)
        return home.leave(home.take(found.reshape(values.shape)))

    def matvec(self, v: Array) -> Array:
        """Return the product with a vector (n,), as SciPy's linear operators name it."""
        return self @ v


def lazy_gram(
    x: Any,
    kernel: KernelLike = "gaussian",
    bandwidth: BandwidthLike | None = None,
    *,
    group: object = None,
    sharded: bool = True,
) -> LazyGram:
    """Return the Gram of many samples without forming it: A_ij = K_ij / (n sqrt(K_ii K_jj)).

    Parameters
    ----------
    x : array
        Samples (n, d), real numbers: a NumPy array, which may be a memory map larger than memory, a CuPy or JAX array,
        a torch tensor, or what gives NumPy an array by DLPack on the CPU or ``__array__``. On a GPU the tiles of the
        Gram are made and multiplied there. For the Delta kernel also integers and strings, and labels (n,).
    kernel : str or Kernel
        "gaussian", "laplacian", "cosine", "polynomial", "delta", or a kernel such as ``Gaussian(bandwidth=2.0)``.
    bandwidth : float, str or Bandwidth, optional
        The kernel's width, or a rule for it, as in ``gram``. Beyond 2,000 samples rules that look at distances see
        those of 2,000 samples, drawn with a fixed seed ("neighbours": of 500 of them, to all).
    group : torch.distributed.ProcessGroup, optional
        Share the work among its ranks, each of which makes the same calls: of the tiles of the Gram each has some, of
        the vectors it is multiplied with some rows. The answer is that of one process but for rounding.
    sharded : bool
        In a group, whether `x` are this rank's own samples, which are put after those of the ranks before it, or all
        samples on every rank.

    Returns
    -------
    LazyGram
        What ``entropy``, ``mutual_information`` and the other measures take in place of a Gram, giving an ``Estimate``.

    Raises
    ------
    TypeError
        For what is not an array of real numbers, for tensors that require a gradient, and for traced arrays.
    ValueError
        For wrong shapes, NaN or infinity, and widths that are not positive or do not apply.

    Notes
    -----
    Cost: two passes over the samples, O(n d). Distances come from products of centred samples, in double precision, and
    from differences where samples are far from each other in units of the width. See docs/large.md.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> x = np.random.default_rng(0).normal(size=(3000, 2))
    >>> found = fr.entropy(fr.lazy_gram(x, bandwidth=1.0), alpha=[1, 2], estimate=0.01)
    >>> bool(((found.high - found.low) <= 0.02).all()), found.value.round(1)
    (True, array([3.1, 2.3]))
    """
    _check.flag(sharded, "sharded")
    rows = _dispatch.rows_of(group)
    chosen = as_kernel(kernel, bandwidth)
    x = _check.adopt(_check.listed(x, "x"), "x") if group is None else _of_all_ranks(x, rows, sharded)
    home = _check.array(x, "x")
    _dispatch.operations(home.library).without_gradient(x, "x", "an estimate")
    if not has_numbers(x):
        _check.kind_error("x", "an array whose numbers are there", "one that is traced or fake")
    if isinstance(chosen, Delta):
        if home.library == "numpy":
            x = _check.codes(x, "x")
            home = home_of(x)
        if x.ndim == 1:
            x = x[:, None]
    chosen._accept(home, "x")
    if x.ndim != 2 or 0 in x.shape:
        _check.value_error("x", "samples of shape (n, d) with n, d >= 1", f"shape {tuple(x.shape)}")
    values = np.asarray(wrap(x)) if not isinstance(x, np.memmap) else x
    factors.finite(values, "x")
    told = f"d={x.shape[1]}, {chosen!r}"
    return LazyGram(_factor(values, chosen, rows), chosen._result_home(home), told, rows)


def _of_all_ranks(x: Any, rows: Rows, sharded: bool) -> Array:
    """Return all samples, of which each rank has given its own, or all of them."""

    def given() -> tuple[Any, tuple[int, ...], Values | int]:
        own = _check.adopt(_check.listed(x, "x"), "x")
        _dispatch.operations(_check.array(own, "x").library).without_gradient(own, "x", "an estimate")
        values = wrap(own)
        return own, values.shape, values if sharded else zlib.crc32(np.ascontiguousarray(values).view(np.uint8).data)

    every = rows.each(lambda: given()[1:])
    if not sharded:
        if len(set(every)) > 1:
            expected = "the same samples on each rank, as sharded=False says"
            _check.value_error("x", expected, "others", "leave sharded out if each rank has its own")
        return given()[0]
    if len({shape[1:] for shape, _ in every}) > 1:
        _check.value_error("x", "samples of as many features on each rank", f"shapes {[shape for shape, _ in every]}")
    joined = np.concatenate([values for _, values in every])
    return home_of(x).take(joined) if is_array(x) else joined


def _factor(x: Values, kernel: Kernel, rows: Rows) -> factors.Factor:
    if not is_compiled(kernel):
        _not_made(kernel)
    if isinstance(kernel, Widthed):
        kind = "gaussian" if isinstance(kernel, Gaussian) else "laplacian"
        width = rows.once(lambda: _width(x, as_bandwidth(kernel.bandwidth), kind))
        if width == 0:  # the narrow limit
            return factors.Labels(factors.coded(np.asarray(x)))
        return (factors.Gaussian if isinstance(kernel, Gaussian) else factors.Laplacian)([(x, width)])
    if isinstance(kernel, (Polynomial, Cosine)):
        degree, gamma, coef0 = 1, 1.0, 0.0
        if isinstance(kernel, Polynomial):
            gamma = 1.0 / x.shape[1] if kernel.gamma is None else float(kernel.gamma)
            degree, coef0 = int(kernel.degree), float(kernel.coef0)
        if coef0 == 0:
            _check.nonzero_rows(np.asarray(x), "x", "cosine" if isinstance(kernel, Cosine) else "polynomial")
        return factors.Inner(x, degree, gamma, coef0)
    if isinstance(kernel, Delta):
        return factors.Labels(factors.coded(np.asarray(x)))
    _not_made(kernel)


def _not_made(kernel: Kernel) -> NoReturn:
    expected, way_out = "a kernel of fastrenyi for a Gram that is not formed", ""
    if isinstance(kernel, Linear):
        way_out = "of its own spectrum gram(x, Linear(side='smaller')) has all, in the size of the features"
    _check.kind_error("kernel", expected, type(kernel).__name__, way_out)


def _width(x: Values, rule: Bandwidth, kind: str) -> float:
    n, d = x.shape
    known = rule._known((), n, d)
    if known is not None:
        width = float(known)
        if not 0 < width < np.inf:
            _check.widths(np.array(width), True)
        return width
    if isinstance(rule, Alignment):
        _check.value_error("bandwidth", "a rule for a Gram that is not formed", rule, 'pass a width, or "median"')
    if isinstance(rule, NearestNeighbours) and n > _SUBSAMPLE:
        return _neighbours(x, rule, kind)
    seen = x if n <= _SUBSAMPLE or isinstance(rule, Scott) else x[_drawn(n, _SUBSAMPLE)]
    found = rule._found(np.ascontiguousarray(seen)[None], kind)
    return float(HOST.widths(found, 1, given=False)[0])


def _neighbours(x: Values, rule: NearestNeighbours, kind: str) -> float:
    """Return the rule's width of some samples among all."""
    from scipy.spatial.distance import cdist

    some = x[_drawn(len(x), 500)].astype(np.float64)
    metric = "euclidean" if kind == "gaussian" else "cityblock"
    nearest = np.full((len(some), rule.k + 1), np.inf)
    for start in range(0, len(x), _SUBSAMPLE):
        distances = cdist(some, np.asarray(x[start : start + _SUBSAMPLE], np.float64), metric)
        together = np.concatenate([nearest, distances], axis=1)
        nearest = np.partition(together, rule.k, axis=1)[:, : rule.k + 1]
    return float(rule.scale * nearest.sum(axis=1).mean() / rule.k)


def _drawn(n: int, count: int) -> Values:
    drawn: Values = np.sort(np.random.Generator(np.random.Philox(0)).choice(n, count, replace=False))
    return drawn


Large: TypeAlias = LazyGram | AnyArray | Sequence[LazyGram | AnyArray]
"""A variable whose entropies are estimated."""


def factor_of(gram: Array, name: str) -> factors.Factor:
    """Return a lazy or dense Gram as a factor of a joint variable."""
    if isinstance(gram, LazyGram):
        return gram._factor
    if len(gram.shape) != 2:
        _check.value_error(name, "one Gram (n, n) to estimate an entropy of", f"shape {tuple(gram.shape)}")
    with kernels_for(gram) as kernels:
        matrix = kernels.matrices(gram, name)
    with home_of(gram).current(gram):
        return factors.Dense(matrix, made_in(gram).epsilon)
