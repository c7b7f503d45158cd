"""Joint variables: which Grams they are made of, and which of them a kernel speaks of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastrenyi import _check, _matrices
from fastrenyi._array import Array, Verdict

__all__ = ["Joints", "pair_name"]


class Joints:
    """Subsets of Grams (..., n, n) whose batch axes broadcast, by position: a batch of joint variables for each.

    Each at its own batch shape, so that what does not vary over the batch is computed once; one after the other as one
    batch, in which kernels count.
    """

    def __init__(self, grams: Sequence[Array], subsets: Sequence[Sequence[int]], names: Sequence[str]) -> None:
        """Find the batch shapes; ``names`` are the subsets' in messages."""
        self.grams, self.subsets, self._names = grams, subsets, names
        self.n = int(grams[0].shape[-1])
        shapes = [tuple(a.shape[:-2]) for a in grams]
        self.alike = shapes.count(shapes[0]) == len(shapes)
        self.batches = [shapes[0]] * len(subsets)
        if not self.alike:
            self.batches = [np.broadcast_shapes(*(shapes[i] for i in subset)) for subset in subsets]
        self.starts = [0, *itertools.accumulate(map(math.prod, self.batches))]

    def __len__(self) -> int:
        return len(self.subsets)

    def part(self, k: int) -> slice:
        """Return where the joint variables of a subset stand in the batch of all."""
        return slice(self.starts[k], self.starts[k + 1])

    def factors(self, k: int, xp: Any = np) -> list[Array]:
        """Return the Grams (b, n, n) of a subset, by their library: views where the strides allow."""
        factors = [self.grams[i] for i in self.subsets[k]]
        if not self.alike:
            whole = (*self.batches[k], self.n, self.n)
            factors = [a if tuple(a.shape) == whole else xp.broadcast_to(a, whole) for a in factors]
        return [_check.flat_batch(a, 2) for a in factors]

    def refuse(self, found: Verdict, first: int = 0) -> None:
        """Raise what a kernel found wrong with the batch of all, or of all from a subset on, if it did."""
        if found is not None:
            kind, index, value = found
            index += self.starts[first]
            k = next(k for k, end in enumerate(self.starts[1:]) if index < end)
            _matrices.verdict((kind, index - self.starts[k], value), self._names[k], self.batches[k])


def pair_name(i: Any, j: Any) -> str:
    """Return what messages call a pair of maps, which is one map where it is twice the same."""
    return f"maps[{i}]" if i == j else f"maps[{i}], maps[{j}]"
