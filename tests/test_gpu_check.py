"""``make gpu-check`` as far as it can be tried without a GPU: what it says, what it would run, how it judges."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpu_check
from gpu_check import Result, Step

MACHINE: dict[str, Any] = {
    "python": "3.12.1", "missing": [], "gpus": ["A GPU, sm_90, 80 GiB"], "driver": "580.1", "torch": "2.9.0",
    "torch_cuda": "13.0", "cupy": "14.0", "nvcc": "/opt/cuda/bin/nvcc", "nvcc_version": "release 13.0",
    "compute-sanitizer": "/opt/cuda/bin/compute-sanitizer", "ncu": "/opt/cuda/bin/ncu",
}  # fmt: skip
SANITIZERS = ["memcheck", "racecheck", "initcheck"]
PROFILES = [f"profile of {workload}" for workload in gpu_check.PROFILED]
MEASURING = ["benchmarks", "overhead"]
EVERY_STEP = ["build", "tests of kernels", *MEASURING, "tests", *SANITIZERS, *PROFILES]


class FakeRun:
    """Notes the steps; those of pytest leave a report."""

    def __init__(self, codes: dict[str, int] | None = None, numbers: tuple[int, int, int] = (5, 0, 1)) -> None:
        self.codes, self.numbers = codes or {}, numbers
        self.steps: list[Step] = []

    def __call__(self, step: Step) -> int:
        self.steps.append(step)
        if step.report is not None:
            tests, failures, skipped = self.numbers
            step.report.write_text(
                f'<testsuites><testsuite tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}"/>'
                "</testsuites>"
            )
        if step.name == "benchmarks":
            Path(step.command[step.command.index("--json") + 1]).write_text('{"rows": []}')
        return self.codes.get(step.name, 0)

    @property
    def names(self) -> list[str]:
        return [step.name for step in self.steps]


@pytest.fixture(autouse=True)
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(gpu_check, "BUILD", tmp_path)
    monkeypatch.delenv("CUDAARCHS", raising=False)
    return tmp_path


def check(*arguments: str, runner: Any = None, **machine: Any) -> int:
    return gpu_check.main(arguments, runner or FakeRun(), lambda: {**MACHINE, **machine})


# ------------------------------------------------------------------------------------------- nothing can be tried


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (
            {"torch": None, "torch_problem": "ImportError: libcudart"},
            "torch cannot be imported: ImportError: libcudart",
        ),
        ({"gpus": []}, "no GPU: torch.cuda.is_available() is False (torch 2.9.0, of CUDA 13.0; driver: 580.1)"),
        ({"gpus": [], "torch_cuda": None, "driver": None}, "(torch 2.9.0, built without CUDA; driver: not found)"),
        ({"nvcc": None}, "no nvcc on PATH, in CUDACXX, or in CUDA_HOME"),
        ({"missing": ["pybind11", "pytest"]}, "these packages of Python are needed and not there: pybind11, pytest"),
    ],
)
def test_what_is_missing_is_said(machine: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    runner = FakeRun()
    assert check(runner=runner, **machine) == 2
    assert said in capsys.readouterr().err
    assert runner.steps == []


def test_without_a_gpu_it_ends_with_two() -> None:
    pytest.importorskip("torch")
    found = gpu_check.probe()
    if found["gpus"]:
        pytest.skip("there is a GPU")
    assert "no GPU" in (gpu_check.problem(found) or "")
    done = subprocess.run(
        [sys.executable, str(Path(gpu_check.__file__))], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "gpu-check: nothing was built or tested: no GPU" in done.stderr
    assert f"torch:             {found['torch']}" in done.stdout


def test_what_was_found_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(cupy=None, cupy_problem="ImportError: no cupy") == 0
    said = capsys.readouterr().out
    for text in ("A GPU, sm_90, 80 GiB", "580.1", "2.9.0 (CUDA 13.0)", "none (ImportError: no cupy)", "release 13.0"):
        assert text in said


# -------------------------------------------------------------------------------------------------- what is run


def test_all_steps_in_turn(build: Path) -> None:
    runner = FakeRun()
    assert check(runner=runner) == 0
    assert runner.names == EVERY_STEP
    steps = {step.name: step for step in runner.steps}

    first = steps["build"]
    assert first.command[:4] == [sys.executable, "-m", "pip", "install"]
    assert {"--no-build-isolation", "--no-deps", "--no-index", str(build / "package")} <= set(first.command)
    for module in ("CUDA", "EMULATED"):
        assert f"--config-settings=cmake.define.FASTRENYI_{module}=ON" in first.command
    assert first.command[-1] == "."
    assert first.environment == {"CUDAARCHS": "native", "CUDACXX": "/opt/cuda/bin/nvcc"}

    for name in EVERY_STEP[1:]:
        assert steps[name].environment["PYTHONPATH"] == str(build / "package")
    assert steps["tests"].command[-3:] == gpu_check.PUBLIC
    assert "FASTRENYI_TEST_MEMORY" not in steps["tests"].environment
    assert steps["tests of kernels"].environment["FASTRENYI_TEST_MEMORY"] == "cuda"
    for tool in SANITIZERS:
        command = steps[tool].command
        assert command[:5] == ["/opt/cuda/bin/compute-sanitizer", "--tool", tool, "--error-exitcode", "1"]
        assert command[command.index(sys.executable) :][:3] == [sys.executable, "-m", "pytest"]
        assert steps[tool].environment["PYTORCH_NO_CUDA_MEMORY_CACHING"] == "1"
        assert steps[tool].environment["FASTRENYI_TEST_MEMORY"] == "cuda"
        assert ("FASTRENYI_TEST_UNWRITTEN_WORKSPACE" in steps[tool].environment) == (tool == "initcheck")
    assert steps["benchmarks"].command[1:3] == ["-m", "fastrenyi.bench.gpu"]
    for name in PROFILES:
        assert steps[name].command[:3] == ["/opt/cuda/bin/ncu", "--clock-control", "none"]
        assert steps[name].command[-3:] == ["--once", "--only", name.removeprefix("profile of ")]


def test_a_package_that_is_there_is_not_built(tmp_path: Path) -> None:
    runner = FakeRun()
    package = tmp_path / "elsewhere"
    package.mkdir()
    assert check("--package", str(package), runner=runner, nvcc=None) == 0
    assert runner.names == EVERY_STEP[1:]
    assert {step.environment["PYTHONPATH"] for step in runner.steps} == {str(package)}
    assert package.exists()


def test_architectures_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDAARCHS", "80;90")
    assert gpu_check.build_step(MACHINE).environment["CUDAARCHS"] == "80;90"


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--skip-sanitizer"], SANITIZERS),
        (["--skip-benchmarks"], MEASURING),
        (["--skip-profiles"], PROFILES),
        (["--quick"], ["racecheck", "initcheck", *PROFILES]),
        (["--quick", "--skip-sanitizer", "--skip-benchmarks"], [*SANITIZERS, *MEASURING, *PROFILES]),
    ],
)
def test_what_can_be_left_out(arguments: list[str], left: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    runner = FakeRun()
    assert check(*arguments, runner=runner) == 0
    assert runner.names == [name for name in EVERY_STEP if name not in left]
    assert capsys.readouterr().out.count("left out") == len(left)
    for step in runner.steps:
        if step.name == "benchmarks":
            assert ("--quick" in step.command) == ("--quick" in arguments)


def test_a_missing_sanitizer_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(**{"compute-sanitizer": None}) == 1
    assert capsys.readouterr().out.count(gpu_check.NO_SANITIZER) == 3
    assert check("--skip-sanitizer", **{"compute-sanitizer": None}) == 0


def test_a_missing_profiler_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(ncu=None) == 1
    assert capsys.readouterr().out.count(gpu_check.NO_PROFILER) == len(PROFILES)
    assert check("--skip-profiles", ncu=None) == 0


# -------------------------------------------------------------------------------------------------- how it judges


@pytest.mark.parametrize("name", EVERY_STEP[1:])
def test_a_step_that_fails_fails_the_check_and_not_the_others(name: str) -> None:
    runner = FakeRun({name: 1})
    assert check(runner=runner) == 1
    assert runner.names == EVERY_STEP


def test_after_a_failed_build_nothing_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    runner = FakeRun({"build": 1})
    assert check(runner=runner) == 1
    assert runner.names == ["build"]
    assert capsys.readouterr().out.count("the build failed") == len(EVERY_STEP) - 1


def test_tests_that_were_all_skipped_have_shown_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--skip-sanitizer", runner=FakeRun(numbers=(3, 0, 3))) == 1
    assert "no test ran: 3 skipped" in capsys.readouterr().out

    def without_report(step: Step) -> int:
        return 0

    assert check("--skip-sanitizer", runner=without_report) == 1
    assert "pytest wrote no report" in capsys.readouterr().out


def test_json_holds_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    assert check("--json", str(path), "--quick", runner=FakeRun({"memcheck": 1}, (9, 2, 3))) == 1
    found = json.loads(path.read_text())
    assert found["found"] == MACHINE
    assert found["benchmarks"] == {"rows": []}
    steps = {step["name"]: step for step in found["steps"]}
    run = ["build", "tests of kernels", *MEASURING, "tests", "memcheck"]
    assert list(steps) == [*run, "racecheck", "initcheck", *PROFILES]
    assert steps["memcheck"]["state"] == "failed"
    assert steps["memcheck"]["note"] == "4 passed, 2 failed, 3 skipped, exit code 1"
    assert steps["racecheck"] == {"name": "racecheck", "state": "left out", "note": "--quick", "seconds": 0.0}


def test_what_was_found_is_kept_when_the_time_runs_out(tmp_path: Path) -> None:
    path = tmp_path / "found.json"

    class Stopped(FakeRun):
        def __call__(self, step: Step) -> int:
            if step.name == "tests":
                raise KeyboardInterrupt
            return super().__call__(step)

    with pytest.raises(KeyboardInterrupt):
        check("--json", str(path), runner=Stopped())
    found = json.loads(path.read_text())
    assert [step["name"] for step in found["steps"]] == ["build", "tests of kernels", *MEASURING]
    assert found["benchmarks"] == {"rows": []}


def test_profiled_workloads_are_there() -> None:
    pytest.importorskip("torch")
    from fastrenyi.bench import gpu_workloads

    assert set(gpu_check.PROFILED) <= {one.name for one in gpu_workloads.workloads("cpu", None)}


def test_the_table_is_aligned() -> None:
    lines = gpu_check.table([Result("build", "passed", "", 61.4), Result("memcheck", "left out", "why")]).splitlines()
    assert lines == ["build     passed        61 s", "memcheck  left out       0 s  why"]


def test_a_step_is_run_with_its_environment(tmp_path: Path) -> None:
    program = "import os, pathlib, sys; pathlib.Path(os.environ['WHERE']).write_text(os.getcwd()); sys.exit(3)"
    step = Step("one", [sys.executable, "-c", program], {"WHERE": str(tmp_path / "out")}, 60)
    assert gpu_check.run(step) == 3
    assert (tmp_path / "out").read_text() == str(gpu_check.ROOT)


def test_a_step_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    child = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}, sys.argv[1]])"
    path = tmp_path / "child"
    assert gpu_check.run(Step("one", [sys.executable, "-c", parent, str(path)], {}, 2)) == 124
    process = Path("/proc") / path.read_text()
    for _ in range(50):
        if not process.exists() or "Z" in (process / "stat").read_text().split()[2]:
            return
        time.sleep(0.1)
    pytest.fail("the child is still there")


# ----------------------------------------------------------------------------- the tests that it would run there


def test_its_tests_are_there() -> None:
    for path in (*gpu_check.PUBLIC, *gpu_check.KERNELS):
        assert (gpu_check.ROOT / path).exists(), path


def test_the_sanitized_tests_pass_with_memory_that_is_carried() -> None:
    """By the emulated kernels, from other memory of the host: nothing is lost on the way."""
    pytest.importorskip("torch")
    pytest.importorskip("fastrenyi._emulated", reason="no _emulated: build as make test does")
    for more in ({}, {"FASTRENYI_TEST_UNWRITTEN_WORKSPACE": "1"}):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *gpu_check.SANITIZED],
            cwd=gpu_check.ROOT, capture_output=True, text=True, check=False,
            env={**os.environ, "FASTRENYI_TEST_MEMORY": "cpu", **more},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "skipped" not in done.stdout


@pytest.mark.parametrize("place", [-512, -1, 3, 514])
def test_what_is_written_beside_a_result_is_carried_back(place: int) -> None:
    pytest.importorskip("torch")
    carried = importlib.import_module("carried")

    class Wild:
        @staticmethod
        def collision_entropy(a: Any, dtype: str, unit: float, out: int, device: int, stream: int) -> None:
            ctypes.c_double.from_address(out + 8 * place).value = 7.0

    memory = np.zeros(3 + 2 * 512)
    x = np.ones((3, 2, 2))
    view = (x.ctypes.data, 3, 2, 2, 4, 2, 1)
    address = memory[512:].ctypes.data
    carried.Kernels(Wild, "cpu", 512).collision_entropy(view, "float64", 1.0, address, 0, 0)
    assert memory[512 + place] == 7.0
    assert np.count_nonzero(memory) == 1
