"""Gradients of the public functions against finite differences, and what PyTorch asks of an operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch.ops  # noqa: E402
from fastrenyi import _backend  # noqa: E402

ALPHAS: list[Any] = [0, 0.5, 0.9, 1, 1 + 1e-12, 1.01, 2, [2.0, 3], 5, 10, [1.5, 70], float("inf")]
KERNELS: list[Any] = ["gaussian", "laplacian", "cosine", fr.Polynomial(2, coef0=0.5), fr.Polynomial(3)]


@pytest.fixture
def leaf(rng: np.random.Generator) -> Callable[..., Any]:
    return lambda *shape: torch.tensor(rng.normal(size=shape), requires_grad=True)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("shape", [(6, 3), (2, 1, 4, 2), (1, 3), (2, 3)], ids=str)
def test_grams(kernel: Any, shape: tuple[int, ...], leaf: Callable[..., Any]) -> None:
    x = leaf(*shape)
    assert torch.autograd.gradcheck(lambda x: fr.gram(x, kernel), x)
    assert torch.autograd.gradgradcheck(lambda x: fr.gram(x, kernel), x)


@pytest.mark.parametrize("make", [fr.channel_grams, fr.tensor_gram])
def test_grams_of_maps(make: Callable[..., Any], leaf: Callable[..., Any]) -> None:
    maps = leaf(5, 3, 2, 2)
    assert torch.autograd.gradcheck(lambda maps: make(maps, bandwidth=2.0), maps)
    assert torch.autograd.gradcheck(lambda maps: make(maps.transpose(0, 3), bandwidth=2.0), maps)


@pytest.mark.parametrize("kernel", [fr.Gaussian, fr.Laplacian])
def test_widths_given_as_tensors_have_a_gradient(kernel: Any, leaf: Callable[..., Any]) -> None:
    x = leaf(3, 5, 2)
    for widths in (torch.tensor(1.3).double(), torch.tensor([0.5, 1.0, 2.0]).double()):
        widths.requires_grad_()
        assert torch.autograd.gradcheck(lambda x, w: fr.gram(x, kernel(w)), (x, widths))


@pytest.mark.parametrize("rule", [fr.Scott(), fr.Median(), fr.NearestNeighbours(2)], ids=str)
def test_rules_are_constants_of_the_gradient(rule: Any, leaf: Callable[..., Any]) -> None:
    x, weights = leaf(5, 2), torch.arange(25.0).double().reshape(5, 5)
    (fr.gram(x, bandwidth=rule) * weights).sum().backward()
    found, x.grad = x.grad, None
    sigma = float(torch.ops.fastrenyi.bandwidth(x.detach(), *rule._code(), "gaussian", "x"))
    (fr.gram(x, bandwidth=sigma) * weights).sum().backward()
    torch.testing.assert_close(found, x.grad)


def pair(x: Any, y: Any) -> tuple[Any, Any]:
    return fr.gram(x, bandwidth=1.0), fr.gram(y, bandwidth=1.5)


MEASURES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "entropy": lambda a, b, alpha: fr.entropy([a, b], alpha),
    "mutual information": lambda a, b, alpha: fr.mutual_information(a, b, alpha=alpha),
    "conditional": lambda a, b, alpha: fr.conditional_mutual_information(a, b, [a, b, b], alpha=alpha),
    "total correlation": lambda a, b, alpha: fr.total_correlation(a, b, a, alpha=alpha),
    "dual total correlation": lambda a, b, alpha: fr.dual_total_correlation(a, b, a, alpha=alpha, base=10),
    "interaction": lambda a, b, alpha: fr.interaction_information(a, b, b, alpha=alpha),
}


@pytest.mark.parametrize("alpha", ALPHAS, ids=str)
@pytest.mark.parametrize("measure", MEASURES)
def test_measures(measure: str, alpha: Any, leaf: Callable[..., Any]) -> None:
    assert torch.autograd.gradcheck(
        lambda x, y: MEASURES[measure](*pair(x, y), alpha), (leaf(6, 3), leaf(3, 6, 4)), rtol=1e-4, atol=1e-6
    )


def test_normalized_measures_and_divergence(leaf: Callable[..., Any]) -> None:
    x, y = leaf(5, 2), leaf(2, 4, 2)
    z = leaf(2, 5, 1)
    for measure in (fr.total_correlation, fr.dual_total_correlation):
        assert torch.autograd.gradcheck(lambda x, z, f=measure: f(*pair(x, z), normalized=True), (x, z))
    assert torch.autograd.gradcheck(lambda x, y: fr.divergence(x, y, bandwidth=1.0), (x, y))
    assert torch.autograd.gradcheck(lambda x: fr.spectrum(fr.gram(x, bandwidth=1.0)), x)


@pytest.mark.parametrize("alpha", [1.01, 2.0, [0.7, 3.0]], ids=str)
@pytest.mark.parametrize(("pairs", "most"), [(True, None), (True, 4), (False, None)])
def test_layer_decomposition(pairs: bool, most: int | None, alpha: Any, leaf: Callable[..., Any]) -> None:
    def fields(maps: Any, x: Any) -> Any:
        grams, target = fr.channel_grams(maps, bandwidth=1.0), fr.gram(x, bandwidth=1.0)
        found = fr.layer_decomposition(grams, target, alpha, pairs=pairs, max_pairs=most)
        assert not found.tradeoff_standard_error.requires_grad
        always = (found.mmi, found.single, found.entropy)
        if not pairs:
            return always
        measured = found.pairwise[~found.pairwise.isnan()]
        return (*always, found.tradeoff, found.nonredundant_share, measured)

    assert torch.autograd.gradcheck(fields, (leaf(5, 4, 2), leaf(5, 3)))


@pytest.mark.parametrize("alpha", [0.7, 1, 1.01, 2, 3])
@pytest.mark.parametrize("data", ["duplicates", "equal", "one", "two"])
def test_repeated_and_zero_eigenvalues(data: str, alpha: float, rng: np.random.Generator) -> None:
    """LAPACK's own gradient divides by differences of eigenvalues, and is NaN here."""
    x = rng.normal(size=(8, 3))
    x = {"duplicates": np.concatenate([x[:4], x[:4]]), "equal": np.ones((8, 3)), "one": x[:1], "two": x[:2]}[data]
    samples = torch.tensor(x, requires_grad=True)
    target = fr.gram(torch.from_numpy(rng.normal(size=(len(x), 2))), bandwidth=1.0)

    def measured(samples: Any) -> Any:
        return fr.mutual_information(fr.gram(samples, bandwidth=2.0), target, alpha=alpha)

    measured(samples).backward()
    assert torch.isfinite(samples.grad).all()
    if alpha >= 1:  # below, an entropy has a cusp of |step|^(2 alpha) at duplicates
        step = 1e-5
        for at in [(0, 0), (len(x) - 1, 2)]:
            ahead, behind = (torch.tensor(x) for _ in range(2))
            ahead[at] += step
            behind[at] -= step
            slope = (measured(ahead) - measured(behind)) / (2 * step)
            assert abs(float(slope - samples.grad[at])) < 1e-4


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_lower_precision(dtype: str, rng: np.random.Generator) -> None:
    x = torch.tensor(rng.normal(size=(10, 4))).to(getattr(torch, dtype))
    gradients = []
    for part in (x.clone(), x.double()):
        part.requires_grad_()
        value = fr.mutual_information(fr.gram(part, bandwidth=2.0), fr.gram(part[:, :1], bandwidth=2.0), alpha=2)
        assert value.dtype == part.dtype
        value.backward()
        assert part.grad.dtype == part.dtype
        gradients.append(part.grad.double())
    tolerance = {"float32": 1e-5, "float16": 2e-2, "bfloat16": 2e-1}[dtype]
    assert (gradients[0] - gradients[1]).abs().max() <= tolerance * gradients[1].abs().max()


