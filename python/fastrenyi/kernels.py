"""Kernels, and the Gram matrices they make of samples, of feature maps and of whole tensors."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, overload

from fastrenyi import _backend, _check
from fastrenyi._array import Array, ArrayT, Foreign, Home, Values, home_of, key, wrap
from fastrenyi._spec import KernelSpec
from fastrenyi.bandwidths import BandwidthLike, as_bandwidth

__all__ = [
    "Cosine", "Delta", "Gaussian", "Kernel", "KernelLike", "KernelName", "Laplacian", "Polynomial", "channel_grams",
    "gram", "tensor_gram",
]  # fmt: skip


class Kernel(ABC):
    """A positive definite function of two samples."""

    def _accept(self, home: Home, name: str) -> None:
        """Check the dtype of the data."""
        _check.real_dtype(home, name)

    @abstractmethod
    def _gram(self, x: Array, home: Home, name: str) -> Array:
        """Return the Grams (..., n, n) of samples (..., n, d)."""

    def _result_home(self, home: Home) -> Home:
        return home


KernelName: TypeAlias = Literal["gaussian", "laplacian", "cosine", "polynomial", "delta"]
KernelLike: TypeAlias = Kernel | KernelName


@dataclass(frozen=True, eq=False)
class _Widthed(Kernel):
    """A kernel of the distance between two samples over a width."""

    bandwidth: BandwidthLike = "silverman"

    def __post_init__(self) -> None:
        """Check the arguments."""
        as_bandwidth(self.bandwidth)

    def __eq__(self, other: object) -> bool:
        """Whether other is the same kernel with the same width; of arrays the numbers count."""
        return isinstance(other, _Widthed) and self._key() == other._key()

    def __hash__(self) -> int:
        """Return a hash of the numbers, which an array of widths must keep as long as the hash is used."""
        return hash(self._key())

    def _key(self) -> tuple[type, Any]:
        return type(self), key(self.bandwidth)

    def _distance_gram(self, spec: KernelSpec, x: Array, home: Home, name: str) -> Array:
        operations = _backend.operations(home.library, home.device)
        rule = as_bandwidth(self.bandwidth)
        *batch, n, d = x.shape
        width = rule._known(tuple(batch), n, d)
        given = width is not None
        if width is None:
            width = operations.bandwidth(x, rule, spec.metric, name)
        return operations.gram(x, spec, width, given, name)


@dataclass(frozen=True, eq=False)
class Gaussian(_Widthed):
    """The Gaussian kernel: k(x, y) = exp(-|x - y|^2 / (2 sigma^2)).

    ``bandwidth`` is sigma: a number, an array of one width per sample set, or a rule (default ``Silverman(5.0)``).
    Infinitely divisible, the kernel of the paper.

    >>> import numpy as np, fastrenyi as fr
    >>> fr.gram(np.array([[0.0], [1.0]]), kernel=fr.Gaussian(bandwidth=1.0)).round(4)
    array([[0.5   , 0.3033],
           [0.3033, 0.5   ]])
    """

    def _gram(self, x: Array, home: Home, name: str) -> Array:
        return self._distance_gram(KernelSpec.plain("gaussian"), x, home, name)


@dataclass(frozen=True, eq=False)
class Laplacian(_Widthed):
    """The Laplacian kernel: k(x, y) = exp(-|x - y|_1 / sigma), with the Manhattan distance as in scikit-learn.

    ``bandwidth`` is sigma: a number, an array of one width per sample set, or a rule (default ``Silverman(5.0)``).

    >>> import numpy as np, fastrenyi as fr
    >>> fr.gram(np.array([[0.0], [1.0]]), kernel=fr.Laplacian(bandwidth=1.0)).round(4)
    array([[0.5   , 0.1839],
           [0.1839, 0.5   ]])
    """

    def _gram(self, x: Array, home: Home, name: str) -> Array:
        return self._distance_gram(KernelSpec.plain("laplacian"), x, home, name)


@dataclass(frozen=True)
class Polynomial(Kernel):
    """The polynomial kernel: k(x, y) = (gamma <x, y> + coef0)^degree, in the Gram divided by its diagonal.

    ``gamma`` is 1/d unless given. Raises TypeError or ValueError for a degree that is not a positive integer, a gamma
    that is not positive or a negative coef0; with ``coef0=0`` a sample of zeros has no Gram (ValueError).

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
        if self.coef0 != 0:
            _check.positive(self.coef0, "coef0")

    def _gram(self, x: Array, home: Home, name: str) -> Array:
        gamma = 1.0 / x.shape[-1] if self.gamma is None else self.gamma
        spec = KernelSpec("polynomial", self.degree, gamma, self.coef0)
        return _backend.operations(home.library, home.device).gram(x, spec, None, True, name)


