"""Monitor: several methods side by side, each against the formulas in NumPy, and what the table says of them."""

from collections import Counter

import numpy as np
import pytest

import reference
import tolerances

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")
from torch import nn  # noqa: E402

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402
from networks import N, net, probes, samples_of  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning", "ignore:label_kernel:UserWarning")

METHODS = {"default": {}, "paper": frt.PAPER, "tensor": frt.TENSOR, "binned": {**frt.BINNED, "bins": 3}}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def trained(model, by=0.5):
    """As after some training: other weights."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by * torch.randn(parameter.shape, dtype=parameter.dtype))


def assert_same_rows(found, expected):
    """The same rows but for the name of the method."""
    pd.testing.assert_frame_equal(
        found.drop(columns="method").reset_index(drop=True), expected.drop(columns="method").reset_index(drop=True)
    )


def assert_bits(found, expected, alpha=1.01):
    tolerances.assert_bits(float(found), expected, "float64", alpha=alpha, n=N, terms=6)


# ------------------------------------------------------------------------------------------------- side by side


@pytest.mark.parametrize("name", METHODS)
def test_a_method_beside_others_is_what_it_is_alone(name):
    model, pairs = net(), probes()
    together = frt.Monitor(model, pairs, methods=METHODS).measure(0)
    alone = frt.Monitor(model, pairs, **METHODS[name]).measure(0)
    assert list(together["method"].unique()) == sorted(METHODS)
    assert set(alone["method"]) == {""}
    assert_same_rows(together[together["method"] == name], alone)


def test_a_setting_that_a_method_does_not_name_is_the_monitors():
    model, pairs = net(), probes()
    monitor = frt.Monitor(model, pairs, pairs=False, alpha=2, null=0, methods={"a": {}, "b": {"alpha": [1.01, 3]}})
    frame = monitor.measure(0)
    assert set(frame["alpha"][frame["method"] == "a"]) == {2.0}
    assert set(frame["alpha"][frame["method"] == "b"]) == {1.01, 3.0}
    assert frame["tradeoff"].isna().all()
    assert_same_rows(frame[frame["method"] == "a"], frt.Monitor(model, pairs, pairs=False, alpha=2, null=0).measure(0))


@pytest.mark.parametrize(
    ("methods", "passes"),
    [
        ({"a": {}, "b": frt.TENSOR, "c": frt.BINNED}, 1),
        ({"a": {}, "b": frt.PAPER}, 2),
        ({"a": {}, "b": {"activations": "before"}, "c": {"errors": False}, "d": {"null": 0}}, 3),
    ],
)
def test_methods_share_a_pass(methods, passes):
    methods.get("d", {}).pop("null", None)
    model, calls = net(), Counter()
    model.conv1.register_forward_hook(lambda *_: calls.update(n=1))
    links = [("conv1", "conv2")]
    alone = frt.Monitor(model, probes(), links=links).measure(0)
    once, _ = calls.pop("n"), alone
    frame = frt.Monitor(model, probes(), links=links, methods=methods).measure(0)
    assert frame["method"].nunique() == len(methods)
    assert calls["n"] == passes * once


def test_settings_stand_in_the_store_by_method(tmp_path):
    path = tmp_path / "run.db"
    model, pairs = net(), probes()
    monitor = frt.Monitor(model, pairs, store=path, methods=METHODS)
    kept = monitor.settings["methods"]
    assert list(kept) == list(METHODS)
    assert kept["paper"]["bandwidth"] == "Silverman(scale=5.0)"
    assert kept["tensor"] | {"smooth": 0.9, "softmax": True} == kept["tensor"]
    assert kept["tensor"]["bandwidth"] == "Alignment(target=None, widths=None)"
    assert kept["binned"] | {"bins": 3, "alpha": 1.0, "kernel": "delta"} == kept["binned"]
    assert "bandwidth" not in monitor.settings
    assert repr(monitor).startswith("Monitor(Net, layers=['conv1', 'conv2', 'fc1', 'fc2'], probe_sizes=[12, 12], meth")
    monitor.measure(0)
    monitor.close()
    with pytest.raises(ValueError, match=r"^store: .*methods was .* and is .*another file"):
        frt.Monitor(model, pairs, store=path, methods={**METHODS, "more": {}})
    pd.testing.assert_frame_equal(frt.Monitor(model, pairs, store=path, methods=METHODS).frame(), monitor.frame())


def test_warnings_name_the_method():
    with pytest.warns(UserWarning, match=r"^layer 'fc2', method 'narrow': the entropy is"):
        frt.Monitor(net(), probes(1), methods={"narrow": {"bandwidth": 1e-3}}).measure(0)


def test_wherever_something_is_wrong_the_method_is_named():
    model = net()
    monitor = frt.Monitor(model, probes(1), methods={"a": {"bandwidth": fr.NearestNeighbours(3)}, "b": {}})
    with torch.no_grad():
        model.fc1.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"^layer 'fc1', step 0, probe\[0\], method 'a': output: expected finite"):
        monitor.measure(0)


# ----------------------------------------------------------------------------------- aligned and smoothed widths


def aligned_width(samples, target):
    """The width of 75 around the median distance whose Gram is best aligned."""
    grid = reference.median(samples) * np.geomspace(0.1, 10, 75)
    return max(grid, key=lambda width: reference.alignment(reference.gram_gaussian(samples, width), target))


def test_tensor_kernels_with_aligned_and_smoothed_widths():
    model, pairs = net(), probes()
    monitor = frt.Monitor(model, pairs, errors=False, **frt.TENSOR)
    earlier = {}
    for step in range(3):
        rows = monitor.measure(step)
        for batch, (x, y) in enumerate(pairs):
            target = reference.gram_delta(y.numpy())
            of_x = samples_of(x)
            of_x = reference.gram_gaussian(of_x, aligned_width(of_x, target))
            outputs = model.eval().stages(x)
            outputs["fc2"] = outputs["fc2"].softmax(1)
            for name, output in outputs.items():
                samples = samples_of(output)
                width = aligned_width(samples, target)
                width = 0.9 * earlier.get((batch, name), width) + 0.1 * width
                earlier[batch, name] = width
                row = rows[(rows["batch"] == batch) & (rows["layer"] == name)].iloc[0]
                gram = reference.gram_gaussian(samples, width)
                assert row["bandwidth"] == pytest.approx(width, rel=1e-12)
                assert row["activation"] == {"fc1": "tanh", "fc2": "softmax"}.get(name, "relu")
                assert_bits(row["entropy"], reference.entropy(gram))
                assert_bits(row["mi_input"], reference.mutual_information(gram, of_x))
                assert_bits(row["mi_target"], reference.mutual_information(gram, target))
        trained(model)
    assert monitor.frame().groupby(["batch", "layer"])["bandwidth"].nunique().min() == 3


SMOOTHED = {"tensor": {**frt.TENSOR, "pairs": False}, "plain": {"bandwidth": "median", "smooth": 0.5, "pairs": False}}


def test_a_resumed_monitor_goes_on_with_the_same_widths(tmp_path):
    pairs = probes()

    def run(path, interrupted):
        torch.manual_seed(1)
        model = net()
        monitor = frt.Monitor(model, pairs, store=path, methods=SMOOTHED)
        for step in range(4):
            if interrupted and step in (1, 3):
                monitor.close()
                monitor = frt.Monitor(model, pairs, store=path, methods=SMOOTHED)
            monitor.measure(step)
            trained(model)
        return monitor.frame()

    whole = run(None, False)
    pd.testing.assert_frame_equal(run(tmp_path / "run.db", True), whole)
    assert whole.groupby(["method", "batch", "layer"])["bandwidth"].nunique().min() == 4


def test_a_step_that_is_measured_again_goes_on_from_those_before_it():
    model, pairs = net(), probes(1)
    monitor = frt.Monitor(model, pairs, existing="replace", smooth=0.5, pairs=False, null=0)
    chosen = []
    for step in (0, 10, 20):
        chosen.append(frt.Monitor(model, pairs, pairs=False, null=0).measure(0)["bandwidth"].to_numpy())
        monitor.measure(step)
        trained(model)
    first, second, third = chosen
    expected = 0.5 * (0.5 * first + 0.5 * second) + 0.5 * third
    frame = monitor.frame()
    np.testing.assert_allclose(frame["bandwidth"][frame["step"] == 20], expected, rtol=1e-12)
    now = frt.Monitor(model, pairs, pairs=False, null=0).measure(0)["bandwidth"].to_numpy()
    # Of step 10, anew; and of one before all others, which begins on its own.
    np.testing.assert_allclose(monitor.measure(10)["bandwidth"], 0.5 * first + 0.5 * now, rtol=1e-12)
    np.testing.assert_allclose(monitor.measure(5)["bandwidth"], 0.5 * first + 0.5 * now, rtol=1e-12)


def test_a_layer_that_was_not_finite_goes_on_with_its_last_width():
    model, pairs = net(), probes(1)
    monitor = frt.Monitor(model, pairs, smooth=0.5, pairs=False, null=0, errors=False, on_nan="record")
    first = monitor.measure(0)["bandwidth"]
    weight = model.fc2.weight.detach().clone()
    with torch.no_grad():
        model.fc2.weight.fill_(float("nan"))
    assert monitor.measure(1)["bandwidth"].isna().tolist() == [False, False, False, True]
    with torch.no_grad():
        model.fc2.weight.copy_(weight)
    np.testing.assert_allclose(monitor.measure(2)["bandwidth"], first, rtol=1e-12)


def test_the_width_of_each_row_is_told():
    x, y = probes(1)[0]
    model = net()
    row = frt.Monitor(model, [(x, y)], pairs=False).measure(0).set_index("layer")["bandwidth"]
    for name, output in model.eval().stages(x).items():
        assert row[name] == pytest.approx(reference.median(samples_of(output)), rel=1e-12)
    row = frt.Monitor(model, [(x, y)], **frt.PAPER).measure(0).set_index("layer")["bandwidth"]
    assert row[["conv1", "conv2"]].isna().all()  # one for each map
    assert row["fc2"] == pytest.approx(reference.silverman(N, 3), rel=1e-12)


def test_a_layer_that_is_constant_has_the_narrow_limit():
    model = net()
    with torch.no_grad():
        model.fc2.weight.zero_()
    rows = frt.Monitor(model, probes(1), smooth=0.9, errors=False).measure(0)
    assert rows["bandwidth"].iloc[-1] == 0
    assert rows["entropy"].iloc[-1] == pytest.approx(0, abs=1e-9)
    assert rows["dead"].iloc[-1]


# -------------------------------------------------------------------------------------------- labels and softmax


def test_gaussian_labels_are_one_hot():
    model, pairs = net(), probes(1)
    x, y = pairs[0]
    methods = {"delta": {}, "one-hot": {"label_kernel": fr.Gaussian(0.5)}}
    frame = frt.Monitor(model, pairs, pairs=False, methods=methods).measure(0).set_index(["method", "layer"])
    targets = {"delta": reference.gram_delta(y.numpy()), "one-hot": reference.gram_gaussian(np.eye(3)[y], 0.5)}
    for name, output in model.eval().stages(x).items():
        samples = samples_of(output)
        gram = reference.gram_gaussian(samples, reference.median(samples))
        for method, target in targets.items():
            row = frame.loc[(method, name)]
            assert_bits(row["target_entropy"], reference.entropy(target))
            assert_bits(row["mi_target"], reference.mutual_information(gram, target))


class Tokens(nn.Module):
    """Puts out (n, places, classes), among other things."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 5)
        self.outer = nn.Linear(5, 3)

    def forward(self, x):
        hidden = self.inner(x).tanh()
        return {"logits": self.outer(hidden), "hidden": hidden}


