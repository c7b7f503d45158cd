"""How a network is read: which layers, which of their outputs, and what the axes mean where modules do not say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from fastrenyi import _check
from fastrenyi.torch.network.capture import Activations, parts_of
from fastrenyi.torch.network.select import Layers
from fastrenyi.torch.network.structure import Choice, is_choice

__all__ = ["Reading"]


@dataclass(frozen=True)
class Reading:
    """The arguments of a ``Monitor`` that say what is read of its model."""

    layers: Layers = None
    input: Choice | None = None
    output: Choice | None = None
    select: Mapping[str, Choice] = field(default_factory=dict)
    batch_dim: int = 0
    channel_dim: int | Mapping[str, int] | None = None

    @classmethod
    def accept(
        cls,
        names: Collection[str],
        *,
        layers: Layers,
        input: object,
        output: object,
        select: object,
        batch_dim: object,
        channel_dim: object,
    ) -> Reading:
        """Check them, for layers of these names."""
        for name, choice in (("input", input), ("output", output)):
            if choice is not None and not is_choice(choice):
                _check.kind_error(name, "None, an index, a key or a function", type(choice).__name__)
        if isinstance(channel_dim, Mapping):
            for layer in channel_dim:
                if layer not in names:
                    expected = f"names of layers that are measured, {', '.join(map(repr, names))}"
                    _check.value_error("channel_dim", expected, repr(layer))
            channel_dim = {layer: _axis(axis, f"channel_dim[{layer!r}]") for layer, axis in channel_dim.items()}
        elif channel_dim is not None:
            channel_dim = _axis(channel_dim, "channel_dim")
        return cls(
            layers=layers,
            input=input,  # type: ignore[arg-type]
            output=output,  # type: ignore[arg-type]
            select=parts_of(select, names),
            batch_dim=_check.integer(batch_dim, "batch_dim", 0),
            channel_dim=channel_dim,
        )

    @property
    def stored(self) -> dict[str, Any]:
        """The arguments but `layers` as JSON can hold them and a later run can compare them."""
        dims = self.channel_dim
        return {
            "input": _shown(self.input),
            "output": _shown(self.output),
            "select": {name: _shown(choice) for name, choice in self.select.items()},
            "batch_dim": self.batch_dim,
            "channel_dim": dict(dims) if isinstance(dims, Mapping) else dims,
        }

    def channel_dim_of(self, name: str, acts: Activations, samples: int) -> int:
        """Return the axis of a layer's output on which its variables stand: as told, or else as its module says."""
        output: Tensor = acts[name]
        told: Any = self.channel_dim
        if isinstance(told, Mapping):
            told = told.get(name, told.get(name.rpartition("#")[0] or name))
        if told is None or output.ndim < 3:
            own = acts.channel_dims[name]
            taken = output.ndim > 2 and own % output.ndim == samples  # samples second, of a module that does not say
            return -1 if taken else own
        if not -output.ndim <= told < output.ndim or told % output.ndim == samples:
            got = f"{told} for {name!r}, whose output of shape {tuple(output.shape)} has its samples on axis {samples}"
            way_out = "pass a dict from name to axis, in which layers can be left out"
            _check.value_error("channel_dim", "an axis of each output, other than that of samples", got, way_out)
        return int(told)


def _axis(value: object, name: str) -> int:
    return _check.integer(value, name, -9)


def _shown(choice: Choice | None) -> Any:
    if callable(choice):
        return f"{choice.__module__}.{getattr(choice, '__qualname__', type(choice).__qualname__)}"
    return choice
