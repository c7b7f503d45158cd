"""The Gram matrices that kernels make of samples, of feature maps and of whole tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, overload

import numpy as np

from fastrenyi import _check, _out
from fastrenyi._array import Array, ArrayT, Foreign, Home, Values, has_numbers, home_of, is_array, wrap
from fastrenyi._ragged import Lengths, Mask, sets_of
from fastrenyi.bandwidths import BandwidthLike
from fastrenyi.kernels import Delta, Kernel, KernelLike, Widthed, as_kernel

__all__ = ["channel_grams", "channels", "gram", "grams_of", "tensor_gram", "tensor_width", "vectors"]


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


def _grams(x: Array, samples: Array, home: Home, kernel: Kernel, name: str, out: Array | None = None) -> Array:
    """Return the Grams of samples (..., n, d), which are x as it was given or a view of it."""
    _not_empty(x, samples, name)
    into = None
    if out is not None:
        order = kernel._order(*samples.shape[-2:])
        shape = (*samples.shape[:-2], order, order)
        samples, into = _out.accepted(out, kernel._result_home(home), shape, samples, name), _out.within(out)
    try:
        found = kernel._gram(samples, home, name, into)
    except ValueError:
        if samples is not x and has_numbers(x):
            _check.finite(wrap(x), name)  # so that the index is one of what was given
        raise
    return kernel._result_home(home).leave(found) if out is None else _out.filled(out, found)


def _not_empty(x: Array, samples: Array, name: str) -> None:
    if 0 in samples.shape[-2:]:
        _check.value_error(name, "at least one sample and one feature", f"shape {tuple(x.shape)}")


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


def _padded_grams(x: Array, home: Home, kernel: Kernel, lengths: Lengths | None, mask: Mask | None) -> Array:
    """Return Grams of the samples that count, padded with zeros."""
    _not_empty(x, x, "x")
    width: Any = getattr(kernel, "bandwidth", None)
    if is_array(width) and width.ndim:
        expected = "one width, or a rule, where lengths or a mask are given"
        _check.value_error("bandwidth", expected, f"widths of shape {tuple(width.shape)}")
    sets = sets_of(x, home, "x", lengths, mask)
    try:
        found = kernel._padded(x, home, sets, "x")
    except ValueError:
        if has_numbers(x):
            _check.finite(sets.counted(), "x")  # by its place in what was given
        raise
    return kernel._result_home(home).leave(found)


@overload
def gram(
    x: Values,
    kernel: KernelLike = ...,
    bandwidth: BandwidthLike | None = ...,
    *,
    lengths: Lengths | None = ...,
    mask: Mask | None = ...,
    out: Values | None = ...,
) -> Values: ...
@overload
def gram(
    x: ArrayT,
    kernel: KernelLike = ...,
    bandwidth: BandwidthLike | None = ...,
    *,
    lengths: Lengths | None = ...,
    mask: Mask | None = ...,
    out: ArrayT | None = ...,
) -> ArrayT: ...
@overload
def gram(
    x: Foreign | list[Any] | tuple[Any, ...],
    kernel: KernelLike = ...,
    bandwidth: BandwidthLike | None = ...,
    *,
    lengths: Lengths | None = ...,
    mask: Mask | None = ...,
    out: Values | None = ...,
) -> Values: ...
def gram(
    x: Array,
    kernel: KernelLike = "gaussian",
    bandwidth: BandwidthLike | None = None,
    *,
    lengths: Lengths | None = None,
    mask: Mask | None = None,
    out: Array | None = None,
) -> Array:
    """Return the normalised Gram matrix of samples: A_ij = K_ij / (n sqrt(K_ii K_jj)).

    Parameters
    ----------
    x : array or nested list
        Samples (..., n, d), n samples of d features, real numbers: a NumPy, CuPy or JAX array, a torch tensor, lists of
        numbers, or what gives NumPy an array by DLPack on the CPU, ``__array__`` or as a memoryview, such as a table of
        pandas. For the Delta kernel also integers and strings, and labels (n,).
    kernel : str or Kernel
        "gaussian", "laplacian", "cosine", "polynomial", "linear", "delta", or a kernel such as
        ``Gaussian(bandwidth=2.0)``.
    bandwidth : float, array, str or Bandwidth, optional
        The kernel's width: a number, an array of the batch shape, a rule such as ``Median()``, or its name
        ("silverman", "scott", "median", "neighbours"). None is the kernel's own, by default ``Silverman(5.0)``.
    lengths : int, sequence of int or array of int, optional
        For sets of different sizes, such as texts of different numbers of tokens, in one array: how many samples of
        each set count, the first ones. Of the batch shape, or what broadcasts to it. Nothing of the others is read.
    mask : array of bool, optional
        The same for samples anywhere: which ones count, of a shape that broadcasts to (..., n); ones and zeros too.
    out : array, optional
        Dense memory of the library, dtype, device and shape of the result to write it to, which is then returned, for
        calls without lengths or a mask. It has no gradient.

    Returns
    -------
    array
        (..., n, n), symmetric positive semidefinite with trace 1 and 1/n on the diagonal, in the library, dtype and
        device of x; in NumPy's float64 for lists. With lengths or a mask the Gram of the samples that count, in their
        order, comes first, and behind it are rows and columns of zeros: its entropies, and joint ones of Grams of the
        same samples, are those without them (at order 0 an eigenvalue counts above n eps of the largest, with the n of
        the array). What permutes samples or takes means of rows refuses such Grams.

    Raises
    ------
    TypeError
        For what is not an array of real numbers.
    ValueError
        For wrong shapes, NaN or infinity, and widths that are not positive or do not apply.

    Notes
    -----
    Cost O(n^2 d) per sample set. Distances come from differences, or from products of centred samples where no digit is
    lost by that: exact for duplicates and far from the origin. Half precision is computed in single. To ``out``
    Gaussian, Laplacian, cosine and polynomial kernels write directly, which spares new memory; others, and half
    precision, are copied there. Of sets of
    different sizes those of one size are made together, and on the CPU spectra are of the size of each, at the cost of
    reading the zeros. ``torch.compile`` takes an integer, or a list of one for each set of one batch axis, as lengths,
    for which it compiles anew each time, and no mask.
    Source: Sanchez Giraldo, Rao, Principe, IEEE TIT 61(1), 2015; arXiv 1804.06537.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a = fr.gram(np.arange(3.0)[:, None], bandwidth=1.0)
    >>> a.shape, float(np.trace(a))
    ((3, 3), 1.0)

    Of two texts of three and of two tokens, the entropy of each:

    >>> tokens = np.array([[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]])
    >>> fr.entropy(fr.gram(tokens, "linear", lengths=[3, 2]), alpha=1).round(4)
    array([0.9183, 1.    ])
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
    if lengths is None and mask is None:
        return _grams(x, x, home, chosen, "x", out)
    if out is not None:
        _check.value_error("out", "none, as lengths or a mask are given", "an array", "leave one of them out")
    return _padded_grams(x, home, chosen, lengths, mask)


