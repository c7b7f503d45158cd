"""Settings of all calls: threads, and calls that look at no numbers, of which garbage comes out and nothing worse."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
from conftest import Draw, Nx, refused, run_python

torch = pytest.importorskip("torch")


# ------------------------------------------------------------------------------------------------------- threads


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    yield
    fr.set_num_threads(None)


def test_a_limit_of_threads_is_kept() -> None:
    most = fr.get_num_threads()
    fr.set_num_threads(1)
    assert fr.get_num_threads() == 1
    fr.set_num_threads(1000)
    assert fr.get_num_threads() >= most  # as many as OpenMP allows
    fr.set_num_threads(None)
    assert fr.get_num_threads() == most
    fr.set_num_threads(np.int64(1))  # type: ignore[arg-type]
    assert fr.get_num_threads() == 1


@pytest.mark.parametrize("n", [0, -1, 2**40])
def test_numbers_that_are_none_of_threads(n: int) -> None:
    fr.set_num_threads(1)
    refused(ValueError, "n", lambda: fr.set_num_threads(n))
    assert fr.get_num_threads() == 1


@pytest.mark.parametrize("n", [True, False, 1.0, "2", [1], np.ones(1)])
def test_kinds_that_are_none_of_threads(n: Any) -> None:
    refused(TypeError, "n", lambda: fr.set_num_threads(n))


def test_it_is_of_the_whole_process() -> None:
    fr.set_num_threads(1)
    found: list[int] = []
    other = threading.Thread(target=lambda: found.append(fr.get_num_threads()))
    other.start()
    other.join()
    assert found == [1]


PROGRAM = """
    import os
    import numpy as np
    {imports}
    import fastrenyi as fr
    x = np.random.default_rng(0).normal(size=(50, 40, 3))
    {before}
    print(fr.get_num_threads())
    before = len(os.listdir("/proc/self/task"))
    fr.gram(x)
    print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.parametrize(
    ("imports", "before", "expected"),
    [
        ("", "", [4, 3]),
        ("", "fr.set_num_threads(2)", [2, 1]),
        ("", "fr.set_num_threads(9)", [4, 3]),  # no more than OpenMP is set to
        ("", "fr.set_num_threads(1); fr.set_num_threads(None)", [4, 3]),
        ("import torch", "fr.set_num_threads(2)", [2, 1]),
        ("import torch", "torch.set_num_threads(3)", [3, 2]),
        ("import torch", "torch.set_num_threads(3); fr.set_num_threads(2)", [2, 1]),
        ("import torch", "fr.set_num_threads(3); torch.set_num_threads(2)", [2, 1]),  # which sets OpenMP
        ("import threadpoolctl", "threadpoolctl.threadpool_limits(2); fr.set_num_threads(3)", [2, 1]),
    ],
)
def test_beside_other_settings(imports: str, before: str, expected: list[int]) -> None:
    """OpenMP makes the threads that a call needs, and keeps them: so many are new."""
    output = run_python(PROGRAM.format(imports=imports, before=before), OMP_NUM_THREADS="4")
    found = [int(word) for word in output.split()]
    assert found[0] == expected[0]
    assert found[1] <= expected[1]  # some may have been made before
    if "torch" not in imports:
        assert found == expected


# -------------------------------------------------------------------------------------------- numbers not looked at


def calls(a: Any, b: Any, x: Any) -> dict[str, Callable[[], Any]]:
    """Calls whose numbers are looked at, of two Grams and samples."""
    maps = a[None] / 2 + b[None] / 2
    return {
        "spectrum": lambda: fr.spectrum(a), "entropy": lambda: fr.entropy(a, [0, 0.5, 1, 1.01, 2, 3, math.inf]),
        "order two": lambda: fr.entropy(a, 2), "joint": lambda: fr.joint_entropy(a, b),
        "information": lambda: fr.mutual_information(a, b), "total": lambda: fr.total_correlation(a, b, a),
        "null": lambda: fr.permutation_test(a, b, 3), "normalize": lambda: fr.normalize(a),
        "of a spectrum": lambda: fr.entropy_of_spectrum(a[0]), "layer": lambda: fr.layer_decomposition(maps, b),
        "ranks": lambda: fr.rank_maps(maps, b), "relative": lambda: fr.relative_entropy(a, b),
        "alignment": lambda: fr.alignment(a, b), "rank": lambda: fr.effective_rank(a),
        "cosine": lambda: fr.gram(x, "cosine"), "linear": lambda: fr.gram(x, "linear"),
        "median": lambda: fr.gram(x, bandwidth="median"),
        "neighbours": lambda: fr.gram(x, bandwidth=fr.NearestNeighbours(2)),
        "called": lambda: fr.Gaussian(1.0)(x, x), "delta": lambda: fr.gram(x, "delta"),
    }  # fmt: skip


def same(found: Any, right: Any) -> bool:
    if isinstance(right, (np.ndarray, np.generic, torch.Tensor)):
        found, right = (torch.as_tensor(x).double().numpy() for x in (found, right))
        return np.array_equal(found, right, equal_nan=True)
    if dataclasses.is_dataclass(right):
        return all(same(getattr(found, part.name), getattr(right, part.name)) for part in dataclasses.fields(right))
    return bool(found == right)


def test_right_numbers_give_the_same(nx_dtype: Nx, draw: Draw) -> None:
    x = nx_dtype.array(draw.samples(9, 3))
    listed = calls(fr.gram(x, bandwidth=1.0), fr.gram(x, bandwidth=2.0), x)
    for name, call in listed.items():
        if name == "of a spectrum" or (name == "relative" and "16" in nx_dtype.dtype):
            continue  # what they are given here is refused
        right = call()
        with fr.settings(validate=False):
            found = call()
        assert same(found, right), name


