"""Monitor in runs that do not go as planned: layers that are not finite, steps that are there already, long ones."""

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")
from torch.nn import functional as F  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402
from fastrenyi.table.files import read  # noqa: E402
from fastrenyi.table.store import Store  # noqa: E402
from fastrenyi.torch.scalars import by_step as scalars  # noqa: E402
from networks import net, probes  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning", "ignore:label_kernel:UserWarning")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


# ---------------------------------------------------------------------------------------- layers that are not finite

MEASURES = ["entropy", "mi_input", "mi_target", "mi_error", "tradeoff", "nonredundant", "tradeoff_share"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("alpha", [1.01, [1.01, 2]])
def test_layers_that_are_not_finite_are_recorded_beside_the_others(value, alpha):
    model, probe = net(), probes()
    whole = frt.Monitor(model, probe, alpha=alpha, on_nan="record").measure(0)
    assert (whole["not_finite"] == "").all()
    pd.testing.assert_frame_equal(whole, frt.Monitor(model, probe, alpha=alpha).measure(0))
    with torch.no_grad():
        model.conv2.weight[0, 0, 0, 0] = value
    rows = frt.Monitor(model, probe, alpha=alpha, on_nan="record").measure(0)
    first = rows["layer"] == "conv1"
    forward = [name for name in rows if "error" not in name or name.endswith("standard_error")]
    forward.remove("not_finite")
    pd.testing.assert_frame_equal(rows.loc[first, forward], whole.loc[first, forward])
    gone = rows["layer"] == "conv2"
    assert rows.loc[gone, MEASURES].isna().all(axis=None)
    assert rows.loc[gone, "not_finite"].str.startswith("output").all()
    assert not rows.loc[gone, ["saturated", "dead"]].any(axis=None)
    assert rows.loc[gone, "pairs"].eq(0).all()
    assert (rows["channels"] == whole["channels"]).all()
    np.testing.assert_array_equal(rows["input_entropy"], whole["input_entropy"])


class Turned(torch.autograd.Function):
    """The same numbers, whose gradient comes back changed."""

    @staticmethod
    def forward(ctx, x, change):
        ctx.change = change
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return ctx.change(grad), None


def test_errors_that_are_not_finite():
    def loss(scale):
        return lambda output, y: F.cross_entropy(output, y, reduction="sum") * scale

    model, probe = net(), probes(1)
    fine = frt.Monitor(model, probe).measure(0)
    rows = frt.Monitor(model, probe, loss=loss(float("inf")), on_nan="record").measure(0)
    assert rows["not_finite"].tolist() == ["error"] * 4
    assert rows["mi_error"].isna().all()
    np.testing.assert_array_equal(rows["mi_input"], fine["mi_input"])

    model.relu.register_forward_hook(lambda module, args, out: Turned.apply(out, lambda grad: grad * float("inf")))
    rows = frt.Monitor(model, probe, on_nan="record").measure(0)
    assert rows["not_finite"].tolist() == ["error", "error", "", ""]
    assert rows["mi_error"].notna().tolist() == [False, False, True, False]
    assert rows["mi_error"][2] == pytest.approx(fine["mi_error"][2], abs=1e-9)


def test_where_only_the_last_error_is_not_finite():
    model, probe = net(), probes(1)

    def clipped(grad):
        return torch.where(grad.isfinite(), grad, 1.0)

    model.drop.register_forward_hook(lambda module, args, out: Turned.apply(out, clipped))
    rows = frt.Monitor(
        model, probe, loss=lambda output, y: (output * float("inf")).sum(), on_nan="record", pairs=False
    ).measure(0)
    assert rows["not_finite"].tolist() == ["error of fc2"] * 3 + ["error"]
    assert rows["mi_error"].isna().all()


def test_a_training_that_diverges_is_followed_to_its_end(tmp_path):
    model, probe = net(torch.float32), probes(dtype=torch.float32)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e30)
    monitor = frt.Monitor(model, probe, store=tmp_path / "run.db", on_nan="record")
    for step in range(4):
        monitor.measure(step)
        optimiser.zero_grad()
        F.cross_entropy(model(probe[0][0]), probe[0][1]).backward()
        optimiser.step()
    frame = monitor.frame()
    assert monitor.steps == [0, 1, 2, 3]
    assert (frame.loc[frame["step"] == 0, "not_finite"] == "").all()
    last = frame[frame["step"] == 3]
    assert (last["not_finite"] != "").all()
    assert last[MEASURES].isna().all(axis=None)
    # All that reads a table reads this one.
    assert set(frt.inequalities(frame)["step"]) <= {0, 1, 2}
    assert scalars(frame)[0]
    monitor.close()
    # What is done with layers that are not finite is no setting of the numbers.
    with pytest.raises(ValueError, match=r"^layer 'conv1', step 4, probe\[0\]: output: expected finite numbers, got"):
        frt.Monitor(model, probe, store=tmp_path / "run.db").measure(4)
    pytest.importorskip("matplotlib")
    from fastrenyi.report.page import write_report

    page = write_report(frame, tmp_path).read_text(encoding="utf-8")
    assert "Layers that were not finite" in page


def test_a_table_of_nothing_finite_has_a_report(tmp_path):
    pytest.importorskip("matplotlib")
    from fastrenyi.report.page import write_report

    model = net()
    with torch.no_grad():
        model.conv1.weight.fill_(float("nan"))
    monitor = frt.Monitor(model, probes(), on_nan="record")
    for step in range(3):
        monitor.measure(step)
    assert write_report(monitor.frame(), tmp_path).exists()
    assert scalars(monitor.frame())


