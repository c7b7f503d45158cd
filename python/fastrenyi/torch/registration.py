"""How operations are made known to PyTorch.

``torch.library.custom_op`` with ``register_autograd`` does the same at some 60 microseconds more a call, most of them
spent on flattening lists of tensors, which is more than a Gram of a hundred samples takes; and ``torch.func.grad``
refuses what it registers. Here the schema, the numbers, the shapes, the gradient and the rule of ``torch.vmap`` are
registered one by one, as ``torch.library`` offers. Where no one but PyTorch's eager mode sees a call, its dispatcher is
left out as well: it turns every list into its own and back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch._functorch.pyfunctorch import temporarily_pop_interpreter_stack
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import Function, forward_ad
from torch.library import Library

__all__ = ["Operation", "once_only"]

_LIBRARY: Any = Library("fastrenyi", "FRAGMENT")  # type: ignore[no-untyped-call]
_PLAIN = (Tensor, torch.nn.Parameter)


def _unseen(tensors: Sequence[Tensor]) -> bool:
    """Whether no mode, transformation, tracer or tensor of another class has a say in what is done with these."""
    return (
        not torch.compiler.is_compiling()
        and torch._C._get_tracing_state() is None
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


class Operation:
    """An operation of this schema; ``numbers`` computes it on any device, ``shapes`` is its fake.

    Calling it is calling ``op``, the operation as PyTorch knows it. ``public`` is the function that it is known by.
    """

    def __init__(self, schema: str, numbers: Callable[..., Any], shapes: Callable[..., Any], public: str) -> None:
        """Define it; ``differentiable`` gives it a gradient, ``mapped`` a rule for ``torch.vmap``."""
        self.name = schema.partition("(")[0]
        self.public = public
        self._numbers = numbers
        self._with_gradient: Callable[..., Any] | None = None
        _LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
        _LIBRARY.impl(self.name, numbers, "CompositeExplicitAutograd")
        torch.library.register_fake(f"fastrenyi::{self.name}", shapes, lib=_LIBRARY)
        self.op = getattr(torch.ops.fastrenyi, self.name).default
        kinds = [str(argument.type) for argument in self.op._schema.arguments]
        self._single = [at for at, kind in enumerate(kinds) if kind in ("Tensor", "Optional[Tensor]")]
        self._listed = [at for at, kind in enumerate(kinds) if kind == "List[Tensor]"]

    def differentiable(
        self,
        saved: Callable[[Any, Sequence[Any], Any], None],
        backward: Callable[..., Sequence[Any]],
        prepared: Callable[..., Sequence[Any]] = lambda *args: args,
    ) -> None:
        """Give it a gradient.

        ``saved(ctx, inputs, output)`` keeps what ``backward(ctx, *grads)`` needs; that returns a gradient for each of
        the first inputs, a list for a list. ``ctx.needs_input_grad`` counts the tensors of a list one by one, and
        begins with one that is not an input. ``prepared`` are the arguments for a call that is to be gone back through.
        """
        apply = _node(self, saved, backward)

        def with_gradient(*args: Any) -> Any:
            return apply(*self._flattened(prepared(*args)))

        def call(*args: Any) -> Any:
            if not self._asks_gradient(self._tensors(args)):
                return self.below_autograd(*args)
            with enable_single_level_autograd_function():
                return with_gradient(*args)

        self._with_gradient = with_gradient
        _LIBRARY.impl(self.name, call, "Autograd")

    def mapped(self, rule: Callable[..., Any]) -> None:
        """Give it a rule for ``torch.vmap``: ``rule(info, axes, *args)`` returns results and their axes."""
        torch.library.register_vmap(self.op, rule, lib=_LIBRARY)

    def below_autograd(self, *args: Any) -> Any:
        """Call it as if no gradient could be asked for."""
        if _unseen(self._tensors(args)):
            return self._numbers(*args)
        with torch._C._AutoDispatchBelowAutograd():
            return self.op(*args)

    def __call__(self, *args: Any) -> Any:
        """Call it."""
        tensors = self._tensors(args)
        if _forward_mode():
            _refuse_forward_mode(self.public, tensors)
        if not _unseen(tensors):
            return self.op(*args)
        if self._with_gradient and self._asks_gradient(tensors):
            return self._with_gradient(*args)
        return self._numbers(*args)

    def _asks_gradient(self, tensors: Sequence[Tensor]) -> bool:
        return torch.is_grad_enabled() and any(x.requires_grad for x in tensors)

    def _tensors(self, args: Sequence[Any]) -> list[Tensor]:
        found = [args[at] for at in self._single if args[at] is not None]
        for at in self._listed:
            found += args[at]
        return found

    def _flattened(self, args: Sequence[Any]) -> tuple[Any, ...]:
        """Return arguments whose list of tensors is laid out, for autograd to see these; first, how long it is."""
        if not self._listed:
            return 0, *args
        (at,) = self._listed
        return len(args[at]), *args[:at], *args[at], *args[at + 1 :]

    def nested(self, length: int, flat: Sequence[Any]) -> Sequence[Any]:
        """Undo it."""
        if not self._listed:
            return flat
        (at,) = self._listed
        return *flat[:at], list(flat[at : at + length]), *flat[at + length :]


def _node(
    operation: Operation, saved: Callable[[Any, Sequence[Any], Any], None], to_inputs: Callable[..., Sequence[Any]]
) -> Callable[..., Any]:
    """Return what calls an operation and makes a node of autograd for its gradient.

    It is a node of one level of ``torch.func``, whose levels the dispatcher goes through: the ``apply`` of
    ``autograd.Function`` itself would go through all of them, again at each.
    """

    def forward(ctx: Any, length: int, *flat: Any) -> Any:
        args = operation.nested(length, flat)
        # Levels below this one, if there are any, may ask for gradients of their own.
        with torch.set_grad_enabled(torch._C._are_functorch_transforms_active()):
            found = operation.below_autograd(*args)
        found = tuple(found) if isinstance(found, list) else found
        saved(ctx, args, found)
        return found

    def backward(ctx: Any, *grads: Any) -> Any:
        if not torch.compiler.is_compiling() and any(
            grad is not None and torch._C._functorch.is_legacy_batchedtensor(grad) for grad in grads
        ):
            raise NotImplementedError(
                f"{operation.public}: expected one gradient at a time, got a batch of them (is_grads_batched=True "
                "or jacobian(vectorize=True)), which PyTorch does not pass on; use torch.func.jacrev, or a loop"
            )
        flat: list[Any] = [None]
        for grad in to_inputs(ctx, *grads):
            flat.extend(grad if isinstance(grad, list) else [grad])
        return *flat, *(None for _ in ctx.needs_input_grad[len(flat) :])

    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    function: Any = type(Function)(f"fastrenyi_{operation.name}", (Function,), members)  # type: ignore[misc]
    return super(Function, function).apply  # type: ignore[no-any-return]


def once_only(name: str) -> Callable[..., NoReturn]:
    """Return what stands for the gradient of a backward pass that has none."""

    def refuse(*_: object) -> NoReturn:
        raise NotImplementedError(
            f"{name}: expected one backward pass, got a second through its gradient; second derivatives of spectra "
            "are not computed (those of gram are): call backward without create_graph=True"
        )

    return refuse
