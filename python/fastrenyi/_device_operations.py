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
from fastrenyi._device import Device, Findings, as_numpy
from fastrenyi._operations import aligned, batch_shape, samples
from fastrenyi.bandwidths import Alignment, Bandwidth, Median, NearestNeighbours, Scott

__all__ = ["bandwidth", "delta_gram", "entropies", "gram", "largest", "pairs", "pooled", "samples", "share", "spectrum"]

_INDEFINITE = 3  # what a word says of a matrix, besides which: csrc/common/stream.hpp


def share(part: Array, whole: Array) -> Array:
    """Divide, giving NaN for a share of nothing."""
    xp = Device(part).xp
    nothing = whole == 0
    return xp.where(nothing, math.nan, part / xp.where(nothing, 1.0, whole))


def largest(values: Array) -> Array:
    """Return the largest along the first axis."""
    return Device(values).xp.amax(values, 0)


def pooled(x: Array, y: Array) -> Array:
    """Return two sets of samples as one, (..., n, d) and (..., m, d) as (..., n + m, d); batch axes broadcast."""
    device = Device(x)
    both = [_finite_samples(device, v, "samples", name) for v, name in ((x, "x"), (y, "y"))]
    batch = np.broadcast_shapes(*(tuple(v.shape[:-2]) for v in both))
    return device.xp.concatenate([device.xp.broadcast_to(v, (*batch, *v.shape[-2:])) for v in both], -2)


def _refuse_samples(device: Device, x: Array, name: str) -> None:
    _check.finite(as_numpy(device.host(device.computed(x))), name)


def _finite_samples(device: Device, x: Array, layout: str, name: str) -> Array:
    values = samples(device.computed(x), layout)
    if not _dtype(values).startswith("float"):
        return values
    findings = Findings(device, 1)
    device.run("not_finite", device.view(_check.flat_batch(values, 2)), _dtype(values), findings.word(0))
    if findings.read()[0]:
        _refuse_samples(device, x, name)
    return values


def _dtype(x: Array) -> str:
    return home_of(x).dtype


# Widths --------------------------------------------------------------------------------------------------------------


def bandwidth(x: Array, layout: str, rule: Bandwidth, metric: str, name: str) -> Array:
    """Return the float64 widths (...) that a rule finds for samples (..., n, d)."""
    device = Device(x)
    values = _finite_samples(device, x, layout, name)
    flat = _check.flat_batch(values, 2)
    return _widths(device, flat, rule, metric).reshape(tuple(values.shape[:-2]))


def _distances(device: Device, x: Array, metric: str) -> Array:
    b, n, _ = x.shape
    found = device.empty((b, n, n), _dtype(x))
    device.run("distances", device.view(x), _dtype(x), metric, device.address(found))
    return device.cast(found, "float64")


def _sorted(device: Device, x: Array) -> Array:
    found = device.xp.sort(x, -1)
    return found if hasattr(found, "shape") else found.values


