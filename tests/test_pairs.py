"""All pairs of a layer's maps: tiles and their borders, threads, memory, the GIL."""

from __future__ import annotations

import itertools
import math
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import fastrenyi as fr
import reference
import tolerances
from conftest import Draw, Nx, run_python
from fastrenyi import _core

EPSILON = 2.0**-52


def all_pairs(count: int) -> np.ndarray:
    return np.array(list(itertools.combinations_with_replacement(range(count), 2)), dtype=np.int64)


# ------------------------------------------------------------------------------------ against the reference


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("alpha", [1.01, 2, [0.5, 1, 2, math.inf]], ids=str)
def test_pairs_match_the_reference(count: int, n: int, alpha: float | list[float], draw: Draw) -> None:
    maps, target = draw.matrices(count, n), draw.matrices(n)
    index = all_pairs(count)
    orders = alpha if isinstance(alpha, list) else [alpha]
    alone, joint, verdict = _core.pairs(maps, target[None], index, orders, EPSILON, 1.0, 2)
    assert verdict is None
    assert alone.shape == joint.shape == (len(index), len(orders))
    for m, order in enumerate(orders):
        for k, (i, j) in enumerate(index):
            together = [maps[i]] if i == j else [maps[i], maps[j]]
            theirs = reference.joint_entropy(together, alpha=order)
            tolerances.assert_bits(alone[k, m], theirs, "float64", order, n=n)
            theirs = reference.joint_entropy(together, target, alpha=order)
            tolerances.assert_bits(joint[k, m], theirs, "float64", order, n=n)


def test_pairs_without_a_target(draw: Draw) -> None:
    maps = draw.grams(4, 8)
    index = all_pairs(4)
    alone, joint, verdict = _core.pairs(maps, None, index, [1.0], EPSILON, 1.0, 2)
    assert verdict is None
    assert joint is None
    expected, _, _ = _core.pairs(maps, maps[:1], index, [1.0], EPSILON, 1.0, 2)
    np.testing.assert_array_equal(alone, expected)


@pytest.mark.parametrize(
    ("count", "n", "alpha"),
    [(40, 33, 2), (40, 33, 1.01), (100, 12, 2), (100, 12, 1.01), (12, 100, 1.01), (3, 1500, 2), (2, 2200, 2)],
)
def test_sizes_at_the_borders_of_tiles(count: int, n: int, alpha: float, draw: Draw) -> None:
    """More pairs than a tile holds (64 MB, 4096 matrices), and matrices of which few or none fit one."""
    x = draw.samples(count, n, 3)
    maps = np.stack([fr.gram(item, "gaussian", 2.0) for item in x])
    target = fr.gram(draw.samples(n, 3), "gaussian", 2.0)
    found = fr.layer_decomposition(maps, target, alpha=alpha)
    s_target = fr.entropy(target, alpha)
    chosen = draw.rng.integers(0, count, size=(8, 2))
    for i, j in [*chosen, (0, count - 1), (count - 2, count - 1), (0, 1)]:
        pair = [maps[i]] if i == j else [maps[i], maps[j]]
        # Grams of Gaussians of one width: the joint is the Gram of the concatenation.
        joint = fr.gram(np.concatenate([x[k] for k in {i, j}], axis=1), "gaussian", 2.0)
        expected = fr.entropy(joint, alpha) + s_target - fr.joint_entropy(pair, target, alpha=alpha)
        assert found.pairwise[i, j] == pytest.approx(expected, abs=1e-10)
        assert found.pairwise[j, i] == found.pairwise[i, j]


def test_maps_in_any_layout(nx: Nx, draw: Draw) -> None:
    maps, target = draw.matrices(4, 8), draw.matrices(8)
    found = fr.layer_decomposition(nx.array(maps), nx.array(target))
    plain = fr.layer_decomposition(nx.plain.array(maps), nx.plain.array(target))
    np.testing.assert_array_equal(nx.values(found.pairwise), nx.values(plain.pairwise))


# --------------------------------------------------------------------------------------------------- threads

