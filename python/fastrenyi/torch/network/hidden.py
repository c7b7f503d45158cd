"""The hidden states of a model on minibatches of prompts: (batch, tokens, d) of each layer, and which tokens count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor, nn

from fastrenyi import _check
from fastrenyi.torch.network.batches import place_of
from fastrenyi.torch.network.capture import capture, parts_of
from fastrenyi.torch.network.select import Layers, unwrapped
from fastrenyi.torch.network.select import select as choose
from fastrenyi.torch.network.structure import Choice, chosen, first, is_choice, mapped, tensors

__all__ = ["MASK", "Prompts", "States", "hidden_states", "prompts_of", "reader"]

States: TypeAlias = dict[str, Tensor]
"""The hidden states (batch, tokens, d) of layers by their names, in the order of execution."""

MASK = "attention_mask"
"""The key of the mask in a minibatch that is a mapping, after Hugging Face."""
_FIELD = "hidden_states"
_LABELS = "labels"
_EXPECTED = "hidden states, a tensor (batch, tokens, d) of real numbers for each layer"
_WAY_OUT = "name them with output=, or choose layers with layers="


class Prompts(NamedTuple):
    """A minibatch of prompts as it was given."""

    inputs: Any
    """What the model is called with: a tensor, a tuple of arguments or a mapping of named ones."""
    mask: Tensor | None
    """Which tokens count, (batch, tokens) of bools; None where all do."""
    name: str
    """What messages call it."""


def prompts_of(batch: Any, mask: Choice | None, name: str) -> Prompts:
    """Accept a minibatch."""
    inputs = {key: value for key, value in batch.items() if key != _LABELS} if isinstance(batch, Mapping) else batch
    if first(inputs) is None:
        expected = "a minibatch of prompts: a tensor, or a mapping of the model's arguments such as a tokenizer gives"
        got = type(batch).__name__ + (" without tensors" if isinstance(batch, (Mapping, list, tuple)) else "")
        _check.kind_error(name, expected, got)
    found: Any = None
    if mask is not None:
        found = chosen(inputs, mask, "mask")
    elif isinstance(inputs, Mapping):
        found = inputs.get(MASK)
    return Prompts(inputs, None if found is None else _mask(found, name), name)


def _mask(found: object, name: str) -> Tensor:
    what = f"{name}: mask"
    if not isinstance(found, Tensor):
        _check.kind_error(what, "a tensor (batch, tokens) of zeros and ones", type(found).__name__)
    if found.ndim != 2 or 0 in found.shape:
        way_out = "pass mask=, a function of a minibatch that returns one"
        _check.value_error(what, "a tensor (batch, tokens) of zeros and ones", f"shape {tuple(found.shape)}", way_out)
    counts = found != 0
    if not bool(((found == 1) | ~counts).all()):
        wrong = found[counts & (found != 1)][0].item()
        _check.value_error(what, "zeros and ones", f"{wrong:g}", "pass mask=, a function that returns such a mask")
    empty = ~counts.any(1)
    if bool(empty.any()):
        got = f"none in prompt {int(empty.int().argmax())}"
        _check.value_error(what, "at least one token in each prompt", got, "leave empty prompts out")
    return counts


def reader(
    model: nn.Module, layers: Layers, select: Mapping[str, Choice] | None, output: Choice | None
) -> Callable[[Prompts], States]:
    """Return a function of prompts that runs the model and returns its hidden states, checked.

    They are what the model puts out, or, where layers are given, what those do, as ``capture`` keeps it.
    """
    inside = unwrapped(model)
    device = place_of(inside).device

    def moved(value: Any) -> Any:
        return value.to(device) if isinstance(value, Tensor) and device is not None else value

    if output is not None and not is_choice(output):
        _check.kind_error("output", "None, an index, a key or a function", type(output).__name__)
    if layers is None:
        if select is not None:
            _check.value_error("select", "None where no layers are chosen", select, "choose them with layers=")
        told = _told(inside)

        def read(prompts: Prompts) -> States:
            return hidden_states(_put_out(model, mapped(prompts.inputs, moved), told), output)

    else:
        if output is not None:
            _check.value_error("output", "None where layers are chosen", output, "leave one of them out")
        parts_of(select, choose(model, layers).values())

        def read(prompts: Prompts) -> States:
            with capture(model, layers, activations="before", select=select) as acts:
                _put_out(model, mapped(prompts.inputs, moved), {})
            if not acts:
                _check.value_error("layers", "layers that the model calls", "only others")
            return _accepted(acts, "layers")

    def checked(prompts: Prompts) -> States:
        states = read(prompts)
        _agree(states, prompts)
        return states

    return checked


def _told(model: nn.Module) -> dict[str, bool]:
    """What a model of Hugging Face is told so that its output has hidden states, by name."""
    return {"output_hidden_states": True} if hasattr(getattr(model, "config", None), "output_hidden_states") else {}


def _put_out(model: nn.Module, inputs: Any, told: dict[str, bool]) -> Any:
    if isinstance(inputs, Mapping):
        return model(**{**inputs, **told})
    return model(*inputs, **told) if isinstance(inputs, (list, tuple)) else model(inputs, **told)


def hidden_states(found: Any, output: Choice | None = None) -> States:
    """Return the hidden states in what a model has put out: those of Hugging Face, or a tuple or mapping of tensors."""
    if output is not None:
        found = chosen(found, output, "output")
    else:
        named = found.get(_FIELD) if isinstance(found, Mapping) else getattr(found, _FIELD, None)
        found = found if named is None else named
    if isinstance(found, Tensor):
        return _accepted({"0": found}, "output")
    if isinstance(found, Mapping):
        return _accepted({str(key): value for key, value in found.items()}, "output")
    if isinstance(found, Sequence) and not isinstance(found, str) and found:
        return _accepted({str(depth): value for depth, value in enumerate(found)}, "output")
    _check.kind_error("output", _EXPECTED, type(found).__name__, _WAY_OUT)


def _accepted(found: Mapping[str, Any], argument: str) -> States:
    for name, value in found.items():
        if not isinstance(value, Tensor) or value.ndim != 3 or 0 in value.shape or not value.is_floating_point():
            if isinstance(value, Tensor):
                got = f"{value.dtype} of shape {tuple(value.shape)} in {name!r}"
            else:
                inside = ", ".join(f"{tuple(tensor.shape)}" for _, tensor in tensors(value))
                got = f"a {type(value).__name__} in {name!r}" + (f" of shapes {inside}" if inside else "")
            way_out = _WAY_OUT if argument == "output" else "leave it out, or name a part of it with select="
            _check.kind_error(argument, _EXPECTED, got, way_out)
    return dict(found)


def _agree(states: States, prompts: Prompts) -> None:
    """All layers are of the same prompts and tokens, and of those of the mask."""
    known = "the first layer" if prompts.mask is None else "the mask"
    shape = tuple((next(iter(states.values())) if prompts.mask is None else prompts.mask).shape[:2])
    for name, found in states.items():
        if tuple(found.shape[:2]) != shape:
            got = f"shape {tuple(found.shape)} of layer {name!r}"
            expected = f"states of the {shape[0]} prompts and {shape[1]} tokens of {known}"
            _check.value_error(prompts.name, expected, got, "choose other layers, or pass mask=")
