"""Effective numbers, log-determinants and comparisons of Grams: the reference, published values, gradients, errors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
import reference
from conftest import HALVES, Draw, Nx, refused, with_value

N, D = 7, 5
RELATIVE = {"float64": 1e-9, "float32": 2e-4, "float16": 3e-2, "bfloat16": 2e-1}


def near(draw: Draw, *shape: int) -> np.ndarray:
    """Positive definite matrices of trace one, far enough from singular to be rounded to half precision."""
    return 0.8 * draw.matrices(*shape) + 0.2 * np.eye(shape[-1]) / shape[-1]


def similarities(draw: Draw, *shape: int) -> np.ndarray:
    return 0.8 * shape[-1] * draw.grams(*shape) + 0.2 * np.eye(shape[-1])


SAMPLES: dict[str, tuple[Callable[..., Any], Callable[..., float]]] = {
    "participation_ratio": (fr.participation_ratio, reference.participation_ratio),
    "stable_rank": (fr.stable_rank, reference.stable_rank),
    "coding_rate": (fr.coding_rate, reference.coding_rate),
    "coding_rate eps base": (
        lambda x: fr.coding_rate(x, 2.0, math.e),
        lambda x: reference.coding_rate(x, 2.0, math.e),
    ),
    "logdet_entropy": (fr.logdet_entropy, reference.logdet_entropy),
    "logdet_entropy beta": (lambda x: fr.logdet_entropy(x, 0.3), lambda x: reference.logdet_entropy(x, 0.3)),
}
ONE: dict[str, tuple[Callable[..., Any], Callable[..., float], Callable[..., np.ndarray]]] = {
    "effective_rank": (fr.effective_rank, reference.effective_rank, near),
    "effective_rank of singular values": (
        lambda a: fr.effective_rank(a, 1.01, 0.5),
        lambda a: reference.effective_rank(a, 1.01, 0.5),
        near,
    ),
    "vendi_score": (fr.vendi_score, reference.vendi_score, similarities),
    "vendi_score of order 2": (
        lambda k: fr.vendi_score(k, 2),
        lambda k: reference.vendi_score(k, 2),
        similarities,
    ),
}
TWO: dict[str, tuple[Callable[..., Any], Callable[..., float]]] = {
    "alignment": (fr.alignment, reference.alignment),
    "alignment centered": (lambda a, b: fr.alignment(a, b, centered=True), reference.centred_alignment),
    "cauchy_schwarz_information": (fr.cauchy_schwarz_information, reference.cauchy_schwarz_information),
    "relative_entropy": (fr.relative_entropy, reference.relative_entropy),
}


def gaussians(draw: Draw, *shape: int) -> np.ndarray:
    """Grams without negative entries."""
    return 0.8 * draw.grams(*shape) + 0.2 * np.eye(shape[-1]) / shape[-1]


def over_batch(function: Callable[..., float], *arrays: np.ndarray) -> np.ndarray:
    batch = arrays[0].shape[:-2]
    return np.array([function(*(a[at] for a in arrays)) for at in np.ndindex(*batch)]).reshape(batch)


def assert_near(found: Any, expected: np.ndarray, dtype: str) -> None:
    found = np.asarray(found)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=RELATIVE[dtype], atol=RELATIVE[dtype] / 10)


# ------------------------------------------------------------------------------------ against the reference


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("shape", [(N, D), (D, N)], ids=str)
def test_of_samples(name: str, shape: tuple[int, int], nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    ours, theirs = SAMPLES[name]
    x = nx.array(draw.samples(*batch, *shape))
    assert_near(nx.values(ours(x)), over_batch(theirs, nx.values(x)), nx.dtype)


@pytest.mark.parametrize("name", ONE)
def test_of_a_matrix(name: str, nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    ours, theirs, make = ONE[name]
    a = nx.array(make(draw, *batch, N))
    assert_near(nx.values(ours(a)), over_batch(theirs, nx.values(a)), nx.dtype)


@pytest.mark.parametrize("name", TWO)
def test_of_two_matrices(name: str, nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    ours, theirs = TWO[name]
    a, b = nx.array(gaussians(draw, *batch, N)), nx.array(gaussians(draw, *batch, N))
    assert_near(nx.values(ours(a, b)), over_batch(theirs, nx.values(a), nx.values(b)), nx.dtype)


@pytest.mark.parametrize("nx_half", HALVES, ids=str)
def test_half_precision(nx_half: Nx, draw: Draw) -> None:
    x, a, b = draw.samples(2, N, D), gaussians(draw, 2, N), gaussians(draw, 2, N)
    k = similarities(draw, 2, N)
    for ours, theirs in SAMPLES.values():
        assert_near(nx_half.values(ours(nx_half.array(x))), over_batch(theirs, nx_half.rounded(x)), nx_half.dtype)
    for ours, theirs, make in ONE.values():
        given = k if make is similarities else a
        assert_near(nx_half.values(ours(nx_half.array(given))), over_batch(theirs, given), nx_half.dtype)
    for name, (ours, theirs) in TWO.items():
        found = nx_half.values(ours(nx_half.array(a), nx_half.array(b)))
        tolerance = 3 * RELATIVE[nx_half.dtype] if name == "relative_entropy" else RELATIVE[nx_half.dtype]
        np.testing.assert_allclose(found, over_batch(theirs, a, b), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("order", [0, 0.5, 1, 1.01, 2, 5, math.inf, [0.5, 1, 2]], ids=str)
def test_orders(order: Any, draw: Draw) -> None:
    a, k = near(draw, 2, N), similarities(draw, 2, N)
    p = draw.rng.dirichlet(np.ones(N))
    listed = order if isinstance(order, list) else [order]
    for found, expected in [
        (fr.effective_rank(a, order), lambda i, o: reference.effective_rank(a[i], o)),
        (fr.effective_rank(a, order, 0.5), lambda i, o: reference.effective_rank(a[i], o, 0.5)),
        (fr.effective_rank(a, order, 3), lambda i, o: reference.effective_rank(a[i], o, 3)),
        (fr.vendi_score(k, order), lambda i, o: reference.vendi_score(k[i], o)),
        (fr.vendi_score(k, order, p), lambda i, o: reference.vendi_score(k[i], o, p)),
    ]:
        values = np.array([[expected(i, o) for o in listed] for i in range(2)])
        assert_near(found, values if isinstance(order, list) else values[:, 0], "float64")


def test_batch_axes_broadcast(draw: Draw) -> None:
    a, b = gaussians(draw, 2, 1, N), gaussians(draw, 3, N)
    full = [np.broadcast_to(v, (2, 3, N, N)) for v in (a, b)]
    for ours, theirs in TWO.values():
        assert_near(ours(a, b), over_batch(theirs, *full), "float64")
    k, p = similarities(draw, 2, 1, N), draw.rng.dirichlet(np.ones(N), size=3)
    expected = np.array([[reference.vendi_score(k[i, 0], 1, p[j]) for j in range(3)] for i in range(2)])
    assert_near(fr.vendi_score(k, p=p), expected, "float64")


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian", "polynomial", "linear"])
def test_cauchy_schwarz_divergence(kernel: str, nx: Nx, draw: Draw) -> None:
    shift = 3.0 if kernel in ("polynomial", "linear") else 0.0
    x, y = draw.samples(2, 1, 4, 3) + shift, draw.samples(5, 6, 3) + shift
    functions: dict[str, Callable[[Any, Any], float]] = {
        "gaussian": lambda u, v: math.exp(-np.sum((u - v) ** 2) / 8),
        "laplacian": lambda u, v: math.exp(-np.sum(abs(u - v)) / 2),
        "polynomial": lambda u, v: ((u @ v / 3 + 1) / math.sqrt((u @ u / 3 + 1) * (v @ v / 3 + 1))) ** 3,
        "linear": lambda u, v: u @ v,
    }
    width = 2.0 if kernel in ("gaussian", "laplacian") else None
    given = nx.array(x), nx.array(y)
    found = nx.values(fr.cauchy_schwarz_divergence(*given, kernel, width))  # type: ignore[call-overload,arg-type]
    left, right = (nx.values(v) for v in given)
    expected = [
        [reference.cauchy_schwarz_divergence(left[i, 0], right[j], functions[kernel]) for j in range(5)] for i in (0, 1)
    ]
    assert_near(found, np.array(expected), nx.dtype)
    nats = fr.cauchy_schwarz_divergence(*given, kernel, width, base=math.e)  # type: ignore[call-overload,arg-type]
    assert_near(nx.values(nats), np.array(expected) * math.log(2), nx.dtype)


# ------------------------------------------------------------------------------------------- published values

ROW, COLUMN = np.arange(6)[:, None], np.arange(4)[None]
Z = (3 * ROW * COLUMN + ROW + 2 * COLUMN) % 7 - 3.0
X, Y = np.arange(8.0)[:, None], (3 * np.arange(8.0)[:, None]) % 8
A, B = fr.gram(X, bandwidth=1.0), fr.gram(Y, bandwidth=1.0)
UNIT = Z / np.linalg.norm(Z, axis=1, keepdims=True)
NEURONS = np.sin(np.outer(np.arange(1, 21), [1, 2, 3]))
HIDDEN = np.tanh(NEURONS @ np.array([[1, -1], [0.5, 1], [-1, 0.5]]))
TOKENS = fr.gram(Z, fr.Linear("samples", normalized=True))


@pytest.mark.parametrize(
    ("found", "value"),
    [
        (fr.entropy(fr.gram(Z, "linear"), 1), 1.589056697776),
        (fr.entropy(fr.gram(Z, "linear"), 2), 1.338200873987),
        (fr.effective_rank(TOKENS), 2.616945345650),
        (fr.entropy(TOKENS, 1, math.e) / math.log(4), 0.693941897160),
        (fr.participation_ratio(Z), 2.131659522352),
        (fr.participation_ratio(np.hstack([NEURONS, HIDDEN[:, :1]])), 2.7167993955),
        (fr.coding_rate(UNIT, 0.5, math.e), 2.980710059299),
        (fr.alignment(A, B), 0.619332560936),
        (fr.logdet_entropy(Z, base=math.e), 2.538013519549),
        (fr.cauchy_schwarz_information(A, B, base=math.e), 0.458544014254),
        (fr.relative_entropy(A, B), 1.274388720933),
        (fr.vendi_score(8 * A, 0.5), 6.380901932395),
        (fr.vendi_score(8 * A, 2), 4.786358337352),
    ],
)
def test_published_values(found: float, value: float) -> None:
    assert found == pytest.approx(value, abs=1e-10)


def test_rank_me_adds_a_number_to_each_share() -> None:
    """What RankMe's code gives, 3.675254261622, is this with 1e-7 added to each of four shares."""
    shares = np.linalg.svd(Z, compute_uv=False)
    shares = shares / shares.sum()
    assert np.exp(-np.sum((shares + 1e-7) * np.log(shares + 1e-7))) == pytest.approx(3.675254261622, abs=1e-10)
    found = fr.effective_rank(fr.gram(Z, "linear"), power=0.5)
    assert found == pytest.approx(np.exp(-np.sum(shares * np.log(shares))), abs=1e-10)


