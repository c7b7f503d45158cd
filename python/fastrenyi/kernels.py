"""Kernels: positive definite functions of two samples."""

from __future__ import annotations

import math
import numbers
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from fastrenyi import _check, _dispatch, _out, _samples
from fastrenyi._array import Array, Home, has_numbers, home_of, is_array, wrap
from fastrenyi._bandwidth import Found
from fastrenyi._between import distances, equal, of_length_one
from fastrenyi._kernel import Kernel
from fastrenyi._kernels import kernels_for
from fastrenyi._ragged import Sets
from fastrenyi._samples import Center
from fastrenyi._spec import KernelSpec, LinearSpec
from fastrenyi.bandwidths import BandwidthLike, as_bandwidth

__all__ = [
    "Cosine", "Delta", "Gaussian", "Kernel", "KernelLike", "KernelName", "Laplacian", "Linear", "Polynomial",
    "as_kernel",
]  # fmt: skip


def _made(x: Array, home: Home, spec: KernelSpec, width: Any, given: bool, name: str, out: Array | None) -> Array:
    """Return Grams by an operation, which has no gradient where it writes them to ``out``."""
    if out is None:
        return _dispatch.operations(home.library).gram(x, spec, width, given, name)
    _out.without_gradient(width, "bandwidth")
    return _dispatch.operations("numpy").gram(x, spec, width, given, name, out)


KernelName: TypeAlias = Literal["gaussian", "laplacian", "cosine", "polynomial", "linear", "delta"]
KernelLike: TypeAlias = Kernel | KernelName


@dataclass(frozen=True, eq=False)
class Widthed(Kernel):
    """A kernel of the distance between two samples over a width."""

    bandwidth: BandwidthLike = "silverman"
    _kind: ClassVar[str]

    def __post_init__(self) -> None:
        """Check the arguments."""
        as_bandwidth(self.bandwidth)

    def _gram(self, x: Array, home: Home, name: str, out: Array | None = None) -> Array:
        width, given = self._width(x, home, name)
        return _made(x, home, KernelSpec.plain(self._kind), width, given, name, out)

    def matrix(self, x: Array, y: Array) -> Array:
        """Return the kernel of the distances over the width, which a rule finds for y."""
        return self._of(self._over_width(x, y))

    @abstractmethod
    def _of(self, distances: Array) -> Array:
        """Return the kernel of distances over its width."""

    def _over_width(self, x: Array, y: Array) -> Array:
        """Return the distances (..., n, m) between samples over the width."""
        home = home_of(y)
        width: Any = self._width(y, home, "y")[0]
        if not is_array(width):
            fine = 0 < width < math.inf
        else:
            width = (width if home_of(width).library == home.library else home.take(wrap(width)))[..., None, None]
            fine = not has_numbers(width) or bool(((wrap(width) > 0) & (wrap(width) < math.inf)).all())
        if not fine:
            expected = "finite widths above zero, or a rule that finds such of these samples"
            _check.value_error("bandwidth", expected, width, "give a number")
        return distances(x, y, KernelSpec.plain(self._kind).metric) / width

    def _width(self, x: Array, home: Home, name: str) -> tuple[float | Array, bool]:
        """Return the width, or widths (...), for samples (..., n, d), and whether they were given, not found."""
        rule = as_bandwidth(self.bandwidth)
        *batch, n, d = x.shape
        width = rule._known(tuple(batch), n, d)
        if width is not None:
            return width, not isinstance(rule, Found)
        found = _dispatch.operations(home.library).bandwidth(x, rule, KernelSpec.plain(self._kind), name)
        return found, False


