"""How the layers of a network hang together: through which of them all information on its way to another one goes.

Order of execution is not ancestry: the two branches of a residual block run one after the other, and neither sees the
other. What the data-processing inequality asks is that everything a layer gets of the input has come through an earlier
one, so that a way around it (a skip) voids it: in words of graphs that the earlier layer dominates the later one. Of
errors, which go backwards, that everything goes through a later one: it post-dominates.

The graph is the one that autograd has recorded of the forward pass; its vertices are the outputs of nodes. Ways that it
does not record (integers, detached tensors, NumPy) it does not show: ``exchange`` finds those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor

__all__ = ["Flow"]


class Flow:
    """Where in autograd's graph the input, the layers and the loss stand."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._sources: list[Any] = []
        self._values: dict[str, Any] = {}
        self._errors: dict[str, Any] = {}

    def begin(self, x: Tensor) -> None:
        """One of the tensors by which the input comes in: as the network is given it, or looked up for its tokens."""
        self._sources.append(_vertex(x))

    def value(self, name: str, output: Tensor) -> None:
        """A layer's variable, which replaces an earlier one of the name."""
        self._values[name] = _vertex(output)

    def error(self, name: str, output: Tensor) -> None:
        """What a layer's error is taken with respect to."""
        self._errors[name] = _vertex(output)

    def forget(self, name: str) -> None:
        """A layer that is left out."""
        self._values.pop(name, None)
        self._errors.pop(name, None)

    def values_via(self) -> dict[str, str]:
        """By layer, the closest one through which all it gets of the input has come; none for the others."""
        ancestors = _closure(self._values.values(), _before)
        return _closest(_ordered(ancestors), ancestors, self._sources, self._values)

    def errors_via(self, loss: Tensor) -> dict[str, str]:
        """By layer, the closest one through which all of its error has come; none for the others."""
        source = _vertex(loss)
        ancestors = _closure([source], _before)
        after: dict[Any, list[Any]] = {node: [] for node in ancestors}
        for node, earlier in ancestors.items():
            for one in earlier:
                after[one].append(node)
        layers = dict(reversed(self._errors.items()))  # of one variable, the later layer is the closer one
        return _closest(_ordered(ancestors)[::-1], after, [source], layers)


def _vertex(tensor: Tensor) -> Any:
    return None if tensor.grad_fn is None else (tensor.grad_fn, tensor.output_nr)


def _before(vertex: Any) -> list[Any]:
    return [(earlier, output) for earlier, output in vertex[0].next_functions if earlier is not None]


def _closure(starts: Iterable[Any], edges: Callable[[Any], list[Any]]) -> dict[Any, list[Any]]:
    """Return all nodes that can be reached, each with those it leads to."""
    found: dict[Any, list[Any]] = {}
    waiting = [node for node in starts if node is not None]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found[node] = edges(node)
            waiting += found[node]
    return found


def _ordered(edges: Mapping[Any, list[Any]]) -> list[Any]:
    """Return nodes so that each comes after all those it leads to."""
    missing = {node: len(set(others)) for node, others in edges.items()}
    leading: dict[Any, list[Any]] = {node: [] for node in edges}
    for node, others in edges.items():
        for other in set(others):
            leading[other].append(node)
    ready = [node for node, count in missing.items() if count == 0]
    order = []
    while ready:
        node = ready.pop()
        order.append(node)
        for other in leading[node]:
            missing[other] -= 1
            if missing[other] == 0:
                ready.append(other)
    return order


def _closest(
    order: Iterable[Any], edges: Mapping[Any, list[Any]], sources: Iterable[Any], layers: Mapping[str, Any]
) -> dict[str, str]:
    """Return by layer the closest other one that stands on every way from the sources to it.

    ``edges`` lead towards the sources, ``order`` away from it. The layers on every way to a node follow each other, so
    that a list in order says all. Layers of one node are the same variable, in the order in which they are given.
    """
    named: dict[Any, list[str]] = {}
    for name, node in layers.items():
        named.setdefault(node, []).append(name)
    named.pop(None, None)  # what depends on nothing that has a gradient
    # By node that a source reaches: the layers on every way to it.
    through: dict[Any, list[str]] = {source: [] for source in sources if source is not None}
    begun = set(through)
    via: dict[str, str] = {}
    for node in order:
        ways = [through[one] for one in edges.get(node, []) if one in through]
        if node not in begun:
            if not ways:
                continue
            through[node] = [name for name in ways[0] if all(name in way for way in ways[1:])]
        for name in named.get(node, []):
            if through[node]:
                via[name] = through[node][-1]
            through[node] = [*through[node], name]
    return via