# --------------------------------------------------------------------------------------------- what holds of them


def test_what_is_known_of_effective_numbers() -> None:
    np.testing.assert_allclose(fr.effective_rank(np.eye(4) / 4, [0, 1, 2, math.inf]), 4)
    np.testing.assert_allclose(fr.effective_rank(np.eye(4) / 4, [0, 1, 2], power=0.5), 4)
    np.testing.assert_allclose(fr.vendi_score(np.ones((5, 5)), [0, 1, 2, math.inf]), 1)
    np.testing.assert_allclose(fr.vendi_score(np.eye(5), [0, 1, 2, math.inf]), 5)
    assert fr.vendi_score(np.eye(3), p=[0.5, 0.5, 0.0]) == pytest.approx(2)
    assert fr.stable_rank(np.eye(3)) == pytest.approx(3)
    assert fr.stable_rank(np.array([[3.0]])) == fr.effective_rank(np.array([[1.0]])) == 1
    assert fr.participation_ratio(np.array([[0.0], [1.0]])) == pytest.approx(1)


def test_singular_values_of_rounding_size_are_zero(draw: Draw) -> None:
    z = draw.samples(30, 2)
    full, thin = (fr.effective_rank(fr.gram(v, "linear"), [0, 0.5, 1, 2], power=0.5) for v in (z, z.T))
    np.testing.assert_allclose(full, thin, rtol=1e-9)


