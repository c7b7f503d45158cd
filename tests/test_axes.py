"""Monitor: what the axes of a layer's output mean, and which tensor stands for a layer that puts out several."""

import numpy as np
import pytest

import reference
import tolerances

torch = pytest.importorskip("torch")
pytest.importorskip("pandas")
from torch import nn  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402
from networks import N  # noqa: E402
from test_inputs import gram  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning", "ignore:label_kernel:UserWarning")

NUMBERS = ["entropy", "mi_input", "mi_target", "mi_error", "tradeoff", "nonredundant"]
Y = torch.arange(N) % 3


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64)


class By(nn.Module):
    """Modules, and what is done with them."""

    def __init__(self, way, **modules):
        super().__init__()
        self.way = way
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, *inputs):
        return self.way(self, *inputs)


def assert_maps(row, x, maps):
    """Trade-off and non-redundant information of maps (C, n, ...) about x, and of all of them I(X;T)."""
    known = reference.layer_decomposition([gram(one.detach()) for one in maps], gram(x))
    whole = reference.mutual_information(gram(x), gram(maps.detach().movedim(1, 0)))
    expected = np.array([whole, known["tradeoff"], known["nonredundant"]])
    found = row[["mi_input", "tradeoff", "nonredundant"]].to_numpy().astype(float)
    tolerances.assert_bits(found, expected, "float64", n=N, terms=200)
    assert row["channels"] == len(maps)


def test_a_linear_layer_on_images_is_a_convolution_of_one_pixel():
    """Channels last, as in Swin and ConvNeXt."""
    convolution = By(lambda m, x: m.head(m.a(x).relu().mean((2, 3))), a=nn.Conv2d(3, 10, 1), head=nn.Linear(10, 3))
    linear = By(
        lambda m, x: m.head(m.a(x.movedim(1, 3)).relu().mean((1, 2))), a=nn.Linear(3, 10), head=nn.Linear(10, 3)
    )
    with torch.no_grad():
        linear.a.weight.copy_(convolution.a.weight[:, :, 0, 0])
        linear.a.bias.copy_(convolution.a.bias)
        linear.head.load_state_dict(convolution.head.state_dict())
    probe = [(randn(N, 3, 8, 8), Y)]
    expected = frt.Monitor(convolution.double(), probe).measure(0)
    found = frt.Monitor(linear.double(), probe).measure(0)
    assert (list(found["channels"]), list(found["channel_dim"])) == ([10, 1], [3, -1])
    assert list(expected["channel_dim"]) == [1, -1]
    np.testing.assert_allclose(found[NUMBERS], expected[NUMBERS], rtol=0, atol=1e-9)


class Transformer(nn.Module):
    """A class token before patches, as in a ViT."""

    def __init__(self, batch_first=True):
        super().__init__()
        self.patch = nn.Conv2d(1, 6, 2, 2)
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.block = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=batch_first)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        t = self.patch(x).flatten(2).transpose(1, 2)
        t = torch.cat([self.token.expand(len(x), -1, -1), t], 1)
        t = self.block(t) if self.block.self_attn.batch_first else self.block(t.transpose(0, 1)).transpose(0, 1)
        return self.head(self.norm(t)[:, 0])


@pytest.mark.parametrize("dim", [None, 1, -1, {"norm": 1}])
def test_variables_of_tokens_are_features_unless_told(dim):
    model = Transformer().double()
    x = randn(N, 1, 4, 4)
    layers = ["block", "block.linear2", "norm"]
    rows = frt.Monitor(model, [(x, Y)], layers, channel_dim=dim).measure(0).set_index("layer")
    with torch.no_grad(), frt.capture(model.eval(), layers) as acts:
        model(x)
    for name in layers:
        axis = 1 if dim == 1 or (isinstance(dim, dict) and name in dim) else 2
        assert rows.loc[name, "channel_dim"] == axis
        assert_maps(rows.loc[name], x, acts[name].movedim(axis, 0))
    assert rows["mi_error"].notna().sum() == 2


def test_time_first_inside_of_a_model_that_takes_samples_first():
    first = Transformer().double()
    second = Transformer(batch_first=False).double()
    second.load_state_dict(first.state_dict())
    x = randn(5, 1, 4, 4)  # as many samples as tokens
    layers = ["block", "block.linear1", "norm"]
    expected = frt.Monitor(first, [(x, Y[:5])], layers).measure(0)
    found = frt.Monitor(second, [(x, Y[:5])], layers).measure(0)
    np.testing.assert_allclose(found[NUMBERS], expected[NUMBERS], rtol=0, atol=1e-9)
    assert list(found["input_via"]) == list(expected["input_via"])


def recurrent(kind, batch_first):
    def way(m, x):
        h = m.rnn(m.a(x))[0]
        return m.head(h[:, -1] if batch_first else h[-1])

    return By(way, a=nn.Linear(4, 5), rnn=kind(5, 3, batch_first=batch_first), head=nn.Linear(3, 3)).double()


