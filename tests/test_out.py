"""Results written to memory of the caller's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
from conftest import HALVES, Draw, Nx, refused

KERNELS: dict[str, Any] = {
    "gaussian": fr.Gaussian(1.5), "median": fr.Gaussian("median"), "laplacian": fr.Laplacian(1.5),
    "cosine": fr.Cosine(), "polynomial": fr.Polynomial(2), "linear": fr.Linear(),
    "features": fr.Linear("samples", side="features"), "delta": fr.Delta(),
}  # fmt: skip


def empty(nx: Nx, shape: tuple[int, ...]) -> Any:
    return nx.plain.array(np.full(shape, np.nan))


@pytest.mark.parametrize("name", KERNELS)
def test_a_gram_is_the_same_and_stands_there(name: str, nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    x = nx.array(draw.samples(*batch, 5, 3))
    right = fr.gram(x, KERNELS[name])
    out = empty(nx, tuple(right.shape))
    assert fr.gram(x, KERNELS[name], out=out) is out
    np.testing.assert_array_equal(nx.values(out), nx.values(right))


@pytest.mark.parametrize("nx_half", HALVES, ids=str)
def test_half_precision_is_copied_there(nx_half: Nx, draw: Draw) -> None:
    x = nx_half.array(draw.samples(5, 3))
    out = empty(nx_half, (5, 5))
    assert fr.gram(x, out=out) is out
    np.testing.assert_array_equal(nx_half.values(out), nx_half.values(fr.gram(x)))


def test_of_layers_and_tensors(nx: Nx, draw: Draw) -> None:
    maps = nx.array(draw.samples(5, 2, 3, 3))
    for grams, shape in ((fr.channel_grams, (2, 5, 5)), (fr.tensor_gram, (5, 5))):
        out = empty(nx, shape)
        assert grams(maps, out=out) is out  # type: ignore[operator]
        np.testing.assert_array_equal(nx.values(out), nx.values(grams(maps)))  # type: ignore[operator]


def test_eigenvalues(nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    a = nx.array(draw.matrices(*batch, 6))
    out = empty(nx, (*batch, 6))
    assert fr.spectrum(a, out=out) is out
    np.testing.assert_array_equal(nx.values(out), nx.values(fr.spectrum(a)))


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_on_a_device(library: str, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastrenyi._emulated")
    monkeypatch.setitem(fr._backend.MODULES, "cpu", "_emulated")  # type: ignore[attr-defined]
    nx = Nx(library, "float64")
    x = nx.array(draw.samples(2, 5, 3))
    for kernel in KERNELS.values():
        right = nx.values(fr.gram(x, kernel))
        out = empty(nx, right.shape)
        assert fr.gram(x, kernel, out=out) is out
        np.testing.assert_array_equal(nx.values(out), right)
    a, out = fr.gram(x), empty(nx, (2, 5))
    assert fr.spectrum(a, out=out) is out
    np.testing.assert_array_equal(nx.values(out), nx.values(fr.spectrum(a)))


def test_no_new_memory_for_large_results() -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    x, out = np.random.default_rng(0).normal(size=(1000, 3)), np.empty((1000, 1000))
    tracemalloc.start()
    fr.gram(x, bandwidth=1.0, out=out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < out.nbytes / 10


def test_a_view_of_a_larger_array_and_what_is_around_it(draw: Draw) -> None:
    room = np.full((4, 5, 5), 7.0)
    x = draw.samples(5, 3)
    fr.gram(x, out=room[1])
    np.testing.assert_array_equal(room[1], fr.gram(x))
    assert (room[[0, 2, 3]] == 7).all()


# ------------------------------------------------------------------------------------------------------- autograd


def test_without_a_gradient_alone(draw: Draw) -> None:
    x, out = torch.tensor(draw.samples(5, 3)), torch.empty(5, 5, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    refused(TypeError, "out", lambda: fr.gram(leaf, out=out))
    refused(TypeError, "out", lambda: fr.gram(x, out=out.clone().requires_grad_()))
    width = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    refused(TypeError, "out", lambda: fr.gram(x, bandwidth=width, out=out))
    refused(TypeError, "out", lambda: fr.spectrum(fr.gram(leaf), out=torch.empty(5, dtype=torch.float64)))
    with torch.no_grad():
        assert fr.gram(leaf, out=out) is out
    assert not out.requires_grad
    torch.testing.assert_close(out, fr.gram(x))
    with torch.inference_mode():
        fr.gram(x, out=torch.empty(5, 5, dtype=torch.float64))


@pytest.mark.parametrize("kernel", ["gaussian", "linear"])
def test_autograd_sees_that_it_was_written_to(kernel: Any, draw: Draw) -> None:
    x, kept = torch.tensor(draw.samples(5, 3)), torch.empty(5, 5, dtype=torch.float64)
    leaf = torch.ones(5, 5, dtype=torch.float64, requires_grad=True)
    product = (leaf * kept).sum()
    fr.gram(x, kernel, out=kept)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation"):
        product.backward()


def test_not_where_tensors_are_mapped_over(draw: Draw) -> None:
    x = torch.tensor(draw.samples(2, 5, 3))
    with pytest.raises((TypeError, ValueError), match=r"^out: "):
        torch.vmap(lambda x: fr.gram(x, out=torch.empty(5, 5, dtype=torch.float64)))(x)


# ------------------------------------------------------------------------------------------------- what is refused


def test_what_is_refused(nx_dtype: Nx, draw: Draw) -> None:
    values = draw.samples(6, 3)
    x = nx_dtype.array(values)
    refused(TypeError, "out", lambda: fr.gram(x, out=[[0.0]]))
    refused(TypeError, "out", lambda: fr.gram(x, out="memory"))
    refused(ValueError, "out", lambda: fr.gram(x, out=empty(nx_dtype, (6, 5))))
    refused(ValueError, "out", lambda: fr.gram(x, out=empty(nx_dtype, (1, 6, 6))))
    other = Nx(nx_dtype.library, "float32" if nx_dtype.dtype == "float64" else "float64")
    refused(TypeError, "out", lambda: fr.gram(x, out=empty(other, (6, 6))))
    foreign = Nx("numpy" if nx_dtype.library == "torch" else "torch", "float64")
    refused(TypeError, "out", lambda: fr.gram(x, out=empty(foreign, (6, 6))))
    refused(ValueError, "out", lambda: fr.gram(x, out=empty(nx_dtype, (6, 12))[:, ::2]))
    refused(ValueError, "out", lambda: fr.gram(x, out=empty(nx_dtype, (6, 6)).T))
    refused(ValueError, "out", lambda: fr.gram(x, lengths=3, out=empty(nx_dtype, (6, 6))))


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_memory_that_is_read(library: str, draw: Draw) -> None:
    x = draw.samples(6, 6)
    shared = torch.from_numpy(x) if library == "torch" else x
    refused(ValueError, "out", lambda: fr.gram(shared, out=shared))
    refused(ValueError, "out", lambda: fr.gram(shared[:, :2], out=shared))
    a = fr.gram(shared)
    refused(ValueError, "out", lambda: fr.spectrum(a, out=a[2]))


def test_memory_that_is_read_only(draw: Draw) -> None:
    out = np.empty((5, 5))
    out.flags.writeable = False
    assert "read-only" in refused(ValueError, "out", lambda: fr.gram(draw.samples(5, 3), out=out))