RESULTS = """
    import hashlib
    import numpy as np
    import fastrenyi as fr
    {before}
    rng = np.random.default_rng(7)
    x = rng.normal(size=(3, 70, 9))
    maps = fr.channel_grams(rng.normal(size=(30, 13, 4, 4)))
    target = fr.gram(rng.normal(size=(30, 5)))
    parts = [fr.gram(x, k) for k in ("gaussian", "laplacian", "cosine", "polynomial", "delta")]
    parts += [fr.gram(x[0], "gaussian", w) for w in ("silverman", "scott", "median", "neighbours")]
    parts += [fr.spectrum(maps), fr.entropy(maps, [0.5, 1, 1.01, 2]), fr.entropy(maps, 2)]
    parts += [fr.joint_entropy(list(maps))]
    found = fr.layer_decomposition(maps, target)
    parts += [found.single, found.pairwise, found.mmi, found.tradeoff]
    print([hashlib.sha256(np.ascontiguousarray(p).tobytes()).hexdigest()[:12] for p in parts])
"""


def test_results_are_the_same_bits_for_any_number_of_threads() -> None:
    outputs = {}
    for threads in ["1", "2", "3"]:
        outputs[f"OMP_NUM_THREADS={threads}"] = run_python(RESULTS.format(before=""), OMP_NUM_THREADS=threads)
    for threads in [1, 2]:
        before = f"import torch; torch.set_num_threads({threads})"
        outputs[before] = run_python(RESULTS.format(before=before))
    assert len(set(outputs.values())) == 1, outputs


def test_thread_settings_are_obeyed() -> None:
    """OMP_NUM_THREADS limits the threads a process has after work for many; so does torch.set_num_threads."""
    program = """
        import os
        {before}
        import numpy as np
        import fastrenyi as fr
        threads = lambda: len(os.listdir("/proc/self/task"))
        a = fr.gram(np.random.default_rng(0).normal(size=(50, 40, 3)))
        fr.entropy(a[:1])
        start = threads()
        fr.gram(np.random.default_rng(0).normal(size=(50, 40, 3)))
        fr.entropy(a)
        print(threads() - start)
    """
    if not Path("/proc/self/task").is_dir():
        pytest.skip("counts threads in /proc")
    assert run_python(program.format(before=""), OMP_NUM_THREADS="1").strip() == "0"
    limited = program.format(before="import torch; torch.set_num_threads(1)")
    assert run_python(limited, OMP_NUM_THREADS="4").strip() == "0"
    made = """
        import os
        import numpy as np
        import fastrenyi as fr
        start = len(os.listdir("/proc/self/task"))
        fr.gram(np.random.default_rng(0).normal(size=(50, 40, 3)))
        print(len(os.listdir("/proc/self/task")) - start)
    """
    assert run_python(made, OMP_NUM_THREADS="4").strip() == "3"


