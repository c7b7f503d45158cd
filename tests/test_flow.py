"""How layers hang together: which of them all information of the input, and all of an error, goes through."""

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402
from fastrenyi.torch.network.probe import default_loss  # noqa: E402
from fastrenyi.torch.network.probe import run as run_pass  # noqa: E402
from fastrenyi.torch.network.reading import Reading  # noqa: E402
from networks import images, small  # noqa: E402

LAYERS = dict.fromkeys("abcdef")


class Net(nn.Module):
    """Convolutions a to f that leave the shape as it is, put together by `way`."""

    def __init__(self, way):
        super().__init__()
        for name in LAYERS:
            setattr(self, name, nn.Conv2d(1, 1, 3, padding=1))
        self.way = way

    def forward(self, x):
        return self.way(self, x)


def run(model, layers, batch, *settings):
    """Outputs and links of one pass."""
    return run_pass(model, Reading(layers), batch, len(batch[0]), *settings)[:2]


def links(model, loss=lambda out, y: out.square().sum(), **settings):
    batch = images(20), torch.zeros(20)
    return run(model, None, batch, loss, settings.get("activations", "after"), settings.get("errors_at", "before"))[1]


CASES = {
    "a chain": (lambda n, x: n.c(n.b(n.a(x)).relu()), {"b": "a", "c": "b"}, {"a": "b", "b": "c"}),
    # A block with a skip: what comes behind it has not come through it, and its error is not all there is.
    "residual": (
        lambda n, x: n.d((h := n.a(x)) + n.c(n.b(h).relu())),
        {"b": "a", "c": "b", "d": "a"},
        {"a": "d", "b": "c", "c": "d"},
    ),
    "residual in place": (
        lambda n, x: n.d(n.c(n.b(h := n.a(x)).relu_()).add_(h)),
        {"b": "a", "c": "b", "d": "a"},
        {"a": "d", "b": "c", "c": "d"},
    ),
    "downsample": (
        lambda n, x: n.d(n.b(h := n.a(x)) + n.c(h)),
        {"b": "a", "c": "a", "d": "a"},
        {"a": "d", "b": "d", "c": "d"},
    ),
    "a skip around all": (lambda n, x: n.b(n.a(x)) + x, {"b": "a"}, {"a": "b"}),
    "concatenated": (
        lambda n, x: n.d(torch.cat([n.b(h := n.a(x)), n.c(h)], 2)),
        {"b": "a", "c": "a", "d": "a"},
        {"a": "d", "b": "d", "c": "d"},
    ),
    # Parallel from the start: neither sees the other.
    "two branches": (lambda n, x: n.a(x) * n.b(x), {}, {}),
    "attention": (
        lambda n, x: n.e(F.scaled_dot_product_attention(n.b(h := n.a(x)), n.c(h), n.d(h))),
        {"b": "a", "c": "a", "d": "a", "e": "a"},
        {"a": "e", "b": "e", "c": "e", "d": "e"},
    ),
    "two heads": (
        lambda n, x: n.b(h := n.a(x)).sum() + n.c(h),
        {"b": "a", "c": "a"},
        {},
    ),
    "not from the input": (lambda n, x: n.b(n.a(x) + n.c(torch.ones_like(x))), {"b": "a"}, {"a": "b", "c": "b"}),
    "a detached way is none": (lambda n, x: n.b(n.a(x).detach()), {}, {}),
    "a chunk": (
        lambda n, x: n.b(n.a(x)[:, :, :3]),
        {"b": "a"},
        {"a": "b"},
    ),
    "called twice": (lambda n, x: n.a(n.a(x)), {"a#2": "a"}, {"a": "a#2"}),
    "written into": (
        lambda n, x: n.b(torch.zeros_like(x).index_copy(0, torch.arange(len(x)), n.a(x))),
        {"b": "a"},
        {"a": "b"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_links(case):
    way, values, errors = CASES[case]
    found = links(Net(way))
    assert found.values == values
    assert found.errors == errors


def test_a_network_of_modules_on_either_side_of_its_activations():
    expected = {"2": "0", "6": "2", "8": "6"}
    for inplace in (False, True):
        for side in ("before", "after"):
            found = links(small(inplace), activations=side, errors_at=side)
            assert found.values == expected
            assert found.errors == {earlier: later for later, earlier in expected.items()}


def test_layers_within_layers_are_linked_in_their_order():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(1, 1, 3), nn.Identity()), nn.Conv2d(1, 1, 3))
    batch = images(), torch.zeros(3)
    found = run(model, ["0.0", "0", "1"], batch, lambda out, y: out.sum(), "after", "before")[1]
    assert found.values == {"0": "0.0", "1": "0"}
    assert found.errors == {"0.0": "0", "0": "1"}


def test_what_a_network_does_to_its_input_in_place():
    assert links(Net(lambda n, x: n.b(n.a(x.sub_(1.0).mul_(2.0))))).values == {"b": "a"}


def test_recurrent_and_checkpointed():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.rnn, self.head = nn.Linear(6, 5), nn.LSTM(5, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.rnn(self.first(x[:, 0]))[0][:, -1])

    batch = images(), torch.zeros(3, dtype=torch.int64)
    assert run(Recurrent(), None, batch, default_loss, "after", "before")[1].values == {"head": "first"}
    net = Net(lambda n, x: n.c(checkpoint(lambda t: n.b(n.a(t)), x, use_reentrant=False)))
    assert links(net).values == {"b": "a", "c": "b"}


def test_without_errors_and_of_what_has_no_graph():
    net = Net(lambda n, x: n.b(n.a(x)))
    batch = images(), torch.zeros(3)
    acts, found = run(net, None, batch, None, "after", "before")
    assert (found.values, found.errors, acts.gradients) == ({"b": "a"}, {}, {})
    with torch.inference_mode():
        made = Net(lambda n, x: n.b(n.a(x)))
    acts, found = run(made, None, batch, None, "after", "before")
    assert list(acts) == ["a", "b"]
    assert found.values == {}


HIDDEN = {
    "a detached skip": lambda n, x: n.b(n.a(x)) * 0 + n.c(n.b(h := n.a(x)) + x.detach()) + 0 * h,
    "around a layer by integers": lambda n, x: n.c(n.b(n.a(x)) + (x > 0).long().float()),
    "around a layer by NumPy": lambda n, x: n.c(n.b(n.a(x)) + torch.from_numpy(x.detach().numpy())),
}


@pytest.mark.parametrize("case", HIDDEN)
def test_ways_that_autograd_does_not_see_make_no_false_link(case):
    """c gets something of the input that has not come through b."""
    assert "c" not in links(Net(HIDDEN[case])).values


def test_a_hidden_way_that_only_some_samples_show():
    class Sorted(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.a, self.c = nn.Embedding(5, 4), nn.Linear(5, 4), nn.Linear(8, 2)

        def forward(self, x):
            return self.c(torch.cat([0.1 * self.embedding(x[:, 0].long()), 1000 * self.a(x[:, 1:]).relu()], 1))

    x = torch.randn(100, 6)
    x[:, 0] = torch.arange(100) // 20  # in order: the first samples are of one category
    found = run(Sorted(), ["a", "c"], (x, torch.zeros(100)), lambda out, y: out.sum(), "after", "before")[1]
    assert found.values == {}


def test_a_straight_through_quantiser_is_a_way():
    def way(n, x):
        h = n.a(x)
        return n.b(h + (h.round() - h).detach())

    assert links(Net(way)).values == {"b": "a"}


def test_a_model_that_draws_at_random_and_one_that_mixes_samples():
    assert links(Net(lambda n, x: n.b(n.a(x) + torch.randn(1, 1, 1, 6)))).values == {"b": "a"}
    # Noise of each sample's own tells nothing of the input.
    assert links(Net(lambda n, x: n.b(n.a(x) + torch.randn_like(x)))).values == {"b": "a"}
    assert links(Net(lambda n, x: n.b(n.a(x) * 0 + x.roll(1, 0)))).values == {}


def test_rounding_that_depends_on_the_place_of_a_sample():
    """As a library's may; next to features that are nearly zero, which are behind ReLUs."""
    net = nn.Sequential(*(part for _ in range(4) for part in (nn.Conv2d(1, 1, 3, padding=1), nn.ReLU())))

    def rounded(module, args, output):
        noise = torch.randn(output.shape, generator=torch.Generator().manual_seed(0))
        return output * (1 + 1e-6 * noise)

    for module in net:
        module.register_forward_hook(rounded)
    batch = images(40), torch.zeros(40)
    found = run(net, None, batch, lambda out, y: out.sum(), "after", "before")[1]
    assert found.values == {str(k): str(k - 2) for k in range(2, 8, 2)}


@pytest.mark.parametrize("bias", [0.0, 1e3, 1e5])
def test_a_large_constant_hides_no_way(bias):
    net = Net(lambda n, x: n.c(n.b(h := n.a(x)) + h.detach()))
    with torch.no_grad():
        for name in "abc":
            getattr(net, name).bias.fill_(bias)
    assert "c" not in links(net).values


def test_a_part_that_is_frozen_by_no_grad_has_no_error():
    def way(n, x):
        with torch.no_grad():
            h = n.b(n.a(x))
        return n.d(n.c(h))

    found = links(Net(way))
    assert found.errors == {"c": "d"}
    batch = images(20), torch.randn(20, 1, 6, 6)
    monitor = frt.Monitor(Net(way), [batch], list("abcd"), pairs=False, null=0, label_kernel="gaussian")
    frame = monitor.measure(0).set_index("layer")
    assert frame.loc[["a", "b"], "mi_error"].isna().all()
    assert not frame.loc[["c"], "mi_error"].isna().any()


def test_layers_that_put_out_other_numbers_of_samples_are_left_out_and_links_go_past_them():
    class Windows(nn.Module):
        def __init__(self):
            super().__init__()
            self.start, self.first, self.second = nn.Linear(6, 6), nn.Linear(3, 3), nn.Linear(3, 3)
            self.last = nn.Linear(6, 2)

        def forward(self, x):
            h = self.start(x)
            return self.last(self.second(self.first(h.reshape(-1, 3))).reshape(len(x), 6))

    monitor = frt.Monitor(Windows(), [(torch.randn(20, 6), torch.arange(20) % 2)])
    words = r"^layers: left out, as their outputs are not of 20 samples: 'first' \(40, 3\), 'second' \(40, 3\)$"
    with pytest.warns(UserWarning, match=words):
        rows = monitor.measure(0).set_index("layer")
    assert list(rows.index) == ["start", "last"]
    assert (rows.loc["last", "input_via"], rows.loc["start", "error_via"]) == ("start", "last")


def test_frozen_and_deep():
    def way(n, x):
        h = n.a(x)
        for _ in range(3000):  # deeper than Python's stack
            h = h * 1.0
        return n.b(h)

    net = Net(way).requires_grad_(False)
    assert links(net)[:2] == ({"b": "a"}, {"a": "b"})


def test_many_layers_are_tried_in_blocks_of_a_minibatch():
    net = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1) for _ in range(9)))
    batch = images(40), torch.zeros(40)
    found = run(net, None, batch, lambda out, y: out.sum(), "after", "before")[1]
    assert found.values == {str(k): str(k - 1) for k in range(1, 9)}


