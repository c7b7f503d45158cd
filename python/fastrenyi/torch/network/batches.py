"""The minibatches that a Monitor measures on: what the model is called with, the variable X in it, and targets."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from fastrenyi import _check
from fastrenyi.torch.network.structure import Choice, chosen, first, mapped, tensors

__all__ = ["Batch", "Place", "accept", "as_bytes", "call", "fingerprint", "follow", "place_of", "variable"]

Batch: TypeAlias = tuple[Any, Tensor | None]
"""What the model is called with (a tensor, a tuple of arguments or a mapping of named ones), and targets."""

_LABELS = "labels"
"""The key of the targets in a minibatch that is one mapping, after Hugging Face."""
_TOKENS = (torch.int32, torch.int64)
"""The integers that an embedding takes; others (bytes of an image) are numbers of another kind."""


def accept(probe: object) -> list[Batch]:
    """Copies of the minibatches, checked as far as they can be without the model."""
    if isinstance(probe, (Tensor, np.ndarray, Mapping, str)) or not isinstance(probe, Iterable):
        got = type(probe).__name__
        _check.kind_error("probe", "a list of minibatches (x, y), or a DataLoader", got, "pass [(x, y)]")
    # A DataLoader draws from PyTorch's generator to begin with. Copied outside inference mode: what is made within it
    # can never require grad.
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        batches = [_accepted(item, f"probe[{index}]") for index, item in enumerate(probe)]
    if not batches:
        _check.value_error("probe", "at least one minibatch (x, y)", "none")
    bare = [index for index, (_, y) in enumerate(batches) if y is None]
    if bare and len(bare) < len(batches):
        _check.value_error(f"probe[{bare[0]}]: y", "targets in all minibatches, or in none", "None")
    return batches


def _accepted(item: object, name: str) -> Batch:
    if isinstance(item, Mapping):
        x: Any = {key: value for key, value in item.items() if key != _LABELS}
        y: Any = item.get(_LABELS)
    else:
        if not isinstance(item, (list, tuple)) or len(item) != 2:
            got = f"{len(item)} items" if isinstance(item, (list, tuple)) else type(item).__name__
            way_out = "one minibatch is probe=[(x, y)], several inputs are ((a, b), y), no targets (x, None)"
            _check.kind_error(name, "a pair (x, y), or a mapping of the model's arguments", got, way_out)
        x, y = item
    x = mapped(x, lambda value: _copied(value, f"{name}: x"))
    if first(x) is None:
        got = type(x).__name__ + (" without any" if isinstance(x, (list, tuple, Mapping)) else "")
        _check.kind_error(f"{name}: x", "a tensor or NumPy array, or a tuple or mapping of them", got)
    y = _copied(y, f"{name}: y")
    if y is not None and not isinstance(y, Tensor):
        _check.kind_error(f"{name}: y", "a tensor, a NumPy array, or None", type(y).__name__)
    return x, y


def _copied(value: Any, name: str) -> Any:
    """Copies of tensors and arrays, as tensors; others as they are."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            _check.kind_error(name, "an array of numbers", f"dtype {value.dtype}")
        return torch.from_numpy(np.array(value, value.dtype.newbyteorder("="), order="C"))
    return value.detach().clone() if isinstance(value, Tensor) else value


def call(model: nn.Module, inputs: Any) -> Any:
    """Return what the model puts out: a tuple or list is its arguments, a mapping named ones."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, (list, tuple)) else model(inputs)


def variable(model: nn.Module, batch: Batch, choice: Choice | None, batch_dim: int, name: str) -> Tensor:
    """Return X, samples first, as what the layers know of it is measured: integers are tokens."""
    inputs, y = batch
    key, x = _named_variable(model, inputs, choice, name)
    what = f"{name}: x{key}"
    if not isinstance(x, Tensor):
        _check.kind_error("input", "what names a tensor", f"a {type(x).__name__}")
    if not x.is_floating_point() and x.dtype not in _TOKENS:
        way_out = "pass x.float(), or input=lambda x: x.float() for a model that takes these"
        _check.kind_error(what, "real numbers, or tokens of int64 or int32", f"dtype {x.dtype}", way_out)
    if x.ndim <= batch_dim or x.shape[batch_dim] < 2:
        expected = "at least two samples " + ("(n, ...)" if batch_dim == 0 else f"on axis {batch_dim}")
        way_out = "where a DataLoader gives one last, pass it drop_last=True" if x.ndim > batch_dim else ""
        _check.value_error(what, expected, f"shape {tuple(x.shape)}", way_out)
    x = x.movedim(batch_dim, 0)
    if y is not None and (y.ndim == 0 or len(y) != len(x)):
        others = [axis for axis, size in enumerate(x.shape) if axis > 0 and y.ndim > 0 and size == len(y)]
        way_out = f"pass batch_dim={others[0]} if the samples of x stand there" if others and batch_dim == 0 else ""
        _check.value_error(f"{name}: y", f"targets of {len(x)} samples", f"shape {tuple(y.shape)}", way_out)
    if y is not None and y.device != x.device:
        _check.kind_error(f"{name}: y", f"a tensor on {x.device}, as x", str(y.device), "move one")
    return x


def _named_variable(model: nn.Module, inputs: Any, choice: Choice | None, name: str) -> tuple[str, Any]:
    """Return X and the way to it in the inputs: the one chosen, or the model's first argument."""
    if choice is not None:
        found = chosen(inputs, choice, "input")
        return ("" if callable(choice) else f"[{choice!r}]"), found
    there = list(tensors(inputs))
    if isinstance(inputs, Mapping) and len(there) > 1:
        named = next((key for key in inspect.signature(model.forward).parameters if key in inputs), None)
        if named is None or not isinstance(inputs[named], Tensor):
            keys = ", ".join(map(repr, inputs))
            got = f"None with {keys}, none of which {type(model).__name__}.forward names first"
            _check.value_error("input", f"the name of X among the model's arguments in {name}", got)
        return f"[{named!r}]", inputs[named]
    return there[0]


class Place(NamedTuple):
    """Where a model's numbers are, and of which dtype; None for a model without parameters."""

    dtype: torch.dtype | None
    device: torch.device | None


def place_of(model: nn.Module) -> Place:
    """Return that of the model's first floating parameter."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            return Place(parameter.dtype, parameter.device)
    return Place(None, None)


def follow(batch: Batch, before: Place, now: Place) -> Batch:
    """Return a minibatch of the dtype and device that the model had cast and moved as the model was, by a trainer."""
    if before == now:
        return batch

    def followed(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.to(
            dtype=now.dtype if value.dtype == before.dtype else None,
            device=now.device if value.device == before.device else None,
        )

    inputs, y = batch
    return mapped(inputs, followed), followed(y)


def fingerprint(batches: list[Batch]) -> str:
    """SHA-256 of the data, with dtypes and shapes."""
    digest = hashlib.sha256()
    for name, tensor in tensors(batches):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        # As bytes, since NumPy has no bfloat16.
        digest.update(as_bytes(tensor.cpu()).numpy().data)
    return digest.hexdigest()


def as_bytes(tensor: Tensor) -> Tensor:
    """The numbers of a tensor as bytes, which can be compared where they are not finite."""
    return tensor.contiguous().reshape(-1).view(torch.uint8)
