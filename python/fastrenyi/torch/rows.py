"""The rows of a Monitor's table: what the layers know at one step, on one minibatch, to one method."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

import fastrenyi as fr
from fastrenyi import _check
from fastrenyi.torch.methods import Method
from fastrenyi.torch.network.probe import Pass
from fastrenyi.torch.notices import saturated
from fastrenyi.torch.progress import Progress
from fastrenyi.torch.settings import Settings
from fastrenyi.torch.variables import Variables, computed, grams, whole_gram

__all__ = ["of_batch", "size_of"]

_DEAD = 1e-4  # bits, under which a layer says nothing
_REAL = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_OF_PAIRS = ("tradeoff", "nonredundant")
_PAIRS_NULL = 2  # permutations for pairs: with them a measurement with pairs costs twice as much


def of_batch(
    settings: Settings,
    method: Method,
    passed: Pass,
    known: Variables,
    earlier: Mapping[str, float],
    where: str,
    progress: Progress,
) -> Iterator[dict[str, Any]]:
    """What all layers know of the input, the target and the last layer's error: a row for each layer and order.

    Where pairs are kept and all were measured, a row has them as ``pairwise``, (C, C), beside the table's columns.
    ``earlier`` are the widths that layers had at the last step before this one.
    """
    acts, links = passed.acts, passed.links
    if method.softmax:
        _check_outputs(passed, where)
    forward, wrong = {}, {}
    sizes = {name: size_of(method, output) for name, output in acts.items()}
    for name in progress.over(sizes):
        output = acts[name]
        with _check.telling(f"layer {name!r}, {where}"):
            fine = _finite(settings, output, "output")
            if method.softmax and name in passed.outputs:
                output = _softmax(output)
            known_of = _of_layer(settings, method, output, known, earlier.get(name, math.nan)) if fine else None
            forward[name] = known_of or _unmeasured(method)
            wrong[name] = [] if fine else ["output"]
    errors = _of_errors(settings, method, acts.gradients, list(acts), known, where, wrong) if method.errors else {}
    without = [_compared("mi_error")] * len(method.orders)
    for depth, name in enumerate(acts):
        softmax = ["softmax"] if method.softmax and name in passed.outputs else []
        layer = {
            "method": method.name,
            "layer": name,
            "part": acts.parts[name],
            "depth": depth,
            "channels": sizes[name][0],
            "channel_dim": acts.channel_dims[name],
            "activation": ", ".join(filter(None, [acts.functions[name], *softmax])),
            "input_via": links.values.get(name, ""),
            "error_via": links.errors.get(name, ""),
            "permutations": settings.null,
            "pair_permutations": min(settings.null, _PAIRS_NULL),
            "not_finite": ", ".join(wrong[name]),
        }
        for row, error in zip(forward[name], errors.get(name, without), strict=True):
            yield {**layer, **row, **error}


def size_of(method: Method, output: Tensor) -> tuple[int, int]:
    """Return how many maps a layer has, and how many pairs of them are measured."""
    maps = output.shape[1] if output.ndim > 2 else 1
    every = maps * (maps - 1) // 2 if method.pairs else 0
    return maps, every if method.max_pairs is None else min(every, method.max_pairs)


def _check_outputs(passed: Pass, where: str) -> None:
    """Whether there is a layer that softmax can be applied to."""
    if not passed.outputs:
        expected = "a measured layer that puts out what the network does"
        way_out = "measure that layer, or pass softmax=False for a network that ends in one of its own"
        _check.value_error(f"{where}: softmax", expected, f"none among {', '.join(map(repr, passed.acts))}", way_out)


def _softmax(output: Tensor) -> Tensor:
    """Return the classes' probabilities; classes are the features, which stand second."""
    if output.ndim < 2 or output.shape[1] < 2:
        _check.value_error("softmax", "an output of two classes or more", f"shape {tuple(output.shape)}")
    return output.softmax(1)


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


def _unmeasured(method: Method) -> list[dict[str, Any]]:
    """The row of a layer that is not finite, for each order."""
    nothing = {**_compared("mi_input"), **_compared("mi_target"), **_without_pairs()}
    flags = {"bandwidth": math.nan, "saturated": False, "dead": False}
    return [{"alpha": alpha, "entropy": math.nan, **flags, **nothing} for alpha in method.orders]


