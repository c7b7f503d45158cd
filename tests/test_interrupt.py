"""Signals: an exception of a handler (Ctrl-C) ends every compiled call soon, and one that goes on changes no bit."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
from conftest import run_python
from fastrenyi import _core

threadpoolctl = pytest.importorskip("threadpoolctl")
pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers of signals")

SOON = 5.0
"""Seconds in which a call must have ended: none of those below ends by itself in less than two or three times that."""


class Enough(Exception):
    pass


@contextmanager
def alarms(handler: Callable[..., Any], seconds: float) -> Iterator[None]:
    """Call the handler after so many seconds."""
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def enough(*_: object) -> None:
    raise Enough


def ends_soon(call: Callable[[], Any]) -> None:
    start = time.monotonic()
    with pytest.raises(Enough), alarms(enough, 0.2):
        call()
    assert time.monotonic() - start < SOON


def many(a: Any, count: int) -> Any:
    """An array so many times, in the memory of one."""
    return np.broadcast_to(a, (count, *a.shape))


def matrix(n: int) -> Any:
    """A symmetric matrix, positive definite, that is quickly made."""
    i = np.arange(n)
    return (np.cos(np.multiply.outer(i, i) % 6.0) + 2 * n * np.eye(n)) / (2 * n * n)


def reduced(n: int) -> Any:
    """What ``reduce`` gives for a diagonal matrix."""
    found, values = np.zeros((1, n + 3, n)), np.linspace(1e-9, 1, n)
    found[0, n] = found[0, n + 2] = values
    return found


# On a number of threads; the arguments are made before the clock is set.
LONG: dict[str, Callable[[int], Callable[[], Any]]] = {
    # one Gram whose blocks are long, and many
    "gaussian": lambda t: gram("gaussian", many(np.ones(60_000), 2_000)[None], t),
    "laplacian": lambda t: gram("laplacian", many(np.ones((400, 2_000)), 600), t),
    "polynomial": lambda t: gram("polynomial", many(np.ones((400, 4_000)), 600), t),
    "strided": lambda t: gram("gaussian", many(np.ones(3_000), 10_000).T[None], t),
    "distances": lambda t: partial(_core.distances, many(np.ones((400, 4_000)), 600), "euclidean", t),
    "delta": lambda t: partial(_core.delta_gram, many(np.ones(4_000, np.int64), 6_000)[None], t),
    # every way of a spectrum
    "spectrum, lanes": lambda t: partial(_core.spectrum, many(matrix(64), 200_000), t),
    "spectrum, wide lanes": lambda t: partial(_core.spectrum, many(matrix(768), 400), t),
    "spectrum, LAPACK": lambda t: partial(_core.spectrum, many(matrix(1_500), 60), t),
    "spectrum, LAPACK alone": lambda t: partial(_core.spectrum, matrix(4_095).astype(np.float32)[None], t),
    "spectrum, by a band": lambda t: partial(_core.spectrum, matrix(5_000)[None], t),
    "reduce": lambda t: partial(_core.reduce, [matrix(4_000)[None]], t),
    "slope": lambda t: partial(_core.slope, reduced(4_000), np.ones((1, 1)), [1.5], 1.0, t),
    # all else
    "entropy": lambda t: partial(_core.entropy, np.ones((20_000, 1_000)), [*range(3, 63)], 1e-16, 1.0, t),
    "collision entropy": lambda t: partial(_core.collision_entropy, [matrix(1_000)[None]], [[0] * 3] * 30_000, 1.0, t),
    "collision slope": lambda t: partial(
        _core.collision_slope, [a := matrix(1_000)[None]], [[0] * 3] * 10_000,
        np.ones((10_000, 2)), np.ones(10_000), 1.0, [np.zeros_like(a)], t,
    ),
    "hadamard": lambda t: partial(_core.hadamard, [many(matrix(1_000), 40)] * 1_000, t),
    "joint slope": lambda t: partial(
        _core.joint_slope, [a := many(matrix(1_000), 20)] * 400,
        np.ones(a.shape), [np.zeros(a.shape)] + [None] * 399, t,
    ),
    "gram slope": lambda t: partial(
        _core.gram_slope, many(np.ones(10_000), 3_000)[None], "gaussian",
        np.ones(1), a := np.ones((1, 3_000, 3_000)), a, t,
    ),
    "pairs": lambda t: pairs(many(matrix(200), 300), np.triu_indices(300), [1.01], t),
    "pairs of order two": lambda t: pairs(many(matrix(1_000), 600), np.triu_indices(600), [2.0], t),
    "few pairs of order two": lambda t: pairs(many(matrix(1_000), 6_000), [[*range(6_000)] * 4] * 2, [2.0], t),
    "not finite": lambda t: partial(_core.first_not_finite, many(np.ones((1_000, 1_000)), 100_000), t),
    "zero row": lambda t: partial(_core.first_zero_row, many(np.zeros((1_000, 1_000)), 60_000), t),
    "fault": lambda t: partial(_core.gram_fault, many(matrix(1_000), 60_000), 1e-3, False, t),
    "fault, strided": lambda t: partial(_core.gram_fault, many(matrix(2_000), 2_000)[..., ::-1, ::-1], 1.0, False, t),
}  # fmt: skip


def gram(kind: str, x: Any, threads: int) -> Callable[[], Any]:
    widths = None if kind == "polynomial" else np.ones(len(x))
    return partial(_core.gram, x, kind, widths, 2, 1.0, 1.0, threads)


def pairs(maps: Any, index: Any, orders: list[float], threads: int) -> Callable[[], Any]:
    return partial(_core.pairs, maps, None, np.stack(index, axis=1), orders, 1e-16, 1.0, threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", LONG)
def test_a_long_call_ends_soon(name: str, threads: int) -> None:
    call = LONG[name](threads)
    with threadpoolctl.threadpool_limits(2):
        ends_soon(call)
        # And all is as it was: the team of threads, and the number of BLAS's.
        blas = [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]
        assert {library["num_threads"] for library in blas} == {2}
        values = _core.spectrum(np.stack([np.eye(n := 40)] * 100) * np.arange(1, n + 1), 2)
        assert np.allclose(values, np.arange(1, n + 1), rtol=1e-12)


PUBLIC: dict[str, Callable[[], Callable[[], Any]]] = {
    "one entropy": lambda: partial(fr.entropy, fr.normalize(matrix(5_000))),
    "layer": lambda: partial(fr.layer_decomposition, a := many(fr.normalize(matrix(200)), 300), a[0]),
    "permutations": lambda: partial(fr.permutation_test, a := fr.normalize(matrix(500)), a, 5_000),
    "alignment": lambda: partial(
        fr.gram, np.ones((2_000, 3)), bandwidth=fr.Alignment(fr.normalize(matrix(2_000)), np.geomspace(0.1, 10, 400))
    ),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_long_public_call_ends_soon(name: str) -> None:
    ends_soon(PUBLIC[name]())


def test_a_long_backward_pass_ends_soon() -> None:
    torch = pytest.importorskip("torch")
    x = torch.ones((2_500, 8_000), dtype=torch.float64, requires_grad=True)
    total = fr.gram(x).sum()
    ends_soon(total.backward)
    assert x.grad is None


# ------------------------------------------------------------------------------------------------- going on


def some_calls() -> dict[str, Callable[[], Any]]:
    """Calls of a few tenths of a second."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1_100, 1_100))
    maps, large = fr.gram(rng.normal(size=(80, 120, 3))), fr.gram(x[:, :4])
    return {
        "gram": lambda: fr.gram(x),
        "entropy": lambda: fr.entropy(large),
        "layer": lambda: fr.layer_decomposition(maps, maps[0]).pairwise,
    }


