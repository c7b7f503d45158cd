"""How an operation is made known to JAX: one primitive, whose numbers are NumPy's, with one rule for each transform.

``jax.pure_callback`` is not used: it makes arrays of JAX of its arguments, inside the call, at many times the cost, and
that JAX works where JAX waits is what its issue 24255 was about. The primitive below is lowered to the same call of
Python by ``jax.interpreters.mlir.emit_python_callback``, which gives NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from fastrenyi._array import Values

__all__ = ["Operation", "Shape", "Wanted", "aligned", "apply", "computed", "computed_in", "constant"]

Shape: TypeAlias = "tuple[tuple[int, ...], Any]"
"""Shape and dtype of a result."""

Wanted: TypeAlias = "list[bool]"
"""Of which arguments a gradient is wanted."""


class Operation:
    """What describes an operation: a frozen dataclass of its settings, which JAX compares and hashes.

    All batch axes stand in front, of arguments and results alike, so that those that ``jax.vmap`` adds are some more.
    """

    mapped: ClassVar[str] = "expanded"
    """What becomes under vmap of arguments that are not mapped over: "expanded", with an axis of one; "repeated";
    or "each", where the operation is no batched one and is called for each."""

    public: ClassVar[str] = ""
    """The function that messages name."""

    def numbers(self, *arrays: Any) -> Sequence[Values]:
        """Return the results of NumPy arrays."""
        raise NotImplementedError

    def shapes(self, *arrays: Any) -> list[Shape]:
        """Return the shapes and dtypes of the results; dtypes are made those that JAX has here."""
        raise NotImplementedError

    def forward(self, *arrays: Array) -> tuple[Sequence[Array], Any]:
        """Return the results, and what the gradient needs of them."""
        found = apply(self, *arrays)  # not bind: what is differentiated twice goes through here
        return found, (arrays, found)

    def backward(self, wanted: Wanted, kept: Any, grads: Sequence[Array]) -> Sequence[Array | None]:
        """Return the gradients with respect to the arguments."""
        raise NotImplementedError(
            f"{self.public}: expected one gradient, got a second through it; second derivatives are not computed for "
            "JAX arrays: of samples take those of torch tensors, or differences"
        )


def computed_in(x: Any) -> Any:
    """Return the dtype that results for x are computed in."""
    return np.float64 if x.dtype == np.float64 else np.float32


def computed(x: Array) -> Array:
    """Return x in that dtype."""
    return x.astype(computed_in(x))


def aligned(arrays: Sequence[Any]) -> list[Array]:
    """Return matrices (..., n, n) with as many batch axes each as the one with most."""
    most = max(a.ndim for a in arrays)
    return [jnp.reshape(a, (1,) * (most - a.ndim) + a.shape) for a in arrays]


# The primitive -------------------------------------------------------------------------------------------------------

_primitive: Any = Primitive("fastrenyi")
_primitive.multiple_results = True


def bind(op: Operation, *arrays: Any) -> list[Array]:
    """Return the results of an operation, which have no gradient."""
    found: list[Array] = _primitive.bind(*arrays, op=op)
    return found


def _abstract(*arrays: Any, op: Operation) -> list[Any]:
    canonical = jax.dtypes.canonicalize_dtype
    return [jax.core.ShapedArray(shape, canonical(dtype)) for shape, dtype in op.shapes(*arrays)]


def _results(op: Operation, arrays: Sequence[Any], shaped: Sequence[Any]) -> tuple[Values, ...]:
    found = op.numbers(*map(np.asarray, arrays))
    return tuple(np.asarray(part, like.dtype).reshape(like.shape) for part, like in zip(found, shaped, strict=True))


def _at_once(*arrays: Any, op: Operation) -> list[Array]:
    """Compute where the numbers are there, without a compiler."""
    devices = {device for x in arrays if isinstance(x, Array) for device in x.devices()}
    where = devices.pop() if len(devices) == 1 else None
    return [jax.device_put(part, where) for part in _results(op, arrays, _abstract(*arrays, op=op))]


def _lowered(context: Any, *arrays: Any, op: Operation) -> Any:
    shaped = context.avals_out
    found, _, _ = mlir.emit_python_callback(
        context, lambda *values: _results(op, values, shaped), None, list(arrays), context.avals_in, shaped,
        has_side_effect=False, returns_token=False,
    )  # fmt: skip
    return found


def _mapped(arrays: Sequence[Any], axes: Sequence[int | None], *, op: Operation) -> tuple[Sequence[Array], list[int]]:
    """Bring the axis that is mapped over to the front, where it is one more batch axis."""
    (size,) = {x.shape[axis] for x, axis in zip(arrays, axes, strict=True) if axis is not None}
    fronted = [x if axis is None else jnp.moveaxis(x, axis, 0) for x, axis in zip(arrays, axes, strict=True)]
    if op.mapped == "each":
        over = [x for x, axis in zip(fronted, axes, strict=True) if axis is not None]

        def one(some: Sequence[Array]) -> list[Array]:
            mapped = iter(some)
            return bind(op, *(x if axis is None else next(mapped) for x, axis in zip(fronted, axes, strict=True)))

        found = jax.lax.map(one, over)
    else:
        front = size if op.mapped == "repeated" else 1
        whole = (
            jnp.broadcast_to(x, (front, *x.shape)) if axis is None else x for x, axis in zip(fronted, axes, strict=True)
        )
        found = bind(op, *whole)
    return found, [0] * len(found)


_primitive.def_impl(_at_once)
_primitive.def_abstract_eval(_abstract)
mlir.register_lowering(_primitive, _lowered)
batching.primitive_batchers[_primitive] = _mapped


# Its gradient --------------------------------------------------------------------------------------------------------


def _forward(op: Operation, *given: Any) -> tuple[list[Array], Any]:
    arrays = [x.value for x in given]
    found, kept = op.forward(*arrays)
    # What is static travels as a structure: None is no array, and () is another structure.
    return list(found), ([() if x.perturbed else None for x in given], kept)


def _backward(op: Operation, held: Any, grads: Sequence[Any]) -> tuple[Array | None, ...]:
    marks, kept = held
    wanted = [mark is not None for mark in marks]
    empty = [isinstance(grad, jax.custom_derivatives.SymbolicZero) for grad in grads]
    if all(empty):
        return (None,) * len(wanted)
    each = [jnp.zeros(g.shape, g.dtype) if zero else g for g, zero in zip(grads, empty, strict=True)]
    found = op.backward(wanted, kept, each)
    return tuple(part if want else None for part, want in zip(found, wanted, strict=True))


_differentiable = jax.custom_vjp(bind, nondiff_argnums=(0,))
_differentiable.defvjp(_forward, _backward, symbolic_zeros=True)


def apply(op: Operation, *arrays: Any) -> list[Array]:
    """Return the results of an operation, differentiable if it is."""
    found: list[Array] = _differentiable(op, *arrays)
    return found


def constant(op: Operation, *arrays: Any) -> list[Array]:
    """Return the results of an operation as constants of the gradient."""
    return bind(op, *(jax.lax.stop_gradient(x) for x in arrays))