@dataclass(frozen=True, eq=False)
class Gaussian(Widthed):
    """The Gaussian kernel: k(x, y) = exp(-|x - y|^2 / (2 sigma^2)).

    Parameters
    ----------
    bandwidth : float, array, str or Bandwidth
        sigma: a number, an array of one width per sample set, a rule such as ``Median()``, or its name ("silverman",
        "scott", "median", "neighbours").

    Raises
    ------
    TypeError, ValueError
        For a width that is no positive number, array or rule.

    Notes
    -----
    Infinitely divisible, the kernel of the paper. Kernels compare and hash by their settings, arrays by their numbers.
    Cost O(n^2 d) per sample set.
    Source: arXiv 1804.06537.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> fr.gram(np.array([[0.0], [1.0]]), kernel=fr.Gaussian(bandwidth=1.0)).round(4)
    array([[0.5   , 0.3033],
           [0.3033, 0.5   ]])
    """

    _kind: ClassVar[str] = "gaussian"

    def _of(self, distances: Array) -> Array:
        return home_of(distances).xp().exp(distances * distances / -2)


@dataclass(frozen=True, eq=False)
class Laplacian(Widthed):
    """The Laplacian kernel: k(x, y) = exp(-|x - y|_1 / sigma).

    Parameters
    ----------
    bandwidth : float, array, str or Bandwidth
        sigma: a number, an array of one width per sample set, a rule such as ``Median()``, or its name ("silverman",
        "scott", "median", "neighbours").

    Raises
    ------
    TypeError, ValueError
        For a width that is no positive number, array or rule.

    Notes
    -----
    The distance is the Manhattan one, as in scikit-learn. Kernels compare and hash by their settings, arrays by their
    numbers. Cost O(n^2 d) per sample set.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> fr.gram(np.array([[0.0], [1.0]]), kernel=fr.Laplacian(bandwidth=1.0)).round(4)
    array([[0.5   , 0.1839],
           [0.1839, 0.5   ]])
    """

    _kind: ClassVar[str] = "laplacian"

    def _of(self, distances: Array) -> Array:
        return home_of(distances).xp().exp(-distances)


@dataclass(frozen=True)
class Polynomial(Kernel):
    """The polynomial kernel: k(x, y) = (gamma <x, y> + coef0)^degree, in the Gram divided by its diagonal.

    Parameters
    ----------
    degree : int
        A positive integer.
    gamma : float, optional
        A positive number; 1/d unless given.
    coef0 : float
        Not negative; with 0 a sample of zeros has no Gram.

    Raises
    ------
    TypeError, ValueError
        For settings out of these ranges, and from ``gram`` for a sample of zeros with ``coef0=0``.

    Notes
    -----
    Cost O(n^2 d) per sample set.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> x = np.array([[1.0, 0.0], [1.0, 1.0]])
    >>> fr.gram(x, kernel=fr.Polynomial(degree=2, gamma=1.0, coef0=0.0)).round(4)
    array([[0.5 , 0.25],
           [0.25, 0.5 ]])
    """

    degree: int = 3
    gamma: float | None = None
    coef0: float = 1.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        _check.integer(self.degree, "degree", 1)
        if self.gamma is not None:
            _check.positive(self.gamma, "gamma")
        if not isinstance(self.coef0, numbers.Real) or self.coef0 != 0:
            _check.positive(self.coef0, "coef0")

    def _gram(self, x: Array, home: Home, name: str, out: Array | None = None) -> Array:
        spec = KernelSpec("polynomial", self.degree, self._gamma(x), self.coef0)
        return _made(x, home, spec, None, True, name, out)

    def matrix(self, x: Array, y: Array) -> Array:
        """Return (gamma <x, y> + coef0)^degree."""
        found: Array = (self._gamma(x) * (x @ y.swapaxes(-1, -2)) + self.coef0) ** self.degree
        return found

    def _gamma(self, x: Array) -> float:
        return 1.0 / x.shape[-1] if self.gamma is None else self.gamma


