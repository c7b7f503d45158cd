"""The variables of a method: what it makes of input and target of a minibatch, and of tensors of the network."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

import fastrenyi as fr
from fastrenyi import _check
from fastrenyi._bandwidth import Found
from fastrenyi.grams import tensor_width
from fastrenyi.kernels import Delta, Kernel, Widthed
from fastrenyi.torch.methods import Method, aligned
from fastrenyi.torch.tokens import one_hot

__all__ = ["Variables", "binned", "computed", "grams", "whole_gram"]


@dataclass(frozen=True)
class Variables:
    """The Grams of X and Y of a minibatch, the same throughout a training, and the kernels that follow from them.

    In float64, from which they go down to a layer's dtype: the way up would keep the rounding of the trace.
    """

    x: Tensor
    y: Tensor | None
    kernel: Kernel
    error_kernel: Kernel
    entropies: dict[float, dict[str, float]]
    """S(X) and S(Y) by order."""

    @classmethod
    def of(cls, method: Method, x: Tensor, y: Tensor | None, where: str) -> Variables:
        """Make them; `where` is the minibatch."""
        target = None
        if y is not None:
            with _check.telling(f"{where}: y", instead_of="maps"):
                target = _target_gram(y, method.target_kernel)
        kernel = _with_labels(method.kernel, target, "bandwidth", where)
        error_kernel = _with_labels(method.error_kernel, target, "error_bandwidth", where)
        with _check.telling(f"{where}: x", instead_of="maps"):
            gram: Tensor = fr.tensor_gram(x.double() if x.is_floating_point() else one_hot(x), kernel)
        of_x = fr.entropy(gram, alpha=method.orders).tolist()
        of_y = [math.nan] * len(of_x) if target is None else fr.entropy(target, alpha=method.orders).tolist()
        entropies = {
            order: {"input_entropy": s_x, "target_entropy": s_y}
            for order, s_x, s_y in zip(method.orders, of_x, of_y, strict=True)
        }
        return cls(gram, target, kernel, error_kernel, entropies)


def _target_gram(y: Tensor, kernel: Kernel) -> Tensor:
    """The Gram of targets, in float64; integers are classes."""
    if isinstance(kernel, Delta):
        kernel = kernel if y.is_floating_point() else replace(kernel, dtype="float64")
        y = y.double() if y.is_floating_point() else y
    else:
        y = y.double() if y.is_floating_point() else one_hot(y)
    gram: Tensor = fr.tensor_gram(y, kernel)
    return gram


def _with_labels(kernel: Kernel, target: Tensor | None, name: str, where: str) -> Kernel:
    """The kernel, its width aligned with the Gram of the targets where it asks for that."""
    rule = aligned(kernel)
    if rule is None:
        return kernel
    if target is None:
        _check.value_error(name, f"minibatches with targets for {rule!r}", f"None in {where}", "pass another rule")
    return _with_width(kernel, replace(rule, target=target))


def _with_width(kernel: Kernel, width: Any) -> Kernel:
    return replace(kernel, bandwidth=width) if isinstance(kernel, Widthed) else kernel


def computed(output: Tensor, bins: int | None) -> Tensor:
    """Return what stands for a tensor of the network: in half precision the Grams themselves would be rounded to it."""
    output = output.float() if output.dtype in (torch.float16, torch.bfloat16) else output
    return output if bins is None else binned(output, bins)


def binned(x: Tensor, bins: int) -> Tensor:
    """Return for each number the bin that it is in, 0, 1, ..., of so many of equal width over the range of all of x.

    A number on the border of two bins is in the upper one, as in ``numpy.histogram``.
    """
    values = x.double()
    low, high = values.aminmax()
    borders = low + (high - low) * torch.arange(1, bins, dtype=torch.float64, device=x.device) / bins
    if low == high:
        return torch.zeros_like(x)
    return torch.bucketize(values, borders, right=True).to(x.dtype)


def whole_gram(output: Tensor, kernel: Kernel, earlier: float = math.nan, smooth: float = 0.0) -> tuple[Tensor, float]:
    """Return the Gram (n, n) of whole tensors and its width, NaN without one, in which the earlier has a share."""
    width = tensor_width(output, kernel)
    if not math.isnan(earlier):
        width = smooth * earlier + (1 - smooth) * width
    gram: Tensor = fr.tensor_gram(output, _with_width(kernel, Found(width)))
    return gram, width


def grams(output: Tensor, kernel: Kernel, *, whole: bool) -> Tensor:
    """Return the Grams (C, n, n) of feature maps, or (1, n, n) of vectors and of whole tensors."""
    found: Tensor = (
        fr.tensor_gram(output, kernel)[None] if whole or output.ndim < 3 else fr.channel_grams(output, kernel)
    )
    return found
