"""capture: what is kept of a forward pass."""

import gc
import sys
import weakref

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402
from networks import Functional, images, small  # noqa: E402


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("inplace", [False, True])
def test_default_keeps_the_activation_under_the_layers_name(inplace):
    model = small(inplace).eval()
    x = images()
    with frt.capture(model) as acts:
        out = model(x)
    with torch.no_grad():
        first = F.relu(model[0](x))
        second = F.relu(model[3](model[2](first)))
        hidden = F.relu(model[6](second.flatten(1)))
    assert list(acts) == ["0", "2", "6", "8"]
    torch.testing.assert_close(acts["0"], first)
    torch.testing.assert_close(acts["2"], second)
    torch.testing.assert_close(acts["6"], hidden)
    torch.testing.assert_close(acts["8"], out.detach())
    assert not any(kept.requires_grad for kept in acts.values())


@pytest.mark.parametrize(
    "layer", [nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d]
)
def test_every_kind_of_convolution(layer):
    dims = int(layer.__name__[-2])
    model = nn.Sequential(layer(1, 2, 2), nn.Tanh())
    with frt.capture(model) as acts:
        out = model(torch.randn(2, 1, *[4] * dims))
    assert torch.equal(acts["0"], out)


@pytest.mark.parametrize(
    "norm",
    [nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.LayerNorm([4, 4, 4]), nn.Identity()],
)
@pytest.mark.parametrize("act", [nn.ELU(inplace=True), nn.PReLU(), nn.GELU(), nn.Hardswish()])
def test_activation_behind_a_normalisation(norm, act):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), norm, act)
    with frt.capture(model) as acts:
        out = model(images())
    assert list(acts) == ["0"]
    assert torch.equal(acts["0"], out)


WRITTEN = {
    "module": lambda t: nn.ReLU()(t),
    "module in place": lambda t: nn.ReLU(inplace=True)(t),
    "functional": F.relu,
    "functional in place": F.relu_,
    "torch": torch.relu,
    "torch in place": torch.relu_,
    "method": lambda t: t.relu(),
    "method in place": lambda t: t.relu_(),
    "by keyword": lambda t: F.relu(input=t),
}


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("layer", ["conv", "linear"])
@pytest.mark.parametrize("written", WRITTEN)
def test_the_same_variable_however_the_code_is_written(written, layer, grad):
    kind = nn.Conv2d(1, 2, 3) if layer == "conv" else nn.Linear(6, 5)
    model = Functional(lambda self, t: WRITTEN[written](t))
    model.conv = kind
    x = images()
    own = kind(x).detach()
    for side, expected in (("after", F.relu(own)), ("before", own)):
        with torch.set_grad_enabled(grad), frt.capture(model, activations=side) as acts:
            model(x)
        assert torch.equal(acts["conv"], expected)
        assert acts.functions == {"conv": "relu" if side == "after" else ""}


@pytest.mark.parametrize("gradients", ["before", "after"])
@pytest.mark.parametrize("written", WRITTEN)
def test_gradients_on_either_side(written, gradients):
    model = Functional(lambda self, t: WRITTEN[written](t).mul(3).sum())
    x = images()
    own = model.conv(x).detach()
    with frt.capture(model, gradients=gradients) as acts:
        model(x).backward()
    three = torch.full_like(own, 3.0)
    assert torch.equal(acts.gradients["conv"], three * (own > 0) if gradients == "before" else three)
    assert torch.equal(acts["conv"], F.relu(own))


