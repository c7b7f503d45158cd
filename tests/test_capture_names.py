"""capture: how layers are chosen, and the names they go by."""

import io
import warnings

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402
from networks import hooks, images, small  # noqa: E402


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_by_name_list_type_and_predicate():
    model = small(inplace=True)
    x = images()
    cases = [
        ("2", ["2"]),
        (["8", "0"], ["0", "8"]),
        (("3",), ["3"]),
        (nn.Linear, ["6", "8"]),
        ((nn.Flatten, nn.BatchNorm2d), ["3", "5"]),
        ([nn.ReLU], ["1", "4", "7"]),
        (lambda name, module: name in {"0", "5"}, ["0", "5"]),
        (lambda name, module: getattr(module, "bias", None) is not None, ["0", "2", "3", "6", "8"]),
    ]
    for layers, expected in cases:
        with frt.capture(model, layers) as acts:
            model(x)
        assert list(acts) == expected


def test_an_explicit_choice_is_kept_like_any_other():
    x = images()
    for layers in ("0", nn.Conv2d, lambda name, module: name == "0"):
        model = small(inplace=True)
        own = model[0](x)
        with frt.capture(model, layers) as acts:
            model(x)
        assert torch.equal(acts["0"], own.relu())
        with frt.capture(model, layers, activations="before") as acts:
            model(x)
        assert torch.equal(acts["0"], own)


def test_nested_names_containers_and_the_model_itself():
    model = nn.Sequential()
    model.add_module("block", nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))
    with frt.capture(model) as acts:
        out = model(images())
    assert list(acts) == ["block.0"]
    with frt.capture(model, ["block", ""]) as acts:
        out = model(images())
    assert list(acts) == ["block", ""]
    assert torch.equal(acts[""], out)
    lone = nn.Linear(2, 3)
    with frt.capture(lone) as acts:
        lone(torch.ones(1, 2))
    assert list(acts) == [""]


def test_a_module_in_two_places_goes_by_the_name_asked_for():
    model = nn.Sequential(nn.Linear(2, 2))
    model.add_module("again", model[0])
    x = torch.randn(3, 2)
    with frt.capture(model) as acts:
        model(x)
    assert list(acts) == ["0", "0#2"]
    with frt.capture(model, "again") as acts:
        model(x)
    assert list(acts) == ["again", "again#2"]


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ("conv9", ["'conv9' (did you mean 'conv1'?)", "'conv1', 'head'"]),
        (["conv1", "nothing"], ["'nothing'", "'conv1', 'head'"]),
        ([], ["empty", "'conv1'"]),
        (nn.LSTM, ["LSTM", "'conv1'"]),
        ((nn.LSTM, nn.GRU), ["LSTM, GRU", "'conv1'"]),
        (lambda name, module: False, ["predicate", "'conv1'"]),
    ],
)
def test_nothing_found_lists_what_there_is(layers, words):
    model = nn.Sequential()
    model.add_module("conv1", nn.Conv2d(1, 2, 3))
    model.add_module("head", nn.Linear(2, 3))
    with pytest.raises(ValueError, match=r"^layers") as caught:
        frt.capture(model, layers)
    for word in words:
        assert word in str(caught.value)


def test_default_on_a_model_without_such_layers():
    with pytest.raises(ValueError, match=r"^layers: .*'0'.*none of them.*convolution"):
        frt.capture(nn.Sequential(nn.ReLU()))


@pytest.mark.parametrize("layers", [3, 1.5, [1, 2], ["0", nn.ReLU], int, [int], {"0": 1}, b"0", nn.ReLU()])
def test_wrong_kinds_of_layers(layers):
    with pytest.raises(TypeError, match=r"^layers: expected"):
        frt.capture(small(), layers)


@pytest.mark.parametrize("model", [None, "model", small, nn.Linear])
def test_wrong_kinds_of_model(model):
    with pytest.raises(TypeError, match=r"^model: expected a torch\.nn\.Module"):
        frt.capture(model)


