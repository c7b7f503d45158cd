"""Keep what the layers of a network put out during a forward pass, and the gradients with respect to it.

Everything here is forward hooks, and a mode that sees functions called. Three habits make them safe in a stranger's
model: a hook returns nothing (a value would replace the layer's output), what is kept is a clone (a later in-place
operation would overwrite it), and the hooks are removed whatever happens.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fastrenyi import _check
from fastrenyi.torch.network.axes import feature_axis
from fastrenyi.torch.network.flow import Flow
from fastrenyi.torch.network.functions import NORMALISATIONS, Functions
from fastrenyi.torch.network.hook import Hook
from fastrenyi.torch.network.select import Layers, computes, unwrapped
from fastrenyi.torch.network.select import select as choose
from fastrenyi.torch.network.structure import Choice, chosen, first, is_choice

__all__ = ["Activations", "Layers", "Side", "capture", "capture_with_flow", "parts_of", "side_of"]

Side: TypeAlias = Literal["before", "after"]
"""Of an activation function."""


class Activations(dict[str, Tensor]):
    """The outputs of the captured layers by name, in the order of execution.

    Attributes
    ----------
    gradients : dict
        The gradients with respect to them by the same names, empty unless asked for.
    functions : dict
        By the same names, the activation function behind which a convolution or linear layer was kept, such as
        "relu"; "" for a module's own output.
    parts : dict
        By the same names, what was kept of a layer that puts out more than one tensor, such as "[0]" of an LSTM; ""
        for one that puts out one.
    channel_dims : dict
        By the same names, the axis of features: 1 for what convolutions and their normalisations put out, -1 for
        linear, recurrent and attention layers, embeddings and layer normalisations, whatever the number of axes; of
        other modules what all modules in them agree on, or else 1.

    Notes
    -----
    A dict, which ``capture`` makes. Cost: the memory of what is kept.

    Examples
    --------
    >>> import torch, fastrenyi.torch as frt
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2))
    >>> with frt.capture(model) as acts:
    ...     _ = model(torch.ones(5, 3))
    >>> type(acts).__name__, list(acts), acts.gradients
    ('Activations', ['0'], {})
    """

    def __init__(self) -> None:
        """Nothing is kept yet."""
        super().__init__()
        self.gradients: dict[str, Tensor] = {}
        self.functions: dict[str, str] = {}
        self.parts: dict[str, str] = {}
        self.channel_dims: dict[str, int] = {}

    def drop(self, name: str) -> None:
        """Take one layer away, with all that is known of it."""
        for known in (self, self.gradients, self.functions, self.parts, self.channel_dims):
            known.pop(name, None)


def capture(
    model: nn.Module,
    layers: Layers = None,
    *,
    gradients: bool | Side = False,
    activations: Side = "after",
    select: Mapping[str, Choice] | None = None,
) -> AbstractContextManager[Activations]:
    """Keep the outputs of layers of `model` for every forward pass inside a `with` block.

    Parameters
    ----------
    model : torch.nn.Module
        Called in the block by the caller. A wrapper (DataParallel, DistributedDataParallel, AveragedModel,
        torch.compile) does not show in the names: ``module.conv1`` is reported as ``conv1`` and accepted as
        both. A compiled model runs uncompiled inside the block, since compiled code calls no hooks. What
        `torch.jit` has scripted or traced calls none at all: its layers cannot be kept.
    layers : optional
        - None: every convolution and linear layer, those of Hugging Face (Conv1D), PyTorch Geometric (what passes
          messages) and quantised ones among them.
        - a name or a list of names as `model.named_modules()` gives them, a module type or a tuple of types,
          or a predicate ``(name, module) -> bool``.
    gradients : bool, "before" or "after"
        Also keep, in `acts.gradients`, the gradient of what is backpropagated inside the block (``loss.backward()``
        or ``torch.autograd.grad``) with respect to what is kept (True), or to what a layer puts out "before" or
        "after" its activation function. Several backward passes over one forward pass add up, as they do in a
        parameter's `.grad`.
    activations : "after" or "before"
        What stands for a convolution or linear layer: "after", what the activation function puts out into which its
        output goes, directly or through a batch, group, instance, layer or RMS normalisation; "before", its own
        output. Modules and functions are the same, in place or not: ``nn.ReLU()``, ``F.relu(x)``, ``x.relu_()``.
        Softmax, which belongs to the loss, is none. Where no activation follows at once (but a pooling, or a clamp),
        where what goes into it is used once more behind it by an operation of its shape, as in ``x * sigmoid(x)``, and
        for all other modules, it is their own output; `acts.functions` says which.
    select : dict from layer to str, int or callable, optional
        For layers that put out several tensors (recurrent ones, attention, blocks of Hugging Face), by name, which of
        them is kept: its index, its key or field, or a function of the output that returns it; of what the function
        makes itself, such as a slice, no gradient is kept. Default: the first. `acts.parts` says which.

    Returns
    -------
    context manager giving `Activations`
        A dict from name to a detached clone of the layer's output, in its shape, dtype and device, in the
        order of execution. A layer called again in the same forward pass adds ``name#2``, ``name#3``. A layer
        that is not called is not there. Each forward pass of `model` starts the dict afresh, so that it holds
        the last one; it stays after the block.

    Raises
    ------
    TypeError
        `model` is not a module, or a scripted one; `layers` is none of the above, or a layer inside a scripted
        module; the output of a chosen layer has no tensor in it.
    ValueError
        `layers` matches nothing (the message lists the names there are); `select` names a layer or a part that is not
        there; `model` is a DataParallel that runs
        a copy of each layer on several devices; with gradients=True, an output does not require grad.

    Notes
    -----
    Cost: one copy of each kept output (two for a layer whose activation is kept). While functions are followed,
    PyTorch's fused encoder layers take their plain way, whose rounding differs.

    Examples
    --------
    >>> import torch
    >>> import fastrenyi.torch as frt
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(inplace=True), torch.nn.Flatten(), torch.nn.Linear(16, 2)
    ... )
    >>> with frt.capture(model, gradients=True) as acts:
    ...     model(torch.ones(5, 1, 4, 4)).sum().backward()
    >>> {name: tuple(kept.shape) for name, kept in acts.items()}
    {'0': (5, 4, 2, 2), '3': (5, 2)}
    >>> acts.functions, tuple(acts.gradients["0"].shape)
    ({'0': 'relu', '3': ''}, (5, 4, 2, 2))
    """
    unwrapped(model)
    for module in model.modules():
        if isinstance(module, nn.DataParallel) and len(module.device_ids) > 1:
            _check.value_error(
                "model",
                "one copy of each layer",
                f"a DataParallel that runs one on each of {len(module.device_ids)} devices",
                "capture and call the model inside it, model.module",
            )
    side = side_of(activations, "activations")
    wanted = side_of(gradients, "gradients", side)
    names = choose(model, layers)
    return capturing(model, Recorder(names, side, wanted, parts_of(select, names.values())))


def capture_with_flow(
    model: nn.Module,
    layers: Layers,
    gradients: Side | Literal[False],
    activations: Side,
    select: Mapping[str, Choice] | None,
    flow: Flow | None,
) -> AbstractContextManager[Activations]:
    """Return ``capture`` that also tells where the layers stand in autograd's graph.

    A layer that has none, under ``torch.no_grad`` in the model itself, has no gradient.
    """
    recorder = Recorder(choose(model, layers), activations, gradients, select or {}, flow, demanding=False)
    return capturing(model, recorder)


def parts_of(given: object, names: Collection[str]) -> dict[str, Choice]:
    """Check what is to be kept of layers that put out more than one tensor."""
    expected = "a dict from the name of a layer to an index, a key or a function"
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        _check.kind_error("select", expected, type(given).__name__)
    for name, choice in given.items():
        if name not in names:
            _check.value_error("select", f"names of chosen layers, {', '.join(map(repr, names))}", repr(name))
        if not is_choice(choice):
            _check.kind_error("select", expected, f"{choice!r} for {name!r}")
    return dict(given)


def side_of(given: object, name: str, true: Side | None = None) -> Any:
    """Check a side of an activation function; where there may be none, True is the one given and False none."""
    if true is not None and isinstance(given, bool):
        return true if given else False
    expected = "'before' or 'after'" if true is None else "True or False, 'before' or 'after'"
    if not isinstance(given, str):
        _check.kind_error(name, expected, given)
    if given not in ("before", "after"):
        _check.value_error(name, expected, repr(given))
    return given


@contextmanager
def capturing(model: nn.Module, recorder: Recorder) -> Iterator[Activations]:
    """Hook a recorder up for the time of a block."""
    with ExitStack() as stack:
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.callback(recorder.release)
        stack.callback(unwrapped(model).register_forward_pre_hook(Hook(recorder.begin)).remove)
        for module in recorder.names:
            stack.callback(module.register_forward_hook(Hook(recorder.layer)).remove)
        if recorder.follows:
            stack.enter_context(Functions(recorder))
        yield recorder.kept


class Recorder:
    """The hooks of one `capture`, and what they know of the forward pass under way."""

    def __init__(
        self,
        names: dict[nn.Module, str],
        activations: Side,
        gradients: Side | Literal[False],
        select: Mapping[str, Choice],
        flow: Flow | None = None,
        demanding: bool = True,
    ) -> None:
        self.demanding = demanding  # of a gradient from every layer
        self.names = names
        self.activations = activations
        self.gradients = gradients
        self.select = select
        self.flow = flow
        self.follows = "after" in (activations, gradients)
        self.kept = Activations()
        self.handles: dict[str, RemovableHandle] = {}  # the tensor hook that fills kept.gradients[key]
        # Tensors an activation may still follow: id -> (the tensor, its state then, the layer's key).
        self.open: dict[int, tuple[weakref.ref[Tensor], int | Tensor, str]] = {}
        # What has gone through an activation: used once more, as in x * sigmoid(x), that is not what stands for the
        # layer. id -> the same, and its own output by key.
        self.through: dict[int, tuple[weakref.ref[Tensor], int | Tensor, str]] = {}
        self.own: dict[str, Tensor] = {}

    def release(self) -> None:
        for handle in self.handles.values():
            handle.remove()
        self.handles.clear()
        self.open.clear()
        self.through.clear()
        self.own.clear()

    def begin(self, module: nn.Module, args: object) -> None:
        """A forward pass of the model starts."""
        if not _recomputing():
            self.release()
            self.kept.clear()
            self.kept.gradients.clear()
            self.kept.functions.clear()
            self.kept.parts.clear()
            self.kept.channel_dims.clear()

    def layer(self, module: nn.Module, args: object, output: object) -> None:
        """A chosen layer has put out."""
        if _recomputing():
            return
        name = key = self.names[module]
        calls = 1
        while key in self.kept:
            calls += 1
            key = f"{name}#{calls}"
        self.kept.parts[key], tensor = self.part(name, output)
        self.kept.channel_dims[key] = feature_axis(module)
        self.keep(key, tensor, "")
        self.hook(key, tensor)
        if self.follows and computes(module):
            self.watch(key, tensor)

    def part(self, name: str, output: object) -> tuple[str, Tensor]:
        """Return what stands for a layer that may put out more than one tensor, and the way to it."""
        if name in self.select:
            choice = self.select[name]
            tensor = chosen(output, choice, f"select[{name!r}]")
            if not isinstance(tensor, Tensor):
                _check.kind_error(f"select[{name!r}]", "what names a tensor", f"a {type(tensor).__name__}")
            return getattr(choice, "__name__", type(choice).__name__) if callable(choice) else f"[{choice!r}]", tensor
        found = first(output)
        if found is None:
            got = f"a {type(output).__name__} from {name!r}"
            _check.kind_error("layers", "layers that put out tensors", got, "leave it out")
        return found

    def coming_into(self, tensor: object) -> str | None:
        """A function begins: the layer whose output comes into it, untouched since, if one does."""
        return self._layer_of(tensor, self.open)

    def has_gone(self, tensor: object) -> str | None:
        """The layer whose output this is, untouched, if it has gone through an activation already."""
        return self._layer_of(tensor, self.through)

    def _layer_of(self, tensor: object, places: dict[int, tuple[weakref.ref[Tensor], int | Tensor, str]]) -> str | None:
        if id(tensor) in places and not _recomputing():
            known, state, key = places[id(tensor)]
            if isinstance(tensor, Tensor) and known() is tensor and _unchanged(tensor, state):
                return key
        return None

    def gone_through(self, function: str, key: str, given: Tensor, output: Tensor) -> None:
        """It ends: a normalisation passes the layer's name on, an activation takes it."""
        if function in NORMALISATIONS:
            return self.watch(key, output)
        self.through[id(given)] = self.open[id(given)]
        self.open = {i: entry for i, entry in self.open.items() if entry[2] != key}
        if self.activations == "after":
            self.own[key] = self.kept[key]
            self.keep(key, output, function)
        if self.gradients == "after":
            self.hook(key, output)

    def take_back(self, key: str, output: Tensor) -> None:
        """A layer's output is used beside its activation: its own output stands for it."""
        self.through = {i: entry for i, entry in self.through.items() if entry[2] != key}
        if self.activations == "after":
            self.kept[key] = self.own.pop(key)
            self.kept.functions[key] = ""
            if self.flow is not None:
                self.flow.value(key, output)
        if self.gradients == "after":
            self.hook(key, output)

    def watch(self, key: str, output: Tensor) -> None:
        # A weak reference, so that no tensor lives longer because it is watched; it also tells the id of a
        # dead tensor from that of a new one in its place.
        self.open[id(output)] = (weakref.ref(output), _state(output), key)

    def keep(self, key: str, output: Tensor, function: str) -> None:
        self.kept[key] = output.detach().clone()
        self.kept.functions[key] = function
        if self.flow is not None:
            self.flow.value(key, output)

    def hook(self, key: str, output: Tensor) -> None:
        if not self.gradients:
            return
        if not output.requires_grad and not self.demanding:
            return
        if not output.requires_grad:
            _check.value_error(
                "gradients",
                "outputs that require grad",
                f"one of {key!r} that does not",
                "call the model outside torch.no_grad(), with an input or parameters that require grad, "
                "or leave the layer out",
            )
        if self.flow is not None:
            self.flow.error(key, output)
        if key in self.handles:  # the layer's own output, now that its activation takes the name
            self.handles[key].remove()
        found = self.kept.gradients

        def add(gradient: Tensor | None) -> None:
            if gradient is None:  # what is behind has no derivative, as quantised layers
                return
            gradient = gradient.detach()
            found[key] = found[key] + gradient if key in found else gradient.clone()

        # At once: a tensor hook belongs to the value the tensor has now, not to what is written later.
        self.handles[key] = output.register_hook(add)  # type: ignore[no-untyped-call]


def _state(tensor: Tensor) -> int | Tensor:
    """What changes when `tensor` is written to: its version; an inference tensor has none, hence a copy."""
    return tensor.clone() if tensor.is_inference() else tensor._version


def _unchanged(tensor: Tensor, state: int | Tensor) -> bool:
    return torch.equal(tensor, state) if isinstance(state, Tensor) else tensor._version == state


def _recomputing() -> bool:
    """Whether a backward pass is running: gradient checkpointing then calls layers once more."""
    return torch._C._current_graph_task_id() != -1  # no public name says it; tried on 2.6 to 2.15
