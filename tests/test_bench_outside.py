"""What users add to the benchmarks: peers by entry points, workloads by a file, and an earlier run to compare with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("rich")
pytest.importorskip("threadpoolctl")

from fastrenyi import bench, cli
from fastrenyi.bench import compare, memory, outside
from fastrenyi.bench.measure import Effort, Gemm, Row, measure

QUICK = {workload.name: workload for workload in bench.workloads("quick")}
ONE = "entropy-10-float64"
PEER = """
import numpy as np
from fastrenyi.bench import Side

def numpys(workload, inputs):
    if workload.group == "entropy":
        p = lambda: np.linalg.eigvalsh(inputs["a"])
        return Side("by hand", lambda: -(p() * np.log2(p())).sum())

def several(workload, inputs):
    return [Side(f"zero {k}", lambda: 0.0, tolerance=np.inf) for k in range(2)] if workload.group == "entropy" else []

def taken(workload, inputs):
    return Side("torch", lambda: 0.0)

def wrong(workload, inputs):
    return Side("wrong", lambda: 0.0)

def no_side(workload, inputs):
    return [3]

def failing(workload, inputs):
    return inputs["what is not there"]
"""
WORKLOADS = """
import numpy as np
import fastrenyi as fr
from fastrenyi.bench import Side, Task, Workload

def make():
    a = fr.gram(np.arange(6.0)[:, None])
    return Task(
        ours=Side("ours", lambda: fr.spectrum(a)),
        peers=(Side("numpy", lambda: np.linalg.eigvalsh(a)),),
        reference=lambda: np.linalg.eigvalsh(a),
        error=lambda found, right: float(np.abs(found - right).max()),
        tolerance=1e-12,
        dtype="float64",
        inputs={"a": a},
    )

