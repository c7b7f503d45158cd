"""Losses by which a student learns a teacher's features."""

from __future__ import annotations

from torch import Tensor, nn

from fastrenyi import _check, _samples
from fastrenyi._array import has_numbers, home_of, wrap
from fastrenyi.bandwidths import BandwidthLike
from fastrenyi.kernels import KernelLike
from fastrenyi.torch.losses._kernel import KernelLoss, as_samples, features_of

__all__ = ["CorrelationLoss", "DistillationLoss"]


class DistillationLoss(KernelLoss):
    """Return the information a student's features miss of a teacher's: -I(S; T), least where S knows all of T.

    Call with features student (n, ...) and teacher (n, ...), of any sizes; no gradient goes to the teacher.

    Parameters
    ----------
    alpha : float
        Order in [0, inf].
    kernel : str or Kernel
        As in ``fastrenyi.gram``.
    bandwidth : float, str or Bandwidth, optional
        The kernel's width, a constant of the gradient.
    base : float
        Base of the logarithm; 2 gives bits.

    Raises
    ------
    TypeError, ValueError
        Naming a setting, ``student`` or ``teacher``; the cosine kernel refuses a sample that is all zero.

    Notes
    -----
    Cost O(n^2 d), and O(n^3) for other orders than 2, the default, which needs no spectrum; 1.01 is close to Shannon.
    Add it, weighted, to the task's own loss.
    Source: the mutual information term of Miles, Lopez Rodriguez, Mikolajczyk, BMVC 2022, arXiv 2112.00459, here with
    the teacher's own entropy, which is constant.

    Examples
    --------
    >>> import torch, fastrenyi.torch as frt
    >>> x = torch.eye(4)
    >>> round(float(frt.losses.DistillationLoss()(x, 3 * x)), 6)
    -2.0
    """

    def __init__(
        self,
        alpha: float = 2.0,
        kernel: KernelLike = "cosine",
        bandwidth: BandwidthLike | None = None,
        *,
        base: float = 2,
    ) -> None:
        """Check the settings."""
        super().__init__(alpha, kernel, bandwidth, base)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss."""
        a = self._gram(features_of(student, "student"), "student")
        taught = features_of(teacher, "teacher", student).detach().to(student.dtype)
        return -self._information(a, self._gram(taught, "teacher"))


class CorrelationLoss(nn.Module):
    """Return how far a student's features are from correlating with a teacher's: log sum_k |c_k - 1|^(2 alpha).

    c_k is the mean over samples of the product of feature k of both, each less its mean and over its standard deviation
    (divisor n - 1). Call with features student (n, ...) and teacher (n, ...) of one size; no gradient goes to the
    teacher.

    Parameters
    ----------
    alpha : float
        Above zero.
    base : float
        Base of the logarithm; 2 as published.

    Raises
    ------
    TypeError, ValueError
        Naming a setting, ``student`` or ``teacher``.

    Notes
    -----
    The two divisors make c_k (n - 1) / n of the correlation, so that the logarithm of features that agree is finite:
    log d - 2 alpha log n. A feature that does not vary correlates with none: of one sample the loss is log d, without a
    gradient. Cost O(n d). Where sizes differ, a linear layer comes before it.
    Source: the correlation term of Miles, Lopez Rodriguez, Mikolajczyk, BMVC 2022, arXiv 2112.00459; alpha = 1.5 as in
    published code, which adds it with weight 2 to 0.05 times the information term, ``DistillationLoss``.

    Examples
    --------
    >>> import torch, fastrenyi.torch as frt
    >>> x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
    >>> loss = frt.losses.CorrelationLoss()
    >>> round(float(loss(x, 2 * x)), 4), round(float(loss(x, -x)), 4)  # 1 - 2 * 1.5 * log2 4
    (-5.0, 3.4221)
    """

    def __init__(self, alpha: float = 1.5, *, base: float = 2) -> None:
        """Check the settings."""
        super().__init__()
        self.alpha, self._unit = _check.positive(alpha, "alpha"), _check.unit(base)
        self.base = base

    def extra_repr(self) -> str:
        """Return the settings, for print."""
        return f"alpha={self.alpha}, base={self.base}"

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss."""
        first = _standardised(features_of(student, "student"), "student")
        second = _standardised(features_of(teacher, "teacher", student).detach(), "teacher").to(first.dtype)
        if first.shape != second.shape:
            _check.value_error("teacher", f"{len(first)} features, as student", f"{len(second)}", "add a linear layer")
        n = student.shape[0]
        c = (first * second).sum(-1) * ((n - 1) / n)
        return (self._unit * ((1 - c) ** (2 * self.alpha)).sum().log2()).to(student.dtype)


def _standardised(x: Tensor, name: str) -> Tensor:
    """Return each feature as a row (d, n), less its mean and of length one; zeros where it does not vary."""
    if has_numbers(x):
        _check.finite(wrap(x), name)
    samples = as_samples(x)
    found: Tensor = _samples.prepared(samples.mT, home_of(samples), "features", True)
    return found
