"""Losses of the family: what their formulas say, published values and code, gradients, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fastrenyi as fr  # noqa: E402
import reference  # noqa: E402
from fastrenyi.torch import losses  # noqa: E402

NEURONS = torch.tensor(np.sin(np.outer(np.arange(1, 21), [1, 2, 3])))
HIDDEN = torch.tanh(NEURONS @ torch.tensor([[1, -1], [0.5, 1], [-1, 0.5]], dtype=torch.float64))
LABELS = torch.arange(20) % 4


@pytest.fixture
def samples(rng: np.random.Generator) -> Callable[..., Any]:
    return lambda *shape: torch.tensor(rng.normal(size=shape))


# ------------------------------------------------------------------------------------------------------- bottlenecks


def penalty(**settings: Any) -> float:
    logits = torch.zeros(20, 4, dtype=torch.float64)
    loss = losses.InformationBottleneckLoss(1.0, bandwidth="silverman", **settings)
    loss.bandwidth = fr.Silverman(5.0)
    return float(loss(logits, LABELS, NEURONS, HIDDEN)) - math.log(4)


def test_penalties_of_published_values() -> None:
    plain, conditional = 0.1993281706, 0.1697168300
    for power in (1, 2, 3, 4):
        assert penalty(power=power) == pytest.approx(plain**power, abs=1e-9)
        assert penalty(power=power, conditional=True) == pytest.approx(conditional**power, abs=1e-9)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_labels_of_the_conditional_form(reduction: str, samples: Callable[..., Any]) -> None:
    logits, x, z, y = samples(9, 3), samples(9, 2), samples(9, 4), torch.arange(9) % 3
    loss = losses.InformationBottleneckLoss(0.3, bandwidth=2.0, power=2, conditional=True, reduction=reduction)
    grams = [reference.gram_gaussian(v, sigma=2.0) for v in (x, z)]
    of_y = (y[:, None] == y[None]).double().numpy() / 9
    term = 0.3 * reference.conditional_mutual_information(*grams, of_y) ** 2 * (9 if reduction == "sum" else 1)
    expected = torch.nn.functional.cross_entropy(logits, y, reduction=reduction) + term
    one_hot = torch.nn.functional.one_hot(y, 3)
    for given in (y, y.int(), one_hot, one_hot.double()):
        torch.testing.assert_close(loss(logits, given, x, z), expected, rtol=1e-9, atol=1e-9)


def test_a_bound_of_a_published_value() -> None:
    found = losses.NoisyInformationLoss(math.sqrt(0.05), base=math.e)(HIDDEN)
    assert float(found) == pytest.approx(2.3972077690, abs=1e-9)
    assert float(losses.NoisyInformationLoss(1e-9)(NEURONS)) == pytest.approx(math.log2(20))
    assert float(losses.NoisyInformationLoss(1e9)(NEURONS)) == pytest.approx(0, abs=1e-12)


# ------------------------------------------------------------------------------------------------------- distillation


@pytest.mark.parametrize("alpha", [0.5, 1.01, 1.5])
def test_correlation(alpha: float, samples: Callable[..., Any]) -> None:
    """The published code: standard deviations of divisor n - 1, means of divisor n."""
    student, teacher = samples(8, 3).requires_grad_(), samples(8, 3).requires_grad_()
    value = losses.CorrelationLoss(alpha)(student, teacher)
    s, t = (((v - v.mean(0)) / v.std(0)).detach() for v in (student, teacher))
    c = torch.einsum("bx,bx->x", s, t) / 8
    torch.testing.assert_close(value, (c - 1).abs().pow(2).pow(alpha).sum().log2(), rtol=1e-9, atol=1e-9)
    value.backward()
    assert student.grad is not None
    assert teacher.grad is None
    scaled = losses.CorrelationLoss(alpha)(1e150 * student + 7, teacher * 1e-150)
    torch.testing.assert_close(scaled, value, rtol=1e-6, atol=1e-6)


def test_features_that_do_not_vary_correlate_with_none(samples: Callable[..., Any]) -> None:
    x = samples(6, 2)
    fixed = torch.cat([x, torch.full((6, 1), 0.1)], 1).requires_grad_()
    value = losses.CorrelationLoss()(fixed, fixed)
    assert float(value.detach()) == pytest.approx(math.log2(1 + 2 * 6.0**-3))
    value.backward()
    assert fixed.grad.isfinite().all()
    assert float(losses.CorrelationLoss()(x[:1], x[1:2])) == pytest.approx(1)


# --------------------------------------------------------------------------------------------------------- divergences


def test_cauchy_schwarz(samples: Callable[..., Any]) -> None:
    x, y = samples(7, 1, 3), samples(5, 3)
    found = losses.CauchySchwarzLoss(bandwidth=1.5)(x, y)
    expected = fr.cauchy_schwarz_divergence(x[:, 0], y, bandwidth=1.5)
    torch.testing.assert_close(found, expected)


def test_relevant_information(samples: Callable[..., Any]) -> None:
    z, x = samples(5, 2), samples(7, 2)

    def mean(u: Any, v: Any) -> float:
        return float(torch.exp(-(torch.cdist(u, v) ** 2) / (2 * 1.5**2)).mean())

    within, of_x, between = mean(z, z), mean(x, x), mean(z, x)
    expected = -math.log(within) + 3.0 * (math.log(within) + math.log(of_x) - 2 * math.log(between))
    found = losses.RelevantInformationLoss(3.0, bandwidth=1.5, base=math.e)(z, x)
    assert float(found) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_the_published_fixed_point_is_where_the_gradient_is_zero(beta: float, samples: Callable[..., Any]) -> None:
    """Its step of z, times what it is divided by, is the negative gradient, up to one number for all samples."""
    x = samples(7, 2)
    z = (x + 0.3 * samples(7, 2)).requires_grad_()
    losses.RelevantInformationLoss(beta, bandwidth=1.5, base=math.e)(z, x).backward()
    with torch.no_grad():
        to_x, to_z = (torch.exp(-(torch.cdist(z, v) ** 2) / (2 * 1.5**2)) for v in (x, z))
        c = to_x.sum() / to_z.sum() * (1 - beta) / beta
        step = (c * to_z @ z + to_x @ x - c * to_z.sum(1, keepdim=True) * z) / to_x.sum(1, keepdim=True) - z
        direction = step * to_x.sum(1, keepdim=True)
        ratio = -z.grad / direction
    torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio), rtol=1e-6, atol=1e-9)
    assert ratio[0, 0] > 0


# --------------------------------------------------------------------------------------------------------------- views


def test_matrix_ssl(samples: Callable[..., Any]) -> None:
    """The published code for one pair of views, and the logarithms that its series are."""
    a, b = samples(12, 3), samples(12, 3)
    p, q = (torch.nn.functional.normalize(v) for v in (a, b))
    center = torch.eye(12).double() - 1 / 12

    def series(matrix: Any, order: int) -> Any:
        e, power, found = matrix - torch.eye(3), torch.eye(3).double(), torch.zeros(3, 3).double()
        for k in range(1, order + 1):
            power = power @ e
            found = found + (-1) ** (k + 1) * power / k
        return found

    c_ab, c_aa, c_bb = (u.T @ center @ v / 12 for u, v in ((p, q), (p, p), (q, q)))
    ridge = 0.8 * torch.eye(3).double()
    for order in (1, 4, 7):
        same = (c_aa + ridge) @ series(c_bb + ridge, order)
        expected = -0.5 * series(c_ab + ridge, order).trace() - 2.0 * same.trace()
        torch.testing.assert_close(losses.MatrixSSLLoss(0.5, 2.0, 0.8, order)(a, b), expected)
    values, vectors = torch.linalg.eigh(c_bb + torch.eye(3))
    exact = -((c_aa + torch.eye(3)) @ (vectors * values.log()) @ vectors.T).trace()
    torch.testing.assert_close(losses.MatrixSSLLoss(0.0, 1.0, order=80)(a, b), exact)
    torch.testing.assert_close(losses.MatrixSSLLoss()(1e200 * a, 1e-200 * b), losses.MatrixSSLLoss()(a, b))


# ---------------------------------------------------------------------------------------------------------------- all

MAKE: dict[str, Callable[[Any, Any], Any]] = {
    "power": lambda a, b: losses.InformationBottleneckLoss(1.0, power=3)(a, torch.zeros(len(a)).long(), b, a),
    "conditional": lambda a, b: losses.InformationBottleneckLoss(1.0, conditional=True)(
        a, torch.arange(len(a)) % 2, b, a
    ),
    "noisy": lambda a, b: losses.NoisyInformationLoss()(a),
    "correlation": lambda a, b: losses.CorrelationLoss()(a, b),
    "cauchy-schwarz": lambda a, b: losses.CauchySchwarzLoss(bandwidth=2.0)(a, b),
    "relevant": lambda a, b: losses.RelevantInformationLoss(bandwidth=2.0)(a, b),
    "matrix": lambda a, b: losses.MatrixSSLLoss()(a, b),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("n", [1, 2, 40])
@pytest.mark.parametrize("name", MAKE)
def test_any_batch_has_a_finite_gradient(name: str, n: int, dtype: Any, samples: Callable[..., Any]) -> None:
    a = samples(n, 3).to(dtype).requires_grad_()
    value = MAKE[name](a, samples(n, 3).to(dtype))
    assert value.shape == ()
    assert value.dtype == dtype
    assert value.isfinite()
    value.backward()
    assert a.grad.isfinite().all()
    same = torch.ones(n, 3, dtype=dtype).requires_grad_()
    MAKE[name](same, torch.ones(n, 3, dtype=dtype)).backward()
    assert same.grad.isfinite().all()


@pytest.mark.parametrize("name", MAKE)
def test_gradients(name: str, samples: Callable[..., Any]) -> None:
    x = samples(6, 3)
    width = {"bandwidth": 1.5}
    calls: dict[str, Callable[[Any], Any]] = {
        "power": lambda a: losses.InformationBottleneckLoss(1.0, power=3, **width)(a, torch.arange(6) % 3, x, a),
        "conditional": lambda a: losses.InformationBottleneckLoss(1.0, conditional=True, **width)(
            a, torch.arange(6) % 3, x, a
        ),
    }
    call = calls.get(name, lambda a: MAKE[name](a, x))
    assert torch.autograd.gradcheck(call, (samples(6, 3).requires_grad_(),))


@pytest.mark.parametrize("name", [name for name in MAKE if name not in ("power", "conditional")])
def test_compiled_and_under_autocast(name: str, samples: Callable[..., Any]) -> None:
    torch._dynamo.reset()
    a, b = samples(8, 3).float(), samples(8, 3).float()
    expected = MAKE[name](a, b)
    torch.testing.assert_close(torch.compile(MAKE[name], fullgraph=True, backend="aot_eager")(a, b), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(MAKE[name](a, b), expected)


X, Y = torch.ones(6, 2), torch.zeros(6).long()
WRONG: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "power": (ValueError, "power", lambda: losses.InformationBottleneckLoss(power=0)),
    "power kind": (TypeError, "power", lambda: losses.InformationBottleneckLoss(power=1.5)),  # type: ignore[arg-type]
    "conditional": (TypeError, "conditional", lambda: losses.InformationBottleneckLoss(conditional=1)),  # type: ignore[arg-type]
    "sigma": (ValueError, "sigma", lambda: losses.NoisyInformationLoss(0)),
    "noisy base": (ValueError, "base", lambda: losses.NoisyInformationLoss(base=1)),
    "noisy z": (TypeError, "z", lambda: losses.NoisyInformationLoss()(Y)),
    "noisy nan": (ValueError, "z", lambda: losses.NoisyInformationLoss()(X * math.nan)),
    "alpha": (ValueError, "alpha", lambda: losses.CorrelationLoss(0)),
    "correlation base": (ValueError, "base", lambda: losses.CorrelationLoss(base=0)),
    "student": (TypeError, "student", lambda: losses.CorrelationLoss()(X.numpy(), X)),
    "student nan": (ValueError, "student", lambda: losses.CorrelationLoss()(X * math.nan, X)),
    "teacher": (ValueError, "teacher", lambda: losses.CorrelationLoss()(X, X[:5])),
    "teacher features": (ValueError, "teacher", lambda: losses.CorrelationLoss()(X, X[:, :1])),
    "teacher inf": (ValueError, "teacher", lambda: losses.CorrelationLoss()(X, X * math.inf)),
    "linear": (ValueError, "kernel", lambda: losses.CauchySchwarzLoss("linear", None)),
    "kernel": (ValueError, "kernel", lambda: losses.RelevantInformationLoss(kernel="none")),
    "bandwidth": (ValueError, "bandwidth", lambda: losses.CauchySchwarzLoss(bandwidth=0.0)),
    "divergence base": (ValueError, "base", lambda: losses.CauchySchwarzLoss(base=1)),
    "beta": (ValueError, "beta", lambda: losses.RelevantInformationLoss(0)),
    "x": (TypeError, "x", lambda: losses.CauchySchwarzLoss()(None, X)),
    "y": (ValueError, "y", lambda: losses.CauchySchwarzLoss()(X, X[:, :1])),
    "y nan": (ValueError, "y", lambda: losses.CauchySchwarzLoss(bandwidth=1.0)(X, X * math.nan)),
    "y far": (ValueError, "y", lambda: losses.CauchySchwarzLoss(bandwidth=1.0)(X, X + 1e9)),
    "z": (TypeError, "z", lambda: losses.RelevantInformationLoss()(Y, X)),
    "x of z": (ValueError, "x", lambda: losses.RelevantInformationLoss()(X, X[:, :1])),
    "x of z nan": (ValueError, "x", lambda: losses.RelevantInformationLoss(bandwidth=1.0)(X, X * math.nan)),
    "uniformity": (ValueError, "uniformity", lambda: losses.MatrixSSLLoss(-1)),
    "alignment": (ValueError, "alignment", lambda: losses.MatrixSSLLoss(alignment=math.inf)),
    "ridge": (ValueError, "ridge", lambda: losses.MatrixSSLLoss(ridge=0)),
    "order": (ValueError, "order", lambda: losses.MatrixSSLLoss(order=0)),
    "a": (ValueError, "a", lambda: losses.MatrixSSLLoss()(X * math.nan, X)),
    "b": (ValueError, "b", lambda: losses.MatrixSSLLoss()(X, X[:5])),
    "b features": (ValueError, "b", lambda: losses.MatrixSSLLoss()(X, X[:, :1])),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_refused(case: str) -> None:
    kind, name, call = WRONG[case]
    with pytest.raises(kind, match=rf"^{name}: expected "):
        call()


def test_a_loss_shows_its_settings() -> None:
    for loss, word in [
        (losses.InformationBottleneckLoss(power=2), "power=2"), (losses.NoisyInformationLoss(), "sigma=1.0"),
        (losses.CorrelationLoss(), "alpha=1.5"), (losses.CauchySchwarzLoss(), "bandwidth='median'"),
        (losses.RelevantInformationLoss(), "beta=2.0"), (losses.MatrixSSLLoss(), "order=4"),
    ]:  # fmt: skip
        assert word in repr(loss)