@pytest.mark.parametrize("length", [N, 5])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_model_that_takes_time_first(kind, length):
    first, second = recurrent(kind, True), recurrent(kind, False)
    second.load_state_dict(first.state_dict())
    x = randn(N, length, 4)
    layers = ["a", "rnn", "head"]
    expected = frt.Monitor(first, [(x, Y)], layers).measure(0)
    found = frt.Monitor(second, [(x.transpose(0, 1), Y)], layers, batch_dim=1).measure(0)
    np.testing.assert_allclose(found[NUMBERS], expected[NUMBERS], rtol=0, atol=1e-9)
    assert list(found["channels"]) == [5, 3, 1]
    assert list(found["part"]) == ["", "[0]", ""]
    assert list(found["input_via"]) == list(expected["input_via"]) == ["", "a", "rnn"]
    assert list(found["error_via"]) == ["rnn", "head", ""]
    with torch.no_grad():
        out = first.rnn(first.a(x))[0]
    assert_maps(expected.iloc[1], x, out.movedim(2, 0))


def test_a_mask_of_samples_first_where_time_comes_first_is_a_way_of_its_own():
    """What it tells of the input enters behind the first layer."""

    def way(m, x, mask):
        return m.head(m.b(m.a(x) * mask.T[..., None]).sum(0))

    model = By(way, a=nn.Linear(4, 5), b=nn.Linear(5, 3), head=nn.Linear(3, 3)).double()
    x, mask = randn(5, N, 4), torch.rand(N, 5) < 0.5
    rows = frt.Monitor(model, [((x, mask), Y)], batch_dim=1).measure(0)
    assert list(rows["input_via"]) == ["", "", "b"]
    assert list(frt.Monitor(model, [((x, torch.ones(N, 5)), Y)], batch_dim=1).measure(0)["input_via"])[2] == "b"


def test_samples_along_the_wrong_axis_are_said():
    model = recurrent(nn.LSTM, False)
    x = randn(N, N, 4)
    with pytest.warns(UserWarning, match=r"^batch_dim: no axis of .*'rnn'.* batch_dim=1 for a model that takes time"):
        frt.Monitor(model, [(x, Y)], ["a", "rnn"], errors=False).measure(0)
    with pytest.warns(UserWarning, match=r"^batch_dim: no axis of 'rnn'"):  # without targets, whose number would tell
        frt.Monitor(model, [(randn(7, N, 4), None)], ["rnn"]).measure(0)


def test_outputs_that_are_not_finite_leave_no_doubt_of_their_axes():
    model = nn.Sequential(nn.Conv1d(1, N, 3), nn.Flatten(), nn.Linear(4 * N, 3)).double()
    with torch.no_grad():
        model[0].bias[0] = torch.nan
    with pytest.raises(ValueError, match=r"finite numbers, got nan"):  # and no warning before
        frt.Monitor(model, [(randn(N, 1, 6), Y)], errors=False).measure(0)


def test_as_many_channels_as_samples():
    model = nn.Sequential(nn.Conv2d(1, N, 3), nn.BatchNorm2d(N), nn.ReLU(), nn.Flatten(1), nn.Linear(4 * N, N)).double()
    x = randn(N, 1, 4, 4)
    rows = frt.Monitor(model, [(x, Y)]).measure(0)
    with torch.no_grad():
        assert_maps(rows.iloc[0], x, model.eval()[:3](x).movedim(1, 0))


def test_the_number_of_samples_among_features_is_not_theirs():
    windows = By(lambda m, x: m.b(m.a(x.reshape(-1, 3)).reshape(len(x), -1)), a=nn.Linear(3, N), b=nn.Linear(2 * N, 3))
    with pytest.warns(UserWarning, match=r"^layers: left out, .* of 12 samples: 'a' \(24, 12\)$"):
        rows = frt.Monitor(windows.double(), [(randn(N, 6), Y)]).measure(0)
    assert list(rows["layer"]) == ["b"]


KNOWN = {
    "convolution": (nn.Conv1d(1, 1, 1), 1),
    "group norm": (nn.GroupNorm(1, 1), 1),
    "linear": (nn.Linear(1, 1), -1),
    "block of linear layers": (nn.Sequential(nn.LayerNorm(1), nn.Linear(1, 1), nn.GELU()), -1),
    "block of convolutions": (nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.ReLU()), 1),
    "block of both": (nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(2), nn.Linear(1, 1)), 1),
    "activation": (nn.ReLU(), 1),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_where_modules_put_features(kind):
    module, axis = KNOWN[kind]
    model = nn.Sequential(module)
    x = torch.ones(2, 1, 1, 1) if "convolutions" in kind or "both" in kind else torch.ones(2, 1, 1)
    with frt.capture(model, "0") as acts:
        model(x)
    assert acts.channel_dims == {"0": axis}


