"""Paths that samples in an order make, such as the tokens of a text through a layer."""

from __future__ import annotations

from fastrenyi import _check, _samples
from fastrenyi._array import Array, ArrayT

__all__ = ["curvature"]


def curvature(x: ArrayT) -> ArrayT:
    """Return the curvature of a path: the mean angle between one step and the next, in radians.

    With steps v_i = x_{i+1} - x_i: mean_i arccos(<v_i, v_{i+1}> / (|v_i| |v_{i+1}|)). It is 0 of a straight path and pi
    of one that goes back and forth.

    Parameters
    ----------
    x : array
        The n >= 3 points of a path in their order, (..., n, d), such as the tokens of a text, real numbers: a NumPy,
        CuPy or JAX array, a torch tensor, or what gives NumPy an array by DLPack on the CPU or ``__array__``.

    Returns
    -------
    array
        The batch shape; in the library, dtype and device of x, in [0, pi].

    Raises
    ------
    TypeError
        For what is not an array of real numbers.
    ValueError
        For wrong shapes, and NaN or infinity.

    Notes
    -----
    An angle beside a step of length zero does not count; where none is left the curvature is zero. Angles come from
    |u - v| and |u + v| of steps of length one, which loses no digits of small ones; of 0 and pi there is no gradient.
    Cost O(n d). Half precision is computed in single.

    Conventions elsewhere: of the harness of Skean et al., arXiv 2502.02013, one version takes the angle between
    neighbouring tokens of length one, not between steps, the later one the absolute cosine of steps, so that its angles
    are at most pi / 2.
    Source: Hosseini and Fedorenko, NeurIPS 2023.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> round(float(fr.curvature(square)), 9), float(fr.curvature(square[[0, 1, 1]]))
    (1.570796327, 0.0)
    """
    points, home = _samples.accepted(x, "x")
    if points.shape[-2] < 3:
        _check.value_error("x", "paths (..., n, d) of three points or more", f"shape {tuple(points.shape)}")
    xp = home.xp()
    with home.current(points):
        path = home.computed(points)
        largest = _samples.nonzero(xp.amax(abs(home.constant(path)), (-2, -1)), xp)
        path = path / largest[..., None, None]  # so that no step leaves the range
        steps = _samples.prepared(path[..., 1:, :] - path[..., :-1, :], home, None, True)
        one, next_one = steps[..., :-1, :], steps[..., 1:, :]
        moved = (home.constant(steps) ** 2).sum(-1) > 0
        counts = moved[..., :-1] & moved[..., 1:]
        angles = 2 * xp.arctan2(_lengths(one - next_one, xp), _lengths(one + next_one, xp))
        number = counts.sum(-1)
        found: ArrayT = home.leave((angles * counts).sum(-1) / _samples.nonzero(number, xp))
    return found


def _lengths(x: Array, xp: object) -> Array:
    """Return the lengths of vectors (..., d), of zero without a gradient."""
    squares = (x * x).sum(-1)
    return _samples.nonzero(squares, xp) ** 0.5 * (squares > 0)
