"""Metrics for torchmetrics and Lightning: measures of the samples of all minibatches, and of all processes.

Each keeps the samples themselves, as a measure of them all is not the mean of those of minibatches: n d numbers on
each process, n on all processes together while it is computed, and its Gram of n x n. ``max_samples`` keeps a uniform
random sample of them.
"""

from __future__ import annotations

from typing import Any, cast

try:
    from torchmetrics import Metric
    from torchmetrics.utilities import dim_zero_cat
except ModuleNotFoundError as error:
    if error.name not in ("torchmetrics", "torch"):
        raise
    raise ImportError(
        "fastrenyi.compat.torchmetrics needs torchmetrics: pip install 'fastrenyi[torchmetrics]'", name=error.name
    ) from error

import numpy as np
import torch
from torch import Tensor

import fastrenyi as fr
from fastrenyi import _check
from fastrenyi._call import Alpha
from fastrenyi.bandwidths import BandwidthLike
from fastrenyi.kernels import Delta, Kernel, KernelLike, Linear, as_kernel

__all__ = ["EffectiveRank", "RenyiEntropy", "RenyiMutualInformation", "VendiScore"]

_SMALLER = Linear(side="smaller")
_COSINES = Linear(normalized=True, side="smaller")


class OfSamples(Metric):
    """A measure of one or more variables, of which a minibatch has a tensor (n, ...) each."""

    is_differentiable = True
    plot_lower_bound = 0.0

    def __init__(self, variables: tuple[str, ...], max_samples: int | None, seed: int, **settings: Any) -> None:
        """Add a state for each variable, and one for random numbers where not all samples are kept."""
        super().__init__(**settings)
        self.variables = variables
        self.max_samples = None if max_samples is None else _check.integer(max_samples, "max_samples", 1)
        self.seed = _check.integer(seed, "seed", 0)
        self._random: np.random.Generator | None = None
        for name in self._states():
            self.add_state(name, [], dist_reduce_fx="cat")

    def _states(self) -> tuple[str, ...]:
        return self.variables if self.max_samples is None else (*self.variables, "keys")

    @property
    def full_state_update(self) -> bool:  # type: ignore[override]
        """Whether ``forward`` updates twice: what it would merge is a sample only where an update has made it one."""
        return self.max_samples is not None

    def _keep(self, *minibatch: Tensor) -> None:
        """Take samples of each variable into account."""
        for name, x in zip(self.variables, minibatch, strict=True):
            before = cast("list[Tensor]", getattr(self, name))
            if before and x.shape[1:] != before[0].shape[1:]:
                expected = f"samples of shape {tuple(before[0].shape[1:])}, as before"
                _check.value_error(name, expected, str(tuple(x.shape[1:])), "call reset between data sets")
            if before and (x.dtype, x.device) != (before[0].dtype, before[0].device):
                expected = f"{before[0].dtype} on {before[0].device}, as before"
                _check.kind_error(name, expected, f"{x.dtype} on {x.device}", "convert it")
        if self.max_samples is not None:
            minibatch = (*minibatch, self._drawn(len(minibatch[0])).to(minibatch[0].device))
        for name, x in zip(self._states(), minibatch, strict=True):
            # What is kept from step to step is kept without its graph; `forward` enables gradients for its minibatch.
            getattr(self, name).append(x if torch.is_grad_enabled() else x.detach())
        if self.max_samples is not None:
            for name, x in zip(self._states(), self._sampled(), strict=True):
                setattr(self, name, [x])

    def _drawn(self, count: int) -> Tensor:
        """Return a random number for each sample; those of the smallest ones of all processes are a uniform sample."""
        if self._random is None:
            together = torch.distributed.is_available() and torch.distributed.is_initialized()
            self._random = np.random.default_rng([self.seed, torch.distributed.get_rank() if together else 0])
        return torch.from_numpy(self._random.random(count))

    def _sampled(self) -> list[Tensor]:
        """Return the states, of no more samples than are to be kept."""
        if not len(getattr(self, self.variables[0])):
            _check.value_error("update", "at least one minibatch before compute", "none")
        states = [dim_zero_cat(getattr(self, name)) for name in self._states()]
        if self.max_samples is not None and len(states[-1]) > self.max_samples:
            smallest = states[-1].topk(self.max_samples, largest=False).indices
            states = [state[smallest] for state in states]
        return states

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Draw a value, those of several calls, or the one that ``compute`` gives."""
        return self._plot(val, ax)


def _samples(x: object, name: str, kernel: Kernel) -> Tensor:
    """Accept samples (n, ...) of what a kernel takes; half precision comes back as single."""
    if not isinstance(x, Tensor):
        _check.kind_error(name, "a tensor", _check.quoted(x))
    kernel._accept(_check.array(x, name), name)
    if x.ndim == 0 or x.numel() == 0:
        _check.value_error(name, "samples of shape (n, ...)", f"shape {tuple(x.shape)}")
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _gram(x: Tensor, name: str, kernel: Kernel) -> Tensor:
    with _check.telling(name, "maps"):
        return fr.tensor_gram(x, kernel)


def _is_class(y: object) -> bool:
    return isinstance(y, Tensor) and not y.is_floating_point() and not y.is_complex()


class RenyiEntropy(OfSamples):
    """The matrix-based Renyi entropy of samples: ``entropy(tensor_gram(x))`` of all minibatches.

    ``update(x)`` takes a minibatch (n, ...), each sample a whole tensor taken as one vector.

    Parameters
    ----------
    kernel : str or Kernel
        "gaussian", "laplacian", "cosine", "polynomial", "linear", "delta", or a kernel such as
        ``Gaussian(bandwidth=2.0)``.
    bandwidth : float, str or Bandwidth, optional
        The kernel's width; None is its own, by default ``Silverman(5.0)``.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.
    max_samples : int, optional
        Keep a uniform random sample of so many, of all minibatches and processes. None keeps all.
    seed : int
        Of this sample.
    **settings : optional
        Of every ``torchmetrics.Metric``, such as ``sync_on_compute``.

    Raises
    ------
    TypeError, ValueError
        For settings out of their ranges, from ``update`` for samples of other shapes, dtypes or devices than before,
        and from ``compute`` where no minibatch came.

    Notes
    -----
    In the dtype of the samples; half precision is computed in single. Each process needs at least one sample. Cost:
    memory of all samples; ``compute`` O(n^2 d + n^3).

    Examples
    --------
    >>> import torch
    >>> from fastrenyi.compat.torchmetrics import RenyiEntropy
    >>> metric = RenyiEntropy(bandwidth=1.0)
    >>> for minibatch in torch.arange(8.0)[:, None].split(3):
    ...     metric.update(minibatch)
    >>> metric.compute().round(decimals=4)
    tensor(2.4682)
    """

    higher_is_better = None

    def __init__(
        self,
        kernel: KernelLike = "gaussian",
        bandwidth: BandwidthLike | None = None,
        alpha: Alpha = 1.01,
        base: float = 2,
        max_samples: int | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        """Check the settings."""
        super().__init__(("x",), max_samples, seed, **settings)
        self.kernel = as_kernel(kernel, bandwidth)
        self.alpha, self.base = alpha, base
        _check.orders(alpha)
        _check.unit(base)

    def update(self, x: Tensor) -> None:
        """Take a minibatch (n, ...) into account."""
        self._keep(_samples(x, "x", self.kernel))

    def compute(self) -> Tensor:
        """Return the entropy of all samples."""
        found: Tensor = fr.entropy(_gram(self._sampled()[0], "x", self.kernel), self.alpha, self.base)
        return found


class RenyiMutualInformation(OfSamples):
    """The matrix-based Renyi mutual information of two variables: I(X; Y) = S(X) + S(Y) - S(X, Y) of all minibatches.

    ``update(x, y)`` takes a minibatch of each, (n, ...); y of integers are classes.

    Parameters
    ----------
    kernel : str or Kernel
        "gaussian", "laplacian", "cosine", "polynomial", "linear", "delta" (which takes integers too), or a kernel such
        as ``Gaussian(bandwidth=2.0)``: of x, and of y unless that are classes.
    bandwidth : float, str or Bandwidth, optional
        The kernel's width; None is its own, by default ``Silverman(5.0)``.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits, the default is close to Shannon.
    base : float
        Base of the logarithm; 2 gives bits.
    max_samples : int, optional
        Keep a uniform random sample of so many, of all minibatches and processes. None keeps all.
    seed : int
        Of this sample.
    **settings : optional
        Of every ``torchmetrics.Metric``, such as ``sync_on_compute``.

    Raises
    ------
    TypeError, ValueError
        For settings out of their ranges, from ``update`` for samples of other shapes, dtypes or devices than before,
        and from ``compute`` where no minibatch came.

    Notes
    -----
    In the dtype of x; half precision is computed in single. It depends on the number of samples, and of few samples and
    narrow kernels it is near log2 n whatever the data are: ``fastrenyi.permutation_test`` of the same Grams says what
    is chance. Each process needs at least one sample. Cost: memory of all samples; ``compute`` O(n^2 d + n^3).

    Examples
    --------
    >>> import torch
    >>> from fastrenyi.compat.torchmetrics import RenyiMutualInformation
    >>> metric = RenyiMutualInformation(bandwidth=0.1)
    >>> metric.update(torch.tensor([[0.0], [0.0], [1.0], [1.0]]), torch.tensor([0, 0, 1, 1]))
    >>> metric.compute().round(decimals=4)
    tensor(1.)

    Of classes at order 1, in nats, it is ``torchmetrics.clustering.MutualInfoScore``:

    >>> metric = RenyiMutualInformation("delta", alpha=1, base=2.718281828459045)
    >>> metric(torch.tensor([2, 1, 0, 1, 0]), torch.tensor([0, 2, 1, 1, 0])).round(decimals=4)
    tensor(0.5004)
    """

    higher_is_better = None

    def __init__(
        self,
        kernel: KernelLike = "gaussian",
        bandwidth: BandwidthLike | None = None,
        alpha: Alpha = 1.01,
        base: float = 2,
        max_samples: int | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        """Check the settings."""
        super().__init__(("x", "y"), max_samples, seed, **settings)
        self.kernel = as_kernel(kernel, bandwidth)
        self.alpha, self.base = alpha, base
        _check.orders(alpha)
        _check.unit(base)

    def update(self, x: Tensor, y: Tensor) -> None:
        """Take a minibatch of each variable, (n, ...), into account; y may be integers, classes."""
        x = _samples(x, "x", self.kernel)
        y = _samples(y, "y", Delta() if _is_class(y) else self.kernel)
        if len(x) != len(y):
            _check.value_error("y", f"{len(x)} samples, as x", f"shape {tuple(y.shape)}")
        self._keep(x, y)

    def compute(self) -> Tensor:
        """Return the information of all samples."""
        x, y = self._sampled()[:2]
        a = _gram(x, "x", self.kernel)
        b = _gram(y, "y", Delta(a.dtype)) if _is_class(y) else _gram(y.to(a.dtype), "y", self.kernel)
        found: Tensor = fr.mutual_information(a, b, alpha=self.alpha, base=self.base)
        return found


class VendiScore(OfSamples):
    """The Vendi score of samples, how many kinds of them there are: exp(S_q) of their similarities over n.

    ``update(x)`` takes a minibatch (n, ...), each sample a whole tensor taken as one vector.

    Parameters
    ----------
    kernel : str or Kernel
        The similarity: by default the cosine of the angle between two samples, made of the smaller of the products of
        n samples and of d features; "gaussian", "laplacian", "delta", or a kernel such as ``Gaussian(bandwidth=2.0)``.
    bandwidth : float, str or Bandwidth, optional
        The kernel's width, of a kernel that has one.
    q : float or sequence of float
        Order in [0, inf], or m orders; 0, 1, 2 and inf are the exact limits.
    max_samples : int, optional
        Keep a uniform random sample of so many, of all minibatches and processes. None keeps all.
    seed : int
        Of this sample.
    **settings : optional
        Of every ``torchmetrics.Metric``, such as ``sync_on_compute``.

    Raises
    ------
    TypeError, ValueError
        For settings out of their ranges, from ``update`` for samples of other shapes, dtypes or devices than before,
        and from ``compute`` where no minibatch came.

    Notes
    -----
    In the dtype of the samples; half precision is computed in single. Each process needs at least one sample. Cost:
    memory of all samples; ``compute`` O(n d min(n, d)) and a spectrum of the smaller side by default, else
    O(n^2 d + n^3).
    Source: Friedman and Dieng, TMLR 2023; Pasarkar and Dieng, 2023.

    Examples
    --------
    >>> import torch
    >>> from fastrenyi.compat.torchmetrics import VendiScore
    >>> metric = VendiScore()
    >>> metric.update(torch.eye(3))
    >>> metric.update(torch.eye(3))
    >>> metric.compute().round(decimals=4)
    tensor(3.)
    """

    higher_is_better = True

    def __init__(
        self,
        kernel: KernelLike = _COSINES,
        bandwidth: BandwidthLike | None = None,
        q: Alpha = 1,
        max_samples: int | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        """Check the settings."""
        super().__init__(("x",), max_samples, seed, **settings)
        self.kernel = as_kernel(kernel, bandwidth)
        self.q = q
        _check.orders(q, "q")

    def update(self, x: Tensor) -> None:
        """Take a minibatch (n, ...) into account."""
        self._keep(_samples(x, "x", self.kernel))

    def compute(self) -> Tensor:
        """Return the score of all samples."""
        found: Tensor = fr.effective_rank(_gram(self._sampled()[0], "x", self.kernel), self.q)
        return found


class EffectiveRank(OfSamples):
    """The effective rank of representations: exp of the entropy of their singular values over their sum, as RankMe.

    ``update(x)`` takes a minibatch (n, ...), each sample a whole tensor taken as one vector.

    Parameters
    ----------
    kernel : Linear
        How samples are centred and normalised before; by default they are not.
    alpha : float or sequence of float
        Order in [0, inf], or m orders; 1 is Shannon's.
    power : float
        0.5 takes singular values, 1 the eigenvalues of the covariance.
    max_samples : int, optional
        Keep a uniform random sample of so many, of all minibatches and processes. None keeps all.
    seed : int
        Of this sample.
    **settings : optional
        Of every ``torchmetrics.Metric``, such as ``sync_on_compute``.

    Raises
    ------
    TypeError, ValueError
        For settings out of their ranges, from ``update`` for samples of other shapes, dtypes or devices than before,
        and from ``compute`` where no minibatch came.

    Notes
    -----
    Computed in double precision, in which small singular values are told from rounding, and returned in the dtype of
    the samples. RankMe adds 1e-7 to each share. Each process needs at least one sample. Cost: memory of all samples;
    ``compute`` O(n d min(n, d)) and a spectrum of the smaller side.
    Source: Roy and Vetterli, EUSIPCO 2007; Garrido et al. (RankMe), arXiv 2210.02885.

    Examples
    --------
    >>> import torch
    >>> from fastrenyi.compat.torchmetrics import EffectiveRank
    >>> metric = EffectiveRank()
    >>> metric.update(torch.diag(torch.tensor([3.0, 1.0])))
    >>> metric.compute().round(decimals=4)
    tensor(1.7548)
    """

    higher_is_better = True

    def __init__(
        self,
        kernel: Linear = _SMALLER,
        alpha: Alpha = 1,
        power: float = 0.5,
        max_samples: int | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        """Check the settings."""
        super().__init__(("x",), max_samples, seed, **settings)
        if not isinstance(kernel, Linear):
            _check.kind_error("kernel", "a fastrenyi.Linear", _check.quoted(kernel))
        self.kernel, self.alpha = kernel, alpha
        self.power = _check.positive(power, "power")
        _check.orders(alpha)

    def update(self, x: Tensor) -> None:
        """Take a minibatch (n, ...) into account."""
        self._keep(_samples(x, "x", self.kernel))

    def compute(self) -> Tensor:
        """Return the effective rank of all samples."""
        x = self._sampled()[0]
        found: Tensor = fr.effective_rank(_gram(x.double(), "x", self.kernel), self.alpha, self.power)
        return found.to(x.dtype)