def test_weights_as_repetitions(draw: Draw) -> None:
    k = similarities(draw, 3)
    repeated = np.repeat(np.repeat(k, [1, 2, 3], axis=0), [1, 2, 3], axis=1)
    np.testing.assert_allclose(fr.vendi_score(k, [1, 2], [1 / 6, 2 / 6, 3 / 6]), fr.vendi_score(repeated, [1, 2]))


def test_a_vendi_score_is_the_effective_rank_of_its_gram(draw: Draw) -> None:
    a = fr.gram(draw.samples(6, 2), bandwidth=1.0)
    np.testing.assert_allclose(fr.vendi_score(6 * a, [0.5, 1, 2]), fr.effective_rank(a, [0.5, 1, 2]))


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_scale(scale: float, draw: Draw) -> None:
    x = draw.samples(N, D)
    a, b = gaussians(draw, N), gaussians(draw, N)
    for name in ("participation_ratio", "stable_rank"):
        assert SAMPLES[name][0](scale * x) == pytest.approx(SAMPLES[name][0](x), rel=1e-9)
    expected = fr.logdet_entropy(x, 1e300) + D * math.log2(scale) - D * math.log2(1e300) / 2
    if scale > 1:
        assert fr.logdet_entropy(scale * x) == pytest.approx(expected, rel=1e-9)
    else:
        assert fr.logdet_entropy(scale * x) == pytest.approx(0, abs=1e-50)
    for call in (fr.alignment, fr.cauchy_schwarz_information):
        assert call(scale * a, b) == pytest.approx(call(a, b), rel=1e-9)
        assert call(a, scale * b) == pytest.approx(call(a, b), rel=1e-9)


