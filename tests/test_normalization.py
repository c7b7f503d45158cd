"""Grams of kernel matrices that the caller brings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
import reference
from conftest import Draw, Nx, refused, with_value
from tolerances import GRAM, assert_gram

K = np.array([[4.0, 1.0, 0.5], [1.0, 1.0, 0.0], [0.5, 0.0, 9.0]])


def test_against_the_reference(draw: Draw, nx: Nx, batch: tuple[int, ...]) -> None:
    k = 7 * draw.matrices(*batch, 6)
    rounded = nx.rounded(k)
    found = nx.values(fr.normalize(nx.array(k)))
    assert_gram(found, reference.over_batch(reference.normalize, rounded), nx.dtype)
    np.testing.assert_array_equal(found, np.swapaxes(found, -1, -2))


def test_every_dtype(draw: Draw, nx_dtype: Nx) -> None:
    k = draw.matrices(2, 5)
    found = nx_dtype.values(fr.normalize(nx_dtype.array(k)))
    assert_gram(found, reference.over_batch(reference.normalize, nx_dtype.rounded(k)), nx_dtype.dtype)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_scale_does_not_matter(scale: float) -> None:
    np.testing.assert_allclose(fr.normalize(K * scale), reference.normalize(K), rtol=0, atol=GRAM["float64"])


def test_degenerate_matrices() -> None:
    np.testing.assert_allclose(fr.normalize(np.array([[3.0]])), [[1.0]], rtol=1e-15)
    np.testing.assert_allclose(fr.normalize(np.full((4, 4), 0.3)), 0.25)
    np.testing.assert_array_equal(fr.normalize(np.diag([1.0, 4.0])), np.eye(2) / 2)


def test_it_is_what_gram_makes(draw: Draw) -> None:
    x = draw.samples(6, 3)
    assert_gram(fr.normalize(x @ x.T), fr.gram(x, "cosine"), "float64")
    assert np.isfinite(fr.entropy(fr.normalize(x @ x.T)))


def test_gradients(draw: Draw) -> None:
    factor = torch.tensor(draw.samples(5, 5), requires_grad=True)

    def call(f: torch.Tensor) -> Any:
        return fr.normalize(f @ f.T + torch.eye(5))

    torch.autograd.gradcheck(call, (factor,))
    (expected,) = torch.autograd.grad(fr.entropy(call(factor)), factor)
    compiled = torch.compile(lambda f: fr.entropy(call(f)), fullgraph=True, backend="aot_eager")
    (found,) = torch.autograd.grad(compiled(factor), factor)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.func.grad(lambda f: fr.entropy(call(f)))(factor.detach()), expected)


def test_what_is_refused(nx_dtype: Nx) -> None:
    for kind in [None, K.tolist(), K.astype(int), "kernel"]:
        refused(TypeError, "k", lambda kind=kind: fr.normalize(kind))
    for shape in [(3,), (2, 3), (0, 0)]:
        refused(ValueError, "k", lambda shape=shape: fr.normalize(nx_dtype.array(np.ones(shape))))
    bad = np.stack([K, K])
    for value in [np.nan, np.inf]:
        at = (1, 0, 1), (1, 1, 0)
        assert "(1, 0, 1)" in refused(
            ValueError, "k", lambda v=value, at=at: fr.normalize(nx_dtype.array(with_value(bad, v, *at)))
        )
    refused(ValueError, "k", lambda: fr.normalize(nx_dtype.array(with_value(K, 0.9, (0, 1)))))
    for value in [0.0, -1.0]:
        message = refused(ValueError, "k", lambda v=value: fr.normalize(nx_dtype.array(with_value(bad, v, (1, 2, 2)))))
        assert "(1, 2)" in message
        assert "positive diagonal" in message


# ------------------------------------------------------------------------------------- what is no kernel


def indefinite(draw: Draw, *shape: int) -> np.ndarray:
    k = draw.samples(*shape, shape[-1])
    return np.where(np.eye(shape[-1]) > 0, 1, (k + np.swapaxes(k, -1, -2)) / 2)


def clipped(k: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(k)
    return reference.normalize((vectors * values.clip(0)) @ vectors.T)


@pytest.mark.parametrize("shape", [(12,), (2, 3, 12)], ids=str)
def test_negative_eigenvalues_are_clipped(draw: Draw, nx: Nx, shape: tuple[int, ...]) -> None:
    k = indefinite(draw, *shape)
    with pytest.warns(UserWarning, match=r"k: negative eigenvalues were set to zero, \d+\.\d+% of") as told:
        found = nx.values(fr.normalize(nx.array(k), clip=True))
    assert nx.library == "torch" or told[0].filename == __file__
    tolerance = 1e-12 if nx.dtype == "float64" else 1e-5
    np.testing.assert_allclose(found, reference.over_batch(clipped, nx.rounded(k)), rtol=0, atol=tolerance)
    assert np.isfinite(fr.entropy(found.astype(nx.dtype))).all()


@pytest.mark.parametrize("n", [2, 3, 5, 40])
@pytest.mark.filterwarnings("ignore:k. negative")
def test_what_is_clipped_passes(n: int, draw: Draw, nx_dtype: Nx) -> None:
    for _ in range(20):
        a = fr.normalize(nx_dtype.array(indefinite(draw, 3, n)), clip=True)
        assert np.isfinite(nx_dtype.values(fr.entropy(a))).all()


def test_of_a_kernel_matrix_nothing_is_clipped(draw: Draw) -> None:
    k = 9 * draw.grams(9)
    k[8] = k[:, 8] = k[7]  # of eight samples and one of them again
    k[8, 8] = k[8, 7] = k[7, 8] = 1
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-13)):
        found = fr.normalize(k.astype(dtype), clip=True)
        np.testing.assert_allclose(found, fr.normalize(k.astype(dtype)), rtol=0, atol=tolerance)


@pytest.mark.filterwarnings("ignore:k. negative")
def test_what_is_clipped_is_a_constant_of_the_gradient(draw: Draw) -> None:
    k = torch.tensor(indefinite(draw, 6), requires_grad=True)
    (found,) = torch.autograd.grad(fr.entropy(fr.normalize(k, clip=True), 2), k)
    values, vectors = torch.linalg.eigh(k.detach())
    away = (vectors * values.clamp(max=0)) @ vectors.T
    (expected,) = torch.autograd.grad(fr.entropy(fr.normalize(k - away), 2), k)
    torch.testing.assert_close(found, expected)
    compiled = torch.compile(lambda k: fr.entropy(fr.normalize(k, True), 2), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(compiled(k), k)[0], expected)
    both = torch.stack([k, k]).detach()
    torch.testing.assert_close(torch.vmap(lambda k: fr.normalize(k, clip=True))(both), fr.normalize(both, clip=True))


def test_an_indefinite_one_says_how_to_clip(draw: Draw) -> None:
    refused(TypeError, "clip", lambda: fr.normalize(K, clip=1))  # type: ignore[arg-type]
    with pytest.raises(fr.NotPositiveSemidefiniteError, match=r"fastrenyi.normalize\(k, clip=True\)"):
        fr.entropy(fr.normalize(indefinite(draw, 12)))


def test_it_is_the_way_out_of_a_trace_that_is_not_one() -> None:
    message = refused(ValueError, "b", lambda: fr.mutual_information(np.eye(3) / 3, K))
    assert "fastrenyi.normalize(b)" in message
    assert np.isfinite(fr.mutual_information(np.eye(3) / 3, fr.normalize(K)))


@pytest.mark.filterwarnings("ignore:k. negative")
def test_clipped_on_a_device(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on a GPU, on its kernels emulated on the host."""
    pytest.importorskip("fastrenyi._emulated")
    k = torch.from_numpy(indefinite(draw, 2, 9))
    expected = fr.normalize(k, clip=True)
    monkeypatch.setitem(fr._backend.MODULES, "cpu", "_emulated")  # type: ignore[attr-defined]
    torch.testing.assert_close(fr.normalize(k, clip=True), expected)
