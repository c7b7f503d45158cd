"""What a ``Monitor`` measures with, whatever the method: its arguments checked, and as a store keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from fastrenyi import _check
from fastrenyi.kernels import Kernel
from fastrenyi.torch.network.probe import Loss, default_loss

__all__ = ["Settings", "shown"]


@dataclass(frozen=True)
class Settings:
    """The loss whose gradients are the errors, what is drawn at random, and how the layers hang together."""

    loss: Loss
    null: int
    seed: int
    links: dict[str, str] | None
    on_nan: str
    """Whether a layer that is not finite ends a measurement ("error") or is told in its row ("record")."""
    keep_pairs: bool
    """Whether what each pair of maps says goes with the rows, where all pairs of a layer are measured."""
    stored: dict[str, Any]
    """The arguments that change numbers, as JSON can hold them and a later run can compare them."""

    @classmethod
    def accept(
        cls,
        *,
        loss: Loss | None,
        null: int,
        seed: int,
        links: Sequence[tuple[str, str]] | None,
        on_nan: str,
        keep_pairs: bool,
        names: Sequence[str],
    ) -> Settings:
        """Check the arguments of a ``Monitor``, whose layers have these names."""
        null, seed = _check.integer(null, "null", 0), _check.integer(seed, "seed", 0)
        if loss is not None and not callable(loss):
            _check.kind_error("loss", "None or a function (output, y) -> scalar tensor", type(loss).__name__)
        return cls(
            loss=loss or default_loss,
            null=null,
            seed=seed,
            links=None if links is None else _links(links, names),
            on_nan=_check.choice(on_nan, "on_nan", ("error", "record")),
            keep_pairs=_check.flag(keep_pairs, "keep_pairs"),
            stored={
                "loss": shown(loss),
                "null": null,
                "seed": seed,
                "links": None if links is None else [list(pair) for pair in links],
            },
        )


def shown(setting: object) -> Any:
    """Return a setting as JSON can hold it and a later run can compare it: no addresses."""
    if setting is None or isinstance(setting, (str, int, float)):
        return setting
    if isinstance(setting, (nn.Module, Kernel)) or not callable(setting):
        return repr(setting)
    return f"{setting.__module__}.{getattr(setting, '__qualname__', type(setting).__qualname__)}"


def _links(links: object, names: Sequence[str]) -> dict[str, str]:
    """Pairs (source, target) of layers as the way to each target; one with two ways to it has none."""
    expected = "a list of pairs (source, target) of names of layers"
    if not isinstance(links, (list, tuple)):
        _check.kind_error("links", expected, type(links).__name__)
    for pair in links:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not all(isinstance(name, str) for name in pair):
            _check.kind_error("links", expected, f"{pair!r} in it")
        for name in pair:
            if name not in names and name.rpartition("#")[0] not in names:
                _check.value_error("links", f"names of layers that are measured, {', '.join(names)}", repr(name))
    pairs = {(source, target) for source, target in links}
    targets = [target for _, target in pairs]
    ways = {target: source for source, target in pairs if targets.count(target) == 1}
    for start in ways:
        seen, name = {start}, ways[start]
        while name in ways and name not in seen:
            seen.add(name)
            name = ways[name]
        if name in seen:
            _check.value_error("links", "pairs that lead from the input on", f"a circle through {name!r}")
    return ways
