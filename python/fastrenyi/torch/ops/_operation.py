"""How an operation is made known to PyTorch, by its public names alone.

Under ``torch.ops.fastrenyi`` stands what computes the numbers, with the shapes of its results, for compilers to see; it
knows no gradients. Around it, what has a gradient is a ``torch.autograd.Function`` with ``setup_context`` and ``vmap``,
which ``torch.func`` takes through all of its levels. ``torch.compiler.allow_in_graph`` has compilers trace that
Function as PyTorch runs it: their own reading of one, under ``torch.func.grad``, gives zeros without a word.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad
from torch.library import Library

__all__ = ["once_only", "operation"]

_LIBRARY: Any = Library("fastrenyi", "FRAGMENT")  # type: ignore[no-untyped-call]

_ANY = inspect.Signature([inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)])
"""What is found at once where PyTorch looks for defaults of ``forward``, which it does at each call."""


def _has_tangent(args: Sequence[Any]) -> bool:
    """Whether a tensor has a tangent of forward mode, or may have one that cannot be seen."""
    for x in args:
        if isinstance(x, Tensor):
            try:
                dual = forward_ad.unpack_dual(x)  # type: ignore[no-untyped-call]
            except RuntimeError:  # compiled code inside a level of forward mode: below autograd nothing can be told
                return True
            if dual.tangent is not None:
                return True
        elif type(x) is list and _has_tangent(x):
            return True
    return False


def _without_gradient(args: Sequence[Any]) -> bool:
    """Whether autograd has nothing to keep, so that a ``Function`` would be a detour.

    Not inside a level of ``torch.func`` and for fake tensors, which have no memory to point to: there it is asked.
    """
    recording = torch.is_grad_enabled()
    for x in args:
        if isinstance(x, Tensor):
            if recording and x.requires_grad:
                return False
            try:
                x.data_ptr()
            except (RuntimeError, NotImplementedError):
                return False
    return True


def operation(schema: str, public: str, described: Any) -> Callable[..., Any]:
    """Return the operation of this schema that a class describes; ``public`` is the function it is known by.

    The static methods of the class are ``kernel(*args)``, the numbers; ``fake(*args)``, the shapes; ``vmap(info,
    in_dims, *args)``; and of what has a gradient ``setup_context(ctx, inputs, output)`` and ``backward(ctx, *grads)``,
    all as PyTorch has them. ``forward`` is needed where its arguments are others than the schema's: autograd sees no
    tensors in lists.
    """
    name = schema.partition("(")[0]
    _LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))

    def refuse_forward_mode(*_: object) -> NoReturn:
        raise NotImplementedError(
            f"{public}: expected gradients in reverse mode, got a tensor with a tangent of forward mode "
            "(torch.func.jvp, torch.func.jacfwd, torch.autograd.forward_ad); use backward(), torch.autograd.grad "
            "or torch.autograd.functional.jacobian"
        )

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def kernel(*args: Any) -> Any:
        if differentiable and _has_tangent(args):  # compiled code knows no jvp
            refuse_forward_mode()
        return described.kernel(*args)

    differentiable = hasattr(described, "backward")
    _LIBRARY.impl(name, kernel, "CompositeExplicitAutograd")
    torch.library.register_fake(f"fastrenyi::{name}", described.fake, lib=_LIBRARY)
    op: Any = getattr(torch.ops.fastrenyi, name).default
    if not differentiable:
        torch.library.register_vmap(op, described.vmap, lib=_LIBRARY)
        return op  # type: ignore[no-any-return]

    def forward(*args: Any) -> Any:
        return numbers(*args)

    numbers = getattr(described, "forward", op)
    forward.__signature__ = _ANY  # type: ignore[attr-defined]
    members = {"forward": staticmethod(forward), "jvp": staticmethod(refuse_forward_mode)}
    node: Any = types.new_class(f"fastrenyi_{name}", (described, Function), {}, lambda room: room.update(members))

    def call(*args: Any) -> Any:
        return numbers(*args) if _without_gradient(args) else node.apply(*args)

    call.__name__ = call.__qualname__ = name
    allowed: Callable[..., Any] = torch.compiler.allow_in_graph(call)  # type: ignore[no-untyped-call]
    return allowed


def once_only(name: str) -> Callable[..., NoReturn]:
    """Return what stands for the gradient of a backward pass that has none."""

    def refuse(*_: object) -> NoReturn:
        raise NotImplementedError(
            f"{name}: expected one backward pass, got a second through its gradient; second derivatives of spectra "
            "are not computed (those of gram are): call backward without create_graph=True"
        )

    return refuse