def test_calls_from_several_threads_at_once(draw: Draw) -> None:
    layers = [(draw.grams(6, 20), draw.grams(20)) for _ in range(8)]
    alone = [fr.layer_decomposition(*layer).pairwise for layer in layers]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda layer: fr.layer_decomposition(*layer).pairwise, layers * 3))
    for found, expected in zip(together, alone * 3, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("work", ["gram", "spectrum", "pairs"])
def test_the_gil_is_released(work: str, draw: Draw) -> None:
    """Another Python thread takes a step while this one does nothing but compiled calls.

    The switch interval is set so long that a thread which does not give the GIL up keeps it. On a busy machine the
    other thread may sleep through a call: there are as many as it needs.
    """
    if work == "gram":
        x = draw.samples(1, 700, 800)
        call = lambda: _core.gram(x, "gaussian", np.ones(1), 1, 1.0, 0.0, 1)  # noqa: E731
    elif work == "spectrum":
        a = fr.gram(draw.samples(1, 600, 3))
        call = lambda: _core.spectrum(a, 1)  # noqa: E731
    else:
        maps = draw.grams(60, 100)
        index = all_pairs(60)
        call = lambda: _core.pairs(maps, maps[:1], index, [1.01], EPSILON, 1.0, 1)  # noqa: E731

    stop, ready, steps = threading.Event(), threading.Event(), [0]

    def count() -> None:
        ready.set()
        while not stop.wait(1e-4):
            steps[0] += 1

    interval = sys.getswitchinterval()
    other = threading.Thread(target=count)
    other.start()
    try:
        ready.wait()
        sys.setswitchinterval(1000.0)
        before = steps[0]
        calls = 0
        while steps[0] == before and calls < 500:
            call()
            calls += 1
        after = steps[0]
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        other.join()
    assert after > before


# ---------------------------------------------------------------------------------------------------- memory


@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
@pytest.mark.parametrize("alpha", ["2", "1.01"])
def test_memory_is_bounded(alpha: str) -> None:
    """All pairs of 64 maps of n = 200 are 664 MB of joint Grams (1.3 GB with the target); the workspace is 64 MB."""
    count, n = (64, 200) if alpha == "2" else (40, 200)
    program = f"""
        import resource
        import numpy as np
        import fastrenyi as fr
        rng = np.random.default_rng(0)
        maps = fr.channel_grams(rng.normal(size=({n}, {count}, 3)))
        target = fr.gram(rng.normal(size=({n}, 3)))
        fr.layer_decomposition(maps[:2], target, alpha={alpha})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = fr.layer_decomposition(maps, target, alpha={alpha})
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(after - before)
    """
    unit = 1 if sys.platform == "darwin" else 1024
    grown = int(run_python(program, OMP_NUM_THREADS="2")) * unit
    grams = count * n * n * 8
    everything = count * (count - 1) // 2 * n * n * 8
    allowed = 64 * 2**20 + 2 * grams + 32 * 2**20
    assert allowed < everything
    assert grown < allowed, f"{grown / 2**20:.0f} MB"


# ---------------------------------------------------------------------------------------------------- verdicts


def test_the_first_bad_pair_is_named(draw: Draw) -> None:
    """Each map is a Gram alone; a product of two of them has no trace, or an eigenvalue that is not rounding."""
    maps = np.stack([np.eye(3) / 3, np.diag([1.0, 0, 0]), np.eye(3) / 3, np.diag([0, 0.5, 0.5])])
    target = np.eye(3) / 3
    with pytest.raises(ValueError, match=r"^maps.*trace"):
        fr.layer_decomposition(maps, target)
    alone = np.concatenate([draw.grams(2, 3), np.diag([0.7, 0.5, -0.2])[None]])
    with pytest.raises(fr.NotPositiveSemidefiniteError, match=r"^maps") as caught:
        fr.layer_decomposition(alone, target)
    assert caught.value.eigenvalue < 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("alpha", [1.01, 2, [1, 2, 5]])
def test_block_diagonal_targets(rng: np.random.Generator, dtype: type, alpha: float | list[float]) -> None:
    """Labels make the joint Gram block-diagonal, and its spectrum is that of the blocks: the same as of the whole."""
    count, n = 7, 30
    maps = fr.gram(rng.normal(size=(count, n, 3)).astype(dtype), bandwidth=2.0)
    for labels in (rng.integers(0, 4, n), np.arange(n), np.zeros(n, int), np.minimum(np.arange(n), 1)):
        target = fr.gram(labels, kernel=fr.Delta(dtype=dtype.__name__))
        found = fr.layer_decomposition(maps, target, alpha=alpha)
        right = reference.layer_decomposition(maps.astype(float), target.astype(float), np.atleast_1d(alpha)[0])
        first = np.ravel(found.mmi)[0], np.ravel(found.tradeoff)[0], np.ravel(found.nonredundant)[0]
        expected = right["mmi"], right["tradeoff"], right["nonredundant"]
        np.testing.assert_allclose(first, expected, atol=1e-9 if dtype is np.float64 else 2e-3)


def test_order_two_as_one_product_and_one_by_one(rng: np.random.Generator) -> None:
    """Many pairs go through a matrix product, few one by one, both as through a spectrum."""
    count, n = 40, 25
    maps = fr.gram(rng.normal(size=(count, n, 3)), bandwidth=2.0)
    target = fr.gram(rng.normal(size=(n, 2)), bandwidth=1.0)
    rows, cols = np.triu_indices(count)
    index = np.stack([rows, cols], axis=1)
    for with_target in (None, target[None]):
        many = _core.pairs(maps, with_target, index, [2.0], 2.0**-52, 1.0, 2)
        for k in range(0, len(index), 50):
            few = _core.pairs(maps, with_target, index[k : k + 50], [2.0], 2.0**-52, 1.0, 2)
            both = _core.pairs(maps, with_target, index[k : k + 50], [2.0, 3.0], 2.0**-52, 1.0, 2)
            for a, b, c in zip(many[:2], few[:2], both[:2], strict=True):
                if a is not None:
                    np.testing.assert_allclose(a[k : k + 50], b, atol=1e-12)
                    np.testing.assert_allclose(a[k : k + 50, 0], c[:, 0], atol=1e-12)
