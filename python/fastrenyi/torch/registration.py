"""How an operation that training runs in every step is made known to PyTorch.

``torch.library.custom_op`` with ``register_autograd`` does the same at some 60 microseconds more a call, most of them
spent on flattening lists of tensors; that is more than a Gram of a hundred samples takes. Here the schema, the numbers,
the shapes and the gradient, an ``autograd.Function``, are registered one by one, as ``torch.library`` offers. Where no
one but PyTorch's eager mode sees a call, its dispatcher is left out as well: it turns every list into its own and back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch._functorch.pyfunctorch import temporarily_pop_interpreter_stack
from torch.autograd import forward_ad
from torch.library import Library

__all__ = ["Operation", "once", "once_only", "reverse_only"]

_LIBRARY: Any = Library("fastrenyi", "FRAGMENT")  # type: ignore[no-untyped-call]
_PLAIN = (Tensor, torch.nn.Parameter, type(None))


def _tensors(args: Sequence[Any]) -> list[Any]:
    found = [x for x in args if isinstance(x, Tensor)]
    for x in args:
        if isinstance(x, list) and x and isinstance(x[0], Tensor):
            found += x
    return found


def _unseen(tensors: Sequence[Tensor]) -> bool:
    """Whether no mode, transformation, tracer or tensor of another class has a say in what is done with these."""
    return (
        not torch.compiler.is_compiling()
        and torch._C._len_torch_dispatch_stack() == 0
        and not torch._C._are_functorch_transforms_active()
        and all(type(x) in _PLAIN for x in tensors)
    )


def _has_tangent(x: Tensor) -> bool:
    """Whether x has a forward-mode tangent, of whichever of the nested transformations of ``torch.func``."""
    if torch.compiler.is_compiling():  # torch.compile cannot look for tangents: it then leaves that to eager mode
        raise NotImplementedError("forward mode: expected eager mode, got a compiler; compile without forward mode")
    functorch = torch._C._functorch
    if not functorch.is_batchedtensor(x) and forward_ad.unpack_dual(x).tangent is not None:  # type: ignore[no-untyped-call]
        return True
    innermost = functorch.peek_interpreter_stack()
    if innermost is None:
        return False
    inside = functorch.get_unwrapped(x) if functorch.maybe_get_level(x) == innermost.level() else x
    with temporarily_pop_interpreter_stack():
        return _has_tangent(inside)


def _refuse_forward_mode(public: str, tensors: Sequence[Tensor]) -> None:
    """Refuse tensors with a forward-mode tangent, which would be lost: the result's would be zero without a word."""
    if any(_has_tangent(x) for x in tensors):
        raise NotImplementedError(
            f"{public}: expected gradients in reverse mode, got a tensor with a tangent of forward mode "
            "(torch.func.jvp, torch.func.jacfwd, torch.autograd.forward_ad); use backward(), torch.autograd.grad or "
            "torch.autograd.functional.jacobian"
        )


def _forward_mode() -> bool:
    return forward_ad._current_level >= 0


def reverse_only(public: str, op: Callable[..., Any]) -> Callable[..., Any]:
    """Return a custom operation that refuses forward mode in the name of a public function."""

    def call(*args: Any) -> Any:
        if _forward_mode():
            _refuse_forward_mode(public, _tensors(args))
        return op(*args)

    return call


class Operation:
    """An operation of this schema; ``numbers`` computes it on any device, ``shapes`` is its fake.

    Calling it is calling ``op``, the operation as PyTorch knows it. ``public`` is the function that it is known by.
    """

    def __init__(self, schema: str, numbers: Callable[..., Any], shapes: Callable[..., Any], public: str) -> None:
        """Define it; ``differentiable`` gives it a gradient."""
        self._name = schema.partition("(")[0]
        self._public = public
        self._numbers = numbers
        self._with_gradient: Callable[..., Any] | None = None
        _LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
        _LIBRARY.impl(self._name, numbers, "CompositeExplicitAutograd")
        torch.library.register_fake(f"fastrenyi::{self._name}", shapes, lib=_LIBRARY)
        self.op = getattr(torch.ops.fastrenyi, self._name).default

    def differentiable(self, with_gradient: Callable[..., Any]) -> None:
        """Register what is called in place of the operation where a gradient may be asked for."""

        def call(*args: Any) -> Any:
            if torch.is_grad_enabled() and any(x.requires_grad for x in _tensors(args)):
                return with_gradient(*args)
            return self.below_autograd(*args)

        self._with_gradient = with_gradient
        _LIBRARY.impl(self._name, call, "Autograd")

    def below_autograd(self, *args: Any) -> Any:
        """Call it as if no gradient could be asked for."""
        if _unseen(_tensors(args)):
            return self._numbers(*args)
        with torch._C._AutoDispatchBelowAutograd():
            return self.op(*args)

    def __call__(self, *args: Any) -> Any:
        """Call it."""
        tensors = _tensors(args)
        if _forward_mode():
            _refuse_forward_mode(self._public, tensors)
        if not _unseen(tensors):
            return self.op(*args)
        if self._with_gradient and torch.is_grad_enabled() and any(x.requires_grad for x in tensors):
            return self._with_gradient(*args)
        return self._numbers(*args)


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
    def forward(ctx: Any, name: str, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.name = name
        return tuple(x.clone() for x in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *_: Any) -> NoReturn:
        once_only(ctx.name)()


def once(name: str, found: Sequence[Tensor], of: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return gradients that were found of these tensors; a graph that is made of them ends here, with an error."""
    if not torch.is_grad_enabled():
        return found
    ended: tuple[Tensor, ...] = _Once.apply(name, len(found), *found, *of)  # type: ignore[no-untyped-call]
    return ended