FUNCTIONS = {
    "celu": F.celu, "elu": F.elu, "gelu": F.gelu, "hardshrink": F.hardshrink, "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish, "hardtanh": F.hardtanh, "leaky_relu": F.leaky_relu, "logsigmoid": F.logsigmoid,
    "mish": F.mish, "relu6": F.relu6, "rrelu": F.rrelu, "selu": F.selu, "sigmoid": torch.sigmoid, "silu": F.silu,
    "softplus": F.softplus, "softshrink": F.softshrink, "softsign": F.softsign, "tanh": torch.tanh,
    "tanhshrink": F.tanhshrink, "threshold": lambda t: F.threshold(t, 0.1, 0.0), "glu": lambda t: F.glu(t, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_activation_function(name):
    model = Functional(lambda self, t: FUNCTIONS[name](t))
    with frt.capture(model) as acts:
        out = model(images())
    assert torch.equal(acts["conv"], out)
    assert acts.functions["conv"].replace("log_", "log") == name


def test_every_activation_module():
    found = [getattr(nn.modules.activation, name) for name in nn.modules.activation.__all__]
    skipped = (nn.MultiheadAttention, nn.Softmax, nn.Softmax2d, nn.Softmin, nn.LogSoftmax)
    for kind in found:
        if kind in skipped:
            continue
        act = nn.Threshold(0.1, 0.0) if kind is nn.Threshold else kind()
        model = nn.Sequential(nn.Conv2d(1, 2, 3), act).eval()
        with frt.capture(model) as acts:
            out = model(images())
        assert acts.functions["0"], kind
        assert acts["0"].shape == out.shape


BESIDE = {
    "swish by hand": lambda t: t * torch.sigmoid(t),
    "mish by hand": lambda t: t * torch.tanh(F.softplus(t)),
    "concatenated relu": lambda t: torch.relu(t) - torch.relu(-t),
    "a skip of its own": lambda t: F.relu(t) + t,
    "two functions": lambda t: torch.tanh(t) + F.relu(t),
}


@pytest.mark.parametrize("way", BESIDE)
def test_an_output_used_beside_its_activation_stands_for_itself(way):
    model = Functional(lambda self, t: BESIDE[way](t).sum())
    x = images()
    with frt.capture(model, gradients=True) as acts:
        model(x).backward()
    own = model.conv(x).detach().requires_grad_()
    assert torch.equal(acts["conv"], own)
    assert acts.functions == {"conv": ""}
    (expected,) = torch.autograd.grad(BESIDE[way](own).sum(), own)
    torch.testing.assert_close(acts.gradients["conv"], expected)


def test_looking_at_an_output_is_no_use_of_it():
    def after(self, t):
        assert t.shape[0] == len(t) == t.size(0)
        out = self.act(t)
        self.seen = (t.detach(), float(t.detach().mean()), t.requires_grad)
        return out

    model = Functional(after, act=nn.ReLU())
    with frt.capture(model) as acts:
        out = model(images())
    assert torch.equal(acts["conv"], out)
    assert acts.functions == {"conv": "relu"}


def test_pooling_between_keeps_the_convolutions_own_output():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.ReLU())
    x = images()
    with frt.capture(model) as acts:
        model(x)
    assert torch.equal(acts["0"], model[0](x))


def test_only_the_first_activation_is_taken():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Sigmoid())
    x = images()
    with frt.capture(model) as acts:
        model(x)
    assert torch.equal(acts["0"], torch.tanh(model[0](x)))


def test_one_activation_module_shared_by_all_convolutions():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU(inplace=True)
            self.a = nn.Conv2d(1, 2, 3)
            self.b = nn.Conv2d(2, 2, 3)

        def forward(self, x):
            # Both convolutions have run before the first activation does: order alone would mix them up.
            a = self.a(x)
            b = self.b(a.clone())
            return self.relu(a), self.relu(b)

    model = Shared()
    with frt.capture(model) as acts:
        a, b = model(images())
    assert torch.equal(acts["a"], a)
    assert torch.equal(acts["b"], b)


@pytest.mark.parametrize("after", [lambda t: t.add_(1), lambda t: t.zero_(), F.dropout, lambda t: t.softmax(1)])
def test_functional_operations_do_not_reach_what_was_kept(after):
    model = Functional(lambda self, t: after(t))
    x = images()
    with frt.capture(model) as acts:
        model(x)
    assert torch.equal(acts["conv"], model.conv(x))


def test_an_inplace_operation_after_the_activation_does_not_reach_it():
    model = Functional(lambda self, t: self.act(t).mul_(7), act=nn.ReLU())
    x = images()
    with frt.capture(model) as acts:
        model(x)
    assert torch.equal(acts["conv"], F.relu(model.conv(x)))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_residual_sum_in_place_is_not_a_direct_way_to_the_activation(mode):
    # As torchvision's ResNet does it: `out += x` leaves the tensor the same Python object.
    def after(self, out):
        out = self.norm(out)
        out += 1.0
        return self.act(out)

    model = Functional(after, norm=nn.BatchNorm2d(2), act=nn.ReLU(inplace=True)).eval()
    x = images()
    with mode(), frt.capture(model) as acts:
        model(x)
    assert torch.equal(acts["conv"], model.conv(x))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_activation_followed_without_grad_mode(mode):
    model = small(inplace=True).eval()
    with frt.capture(model) as expected:
        model(images())
    torch.manual_seed(0)
    model2 = small(inplace=True).eval()
    with mode(), frt.capture(model2) as acts:
        model2(images())
    for name in expected:
        assert torch.equal(acts[name], expected[name])


def test_activation_given_its_input_by_keyword():
    model = Functional(lambda self, t: self.act(input=t), act=nn.ReLU())
    with frt.capture(model) as acts:
        out = model(images())
    assert torch.equal(acts["conv"], out)


def test_attention_is_no_activation():
    # It stands in torch.nn.modules.activation, and puts out a tuple.
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(1, 3, 3)
            self.attention = nn.MultiheadAttention(4, 1)

        def forward(self, x):
            t = self.conv(x)
            return self.attention(t, t, t)[0]

    model = Attending()
    x = torch.randn(2, 1, 6)
    with frt.capture(model) as acts:
        model(x)
    assert torch.equal(acts["conv"], model.conv(x))


