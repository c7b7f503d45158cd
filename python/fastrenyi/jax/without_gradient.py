"""Arrays whose gradient is refused."""

from __future__ import annotations

from functools import partial
from typing import NoReturn

import jax
from jax import Array

from fastrenyi import _check

__all__ = ["without_gradient"]


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def without_gradient(x: Array, name: str, what: str) -> Array:
    """Return an array that no gradient is taken of, which ``what`` has not: to take one is refused."""
    return x


def _forward(x: Array, name: str, what: str) -> tuple[Array, None]:
    return x, None


def _backward(name: str, what: str, kept: None, grad: Array) -> NoReturn:
    expected = f"an array without a gradient, which {what} has not"
    _check.kind_error(name, expected, "one that is differentiated", f"pass jax.lax.stop_gradient({name})")


without_gradient.defvjp(_forward, _backward)