def test_logarithms_of_determinants_of_little() -> None:
    assert fr.logdet_entropy(np.zeros((3, 2))) == fr.coding_rate(np.zeros((1, 1))) == 0
    assert fr.logdet_entropy(np.array([[1.0, 0.0]])) == pytest.approx(0.5)
    assert fr.coding_rate(np.eye(2), eps=1e-320) > 2000
    assert fr.coding_rate(np.eye(2), eps=1e300) == pytest.approx(0, abs=1e-300)


def test_comparisons_of_a_gram_with_itself_and_with_none(draw: Draw) -> None:
    a, constant = gaussians(draw, N), np.full((N, N), 1 / N)
    assert fr.alignment(a, a) == pytest.approx(1)
    assert fr.alignment(a, a, centered=True) == pytest.approx(1)
    assert fr.relative_entropy(a, a) == pytest.approx(0, abs=1e-12)
    assert fr.cauchy_schwarz_information(a, constant) == pytest.approx(0, abs=1e-12)
    assert fr.cauchy_schwarz_information(a, a, normalized=True) == pytest.approx(1)
    assert math.isnan(fr.alignment(a, constant, centered=True))
    assert math.isnan(fr.alignment(a, 0 * a))
    assert math.isnan(fr.cauchy_schwarz_information(a, constant, normalized=True))
    assert math.isnan(fr.alignment(np.ones((1, 1)), np.ones((1, 1)), centered=True))
    assert fr.relative_entropy(np.ones((1, 1)), np.ones((1, 1))) == 0
    scores = fr.cauchy_schwarz_information(a, b := gaussians(draw, N), normalized=True)
    root = math.sqrt(fr.cauchy_schwarz_information(a, a) * fr.cauchy_schwarz_information(b, b))
    assert scores == pytest.approx(fr.cauchy_schwarz_information(a, b) / root)


def test_relative_entropy_where_the_other_has_nothing() -> None:
    a, b = np.diag([0.5, 0.5, 0.0]), np.diag([0.25, 0.75, 0.0])
    expected = -0.5 * math.log2(0.25 * 0.75) - 1
    assert fr.relative_entropy(a, b) == pytest.approx(expected)
    message = refused(ValueError, "b", lambda: fr.relative_entropy(a, np.diag([1.0, 0, 0])))
    assert "infinite" in message
    assert fr.relative_entropy(np.diag([1.0, 0, 0]), a) == pytest.approx(1)
    assert fr.relative_entropy(a, np.eye(3) / 3) == pytest.approx(math.log2(3) - 1)


# -------------------------------------------------------------------------------------------------- gradients

FACTOR = torch.from_numpy(np.random.default_rng(5).normal(size=(4, 4)))


def gram_of(f: torch.Tensor) -> torch.Tensor:
    k = f @ f.mT + torch.eye(f.shape[-1], dtype=f.dtype) / 2
    return k / k.diagonal(0, -2, -1).sum(-1)[..., None, None]


