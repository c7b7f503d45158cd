"""Monitor: a measurement leaves no trace in the training."""

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pandas")
from torch.nn import functional as F  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402
from networks import Net, net, net_like, probes  # noqa: E402


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


FIGURES = [
    "channels",
    "entropy",
    "mi_input",
    "mi_target",
    "tradeoff",
    "nonredundant",
    "tradeoff_share",
    "nonredundant_share",
    "mi_error",
]


class Restless(Net):
    """Draws from every random state and works in place on its input, also in eval mode."""

    fails = False

    def forward(self, x):
        x.add_(0.0 * random.random() + 0.0 * np.random.rand())  # noqa: NPY002
        x.mul_(1.5)
        x = F.dropout(super().forward(x), 0.1)  # functional: drops in eval mode too
        if self.fails:
            raise RuntimeError("in the middle")
        return x


def restless():
    model = net()
    model.__class__ = Restless
    model.train()
    model.norm.eval()
    model.fc1.eval()
    model.fc1.requires_grad_(False)
    model(torch.randn(4, 1, 6, 6, dtype=torch.float64)).sum().backward()
    model.conv1.weight.grad = None
    return model


def everything(model):
    """What a measurement must not change."""
    return {
        "modes": [module.training for module in model.modules()],
        "requires": [p.requires_grad for p in model.parameters()],
        "grads": [p.grad for p in model.parameters()],
        "grad values": [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
        "state": {name: value.tolist() for name, value in model.state_dict().items()},
        "torch": torch.get_rng_state().tolist(),
        "numpy": [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],  # noqa: NPY002
        "python": random.getstate(),
        "grad mode": torch.is_grad_enabled(),
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
    }


def assert_same(before, after):
    for name in before:
        if name == "grads":
            assert all(a is b for a, b in zip(before[name], after[name], strict=True))
        else:
            assert before[name] == after[name], name


@pytest.mark.parametrize("errors", [True, False])
def test_nothing_of_the_model_and_of_the_random_states_changes(errors):
    model = restless()
    pairs = probes()
    kept = [(x.clone(), y.clone()) for x, y in pairs]
    before = everything(model)
    assert len(set(before["modes"])) == 2
    assert any(grad is None for grad in before["grads"])
    monitor = frt.Monitor(model, pairs, errors=errors)
    assert_same(before, everything(model))
    first = monitor.measure(0)
    assert_same(before, everything(model))
    for pair, copy in zip(pairs, kept, strict=True):
        assert torch.equal(pair[0], copy[0])
        assert not pair[0].requires_grad
    # The same random state, the same unspoilt probe: the same numbers.
    np.testing.assert_array_equal(monitor.measure(1)[FIGURES], first[FIGURES])


class Counting(Net):
    """Changes its buffers in every way that a forward pass may, also in eval mode."""

    def __init__(self):
        super().__init__()
        self.register_buffer("added", torch.tensor([1, 2]))
        self.register_buffer("hidden", torch.tensor([float("nan"), 1.0]), persistent=False)
        self.register_buffer("bound", torch.tensor(3.0 + 1.0j))
        self.register_buffer("expanded", torch.tensor([float("nan")]).expand(3))
        self.register_buffer("empty", None)
        self.register_buffer("grown", torch.zeros(1))
        self.length = 1

    def forward(self, x):
        self.added.add_(1)
        self.hidden.data.mul_(2)
        self.bound = self.bound + 1
        if self.length < len(x):
            self.grown, self.length = torch.zeros(len(x)), len(x)
        return super().forward(x) + self.added[0] + self.grown[: len(x), None]


@pytest.mark.parametrize("fails", [False, True])
def test_buffers_that_the_forward_pass_changes_are_as_before(fails):
    model = Counting().double()
    kept = {name: (buffer, buffer.clone()) for name, buffer in model.named_buffers() if name != "grown"}
    loss = None if not fails else lambda *_: 1 / 0
    monitor = frt.Monitor(model, probes(), loss=loss)
    if fails:
        with pytest.raises(ZeroDivisionError):
            monitor.measure(0)
    else:
        first = monitor.measure(0)
        np.testing.assert_array_equal(monitor.measure(1)[FIGURES], first[FIGURES])
    found = dict(model.named_buffers())
    for name, (buffer, values) in kept.items():
        assert found[name] is buffer
        np.testing.assert_array_equal(buffer.numpy(), values.numpy())
    assert len(model.grown) == model.length == 12  # a cache and what tells of it stay together


def test_a_graph_that_holds_a_buffer_stays_valid():
    model = net()
    model.register_buffer("held", torch.tensor([float("nan"), 1.0]))
    weight = torch.ones(2, requires_grad=True)
    value = (weight * model.held)[1]
    frt.Monitor(model, probes(1)).measure(0)
    value.backward()
    assert weight.grad[1] == 1


def test_nothing_changes_when_the_model_raises():
    model = restless()
    monitor = frt.Monitor(model, probes())
    model.fails = True
    before = everything(model)
    with pytest.raises(RuntimeError, match="in the middle"):
        monitor.measure(0)
    assert_same(before, everything(model))
    assert (monitor.steps, len(monitor.frame())) == ([], 0)
    model.fails = False
    monitor.measure(0)
    assert monitor.steps == [0]


def test_activations_that_are_not_finite_name_the_layer_and_the_step():
    model = net()
    monitor = frt.Monitor(model, probes())
    before = everything(model)
    with torch.no_grad():
        model.fc1.weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"^layer 'fc1', step 4, probe\[0\]: output: expected finite numbers, got nan"):
        monitor.measure(4)
    assert monitor.steps == []
    after = everything(model)
    del before["state"], after["state"]
    assert_same(before, after)