def test_tensors_with_and_without_gradient(leaf: Callable[..., Any]) -> None:
    a = fr.gram(leaf(6, 2), bandwidth=1.0)
    b = fr.gram(leaf(6, 2).detach(), bandwidth=1.0)
    assert fr.mutual_information(a, b).requires_grad
    assert not b.requires_grad
    with torch.no_grad():
        assert not fr.mutual_information(a, b).requires_grad
    with torch.inference_mode():
        assert fr.mutual_information(a, b).is_inference()
    labels = fr.gram(torch.tensor([0, 0, 1, 1, 2, 2]), fr.Delta(dtype="float64"))
    assert fr.mutual_information(a, labels).requires_grad


def test_a_second_backward_pass_through_a_spectrum_is_refused(leaf: Callable[..., Any]) -> None:
    x = leaf(5, 2)
    (slope,) = torch.autograd.grad(fr.entropy(fr.gram(x, bandwidth=1.0)), x, create_graph=True)
    with pytest.raises(NotImplementedError, match=r"entropy: .*second"):
        slope.sum().backward()


def test_what_torch_asks_of_an_operation(leaf: Callable[..., Any]) -> None:
    ops = torch.ops.fastrenyi
    x, a = leaf(2, 4, 3).detach(), fr.gram(leaf(3, 4, 2)).detach()
    width = torch.ones(2).double()
    for kind in ("gaussian", "laplacian", "polynomial", "cosine"):
        given = width if kind in ("gaussian", "laplacian") else None
        torch.library.opcheck(ops.gram, (x, given, 1.0, kind, 1, 1.0, 0.0, True, "x"))
    torch.library.opcheck(ops.gram, (x.mT, None, 1.0, "cosine", 1, 1.0, 0.0, True, "x"))
    torch.library.opcheck(ops.delta_gram, (x, "x"))
    torch.library.opcheck(ops.bandwidth, (x, "median", [1.0], None, "gaussian", "x"))
    torch.library.opcheck(ops.spectrum, (a, "a"))
    for keep in (True, False):
        for signs in ([], [1.0, -1.0]):
            entropies = ([a, a[0]], "a|b", [0, -1, 0, 1, -1], "a|a, b", signs, [1.01, 2.0], 1.0, keep)
            torch.library.opcheck(ops.entropies, entropies)
    torch.library.opcheck(ops.pairs, (a, a[0], ops.sample_pairs(a, None, 0)[0], [1.01], 1.0))


