"""Gradients of the entropies of joint Grams as PyTorch's own operations, for where none is compiled, and for pairs.

``fastrenyi._ops.backward`` says how they are made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fastrenyi._array import wrap
from fastrenyi._kernels import serves_core
from fastrenyi._ops import backward
from fastrenyi._ops.slopes import slopes
from fastrenyi.torch.ops._shared import eigh

__all__ = ["joint", "of_joints", "slopes_of", "to_factors"]


def slopes_of(values: Tensor, grad: Tensor, orders: Sequence[float], epsilon: float, unit: float) -> Tensor:
    """Return sum_m grad_m dS_m / d lambda (b, n) of spectra (b, n) of any trace, grad (b, m)."""
    own = torch.finfo(values.dtype).eps
    found: Tensor = slopes(values.double(), grad.double(), orders, epsilon, own, unit, torch)
    return found


def _of_collision(a: Tensor, g: Tensor, unit: float) -> Tensor:
    """Return the gradient of entropies of order 2, -log2(|A|^2 / tr(A)^2), which needs no spectrum."""
    factor = g * (2 * unit / math.log(2))
    found = a * (-factor / a.square().sum(dim=(-2, -1)))[:, None, None]
    found.diagonal(dim1=-2, dim2=-1).add_((factor / a.diagonal(dim1=-2, dim2=-1).sum(dim=-1))[:, None])
    return found


def of_joints(
    a: Tensor, g: Tensor, orders: Sequence[float], epsilon: float, unit: float, known: Tensor | None = None
) -> Tensor:
    """Return the gradients of the entropies, weighed by g (b, m), of matrices (b, n, n) of any trace.

    ``known`` has their eigenvalues and below them eigenvectors, (b, n + 1, n).
    """
    if serves_core(a):
        return torch.from_numpy(backward.of_joints(wrap(a), g.double().numpy(), orders, epsilon, unit))
    if list(orders) == [2.0]:
        return _of_collision(a, g[:, 0], unit)
    values, v = eigh(a) if known is None else (known[:, 0], known[:, 1:])
    return (v * slopes_of(values, g, orders, epsilon, unit).to(a.dtype)[:, None, :]) @ v.mT


def _others(factors: Sequence[Tensor]) -> list[Tensor]:
    """Return for each factor the product of the others, of any scale: by what it is divided the caller divides."""

    def running(listed: Sequence[Tensor]) -> list[Tensor]:
        found = [listed[0]]
        for factor in listed[1:]:
            step = found[-1] * factor
            found.append(step / step.diagonal(dim1=-2, dim2=-1).amax(dim=-1)[..., None, None])
        return found

    if len(factors) == 2:
        return [factors[1], factors[0]]
    before, after = running(factors[:-1]), running(factors[:0:-1])[::-1]
    middle = [left * right for left, right in zip(before[:-1], after[1:], strict=True)]
    return [after[0], *middle, before[-1]]


def _trace(a: Tensor) -> Tensor:
    return a.diagonal(dim1=-2, dim2=-1).sum(dim=-1)[..., None, None]


def joint(factors: Sequence[Tensor]) -> Tensor:
    """Return the joint Gram, as the forward pass has it: of trace one if it is a product."""
    if len(factors) == 1:
        return factors[0]
    product = factors[0] * _others(factors)[0]
    return product / _trace(product)


def to_factors(to_joint: Tensor, factors: Sequence[Tensor], which: Sequence[int]) -> list[Tensor]:
    """Return the gradients with respect to some factors, from that to ``_joint`` of all.

    An entropy does not change with the scale of the product, so that <to_joint, joint> = 0 and the gradient to a
    factor is to_joint o others over the trace of factor o others, at any scale of the others.
    """
    if len(factors) == 1:
        return [to_joint for _ in which]
    others = _others(factors)
    found = []
    for k in which:
        trace = (factors[k].diagonal(dim1=-2, dim2=-1) * others[k].diagonal(dim1=-2, dim2=-1)).sum(dim=-1)
        found.append(to_joint * others[k] / trace[..., None, None])
    return found
