"""Monitor: its numbers against an independent recomputation, and the rows of its table."""

import numpy as np
import pytest

import reference
import tolerances

torch = pytest.importorskip("torch")
pytest.importorskip("pandas")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402
from networks import N, Net, net, net_like, probes  # noqa: E402


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


QUANTITIES = [
    "entropy", "mi_input", "mi_target", "tradeoff", "nonredundant", "tradeoff_share", "nonredundant_share", "mi_error",
]  # fmt: skip
NULLS = [
    f"{name}_null{of}"
    for name in ("mi_input", "mi_target", "mi_error", "tradeoff", "nonredundant")
    for of in ("", "_std")
]
ERRORS = ["tradeoff_standard_error", "nonredundant_standard_error"]
NUMBERS = [*QUANTITIES, *NULLS, *ERRORS, "alpha", "bandwidth", "input_entropy", "target_entropy"]
WORDS = ["method", "layer", "part", "activation", "input_via", "error_via", "not_finite"]
COUNTS = ["step", "batch", "depth", "channels", "channel_dim", "samples", "permutations", "pair_permutations", "pairs"]
FLAGS = ["saturated", "dead"]

# The networks are random and the minibatches small: to narrow kernels all samples are apart.
pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning")


def paper(*args, **more):
    """A Monitor with the paper's settings, of which `recomputed` knows."""
    return frt.Monitor(*args, **{**frt.PAPER, **more})


def width(samples, scale):
    return reference.silverman(len(samples), samples.shape[1], scale)


def grams_of(output, scale=5.0, gram=reference.gram_gaussian):
    """One Gram per feature map of (n, C, ...), one for (n, d)."""
    values = output.detach().double().numpy()
    variables = [values] if values.ndim < 3 else [values[:, c] for c in range(values.shape[1])]
    flat = [variable.reshape(len(variable), -1) for variable in variables]
    return [gram(samples, width(samples, scale)) for samples in flat]


def recomputed(model, probe, loss, target_gram=reference.gram_delta, alpha=1.01, gram=reference.gram_gaussian):
    """The rows of one minibatch from the stages by hand and the formulas in NumPy."""
    x, y = probe
    stages = model.stages(x.clone().requires_grad_())
    outputs = list(stages.values())
    deltas = torch.autograd.grad(loss(outputs[-1], y), outputs)
    # The whole input is one variable, unlike a layer's maps.
    samples = x.double().flatten(1).numpy()
    input_gram = gram(samples, width(samples, 5.0))
    last = grams_of(deltas[-1], 0.1, gram)
    rows = []
    for (name, output), delta in zip(stages.items(), deltas, strict=True):
        maps = grams_of(output, gram=gram)
        known = reference.layer_decomposition(maps, input_gram, alpha)
        rows.append(
            {
                "layer": name,
                "channels": len(maps),
                "entropy": known["entropy"],
                "mi_input": known["mmi"],
                "mi_target": reference.mutual_information(maps, target_gram(y.numpy()), alpha),
                "tradeoff": known["tradeoff"],
                "nonredundant": known["nonredundant"],
                "tradeoff_share": known["tradeoff_share"],
                "nonredundant_share": known["nonredundant_share"],
                "mi_error": float("nan")
                if name == "fc2"
                else reference.mutual_information(last, grams_of(delta, 0.1, gram), alpha),
            }
        )
    return rows


def assert_rows(frame, expected, dtype="float64", alpha=1.01):
    assert list(frame["layer"]) == [row["layer"] for row in expected]
    assert list(frame["channels"]) == [row["channels"] for row in expected]
    for name in QUANTITIES:
        wanted = np.array([row[name] for row in expected])
        found = frame[name].to_numpy()
        assert (np.isnan(found) == np.isnan(wanted)).all(), name
        there = ~np.isnan(wanted)
        # A share divides a sum of entropies by one of the order of a bit.
        tolerances.assert_bits(found[there], wanted[there], dtype, alpha=alpha, n=N, terms=20)


def cross_entropy(output, y):
    return F.cross_entropy(output, y, reduction="sum")


