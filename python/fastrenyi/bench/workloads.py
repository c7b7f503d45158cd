"""The workloads, by size: ``quick`` for correctness only, ``normal``, and ``full`` with the largest matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from scipy.spatial.distance import pdist, squareform

import fastrenyi as fr
from fastrenyi import _backend, _core
from fastrenyi._array import Values
from fastrenyi.bench import answers, data, estimators, peers
from fastrenyi.bench.gradient import information_gradient, information_gradient_in_jax
from fastrenyi.bench.representations import (
    effective_rank_of_samples,
    graph_entropies,
    lidar_of_views,
    prompt_entropies,
)
from fastrenyi.bench.task import Side, Task, Workload

__all__ = ["SIZES", "workloads"]

SIZES = ("quick", "normal", "full")
ALPHA = 1.01
BITS = {"float64": 1e-10, "float32": 5e-4}
"""How far an entropy may be from the float64 reference."""
EIGENVALUE = 8.0
"""How far an eigenvalue may be from the float64 reference, in n eps |A|."""

# VGG-16 on CIFAR-10: maps, their height and width, and how many of the 13 convolutions have this shape.
VGG = [(64, 32, 2), (128, 16, 2), (256, 8, 3), (512, 4, 3), (512, 2, 3)]


def workloads(size: str = "normal") -> list[Workload]:
    """Return all workloads of a size, in the order of the table."""
    if size not in SIZES:
        raise ValueError(f"size: expected one of {', '.join(SIZES)}, got {size!r}")
    quick = size == "quick"
    listed = []
    for n, count in [(8, 20), (12, 5)] if quick else [(32, 500), (64, 500), (100, 500), (128, 500), (256, 64)]:
        for dtype in ("float64", "float32"):
            listed.append(_named(f"spectra-{count}x{n}-{dtype}", "spectrum", _spectra, count, n, dtype))
    for n in (40,) if quick else (1024, 2048, 4096) if size == "normal" else (1024, 2048, 4096, 8192):
        listed.append(_named(f"single-{n}-float64", "spectrum", _single, n, "float64"))
    for n in (10,) if quick else (100, 1000):
        listed.append(_named(f"entropy-{n}-float64", "entropy", _entropy, n, "float64"))
    for channels, side in [(3, 4)] if quick else [(6, 28), (12, 10)]:
        name = f"lenet-{channels}-float64"
        listed.append(_named(name, "layer", _small_layer, channels, side, 10 if quick else 100, "float64"))
    for channels, side, layers in [(5, 2, 1)] if quick else VGG:
        note = f"{layers} of 13 layers; ours the whole decomposition, peers the pairs alone"
        make = partial(_layer, channels, side, 10 if quick else 100, "float64")
        listed.append(Workload(f"vgg-{channels}x{side}x{side}-float64", "layer", make, note))
    channels, n = (6, 10) if quick else (512, 100)
    listed.append(_named(f"pairs-{channels}-float64", "pairs", _pairs, channels, n, "float64"))
    listed.append(_named(f"pairs-{channels}-order2-float64", "pairs", _pairs_order_two, channels, n, "float64"))
    count, n = (5, 10) if quick else (200, 100)
    listed.append(_named(f"null-{count}x{n}-float64", "null", _null, count, n, "float64"))
    for channels, side in [(4, 3)] if quick else [(64, 32), (512, 14)]:
        for dtype in ("float64", "float32"):
            name = f"gram-{channels}x{side}x{side}-{dtype}"
            listed.append(_named(name, "gram", _channel_grams, 10 if quick else 100, channels, side, dtype))
    for n in (12,) if quick else (128, 512):
        for alpha in (ALPHA, 2.0):
            name = f"gradient-{n}-order{alpha:g}-float32"
            listed.append(_named(name, "gradient", information_gradient, n, 8 if quick else 256, "float32", alpha))
        if n != 128 and find_spec("jax"):
            name = f"gradient-jax-{n}-order{ALPHA:g}-float32"
            listed.append(
                _named(name, "gradient", information_gradient_in_jax, n, 8 if quick else 256, "float32", ALPHA)
            )
    for n in (60,) if quick else (4000,) if size == "normal" else (4000, 10_000):
        listed.append(_named(f"large-{n}-float64", "large", _large, n))
    sizes = (5, 3, 9, 6) if quick else (200, 16, 512, 1024)
    name = f"prompts-{sizes[0]}x{sizes[2]}x{sizes[3]}-float32"
    note = f"of {sizes[1]} to {sizes[2]} tokens; one layer"
    listed.append(Workload(name, "representations", partial(prompt_entropies, *sizes), note))
    n, d = (30, 9) if quick else (25_600, 2048)
    listed.append(_named(f"rank-{n}x{d}-float64", "representations", effective_rank_of_samples, n, d))
    count, nodes = (20, 5) if quick else (1000, 10)
    listed.append(_named(f"graphs-{count}x{nodes}-float64", "representations", graph_entropies, count, nodes))
    n, views, d = (12, 3, 5) if quick else (1000, 10, 384)
    listed.append(_named(f"lidar-{n}x{views}x{d}-float64", "representations", lidar_of_views, n, views, d))
    return listed


def _named(name: str, group: str, make: Callable[..., Task], *arguments: object) -> Workload:
    return Workload(name, group, partial(make, *arguments))


# ------------------------------------------------------------------------------------------- spectra, entropies


def _spectra(count: int, n: int, dtype: str) -> Task:
    a = data.sample_grams(count, n, dtype)
    tensor = torch.from_numpy(a)
    return Task(
        ours=Side("ours", lambda: fr.spectrum(a)),
        peers=(
            Side("torch", lambda: peers.spectra_torch(tensor)),
            Side("numpy", lambda: peers.spectra_numpy(a)),
            Side("scipy", lambda: peers.spectra_scipy(a)),
        ),
        reference=lambda: np.linalg.eigvalsh(a.astype(np.float64)),
        error=partial(answers.eigenvalue_error, epsilon=float(np.finfo(dtype).eps)),
        tolerance=EIGENVALUE,
        dtype=dtype,
        flops=count * 4 / 3 * n**3,
        inputs={"a": a},
    )


def _single(n: int, dtype: str) -> Task:
    a = data.sample_grams(1, n, dtype)[0]
    tensor = torch.from_numpy(a)
    return Task(
        ours=Side("ours", lambda: fr.spectrum(a)),
        peers=(
            Side("torch", lambda: peers.spectra_torch(tensor)),
            Side("scipy", lambda: peers.spectra_scipy(a)),
        ),
        reference="scipy",
        error=partial(answers.eigenvalue_error, epsilon=float(np.finfo(dtype).eps)),
        tolerance=EIGENVALUE,
        dtype=dtype,
        flops=4 / 3 * n**3,
        inputs={"a": a},
    )


def _entropy(n: int, dtype: str) -> Task:
    a = data.sample_grams(1, n, dtype)[0]
    tensor = torch.from_numpy(a)
    others = [Side("torch", lambda: peers.entropies_torch(tensor, 1))]
    vendi = peers.vendi_entropy()
    if vendi is not None:
        others.append(Side("vendi-score", partial(vendi, a)))
    return Task(
        ours=Side("ours", lambda: fr.entropy(a, alpha=1)),
        peers=tuple(others),
        reference=lambda: answers.entropies(a, 1),
        error=answers.bits_error,
        tolerance=BITS[dtype],
        dtype=dtype,
        flops=4 / 3 * n**3,
        inputs={"a": a, "alpha": 1.0},
    )


# --------------------------------------------------------------------------------------------- layers and pairs


def _index(channels: int) -> Values:
    return np.stack(np.triu_indices(channels, 1), axis=1)


def _sample(index: Values, most: int) -> Values:
    """Return the positions of at most that many pairs, spread evenly."""
    return np.unique(np.linspace(0, len(index) - 1, min(len(index), most)).astype(np.int64))


def _spectra_flops(spectra: int, n: int) -> float:
    return spectra * 4 / 3 * n**3


def _small_layer(channels: int, side: int, n: int, dtype: str) -> Task:
    """A layer of few maps: every side computes all of it."""
    maps, target = data.layer_grams(n, channels, side, side, dtype)
    index = _index(channels)
    tensors = torch.from_numpy(maps), torch.from_numpy(target), torch.from_numpy(index)

    def reference() -> Values:
        joint = np.prod(maps.astype(np.float64) * n, axis=0)
        # The reference multiplies two maps; the others are a map, or all of them, and a matrix of ones.
        more = np.concatenate([maps, joint[None], np.ones((1, n, n))])
        alone = np.stack([np.arange(channels + 1), np.full(channels + 1, channels + 1)], axis=1)
        return answers.information(more, target, np.concatenate([index, alone]), ALPHA)

    def read(layer: fr.LayerDecomposition[Values]) -> Values:
        assert layer.pairwise is not None
        return np.concatenate([layer.pairwise[index[:, 0], index[:, 1]], layer.single, [layer.mmi]])

    return Task(
        ours=Side("ours", lambda: fr.layer_decomposition(maps, target, ALPHA), read),
        peers=(
            Side("torch", lambda: peers.layer_torch(*tensors, ALPHA)),
            Side("repitl recipe", lambda: peers.layer_trios(*tensors, ALPHA)),
        ),
        reference=reference,
        error=answers.bits_error,
        tolerance=3 * BITS[dtype],
        dtype=dtype,
        flops=_spectra_flops(2 * (len(index) + channels + 1) + 1, n),
        inputs={"maps": maps, "target": target, "pairs": index, "of_pairs": len(index), "alpha": ALPHA},
    )


def _layer(channels: int, side: int, n: int, dtype: str) -> Task:
    """A layer of many maps: peers compute evenly spread pairs, and no single map."""
    maps, target = data.layer_grams(n, channels, side, side, dtype)
    index = _index(channels)
    seen = _sample(index, 1024)
    few = slice(None, None, 8)
    x, y = torch.from_numpy(maps), torch.from_numpy(target)
    some, fewer = torch.from_numpy(index[seen]), torch.from_numpy(index[seen][few].copy())

    def read(layer: fr.LayerDecomposition[Values]) -> Values:
        assert layer.pairwise is not None
        return np.asarray(layer.pairwise[index[seen, 0], index[seen, 1]])

    def batched() -> torch.Tensor:
        both = peers.pairs_torch(x, y, some, ALPHA)
        return peers.entropies_torch(y, ALPHA) + both[:, 0] - both[:, 1]

    return Task(
        ours=Side("ours", lambda: fr.layer_decomposition(maps, target, ALPHA), read),
        peers=(
            Side("torch", batched, share=len(some) / len(index)),
            Side(
                "repitl recipe",
                lambda: peers.pair_trios(x, y, fewer, ALPHA),
                part=few,
                share=len(fewer) / len(index),
            ),
        ),
        reference=lambda: answers.information(maps, target, index[seen], ALPHA),
        error=answers.bits_error,
        tolerance=3 * BITS[dtype],
        dtype=dtype,
        flops=_spectra_flops(2 * (len(index) + channels + 1) + 1, n),
        inputs={"maps": maps, "target": target, "pairs": index[seen], "of_pairs": len(index), "alpha": ALPHA},
    )


def _bare_pairs(maps: Values, target: Values, index: Values, alpha: float) -> Values:
    """S(Ti, Tj) and S(Ti, Tj, X) by the compiled operation."""
    alone, joint, verdict = _core.pairs(
        maps, target[None], index, [alpha], float(np.finfo(maps.dtype).eps), 1.0, _backend.threads()
    )
    assert verdict is None
    return np.concatenate([alone, joint], axis=1)


def _pairs(channels: int, n: int, dtype: str) -> Task:
    maps, target = data.layer_grams(n, channels, 2, 2, dtype)
    index = _index(channels)
    seen = _sample(index, 1024)
    x, y, some = torch.from_numpy(maps), torch.from_numpy(target), torch.from_numpy(index[seen])
    return Task(
        ours=Side("ours", lambda: _bare_pairs(maps, target, index, ALPHA), lambda found: found[seen]),
        peers=(
            Side("torch", lambda: peers.pairs_torch(x, y, some, ALPHA), share=len(some) / len(index)),
        ),
        reference=lambda: answers.pair_entropies(maps, target, index[seen], ALPHA),
        error=answers.bits_error,
        tolerance=BITS[dtype],
        dtype=dtype,
        flops=_spectra_flops(2 * len(index), n),
        inputs={"maps": maps, "target": target, "pairs": index[seen], "of_pairs": len(index), "alpha": ALPHA},
    )  # fmt: skip


def _pairs_order_two(channels: int, n: int, dtype: str) -> Task:
    maps, target = data.layer_grams(n, channels, 2, 2, dtype)
    index = _index(channels)
    seen = _sample(index, 4096)
    x, y = torch.from_numpy(maps), torch.from_numpy(target)
    every, some = torch.from_numpy(index), torch.from_numpy(index[seen])
    return Task(
        ours=Side("ours", lambda: _bare_pairs(maps, target, index, 2.0), lambda found: found[seen]),
        peers=(
            Side("torch Frobenius", lambda: peers.frobenius_tiles(x, y, some), share=len(some) / len(index)),
            Side("torch matmul", lambda: peers.frobenius_matmul(x, y, every), lambda found: found.numpy()[seen]),
        ),
        reference=lambda: answers.pair_entropies(maps, target, index[seen], 2.0),
        error=answers.bits_error,
        tolerance=BITS[dtype],
        dtype=dtype,
        flops=2 * len(index) * 2 * n**2,
        inputs={"maps": maps, "target": target, "pairs": index[seen], "of_pairs": len(index), "alpha": 2.0},
    )


def _null(count: int, n: int, dtype: str) -> Task:
    """Mutual information under permutations, whatever library they are drawn by."""
    maps, target = data.layer_grams(n, 1, 4, 4, dtype)
    a, b = maps[0], target
    rng = np.random.default_rng(0)  # as permutation_test with seed 0
    orders = np.stack([rng.permutation(n) for _ in range(count)])
    x, y, some = torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(orders)

    def reference() -> Values:
        mixed = np.stack([b[order][:, order] for order in orders])
        index = np.stack([np.zeros(count, np.int64), np.arange(1, count + 1)], axis=1)
        joint = answers.pair_entropies(np.concatenate([a[None], mixed]), np.ones((n, n)), index, ALPHA)[:, 0]
        return answers.entropies(a, ALPHA) + answers.entropies(b, ALPHA) - joint

    return Task(
        ours=Side("ours", lambda: fr.permutation_test(a, b, count, 0, alpha=ALPHA).null),
        peers=(
            Side("torch", lambda: peers.null_batched(x, y, some, ALPHA)),
            Side("torch, a loop", lambda: peers.null_loop(x, y, some, ALPHA)),
        ),
        reference=reference,
        error=answers.bits_error,
        tolerance=3 * BITS[dtype],
        dtype=dtype,
        flops=_spectra_flops(count + 3, n),
        inputs={"a": a, "b": b, "permutations": orders, "alpha": ALPHA},
    )


# -------------------------------------------------------------------------------------------------------- Grams


def _channel_grams(n: int, channels: int, side: int, dtype: str) -> Task:
    maps = data.activations(n, channels, side, side, dtype)
    tensor = torch.from_numpy(maps)
    sigma = data.silverman(n, side * side)
    exact, products = "donot_use_mm_for_euclid_dist", "use_mm_for_euclid_dist_if_necessary"

    def reference() -> Values:
        samples = maps.reshape(n, channels, -1).transpose(1, 0, 2).astype(np.float64)
        return np.stack([np.exp(squareform(pdist(x, "sqeuclidean")) * (-0.5 / sigma**2)) / n for x in samples])

    epsilon = float(np.finfo(dtype).eps)
    return Task(
        ours=Side("ours", lambda: fr.channel_grams(maps)),
        peers=(
            Side("torch.cdist*", lambda: peers.grams_cdist(tensor, sigma, products), tolerance=1e4 * epsilon),
            Side("torch.cdist exact", lambda: peers.grams_cdist(tensor, sigma, exact)),
            Side("torch expanded*", lambda: peers.grams_expanded(tensor, sigma), tolerance=1e4 * epsilon),
        ),
        reference=reference,
        error=lambda found, right: float(np.abs(found - right).max() * n),
        tolerance=100 * epsilon,
        dtype=dtype,
        flops=channels * n * (n - 1) / 2 * 3 * side * side,
        inputs={"maps": maps, "bandwidth": sigma},
    )


# ------------------------------------------------------------------------------------------------- a large batch


def _large(n: int) -> Task:
    """One batch in two clusters, to a hundredth of a bit; torch exactly, others as close as they come."""
    x = data.two_clusters(n)
    tensor = torch.from_numpy(x)
    how = fr.Estimation(tol=0.01, solve=0)

    def dense() -> torch.Tensor:
        return peers.grams_expanded(tensor[:, None, :, None], 1.0)

    def of_dense(estimator: Callable[[Values, float], float]) -> float:
        return estimator(dense()[0].numpy(), ALPHA)

    of_samples = {"random features*": estimators.random_features, "mean of minibatches*": estimators.minibatches}
    others = {f"{name}*": partial(of_dense, one) for name, one in estimators.ESTIMATORS.items()}
    others |= {name: partial(one, x, 1.0, ALPHA) for name, one in of_samples.items()}
    return Task(
        ours=Side("ours", lambda: float(fr.entropy(fr.lazy_gram(x, bandwidth=1.0), ALPHA, estimate=how))),
        peers=(
            Side("torch", lambda: peers.entropies_torch(dense(), ALPHA)),
            *(Side(name, run, tolerance=math.inf) for name, run in others.items()),
        ),
        reference="torch",
        error=answers.bits_error,
        tolerance=0.02,
        dtype="float64",
        flops=n * n * (10 + 2 * 160),  # of half the Gram, and of the 160 columns that it takes
        inputs={"x": x, "bandwidth": 1.0, "alpha": ALPHA},
    )
