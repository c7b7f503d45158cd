"""What a kernel is, ours or a user's own."""

from __future__ import annotations

from fastrenyi import _check, _samples
from fastrenyi._array import Array, Home, home_of
from fastrenyi._between import distances
from fastrenyi._called import Called
from fastrenyi._ragged import Sets, of_each_size
from fastrenyi.normalization import look_at_kernel_matrix, of_unit_diagonal

__all__ = ["Kernel", "is_compiled"]


class Kernel(Called):
    """A positive definite function of two samples, called with them: k(x, y); subclass it for one of your own.

    A subclass has one method, ``matrix(x, y)``, the kernel matrix (..., n, m) of samples (..., n, d) and (..., m, d),
    and keeps each argument of its ``__init__`` as an attribute of the same name, as dataclasses do. It is then taken
    wherever a kernel is: by ``gram``, losses, a Monitor, ``SVC(kernel=...)``.

    Raises
    ------
    TypeError
        For a subclass without ``matrix``. Named ``Name.matrix``, when it is used: for what is not an array of the
        samples' library and device; and ValueError for another shape, numbers that are not finite, and in a Gram for a
        matrix that is not symmetric or has a diagonal that is not positive.

    Notes
    -----
    Samples come checked, of one dtype (half precision as float32): arrays of NumPy, CuPy or JAX, or tensors with their
    gradients. They may be the caller's own, and the same array twice: do not write to them. Written in what these have
    in common, such as ``+``, ``**``, ``@``, ``sum(-1)`` and ``distances``, one method serves them all; ``math.e ** k``
    is an exponential in each. The Gram is K_ij / (n sqrt(K_ii K_jj)). Whether it is positive semidefinite is seen by
    the measures. A subclass of another kernel with a ``matrix`` of its own has its Grams of that. ``lazy_gram`` takes
    no kernel but those of fastrenyi.
    Settings are shown, compared and hashed by value, so that a Monitor's store knows them again; ``get_params``,
    ``set_params`` and scikit-learn's ``clone`` work.
    Cost: that of ``matrix``, and O(n^2) for the Gram.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np, fastrenyi as fr
    >>> @dataclass(frozen=True)
    ... class RationalQuadratic(fr.Kernel):
    ...     width: float = 1.0
    ...     power: float = 1.0
    ...
    ...     def matrix(self, x, y):
    ...         squares = self.distances(x, y) ** 2
    ...         return (1 + squares / (2 * self.power * self.width**2)) ** -self.power
    >>> x = np.array([[0.0], [1.0], [3.0]])
    >>> fr.gram(x, RationalQuadratic(width=1.0)).round(4)
    array([[0.3333, 0.2222, 0.0606],
           [0.2222, 0.3333, 0.1111],
           [0.0606, 0.1111, 0.3333]])
    >>> RationalQuadratic(2.0)(x, x[:2]).round(4), RationalQuadratic(2.0).get_params()
    (array([[1.    , 0.8889],
           [0.8889, 1.    ],
           [0.4706, 0.6667]]), {'width': 2.0, 'power': 1.0})
    """

    def __init_subclass__(cls) -> None:
        """Give a class that has a matrix of its own the Grams of that."""
        super().__init_subclass__()
        if "matrix" in vars(cls) and "_gram" not in vars(cls):
            cls._gram = Kernel._gram  # type: ignore[method-assign]
            cls._padded = Kernel._padded  # type: ignore[method-assign]

    @staticmethod
    def distances(x: Array, y: Array, metric: str = "euclidean") -> Array:
        """Return the distances (..., n, m) of samples (..., n, d) and (..., m, d), "euclidean" or "manhattan".

        Of differences, so that no digit is lost; with gradients for tensors, where the Euclidean one has a gradient of
        zero between equal samples.
        """
        return distances(x, y, _check.choice(metric, "metric", ("euclidean", "manhattan")))

    def _gram(self, x: Array, home: Home, name: str, out: Array | None = None) -> Array:
        """Return the Grams (..., n, n) of samples (..., n, d).

        With ``out`` they may stand there; they have no gradient then, and those of tensors on the CPU are NumPy arrays.
        """
        _samples.look_at(x, name)
        with home.current(x):
            samples = home.computed(x)
            k = home_of(samples).leave(self._checked_matrix(samples, samples))
            look_at_kernel_matrix(k, f"{type(self).__name__}.matrix")
            return of_unit_diagonal((k + k.swapaxes(-1, -2)) / 2)

    def _order(self, n: int, d: int) -> int:
        """Return the order of the Gram of n samples of d features."""
        return n

    def _padded(self, x: Array, home: Home, sets: Sets, name: str) -> Array:
        """Return the Grams (..., n, n) of the samples that count, padded with zeros."""
        return of_each_size(sets, home, lambda samples, name: self._gram(samples, home, name), name)


def is_compiled(kernel: Kernel) -> bool:
    """Whether the Grams of a kernel are made by an operation, and not of its ``matrix``."""
    return type(kernel)._gram is not Kernel._gram