@dataclass(frozen=True)
class Cosine(Kernel):
    """The cosine kernel: k(x, y) = <x, y> / (|x| |y|).

    Raises
    ------
    ValueError
        From ``gram`` for a sample of zeros, which has no direction.

    Notes
    -----
    Cost O(n^2 d) per sample set.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> fr.gram(np.array([[1.0, 0.0], [3.0, 4.0]]), kernel="cosine").round(4)
    array([[0.5, 0.3],
           [0.3, 0.5]])
    """

    def _gram(self, x: Array, home: Home, name: str, out: Array | None = None) -> Array:
        return _made(x, home, KernelSpec.plain("cosine"), None, True, name, out)

    def matrix(self, x: Array, y: Array) -> Array:
        """Return <x, y> / (|x| |y|)."""
        for values, label in ((x, "x"), (y, "x" if y is x else "y")):
            if has_numbers(values):
                with kernels_for(values) as on:
                    on.nonzero_rows(on.finite(values, label), label, "cosine")
        return of_length_one(x) @ of_length_one(y).swapaxes(-1, -2)


@dataclass(frozen=True)
class Linear(Kernel):
    """The linear kernel: k(x, y) = <x, y>, in the Gram divided by its trace, K / tr K, and not by its diagonal.

    Parameters
    ----------
    center : {None, "samples", "features", "both"}
        What to take the mean over samples from each feature ("samples", the covariance's), the mean over features from
        each sample ("features"), or first the one and then the other ("both").
    normalized : bool
        Whether samples are then divided by their length. Those of length zero stay zero.
    side : {"samples", "features", "smaller"}
        Z Z' of n samples and Z' Z of their d features have the same spectrum but for zeros. "smaller" takes the
        products of whichever are fewer: enough for what is a function of this spectrum alone, such as ``entropy`` and
        ``effective_rank``, but no Gram of samples to a joint entropy.

    Raises
    ------
    TypeError, ValueError
        For other settings, and from ``gram`` for samples that are all zero, once they are centred.

    Notes
    -----
    Long samples weigh more: the diagonal is |x_i|^2 / sum_j |x_j|^2. A sample of zeros, such as a padded token, is a
    row of zeros and does not count. Cost O(n^2 d) per sample set, of features O(n d^2), by matrix products: for
    gradients and on a GPU those of the array's own library, whose settings hold (that of TF32).
    ``participation_ratio``, ``stable_rank``, ``coding_rate`` and ``logdet_entropy`` take the smaller side.

    Conventions elsewhere: the prompt entropy of Skean et al. is the one of order 1 with ``Linear("samples",
    normalized=True)`` over the tokens of a prompt, in nats; Diff-eRank is ``effective_rank`` of the same.
    Source: Skean et al., arXiv 2502.02013; Wei et al., Diff-eRank, NeurIPS 2024.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> fr.gram(np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 0.0]]), kernel="linear")
    array([[0.1, 0.3, 0. ],
           [0.3, 0.9, 0. ],
           [0. , 0. , 0. ]])
    """

    center: Center = None
    normalized: bool = False
    side: Literal["samples", "features", "smaller"] = "samples"

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.center is not None:
            _check.choice(self.center, "center", ("samples", "features", "both"))
        _check.flag(self.normalized, "normalized")
        _check.choice(self.side, "side", ("samples", "features", "smaller"))

    def _gram(self, x: Array, home: Home, name: str, out: Array | None = None) -> Array:
        return self._made(x, home, [], name)

    def matrix(self, x: Array, y: Array) -> Array:
        """Return <x, y>; means over samples are those of y."""
        if self.side != "samples":
            _check.value_error("side", "'samples' for a kernel that is called", repr(self.side))
        if self.center in ("samples", "both"):
            mean = y.mean(-2)[..., None, :]
            x, y = x - mean, y - mean
        if self.center in ("features", "both"):
            x, y = x - x.mean(-1)[..., None], y - y.mean(-1)[..., None]
        if self.normalized:
            x, y = of_length_one(x), of_length_one(y)
        return x @ y.swapaxes(-1, -2)

    def _padded(self, x: Array, home: Home, sets: Sets, name: str) -> Array:
        return self._made(sets.samples, home, sets.sizes, name)

    def _order(self, n: int, d: int) -> int:
        return self._spec.order(n, d)

    @property
    def _spec(self) -> LinearSpec:
        return LinearSpec(self.center or "", self.normalized, self.side)

    def _made(self, x: Array, home: Home, sizes: list[int], name: str) -> Array:
        return _samples.linear_gram(x, home, self._spec, sizes, name)


