"""The compiled operations behind the public names: arrays of any library in, contents checked, NumPy arrays out.

Shapes, kinds and dtypes have been checked by who calls. ``fastrenyi.torch.ops`` has the same names for tensors, with
gradients, and calls these for the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastrenyi import _backend, _check, _core
from fastrenyi._array import Array, Values, Verdict, home_of, wrap
from fastrenyi._spec import KernelSpec
from fastrenyi.bandwidths import Bandwidth

__all__ = ["bandwidth", "delta_gram", "entropies", "gram", "pairs", "spectrum"]


def _finite(x: Array, name: str) -> Values:
    values = wrap(x)
    _check.finite(values, name)
    return values


def bandwidth(x: Array, rule: Bandwidth, metric: str, name: str) -> Values:
    """Return the widths (...) that a rule finds for samples (..., n, d)."""
    values = _finite(x, name)
    return rule._widths(_check.flat_batch(values, 2), metric).reshape(values.shape[:-2])


def each_width(width: float | Array | None, count: int) -> Values:
    """Return one float64 width for each of so many sample sets."""
    if isinstance(width, float):
        return np.full(count, width)
    widths = np.asarray(wrap(width) if hasattr(width, "shape") else width, dtype=np.float64)
    return np.ascontiguousarray(np.broadcast_to(widths.reshape(-1), (count,)))


def gram(x: Array, kernel: KernelSpec, width: float | Array | None, given: bool, name: str) -> Values:
    """Return the Grams (..., n, n) of samples (..., n, d).

    A Gaussian or Laplacian has a width or widths (...). ``given`` widths must be above zero; a rule may find zero, the
    narrow limit.
    """
    values = _finite(x, name)
    flat = _check.flat_batch(values, 2)
    if kernel.widthed:
        widths = each_width(width, len(flat))
        # One number was checked when it was given, or comes from a rule that does not look at the data.
        one = isinstance(width, float)
        if not one and (not np.isfinite(widths).all() or (widths < 0).any() or (given and (widths == 0).any())):
            _check.widths(widths, given)
        make = _core.gaussian_gram if kernel.kind == "gaussian" else _core.laplacian_gram
        result = make(flat, widths, _backend.threads())
    else:
        if kernel.coef0 == 0:
            _check.nonzero_rows(values, name, kernel.kind)
        result = _core.polynomial_gram(flat, kernel.degree, kernel.gamma, kernel.coef0, _backend.threads())
    return result.reshape(*values.shape[:-1], values.shape[-2])


def delta_gram(x: Array, name: str) -> Values:
    """Return the float64 Grams (..., n, n) of the Delta kernel; the samples (..., n, d) may be integers."""
    values = _finite(x, name)
    if values.dtype.kind in "iub":
        values = values.astype(np.int64, copy=False)
    result = _core.delta_gram(_check.flat_batch(values, 2), _backend.threads())
    return result.reshape(*values.shape[:-1], values.shape[-2])


def spectrum(a: Array, name: str) -> Values:
    """Return the eigenvalues (..., n) of symmetric matrices (..., n, n) of any trace."""
    values = _check.gram_contents(a, name, trace_one=False)
    return _core.spectrum(_check.flat_batch(values, 2), _backend.threads()).reshape(values.shape[:-1])


def batch_shape(grams: Sequence[Array]) -> tuple[int, ...]:
    """Return the batch shape of Grams whose batch axes broadcast."""
    first = tuple(grams[0].shape[:-2])
    if all(a.shape[:-2] == first for a in grams):
        return first
    return np.broadcast_shapes(*(tuple(a.shape[:-2]) for a in grams))


def aligned(grams: Sequence[Array], batch: tuple[int, ...], xp: Any = np) -> list[Array]:
    """Return Grams (b, n, n) of a common batch shape, views where the strides allow, by their library."""
    n = grams[0].shape[-1]
    return [_check.flat_batch(a if a.shape[:-2] == batch else xp.broadcast_to(a, (*batch, n, n)), 2) for a in grams]


def _joint(factors: Sequence[Values], name: str) -> Values:
    """Return the Gram of the joint variable of Grams whose batch shapes broadcast."""
    if len(factors) == 1:
        return factors[0]
    batch = batch_shape(factors)
    joint, verdict = _core.hadamard(aligned(factors, batch), _backend.threads())
    _check.verdict(verdict, name, batch)
    return joint.reshape(*batch, *joint.shape[1:])


def _entropies(grams: Values, orders: Sequence[float], epsilon: float, unit: float) -> tuple[Values, Verdict]:
    """Return the (b, m) entropies of Grams (b, n, n), and the first matrix that has none."""
    if list(orders) == [2.0]:
        found, _, verdict = _core.collision_entropy([grams], [[0]], unit, _backend.threads())
        return found[:, None], verdict
    return _core.entropy(_core.spectrum(grams, _backend.threads()), orders, epsilon, unit, _backend.threads())


def _collisions(
    grams: Sequence[Values], subsets: Sequence[Sequence[int]], batches: Sequence[tuple[int, ...]], unit: float
) -> tuple[Values, Values, Verdict]:
    """Return the entropies of order 2 of subsets of Grams, each at its batch shape, one after the other, (joints, 1).

    And what a slope needs of them, (joints, 2), and the first joint variable that has none.
    """
    threads = _backend.threads()
    if all(a.shape == grams[0].shape for a in grams):
        flat = [_check.flat_batch(a, 2) for a in grams]
        found, purities, verdict = _core.collision_entropy(flat, subsets, unit, threads)
        return found[:, None], purities, verdict
    parts: list[Values] = []
    kept: list[Values] = []
    first: Verdict = None
    for subset, batch in zip(subsets, batches, strict=True):
        factors = aligned([grams[i] for i in subset], batch)
        found, purities, verdict = _core.collision_entropy(factors, [range(len(subset))], unit, threads)
        if verdict is not None and first is None:
            kind, index, value = verdict
            first = kind, index + sum(len(part) for part in parts), value
        parts.append(found)
        kept.append(purities)
    return np.concatenate(parts)[:, None], np.concatenate(kept), first


def entropies(
    grams: Sequence[Array],
    labels: Sequence[str],
    subsets: Sequence[Sequence[int]],
    names: Sequence[str],
    signs: Sequence[float],
    orders: Sequence[float],
    unit: float,
) -> Values:
    """Return the joint entropies of subsets of Grams, by position: (subsets, *batch, orders), batch axes broadcast.

    With a sign for each subset, their signed sum (*batch, orders). ``labels`` name the Grams and ``names`` the subsets,
    for messages.
    """
    return entropies_and_kept(grams, labels, subsets, names, signs, orders, unit, False)[0]


def entropies_and_kept(
    grams: Sequence[Array],
    labels: Sequence[str],
    subsets: Sequence[Sequence[int]],
    names: Sequence[str],
    signs: Sequence[float],
    orders: Sequence[float],
    unit: float,
    keep: bool,
) -> tuple[Values, Values]:
    """Return ``entropies`` and what their gradients need, if it is to be kept.

    That is the joint Grams reduced, (joints, n + 3, n), or at order 2 alone their ``Purity``, (joints, 2) in float64.
    """
    checked = [_check.gram_contents(a, label) for a, label in zip(grams, labels, strict=True)]
    factors = [[checked[i] for i in subset] for subset in subsets]
    # Each at its own batch shape: what does not vary over the batch is computed once.
    batches = [batch_shape(each) for each in factors]
    n = checked[0].shape[-1]
    kept = np.empty((0, n + 3, n), dtype=checked[0].dtype)
    if list(orders) == [2.0]:
        found, purities, verdict = _collisions(checked, subsets, batches, unit)
        kept = purities if keep else kept
    else:
        threads = _backend.threads()
        joints = [_check.flat_batch(_joint(each, name), 2) for each, name in zip(factors, names, strict=True)]
        if keep:
            values, kept = _core.reduce(joints, threads)
        else:
            values = _core.spectrum(joints[0] if len(joints) == 1 else np.concatenate(joints), threads)
        found, verdict = _core.entropy(values, orders, home_of(grams[0]).epsilon, unit, threads)
    if verdict is not None:
        kind, index, value = verdict
        at = 0
        while index >= math.prod(batches[at]):
            index -= math.prod(batches[at])
            at += 1
        _check.verdict((kind, index, value), names[at], batches[at])
    if all(batch == batches[0] for batch in batches):
        shaped = found.reshape(len(subsets), *batches[0], len(orders))
    else:
        parts = np.split(found, np.cumsum([math.prod(batch) for batch in batches])[:-1])
        each = (part.reshape(*batch, len(orders)) for part, batch in zip(parts, batches, strict=True))
        shaped = np.stack(np.broadcast_arrays(*each))
    if len(signs):
        shaped = sum(sign * part for sign, part in zip(signs, shaped, strict=True))
    return np.ascontiguousarray(shaped, dtype=found.dtype), kept


def pairs(
    maps: Array, target: Array, every: bool, orders: Sequence[float], unit: float
) -> tuple[Values, Values, Values]:
    """Return the entropies that the decomposition of a layer is made of; maps (C, n, n), target (n, n).

    S(X) as (orders,); S(Ti, Tj) and S(Ti, Tj, X) as (2, C, C, orders), of the single maps on the diagonal, or for
    these alone, without ``every`` pair, (2, C, orders); S(T_1..T_C) and S(T_1..T_C, X) as (2, orders).
    """
    grams, x = _check.gram_contents(maps, "maps"), _check.gram_contents(target, "target")
    epsilon = home_of(maps).epsilon
    s_x, verdict = _entropies(x[None], orders, epsilon, unit)
    _check.verdict(verdict, "target", ())

    # A map alone is the pair of the map with itself; then all pairs above the diagonal.
    count = len(grams)
    alone = np.arange(count)
    rows, cols = np.triu_indices(count, 1) if every else (alone[:0], alone[:0])
    index = np.stack([np.concatenate([alone, rows]), np.concatenate([alone, cols])], axis=1)
    s_t, s_t_x, verdict = _core.pairs(grams, x[None], index, orders, epsilon, unit, _backend.threads())
    if verdict is not None:
        kind, where, value = verdict
        i, j = index[where]
        _check.verdict((kind, 0, value), f"maps[{i}]" if i == j else f"maps[{i}], maps[{j}]", ())
    found = np.stack([s_t, s_t_x])
    if every:
        square = np.empty((2, count, count, len(orders)), dtype=found.dtype)
        square[:, index[:, 0], index[:, 1]] = square[:, index[:, 1], index[:, 0]] = found
        found = square

    joint = _joint(list(grams), "maps")
    s_all, verdict = _entropies(np.stack([joint, _joint([joint, x], "maps, target")]), orders, epsilon, unit)
    _check.verdict(verdict and (verdict[0], 0, verdict[2]), "maps", ())
    return s_x[0], found, s_all
