"""What an array is: library, dtype, device. Wrapped at the door as a NumPy array, unwrapped on leaving.

Optional libraries are recognised through ``sys.modules``: whoever passes a tensor has imported torch already.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = [
    "BITS", "AnyArray", "Array", "ArrayT", "Foreign", "Home", "Values", "Verdict", "broadcast_shapes", "has_numbers",
    "home_of", "is_array", "key", "made_in", "wrap",
]  # fmt: skip

Values: TypeAlias = npt.NDArray[Any]
"""A NumPy array inside the house."""

Verdict: TypeAlias = "tuple[str, int, float] | None"
"""What a kernel found wrong with a batch of matrices: kind, index and value; None if nothing."""

Array: TypeAlias = Any
"""What users pass and get: an array of NumPy, CuPy, JAX or torch. Inside the house; AnyArray in public signatures."""


class AnyArray(Protocol):
    """What the arrays of all libraries have in common for a type checker, and tables and lists have not."""

    @property
    def shape(self) -> Any:
        """The lengths of the axes."""

    @property
    def ndim(self) -> int:
        """The number of axes."""

    @property
    def dtype(self) -> Any:
        """What the numbers are."""

    def swapaxes(self, first: int, second: int, /) -> Any:
        """Swap two axes, which tables cannot."""


ArrayT = TypeVar("ArrayT", bound=AnyArray)
"""A library's array type: the same goes in and comes out."""


class Exporter(Protocol):
    """What gives NumPy an array by DLPack."""

    def __dlpack__(self) -> Any:
        """Export the memory."""


class Convertible(Protocol):
    """What gives NumPy an array when asked for one, such as a table."""

    def __array__(self) -> Any:
        """Return a NumPy array."""


Foreign: TypeAlias = Exporter | Convertible
"""What is taken as the NumPy array that it gives."""


BITS = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}
"""Significant bits of real numbers, by their dtype."""


class Home(NamedTuple):
    """Where an array came from, and so where results go back to."""

    library: str
    dtype: str
    device: str

    def __str__(self) -> str:
        return f"{self.library} {self.dtype} on {self.device}"

    def xp(self) -> Any:
        """The library itself: what NumPy, CuPy, JAX and torch have in common is written once, over this."""
        return sys.modules["jax.numpy" if self.library == "jax" else self.library]

    def current(self, x: Array) -> AbstractContextManager[Any]:
        """Make the device of an array the current one: CuPy computes there whatever it is given."""
        return x.device if self.library == "cupy" else nullcontext()

    def take(self, values: Values) -> Array:
        """Return numbers on the host as an array of this library on this device, in their own dtype."""
        if self.library == "torch":
            return self.xp().from_numpy(np.ascontiguousarray(values)).to(self.device)
        if self.library == "cupy":
            with self.xp().cuda.Device(int(self.device.partition(":")[2])):
                return self.xp().asarray(values)
        return self.xp().asarray(values)

    def eye(self, n: int, like: Array) -> Array:
        """Return the identity (n, n) in the dtype of an array, beside it."""
        if self.library == "torch":  # of this tensor's own kind, which may have no numbers
            return like.new_ones(n).diag_embed()
        return self.xp().eye(n, dtype=like.dtype)

    def leave(self, result: Array) -> Array:
        """Give a result of this library back in this dtype."""
        if self.library == "torch":
            return result.to(getattr(sys.modules["torch"], self.dtype))
        if self.library in ("cupy", "jax"):
            return result.astype(self.dtype, copy=False)
        # [()] turns an array without axes into a scalar, as NumPy's own reductions do.
        return np.asarray(result).astype(self.dtype, copy=False)[()]

    def computed(self, x: Array) -> Array:
        """Return an array in the dtype it is computed in: half precision as float32."""
        if self.dtype not in ("float16", "bfloat16"):
            return x
        return x.float() if self.library == "torch" else x.astype(np.float32)

    def places(self, index: Sequence[Any]) -> Array:
        """Return integers, or equally long lists of them, as an index into arrays of this home."""
        if self.library == "torch":
            return self.xp().tensor(index, dtype=self.xp().int64, device=self.device)
        return self.xp().asarray(np.asarray(index, dtype=np.int64))  # of which JAX may make 32 bits

    def zeros(self, like: Array, shape: Sequence[int]) -> Array:
        """Return zeros of a shape where an array is, and of its dtype."""
        # torch.vmap lets what it maps over be written only into what it maps over as well.
        return like.new_zeros(shape) if self.library == "torch" else self.xp().zeros(shape, like.dtype)

    def put(self, whole: Array, place: Any, part: Array) -> Array:
        """Return an array with a part of it written: where arrays do not change, another one."""
        if self.library == "jax":
            return whole.at[place].set(part)
        whole[place] = part
        return whole

    def constant(self, x: Array) -> Array:
        """Return an array of this library without a gradient."""
        if self.library == "jax":
            return sys.modules["jax"].lax.stop_gradient(x)
        return x.detach() if self.library == "torch" else x

    @property
    def epsilon(self) -> float:
        """Machine epsilon of the dtype, so that rounding in half precision is known for what it is."""
        return 2.0 ** (1 - BITS[self.dtype])

    def with_dtype(self, dtype: str) -> Home:
        """Return this home for results of another dtype."""
        return Home(self.library, dtype, self.device)

    def default_dtype(self) -> str:
        """Return the dtype of results whose input is not real: the widest, or torch's default."""
        if self.library == "torch":
            return str(sys.modules["torch"].get_default_dtype()).removeprefix("torch.")
        return self.widest()

    def widest(self) -> str:
        """Return the widest dtype that this library has here: JAX has float64 only where its user has enabled it."""
        return str(sys.modules["jax"].dtypes.canonicalize_dtype("float64")) if self.library == "jax" else "float64"