@pytest.mark.parametrize(("dtype", "alpha"), [("float64", 1.01), ("float64", 2), ("float64", 0.5), ("float32", 1.01)])
def test_numbers_against_the_formulas(dtype, alpha):
    model = net(getattr(torch, dtype))
    probe = probes(dtype=getattr(torch, dtype))
    rows = paper(model, probe, alpha=alpha).measure(7)
    assert (rows["step"] == 7).all()
    for batch, pair in enumerate(probe):
        own = rows[rows["batch"] == batch]
        assert list(own["depth"]) == [0, 1, 2, 3]
        expected = recomputed(model, pair, cross_entropy, alpha=alpha)
        assert own["mi_error"].iloc[:3].min() > 0.01  # the comparison is not one of zeros
        assert_rows(own, expected, dtype, alpha)


def test_a_layers_dtype_may_differ_from_the_inputs():
    class Mixed(Net):
        def forward(self, x):
            return super().forward(x.double())

    model = net()
    model.__class__ = Mixed
    probe = probes(1, torch.float32, n=97)  # 97 * float32(1 / 97) is not 1 to float64
    frame = frt.Monitor(model, probe, pairs=False).measure(0)
    expected = frt.Monitor(net_like(model), [(probe[0][0].double(), probe[0][1])], pairs=False).measure(0)
    for name in ("mi_input", "mi_target", "mi_error"):
        np.testing.assert_allclose(frame[name], expected[name], rtol=0, atol=1e-9)


def test_floating_targets_have_the_squared_error():
    model = net(classes=2)
    x = torch.randn(N, 1, 6, 6, dtype=torch.float64)
    y = torch.randn(N, 2, dtype=torch.float64)
    rows = paper(model, [(x, y)], label_kernel="gaussian").measure(0)
    expected = recomputed(
        model,
        (x, y),
        lambda output, y: ((output - y) ** 2).sum(),
        target_gram=lambda y: reference.gram_gaussian(y, reference.silverman(N, 2, 5.0)),
    )
    assert_rows(rows, expected)


def test_one_hot_targets_under_delta_are_labels():
    model = net()
    ((x, y),) = probes(1)
    labels = frt.Monitor(model, [(x, y)], errors=False).measure(0)
    for other in (F.one_hot(y, 3).double(), F.one_hot(y, 3), y.bool(), y.int()):
        found = frt.Monitor(model, [(x, other)], errors=False).measure(0)
        same = other.ndim == 2 or other.dtype == torch.int32
        assert np.allclose(found["mi_target"], labels["mi_target"], rtol=0, atol=1e-12) == same


def test_an_own_loss():
    model = net()
    ((x, y),) = probes(1)

    def hinge(output, y):
        return F.multi_margin_loss(output, y, reduction="sum")

    rows = paper(model, [(x, y)], loss=hinge).measure(0)
    assert_rows(rows, recomputed(model, (x, y), hinge))
    default = paper(model, [(x, y)]).measure(0)
    assert not np.allclose(rows["mi_error"][:3], default["mi_error"][:3])


def test_kernel_and_widths():
    model = net()
    pairs = probes(1)
    laplacian = paper(model, pairs, kernel="laplacian").measure(0)
    assert_rows(laplacian, recomputed(model, pairs[0], cross_entropy, gram=reference.gram_laplacian))
    plain = paper(model, pairs).measure(0)
    forward = [name for name in NUMBERS if "mi_error" not in name]
    wider = paper(model, pairs, bandwidth=9.0).measure(0)
    assert not np.isclose(wider["mi_input"], plain["mi_input"]).any()
    np.testing.assert_array_equal(wider["mi_error"], plain["mi_error"])
    other = paper(model, pairs, error_bandwidth="median").measure(0)
    np.testing.assert_array_equal(other[forward], plain[forward])
    assert not np.isclose(other["mi_error"][:3], plain["mi_error"][:3]).any()
    own = paper(model, pairs, kernel=fr.Gaussian(9.0), bandwidth=None, error_bandwidth=None).measure(0)
    np.testing.assert_array_equal(own[forward], wider[forward])
    polynomial = paper(model, pairs, kernel="polynomial", bandwidth=None, error_bandwidth=None).measure(0)
    assert (polynomial["mi_input"] > 0).all()


