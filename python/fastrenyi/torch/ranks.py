"""The rows of large Grams on the ranks of a process group."""

from __future__ import annotations

import atexit
import platform
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist

from fastrenyi import _check
from fastrenyi._array import Values
from fastrenyi.large.rows import Rows

__all__ = ["Ranks", "ranks"]

T = TypeVar("T")

_GROUPS: weakref.WeakSet[dist.ProcessGroup] = weakref.WeakSet()
_LAST_TENSORS_SECONDS = 0.1


@atexit.register
def _let_threads_drop_tensors() -> None:
    """Leave the interpreter's lock to the threads of groups that are still there.

    Each takes it to drop the tensors of its last call, and one that waits for it while Python ends aborts the process.
    A destroyed group is still there where somebody holds it, as do defaults in ``torch.distributed.nn``, which comes
    with the compiler. pytorch/pytorch#190489.
    """
    if _GROUPS:
        time.sleep(_LAST_TENSORS_SECONDS)


class Ranks(Rows):
    """The ranks of a process group: each has as many rows as another, in order, and some of the tiles.

    A rank that dies ends the others' next call with the group's own error, at its timeout at the latest.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        """Find out who is there: every rank of the group has to."""
        self._held = weakref.ref(group)  # weak, so that destroy_process_group ends its threads though Grams are there
        _GROUPS.add(group)
        self._rank, self._count = dist.get_rank(group), dist.get_world_size(group)
        self._root = dist.get_global_rank(group, 0)
        # What NCCL moves is in a GPU's memory.
        self._device = "cuda" if dist.get_backend(group) == "nccl" else "cpu"
        machine = platform.node()
        self.together = self.each(lambda: machine).count(machine)
        self.first = self._rank == 0

    def own(self, whole: Values) -> Values:
        """Return the rows of this rank."""
        each = self._each(len(whole))
        return whole[self._rank * each : (self._rank + 1) * each]

    def whole(self, own: Values, n: int) -> Values:
        """Gather the rows of all ranks."""
        padded = torch.zeros((self._each(n), *own.shape[1:]), dtype=torch.float64)
        padded[: len(own)] = torch.from_numpy(own)
        padded = padded.to(self._device)
        parts = [torch.empty_like(padded) for _ in range(self._count)]
        dist.all_gather(parts, padded, group=self._group)
        return torch.cat(parts)[:n].numpy(force=True)

    def share(self, work: Sequence[T]) -> Sequence[T]:
        """Take each piece that is as far as this rank from the one before."""
        return work[self._rank :: self._count]

    def total(self, part: Values) -> Values:
        """Sum over the ranks."""
        return self._reduced(part, dist.ReduceOp.SUM)

    def least(self, number: float) -> float:
        """Return the smallest number of any rank."""
        return float(self._reduced(np.array([number]), dist.ReduceOp.MIN)[0])

    def once(self, compute: Callable[[], T]) -> T:
        """Compute on the first rank; an error there is one on all."""
        found = [_outcome(compute) if self.first else None]
        dist.broadcast_object_list(found, src=self._root, group=self._group)
        value = found[0]
        if isinstance(value, _Failed):
            raise value.error
        return value  # type: ignore[return-value]

    def each(self, compute: Callable[[], T]) -> list[T]:
        """Return what each rank computes; an error on one is one on all."""
        own = _outcome(compute)
        found: list[Any] = [None] * self._count
        dist.all_gather_object(found, own, group=self._group)
        failed = [value for value in [own, *found] if isinstance(value, _Failed)]
        if failed:
            raise failed[0].error
        return found

    def __eq__(self, other: object) -> bool:
        """Whether it is the same group."""
        return isinstance(other, Ranks) and self._held == other._held

    def __hash__(self) -> int:
        """Go with equality."""
        return hash(self._count)

    def __repr__(self) -> str:
        """How many there are."""
        return f"rank {self._rank} of {self._count}"

    @property
    def _group(self) -> dist.ProcessGroup:
        group = self._held()
        if group is None:
            _check.value_error(
                "group", "the process group that the lazy Gram was made in", "one that is destroyed",
                "compute before torch.distributed.destroy_process_group",
            )  # fmt: skip
        return group

    def _each(self, n: int) -> int:
        return -(-n // self._count)

    def _reduced(self, part: Values, operation: Any) -> Values:
        summed = torch.from_numpy(part).to(self._device, copy=True)
        dist.all_reduce(summed, operation, group=self._group)
        return summed.numpy(force=True)


class _Failed:
    """An error that has to be raised on every rank."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _outcome(compute: Callable[[], T]) -> T | _Failed:
    try:
        return compute()
    except Exception as error:  # of whatever kind, the other ranks are waiting
        return _Failed(error)


def ranks(group: object) -> Ranks:
    """Return the ranks of a group, of which this process has to be one."""
    if not (dist.is_available() and dist.is_initialized()):
        _check.value_error(
            "group", "a process group of torch.distributed", "none that is initialised",
            "call torch.distributed.init_process_group first",
        )  # fmt: skip
    if not isinstance(group, dist.ProcessGroup):
        _check.kind_error("group", "a process group of torch.distributed, such as torch.distributed.group.WORLD", group)
    if dist.get_rank(group) < 0:
        _check.value_error("group", "a group that this process belongs to", "another", "call only on its ranks")
    return Ranks(group)
