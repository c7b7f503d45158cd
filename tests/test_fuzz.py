"""The fuzzer: its reference is right, a second of it finds nothing, and it finds what is planted."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import calls
import fastrenyi as fr
import reference
from conftest import Draw
from fuzz import __main__ as fuzz
from fuzz import cases, exact, layouts, numbers, sweep
from fuzz.exact import WIDE, Interval

ORDERS = [0.0, 0.01, 0.5, 0.999, 1 - 1e-12, 1.0, 1 + 1e-9, 1.01, 1.99, 2.0, 2.01, 7.0, 1e3, math.inf]


# ------------------------------------------------------------------------------------------------- the reference


@pytest.mark.parametrize("n", [1, 2, 3, 12, 40])
def test_eigenvalues_in_long_double(n: int, rng: np.random.Generator) -> None:
    """Of a matrix whose eigenvalues are known: repeated ones, zeros, and down to 1e-18."""
    values = np.sort(np.concatenate([[1.0, 1.0, 0, 0], 10.0 ** -rng.uniform(0, 18, n)])[:n]).astype(WIDE)
    q = np.linalg.qr(rng.normal(size=(n, n)))[0].astype(WIDE)
    for _ in range(3):
        q = q @ (3 * np.eye(n, dtype=WIDE) - q.T @ q) / 2
    matrix = (q * values) @ q.T
    found = np.sort(exact.eigenvalues((matrix + matrix.T)[None] / 2)[0])
    assert np.abs(found - values).max() <= 20 * n * np.finfo(WIDE).eps


def test_an_entropy_lies_in_its_interval_and_little_else_does(draw: Draw) -> None:
    grams = draw.matrices(3, 12)
    found = exact.entropy(exact.joint([grams]), ORDERS, 1, 2.0**-52, 2.0**-52)
    for k, order in enumerate(ORDERS):
        expected = np.array([reference.entropy(gram, order) for gram in grams])
        inside = Interval(found.low[:, k], found.high[:, k])
        assert inside.holds(expected).all(), (order, found.low[:, k], expected, found.high[:, k])
        if order >= 1:
            assert (inside.high - inside.low < 1e-11).all(), (order, inside)


@pytest.mark.parametrize("order", [0.05, 0.3, 0.9, 1.0, 1.5, 3.0])
def test_the_interval_holds_what_rounding_does(order: float, rng: np.random.Generator) -> None:
    """Eigenvalues that are moved by as much as the model says, zeros among them: the entropy stays inside."""
    values = np.concatenate([rng.dirichlet(np.ones(4)), np.zeros(6)])
    epsilon = 2.0**-23
    found = exact.entropy(np.diag(values)[None].astype(WIDE), [order], 1, epsilon, epsilon)
    delta = 4 * epsilon * ((10 + 8) * values.max() + 1)
    for _ in range(200):
        signs = np.concatenate([rng.permutation([1, 1, -1, -1]), rng.choice([-1, 1], 6)])
        moved = np.maximum(values + delta * signs, 0)
        assert found.holds(reference.spectrum_entropy(moved / moved.sum(), order)).all()


def test_intervals() -> None:
    a, b = Interval(1.0, 2.0), Interval(-1.0, 4.0)
    assert a + b.times(-1) == Interval(-3.0, 3.0)
    assert b.over(a) == Interval(-1.0, 4.0)
    assert a.over(b).holds([-1e9, 1e9]).all()


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_layouts_hold_the_values(library: str, rng: np.random.Generator) -> None:
    if library == "torch":
        pytest.importorskip("torch")
    for shape in [(), (3,), (2, 3, 4), (0, 2), (2, 0, 3), (1, 1)] * 10:
        values = rng.normal(size=shape)
        np.testing.assert_array_equal(np.asarray(layouts.laid_out(values, "float64", library, rng)), values)


# --------------------------------------------------------------------------------------------- finding something


def run(tmp_path: Path, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    file = tmp_path / "failures.jsonl"
    status = fuzz.main([*arguments, "--failures", str(file)])
    return status, [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.parametrize("part", ["numbers", "arguments"])
def test_a_second_finds_nothing(part: str, tmp_path: Path, rng: np.random.Generator) -> None:
    seed = str(rng.integers(2**31))
    assert run(tmp_path, "--only", part, "--seconds", "1", "--seed", seed) == (0, [])


def test_a_wrong_number_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """An entropy that is off by a hundred thousandth of its size, and the same call again by its name."""
    right = fr.entropy
    monkeypatch.setattr(fr, "entropy", lambda *given, **options: right(*given, **options) * (1 + 1e-5))
    status, records = run(tmp_path, "--only", "numbers", "--seconds", "2", "--seed", "1")
    assert status == 1
    assert all("entropy" in record["call"] for record in records), records
    assert fuzz.main(["--case", records[0]["case"]]) == 1
    assert records[0]["what"] in capsys.readouterr().out
    monkeypatch.undo()
    assert fuzz.main(["--case", records[0]["case"]]) == 0


def test_an_entry_of_a_gram_that_is_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = reference.gram_gaussian
    monkeypatch.setattr(reference, "gram_gaussian", lambda x, sigma: right(x, sigma * (1 + 1e-6)))

    def many() -> None:
        for place in range(500):
            numbers.check(np.random.default_rng([2, place]))

    with pytest.raises(numbers.Wrong, match=r"was expected"):
        many()


def test_a_bare_error_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gram(x: Any, kernel: Any = "gaussian", bandwidth: Any = None) -> Any:
        return fr.gram(x, kernel, bandwidth) if len(x.shape) == 2 else x[0]

    monkeypatch.setattr(calls, "all_calls", lambda: {"gram": calls.Call(gram, {"x": calls.X})})
    status, records = run(tmp_path, "--only", "arguments", "--seconds", "2", "--seed", "1")
    assert status == 1
    assert any("has no attribute 'shape'" in record["what"] for record in records)


def test_an_error_of_the_fuzzer_itself_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(rng: np.random.Generator) -> None:
        raise ZeroDivisionError("its own")

    monkeypatch.setitem(fuzz.CHECKS, "numbers", broken)
    status, records = run(tmp_path, "--only", "numbers", "--seconds", "0.01")
    assert status == 1
    assert records[0]["what"] == "ZeroDivisionError: its own"


def test_every_kind_of_value_can_be_made_and_shown(rng: np.random.Generator) -> None:
    for make in sweep.OF_PYTHON:
        sweep._shown(make())
    for _ in range(500):
        sweep._shown(sweep.value(rng))


def test_every_measure_is_fuzzed() -> None:
    measured = {*numbers.MEASURES, "gram", "channel_grams", "tensor_gram", "divergence", "layer_decomposition"}
    others = {"entropy_of_spectrum", "normalize", "spectrum"}  # of whose results all of these are made
    others |= {"rank_maps"}  # which is made of the numbers of layer_decomposition
    others |= {"leave_one_out", "group_o_information"}  # which their own tests hold against the reference
    others |= {"get_include", "get_library", "get_cmake_dir"}  # which have no arguments
    others |= {"get_num_threads", "set_num_threads", "settings"}  # of all calls: test_settings
    others |= {"lazy_gram"}  # whose intervals test_large.py compares with them
    others |= {
        "alignment",
        "cauchy_schwarz_divergence",
        "cauchy_schwarz_information",
        "coding_rate",
        "curvature",
        "dime",
        "effective_rank",
        "eigenscore",
        "graph_gram",
        "infonce",
        "lidar",
        "logdet_entropy",
        "participation_ratio",
        "relative_entropy",
        "spectral_slope",
        "stable_rank",
        "vendi_score",
    }  # which test_family.py and those beside it hold against the reference
    functions = {name for name in fr.__all__ if name[0].islower() and name != "__version__"}
    assert functions <= measured | others | {"permutation_test"}


def test_rounding_to_bfloat16() -> None:
    pytest.importorskip("torch")
    assert cases.rounded(np.array([1 / 3, 1e39]), "bfloat16").tolist() == [0.333984375, 1.0]