@dataclass(frozen=True)
class Cosine(Kernel):
    """The cosine kernel: k(x, y) = <x, y> / (|x| |y|).

    Raises ValueError for a sample of zeros, which has no direction.

    >>> import numpy as np, fastrenyi as fr
    >>> fr.gram(np.array([[1.0, 0.0], [3.0, 4.0]]), kernel="cosine").round(4)
    array([[0.5, 0.3],
           [0.3, 0.5]])
    """

    def _gram(self, x: Array, home: Home, name: str) -> Array:
        return _backend.operations(home.library, home.device).gram(x, KernelSpec.plain("cosine"), None, True, name)


@dataclass(frozen=True)
class Delta(Kernel):
    """The Delta kernel: k(x, y) = 1 if x = y in every feature, else 0.

    The kernel for class labels and other discrete data: integers, booleans and, in NumPy or pandas, strings are
    accepted, also as labels of shape (n,). It is the limit of a narrow Gaussian; its entropies of order 1 are Shannon's
    of the frequencies. Results for these are float64 (NumPy) or torch's default dtype, or ``dtype`` ("float32" or
    "float64").

    >>> import numpy as np, fastrenyi as fr
    >>> float(fr.entropy(fr.gram(np.array([0, 1, 2, 3]), kernel="delta")))
    2.0
    """

    dtype: Any = None

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.dtype is not None and self._dtype_name() not in ("float32", "float64"):
            _check.value_error("dtype", "float32 or float64", self.dtype)

    def _dtype_name(self) -> str:
        return str(getattr(self.dtype, "__name__", self.dtype)).removeprefix("torch.")

    def _accept(self, home: Home, name: str) -> None:
        if not home.dtype.startswith(("int", "uint", "bool")):
            super()._accept(home, name)

    def _gram(self, x: Array, home: Home, name: str) -> Array:
        return _backend.operations(home.library, home.device).delta_gram(x, name)

    def _result_home(self, home: Home) -> Home:
        if self.dtype is not None:
            return home.with_dtype(self._dtype_name())
        return home if "float" in home.dtype else home.with_dtype(home.default_dtype())


