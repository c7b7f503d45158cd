"""The studies of the paper as commands, in short: their tables, what a rerun skips, processes, arguments."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("mlxtend")
pytest.importorskip("sklearn")
pytest.importorskip("tqdm")
pytest.importorskip("pyarrow")
pytest.importorskip("PIL")

import pandas as pd
import torch

import fastrenyi.torch as frt
from fastrenyi import cli
from fastrenyi.report.run import read_table
from fastrenyi.study import arguments, command, images, runs
from fastrenyi.study.networks import NETS, RATES, probes, trained
from fastrenyi.study.tables import over_seeds
from studies import SHORT, STEPS, studied, wrong


@pytest.fixture(scope="module")
def filters(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    out = tmp_path_factory.mktemp("filters") / "made" / "here"
    return out, studied("filters", out, "--maps", "1,2", "--settings", "default,paper")


# The three studies.


def test_filters(filters: tuple[Path, pd.DataFrame]) -> None:
    out, table = filters
    assert {path.name for path in out.iterdir()} == {
        "runs", "table.csv", "table.parquet", "summary.csv", "summary.md", "maps-relu-default.png",
        "maps-relu-paper.png",
    }  # fmt: skip
    assert len(list((out / "runs").iterdir())) == 8
    assert set(table["settings"]) == {"default", "paper"}
    assert set(table["seed"]) == {0, 1}
    assert set(table["step"]) == {0, 3}
    assert table["tradeoff"].notna().any()
    assert table["mi_error"].isna().all()
    summary = pd.read_csv(out / "summary.csv")
    assert set(summary["layer"]) == {"conv1", "conv2"}
    chosen = {"maps": 2, "settings": "paper", "step": 3, "layer": "conv1"}
    rows, row = (each.loc[(each[list(chosen)] == pd.Series(chosen)).all(axis=1)] for each in (table, summary))
    by_seed = (rows["mi_target"] - rows["mi_target_null"]).groupby(rows["seed"]).mean()
    assert row["mi_target_excess"].item() == pytest.approx(by_seed.mean())
    assert row["mi_target_excess_std"].item() == pytest.approx(by_seed.std())
    assert row["seeds"].item() == 2
    told = (out / "summary.md").read_text()
    assert f"| {by_seed.mean():.3f} ± {by_seed.std():.3f} |" in told
    assert told.startswith("# filters: lenet5 on digits, 130 images, 1 epochs, 2 seeds")
    assert "| relu | default | conv1 | trade-off, share of I(X;{T}) | - |" in told  # a single map has no pairs


def test_plane(tmp_path: Path) -> None:
    table = studied("plane", tmp_path, "--maps", "2", "--activations", "tanh,sigmoid")
    assert list(table["step"].unique()) == STEPS
    assert list(table["layer"].unique()) == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert table["tradeoff"].isna().all()
    assert table["mi_error"].isna().all()
    assert table["mi_input_null"].notna().all()
    assert {path.name for path in tmp_path.glob("*.png")} == {
        f"information_plane-lenet5-{activation}-2-maps-default.png" for activation in ("tanh", "sigmoid")
    }
    assert len(pd.read_csv(tmp_path / "summary.csv")) == 2 * 4 * 5
    assert "## Before training" in (tmp_path / "summary.md").read_text()


def test_inequalities(tmp_path: Path) -> None:
    table = studied("inequalities", tmp_path, "--maps", "2")
    assert table["mi_error"].notna().any()
    links = pd.read_csv(tmp_path / "links.csv")
    assert len(links) == 2 * 4 * (4 + 3)
    one = table[(table["seed"] == 1) & (table["step"] == 3)]
    expected = frt.inequalities(one, 1e-3)
    found = links[(links["seed"] == 1) & (links["step"] == 3)]
    np.testing.assert_allclose(found["gap"], expected["gap"])
    assert list(found["holds"]) == list(expected["holds"])
    summary = pd.read_csv(tmp_path / "summary.csv").set_index(["chain", "step"])
    worst = links[(links["step"] == 3) & (links["chain"] == "backward")].groupby("seed")["violation"].max()
    assert summary.loc[("backward", 3), "worst"] == pytest.approx(worst.mean())
    assert summary.loc[("forward", 0), "links"] == 4
    assert "| relu | 2 | default | forward | " in (tmp_path / "summary.md").read_text()
    assert len(list(tmp_path.glob("*.png"))) == 2


def test_a_run_is_what_a_monitor_measures(filters: tuple[Path, pd.DataFrame]) -> None:
    _, table = filters
    pictures = images.load("digits")
    split = pictures.split(1, 130)
    model = NETS["lenet5"](split.images.shape[1:], 10, 2, "relu", 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    *_, moment = trained(model, split, 1, 1, RATES["relu"])
    torch.set_num_threads(threads)
    expected = frt.Monitor(moment.model, probes(split, 1, 100), errors=False).measure(3)
    rows = table[(table["seed"] == 1) & (table["maps"] == 2) & (table["settings"] == "default") & (table["step"] == 3)]
    pd.testing.assert_frame_equal(rows[list(expected)].reset_index(drop=True), expected)
    assert set(rows["accuracy"]) == {moment.accuracy}
    assert set(rows["epoch"]) == {1.0}


def test_a_report_reads_the_runs(filters: tuple[Path, pd.DataFrame], tmp_path: Path) -> None:
    out, _ = filters
    paths = [str(path) for path in sorted((out / "runs").glob("*-2-maps-*-default.parquet"))]
    assert len(read_table(Path(paths[0]))) == 10
    assert cli.main(["report", *paths, "--labels", "two", "two", "--out", str(tmp_path)]) == 0
    assert "measured at 2 moments of training on 2 runs" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_thirteen_convolutions(tmp_path: Path) -> None:
    options = ["--net", "vgg16", "--maps", "2", "--seeds", "1", "--train", "64"]
    table = studied("inequalities", tmp_path, *options)
    convolutions = [name for name in table["layer"].unique() if name.startswith("conv")]
    assert len(convolutions) == 13
    first = table.drop_duplicates("layer").set_index("layer")
    assert list(first.loc[["conv1_1", "conv2_2", "conv3_3", "conv4_1", "conv5_3"], "channels"]) == [2, 4, 8, 16, 16]
    assert set(first.loc[convolutions, "activation"]) == {"relu"}
    links = pd.read_csv(tmp_path / "links.csv")
    assert (links["chain"] == "forward").sum() == 15 * 2


# What is done stays.


def test_a_rerun_makes_what_is_missing(
    filters: tuple[Path, pd.DataFrame], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, table = filters
    lost = out / "runs" / "lenet5-relu-2-maps-seed-1-paper.parquet"
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").iterdir()}
    lost.unlink()
    again = studied("filters", out, "--maps", "1,2", "--settings", "default,paper")
    pd.testing.assert_frame_equal(again, table)
    assert {path for path, at in before.items() if path.stat().st_mtime_ns != at} == {lost}
    assert capsys.readouterr().out.count(": accuracy") == 1

    def nothing(*_: object) -> None:
        raise AssertionError("a run that is there was made again")

    monkeypatch.setattr(runs, "_made", nothing)
    pd.testing.assert_frame_equal(studied("filters", out, "--maps", "1,2", "--settings", "default,paper"), table)
    fewer = studied("filters", out, "--maps", "2", "--seeds", "1")
    assert ", one seed\n" in next(out.glob("*.md")).read_text(encoding="utf-8")
    assert len(fewer) == 2 * 5


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("filters", ["--epochs", "2"], "epochs was 1, now 2"),
        ("filters", ["--train", "129"], "train was 130, now 129"),
        ("filters", ["--rate", "0.5"], "rate was None, now 0.5"),
        ("filters", ["--order", "2"], "order was 1.01, now 2.0"),
        ("filters", ["--data", "mnist"], "data was digits, now mnist"),
        ("plane", [], "study was filters, now plane"),
    ],
)
def test_runs_of_other_settings_are_refused(
    filters: tuple[Path, pd.DataFrame], name: str, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = wrong(capsys, name, "--out", str(filters[0]), *SHORT, "--maps", "2", *options)
    assert told.startswith(f"fastrenyi study: error: --out: {filters[0]}")
    assert said in told
    assert "another folder" in told


def test_a_damaged_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs").mkdir()
    path = tmp_path / "runs" / "lenet5-relu-2-maps-seed-0-default.parquet"
    path.write_bytes(b"PAR1 and no more")
    assert str(path) in wrong(capsys, "plane", "--out", str(tmp_path), *SHORT, "--maps", "2")


def started(out: Path, *options: str) -> subprocess.Popen[str]:
    arguments_ = ["study", "plane", "--out", str(out), *SHORT, "--maps", "2", *options]
    return subprocess.Popen(
        [sys.executable, "-m", "fastrenyi", *arguments_], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_processes_that_are_ended_and_started_again(tmp_path: Path, ending: signal.Signals) -> None:
    """The same numbers from two processes as from one, and no process that outlives the command."""
    whole = studied("plane", tmp_path / "one", "--maps", "2", "--seeds", "3")
    out = tmp_path / "two"
    process = started(out, "--jobs", "2", "--seeds", "3")
    deadline = time.monotonic() + 300
    while not list(out.glob("runs/*.parquet")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    kept = {path: path.stat().st_mtime_ns for path in out.glob("runs/*.parquet")}
    os.kill(process.pid, ending)
    _, told = process.communicate(timeout=120)
    if ending == signal.SIGINT and process.returncode:  # it may have been done
        assert process.returncode == 130
        assert told == "\ninterrupted; the same command goes on from the runs that are done\n"
    while session_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert session_of(process.pid) == []
    table = studied("plane", out, "--maps", "2", "--seeds", "3", "--jobs", "2")
    pd.testing.assert_frame_equal(table, whole)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


def session_of(leader: int) -> list[int]:
    """The processes that a command has left behind."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found


