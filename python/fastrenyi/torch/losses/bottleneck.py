"""Losses that take away what a representation knows of its input."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

import fastrenyi as fr
from fastrenyi import _check
from fastrenyi._array import has_numbers
from fastrenyi.bandwidths import BandwidthLike
from fastrenyi.grams import grams_of
from fastrenyi.kernels import KernelLike
from fastrenyi.torch.losses._kernel import KernelLoss, as_samples, features_of, same_device

__all__ = ["InformationBottleneckLoss", "NoisyInformationLoss"]

_REDUCTIONS = ("mean", "sum", "none")


class InformationBottleneckLoss(KernelLoss):
    """Return the deterministic information bottleneck: cross entropy(logits, y) + beta I(X; Z)^power.

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
    power : int
        Of the information: 1, or 2, 3, ... for a penalty that grows faster than it.
    conditional : bool
        True takes I(X; Z | Y) in place of I(X; Z): what of the input is in z beside the label.
    base : float
        Base of the logarithm; 2 gives bits.
    reduction : str
        Of the cross entropy, as in ``nn.CrossEntropyLoss``: "mean", "sum" (which adds n times the penalty) or "none"
        (which adds it to each sample's).

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

    The labels of the conditional form are those of the Delta kernel: of soft labels, rows that differ are others. A
    power is that of the convex bottleneck Lagrangian, for labels that are a function of the input, where the plain one
    has nothing between all and no compression. Its even powers do not see the sign of an information below zero, which
    orders other than one may have.
    Source: Yu, Yu, Principe, ICASSP 2021, arXiv 2102.00533; beta = 0.01 and alpha = 1.01 are those of its authors'
    published code for CIFAR-10, which takes z's width of neighbours as well, over sqrt(2) in our convention, and a
    fixed one for x. Powers: Kolchinsky, Tracey, Van Kuyk, ICLR 2019, squared; Rodriguez Galvez, Thobaben, Skoglund,
    Entropy 22(1):98, 2020. Conditional: Tezuka and Namekawa, Entropy 23(8):974, 2021, who bound by it what z knows of a
    nuisance.

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
        power: int = 1,
        conditional: bool = False,
        base: float = 2,
        reduction: str = "mean",
    ) -> None:
        """Check the settings."""
        super().__init__(alpha, kernel, bandwidth, base)
        self.beta = _check.positive(beta, "beta")
        self.power = _check.integer(power, "power", 1)
        self.conditional = _check.flag(conditional, "conditional")
        self.reduction = _check.choice(reduction, "reduction", _REDUCTIONS)

    def forward(self, logits: Tensor, y: Tensor, x: Tensor, z: Tensor) -> Tensor:
        """Return the loss."""
        features_of(logits, "logits")
        if logits.ndim != 2:
            _check.value_error("logits", "shape (n, classes)", f"shape {tuple(logits.shape)}")
        if has_numbers(logits) and not bool(logits.isfinite().all()):
            _check.value_error("logits", "finite numbers", "NaN or infinity", "look for the layer they come from")
        # cross_entropy leaves out samples of the label ignore_index, -100 unless told otherwise, without a word.
        labels = _targets(y, logits)
        cross = functional.cross_entropy(
            logits, labels, reduction=self.reduction, ignore_index=torch.iinfo(torch.int64).min
        )
        of_x = self._gram(features_of(x, "x", logits), "x")
        of_z = self._gram(features_of(z, "z", logits).to(x.dtype), "z")
        information = self._beside(labels, of_x, of_z) if self.conditional else self._information(of_x, of_z)
        penalty = self.beta * information.to(cross.dtype) ** self.power
        return cross + (len(logits) if self.reduction == "sum" else 1) * penalty

    def _beside(self, labels: Tensor, of_x: Tensor, of_z: Tensor) -> Tensor:
        """Return I(X; Z | Y)."""
        of_y = fr.gram(labels, "delta").to(of_x.dtype)
        found: Tensor = fr.conditional_mutual_information(of_x, of_z, of_y, alpha=self.alpha, base=self.base)
        return found

    def extra_repr(self) -> str:
        """Return the settings, for print."""
        return f"beta={self.beta}, {super().extra_repr()}, power={self.power}, conditional={self.conditional}"


def _targets(y: object, logits: Tensor) -> Tensor:
    """Accept class indices (n,), or one-hot rows or probabilities (n, classes)."""
    n, classes = logits.shape
    if not isinstance(y, Tensor):
        _check.kind_error("y", "a torch tensor", _check.quoted(y))
    if y.is_complex():
        _check.kind_error("y", "class indices or probabilities", f"dtype {y.dtype}", "pass y.real")
    same_device(y, "y", logits)
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


class NoisyInformationLoss(nn.Module):
    """Return a bound on what z with Gaussian noise tells of its input: -mean_i log mean_j exp(-d_ij^2 / (2 sigma^2)).

    Call with the representation z (n, ...) before the noise of standard deviation sigma is added to it.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise, above zero.
    base : float
        Base of the logarithm; 2 gives bits.

    Raises
    ------
    TypeError, ValueError
        Naming a setting or ``z``.

    Notes
    -----
    An upper bound on I(X; Z + noise) where each input of the minibatch is as likely, itself at most log n. Adding the
    noise is left to the network. Cost O(n^2 d).
    Source: Kolchinsky, Tracey, Wolpert, Entropy 21(12):1181, 2019, after Kolchinsky and Tracey, Entropy 19(7):361,
    2017; published code takes the logarithm of sigma^2 and learns it.

    Examples
    --------
    >>> import torch, fastrenyi.torch as frt
    >>> z = torch.tensor([[0.0], [0.0], [9.0], [9.0]])  # one bit
    >>> round(float(frt.losses.NoisyInformationLoss(sigma=1.0)(z)), 6)
    1.0
    """

    def __init__(self, sigma: float = 1.0, *, base: float = 2) -> None:
        """Check the settings."""
        super().__init__()
        self.sigma, self._unit = _check.positive(sigma, "sigma"), _check.unit(base)
        self.base = base

    def extra_repr(self) -> str:
        """Return the settings, for print."""
        return f"sigma={self.sigma}, base={self.base}"

    def forward(self, z: Tensor) -> Tensor:
        """Return the loss."""
        samples = as_samples(features_of(z, "z"))
        a: Tensor = grams_of(samples, samples, "gaussian", self.sigma, "z")
        return (-self._unit * a.sum(-1).log2().mean()).to(z.dtype)
