"""A model as it was: what running it may change is put back, whatever happens meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from fastrenyi.torch.network.batches import as_bytes

__all__ = ["undisturbed"]


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
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
    if buffer.layout == torch.strided and torch.equal(as_bytes(buffer.detach()), as_bytes(values)):
        return
    buffer.data.copy_(values)  # .data: a graph of the training that holds an untouched buffer stays valid
