"""What torchlens has logged, as the measures take layers: by name, samples first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastrenyi import _check

__all__ = ["activations"]


def activations(log: Any) -> dict[str, Any]:
    """Return the outputs of all operations that a torchlens trace has kept, by torchlens' names, without gradients.

    Parameters
    ----------
    log : torchlens.Trace
        What ``torchlens.trace(model, x)`` gives, of torchlens 2.

    Returns
    -------
    dict from str to tensor
        Tensors (n, ...) in the order of execution: "conv2d_1_1", "relu_1_2", ..., of an operation that runs more than
        once "linear_1_1:2". Input, output, buffers and what has fewer than two axes are left out.

    Raises
    ------
    TypeError
        For what is no trace.

    Notes
    -----
    Of ``log[name].out`` for the names of modules. Cost: none, the tensors are the trace's own.

    Examples
    --------
    >>> import torch, torchlens, fastrenyi as fr
    >>> from fastrenyi.compat.torchlens import activations
    >>> model, x = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU()), torch.rand(10, 1, 5, 5)
    >>> layers = activations(torchlens.trace(model, x))
    >>> list(layers)
    ['conv2d_1_1', 'relu_1_2']
    >>> found = fr.layer_decomposition(fr.channel_grams(layers), fr.tensor_gram(x))
    >>> found["relu_1_2"].single.shape
    torch.Size([4])
    """
    if not isinstance(getattr(log, "layer_list", None), Iterable):
        _check.kind_error("log", "what torchlens.trace(model, x) gives", _check.quoted(log))
    return {
        op.label.removesuffix(":1") if op.num_passes == 1 else op.label: op.out.detach()
        for op in log.layer_list
        if op.has_saved_activation
        and not (op.is_input or op.is_output or op.is_buffer)
        and getattr(op.out, "ndim", 0) > 1
    }