# ----------------------------------------------------------------------------------------- steps that are there already


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    return None if request.param == "memory" else tmp_path / "run.db"


def measured(model, store, steps, **options):
    with frt.Monitor(model, PROBE, store=store, pairs=False, **options) as monitor:
        return [monitor.measure(step) for step in steps], monitor


PROBE = probes()


def changed(model):
    with torch.no_grad():
        model.conv1.weight.mul_(-2)
    return model


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_step_that_is_there_is_replaced(store, step):
    model = net()
    monitor = frt.Monitor(model, PROBE, store=store, pairs=False, existing="replace")
    old = [monitor.measure(k) for k in range(3)]
    new = frt.Monitor(changed(model), PROBE, pairs=False).measure(step)
    pd.testing.assert_frame_equal(monitor.measure(step), new)
    expected = pd.concat([new if k == step else rows for k, rows in enumerate(old)], ignore_index=True)
    pd.testing.assert_frame_equal(monitor.frame(), expected)
    assert monitor.steps == [0, 1, 2]
    monitor.measure(3)  # goes on behind what was replaced
    if store is not None:
        frame, *_ = read(store)  # which looks at the checksum of all rows
        pd.testing.assert_frame_equal(frame, monitor.frame())


def test_a_step_that_is_there_is_skipped(store):
    model = net()
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    monitor = frt.Monitor(model, PROBE, store=store, pairs=False, existing="skip")
    first = monitor.measure(4)
    monitor.measure(5)
    passes.clear()
    pd.testing.assert_frame_equal(monitor.measure(4), first)
    assert not passes
    assert len(monitor.frame()) == 2 * len(first)


def test_a_script_that_is_run_again_on_its_own_store(tmp_path):
    path = tmp_path / "run.db"
    first, _ = measured(net(), path, [0, 1])
    with pytest.raises(ValueError, match=r"^step: .* not in the table yet, got 0; .*existing='skip' or .*'replace'$"):
        measured(net(), path, [0])
    torch.manual_seed(1)
    skipped, monitor = measured(net(), path, [0, 1, 2], existing="skip")
    for old, new in zip(first, skipped, strict=False):
        pd.testing.assert_frame_equal(old, new)
    assert monitor.steps == [0, 1, 2]
    replaced, monitor = measured(changed(net()), path, [0, 1, 2], existing="replace")
    pd.testing.assert_frame_equal(monitor.frame(), pd.concat(replaced, ignore_index=True))
    assert not np.isclose(replaced[0]["mi_input"], first[0]["mi_input"]).all()


def test_monitors_of_one_process_see_what_was_replaced(tmp_path):
    model = net()
    one = frt.Monitor(model, PROBE, store=tmp_path / "run.db", existing="replace")
    one.measure(0)
    other = frt.Monitor(model, PROBE, store=tmp_path / "run.db")
    assert other.steps == [0]
    changed(model)
    new = one.measure(0)
    pd.testing.assert_frame_equal(other.frame(), new)
    other.measure(1)
    assert one.steps == [0, 1]


@pytest.mark.parametrize("when", ["measured", "written"])
def test_a_replacement_that_is_interrupted(tmp_path, monkeypatch, when):
    model = net()
    monitor = frt.Monitor(model, PROBE, store=tmp_path / "run.db", existing="replace", pairs=False)
    old = monitor.measure(0)
    changed(model)
    append = Store.append

    def interrupted(*args, **options):
        if when == "written":
            append(*args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"^step 0 is there whole, as it was or as measured now$"):
            monitor.measure(0)
    frame = monitor.frame()
    assert len(frame) == len(old)
    assert np.allclose(frame["mi_input"], old["mi_input"]) == (when == "measured")
    pd.testing.assert_frame_equal(read(tmp_path / "run.db")[0], frame)


# ------------------------------------------------------------------------------------------------------ long ones


@pytest.mark.parametrize(("options", "pairs"), [({}, "3"), ({"max_pairs": 2}, "2"), ({"pairs": False}, "")])
def test_progress_tells_layer_pairs_and_time(capsys, options, pairs):
    pytest.importorskip("tqdm")
    model, probe = net(), probes()
    rows = frt.Monitor(model, probe, progress=True, **options).measure(7)
    told = capsys.readouterr().err
    for batch in range(2):
        place = rf"step 7, probe\[{batch}\], "
        layers = [f"conv1, {pairs} pairs", "conv2, 1 pairs"] if pairs else ["conv1", "conv2"]
        for what in ("forward and backward pass", *layers, "fc1", "fc2", "errors"):
            assert re.search(rf"{place}{what}: +\d+%\|.*\| \d\d:\d\d<(\d\d:\d\d|\?)", told), what
    assert re.search(r"fc2: +\d\d%.*errors: 100%\|", told, re.DOTALL)
    pd.testing.assert_frame_equal(rows, frt.Monitor(model, probe, **options).measure(7))
    assert capsys.readouterr().err == ""


def test_a_bar_is_taken_away_where_a_measurement_fails(capsys):
    pytest.importorskip("tqdm")
    from tqdm import tqdm

    model = net()
    with torch.no_grad():
        model.conv2.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="conv2"):
        frt.Monitor(model, probes(), progress=True).measure(0)
    assert not tqdm._instances
