"""Effective numbers, log-determinants and comparisons of Grams: the reference, published values, what holds of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
import reference
from conftest import HALVES, Draw, Nx, refused
from family import ONE, RELATIVE, SAMPLES, TWO, D, N, assert_near, gaussians, near, over_batch, similarities

# ------------------------------------------------------------------------------------ against the reference


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("shape", [(N, D), (D, N)], ids=str)
def test_of_samples(name: str, shape: tuple[int, int], nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    ours, theirs = SAMPLES[name]
    x = nx.array(draw.samples(*batch, *shape))
    found, expected = nx.values(ours(x)), over_batch(theirs, nx.values(x))
    if name == "eigenscore":  # a mean of logarithms, which may be near zero where they are not
        found, expected = found + 5, expected + 5
    assert_near(found, expected, nx.dtype)


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
        (fr.eigenscore(Z), -1.987972516251),
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
    assert fr.eigenscore(np.zeros((3, 2)), 0.1) == fr.eigenscore(np.ones((3, 1)), 0.1) == pytest.approx(math.log(0.1))
    assert fr.eigenscore(np.full((2, 3), 1e200)) == pytest.approx(math.log(1e-3))
    assert fr.eigenscore(np.eye(2) * 1e200) > 400
    assert fr.eigenscore(np.eye(2) * 1e-200) == pytest.approx(math.log(1e-3))


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
    assert math.isnan(fr.cauchy_schwarz_information(constant, a, normalized=True))
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


def test_what_single_precision_does_not_tell_is_said(draw: Draw) -> None:
    """Singular values that fall as 1 / i: most of those of 600 are below what the squares have in single."""
    x = draw.samples(700, 600) @ np.diag(1.0 / np.arange(1, 601) ** 1.5)
    right = reference.effective_rank(reference.gram_linear(x), 1, 0.5)
    np.testing.assert_allclose(fr.effective_rank(fr.gram(x, fr.Linear(side="smaller")), power=0.5), right, rtol=1e-6)
    a = fr.gram(x.astype(np.float32), fr.Linear(side="smaller"))
    with pytest.warns(
        UserWarning, match=r"effective_rank: eigenvalues that float32 .* make the Gram in float64"
    ) as told:
        found = fr.effective_rank(a, power=0.5)
    assert found < 0.99 * right
    assert told[0].filename == __file__
