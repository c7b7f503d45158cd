"""Keep what the layers of a network put out during a forward pass, and the gradients with respect to it.

Everything here is forward hooks. Three habits make them safe in a stranger's model: a hook returns nothing
(a value would replace the layer's output), what is kept is a clone (a later in-place operation would
overwrite it), and the hooks are removed whatever happens.
"""

from __future__ import annotations

import difflib
import re
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.jit._trace import TopLevelTracedModule
from torch.nn.modules import activation, batchnorm, conv
from torch.optim.swa_utils import AveragedModel
from torch.utils.hooks import RemovableHandle

from fastrenyi import _check

__all__ = ["Activations", "Layers", "capture", "network", "select"]

Predicate: TypeAlias = Callable[[str, nn.Module], bool]
Layers: TypeAlias = str | Sequence[str] | type[nn.Module] | Sequence[type[nn.Module]] | Predicate | None

_CONVOLUTION = conv._ConvNd
_NORMALISATION = (batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)  # _NormBase: BatchNorm and InstanceNorm
_ACTIVATION = tuple(getattr(activation, name) for name in activation.__all__ if name != "MultiheadAttention")
_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)


class Activations(dict[str, Tensor]):
    """The outputs of the captured layers by name, in the order of execution.

    Attributes
    ----------
    gradients : dict
        The gradients with respect to them by the same names, empty without gradients=True.

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


def capture(model: nn.Module, layers: Layers = None, *, gradients: bool = False) -> AbstractContextManager[Activations]:
    """Keep the outputs of layers of `model` for every forward pass inside a `with` block.

    Parameters
    ----------
    model : torch.nn.Module
        Called in the block by the caller. A wrapper (DataParallel, DistributedDataParallel, AveragedModel,
        torch.compile) does not show in the names: ``module.conv1`` is reported as ``conv1`` and accepted as
        both. A compiled model runs uncompiled inside the block, since compiled code calls no hooks. What
        `torch.jit` has scripted or traced calls none at all: its layers cannot be kept.
    layers : optional
        - None: every convolution and linear layer. Where the very tensor a convolution puts out goes into an
          activation module of `torch.nn`, directly or through a batch, group, instance or layer
          normalisation, the activation's output is kept under the convolution's name.
        - a name or a list of names as `model.named_modules()` gives them, a module type or a tuple of types,
          or a predicate ``(name, module) -> bool``: exactly these modules' own outputs.
    gradients : bool
        Also keep, in `acts.gradients`, the gradient with respect to each output of what is backpropagated
        inside the block (``loss.backward()`` or ``torch.autograd.grad``). Several backward passes over one
        forward pass add up, as they do in a parameter's `.grad`.

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
    Cost: one copy of each kept output (two for a convolution whose activation is kept).

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
    >>> bool((acts["0"] >= 0).all()), tuple(acts.gradients["0"].shape)
    (True, (5, 4, 2, 2))
    """
    network(model)
    for module in model.modules():
        if isinstance(module, nn.DataParallel) and len(module.device_ids) > 1:
            _check.value_error(
                "model",
                "one copy of each layer",
                f"a DataParallel that runs one on each of {len(module.device_ids)} devices",
                "capture and call the model inside it, model.module",
            )
    names = select(model, layers)
    return _capturing(model, _Recorder(names, bool(gradients)), follow=layers is None)


def network(model: nn.Module) -> nn.Module:
    """The network inside DataParallel, torch.compile and the like; TypeError for what is none, or calls no hooks."""
    if not isinstance(model, nn.Module):
        _check.kind_error("model", "a torch.nn.Module", type(model).__name__)
    while (inside := _inside(model)) is not None:
        model = inside[1]
    if isinstance(model, torch.jit.ScriptModule):
        got = f"a scripted model ({type(model).__name__} of {model.original_name})"
        _check.kind_error("model", "a torch.nn.Module that runs in Python", got, "pass the nn.Module it was made of")
    return model


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
        chosen = {m: name for m, name in first.items() if isinstance(m, (_CONVOLUTION, nn.Linear))}
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


@contextmanager
def _capturing(model: nn.Module, recorder: _Recorder, follow: bool) -> Iterator[Activations]:
    with ExitStack() as stack:
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.callback(recorder.release)
        stack.callback(network(model).register_forward_pre_hook(recorder.begin).remove)
        for module in recorder.names:
            stack.callback(module.register_forward_hook(recorder.layer).remove)
        for module in model.modules() if follow else ():
            if isinstance(module, (*_NORMALISATION, *_ACTIVATION)):
                stack.callback(module.register_forward_pre_hook(recorder.enter, with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(recorder.leave).remove)
        yield recorder.kept


class _Recorder:
    """The hooks of one `capture`, and what they know of the forward pass under way."""

    def __init__(self, names: dict[nn.Module, str], gradients: bool) -> None:
        self.names = names
        self.gradients = gradients
        self.kept = Activations()
        self.handles: dict[str, RemovableHandle] = {}  # the tensor hook that fills kept.gradients[key]
        # Tensors an activation may still follow: id -> (the tensor, its state then, the convolution's key).
        self.open: dict[int, tuple[weakref.ref[Tensor], int | Tensor, str]] = {}
        self.entering: dict[nn.Module, str | None] = {}

    def release(self) -> None:
        for handle in self.handles.values():
            handle.remove()
        self.handles.clear()
        self.open.clear()
        self.entering.clear()

    def begin(self, module: nn.Module, args: object) -> None:
        """A forward pass of the model starts."""
        if not _recomputing():
            self.release()
            self.kept.clear()
            self.kept.gradients.clear()

    def layer(self, module: nn.Module, args: object, output: object) -> None:
        """A chosen layer has put out."""
        if _recomputing():
            return
        name = key = self.names[module]
        calls = 1
        while key in self.kept:
            calls += 1
            key = f"{name}#{calls}"
        self.keep(key, output)
        if isinstance(module, _CONVOLUTION):
            self.watch(key, output)

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A normalisation or activation begins: is its input what a convolution put out, untouched since?"""
        tensor = next(iter((*args, *kwargs.values())), None)
        self.entering[module] = None
        if id(tensor) in self.open:
            known, state, key = self.open[id(tensor)]
            if isinstance(tensor, Tensor) and known() is tensor and _unchanged(tensor, state):
                self.entering[module] = key

    def leave(self, module: nn.Module, args: object, output: object) -> None:
        """It ends: a normalisation passes the convolution's name on, an activation takes it."""
        key = self.entering.pop(module, None)
        if key is None or _recomputing():
            return
        if isinstance(module, _ACTIVATION):
            self.open = {i: entry for i, entry in self.open.items() if entry[2] != key}
            self.keep(key, output)
        else:
            self.watch(key, output)

    def watch(self, key: str, output: object) -> None:
        assert isinstance(output, Tensor)
        # A weak reference, so that no tensor lives longer because it is watched; it also tells the id of a
        # dead tensor from that of a new one in its place.
        self.open[id(output)] = (weakref.ref(output), _state(output), key)

    def keep(self, key: str, output: object) -> None:
        if not isinstance(output, Tensor):
            got = f"a {type(output).__name__} from {key!r}"
            _check.kind_error("layers", "layers that put out one tensor", got, "leave it out")
        self.kept[key] = output.detach().clone()
        if not self.gradients:
            return
        if not output.requires_grad:
            _check.value_error(
                "gradients",
                "outputs that require grad",
                f"one of {key!r} that does not",
                "call the model outside torch.no_grad(), with an input or parameters that require grad, "
                "or leave the layer out",
            )
        if key in self.handles:  # the convolution's own output, now that its activation takes the name
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