def test_without_pairs_or_errors():
    model = net()
    pairs = probes()
    full = frt.Monitor(model, pairs).measure(0)
    bare = frt.Monitor(model, pairs, pairs=False, errors=False).measure(0)
    gone = ["tradeoff", "nonredundant", "tradeoff_share", "nonredundant_share", "mi_error", *ERRORS]
    gone += [name for name in NULLS if name.startswith(("tradeoff", "nonredundant", "mi_error"))]
    assert bare[gone].isna().all(axis=None)
    kept = [name for name in NUMBERS if name not in gone]
    np.testing.assert_allclose(bare[kept], full[kept], rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_measured_in_single(dtype):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)).to(dtype)
    x, y = probes(1, dtype)[0]
    rows = paper(model, [(x, y)]).measure(0)
    with frt.capture(model) as acts:
        model(x)
    maps = grams_of(acts["0"])
    samples = x.double().flatten(1).numpy()
    input_gram = reference.gram_gaussian(samples, width(samples, 5.0))
    expected = reference.mutual_information(maps, input_gram)
    assert rows["mi_input"][0] == pytest.approx(expected, abs=10 * tolerances.BITS["float32"])


def test_the_table():
    monitor = frt.Monitor(net(), probes())
    first = monitor.measure(5)
    second = monitor.measure(np.int64(2))
    frame = monitor.frame()
    kinds = {name: str(kind).replace("object", "str") for name, kind in frame.dtypes.items()}  # pandas 2 says object
    assert kinds == {
        **dict.fromkeys(COUNTS, "int64"),
        **dict.fromkeys(WORDS, "str"),
        **dict.fromkeys(FLAGS, "bool"),
        **dict.fromkeys(NUMBERS, "float64"),
    }
    assert list(first.dtypes) == list(second.dtypes) == list(frame.dtypes)
    assert list(first["step"].unique()) == [5]
    assert monitor.steps == [2, 5]
    assert list(zip(frame["step"], frame["batch"], frame["depth"], strict=True)) == [
        (step, batch, depth) for step in (2, 5) for batch in (0, 1) for depth in range(4)
    ]
    assert list(frame["layer"][:4]) == ["conv1", "conv2", "fc1", "fc2"]
    assert list(frame["channels"][:4]) == [3, 2, 1, 1]
    assert frame["tradeoff"].isna().tolist() == [False, False, True, True] * 4
    assert frame["mi_error"].isna().tolist() == [False, False, False, True] * 4
    frame.loc[:, "mi_input"] = 0.0
    assert (monitor.frame()["mi_input"] != 0).all()


def test_a_table_without_rows():
    monitor = frt.Monitor(net(), probes())
    assert set(monitor.frame().columns) == {*COUNTS, *WORDS, *FLAGS, *NUMBERS}
    assert (len(monitor.frame()), monitor.steps) == (0, [])


def test_measurements_follow_the_training():
    model = net()
    monitor = frt.Monitor(model, probes())
    before = monitor.measure(0)
    again = monitor.measure(1)
    np.testing.assert_array_equal(before[NUMBERS], again[NUMBERS])
    with torch.no_grad():
        model.conv1.weight.mul_(3)
    assert not np.isclose(monitor.measure(2)["mi_input"], before["mi_input"]).all()


@pytest.mark.parametrize("layers", ["fc1", ["fc1", "conv2"], nn.Linear, lambda name, module: name == "conv2"])
def test_choice_of_layers(layers):
    model = net()
    with frt.capture(model, layers) as acts:
        model(probes()[0][0])
    rows = frt.Monitor(model, probes(1), layers).measure(0)
    assert list(rows["layer"]) == list(acts)
    assert list(rows["depth"]) == list(range(len(acts)))
    assert rows["mi_error"].isna().tolist() == [False] * (len(acts) - 1) + [True]


