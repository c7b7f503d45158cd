"""capture: the gradients, and that the model is as it was afterwards."""

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402
from networks import Functional, hooks, images, small  # noqa: E402


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("way", ["backward", "grad"])
def test_gradients_are_those_with_respect_to_the_kept_outputs(inplace, way):
    model = small(inplace).eval()
    x = images()
    with frt.capture(model, gradients=True) as acts:
        loss = model(x).square().sum()
        if way == "backward":
            loss.backward()
        else:
            torch.autograd.grad(loss, [model[0].weight])
    assert set(acts.gradients) == set(acts)
    tails = {"0": model[2:], "2": model[5:], "6": model[8:], "8": nn.Identity()}
    for name, tail in tails.items():
        kept = acts[name].clone().requires_grad_()
        # clone: the tail may begin with an in-place operation, which a leaf would refuse
        (expected,) = torch.autograd.grad(tail(kept.clone()).square().sum(), kept)
        torch.testing.assert_close(acts.gradients[name], expected)
        assert not acts.gradients[name].requires_grad
    # relu's own gradient is zero where it is off: kept with respect to its output it is not
    assert (acts.gradients["0"][acts["0"] == 0] != 0).any()


def test_gradient_before_a_functional_inplace_operation():
    model = Functional(lambda self, t: t.mul_(3).relu_())
    with frt.capture(model, gradients=True) as acts:
        model(images()).sum().backward()
    torch.testing.assert_close(acts.gradients["conv"], 3.0 * (acts["conv"] > 0))


def test_paths_and_passes_add_up():
    model = Functional(lambda self, t: (2 * t).sum() + (3 * t).sum())
    with frt.capture(model, gradients=True) as acts:
        out = model(images())
        out.backward(retain_graph=True)
        assert torch.equal(acts.gradients["conv"], torch.full_like(acts["conv"], 5.0))
        first = acts.gradients["conv"]
        out.backward(torch.tensor(2.0))
    assert torch.equal(acts.gradients["conv"], torch.full_like(acts["conv"], 15.0))
    assert torch.equal(first, torch.full_like(first, 5.0))
    out2 = model(images()).sum()
    out2.backward()
    assert torch.equal(acts.gradients["conv"], torch.full_like(acts["conv"], 15.0))


def test_the_kept_gradient_is_a_copy_and_the_models_own_are_as_without_capture():
    model = small(inplace=True).eval()
    x = images()
    model(x).sum().backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    with frt.capture(model, gradients=True) as acts:
        out = model(x)
        out.sum().backward()
        for kept in (*acts.values(), *acts.gradients.values()):
            kept.fill_(float("nan"))
    for p, e in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, e)


def test_the_kept_gradient_is_not_the_one_that_autograd_hands_out():
    model = Functional(lambda self, t: t)
    with frt.capture(model, gradients=True) as acts:
        out = model(images())
        (given,) = torch.autograd.grad((2 * out).sum(), out)
    given.zero_()
    assert torch.equal(acts.gradients["conv"], torch.full_like(out, 2.0))


def test_backward_after_the_block_is_not_kept():
    model = small()
    with frt.capture(model, gradients=True) as acts:
        loss = model(images()).sum()
    loss.backward()
    assert acts.gradients == {}


def test_without_gradients_nothing_is_kept():
    model = small()
    with frt.capture(model) as acts:
        model(images()).sum().backward()
    assert acts.gradients == {}


@pytest.mark.parametrize("case", ["no_grad", "frozen"])
def test_gradients_of_outputs_that_have_none(case):
    model = small()
    if case == "frozen":
        model.requires_grad_(False)
    with (
        torch.set_grad_enabled(case == "frozen"),
        pytest.raises(ValueError, match=r"^gradients: .*got one of '0' that does not.*no_grad.*require"),
        frt.capture(model, gradients=True),
    ):
        model(images())
    assert hooks(model) == 0
    x = images().requires_grad_()  # the way out that the message names
    with frt.capture(model, gradients=True) as acts:
        model(x).sum().backward()
    assert len(acts.gradients) == 4


def test_second_derivatives_leave_detached_gradients():
    model = Functional(lambda self, t: t.pow(3).sum())
    with frt.capture(model, gradients=True) as acts:
        torch.autograd.grad(model(images()), model.conv.weight, create_graph=True)
    assert not acts.gradients["conv"].requires_grad