DIFFERENTIABLE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    **{name: call for name, (call, _) in SAMPLES.items()},
    "thin": lambda x: fr.participation_ratio(x[..., :2]) + fr.logdet_entropy(x[..., :2], 3.0),
    "wide": lambda x: fr.stable_rank(x[..., :2, :]) + fr.coding_rate(x[..., :2, :]),
    "effective_rank": lambda x: fr.effective_rank(gram_of(x), [0.5, 1, 2]).sum(-1),
    "effective_rank power": lambda x: fr.effective_rank(gram_of(x), [1, 2], power=0.5).sum(-1),
    "vendi_score": lambda x: fr.vendi_score(4 * fr.normalize(gram_of(x)), [1, 2]).sum(-1),
    "vendi_score p": lambda x: fr.vendi_score(4 * fr.gram(x, bandwidth=1.0), p=x[..., 0, :].softmax(-1)),
    "alignment": lambda x: fr.alignment(gram_of(x), gram_of(x * x)),
    "alignment centered": lambda x: fr.alignment(gram_of(x), gram_of(x * x), centered=True),
    "cauchy_schwarz_information": lambda x: fr.cauchy_schwarz_information(
        fr.gram(x, bandwidth=1.0), fr.gram(x * x, bandwidth=2.0)
    ),
    "cauchy_schwarz_information normalized": lambda x: fr.cauchy_schwarz_information(
        fr.gram(x, bandwidth=1.0), fr.gram(x * x, bandwidth=2.0), normalized=True
    ),
    "relative_entropy": lambda x: fr.relative_entropy(gram_of(x), gram_of(x * x)),
    "relative_entropy of one": lambda x: fr.relative_entropy(gram_of(FACTOR.to(x)), gram_of(x)),
    "cauchy_schwarz_divergence": lambda x: fr.cauchy_schwarz_divergence(x, x * x + 1, bandwidth=2.0),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients(name: str, draw: Draw) -> None:
    x = torch.tensor(draw.samples(2, 4, 4), requires_grad=True)
    assert torch.autograd.gradcheck(DIFFERENTIABLE[name], (x,))


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_under_transforms_and_compilers(name: str, draw: Draw) -> None:
    call = DIFFERENTIABLE[name]
    x = torch.tensor(draw.samples(3, 4, 4))
    one = x[0].clone().requires_grad_()
    (expected,) = torch.autograd.grad(call(one), one)
    torch.testing.assert_close(torch.func.grad(call)(x[0]), expected)
    torch.testing.assert_close(torch.vmap(torch.func.grad(call))(x)[0], expected)
    torch.testing.assert_close(torch.vmap(call, in_dims=1)(x.movedim(0, 1)), call(x))
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    (found,) = torch.autograd.grad(compiled(one), one)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_inside_autocast(name: str, draw: Draw) -> None:
    if "gram_of" in DIFFERENTIABLE[name].__code__.co_names:
        pytest.skip("its Grams are the test's own products")
    x = torch.tensor(draw.samples(4, 4), dtype=torch.float32, requires_grad=True)
    expected = DIFFERENTIABLE[name](x)
    (slope,) = torch.autograd.grad(expected, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = DIFFERENTIABLE[name](x)
        (gradient,) = torch.autograd.grad(found, x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradient, slope, rtol=1e-2, atol=1e-3)


def test_gradients_where_eigenvalues_are_zero_or_the_same(draw: Draw) -> None:
    z = torch.tensor(draw.samples(6, 2), requires_grad=True)
    values = [
        fr.effective_rank(fr.gram(z, "linear"), power=0.5),
        fr.logdet_entropy(z.T),
        fr.participation_ratio(z),
        fr.vendi_score(torch.ones(6, 6, dtype=torch.float64) * z.exp().sum() / z.detach().exp().sum()),
        fr.relative_entropy(fr.gram(z, "linear"), fr.gram(z, "linear")),
        fr.alignment(fr.gram(z, "linear"), torch.full((6, 6), 1 / 6, dtype=torch.float64), centered=True),
    ]
    for value in values:
        (found,) = torch.autograd.grad(value, z, allow_unused=True, retain_graph=True)
        assert found is None or found.isfinite().all()
    zeros = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(fr.logdet_entropy(zeros) + fr.coding_rate(zeros), zeros)
    assert not found.any()


# ------------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize("name", ["participation_ratio", "stable_rank", "coding_rate", "logdet_entropy"])
def test_wrong_samples(name: str, nx_dtype: Nx) -> None:
    call = getattr(fr, name)
    for kind in (None, "x", [[1.0]], np.eye(3, dtype=int), np.eye(3) * 1j):
        refused(TypeError, "x", lambda kind=kind: call(kind))
    for shape in ((3,), (), (0, 3), (3, 0)):
        refused(ValueError, "x", lambda shape=shape: call(nx_dtype.array(np.ones(shape)) if shape else np.array(1.0)))
    for shape in ((2, 3, 4), (2, 4, 3)):
        for value in (np.nan, np.inf):
            bad = with_value(np.ones(shape), value, (1, 2, 1))
            assert "(1, 2, 1)" in refused(ValueError, "x", lambda bad=bad: call(nx_dtype.array(bad)))


def test_samples_of_which_nothing_is_left() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    x[1] = 0.1
    assert "(1,)" in refused(ValueError, "x", lambda: fr.participation_ratio(x))
    refused(ValueError, "x", lambda: fr.participation_ratio(x[:, :1]))
    x[1] = 0
    assert "(1,)" in refused(ValueError, "x", lambda: fr.stable_rank(x))


def test_wrong_numbers(draw: Draw) -> None:
    x, a, k = draw.samples(4, 3), near(draw, 4), similarities(draw, 4)
    for name, call in {
        "eps": lambda v: fr.coding_rate(x, v),
        "beta": lambda v: fr.logdet_entropy(x, v),
        "power": lambda v: fr.effective_rank(a, power=v),
        "base": lambda v: fr.relative_entropy(a, a, v),
    }.items():
        for value in (0, -1.0, math.inf, math.nan):
            refused(ValueError, name, lambda value=value, call=call: call(value))
        for kind in (None, "1", True, [1.0]):
            refused(TypeError, name, lambda kind=kind, call=call: call(kind))
    for call in (
        lambda v: fr.coding_rate(x, base=v), lambda v: fr.logdet_entropy(x, base=v),
        lambda v: fr.cauchy_schwarz_information(a, a, base=v), lambda v: fr.cauchy_schwarz_divergence(x, x, base=v),
    ):  # fmt: skip
        refused(ValueError, "base", lambda call=call: call(1))
    for name, call in {"alpha": lambda v: fr.effective_rank(a, v), "q": lambda v: fr.vendi_score(k, v)}.items():
        for value in (-1, [], [1, -0.5], math.nan):
            refused(ValueError, name, lambda value=value, call=call: call(value))
        refused(TypeError, name, lambda call=call: call("1"))
    refused(TypeError, "centered", lambda: fr.alignment(a, a, 1))
    refused(TypeError, "normalized", lambda: fr.cauchy_schwarz_information(a, a, "yes"))


@pytest.mark.parametrize("name", ["alignment", "cauchy_schwarz_information", "relative_entropy"])
def test_two_matrices_that_are_wrong(name: str, draw: Draw) -> None:
    call = getattr(fr, name)
    a = gaussians(draw, 2, N)
    for wrong in (None, a.tolist(), a.astype(int)):
        refused(TypeError, "a", lambda wrong=wrong: call(wrong, a))
        refused(TypeError, "b", lambda wrong=wrong: call(a, wrong))
    refused(TypeError, "b", lambda: call(a, a.astype(np.float32)))
    refused(TypeError, "b", lambda: call(a, torch.tensor(a)))
    for shape in ((2, 3), (3,), (0, 0)):
        refused(ValueError, "a", lambda shape=shape: call(np.ones(shape), a))
        refused(ValueError, "b", lambda shape=shape: call(a, np.ones(shape)))
    refused(ValueError, "b", lambda: call(a, gaussians(draw, N + 1)))
    refused(ValueError, "b", lambda: call(a, gaussians(draw, 3, N)))
    for value in (np.nan, 0.7):
        refused(ValueError, "a", lambda value=value: call(with_value(a, value, (1, 0, 2)), a))
        refused(ValueError, "b", lambda value=value: call(a, with_value(a, value, (1, 0, 2))))
    if name == "relative_entropy":
        refused(ValueError, "a", lambda: call(2 * a, a))
        refused(ValueError, "b", lambda: call(a, 2 * a))
        indefinite = np.diag([1.5, -0.5])
        for first, pair in (("a", (indefinite, np.eye(2) / 2)), ("b", (np.eye(2) / 2, indefinite))):
            refused(fr.NotPositiveSemidefiniteError, first, lambda pair=pair: call(*pair))


def test_grams_with_sums_that_have_no_logarithm() -> None:
    opposite = np.array([[1.0, -1.0], [-1.0, 1.0]])
    message = refused(ValueError, "a", lambda: fr.cauchy_schwarz_information(opposite, np.eye(2)))
    assert "negative values" in message
    far = np.array([[1e9]])
    message = refused(ValueError, "y", lambda: fr.cauchy_schwarz_divergence(0 * far, far))
    assert "wider" in message


def test_wrong_matrices(draw: Draw) -> None:
    a, k = near(draw, 2, 4), similarities(draw, 2, 4)
    bad = np.stack([np.eye(2) / 2, np.diag([1.5, -0.5])])
    for power in (1, 0.5):
        refused(ValueError, "a", lambda power=power: fr.effective_rank(2 * a, power=power))
        refused(TypeError, "a", lambda power=power: fr.effective_rank(None, power=power))
        refused(ValueError, "a", lambda power=power: fr.effective_rank(a[..., :3], power=power))
        refused(ValueError, "a", lambda power=power: fr.effective_rank(with_value(a, 3, (0, 1, 2)), power=power))
        indefinite = fr.NotPositiveSemidefiniteError
        assert "(1,)" in refused(indefinite, "a", lambda power=power: fr.effective_rank(bad, power=power))
    assert "(1, 3)" in refused(ValueError, "k", lambda: fr.vendi_score(with_value(k, 0.9, (1, 3, 3))))
    refused(ValueError, "k", lambda: fr.vendi_score(a))
    refused(fr.NotPositiveSemidefiniteError, "k", lambda: fr.vendi_score(np.array([[1.0, 2.0], [2.0, 1.0]])))


def test_wrong_probabilities(draw: Draw) -> None:
    k = similarities(draw, 2, 4)
    right = np.full(4, 0.25)
    for wrong in (
        right[:3],
        np.full((3, 4), 0.25),
        right * 2,
        np.array([1.5, -0.5, 0, 0]),
        with_value(right, np.nan, (2,)),
    ):
        refused(ValueError, "p", lambda wrong=wrong: fr.vendi_score(k, p=wrong))
    for wrong in ("p", 0.25, [["a"]], right.astype(np.float32), torch.tensor(right), {}):
        refused(TypeError, "p", lambda wrong=wrong: fr.vendi_score(k, p=wrong))
    assert_near(fr.vendi_score(torch.tensor(k), p=[0.25] * 4), fr.vendi_score(k), "float64")


def test_on_a_device(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on a GPU, on its kernels emulated on the host: the same numbers and the same errors."""
    pytest.importorskip("fastrenyi._emulated")
    x, a, b, k = draw.samples(2, N, D), gaussians(draw, 2, N), gaussians(draw, 2, N), similarities(draw, 2, N)
    calls: list[Callable[[Callable[[Any], Any]], Any]] = [
        *(lambda on, f=f: f(on(x)) for f, _ in SAMPLES.values()),
        *(lambda on, f=f, g=k if make is similarities else a: f(on(g)) for f, _, make in ONE.values()),
        *(lambda on, f=f: f(on(a), on(b)) for f, _ in TWO.values()),
        lambda on: fr.cauchy_schwarz_divergence(on(x), on(x + 1), bandwidth=1.0),
        lambda on: fr.vendi_score(on(k), p=[1 / N] * N),
        lambda on: fr.gram(on(x), fr.Linear("both", normalized=True)),
    ]
    bad = x.copy()
    bad[1, 2, 3] = np.nan
    expected = [call(np.asarray) for call in calls]
    x_t = torch.tensor(x, requires_grad=True)
    slopes = {name: torch.autograd.grad(f(x_t[:, :4, :4]).sum(), x_t)[0] for name, f in DIFFERENTIABLE.items()}
    monkeypatch.setitem(fr._backend.MODULES, "cpu", "_emulated")  # type: ignore[attr-defined]
    for call, right in itertools.zip_longest(calls, expected):
        for on in (np.asarray, torch.tensor):
            np.testing.assert_allclose(call(on), right, rtol=1e-9, atol=1e-10)
    for name, f in DIFFERENTIABLE.items():
        (found,) = torch.autograd.grad(f(x_t[:, :4, :4]).sum(), x_t)
        torch.testing.assert_close(found, slopes[name], rtol=1e-7, atol=1e-8)
    assert "(1, 2, 3)" in refused(ValueError, "x", lambda: fr.participation_ratio(bad))
    refused(ValueError, "b", lambda: fr.relative_entropy(np.diag([0.5, 0.5]), np.diag([1.0, 0])))
