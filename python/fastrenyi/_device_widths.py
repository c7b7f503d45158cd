"""The rules of ``bandwidths`` for samples in the memory of a device."""

from __future__ import annotations

import numpy as np

from fastrenyi import _check
from fastrenyi._array import Array
from fastrenyi._device import Device
from fastrenyi._device_kernels import distances, dtype_of, kernel_grams
from fastrenyi._spec import KernelSpec
from fastrenyi.bandwidths import Alignment, Bandwidth, Median, NearestNeighbours, Scott

__all__ = ["widths_of"]


def _sorted(device: Device, x: Array) -> Array:
    found = device.xp.sort(x, -1)
    return found if hasattr(found, "shape") else found.values


def widths_of(device: Device, x: Array, rule: Bandwidth, metric: str) -> Array:
    """Return one width for each of the b sample sets in x (b, n, d), as the rules say in ``bandwidths``."""
    b, n, _ = (int(length) for length in x.shape)
    if isinstance(rule, Alignment):
        return _aligned_widths(device, x, rule, metric)
    if isinstance(rule, NearestNeighbours):
        rule._check_samples(n)
        nearest = _sorted(device, distances(device, x, metric))[:, :, : rule.k + 1]
        return (rule.scale / rule.k) * nearest.sum(-1).mean(-1)
    if not isinstance(rule, (Median, Scott)):
        _check.kind_error("bandwidth", "a rule of fastrenyi for arrays on a GPU", rule, "find the widths before")
    if n == 1:
        return device.full((b,), 0.0, "float64")
    if isinstance(rule, Median):
        pairs = device.pairs_above(n)  # from the host nothing can be copied while a graph is recorded
        above = pairs[:, 0] * n + pairs[:, 1]
        ordered = _sorted(device, distances(device, x, metric).reshape(b, n * n)[:, above])
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
    target = device.here(rule.target, dtype_of(x))
    if rule.widths is None:
        steps = device.here(np.geomspace(0.1, 10.0, 75), "float64")
        grid = steps[:, None] * widths_of(device, x, Median(), metric)
    else:
        grid = device.here(np.repeat(np.asarray(rule.widths, dtype=np.float64)[:, None], b, axis=1), "float64")
    kernel = KernelSpec.plain("gaussian" if metric == "euclidean" else "laplacian")
    found = []
    for widths in grid:
        a = kernel_grams(device, x, widths, kernel)
        found.append((a * target).sum((1, 2)) / (a * a).sum((1, 2)) ** 0.5)
    best = xp.stack(found).argmax(0)
    return grid[best, device.here(np.arange(b), "int64")]
