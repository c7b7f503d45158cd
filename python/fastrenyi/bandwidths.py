"""Kernel widths: numbers, and rules that find one width for each sample set.

All rules are constants or statistics of the data; h stands for a rule's ``scale``, n for the number of samples and d
for the number of features.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fastrenyi import _check, _matrices
from fastrenyi._array import AnyArray, Array, has_numbers, home_of, is_array, key, wrap
from fastrenyi._bandwidth import Bandwidth, Code, Given
from fastrenyi._kernels import kernels_for
from fastrenyi._spec import KernelSpec

__all__ = [
    "Alignment", "Bandwidth", "BandwidthLike", "BandwidthName", "Median", "NearestNeighbours", "Scott", "Silverman",
]  # fmt: skip


BandwidthName: TypeAlias = Literal["silverman", "scott", "median", "neighbours"]
BandwidthLike: TypeAlias = Bandwidth | float | BandwidthName | AnyArray


@dataclass(frozen=True)
class Silverman(Bandwidth):
    """Silverman's rule without the spread of the data: sigma = h n^(-1/(4+d)).

    Parameters
    ----------
    scale : float
        h, a positive number.

    Raises
    ------
    TypeError, ValueError
        For a scale that is not a positive number.

    Notes
    -----
    The default after the paper's authors, and h their setting: 5 for activations, 0.1 for errors. Cost O(1): no look at
    the data.
    Source: Yu et al., arXiv 1804.06537.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> x = np.arange(8.0)[:, None]
    >>> a = fr.gram(x, bandwidth=fr.Silverman(scale=5.0))
    >>> bool(np.allclose(a, fr.gram(x, bandwidth=5.0 * 8 ** (-1 / 5))))
    True
    """

    scale: float = 5.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        _check.positive(self.scale, "scale")

    def _known(self, batch: tuple[int, ...], n: int, d: int) -> float | Array | None:
        return self.scale * n ** (-1.0 / (4 + d))

    def _code(self) -> Code:
        return "silverman", [float(self.scale)], None

    def find(self, x: Array, kernel: str) -> Array:
        """Return h n^(-1/(4+d)) for each sample set."""
        b, n, d = (int(length) for length in x.shape)
        return kernels_for(x).full((b,), self.scale * n ** (-1.0 / (4 + d)), "float64")


@dataclass(frozen=True)
class Scott(Bandwidth):
    """Scott's rule: sigma = h s n^(-1/(4+d)), s^2 the mean over features of the sample variance (divisor n - 1).

    Parameters
    ----------
    scale : float
        h, a positive number.

    Raises
    ------
    TypeError, ValueError
        For a scale that is not a positive number.

    Notes
    -----
    Zero, the narrow limit, if all samples are equal. Cost O(n d) per sample set.
    Source: D. W. Scott, Multivariate Density Estimation, 1992; ``scipy.stats.gaussian_kde`` uses the same factor.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> x = np.arange(8.0)[:, None]
    >>> width = x.std(ddof=1) * 8 ** (-1 / 5)
    >>> bool(np.allclose(fr.gram(x, bandwidth="scott"), fr.gram(x, bandwidth=width)))
    True
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        _check.positive(self.scale, "scale")

    def _code(self) -> Code:
        return "scott", [float(self.scale)], None

    def find(self, x: Array, kernel: str) -> Array:
        """Return h s n^(-1/(4+d)) for each sample set."""
        on = kernels_for(x)
        b, n, d = (int(length) for length in x.shape)
        if n == 1:
            return on.full((b,), 0.0, "float64")
        # Relative to the first sample, so that an offset costs no digits, and to the largest difference, so that no
        # square leaves the range of the dtype.
        differences = on.cast(x, "float64") - on.cast(x[:, :1], "float64")
        largest = on.xp.amax(abs(differences).reshape(b, n * d), 1)
        unit = on.xp.where(largest == 0, 1.0, largest)
        differences /= unit[:, None, None]
        differences -= differences.mean(1)[:, None]
        variance = (differences * differences).sum(1).mean(-1) / (n - 1)
        return self.scale * n ** (-1.0 / (4 + d)) * unit * variance**0.5


