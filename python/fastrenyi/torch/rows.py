"""The rows of a Monitor's table: what the layers know at one step, on one minibatch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import fastrenyi as fr
from fastrenyi.kernels import Delta, Kernel
from fastrenyi.torch.network.capture import Activations
from fastrenyi.torch.notices import saturated
from fastrenyi.torch.settings import Settings, telling
from fastrenyi.torch.tokens import one_hot

__all__ = ["compared", "input_gram", "of_errors", "of_layers", "target_gram"]

_DEAD = 1e-4  # bits, under which a layer says nothing
_PAIRS_NULL = 2  # permutations for pairs: with them a measurement with pairs costs twice as much


def of_layers(
    settings: Settings, acts: Activations, input_gram: Tensor, target_gram: Tensor | None, where: str
) -> Iterator[dict[str, Any]]:
    """What the layers know of the input and of the target."""
    for depth, (name, output) in enumerate(acts.items()):
        with telling(f"layer {name!r}, {where}"):
            output = _computed(output)
            maps = _grams(output, settings.kernel, whole=settings.whole and not settings.pairs)
            # The variable: one kernel on the whole tensor, or the maps together.
            layer = list(_grams(output, settings.kernel, whole=True) if settings.whole else maps)
            x, y = input_gram.to(maps), None if target_gram is None else target_gram.to(maps)
            entropy = float(fr.entropy(layer, settings.alpha))
            row = {
                **_information(settings, "mi_input", layer, x),
                **(compared("mi_target") if y is None else _information(settings, "mi_target", layer, y)),
                **_of_pairs(settings, maps, x),
            }
        dead = entropy < _DEAD
        if dead:
            row |= {"tradeoff_share": math.nan, "nonredundant_share": math.nan}
        yield {
            "layer": name,
            "depth": depth,
            "part": acts.parts[name],
            "channels": output.shape[1] if output.ndim > 2 else 1,
            "channel_dim": acts.channel_dims[name],
            "activation": acts.functions[name],
            "entropy": entropy,
            "saturated": saturated(entropy, len(x)),
            "dead": dead,
            "permutations": settings.null,
            "pair_permutations": min(settings.null, _PAIRS_NULL),
            **row,
        }


def _information(settings: Settings, name: str, a: list[Tensor], b: Any) -> dict[str, float]:
    """I(A; B) and, if it is measured, its null."""
    alpha, null, seed = settings.alpha, settings.null, settings.seed
    if null == 0:
        return compared(name, float(fr.mutual_information(a, b, alpha=alpha)))
    return compared(name, fr.permutation_test(a, b, null, seed, alpha=alpha))


def _of_pairs(settings: Settings, maps: Tensor, x: Tensor) -> dict[str, float]:
    """What pairs of feature maps say of the input."""
    if not settings.pairs or len(maps) < 2:
        return {**compared("tradeoff"), **compared("nonredundant")}
    null = min(settings.null, _PAIRS_NULL) or None
    known = fr.layer_decomposition(maps, x, settings.alpha, null=null, seed=settings.seed)
    return {
        **compared("tradeoff", known.null.tradeoff if known.null else float(known.tradeoff)),
        **compared("nonredundant", known.null.nonredundant if known.null else float(known.nonredundant)),
        "tradeoff_share": float(known.tradeoff_share),
        "nonredundant_share": float(known.nonredundant_share),
    }


def of_errors(
    settings: Settings, deltas: dict[str, Tensor], order: list[str], where: str
) -> dict[str, dict[str, float]]:
    """I(delta_K; delta_i) of the layers that the loss depends on, K the last of them."""
    reached = [name for name in order if name in deltas]
    known: dict[str, dict[str, float]] = {}
    last: list[Tensor] = []
    for name in reversed(reached):
        with telling(f"error of layer {name!r}, {where}"):
            delta = _computed(deltas[name].to(deltas[reached[-1]]))
            error = list(_grams(delta, settings.error_kernel, whole=settings.whole))
            if last:
                known[name] = _information(settings, "mi_error", last, error)
            else:
                last = error
    return known


def compared(name: str, found: fr.PermutationTest[Any] | float = math.nan) -> dict[str, float]:
    """A quantity with mean and standard deviation of its null."""
    if isinstance(found, float):
        values = (found, math.nan, math.nan)
    else:
        values = (float(found.value), float(found.mean), float(found.std))
    return dict(zip((name, f"{name}_null", f"{name}_null_std"), values, strict=True))


def _computed(output: Tensor) -> Tensor:
    """In half precision the Grams themselves would be rounded to it."""
    return output.float() if output.dtype in (torch.float16, torch.bfloat16) else output


def _grams(output: Tensor, kernel: Kernel, *, whole: bool) -> Tensor:
    """The Grams (C, n, n) of feature maps, or (1, n, n) of vectors and of whole tensors."""
    whole = whole or output.ndim < 3
    grams: Tensor = fr.tensor_gram(output, kernel)[None] if whole else fr.channel_grams(output, kernel)
    return grams


def input_gram(x: Tensor, kernel: Kernel) -> Tensor:
    """The Gram of inputs, in float64; integers are tokens."""
    gram: Tensor = fr.tensor_gram(x.double() if x.is_floating_point() else one_hot(x), kernel)
    return gram


def target_gram(y: Tensor, kernel: Kernel) -> Tensor:
    """The Gram of targets, in float64; integers are classes."""
    if isinstance(kernel, Delta):
        kernel = kernel if y.is_floating_point() else replace(kernel, dtype="float64")
        y = y.double() if y.is_floating_point() else y
    else:
        y = y.double() if y.is_floating_point() else one_hot(y)
    gram: Tensor = fr.tensor_gram(y, kernel)
    return gram
