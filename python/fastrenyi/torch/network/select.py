"""Which modules of a network are meant, and by which names they are known."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.jit._trace import TopLevelTracedModule
from torch.nn.modules import conv
from torch.optim.swa_utils import AveragedModel

from fastrenyi import _check
from fastrenyi.torch.network.axes import is_named

__all__ = ["Layers", "computes", "select", "unwrapped", "whole"]

Predicate: TypeAlias = Callable[[str, nn.Module], bool]
Layers: TypeAlias = str | Sequence[str] | type[nn.Module] | Sequence[type[nn.Module]] | Predicate | None

_COMPUTING = (conv._ConvNd, nn.Linear)
_COMPUTING_ELSEWHERE = {  # of libraries that are not imported to find out
    "torch.ao.nn.quantized.modules.conv._ConvNd",
    "torch.ao.nn.quantized.modules.linear.Linear",
    "torch_geometric.nn.conv.message_passing.MessagePassing",
    "torch_geometric.nn.dense.linear.Linear",
    "transformers.pytorch_utils.Conv1D",
}

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)


def computes(module: nn.Module) -> bool:
    """Whether this is a layer whose output goes into an activation function: a convolution or a linear one."""
    return isinstance(module, _COMPUTING) or is_named(module, _COMPUTING_ELSEWHERE)


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside DataParallel, torch.compile and the like; TypeError for what is none, or calls no hooks."""
    if not isinstance(model, nn.Module):
        _check.kind_error("model", "a torch.nn.Module", type(model).__name__)
    while (inside := _inside(model)) is not None:
        model = inside[1]
    if isinstance(model, torch.jit.ScriptModule):
        got = f"a scripted model ({type(model).__name__} of {model.original_name})"
        _check.kind_error("model", "a torch.nn.Module that runs in Python", got, "pass the nn.Module it was made of")
    return model


def whole(model: nn.Module) -> None:
    """Refuse a model of which each process holds a part: one process that runs it alone waits for the others."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return
    if torch.distributed.get_world_size() == 1:
        return
    # What shards a model has been imported by whoever did it.
    sharding = sys.modules.get("torch.distributed.fsdp"), sys.modules.get("torch.distributed.tensor")
    kinds = [
        getattr(of, name, None) for of in sharding for name in ("FSDPModule", "FullyShardedDataParallel", "DTensor")
    ]
    sharded = tuple(kind for kind in kinds if kind is not None)
    parts = [name for name, part in (*model.named_modules(), *model.named_parameters()) if isinstance(part, sharded)]
    if parts:
        which = f"{parts[0]!r} in it" if parts[0] else "it"
        _check.kind_error(
            "model",
            "one that this process holds whole",
            f"one that is sharded over {torch.distributed.get_world_size()} processes ({which} is)",
            "on all of them gather its weights by torch.distributed.checkpoint.state_dict.get_model_state_dict with "
            "StateDictOptions(full_state_dict=True), and measure a copy of the model that has loaded them",
        )


def _inside(module: nn.Module) -> tuple[str, nn.Module] | None:
    """The attribute and the module that a wrapper wraps; None for a module that is no wrapper.

    Only what wraps and holds nothing else: a user's own attribute called `module`, or a wrapper subclass with
    layers beside the wrapped ones, keeps its full names, so that two layers never come to the same name.
    """
    children = list(module.named_children())
    if len(children) == 1:
        name, child = children[0]
        if name == "module" and isinstance(module, _WRAPPERS):
            return name, child
        # torch.compile's class is recognised by name: importing it loads the whole compiler.
        if name == "_orig_mod" and type(module).__name__ == "OptimizedModule":
            return name, child
    return None


def _walk(module: nn.Module, name: str = "", full: str = "") -> Iterator[tuple[str, str, nn.Module]]:
    """(reported name, name by `named_modules`, module) of each module but the wrappers.

    A module that stands in several places comes once for each: any of its names may be asked for.
    """
    while (inside := _inside(module)) is not None:
        full = f"{full}.{inside[0]}".lstrip(".")
        module = inside[1]
    yield name, full, module
    for key, child in module._modules.items():
        if child is not None:
            yield from _walk(child, f"{name}.{key}".lstrip("."), f"{full}.{key}".lstrip("."))


def select(model: nn.Module, layers: Layers) -> dict[nn.Module, str]:
    """The chosen modules with the names they are reported under, in the order of `model.named_modules()`."""
    named: dict[str, nn.Module] = {}  # by reported name
    short: dict[str, str] = {}  # name by named_modules -> reported name
    first: dict[nn.Module, str] = {}  # a module that stands in several places goes by its first name
    for name, full, module in _walk(model):
        named[name] = module
        short[full] = name
        first.setdefault(module, name)
    available = ", ".join(repr(name) for name in named if name) or "'' (it is one layer itself)"

    chosen: dict[nn.Module, str] = {}
    given: Any = layers
    if given is None:
        wanted = "the convolution and linear layers, the default"
        chosen = {m: name for m, name in first.items() if computes(m)}
    elif isinstance(given, str) or _all(given, str):
        wanted = "an empty list"
        for name in [given] if isinstance(given, str) else given:
            bare = re.sub(r"^((module|_orig_mod)\.)+", "", name)
            found = next((known for known in (name, short.get(name), bare) if known in named), None)
            if found is None:
                close = ", ".join(map(repr, difflib.get_close_matches(name, named, n=3)))
                hint = f" (did you mean {close}?)" if close else ""
                _check.value_error("layers", f"names of layers of the model, {available}", f"{name!r}{hint}")
            chosen.setdefault(named[found], found)
        chosen = {module: chosen[module] for module in first if module in chosen}
    elif isinstance(given, type) or _all(given, type):
        types = (given,) if isinstance(given, type) else tuple(given)
        for kind in types:
            if not issubclass(kind, nn.Module):
                _check.kind_error("layers", "types of torch.nn.Module", f"the type {kind.__name__}")
        wanted = "modules of type " + ", ".join(kind.__name__ for kind in types)
        chosen = {m: name for m, name in first.items() if isinstance(m, types)}
    elif callable(given) and not isinstance(given, nn.Module):
        wanted = "modules for which the predicate is true"
        chosen = {m: name for m, name in first.items() if given(name, m)}
    else:
        got = f"a {type(given).__name__}"
        if isinstance(given, (list, tuple)):
            got += " of " + ", ".join(sorted({type(item).__name__ for item in given}))
        _check.kind_error("layers", "None, a name, a module type, a list of either, or a predicate", got)
    if not chosen:
        _check.value_error("layers", f"a choice among the model's layers, {available}", f"none of them: {wanted}")
    for module, name in chosen.items():
        # A traced module calls its own hooks, but not those of the modules in it.
        if isinstance(module, torch.jit.ScriptModule) and not isinstance(module, TopLevelTracedModule):
            way_out = "put the nn.Module it was made of in its place"
            got = f"the scripted {name!r} ({module.original_name})"
            _check.kind_error("layers", "layers that run in Python", got, way_out)
    return chosen


def _all(items: object, kind: type) -> bool:
    return isinstance(items, (list, tuple)) and all(isinstance(item, kind) for item in items)