_NAMED: dict[str, type[Kernel]] = {
    "gaussian": Gaussian, "laplacian": Laplacian, "cosine": Cosine, "polynomial": Polynomial, "delta": Delta,
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
    if not issubclass(kind, _Widthed):
        _check.value_error("bandwidth", f"none, as the kernel {kernel!r} has no width", bandwidth, "leave it out")
    if not isinstance(kernel, str):
        _check.value_error("bandwidth", f"none, as {kernel!r} has its own", bandwidth, "give the width in one place")
    return kind(as_bandwidth(bandwidth))


def _accept(x: object, name: str, kernel: object, bandwidth: object) -> tuple[Array, Home, Kernel]:
    """Check samples, kernel and bandwidth, in this order; the samples come back as an array of a known library."""
    x = _check.adopt(x, name)
    home = _check.array(x, name)
    chosen = as_kernel(kernel, bandwidth)
    if isinstance(chosen, Delta) and home.library == "numpy":
        x = _check.codes(x, name)
        home = home_of(x)
    chosen._accept(home, name)
    return x, home, chosen


def _grams(x: Array, samples: Array, home: Home, kernel: Kernel, name: str) -> Array:
    """Return the Grams of samples (..., n, d), which are x as it was given or a view of it."""
    if 0 in samples.shape[-2:]:
        _check.value_error(name, "at least one sample and one feature", f"shape {tuple(x.shape)}")
    try:
        found = kernel._gram(samples, home, name)
    except ValueError:
        if samples is not x:
            with suppress(RuntimeError):  # a tensor that is mapped over has no numbers to look at
                _check.finite(wrap(x), name)  # so that the index is one of what was given
        raise
    return kernel._result_home(home).leave(found)


def channels(maps: Array) -> Array:
    """Return each channel of maps (n, C, *spatial) as a sample set, (C, n, d); a view where the strides allow."""
    return maps.reshape(*maps.shape[:2], math.prod(maps.shape[2:])).swapaxes(0, 1)


def vectors(tensors: Array) -> Array:
    """Return tensors (n, ...) as samples (n, d); a view where the strides allow."""
    return tensors.reshape(tensors.shape[0], math.prod(tensors.shape[1:]))


def grams_of(x: Array, samples: Array, kernel: KernelLike, bandwidth: BandwidthLike | None, name: str) -> Array:
    """Return the Grams of samples, a view of x, for a function that has a name of its own for x."""
    _, home, chosen = _accept(x, name, kernel, bandwidth)
    return _grams(x, samples, home, chosen, name)


@overload
def gram(x: Values, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ...) -> Values: ...
@overload
def gram(x: ArrayT, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ...) -> ArrayT: ...
@overload
def gram(
    x: Foreign | list[Any] | tuple[Any, ...], kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ...
) -> Values: ...
def gram(x: Array, kernel: KernelLike = "gaussian", bandwidth: BandwidthLike | None = None) -> Array:
    """Return the normalised Gram matrix of samples: A_ij = K_ij / (n sqrt(K_ii K_jj)).

    Parameters
    ----------
    x
        Samples (..., n, d): n samples of d features, real numbers; for the Delta kernel also integers,
        strings, and labels (n,).
        A NumPy or CuPy array, a torch tensor, or lists of numbers; what gives NumPy an array by DLPack on the CPU or
        ``__array__``, such as a table of pandas, is taken as that array.
    kernel
        "gaussian", "laplacian", "cosine", "polynomial", "delta", or a kernel such as ``Gaussian(bandwidth=2.0)``.
    bandwidth
        The kernel's width: a number, an array of the batch shape, a rule such as ``Median()`` or its name. None is
        the kernel's own, by default ``Silverman(5.0)``.

    Returns
    -------
    (..., n, n), symmetric positive semidefinite with trace 1 and 1/n on the diagonal, in the library, dtype and
    device of x. Half precision is computed in single.

    Raises
    ------
    TypeError for what is not an array of real numbers; ValueError for wrong shapes, NaN or infinity, and widths that
    are not positive or do not apply.

    Notes
    -----
    Cost O(n^2 d) per sample set. Distances come from differences, not from an expanded square: exact for duplicates and
    far from the origin. Source: Sanchez Giraldo, Rao, Principe, IEEE TIT 61(1), 2015; arXiv 1804.06537.

    >>> import numpy as np, fastrenyi as fr
    >>> a = fr.gram(np.arange(3.0)[:, None], bandwidth=1.0)
    >>> a.shape, float(np.trace(a))
    ((3, 3), 1.0)
    """
    x, home, chosen = _accept(_check.listed(x, "x"), "x", kernel, bandwidth)
    if x.ndim == 1 and isinstance(chosen, Delta):
        x = x[:, None]
    if x.ndim < 2:
        _check.value_error(
            "x",
            "samples of shape (..., n, d)",
            f"shape {tuple(x.shape)}",
            "for n samples of one feature pass x[:, None]",
        )
    return _grams(x, x, home, chosen, "x")


@overload
def channel_grams(maps: Values, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ...) -> Values: ...
@overload
def channel_grams(maps: ArrayT, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ...) -> ArrayT: ...
@overload
def channel_grams(maps: Foreign, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ...) -> Values: ...
def channel_grams(maps: Array, kernel: KernelLike = "gaussian", bandwidth: BandwidthLike | None = None) -> Array:
    """Return one Gram per feature map of a layer, each map flattened and with a width of its own.

    Parameters
    ----------
    maps
        Activations (n, C, \\*spatial) of n samples and C feature maps, as a convolution gives them.
    kernel, bandwidth
        As in ``gram``; an array of widths has shape (C,).

    Returns
    -------
    (C, n, n) Grams, in the library, dtype and device of maps. Activations are not copied where their strides allow.

    Raises
    ------
    As ``gram``, naming ``maps``.

    Notes
    -----
    Cost O(C n^2 d), d the size of a map. Source: arXiv 1804.06537.

    >>> import numpy as np, fastrenyi as fr
    >>> maps = np.random.default_rng(0).normal(size=(10, 4, 5, 5))
    >>> fr.channel_grams(maps).shape
    (4, 10, 10)
    """
    maps, home, chosen = _accept(maps, "maps", kernel, bandwidth)
    if maps.ndim < 2:
        _check.value_error("maps", "activations of shape (n, C, *spatial)", f"shape {tuple(maps.shape)}")
    return _grams(maps, channels(maps), home, chosen, "maps")


@overload
def tensor_gram(maps: Values, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ...) -> Values: ...
@overload
def tensor_gram(maps: ArrayT, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ...) -> ArrayT: ...
@overload
def tensor_gram(maps: Foreign, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ...) -> Values: ...
def tensor_gram(maps: Array, kernel: KernelLike = "gaussian", bandwidth: BandwidthLike | None = None) -> Array:
    """Return the Gram of n samples, each a whole tensor taken as one vector.

    Parameters
    ----------
    maps
        (n, ...): images, activations, vectors; (n,) is one feature.
    kernel, bandwidth
        As in ``gram``.

    Returns
    -------
    (n, n), in the library, dtype and device of maps.

    Raises
    ------
    As ``gram``, naming ``maps``.

    Notes
    -----
    Cost O(n^2 d), d the size of a sample. With one Gaussian width for all maps this is the joint Gram of the maps of
    ``channel_grams``, without their product. Source: the tensor kernel of Wickstrom et al., Entropy 25(6):899, 2023.

    >>> import numpy as np, fastrenyi as fr
    >>> images = np.random.default_rng(0).normal(size=(10, 1, 8, 8))
    >>> fr.tensor_gram(images).shape
    (10, 10)
    """
    maps, home, chosen = _accept(maps, "maps", kernel, bandwidth)
    if maps.ndim < 1:
        _check.value_error("maps", "samples of shape (n, ...)", "a single number")
    return _grams(maps, vectors(maps), home, chosen, "maps")
