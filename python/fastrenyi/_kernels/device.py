"""The kernels for arrays in a device's memory, torch's or CuPy's: addresses in, arrays of the same library out.

Numbers are looked at by kernels, which leave a word each; leaving the ``with`` block reads them. While a CUDA graph is
recorded nothing can be waited for, and wrong numbers are not found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from fastrenyi import _check, _matrices
from fastrenyi._array import Array, Verdict, home_of
from fastrenyi._backend import module_for
from fastrenyi._kernels.addresses import Device, as_numpy
from fastrenyi._kernels.joints import Joints, pair_name
from fastrenyi._kernels.products import counted, only, products
from fastrenyi._spec import KernelSpec, LinearSpec

__all__ = ["OnDevice", "come_with_vectors"]

Refusal: TypeAlias = Callable[[int, int], None]
"""Raises for what a kernel found: the matrix and the kind."""

_FINE = -1  # what a word says of a check that found nothing
_BLOCK = 64  # words made at once
_INDEFINITE = 3  # what a word says of a matrix, besides which: csrc/common/stream.hpp


def come_with_vectors(x: Array, dtype: str) -> bool:
    """Whether eigenvalues of matrices (..., n, n) are cuSOLVER's, which finds vectors in hardly more time."""
    return bool(x.shape[-1] > module_for(home_of(x).device, "x").block_order(dtype))


def _dtype(x: Array) -> str:
    return home_of(x).dtype


