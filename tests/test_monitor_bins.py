"""Monitor: exact information of bins and symbols, against counts."""

import math
from collections import Counter

import numpy as np
import pytest

import tolerances

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")
from torch import nn  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402
from networks import N, net, probes, samples_of  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning", "ignore:label_kernel:UserWarning")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def assert_bits(found, expected, alpha=1.01):
    tolerances.assert_bits(float(found), expected, "float64", alpha=alpha, n=N, terms=6)


def shannon(symbols):
    p = np.array(list(Counter(symbols).values())) / len(symbols)
    return float(-(p * np.log2(p)).sum())


def counted(output, bins=None):
    """Each sample's vector of bins as one symbol."""
    values = samples_of(output)
    if bins is not None:
        borders = np.histogram_bin_edges(values, bins)[1:-1]
        values = np.digitize(values, borders)
    return [row.tobytes() for row in values]


@pytest.mark.parametrize("bins", [2, 5, 30])
def test_binned_information_is_that_of_counts(bins):
    model, pairs = net(), probes(2)
    rows = frt.Monitor(model, pairs, pairs=False, methods={"binned": {**frt.BINNED, "bins": bins}}).measure(0)
    for batch, (x, y) in enumerate(pairs):
        stages = model.eval().stages(x.requires_grad_())
        loss = nn.functional.cross_entropy(stages["fc2"], y, reduction="sum")
        (last,) = torch.autograd.grad(loss, [stages["fc2"]])
        for name, output in stages.items():
            symbols, labels = counted(output, bins), y.tolist()
            row = rows[(rows["batch"] == batch) & (rows["layer"] == name)].iloc[0]
            assert_bits(row["entropy"], shannon(symbols))
            assert_bits(row["mi_input"], shannon(symbols))
            known = shannon(symbols) + shannon(labels) - shannon(list(zip(symbols, labels, strict=True)))
            assert_bits(row["mi_target"], known)
            assert_bits(row["input_entropy"], math.log2(N))
            assert math.isnan(row["bandwidth"])
            assert row["saturated"] == (row["entropy"] > 0.98 * math.log2(N))
        assert len(set(counted(last, bins))) > 1
    if bins == 30:
        assert rows["saturated"].any()
    else:
        assert not rows["saturated"].all()


def test_errors_are_binned_over_their_own_range():
    model, (x, y) = net(), probes(1)[0]
    rows = frt.Monitor(model, [(x, y)], errors="after", **{**frt.BINNED, "bins": 2}).measure(0).set_index("layer")
    stages = model.eval().stages(x.clone().requires_grad_())
    loss = nn.functional.cross_entropy(stages["fc2"], y, reduction="sum")
    deltas = torch.autograd.grad(loss, list(stages.values()))
    last = counted(deltas[-1], 2)
    for name, delta in list(zip(stages, deltas, strict=True))[:-1]:
        own = counted(delta, 2)
        known = shannon(own) + shannon(last) - shannon(list(zip(own, last, strict=True)))
        assert_bits(rows.loc[name, "mi_error"], known)
    assert rows["mi_error"].max() > 0.5


def test_a_number_on_a_border_is_in_the_upper_bin_and_a_constant_layer_one_symbol():
    from fastrenyi.torch.variables import binned

    x = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 3.999]], dtype=torch.float64)
    assert binned(x, 4).tolist() == [[0, 1], [2, 3], [3, 3]]
    assert binned(torch.full((3, 2), 7.0), 4).tolist() == [[0, 0]] * 3
    values = torch.randn(50, 3)
    expected = np.digitize(values.double(), np.histogram_bin_edges(values.double(), 7)[1:-1])
    assert (binned(values, 7).numpy() == expected).all()


class Quantised(nn.Module):
    """A linear layer whose output has few levels."""

    def __init__(self):
        super().__init__()
        self.round = nn.Identity()
        self.inner, self.outer = nn.Linear(36, 2, dtype=torch.float64), nn.Linear(2, 3, dtype=torch.float64)

    def forward(self, x):
        return self.outer(self.round((self.inner(x.flatten(1)) * 1.5).round()))


def test_of_a_quantised_network_the_numbers_themselves_are_symbols():
    x, y = probes(1)[0]
    model = Quantised()
    options = {**frt.BINNED, "bins": None, "errors": False}
    row = frt.Monitor(model, [(x, y)], "round", **options).measure(0).iloc[0]
    symbols = counted((model.inner(x.flatten(1)) * 1.5).round() + 0.0)
    assert 1 < len(set(symbols)) < N
    assert_bits(row["entropy"], shannon(symbols))
    assert_bits(row["mi_input"], shannon(symbols))


def test_binned_information_says_where_it_saturates():
    with pytest.warns(UserWarning, match=r"^layer 'conv1', method 'b': .*symbols of their own.*Fewer bins") as said:
        frt.Monitor(net(), probes(1), pairs=False, methods={"b": {**frt.BINNED, "bins": 1000}}).measure(0)
    assert {one.filename for one in said} == {__file__}
