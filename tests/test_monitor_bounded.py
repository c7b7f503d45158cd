"""Monitor: samples of pairs, and several orders in one run, for all that read its table."""

import pytest

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")
from torch import nn  # noqa: E402

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402
from fastrenyi import cli  # noqa: E402
from fastrenyi.torch.scalars import by_step as scalars  # noqa: E402
from networks import N, net, probes  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning", "ignore:label_kernel:UserWarning")
OF_PAIRS = ["tradeoff", "nonredundant"]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def wide(count=12):
    """A convolution of so many maps, and one of two."""
    return nn.Sequential(
        nn.Conv2d(1, count, 3), nn.ReLU(), nn.Conv2d(count, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)
    ).double()


# ------------------------------------------------------------------------------------------- samples of pairs


def test_a_sample_of_pairs_is_that_of_layer_decomposition():
    model = wide()
    probe = probes()
    rows = frt.Monitor(model, probe, max_pairs=20, seed=3).measure(0)
    with frt.capture(model) as acts:
        model(probe[1][0])
    maps = fr.channel_grams(acts["0"].detach(), bandwidth="median")
    x = fr.tensor_gram(probe[1][0], bandwidth="median")
    known = fr.layer_decomposition(maps, x, null=2, seed=3, max_pairs=20)
    row = rows[(rows["batch"] == 1) & (rows["layer"] == "0")].iloc[0]
    for name in OF_PAIRS:
        for column in (name, f"{name}_share", f"{name}_standard_error"):
            assert row[column] == pytest.approx(float(getattr(known, column)), abs=1e-8)
        assert row[f"{name}_null"] == pytest.approx(float(getattr(known.null, name).mean), abs=1e-8)
        assert row[f"{name}_standard_error"] > 0
    assert rows["pairs"].tolist() == [20, 1, 0] * 2
    assert (rows.loc[rows["layer"] == "2", [f"{name}_standard_error" for name in OF_PAIRS]] == 0).all(axis=None)
    assert rows.loc[rows["layer"] == "5", [f"{name}_standard_error" for name in OF_PAIRS]].isna().all(axis=None)


def test_where_all_pairs_are_fewer_everything_is_exact():
    model, probe = wide(), probes()
    whole = frt.Monitor(model, probe, max_pairs=None).measure(0)
    pd.testing.assert_frame_equal(frt.Monitor(model, probe).measure(0), whole)
    pd.testing.assert_frame_equal(frt.Monitor(model, probe, max_pairs=66).measure(0), whole)
    assert whole["pairs"].tolist() == [66, 1, 0] * 2
    some = frt.Monitor(model, probe, max_pairs=60).measure(0)
    of_pairs = [name for name in whole if name.startswith(("tradeoff", "nonredundant", "pairs"))]
    pd.testing.assert_frame_equal(some.drop(columns=of_pairs), whole.drop(columns=of_pairs))
    off = (some["tradeoff"] - whole["tradeoff"]).abs()[some["layer"] == "0"]
    assert (off > 0).all()
    assert (off < 6 * some["tradeoff_standard_error"][some["layer"] == "0"]).all()


def test_wide_layers_are_sampled_by_default():
    rows = frt.Monitor(wide(46), probes(1), null=0, errors=False).measure(0)
    assert rows["pairs"].tolist() == [1000, 1, 0]  # of 1,035
    paper = {**frt.PAPER, "errors": False}  # which means over all pairs
    assert frt.Monitor(wide(46), probes(1), null=0, **paper).measure(0)["pairs"].tolist() == [1035, 1, 0]


# ------------------------------------------------------------------------------------------------ several orders


def of_one(frame, alpha):
    return frame[frame["alpha"] == alpha].reset_index(drop=True)


