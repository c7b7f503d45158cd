"""Kernels for a device's arrays, with new memory for results and workspace. No numbers are looked at here."""

from __future__ import annotations

from collections.abc import Sequence

from fastrenyi._array import Array, home_of
from fastrenyi._device import Device, Findings
from fastrenyi._spec import KernelSpec

__all__ = ["distances", "dtype_of", "eigh", "joint", "kernel_grams", "product", "spectra"]


def dtype_of(x: Array) -> str:
    """Return the name of an array's dtype."""
    return home_of(x).dtype


def distances(device: Device, x: Array, metric: str) -> Array:
    """Return the float64 distances (b, n, n) of samples (b, n, d)."""
    b, n, _ = x.shape
    found = device.empty((b, n, n), dtype_of(x))
    device.run("distances", device.view(x), dtype_of(x), metric, device.address(found))
    return device.cast(found, "float64")


def kernel_grams(device: Device, x: Array, widths: Array | None, kernel: KernelSpec) -> Array:
    """Return the Grams (b, n, n) of samples (b, n, d)."""
    b, n, _ = x.shape
    found = device.empty((b, n, n), dtype_of(x))
    address = 0 if widths is None else device.address(widths)
    kind = kernel.kind if kernel.widthed else "polynomial"
    device.run("gram", device.view(x), dtype_of(x), kind, address, *kernel[1:], device.address(found))
    return found


def spectra(device: Device, a: Array) -> Array:
    """Return the eigenvalues (b, n) of matrices (b, n, n)."""
    b, n, _ = (int(length) for length in a.shape)
    found = device.empty((b, n), dtype_of(a))
    size = device.module.spectrum_workspace(b, n, dtype_of(a), device.index)
    room = device.workspace(size)
    device.run("spectrum", device.view(a), dtype_of(a), device.address(found), device.address(room), size)
    return found


def eigh(device: Device, a: Array) -> tuple[Array, Array]:
    """Return eigenvalues (b, n) and eigenvectors (b, n, n), in columns, of matrices (b, n, n)."""
    b, n, _ = (int(length) for length in a.shape)
    values, vectors = device.empty((b, n), dtype_of(a)), device.empty((b, n, n), dtype_of(a))
    size = device.module.eigh_workspace(b, n, dtype_of(a), device.index)
    room = device.workspace(size)
    addresses = (device.address(values), device.address(vectors), device.address(room))
    device.run("eigh", device.view(a), dtype_of(a), *addresses, size)
    return values, vectors


def product(device: Device, factors: Sequence[Array], out: Array, word: int) -> None:
    """Write the joint Grams of factors (b, n, n) to out (b, n, n)."""
    b, n, _ = (int(length) for length in out.shape)
    room = device.workspace(device.module.hadamard_workspace(len(factors), b, n))
    views = [device.view(a) for a in factors]
    device.run("hadamard", views, dtype_of(out), device.address(out), device.address(room), word)


def joint(device: Device, factors: Sequence[Array]) -> Array:
    """Return the joint Grams (b, n, n) of factors (b, n, n) that are Grams."""
    if len(factors) == 1:
        return factors[0]
    found = device.empty(tuple(factors[0].shape), dtype_of(factors[0]))
    findings = Findings(device, 1)  # to be kept until the kernel has been given its memory
    product(device, factors, found, findings.word(0))
    return found