def test_softmax_is_over_classes_wherever_they_stand():
    x, y = torch.randn(N, 6, 4, dtype=torch.float64), torch.randint(3, (N, 6))
    model = Tokens().double()
    monitor = frt.Monitor(model, [(x, y)], softmax=True, output="logits", pairs=False, null=0)
    rows = monitor.measure(0)
    assert list(rows["activation"]) == ["tanh", "softmax"]
    samples = samples_of(model(x)["logits"].softmax(-1))
    gram = reference.gram_gaussian(samples, reference.median(samples))
    assert_bits(rows["entropy"].iloc[1], reference.entropy(gram))
    plain = frt.Monitor(model, [(x, y)], output="logits", pairs=False, null=0).measure(0)
    pd.testing.assert_series_equal(rows["mi_error"], plain["mi_error"])
    assert (rows["entropy"] != plain["entropy"]).tolist() == [False, True]


def test_softmax_of_what_is_not_finite_is_recorded():
    model = net()
    with torch.no_grad():
        model.fc2.weight.fill_(float("nan"))
    rows = frt.Monitor(model, probes(1), softmax=True, on_nan="record").measure(0)
    assert rows["not_finite"].iloc[-1] == "output, error"


def test_softmax_needs_a_layer_that_puts_out_what_the_network_does():
    words = r"^step 0, probe\[0\], method 'a': softmax: expected a measured layer .*, got none among 'conv1'; measure"
    with pytest.raises(ValueError, match=words):
        frt.Monitor(net(), probes(1), "conv1", methods={"a": {"softmax": True}}).measure(0)
    ends_in_one = nn.Sequential(nn.Flatten(), nn.Linear(36, 3, dtype=torch.float64), nn.LogSoftmax(1))
    with pytest.raises(ValueError, match=r"^step 0, probe\[0\]: softmax: .*softmax=False for a network that ends in"):
        frt.Monitor(ends_in_one, probes(1), softmax=True).measure(0)
    with pytest.raises(ValueError, match=r"^layer 'fc2', .*softmax: expected an output of two classes or more"):
        frt.Monitor(net(classes=1), [(x, y[:, None] * 0.5) for x, y in probes(1)], softmax=True).measure(0)