def _widths(device: Device, x: Array, rule: Bandwidth, metric: str) -> Array:
    """Return one width for each of the b sample sets in x (b, n, d), as the rules say in ``bandwidths``."""
    b, n, _ = (int(length) for length in x.shape)
    if isinstance(rule, Alignment):
        return _aligned_widths(device, x, rule, metric)
    if isinstance(rule, NearestNeighbours):
        rule._check_samples(n)
        nearest = _sorted(device, _distances(device, x, metric))[:, :, : rule.k + 1]
        return (rule.scale / rule.k) * nearest.sum(-1).mean(-1)
    assert isinstance(rule, (Median, Scott)), rule
    if n == 1:
        return device.full((b,), 0.0, "float64")
    if isinstance(rule, Median):
        above = device.here(np.ravel_multi_index(np.triu_indices(n, 1), (n, n)), "int64")
        ordered = _sorted(device, _distances(device, x, metric).reshape(b, n * n)[:, above])
        count = n * (n - 1) // 2
        return rule.scale * (ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2
    # NumPy, which stands in for a device's library in tests, warns of what the caller refuses by name.
    with np.errstate(over="ignore", invalid="ignore"):
        return _scott(device, x, rule)


def _scott(device: Device, x: Array, rule: Scott) -> Array:
    xp = device.xp
    b, n, d = (int(length) for length in x.shape)
    differences = device.cast(x, "float64") - device.cast(x[:, :1], "float64")
    furthest = xp.amax(abs(differences).reshape(b, n * d), 1)
    unit = xp.where(furthest == 0, 1.0, furthest)
    relative = differences / unit[:, None, None]
    centred = relative - relative.mean(1)[:, None]
    variance = (centred * centred).sum(1).mean(-1) / (n - 1)
    return rule.scale * n ** (-1.0 / (4 + d)) * unit * variance**0.5


def _aligned_widths(device: Device, x: Array, rule: Alignment, metric: str) -> Array:
    xp = device.xp
    b, n, _ = (int(length) for length in x.shape)
    rule._check_samples(n)
    target = device.here(rule.target, _dtype(x))
    if rule.widths is None:
        steps = device.here(np.geomspace(0.1, 10.0, 75), "float64")
        grid = steps[:, None] * _widths(device, x, Median(), metric)
    else:
        grid = device.here(np.repeat(np.asarray(rule.widths, dtype=np.float64)[:, None], b, axis=1), "float64")
    kind = "gaussian" if metric == "euclidean" else "laplacian"
    found = []
    for widths in grid:
        a = _gram(device, x, widths, kind, 1, 1.0, 0.0)
        found.append((a * target).sum((1, 2)) / (a * a).sum((1, 2)) ** 0.5)
    best = xp.stack(found).argmax(0)
    return grid[best, device.here(np.arange(b), "int64")]


# Grams ---------------------------------------------------------------------------------------------------------------


def gram(
    x: Array,
    layout: str,
    width: float | Array | None,
    kind: str,
    degree: int,
    gamma: float,
    coef0: float,
    name: str,
    given: bool,
) -> Array:
    """Return the Grams (..., n, n) of samples (..., n, d), as ``_operations.gram``."""
    device = Device(x)
    values = samples(device.computed(x), layout)
    flat = _check.flat_batch(values, 2)
    findings = Findings(device, 3)
    device.run("not_finite", device.view(flat), _dtype(flat), findings.word(0))
    widths = None
    if kind in ("polynomial", "cosine"):
        if coef0 == 0:
            device.run("zero_rows", device.view(flat), _dtype(flat), findings.word(1))
    elif isinstance(width, float):
        widths = device.full((len(flat),), width, "float64")
    else:
        each = device.xp.broadcast_to(device.here(width, "float64").reshape(-1), (len(flat),))
        widths = device.xp.asarray(each, copy=True) if not hasattr(each, "contiguous") else each.contiguous()
        findings.refuse(2, ~((widths > 0 if given else widths >= 0) & (widths < math.inf)))
    result = _gram(device, flat, widths, kind, degree, gamma, coef0)
    wrong = findings.read()
    if wrong[0]:
        _refuse_samples(device, x, name)
    if wrong[1]:
        _check.nonzero_rows(as_numpy(device.host(values)), name, kind)
    if wrong[2]:
        expected = "finite widths above zero" if given else "a rule that gives finite widths for this data"
        _check.value_error("bandwidth", expected, as_numpy(device.host(widths)), "" if given else "rescale the data")
    return result.reshape(*values.shape[:-1], values.shape[-2])


def _gram(device: Device, x: Array, widths: Array | None, kind: str, degree: int, gamma: float, coef0: float) -> Array:
    b, n, _ = x.shape
    found = device.empty((b, n, n), _dtype(x))
    address = 0 if widths is None else device.address(widths)
    kernel = "polynomial" if kind == "cosine" else kind
    device.run("gram", device.view(x), _dtype(x), kernel, address, degree, gamma, coef0, device.address(found))
    return found


def delta_gram(x: Array, layout: str, name: str) -> Array:
    """Return the float64 Grams (..., n, n) of the Delta kernel; the samples (..., n, d) may be integers."""
    device = Device(x)
    values = _finite_samples(device, x, layout, name)
    if not _dtype(values).startswith("float"):
        values = device.cast(values, "int64")
    flat = _check.flat_batch(values, 2)
    b, n, _ = flat.shape
    result = device.empty((b, n, n), "float64")
    device.run("delta_gram", device.view(flat), _dtype(flat), device.address(result))
    return result.reshape(*values.shape[:-1], values.shape[-2])


# Spectra and entropies -----------------------------------------------------------------------------------------------


def _check_grams(device: Device, checked: Sequence[Array], dtype: str, findings: Findings, trace_one: bool) -> None:
    """Look at matrices that came in a dtype, a word each."""
    tolerance = _check.TRACE_TOLERANCE[dtype]
    for k, a in enumerate(checked):
        view = device.view(_check.flat_batch(a, 2))
        device.run("gram_fault", view, _dtype(a), tolerance, trace_one, findings.word(k))


def _refuse_gram(device: Device, x: Array, name: str, trace_one: bool) -> None:
    """Let the check on the host say what is wrong; where it finds nothing wrong, it has the last word."""
    _check.gram_contents(device.host(x), name, trace_one=trace_one)


def spectra(device: Device, a: Array) -> Array:
    """Return the eigenvalues (b, n) of matrices (b, n, n)."""
    b, n, _ = (int(length) for length in a.shape)
    found = device.empty((b, n), _dtype(a))
    size = device.module.spectrum_workspace(b, n, _dtype(a), device.index)
    room = device.workspace(size)
    device.run("spectrum", device.view(a), _dtype(a), device.address(found), device.address(room), size)
    return found


def eigh(device: Device, a: Array) -> tuple[Array, Array]:
    """Return eigenvalues (b, n) and eigenvectors (b, n, n), in columns, of matrices (b, n, n)."""
    b, n, _ = (int(length) for length in a.shape)
    values, vectors = device.empty((b, n), _dtype(a)), device.empty((b, n, n), _dtype(a))
    size = device.module.eigh_workspace(b, n, _dtype(a), device.index)
    room = device.workspace(size)
    addresses = (device.address(values), device.address(vectors), device.address(room))
    device.run("eigh", device.view(a), _dtype(a), *addresses, size)
    return values, vectors


def spectrum(a: Array, name: str) -> Array:
    """Return the eigenvalues (..., n) of symmetric matrices (..., n, n) of any trace."""
    device = Device(a)
    values = device.computed(a)
    findings = Findings(device, 1)
    _check_grams(device, [values], _dtype(a), findings, False)
    found = spectra(device, _check.flat_batch(values, 2))
    if findings.read()[0]:
        _refuse_gram(device, a, name, False)
    return found.reshape(tuple(values.shape[:-1]))


def _product(device: Device, factors: Sequence[Array], out: Array, word: int) -> None:
    """Write the joint Grams of factors (b, n, n) to out (b, n, n)."""
    b, n, _ = (int(length) for length in out.shape)
    room = device.workspace(device.module.hadamard_workspace(len(factors), b, n))
    views = [device.view(a) for a in factors]
    device.run("hadamard", views, _dtype(out), device.address(out), device.address(room), word)


def joint(device: Device, factors: Sequence[Array]) -> Array:
    """Return the joint Grams (b, n, n) of factors (b, n, n) that are Grams."""
    if len(factors) == 1:
        return factors[0]
    found = device.empty(tuple(factors[0].shape), _dtype(factors[0]))
    _product(device, factors, found, Findings(device, 1).word(0))
    return found


def _entropies(
    device: Device, a: Array, orders: Sequence[float], epsilon: float, unit: float, word: int
) -> tuple[Array, Array | None]:
    """Return the (b, m) entropies of matrices (b, n, n), and their spectra if they were needed."""
    b, n, _ = (int(length) for length in a.shape)
    found = device.empty((b, len(orders)), _dtype(a))
    if list(orders) == [2.0]:
        device.run("collision_entropy", device.view(a), _dtype(a), unit, device.address(found))
        return found, None
    values = spectra(device, a)
    place = (device.address(values), b, n, _dtype(a))
    device.run("entropy", *place, list(orders), epsilon, unit, device.address(found), word)
    return found, values


def _refuse_spectrum(device: Device, values: Array, index: int, name: str, batch: tuple[int, ...], at: int) -> None:
    row = as_numpy(device.host(values[index])).astype(np.float64)
    _check.verdict(("indefinite", at, float(row.min() / row.sum())), name, batch)


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
    _check_grams(device, checked, _dtype(grams[0]), findings, True)
    factors = [[checked[i] for i in subset] for subset in subsets]
    batches = [batch_shape(each) for each in factors]
    ends = np.cumsum([math.prod(batch) for batch in batches])
    starts = [0, *(int(end) for end in ends[:-1])]
    together = device.empty((int(ends[-1]), n, n), _dtype(checked[0]))
    for k, (each, batch, start, end) in enumerate(zip(factors, batches, starts, ends, strict=True)):
        part, flat = together[start : int(end)], aligned(each, batch, device.xp)
        if len(flat) == 1:
            part[...] = flat[0]
        else:
            _product(device, flat, part, findings.word(len(grams) + k))
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


def pairs(maps: Array, target: Array, every: bool, orders: Sequence[float], unit: float) -> tuple[Array, Array, Array]:
    """Return the entropies that the decomposition of a layer is made of, as ``_operations.pairs``."""
    device = Device(maps)
    epsilon, dtype = home_of(maps).epsilon, _dtype(device.computed(maps))
    a, x = device.computed(maps), device.computed(target)[None]
    count, n, m = int(a.shape[0]), int(a.shape[1]), len(orders)
    findings = Findings(device, 7)
    _check_grams(device, [a, x], _dtype(maps), findings, True)
    s_x, values_x = _entropies(device, x, orders, epsilon, unit, findings.word(2))

    rows, cols = np.triu_indices(count, 1) if every else (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    alone = np.arange(count)
    index = np.stack([np.concatenate([alone, rows]), np.concatenate([alone, cols])], axis=1)
    on_device = device.here(index, "int64")
    total = len(index)
    found = device.empty((2, total, m), dtype)
    size = device.module.pairs_workspace(total, n, dtype, True, device.index)
    room = device.workspace(size)
    places = (device.address(found[0]), device.address(found[1]), device.address(room), size)
    where = (device.view(a), device.view(x), device.address(on_device), total, dtype)
    device.run("pairs", *where, list(orders), epsilon, unit, *places, findings.word(3))

    both = device.empty((2, n, n), dtype)
    _product(device, [a[k : k + 1] for k in range(count)], both[:1], findings.word(4))
    _product(device, [both[:1], x], both[1:], findings.word(5))
    s_all, values_all = _entropies(device, both, orders, epsilon, unit, findings.word(6))

    wrong = findings.read()
    for fault, given, name in ((wrong[0], maps, "maps"), (wrong[1], target, "target")):
        if fault:
            _refuse_gram(device, given, name, True)
    if wrong[2] and values_x is not None:
        _refuse_spectrum(device, values_x, 0, "target", (), 0)
    if wrong[3]:
        i, j = (int(k) for k in index[wrong[3][0]])
        name = f"maps[{i}]" if i == j else f"maps[{i}], maps[{j}]"
        if wrong[3][1] != _INDEFINITE:
            _check.verdict(("zero trace", 0, 0.0), name, ())
        product = joint(device, [a[i : i + 1], a[j : j + 1]]) if i != j else a[i : i + 1]
        lowest = spectra(device, product)
        if float(lowest[0, 0]) >= -n * epsilon * float(lowest[0, -1]):  # then it is the product with the target
            lowest = spectra(device, joint(device, [product, x]))
        _refuse_spectrum(device, lowest, 0, name, (), 0)
    for fault in wrong[4:6]:
        if fault:
            _check.verdict(("zero trace", 0, 0.0), "maps", ())
    if wrong[6] and values_all is not None:
        _refuse_spectrum(device, values_all, wrong[6][0], "maps", (), 0)
    if not every:
        return s_x[0], found, s_all
    square = device.empty((2, count, count, m), dtype)
    first, second = on_device[:, 0], on_device[:, 1]
    square[:, first, second] = found
    square[:, second, first] = found
    return s_x[0], square, s_all


def entropies_for_slope(grams: Sequence[Array], *rest: Any) -> tuple[Array, Array]:
    """Return ``entropies`` and, as nothing is kept for their gradients here, nothing (0, n + 3, n)."""
    *args, _ = rest
    device = Device(grams[0])
    n = int(grams[0].shape[-1])
    return entropies(grams, *args), device.empty((0, n + 3, n), _dtype(device.computed(grams[0])))