@dataclass(frozen=True)
class Median(Bandwidth):
    """The median heuristic: sigma = h times the median distance between two different samples.

    Parameters
    ----------
    scale : float
        h, a positive number.

    Raises
    ------
    TypeError, ValueError
        For a scale that is not a positive number.

    Notes
    -----
    Distances are the kernel's own: Euclidean for Gaussian, Manhattan for Laplacian. Zero, the narrow limit, if more
    than half of the pairs are equal, or n = 1. Cost O(n^2 d) per sample set; needs all distances at once.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> x = np.array([[0.0], [1.0], [3.0]])
    >>> bool(np.allclose(fr.gram(x, bandwidth="median"), fr.gram(x, bandwidth=2.0)))
    True
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        _check.positive(self.scale, "scale")

    def _code(self) -> Code:
        return "median", [float(self.scale)], None

    def find(self, x: Array, kernel: str) -> Array:
        """Return h times the median distance of each sample set."""
        on = kernels_for(x)
        b, n, _ = (int(length) for length in x.shape)
        if n == 1:
            return on.full((b,), 0.0, "float64")
        pairs = on.pairs_above(n)
        distances = on.distances(x, KernelSpec.plain(kernel).metric).reshape(b, n * n)[:, pairs[:, 0] * n + pairs[:, 1]]
        low, high = (len(pairs) - 1) // 2, len(pairs) // 2
        ordered = on.in_order(distances, [low, high])
        return self.scale * (on.cast(ordered[:, low], "float64") + on.cast(ordered[:, high], "float64")) / 2


@dataclass(frozen=True)
class NearestNeighbours(Bandwidth):
    """The mean distance of a sample to its k nearest other samples, averaged over samples: sigma = h times that.

    Parameters
    ----------
    k : int
        A positive integer, less than the number of samples.
    scale : float
        h, a positive number.

    Raises
    ------
    TypeError, ValueError
        For settings out of these ranges, and ValueError (naming ``bandwidth``) from ``gram`` for n <= k samples.

    Notes
    -----
    Distances are the kernel's own, as in ``Median``. Cost O(n^2 d) per sample set; needs all distances at once.
    Source: the rule of ten nearest neighbours in the work of Yu, Principe and co-authors.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> x = np.array([[0.0], [1.0], [3.0]])  # nearest neighbours at 1, 1 and 2
    >>> width = fr.NearestNeighbours(k=1)
    >>> bool(np.allclose(fr.gram(x, bandwidth=width), fr.gram(x, bandwidth=4 / 3)))
    True
    """

    k: int = 10
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        _check.integer(self.k, "k", 1)
        _check.positive(self.scale, "scale")

    def _known(self, batch: tuple[int, ...], n: int, d: int) -> None:
        if n <= self.k:
            _check.value_error(
                "bandwidth",
                f"more than k = {self.k} samples for NearestNeighbours",
                f"n = {n}",
                "choose a smaller k",
            )

    def _code(self) -> Code:
        return "neighbours", [float(self.k), float(self.scale)], None

    def find(self, x: Array, kernel: str) -> Array:
        """Return h times the mean distance to k neighbours of each sample set."""
        on = kernels_for(x)
        # The k + 1 smallest of a row are a zero, the distance of the sample to itself, and its k neighbours.
        nearest = on.in_order(on.distances(x, KernelSpec.plain(kernel).metric), [self.k])[:, :, : self.k + 1]
        return self.scale / self.k * on.cast(nearest, "float64").sum(-1).mean(-1)


@dataclass(frozen=True, eq=False, repr=False)
class Alignment(Bandwidth):
    """The width on a grid whose Gram is best aligned with a target Gram: the largest <A, B>_F / (|A|_F |B|_F).

    Parameters
    ----------
    target : array, optional
        B (n, n), usually the Gram of the labels; the same for all sample sets. None is for a Monitor of
        ``fastrenyi.torch``, which takes the Gram of each minibatch's targets.
    widths : sequence of float, optional
        The grid; by default 75 widths, evenly spaced in the logarithm, from 0.1 to 10 times the median distance.

    Raises
    ------
    TypeError, ValueError
        For a target that is no Gram or widths that are no positive numbers, and ValueError (naming ``bandwidth``) from
        ``gram`` if n differs between samples and target, or there is no target.

    Notes
    -----
    Cost O(n^2 d) per sample set and width. Rules compare and hash by the numbers of target and grid.
    Source: Wickstrom et al., Entropy 25(6):899, 2023.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> labels = np.repeat([0, 1], 4)
    >>> x = 10.0 * labels[:, None] + np.tile([0.0, 0.1, 0.2, 0.3], 2)[:, None]
    >>> a = fr.gram(x, bandwidth=fr.Alignment(fr.gram(labels, kernel="delta"), widths=[0.01, 1.0, 100.0]))
    >>> bool(np.allclose(a, fr.gram(x, bandwidth=1.0)))
    True
    """

    target: AnyArray | None = None
    widths: Sequence[float] | npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.target is not None:
            target: Any = _check.adopt(self.target, "target")
            object.__setattr__(self, "target", target)
            _matrices.gram(target, "target")
            if not has_numbers(target):
                _check.kind_error("target", "a Gram whose numbers are there", "an array that is traced or fake")
            if len(target.shape) != 2:
                _check.value_error("target", "one Gram of shape (n, n)", f"shape {tuple(target.shape)}")
            _matrices.gram_contents(target, "target")
        if self.widths is not None:
            if not isinstance(self.widths, (list, tuple, np.ndarray)) or getattr(self.widths, "ndim", 1) != 1:
                _check.kind_error("widths", "a sequence of numbers", _check.quoted(self.widths))
            if not len(self.widths):
                _check.value_error("widths", "at least one width", "none")
            for width in self.widths:
                _check.positive(width, "widths")

    def __eq__(self, other: object) -> bool:
        """Whether other is the same target and grid, by their numbers."""
        return isinstance(other, Alignment) and self._key() == other._key()

    def __hash__(self) -> int:
        """Return a hash of the numbers, which an array must keep as long as the hash is used."""
        return hash(self._key())

    def __repr__(self) -> str:
        """Return the arguments, the target by its shape and a checksum that tells targets apart."""
        target = "None"
        if self.target is not None:
            checksum = zlib.crc32(wrap(self.target).tobytes())
            target = f"<{home_of(self.target)}, shape {tuple(self.target.shape)}, crc32 {checksum:08x}>"
        return f"Alignment(target={target}, widths={self.widths!r})"

    def _key(self) -> tuple[Any, Any]:
        widths = None if self.widths is None else tuple(map(float, self.widths))
        return key(self.target), widths

    def _known(self, batch: tuple[int, ...], n: int, d: int) -> None:
        if self.target is None:
            way_out = "pass Alignment(target), such as a Gram of labels"
            _check.value_error("bandwidth", "a target Gram outside a Monitor", "Alignment() without one", way_out)
        if n != self.target.shape[0]:
            _check.value_error("bandwidth", f"a target Gram of the {n} samples", f"shape {tuple(self.target.shape)}")

    def _code(self) -> Code:
        return "alignment", [] if self.widths is None else [float(width) for width in self.widths], self.target

    def find(self, x: Array, kernel: str) -> Array:
        """Return the width of the grid that aligns best, for each sample set."""
        on = kernels_for(x)
        target = on.here(self.target, "float64")  # _known has refused to go on without one
        if self.widths is None:
            steps = on.here(np.geomspace(0.1, 10.0, 75), "float64")
            grid = steps[:, None] * Median().find(x, kernel)
        else:
            grid = on.here(np.repeat(np.asarray(self.widths, np.float64)[:, None], len(x), axis=1), "float64")
        aligned = []  # the norm of the target is the same for every width
        for widths in grid:
            a = on.cast(on.grams(x, KernelSpec.plain(kernel), widths), "float64")
            aligned.append((a * target).sum((1, 2)) / (a * a).sum((1, 2)) ** 0.5)
        best = on.xp.stack(aligned).argmax(0)
        return grid[best, on.here(np.arange(len(x)), "int64")]


_NAMED: dict[str, Callable[[], Bandwidth]] = {
    "silverman": Silverman,
    "scott": Scott,
    "median": Median,
    "neighbours": NearestNeighbours,
}


def decode(name: str, numbers: Sequence[float], target: Array | None) -> Bandwidth:
    """Return the rule that gave this code."""
    if target is not None:
        return Alignment(target, list(numbers) or None)
    if name == "neighbours":
        return NearestNeighbours(int(numbers[0]), numbers[1])
    return _NAMED[name](*numbers)


def as_bandwidth(value: object) -> Bandwidth:
    """Accept a rule, its name, a width, or an array of widths."""
    if isinstance(value, Bandwidth):
        return value
    if isinstance(value, str):
        if value not in _NAMED:
            _check.value_error("bandwidth", f"one of {', '.join(_NAMED)}", repr(value))
        return _NAMED[value]()
    if is_array(value):
        _check.real(value, "bandwidth")
        return Given(value)
    return Given(_check.positive(value, "bandwidth"))
