"""Losses of two views of the same samples, and of the dimensions of a representation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import fastrenyi as fr
from fastrenyi import _check, _samples
from fastrenyi._array import has_numbers, home_of, wrap
from fastrenyi.bandwidths import BandwidthLike
from fastrenyi.grams import channels, grams_of
from fastrenyi.kernels import KernelLike
from fastrenyi.torch.losses._kernel import KernelLoss, as_samples, features_of
from fastrenyi.torch.ops._shared import in_its_own_dtype

__all__ = ["MatrixSSLLoss", "MutualInformationLoss", "TotalCorrelationLoss"]


class MutualInformationLoss(KernelLoss):
    """Return the difference of entropies of two views, negative: S(A, B) - mean over permutations of S(A, P B P^T).

    Call with a (n, ...) and b (n, ...); minimise to maximise their mutual information.

    Parameters
    ----------
    alpha : float
        Order in [0, inf].
    kernel : str or Kernel
        As in ``fastrenyi.gram``.
    bandwidth : float, str or Bandwidth, optional
        The kernel's width, a constant of the gradient.
    permutations : int
        How many random pairings are averaged; 0 gives -I(A; B) itself.
    base : float
        Base of the logarithm; 2 gives bits.
    generator : torch.Generator, optional
        Draws the permutations.

    Raises
    ------
    TypeError, ValueError
        Naming a setting, ``a`` or ``b``.

    Notes
    -----
    What joint entropy the pairing of the views saves against views paired at random: a bound on mutual information that
    neither constant nor wholly distinct samples make large. Cost O(n^2 d + n^3) per permutation.
    Source: Skean, Hoyos Osorio, Brockmeier, Sanchez Giraldo, arXiv 2301.08164.

    Examples
    --------
    >>> import torch, fastrenyi.torch as frt
    >>> x = torch.randn(32, 2, generator=torch.Generator().manual_seed(0))
    >>> loss = frt.losses.MutualInformationLoss(generator=torch.Generator().manual_seed(0))
    >>> bool(loss(x, x) < loss(x, x.flip(0)))
    True
    """

    def __init__(
        self,
        alpha: float = 1.01,
        kernel: KernelLike = "gaussian",
        bandwidth: BandwidthLike | None = "median",
        *,
        permutations: int = 1,
        base: float = 2,
        generator: torch.Generator | None = None,
    ) -> None:
        """Check the settings."""
        super().__init__(alpha, kernel, bandwidth, base)
        self.permutations = _check.integer(permutations, "permutations", 0)
        if generator is not None and not isinstance(generator, torch.Generator):
            _check.kind_error("generator", "a torch.Generator or None", _check.quoted(generator))
        self.generator = generator

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the loss."""
        first = self._gram(features_of(a, "a"), "a")
        n = a.shape[0]
        second = self._gram(features_of(b, "b", a).to(a.dtype), "b")
        if self.permutations == 0:
            return -self._information(first, second)
        orders = torch.stack([torch.randperm(n, generator=self.generator) for _ in range(self.permutations)])
        mixed = second[orders[:, :, None], orders[:, None, :]]
        paired: Tensor = fr.joint_entropy(first, second, alpha=self.alpha, base=self.base)
        apart: Tensor = fr.joint_entropy(first, mixed, alpha=self.alpha, base=self.base)
        return paired - apart.mean()


class TotalCorrelationLoss(KernelLoss):
    """Return the total correlation of the dimensions of a representation: sum_k S(Z_k) - S(Z_1, ..., Z_d).

    Call with z (n, d); each dimension has a Gram and a width of its own.

    Parameters
    ----------
    alpha : float
        Order in [0, inf].
    kernel : str or Kernel
        As in ``fastrenyi.gram``.
    bandwidth : float, str or Bandwidth, optional
        The kernel's width, a constant of the gradient.
    normalized : bool
        True divides by the largest it can be, as ``total_correlation``; where that is nothing, the loss is zero.
    base : float
        Base of the logarithm; 2 gives bits.

    Raises
    ------
    TypeError, ValueError
        Naming a setting or ``z``.

    Notes
    -----
    A penalty for disentangling: zero for independent dimensions. Cost O(d n^3).
    Source: Yu, Alesiani, Yu, Jenssen, Principe, AAAI 2021.

    Examples
    --------
    >>> import torch, fastrenyi.torch as frt
    >>> z = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(float(frt.losses.TotalCorrelationLoss(kernel="delta")(z)), 5)
    0.0
    """

    def __init__(
        self,
        alpha: float = 1.01,
        kernel: KernelLike = "gaussian",
        bandwidth: BandwidthLike | None = None,
        *,
        normalized: bool = False,
        base: float = 2,
    ) -> None:
        """Check the settings."""
        super().__init__(alpha, kernel, bandwidth, base)
        self.normalized = _check.flag(normalized, "normalized")

    def forward(self, z: Tensor) -> Tensor:
        """Return the loss."""
        features_of(z, "z")
        if z.ndim != 2 or z.shape[1] < 2:
            _check.value_error("z", "shape (n, d) with d >= 2", f"shape {tuple(z.shape)}")
        grams = grams_of(z, channels(z), self.kernel, self.bandwidth, "z")
        found: Tensor = fr.total_correlation(
            *grams.unbind(), normalized=self.normalized, alpha=self.alpha, base=self.base
        )
        # A share of nothing, such as one sample has, is NaN: nothing to learn from it.
        return torch.where(found.isnan(), 0, found) if self.normalized else found


