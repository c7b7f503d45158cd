"""The kernels for arrays in the host's memory: NumPy arrays and tensors on the CPU in, NumPy arrays out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastrenyi import _check, _core, _matrices
from fastrenyi._array import Array, Values, Verdict, wrap
from fastrenyi._backend import threads
from fastrenyi._cost import announce_gram, announce_spectra
from fastrenyi._kernels.joints import Joints, pair_name
from fastrenyi._kernels.products import counted, only
from fastrenyi._spec import KernelSpec, LinearSpec

__all__ = ["HOST", "Host"]


class Host:
    """``_core``, which returns what it finds wrong."""

    xp = np

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    # What comes in -------------------------------------------------------------------------------------------------

    def finite(self, x: Array, name: str) -> Values:
        """Return samples (..., n, d) in the dtype they are computed in; NaN and infinity are refused."""
        values = wrap(x)
        _check.finite(values, name)
        return values

    def watched(self, x: Array, name: str) -> tuple[Values, Any]:
        """Return samples that were not looked at, and what ``grams`` calls to refuse those that are not finite."""
        values = wrap(x)
        return values, lambda: _check.refuse_not_finite(values, name)

    def nonzero_rows(self, values: Values, name: str, kind: str) -> None:
        """Refuse samples that are zero in every feature."""
        _check.nonzero_rows(values, name, kind)

    def widths(self, width: float | Array | None, count: int, given: bool) -> Values:
        """Return one float64 width for each of so many sample sets; ``given`` ones must be above zero."""
        if isinstance(width, float):  # checked when it was given, or of a rule that does not look at the data
            return np.full(count, width)
        found = np.asarray(wrap(width) if hasattr(width, "shape") else width, dtype=np.float64)
        found = np.ascontiguousarray(np.broadcast_to(found.reshape(-1), (count,)))
        if not np.isfinite(found).all() or (found < 0).any() or (given and (found == 0).any()):
            _check.widths(found, given)
        return found

    def matrices(self, a: Array, name: str, trace_one: bool = True) -> Values:
        """Return matrices in the dtype they are computed in; only symmetric, finite ones of trace one pass."""
        return _matrices.gram_contents(a, name, trace_one=trace_one)

    # Arrays --------------------------------------------------------------------------------------------------------

    def here(self, x: Array, dtype: str) -> Values:
        """Return an array of any library in this memory."""
        return np.asarray(wrap(x), dtype=dtype)

    def cast(self, x: Values, dtype: str) -> Values:
        """Return an array in another dtype, the same one where it has that."""
        return x.astype(dtype, copy=False)

    def contiguous(self, x: Values) -> Values:
        """Return an array without strides of its own."""
        return np.ascontiguousarray(x)

    def empty(self, shape: Sequence[int], dtype: str) -> Values:
        """Return new memory."""
        return np.empty(shape, dtype)

    def full(self, shape: Sequence[int], value: float, dtype: str) -> Values:
        """Return new memory with one number everywhere."""
        return np.full(shape, value, dtype)

    def pairs_alone(self, count: int) -> Values:
        """Return the int64 pairs (p, 2) of each with itself."""
        return np.repeat(np.arange(count)[:, None], 2, axis=1)

    def pairs_above(self, count: int) -> Values:
        """Return the int64 pairs (p, 2) above the diagonal of a square."""
        return np.stack(np.triu_indices(count, 1), axis=1)

    def in_order(self, x: Values, places: Sequence[int]) -> Values:
        """Return an array with its last axis sorted, as far as these places and what stands before them need it."""
        found: Values = np.partition(x, places, axis=-1)
        return found

    # Kernels -------------------------------------------------------------------------------------------------------

    def distances(self, x: Values, metric: str) -> Values:
        """Return the distances (b, n, n) of samples (b, n, d)."""
        return _core.distances(x, metric, threads())

    def grams(self, x: Values, kernel: KernelSpec, widths: Any, word: Any = None, out: Array | None = None) -> Values:
        """Return the Grams (b, n, n) of samples (b, n, d) and their ``widths``; ``word`` as ``watched`` gave it.

        They are written to the memory of ``out``, if there is one.
        """
        announce_gram(x.shape, x.itemsize if out is None else 0)
        kind = kernel.kind if kernel.widthed else "polynomial"
        found = _core.gram(x, kind, widths, *kernel[1:], threads(), None if out is None else wrap(out))
        if found is None:  # only where nobody has looked before
            word()
            raise AssertionError("the samples were changed while they were read")
        return found

    def linear_grams(self, x: Array, spec: LinearSpec, sizes: Sequence[int], name: str) -> Values:
        """Return the linear Grams (..., m, m) of samples (..., n, d), of so many of each set if sizes are given."""
        values = wrap(x)
        flat = _check.flat_batch(values, 2)
        announce_gram(flat.shape, flat.itemsize)
        counts = np.array(sizes, dtype=np.int64) if sizes else None
        found = _core.linear_gram(
            flat, counts, spec.of_samples, spec.of_features, spec.normalized, spec.side, threads()
        )  # fmt: skip
        if found is None:
            _check.refuse_not_finite(only(values, counted(values, sizes), np), name)
            raise AssertionError("the samples were changed while they were read")
        return found.reshape(*values.shape[:-2], *found.shape[-2:])

    def delta_grams(self, x: Values) -> Values:
        """Return the float64 Grams (b, n, n) of the Delta kernel, of samples (b, n, d) that may be integers."""
        announce_gram(x.shape, 8)
        return _core.delta_gram(x, threads())

    def spectra(self, a: Values, out: Array | None = None) -> Values:
        """Return the eigenvalues (b, n) of matrices (b, n, n), in the memory of ``out``, if there is one."""
        announce_spectra(len(a), a.shape[-1], a.itemsize)
        return _core.spectrum(a, threads(), None if out is None else wrap(out))

    def eigh(self, a: Array) -> tuple[Values, Values]:
        """Return eigenvalues (b, n) and eigenvectors (b, n, n), in columns, of matrices (b, n, n)."""
        return _core.eigh(wrap(a), threads())

    def joint(self, joints: Joints, k: int) -> Values:
        """Return the Grams (b, n, n) of a joint variable."""
        factors = joints.factors(k)
        if len(factors) == 1:
            alone: Values = factors[0]
            return alone
        found, verdict = _core.hadamard(factors, threads())
        joints.refuse(verdict, k)
        return found

    def entropies(
        self, joints: Joints, orders: Sequence[float], epsilon: float, unit: float, keep: bool = False
    ) -> tuple[Values, Values]:
        """Return the (joints, orders) entropies of joint variables, and what their gradients need, if it is to be kept.

        That is the joint Grams reduced, (joints, n + 3, n), or at order 2 alone their ``Purity``, (joints, 2).
        """
        if list(orders) == [2.0]:
            return self._collisions(joints, unit)
        announce_spectra(joints.starts[-1], joints.n, joints.grams[0].itemsize)
        grams = [self.joint(joints, k) for k in range(len(joints))]
        kept = np.empty((0, joints.n + 3, joints.n), dtype=grams[0].dtype)
        if keep:
            values, kept = _core.reduce(grams, threads())
        else:
            values = _core.spectrum(grams[0] if len(grams) == 1 else np.concatenate(grams), threads())
        return self.spectral_entropies(values, orders, epsilon, unit, joints.refuse), kept

    def spectral_entropies(
        self, values: Values, orders: Sequence[float], epsilon: float, unit: float, refuse: Callable[[Verdict], None]
    ) -> Values:
        """Return the entropies (b, orders) of spectra (b, n); ``refuse`` is told what is wrong with one."""
        found, verdict = _core.entropy(values, orders, epsilon, unit, threads())
        refuse(verdict)
        return found

    def _collisions(self, joints: Joints, unit: float) -> tuple[Values, Values]:
        """Return the entropies of order 2, which need no spectrum and no joint Gram in memory, and their purities."""
        if joints.alike:
            flat = [_check.flat_batch(a, 2) for a in joints.grams]
            found, kept, verdict = _core.collision_entropy(flat, joints.subsets, unit, threads())
            joints.refuse(verdict)
            return found[:, None], kept
        found = np.empty((joints.starts[-1], 1), dtype=joints.grams[0].dtype)
        kept = np.empty((joints.starts[-1], 2))
        for k in range(len(joints)):
            factors, part = joints.factors(k), joints.part(k)
            found[part, 0], kept[part], verdict = _core.collision_entropy(
                factors, [range(len(factors))], unit, threads()
            )
            joints.refuse(verdict, k)
        return found, kept

    def pairs(
        self,
        maps: Values,
        target: Values | None,
        index: Values,
        orders: Sequence[float],
        epsilon: float,
        unit: float,
        name: Callable[[int, int], str] = pair_name,
    ) -> Values:
        """Return (2, p, orders) entropies of pairs of maps (C, n, n), index (p, 2), without and with a target.

        Without a target (1, p, orders). ``name`` is what messages call a pair.
        """
        with_target = None if target is None else target[None]
        s_t, s_t_x, verdict = _core.pairs(maps, with_target, index, orders, epsilon, unit, threads())
        if verdict is not None:
            _matrices.verdict((verdict[0], 0, verdict[2]), name(*index[verdict[1]]), ())
        return s_t[None] if s_t_x is None else np.stack([s_t, s_t_x])


HOST = Host()
