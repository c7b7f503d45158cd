"""Keep what the layers of a network put out during a forward pass, and the gradients with respect to it.

Everything here is forward hooks, and a mode that sees functions called. Three habits make them safe in a stranger's
model: a hook returns nothing (a value would replace the layer's output), what is kept is a clone (a later in-place
operation would overwrite it), and the hooks are removed whatever happens.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from fastrenyi import _check
from fastrenyi.torch.network.flow import Flow
from fastrenyi.torch.network.select import COMPUTING, Layers, select, unwrapped

__all__ = ["Activations", "Layers", "Side", "capture", "capture_with_flow", "side_of"]

Side: TypeAlias = Literal["before", "after"]
"""Of an activation function."""

# By name, as the same function goes by several objects: torch.relu, torch.relu_, Tensor.relu, functional.relu.
_ACTIVATIONS = {
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_sigmoid",
    "logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softplus", "softshrink",
    "softsign", "tanh", "tanhshrink", "threshold",
}  # fmt: skip
_NORMALISATIONS = {"batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"}
_LOOKS = {"get", "set", "detach", "clone", "register_hook", "requires_grad"}  # that nothing is made of


class Activations(dict[str, Tensor]):
    """The outputs of the captured layers by name, in the order of execution.

    Attributes
    ----------
    gradients : dict
        The gradients with respect to them by the same names, empty unless asked for.
    functions : dict
        By the same names, the activation function behind which a convolution or linear layer was kept, such as
        "relu"; "" for a module's own output.

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


def capture(
    model: nn.Module,
    layers: Layers = None,
    *,
    gradients: bool | Side = False,
    activations: Side = "after",
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
        - None: every convolution and linear layer.
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
        module; the output of a chosen layer is not a tensor.
    ValueError
        `layers` matches nothing (the message lists the names there are); `model` is a DataParallel that runs
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
    return capturing(model, _Recorder(select(model, layers), side, wanted))


def capture_with_flow(
    model: nn.Module, layers: Layers, gradients: Side | Literal[False], activations: Side, flow: Flow | None
) -> AbstractContextManager[Activations]:
    """Return ``capture`` that also tells where the layers stand in autograd's graph.

    A layer that has none, under ``torch.no_grad`` in the model itself, has no gradient.
    """
    return capturing(model, _Recorder(select(model, layers), activations, gradients, flow, demanding=False))


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


class Hook:
    """A hook of ours, which does nothing in a copy of the model: an average of weights, or one that is saved."""

    def __init__(self, act: Callable[..., Any]) -> None:
        self._act = act

    def __call__(self, *args: Any) -> Any:
        return self._act(*args)

    def __deepcopy__(self, memo: object) -> Callable[..., None]:
        return nothing

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial, (nothing,)


def nothing(*args: object) -> None:
    """Stand in a copy for what was hooked up to the model itself."""


@contextmanager
def capturing(model: nn.Module, recorder: _Recorder) -> Iterator[Activations]:
    """Hook a recorder up for the time of a block."""
    with ExitStack() as stack:
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.callback(recorder.release)
        stack.callback(unwrapped(model).register_forward_pre_hook(Hook(recorder.begin)).remove)
        for module in recorder.names:
            stack.callback(module.register_forward_hook(Hook(recorder.layer)).remove)
        if recorder.follows:
            stack.enter_context(_Functions(recorder))
        yield recorder.kept


class _Functions(TorchFunctionMode):
    """Sees the activation functions and normalisations that are called, by modules too."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        given = (*args, *kwargs.values())
        if name not in _ACTIVATIONS and name not in _NORMALISATIONS:
            if name in _LOOKS or not self._recorder.through:
                return func(*args, **kwargs)
            twice = {key: x for x in given if (key := self._recorder.has_gone(x)) is not None}
            output = func(*args, **kwargs)
            for key, x in twice.items():
                if isinstance(output, Tensor) and output.shape == x.shape:
                    self._recorder.take_back(key, x)
            return output
        first: Any = next(iter(given), None)
        key, twice_key = self._recorder.coming_into(first), self._recorder.has_gone(first)
        output = func(*args, **kwargs)
        if key is not None:
            self._recorder.gone_through(name, key, first, output)
        elif twice_key is not None:
            self._recorder.take_back(twice_key, first)
        return output


class _Recorder:
    """The hooks of one `capture`, and what they know of the forward pass under way."""

    def __init__(
        self,
        names: dict[nn.Module, str],
        activations: Side,
        gradients: Side | Literal[False],
        flow: Flow | None = None,
        demanding: bool = True,
    ) -> None:
        self.demanding = demanding  # of a gradient from every layer
        self.names = names
        self.activations = activations
        self.gradients = gradients
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

    def layer(self, module: nn.Module, args: object, output: object) -> None:
        """A chosen layer has put out."""
        if _recomputing():
            return
        name = key = self.names[module]
        calls = 1
        while key in self.kept:
            calls += 1
            key = f"{name}#{calls}"
        if not isinstance(output, Tensor):
            got = f"a {type(output).__name__} from {key!r}"
            _check.kind_error("layers", "layers that put out one tensor", got, "leave it out")
        self.keep(key, output, "")
        self.hook(key, output)
        if self.follows and isinstance(module, COMPUTING):
            self.watch(key, output)

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
        if function in _NORMALISATIONS:
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

        def add(gradient: Tensor) -> None:
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
