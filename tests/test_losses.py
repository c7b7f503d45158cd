"""The losses are what their formulas say, fall when they are minimised, and refuse what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import reference  # noqa: E402
from fastrenyi.torch import losses  # noqa: E402


@pytest.fixture
def samples(rng: np.random.Generator) -> Callable[..., Any]:
    return lambda *shape: torch.tensor(rng.normal(size=shape))


def gram(x: Any, sigma: float) -> Any:
    return reference.gram_gaussian(np.asarray(x).reshape(len(x), -1), sigma=sigma)


def information(a: Any, b: Any, alpha: float) -> float:
    return reference.mutual_information(a, b, alpha)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("targets", ["indices", "one-hot", "int one-hot", "int32"])
def test_information_bottleneck(reduction: str, targets: str, samples: Callable[..., Any]) -> None:
    logits, x, z, y = samples(9, 3), samples(9, 1, 2, 2), samples(9, 4), torch.arange(9) % 3
    loss = losses.InformationBottleneckLoss(0.3, bandwidth=2.0, reduction=reduction)
    one_hot = torch.nn.functional.one_hot(y, 3)
    given = {"indices": y, "one-hot": one_hot.double(), "int one-hot": one_hot, "int32": y.int()}[targets]
    term = 0.3 * information(gram(x, 2.0), gram(z, 2.0), 1.01)
    cross = torch.nn.functional.cross_entropy(logits, y, reduction=reduction)
    expected = cross + term * (9 if reduction == "sum" else 1)
    torch.testing.assert_close(loss(logits, given, x, z), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("alpha", [2.0, 1.01])
def test_distillation(alpha: float, samples: Callable[..., Any]) -> None:
    student, teacher = samples(8, 3).requires_grad_(), samples(8, 5).requires_grad_()
    value = losses.DistillationLoss(alpha, "gaussian", 2.0)(student, teacher)
    expected = -information(gram(student.detach(), 2.0), gram(teacher.detach(), 2.0), alpha)
    assert abs(float(value.detach()) - expected) < 1e-9
    value.backward()
    assert student.grad is not None
    assert teacher.grad is None


def test_mutual_information_of_views(samples: Callable[..., Any]) -> None:
    a, b = samples(10, 2), samples(10, 3)
    plain = losses.MutualInformationLoss(bandwidth=1.5, permutations=0)(a, b)
    assert abs(float(plain) + information(gram(a, 1.5), gram(b, 1.5), 1.01)) < 1e-9

    loss = losses.MutualInformationLoss(bandwidth=1.5, permutations=3, generator=torch.Generator().manual_seed(7))
    draw = torch.Generator().manual_seed(7)
    first, second = gram(a, 1.5), gram(b, 1.5)
    orders = [torch.randperm(10, generator=draw).numpy() for _ in range(3)]
    apart = [reference.joint_entropy(first, second[np.ix_(order, order)]) for order in orders]
    expected = reference.joint_entropy(first, second) - np.mean(apart)
    assert abs(float(loss(a, b)) - expected) < 1e-9


def test_total_correlation(samples: Callable[..., Any]) -> None:
    z = samples(7, 3)
    grams = [gram(z[:, k : k + 1], 1.0) for k in range(3)]
    for alpha in (1.01, 2.0):
        expected = reference.total_correlation(*grams, alpha=alpha)
        assert abs(float(losses.TotalCorrelationLoss(alpha, bandwidth=1.0)(z)) - expected) < 1e-9
    share = losses.TotalCorrelationLoss(bandwidth=1.0, normalized=True, base=10)(z[:, [0, 0]])
    expected = reference.total_correlation(grams[0], grams[0], normalized=True)
    assert abs(float(share) - expected) < 1e-9  # a share: the base divides out


MAKE: dict[str, Callable[[Any, Any], Any]] = {
    "bottleneck": lambda a, b: losses.InformationBottleneckLoss(1.0)(a, torch.zeros(len(a)).long(), b, a),
    "distillation": lambda a, b: losses.DistillationLoss()(a, b),
    "views": lambda a, b: losses.MutualInformationLoss()(a, b),
    "views, information": lambda a, b: losses.MutualInformationLoss(permutations=0)(a, b),
    "total correlation": lambda a, b: losses.TotalCorrelationLoss()(a),
    "share of it": lambda a, b: losses.TotalCorrelationLoss(normalized=True)(a),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("n", [1, 2, 5, 40])
@pytest.mark.parametrize("name", MAKE)
def test_any_batch_has_a_finite_gradient(name: str, n: int, dtype: Any, samples: Callable[..., Any]) -> None:
    a = samples(n, 3).to(dtype).requires_grad_()
    value = MAKE[name](a, samples(n, 3).to(dtype))
    assert value.shape == ()
    assert value.isfinite()
    value.backward()
    assert a.grad.isfinite().all()


@pytest.mark.parametrize("normalized", [True, False])
def test_one_sample_is_a_loss_of_zero(normalized: bool) -> None:
    z = torch.ones(1, 3, dtype=torch.float64, requires_grad=True)
    value = losses.TotalCorrelationLoss(normalized=normalized)(z)
    value.backward()
    assert value == 0
    assert (z.grad == 0).all()


@pytest.mark.parametrize("name", [name for name in MAKE if name != "distillation"])
def test_equal_samples_have_a_finite_gradient(name: str) -> None:
    a = torch.ones(12, 3, dtype=torch.float64, requires_grad=True)
    MAKE[name](a, torch.ones(12, 3).double()).backward()
    assert a.grad.isfinite().all()


@pytest.mark.parametrize(
    ("loss", "downhill"),
    [
        (lambda z, x: losses.DistillationLoss(kernel="gaussian", bandwidth=1.0)(z, x), 0.3),
        (lambda z, x: losses.MutualInformationLoss(permutations=0, bandwidth=1.0)(z, x), 0.3),
        (lambda z, x: losses.TotalCorrelationLoss(bandwidth=1.0)(z), 0.3),
    ],
)
def test_minimising_works(loss: Any, downhill: float, rng: np.random.Generator) -> None:
    x = torch.tensor(rng.normal(size=(30, 3)))
    z = torch.tensor(rng.normal(size=(30, 1)) + 0.1 * rng.normal(size=(30, 2)), requires_grad=True)
    optimizer = torch.optim.Adam([z], lr=0.05)
    first = float(loss(z, x).detach())
    for _ in range(60):
        optimizer.zero_grad()
        loss(z, x).backward()
        optimizer.step()
    assert float(loss(z, x).detach()) < first - downhill


def test_compiled_and_under_autocast(samples: Callable[..., Any]) -> None:
    torch._dynamo.reset()
    loss = losses.InformationBottleneckLoss(0.1)
    arguments = (samples(15, 3).float(), torch.arange(15) % 3, samples(15, 2).float(), samples(15, 4).float())
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*arguments), loss(*arguments))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer = torch.nn.Linear(2, 4)
        z = layer(arguments[2])
        assert z.dtype == torch.bfloat16
        loss(arguments[0], arguments[1], arguments[2], z).backward()
    assert layer.weight.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_rounded_probabilities_are_accepted(dtype: Any, samples: Callable[..., Any]) -> None:
    y = samples(9, 1000).to(dtype).softmax(dim=1)
    assert losses.InformationBottleneckLoss()(samples(9, 1000), y, samples(9, 2), samples(9, 2)).isfinite()


def test_compiled_labels_out_of_range_are_not_left_out(samples: Callable[..., Any]) -> None:
    """cross_entropy has a label of its own that it ignores, -100."""
    torch._dynamo.reset()
    loss = torch.compile(losses.InformationBottleneckLoss(), fullgraph=True, backend="aot_eager")
    x, y = samples(6, 3), torch.arange(6) % 3
    assert loss(x, y, x, x).isfinite()
    y[2] = -100
    with pytest.raises((IndexError, RuntimeError), match=r"-100|out of"):
        loss(x, y, x, x)


X = torch.ones(6, 2)
Y = torch.zeros(6).long()
SIGNS = torch.tensor([-1.0, 2.0])
WRONG: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "beta": (ValueError, "beta", lambda: losses.InformationBottleneckLoss(-1)),
    "alpha": (ValueError, "alpha", lambda: losses.DistillationLoss([1, 2])),  # type: ignore[arg-type]
    "negative alpha": (ValueError, "alpha", lambda: losses.DistillationLoss(-1)),
    "kernel": (ValueError, "kernel", lambda: losses.MutualInformationLoss(kernel="none")),
    "bandwidth": (ValueError, "bandwidth", lambda: losses.DistillationLoss(bandwidth=1.0)),
    "base": (ValueError, "base", lambda: losses.TotalCorrelationLoss(base=1)),
    "reduction": (ValueError, "reduction", lambda: losses.InformationBottleneckLoss(reduction="all")),
    "permutations": (ValueError, "permutations", lambda: losses.MutualInformationLoss(permutations=-1)),
    "generator": (TypeError, "generator", lambda: losses.MutualInformationLoss(generator=3)),  # type: ignore[arg-type]
    "normalized": (TypeError, "normalized", lambda: losses.TotalCorrelationLoss(normalized=1)),  # type: ignore[arg-type]
    "logits": (ValueError, "logits", lambda: losses.InformationBottleneckLoss()(X[:, 0], Y, X, X)),
    "y shape": (ValueError, "y", lambda: losses.InformationBottleneckLoss()(X, Y[:3], X, X)),
    "y range": (ValueError, "y", lambda: losses.InformationBottleneckLoss()(X, Y + 2, X, X)),
    "y below": (ValueError, "y", lambda: losses.InformationBottleneckLoss()(X, Y - 100, X, X)),
    "y float": (TypeError, "y", lambda: losses.InformationBottleneckLoss()(X, Y.float(), X, X)),
    "y list": (TypeError, "y", lambda: losses.InformationBottleneckLoss()(X, [0] * 6, X, X)),
    "x": (ValueError, "x", lambda: losses.InformationBottleneckLoss()(X, Y, X[:5], X)),
    "z": (TypeError, "z", lambda: losses.InformationBottleneckLoss()(X, Y, X, Y)),
    "teacher": (ValueError, "teacher", lambda: losses.DistillationLoss()(X, X[:5])),
    "student": (TypeError, "student", lambda: losses.DistillationLoss()(X.numpy(), X)),
    "empty": (ValueError, "student", lambda: losses.DistillationLoss()(X[:0], X[:0])),
    "b": (ValueError, "b", lambda: losses.MutualInformationLoss()(X, X[:4])),
    "z of one": (ValueError, "z", lambda: losses.TotalCorrelationLoss()(X[:, :1])),
    "nan in z alone": (ValueError, "z", lambda: losses.TotalCorrelationLoss()(X * math.nan)),
    "nan in logits": (ValueError, "logits", lambda: losses.InformationBottleneckLoss()(X * math.nan, Y, X, X)),
    "nan in x": (ValueError, "x", lambda: losses.InformationBottleneckLoss()(X, Y, X * math.nan, X)),
    "nan in z": (ValueError, "z", lambda: losses.InformationBottleneckLoss(bandwidth=1.0)(X, Y, X, X * math.inf)),
    "nan in student": (ValueError, "student", lambda: losses.DistillationLoss()(X * math.nan, X)),
    "nan in teacher": (ValueError, "teacher", lambda: losses.DistillationLoss()(X, X * math.nan)),
    "zero in student": (ValueError, "student", lambda: losses.DistillationLoss()(X * 0, X)),
    "zero in teacher": (ValueError, "teacher", lambda: losses.DistillationLoss()(X, X * 0)),
    "nan in a": (ValueError, "a", lambda: losses.MutualInformationLoss()(X * math.nan, X)),
    "nan in b": (ValueError, "b", lambda: losses.MutualInformationLoss()(X, X * math.nan)),
    "y soft nan": (ValueError, "y", lambda: losses.InformationBottleneckLoss()(X, X * math.nan, X, X)),
    "y soft inf": (ValueError, "y", lambda: losses.InformationBottleneckLoss()(X, X * math.inf, X, X)),
    "y negative": (ValueError, "y", lambda: losses.InformationBottleneckLoss()(X, X - X[0] * SIGNS, X, X)),
    "y sums": (ValueError, "y", lambda: losses.InformationBottleneckLoss()(X, X, X, X)),
    "y complex": (TypeError, "y", lambda: losses.InformationBottleneckLoss()(X, X * 1j, X, X)),
    "y elsewhere": (TypeError, "y", lambda: losses.InformationBottleneckLoss()(X, Y.to("meta"), X, X)),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_refused(case: str) -> None:
    kind, name, call = WRONG[case]
    with pytest.raises(kind, match=rf"^{name}: expected "):
        call()


def test_a_loss_shows_its_settings() -> None:
    assert "alpha=2.0" in repr(losses.DistillationLoss())
    assert "bandwidth='neighbours'" in repr(losses.InformationBottleneckLoss())