@overload
def channel_grams(
    maps: Values, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ..., *, out: Values | None = ...
) -> Values: ...
@overload
def channel_grams(
    maps: ArrayT, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ..., *, out: ArrayT | None = ...
) -> ArrayT: ...
@overload
def channel_grams(
    maps: Mapping[str, ArrayT], kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ...
) -> dict[str, ArrayT]: ...
@overload
def channel_grams(
    maps: Foreign, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ..., *, out: Values | None = ...
) -> Values: ...
def channel_grams(
    maps: Any, kernel: KernelLike = "gaussian", bandwidth: BandwidthLike | None = None, *, out: Array | None = None
) -> Any:
    """Return one Gram A_c = gram(map c) per feature map of a layer, each map flattened and with a width of its own.

    Parameters
    ----------
    maps : array
        Activations (n, C, *spatial) of n samples and C feature maps, as a convolution gives them: a NumPy, CuPy or JAX
        array, a torch tensor, or what gives NumPy an array by DLPack on the CPU or ``__array__``. Or a mapping from the
        names of layers to their activations, such as what ``fastrenyi.torch.capture`` keeps.
    kernel : str or Kernel
        "gaussian", "laplacian", "cosine", "polynomial", "linear", "delta", or a kernel such as
        ``Gaussian(bandwidth=2.0)``.
    bandwidth : float, array, str or Bandwidth, optional
        The kernel's width: a number, an array of shape (C,), a rule such as ``Median()``, or its name ("silverman",
        "scott", "median", "neighbours"). None is the kernel's own, by default ``Silverman(5.0)``.
    out : array, optional
        Dense memory of the library, dtype, device and shape of the result to write it to, which is then returned. It
        has no gradient.

    Returns
    -------
    array
        Grams (C, n, n), in the library, dtype and device of maps; of a mapping a dict of them by the same names.

    Raises
    ------
    TypeError
        For what is not an array of real numbers.
    ValueError
        For wrong shapes, NaN or infinity, and widths that are not positive or do not apply.

    Notes
    -----
    Cost O(C n^2 d), d the size of a map. Activations are not copied where their strides allow.
    Source: arXiv 1804.06537.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> maps = np.random.default_rng(0).normal(size=(10, 4, 5, 5))
    >>> fr.channel_grams(maps).shape
    (4, 10, 10)
    >>> {name: grams.shape for name, grams in fr.channel_grams({"conv1": maps, "conv2": maps[:, :2]}).items()}
    {'conv1': (4, 10, 10), 'conv2': (2, 10, 10)}
    """
    if isinstance(maps, Mapping):
        if out is not None:
            _check.value_error("out", "none, as maps are a mapping of layers", "an array", "make one layer at a time")
        return _check.by_name(lambda layer: channel_grams(layer, kernel, bandwidth), maps, "maps")
    maps, home, chosen = _accept(maps, "maps", kernel, bandwidth)
    if maps.ndim < 2:
        _check.value_error("maps", "activations of shape (n, C, *spatial)", f"shape {tuple(maps.shape)}")
    return _grams(maps, channels(maps), home, chosen, "maps", out)