class MatrixSSLLoss(nn.Module):
    """Return the matrix cross entropies of Matrix-SSL: -u tr log(C_ab + r I) - g tr((C_aa + r I) log(C_bb + r I)).

    C_ab = A' J B / n of rows of length one, less their mean over samples (J = I - 1 1' / n). The first term wants the
    covariance of the views uniform, the second those of both to be the same. Call with views a (n, ...) and b (n, ...)
    of one size.

    Parameters
    ----------
    uniformity, alignment : float
        The weights u and g of the two terms, not negative.
    ridge : float
        r, above zero, which keeps the logarithm from what has none.
    order : int
        How many terms of the series of the logarithm about I are taken.

    Raises
    ------
    TypeError, ValueError
        Naming a setting, ``a`` or ``b``.

    Notes
    -----
    In nats. The logarithm is its series, log(I + E) = E - E^2 / 2 + ..., which is finite for every matrix and has no
    floor; it is the logarithm where E has eigenvalues below one, as with the default ridge, of which E is a covariance
    of trace up to one. A row of zeros stays zero. Cost O(n d^2 + order d^3).

    This is what the published code computes for one pair of views; its training adds the loss of both pairs of
    prediction and target. The paper's matrix divergence has terms tr(P log P - P + Q) more, which are not here. Other
    defaults of that code: weights and ridge of 0.5.
    Source: Zhang, Tan, Yang, Huang, Yuan, Matrix information theory for self-supervised learning, ICML 2024, arXiv
    2305.17326, and its code, ``mce_loss_func``.

    Examples
    --------
    >>> import torch, fastrenyi.torch as frt
    >>> a = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    >>> loss = frt.losses.MatrixSSLLoss()
    >>> bool(loss(a, a) < loss(a, a[:, :1].expand(64, 4))), bool(loss(a, a) < loss(a, a.flip(0)))
    (True, True)
    """

    def __init__(self, uniformity: float = 1.0, alignment: float = 1.0, ridge: float = 1.0, order: int = 4) -> None:
        """Check the settings."""
        super().__init__()
        self.uniformity = _check.not_negative(uniformity, "uniformity")
        self.alignment = _check.not_negative(alignment, "alignment")
        self.ridge, self.order = _check.positive(ridge, "ridge"), _check.integer(order, "order", 1)

    def extra_repr(self) -> str:
        """Return the settings, for print."""
        return f"uniformity={self.uniformity}, alignment={self.alignment}, ridge={self.ridge}, order={self.order}"

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the loss."""
        first, second = features_of(a, "a"), features_of(b, "b", a)
        for x, name in ((first, "a"), (second, "b")):
            if has_numbers(x):
                _check.finite(wrap(x), name)
        left, right = as_samples(first), as_samples(second)
        if left.shape != right.shape:
            _check.value_error("b", f"{left.shape[1]} features, as a", f"{right.shape[1]}")
        weights = self.uniformity, self.alignment
        return _cross_entropies(_rows(left), _rows(right.to(left.dtype)), weights, self.ridge, self.order).to(a.dtype)


def _rows(x: Tensor) -> Tensor:
    """Return samples of length one, less their mean."""
    rows: Tensor = _samples.prepared(x, home_of(x), None, True)
    return rows - rows.mean(0)


@in_its_own_dtype
def _cross_entropies(p: Tensor, q: Tensor, weights: tuple[float, float], ridge: float, order: int) -> Tensor:
    n, eye = len(p), torch.eye(p.shape[1], dtype=p.dtype, device=p.device)
    between, of_p, of_q = p.mT @ q / n, p.mT @ p / n, q.mT @ q / n
    uniformity, alignment = weights
    same = (of_p + ridge * eye) * _logarithm(of_q + (ridge - 1) * eye, order)  # symmetric both: their product's trace
    return -uniformity * _logarithm(between + (ridge - 1) * eye, order).trace() - alignment * same.sum()


def _logarithm(e: Tensor, order: int) -> Tensor:
    """Return the series of log(I + E), by Horner's rule."""
    found = torch.zeros_like(e)
    eye = torch.eye(len(e), dtype=e.dtype, device=e.device)
    for k in range(order, 0, -1):
        found = e @ (found + (-1) ** (k + 1) / k * eye)
    return found
