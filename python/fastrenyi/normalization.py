"""The way from a kernel matrix of the caller's own to a Gram."""

from __future__ import annotations

from fastrenyi import _check, _dispatch, _matrices
from fastrenyi._array import Array, ArrayT, has_numbers, wrap
from fastrenyi._kernels import kernels_for

__all__ = ["look_at_kernel_matrix", "normalize", "of_unit_diagonal"]


def normalize(k: ArrayT, clip: bool = False) -> ArrayT:
    """Return the normalised Gram of a kernel matrix: A_ij = K_ij / (n sqrt(K_ii K_jj)).

    For kernels that ``gram`` does not have, and similarities of any origin: what the measures take in place of a raw K.

    Parameters
    ----------
    k : array
        Kernel matrices (..., n, n), symmetric and positive on the diagonal, real: a NumPy, CuPy or JAX array, a torch
        tensor, or what gives NumPy an array by DLPack on the CPU or ``__array__``.
    clip : bool
        Whether eigenvalues below zero are set to zero first, as of similarities that are no kernel. A warning says what
        share they had.

    Returns
    -------
    array
        (..., n, n) with trace 1 and, to rounding, 1/n on the diagonal, in the library, dtype and device of k.

    Raises
    ------
    TypeError
        For what is not an array of real numbers.
    ValueError
        For wrong shapes, NaN or infinity, matrices that are not symmetric, or a diagonal that is not positive. Inside
        ``torch.compile``, ``torch.func``, ``torch.vmap`` and CUDA graphs the numbers are not looked at.

    Notes
    -----
    Cost O(n^2). Half precision is computed in single. Whether k is positive semidefinite is seen by the measures, up to
    the rounding of its dtype: pass k in the dtype that it was made in. With ``clip`` it is, for O(n^3), the nearest
    matrix that is, normalised; what was taken away is a constant of the gradient.
    Source: Sanchez Giraldo, Rao, Principe, IEEE TIT 61(1), 2015.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> fr.normalize(np.array([[4.0, 1.0], [1.0, 1.0]]))
    array([[0.5 , 0.25],
           [0.25, 0.5 ]])

    Similarities of which the first and the last item are both like the second, and not like each other:

    >>> k = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 1.0]])
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     a = fr.normalize(k, clip=True)
    >>> print(told[0].message)
    k: negative eigenvalues were set to zero, 7.69% of what all add up to in size: what is measured is another matrix
    >>> round(float(fr.vendi_score(3 * a)), 3)
    1.86
    """
    values: Array = _check.adopt(k, "k")
    home = _matrices.gram(values, "k")
    _check.flag(clip, "clip")
    look_at_kernel_matrix(values, "k")
    negative = _dispatch.operations(home.library).negative_part(values, "k") if clip else 0
    found: ArrayT = home.leave(of_unit_diagonal(home.computed(values) - negative))
    return found


def look_at_kernel_matrix(k: Array, name: str) -> None:
    """Refuse kernel matrices that are not finite and symmetric or have no positive diagonal, where they can be seen."""
    if has_numbers(k) and _check.LOOKING.get():
        with kernels_for(k) as on:
            on.matrices(k, name, trace_one=False)
        _matrices.positive_diagonal(wrap(k.diagonal(0, -2, -1)), name)


def of_unit_diagonal(k: Array) -> Array:
    """Return K_ij / (n sqrt(K_ii K_jj))."""
    root = k.diagonal(0, -2, -1) ** 0.5
    # The product commutes, so that the result is as symmetric as k.
    return k / (root[..., :, None] * root[..., None, :]) / k.shape[-1]
