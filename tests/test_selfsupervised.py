"""LiDAR, the slope of a spectrum, InfoNCE and DiME: the reference, what is known of them, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import fastrenyi as fr
import reference
from conftest import HALVES, Draw, Nx, refused, with_value
from family import RELATIVE, D, N, assert_near, gaussians, over_batch
from fastrenyi._ops.permutations import permutations

# ------------------------------------------------------------------------------------------------------------ LiDAR


@pytest.mark.parametrize("shape", [(N, 3, D), (3, 2, 6), (2, 5, 1)], ids=str)
def test_lidar(shape: tuple[int, ...], nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    x = nx.array(draw.samples(*batch, *shape))
    values = nx.values(x)
    for delta in (1e-4, 1.0):
        expected = [reference.lidar(values[at], delta) for at in np.ndindex(*batch)]
        assert_near(nx.values(fr.lidar(x, delta)), np.reshape(expected, batch), nx.dtype)


@pytest.mark.parametrize("nx_half", HALVES, ids=str)
def test_lidar_in_half_precision(nx_half: Nx, draw: Draw) -> None:
    x = draw.samples(N, 3, D)
    found = nx_half.values(fr.lidar(nx_half.array(x)))
    np.testing.assert_allclose(found, reference.lidar(nx_half.rounded(x)), rtol=RELATIVE[nx_half.dtype])


@pytest.mark.parametrize(("n", "views"), [(501, 10), (2, 5000), (34000, 2)])
def test_lidar_of_more_views_than_are_in_memory_together(n: int, views: int, draw: Draw) -> None:
    x = draw.samples(n, views, 3)
    assert fr.lidar(x) == pytest.approx(reference.lidar(x), rel=1e-9)


def test_lidar_of_views_not_contiguous(draw: Draw) -> None:
    x = draw.samples(3, D, N)
    assert fr.lidar(x.transpose(2, 0, 1)) == pytest.approx(reference.lidar(x.transpose(2, 0, 1)))


def test_what_is_known_of_lidar(draw: Draw) -> None:
    """Of views that are all the same it is the effective rank of the covariance; of two samples one."""
    means = draw.samples(N, D)
    same = np.repeat(means[:, None], 3, axis=1)
    assert fr.lidar(same) == pytest.approx(fr.effective_rank(fr.gram(means, fr.Linear("samples"))))
    assert fr.lidar(draw.samples(2, 3, D)) == pytest.approx(1)
    # Divisors n - 1 and n (views - 1) are a smaller delta.
    x = draw.samples(N, 4, D)
    rest = (x - x.mean(1, keepdims=True)).reshape(-1, D)
    values, vectors = np.linalg.eigh(rest.T @ rest / (N * 3) + 0.2 * np.eye(D))
    whitened = x.mean(1) @ (vectors / np.sqrt(values))
    assert fr.lidar(x, 0.2 * 3 / 4) == pytest.approx(fr.effective_rank(fr.gram(whitened, fr.Linear("samples"))))


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_lidar_of_any_scale(scale: float, draw: Draw) -> None:
    """Far above delta the scale is nothing; far below it, delta is all there is within samples."""
    x = draw.samples(N, 3, D)
    expected = fr.lidar(x, 1e-30) if scale > 1 else fr.effective_rank(fr.gram(x.mean(1), fr.Linear("samples")))
    assert fr.lidar(scale * x) == pytest.approx(expected, rel=1e-9)
    same = np.repeat(x[:, :1], 2, axis=1)
    assert fr.lidar(scale * same) == pytest.approx(fr.lidar(same), rel=1e-9)


def test_lidar_where_features_repeat_has_a_gradient(draw: Draw) -> None:
    x = torch.tensor(np.repeat(draw.samples(2, 2, 1), 6, axis=-1), requires_grad=True)
    value = fr.lidar(1e8 * x)
    (found,) = torch.autograd.grad(value, x)
    assert value.isfinite()
    assert found.isfinite().all()


def test_wrong_views(draw: Draw) -> None:
    x = draw.samples(2, N, 3, D)
    for kind in (None, "x", [[[1.0]]], np.ones((2, 2, 2), dtype=int), x * 1j):
        refused(TypeError, "x", lambda kind=kind: fr.lidar(kind))
    for shape in ((4,), (4, 3), (4, 1, 3), (0, 2, 3), (4, 2, 0), (4, 0, 3)):
        refused(ValueError, "x", lambda shape=shape: fr.lidar(np.ones(shape)))
    assert "(1, 0, 2, 3)" in refused(ValueError, "x", lambda: fr.lidar(with_value(x, np.nan, (1, 0, 2, 3))))
    for nothing in (np.ones((4, 2, 3)), x[0, :1], np.repeat(x[0, :1], 4, axis=0)):
        assert "means" in refused(ValueError, "x", lambda nothing=nothing: fr.lidar(nothing))


# ------------------------------------------------------------------------------------------- the slope of a spectrum


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("weighted", [True, False])
def test_a_power_law_is_found(exponent: float, weighted: bool, draw: Draw) -> None:
    scales = np.arange(1.0, 121.0) ** (-exponent / 2)
    basis = np.linalg.qr(draw.samples(120, 120))[0]
    x = np.vstack([np.diag(scales), -np.diag(scales)]) @ basis
    assert fr.spectral_slope(x, weighted=weighted) == pytest.approx(exponent, rel=1e-9)
    assert fr.spectral_slope(x.T[:, :120], 1, 50, weighted) == pytest.approx(
        reference.spectral_slope(x.T[:, :120], 1, 50, weighted), rel=1e-9
    )


def test_ranks_of_the_published_code(draw: Draw) -> None:
    """Ranks 4 to 100 with weights 1 / rank, as stringer_get_powerlaw solves it for trange = arange(3, 100)."""
    x = draw.samples(300, 150) * np.arange(1.0, 151.0) ** -0.6
    values = np.sort(np.linalg.eigvalsh(np.cov(x.T)))[::-1]
    ranks = np.arange(4, 101)
    design = np.stack([-np.log(ranks), np.ones(97)], 1)
    solved = np.linalg.solve(design.T @ (design / ranks[:, None]), (design / ranks[:, None]).T @ np.log(values[3:100]))
    assert fr.spectral_slope(x) == pytest.approx(solved[0], rel=1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_eigenvalues_of_rounding_size_do_not_count(scale: float, draw: Draw) -> None:
    """Centring leaves one of n samples; of features that repeat there are more."""
    x = scale * draw.samples(6, 40)
    full = fr.spectral_slope(x, 1)
    assert full == pytest.approx(fr.spectral_slope(x, 1, 5), rel=1e-12)
    repeated = np.repeat(x[:, :3], 4, axis=1)
    assert fr.spectral_slope(repeated, 1) == pytest.approx(fr.spectral_slope(x[:, :3], 1), rel=1e-9)
    single = fr.spectral_slope((x / scale).astype(np.float32), 1)
    assert single == pytest.approx(full, rel=1e-4)


def test_wrong_slopes(draw: Draw) -> None:
    x = draw.samples(2, 6, 5)
    assert "lower first" in refused(ValueError, "x", lambda: fr.spectral_slope(x[..., :4]))
    mixed = x.copy()
    mixed[1, :, 1:] = 0
    assert "(1,)" in refused(ValueError, "x", lambda: fr.spectral_slope(mixed, 1))
    refused(ValueError, "x", lambda: fr.spectral_slope(np.ones((4, 3)), 1))
    for name, key in (("first", "first"), ("last", "last")):
        for value in (0, -1, 2**31):
            refused(ValueError, name, lambda value=value, key=key: fr.spectral_slope(x, **{key: value}))
        for kind in (None, 1.5, "1", True):
            refused(TypeError, name, lambda kind=kind, key=key: fr.spectral_slope(x, **{key: kind}))
    refused(ValueError, "last", lambda: fr.spectral_slope(x, 3, 3))
    refused(TypeError, "weighted", lambda: fr.spectral_slope(x, weighted=1))
    found = torch.vmap(lambda v: fr.spectral_slope(v, 1))(torch.tensor(mixed))
    assert found.isnan().tolist() == [False, True]


# ---------------------------------------------------------------------------------------------------------- InfoNCE


def test_infonce(nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    a, b = nx.array(draw.samples(*batch, N, D)), nx.array(draw.samples(*batch, N, D))
    for temperature in (0.1, 2.0):
        found = nx.values(fr.infonce(a, b, temperature, math.e))
        expected = over_batch(
            lambda u, v, t=temperature: reference.infonce(u, v, t, math.e), nx.values(a), nx.values(b)
        )
        assert_near(found, expected, nx.dtype)


def test_what_is_known_of_infonce(draw: Draw) -> None:
    x, one = draw.samples(N, D), np.ones((N, D))
    assert fr.infonce(x[:1], -x[:1]) == pytest.approx(0, abs=1e-12)
    assert fr.infonce(one, 3 * one) == pytest.approx(math.log2(2 * N - 1))
    assert fr.infonce(0 * one, 0 * one) == pytest.approx(math.log2(2 * N - 1))
    assert fr.infonce(1e200 * x, 1e-200 * x) == pytest.approx(fr.infonce(x, x), rel=1e-9)
    far = np.diag([1.0, -1.0])
    assert fr.infonce(far, far, 1e-4) == pytest.approx(0, abs=1e-12)
    assert fr.infonce(far, -far, 1e-3, math.e) == pytest.approx(1000 + math.log(2), rel=1e-9)
    stacked = fr.infonce(np.stack([x, x])[:, None], np.stack([x, one, x]))
    assert stacked.shape == (2, 3)
    assert stacked[1, 1] == pytest.approx(fr.infonce(x, one))


def test_wrong_views_of_infonce(draw: Draw) -> None:
    x = draw.samples(2, N, D)
    refused(TypeError, "a", lambda: fr.infonce(None, x))
    refused(TypeError, "b", lambda: fr.infonce(x, x.astype(np.float32)))
    refused(TypeError, "b", lambda: fr.infonce(x, torch.tensor(x)))
    for wrong in (x[:, 1:], x[..., 1:], draw.samples(3, N, D), x[0, 0], with_value(x, np.inf, (0, 1, 2))):
        refused(ValueError, "b", lambda wrong=wrong: fr.infonce(x, wrong))


# ------------------------------------------------------------------------------------------------------------- DiME


def test_dime(nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    a, b = nx.array(gaussians(draw, *batch, N)), nx.array(gaussians(draw, *batch, N))
    orders = permutations(4, N, 3)
    found = nx.values(fr.dime(a, b, 4, 3, alpha=[1.01, 2], base=math.e))
    for k, alpha in enumerate((1.01, 2)):
        expected = over_batch(
            lambda u, v, alpha=alpha: reference.dime(u, v, orders, alpha, math.e), nx.values(a), nx.values(b)
        )
        assert_near(found[..., k], expected, nx.dtype)


def test_dime_is_the_excess_over_its_null(draw: Draw) -> None:
    a, b, c = (gaussians(draw, 2, N) for _ in range(3))
    test = fr.permutation_test(a, [b, c], 5, seed=2)
    np.testing.assert_allclose(fr.dime(a, [b, c], 5, seed=2), test.excess, rtol=1e-9, atol=1e-12)
    wide = fr.dime(a[:, None], b[0], 3)
    assert wide.shape == (2, 1)
    np.testing.assert_allclose(wide[:, 0], [fr.dime(a[0], b[0], 3), fr.dime(a[1], b[0], 3)], atol=1e-12)
    np.testing.assert_allclose(fr.dime(b[0], a[:, None], 3)[1, 0], fr.dime(b[0], a[1], 3), atol=1e-12)
    assert fr.dime(np.ones((1, 1)), np.ones((1, 1))) == 0


def test_gradients_of_dime(draw: Draw) -> None:
    x = torch.tensor(draw.samples(2, 4, 3), requires_grad=True)

    def call(v: torch.Tensor) -> torch.Tensor:
        return fr.dime(fr.gram(v, bandwidth=1.0), fr.gram(v * v, bandwidth=2.0), 3, alpha=[1.01, 2])

    assert torch.autograd.gradcheck(call, (x,))
    (expected,) = torch.autograd.grad(call(x[0]).sum(), x)
    torch.testing.assert_close(torch.func.grad(lambda v: call(v).sum())(x[0].detach()), expected[0])
    torch.testing.assert_close(torch.vmap(call)(x.detach()), call(x.detach()))


def test_wrong_dime(draw: Draw) -> None:
    a = gaussians(draw, 2, N)
    for name in ("a", "b"):
        for kind in (None, "x", a.tolist()):
            given = {"a": a, "b": a, name: kind}
            refused(TypeError, name, lambda given=given: fr.dime(**given))  # type: ignore[arg-type]
        given = {"a": a, "b": a, name: 2 * a}
        refused(ValueError, name, lambda given=given: fr.dime(**given))
    refused(ValueError, "b", lambda: fr.dime(a, gaussians(draw, N + 1)))
    refused(ValueError, "permutations", lambda: fr.dime(a, a, 0))
    refused(TypeError, "permutations", lambda: fr.dime(a, a, 1.5))  # type: ignore[arg-type]
    refused(ValueError, "seed", lambda: fr.dime(a, a, 1, -1))
    refused(ValueError, "alpha", lambda: fr.dime(a, a, alpha=-1))
    refused(ValueError, "base", lambda: fr.dime(a, a, base=1))
    refused(TypeError, "a", lambda: fr.dime(fr.lazy_gram(draw.samples(N, 2)), a[0]))  # type: ignore[type-var]
