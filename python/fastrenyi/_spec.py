"""What a kernel is to the operations, in Python as in C++ (csrc/ops/gram.hpp, linear_gram.hpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["KernelSpec", "LinearSpec"]


class KernelSpec(NamedTuple):
    """A kernel without its width: "gaussian" and "laplacian" have one, "polynomial" and "cosine" none."""

    kind: str
    degree: int
    gamma: float
    coef0: float

    @classmethod
    def plain(cls, kind: str) -> KernelSpec:
        """Return a kernel without a setting. (Of defaults, torch.compile would make symbols.)"""
        return cls(kind, 1, 1.0, 0.0)

    @property
    def widthed(self) -> bool:
        """Whether it is a kernel of the distance between two samples over a width."""
        return self.kind in ("gaussian", "laplacian")

    @property
    def metric(self) -> str:
        """The distance that it is a kernel of."""
        return "euclidean" if self.kind == "gaussian" else "manhattan"


class LinearSpec(NamedTuple):
    """What is done to samples before their products are taken, and whose products: a linear kernel."""

    center: str
    """Over what means are taken away: "samples", "features", "both" or, of none, ""."""
    normalized: bool
    side: str

    @property
    def of_samples(self) -> bool:
        """Whether the mean over samples is taken away from each feature."""
        return self.center in ("samples", "both")

    @property
    def of_features(self) -> bool:
        """Whether the mean over features is taken away from each sample."""
        return self.center in ("features", "both")

    def order(self, n: int, d: int) -> int:
        """Return the order of the Gram of n samples of d features."""
        return {"samples": n, "features": d, "smaller": min(n, d)}[self.side]

    def takes_samples(self, n: int, d: int, sizes: Sequence[int]) -> list[bool]:
        """Return of which sets products of samples are taken, not of features: of n in one, or of so many in each."""
        return [self.side == "samples" or (self.side == "smaller" and size <= d) for size in sizes or [n]]
