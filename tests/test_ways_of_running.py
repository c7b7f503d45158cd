"""Monitor: the same numbers however a model is run: compiled, checkpointed, in half precision, quantised."""

import contextlib
import copy
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pandas")
from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402
from networks import N  # noqa: E402
from test_inputs import gram, reference  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning", "ignore:label_kernel:UserWarning")

NUMBERS = ["entropy", "mi_input", "mi_target", "tradeoff", "nonredundant", "mi_error"]
Y = torch.arange(N) % 3


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 3)
        self.reentrant = None  # not checkpointed

    def forward(self, x):
        h = self.first(x).relu()
        h = self.block(h) if self.reentrant is None else checkpoint(self.block, h, use_reentrant=self.reentrant)
        return self.head(h.mean((2, 3)))


def compiled_whole(model):
    return torch.compile(model, backend="eager")


def compiled_in_part(model):
    model.block = torch.compile(model.block, backend="eager")
    return model


def compiled_in_place(model):
    model.compile(backend="eager")
    return model


def part_compiled_in_place(model):
    model.block.compile(backend="eager")
    return model


def checkpointed(model):
    model.reentrant = False
    return model


def channels_last(model):
    return model.to(memory_format=torch.channels_last)


SAME = [
    compiled_whole, compiled_in_part, compiled_in_place, part_compiled_in_place, checkpointed, channels_last,
    nn.DataParallel,
]  # fmt: skip


@pytest.mark.parametrize("way", SAME, ids=lambda way: way.__name__)
def test_the_same_numbers(way):
    model, x = Net().double().eval(), torch.randn(N, 3, 8, 8, dtype=torch.float64)
    expected = frt.Monitor(copy.deepcopy(model), [(x, Y)]).measure(0)
    other = way(model)
    with torch.no_grad():
        other(x)  # compiled code that exists already calls no hooks
    found = frt.Monitor(other, [(x, Y)]).measure(0)
    assert list(found["layer"]) == ["first", "block.0", "head"]
    np.testing.assert_allclose(found[NUMBERS], expected[NUMBERS], rtol=0, atol=1e-9)
    assert list(found["input_via"]) == ["", "first", "block.0"]
    assert list(found["error_via"]) == ["block.0", "head", ""]


@pytest.mark.parametrize("way", ["half", "bfloat16", "autocast"])
def test_in_lower_precision(way):
    model, x = Net().eval(), torch.randn(N, 3, 8, 8)
    expected = frt.Monitor(copy.deepcopy(model), [(x, Y)]).measure(0)
    context = torch.autocast("cpu", torch.bfloat16) if way == "autocast" else contextlib.nullcontext()
    if way != "autocast":
        model, x = getattr(model, way)(), getattr(x, way)()
    with context:
        found = frt.Monitor(model, [(x, Y)]).measure(0)
    tolerance = 0.02 if way == "half" else 0.2  # of a bit: 11 and 8 significant bits
    np.testing.assert_allclose(found[NUMBERS], expected[NUMBERS], rtol=0, atol=tolerance)
    assert list(found["input_via"]) == ["", "first", "block.0"]


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning")  # where nothing goes back
def test_reentrant_checkpoints_have_no_errors():
    model, x = Net(), torch.randn(N, 3, 8, 8)
    expected = frt.Monitor(copy.deepcopy(model), [(x, Y)]).measure(0)
    model.reentrant = True
    words = r"^step 0, probe\[0\]: model: .*checkpoint with use_reentrant=False, or pass errors=False$"
    with pytest.raises(ValueError, match=words):
        frt.Monitor(model, [(x, Y)]).measure(0)
    found = frt.Monitor(model, [(x, Y)], errors=False).measure(0)
    np.testing.assert_array_equal(found[NUMBERS[:-1]], expected[NUMBERS[:-1]])


class Quantisable(nn.Module):
    def __init__(self):
        super().__init__()
        self.open, self.close = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()
        self.conv, self.relu, self.linear = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(144, 3)

    def forward(self, x):
        return self.close(self.linear(self.relu(self.conv(self.open(x))).flatten(1)))


@pytest.mark.filterwarnings("ignore:quantized.*an autograd kernel was not registered:UserWarning")
@pytest.mark.skipif("fbgemm" not in torch.backends.quantized.supported_engines, reason="needs an engine")
@pytest.mark.parametrize("way", ["dynamic", "static"])
def test_quantised_layers_are_found(way):
    x = torch.randn(N, 3, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions point to another library
        model = Quantisable().eval()
        if way == "dynamic":
            model = torch.ao.quantization.quantize_dynamic(model, {nn.Linear})
        else:
            model.qconfig = torch.ao.quantization.get_default_qconfig("fbgemm")
            torch.ao.quantization.prepare(model, inplace=True)
            model(x)
            torch.ao.quantization.convert(model, inplace=True)
    rows = frt.Monitor(model, [(x, Y)], errors=False).measure(0)
    assert list(rows["layer"]) == ["conv", "linear"]
    assert list(rows["channels"]) == [4, 1]
    assert rows["activation"].iloc[0] == "relu"
    with torch.no_grad():
        hidden = model.relu(model.conv(model.open(x)))
        outputs = [hidden.dequantize() if hidden.is_quantized else hidden, model(x)]
    expected = [reference.mutual_information(gram(x), gram(output)) for output in outputs]
    np.testing.assert_allclose(rows["mi_input"], expected, rtol=0, atol=1e-4)
    if way == "dynamic":
        assert len(frt.Monitor(model, [(x, Y)]).measure(0)) == 2  # nothing comes back through a quantised layer


def test_layers_of_other_libraries_are_found():
    transformers = pytest.importorskip("transformers")
    sizes = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 7, "bos_token_id": 0, "eos_token_id": 0}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=9, **sizes)).double()
    tokens = torch.randint(9, (N, 7))
    rows = frt.Monitor(model, [({"input_ids": tokens}, tokens)], label_kernel="gaussian").measure(0)
    assert list(rows["layer"].str.rpartition(".")[2]) == ["c_attn", "c_proj", "c_fc", "c_proj", "lm_head"]
    assert list(rows["channels"]) == [24, 8, 32, 8, 9]
    assert rows["mi_error"].notna().sum() == 4
