"""By which precision the matrices of an operation are judged: that of their dtype, or a lower one that they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from fastrenyi import _matrices
from fastrenyi._array import Array, home_of, made_in
from fastrenyi._errors import NotPositiveSemidefiniteError

__all__ = ["judged"]

ResultT = TypeVar("ResultT")


def judged(grams: Sequence[Array], measure: Callable[[float], ResultT]) -> ResultT:
    """Return what an operation gives with the epsilon that rounding of these Grams is to be judged by.

    That is their dtype's. Where matrices are indefinite by it, the numbers are looked at, and once more all are judged
    by the lowest precision that one of the Grams was made in, as if they all had come in that dtype.
    """
    home = home_of(grams[0])
    try:
        return measure(home.epsilon)
    except NotPositiveSemidefiniteError as error:
        found = error.with_traceback(None)  # whose frames hold arrays
    lowest = max((made_in(a) for a in grams), key=lambda made: made.epsilon)
    if lowest != home:
        try:
            return measure(lowest.epsilon)
        except NotPositiveSemidefiniteError as error:
            found = error.with_traceback(None)
    _matrices.beyond_rounding(found, lowest)
