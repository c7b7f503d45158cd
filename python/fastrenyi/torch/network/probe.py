"""The minibatches that a Monitor measures on, and a pass of a network over one that leaves no trace."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from fastrenyi import _check
from fastrenyi.torch.network.capture import Activations, Side, capture_with_flow
from fastrenyi.torch.network.exchange import confirmed
from fastrenyi.torch.network.flow import Flow
from fastrenyi.torch.network.select import Layers

__all__ = ["Batch", "Links", "Loss", "Place", "accept", "default_loss", "fingerprint", "follow", "place_of", "run"]

Batch: TypeAlias = tuple[Tensor, Tensor]
Loss: TypeAlias = Callable[[Any, Tensor], Tensor]


def accept(probe: object) -> list[Batch]:
    """Copies of the minibatches, checked."""
    if not isinstance(probe, (list, tuple)):
        _check.kind_error("probe", "a list of minibatches (x, y)", type(probe).__name__, "pass list(probe)")
    if not probe:
        _check.value_error("probe", "at least one minibatch (x, y)", "none")
    batches = []
    for index, pair in enumerate(probe):
        name = f"probe[{index}]"
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            got = f"{len(pair)} items" if isinstance(pair, (list, tuple)) else type(pair).__name__
            _check.kind_error(name, "a pair (x, y)", got, "one minibatch is probe=[(x, y)]")
        x, y = pair
        for part, value in (("x", x), ("y", y)):
            if not isinstance(value, Tensor):
                _check.kind_error(f"{name}: {part}", "a torch tensor", type(value).__name__)
        if not x.is_floating_point():
            _check.kind_error(f"{name}: x", "real numbers", f"dtype {x.dtype}", "pass x.float()")
        if x.ndim == 0 or len(x) < 2:
            _check.value_error(f"{name}: x", "at least two samples (n, ...)", f"shape {tuple(x.shape)}")
        if y.ndim == 0 or len(y) != len(x):
            _check.value_error(f"{name}: y", f"targets of {len(x)} samples", f"shape {tuple(y.shape)}")
        if y.device != x.device:
            _check.kind_error(f"{name}: y", f"a tensor on {x.device}, as x", str(y.device), "move one")
        # Copied outside inference mode: what is made within it can never require grad.
        with torch.inference_mode(False):
            batches.append((x.detach().clone(), y.detach().clone()))
    return batches


class Place(NamedTuple):
    """Where a model's numbers are, and of which dtype; None for a model without parameters."""

    dtype: torch.dtype | None
    device: torch.device | None


