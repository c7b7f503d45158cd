"""The spectrum engine: every instruction set, hard matrices, and the independence of what shares its vectors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastrenyi import _core

ISAS = _core.build_info()["isa"]
FILES = ("test_engine.py", "test_gram.py", "test_figures.py", "test_spectrum.py::test_the_way_by_a_band")
SIZES = [1, 2, 3, 4, 5, 7, 8, 16, 31, 33, 64, 100, 129]


def bound(n: int, dtype: type) -> float:
    """Allowed error of an eigenvalue relative to the norm."""
    return 8 * max(n, 8) * float(np.finfo(dtype).eps)


def orthogonal(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


def hard_matrices(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Symmetric matrices of order n that trouble an eigenvalue routine."""
    ones, identity = np.ones((n, n)), np.eye(n)
    x = rng.normal(size=(n, 3))
    duplicated = np.repeat(rng.normal(size=((n + 1) // 2, 5)), 2, axis=0)[:n]
    q = orthogonal(rng, n)
    wilkinson = np.diag(np.abs(np.arange(n) - (n - 1) / 2)) + np.eye(n, k=1) + np.eye(n, k=-1)
    matrices = {
        "identity": identity / n,
        "zero": 0 * identity,
        "rank one": ones / n,
        "diagonal": np.diag(rng.permutation(n) + 1.0),
        "indefinite": rng.normal(size=(n, n)),
        "low rank": x @ x.T,
        "duplicated": np.exp(-((duplicated[:, None] - duplicated[None]) ** 2).sum(-1) / 2) / n,
        "wide": np.exp(-((x[:, None] - x[None]) ** 2).sum(-1) / 2e6) / n,
        "narrow": np.exp(-((x[:, None] - x[None]) ** 2).sum(-1) * 1e6) / n,
        "graded": q * np.logspace(0, -14, n) @ q.T,
        "two clusters": q * np.where(np.arange(n) % 2, 1.0, 1e-3) @ q.T,
        "wilkinson": wilkinson,
        "antidiagonal": np.fliplr(identity),
        "blocks": np.kron(np.eye((n + 1) // 2), np.array([[2.0, 1.0], [1.0, 2.0]]))[:n, :n],
        "tridiagonal": 2 * identity - np.eye(n, k=1) - np.eye(n, k=-1),
    }
    return {name: (a + a.T) / 2 for name, a in matrices.items()}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", SIZES)
def test_hard_matrices(rng: np.random.Generator, n: int, dtype: type) -> None:
    matrices = hard_matrices(rng, n)
    batch = np.stack(list(matrices.values())).astype(dtype)
    expected = np.linalg.eigvalsh(batch.astype(np.float64))
    for name, found, right in zip(matrices, _core.spectrum(batch, 2), expected, strict=True):
        assert (np.diff(found) >= 0).all(), name
        np.testing.assert_allclose(found, right, rtol=0, atol=bound(n, dtype) * np.abs(right).max(), err_msg=name)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("exponent", [-280, -150, -30, 30, 150, 280])
def test_extreme_scales(rng: np.random.Generator, dtype: type, exponent: int) -> None:
    exponent = exponent if dtype is np.float64 else exponent // 9
    batch = np.stack(list(hard_matrices(rng, 20).values()))
    expected = np.linalg.eigvalsh(batch)
    scaled = _core.spectrum((batch * 10.0**exponent).astype(dtype), 2) / dtype(10.0**exponent)
    norm = np.abs(expected).max(axis=1, keepdims=True) + 1e-300
    np.testing.assert_allclose(scaled / norm, expected / norm, rtol=0, atol=bound(20, dtype))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_neighbours_and_threads_change_no_bit(rng: np.random.Generator, dtype: type) -> None:
    """A matrix alone, among others, in another lane and on other threads: the same bits."""
    batch = np.stack(list(hard_matrices(rng, 40).values()) * 5).astype(dtype)
    whole = _core.spectrum(batch, 2)
    assert (_core.spectrum(batch, 1) == whole).all()
    order = rng.permutation(len(batch))
    assert (_core.spectrum(batch[order], 2) == whole[order]).all()
    for k in range(len(batch) // 5):
        assert (_core.spectrum(batch[k : k + 1], 2)[0] == whole[k]).all()


def test_strides_and_one_triangle(rng: np.random.Generator) -> None:
    a = rng.normal(size=(9, 30, 30))
    a = a + a.transpose(0, 2, 1)
    right = np.linalg.eigvalsh(a)
    wide = np.zeros((9, 60, 90))
    wide[:, ::2, ::3] = a
    for view in (a, a.transpose(0, 2, 1), a[:, ::-1, ::-1], wide[:, ::2, ::3], np.asfortranarray(a)):
        np.testing.assert_allclose(_core.spectrum(view, 2), right, atol=1e-12)


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set(isa: str) -> None:
    """Each that runs here passes the tests above, in a process of its own."""
    code = "import json; from fastrenyi import _core; print(json.dumps(_core.build_info()))"
    environment = dict(os.environ, FASTRENYI_ISA=isa)
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if run.returncode:
        assert "FASTRENYI_ISA: expected one of" in run.stderr
        pytest.skip(f"this processor does not run {isa}")
    assert json.loads(run.stdout)["isa_in_use"] == isa
    if os.environ.get("FASTRENYI_ISA") is None:
        files = [str(Path(__file__).with_name(name)) for name in FILES]
        tests = [sys.executable, "-m", "pytest", "-q", "-x", *files, "-k", "not instruction_set"]
        run = subprocess.run(tests, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout[-3000:]


def test_an_unknown_instruction_set_is_refused() -> None:
    environment = dict(os.environ, FASTRENYI_ISA="mmx")
    run = subprocess.run([sys.executable, "-c", "import fastrenyi"], env=environment, capture_output=True, text=True)
    assert run.returncode != 0
    assert "ImportError: FASTRENYI_ISA: expected one of baseline" in run.stderr
    assert "got 'mmx'" in run.stderr
