"""Which rows of what has n of them are in this process: all, or those of one rank of a group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastrenyi._array import Values

__all__ = ["ALONE", "Rows"]

T = TypeVar("T")


class Rows:
    """One process that has all rows. ``fastrenyi.torch.ranks`` has those of a rank.

    What a method returns is the same on all ranks, but for ``own`` and ``share``.
    """

    together = 1
    """Processes that share this machine's memory."""
    first = True
    """Whether this is the process that speaks."""

    def own(self, whole: Values) -> Values:
        """Return the rows that are here, of all of them."""
        return whole

    def whole(self, own: Values, n: int) -> Values:
        """Return all n rows, from those that are here."""
        return own

    def share(self, work: Sequence[T]) -> Sequence[T]:
        """Return what of some pieces of work is done here."""
        return work

    def total(self, part: Values) -> Values:
        """Return the sum over the ranks."""
        return part

    def least(self, number: float) -> float:
        """Return the smallest of the ranks' numbers."""
        return number

    def once(self, compute: Callable[[], T]) -> T:
        """Return what is computed in one place, so that rounding leads all ranks the same way."""
        return compute()

    def each(self, compute: Callable[[], T]) -> list[T]:
        """Return what each rank computes."""
        return [compute()]

    def __eq__(self, other: Any) -> bool:
        """Whether rows are shared out alike."""
        return type(self) is type(other)

    def __hash__(self) -> int:
        """Go with equality."""
        return hash(type(self))

    def __repr__(self) -> str:
        """Whose rows they are."""
        return "this process"


ALONE = Rows()