@dataclass(frozen=True)
class Delta(Kernel):
    """The Delta kernel: k(x, y) = 1 if x = y in every feature, else 0.

    Parameters
    ----------
    dtype : str or dtype, optional
        "float32" or "float64" of the results for data that are not real numbers. Unless given float64, of tensors
        torch's default dtype, and of JAX arrays float32 where ``jax_enable_x64`` is not set.

    Raises
    ------
    ValueError
        For another dtype.

    Notes
    -----
    The kernel for class labels and other discrete data: integers, booleans and, in NumPy or pandas, strings are
    accepted, also as labels of shape (n,). It is the limit of a narrow Gaussian; its entropies of order 1 are Shannon's
    of the frequencies. Cost O(n^2 d) per sample set.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> float(fr.entropy(fr.gram(np.array(["cat", "dog", "eel", "fox"]), kernel="delta")))
    2.0
    """

    dtype: Any = None

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.dtype is not None and self._dtype_name() not in ("float32", "float64"):
            got = self._dtype_name() or type(self.dtype).__name__
            _check.value_error("dtype", "float32 or float64", repr(got) if isinstance(self.dtype, str) else got)

    def _dtype_name(self) -> str:
        if not isinstance(self.dtype, (str, type, np.dtype)) and type(self.dtype).__name__ != "dtype":  # torch's
            return ""
        return str(getattr(self.dtype, "__name__", self.dtype)).removeprefix("torch.")

    def _accept(self, home: Home, name: str) -> None:
        if not home.dtype.startswith(("int", "uint", "bool")):
            super()._accept(home, name)

    def _gram(self, x: Array, home: Home, name: str, out: Array | None = None) -> Array:
        return _dispatch.operations(home.library).delta_gram(x, name)

    def _samples(self, x: Any, name: str) -> tuple[Array, bool]:
        values, are_labels = super()._samples(x, name)
        return (values[0][:, None], False) if are_labels else (values, False)

    def matrix(self, x: Array, y: Array) -> Array:
        """Return whether x = y."""
        return equal(x, y)

    def _result_home(self, home: Home) -> Home:
        if self.dtype is not None:
            return home.with_dtype(self._dtype_name())
        return home if "float" in home.dtype else home.with_dtype(home.default_dtype())


_NAMED: dict[str, type[Kernel]] = {
    "gaussian": Gaussian, "laplacian": Laplacian, "cosine": Cosine, "polynomial": Polynomial, "linear": Linear,
    "delta": Delta,
}  # fmt: skip


def as_kernel(kernel: object, bandwidth: object = None) -> Kernel:
    """Accept a kernel or its name, and a width for those that have one and have not been given one."""
    if isinstance(kernel, str):
        if kernel not in _NAMED:
            _check.value_error("kernel", f"one of {', '.join(_NAMED)}", repr(kernel))
        kind = _NAMED[kernel]
    elif isinstance(kernel, Kernel):
        kind = type(kernel)
    else:
        _check.kind_error("kernel", "a name or a kernel such as fastrenyi.Gaussian()", kernel)
    if bandwidth is None:
        return kind() if isinstance(kernel, str) else kernel
    if not issubclass(kind, Widthed):
        _check.value_error(
            "bandwidth", f"none, as the kernel {kernel!r} has no width", bandwidth, "leave it out, or pass None"
        )
    if not isinstance(kernel, str):
        _check.value_error("bandwidth", f"none, as {kernel!r} has its own", bandwidth, "give the width in one place")
    return kind(as_bandwidth(bandwidth))
