"""Gradients of Grams, spectra and pairs as PyTorch operations: for second derivatives, and where none is compiled.

What is compiled is called through ``fastrenyi._slopes``, which says how gradients of entropies are made.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastrenyi import _backend, _core, _operations, _slopes
from fastrenyi._array import home_of, wrap

__all__ = ["POLYNOMIALS", "of_distance", "of_pairs", "of_polynomial", "of_samples", "of_spectrum", "of_width"]

_TILE_BYTES = 2**25
"""Memory of one tile of pairs, of which the backward pass holds some ten."""


POLYNOMIALS = ("polynomial", "cosine")
"""Kernels of the inner product of two samples; the others are of their distance."""


def of_samples(
    grad: Tensor,
    x: Tensor,
    layout: str,
    width: Tensor | None,
    sigma: float,
    a: Tensor,
    kind: str,
    degree: int,
    gamma: float,
    coef0: float,
) -> Tensor:
    """Return the gradient with respect to x, of any layout, of its Grams a."""
    samples = _operations.samples(x, layout)
    if kind in POLYNOMIALS:
        found = of_polynomial(samples, a, grad, degree, gamma, coef0)
    else:
        one = torch.tensor(sigma, dtype=torch.float64) if width is None else width
        found = of_distance(samples, one, a, grad, kind)
    return (found.swapaxes(0, 1) if layout == "maps" else found).reshape(x.shape)


def of_distance(x: Tensor, width: Tensor, a: Tensor, grad: Tensor, kind: str) -> Tensor:
    """Return the gradient with respect to samples (..., n, d) of a Gaussian or Laplacian Gram a.

    d A_ij = -A_ij <x_i - x_j, dx_i - dx_j> / sigma^2 (Gaussian), -A_ij <sign(x_i - x_j), dx_i - dx_j> / sigma
    (Laplacian). Cost O(n^2 d) in O(n^2 + n d) memory.
    """
    sigma = width.to(a.dtype)[..., None, None]
    weights = torch.where(sigma > 0, (grad + grad.mT) * a, 0)  # sigma = 0 is the narrow limit, flat almost everywhere
    weights = weights - torch.diag_embed(weights.diagonal(dim1=-2, dim2=-1))
    samples = x.to(a.dtype)
    inverse = torch.where(sigma > 0, 1 / sigma, 0)
    if kind == "laplacian":
        return (-_signed_sums(weights, samples) * inverse).to(x.dtype)
    # Offsets cancel in the difference; of data without its mean fewer digits do.
    z = (samples - samples.mean(dim=-2, keepdim=True)) * inverse
    return ((weights @ z - weights.sum(dim=-1, keepdim=True) * z) * inverse).to(x.dtype)


def of_width(width: Tensor, a: Tensor, grad: Tensor, kind: str) -> Tensor:
    """Return the gradient with respect to the widths () or (...) of a Gaussian or Laplacian Gram a.

    d A_ij = A_ij |x_i - x_j|^2 / sigma^3 (Gaussian), A_ij |x_i - x_j|_1 / sigma^2 (Laplacian): the distance over the
    width is read back from A.
    """
    distance = torch.where(a > 0, -torch.log(torch.where(a > 0, a, 1) * a.shape[-1]), 0)
    each = (grad * a * distance).sum(dim=(-2, -1)) * (2 if kind == "gaussian" else 1)
    each = torch.where(width > 0, each / width.to(a.dtype), 0)
    return each.sum_to_size(width.shape).to(width.dtype)


def _signed_sums(weights: Tensor, x: Tensor) -> Tensor:
    """Return sum_j w_ij sign(x_ik - x_jk), a few features at a time."""
    d = x.shape[-1]
    step = max(1, _TILE_BYTES // max(1, weights.numel() * weights.element_size()))
    parts = []
    for k in range(0, d, step):
        part = x[..., k : k + step]
        signs = torch.sign(part[..., :, None, :] - part[..., None, :, :])
        parts.append(torch.einsum("...ij,...ijk->...ik", weights, signs))
    return torch.cat(parts, dim=-1)


def of_polynomial(x: Tensor, a: Tensor, grad: Tensor, degree: int, gamma: float, coef0: float) -> Tensor:
    """Return the gradient with respect to samples (..., n, d) of a polynomial Gram a: u_ij^degree / n.

    u_ij = k_ij / sqrt(k_ii k_jj), k_ij = gamma <x_i, x_j> + coef0. Cost O(n^2 d).
    """
    samples = x.to(a.dtype)
    n = x.shape[-2]
    k = gamma * (samples @ samples.mT) + coef0
    norms = k.diagonal(dim1=-2, dim2=-1).sqrt()
    u = k / (norms[..., :, None] * norms[..., None, :])
    weights = (grad + grad.mT) * u ** (degree - 1) * (degree / n)
    weights = weights - torch.diag_embed(weights.diagonal(dim1=-2, dim2=-1))  # the diagonal is 1/n whatever x is
    scaled = samples / norms[..., None]
    along = (weights * u).sum(dim=-1, keepdim=True)
    return (gamma * (weights @ scaled - along * scaled) / norms[..., None]).to(x.dtype)


def _computed(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _eigh(a: Tensor) -> tuple[Tensor, Tensor]:
    values, vectors = _core.eigh(wrap(a.reshape(-1, *a.shape[-2:])), _backend.threads())
    return (
        torch.from_numpy(values).reshape(a.shape[:-1]),
        torch.from_numpy(vectors).reshape(a.shape),
    )


def of_spectrum(grad: Tensor, a: Tensor) -> Tensor:
    """Return V diag(grad) V^T; where eigenvalues repeat, for the eigenvectors that were found."""
    _, v = _eigh(_computed(a))
    return ((v * grad[..., None, :]) @ v.mT).to(a.dtype)


def _of_joints(a: Tensor, g: Tensor, orders: Sequence[float], epsilon: float, unit: float) -> Tensor:
    """Return the gradients of the entropies, weighed by g (b, m), of matrices (b, n, n) of any trace."""
    return torch.from_numpy(_slopes.of_joints(wrap(a), g.double().numpy(), orders, epsilon, unit))


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


def _joint(factors: Sequence[Tensor]) -> Tensor:
    """Return the joint Gram, as the forward pass has it: of trace one if it is a product."""
    if len(factors) == 1:
        return factors[0]
    product = factors[0] * _others(factors)[0]
    return product / _trace(product)


def _to_factors(to_joint: Tensor, factors: Sequence[Tensor], which: Sequence[int]) -> list[Tensor]:
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


def of_pairs(
    to_x: Tensor,
    to_maps: Tensor,
    to_all: Tensor,
    maps: Tensor,
    target: Tensor,
    every: bool,
    orders: Sequence[float],
    unit: float,
) -> tuple[Tensor, Tensor]:
    """Return the gradients with respect to maps (C, n, n) and target (n, n) of the entropies of all pairs.

    Cost: C(C+1) reductions and slopes, a tile of pairs at a time.
    """
    epsilon = home_of(maps).epsilon
    a, x = _computed(maps), _computed(target)[None]
    count, n = a.shape[:2]
    result, result_x = torch.zeros_like(a), torch.zeros_like(x)

    def back(factors: list[Tensor], grad: Tensor) -> list[Tensor]:
        joint = _joint(factors)
        to_joint = _of_joints(joint, grad, orders, epsilon, unit)
        return _to_factors(to_joint, factors, range(len(factors)))

    result_x += back([x], to_x[None])[0]
    # All maps together, and with the target.
    layer = [*torch.split(a, 1), x]
    for grad, factors in ((to_all[:1], layer[:-1]), (to_all[1:], layer)):
        found = back(factors, grad)
        result += torch.cat(found[:count])
        for part in found[count:]:
            result_x += part
    # Each map alone, and with the target.
    alone = to_maps.diagonal(dim1=1, dim2=2).movedim(-1, 1) if every else to_maps
    result += back([a], alone[0])[0]
    to_a, with_x = back([a, x.expand_as(a)], alone[1])
    result += to_a
    result_x += with_x.sum(dim=0, keepdim=True)
    if every and count > 1:
        both = to_maps + to_maps.transpose(1, 2)
        rows, cols = torch.triu_indices(count, count, 1)
        step = max(1, _TILE_BYTES // (n * n * a.element_size()))
        for i, j in zip(rows.split(step), cols.split(step), strict=True):
            for grad, factors in ((both[0, i, j], [a[i], a[j]]), (both[1, i, j], [a[i], a[j], x.expand(len(i), n, n)])):
                found = back(factors, grad)
                result.index_add_(0, i, found[0])
                result.index_add_(0, j, found[1])
                for part in found[2:]:
                    result_x += part.sum(dim=0, keepdim=True)
    return result.to(maps.dtype), result_x[0].to(target.dtype)
