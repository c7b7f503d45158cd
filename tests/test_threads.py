"""Threads: any number gives the same bits, settings are obeyed and given back, calls at once do not meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
from conftest import run_python
from fastrenyi import _core

threadpoolctl = pytest.importorskip("threadpoolctl")

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def operations(dtype: Any) -> dict[str, Callable[[int], Any]]:
    """Calls of every compiled operation on a number of threads, each with work enough for more than one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 80, 9)).astype(dtype)
    grams = fr.gram(x)
    one = fr.gram(rng.normal(size=(1, 500, 5)).astype(dtype))
    large = fr.gram(rng.normal(size=(2, 769, 5)).astype(dtype))
    target, width = grams[-1:], np.ones(len(x))
    index = np.stack(np.triu_indices(len(grams)), axis=1)
    epsilon = float(np.finfo(dtype).eps)
    spectra = np.tile(_core.spectrum(grams, 1), (20, 1))
    wrong = grams.copy()
    wrong[7, 3, 4] = wrong[11, 0, 0] = np.nan
    holes = np.tile(x, (20, 1, 1))
    holes[[5, 300], 3] = 0
    orthogonal = np.zeros((600, 60, 60), dtype)
    orthogonal[:, 0, 0] = 1
    other = orthogonal.copy()
    other[[200, 550]] = np.eye(60)[::-1, ::-1] * (np.arange(60) > 0)
    return {
        "gaussian": lambda t: _core.gram(x, "gaussian", width, 1, 1.0, 0.0, t),
        "laplacian": lambda t: _core.gram(x, "laplacian", width, 1, 1.0, 0.0, t),
        "polynomial": lambda t: _core.gram(x, "polynomial", None, 2, 1.0, 1.0, t),
        "delta": lambda t: _core.delta_gram(x, t),
        "distances": lambda t: _core.distances(x, "euclidean", t),
        "one gram": lambda t: _core.gram(x.reshape(1, -1, 9), "gaussian", width[:1], 1, 1.0, 0.0, t),
        "hadamard": lambda t: _core.hadamard([orthogonal, other], t),
        "engine": lambda t: _core.spectrum(grams, t),
        "lapack": lambda t: _core.spectrum(large, t),
        "lapack, one": lambda t: _core.spectrum(one, t),
        "eigh": lambda t: _core.eigh(grams, t),
        "eigh, one": lambda t: _core.eigh(one, t),
        "entropy": lambda t: _core.entropy(spectra, [0, 0.5, 1, 1.01, 2, 3, np.inf], epsilon, 1.0, t),
        "collision entropy": lambda t: _core.collision_entropy([np.tile(grams, (5, 1, 1))], [[0]], 1.0, t),
        "pairs": lambda t: _core.pairs(grams, target, index, [1.0, 1.01], epsilon, 1.0, t),
        "pairs of order two": lambda t: _core.pairs(grams, target, index, [2.0], epsilon, 1.0, t),
        "few pairs of order two": lambda t: _core.pairs(grams, None, index[:60], [2.0], epsilon, 1.0, t),
        "not finite": lambda t: _core.first_not_finite(np.tile(wrong, (10, 1, 1)), t),
        "zero row": lambda t: _core.first_zero_row(holes, t),
        "fault": lambda t: _core.gram_fault(np.tile(wrong, (5, 1, 1)), 1e-3, True, t),
    }


def bits(result: Any) -> Any:
    """Something that is equal only for results of the same bits."""
    if isinstance(result, tuple):
        return tuple(bits(part) for part in result)
    return result.tobytes() if isinstance(result, np.ndarray) else repr(result)


def blas_threads() -> list[int]:
    return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]


@pytest.fixture
def blas_at_two() -> Iterator[None]:
    """BLAS at two threads, however few processors there are: a number that a call could forget to set back."""
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        yield


# ---------------------------------------------------------------------------------------------------- same bits


@DTYPES
def test_any_number_of_threads_gives_the_same_bits(dtype: type) -> None:
    calls = operations(dtype)
    results = []
    for threads in [1, 2, 3]:
        with threadpoolctl.threadpool_limits(threads):
            results.append({name: bits(call(threads)) for name, call in calls.items()})
    for name in calls:
        assert results[0][name] == results[1][name] == results[2][name], name