def test_maps_of_one_dimension_are_maps():
    model = nn.Sequential(nn.Conv1d(1, 3, 3), nn.Flatten(), nn.Linear(12, 2)).double()
    x, y = torch.randn(N, 1, 6, dtype=torch.float64), torch.randint(2, (N,))
    rows = paper(model, [(x, y)]).measure(0)
    assert list(rows["channels"]) == [3, 1]
    maps = grams_of(model[0](x))
    assert len(maps) == 3
    assert rows["entropy"][0] == pytest.approx(reference.joint_entropy(maps), abs=1e-9)


def test_layers_called_twice_or_never_and_flat_outputs():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.never = nn.Linear(4, 4)
            self.twice = nn.Linear(4, 4)
            self.out = nn.Linear(4, 1)
            self.flat = nn.Flatten(0)

        def forward(self, x):
            return self.flat(self.out(self.twice(torch.tanh(self.twice(x)))))

    x, y = torch.randn(N, 4), torch.randn(N)
    monitor = frt.Monitor(Odd(), [(x, y)], ["never", "twice", "out", "flat"], label_kernel="gaussian")
    with pytest.warns(UserWarning, match=r"^layers: never called in a forward pass, so without rows: 'never'$"):
        rows = monitor.measure(0)
    monitor.measure(1)  # which says it no more
    assert list(rows["layer"]) == ["twice", "twice#2", "out", "flat"]
    assert list(rows["channels"]) == [1, 1, 1, 1]
    assert rows["mi_input"][2] == pytest.approx(rows["mi_input"][3], abs=1e-4)
    with pytest.raises(ValueError, match=r"^step 0, probe\[0\]: layers: expected layers that the model calls"):
        frt.Monitor(Odd(), [(x, y)], "never", label_kernel="gaussian").measure(0)


def test_layers_that_the_loss_does_not_depend_on_are_not_in_the_chain():
    class Side(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4)
            self.b = nn.Linear(4, 3)
            self.side = nn.Linear(4, 2)  # the last to run, and without influence

        def forward(self, x):
            hidden = torch.tanh(self.a(x))
            out = self.b(hidden)
            self.side(hidden)
            return out

    rows = frt.Monitor(Side(), [(torch.randn(N, 4), torch.randint(3, (N,)))]).measure(0)
    assert list(rows["layer"]) == ["a", "b", "side"]
    assert rows["mi_error"].isna().tolist() == [False, True, True]
    assert rows["mi_input"].notna().all()


def test_errors_reach_layers_behind_a_detached_input():
    class Detached(Net):
        def forward(self, x):
            return super().forward(x.detach())

    model = net()
    expected = frt.Monitor(model, pairs := probes()).measure(0)
    model.__class__ = Detached
    found = frt.Monitor(model, pairs).measure(0)
    np.testing.assert_array_equal(found["mi_error"], expected["mi_error"])


def test_frozen_parameters_have_the_same_errors():
    model = net()
    pairs = probes()
    expected = frt.Monitor(model, pairs).measure(0)
    model.requires_grad_(False)
    found = frt.Monitor(model, pairs).measure(0)
    np.testing.assert_allclose(found["mi_error"], expected["mi_error"], rtol=0, atol=1e-12)
    assert not any(p.requires_grad for p in model.parameters())
    model.conv2.requires_grad_(True)
    found = frt.Monitor(model, pairs).measure(0)
    np.testing.assert_allclose(found["mi_error"], expected["mi_error"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["parallel", "compiled", "average"])
def test_wrapped_models(kind):
    model = net()
    pairs = probes()
    if kind == "parallel":
        outer = nn.DataParallel(model)
        outer.device_ids = [0, 1]  # more than one device: the wrapper itself is not called
    elif kind == "average":
        outer = torch.optim.swa_utils.AveragedModel(model)
    else:
        outer = torch.compile(model, backend="eager")
        outer(pairs[0][0])  # compiled code that exists already calls no hooks
    found = frt.Monitor(outer, pairs).measure(0)
    expected = frt.Monitor(model, pairs).measure(0)
    assert list(found["layer"]) == list(expected["layer"])
    np.testing.assert_array_equal(found[NUMBERS], expected[NUMBERS])