@pytest.mark.parametrize("dim", [0, 3, -4])
def test_wrong_axes_of_variables(dim):
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).double()
    words = r"^step 0, probe\[0\]: channel_dim: .*other than that of samples, got .* for '0', .*\(12, 2, 4\)"
    with pytest.raises(ValueError, match=words):
        frt.Monitor(model, [(randn(N, 1, 6), Y)], channel_dim=dim).measure(0)


# ------------------------------------------------------------------------------------ layers that put out several


def attending():
    def way(m, x):
        seen, weights = m.attention(x, x, x)
        return {"classes": m.head(seen.flatten(1)), "weights": weights}

    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    return By(way, attention=attention, head=nn.Linear(20, 3)).double()


PARTS = {
    "attention, by itself": ("attention", None, "[0]", lambda m, x: m.attention(x, x, x)[0].movedim(2, 0)),
    "its weights": ("attention", 1, "[1]", lambda m, x: m.attention(x, x, x)[1].movedim(2, 0)),
    "a function": (
        "attention",
        lambda out: out[0][:, :3],
        "<lambda>",
        lambda m, x: m.attention(x, x, x)[0][:, :3].movedim(2, 0),
    ),
    "a dict's first": ("", None, "['classes']", lambda m, x: m(x)["classes"][None]),
    "a dict's other": ("", "weights", "['weights']", lambda m, x: m(x)["weights"].movedim(2, 0)),
}


@pytest.mark.parametrize("case", PARTS)
def test_which_tensor_stands_for_a_layer(case):
    layer, choice, part, maps = PARTS[case]
    model, x = attending(), randn(N, 5, 4)
    select = None if choice is None else {layer: choice}
    rows = frt.Monitor(model, [(x, Y)], [layer], select=select, output="classes", loss=loss).measure(0)
    assert list(rows["part"]) == [part]
    with torch.no_grad():
        expected = maps(model.eval(), x)
    if len(expected) > 1:
        assert_maps(rows.iloc[0], x, expected)
    else:
        whole = reference.mutual_information(gram(x), gram(expected[0]))
        tolerances.assert_bits(rows["mi_input"].to_numpy(), np.array([whole]), "float64", n=N, terms=20)


def loss(output, y):
    return nn.functional.cross_entropy(output, y, reduction="sum")


def test_the_last_state_of_a_recurrent_layer():
    def way(m, x):
        _, (h, _) = m.rnn(m.a(x))
        return m.head(h[-1])

    model = By(way, a=nn.Linear(4, 5), rnn=nn.LSTM(5, 3, batch_first=True), head=nn.Linear(3, 3)).double()
    x = randn(N, 6, 4)
    rows = frt.Monitor(model, [(x, Y)], ["a", "rnn", "head"], select={"rnn": lambda out: out[1][0]}).measure(0)
    with torch.no_grad():
        state = model.rnn(model.a(x))[1][0][0]
    found = rows.iloc[1]
    expected = reference.mutual_information(gram(x), gram(state))
    tolerances.assert_bits(np.array([found["mi_input"]]), np.array([expected]), "float64", n=N, terms=20)
    assert list(rows["input_via"]) == ["", "a", "rnn"]
    assert list(rows["error_via"]) == ["rnn", "head", ""]


def test_select_in_capture():
    model, x = attending(), randn(N, 5, 4)
    with frt.capture(model, ["attention", "head"], gradients=True, select={"attention": 0}) as acts:
        model(x)["classes"].sum().backward()
    assert acts.parts == {"attention": "[0]", "head": ""}
    assert acts.gradients["attention"].shape == (N, 5, 4)
    with (
        pytest.raises(ValueError, match=r"^select\['attention'\]: .*\[0\], \[1\], got 2"),
        frt.capture(model, "attention", select={"attention": 2}),
    ):
        model(x)
    with (
        pytest.raises(TypeError, match=r"^select\['attention'\]: .*a tensor, got a tuple"),
        frt.capture(model, "attention", select={"attention": lambda out: out}),
    ):
        model(x)


@pytest.mark.parametrize("library", ["timm.layers.norm", "torchvision.models.convnext"])
def test_a_norm_of_another_library_that_puts_features_second(library):
    class LayerNorm2d(nn.LayerNorm):
        __module__, __qualname__ = library, "LayerNorm2d"

        def forward(self, x):
            return super().forward(x.movedim(1, -1)).movedim(-1, 1)

    model = nn.Sequential(nn.Conv2d(1, 4, 3), LayerNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 3)).double()
    rows = frt.Monitor(model, [(randn(N, 1, 8, 8), Y)], layers=["1"]).measure(0)
    assert (rows["channel_dim"][0], rows["channels"][0]) == (1, 4)