def scripted(way, model, x):
    """What torch.jit makes of a model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions deprecate torch.jit
        if way == "trace":
            return torch.jit.trace(model, x)
        made = torch.jit.script(model)
        if way == "script":
            return made
        file = io.BytesIO()
        torch.jit.save(made, file)
        file.seek(0)
        return torch.jit.load(file)


@pytest.mark.parametrize("wrap", [lambda model: model, nn.DataParallel], ids=["bare", "wrapped"])
@pytest.mark.parametrize("way", ["script", "trace", "load"])
def test_a_scripted_model_calls_no_hooks(way, wrap):
    model = wrap(scripted(way, small().eval(), images()))
    words = r"^model: expected .*, got a scripted model \(\w+ of Sequential\); pass the nn\.Module it was made of$"
    for layers in (None, "0", nn.Module):
        with pytest.raises(TypeError, match=words):
            frt.capture(model, layers)
    pytest.importorskip("pandas")
    with pytest.raises(TypeError, match=words):
        frt.Monitor(model, [(images(4), torch.arange(4) % 2)])


@pytest.mark.parametrize("way", ["script", "trace"])
def test_a_scripted_part_leaves_the_other_layers(way):
    part = scripted(way, small().eval(), images())
    model = nn.Sequential(part, nn.Linear(2, 3))
    with frt.capture(model) as acts:
        out = model(images())
    assert list(acts) == ["1"]
    assert torch.equal(acts["1"], out)
    with pytest.raises(TypeError, match=r"^layers: expected .* Python, got the scripted '0\.2' \(Conv2d\); put"):
        frt.capture(model, ["1", "0.2"])
    if way == "trace":  # what is called from Python calls its hooks
        with frt.capture(model, "0") as acts:
            model(images())
        assert list(acts) == ["0"]
    else:
        with pytest.raises(TypeError, match=r"^layers: .*the scripted '0' \(Sequential\)"):
            frt.capture(model, "0")


def test_output_without_a_tensor():
    class Silent(nn.Module):
        def forward(self, x):
            return None

    model = nn.Sequential(Silent())
    with (
        pytest.raises(TypeError, match=r"^layers: .*put out tensors, got a NoneType from '0'; leave it out"),
        frt.capture(model, "0"),
    ):
        model(torch.ones(2, 1, 2))
    assert hooks(model) == 0


def wrapped(kind, model):
    if kind == "parallel":
        return nn.DataParallel(model)
    if kind == "average":
        return torch.optim.swa_utils.AveragedModel(model)
    return torch.compile(model, backend="eager")


@pytest.mark.parametrize("kind", ["parallel", "average", "compiled"])
def test_wrappers_do_not_show_in_the_names(kind):
    model = small(inplace=True).eval()
    x = images()
    with frt.capture(model) as expected:
        model(x)
    outer = wrapped(kind, model).eval()
    outer(x)  # compiled code that exists already calls no hooks
    prefix = "_orig_mod." if kind == "compiled" else "module."
    with frt.capture(outer) as acts:
        outer(x)
        outer(x)
    assert list(acts) == list(expected)
    for name in expected:
        torch.testing.assert_close(acts[name], expected[name])
    with frt.capture(outer) as acts:
        for _ in range(2):  # the wrapped model by itself is a forward pass of the model too
            getattr(outer, prefix[:-1])(x)
    assert list(acts) == list(expected)
    for names in ("2", prefix + "2", [prefix + "2", "2"]):
        with frt.capture(outer, names) as acts:
            outer(x)
        assert list(acts) == ["2"]
    with frt.capture(model, prefix + "2") as acts:  # a name noted while the model was wrapped
        model(x)
    assert list(acts) == ["2"]
    seen = []
    frt.capture(outer, lambda name, module: seen.append(name) or True)
    assert seen == ["", *map(str, range(9))]


def test_a_model_compiled_in_place():
    model = small().eval()
    model.compile(backend="eager")
    x = images()
    model(x)
    with frt.capture(model) as acts:
        model(x)
    assert list(acts) == ["0", "2", "6", "8"]


def test_wrappers_within_wrappers_and_within_the_model():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.DataParallel(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))
            self.head = nn.Linear(32, 2)

        def forward(self, x):
            return self.head(self.features(x).flatten(1))

    model = nn.DataParallel(torch.compile(Net(), backend="eager"))
    x = images()
    with frt.capture(model) as acts:
        model(x)
    assert list(acts) == ["features.0", "head"]
    for name in ("features.0", "module._orig_mod.features.module.0", "module.features.0"):
        with frt.capture(model, name) as acts:
            model(x)
        assert list(acts) == ["features.0"]


def test_an_own_attribute_called_module_keeps_its_name():
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(2, 2)

        def forward(self, x):
            return self.module(x)

    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = Mine()
            self._orig_mod = nn.Linear(2, 2)

        def forward(self, x):
            return self._orig_mod(self.module(x))

    model = Nested()
    x = torch.ones(1, 2)
    with frt.capture(model) as acts:
        model(x)
    assert list(acts) == ["module.module", "_orig_mod"]
    with frt.capture(model, "module.module") as acts:
        model(x)
    assert list(acts) == ["module.module"]
    with frt.capture(nn.DataParallel(model)) as acts:
        model(x)
    assert list(acts) == ["module.module", "_orig_mod"]


def test_a_wrapper_with_layers_of_its_own_keeps_full_names():
    class Headed(nn.DataParallel):
        def __init__(self, model):
            super().__init__(model)
            self.head = nn.Linear(2, 2)

        def forward(self, x):
            return self.head(self.module(x))

    inner = nn.Sequential()
    inner.add_module("head", nn.Linear(2, 2))
    model = Headed(inner)
    with frt.capture(model) as acts:
        model(torch.ones(1, 2))
    assert list(acts) == ["module.head", "head"]


def test_replicas_on_several_devices_are_refused():
    model = nn.DataParallel(small())
    model.device_ids = [0, 1]
    with pytest.raises(ValueError, match=r"^model: .*each of 2 devices.*model\.module"):
        frt.capture(model)