def _library(x: object) -> str | None:
    if isinstance(x, np.ndarray):
        return "numpy"
    # A module that is being imported does not have them yet.
    if (torch := sys.modules.get("torch")) is not None and isinstance(x, getattr(torch, "Tensor", ())):
        return "torch"
    if (cupy := sys.modules.get("cupy")) is not None and isinstance(x, getattr(cupy, "ndarray", ())):
        return "cupy"
    if (jax := sys.modules.get("jax")) is not None and isinstance(x, getattr(jax, "Array", ())):
        return "jax"
    return None


def is_array(x: object) -> bool:
    """Whether x is an array of a library that is known here."""
    return _library(x) is not None


def home_of(x: Array) -> Home:
    """Return where an array lives; only for what ``is_array`` accepts."""
    library = _library(x)
    assert library is not None
    if library == "torch":
        return Home("torch", str(x.dtype).removeprefix("torch."), "cpu" if x.is_cpu else str(x.device))
    if library == "jax":
        # Where a traced array will be is not known; the operations take it to the host.
        platforms = {"cpu"} if _is_traced(x) else {device.platform for device in x.devices()}
        return Home("jax", _dtype_name(x.dtype), platforms.pop())
    return Home(library, _dtype_name(x.dtype), "cpu" if library == "numpy" else f"cuda:{x.device.id}")


def _is_traced(x: Array) -> bool:
    """Whether a JAX array is one that is traced, differentiated or mapped over: it has no numbers."""
    return isinstance(x, sys.modules["jax"].core.Tracer)


@functools.lru_cache(maxsize=64)
def _dtype_name(dtype: np.dtype[Any]) -> str:
    return dtype.name  # which NumPy makes anew, in Python, each time


def has_numbers(x: Array) -> bool:
    """Whether the numbers can be looked at: not of an array that is traced, mapped over or recorded in a CUDA graph."""
    if (library := _library(x)) != "torch":
        return library != "jax" or not _is_traced(x)
    torch = sys.modules["torch"]
    if torch.compiler.is_compiling() or (x.is_cuda and torch.cuda.is_current_stream_capturing()):
        return False
    try:
        x.data_ptr()
        return bool(x.untyped_storage().device.type == x.device.type)  # a fake tensor's memory is nowhere
    except (RuntimeError, NotImplementedError):
        return False


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """Return the shape that shapes broadcast to. That of NumPy is not traced by ``torch.compile`` of PyTorch 2.6."""
    axes = 0
    for shape in shapes:
        axes = max(axes, len(shape))
    found = [1] * axes
    for shape in shapes:
        for k in range(1, len(shape) + 1):
            if shape[-k] != 1:
                if found[-k] != 1 and found[-k] != shape[-k]:
                    raise ValueError("shapes that do not broadcast")
                found[-k] = shape[-k]
    return tuple(found)


def wrap(x: Array) -> Values:
    """Return the same memory as a NumPy array, half precision as float32; of an array on a GPU, a copy."""
    library = _library(x)
    if library == "torch":
        if x.element_size() == 2 and x.dtype.is_floating_point:
            x = x.detach().float()
        # detached; a pending sign or conjugate, which NumPy does not know, is carried out
        shared: Values = x.numpy(force=True)
        return shared
    values: Values = x.get() if library == "cupy" else np.asarray(x)
    if not values.dtype.isnative or not values.flags.aligned:
        values = values.astype(values.dtype.newbyteorder("="))
    return values.astype(np.float32) if values.dtype.name in ("float16", "bfloat16") else values


def made_in(x: Array) -> Home:
    """Return the home of a real array with the dtype that its numbers were made in, as far as they show it.

    That is the lowest one which has all of their significant bits, so that a cast to a higher dtype does not hide it.
    Numbers of fewer bits than any dtype has, such as zeros and powers of two, were not rounded and show nothing.
    """
    home, values = home_of(x), wrap(x)
    stored = values.dtype.itemsize * 8
    explicit = BITS[f"float{stored}"] - 1  # of the significand: the first bit is not stored
    together = int(np.bitwise_or.reduce(values.view(f"i{stored // 8}"), axis=None)) & (2**explicit - 1)
    zeros = (together & -together).bit_length() - 1 if together else explicit
    used = 1 + explicit - zeros
    if used < min(BITS.values()):
        return home
    return home.with_dtype(min((bits, dtype) for dtype, bits in BITS.items() if bits >= used)[1])


def key(value: object) -> Any:
    """Return what stands for a setting where it is compared or hashed: of an array its home, shape and numbers."""
    if is_array(value):
        array: Array = value
        return home_of(array), tuple(array.shape), wrap(array).tobytes()
    return tuple(map(key, value)) if isinstance(value, (list, tuple)) else value
