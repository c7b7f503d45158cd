"""The benchmarks of the GPU on the CPU, at their quick size: answers, limits, the table; no time is tested."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from fastrenyi.bench import Side, Task, Workload, gpu, gpu_workloads
from fastrenyi.bench.gpu import Clock, Effort, Limits, Row

ONCE = Effort(0.0, 1, 0.0)
CLOCK = Clock("cpu")
LIMITS = Limits({"float64": 1e12, "float32": 4e12}, 1e11)


class HostArray(np.ndarray[Any, Any]):
    """What stands for an array of CuPy."""

    def get(self) -> Any:
        return np.asarray(self)


CUPY = SimpleNamespace(
    from_dlpack=lambda x: np.from_dlpack(x).view(HostArray),
    linalg=SimpleNamespace(eigvalsh=lambda a: np.linalg.eigvalsh(a).view(HostArray)),
    trace=np.trace,
    clip=np.clip,
    log2=np.log2,
)


def quick(kernels: Any = None) -> list[Workload]:
    return gpu_workloads.workloads("cpu", kernels, quick=True)


NAMES = [workload.name for workload in quick()]


@pytest.mark.parametrize("name", NAMES)
def test_all_sides_of_every_workload_are_right(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    emulated = pytest.importorskip("fastrenyi._emulated", reason="no _emulated: build as make test does")
    monkeypatch.setattr(gpu_workloads, "_cupy", lambda device: CUPY)
    workload = next(one for one in quick(emulated) if one.name == name)
    row = gpu.measure(workload, CLOCK, LIMITS, ONCE)
    assert row.failures == {}
    assert not row.failed
    assert max(row.errors.values()) <= row.tolerance
    expected = {
        "spectrum": ["ours", "ours, the kernel", "torch", "cupy"],
        "layer": ["ours", "torch", "cupy"],
        "gram": ["ours", "torch.cdist", "torch.cdist exact", "torch expanded"],
        "gradient": ["ours", "torch autograd"],
        "large": ["ours", "torch"],
    }[workload.group]
    assert list(row.seconds) == list(row.errors) == expected
    assert row.shares["ours"] == 1
    assert row.limit is not None
    assert row.samples == 1


def test_what_torch_computes_of_a_layer_is_compared_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    task = next(one for one in quick() if one.name.startswith("layer")).make()
    torch_side = task.peers[0]
    found = torch_side.read(torch_side.run())
    right = task.reference()  # type: ignore[operator]
    assert np.isinf(found).sum() == len(right) - math.ceil(len(right) / gpu_workloads.SLOW)
    right[0] += 1
    assert task.error(found, right) == pytest.approx(1)


# ------------------------------------------------------------------------------------------------------- judging


def made(ours: Any, peer: Any = None, **more: Any) -> Workload:
    right = np.arange(3.0)
    sides = (Side("ours", lambda: ours), Side("peer", peer or (lambda: right)))
    task = Task(
        sides[0], sides[1:], lambda: right, lambda found, wanted: float(np.abs(found - wanted).max()), 1e-3, "float64",
        **more,
    )  # fmt: skip
    return Workload("some", "spectrum", lambda: task)


@pytest.mark.parametrize("wrong", [np.array([0, 1, 2.1]), np.full(3, np.nan), np.zeros(2)])
def test_a_wrong_answer_of_ours_fails_the_run(wrong: Any) -> None:
    row = gpu.measure(made(wrong), CLOCK, LIMITS, ONCE)
    assert row.failed
    assert row.failures["ours"].startswith("WrongAnswerError: ours: expected answers within 0.001")
    assert list(row.seconds) == ["peer"]
    assert "some ours failed: WrongAnswerError" in " ".join(gpu.as_text([row], LIMITS).split())


def test_a_peer_may_be_inaccurate_or_fail() -> None:
    row = gpu.measure(made(np.arange(3.0), lambda: np.arange(3.0) + 0.1), CLOCK, LIMITS, ONCE)
    assert not row.failed
    assert row.errors["peer"] == pytest.approx(0.1)
    assert "some peer*" in " ".join(gpu.as_text([row], LIMITS).split())

    def broken() -> Any:
        raise RuntimeError("out of memory\nand more")

    row = gpu.measure(made(np.arange(3.0), broken), CLOCK, LIMITS, ONCE)
    assert not row.failed
    assert row.failures == {"peer": "RuntimeError: out of memory"}
    assert list(row.seconds) == ["ours"]


def test_a_workload_that_cannot_be_made_fails_the_run() -> None:
    def make() -> Task:
        raise MemoryError("too large")

    row = gpu.measure(Workload("some", "gram", make), CLOCK, LIMITS, ONCE)
    assert row.failed
    assert row.failures == {"ours": "MemoryError: too large"}


def test_time_is_scaled_by_the_share() -> None:
    class Steady(Clock):
        def seconds(self, run: Any, repeats: int = 1) -> float:
            run()
            return 0.25

    workload = made(np.arange(3.0))
    task = workload.make()
    part = dataclasses.replace(task, peers=(dataclasses.replace(task.peers[0], share=0.125),))
    row = gpu.measure(dataclasses.replace(workload, make=lambda: part), Steady("cpu"), LIMITS, ONCE)
    assert row.seconds == {"ours": 0.25, "peer": 2.0}


# --------------------------------------------------------------------------------------------- limits and table


@pytest.mark.parametrize(
    ("flops", "traffic", "dtype", "limit"),
    [
        (3e9, None, "float64", (3e-3, "float64")),
        (3e9, None, "float32", (7.5e-4, "float32")),
        (3e9, 2e8, "float64", (3e-3, "float64")),
        (3e9, 4e8, "float64", (4e-3, "memory")),
        (None, 4e8, "float64", (4e-3, "memory")),
        (None, None, "float64", (None, "")),
    ],
)
def test_a_limit_is_the_longer_of_arithmetic_and_memory(flops: Any, traffic: Any, dtype: str, limit: Any) -> None:
    task = made(None, flops=flops, traffic=traffic).make()
    assert LIMITS.of(dataclasses.replace(task, dtype=dtype)) == limit


def test_limits_are_measured() -> None:
    class Counted(Clock):
        def seconds(self, run: Any, repeats: int = 1) -> float:
            run()
            return 0.5

    limits = Limits.measured("cpu", Counted("cpu"), n=8, size=1000)
    assert limits == Limits({"float64": 2 * 8**3 / 0.5, "float32": 2 * 8**3 / 0.5}, 2 * 1000 / 0.5)


def test_work_is_counted() -> None:
    tasks = {workload.name: workload.make() for workload in quick()}
    spectra = tasks["spectra-6x12-float64"]
    assert spectra.flops == 6 * 4 / 3 * 12**3
    assert spectra.traffic == pytest.approx(8 * 6 * (12 * 12 + 12))
    # 15 pairs, 6 maps and all of them together, each alone and with the target, and the target
    assert tasks["layer-6-float64"].flops == (2 * (15 + 6 + 1) + 1) * 4 / 3 * 12**3
    # two layers of three maps and one of four
    assert tasks["vgg16-float64"].flops == (2 * (2 * (3 + 3 + 1)) + 2 + 2 * (6 + 4 + 1) + 1) * 4 / 3 * 12**3
    gram = tasks["gram-4x3x3-float32"]
    assert gram.flops == 4 * (12 * 11 / 2) * 3 * 9
    assert gram.traffic == 4 * (12 * 4 * 9 + 4 * 12 * 12)


def test_the_table() -> None:
    row = Row(
        "spectra", "float64", 8.0, 1e-3, "float64", {"ours": 2e-3, "torch": 0.5}, {"ours": 0.25, "torch": 9.0},
        {"ours": 1.0, "torch": 0.1}, {"cupy": "ValueError: no such thing"}, 7,
    )  # fmt: skip
    lines = gpu.as_text([row], LIMITS).splitlines()
    assert lines[0] == "Matrix products 1 TFLOP/s in float64, 4 TFLOP/s in float32; a copy 100 GB/s."
    table = [line.split("  ") for line in lines[2:7]]
    assert [[cell.strip() for cell in line if cell.strip()] for line in table] == [
        ["workload", "side", "time", "times ours", "limit", "of limit", "error/allowed", "n"],
        ["-" * len for len in (8, 7, 6, 10, 12, 8, 13, 1)],
        ["spectra", "ours", "2 ms", "1.00", "1 ms float64", "50.0%", "2e-01/8e+00", "7"],
        ["spectra", "torch~*", "500 ms", "250.00", "1 ms float64", "0.2%", "9e+00/8e+00", "7"],
        ["spectra", "cupy", "failed: ValueError: no such thing"],
    ]
    columns = [lines[2].index(name) for name in ("side", "time", "limit")]
    assert [lines[4].index(cell) for cell in ("ours", "2 ms", "1 ms")] == columns


# ------------------------------------------------------------------------------------------------------ the command


def test_the_command_writes_table_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out.json"
    assert gpu.main(["--quick", "--device", "cpu", "--json", str(path), "--only", "gram"]) == 0
    assert "times ours" in capsys.readouterr().out
    found = json.loads(path.read_text())
    assert [row["workload"] for row in found["rows"]] == [name for name in NAMES if "gram" in name]
    assert found["device"] == "cpu"
    assert set(found["limits"]["flops"]) == {"float64", "float32"}


def test_without_a_gpu_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert gpu.main([]) == 2
    captured = capsys.readouterr()
    assert "no GPU" in captured.err
    assert captured.out == ""


def test_it_needs_no_other_library_than_torch() -> None:
    program = (
        "import sys\n"
        "others = ('rich', 'threadpoolctl', 'pandas', 'matplotlib', 'vendi_score', 'cupy')\n"
        "sys.modules.update(dict.fromkeys(others))\n"
        "from fastrenyi.bench import gpu\n"
        "sys.exit(gpu.main(['--quick', '--device', 'cpu', '--only', 'spectra-6']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# -------------------------------------------------------------------------------------- what a Monitor costs a training


def test_the_cost_of_a_monitor_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    from fastrenyi.bench import overhead

    assert overhead.main(["--device", "cpu", "--rounds", "1", "--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    parts = ["an epoch, by its steps", "a measurement", "without the null", "without the null and pairs"]
    assert [line.strip().partition("  ")[0] for line in lines] == [
        "LeNet-5, 512 images an epoch", *parts, "a network like VGG, 512 images an epoch", *parts,
        "LeNet-5, trained for an epoch", "alone", "with a Monitor, by default",
    ]  # fmt: skip
    assert all(" s" in line for line in lines if line.startswith(" "))
    assert lines[-1].endswith(" measurements")


def test_numbers_of_two_devices_are_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    from fastrenyi.bench import overhead
    from fastrenyi.demo import lenet, load_digits

    model, digits = lenet((2, 2), 0), load_digits("digits", 0)
    monkeypatch.setattr(overhead, "_MAPS", (2, 2))
    assert overhead._agreement(model, digits, "cpu") == 0
    with torch.no_grad():
        other = lenet((2, 2), 1)
    monkeypatch.setattr(overhead, "lenet_like", lambda model: other)
    assert overhead._agreement(model, digits, "cpu") == 1
    assert "bits from the CPU's at most" in capsys.readouterr().out
