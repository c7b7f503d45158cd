"""The workloads of the GPU: the data on the device, our side, what torch and CuPy do, and the right answers."""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from scipy.spatial.distance import pdist, squareform

import fastrenyi as fr
from fastrenyi._array import Values
from fastrenyi.bench import answers, data, peers
from fastrenyi.bench.gradient import information_gradient
from fastrenyi.bench.task import Side, Task, Workload
from fastrenyi.bench.workloads import ALPHA, BITS, EIGENVALUE, VGG

__all__ = ["OURS", "workloads"]

Tensor = torch.Tensor

OURS = "ours"
"""What the names of our sides begin with; "ours" alone is the public function."""
CACHE = 128 * 2**20
"""No less than the cache of the devices we know."""
BATCHED = 512
"""Pairs of a layer that CuPy computes, as one batch, and that answers are compared on."""
SLOW = 8
"""torch, which takes its matrices one by one, computes every so many of them."""


def workloads(device: str, kernels: ModuleType | None, quick: bool = False) -> list[Workload]:
    """Return the workloads in the order of the table; ``kernels`` is the compiled module, for the kernel alone."""
    listed = []
    n = 12 if quick else 100
    for count in (6, 9) if quick else (500, 20_000):
        make = partial(_spectra, count, n, "float64", device, kernels)
        listed.append(Workload(f"spectra-{count}x{n}-float64", "spectrum", make))
    for channels in (6,) if quick else (64, 512):
        make = partial(_layers, [(channels, 2, 1)], n, "float64", device)
        listed.append(Workload(f"layer-{channels}-float64", "layer", make))
    network = [(3, 2, 2), (4, 2, 1)] if quick else VGG
    listed.append(Workload("vgg16-float64", "layer", partial(_layers, network, n, "float64", device)))
    for dtype in ("float64", "float32"):
        channels, side = (4, 3) if quick else (512, 14)
        make = partial(_grams, n, channels, side, dtype, device)
        listed.append(Workload(f"gram-{channels}x{side}x{side}-{dtype}", "gram", make))
    samples, features = (12, 8) if quick else (512, 256)
    make = partial(information_gradient, samples, features, "float32", ALPHA, device)
    listed.append(Workload(f"gradient-{samples}-float32", "gradient", make))
    n = 60 if quick else 10_000
    listed.append(Workload(f"large-{n}-float64", "large", partial(_large, n, device)))
    return listed


def _numbers(found: Any) -> Values:
    """Return a torch or CuPy array as a NumPy array."""
    if isinstance(found, Tensor):
        return found.numpy(force=True)
    return np.asarray(found.get())


def _in_turn(x: Tensor) -> Iterator[Tensor]:
    """Return copies of an input without end, together twice the cache, so that none of it is found there."""
    count = min(8, math.ceil(2 * CACHE / max(x.nbytes, 1))) if x.is_cuda else 2
    return itertools.cycle([x, *(x.clone() for _ in range(count - 1))])


def _cupy(device: str) -> Any:
    """Return CuPy if it is there, and the device is one of its."""
    if not device.startswith("cuda"):
        return None
    try:
        return importlib.import_module("cupy")
    except ImportError:
        return None


# -------------------------------------------------------------------------------------------------------- spectra


