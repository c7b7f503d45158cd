"""Joint entropies of subsets of Grams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastrenyi._array import home_of
from fastrenyi._kernels import serves_core
from fastrenyi._kernels.device import come_with_vectors
from fastrenyi._ops.backward import of_entropies
from fastrenyi._ops.entropies import entropies_and_kept
from fastrenyi.torch.ops._joints import joint, of_joints, to_factors
from fastrenyi.torch.ops._operation import once_only, operation
from fastrenyi.torch.ops._shared import (
    aligned,
    as_tensor,
    common_batch,
    computed,
    computed_in,
    in_front,
    in_its_own_dtype,
    joined,
    parted,
)

__all__ = ["entropies"]

# Lists of lists and of words, which the operations themselves cannot be given where torch.jit traces.

_END = -1


def _flat(subsets: Sequence[Sequence[int]]) -> list[int]:
    return [position for subset in subsets for position in (*subset, _END)]


def _nested(flat: Sequence[int]) -> list[list[int]]:
    found: list[list[int]] = [[]]
    for position in flat:
        if position == _END:
            found.append([])
        else:
            found[-1].append(position)
    return found[:-1]


def _kept_of_one(like: Tensor, orders: Sequence[float]) -> tuple[int, ...] | None:
    """Return the shape of what is kept of a joint Gram for the gradient; None if nothing is."""
    n, collision = like.shape[-1], list(orders) == [2.0]
    if serves_core(like):
        return (2,) if collision else (n + 3, n)
    if collision or not come_with_vectors(like, str(computed_in(like)).removeprefix("torch.")):
        return None
    return (n + 1, n)


class _Entropies:
    """``_ops.entropies.entropies_and_kept``: the second result is for the gradient."""

    @staticmethod
    def kernel(grams: list[Tensor], labels: str, subsets: list[int], names: str, *rest: Any) -> tuple[Tensor, Tensor]:
        found, kept = entropies_and_kept(grams, parted(labels), _nested(subsets), parted(names), *rest)
        return as_tensor(found), as_tensor(kept)

    @staticmethod
    def fake(
        grams: list[Tensor],
        labels: str,
        subsets: list[int],
        names: str,
        signs: list[float],
        orders: list[float],
        unit: float,
        keep: bool,
    ) -> tuple[Tensor, Tensor]:
        listed = _nested(subsets)
        n, dtype = grams[0].shape[-1], computed_in(grams[0])
        first = () if signs else (len(listed),)
        found = grams[0].new_empty((*first, *common_batch(grams), len(orders)), dtype=dtype)
        each = _kept_of_one(grams[0], orders) if keep else None
        if each is None:
            return found, found.new_empty((0, n + 3, n))
        count = sum(common_batch([grams[i] for i in subset]).numel() for subset in listed)
        return found, found.new_empty((count, *each), dtype=torch.float64 if len(each) == 1 else dtype)

    @staticmethod
    def forward(*args: Any) -> tuple[Tensor, Tensor]:
        labels, subsets, names, signs, orders, unit, keep, *grams = args
        op = torch.ops.fastrenyi.entropies.default
        found: tuple[Tensor, Tensor] = op(
            grams, joined(labels), _flat(subsets), joined(names), signs, orders, unit, keep
        )
        return found

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: tuple[Tensor, Tensor]) -> None:
        _labels, ctx.subsets, _names, ctx.signs, ctx.orders, ctx.unit, _keep, *grams = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*grams, output[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, _: object) -> tuple[Any, ...]:
        *grams, kept = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[7:])
        found: Sequence[Tensor | None] = [None] * len(grams)
        if grad is not None:  # else nothing depends on it
            found = _entropies_backward(wanted, ctx.subsets, ctx.signs, ctx.orders, ctx.unit, grad, kept, *grams)
        return *(None,) * 7, *(part if want else None for part, want in zip(found, wanted, strict=True))

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[Any], *args: Any) -> Any:
        signs = args[3]
        batch = 0 if signs else 1  # the subsets come before the batch, where they are not summed
        kept = None  # for the gradient, not a result of the mapped function
        return _entropies(*args[:7], *aligned(args[7:], in_dims[7:])), (batch, kept)


_entropies = operation(
    "entropies(Tensor[] grams, str labels, int[] subsets, str names, float[] signs, float[] orders, float unit, "
    "bool keep) -> (Tensor, Tensor)",
    "entropy",
    _Entropies,
)


class _EntropiesBackward:
    """The gradients with respect to the Grams; of those not wanted, nothing (0,)."""

    @staticmethod
    def kernel(
        grad: Tensor, grams: list[Tensor], kept: Tensor, wanted: list[bool], subsets: list[int], *rest: Any
    ) -> list[Tensor]:
        if not serves_core(grad):
            return _to_grams(grad, grams, kept, wanted, _nested(subsets), *rest)
        found = of_entropies(grad, grams, kept, wanted, _nested(subsets), *rest)
        return [torch.from_numpy(part).to(a.dtype) for part, a in zip(found, grams, strict=True)]

    @staticmethod
    def fake(grad: Tensor, grams: list[Tensor], kept: Tensor, wanted: list[bool], *_: object) -> list[Tensor]:
        return [a.new_empty(a.shape if want else (0,)) for a, want in zip(grams, wanted, strict=True)]

    @staticmethod
    def forward(*args: Any) -> tuple[Tensor, ...]:
        wanted, subsets, signs, orders, unit, grad, kept, *grams = args
        op = torch.ops.fastrenyi.entropies_backward.default
        try:
            return tuple(op(grad, grams, kept, wanted, _flat(subsets), signs, orders, unit))
        except RuntimeError as error:
            if "Batching rule not implemented" not in str(error):
                raise
            raise NotImplementedError(
                "entropy: expected one gradient at a time, got a batch of them (is_grads_batched=True or "
                "jacobian(vectorize=True)), which PyTorch does not map over lists; use torch.func.jacrev, or a loop"
            ) from error

    @staticmethod
    def setup_context(ctx: Any, inputs: Sequence[Any], output: tuple[Tensor, ...]) -> None:
        pass

    backward = staticmethod(once_only("entropy"))

    @staticmethod
    def vmap(
        info: Any,
        in_dims: Sequence[Any],
        wanted: list[bool],
        subsets: list[list[int]],
        signs: list[float],
        orders: list[float],
        unit: float,
        grad: Tensor,
        kept: Tensor,
        *grams: Tensor,
    ) -> Any:
        axes, size, batch = in_dims[7:], info.batch_size, 0 if signs else 1
        grad = in_front(grad, in_dims[5], size).movedim(0, batch)
        mapped = aligned(grams, axes)
        if any(want and len(a) != size for a, want in zip(mapped, wanted, strict=True)):
            # Each mapped function has a gradient of its own with respect to a Gram that all of them share.
            mapped = [a.expand(size, *a.shape[1:]) if want else a for a, want in zip(mapped, wanted, strict=True)]
            kept = kept.new_empty((0, *kept.shape[1:]))
        found = _entropies_backward(wanted, subsets, signs, orders, unit, grad, kept, *mapped)
        each = zip(found, grams, axes, wanted, strict=True)
        shaped = (
            part.reshape(size, *(a.shape if axis is None else a.movedim(axis, 0).shape[1:])) if want else part
            for part, a, axis, want in each
        )
        return tuple(shaped), tuple(0 if want else None for want in wanted)


_entropies_backward = operation(
    "entropies_backward(Tensor grad, Tensor[] grams, Tensor kept, bool[] wanted, int[] subsets, float[] signs, "
    "float[] orders, float unit) -> Tensor[]",
    "entropy",
    _EntropiesBackward,
)


def entropies(
    grams: Sequence[Tensor],
    labels: Sequence[str],
    subsets: Sequence[Sequence[int]],
    names: Sequence[str],
    signs: Sequence[float],
    orders: Sequence[float],
    unit: float,
) -> Tensor:
    """Return the joint entropies of subsets of Grams, or their signed sum, as ``_ops.entropies``."""
    # Kept where a gradient is to be expected; where it comes unexpected, what it needs is found again.
    keep = torch.is_grad_enabled() and any(a.requires_grad for a in grams)
    listed = [list(subset) for subset in subsets]
    found, _ = _entropies(list(labels), listed, list(names), list(signs), list(orders), unit, keep, *grams)
    return found  # type: ignore[no-any-return]


# Where no gradient is compiled ----------------------------------------------------------------------------------------


@in_its_own_dtype
def _to_grams(
    grad: Tensor,
    grams: Sequence[Tensor],
    kept: Tensor,
    wanted: Sequence[bool],
    subsets: Sequence[Sequence[int]],
    signs: Sequence[float],
    orders: Sequence[float],
    unit: float,
) -> list[Tensor]:
    """Return the gradients with respect to Grams of their joint entropies; of those not wanted, nothing (0,).

    ``kept`` has the eigenvalues and eigenvectors of all joint Grams, or nothing.
    """
    epsilon = home_of(grams[0]).epsilon
    matrices = [computed(a) for a in grams]
    n, m = grams[0].shape[-1], len(orders)
    result = [a.new_zeros(a.shape) if want else a.new_empty(0) for a, want in zip(matrices, wanted, strict=True)]
    jobs = [k for k, subset in enumerate(subsets) if any(wanted[i] for i in subset)]
    if jobs and grad.numel():
        factors = [[matrices[i] for i in subsets[k]] for k in jobs]
        joints = [joint(torch.broadcast_tensors(*each)) for each in factors]  # type: ignore[no-untyped-call]
        # A subset that does not vary over some batch axes was computed once: its gradients add up.
        weights = [
            (signs[k] * grad if signs else grad[k]).sum_to_size(*whole.shape[:-2], m).reshape(-1, m)
            for k, whole in zip(jobs, joints, strict=True)
        ]
        flat = torch.cat([whole.reshape(-1, n, n) for whole in joints])
        known = None
        if len(kept):
            counts = [common_batch([matrices[i] for i in subset]).numel() for subset in subsets]
            of_subset = torch.split(kept, counts)
            known = torch.cat([of_subset[k] for k in jobs])
        found = of_joints(flat, torch.cat(weights), orders, epsilon, unit, known)
        parts = torch.split(found, [len(each) for each in weights])
        for k, each, whole, to_joint in zip(jobs, factors, joints, parts, strict=True):
            which = [at for at, i in enumerate(subsets[k]) if wanted[i]]
            for at, part in zip(which, to_factors(to_joint.reshape(whole.shape), each, which), strict=True):
                target = result[subsets[k][at]]
                target += part.sum_to_size(target.shape)
    return [part.to(a.dtype) for part, a in zip(result, grams, strict=True)]
