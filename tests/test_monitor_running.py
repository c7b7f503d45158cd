"""Monitor in runs that do not go as planned: layers that are not finite, steps that are there already, long ones."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")
from torch.nn import functional as F  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402
from fastrenyi.torch.scalars import scalars  # noqa: E402
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
