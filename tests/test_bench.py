"""The benchmark suite, at its quick size: answers, the table and its files; no time is tested."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rich")
pytest.importorskip("threadpoolctl")

import torch

from fastrenyi import bench, cli
from fastrenyi.bench import command, memory
from fastrenyi.bench.measure import Effort, Gemm, _rounds, default_threads, measure, threads_set, verify

ROOT = Path(__file__).parents[1]
QUICK = bench.workloads("quick")


@pytest.mark.parametrize("workload", QUICK, ids=lambda workload: workload.name)
def test_all_sides_of_every_workload_are_right(workload: bench.Workload) -> None:
    task = workload.make()
    errors = verify(task)
    assert list(errors) == [side.name for side in task.sides]
    assert errors["ours"] <= task.tolerance
    assert task.ours.share == 1
    assert any(side.ranked for side in task.peers)


@pytest.mark.parametrize("workload", QUICK, ids=lambda workload: workload.name)
def test_a_wrong_answer_ends_the_run(workload: bench.Workload) -> None:
    task = workload.make()
    read = task.ours.read

    def spoiled(raw: Any) -> Any:
        values = np.array(read(raw))
        values.flat[-1] += 1
        return values

    task = dataclasses.replace(task, ours=dataclasses.replace(task.ours, read=spoiled))
    broken = dataclasses.replace(workload, make=lambda: task)
    with pytest.raises(bench.WrongAnswerError, match=f"^{workload.name}: ours: expected answers within"):
        measure(broken, Effort(0, 1, 1), Gemm(quick=True))


@pytest.mark.parametrize("answer", [np.full(3, np.nan), np.zeros(2)])
def test_nan_and_wrong_shapes_are_wrong_answers(answer: Any) -> None:
    side = bench.Side("ours", lambda: answer)
    task = bench.Task(side, (), lambda: np.zeros(3), lambda found, right: float(np.abs(found - right).max()), 1, "")
    with pytest.raises(bench.WrongAnswerError):
        verify(task)


def test_sizes_have_the_same_groups_and_names_of_their_own() -> None:
    for size in bench.SIZES:
        names = [workload.name for workload in bench.workloads(size)]
        assert len(set(names)) == len(names)
        assert {w.group for w in bench.workloads(size)} == {w.group for w in QUICK}
    with pytest.raises(ValueError, match=r"^size: "):
        bench.workloads("huge")


def test_sides_run_in_turn() -> None:
    ran: list[str] = []
    sides = tuple(bench.Side(name, lambda name=name: ran.append(name)) for name in "abc")
    times = _rounds(sides, Effort(60.0, 1, 4, pause=0.0, warm=0.0))
    # from the second round on a short side runs untimed, here once, before it is timed
    assert "".join(ran) == "abc" + "bbccaa" + "ccaabb" + "aabbcc"
    assert {name: len(found) for name, found in times.items()} == {"a": 4, "b": 4, "c": 4}


def test_threads_are_set_and_given_back() -> None:
    before = default_threads()
    with threads_set(1):
        assert torch.get_num_threads() == 1
    assert default_threads() == before


def test_the_command_writes_table_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out.json"
    assert cli.main(["bench", "--quick", "--no-memory", "--threads", "1", "--json", str(path)]) == 0
    assert "workload" in capsys.readouterr().out
    found = json.loads(path.read_text())
    assert found["threads"] == 1
    assert found["size"] == "quick"
    assert set(found["gemm_gflops"]) == {"float64", "float32"}
    assert [row["workload"] for row in found["rows"]] == [workload.name for workload in QUICK]
    for row in found["rows"]:
        assert next(iter(row["seconds"])) == "ours"
        assert row["best"] in row["ratios"]
        assert row["best"] not in row["unranked"]
        assert row["seconds"][row["best"]] / row["seconds"]["ours"] == row["ratios"][row["best"]]
        assert row["errors"]["ours"] <= row["tolerance"]
        assert 0 < row["gemm_share"] == row["gflops"] / found["gemm_gflops"][row["dtype"]]


def test_markdown_is_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--quick", "--no-memory", "--markdown", "--only", "spectra-*64", "--only", "vgg"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 3
    assert len({row.count("|") for row in rows}) == 1
    assert lines[-1].startswith("- vgg-")


def test_peak_memory_is_that_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = "gram-4x3x3-float64"
    found = memory.peak_bytes("quick", workload, "ours", 1)
    if found is None:
        pytest.skip("no /proc")
    assert 0 <= found < 100e6
    with pytest.raises(RuntimeError, match=f"{workload}, theirs"):
        memory.peak_bytes("quick", workload, "theirs", 1)
    monkeypatch.setattr(memory, "_RESET", Path("/absent"))
    assert memory.peak_bytes("quick", workload, "ours", 1) is None


def test_list_names_what_only_accepts(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--full", "--list"]) == 0
    names = capsys.readouterr().out.split()
    assert "single-8192-float64" in names
    assert [w.name for w in command.chosen("full", ["single"])] == [name for name in names if "single" in name]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "dance"], "--only: no workload matches 'dance'; there are spectra-"),
        (["--threads", "0"], "--threads: expected at least 1, got 0"),
        (["--budget", "0"], "--budget: expected a time above zero, got 0"),
        (["--quick", "--full"], "not allowed with"),
        (["--json", "absent/folder/out.json"], "absent"),
    ],
)
def test_wrong_arguments_are_named(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    size = [] if "--full" in arguments else ["--quick", "--no-memory"]
    try:
        code: Any = cli.main(["bench", *size, *arguments])
    except SystemExit as exit_:
        code = exit_.code
    captured = capsys.readouterr()
    assert code == 2
    assert said in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("missing", ["torch", "rich", "threadpoolctl"])
def test_a_missing_package_is_named_with_its_extra(missing: str) -> None:
    code = "import sys; sys.modules[sys.argv[1]] = None; from fastrenyi import cli; sys.exit(cli.main(sys.argv[2:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, missing, "bench", "--quick"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert f"fastrenyi bench: error: needs {missing}; pip install 'fastrenyi[bench]'" in done.stderr


def test_pytest_benchmark_runs_every_side() -> None:
    pytest.importorskip("pytest_benchmark")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "benchmarks", "--size", "quick", "--benchmark-disable", "-q", "-p",
         "no:cacheprovider", "-p", "no:xdist"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sides = sum(len(workload.make().sides) for workload in QUICK)
    assert f"{sides} passed" in done.stdout
