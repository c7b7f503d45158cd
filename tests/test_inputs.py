"""Monitor: what a probe may hold: tokens, several inputs, arrays, a DataLoader, other targets or none."""

from dataclasses import dataclass

import numpy as np
import pytest

import reference
import tolerances

torch = pytest.importorskip("torch")
pytest.importorskip("pandas")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402
from fastrenyi.torch.tokens import one_hot as frt_one_hot  # noqa: E402
from networks import N, hooks, net, probes  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning", "ignore:label_kernel:UserWarning")

LENGTH, WORDS = 7, 9


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@dataclass
class Output:
    """As a model of Hugging Face puts out."""

    logits: torch.Tensor
    hidden: tuple


class Reader(nn.Module):
    """Embeds tokens, lets them attend to those of the mask, and tells a class."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, 6)
        self.places = nn.Embedding(LENGTH, 6)
        self.first = nn.Linear(6, 5)
        self.second = nn.Linear(5, 4)
        self.head = nn.Linear(4, 3)

    def stages(self, tokens, mask):
        h = self.words(tokens) + self.places(torch.arange(tokens.shape[1]))
        first = torch.tanh(self.first(h))
        second = self.second(first * mask[..., None]).relu()
        return {"first": first, "second": second, "head": self.head(second.mean(1))}

    def forward(self, tokens, mask):
        h = self.words(tokens) + self.places(torch.arange(tokens.shape[1]))
        h = torch.tanh(self.first(h))
        h = self.second(h * mask[..., None]).relu()
        return Output(self.head(h.mean(1)), (h,))


def sentences():
    mask = torch.ones(N, LENGTH)
    mask[::2, 5:] = 0
    return {"mask": mask.double(), "tokens": torch.randint(WORDS, (N, LENGTH))}, torch.arange(N) % 3


def gram(samples):
    samples = np.asarray(samples, dtype=np.float64).reshape(len(samples), -1)
    return reference.gram_gaussian(samples, reference.median(samples))


def one_hot(tokens):
    return F.one_hot(tokens.long()).double().numpy()


def assert_informations(rows, x_gram, y_gram, outputs, deltas=()):
    """The rows of layers against the formulas; outputs and errors are tensors (n, ...) in their order."""
    layers = [gram(output.detach()) for output in outputs]
    known = {"mi_input": [reference.mutual_information(layer, x_gram) for layer in layers]}
    if y_gram is not None:
        known["mi_target"] = [reference.mutual_information(layer, y_gram) for layer in layers]
    for name, expected in known.items():
        tolerances.assert_bits(rows[name].to_numpy(), np.array(expected), "float64", n=N, terms=20)
    if deltas:
        errors = [gram(delta) for delta in deltas]
        expected = [reference.mutual_information(errors[-1], error) for error in errors[:-1]]
        tolerances.assert_bits(rows["mi_error"].to_numpy()[:-1], np.array(expected), "float64", n=N, terms=20)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("batch", ["pair", "mapping", "arguments"])
def test_tokens_and_a_mask_by_the_names_of_arguments(batch, frozen):
    model = Reader().double().requires_grad_(not frozen)
    inputs, y = sentences()
    probe = {
        "pair": (inputs, y),
        "mapping": {**inputs, "labels": y},
        "arguments": ((inputs["tokens"], inputs["mask"]), y),
    }[batch]
    rows = frt.Monitor(model, [probe]).measure(0)
    assert list(rows["layer"]) == ["first", "second", "head"]
    # X are the tokens, the argument that forward names first, whatever the order of the mapping.
    requiring = Reader().double()
    requiring.load_state_dict(model.state_dict())
    stages = requiring.stages(**inputs)
    # An error is that of what the layer puts out before its activation function.
    deltas = torch.autograd.grad(F.cross_entropy(stages["head"], y, reduction="sum"), list(stages.values()))
    slopes = (1 - stages["first"] ** 2, (stages["second"] > 0), torch.ones(1))
    deltas = [(delta * slope).detach() for delta, slope in zip(deltas, slopes, strict=True)]
    assert_informations(rows, gram(one_hot(inputs["tokens"])), reference.gram_delta(y), stages.values(), deltas)
    assert list(rows["channels"]) == [5, 4, 1]
    assert list(rows["input_via"]) == ["", "", "second"]  # the mask comes in behind the first
    assert list(rows["error_via"]) == ["second", "head", ""]


@pytest.mark.parametrize("frozen", [False, True])
def test_nothing_of_a_model_of_tokens_changes(frozen):
    model = Reader().double().requires_grad_(not frozen).train()
    inputs, y = sentences()
    monitor = frt.Monitor(model, [(inputs, y)])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state, data = torch.random.get_rng_state(), {name: value.clone() for name, value in inputs.items()}
    first, second = monitor.measure(0), monitor.measure(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad is not frozen for p in model.parameters())
    assert (model.training, hooks(model)) == (True, 0)
    assert all(torch.equal(value, data[name]) for name, value in inputs.items())
    inputs["tokens"].zero_()  # the probe is a copy
    third = monitor.measure(2)
    for other in (second, third):
        np.testing.assert_array_equal(other["mi_input"], first["mi_input"])
        np.testing.assert_array_equal(other["mi_error"], first["mi_error"])


def test_a_probe_follows_a_model_that_is_cast():
    model = Reader()
    inputs, y = sentences()
    inputs["mask"] = inputs["mask"].float()
    monitor = frt.Monitor(model, [(inputs, y)])
    monitor.measure(0)
    model.double()
    assert monitor.measure(1)["mi_error"].notna().sum() == 2
    with pytest.raises(TypeError, match=r"probe: expected x\['mask'\] of the model's dtype, torch.float32, got .*64"):
        frt.Monitor(Reader(), [({**inputs, "mask": inputs["mask"].double()}, y)]).measure(0)


@pytest.mark.parametrize("frozen", [False, True])
def test_links_start_at_embeddings_of_tokens(frozen):
    model = nn.Sequential(nn.Embedding(WORDS, 4), nn.Linear(4, 5), nn.Tanh(), nn.Flatten(), nn.Linear(35, 3))
    model.requires_grad_(not frozen)
    batch = torch.randint(WORDS, (N, LENGTH)), torch.arange(N) % 3
    rows = frt.Monitor(model, [batch], ["0", "1", "4"]).measure(0)
    assert list(zip(rows["layer"], rows["input_via"], rows["error_via"], strict=True)) == [
        ("0", "", "1"),
        ("1", "0", "4"),
        ("4", "1", ""),
    ]
    assert list(rows["channels"]) == [4, 5, 1]
    assert rows["mi_error"].notna().sum() == 2


@pytest.mark.parametrize("shape", [(N,), (N, 4), (N, 2, 3), (N, 1)])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.bool])
def test_tokens_are_columns_that_differ_where_they_do(shape, dtype):
    tokens = torch.randint(-2, 5, shape).to(dtype)
    columns = frt_one_hot(tokens).numpy()
    flat = tokens.reshape(N, -1)
    assert columns.shape[1] == sum(len(flat[:, place].unique()) for place in range(flat.shape[1]))
    differing = (flat[:, None] != flat[None]).sum(-1).numpy()
    np.testing.assert_array_equal(((columns[:, None] - columns[None]) ** 2).sum(-1), 2 * differing)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(4, 3), nn.Linear(2, 3), nn.Linear(3, 2)

    def forward(self, left, right, *, scale=1.0):
        return self.out(scale * torch.tanh(self.a(left) + self.b(right)))


@pytest.mark.parametrize("choice", [None, 0, 1, "function"])
def test_which_of_several_inputs_is_x(choice):
    model = Two().double()
    left, right = torch.randn(N, 4, dtype=torch.float64), torch.randn(N, 2, dtype=torch.float64)
    wanted = torch.cat([left, right], 1) if choice == "function" else right if choice == 1 else left
    given = (lambda inputs: torch.cat(inputs, 1)) if choice == "function" else choice
    rows = frt.Monitor(model, [((left, right), torch.arange(N) % 2)], "out", input=given).measure(0)
    assert_informations(rows, gram(wanted), None, [model(left, right)])
    if choice != "function":
        named = {"right": right, "left": left, "scale": 1.0}
        key = None if choice is None else ("left", "right")[choice]
        by_name = frt.Monitor(model, [(named, torch.arange(N) % 2)], "out", input=key).measure(0)
        np.testing.assert_array_equal(by_name["mi_input"], rows["mi_input"])


def test_x_is_asked_for_where_the_model_does_not_name_it():
    class Open(Two):
        def forward(self, **inputs):
            return super().forward(**inputs)

    inputs = {"left": torch.randn(N, 4), "right": torch.randn(N, 2)}
    with pytest.raises(ValueError, match=r"^input: .*name of X.*'left', 'right'.*Open\.forward"):
        frt.Monitor(Open(), [(inputs, None)])
    assert len(frt.Monitor(Open(), [(inputs, None)], input="right").measure(0)) == 3


def test_bytes_are_told_of_by_the_user():
    class Pixels(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(6, 3)

        def forward(self, x):
            return self.a(x.double() / 255)

    x = torch.randint(256, (N, 6), dtype=torch.uint8)
    model = Pixels().double()
    rows = frt.Monitor(model, [(x, None)], input=lambda x: x.double()).measure(0)
    assert_informations(rows, gram(x), None, [model(x)])


def test_without_targets():
    model, pairs = net(), probes()
    full = frt.Monitor(model, pairs).measure(0)
    bare = frt.Monitor(model, [(x, None) for x, _ in pairs]).measure(0)
    names = ["mi_input", "entropy", "tradeoff", "nonredundant", "input_entropy"]
    np.testing.assert_array_equal(bare[names], full[names])
    gone = ["mi_target", "mi_target_null", "mi_target_null_std", "target_entropy", "mi_error"]
    assert bare[gone].isna().all(axis=None)
    assert list(bare["input_via"]) == list(full["input_via"])
    # A loss that needs none.
    own = frt.Monitor(model, [(x, None) for x, _ in pairs], loss=lambda output, y: output.square().sum()).measure(0)
    assert own["mi_error"].notna().sum() == 6


def test_arrays_and_loaders():
    model, pairs = net(), probes()
    expected = frt.Monitor(model, pairs).measure(0)
    x, y = (torch.cat(part) for part in zip(*pairs, strict=True))
    loader = DataLoader(TensorDataset(x, y), batch_size=N)
    state = torch.random.get_rng_state()
    for probe in ([(x.numpy(), y.numpy()) for x, y in pairs], tuple(pairs), iter(pairs), loader):
        found = frt.Monitor(model, probe).measure(0)
        np.testing.assert_array_equal(found["mi_input"], expected["mi_input"])
        np.testing.assert_array_equal(found["mi_error"], expected["mi_error"])
    assert torch.equal(torch.random.get_rng_state(), state)
    reversed_ = [
        (x.numpy()[::-1].astype(">f8"), y.numpy()[::-1]) for x, y in pairs
    ]  # strides and bytes of another kind
    found = frt.Monitor(model, reversed_).measure(0)
    np.testing.assert_allclose(found["mi_input"], expected["mi_input"], rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=r"^probe\[1\]: x: .*two samples.*drop_last=True"):
        frt.Monitor(model, DataLoader(TensorDataset(x[:13], y[:13]), batch_size=N))


def test_a_loader_of_mappings():
    inputs, y = sentences()
    samples = [{**{name: value[k] for name, value in inputs.items()}, "labels": y[k]} for k in range(N)]
    model = Reader().double()
    found = frt.Monitor(model, DataLoader(samples, batch_size=N)).measure(0)
    expected = frt.Monitor(model, [(inputs, y)]).measure(0)
    np.testing.assert_array_equal(found["mi_error"], expected["mi_error"])


LOSSES = {
    "regression (n,) of (n, 1)": ((1,), torch.randn(N), lambda o, y: (o[:, 0] - y).square().sum()),
    "one label of (n, 1)": (
        (1,),
        torch.arange(N) % 2,
        lambda o, y: F.binary_cross_entropy_with_logits(o[:, 0], y.to(o), reduction="sum"),
    ),
    "several labels": (
        (3,),
        torch.randint(2, (N, 3)),
        lambda o, y: F.binary_cross_entropy_with_logits(o, y.to(o), reduction="sum"),
    ),
    "several labels as bool": (
        (3,),
        torch.randint(2, (N, 3)).bool(),
        lambda o, y: F.binary_cross_entropy_with_logits(o, y.to(o), reduction="sum"),
    ),
    "masks": ((4, 3, 2), torch.randint(4, (N, 3, 2)), lambda o, y: F.cross_entropy(o, y, reduction="sum")),
    "masks with parts left out": (
        (4, 3, 2),
        torch.where(torch.rand(N, 3, 2) < 0.3, -100, torch.randint(4, (N, 3, 2))),
        lambda o, y: F.cross_entropy(o, y, reduction="sum"),
    ),
    "tokens, classes last": (
        (5, 4),
        torch.randint(4, (N, 5)),
        lambda o, y: F.cross_entropy(o.flatten(0, 1), y.flatten(), reduction="sum"),
    ),
}


@pytest.mark.parametrize("case", LOSSES)
def test_default_losses(case):
    shape, y, loss = LOSSES[case]
    model = nn.Sequential(
        nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, int(np.prod(shape))), nn.Unflatten(1, shape)
    ).double()
    x = torch.randn(N, 6, dtype=torch.float64)
    y = y.double() if y.is_floating_point() else y
    own = frt.Monitor(model, [(x, y)], loss=loss, label_kernel="gaussian" if y.is_floating_point() else "delta")
    default = frt.Monitor(model, [(x, y)], label_kernel="gaussian" if y.is_floating_point() else "delta")
    found, expected = default.measure(0), own.measure(0)
    assert found["mi_error"].notna().sum() == 1
    np.testing.assert_allclose(found["mi_error"], expected["mi_error"], rtol=0, atol=1e-12)


def test_masks_under_a_kernel_of_real_numbers_are_compared_place_by_place():
    y = torch.randint(3, (N, 4, 2))
    model = nn.Linear(6, 2).double()
    x = torch.randn(N, 6, dtype=torch.float64)
    rows = frt.Monitor(model, [(x, y)], label_kernel="gaussian", errors=False).measure(0)
    # The labels' kernel has a width of its own: Silverman's.
    columns = [(y.flatten(1)[:, place] == value).double().numpy() for place in range(8) for value in range(3)]
    samples = np.stack([column for column in columns if column.any()], 1)
    y_gram = reference.gram_gaussian(samples, reference.silverman(N, samples.shape[1]))
    assert_informations(rows, gram(x), y_gram, [model(x)])


def test_a_part_of_the_output_for_the_loss():
    inputs, y = sentences()
    model = Reader().double()
    expected = frt.Monitor(model, [(inputs, y)]).measure(0)
    for output in ("logits", lambda output: output.logits):
        found = frt.Monitor(
            model, [(inputs, y)], output=output, loss=lambda o, y: F.cross_entropy(o, y, reduction="sum")
        )
        np.testing.assert_array_equal(found.measure(0)["mi_error"], expected["mi_error"])


def test_models_of_hugging_face_without_a_wrapper():
    transformers = pytest.importorskip("transformers")
    sizes = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 12,
        "num_labels": 3,
    }
    y = torch.arange(N) % 3
    config = transformers.BertConfig(vocab_size=WORDS, max_position_embeddings=LENGTH, **sizes)
    bert = transformers.BertForSequenceClassification(config).double()
    tokens, mask = torch.randint(WORDS, (N, LENGTH)), torch.ones(N, LENGTH, dtype=torch.int64)
    mask[::2, 5:] = 0
    rows = frt.Monitor(bert, [({"attention_mask": mask, "input_ids": tokens}, y)]).measure(0)
    assert rows["layer"].iloc[-1] == "classifier"
    with torch.no_grad():
        out = bert.eval()(input_ids=tokens, attention_mask=mask).logits
    assert_informations(rows.iloc[-1:], gram(one_hot(tokens)), reference.gram_delta(y), [out])
    assert rows["mi_error"].notna().sum() == len(rows) - 1
    vit = transformers.ViTForImageClassification(transformers.ViTConfig(image_size=8, patch_size=4, **sizes)).double()
    images = torch.randn(N, 3, 8, 8, dtype=torch.float64)
    rows = frt.Monitor(
        vit, [(images, y)], [name for name, m in vit.named_modules() if isinstance(m, nn.Linear)]
    ).measure(0)
    with torch.no_grad():
        out = vit.eval()(images).logits
    assert_informations(rows.iloc[-1:], gram(images), reference.gram_delta(y), [out])
    assert rows["mi_error"].notna().sum() == len(rows) - 1
