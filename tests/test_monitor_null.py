"""Monitor: what it says beside a number: the null, dead and saturated layers, labels that cannot work, links."""

import warnings

import numpy as np
import pytest

import reference

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402
from networks import N, Net, net, probes  # noqa: E402

SAID = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def gram(tensor):
    samples = tensor.detach().double().flatten(1).numpy()
    return reference.gram_gaussian(samples, reference.median(samples))


def permutations(count, n=N, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.permutation(n) for _ in range(count)]


def test_informations_and_their_nulls_by_hand():
    model = net()
    ((x, y),) = probes(1)
    rows = frt.Monitor(model, [(x, y)], null=4, seed=3).measure(0).set_index("layer")
    stages = model.stages(x)
    # By default errors are those of the pre-activation.
    before = {}
    for name in ("conv1", "conv2", "fc1", "fc2"):
        getattr(model, name).register_forward_hook(lambda module, args, out, name=name: before.update({name: out}))
    model.eval().relu.inplace = False
    loss = F.cross_entropy(model(x), y, reduction="sum")
    deltas = dict(zip(before, torch.autograd.grad(loss, list(before.values())), strict=True))
    labels = reference.gram_delta(y.numpy())
    for name, output in stages.items():
        pairs = {"mi_input": (gram(output), gram(x)), "mi_target": (gram(output), labels)}
        if name != "fc2":
            pairs["mi_error"] = (gram(deltas["fc2"]), gram(deltas[name]))
        for quantity, (a, b) in pairs.items():
            null = [reference.mutual_information(a, b[p][:, p]) for p in permutations(4, seed=3)]
            assert rows.loc[name, quantity] == pytest.approx(reference.mutual_information(a, b), abs=1e-8)
            assert rows.loc[name, f"{quantity}_null"] == pytest.approx(np.mean(null), abs=1e-8)
            assert rows.loc[name, f"{quantity}_null_std"] == pytest.approx(np.std(null, ddof=1), abs=1e-8)
        assert rows.loc[name, "entropy"] == pytest.approx(reference.entropy(gram(output)), abs=1e-8)
    assert rows["input_entropy"].iloc[0] == pytest.approx(reference.entropy(gram(x)), abs=1e-8)
    assert rows["target_entropy"].iloc[0] == pytest.approx(reference.entropy(labels), abs=1e-8)


def test_nulls_of_pairs():
    model = net()
    ((x, y),) = probes(1)
    row = frt.Monitor(model, [(x, y)]).measure(0).iloc[0]
    maps = fr.channel_grams(model.stages(x)["conv1"].detach(), bandwidth="median")
    known = fr.layer_decomposition(maps, fr.tensor_gram(x, bandwidth="median"), null=2)
    for name in ("tradeoff", "nonredundant"):
        assert row[name] == pytest.approx(float(getattr(known, name)), abs=1e-8)
        assert row[f"{name}_null"] == pytest.approx(float(getattr(known.null, name).mean), abs=1e-8)
        assert row[f"{name}_null_std"] == pytest.approx(float(getattr(known.null, name).std), abs=1e-8)
        assert row[f"{name}_share"] == pytest.approx(float(getattr(known, f"{name}_share")), abs=1e-8)


def test_without_a_null():
    frame = frt.Monitor(net(), probes(1), null=0).measure(0)
    nulls = [name for name in frame if "_null" in name]
    assert len(nulls) == 10
    assert frame[nulls].isna().all(axis=None)
    assert frame["mi_input"].notna().all()


class Bits(nn.Module):
    """What becomes of 8 bits: all of them, half of them, and nothing of them."""

    def __init__(self):
        super().__init__()
        self.copy, self.part, self.noise = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, x):
        copy = self.copy(x.clone())
        half = self.part(copy[:, :4] * 1.0)
        self.noise(torch.randn(len(x), 8, dtype=x.dtype))
        return half