GARBAGE: dict[str, Callable[[np.ndarray], Any]] = {
    "NaN": lambda a: np.full_like(a, np.nan),
    "one NaN": lambda a: np.where(np.arange(a.size).reshape(a.shape) == a.size // 2, np.nan, a),
    "infinity": lambda a: np.full_like(a, np.inf),
    "not symmetric": lambda a: np.triu(a),
    "negative": lambda a: -a,
    "huge": lambda a: np.sign(a) * np.finfo(a.dtype).max,
    "zero": lambda a: np.zeros_like(a),
}


@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_garbage_ends_and_breaks_nothing(kind: str, library: str, dtype: Any, draw: Draw) -> None:
    """A result, or an error of Python; what is hung or torn down would end the tests."""
    for n in (1, 2, 7, 40):
        given = [GARBAGE[kind](draw.samples(n, n).astype(dtype)) for _ in range(2)]
        a, b = map(torch.from_numpy, given) if library == "torch" else given
        for call in calls(a, b, a).values():
            with fr.settings(validate=False), np.errstate(all="ignore"), suppress(ValueError, RuntimeError):
                call()
    x = fr.gram(draw.samples(9, 3))
    fr.entropy(x)  # and the library is as it was


@pytest.mark.parametrize("kind", ["NaN", "infinity", "not symmetric"])
def test_garbage_in_large_matrices_ends(kind: str, draw: Draw) -> None:
    """LAPACK's part and the way by a band."""
    for n in (200, 800):
        with fr.settings(validate=False), suppress(RuntimeError):  # it does not converge
            fr.spectrum(GARBAGE[kind](draw.samples(n, n)))


def test_garbage_has_gradients_that_end(draw: Draw) -> None:
    for kind in GARBAGE:
        a = torch.tensor(GARBAGE[kind](draw.samples(8, 8)), requires_grad=True)
        for alpha in (1.01, 2, [0.5, 3]):
            with fr.settings(validate=False), suppress(ValueError, RuntimeError):
                fr.entropy(a, alpha).sum().backward()


def test_what_costs_nothing_is_refused_as_ever(nx_dtype: Nx, draw: Draw) -> None:
    x = draw.samples(6, 3)
    a = nx_dtype.array(fr.gram(x))
    with fr.settings(validate=False):
        refused(TypeError, "a", lambda: fr.entropy("a"))
        refused(ValueError, "a", lambda: fr.entropy(a[:3]))
        refused(ValueError, "b", lambda: fr.mutual_information(a, a[:3, :3]))
        refused(TypeError, "a", lambda: fr.entropy(np.ones((3, 3), int)))
        refused(ValueError, "alpha", lambda: fr.entropy(a, -1))
        x[2, 1] = np.nan
        assert "(2, 1)" in refused(ValueError, "x", lambda: fr.gram(nx_dtype.array(x), bandwidth=1.0))
        with pytest.raises(fr.NotPositiveSemidefiniteError):
            fr.entropy(nx_dtype.array(np.diag([1.5, -0.5])))


def test_it_holds_for_the_block_and_the_thread(draw: Draw) -> None:
    a = 2 * draw.grams(5)
    found: list[bool] = []

    def looks() -> None:
        try:
            fr.entropy(a)
        except ValueError:
            found.append(True)
        else:
            found.append(False)

    looks()
    with fr.settings(validate=False):
        looks()
        with fr.settings(validate=True):
            looks()
        looks()
        other = threading.Thread(target=looks)
        other.start()
        other.join()
    looks()
    with pytest.raises(ZeroDivisionError), fr.settings(validate=False):
        1 / 0  # noqa: B018
    looks()
    fr.settings(validate=False)(looks)()  # as a decorator
    assert found == [True, False, True, False, True, True, True, False]


@pytest.mark.parametrize("validate", [0, None, "no", np.ones(1)])
def test_kinds_that_are_neither(validate: Any) -> None:
    def enter() -> None:
        with fr.settings(validate=validate):
            pass

    refused(TypeError, "validate", enter)
    with pytest.raises(TypeError):
        fr.settings(False)  # type: ignore[misc]


def test_around_compiled_code(draw: Draw) -> None:
    torch._dynamo.reset()
    a = torch.from_numpy(2 * draw.grams(5))
    compiled = torch.compile(lambda a: fr.entropy(a, 2), fullgraph=True, backend="aot_eager")
    with pytest.raises(ValueError, match=r"^a: expected Grams of trace one"):
        compiled(a)
    with fr.settings(validate=False):
        torch.testing.assert_close(compiled(a), fr.entropy(a / 2, 2))


def test_on_a_device_nothing_is_looked_at(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastrenyi._emulated")
    monkeypatch.setitem(fr._backend.MODULES, "cpu", "_emulated")  # type: ignore[attr-defined]
    a = torch.from_numpy(draw.grams(5))
    right = fr.entropy(a, 2)
    x = torch.from_numpy(draw.samples(6, 2))
    x[2] = math.nan
    with fr.settings(validate=False):
        torch.testing.assert_close(fr.entropy(2 * a, 2), right)
        assert fr.gram(x, bandwidth=1.0).isnan().any()
        fr.gram(0 * x, "cosine")
        fr.entropy(torch.diag(torch.tensor([1.5, -0.5])))
    with pytest.raises(ValueError, match=r"^a: expected Grams of trace one"):
        fr.entropy(2 * a, 2)
