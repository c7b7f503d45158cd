"""The linear kernel: K / tr K, centred and of unit rows, against the reference; its gradients; what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
import reference
import tolerances
from conftest import Draw, Nx, refused
from fastrenyi import _core

SETTINGS = list(itertools.product([None, "samples", "features", "both"], [False, True]))
SCALED = {dtype: 40 * unit for dtype, unit in tolerances.UNIT.items()}


@pytest.fixture(params=SETTINGS, ids=str)
def settings(request: pytest.FixtureRequest) -> tuple[Any, bool]:
    """center and normalized."""
    return request.param


def assert_close(found: np.ndarray, expected: np.ndarray, dtype: str) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=SCALED[dtype])


def expected_of(x: np.ndarray, settings: tuple[Any, bool]) -> np.ndarray:
    return reference.over_batch(reference.gram_linear, x, center=settings[0], normalized=settings[1])


@pytest.mark.parametrize("shape", [(7, 5), (2, 3)], ids=str)
def test_against_the_reference(
    settings: Any, nx: Nx, batch: tuple[int, ...], shape: tuple[int, int], draw: Draw
) -> None:
    x = nx.array(draw.samples(*batch, *shape))
    found = nx.values(fr.gram(x, fr.Linear(*settings)))
    assert_close(found, expected_of(nx.values(x), settings), nx.dtype)
    np.testing.assert_array_equal(found, np.swapaxes(found, -1, -2))


def test_half_precision_is_computed_in_single(settings: Any, nx_dtype: Nx, draw: Draw) -> None:
    x = nx_dtype.array(100 + draw.samples(2, 9, 4))  # where a mean in half precision has no digit left
    assert_close(
        nx_dtype.values(fr.gram(x, fr.Linear(*settings))), expected_of(nx_dtype.values(x), settings), nx_dtype.dtype
    )


def test_names_and_defaults(draw: Draw) -> None:
    x = draw.samples(6, 3)
    np.testing.assert_array_equal(fr.gram(x, "linear"), fr.gram(x, fr.Linear()))
    assert_close(fr.gram(x, "linear"), x @ x.T / np.trace(x @ x.T), "float64")
    maps = draw.samples(6, 4, 3, 3)
    assert_close(fr.tensor_gram(maps, "linear"), reference.gram_linear(maps.reshape(6, -1)), "float64")
    each = np.stack([reference.gram_linear(maps[:, c].reshape(6, -1)) for c in range(4)])
    assert_close(fr.channel_grams(maps, "linear"), each, "float64")
    assert fr.Linear("samples") == fr.Linear(center="samples", normalized=False) != fr.Linear()


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_scale_does_not_matter(settings: Any, scale: float, draw: Draw) -> None:
    x = draw.samples(5, 4)
    assert_close(fr.gram(x * scale, fr.Linear(*settings)), expected_of(x, settings), "float64")
    if abs(np.log10(scale)) < 38:
        found = fr.gram((x * scale).astype(np.float32), fr.Linear(*settings))
        assert_close(found, expected_of(x, settings), "float32")


def test_far_from_the_origin(draw: Draw) -> None:
    """The mean is of differences: what rounding has left of the samples is all that is lost."""
    x = (1e6 + draw.samples(8, 3)).astype(np.float32)
    found = fr.gram(x, fr.Linear("samples"))
    assert_close(found, reference.gram_linear(x, "samples"), "float32")


def test_zero_samples_do_not_count(nx_dtype: Nx, draw: Draw) -> None:
    x = draw.samples(6, 4)
    padded = np.concatenate([x, np.zeros((3, 4))])
    for normalized in (False, True):
        a = nx_dtype.values(fr.gram(nx_dtype.array(padded), fr.Linear(normalized=normalized)))
        assert_close(a[:6, :6], reference.gram_linear(nx_dtype.rounded(x), None, normalized), nx_dtype.dtype)
        assert not a[6:].any()
        assert not a[:, 6:].any()
    values = [fr.entropy(fr.gram(v, "linear"), [1, 1.01, 2, np.inf]) for v in (x, padded)]
    np.testing.assert_allclose(values[1], values[0], rtol=0, atol=1e-10)


def test_both_sides_have_one_spectrum(draw: Draw) -> None:
    x = draw.samples(9, 4)
    values = [fr.entropy(fr.gram(v, "linear"), [0, 1, 2, np.inf]) for v in (x, x.T)]
    np.testing.assert_allclose(values[0], values[1], rtol=0, atol=1e-10)


def test_one_sample_and_one_feature() -> None:
    np.testing.assert_array_equal(fr.gram(np.array([[3.0, 4.0]]), "linear"), [[1.0]])
    np.testing.assert_array_equal(fr.gram(np.array([[1.0], [-1.0]]), "linear"), [[0.5, -0.5], [-0.5, 0.5]])


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-7, -1e8])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_rounding_leaves_of_nothing_is_nothing(value: float, dtype: str, draw: Draw) -> None:
    constant = np.full((10, 3), value, dtype)
    refused(ValueError, "x", lambda: fr.gram(constant, fr.Linear("samples")))
    refused(ValueError, "x", lambda: fr.gram(constant, fr.Linear("samples", normalized=True)))
    refused(ValueError, "x", lambda: fr.gram(constant, fr.Linear("features")))
    sums = (draw.samples(7, 1) + draw.samples(1, 5)).astype(dtype)
    refused(ValueError, "x", lambda: fr.gram(sums, fr.Linear("both")))
    at_the_mean = np.array([[0.1, 0.3], [0.3, 0.1], [0.2, 0.2]], dtype)
    assert not fr.gram(at_the_mean, fr.Linear("samples", normalized=True))[2].any()


def test_samples_of_zeros_are_named() -> None:
    x = np.ones((2, 3, 4, 2))
    x[1, 2] = 0
    message = refused(ValueError, "x", lambda: fr.gram(x, "linear"))
    assert "(1, 2)" in message
    refused(ValueError, "maps", lambda: fr.tensor_gram(np.zeros((3, 2)), "linear"))
    x[1, 2] = np.eye(2).repeat(2, axis=0)
    x[0, 1, 2, 1] = np.inf
    for settings in SETTINGS:
        message = refused(ValueError, "x", lambda settings=settings: fr.gram(x, fr.Linear(*settings)))
        assert "(0, 1, 2, 1)" in message


def test_wrong_settings() -> None:
    refused(ValueError, "center", lambda: fr.Linear("sample"))  # type: ignore[arg-type]
    refused(TypeError, "center", lambda: fr.Linear(1))  # type: ignore[arg-type]
    refused(TypeError, "center", lambda: fr.Linear(True))  # type: ignore[arg-type]
    refused(TypeError, "normalized", lambda: fr.Linear(normalized=1))  # type: ignore[arg-type]
    refused(TypeError, "normalized", lambda: fr.Linear(None, "yes"))  # type: ignore[arg-type]
    refused(ValueError, "bandwidth", lambda: fr.gram(np.eye(3), "linear", 1.0))
    refused(TypeError, "x", lambda: fr.gram(np.eye(3, dtype=int), "linear"))
    refused(TypeError, "kernel", lambda: fr.lazy_gram(np.eye(3), "linear"))
    refused(ValueError, "kernel", lambda: fr.divergence(np.eye(3), np.eye(3), "linear"))


# -------------------------------------------------------------------------------------------------- gradients


def with_zeros(x: np.ndarray, settings: Any) -> np.ndarray:
    """One sample of zeros, where that has a gradient: its direction would have none."""
    if settings == (None, False):
        x[2] = 0
    return x


def test_gradients(settings: Any, draw: Draw) -> None:
    x = torch.tensor(with_zeros(draw.samples(5, 4), settings), requires_grad=True)
    kernel = fr.Linear(*settings)
    assert torch.autograd.gradcheck(lambda x: fr.gram(x, kernel), (x,))
    assert torch.autograd.gradgradcheck(lambda x: fr.gram(x, kernel), (x,))
    assert torch.autograd.gradcheck(lambda x: fr.entropy(fr.gram(x, kernel), [1.5, 2, 3]), (x,))


def test_gradients_of_every_scale(draw: Draw) -> None:
    x = torch.tensor(draw.samples(5, 4))
    weights = torch.tensor(draw.samples(5, 5))
    for scale in (1e-200, 1e200):
        given = (scale * x).requires_grad_()
        (found,) = torch.autograd.grad((fr.gram(given, "linear") * weights).sum(), given)
        plain = x.clone().requires_grad_()
        (expected,) = torch.autograd.grad((fr.gram(plain, "linear") * weights).sum(), plain)
        torch.testing.assert_close(found * scale, expected)


def test_under_transforms_and_compilers(settings: Any, draw: Draw) -> None:
    kernel = fr.Linear(*settings)
    x = torch.tensor(draw.samples(3, 5, 4))
    weights = torch.tensor(draw.samples(5, 5))

    def value(x: torch.Tensor) -> torch.Tensor:
        return (fr.gram(x, kernel) * weights).sum()

    one = x[0].clone().requires_grad_()
    (expected,) = torch.autograd.grad(value(one), one)
    torch.testing.assert_close(torch.func.grad(value)(x[0]), expected)
    torch.testing.assert_close(torch.vmap(torch.func.grad(value))(x)[0], expected)
    torch.testing.assert_close(torch.vmap(lambda x: fr.gram(x, kernel), in_dims=1)(x.movedim(0, 1)), fr.gram(x, kernel))
    compiled = torch.compile(value, fullgraph=True, backend="aot_eager")
    (found,) = torch.autograd.grad(compiled(one), one)
    torch.testing.assert_close(found, expected)


def test_inside_autocast_nothing_is_multiplied_in_half_precision(settings: Any, draw: Draw) -> None:
    x = torch.tensor(draw.samples(6, 5), dtype=torch.float32, requires_grad=True)
    kernel = fr.Linear(*settings)
    (expected,) = torch.autograd.grad(fr.gram(x, kernel)[0].sum(), x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = fr.gram(x, kernel)
        (gradient,) = torch.autograd.grad(found[0].sum(), x)
    torch.testing.assert_close(found, fr.gram(x, kernel), rtol=0, atol=1e-6)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("n", "d"), [(300, 17), (17, 300), (129, 128), (257, 520)], ids=str)
@pytest.mark.parametrize("side", ["samples", "features"])
def test_products_of_several_tiles(n: int, d: int, side: Any, dtype: str, settings: Any, draw: Draw) -> None:
    x = draw.samples(2, n, d).astype(dtype)
    found = fr.gram(x, fr.Linear(*settings, side))
    np.testing.assert_array_equal(found, np.swapaxes(found, -1, -2))
    z = np.stack([reference.linear_samples(one, *settings) for one in x.astype(float)])
    expected = z @ np.swapaxes(z, -1, -2) if side == "samples" else np.swapaxes(z, -1, -2) @ z
    expected /= np.trace(expected, axis1=-2, axis2=-1)[:, None, None]
    assert_close(found, expected, dtype)
    # One after the other, with all threads to each, where two are shared out to two threads.
    np.testing.assert_array_equal(found, np.stack([fr.gram(one, fr.Linear(*settings, side)) for one in x]))


def test_the_bits_do_not_depend_on_the_number_of_threads(draw: Draw) -> None:
    x = draw.samples(3, 300, 400)
    one, two = (_core.linear_gram(x, None, True, False, True, "samples", threads) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_what_python_must_not_pass(draw: Draw) -> None:
    x = draw.samples(2, 3, 4)
    for sizes in ([1], [0, 1], [1, 4], [[1, 2]]):
        with pytest.raises(ValueError, match="size"):
            _core.linear_gram(x, np.array(sizes), False, False, False, "samples", 1)
    with pytest.raises(ValueError, match="side"):
        _core.linear_gram(x, None, False, False, False, "rows", 1)
    with pytest.raises(ValueError, match="at least one"):
        _core.linear_gram(x[:, :0], None, False, False, False, "samples", 1)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_samples_of_length_one_have_each_their_own_scale(dtype: str) -> None:
    least = 1e-300 if dtype == "float64" else 1e-36
    x = np.array([[1 / least, 0, 0], [0, least, least], [0, 0, 3]]).astype(dtype)
    expected = reference.gram_linear(np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1]]), normalized=True)
    np.testing.assert_allclose(fr.gram(x, fr.Linear(normalized=True)), expected, rtol=1e-6, atol=0)
    found = fr.gram(torch.from_numpy(x).requires_grad_(), fr.Linear(normalized=True))
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-6, atol=0)


def test_features_are_centred_at_each_samples_own_scale(nx: Nx) -> None:
    x = np.array([[1e6, 3e6, 2e6], [1.0, 2.0, 4.0], [0.5e-20, -1e-20, 0.0]])
    settings = fr.Linear("features", normalized=True)
    found = nx.values(fr.gram(nx.array(x), settings))
    np.testing.assert_allclose(found, reference.gram_linear(x, "features", True), rtol=1e-5)
    np.testing.assert_allclose(np.diag(found), 1 / 3, rtol=1e-5)
