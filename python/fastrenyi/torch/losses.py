"""Training losses of matrix-based entropies: ``nn.Module``s for minibatches of n samples, in bits by default.

All take features (n, ...), flattened to one vector per sample, compute in their dtype (half precision in single), and
are differentiable in each tensor that requires grad. A kernel's width is a constant of the gradient. Settings come from
the papers that are named; every entropy of a batch is at most log2 n, so that losses of batches of different n differ.

A minibatch of one sample has no information: the term is zero, and so is its gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import fastrenyi as fr
from fastrenyi import _check
from fastrenyi._array import has_numbers
from fastrenyi.bandwidths import BandwidthLike, NearestNeighbours, as_bandwidth
from fastrenyi.grams import channels, grams_of, vectors
from fastrenyi.kernels import KernelLike, as_kernel

__all__ = ["DistillationLoss", "InformationBottleneckLoss", "MutualInformationLoss", "TotalCorrelationLoss"]

_REDUCTIONS = ("mean", "sum", "none")


def _features(x: object, name: str, first: Tensor | None = None) -> Tensor:
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
        _same_device(x, name, first)
    return x


def _same_device(x: Tensor, name: str, first: Tensor) -> None:
    if x.device != first.device:
        expected = f"a tensor on the device of the first argument, {first.device}"
        _check.kind_error(name, expected, f"one on {x.device}", f"pass {name}.to({str(first.device)!r})")


class _KernelLoss(nn.Module):
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


class InformationBottleneckLoss(_KernelLoss):
    """Return the deterministic information bottleneck: cross entropy(logits, y) + beta I(X; Z).

    Call with logits (n, classes), y, class indices (n,) or one-hot or probabilities (n, classes), the input x (n, ...)
    and the representation z (n, ...).

    Parameters
    ----------
    beta : float
        The weight of I(X; Z), positive.
    alpha : float
        Order in [0, inf].
    kernel : str or Kernel
        As in ``fastrenyi.gram``.
    bandwidth : float, str or Bandwidth, optional
        The kernel's width, a constant of the gradient; by default the mean distance to the ten nearest neighbours (all
        others in batches of fewer).
    base : float
        Base of the logarithm; 2 gives bits.
    reduction : str
        Of the cross entropy, as in ``nn.CrossEntropyLoss``: "mean", "sum" (which adds n beta I(X; Z)) or "none" (which
        adds beta I(X; Z) to each sample's).

    Raises
    ------
    TypeError, ValueError
        Naming a setting, or ``logits``, ``y``, ``x`` or ``z``, for wrong kinds, shapes, devices and numbers, for class
        indices out of range and rows that are no probabilities; where compiled code cannot look at these, class indices
        out of range are an error of PyTorch's.

    Notes
    -----
    Cost O(n^2 d + n^3). The cross entropy is in nats and I in the unit of ``base``. The default width follows z, so
    that z that only shrinks keeps its I(X; Z); with a width that does not, such as "silverman", the penalty bites
    harder. A minibatch of one sample has no I(X; Z). Most of an I(X; Z) is there with shuffled samples as well, and so
    is most of what the penalty takes away: what z knows is ``mutual_information(..., null=k).excess``.
    Source: Yu, Yu, Principe, ICASSP 2021, arXiv 2102.00533; beta = 0.01 and alpha = 1.01 are those of its authors'
    published code for CIFAR-10, which takes z's width of neighbours as well, over sqrt(2) in our convention, and a
    fixed one for x.

    Examples
    --------
    >>> import torch, fastrenyi.torch as frt
    >>> x, weight = torch.eye(12), torch.ones(12, 3, requires_grad=True)
    >>> loss = frt.losses.InformationBottleneckLoss(beta=0.01)
    >>> loss(x @ weight, torch.arange(12) % 3, x, x @ weight).backward()
    >>> bool(weight.grad.isfinite().all())
    True
    """

    def __init__(
        self,
        beta: float = 1e-2,
        alpha: float = 1.01,
        kernel: KernelLike = "gaussian",
        bandwidth: BandwidthLike | None = "neighbours",
        *,
        base: float = 2,
        reduction: str = "mean",
    ) -> None:
        """Check the settings."""
        super().__init__(alpha, kernel, bandwidth, base)
        self.beta = _check.positive(beta, "beta")
        self.reduction = _check.choice(reduction, "reduction", _REDUCTIONS)

    def forward(self, logits: Tensor, y: Tensor, x: Tensor, z: Tensor) -> Tensor:
        """Return the loss."""
        _features(logits, "logits")
        if logits.ndim != 2:
            _check.value_error("logits", "shape (n, classes)", f"shape {tuple(logits.shape)}")
        if has_numbers(logits) and not bool(logits.isfinite().all()):
            _check.value_error("logits", "finite numbers", "NaN or infinity", "look for the layer they come from")
        # cross_entropy leaves out samples of the label ignore_index, -100 unless told otherwise, without a word.
        cross = functional.cross_entropy(
            logits, _targets(y, logits), reduction=self.reduction, ignore_index=torch.iinfo(torch.int64).min
        )
        of_x = self._gram(_features(x, "x", logits), "x")
        information = self._information(of_x, self._gram(_features(z, "z", logits).to(x.dtype), "z"))
        return cross + (len(logits) if self.reduction == "sum" else 1) * self.beta * information.to(cross.dtype)


def _targets(y: object, logits: Tensor) -> Tensor:
    """Accept class indices (n,), or one-hot rows or probabilities (n, classes)."""
    n, classes = logits.shape
    if not isinstance(y, Tensor):
        _check.kind_error("y", "a torch tensor", _check.quoted(y))
    if y.is_complex():
        _check.kind_error("y", "class indices or probabilities", f"dtype {y.dtype}", "pass y.real")
    _same_device(y, "y", logits)
    _check.array(y, "y")
    if y.shape == (n, classes):
        _check_probabilities(y)
        return y.to(logits.dtype)
    if y.shape != (n,):
        _check.value_error("y", f"class indices ({n},) or one-hot rows ({n}, {classes})", f"shape {tuple(y.shape)}")
    if y.is_floating_point() or y.dtype == torch.bool:
        _check.kind_error("y", "integer class indices", f"dtype {y.dtype}", "pass y.long()")
    # Where the numbers are not known yet, cross_entropy itself refuses them.
    if has_numbers(y) and bool(((y < 0) | (y >= classes)).any()):
        _check.value_error("y", f"class indices from 0 to {classes - 1}", f"{int(y.min())} to {int(y.max())}")
    return y.long()


def _check_probabilities(y: Tensor) -> None:
    """Refuse rows that are no distributions, up to the rounding of half precision or of a softmax over many classes."""
    if not has_numbers(y):
        return
    sums = y.detach().double().sum(dim=1)
    tolerance = 1e-2 if y.is_floating_point() and y.element_size() == 2 else 1e-3
    wrong = ~((sums - 1).abs() <= tolerance) | (y < 0).any(dim=1)  # of NaN as well
    if bool(wrong.any()):
        row = int(wrong.int().argmax())
        got = f"row {row} with smallest entry {float(y[row].min()):g} and sum {float(sums[row]):g}"
        _check.value_error("y", "rows of probabilities, none negative, that sum to one", got, "normalise the rows")


class DistillationLoss(_KernelLoss):
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
        a = self._gram(_features(student, "student"), "student")
        taught = _features(teacher, "teacher", student).detach().to(student.dtype)
        return -self._information(a, self._gram(taught, "teacher"))


class MutualInformationLoss(_KernelLoss):
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
        first = self._gram(_features(a, "a"), "a")
        n = a.shape[0]
        second = self._gram(_features(b, "b", a).to(a.dtype), "b")
        if self.permutations == 0:
            return -self._information(first, second)
        orders = torch.stack([torch.randperm(n, generator=self.generator) for _ in range(self.permutations)])
        mixed = second[orders[:, :, None], orders[:, None, :]]
        paired: Tensor = fr.joint_entropy(first, second, alpha=self.alpha, base=self.base)
        apart: Tensor = fr.joint_entropy(first, mixed, alpha=self.alpha, base=self.base)
        return paired - apart.mean()


class TotalCorrelationLoss(_KernelLoss):
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
        _features(z, "z")
        if z.ndim != 2 or z.shape[1] < 2:
            _check.value_error("z", "shape (n, d) with d >= 2", f"shape {tuple(z.shape)}")
        grams = grams_of(z, channels(z), self.kernel, self.bandwidth, "z")
        found: Tensor = fr.total_correlation(
            *grams.unbind(), normalized=self.normalized, alpha=self.alpha, base=self.base
        )
        # A share of nothing, such as one sample has, is NaN: nothing to learn from it.
        return torch.where(found.isnan(), 0, found) if self.normalized else found
