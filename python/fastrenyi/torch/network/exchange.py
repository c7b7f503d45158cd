"""Whether all that a layer gets has come through another one: exchange the samples there, and look.

Autograd's graph, which ``flow`` reads, does not show a way through integers, detached tensors or NumPy. Where a network
has such a way around a layer, exchanging the samples in what that layer puts out does not exchange them behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from fastrenyi.torch.network.capture import Hook, Side, capture
from fastrenyi.torch.network.select import Layers, select

__all__ = ["confirmed"]

_BLOCK = 16
"""Samples that are exchanged with each other: so many that what goes another way differs among them."""
_CLOSE = 1e-4
"""How far outputs may be from each other, in parts of each feature's largest: their place changes the rounding."""


def confirmed(
    model: nn.Module, layers: Layers, x: Tensor, activations: Side, links: Mapping[str, str]
) -> dict[str, str]:
    """Return those links, by target, where the target's samples are exchanged with the source's.

    A pass is of as many samples as x, in blocks of some of them, from all over it; in each block another source is
    exchanged.
    """
    n = len(x)
    size = min(_BLOCK, n)
    blocks = [slice(start, start + size) for start in range(0, n - size + 1, size)]
    chosen = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:size]
    some = x[chosen[torch.arange(n) % size].to(x.device)]
    plain = _outputs(model, layers, some, activations, {})
    sources = list(dict.fromkeys(links.values()))
    found = {}
    for first in range(0, len(sources), len(blocks)):
        where = dict(zip(sources[first : first + len(blocks)], blocks, strict=False))
        changed = _outputs(model, layers, some, activations, where)
        for target, source in links.items():
            if source in where and target in plain and target in changed:
                block = where[source]
                if _same(changed[target][block], plain[target][block].roll(1, 0)):
                    found[target] = source
    return {target: found[target] for target in links if target in found}


def _outputs(
    model: nn.Module, layers: Layers, x: Tensor, activations: Side, exchanged: Mapping[str, slice]
) -> dict[str, Tensor]:
    """Return what layers put out where some have samples of a block exchanged."""
    modules = {name: module for module, name in select(model, layers).items()}
    by_module: dict[nn.Module, dict[int, slice]] = {}
    for name, block in exchanged.items():
        call = "1"
        if name not in modules:  # a later call of it
            name, _, call = name.rpartition("#")
        by_module.setdefault(modules[name], {})[int(call)] = block
    with ExitStack() as stack:
        for module, calls in by_module.items():
            stack.callback(module.register_forward_hook(Hook(_Exchange(calls))).remove)
        # What a model draws is the same each time.
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.manual_seed(0)
        acts = stack.enter_context(capture(model, layers, activations=activations))
        model(x.clone())
    return acts


class _Exchange:
    """A hook that puts out other samples than the module did, in a block for each of its calls."""

    def __init__(self, blocks: Mapping[int, slice]) -> None:
        self._blocks = blocks
        self._calls = 0

    def __call__(self, module: nn.Module, args: object, output: Tensor) -> Tensor | None:
        self._calls += 1
        block = self._blocks.get(self._calls)
        if block is None:
            return None
        changed = output.clone()
        changed[block] = output[block].roll(1, 0)
        return changed


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(((a - b).abs().amax(0) <= _CLOSE * b.abs().amax(0)).all())