# Data.


# Arguments.


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "the following arguments are required: --out"),
        (["--out", "x", "--data", "cifar"], "--data: expected mnist, digits, fashion, a folder"),
        (["--out", "x", "--data", "no.such:function"], "--data: there is no module no.such here or installed"),
        (["--out", "x", "--data", ":function"], "--data: expected mnist"),
        (["--out", "x", "--root", "y", "--data", "digits"], "--root: expected for mnist or fashion alone"),
        (["--out", "x", "--root", "y"], "--data: there is no y/train-images-idx3-ubyte.gz; name the folder"),
        (["--out", "x", "--size", "20"], "--size: expected for a folder of images alone, got one for mnist"),
        (["--out", "x", "--size", "0"], "--size: expected at least 1, got 0"),
        (["--out", "x", "--train", "0"], "--train: expected at least 1, got 0"),
        (["--out", "x", "--data", "digits", "--train", "5000"], "--train: expected at most 1348"),
        (["--out", "x", "--net", "resnet"], "argument --net: invalid choice: 'resnet'"),
        (["--out", "x", "--maps", "two"], "argument --maps: expected whole numbers such as 1,2,4,...,64, got two"),
        (["--out", "x", "--maps", "1,...,12"], "argument --maps: expected doublings at the dots"),
        (["--out", "x", "--maps", "...,12"], "argument --maps: expected doublings at the dots"),
        (["--out", "x", "--maps", "2,..."], "argument --maps: expected doublings at the dots"),
        (["--out", "x", "--maps", "0,2"], "--maps: expected at least 1, got 0"),
        (["--out", "x", "--maps", "2,2"], "--maps: expected each once, got 2,2"),
        (["--out", "x", "--activations", "relu,gelu"], "--activations: expected relu or tanh or sigmoid, got gelu"),
        (["--out", "x", "--settings", "mine"], "--settings: expected default or paper, got mine"),
        (["--out", "x", "--epochs", "0"], "--epochs: expected at least 1, got 0"),
        (["--out", "x", "--seeds", "0"], "--seeds: expected at least 1, got 0"),
        (["--out", "x", "--rate", "-1"], "--rate: expected a learning rate above 0, got -1"),
        (["--out", "x", "--rate", "nan"], "--rate: expected a learning rate above 0, got nan"),
        (["--out", "x", "--probes", "0"], "--probes: expected at least 1, got 0"),
        (["--out", "x", "--data", "digits", "--probes", "5"], "--probes: expected at most 4, since 449 images"),
        (["--out", "x", "--order", "-1"], "--order: expected an order of at least 0, got -1"),
        (["--out", "x", "--jobs", "0"], "--jobs: expected at least 1, got 0"),
        (["--out", "x", "--threads", "0"], "--threads: expected at least 1, got 0"),
        (["--out", "x", "--epoch", "2"], "unrecognized arguments: --epoch 2"),
    ],
)
def test_wrong_arguments_are_named(
    options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert said in wrong(capsys, "plane", *options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "is a file; name a folder" in wrong(capsys, "plane", "--out", str(tmp_path / "thesis.tex"))


def test_a_study_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (([], "required"), (["dance"], "invalid choice: 'dance'")):
        with pytest.raises(SystemExit, match="2"):
            cli.main(["study", *words])
        assert said in capsys.readouterr().err


def test_doublings() -> None:
    parser = cli._parser()

    def maps(text: str) -> Any:
        return parser.parse_args(["study", "filters", "--out", "x", "--maps", text]).maps

    assert maps("1,2,4,...,64") == maps("1, ..., 64") == (1, 2, 4, 8, 16, 32, 64)
    assert maps("3,...,6,7") == (3, 6, 7)


@pytest.mark.parametrize("name", command.STUDIES)
def test_the_help_states_the_defaults(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["study", name, "--help"])
    text = " ".join(capsys.readouterr().out.partition("\nexamples:")[0].split())
    assert [entry.name for entry in dataclasses.fields(command.Options)] == list(arguments.OPTIONS)
    for entry in dataclasses.fields(command.Options):
        assert f"--{entry.name} " in text
        if entry.default not in (None, dataclasses.MISSING):
            default = entry.default[0] if isinstance(entry.default, tuple) else entry.default
            assert re.search(rf"--{entry.name} (?!.*?--{entry.name} ).*?\(default: {default}[,)]", text), entry.name


def test_over_seeds_averages_minibatches_first() -> None:
    rows = pd.DataFrame({"layer": "a", "seed": [0, 0, 1], "value": [1.0, 3.0, 6.0], "none": np.nan})
    table = over_seeds(rows, ["layer"])
    assert table[["layer", "seeds", "value"]].to_numpy().tolist() == [["a", 2, 4.0]]
    assert table["value_std"].item() == pytest.approx(8**0.5)
    assert table["none"].isna().all()