def _of_layer(
    settings: Settings, method: Method, output: Tensor, known: Variables, earlier: float
) -> list[dict[str, Any]]:
    """What a layer knows of the input and of the target: a row for each order."""
    output = computed(output, method.bins)
    several = output.ndim > 2
    # The variable: one kernel on the whole tensor, or the maps together.
    width, layer, maps = math.nan, [], None
    if several and (method.pairs or not method.whole):
        maps = grams(output, known.kernel, whole=False)
        layer = list(maps)
    if method.whole or not several:
        gram, width = whole_gram(output, known.kernel, earlier, method.smooth)
        layer = [gram]
    x = known.x.to(layer[0])
    y = None if known.y is None else known.y.to(layer[0])
    parts = [
        _information(settings, method, "mi_input", layer, x),
        [_compared("mi_target")] * len(method.orders)
        if y is None
        else _information(settings, method, "mi_target", layer, y),
        _of_pairs(settings, method, maps, x),
    ]
    rows = []
    for alpha, entropy, *quantities in zip(method.orders, fr.entropy(layer, method.orders), *parts, strict=True):
        row = {"alpha": alpha, "bandwidth": width, "entropy": float(entropy)}
        row |= {"saturated": saturated(row["entropy"], len(x)), "dead": row["entropy"] < _DEAD}
        for part in quantities:
            row |= part
        if row["dead"]:
            row |= {"tradeoff_share": math.nan, "nonredundant_share": math.nan}
        rows.append(row)
    return rows


def _information(settings: Settings, method: Method, name: str, a: list[Tensor], b: Any) -> list[dict[str, float]]:
    """I(A; B) and, if it is measured, its null, of each order."""
    alpha, null, seed = method.orders, settings.null, settings.seed
    if null == 0:
        return [_compared(name, value) for value in fr.mutual_information(a, b, alpha=alpha)]
    return _with_null(name, fr.permutation_test(a, b, null, seed, alpha=alpha))


def _of_pairs(settings: Settings, method: Method, maps: Tensor | None, x: Tensor) -> list[dict[str, Any]]:
    """What pairs of feature maps say of the input, of each order."""
    if not method.pairs or maps is None or len(maps) < 2:
        return [_without_pairs()] * len(method.orders)
    null = min(settings.null, _PAIRS_NULL) or None
    known = fr.layer_decomposition(maps, x, method.orders, null=null, seed=settings.seed, max_pairs=method.max_pairs)
    found: list[dict[str, Any]] = [{"pairs": known.pairs} for _ in method.orders]
    if settings.keep_pairs and known.pairwise is not None and known.pairs == len(maps) * (len(maps) - 1) // 2:
        for k, row in enumerate(found):
            row["pairwise"] = known.pairwise[..., k].double().cpu().numpy()
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
    settings: Settings,
    method: Method,
    deltas: dict[str, Tensor],
    order: list[str],
    variables: Variables,
    where: str,
    wrong: dict[str, list[str]],
) -> dict[str, list[dict[str, float]]]:
    """I(delta_K; delta_i) of the layers that the loss depends on, K the last of them, of each order.

    What is not finite is noted as ``wrong`` with its layer.
    """
    reached = [name for name in order if name in deltas]
    known: dict[str, list[dict[str, float]]] = {}
    last: list[Tensor] | None = None
    for name in reversed(reached):
        with _check.telling(f"error of layer {name!r}, {where}"):
            delta = deltas[name].to(deltas[reached[-1]])
            if not _finite(settings, delta, "error"):
                wrong[name].append("error")
                continue
            if last is None and name != reached[-1]:
                wrong[name].append(f"error of {reached[-1]}")
                continue
            error = list(grams(computed(delta, method.bins), variables.error_kernel, whole=method.whole))
            if last is None:
                last = error
            else:
                known[name] = _information(settings, method, "mi_error", last, error)
    return known


def _compared(name: str, value: Any = math.nan, mean: Any = math.nan, std: Any = math.nan) -> dict[str, float]:
    """A quantity with mean and standard deviation of its null."""
    return {name: float(value), f"{name}_null": float(mean), f"{name}_null_std": float(std)}


def _with_null(name: str, test: fr.PermutationTest[Any]) -> list[dict[str, float]]:
    """A quantity with mean and standard deviation of its null, of each order."""
    return [_compared(name, *of_order) for of_order in zip(test.value, test.mean, test.std, strict=True)]