@pytest.mark.parametrize("settings", [{}, {"kernel_on": "maps"}, frt.PAPER])
@SAID
def test_excess_ranks_layers_whose_information_is_known(settings):
    probe = [(torch.randint(2, (100, 8)).double(), torch.arange(100) % 2) for _ in range(3)]
    settings = {**settings, "errors": False}
    rows = frt.Monitor(Bits(), probe, ["copy", "part", "noise"], **settings).measure(0)
    found = rows.assign(excess=rows["mi_input"] - rows["mi_input_null"], variance=rows["mi_input_null_std"] ** 2)
    means = found.groupby("layer")["excess"].mean()
    errors = (found.groupby("layer")["variance"].sum() ** 0.5) / 3
    assert means["copy"] > means["part"] + 6 * (errors["copy"] + errors["part"])
    assert means["part"] > 6 * errors["part"]
    assert abs(means["noise"]) < 5 * errors["noise"]


def test_narrow_kernels_show_nothing_and_it_is_said_once_for_each_layer():
    model = net()
    with pytest.warns(UserWarning, match=r"^the input: the entropy is 3.58 bits of log2 n = 3.58: .* apart.*median"):
        monitor = frt.Monitor(model, probes(), bandwidth=1e-3, errors=False)
    with pytest.warns(UserWarning, match=r"^layer .*apart") as caught:
        rows = monitor.measure(0)
    assert [str(one.message).split(":")[0] for one in caught] == [f"layer '{name}'" for name in rows["layer"][:4]]
    assert rows["saturated"].all()
    np.testing.assert_allclose(rows["mi_input"], np.log2(N), rtol=0, atol=1e-6)
    np.testing.assert_allclose(rows["mi_input"], rows["mi_input_null"], rtol=0, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.measure(1)


def test_wide_kernels_are_said_to_be_wide():
    with pytest.warns(UserWarning, match=r"nearly all samples are the same, if .* A narrower one may tell more"):
        frt.Monitor(net(), probes(1), bandwidth=1e4, errors=False).measure(0)


@SAID
def test_a_dead_layer_has_no_shares():
    model = net()
    with torch.no_grad():
        model.conv1.weight.zero_()
        model.conv1.bias.fill_(1.0)
    rows = frt.Monitor(model, probes(1), errors=False).measure(0).set_index("layer")
    assert rows.loc["conv1", "dead"]
    assert np.isnan(rows.loc["conv1", ["tradeoff_share", "nonredundant_share"]].astype(float)).all()
    assert not frt.Monitor(net(), probes(1)).measure(0)["dead"].any()


@pytest.mark.parametrize("y", [torch.randn(N), torch.randn(N, 2, 2), torch.arange(N)])
def test_labels_that_are_all_different_say_nothing(y):
    x = torch.randn(N, 1, 6, 6, dtype=torch.float64)
    with pytest.warns(UserWarning, match=r"^label_kernel: .*nearly all diff.*I\(T;Y\) is S\(T\).*='gaussian'"):
        monitor = frt.Monitor(net(), [(x, y)], errors=False)
    rows = monitor.measure(0)
    np.testing.assert_allclose(rows["mi_target"], rows["entropy"], rtol=0, atol=1e-6)


def test_one_label_is_nothing_to_know():
    x = torch.randn(N, 1, 6, 6, dtype=torch.float64)
    with pytest.warns(UserWarning, match=r"^label_kernel: .*nearly all the same"):
        frt.Monitor(net(), [(x, torch.ones(N).long())], errors=False)


def test_links_of_the_user():
    model = net()
    found = frt.Monitor(model, probes(1)).measure(0)
    assert list(found["input_via"]) == ["", "conv1", "conv2", "fc1"]
    assert list(found["error_via"]) == ["conv2", "fc1", "fc2", ""]
    given = frt.Monitor(model, probes(1), links=[("conv1", "fc1"), ("conv1", "fc2"), ("conv2", "fc2")]).measure(0)
    assert list(given["input_via"]) == ["", "", "conv1", ""]  # fc2 has two ways
    assert list(given["error_via"]) == list(found["error_via"])


def test_links_of_the_user_are_not_looked_for():
    model, passes = net(), []
    model.register_forward_hook(lambda *_: passes.append(1))
    found = frt.Monitor(model, probes(1)).measure(0)
    assert len(passes) > 1  # samples are exchanged
    for links in (list(zip(found["input_via"][1:], found["layer"][1:], strict=True)), []):
        passes.clear()
        given = frt.Monitor(model, probes(1), links=links).measure(0)
        assert len(passes) == 1
        assert list(given["input_via"]) == (list(found["input_via"]) if links else [""] * 4)
        assert list(given["error_via"]) == list(found["error_via"])


@pytest.mark.parametrize("inplace", [True, False])
def test_activations_and_their_names(inplace):
    model = net()
    model.relu.inplace = inplace
    pairs = probes(1)
    after = frt.Monitor(model, pairs).measure(0)
    assert list(after["activation"]) == ["relu", "relu", "tanh", ""]
    before = frt.Monitor(model, pairs, activations="before").measure(0)
    assert list(before["activation"]) == [""] * 4
    own = fr.tensor_gram(model.conv1(pairs[0][0]).detach(), bandwidth="median")
    assert before["entropy"][0] == pytest.approx(float(fr.entropy(own)), abs=1e-8)
    np.testing.assert_allclose(before["mi_error"], after["mi_error"], rtol=0, atol=1e-12)
    other = frt.Monitor(model, pairs, errors="after").measure(0)
    assert not np.isclose(other["mi_error"][:3], after["mi_error"][:3]).any()


@SAID
def test_a_linear_network_cannot_break_its_chain():
    """Each error is a linear map of the one behind it, and each layer of the one before."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 30), nn.Linear(30, 20), nn.Linear(20, 3)).double()
    rows = frt.Monitor(model, probes(4, n=60)).measure(0)
    links = frt.inequalities(rows)
    assert list(links["chain"]) == ["forward", "forward", "backward"]
    assert links["violation"].max() < 0.05


def test_on_a_network_that_hides_its_graph():
    class Hidden(Net):
        def forward(self, x):
            return super().forward(torch.from_numpy(x.detach().numpy()))

    model = net()
    model.__class__ = Hidden
    rows = frt.Monitor(model, probes(1)).measure(0)
    assert (rows["input_via"] == "").all()  # nothing is claimed of what was not seen
    assert list(rows["error_via"]) == ["conv2", "fc1", "fc2", ""]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"null": -1}, ValueError, "^null: "),
        ({"null": 1.5}, TypeError, "^null: "),
        ({"seed": -1}, ValueError, "^seed: "),
        ({"kernel_on": "layer"}, ValueError, r"^kernel_on: expected 'tensor' or 'maps', got 'layer'"),
        ({"activations": "behind"}, ValueError, r"^activations: expected 'before' or 'after'"),
        ({"activations": True}, TypeError, r"^activations: expected 'before' or 'after'"),
        ({"errors": "behind"}, ValueError, r"^errors: expected True or False, 'before' or 'after'"),
        ({"links": "conv1"}, TypeError, r"^links: expected a list of pairs"),
        ({"links": ["conv1"]}, TypeError, r"^links: .*'conv1' in it"),
        ({"links": [("conv1", 2)]}, TypeError, "^links: "),
        ({"links": [("conv1", "conv3")]}, ValueError, r"^links: expected names of layers .*fc2, got 'conv3'"),
        ({"links": [("fc2", "fc2")]}, ValueError, r"^links: .*circle through 'fc2'"),
        ({"links": [("conv1", "fc1"), ("fc1", "conv1")]}, ValueError, "^links: .*circle"),
    ],
)
def test_wrong_options(options, error, words):
    with pytest.raises(error, match=words):
        frt.Monitor(net(), probes(1), **options)
