"""Gradients of Grams, spectra and pairs as PyTorch operations: for second derivatives, and where none is compiled.

What is compiled is called through ``fastrenyi._slopes``, which says how gradients of entropies are made.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from fastrenyi import _backend, _core, _device_kernels, _operations, _slopes
from fastrenyi._array import home_of, wrap
from fastrenyi._device import Device
from fastrenyi.torch.placement import serves_core

__all__ = [
    "POLYNOMIALS", "of_distance", "of_entropies", "of_pairs", "of_polynomial", "of_samples", "of_spectrum", "of_width",
]  # fmt: skip

_TILE_BYTES = 2**25
"""Memory of one tile of pairs, of which the backward pass holds some ten."""


POLYNOMIALS = ("polynomial", "cosine")
"""Kernels of the inner product of two samples; the others are of their distance."""


_Gradient = TypeVar("_Gradient", bound=Callable[..., Any])


def _in_its_own_dtype(gradient: _Gradient) -> _Gradient:
    """Return a gradient that is taken with autocast off: a backward pass inside it would multiply in half precision."""

    @functools.wraps(gradient)
    def taken(x: Tensor, *rest: Any) -> Any:
        if not torch.is_autocast_enabled(x.device.type):
            return gradient(x, *rest)
        with torch.autocast(x.device.type, enabled=False):
            return gradient(x, *rest)

    return cast(_Gradient, taken)


@_in_its_own_dtype
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
    """Return the gradient with respect to x, of any layout, of its Grams a; contiguous, as its fake says."""
    samples = _operations.samples(x, layout)
    if kind in POLYNOMIALS:
        found = of_polynomial(samples, a, grad, degree, gamma, coef0)
    else:
        one = a.new_full((), sigma, dtype=torch.float64) if width is None else width
        found = of_distance(samples, one, a, grad, kind)
    return (found.swapaxes(0, 1) if layout == "maps" else found).reshape(x.shape).contiguous()


def of_distance(x: Tensor, width: Tensor, a: Tensor, grad: Tensor, kind: str) -> Tensor:
    """Return the gradient with respect to samples (..., n, d) of a Gaussian or Laplacian Gram a.

    d A_ij = -A_ij <x_i - x_j, dx_i - dx_j> / sigma^2 (Gaussian), -A_ij <sign(x_i - x_j), dx_i - dx_j> / sigma
    (Laplacian). Cost O(n^2 d) in O(n^2 + n d) memory.
    """
    sigma = width.to(a)[..., None, None]
    weights = torch.where(sigma > 0, (grad + grad.mT) * a, 0)  # sigma = 0 is the narrow limit, flat almost everywhere
    weights = weights - torch.diag_embed(weights.diagonal(dim1=-2, dim2=-1))
    samples = x.to(a.dtype)
    # A width whose inverse overflows must still make 0 of a weight of 0.
    inverse = torch.where(sigma > 0, 1 / sigma, 0).clamp(max=torch.finfo(a.dtype).max)
    if kind == "laplacian":
        return (-_signed_sums(weights, samples) * inverse).to(x.dtype)
    # Offsets cancel in the difference; of data without its mean fewer digits do. Halves, and a mean of shares, so that
    # neither overflows.
    halves = samples / 2
    z = halves - (halves / x.shape[-2]).sum(dim=-2, keepdim=True)
    return ((weights @ z - weights.sum(dim=-1, keepdim=True) * z) * inverse * inverse * 2).to(x.dtype)


@_in_its_own_dtype
def of_width(width: Tensor, a: Tensor, grad: Tensor, kind: str) -> Tensor:
    """Return the gradient with respect to the widths () or (...) of a Gaussian or Laplacian Gram a.

    d A_ij = A_ij |x_i - x_j|^2 / sigma^3 (Gaussian), A_ij |x_i - x_j|_1 / sigma^2 (Laplacian): the distance over the
    width is read back from A.
    """
    distance = torch.where(a > 0, -torch.log(torch.where(a > 0, a, 1) * a.shape[-1]), 0)
    each = (grad * a * distance).sum(dim=(-2, -1)) * (2 if kind == "gaussian" else 1)
    sigma = width.to(a)
    each = torch.where(sigma > 0, each / sigma, 0)
    return each.sum_to_size(width.shape).to(width)


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
    flat = a.reshape(-1, *a.shape[-2:])
    if serves_core(a):
        values, vectors = (torch.from_numpy(x) for x in _core.eigh(wrap(flat), _backend.threads()))
    else:
        values, vectors = _device_kernels.eigh(Device(flat), flat.detach())
    return values.reshape(a.shape[:-1]), vectors.reshape(a.shape)


@_in_its_own_dtype
def of_spectrum(grad: Tensor, a: Tensor) -> Tensor:
    """Return V diag(grad) V^T; where eigenvalues repeat, for the eigenvectors that were found."""
    _, v = _eigh(_computed(a))
    return ((v * grad[..., None, :]) @ v.mT).to(a.dtype)


def _slopes_of(values: Tensor, grad: Tensor, orders: Sequence[float], epsilon: float, unit: float) -> Tensor:
    """Return sum_m grad_m dS_m / d lambda (b, n) of spectra (b, n) of any trace, grad (b, m).

    With p = lambda / T, t = alpha - 1 and S in nats: alpha expm1(t (ln p + S)) / (-t T), at t = 0 -(ln p + S) / T.
    Where that is infinite, at a zero eigenvalue of orders up to 1, it is that of an eigenvalue of rounding size.
    """
    lam = values.double().clamp_min(0)
    n = lam.shape[-1]
    largest = lam.amax(dim=-1, keepdim=True)
    total = lam.sum(dim=-1, keepdim=True)
    p = lam / total
    log = torch.where(p > 0, p, 1).log()
    bounded = torch.maximum(p, epsilon * largest / total).log()
    result = torch.zeros_like(lam)
    for order, g in zip(orders, grad.double().unbind(-1), strict=True):
        if order == 0:
            continue
        if order > _slopes.LARGEST_BY_RESOLVENTS:  # as _slopes says, which has the same formula
            apart = n * (epsilon if math.isinf(order) else torch.finfo(values.dtype).eps)
            q = torch.where(lam >= largest * (1 - apart), 1, lam / largest)
            power = q ** (order - 1)
            share = power * total / (largest * (power * q).sum(dim=-1, keepdim=True))
            slope = (1 - share) / total * (1 if math.isinf(order) else order / (order - 1))
        else:
            t = order - 1
            if t == 0:
                entropy = -(p * log).sum(dim=-1, keepdim=True)
                slope = -(bounded + entropy) / total
            else:
                entropy = -torch.log1p((p * torch.expm1(t * log)).sum(dim=-1, keepdim=True)) / t
                slope = torch.expm1(t * (bounded + entropy)) * (order / -t) / total
        result += g[..., None] * slope
    return result * (unit / math.log(2))


def _of_collision(a: Tensor, g: Tensor, unit: float) -> Tensor:
    """Return the gradient of entropies of order 2, -log2(|A|^2 / tr(A)^2), which needs no spectrum."""
    factor = g * (2 * unit / math.log(2))
    found = a * (-factor / a.square().sum(dim=(-2, -1)))[:, None, None]
    found.diagonal(dim1=-2, dim2=-1).add_((factor / a.diagonal(dim1=-2, dim2=-1).sum(dim=-1))[:, None])
    return found


def _of_joints(a: Tensor, g: Tensor, orders: Sequence[float], epsilon: float, unit: float) -> Tensor:
    """Return the gradients of the entropies, weighed by g (b, m), of matrices (b, n, n) of any trace."""
    if serves_core(a):
        return torch.from_numpy(_slopes.of_joints(wrap(a), g.double().numpy(), orders, epsilon, unit))
    if list(orders) == [2.0]:
        return _of_collision(a, g[:, 0], unit)
    values, v = _eigh(a)
    return (v * _slopes_of(values, g, orders, epsilon, unit).to(a.dtype)[:, None, :]) @ v.mT


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


@_in_its_own_dtype
def of_entropies(
    grad: Tensor,
    grams: Sequence[Tensor],
    wanted: Sequence[bool],
    subsets: Sequence[Sequence[int]],
    signs: Sequence[float],
    orders: Sequence[float],
    unit: float,
) -> list[Tensor]:
    """Return the gradients with respect to Grams of their joint entropies; of those not wanted, nothing (0,)."""
    epsilon = home_of(grams[0]).epsilon
    computed = [_computed(a) for a in grams]
    n, m = grams[0].shape[-1], len(orders)
    result = [a.new_zeros(a.shape) if want else a.new_empty(0) for a, want in zip(computed, wanted, strict=True)]
    jobs = [k for k, subset in enumerate(subsets) if any(wanted[i] for i in subset)]
    if jobs and grad.numel():
        factors = [[computed[i] for i in subsets[k]] for k in jobs]
        joints = [_joint(torch.broadcast_tensors(*each)) for each in factors]  # type: ignore[no-untyped-call]
        # A subset that does not vary over some batch axes was computed once: its gradients add up.
        weights = [
            (signs[k] * grad if signs else grad[k]).sum_to_size(*joint.shape[:-2], m).reshape(-1, m)
            for k, joint in zip(jobs, joints, strict=True)
        ]
        flat = torch.cat([joint.reshape(-1, n, n) for joint in joints])
        found = _of_joints(flat, torch.cat(weights), orders, epsilon, unit)
        parts = torch.split(found, [len(each) for each in weights])
        for k, each, joint, to_joint in zip(jobs, factors, joints, parts, strict=True):
            which = [at for at, i in enumerate(subsets[k]) if wanted[i]]
            for at, part in zip(which, _to_factors(to_joint.reshape(joint.shape), each, which), strict=True):
                target = result[subsets[k][at]]
                target += part.sum_to_size(target.shape)
    return [part.to(a.dtype) for part, a in zip(result, grams, strict=True)]


@_in_its_own_dtype
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
    result, result_x = a.new_zeros(a.shape), x.new_zeros(x.shape)  # contiguous, whatever a and x are

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
        rows, cols = torch.triu_indices(count, count, 1, device=a.device)
        step = max(1, _TILE_BYTES // (n * n * a.element_size()))
        for i, j in zip(rows.split(step), cols.split(step), strict=True):
            for grad, factors in ((both[0, i, j], [a[i], a[j]]), (both[1, i, j], [a[i], a[j], x.expand(len(i), n, n)])):
                found = back(factors, grad)
                result.index_add_(0, i, found[0])
                result.index_add_(0, j, found[1])
                for part in found[2:]:
                    result_x += part.sum(dim=0, keepdim=True)
    return result.to(maps.dtype), result_x[0].to(target.dtype)
