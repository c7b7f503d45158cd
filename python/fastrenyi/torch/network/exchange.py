"""Whether all that a layer gets has come through another one: give that one other samples, and look.

Autograd's graph, which ``flow`` reads, does not show a way through integers, detached tensors or NumPy. One pass is
made with the samples of the input exchanged, block by block; in another, of the samples as they are, a layer puts out
in a block what it had put out in the first. If all that a later layer gets comes from there, its block is that of the
first pass: in the same place it has been computed from the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn

from fastrenyi.torch.network.capture import Activations, Hook, Side, capture
from fastrenyi.torch.network.select import Layers, select

__all__ = ["confirmed"]

_BLOCK = 16
"""Samples that are exchanged with each other: so many that what goes another way differs among them."""
_CLOSE, _CLOSE_SPREAD, _LEAST_SPREAD = 1e-6, 3e-5, 0.3
"""How far outputs may be from each other, in parts of each feature's largest and of its spread.

The spread is no less than a part of the largest one: behind a ReLU a feature can be nearly zero in all samples. Where a
layer looks at all of a minibatch (its mean, its spread), other samples in other blocks change the rounding.
"""

_Change = Callable[[Tensor], Tensor | None]


def confirmed(
    model: nn.Module, layers: Layers, x: Tensor, activations: Side, links: Mapping[str, str]
) -> dict[str, str]:
    """Return those links, by target, where the target is exchanged with the source.

    A pass is of as many samples as x, in blocks of some of them, from all over it; in each block another source is
    given what it had put out for others.
    """
    n = len(x)
    size = min(_BLOCK, n)
    blocks = [slice(start, start + size) for start in range(0, n - size + 1, size)]
    chosen = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:size]
    some = x[chosen[torch.arange(n) % size].to(x.device)]
    others = some.clone()
    for block in blocks:
        others[block] = some[block].roll(1, 0)
    sources = list(dict.fromkeys(links.values()))
    put_out: dict[str, Tensor] = {}
    passed = partial(_pass, model, layers, activations)
    expected = passed(others, {source: partial(_note, put_out, source) for source in sources})
    found = {}
    for first in range(0, len(sources), len(blocks)):
        where = dict(zip(sources[first : first + len(blocks)], blocks, strict=False))
        where = {source: block for source, block in where.items() if source in put_out}
        changes = {source: partial(_replaced, put_out[source], block) for source, block in where.items()}
        changed = passed(some, changes)
        for target, source in links.items():
            if source in where and target in expected and target in changed:
                block = where[source]
                if _same(changed[target][block], expected[target][block]):
                    found[target] = source
    return {target: found[target] for target in links if target in found}


def _note(put_out: dict[str, Tensor], source: str, output: Tensor) -> None:
    put_out[source] = output.detach().clone()


def _replaced(by: Tensor, block: slice, output: Tensor) -> Tensor | None:
    if output.shape != by.shape:
        return None
    changed = output.clone()
    changed[block] = by[block]
    return changed


def _pass(
    model: nn.Module, layers: Layers, activations: Side, x: Tensor, changes: Mapping[str, _Change]
) -> Activations:
    """Return what layers put out where the outputs of some of them are seen, or changed, on their way."""
    modules = {name: module for module, name in select(model, layers).items()}
    by_module: dict[nn.Module, dict[int, _Change]] = {}
    for name, change in changes.items():
        call = "1"
        if name not in modules:  # a later call of it
            name, _, call = name.rpartition("#")
        by_module.setdefault(modules[name], {})[int(call)] = change
    with ExitStack() as stack:
        for module, calls in by_module.items():
            stack.callback(module.register_forward_hook(Hook(_OnCall(calls))).remove)
        # What a model draws is the same each time.
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.manual_seed(0)
        acts = stack.enter_context(capture(model, layers, activations=activations))
        model(x.clone())
    return acts


class _OnCall:
    """A forward hook that does one thing at each of some calls of a module."""

    def __init__(self, changes: Mapping[int, _Change]) -> None:
        self._changes = changes
        self._calls = 0

    def __call__(self, module: nn.Module, args: object, output: Tensor) -> Tensor | None:
        self._calls += 1
        change = self._changes.get(self._calls)
        return None if change is None else change(output)


def _same(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape:
        return False
    spread = b.amax(0) - b.amin(0)
    spread = spread.clamp_min(_LEAST_SPREAD * spread.max())
    allowed = _CLOSE * b.abs().amax(0) + _CLOSE_SPREAD * spread
    return bool(((a - b).abs().amax(0) <= allowed).all())