def objective(x: Any, y: Any) -> Any:
    a, b = fr.gram(x, "gaussian", "median"), fr.gram(y, bandwidth=1.5)
    layer = fr.layer_decomposition(fr.channel_grams(x[:, :, None], bandwidth=1.0), b, alpha=[1.01, 2.0])
    return (
        fr.mutual_information(a, b) + fr.total_correlation(a, b, normalized=True) + layer.mmi.sum() + layer.tradeoff[0]
    )


def test_compiled_without_a_break(leaf: Callable[..., Any]) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(objective, fullgraph=True, backend="aot_eager")
    x, y = leaf(6, 2), leaf(6, 3)
    found, expected = (torch.autograd.grad(f(x, y), (x, y)) for f in (compiled, objective))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dynamic", [False, None])  # None: shapes that change become symbols
def test_a_sample_of_pairs_compiled(dynamic: bool | None, leaf: Callable[..., Any]) -> None:
    def sampled(x: Any) -> Any:
        grams = fr.channel_grams(x, bandwidth=1.0)
        return fr.layer_decomposition(grams, grams[0], seed=1, max_pairs=4).tradeoff

    torch._dynamo.reset()
    compiled = torch.compile(sampled, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for count in (3, 5, 6):  # the first has but three pairs
        x = leaf(6, count, 2)
        found, expected = (torch.autograd.grad(f(x), x)[0] for f in (compiled, sampled))
        torch.testing.assert_close(found, expected)


def test_deterministic_mode(leaf: Callable[..., Any]) -> None:
    x, y = leaf(6, 2), leaf(6, 3)
    torch.use_deterministic_algorithms(True)
    try:
        first, second = (torch.autograd.grad(objective(x, y), (x, y)) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


MAPPED: dict[str, Callable[[Any, Any], Any]] = {
    "information": lambda x, y: fr.mutual_information(fr.gram(x, "gaussian", "median"), fr.gram(y, bandwidth=1.5)),
    "listed": lambda x, y: fr.entropy(
        [fr.gram(torch.stack([x, 2 * x]), bandwidth=1.0), fr.gram(y, bandwidth=1.5)], [1, 2]
    ),
    "widths": lambda x, y: fr.gram(x.swapaxes(0, 1)[..., None], bandwidth=y[0]),
    "cosine": lambda x, y: fr.spectrum(fr.gram(x * y[:, :1], "cosine")),
    "delta": lambda x, y: fr.joint_entropy(fr.gram((x > 0).long(), fr.Delta("float64")), fr.gram(y)),
    "divergence": lambda x, y: fr.divergence(x, y[:4, :1] + x[:4], bandwidth=1.0),
    "layer": lambda x, y: fr.layer_decomposition(fr.channel_grams(x[:, :, None]), fr.tensor_gram(y)).pairwise,
    "sampled": lambda x, y: (
        fr.layer_decomposition(fr.channel_grams(x[:, :, None]), fr.tensor_gram(y), max_pairs=2).tradeoff
    ),
}


@pytest.mark.parametrize("axes", [(0, None), (1, 2), (None, 0)], ids=str)
@pytest.mark.parametrize("name", MAPPED)
def test_mapped_is_one_by_one(name: str, axes: Any, rng: np.random.Generator) -> None:
    singles = [[torch.tensor(np.abs(rng.normal(size=(6, d))) + 0.1) for _ in range(3)] for d in (3, 3)]
    arguments = [
        part[0] if axis is None else torch.stack(part, dim=axis) for part, axis in zip(singles, axes, strict=True)
    ]
    for argument in arguments:
        argument.requires_grad_()
    found = torch.vmap(MAPPED[name], in_dims=axes)(*arguments)
    alone = [
        MAPPED[name](*(a if axis is None else a.select(axis, k) for a, axis in zip(arguments, axes, strict=True)))
        for k in range(3)
    ]
    expected = torch.stack(alone)
    torch.testing.assert_close(found, expected)
    weights = torch.tensor(rng.normal(size=expected.shape))
    slopes = [
        torch.autograd.grad((values * weights).sum(), arguments, allow_unused=True) for values in (found, expected)
    ]
    for one, other in zip(*slopes, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kernel", ["gaussian", "cosine"])
@pytest.mark.parametrize("module", ["_core", "_emulated"])
def test_backward_under_autocast(
    kernel: str, module: str, leaf: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(f"fastrenyi.{module}")
    monkeypatch.setitem(_backend.MODULES, "cpu", module)
    x = leaf(2, 20, 5).detach().float().requires_grad_()

    def gradient() -> Any:
        a = fr.gram(x, kernel=fr.Gaussian(1.5) if kernel == "gaussian" else "cosine")
        return torch.autograd.grad(fr.mutual_information(a[0], a[1]), x)[0]

    expected = gradient()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(gradient(), expected)