def test_checkpointing_calls_layers_again_without_a_trace():
    plain = small(inplace=True).eval()
    x = images()
    with frt.capture(plain, gradients=True) as expected:
        plain(x).sum().backward()

    class Saving(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = plain

        def forward(self, x):
            return checkpoint(self.net, x, use_reentrant=False)

    model = Saving()
    with frt.capture(model, gradients=True) as acts:
        model(x).sum().backward()
    assert list(acts) == [f"net.{name}" for name in expected]
    for name in expected:
        assert torch.equal(acts[f"net.{name}"], expected[name])
        assert torch.equal(acts.gradients[f"net.{name}"], expected.gradients[name])


def test_hooks_never_replace_an_output():
    model = small(inplace=True).eval()
    x = images()
    expected = model(x)
    with frt.capture(model, lambda name, module: True, gradients=True):
        assert torch.equal(model(x), expected)


def test_hooks_are_removed_after_an_error_in_the_body():
    model = small()
    with pytest.raises(ZeroDivisionError, match="the body"), frt.capture(model):  # noqa: PT012
        model(images())
        assert hooks(model) > 0
        raise ZeroDivisionError("the body")
    assert hooks(model) == 0


def test_hooks_are_removed_after_an_error_in_the_forward():
    model = small()
    with pytest.raises(RuntimeError), frt.capture(model):
        model(torch.ones(2, 3))
    assert hooks(model) == 0
    with frt.capture(model) as acts:  # and the next capture is whole
        model(images())
    assert list(acts) == ["0", "2", "6", "8"]


def test_hooks_are_removed_after_an_error_half_way_of_registering(monkeypatch):
    model = small()

    def refuse(*args, **kwargs):
        raise RuntimeError("no more hooks")

    monkeypatch.setattr(model[6], "register_forward_hook", refuse)
    with pytest.raises(RuntimeError, match="no more hooks"), frt.capture(model):
        pass
    assert hooks(model) == 0


def test_a_failed_forward_leaves_nothing_behind_for_the_next():
    class Failing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.act = nn.ReLU()
            self.fail = True

        def forward(self, x):
            t = self.conv(x)
            if self.fail:
                self.act(t)
                raise RuntimeError("half way")
            return t

    model = Failing()
    with frt.capture(model) as acts:
        with pytest.raises(RuntimeError, match="half way"):
            model(images())
        model.fail = False
        out = model(images())
    assert list(acts) == ["conv"]
    assert torch.equal(acts["conv"], out)


def test_captures_within_captures():
    model = small(inplace=True).eval()
    x = images()
    with frt.capture(model, gradients=True) as outer:
        with frt.capture(model, "0", gradients=True, activations="before") as inner:
            model(x).sum().backward()
        kept = hooks(model)
        assert list(inner) == ["0"]
        assert torch.equal(F.relu(inner["0"]), outer["0"])
        assert torch.equal(inner.gradients["0"], outer.gradients["0"] * (inner["0"] > 0))
        with frt.capture(model):
            pass
        assert hooks(model) == kept
    assert hooks(model) == 0


def test_the_users_own_hooks_stay():
    model = small()
    calls = []
    model[0].register_forward_hook(lambda *args: calls.append(1))
    with frt.capture(model):
        model(images())
    model(images())
    assert (len(calls), hooks(model)) == (2, 1)


def test_the_outputs_tensors_have_no_hook_left():
    model = nn.Sequential(nn.Linear(2, 2))
    with frt.capture(model, gradients=True):
        out = model(torch.ones(1, 2))
        assert len(out._backward_hooks) == 1
    assert not out._backward_hooks


def test_nothing_is_registered_before_the_block():
    model = small()
    frt.capture(model)
    assert hooks(model) == 0


def test_what_is_kept_stays_after_the_block_and_keeps_dtype_and_layout():
    model = nn.Sequential(nn.Conv2d(1, 2, 3)).double().to(memory_format=torch.channels_last)
    with frt.capture(model) as acts:
        out = model(images().double().to(memory_format=torch.channels_last))
    out.data.zero_()
    assert acts["0"].dtype == torch.float64
    assert acts["0"].stride() == out.stride()
    assert acts["0"].abs().sum() > 0
    assert isinstance(acts, frt.Activations)
    assert isinstance(acts, dict)