# ------------------------------------------------------------------------------------------------ wrong arguments


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"methods": ["paper"]}, TypeError, r"^methods: expected a dict from .*, got list"),
        ({"methods": {}}, ValueError, r"^methods: expected at least one method"),
        ({"methods": {"": {}}}, ValueError, r"^methods: expected names that can be printed, without a slash, got ''"),
        ({"methods": {"a\n": {}}}, ValueError, r"^methods: expected names that can be printed"),
        ({"methods": {"a/b": {}}}, ValueError, r"^methods: expected names that can be printed, without a slash"),
        ({"methods": {1: {}}}, TypeError, r"^methods: expected a dict from .* for 1"),
        ({"methods": {"a": "paper"}}, TypeError, r"^methods: expected a dict .* 'paper' for 'a'"),
        ({"methods": {"a": {"null": 3}}}, ValueError, r"^methods\['a'\]: expected settings .*softmax, got 'null'"),
        ({"methods": {"a": {"bandwidth": -1}}}, ValueError, r"^methods\['a'\]: bandwidth: .*above zero"),
        ({"methods": {"a": {"kernel": "cosine"}}}, ValueError, r"^methods\['a'\]: bandwidth: expected None"),
        ({"methods": {"a": {}}, "alpha": -1}, ValueError, r"^alpha: "),
        ({"smooth": 1}, ValueError, r"^smooth: expected a number in \[0, 1\), got 1"),
        ({"smooth": -0.1}, ValueError, r"^smooth: "),
        ({"smooth": float("nan")}, ValueError, r"^smooth: "),
        ({"smooth": "0.9"}, TypeError, r"^smooth: expected a number in \[0, 1\), got '0.9'"),
        ({"smooth": 0.9, "kernel_on": "maps"}, ValueError, r"^smooth: expected 0, .*pass kernel_on='tensor'"),
        ({**frt.BINNED, "smooth": 0.9}, ValueError, r"^smooth: expected 0, as Delta.* has no width"),
        ({"bins": 30}, ValueError, r"^bins: expected None, .*Gaussian.*kernel='delta'.*frt\.BINNED"),
        ({**frt.BINNED, "bins": 1}, ValueError, r"^bins: expected an integer of at least 2"),
        ({**frt.BINNED, "bins": 2.0}, TypeError, r"^bins: expected an integer"),
        ({"softmax": 1}, TypeError, r"^softmax: expected True or False"),
        ({"label_kernel": fr.Gaussian(fr.Alignment())}, ValueError, r"^label_kernel: expected a kernel with a width"),
    ],
)
def test_wrong_options(options, error, words):
    with pytest.raises(error, match=words):
        frt.Monitor(net(), probes(), **options)


