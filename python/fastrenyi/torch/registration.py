"""How an operation that training runs in every step is made known to PyTorch.

``torch.library.custom_op`` with ``register_autograd`` does the same at some 60 microseconds more a call, most of them
spent on flattening lists of tensors; that is more than a Gram of a hundred samples takes. Here the schema, the numbers,
the shapes and the gradient, an ``autograd.Function``, are registered one by one, as ``torch.library`` offers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.library import Library

__all__ = ["below_autograd", "define", "differentiable", "once", "once_only"]

_LIBRARY = Library("fastrenyi", "FRAGMENT")


def define(schema: str, numbers: Callable[..., Any], shapes: Callable[..., Any]) -> Any:
    """Define an operation of this schema; ``numbers`` computes it on any device, ``shapes`` is its fake."""
    name = schema.partition("(")[0]
    _LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    _LIBRARY.impl(name, numbers, "CompositeExplicitAutograd")
    torch.library.register_fake(f"fastrenyi::{name}", shapes, lib=_LIBRARY)
    return getattr(torch.ops.fastrenyi, name).default


def below_autograd(operation: Any, *args: Any) -> Any:
    """Call an operation as if no gradient could be asked for."""
    with torch._C._AutoDispatchBelowAutograd():
        return operation(*args)


def _needs_gradient(args: Sequence[Any]) -> bool:
    for x in args:
        if isinstance(x, Tensor):
            if x.requires_grad:
                return True
        elif isinstance(x, list) and any(isinstance(part, Tensor) and part.requires_grad for part in x):
            return True
    return False


def differentiable(operation: Any, with_gradient: Callable[..., Any]) -> None:
    """Register what is called in place of the operation where a gradient may be asked for."""

    def call(*args: Any) -> Any:
        if torch.is_grad_enabled() and _needs_gradient(args):
            return with_gradient(*args)
        return below_autograd(operation, *args)

    _LIBRARY.impl(operation._schema.name.partition("::")[2], call, "Autograd")


def once_only(name: str) -> Callable[..., NoReturn]:
    """Return what stands for the gradient of a backward pass that has none."""

    def refuse(*_: object) -> NoReturn:
        raise NotImplementedError(
            f"{name}: expected one backward pass, got a second through its gradient; second derivatives of spectra "
            "are not computed (those of gram are): call backward without create_graph=True"
        )

    return refuse


class _Once(torch.autograd.Function):
    """Passes on the first ``count`` tensors, made of the others, and refuses to go back to these."""

    @staticmethod
    def forward(name: str, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(x.clone() for x in tensors[:count])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.name = inputs[0]

    @staticmethod
    def backward(ctx: Any, *_: Any) -> NoReturn:
        once_only(ctx.name)()


def once(name: str, found: Sequence[Tensor], of: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return gradients that were found of these tensors; a graph that is made of them ends here, with an error."""
    return _Once.apply(name, len(found), *found, *of) if torch.is_grad_enabled() else found  # type: ignore[no-any-return]
