"""What messages tell a user to write for an array that is to be another one."""

from __future__ import annotations

from fastrenyi._array import BITS, Home

__all__ = ["as_real", "common_dtype", "moved"]

_TAKEN = {
    ("numpy", "torch"): "torch.from_numpy({})",
    ("numpy", "cupy"): "cupy.asarray({})",
    ("torch", "numpy"): "{}.numpy(force=True)",
    ("torch", "cupy"): "cupy.asarray({})",
    ("cupy", "numpy"): "{}.get()",
    ("cupy", "torch"): "torch.from_dlpack({})",
    ("jax", "numpy"): "numpy.asarray({})",
    ("jax", "torch"): "torch.from_dlpack({})",
    ("jax", "cupy"): "cupy.from_dlpack({})",
    ("numpy", "jax"): "jax.numpy.asarray({})",
    ("torch", "jax"): "jax.numpy.from_dlpack({})",
    ("cupy", "jax"): "jax.numpy.from_dlpack({})",
}
"""What to write for an array of one library that is to be one of another."""


def as_real(home: Home, name: str) -> str:
    """Return what to write for an array of another dtype: what works for that dtype."""
    dtype, torch = home.dtype.lower(), home.library == "torch"
    if dtype.startswith("complex"):
        return f"{'torch.view_as_real' if torch else 'numpy.abs'}({name}), or its parts side by side"
    if dtype.startswith(("datetime64", "timedelta64")):
        since = f"{name} - {name}.min()" if dtype.startswith("datetime64") else name
        return f"({since}) / numpy.timedelta64(1, 's')"
    if dtype.startswith(("str", "bytes")):
        return f"labels to gram with the Delta kernel, or numerals as {name}.astype(numpy.float64)"
    if dtype == "object":
        numbers_of = f"of a table its columns of numbers, {name}.select_dtypes('number')"
        return f"{name}.astype(numpy.float64) where all are numbers, or {numbers_of}"
    if dtype.startswith(("void", "record")):
        return f"numpy.lib.recfunctions.structured_to_unstructured({name})"
    return f"{name}.double()" if torch else f"{name}.astype(numpy.float64)"


def common_dtype(one: str, other: str) -> str:
    """Return a dtype that has the numbers of both."""
    if not (one in BITS and other in BITS):
        return "float64"  # labels, which are the same in it
    if {one, other} == {"float16", "bfloat16"}:
        return "float32"
    return max(one, other, key=BITS.__getitem__)


def moved(home: Home, name: str, to: Home) -> str:
    """Return what to write for an array that is to have another home."""
    written = name
    # JAX may have no float64, so that a cast to it waits for the other library.
    steps = ("library", "dtype") if home.library == "jax" else ("dtype", "library")
    for step in steps:
        if step == "library" and home.library != to.library:
            written = _TAKEN[home.library, to.library].format(written)
        elif step == "dtype" and home.dtype != to.dtype:
            now = to.library if home.library == "jax" else home.library
            written += f".to(torch.{to.dtype})" if now == "torch" else f".astype(numpy.{to.dtype})"
    if to.library == "torch" and home.device != to.device:
        written += f".to({to.device!r})"
    return written
