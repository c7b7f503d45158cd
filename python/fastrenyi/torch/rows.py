"""The rows of a Monitor's table: what the layers know at one step, on one minibatch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import fastrenyi as fr
from fastrenyi import _check
from fastrenyi.kernels import Delta, Kernel
from fastrenyi.torch.network.capture import Activations
from fastrenyi.torch.network.probe import Links
from fastrenyi.torch.notices import saturated
from fastrenyi.torch.progress import Progress
from fastrenyi.torch.settings import Settings, telling
from fastrenyi.torch.tokens import one_hot

__all__ = ["input_gram", "of_batch", "target_gram"]

_DEAD = 1e-4  # bits, under which a layer says nothing
_REAL = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_OF_PAIRS = ("tradeoff", "nonredundant")
_PAIRS_NULL = 2  # permutations for pairs: with them a measurement with pairs costs twice as much


def of_batch(
    settings: Settings,
    acts: Activations,
    links: Links,
    input_gram: Tensor,
    target_gram: Tensor | None,
    where: str,
    progress: Progress,
) -> Iterator[dict[str, Any]]:
    """What all layers know of the input, the target and the last layer's error: a row for each layer and order."""
    forward, wrong = {}, {}
    sizes = {name: _size(settings, output) for name, output in acts.items()}
    for name in progress.over(sizes):
        output = acts[name]
        with telling(f"layer {name!r}, {where}"):
            fine = _finite(settings, output, "output")
            forward[name] = _of_layer(settings, output, input_gram, target_gram) if fine else _unmeasured(settings)
            wrong[name] = [] if fine else ["output"]
    errors = _of_errors(settings, acts.gradients, list(acts), where, wrong)
    without = [_compared("mi_error")] * len(settings.orders)
    ways = links.values if settings.links is None else settings.links
    for depth, name in enumerate(acts):
        layer = {
            "layer": name,
            "part": acts.parts[name],
            "depth": depth,
            "channels": sizes[name][0],
            "channel_dim": acts.channel_dims[name],
            "activation": acts.functions[name],
            "input_via": ways.get(name, ""),
            "error_via": links.errors.get(name, ""),
            "permutations": settings.null,
            "pair_permutations": min(settings.null, _PAIRS_NULL),
            "not_finite": ", ".join(wrong[name]),
        }
        for row, error in zip(forward[name], errors.get(name, without), strict=True):
            yield {**layer, **row, **error}


def _size(settings: Settings, output: Tensor) -> tuple[int, int]:
    """How many maps a layer has, and how many pairs of them are measured."""
    maps = output.shape[1] if output.ndim > 2 else 1
    every = maps * (maps - 1) // 2 if settings.pairs else 0
    return maps, every if settings.max_pairs is None else min(every, settings.max_pairs)


def _finite(settings: Settings, x: Tensor, what: str) -> bool:
    """Whether all numbers are finite; if not, and that is not to be recorded, an error."""
    if x.dtype not in _REAL or x.layout != torch.strided:
        return True  # refused, in words, by what would measure it
    bad = ~x.isfinite()
    if settings.on_nan == "error" and bad.any():
        index = tuple(bad.nonzero()[0].tolist())
        way_out = "pass on_nan='record' to keep what can be measured"
        _check.value_error(what, "finite numbers", f"{float(x[index])} at index {index}", way_out)
    return not bad.any()


def _unmeasured(settings: Settings) -> list[dict[str, Any]]:
    """The row of a layer that is not finite, for each order."""
    nothing = {**_compared("mi_input"), **_compared("mi_target"), **_without_pairs()}
    flags = {"saturated": False, "dead": False}
    return [{"alpha": alpha, "entropy": math.nan, **flags, **nothing} for alpha in settings.orders]