@pytest.mark.parametrize("name", ["bandwidth", "error_bandwidth"])
def test_widths_are_not_aligned_with_targets_that_are_not_there(name):
    pairs = [(x, None) for x, _ in probes(1)]
    with pytest.raises(ValueError, match=rf"^{name}: expected minibatches with targets for Alignment.*probe\[0\]"):
        frt.Monitor(net(), pairs, errors=False, **{name: fr.Alignment()})


def test_alignment_without_a_target_is_refused_outside_a_monitor():
    with pytest.raises(ValueError, match=r"^bandwidth: expected a target Gram outside a Monitor.*pass Alignment\(tar"):
        fr.gram(np.ones((4, 2)), bandwidth=fr.Alignment())
    with pytest.raises(ValueError, match=r"^bandwidth: expected a target Gram outside a Monitor"):
        fr.lazy_gram(np.ones((4, 2)), bandwidth=fr.Alignment())
    assert fr.Alignment() == fr.Alignment(None) != fr.Alignment(np.eye(3) / 3)
    assert repr(fr.Alignment()) == "Alignment(target=None, widths=None)"


# ------------------------------------------------------------------------------------- what is made of the table


def test_chains_and_scalars_are_told_apart_by_method():
    from fastrenyi.torch.scalars import scalars

    model, pairs = net(), probes()
    options = {"pairs": False, "null": 0}
    frame = frt.Monitor(model, pairs, **options, methods={"a": {}, "b": {"alpha": 2}}).measure(0)
    links = frt.inequalities(frame)
    for name, own in (("a", {}), ("b", {"alpha": 2})):
        alone = frt.Monitor(model, pairs, **options, **own).measure(0)
        assert_same_rows(links[links["method"] == name], frt.inequalities(alone))
    values = scalars(frame[frame["layer"] == "fc2"])
    mean = frame[(frame["layer"] == "fc2") & (frame["method"] == "b")]["mi_input"].mean()
    assert values["fc2/mi_input/method_b/alpha_2.0"] == pytest.approx(mean)
    without = frame.drop(columns="method")
    with pytest.raises(ValueError, match=r"^frame: expected one row per step, batch, layer, method and order"):
        frt.inequalities(without.assign(alpha=1.0))


def test_a_report_has_a_choice_of_methods_or_one(tmp_path, capsys):
    for name in ("matplotlib", "plotly"):
        pytest.importorskip(name)
    from fastrenyi import cli

    path = tmp_path / "run.db"
    methods = {"tensor": {**frt.TENSOR, "pairs": False}, "binned": {**frt.BINNED, "pairs": False}}
    with frt.Monitor(net(), probes(), store=path, null=2, methods=methods) as monitor:
        monitor.measure(0)
        monitor.measure(1)
    assert cli.main(["report", str(path)]) == 0
    assert "give --method and --alpha" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.png"))
    assert cli.main(["report", str(path), "--format", "svg"]) == 2
    assert "format: expected one method and order to draw as files, got several" in capsys.readouterr().err
    assert cli.main(["report", str(path), "--method", "other"]) == 2
    assert "method: expected one of the table's, 'binned', 'tensor', got 'other'" in capsys.readouterr().err
    assert cli.main(["report", str(path), "--method", "binned", "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Kernel delta, on tensor, bins of equal width 30, kernel of labels delta." in page
    assert "Alignment(target" not in page