@overload
def tensor_gram(
    maps: Values, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ..., *, out: Values | None = ...
) -> Values: ...
@overload
def tensor_gram(
    maps: ArrayT, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ..., *, out: ArrayT | None = ...
) -> ArrayT: ...
@overload
def tensor_gram(
    maps: Foreign, kernel: KernelLike = ..., bandwidth: BandwidthLike | None = ..., *, out: Values | None = ...
) -> Values: ...
def tensor_gram(
    maps: Array,
    kernel: KernelLike = "gaussian",
    bandwidth: BandwidthLike | None = None,
    *,
    out: Array | None = None,
) -> Array:
    """Return the Gram of n samples, each a whole tensor taken as one vector: A = gram(maps as (n, d)).

    Parameters
    ----------
    maps : array
        (n, ...): images, activations, vectors; (n,) is one feature. A NumPy, CuPy or JAX array, a torch tensor, or what
        gives NumPy an array by DLPack on the CPU or ``__array__``.
    kernel : str or Kernel
        "gaussian", "laplacian", "cosine", "polynomial", "linear", "delta", or a kernel such as
        ``Gaussian(bandwidth=2.0)``.
    bandwidth : float, array, str or Bandwidth, optional
        The kernel's width: a number, an array of one number, a rule such as ``Median()``, or its name ("silverman",
        "scott", "median", "neighbours"). None is the kernel's own, by default ``Silverman(5.0)``.
    out : array, optional
        Dense memory of the library, dtype, device and shape of the result to write it to, which is then returned. It
        has no gradient.

    Returns
    -------
    array
        (n, n), in the library, dtype and device of maps.

    Raises
    ------
    TypeError
        For what is not an array of real numbers.
    ValueError
        For wrong shapes, NaN or infinity, and widths that are not positive or do not apply.

    Notes
    -----
    Cost O(n^2 d), d the size of a sample. With one Gaussian width for all maps this is the joint Gram of the maps of
    ``channel_grams``, without their product.
    Source: the tensor kernel of Wickstrom et al., Entropy 25(6):899, 2023.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> images = np.random.default_rng(0).normal(size=(10, 1, 8, 8))
    >>> fr.tensor_gram(images).shape
    (10, 10)
    """
    maps, home, chosen = _accept(maps, "maps", kernel, bandwidth)
    if maps.ndim < 1:
        _check.value_error("maps", "samples of shape (n, ...)", "a single number")
    return _grams(maps, vectors(maps), home, chosen, "maps", out)


def tensor_width(maps: Array, kernel: Kernel) -> float:
    """Return the width with which `kernel` would make the ``tensor_gram`` of maps; NaN of a kernel that has none."""
    maps, home, _ = _accept(maps, "maps", kernel, None)
    if not isinstance(kernel, Widthed):
        return math.nan
    found, given = kernel._width(vectors(maps), home, "maps")
    width = float(found)
    if not math.isfinite(width):
        _check.widths(np.array(width), given)
    return width
