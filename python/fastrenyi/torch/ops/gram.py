"""Grams of samples, and the widths that rules find: constants of the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi import _ops
from fastrenyi._array import has_numbers
from fastrenyi._bandwidth import Bandwidth
from fastrenyi._kernels import serves_core
from fastrenyi._ops.backward import of_gram
from fastrenyi._spec import KernelSpec
from fastrenyi.bandwidths import decode
from fastrenyi.torch.ops._operation import operation
from fastrenyi.torch.ops._shared import as_tensor, computed_in, in_front, in_its_own_dtype

__all__ = ["bandwidth", "delta_gram", "gram"]

_TILE_BYTES = 2**25
"""Memory of one tile of features, of which the backward pass of a Laplacian holds some."""


def _gram_shape(x: Tensor) -> tuple[int, ...]:
    *batch, n, _ = x.shape
    return (*batch, n, n)


def _widths(width: Tensor | None, axis: int | None, samples: Tensor) -> Tensor | None:
    """Return a width for each of the samples (size, ..., n, d), or the one that all of them share."""
    if width is None or (axis is None and not width.ndim):
        return width
    width = in_front(width, axis, len(samples))
    inner = (1,) * (samples.ndim - 2 - width.ndim)
    return width.reshape(len(samples), *inner, *width.shape[1:]).expand(samples.shape[:-2])


class _Gram:
    """The Grams of samples; ``sigma`` is the width of all where ``width`` is None."""

    @staticmethod
    @in_its_own_dtype
    def kernel(
        x: Tensor, width: Tensor | None, sigma: float, kind: str, degree: int, gamma: float, coef0: float, *rest: Any
    ) -> Tensor:
        spec = KernelSpec(kind, degree, gamma, coef0)
        return as_tensor(_ops.gram(x, spec, sigma if width is None else width, *rest))

    @staticmethod
    def fake(x: Tensor, *_: object) -> Tensor:
        return x.new_empty(_gram_shape(x), dtype=computed_in(x))

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: Tensor) -> None:
        x, width, ctx.sigma, *ctx.spec, _given, _name = inputs
        ctx.save_for_backward(x, width, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, width, a = ctx.saved_tensors
        of_x, of_width, *others = ctx.needs_input_grad
        to_x = _gram_backward(grad, x, width, a, ctx.sigma, *ctx.spec) if of_x else None
        return to_x, _to_width(width, a, grad, ctx.spec[0]) if of_width else None, *(None for _ in others)

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], x: Tensor, width: Tensor | None, *rest: Any) -> Any:
        x = in_front(x, in_dims[0], info.batch_size)
        return _gram(x, _widths(width, in_dims[1], x), *rest), 0


_gram = operation(
    "gram(Tensor x, Tensor? width, float sigma, str kind, int degree, float gamma, float coef0, bool given, str name) "
    "-> Tensor",
    "gram",
    _Gram,
)


class _GramBackward:
    """The gradient with respect to the samples of Grams a; contiguous. Its own is that of the formulas below."""

    @staticmethod
    def kernel(grad: Tensor, x: Tensor, width: Tensor | None, a: Tensor, sigma: float, *spec: Any) -> Tensor:
        kernel = KernelSpec(*spec)
        if not kernel.widthed or not serves_core(x):
            return _to_samples(grad, x, width, a, sigma, kernel)
        found = of_gram(grad, x, sigma if width is None else width, a, kernel.kind)
        return torch.from_numpy(found).to(x.dtype)

    @staticmethod
    def fake(grad: Tensor, x: Tensor, *_: object) -> Tensor:
        return torch.empty_like(x, memory_format=torch.contiguous_format)

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: Tensor) -> None:
        grad, x, width, a, ctx.sigma, *spec = inputs
        ctx.spec = KernelSpec(*spec)
        ctx.save_for_backward(grad, x, width, a)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        grad, x, width, a = ctx.saved_tensors

        def slope(grad: Tensor, x: Tensor, a: Tensor, *width: Tensor) -> Tensor:
            return _to_samples(grad, x, width[0] if width else None, a, ctx.sigma, ctx.spec)

        back = torch.func.vjp(slope, grad, x, a, *(() if width is None else (width,)))[1]
        to_grad, to_x, to_a, *to_width = back(upstream)
        return to_grad, to_x, to_width[0] if to_width else None, to_a, *(None for _ in ctx.needs_input_grad[4:])

    @staticmethod
    def vmap(
        info: Any, in_dims: Sequence[Any], grad: Tensor, x: Tensor, width: Tensor | None, a: Tensor, *rest: Any
    ) -> Any:
        size = info.batch_size
        x = in_front(x, in_dims[1], size)
        grad, a = in_front(grad, in_dims[0], size), in_front(a, in_dims[3], size)
        return _gram_backward(grad, x, _widths(width, in_dims[2], x), a, *rest), 0


_gram_backward = operation(
    "gram_backward(Tensor grad, Tensor x, Tensor? width, Tensor a, float sigma, str kind, int degree, float gamma, "
    "float coef0) -> Tensor",
    "gram",
    _GramBackward,
)


def gram(x: Tensor, kernel: KernelSpec, width: Any, given: bool, name: str) -> Tensor:
    """Return the Grams (..., n, n) of samples (..., n, d), as ``_ops.gram``; differentiable in x and width.

    A width is one number, which has no gradient, or a tensor.
    """
    sigma = 0.0
    if isinstance(width, (int, float)) and torch.compiler.is_compiling():
        width = torch.scalar_tensor(width, dtype=torch.float64)  # a number would be compiled in, again for every n
    elif isinstance(width, (int, float)):
        width, sigma = None, float(width)
    elif width is not None and not isinstance(width, Tensor):
        width = torch.as_tensor(width, dtype=torch.float64)
    found: Tensor = _gram(x, width, sigma, *kernel, given, name)
    return found


# Gradients as PyTorch's own operations: for second derivatives, and where none is compiled ----------------------------


@in_its_own_dtype
def _to_samples(grad: Tensor, x: Tensor, width: Tensor | None, a: Tensor, sigma: float, kernel: KernelSpec) -> Tensor:
    """Return the gradient with respect to samples (..., n, d) of their Grams a; contiguous, as its fake says."""
    if not kernel.widthed:
        return of_polynomial(x, a, grad, kernel).contiguous()
    one = a.new_full((), sigma, dtype=torch.float64) if width is None else width
    return of_distance(x, one, a, grad, kernel.kind).contiguous()


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


@in_its_own_dtype
def _to_width(width: Tensor, a: Tensor, grad: Tensor, kind: str) -> Tensor:
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


def of_polynomial(x: Tensor, a: Tensor, grad: Tensor, kernel: KernelSpec) -> Tensor:
    """Return the gradient with respect to samples (..., n, d) of a polynomial Gram a: u_ij^degree / n.

    u_ij = k_ij / sqrt(k_ii k_jj), k_ij = gamma <x_i, x_j> + coef0. Cost O(n^2 d).
    """
    samples = x.to(a.dtype)
    n = x.shape[-2]
    k = kernel.gamma * (samples @ samples.mT) + kernel.coef0
    norms = k.diagonal(dim1=-2, dim2=-1).sqrt()
    u = k / (norms[..., :, None] * norms[..., None, :])
    weights = (grad + grad.mT) * u ** (kernel.degree - 1) * (kernel.degree / n)
    weights = weights - torch.diag_embed(weights.diagonal(dim1=-2, dim2=-1))  # the diagonal is 1/n whatever x is
    scaled = samples / norms[..., None]
    along = (weights * u).sum(dim=-1, keepdim=True)
    return (kernel.gamma * (weights @ scaled - along * scaled) / norms[..., None]).to(x.dtype)


# Widths and the Delta kernel, which have no gradient ------------------------------------------------------------------


class _Bandwidth:
    @staticmethod
    def kernel(x: Tensor, rule: str, numbers: Sequence[float], target: Tensor | None, kind: str, name: str) -> Tensor:
        return as_tensor(_ops.bandwidth(x, decode(rule, numbers, target), KernelSpec.plain(kind), name))

    @staticmethod
    def fake(x: Tensor, *_: object) -> Tensor:
        return x.new_empty(x.shape[:-2], dtype=torch.float64)

    @staticmethod
    def vmap(
        info: Any, in_dims: Sequence[Any], x: Tensor, rule: str, numbers: Any, target: Tensor | None, *rest: Any
    ) -> Any:
        if in_dims[3] is not None:
            raise NotImplementedError(
                "bandwidth: expected one target Gram for Alignment, got one for each under vmap; "
                "call it in a loop, or find the widths before"
            )
        return _bandwidth(in_front(x, in_dims[0], info.batch_size), rule, numbers, target, *rest), 0


_bandwidth = operation(
    "bandwidth(Tensor x, str rule, float[] numbers, Tensor? target, str kind, str name) -> Tensor",
    "bandwidth",
    _Bandwidth,
)


def bandwidth(x: Tensor, rule: Bandwidth, kernel: KernelSpec, name: str) -> Tensor:
    """Return the widths (...) that a rule finds: constants of the gradient."""
    coded = rule._code()
    if coded is None:
        return _by_a_rule_of_the_user(x.detach(), rule, kernel, name)
    rule_name, numbers, target = coded
    if target is not None:
        target = torch.as_tensor(target).detach()
    found: Tensor = _bandwidth(x.detach(), rule_name, numbers, target, kernel.kind, name)
    return found


def _by_a_rule_of_the_user(x: Tensor, rule: Bandwidth, kernel: KernelSpec, name: str) -> Tensor:
    """Return the widths of a rule that no operation can be given: for tensors whose numbers are there."""
    if not has_numbers(x):
        raise NotImplementedError(
            f"bandwidth: expected a rule of fastrenyi under torch.compile and torch.func, got {type(rule).__name__}; "
            "find the widths before and pass them as a tensor"
        )
    return as_tensor(_ops.bandwidth(x, rule, kernel, name))


class _DeltaGram:
    @staticmethod
    def kernel(x: Tensor, name: str) -> Tensor:
        return as_tensor(_ops.delta_gram(x, name))

    @staticmethod
    def fake(x: Tensor, name: str) -> Tensor:
        return x.new_empty(_gram_shape(x), dtype=torch.float64)

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], x: Tensor, name: str) -> Any:
        return _delta_gram(in_front(x, in_dims[0], info.batch_size), name), 0


_delta_gram = operation(
    "delta_gram(Tensor x, str name) -> Tensor",
    "gram",
    _DeltaGram,
)


def delta_gram(x: Tensor, name: str) -> Tensor:
    """Return the Grams of the Delta kernel, constant wherever they have a gradient."""
    found: Tensor = _delta_gram(x.detach(), name)
    return found
