"""The functions that a network calls, of which activation functions and normalisations are told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["NORMALISATIONS", "Functions"]

# By name, as the same function goes by several objects: torch.relu, torch.relu_, Tensor.relu, functional.relu.
_ACTIVATIONS = {
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_sigmoid",
    "logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softplus", "softshrink",
    "softsign", "tanh", "tanhshrink", "threshold",
}  # fmt: skip
NORMALISATIONS = {"batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"}
_LOOKS = {"get", "set", "detach", "clone", "register_hook", "requires_grad"}  # that nothing is made of


class Listener(Protocol):
    """What is told, and asked which layer's output a tensor is."""

    through: dict[int, Any]

    def coming_into(self, tensor: object) -> str | None:
        """Return the layer whose output comes into a function that begins."""

    def has_gone(self, tensor: object) -> str | None:
        """Return the layer whose output this is, if it has gone through an activation already."""

    def gone_through(self, function: str, key: str, given: Tensor, output: Tensor) -> None:
        """Take note of the end of an activation or a normalisation."""

    def take_back(self, key: str, output: Tensor) -> None:
        """Take note that a layer's output is used beside its activation."""


class Functions(TorchFunctionMode):
    """Sees the activation functions and normalisations that are called, by modules too."""

    def __init__(self, recorder: Listener) -> None:
        """Know whom to tell."""
        super().__init__()
        self._recorder = recorder

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, and tell the recorder what became of a layer's output."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        given = (*args, *kwargs.values())
        if name not in _ACTIVATIONS and name not in NORMALISATIONS:
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