@DTYPES
def test_calls_at_once_give_the_same_bits_as_alone(dtype: type, blas_at_two: None) -> None:
    """Also those that hold BLAS at one thread beside those that do not."""
    calls = operations(dtype)
    alone = {name: bits(call(1)) for name, call in calls.items()}
    work = list(calls) * 2
    # OpenMP's setting belongs to the thread that makes it: each thread of ours makes its own.
    setting = {"initializer": threadpoolctl.threadpool_limits, "initargs": (2, "openmp")}
    with ThreadPoolExecutor(4, **setting) as pool:
        together = list(pool.map(lambda name: bits(calls[name](2)), work))
    for name, found in zip(work, together, strict=True):
        assert found == alone[name], name
    assert set(blas_threads()) == {2}


# ----------------------------------------------------------------------------------------------------- settings


def test_settings_give_one_thread_to_work_shorter_than_what_loops_lose() -> None:
    if not Path("/proc/self/task").is_dir():
        pytest.skip("counts threads in /proc")
    output = run_python(
        """
        import os
        import numpy as np
        import fastrenyi as fr
        from fastrenyi import _core
        x = np.random.default_rng(0).normal(size=(50, 40, 3))  # some 0.1 ms
        a = np.stack([np.eye(n := 40) / n] * 60)
        a[::2, 30:] = 0
        work = [lambda: fr.gram(x), lambda: _core.spectrum(a, 4), lambda: _core.eigh(a[1::2], 4)]
        start = len(os.listdir("/proc/self/task"))
        for delay in (1.0, 1e-9):
            _core.expect_delay(delay)
            for call in work:
                call()
                print(len(os.listdir("/proc/self/task")) - start)
        """,
        OMP_NUM_THREADS="4",
    )
    assert output.split() == ["0", "0", "0", "3", "3", "3"]


def test_blas_threads_are_given_back(blas_at_two: None) -> None:
    for name, call in operations(np.float64).items():
        call(1)
        assert set(blas_threads()) == {2}, name


def test_an_exception_of_one_piece_of_work_reaches_the_caller(blas_at_two: None) -> None:
    """LAPACK does not converge on NaN, which the public functions refuse."""
    a = np.tile(np.eye(769), (6, 1, 1))
    a[4] = np.nan
    with threadpoolctl.threadpool_limits(3, user_api="openmp"):
        with pytest.raises(RuntimeError, match="did not converge"):
            _core.spectrum(a, 3)
        assert set(blas_threads()) == {2}
        assert (_core.spectrum(a[:4], 3) == 1).all()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
@pytest.mark.parametrize(
    ("library", "setting"),
    [("threadpoolctl", "threadpool_limits(limit, user_api='openmp')"), ("torch", "set_num_threads(limit)")],
)
def test_threads_follow_settings_made_at_run_time(library: str, setting: str) -> None:
    """OpenMP keeps its threads, so each step of the limit makes one more."""
    run_python(
        f"""
        import os
        import numpy as np
        import {library}
        import fastrenyi as fr
        x = np.random.default_rng(0).normal(size=(50, 40, 3))
        for limit, expected in [(1, 0), (2, 1), (3, 1)]:
            {library}.{setting}  # which may make threads of its own
            before = len(os.listdir("/proc/self/task"))
            fr.gram(x)
            made = len(os.listdir("/proc/self/task")) - before
            assert made == expected, (limit, made)
        """,
        OMP_NUM_THREADS="4",
    )


# -------------------------------------------------------------------------------------------------- first tensors


def test_first_tensors_of_several_threads() -> None:
    """Whenever one arrives, it waits for the operations for tensors, which the first one loads, slowly here."""
    pytest.importorskip("torch")
    run_python(
        """
        import sys, threading, time
        import torch
        import fastrenyi as fr

        class Slow:
            def find_spec(self, name, path=None, target=None):
                if name.startswith("fastrenyi.torch.ops"):
                    time.sleep(0.05)

        def first(k):
            time.sleep(0.05 * k)
            found.append(fr.gram(x).shape)

        sys.meta_path.insert(0, Slow())
        x, found = torch.arange(12.0).reshape(4, 3), []
        threads = [threading.Thread(target=first, args=(k,)) for k in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 30, len(found)
        """
    )