def test_measures_in_eval_mode_without_calling_train_or_eval():
    class Overridden(Net):
        def train(self, mode=True):
            raise AssertionError("a model's own train() may do more than set flags")

    model = net()
    expected = frt.Monitor(net_like(model).eval(), pairs := probes()).measure(0)
    model.__class__ = Overridden
    assert model.training
    np.testing.assert_array_equal(frt.Monitor(model, pairs).measure(0)[FIGURES], expected[FIGURES])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_inside_no_grad_and_inference_mode(mode):
    model = net()
    pairs = probes()
    expected = frt.Monitor(model, pairs).measure(0)
    with mode():
        inner = [(x.clone(), y.clone()) for x, y in pairs]  # inference tensors, under inference mode
        found = frt.Monitor(model, inner).measure(0)
        assert not torch.is_grad_enabled()
    np.testing.assert_array_equal(found[FIGURES], expected[FIGURES])


def test_without_errors_a_graph_is_built_on_the_first_minibatch_to_find_the_links():
    class Watched(Net):
        def forward(self, x):
            self.grad = [*getattr(self, "grad", []), torch.is_grad_enabled()]
            return super().forward(x)

    model = net()
    model.__class__ = Watched
    rows = frt.Monitor(model, probes(3), errors=False).measure(0)
    assert model.grad[0]
    assert not any(model.grad[1:])
    assert list(rows["input_via"]) == ["", "conv1", "conv2", "fc1"] * 3


def test_the_probe_is_a_copy():
    model = net()
    pairs = probes(1)
    monitor = frt.Monitor(model, pairs)
    expected = monitor.measure(0)
    pairs[0][0].zero_()
    pairs[0][1].zero_()
    np.testing.assert_array_equal(monitor.measure(1)[FIGURES], expected[FIGURES])


def test_training_goes_on_as_without_measuring():
    def train(measured):
        torch.manual_seed(3)
        model = net(torch.float32)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        monitor = frt.Monitor(
            model, [(torch.ones(4, 1, 6, 6) * torch.arange(4)[:, None, None, None], torch.arange(4) % 3)]
        )
        for step in range(4):
            x, y = torch.randn(8, 1, 6, 6), torch.randint(3, (8,))
            optimiser.zero_grad()
            F.cross_entropy(model(x), y).backward()
            if measured:
                monitor.measure(step)
            optimiser.step()
        return [p.detach() for p in model.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(train(False), train(True), strict=True))