def workloads(size):
    return [Workload(f"mine-{size}", "mine", make)]
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what installs a distribution with these peers."""

    def install(**points: str) -> None:
        (tmp_path / "fake_peers.py").write_text(PEER)
        (tmp_path / "fake_peers-1.0.dist-info").mkdir()
        (tmp_path / "fake_peers-1.0.dist-info" / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: fake-peers\nVersion: 1.0\n"
        )
        lines = [f"{name} = {value}" for name, value in points.items()]
        text = "\n".join(["[fastrenyi.bench.peers]", *lines, ""])
        (tmp_path / "fake_peers-1.0.dist-info" / "entry_points.txt").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(__import__("sys").modules, "fake_peers", raising=False)

    return install


def test_peers_from_outside_are_sides(installed: Any) -> None:
    installed(one="fake_peers:numpys", two="fake_peers:several")
    row = measure(QUICK[ONE], Effort(0, 1, 1), Gemm(quick=True))
    assert list(row.seconds)[-3:] == ["by hand", "zero 0", "zero 1"]
    assert row.errors["by hand"] < 1e-10
    assert row.unranked == ("zero 0", "zero 1")
    other = QUICK["rank-30x9-float64"]
    assert [side.name for side in outside.task_of(other).sides] == [side.name for side in other.make().sides]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("fake_peers:absent", r"^fastrenyi.bench.peers: mine \(fake_peers:absent\) cannot be loaded: AttributeError"),
        ("absent:peer", r"^fastrenyi.bench.peers: mine \(absent:peer\) cannot be loaded: ModuleNotFoundError"),
        ("fake_peers:taken", r"^fastrenyi.bench.peers: mine: expected names that .* has not, got 'torch'"),
        ("fake_peers:no_side", r"^fastrenyi.bench.peers: mine: expected sides, fastrenyi.bench.Side, got int"),
        ("fake_peers:failing", r"^fastrenyi.bench.peers: mine failed to prepare .*: KeyError\('what is not there'\)"),
    ],
)
def test_wrong_peers_are_named(value: str, said: str, installed: Any) -> None:
    installed(mine=value)
    with pytest.raises(ValueError, match=said):
        outside.task_of(QUICK[ONE])


def test_a_wrong_answer_is_exit_code_1(installed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    installed(mine="fake_peers:wrong")
    assert cli.main(["bench", "--quick", "--no-memory", "--only", ONE]) == 1
    captured = capsys.readouterr()
    assert f"fastrenyi bench: error: {ONE}: wrong: expected answers within 1e-10" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("workload", QUICK.values(), ids=lambda workload: workload.name)
def test_every_workload_gives_its_inputs(workload: bench.Workload) -> None:
    assert workload.make().inputs
    text = (Path(__file__).parents[1] / "benchmarks" / "README.md").read_text(encoding="utf-8")
    described = text.partition("| group | inputs |")[2].partition("\n\n")[0]
    for name in workload.make().inputs:
        assert f"`{name}`" in described, name


# ----------------------------------------------------------------------------------------------- a file of workloads


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(WORKLOADS)
    return tmp_path / "mine.py"


def test_workloads_of_a_file_are_measured(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--quick", "--workloads", str(mine), "--list"]) == 0
    assert capsys.readouterr().out.split() == [*QUICK, "mine-quick"]
    words = ["bench", "--quick", "--workloads", str(mine), "--only", "mine", "--markdown"]
    assert cli.main([*words, "--json", str(mine.with_suffix(".json"))]) == 0
    assert "| mine-quick | " in capsys.readouterr().out
    (row,) = json.loads(mine.with_suffix(".json").read_text())["rows"]
    assert row["best"] == "numpy"
    assert set(row["memory"]) in ({"ours", "numpy"}, set())  # none without /proc
    assert memory.peak_bytes("quick", "mine-quick", "ours", 1, mine) is None or row["memory"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def workloads(size): return [1]", "expected fastrenyi.bench.Workload, got int"),
        ("workloads = 3", "expected workloads(size), which returns some, got TypeError"),
        ("", "expected workloads(size), which returns some, got AttributeError"),
        ("import absent", "expected workloads(size), which returns some, got ModuleNotFoundError"),
        ("nonsense(", "expected workloads(size), which returns some, got SyntaxError"),
        (WORKLOADS.replace("mine-{size}", ONE), f"expected names that are not taken, got {ONE} again"),
        (None, "expected a file of Python, FILE.py, got"),
    ],
)
def test_wrong_files_of_workloads_are_named(
    text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    assert cli.main(["bench", "--quick", "--workloads", str(tmp_path / "mine.py"), "--list"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("fastrenyi bench: error: --workloads: ")
    assert said in message


def test_a_workload_needs_a_peer(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine.write_text(WORKLOADS.replace("eigvalsh(a)),)", "eigvalsh(a), tolerance=1.0),)"))
    assert cli.main(["bench", "--quick", "--no-memory", "--workloads", str(mine), "--only", "mine"]) == 2
    assert (
        "mine-quick: expected a peer, of no tolerance of its own, to compare with, got none" in capsys.readouterr().err
    )


# -------------------------------------------------------------------------------------------------- an earlier run

RUN = ["bench", "--quick", "--no-memory", "--threads", "1"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("before") / "before.json"
    assert cli.main([*RUN, "--only", "entropy", "--only", "null", "--json", str(path)]) == 0
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def put(path: Path, content: dict[str, Any]) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def test_the_json_says_what_it_is_of(written: dict[str, Any]) -> None:
    text = (Path(__file__).parents[1] / "benchmarks" / "README.md").read_text(encoding="utf-8")
    described = text.partition("## The JSON")[2].partition("\n## ")[0]
    assert written["format"] == 1
    for name in (*written, *written["rows"][0]):
        assert f"`{name}`" in described, name
    assert {"date", "commit", "processor", "versions", "threads"} <= written.keys()
    assert written["date"].endswith("+00:00")
    assert written["processor"]


def test_a_slower_run_is_exit_code_1(
    written: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**row, "seconds": {**row["seconds"], "ours": 1e-9}} for row in written["rows"][:1]]
    path = put(tmp_path / "before.json", {**written, "rows": rows, "processor": "another one"})
    assert cli.main([*RUN, "--only", "entropy", "--only", "null", "--compare", path]) == 1
    captured = capsys.readouterr()
    assert "warning: --compare: processor: another one then, " in captured.err
    assert "slower than 1.25 times: entropy-10-float64 (" in captured.out
    assert "not measured" in captured.out
    assert "not corrected for the machine" in captured.out
    assert (
        cli.main([*RUN, "--only", "entropy", "--compare", path, "--slowdown", "1e30", "--markdown", "--per-gemm"]) == 0
    )
    out = capsys.readouterr().out
    assert "| workload | before | now | now / before |" in out
    assert "(--per-gemm)" in out
    assert out.endswith("slower than 1e+30 times: none\n")


def row(name: str, ours: float) -> Row:
    return Row(name, "", "", "float64", {"ours": ours, "torch": 1.0}, {}, 1.0, {}, (), 1, None)


def test_ratios_are_of_times_or_of_products(written: dict[str, Any], tmp_path: Path) -> None:
    first = {**written["rows"][0], "workload": "a", "seconds": {"ours": 2.0}}
    path = tmp_path / "before.json"
    put(path, {**written, "rows": [first], "gemm_gflops": {"float64": 100.0}})
    before = compare.Before.load(path, "quick", 1, ["a"])
    assert before.differences() == []
    gemm = Gemm()
    gemm.rates = {"float64": 50.0}
    rows = [row("a", 3.0), row("b", 1.0)]
    assert [change.ratio for change in compare.changes(before, rows, gemm, False)] == [1.5, None]
    assert [change.ratio for change in compare.changes(before, rows, gemm, True)] == [0.75, None]
    found = compare.changes(before, rows, gemm, False)
    assert [change.workload for change in compare.slower(found, 1.25)] == ["a"]
    assert compare.slower(found, 1.5) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "expected format 1, got 2; measure it again"),
        ({"format": None}, "expected format 1, got a file without one, of an earlier version; measure it again"),
        ({"size": "full"}, "expected a run of size quick, got full; run with --full"),
        ({"size": "normal"}, "expected a run of size quick, got normal; run without --quick and --full"),
        ({"threads": 7}, "expected a run on 1 threads, got 7; give --threads 7"),
        ({"rows": []}, "expected workloads of this run, got "),
        ({"rows": [{"workload": "a"}]}, "expected format 1 whole, got KeyError('seconds')"),
        ({"rows": 3}, "expected format 1 whole, got TypeError"),
        ({"gemm_gflops": {}}, "expected format 1 whole, got ValueError('a rate for each dtype')"),
        ({"gemm_gflops": {"float64": 0}}, "expected format 1 whole, got ValueError('times and rates above zero')"),
        ("[]", "expected what fastrenyi bench --json writes, got "),
        ("not JSON", "expected what fastrenyi bench --json writes, got "),
    ],
    ids=str,
)
def test_files_that_cannot_be_compared(
    change: Any, said: str, written: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "before.json"
    path.write_text(change if isinstance(change, str) else json.dumps({**written, **change}))
    assert cli.main([*RUN, "--only", "entropy", "--compare", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"fastrenyi bench: error: --compare: {path}: " in captured.err
    assert said in captured.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--compare", "absent.json"], "absent.json"),
        (["--slowdown", "2"], "--slowdown: expected --compare FILE beside it"),
        (["--per-gemm"], "--per-gemm: expected --compare FILE beside it"),
        (["--compare", "x", "--slowdown", "0"], "--slowdown: expected a factor above zero, got 0"),
        (["--compare", "x", "--slowdown", "nan"], "--slowdown: expected a factor above zero, got nan"),
        (["--compare", "x", "--slowdown", "much"], "argument --slowdown: invalid float value: 'much'"),
    ],
)
def test_wrong_arguments_are_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: Any = cli.main([*RUN, *words])
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    assert said in capsys.readouterr().err


def test_the_examples_of_the_documentation_run(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "benchmarks" / "README.md").read_text(encoding="utf-8")
    workloads, peer = (block.partition("```")[0] for block in text.split("```python\n")[1:])
    (tmp_path / "mine.py").write_text(workloads)
    last = outside.every("quick", tmp_path / "mine.py")[-1]
    assert last.name == "mine-300"
    assert measure(last, Effort(0, 1, 1), Gemm(quick=True)).best == "numpy"
    names: dict[str, Any] = {}
    exec(peer, names)
    assert isinstance(names["sides"](QUICK[ONE], QUICK[ONE].make().inputs), bench.Side)
    assert names["sides"](last, {}) is None
