"""Whether all that a layer gets has come through another one: give that one other samples, and look.

Autograd's graph, which ``flow`` reads, does not show a way through integers, detached tensors or NumPy. One pass is
made with the samples of the input exchanged, block by block; in another, of the samples as they are, a layer puts out
in a block what it had put out in the first. If all that a later layer gets comes from there, its block is that of the
first pass: in the same place it has been computed from the same numbers.

In the same way it is seen on which axis of an output the samples stand, where several are as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fastrenyi.torch.network.axes import alike, follows, places_of_samples, takes_time_first
from fastrenyi.torch.network.batches import call
from fastrenyi.torch.network.capture import Activations, Side, capture
from fastrenyi.torch.network.hook import Hook
from fastrenyi.torch.network.reading import Reading
from fastrenyi.torch.network.select import select
from fastrenyi.torch.network.structure import chosen, first, mapped

__all__ = ["confirmed", "sample_axes"]

_BLOCK = 16
"""Samples that are exchanged with each other: so many that what goes another way differs among them."""

_Change = Callable[[Any], Any]


def sample_axes(
    model: nn.Module, reading: Reading, inputs: Any, n: int, activations: Side, outputs: Mapping[str, Tensor]
) -> tuple[dict[str, int], list[str]]:
    """Return by layer the axis of samples, none for what has none, and the layers of which it stays in doubt.

    One axis as long as there are samples, where they usually stand, is taken for theirs; of several, the one along
    which an output is exchanged as the samples of the input are. Doubt leaves the usual one, if it is as long.
    """
    usual = (reading.batch_dim, 0)
    places = {name: places_of_samples(output, n, reading.batch_dim) for name, output in outputs.items()}
    places = {name: axes for name, axes in places.items() if axes}
    unsure = takes_time_first(model) and reading.batch_dim == 0
    asked = [name for name, axes in places.items() if unsure or len(axes) > 1 or axes[0] not in usual]
    found = {name: axes[0] for name, axes in places.items() if name not in asked}
    doubtful: list[str] = []
    if asked:
        order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
        passed = partial(_pass, model, reading, activations, changes={})
        plain, exchanged = passed(inputs), passed(_taken(inputs, n, reading.batch_dim, order))
        for name in asked:
            there = name in plain and name in exchanged
            seen = [axis for axis in places[name] if there and follows(plain[name], exchanged[name], order, axis)]
            if not seen:
                seen = [axis for axis in usual if axis in places[name]]
                telling = there and bool(plain[name].isfinite().all())  # what is not finite equals nothing
                doubtful += [name] if seen and telling else []
            if seen:
                found[name] = seen[0]
    return found, doubtful


def confirmed(
    model: nn.Module,
    reading: Reading,
    inputs: Any,
    n: int,
    activations: Side,
    links: Mapping[str, str],
    axes: Mapping[str, int],
) -> dict[str, str]:
    """Return those links, by target, where the target is exchanged with the source.

    A pass is of as many samples as there are, in blocks of some of them, from all over the minibatch; in each block
    another source is given what it had put out for others.
    """
    size = min(_BLOCK, n)
    blocks = [slice(start, start + size) for start in range(0, n - size + 1, size)]
    chosen_ones = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:size]
    some = chosen_ones[torch.arange(n) % size]
    others = some.clone()
    for block in blocks:
        others[block] = some[block].roll(1, 0)
    sources = list(dict.fromkeys(links.values()))
    put_out: dict[str, Tensor] = {}
    passed = partial(_pass, model, reading, activations)
    taken = partial(_taken, inputs, n, reading.batch_dim)
    noting = {source: partial(_note, put_out, reading, source) for source in sources}
    expected = passed(taken(others), noting)
    found = {}
    for start in range(0, len(sources), len(blocks)):
        where = dict(zip(sources[start : start + len(blocks)], blocks, strict=False))
        where = {source: block for source, block in where.items() if source in put_out}
        changes = {
            source: partial(_replaced, put_out[source], axes[source], block, reading, source)
            for source, block in where.items()
        }
        changed = passed(taken(some), changes)
        for target, source in links.items():
            if source in where and target in expected and target in changed:
                block, axis = where[source], axes[target]
                one, other = changed[target].movedim(axis, 0), expected[target].movedim(axis, 0)
                if alike(one[block], other[block]):
                    found[target] = source
    return {target: found[target] for target in links if target in found}


def _taken(inputs: Any, n: int, batch_dim: int, index: Tensor) -> Any:
    """The inputs with other samples in the place of theirs; what is not of n samples stays.

    A mask has samples first also where time comes first elsewhere, and the state of a recurrent layer has them second.
    """

    def taken(value: Any) -> Any:
        if isinstance(value, Tensor):
            for axis in places_of_samples(value, n, batch_dim):
                if axis in (batch_dim, 0, 1):
                    return value.index_select(axis, index.to(value.device))
        return value

    return mapped(inputs, taken)


def _tensor(reading: Reading, source: str, output: Any) -> Tensor | None:
    """The one that stands for a layer, of those it puts out; None where it is made of them."""
    name = source if source in reading.select else source.rpartition("#")[0] or source
    if name in reading.select:
        tensor = chosen(output, reading.select[name], "select")
        return tensor if isinstance(tensor, Tensor) else None
    found = first(output)
    return None if found is None else found[1]


def _note(put_out: dict[str, Tensor], reading: Reading, source: str, output: Any) -> None:
    tensor = _tensor(reading, source, output)
    if tensor is not None:
        put_out[source] = tensor.detach().clone()


def _replaced(by: Tensor, axis: int, block: slice, reading: Reading, source: str, output: Any) -> Any:
    tensor = _tensor(reading, source, output)
    if tensor is None or tensor.shape != by.shape:
        return None
    changed = tensor.clone()
    changed.movedim(axis, 0)[block] = by.movedim(axis, 0)[block]
    return mapped(output, lambda value: changed if value is tensor else value)


def _pass(
    model: nn.Module, reading: Reading, activations: Side, inputs: Any, changes: Mapping[str, _Change]
) -> Activations:
    """Return what layers put out where the outputs of some of them are seen, or changed, on their way."""
    modules = {name: module for module, name in select(model, reading.layers).items()}
    by_module: dict[nn.Module, dict[int, _Change]] = {}
    for name, change in changes.items():
        call_number = "1"
        if name not in modules:  # a later call of it
            name, _, call_number = name.rpartition("#")
        by_module.setdefault(modules[name], {})[int(call_number)] = change
    with ExitStack() as stack:
        for module, calls in by_module.items():
            stack.callback(module.register_forward_hook(Hook(_OnCall(calls))).remove)
        # What a model draws is the same each time.
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.manual_seed(0)
        acts = stack.enter_context(capture(model, reading.layers, activations=activations, select=reading.select))
        call(model, mapped(inputs, lambda value: value.clone() if isinstance(value, Tensor) else value))
    return acts


class _OnCall:
    """A forward hook that does one thing at each of some calls of a module."""

    def __init__(self, changes: Mapping[int, _Change]) -> None:
        self._changes = changes
        self._calls = 0

    def __call__(self, module: nn.Module, args: object, output: Any) -> Any:
        self._calls += 1
        change = self._changes.get(self._calls)
        return None if change is None else change(output)
