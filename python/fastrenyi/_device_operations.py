"""The operations of ``fastrenyi._operations`` for arrays in the memory of a device, with the same names and arguments.

Arrays come and go in the library that they are of, torch or CuPy. Numbers are looked at by kernels, which leave a word
each; the words are read once, at the end of an operation, which is the only time it waits for the device. While a
CUDA graph is recorded nothing can be waited for, and wrong numbers are not found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastrenyi import _check
from fastrenyi._array import Array, home_of
from fastrenyi._device import Device, Findings, as_numpy, on_its_device
from fastrenyi._device_kernels import dtype_of, joint, kernel_grams, product, spectra
from fastrenyi._device_widths import widths_of
from fastrenyi._operations import aligned, batch_shape
from fastrenyi._spec import KernelSpec
from fastrenyi.bandwidths import Bandwidth

__all__ = ["bandwidth", "delta_gram", "entropies", "gram", "pairs", "spectrum"]

_INDEFINITE = 3  # what a word says of a matrix, besides which: csrc/common/stream.hpp


def _refuse_samples(device: Device, x: Array, name: str) -> None:
    _check.finite(as_numpy(device.host(device.computed(x))), name)


def _finite(device: Device, x: Array, name: str) -> Array:
    values = device.computed(x)
    if not dtype_of(values).startswith("float"):
        return values
    findings = Findings(device, 1)
    device.run("not_finite", device.view(_check.flat_batch(values, 2)), dtype_of(values), findings.word(0))
    if findings.read()[0]:
        _refuse_samples(device, x, name)
    return values


# Widths --------------------------------------------------------------------------------------------------------------


@on_its_device
def bandwidth(x: Array, rule: Bandwidth, metric: str, name: str) -> Array:
    """Return the float64 widths (...) that a rule finds for samples (..., n, d)."""
    device = Device(x)
    values = _finite(device, x, name)
    flat = _check.flat_batch(values, 2)
    return widths_of(device, flat, rule, metric).reshape(tuple(values.shape[:-2]))


# Grams ---------------------------------------------------------------------------------------------------------------


@on_its_device
def gram(x: Array, kernel: KernelSpec, width: float | Array | None, given: bool, name: str) -> Array:
    """Return the Grams (..., n, n) of samples (..., n, d), as ``_operations.gram``."""
    device = Device(x)
    values = device.computed(x)
    flat = _check.flat_batch(values, 2)
    findings = Findings(device, 3)
    device.run("not_finite", device.view(flat), dtype_of(flat), findings.word(0))
    widths = None
    if not kernel.widthed:
        if kernel.coef0 == 0:
            device.run("zero_rows", device.view(flat), dtype_of(flat), findings.word(1))
    elif isinstance(width, float):
        widths = device.full((len(flat),), width, "float64")
    else:
        each = device.xp.broadcast_to(device.here(width, "float64").reshape(-1), (len(flat),))
        widths = device.contiguous(each)
        findings.refuse(2, ~((widths > 0 if given else widths >= 0) & (widths < math.inf)))
    result = kernel_grams(device, flat, widths, kernel)
    wrong = findings.read()
    if wrong[0]:
        _refuse_samples(device, x, name)
    if wrong[1]:
        _check.nonzero_rows(as_numpy(device.host(values)), name, kernel.kind)
    if wrong[2]:
        _check.widths(as_numpy(device.host(widths)), given)
    return result.reshape(*values.shape[:-1], values.shape[-2])


@on_its_device
def delta_gram(x: Array, name: str) -> Array:
    """Return the float64 Grams (..., n, n) of the Delta kernel; the samples (..., n, d) may be integers."""
    device = Device(x)
    values = _finite(device, x, name)
    if not dtype_of(values).startswith("float"):
        values = device.cast(values, "int64")
    flat = _check.flat_batch(values, 2)
    b, n, _ = flat.shape
    result = device.empty((b, n, n), "float64")
    device.run("delta_gram", device.view(flat), dtype_of(flat), device.address(result))
    return result.reshape(*values.shape[:-1], values.shape[-2])


# Spectra and entropies -----------------------------------------------------------------------------------------------


def _check_grams(device: Device, checked: Sequence[Array], dtype: str, findings: Findings, trace_one: bool) -> None:
    """Look at matrices that came in a dtype, a word each."""
    tolerance = _check.TRACE_TOLERANCE[dtype]
    for k, a in enumerate(checked):
        view = device.view(_check.flat_batch(a, 2))
        device.run("gram_fault", view, dtype_of(a), tolerance, trace_one, findings.word(k))


def _refuse_gram(device: Device, x: Array, name: str, trace_one: bool) -> None:
    """Let the check on the host say what is wrong; where it finds nothing wrong, it has the last word."""
    _check.gram_contents(device.host(x), name, trace_one=trace_one)


@on_its_device
def spectrum(a: Array, name: str) -> Array:
    """Return the eigenvalues (..., n) of symmetric matrices (..., n, n) of any trace."""
    device = Device(a)
    values = device.computed(a)
    findings = Findings(device, 1)
    _check_grams(device, [values], dtype_of(a), findings, False)
    found = spectra(device, _check.flat_batch(values, 2))
    if findings.read()[0]:
        _refuse_gram(device, a, name, False)
    return found.reshape(tuple(values.shape[:-1]))


def _entropies(
    device: Device, a: Array, orders: Sequence[float], epsilon: float, unit: float, word: int
) -> tuple[Array, Array | None]:
    """Return the (b, m) entropies of matrices (b, n, n), and their spectra if they were needed."""
    b, n, _ = (int(length) for length in a.shape)
    found = device.empty((b, len(orders)), dtype_of(a))
    if list(orders) == [2.0]:
        device.run("collision_entropy", device.view(a), dtype_of(a), unit, device.address(found))
        return found, None
    values = spectra(device, a)
    place = (device.address(values), b, n, dtype_of(a))
    device.run("entropy", *place, list(orders), epsilon, unit, device.address(found), word)
    return found, values


def _refuse_spectrum(device: Device, values: Array, index: int, name: str, batch: tuple[int, ...], at: int) -> None:
    row = as_numpy(device.host(values[index])).astype(np.float64)
    _check.verdict(("indefinite", at, float(row.min() / row.sum())), name, batch)


@on_its_device
def entropies(
    grams: Sequence[Array],
    labels: Sequence[str],
    subsets: Sequence[Sequence[int]],
    names: Sequence[str],
    signs: Sequence[float],
    orders: Sequence[float],
    unit: float,
) -> Array:
    """Return the joint entropies of subsets of Grams, or their signed sum, as ``_operations.entropies``."""
    device = Device(grams[0])
    epsilon = home_of(grams[0]).epsilon
    checked = [device.computed(a) for a in grams]
    n = int(checked[0].shape[-1])
    findings = Findings(device, len(grams) + len(subsets) + 1)
    _check_grams(device, checked, dtype_of(grams[0]), findings, True)
    factors = [[checked[i] for i in subset] for subset in subsets]
    batches = [batch_shape(each) for each in factors]
    ends = np.cumsum([math.prod(batch) for batch in batches])
    starts = [0, *(int(end) for end in ends[:-1])]
    together = device.empty((int(ends[-1]), n, n), dtype_of(checked[0]))
    for k, (each, batch, start, end) in enumerate(zip(factors, batches, starts, ends, strict=True)):
        part, flat = together[start : int(end)], aligned(each, batch, device.xp)
        if len(flat) == 1:
            part[...] = flat[0]
        else:
            product(device, flat, part, findings.word(len(grams) + k))
    found, values = _entropies(device, together, orders, epsilon, unit, findings.word(len(grams) + len(subsets)))
    wrong = findings.read()
    for fault, x, label in zip(wrong, grams, labels, strict=False):
        if fault:
            _refuse_gram(device, x, label, True)
    for fault, name, batch in zip(wrong[len(grams) : -1], names, batches, strict=True):
        if fault:
            _check.verdict(("zero trace", fault[0], 0.0), name, batch)
    if wrong[-1] and values is not None:
        at = int(np.searchsorted(ends, wrong[-1][0], side="right"))
        _refuse_spectrum(device, values, wrong[-1][0], names[at], batches[at], wrong[-1][0] - starts[at])
    shaped = [
        found[start : int(end)].reshape(*batch, len(orders))
        for start, end, batch in zip(starts, ends, batches, strict=True)
    ]
    if len(signs):
        total = signs[0] * shaped[0]
        for sign, part in zip(signs[1:], shaped[1:], strict=True):
            total = total + sign * part
        return total
    whole = np.broadcast_shapes(*(tuple(part.shape) for part in shaped))
    return device.xp.stack([device.xp.broadcast_to(part, whole) for part in shaped])


@on_its_device
def pairs(maps: Array, target: Array, every: bool, orders: Sequence[float], unit: float) -> tuple[Array, Array, Array]:
    """Return the entropies that the decomposition of a layer is made of, as ``_operations.pairs``."""
    device = Device(maps)
    epsilon, dtype = home_of(maps).epsilon, dtype_of(device.computed(maps))
    a, x = device.computed(maps), device.computed(target)[None]
    count, n, m = int(a.shape[0]), int(a.shape[1]), len(orders)
    findings = Findings(device, 7)
    _check_grams(device, [a, x], dtype_of(maps), findings, True)
    s_x, values_x = _entropies(device, x, orders, epsilon, unit, findings.word(2))

    # A map alone is the pair of the map with itself; then all pairs above the diagonal.
    alone = device.full((count, 2), 1, "int64").cumsum(0) - 1
    index = device.contiguous(device.xp.concatenate([alone, device.pairs_above(count)])) if every else alone
    total = len(index)
    found = device.empty((2, total, m), dtype)
    size = device.module.pairs_workspace(total, n, dtype, True, device.index)
    room = device.workspace(size)
    places = (device.address(found[0]), device.address(found[1]), device.address(room), size)
    where = (device.view(a), device.view(x), device.address(index), total, dtype)
    device.run("pairs", *where, list(orders), epsilon, unit, *places, findings.word(3))

    both = device.empty((2, n, n), dtype)
    product(device, [a[k : k + 1] for k in range(count)], both[:1], findings.word(4))
    product(device, [both[:1], x], both[1:], findings.word(5))
    s_all, values_all = _entropies(device, both, orders, epsilon, unit, findings.word(6))

    wrong = findings.read()
    for fault, given, name in ((wrong[0], maps, "maps"), (wrong[1], target, "target")):
        if fault:
            _refuse_gram(device, given, name, True)
    if wrong[2] and values_x is not None:
        _refuse_spectrum(device, values_x, 0, "target", (), 0)
    if wrong[3]:
        i, j = (int(k) for k in device.host(index[wrong[3][0]]))
        name = f"maps[{i}]" if i == j else f"maps[{i}], maps[{j}]"
        if wrong[3][1] != _INDEFINITE:
            _check.verdict(("zero trace", 0, 0.0), name, ())
        both = joint(device, [a[i : i + 1], a[j : j + 1]]) if i != j else a[i : i + 1]
        lowest = spectra(device, both)
        if float(lowest[0, 0]) >= -n * epsilon * float(lowest[0, -1]):  # then it is the product with the target
            lowest = spectra(device, joint(device, [both, x]))
        _refuse_spectrum(device, lowest, 0, name, (), 0)
    for fault in wrong[4:6]:
        if fault:
            _check.verdict(("zero trace", 0, 0.0), "maps", ())
    if wrong[6] and values_all is not None:
        _refuse_spectrum(device, values_all, wrong[6][0], "maps", (), 0)
    if not every:
        return s_x[0], found, s_all
    square = device.empty((2, count, count, m), dtype)
    first, second = index[:, 0], index[:, 1]
    square[:, first, second] = found
    square[:, second, first] = found
    return s_x[0], square, s_all


@on_its_device
def entropies_and_kept(grams: Sequence[Array], *rest: Any) -> tuple[Array, Array]:
    """Return ``entropies`` and, as nothing is kept for their gradients here, nothing (0, n + 3, n)."""
    *args, _ = rest
    device = Device(grams[0])
    n = int(grams[0].shape[-1])
    return entropies(grams, *args), device.empty((0, n + 3, n), dtype_of(device.computed(grams[0])))