def _spectra(count: int, n: int, dtype: str, device: str, kernels: ModuleType | None) -> Task:
    a = data.sample_grams(count, n, dtype)
    every = max(1, count // 500)  # the answers that are compared, and those that torch computes
    x = torch.from_numpy(a).to(device)
    inputs = _in_turn(x)
    some = x[::every].contiguous()

    def read(found: Any) -> Values:
        return _numbers(found[::every])

    ours = [Side(OURS, lambda: fr.spectrum(next(inputs)), read)]
    if kernels is not None:
        ours.append(Side(f"{OURS}, the kernel", _spectrum_kernel(kernels, inputs, x), read))
    others = [Side("torch", lambda: peers.spectra_torch(some), _numbers, share=len(some) / count)]
    cupy = _cupy(device)
    if cupy is not None:
        others.append(Side("cupy", lambda: cupy.linalg.eigvalsh(cupy.from_dlpack(next(inputs))), read))
    return Task(
        ours=ours[0],
        peers=(*ours[1:], *others),
        reference=lambda: np.linalg.eigvalsh(a[::every].astype(np.float64)),
        error=partial(answers.eigenvalue_error, epsilon=float(np.finfo(dtype).eps)),
        tolerance=EIGENVALUE,
        dtype=dtype,
        flops=count * 4 / 3 * n**3,
        traffic=a.nbytes * (1 + 1 / n),
    )


def _spectrum_kernel(kernels: ModuleType, inputs: Iterator[Tensor], x: Tensor) -> Callable[[], Tensor]:
    """Return a call of the compiled kernel alone, without the checks of its input, in memory that is there already."""
    count, n, dtype = x.shape[0], x.shape[1], str(x.dtype).removeprefix("torch.")
    index = x.device.index or 0
    values = torch.empty((count, n), dtype=x.dtype, device=x.device)
    size = kernels.spectrum_workspace(count, n, dtype, index)
    room = torch.empty(size, dtype=torch.uint8, device=x.device)

    def run() -> Tensor:
        a = next(inputs)
        stream = torch.cuda.current_stream(x.device).cuda_stream if x.is_cuda else 0
        view = (a.data_ptr(), *a.shape, *a.stride())
        kernels.spectrum(view, dtype, values.data_ptr(), room.data_ptr(), size, index, stream)
        return values

    return run


# --------------------------------------------------------------------------------------------------------- layers


def _layers(shapes: Sequence[tuple[int, int, int]], n: int, dtype: str, device: str) -> Task:
    """Layers of so many maps, their height and width, and how many there are of them; all pairs with a target.

    Ours does all of it. Peers compute some pairs of one layer of each shape, and no single map; as all matrices are of
    one size, their time is scaled by the number of pairs.
    """
    made = [(*data.layer_grams(n, channels, side, side, dtype), times) for channels, side, times in shapes]
    indices = [np.stack(np.triu_indices(len(maps), 1), axis=1) for maps, _, _ in made]
    seen = [index[:: max(1, len(index) // BATCHED)] for index in indices]
    pairs = sum(times * len(index) for (_, _, times), index in zip(made, indices, strict=True))
    on_device = [(torch.from_numpy(maps).to(device), torch.from_numpy(x).to(device), times) for maps, x, times in made]
    positions = [torch.from_numpy(some).to(device) for some in seen]
    few = [some[::SLOW].contiguous() for some in positions]

    def ours() -> list[fr.LayerDecomposition[Any]]:
        return [[fr.layer_decomposition(maps, x, ALPHA) for _ in range(times)][-1] for maps, x, times in on_device]

    def read(found: list[fr.LayerDecomposition[Any]]) -> Values:
        parts = []
        for layer, some in zip(found, seen, strict=True):
            assert layer.pairwise is not None
            parts.append(_numbers(layer.pairwise)[some[:, 0], some[:, 1]])
        return np.concatenate(parts)

    def by_torch() -> list[Tensor]:
        found = []
        for (maps, x, _), some in zip(on_device, few, strict=True):
            both = peers.pairs_torch(maps, x, some, ALPHA)
            found.append(peers.entropies_torch(x, ALPHA) + both[:, 0] - both[:, 1])
        return found

    def together(found: list[Any]) -> Values:
        return np.concatenate([_numbers(part) for part in found])

    chosen = np.concatenate([np.arange(len(some)) % SLOW == 0 for some in seen])
    right = partial(_information, made, seen)
    share = sum(map(len, few)) / pairs
    others = [Side("torch", by_torch, lambda found: _spread(together(found), chosen), share=share)]
    cupy = _cupy(device)
    if cupy is not None:
        layers = [
            [cupy.from_dlpack(x) for x in (maps, target, some)]
            for (maps, target, _), some in zip(on_device, positions, strict=True)
        ]
        share = sum(map(len, seen)) / pairs
        others.append(
            Side("cupy", lambda: [_information_cupy(cupy, *layer) for layer in layers], together, share=share)
        )
    spectra = 2 * pairs + sum(times * (2 * (len(maps) + 1) + 1) for maps, _, times in made)
    return Task(
        ours=Side(OURS, ours, read),
        peers=tuple(others),
        reference=right,
        error=_error_where_known,
        tolerance=3 * BITS[dtype],
        dtype=dtype,
        flops=spectra * 4 / 3 * n**3,
        traffic=sum(times * maps.nbytes for maps, _, times in made),
    )


def _information(made: Sequence[tuple[Values, Values, int]], seen: Sequence[Values]) -> Values:
    parts = [answers.information(maps, x, some, ALPHA) for (maps, x, _), some in zip(made, seen, strict=True)]
    return np.concatenate(parts)


def _spread(found: Values, chosen: Values) -> Values:
    """Return the answers at their places among all; infinity says that there is none."""
    every = np.full(chosen.shape, np.inf)
    every[chosen] = found
    return every


def _error_where_known(found: Values, right: Values) -> float:
    known = ~np.isinf(found)
    return answers.bits_error(found[known], right[known])


def _information_cupy(cupy: Any, maps: Any, target: Any, index: Any) -> Any:
    """I(X; {Ti, Tj}) of pairs as one batch."""

    def entropies(a: Any) -> Any:
        a = a / cupy.trace(a, axis1=-2, axis2=-1)[..., None, None]
        p = cupy.clip(cupy.linalg.eigvalsh(a), 0, None)
        return cupy.log2((p**ALPHA).sum(axis=-1)) / (1 - ALPHA)

    product = maps[index[:, 0]] * maps[index[:, 1]]
    return entropies(target) + entropies(product) - entropies(product * target)


# ---------------------------------------------------------------------------------------------------------- Grams


def _grams(n: int, channels: int, side: int, dtype: str, device: str) -> Task:
    maps = data.activations(n, channels, side, side, dtype)
    inputs = _in_turn(torch.from_numpy(maps).to(device))
    sigma = data.silverman(n, side * side)
    epsilon = float(np.finfo(dtype).eps)

    def reference() -> Values:
        samples = maps.reshape(n, channels, -1).transpose(1, 0, 2).astype(np.float64)
        return np.stack([np.exp(squareform(pdist(x, "sqeuclidean")) * (-0.5 / sigma**2)) / n for x in samples])

    def cdist(mode: str) -> Tensor:
        return peers.grams_cdist(next(inputs), sigma, mode)

    return Task(
        ours=Side(OURS, lambda: fr.channel_grams(next(inputs)), _numbers),
        peers=(
            Side("torch.cdist", partial(cdist, "use_mm_for_euclid_dist_if_necessary"), _numbers),
            Side("torch.cdist exact", partial(cdist, "donot_use_mm_for_euclid_dist"), _numbers),
            Side("torch expanded", lambda: peers.grams_expanded(next(inputs), sigma), _numbers),
        ),
        reference=reference,
        error=lambda found, right: float(np.abs(found - right).max() * n),
        tolerance=100 * epsilon,
        dtype=dtype,
        flops=channels * n * (n - 1) / 2 * 3 * side * side,
        traffic=maps.nbytes + channels * n * n * maps.itemsize,
    )


# ------------------------------------------------------------------------------------------------- a large batch


def _large(n: int, device: str) -> Task:
    """One batch in two clusters, to a hundredth of a bit, and exactly by torch."""
    x = torch.from_numpy(data.two_clusters(n)).to(device)
    how = fr.Estimation(tol=0.01, solve=0)

    def dense() -> Tensor:
        return peers.entropies_torch(peers.grams_expanded(x[:, None, :, None], 1.0), ALPHA)

    return Task(
        ours=Side(OURS, lambda: float(fr.entropy(fr.lazy_gram(x, bandwidth=1.0), ALPHA, estimate=how))),
        peers=(Side("torch", dense, _numbers),),
        reference=lambda: _numbers(dense()),
        error=answers.bits_error,
        tolerance=0.02,
        dtype="float64",
        flops=n * n * (10 + 2 * 160),  # of half the Gram, and of the 160 columns that it takes
    )
