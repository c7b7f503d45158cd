"""What losses share: the features they accept, and how Grams are made of them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

import fastrenyi as fr
from fastrenyi import _check
from fastrenyi.bandwidths import BandwidthLike, NearestNeighbours, as_bandwidth
from fastrenyi.grams import grams_of, vectors
from fastrenyi.kernels import KernelLike, as_kernel

__all__ = ["KernelLoss", "as_samples", "features_of", "same_device"]


def features_of(x: object, name: str, first: Tensor | None = None) -> Tensor:
    """Accept features (n, ...) of a minibatch, with as many samples as the first argument and on its device."""
    if not isinstance(x, Tensor):
        _check.kind_error(name, "a torch tensor", _check.quoted(x))
    _check.real(x, name)
    if x.ndim == 0 or 0 in x.shape:
        _check.value_error(name, "features (n, ...) of at least one sample", f"shape {tuple(x.shape)}")
    if first is not None:
        if x.shape[0] != first.shape[0]:
            expected = f"as many samples as the first argument, {first.shape[0]}"
            _check.value_error(name, expected, f"shape {tuple(x.shape)}")
        same_device(x, name, first)
    return x


def same_device(x: Tensor, name: str, first: Tensor) -> None:
    if x.device != first.device:
        expected = f"a tensor on the device of the first argument, {first.device}"
        _check.kind_error(name, expected, f"one on {x.device}", f"pass {name}.to({str(first.device)!r})")


def as_samples(x: Tensor) -> Tensor:
    """Return features (n, ...) as samples (n, d) in the dtype they are computed in: half precision as single."""
    flat: Tensor = vectors(x)
    return flat.float() if x.element_size() == 2 else flat


class KernelLoss(nn.Module):
    """A loss of Grams: how they are made, and of which order."""

    def __init__(self, alpha: float, kernel: KernelLike, bandwidth: BandwidthLike | None, base: float) -> None:
        super().__init__()
        orders, one = _check.orders(alpha)
        if not one:
            _check.value_error("alpha", "one order, as a loss is one number", alpha)
        _check.unit(base)
        as_kernel(kernel, bandwidth)
        self.alpha, self.kernel, self.bandwidth, self.base = orders[0], kernel, bandwidth, base

    def extra_repr(self) -> str:
        """Return the settings, for print."""
        return f"alpha={self.alpha}, kernel={self.kernel!r}, bandwidth={self.bandwidth!r}, base={self.base}"

    def _gram(self, x: Tensor, name: str) -> Tensor:
        bandwidth = None if self.bandwidth is None else as_bandwidth(self.bandwidth)
        if isinstance(bandwidth, NearestNeighbours) and x.shape[0] <= bandwidth.k:
            # The last batch of an epoch may have fewer samples than neighbours: all others then, one alone any width.
            bandwidth = as_bandwidth(1.0) if x.shape[0] == 1 else NearestNeighbours(x.shape[0] - 1, bandwidth.scale)
        found: Tensor = grams_of(x, vectors(x), self.kernel, bandwidth, name)
        return found

    def _information(self, a: Any, b: Any) -> Tensor:
        found: Tensor = fr.mutual_information(a, b, alpha=self.alpha, base=self.base)
        return found
