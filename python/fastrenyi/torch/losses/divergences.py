"""Losses of how far apart two samples are, as the densities that a kernel estimates."""

from __future__ import annotations

import math

from torch import Tensor, nn

from fastrenyi import _check
from fastrenyi.bandwidths import BandwidthLike
from fastrenyi.divergence import log_means
from fastrenyi.kernels import KernelLike, Linear, as_kernel
from fastrenyi.torch.losses._kernel import as_samples, features_of, same_device

__all__ = ["CauchySchwarzLoss", "RelevantInformationLoss"]


class _DensityLoss(nn.Module):
    """A loss of the means of a kernel within and between two samples."""

    def __init__(self, kernel: KernelLike, bandwidth: BandwidthLike | None, base: float) -> None:
        super().__init__()
        self._unit = _check.unit(base) / math.log(2)
        if isinstance(as_kernel(kernel, bandwidth), Linear):
            _check.value_error("kernel", "one of unit diagonal", repr(kernel), 'take "cosine"')
        self.kernel, self.bandwidth, self.base = kernel, bandwidth, base

    def extra_repr(self) -> str:
        """Return the settings, for print."""
        return f"kernel={self.kernel!r}, bandwidth={self.bandwidth!r}, base={self.base}"

    def _means(self, x: Tensor, y: Tensor, names: tuple[str, str]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logarithms of the means of the kernel within x, within y, and between them."""
        left, right = features_of(x, names[0]), features_of(y, names[1])
        same_device(right, names[1], left)
        samples = as_samples(left)
        *found, _ = log_means(samples, as_samples(right).to(samples.dtype), self.kernel, self.bandwidth, names)
        within, of_y, between = (part * self._unit for part in found)
        return within, of_y, between


class CauchySchwarzLoss(_DensityLoss):
    """Return the divergence of Cauchy and Schwarz of two samples: log mean k(x, x') + log mean k(y, y') - 2 log mean k.

    Call with features x (n, ...) and y (m, ...) of one size; n and m may differ.

    Parameters
    ----------
    kernel : str or Kernel
        As in ``fastrenyi.gram``, of unit diagonal.
    bandwidth : float, str or Bandwidth, optional
        The kernel's width, a constant of the gradient; a rule looks at both samples as one.
    base : float
        Base of the logarithm; 2 gives bits.

    Raises
    ------
    TypeError, ValueError
        Naming a setting, ``x`` or ``y``, also for samples so far apart for the kernel that their mean is zero.

    Notes
    -----
    Zero for equal samples: it draws the distributions of two domains or of a model and data together. Cost
    O((n + m)^2 d). It is ``fastrenyi.cauchy_schwarz_divergence``.
    Source: Jenssen, Principe, Erdogmus, Eltoft, J. Franklin Institute 343(6), 2006.

    Examples
    --------
    >>> import torch, fastrenyi.torch as frt
    >>> x = torch.tensor([[0.0], [1.0]])
    >>> loss = frt.losses.CauchySchwarzLoss(bandwidth=1.0)
    >>> abs(round(float(loss(x, x.flip(0))), 6)), bool(loss(x, x + 2) > loss(x, x + 1))
    (0.0, True)
    """

    def __init__(
        self, kernel: KernelLike = "gaussian", bandwidth: BandwidthLike | None = "median", *, base: float = 2
    ) -> None:
        """Check the settings."""
        super().__init__(kernel, bandwidth, base)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the loss."""
        within, of_y, between = self._means(x, y, ("x", "y"))
        return (within + of_y - 2 * between).to(x.dtype)


class RelevantInformationLoss(_DensityLoss):
    """Return the principle of relevant information: H_2(Z) + beta D_CS(Z, X), by one kernel for both.

    H_2(Z) = -log mean k(z, z') is the quadratic entropy of the density that the kernel estimates, up to a constant;
    D_CS the divergence of Cauchy and Schwarz. Call with z (m, ...), which is learned, and the data x (n, ...).

    Parameters
    ----------
    beta : float
        The weight of the divergence, above zero: z goes to one point as it goes to zero, to modes of x at one, to x as
        it grows.
    kernel : str or Kernel
        As in ``fastrenyi.gram``, of unit diagonal.
    bandwidth : float, str or Bandwidth, optional
        The kernel's width, a constant of the gradient; a rule looks at both samples as one.
    base : float
        Base of the logarithm; 2 gives bits.

    Raises
    ------
    TypeError, ValueError
        Naming a setting, ``z`` or ``x``, also for samples so far apart for the kernel that their mean is zero.

    Notes
    -----
    With z = x at first. Cost O((n + m)^2 d). The fixed point of its authors' published code is where the gradient of
    this is zero, for the same width. H_2 is not the matrix-based entropy of order 2, which has the squared kernel: of a
    Gaussian one that of the width over sqrt(2).
    Source: Principe, Information Theoretic Learning, Springer 2010, chapter 8; Wei, Yu, Sanchez Giraldo, Principe,
    Machine Learning, 2021.

    Examples
    --------
    >>> import torch, fastrenyi.torch as frt
    >>> x = torch.tensor([[0.0], [1.0], [5.0], [6.0]])
    >>> loss = frt.losses.RelevantInformationLoss(beta=2.0, bandwidth=1.0)
    >>> bool(loss(x.round(decimals=-1), x) > loss(x, x))
    True
    """

    def __init__(
        self,
        beta: float = 2.0,
        kernel: KernelLike = "gaussian",
        bandwidth: BandwidthLike | None = "median",
        *,
        base: float = 2,
    ) -> None:
        """Check the settings."""
        super().__init__(kernel, bandwidth, base)
        self.beta = _check.positive(beta, "beta")

    def extra_repr(self) -> str:
        """Return the settings, for print."""
        return f"beta={self.beta}, {super().extra_repr()}"

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        """Return the loss."""
        within, of_x, between = self._means(z, x, ("z", "x"))
        return (self.beta * (within + of_x - 2 * between) - within).to(z.dtype)
