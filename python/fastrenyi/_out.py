"""Arrays of the caller's own that results are written to."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrenyi import _check
from fastrenyi._array import Array, Home, has_numbers, home_of, is_array, wrap

__all__ = ["accepted", "filled", "within", "without_gradient"]


def accepted(out: Any, home: Home, shape: tuple[int, ...], x: Array, name: str) -> Array:
    """Return an array that a result of x, of this home and shape, can be written to, and x without its gradient."""
    if not is_array(out):
        _check.kind_error("out", f"an array of {home.library}", _check.quoted(out))
    if home.library == "jax":
        _check.kind_error("out", "none for JAX, whose arrays do not change", "an array", "leave it out")
    _check.array(out, "out")
    _check.same_home(home_of(out), "out", home, "the result")
    if tuple(out.shape) != shape:
        _check.value_error("out", f"an array of the result's shape {shape}", f"shape {tuple(out.shape)}")
    without_gradient(x, name)
    without_gradient(out, "out")
    if not (has_numbers(out) and has_numbers(x)):
        way_out = "leave it out where tensors are traced or mapped over"
        _check.kind_error("out", "a tensor whose memory is there", "one that is traced or mapped over", way_out)
    dense = out.is_contiguous() if home.library == "torch" else out.flags.c_contiguous
    if not dense or (home.library == "numpy" and not out.flags.writeable):
        got = "one with other strides" if not dense else "one that is read-only"
        _check.value_error("out", "a dense array in C order that can be written to", got, "make it with empty()")
    if _may_overlap(out, x, home):
        _check.value_error("out", f"memory of its own, as {name} is read while it is written", f"that of {name}")
    return home.constant(x)


def without_gradient(x: object, name: str) -> None:
    """Refuse a tensor whose gradient would be lost."""
    if getattr(x, "requires_grad", False) and home_of(x).xp().is_grad_enabled():
        way_out = f"leave it out, or pass {name}.detach()"
        _check.kind_error("out", "no gradient where results are written to an array", f"{name} with one", way_out)


def _may_overlap(out: Array, x: Array, home: Home) -> bool:
    if home.device != "cpu" and home.library == "torch":
        return bool(out.untyped_storage().data_ptr() == x.untyped_storage().data_ptr())
    if home.device != "cpu":
        return bool(home.xp().may_share_memory(out, x))
    return np.may_share_memory(wrap(out), wrap(x))


def within(out: Array) -> Array | None:
    """Return where kernels may write: half precision is computed in single, and not in its place."""
    return out if home_of(out).dtype in ("float32", "float64") else None


def filled(out: Array, found: Array) -> Array:
    """Return ``out`` with what was found, which stands there already where a kernel has written it."""
    if home_of(out).library != "torch":
        if _address(found) != _address(out):
            out[...] = found
        return out
    torch: Any = home_of(out).xp()
    found = torch.as_tensor(found)
    without_gradient(found, "a setting of the kernel")
    if found.data_ptr() != out.data_ptr():
        out.detach().copy_(found)
    elif not out.is_inference():  # what autograd has kept of it before is no longer there
        torch.autograd.graph.increment_version(out)
    return out


def _address(x: Array) -> int:
    return int(x.ctypes.data if isinstance(x, np.ndarray) else x.data.ptr)
