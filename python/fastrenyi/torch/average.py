"""A measure over the minibatches of an epoch: its mean and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastrenyi import _check

__all__ = ["Average", "Mean"]


class Mean(NamedTuple):
    """What an ``Average`` comes to; float64, of the shape of the measure."""

    mean: Tensor
    """The mean over minibatches."""
    standard_error: Tensor
    """s / sqrt(m), s^2 the sample variance over the m minibatches (divisor m - 1); NaN for one minibatch."""


class Average:
    """Return the mean and the standard error s / sqrt(m) of a measure over m minibatches.

    ``update`` takes a minibatch, ``compute`` returns both as tensors, ``reset`` forgets all minibatches.

    Parameters
    ----------
    measure : callable
        A function of a minibatch that returns a tensor of a fixed shape, such as a mutual information; it is called
        without gradients.

    Raises
    ------
    TypeError
        If ``measure`` is not callable or returns no tensor.
    ValueError
        If its shape changes between minibatches, or ``compute`` is called before any ``update``.

    Notes
    -----
    Running sums are float64 and of the measure's size (Welford's recurrence). Cost: that of the measure. A matrix-based
    entropy depends on the number of samples: leave out a shorter last minibatch, or its value pulls the mean down.

    Examples
    --------
    >>> import torch, fastrenyi as fr, fastrenyi.torch as frt
    >>> average = frt.Average(lambda x, y: fr.mutual_information(fr.gram(x), fr.gram(y, "delta")))
    >>> for _ in range(3):
    ...     x = torch.arange(8.0)[:, None]
    ...     last = average.update(x, torch.arange(8) % 2)
    >>> found = average.compute()
    >>> bool(torch.isclose(found.mean, last.double())), float(found.standard_error), average.count
    (True, 0.0, 3)
    """

    def __init__(self, measure: Callable[..., Tensor]) -> None:
        """Check the arguments."""
        if not callable(measure):
            _check.kind_error("measure", "a function of a minibatch", _check.quoted(measure))
        self.measure = measure
        self.reset()

    def __repr__(self) -> str:
        """The measure's name and the number of minibatches."""
        name = getattr(self.measure, "__name__", type(self.measure).__name__)
        return f"{type(self).__name__}({name}, count={self.count})"

    def reset(self) -> None:
        """Forget all minibatches."""
        self.count = 0
        self._mean = self._squares = torch.zeros((), dtype=torch.float64)

    @torch.no_grad()
    def update(self, *minibatch: Any, **options: Any) -> Tensor:
        """Take a minibatch into account and return its own value."""
        value = self.measure(*minibatch, **options)
        if not isinstance(value, Tensor):
            _check.kind_error("measure", "a function that returns a tensor", f"one that returns {type(value).__name__}")
        if self.count and value.shape != self._mean.shape:
            expected = f"results of one shape, {tuple(self._mean.shape)}"
            _check.value_error("measure", expected, f"shape {tuple(value.shape)}", "call reset first")
        new = value.double()
        self.count += 1
        step = new - self._mean
        self._mean = self._mean + step / self.count
        self._squares = self._squares + step * (new - self._mean)
        return value

    def compute(self) -> Mean:
        """Return the mean and its standard error."""
        if self.count == 0:
            _check.value_error("update", "at least one minibatch before compute", "none")
        variance = self._squares / (self.count - 1) if self.count > 1 else torch.full_like(self._mean, torch.nan)
        return Mean(self._mean.clone(), (variance / self.count).sqrt())
