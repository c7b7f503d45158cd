"""A pass of a network over a minibatch that leaves no trace: outputs, errors, and how the layers hang together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from fastrenyi import _check
from fastrenyi.torch.network.axes import arranged
from fastrenyi.torch.network.batches import Batch, as_bytes, call
from fastrenyi.torch.network.capture import Activations, Side, capture_with_flow
from fastrenyi.torch.network.exchange import confirmed, sample_axes
from fastrenyi.torch.network.flow import Flow
from fastrenyi.torch.network.hook import Hook
from fastrenyi.torch.network.reading import Reading
from fastrenyi.torch.network.structure import chosen, mapped, tensors
from fastrenyi.torch.network.undisturbed import undisturbed

__all__ = ["Links", "Loss", "Pass", "default_loss", "run"]

Loss: TypeAlias = Callable[[Any, Any], Tensor]

_IGNORED = -100
"""A label that no loss is taken of, after PyTorch."""


def default_loss(output: object, y: Tensor) -> Tensor:
    """Return the cross entropy of classes or of labels of zeros and ones, or the squared error, summed over samples."""
    if not isinstance(output, Tensor):
        output = _logits(output)
    shape, own = tuple(output.shape), tuple(y.shape)
    if _without_ones(shape) == _without_ones(own):  # (n,) is (n, 1): broadcasting would compare all with all
        y = y.reshape(shape)
        if y.is_floating_point():
            return (output - y).square().sum()
        if not 0 <= int(y.min()) <= int(y.max()) <= 1:
            got = f"{int(y.min())} to {int(y.max())}"
            _check.value_error("probe", f"y of zeros and ones for an output of its shape, {shape}", got)
        return nn.functional.binary_cross_entropy_with_logits(output, y.to(output.dtype), reduction="sum")
    if y.is_floating_point():
        _check.value_error("probe", f"y of the shape of the model's output, {shape}", f"{own}")
    # The axis of classes is the one that y does not have: the second, or the last, as language models have it.
    places = [axis for axis in dict.fromkeys((1, len(shape) - 1)) if shape[:axis] + shape[axis + 1 :] == own]
    if len(shape) < 2 or len(places) != 1:
        got = f"None with {shape} for y of shape {own}"
        expected = "a function where the model does not put out (n, classes), or classes for each number in y"
        _check.value_error("loss", expected, got)
    classes = shape[places[0]]
    known = y[y != _IGNORED]
    if known.numel() and not 0 <= int(known.min()) <= int(known.max()) < classes:
        got = f"{int(known.min())} to {int(known.max())}"
        _check.value_error("probe", f"labels from 0 to {classes - 1}", got)
    output = output.movedim(places[0], 1)
    return nn.functional.cross_entropy(output, y.long(), ignore_index=_IGNORED, reduction="sum")


def _logits(output: object) -> Tensor:
    found = [tensor for name, tensor in tensors(output) if name in (".logits", "['logits']")]
    if not found:
        there = ", ".join(name for name, _ in tensors(output))
        got = f"None with a model that puts out a {type(output).__name__}" + (f" of {there}" if there else "")
        expected = "a function where the model does not put out one tensor, or logits"
        _check.kind_error("loss", expected, got, "name one with output=, or pass errors=False")
    return found[0]


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


class Links(NamedTuple):
    """By layer, the one through which all that it gets has come (see ``flow``), and the axis of its samples."""

    values: dict[str, str]
    errors: dict[str, str]
    axes: dict[str, int]


class Pass(NamedTuple):
    """What a pass has shown."""

    acts: Activations
    """Outputs and gradients with samples first and then features; `channel_dims` says where these were."""
    links: Links
    left_out: dict[str, tuple[int, ...]]
    """Layers that put out other numbers of samples, with their shapes."""
    doubtful: list[str]
    """Layers of which it is not clear on which axis their samples are."""
    outputs: set[str]
    """Layers that put out what the network does."""


def run(
    model: nn.Module,
    reading: Reading,
    batch: Batch,
    n: int,
    loss: Loss | None,
    activations: Side,
    errors_at: Side,
    linked: Links | None = None,
    values: Mapping[str, str] | None = None,
) -> Pass:
    """Capture the layers' outputs, the gradients of the loss unless it is None, and how the layers hang together.

    Where the last is known (``linked``, of it ``values``) it is not looked for, which takes more passes (``exchange``).
    """
    inputs, y = batch
    if y is None and loss is default_loss:
        loss = None
    _check_devices(model, inputs)
    # Autograd's graph says how layers hang together; what was made in inference mode can have none.
    unmade = linked is None and not any(tensor.is_inference() for _, tensor in _tensors(model))
    recorded = loss is not None or unmade
    flow = Flow() if linked is None else None
    with undisturbed(model), torch.set_grad_enabled(recorded):
        sides = False if loss is None else errors_at, activations
        with ExitStack() as stack:
            sources = _Sources(n, reading.batch_dim, recorded, flow)
            stack.enter_context(sources.looked_up(model))  # first, so that what is kept of an embedding has a gradient
            acts = stack.enter_context(capture_with_flow(model, reading.layers, *sides, reading.select, flow))
            output = _put_out(model, inputs, sources)
            answer = output if reading.output is None else chosen(output, reading.output, "output")
            left_out = _leave_out(acts, n, flow)
            outputs = _last_of_all(acts, answer)
            value = None
            if loss is not None:
                value = loss(answer, y)
                _check_loss(value)
            if flow is not None:
                ways = flow.values_via() if values is None else {}
                errors = {} if value is None else flow.errors_via(value)
            if value is not None:
                # Unlike value.backward(), this leaves every .grad alone. The parameters are among the sources so
                # that errors also reach layers that hang on them and not on the input.
                leaves = [*sources.leaves, *(p for p in model.parameters() if p.requires_grad)]
                _go_back(value, leaves)
    del output, answer, value, sources, flow  # and with them autograd's graph
    doubtful: list[str] = []
    if linked is None:
        with undisturbed(model), torch.no_grad():
            axes, doubtful = sample_axes(model, reading, inputs, n, activations, acts)
            ways = {target: source for target, source in ways.items() if target in axes and source in axes}
            if ways:
                ways = confirmed(model, reading, inputs, n, activations, ways, axes)
        linked = Links(ways if values is None else dict(values), errors, axes)
    _arrange(acts, reading, linked.axes, n, left_out)
    if not acts:
        name, shape = next(iter(left_out.items()))
        _check.value_error("layers", f"outputs of {n} samples", f"shape {shape} from {name!r}")
    return Pass(acts, linked, left_out, doubtful, outputs)


def _go_back(value: Tensor, leaves: list[Tensor]) -> None:
    try:
        torch.autograd.grad(value, leaves, allow_unused=True)
    except RuntimeError as error:
        if "use_reentrant" in str(error):
            expected = "checkpoints that leave parameters' .grad alone, as errors are taken by torch.autograd.grad"
            way_out = "checkpoint with use_reentrant=False, or pass errors=False"
            _check.value_error("model", expected, "torch.utils.checkpoint with use_reentrant=True", way_out)
        raise


class _Sources:
    """The tensors by which the input comes into autograd's graph."""

    def __init__(self, n: int, batch_dim: int, recorded: bool, flow: Flow | None) -> None:
        self._n, self._batch_dim, self._recorded, self._flow = n, batch_dim, recorded, flow
        self.leaves: list[Tensor] = []

    def given(self, value: Any) -> Any:
        """Return a copy for the model, which may work in place: a probe must survive that, and a leaf would refuse.

        It requires grad so that layers have errors also where all parameters are frozen.
        """
        if not isinstance(value, Tensor):
            return value
        if not self._recorded or not value.is_floating_point():
            return value.clone()
        leaf = value.detach().requires_grad_()
        self.leaves.append(leaf)
        copy = leaf.clone()
        self._begin(copy)
        return copy

    @contextmanager
    def looked_up(self, model: nn.Module) -> Iterator[None]:
        """Tokens have no gradient: what embeddings give for those of the samples stands in for them."""
        with ExitStack() as stack:
            if self._recorded:
                for module in model.modules():
                    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
                        stack.callback(module.register_forward_hook(Hook(self._looked_up)).remove)
            yield

    def _looked_up(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        given = args[0] if args else None
        axis = self._batch_dim
        if isinstance(given, Tensor) and (given.ndim <= axis or given.shape[axis] != self._n):
            return None  # of places in a sequence, which are the same for all samples
        if output.requires_grad:
            self._begin(output)
            return None
        leaf = output.detach().requires_grad_()
        self.leaves.append(leaf)
        copy = leaf.clone()
        self._begin(copy)
        return copy

    def _begin(self, tensor: Tensor) -> None:
        if self._flow is not None:
            self._flow.begin(tensor)


def _put_out(model: nn.Module, inputs: Any, sources: _Sources) -> Any:
    """The model's output; where it fails over the dtype of x or over inference tensors, an error that says so.

    Not checked beforehand, since a model may convert its input, and need not take part in autograd as a whole.
    """
    try:
        return call(model, mapped(inputs, sources.given))
    except (RuntimeError, ValueError) as error:
        told = str(error).splitlines()[0] if str(error) else ""
        dtypes = sorted({str(p.dtype) for p in model.parameters() if p.is_floating_point()})
        others = [
            (name, tensor)
            for name, tensor in tensors(inputs)
            if tensor.is_floating_point() and str(tensor.dtype) not in dtypes
        ]
        if dtypes and others and "type" in str(error):
            name, x = others[0]
            got = f"{x.dtype} ({told})"
            _check.kind_error(
                "probe", f"x{name} of the model's dtype, {', '.join(dtypes)}", got, f"pass x{name}.to({dtypes[0]})"
            )
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


def _check_devices(model: nn.Module, inputs: Any) -> None:
    devices = {parameter.device for parameter in model.parameters()}
    for _, tensor in tensors(inputs):
        if devices and tensor.device not in devices:
            home = ", ".join(map(str, devices))
            _check.kind_error("probe", f"tensors on the model's device, {home}", str(tensor.device), "move one")


def _leave_out(acts: Activations, n: int, flow: Flow | None) -> dict[str, tuple[int, ...]]:
    """Take away what is not of n samples, and return its shapes; a link goes past it."""
    if not acts:
        _check.value_error("layers", "layers that the model calls", "only others", "see frt.capture for what it calls")
    left_out = {name: tuple(output.shape) for name, output in acts.items() if n not in output.shape}
    for name in left_out:
        acts.drop(name)
        if flow is not None:
            flow.forget(name)
    return left_out


def _last_of_all(acts: Activations, output: Any) -> set[str]:
    """The layers whose output is one of the tensors that the network puts out: the same numbers, be they NaN."""
    found = [tensor.detach() for _, tensor in tensors(output)]
    return {name for name, kept in acts.items() if any(_same(kept, tensor) for tensor in found)}


def _same(a: Tensor, b: Tensor) -> bool:
    alike = (a.shape, a.dtype, a.device, a.layout) == (b.shape, b.dtype, b.device, b.layout)
    return alike and a.layout == torch.strided and not a.is_quantized and torch.equal(as_bytes(a), as_bytes(b))


def _arrange(
    acts: Activations, reading: Reading, axes: dict[str, int], n: int, left_out: dict[str, tuple[int, ...]]
) -> None:
    """Bring samples and features of what was kept to the front."""
    for name, output in list(acts.items()):
        samples = axes.get(name)
        if samples is None or samples >= output.ndim or output.shape[samples] != n:
            left_out[name] = tuple(output.shape)
            acts.drop(name)
            continue
        features = reading.channel_dim_of(name, acts, samples)
        acts[name] = arranged(output.dequantize() if output.is_quantized else output, samples, features)
        if name in acts.gradients:
            acts.gradients[name] = arranged(acts.gradients[name], samples, features)
        acts.channel_dims[name] = features % output.ndim if output.ndim > 2 else -1


def _check_loss(value: object) -> None:
    if not isinstance(value, Tensor):
        got = f"one that returns a {type(value).__name__}"
        _check.kind_error("loss", "a function that returns a scalar tensor", got)
    _check.array(value, "loss")
    if value.numel() != 1:
        _check.value_error("loss", "a scalar tensor", f"shape {tuple(value.shape)}", "sum it over samples")
    if not value.requires_grad:
        _check.value_error("loss", "a differentiable function of the output", "no gradient", "pass errors=False")