class OnDevice(Device):
    """``_cuda``, which is told addresses; memory is the library's own."""

    def __init__(self, like: Array) -> None:
        """Find library, device and the library's current stream."""
        super().__init__(like)
        self._blocks: list[Array] = []
        self._refusals: list[Refusal] = []
        self._current = self.current()

    def __enter__(self) -> OnDevice:
        """Make the device the library's current one: CuPy computes there whatever arrays it is given."""
        self._current.__enter__()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Read what kernels found."""
        blocks, self._blocks = self._blocks, []
        refusals, self._refusals = self._refusals, []  # they know this object, which would know them: a cycle
        try:
            if error is None:
                self._settle(blocks, refusals)
        finally:
            self._current.__exit__(None, None, None)

    # What kernels find wrong ---------------------------------------------------------------------------------------

    def _word(self, refuse: Refusal) -> int:
        """Return the address of a word for a kernel to write; what it finds there is refused in the end."""
        block, offset = self._next(refuse)
        return self.address(block) + 8 * offset

    def _next(self, refuse: Refusal) -> tuple[Array, int]:
        offset = len(self._refusals) % _BLOCK
        if offset == 0:
            self._blocks.append(self.full((_BLOCK,), _FINE, "int64"))
        self._refusals.append(refuse)
        return self._blocks[-1], offset

    def _settle(self, blocks: Sequence[Array], refusals: Sequence[Refusal]) -> None:
        """Wait for the device, and refuse what was found, in the order in which it was looked for.

        A stream that records a graph cannot be waited for: nothing is found then, nor where nobody looks.
        """
        if not refusals or not _check.LOOKING.get() or self.capturing():
            return
        words = blocks[0] if len(blocks) == 1 else self.xp.concatenate(blocks)
        for word, refuse in zip(self.host(words).tolist(), refusals, strict=False):
            if word != _FINE:
                refuse(word // 4, word % 4)

    # What comes in -------------------------------------------------------------------------------------------------

    def finite(self, x: Array, name: str) -> Array:
        """Return samples (..., n, d) in the dtype they are computed in; NaN and infinity are refused."""
        values, word = self.watched(x, name)
        if word and _check.LOOKING.get():
            self.run("not_finite", self.view(_check.flat_batch(values, 2)), _dtype(values), word)
        return values

    def watched(self, x: Array, name: str) -> tuple[Array, Any]:
        """Return samples (..., n, d) in the dtype they are computed in, and the word for a kernel that looks at all.

        What is not finite is refused if it is found. Integers have no word: they are finite.
        """
        values = self.computed(x)
        if not _dtype(values).startswith("float"):
            return values, 0
        return values, self._word(lambda *_: _check.finite(as_numpy(self.host(values)), name))

    def nonzero_rows(self, values: Array, name: str, kind: str) -> None:
        """Refuse samples that are zero in every feature."""
        if not _check.LOOKING.get():
            return
        word = self._word(lambda *_: _check.nonzero_rows(as_numpy(self.host(values)), name, kind))
        self.run("zero_rows", self.view(_check.flat_batch(values, 2)), _dtype(values), word)

    def widths(self, width: float | Array | None, count: int, given: bool) -> float | Array:
        """Return the width of all, or a float64 width for each of so many sample sets; ``given`` ones are positive."""
        if isinstance(width, float):
            return width
        assert width is not None
        found = self.contiguous(self.xp.broadcast_to(self.here(width, "float64").reshape(-1), (count,)))
        fine = (found > 0 if given else found >= 0) & (found < math.inf)
        block, offset = self._next(lambda *_: _check.widths(as_numpy(self.host(found)), given))
        block[offset] = self.xp.where(fine.all(), _FINE, 0)
        return found

    def matrices(self, a: Array, name: str, trace_one: bool = True) -> Array:
        """Return matrices in the dtype they are computed in; only symmetric, finite ones of trace one pass."""

        def refuse(*_: int) -> None:  # where the check on the host finds nothing wrong, it has the last word
            _matrices.gram_contents(self.host(a), name, trace_one=trace_one)

        values = self.computed(a)
        if not _check.LOOKING.get():
            return values
        view, word = self.view(_check.flat_batch(values, 2)), self._word(refuse)
        self.run("gram_fault", view, _dtype(values), _matrices.TRACE_TOLERANCE[_dtype(a)], trace_one, word)
        return values

    # Arrays --------------------------------------------------------------------------------------------------------

    def in_order(self, x: Array, places: Sequence[int]) -> Array:
        """Return an array with its last axis sorted: no library of devices stops before."""
        found = self.xp.sort(x, -1)
        return found if hasattr(found, "shape") else found.values

    # Kernels -------------------------------------------------------------------------------------------------------

    def distances(self, x: Array, metric: str) -> Array:
        """Return the distances (b, n, n) of samples (b, n, d)."""
        b, n, _ = x.shape
        found = self.empty((b, n, n), _dtype(x))
        self.run("distances", self.view(x), _dtype(x), metric, self.address(found))
        return found

    def grams(
        self,
        x: Array,
        kernel: KernelSpec,
        widths: float | Array | None,
        word: Any = 0,
        out: Array | None = None,
    ) -> Array:
        """Return the Grams (b, n, n) of samples (b, n, d); ``word`` as ``watched`` gave it.

        They are written to the memory of ``out``, if there is one.
        """
        b, n, _ = x.shape
        found = self.empty((b, n, n), _dtype(x)) if out is None else out
        width = (0, widths or 0.0) if widths is None or isinstance(widths, float) else (self.address(widths), 0.0)
        kind = kernel.kind if kernel.widthed else "polynomial"
        self.run("gram", self.view(x), _dtype(x), kind, *width, *kernel[1:], self.address(found), word)
        return found

    def linear_grams(self, x: Array, spec: LinearSpec, sizes: Sequence[int], name: str) -> Array:
        """Return the linear Grams (..., m, m) of samples (..., n, d), of so many of each set if sizes are given."""
        values = self.finite(only(x, counted(x, sizes), self.xp), name)
        with np.errstate(all="ignore"):  # what is not finite is refused in the end
            return products(values, spec, sizes)

    def delta_grams(self, x: Array) -> Array:
        """Return the float64 Grams (b, n, n) of the Delta kernel, of samples (b, n, d) that may be integers."""
        b, n, _ = x.shape
        found = self.empty((b, n, n), "float64")
        self.run("delta_gram", self.view(x), _dtype(x), self.address(found))
        return found

    def spectra(self, a: Array, out: Array | None = None) -> Array:
        """Return the eigenvalues (b, n) of matrices (b, n, n), in the memory of ``out``, if there is one."""
        b, n, _ = (int(length) for length in a.shape)
        found = self.empty((b, n), _dtype(a)) if out is None else out
        size = self.module.spectrum_workspace(b, n, _dtype(a), self.index)
        room = self.workspace(size)
        self.run("spectrum", self.view(a), _dtype(a), self.address(found), self.address(room), size)
        return found

    def eigh(self, a: Array) -> tuple[Array, Array]:
        """Return eigenvalues (b, n) and eigenvectors (b, n, n), in columns, of matrices (b, n, n)."""
        a = self.computed(a)
        b, n, _ = (int(length) for length in a.shape)
        values, vectors = self.empty((b, n), _dtype(a)), self.empty((b, n, n), _dtype(a))
        size = self.module.eigh_workspace(b, n, _dtype(a), self.index)
        room = self.workspace(size)
        addresses = (self.address(values), self.address(vectors), self.address(room))
        self.run("eigh", self.view(a), _dtype(a), *addresses, size)
        return values, vectors

    def joint(self, joints: Joints, k: int) -> Array:
        """Return the Grams (b, n, n) of a joint variable."""
        factors = joints.factors(k, self.xp)
        if len(factors) == 1:
            return factors[0]
        found = self.empty(tuple(factors[0].shape), _dtype(factors[0]))
        self._product(joints, k, factors, found)
        return found

    def _product(self, joints: Joints, k: int, factors: Sequence[Array], out: Array) -> None:
        def refuse(index: int, _: int) -> None:
            joints.refuse(("zero trace", index, 0.0), k)

        b, n, _ = (int(length) for length in out.shape)
        room = self.workspace(self.module.hadamard_workspace(len(factors), b, n))
        views = [self.view(a) for a in factors]
        self.run("hadamard", views, _dtype(out), self.address(out), self.address(room), self._word(refuse))

    def entropies(
        self, joints: Joints, orders: Sequence[float], epsilon: float, unit: float, keep: bool = False
    ) -> tuple[Array, Array | None]:
        """Return the (joints, orders) entropies of joint variables, and what their gradients need, if it is to be kept.

        That is the eigenvalues of the joint Grams and below them their eigenvectors, (joints, n + 1, n), where these
        come with the values at little cost (``come_with_vectors``).
        """
        total, n, dtype = joints.starts[-1], joints.n, _dtype(joints.grams[0])
        together = self.empty((total, n, n), dtype)
        for k in range(len(joints)):
            factors, out = joints.factors(k, self.xp), together[joints.part(k)]
            if len(factors) == 1:
                out[...] = factors[0]
            else:
                self._product(joints, k, factors, out)
        if list(orders) == [2.0]:
            found = self.empty((total, 1), dtype)
            self.run("collision_entropy", self.view(together), dtype, unit, self.address(found))
            return found, None
        kept = None
        if keep and come_with_vectors(together, dtype):
            values, vectors = self.eigh(together)
            kept = self.xp.concatenate([values[:, None], vectors], 1)
        else:
            values = self.spectra(together)

        return self.spectral_entropies(values, orders, epsilon, unit, joints.refuse), kept

    def spectral_entropies(
        self, values: Array, orders: Sequence[float], epsilon: float, unit: float, refuse: Callable[[Verdict], None]
    ) -> Array:
        """Return the entropies (b, orders) of spectra (b, n); ``refuse`` is told what is wrong with one."""
        (b, n), dtype = values.shape, _dtype(values)
        found = self.empty((b, len(orders)), dtype)

        def wrong(index: int, _: int) -> None:
            refuse(("indefinite", index, self._lowest(values[index])))

        place = (self.address(values), int(b), int(n), dtype)
        self.run("entropy", *place, list(orders), epsilon, unit, self.address(found), self._word(wrong))
        return found

    def _lowest(self, values: Array) -> float:
        """Return the lowest eigenvalue of a spectrum (n,) of trace one."""
        row = as_numpy(self.host(values)).astype(np.float64)
        return float(row.min() / row.sum())

    def pairs(
        self,
        maps: Array,
        target: Array | None,
        index: Array,
        orders: Sequence[float],
        epsilon: float,
        unit: float,
        name: Callable[[int, int], str] = pair_name,
    ) -> Array:
        """Return (2, p, orders) entropies of pairs of maps (C, n, n), index (p, 2), without and with a target.

        Without a target (1, p, orders). ``name`` is what messages call a pair.
        """
        total, n, dtype = len(index), int(maps.shape[-1]), _dtype(maps)
        found = self.empty((1 if target is None else 2, total, len(orders)), dtype)
        size = self.module.pairs_workspace(total, n, dtype, target is not None, self.index)
        room = self.workspace(size)

        def refuse(where: int, kind: int) -> None:
            pair = [int(k) for k in self.host(index[where])]
            self._refuse_pair(maps, target, pair, name(*pair), kind, epsilon)

        places = (self.address(found[0]), self.address(found[-1]), self.address(room), size)
        with_target = None if target is None else self.view(target[None])
        pairs = (self.view(maps), with_target, self.address(index), total, dtype)
        self.run("pairs", *pairs, list(orders), epsilon, unit, *places, self._word(refuse))
        return found

    def _refuse_pair(
        self, maps: Array, target: Array | None, pair: Sequence[int], name: str, kind: int, epsilon: float
    ) -> None:
        """Raise what a kernel found of a pair, of which it has kept no spectrum."""
        n = int(maps.shape[-1])
        if kind != _INDEFINITE:
            _matrices.verdict(("zero trace", 0, 0.0), name, ())
        grams = [maps[i] for i in dict.fromkeys(pair)]
        ours = list(range(len(grams)))
        joints = Joints(grams if target is None else [*grams, target], [ours, [*ours, len(ours)]], [name, name])
        values = self.spectra(self.joint(joints, 0))
        # Where the maps alone are fine, it is their product with the target.
        if target is not None and float(values[0, 0]) >= -_matrices.below_zero(n, epsilon) * float(values[0, -1]):
            values = self.spectra(self.joint(joints, 1))
        _matrices.verdict(("indefinite", 0, self._lowest(values[0])), name, ())