def test_another_tensor_in_the_place_of_a_dead_one(monkeypatch):
    # All tensors are in one place to capture, so that it does not hang on the allocator when memory is used again.
    places = []
    monkeypatch.setattr(
        sys.modules["fastrenyi.torch.network.capture"], "id", lambda t: places.append(t) or 0, raising=False
    )

    def after(self, only):
        t = only.pop()  # Python 3.10 keeps arguments alive for the caller
        dead = weakref.ref(t)
        del t
        places.clear()
        gc.collect()  # newer PyTorch may have it in a circle
        assert dead() is None
        out = self.act(other := torch.ones(1))
        assert any(place is other for place in places), "the place is not looked at: this test tests nothing"
        return out

    model = Functional(lambda self, t: t, act=nn.ReLU())
    model.forward = lambda x: after(model, [model.conv(x)])
    x = images()
    with torch.no_grad(), frt.capture(model) as acts:
        model(x)
    assert torch.equal(acts["conv"], model.conv(x))


def test_no_live_tensor_is_held():
    seen = []

    def after(self, t):
        seen.append(weakref.ref(t))
        return t.sum()

    with torch.no_grad(), frt.capture(model := Functional(after)):
        model(images())
        gc.collect()
        assert seen[0]() is None


def test_a_layer_called_several_times():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, padding=1)
            self.relu = nn.ReLU(inplace=True)
            self.head = nn.Linear(36, 2)

        def forward(self, x):
            self.steps = []
            for _ in range(3):
                x = self.relu(self.conv(x))
                self.steps.append(x.detach().clone())
            return self.head(x.flatten(1))

    model = Loop()
    with frt.capture(model, gradients=True) as acts:
        out = model(images())
        out.sum().backward()
    assert list(acts) == ["conv", "conv#2", "conv#3", "head"]
    for key, step in zip(acts, model.steps, strict=False):
        assert torch.equal(acts[key], step)
    last = model.head.weight.sum(0).reshape(1, 1, 6, 6).expand(3, 1, 6, 6)
    torch.testing.assert_close(acts.gradients["conv#3"], last.detach())
    assert not torch.equal(acts.gradients["conv"], acts.gradients["conv#2"])


def test_a_name_that_looks_like_a_second_call_is_not_overwritten():
    model = nn.Sequential()
    shared = nn.Linear(2, 2)
    model.add_module("a#2", nn.Linear(2, 2))
    model.add_module("a", shared)
    model.add_module("b", shared)
    with frt.capture(model) as acts:
        out = model(torch.ones(1, 2))
    assert list(acts) == ["a#2", "a", "a#3"]
    assert torch.equal(acts["a#3"], out)


def test_order_is_that_of_execution_and_what_is_not_called_is_not_there():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(2, 2)
            self.unused = nn.Linear(2, 2)
            self.first = nn.Linear(2, 2)

        def forward(self, x):
            return self.last(self.first(x))

    model = Backwards()
    with frt.capture(model) as acts:
        model(torch.ones(1, 2))
    assert list(acts) == ["first", "last"]


def test_each_forward_starts_afresh():
    class Sometimes(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(2, 2)
            self.b = nn.Linear(2, 2)

        def forward(self, x):
            return self.b(self.a(x)) if len(x) > 1 else self.a(x)

    model = Sometimes()
    with frt.capture(model, gradients=True) as acts:
        old = model(torch.ones(2, 2))
        new = model(torch.zeros(1, 2))
        assert list(acts) == ["a"]
        assert torch.equal(acts["a"], new)
        old.sum().backward()  # of the forward before: not a gradient of what is kept
        assert acts.gradients == {}
        new.sum().backward()
        assert acts.gradients["a"].shape == (1, 2)
        model(torch.ones(2, 2))
        assert acts.gradients == {}
        model(torch.zeros(1, 2))
    assert list(acts) == ["a"]


def test_parts_called_by_themselves_are_kept_too():
    model = small()
    with frt.capture(model) as acts:
        out = model[:2](images())
    assert list(acts) == ["0"]
    assert torch.equal(acts["0"], out)


# ---------------------------------------------------------------------------------------------- copies of the model


@pytest.mark.parametrize("copied", ["deepcopy", "pickle", "torch.save"])
def test_a_copy_made_in_the_block_is_a_model_of_its_own(copied, tmp_path):
    import copy
    import pickle

    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    x = torch.randn(5, 3)
    expected = model(2 * x)
    with frt.capture(model, gradients=True) as acts:
        model(x).sum().backward()
        before = {name: value.clone() for name, value in acts.items()}
        if copied == "deepcopy":
            other = copy.deepcopy(model)
        elif copied == "pickle":
            other = pickle.loads(pickle.dumps(model))
        else:
            torch.save(model, tmp_path / "model.pt")
            other = torch.load(tmp_path / "model.pt", weights_only=False)
        torch.testing.assert_close(other(2 * x), expected)
        assert list(acts) == list(before)
        for name, value in before.items():
            torch.testing.assert_close(acts[name], value)
    torch.testing.assert_close(other(x), model(x))
    with frt.capture(other) as others:
        other(x)
    torch.testing.assert_close(others["0"], before["0"])