def test_handlers_that_go_on_change_no_bit() -> None:
    """Also one that calls the library itself, in the midst of the call."""
    small = fr.gram(np.random.default_rng(1).normal(size=(100, 3)))
    calls = some_calls()
    right, of_small = {name: np.asarray(call()) for name, call in calls.items()}, fr.entropy(small)
    handled: list[Any] = []

    def handler(*_: object) -> None:
        handled.append(fr.entropy(small))
        signal.setitimer(signal.ITIMER_REAL, 0.005)  # only now: it would interrupt itself

    with alarms(handler, 0.005):
        found = {name: np.asarray(call()) for name, call in calls.items()}
    for name in calls:
        assert found[name].tobytes() == right[name].tobytes(), name
    assert len(handled) > 1
    assert set(handled) == {of_small}


def test_handlers_have_subnormal_numbers() -> None:
    """Which are taken for zeros within the eigenvalues of a large matrix."""
    seen: list[float] = []

    def handler(*_: object) -> None:
        seen.append(float(np.float64(5e-324) * 1.0))
        signal.setitimer(signal.ITIMER_REAL, 0.05)

    with alarms(handler, 0.05):
        _core.spectrum(matrix(2_500)[None], 1)
    assert len(seen) > 1
    assert set(seen) == {5e-324}
    assert float(np.float64(5e-324) * 1.0) == 5e-324


def test_calls_of_other_threads_go_on() -> None:
    """Python runs handlers on its main thread alone: theirs is the exception, whoever's call is under way."""
    calls, found = some_calls(), {}
    right = {name: np.asarray(call()) for name, call in calls.items()}
    other = threading.Thread(target=lambda: found.update({name: np.asarray(call()) for name, call in calls.items()}))
    ended = 0
    other.start()
    while other.is_alive():
        with pytest.raises(Enough), alarms(enough, 0.02):
            time.sleep(5)
        ended += 1
    assert ended > 0
    for name in calls:
        assert found[name].tobytes() == right[name].tobytes(), name


@pytest.mark.skipif(sys.platform != "linux", reason="forks a process with threads")
def test_a_handler_may_fork() -> None:
    """A fork waits for the BLAS calls of other threads, not for the one that its own thread is in the midst of."""
    run_python(
        """
        import os, signal, warnings
        import numpy as np
        import fastrenyi as fr
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        forks = 0
        def fork(*_):
            global forks
            child = os.fork()
            if child == 0:
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            forks += 1
        signal.signal(signal.SIGALRM, fork)
        a = fr.gram(np.random.default_rng(0).normal(size=(1_500, 4)))
        right = fr.entropy(a)
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        while forks < 3:
            assert fr.entropy(a) == right
        signal.setitimer(signal.ITIMER_REAL, 0)
        """,
        timeout=100,
    )