def _of_layer(
    settings: Settings, output: Tensor, input_gram: Tensor, target_gram: Tensor | None
) -> list[dict[str, Any]]:
    """What a layer knows of the input and of the target: a row for each order."""
    output = _computed(output)
    maps = _grams(output, settings.kernel, whole=settings.whole and not settings.pairs)
    # The variable: one kernel on the whole tensor, or the maps together.
    layer = list(_grams(output, settings.kernel, whole=True) if settings.whole else maps)
    x, y = input_gram.to(maps), None if target_gram is None else target_gram.to(maps)
    without = [_compared("mi_target")] * len(settings.orders)
    known = [
        _information(settings, "mi_input", layer, x),
        without if y is None else _information(settings, "mi_target", layer, y),
        _of_pairs(settings, maps, x),
    ]
    rows = []
    for alpha, entropy, *parts in zip(settings.orders, fr.entropy(layer, settings.orders), *known, strict=True):
        row = {"alpha": alpha, "entropy": float(entropy)}
        row |= {"saturated": saturated(row["entropy"], len(x)), "dead": row["entropy"] < _DEAD}
        for part in parts:
            row |= part
        if row["dead"]:
            row |= {"tradeoff_share": math.nan, "nonredundant_share": math.nan}
        rows.append(row)
    return rows


def _information(settings: Settings, name: str, a: list[Tensor], b: Any) -> list[dict[str, float]]:
    """I(A; B) and, if it is measured, its null, of each order."""
    alpha, null, seed = settings.orders, settings.null, settings.seed
    if null == 0:
        return [_compared(name, value) for value in fr.mutual_information(a, b, alpha=alpha)]
    return _with_null(name, fr.permutation_test(a, b, null, seed, alpha=alpha))


def _of_pairs(settings: Settings, maps: Tensor, x: Tensor) -> list[dict[str, float]]:
    """What pairs of feature maps say of the input, of each order."""
    if not settings.pairs or len(maps) < 2:
        return [_without_pairs()] * len(settings.orders)
    null = min(settings.null, _PAIRS_NULL) or None
    known = fr.layer_decomposition(
        maps, x, settings.orders, null=null, seed=settings.seed, max_pairs=settings.max_pairs
    )
    found: list[dict[str, float]] = [{"pairs": known.pairs} for _ in settings.orders]
    for name in _OF_PAIRS:
        value = getattr(known, name)
        if known.null is None:
            compare = [_compared(name, each) for each in value]
        else:
            compare = _with_null(name, getattr(known.null, name))
        for k, row in enumerate(found):
            row |= compare[k]
            row[f"{name}_share"] = float(getattr(known, f"{name}_share")[k])
            row[f"{name}_standard_error"] = float(getattr(known, f"{name}_standard_error")[k])
    return found


def _without_pairs() -> dict[str, float]:
    """What there is of pairs of maps where there are none."""
    of_pairs = {f"{name}_{part}": math.nan for name in _OF_PAIRS for part in ("share", "standard_error")}
    return {"pairs": 0, **_compared("tradeoff"), **_compared("nonredundant"), **of_pairs}


def _of_errors(
    settings: Settings, deltas: dict[str, Tensor], order: list[str], where: str, wrong: dict[str, list[str]]
) -> dict[str, list[dict[str, float]]]:
    """I(delta_K; delta_i) of the layers that the loss depends on, K the last of them, of each order.

    What is not finite is noted as ``wrong`` with its layer.
    """
    reached = [name for name in order if name in deltas]
    known: dict[str, list[dict[str, float]]] = {}
    last: list[Tensor] | None = None
    for name in reversed(reached):
        with telling(f"error of layer {name!r}, {where}"):
            delta = _computed(deltas[name].to(deltas[reached[-1]]))
            if not _finite(settings, delta, "error"):
                wrong[name].append("error")
            elif name == reached[-1]:
                last = list(_grams(delta, settings.error_kernel, whole=settings.whole))
            elif last is None:
                wrong[name].append(f"error of {reached[-1]}")
            else:
                error = list(_grams(delta, settings.error_kernel, whole=settings.whole))
                known[name] = _information(settings, "mi_error", last, error)
    return known


def _compared(name: str, value: Any = math.nan, mean: Any = math.nan, std: Any = math.nan) -> dict[str, float]:
    """A quantity with mean and standard deviation of its null."""
    return {name: float(value), f"{name}_null": float(mean), f"{name}_null_std": float(std)}


def _with_null(name: str, test: fr.PermutationTest[Any]) -> list[dict[str, float]]:
    """A quantity with mean and standard deviation of its null, of each order."""
    return [_compared(name, *of_order) for of_order in zip(test.value, test.mean, test.std, strict=True)]


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