@pytest.mark.parametrize("options", [{}, {"null": 0}, {"pairs": False}, {"errors": False}, frt.PAPER])
def test_each_order_is_as_in_a_run_of_its_own(options):
    model, probe = net(), probes()
    rows = frt.Monitor(model, probe, alpha=[2, 1.01], **options).measure(0)
    assert rows["alpha"].tolist() == [1.01, 2.0] * 8
    for alpha in (1.01, 2):
        alone = frt.Monitor(model, probe, alpha=alpha, **options).measure(0)
        pd.testing.assert_frame_equal(of_one(rows, alpha), alone, rtol=0, atol=1e-9)


def test_one_forward_pass_for_all_orders():
    passes = []
    model = net()
    model.register_forward_hook(lambda *_: passes.append(1))
    counts = []
    for alpha in (1.01, [0.5, 1.01, 2, float("inf")]):
        passes.clear()
        frt.Monitor(model, probes(), alpha=alpha).measure(0)
        counts.append(len(passes))
    assert counts[0] == counts[1]


def test_a_store_of_several_orders(tmp_path):
    model, probe, path = net(), probes(), tmp_path / "run.db"
    with frt.Monitor(model, probe, store=path, alpha=[1.01, 2]) as monitor:
        monitor.measure(0)
        assert monitor.settings["alpha"] == [1.01, 2.0]
    with frt.Monitor(model, probe, store=path, alpha=[1.01, 2]) as monitor:
        monitor.measure(1)
        frame = monitor.frame()
    assert frame["alpha"].tolist() == [1.01, 2.0] * 16
    with pytest.raises(fr.StoreError, match=r"alpha was \[1\.01, 2\.0\] and is 1\.01"):
        frt.Monitor(model, probe, store=path)


def test_inequalities_of_each_order():
    frame = frt.Monitor(net(), probes(), alpha=[1.01, 2]).measure(0)
    links = frt.inequalities(frame)
    assert links["alpha"].tolist() == [1.01] * 5 + [2.0] * 5
    for alpha in (1.01, 2):
        pd.testing.assert_frame_equal(of_one(links, alpha), frt.inequalities(of_one(frame, alpha)))
    bare = frt.inequalities(of_one(frame, 2).drop(columns="alpha"))
    assert bare["alpha"].isna().all()
    pd.testing.assert_frame_equal(bare.drop(columns="alpha"), of_one(links, 2).drop(columns="alpha"))
    with pytest.raises(TypeError, match=r"^frame: expected numbers in the column alpha"):
        frt.inequalities(frame.assign(alpha="one"))


def test_scalars_of_each_order():
    frame = frt.Monitor(net(), probes(), alpha=[1.01, 2]).measure(3)
    found = scalars(frame)[3]
    one = scalars(of_one(frame, 2))[3]
    assert "conv1/entropy" in one
    assert not any("alpha" in name or name.endswith("/pairs") for name in one)
    assert {f"{name}/alpha_2.0": value for name, value in one.items()}.items() <= found.items()
    assert len(found) == 2 * len(one)


def test_a_report_has_a_choice_of_orders_or_one(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "run.db"
    with frt.Monitor(net(), probes(n=N), store=path, alpha=[1.01, 2]) as monitor:
        for step in range(3):
            monitor.measure(step)
        frame = monitor.frame()
    assert cli.main(["report", str(path)]) == 0
    assert "give --method and --alpha" in capsys.readouterr().out
    assert cli.main(["report", str(path), "--format", "svg"]) == 2
    assert "format: expected one method and order to draw as files, got several" in capsys.readouterr().err
    from fastrenyi.report.findings import findings
    from fastrenyi.report.plots import FIGURES

    for reader in (findings, *FIGURES.values()):
        with pytest.raises(ValueError, match=r"^frame: expected rows of one order alpha, got 1\.01, 2\.0; give"):
            reader(frame)
    assert cli.main(["report", str(path), "--alpha", "3"]) == 2
    assert "alpha: expected an order of the table, 1.01, 2.0, got 3.0" in capsys.readouterr().err
    assert cli.main(["report", str(path), "--alpha", "2"]) == 0
    assert "entropy of order α&nbsp;=&nbsp;2." in (tmp_path / "report.html").read_text(encoding="utf-8")
