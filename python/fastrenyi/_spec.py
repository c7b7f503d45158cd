"""What a kernel is to the operations, in Python as in C++ (csrc/ops/gram.hpp)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["KernelSpec"]


class KernelSpec(NamedTuple):
    """A kernel without its width: "gaussian" and "laplacian" have one, "polynomial", "cosine", "linear" none."""

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
    def linear(self) -> bool:
        """Whether it is the products of samples, divided by their trace."""
        return self.kind == "linear"

    @property
    def metric(self) -> str:
        """The distance that it is a kernel of."""
        return "euclidean" if self.kind == "gaussian" else "manhattan"