def place_of(model: nn.Module) -> Place:
    """Return that of the model's first floating parameter."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            return Place(parameter.dtype, parameter.device)
    return Place(None, None)


def follow(batch: Batch, before: Place, now: Place) -> Batch:
    """Return a minibatch of the dtype and device that the model had cast and moved as the model was, by a trainer."""
    if before == now:
        return batch
    x, y = (
        tensor.to(
            dtype=now.dtype if tensor.dtype == before.dtype else None,
            device=now.device if tensor.device == before.device else None,
        )
        for tensor in batch
    )
    return x, y


def fingerprint(batches: list[Batch]) -> str:
    """SHA-256 of the data, with dtypes and shapes."""
    digest = hashlib.sha256()
    for tensor in (tensor for batch in batches for tensor in batch):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)};".encode())
        # As bytes, since NumPy has no bfloat16.
        digest.update(_bytes(tensor.cpu()).numpy().data)
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def default_loss(output: object, y: Tensor) -> Tensor:
    """Cross entropy with class labels, squared error with floating targets; both summed over samples."""
    if not isinstance(output, Tensor):
        got = f"None with a model that puts out a {type(output).__name__}"
        _check.kind_error("loss", "a function where the model does not put out one tensor", got)
    shape = tuple(output.shape)
    if y.is_floating_point():
        if output.shape != y.shape:  # broadcasting would compare each sample with all others
            _check.value_error("probe", f"y of the shape of the model's output, {shape}", f"{tuple(y.shape)}")
        return (output - y).square().sum()
    if len(shape) != 2 or shape[0] != len(y):
        _check.value_error("loss", "a function where the model does not put out (n, classes)", f"None with {shape}")
    if not 0 <= int(y.min()) <= int(y.max()) < shape[1]:
        _check.value_error("probe", f"labels from 0 to {shape[1] - 1}", f"{int(y.min())} to {int(y.max())}")
    return nn.functional.cross_entropy(output, y.long(), reduction="sum")


class Links(NamedTuple):
    """By layer, the one through which all that it gets has come (see ``flow``)."""

    values: dict[str, str]
    errors: dict[str, str]


def run(
    model: nn.Module,
    layers: Layers,
    batch: Batch,
    loss: Loss | None,
    activations: Side,
    errors_at: Side,
    linked: Links | None = None,
) -> tuple[Activations, Links]:
    """Capture the layers' outputs, the gradients of the loss unless it is None, and how the layers hang together.

    Where the last is known it is not looked for, which takes more passes (``exchange``).
    """
    x, y = batch
    devices = {parameter.device for parameter in model.parameters()}
    if devices and x.device not in devices:
        home = ", ".join(map(str, devices))
        _check.kind_error("probe", f"tensors on the model's device, {home}", str(x.device), "move one")
    # Autograd's graph says how layers hang together; what was made in inference mode can have none.
    unmade = linked is None and not any(tensor.is_inference() for _, tensor in _tensors(model))
    recorded = loss is not None or unmade
    flow = Flow() if linked is None else None
    with _undisturbed(model), torch.set_grad_enabled(recorded):
        # The input requires grad so that layers have errors also where all parameters are frozen. The model gets a
        # copy: it may work in place, which a probe must survive and a leaf would refuse.
        leaf = x.detach().requires_grad_(recorded)
        sides = False if loss is None else errors_at, activations
        with capture_with_flow(model, layers, *sides, flow) as acts:
            copy = leaf.clone()
            if flow is not None:
                flow.begin(copy)
            output = _put_out(model, copy)
            _check_outputs(acts, len(x))
            value = None
            if loss is not None:
                value = loss(output, y)
                _check_loss(value)
            if flow is not None:
                linked = Links(flow.values_via(), {} if value is None else flow.errors_via(value))
            if value is not None:
                # Unlike value.backward(), this leaves every .grad alone. The parameters are among the sources so
                # that errors also reach layers that hang on them and not on the input.
                sources = [leaf, *(p for p in model.parameters() if p.requires_grad)]
                torch.autograd.grad(value, sources, allow_unused=True)
    assert linked is not None
    looked = flow is not None
    del output, value, flow  # and with them autograd's graph
    if looked and linked.values:
        with _undisturbed(model), torch.no_grad():
            values = confirmed(model, layers, x, activations, linked.values)
        linked = Links(values, linked.errors)
    return acts, linked


def _put_out(model: nn.Module, x: Tensor) -> object:
    """The model's output; where it fails over the dtype of x or over inference tensors, an error that says so.

    Not checked beforehand, since a model may convert its input, and need not take part in autograd as a whole.
    """
    try:
        return model(x)
    except (RuntimeError, ValueError) as error:
        told = str(error).splitlines()[0] if str(error) else ""
        dtypes = sorted({str(p.dtype) for p in model.parameters() if p.is_floating_point()})
        if dtypes and str(x.dtype) not in dtypes and "type" in str(error):
            got = f"{x.dtype} ({told})"
            _check.kind_error("probe", f"x of the model's dtype, {', '.join(dtypes)}", got, f"pass x.to({dtypes[0]})")
        made = [name for name, tensor in _tensors(model) if tensor.is_inference()]
        if made and told.startswith("Inference tensor"):
            _check.value_error(
                "model",
                "parameters and buffers that gradients can flow by, as errors are gradients",
                f"{made[0]!r} made under torch.inference_mode()",
                "make the model outside it, pass copy.deepcopy(model), or pass errors=False",
            )
        raise


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _check_outputs(acts: Activations, n: int) -> None:
    if not acts:
        _check.value_error("layers", "layers that the model calls", "only others", "see frt.capture for what it calls")
    others = [name for name, output in acts.items() if output.ndim == 0 or len(output) != n]
    if others:
        got = f"shape {tuple(acts[others[0]].shape)} from {others[0]!r}"
        way_out = "leave the layer out" if len(others) == 1 else f"leave out {', '.join(map(repr, others))}"
        _check.value_error("layers", f"outputs of {n} samples", got, way_out)


def _check_loss(value: object) -> None:
    if not isinstance(value, Tensor):
        got = f"one that returns a {type(value).__name__}"
        _check.kind_error("loss", "a function that returns a scalar tensor", got)
    _check.array(value, "loss")
    if value.numel() != 1:
        _check.value_error("loss", "a scalar tensor", f"shape {tuple(value.shape)}", "sum it over samples")
    if not value.requires_grad:
        _check.value_error("loss", "a differentiable function of the output", "no gradient", "pass errors=False")


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Eval mode inside, and afterwards the modes, the buffers and the random states from before."""
    modes = {module: module.training for module in model.modules()}
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in modes
        for name, buffer in module._buffers.items()
        if buffer is not None and not nn.parameter.is_lazy(buffer)
    ]
    # A model may draw from any of these; NumPy's global state is not ours.
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    cuda = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    try:
        # The flags themselves: train() and eval() can be overridden, and one need not undo the other.
        for module in modes:
            module.training = False
        with torch.random.fork_rng(cuda), torch.inference_mode(False):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for module, name, buffer, values in buffers:
            _restore(module, name, buffer, values)
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _restore(module: nn.Module, name: str, buffer: Tensor, values: Tensor) -> None:
    """Give a module its buffer back, the same tensor with the same values."""
    current = module._buffers.get(name)
    if current is None or (current.shape, current.dtype) != (values.shape, values.dtype):
        return  # a cache that grew: plain attributes that we do not know may tell its size
    module._buffers[name] = buffer
    if buffer.layout == torch.strided and torch.equal(_bytes(buffer.detach()), _bytes(values)):
        return
    buffer.data.copy_(values)  # .data: a graph of the training that holds an untouched buffer stays valid
