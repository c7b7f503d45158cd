"""The same as entropy.c by cffi, from Python and without a compiler: python entropy_cffi.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI

import fastrenyi

header = (Path(fastrenyi.get_include()) / "fastrenyi.h").read_text(encoding="utf-8")
ffi = FFI()
ffi.cdef(re.sub(r'^#.*|^extern "C" \{|^\}$', "", header, flags=re.MULTILINE))
library: Any = ffi.dlopen(fastrenyi.get_library())


def check(status: int) -> None:
    """Raise what the library says."""
    if status != library.FR_OK:
        raise ValueError(ffi.string(library.fr_error_message()).decode())


def view(x: np.ndarray) -> Any:
    """Return a view of an array (b, rows, cols), whatever its strides are."""
    return [ffi.cast("double *", x.ctypes.data), *x.shape, *(stride // x.itemsize for stride in x.strides)]


def doubles(x: np.ndarray) -> Any:
    """Return the address of an array that is dense."""
    return ffi.from_buffer("double[]", x)


def main() -> None:
    """Print entropies of two variables and what they tell of each other."""
    n, orders = 50, np.array([1.01, 2.0])
    i = np.arange(n)
    samples = np.stack([np.sin(i), np.cos(3 * i)])[:, :, None]
    grams, spectra, bits = np.empty((3, n, n)), np.empty((3, n)), np.empty((3, 2))
    x = ffi.new("fr_view_f64 *", view(samples))
    check(library.fr_gaussian_gram_f64(x, [0.5, 0.5], doubles(grams), 0, 0))
    factors = ffi.new("fr_view_f64[]", [view(grams[:1]), view(grams[1:2])])
    check(library.fr_hadamard_f64(factors, 2, doubles(grams[2]), 0, 0))
    every = ffi.new("fr_view_f64 *", view(grams))
    check(library.fr_spectrum_f64(every, doubles(spectra), library.FR_UNCHECKED, 0))
    check(
        library.fr_entropy_f64(doubles(spectra), 3, n, doubles(orders), 2, 0.0, doubles(bits), library.FR_UNCHECKED, 0)
    )
    for order, (of_x, of_y, of_both) in zip(orders, bits.T, strict=True):
        print(
            f"order {order:.2f}: S(x) = {of_x:.6f}, S(y) = {of_y:.6f}, S(x, y) = {of_both:.6f}, "
            f"I(x; y) = {of_x + of_y - of_both:.6f} bits"
        )


if __name__ == "__main__":
    main()