def test_a_model_bound_to_its_minibatch():
    class Bound(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 5), nn.Linear(5, 2)
            self.place = nn.Parameter(torch.randn(21, 6))

        def forward(self, x):
            return self.b(self.a(x + self.place))

    found = run(Bound(), None, (torch.randn(21, 6), torch.zeros(21)), lambda out, y: out.sum(), "after", "before")[1]
    assert found.values == {"b": "a"}


def test_parts_of_one_output_are_apart():
    class Chunked(nn.Module):
        def __init__(self):
            super().__init__()
            self.both, self.q, self.k, self.out = nn.Linear(6, 8), nn.Identity(), nn.Identity(), nn.Linear(4, 2)

        def forward(self, x):
            q, k = self.both(x).chunk(2, 1)
            return self.out(self.q(q) * self.k(k))

    batch = torch.randn(20, 6), torch.zeros(20)
    found = run(Chunked(), ["both", "q", "k", "out"], batch, lambda out, y: out.sum(), "after", "before")[1]
    assert found.values == {"q": "both", "k": "both", "out": "both"}
    assert found.errors == {"q": "out", "k": "out", "both": "out"}


@pytest.mark.parametrize("bias", [0.0, 5.0])
@pytest.mark.parametrize("side", ["before", "after"])
def test_layers_that_look_at_all_of_a_minibatch(side, bias):
    parts = [(nn.Linear(6, 6), nn.BatchNorm1d(6, track_running_stats=False), nn.ReLU()) for _ in range(3)]
    net = nn.Sequential(*(part for each in parts for part in each), nn.Linear(6, 2))
    with torch.no_grad():
        for linear, *_ in parts:
            linear.bias.fill_(bias)
    batch = torch.randn(64, 6), torch.zeros(64)
    found = run(net, ["0", "3", "6", "9"], batch, lambda out, y: out.sum(), side, "before")[1]
    assert found.values == {"3": "0", "6": "3", "9": "6"}
