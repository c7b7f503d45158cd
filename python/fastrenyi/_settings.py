"""Settings of all calls, for those who make many: on how many threads, and whether the numbers are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastrenyi import _backend, _check, _core

__all__ = ["get_num_threads", "set_num_threads", "settings"]


def set_num_threads(n: int | None) -> None:
    """Let each call use no more than so many threads of the processor, in this process.

    Parameters
    ----------
    n : int or None
        A positive number; None goes back to what PyTorch is set to where it is loaded, else OpenMP.

    Returns
    -------
    None
        ``get_num_threads`` says how many there are.

    Raises
    ------
    TypeError, ValueError
        For what is no positive integer.

    Notes
    -----
    It is a limit of the whole process, like ``torch.set_num_threads``, whose place it takes for calls of fastrenyi
    alone. OpenMP's own setting stays above it: ``OMP_NUM_THREADS``, ``threadpoolctl``, and ``torch.set_num_threads``
    where PyTorch has the same OpenMP, of the thread that calls. In a forked process one thread works, and small work is
    done by one anyway. Results have the same bits on any number of threads, but for eigenvectors of a single matrix of
    512 rows or more, which gradients of orders above 64 need, for instance. What the array's own library computes, such
    as products of tensors and kernels that are called, follows its own settings, and a GPU knows none.
    Cost: none.

    Examples
    --------
    >>> import fastrenyi as fr
    >>> fr.set_num_threads(1)
    >>> fr.get_num_threads()
    1
    >>> fr.set_num_threads(None)
    """
    _backend.limit_threads(None if n is None else _check.integer(n, "n", 1))


def get_num_threads() -> int:
    """Return how many threads of the processor a call from here may use.

    Returns
    -------
    int
        The least of what ``set_num_threads``, or without it PyTorch, and OpenMP are set to.

    Raises
    ------
    None
        Nothing.

    Notes
    -----
    Cost: none.

    Examples
    --------
    >>> import fastrenyi as fr
    >>> fr.get_num_threads() >= 1
    True
    """
    most = _core.max_threads()
    return min(_backend.threads() or most, most)


@contextmanager
def settings(*, validate: bool) -> Iterator[None]:
    """Call the library in a ``with`` block without looking at the numbers that come in.

    Parameters
    ----------
    validate : bool
        Whether the numbers of arrays are looked at: finite, symmetric, of trace or sum one, with a positive diagonal.

    Returns
    -------
    context manager
        For a ``with`` statement; also a decorator of a function that makes the calls.

    Raises
    ------
    TypeError
        For what is not True or False.

    Notes
    -----
    For those who make many calls on Grams that they know to be right, as those of ``gram`` are. Kinds, shapes and
    dtypes are checked all the same. What a computation on the processor finds on its way is refused as ever: samples
    that are not finite in ``gram``, eigenvalues below zero, products of trace zero. Else the result of numbers that
    would have been refused is undefined: some number, NaN, or RuntimeError where eigenvalues do not converge; memory
    outside of the arrays is never touched, and every call ends. On a GPU nothing is looked at, so that no call waits
    for it.
    It holds for the thread that opens the block (each asyncio task its own), and for compiled code that runs in it:
    open it around a function of ``torch.compile``, not inside. What it brings is in benchmarks/README.md.
    Cost: none.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> a = fr.gram(np.arange(8.0)[:, None], bandwidth=1.0)
    >>> with fr.settings(validate=False):
    ...     s = fr.entropy(a, alpha=2), fr.entropy(2 * a, alpha=2)  # not of trace one, which nobody sees
    >>> [round(float(value), 4) for value in s]
    [2.2589, 2.2589]
    """
    token = _check.LOOKING.set(_check.flag(validate, "validate"))
    try:
        yield
    finally:
        _check.LOOKING.reset(token)
