"""Kernels as functions of two sets of samples, with settings that scikit-learn can read and change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar

from fastrenyi import _check, _samples
from fastrenyi._array import Array, ArrayT, Home, broadcast_shapes, home_of, is_array
from fastrenyi._between import accepted_two
from fastrenyi._configured import Configured

__all__ = ["Called"]

_REAL = ("float", "bfloat", "int", "uint", "bool")

CalledT = TypeVar("CalledT", bound="Called")


class Called(Configured, ABC):
    """A function k(x, y) of two sets of samples, with settings."""

    def __call__(self, x: ArrayT, y: ArrayT | None = None) -> ArrayT:
        """Return the kernel matrix k(x_i, y_j) of two sets of samples, not normalised.

        It is what scikit-learn calls, as in ``SVC(kernel=Gaussian(1.0))``, and what kernel methods over two samples
        are made of. ``gram`` is that of one set over its trace.

        Parameters
        ----------
        x : array
            Samples (..., n, d), real numbers: a NumPy, CuPy or JAX array, a torch tensor, or what gives NumPy an array
            by DLPack on the CPU or ``__array__``; or one sample (d,). For the Delta kernel also integers, and labels
            (n,).
        y : array, optional
            Samples (..., m, d) to hold them against, or one (d,); x itself unless given. What the kernel takes of data,
            a width by a rule or a mean, it takes of these: in a fitted estimator, of what that was fitted to.

        Returns
        -------
        array
            (..., n, m), without the axis of what was one sample; in the library, dtype and device of x.

        Raises
        ------
        TypeError
            For what is not an array of real numbers, and for y of another library, dtype or device.
        ValueError
            For wrong shapes, NaN or infinity, and widths that are not positive.

        Notes
        -----
        Cost O(n m d). Distances come of differences. Half precision is computed in single. With gradients for tensors;
        a width by a rule is a constant of them.

        Examples
        --------
        >>> import numpy as np, fastrenyi as fr
        >>> x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [2.0]])
        >>> fr.Gaussian(bandwidth=1.0)(x, y).round(4)
        array([[1.    , 0.1353],
               [0.6065, 0.6065],
               [0.1353, 1.    ]])
        """
        left, one = self._samples(x, "x")
        right, other = (left, one) if y is None else self._samples(y, "y")
        left, right = accepted_two(left, right, ("x", "x" if y is None else "y"), self._accept)
        home = home_of(left)
        _samples.look_at(left, "x")
        if y is not None:
            _samples.look_at(right, "y")
        with home.current(left):
            found = self._checked_matrix(home.computed(left), home.computed(right))
        if other:
            found = found[..., 0]
        if one:
            found = found[..., 0] if other else found[..., 0, :]
        matrix: ArrayT = self._result_home(home).leave(found)
        return matrix

    def _samples(self, x: Any, name: str) -> tuple[Array, bool]:
        """Return samples with their axis, and whether it is one sample that came without."""
        values = _check.adopt(_check.listed(x, name), name)
        _check.array(values, name)
        return (values[None], True) if values.ndim == 1 else (values, False)

    @abstractmethod
    def matrix(self, x: Array, y: Array) -> Array:
        """Return the kernel matrix k(x_i, y_j), (..., n, m), of samples (..., n, d) and (..., m, d).

        What a kernel is made of: its arguments have been looked at, are of one library and dtype, and are the same
        array where a set is held against itself. Call the kernel itself, or ``gram``, to have arguments checked.
        """

    def _checked_matrix(self, x: Array, y: Array) -> Array:
        """Return the kernel matrix, if ``matrix`` has given one."""
        found, name = self.matrix(x, y), f"{type(self).__name__}.matrix"
        home = home_of(x)
        there = home_of(found) if is_array(found) else None
        if (
            there is None
            or (there.library, there.device) != (home.library, home.device)
            or not there.dtype.startswith(_REAL)
        ):
            got = str(there or f"{type(found).__name__}, which is no array")
            _check.kind_error(name, f"real numbers of the library and device of the samples ({home})", got)
        batch = broadcast_shapes(tuple(x.shape[:-2]), tuple(y.shape[:-2]))
        if tuple(found.shape) != (expected := (*batch, x.shape[-2], y.shape[-2])):
            way_out = "keep batch axes: x[..., :, None, :] and y[..., None, :, :]"
            _check.value_error(name, f"k(x_i, y_j) of shape {expected}", f"shape {tuple(found.shape)}", way_out)
        return found

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings by name, as scikit-learn asks for them."""
        return self._settings()

    def set_params(self: CalledT, **params: Any) -> CalledT:
        """Change settings in place, as scikit-learn's searches do, and return the kernel."""
        known = self.get_params()
        for name in params:
            if name not in known:
                _check.value_error(name, f"one of the settings {', '.join(known) or '(none)'}", repr(name))
        type(self)(**{**known, **params})  # which checks them
        for name, value in params.items():
            object.__setattr__(self, name, value)
        return self

    def _accept(self, home: Home, name: str) -> None:
        """Check the dtype of the data."""
        _check.real_dtype(home, name)

    def _result_home(self, home: Home) -> Home:
        return home
