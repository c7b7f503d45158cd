"""Matrices are judged by the precision that their numbers were made in, whatever dtype they were cast to since."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import fastrenyi as fr
import reference
from conftest import Draw
from fastrenyi._array import made_in
from precisions import IN_BOTH, LOWER, SIZES, cast, made, numbers
from tolerances import assert_bits


def test_the_dtype_that_numbers_show(draw: Draw) -> None:
    x = draw.samples(3, 5, 5)
    for lower, higher in LOWER:
        rounded = torch.from_numpy(x).to(getattr(torch, lower))
        assert made_in(rounded) == ("torch", lower, "cpu")
        assert made_in(rounded.to(getattr(torch, higher))) == ("torch", lower, "cpu")
        values = cast(rounded, "numpy", higher)
        for view in [values, values[::-1, ::2, 1:], values.transpose(2, 0, 1), np.broadcast_to(values, (2, 3, 5, 5))]:
            assert made_in(view) == ("numpy", lower, "cpu")
    assert made_in(x).dtype == "float64"
    # One number of all bits is enough.
    almost = x.astype(np.float32).astype(np.float64)
    almost[2, 4, 4] = 1 / 3
    assert made_in(almost).dtype == "float64"


def test_numbers_that_show_nothing() -> None:
    for x in [np.zeros((3, 3)), np.eye(64) / 64, np.ones((0, 3, 3)), np.arange(100.0), np.array([math.inf, math.nan])]:
        assert made_in(x).dtype == "float64"
        assert made_in(x.astype(np.float32)).dtype == "float32"


@pytest.mark.parametrize(("library", "lower", "higher"), IN_BOTH)
@pytest.mark.parametrize("n", SIZES)
def test_a_cast_to_a_higher_dtype_is_no_error(library: str, lower: str, higher: str, n: int, draw: Draw) -> None:
    a, exact = made(draw, n, lower)
    b, other = made(draw, n, lower)
    a, b = cast(a, library, higher), cast(b, library, higher)
    # Beyond 50 samples half precision has lost more of so flat a spectrum than the tolerance is for.
    alpha = 1.01 if lower == "float32" or n <= 50 else 2
    assert_bits(numbers(fr.entropy(a, alpha)), reference.entropy(exact, alpha), lower, alpha)
    expected = reference.mutual_information(exact, other, alpha)
    assert_bits(numbers(fr.mutual_information(a, b, alpha=alpha)), expected, lower, alpha, terms=3)
    assert numbers(fr.spectrum(a)).shape == (n,)


@pytest.mark.parametrize("kernel", ["laplacian", "cosine", "polynomial"])
@pytest.mark.parametrize(("lower", "higher"), LOWER)
def test_of_every_kernel(kernel: str, lower: str, higher: str, draw: Draw) -> None:
    for n in [3, 17, 64]:
        x = torch.from_numpy(draw.samples(n, 3)).to(getattr(torch, lower))
        a = fr.gram(x, kernel).to(getattr(torch, higher))
        of_doubles = fr.gram(x.double(), kernel)
        assert_bits(numbers(fr.entropy(a, 2)), reference.entropy(of_doubles, 2), lower, 2)


def test_every_measure_takes_them(draw: Draw) -> None:
    grams, exact = zip(*(made(draw, 20, "float32") for _ in range(3)), strict=True)
    a, b, c = (gram.double() for gram in grams)
    for name in ["joint_entropy", "total_correlation", "dual_total_correlation", "o_information"]:
        expected = getattr(reference, name)(*exact)
        assert_bits(numbers(getattr(fr, name)(a, b, c)), expected, "float32", terms=8)
    layer, right = (
        fr.layer_decomposition(torch.stack([a, b]), c, null=2),
        reference.layer_decomposition(exact[:2], exact[2]),
    )
    assert_bits(numbers(layer.mmi), right["mmi"], "float32", terms=3)
    assert_bits(numbers(layer.tradeoff), right["tradeoff"], "float32", terms=9)
    test = fr.permutation_test(a, b, 3)
    assert_bits(numbers(test.value), reference.mutual_information(*exact[:2]), "float32", terms=3)
    batch = torch.stack([a, b])[:, None]
    assert_bits(numbers(fr.entropy(batch))[:, 0], [reference.entropy(each) for each in exact[:2]], "float32")
    x = fr.gram(torch.from_numpy(draw.samples(20, 3)), bandwidth=fr.Alignment(a))
    assert numbers(x).shape == (20, 20)


def test_the_rank_of_what_was_rounded_is_that_of_its_precision(draw: Draw) -> None:
    x = draw.samples(50, 3).astype(np.float32)
    assert fr.entropy(fr.gram(x, "cosine").astype(np.float64), 0) == pytest.approx(np.log2(3))


def test_asymmetry_of_the_precision_is_rounding(draw: Draw) -> None:
    a, exact = made(draw, 12, "float32")
    values = a.numpy().copy()
    values[3, 5] = np.nextafter(values[5, 3], np.float32(1))
    assert_bits(fr.entropy(values.astype(np.float64)), reference.entropy(exact), "float32")
    values[3, 5] += 1e-3
    with pytest.raises(
        ValueError, match=r"^a: expected symmetric matrices, got .* \+ 0\.001 at|^a: expected symmetric"
    ):
        fr.entropy(values.astype(np.float64))


def indefinite_by_rounding(draw: Draw) -> torch.Tensor:
    """A Gram of float32 that has no trace of one and eigenvalues below zero to the eyes of float64."""
    a = fr.gram(torch.from_numpy(draw.samples(40, 3)).float(), bandwidth=5.0)
    assert torch.linalg.eigvalsh(a.double())[0] < -1e-11
    return a


def test_transforms_and_gradients(draw: Draw) -> None:
    a = indefinite_by_rounding(draw)
    single, double = a.clone().requires_grad_(), a.double().requires_grad_()
    for alpha in [2, 3, [2, 3]]:
        (expected,) = torch.autograd.grad(fr.entropy(single, alpha).sum(), single)
        (found,) = torch.autograd.grad(fr.entropy(double, alpha).sum(), double)
        torch.testing.assert_close(found, expected.double(), rtol=1e-3, atol=1e-3)
    assert torch.autograd.grad(fr.entropy(double, [0.5, 1, 1.01]).sum(), double)[0].isfinite().all()
    plain = fr.entropy(a.double(), 3)
    torch.testing.assert_close(torch.vmap(lambda v: fr.entropy(v, 3))(a.double()[None])[0], plain)
    compiled = torch.compile(lambda v: fr.entropy(v, 3), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(a.double()), plain)


def test_what_no_precision_explains_is_refused(draw: Draw) -> None:
    a = indefinite_by_rounding(draw).double()
    noise = torch.from_numpy(draw.samples(40, 40)).triu(1).float().double() / 2**17
    half = torch.diag(torch.tensor([1.25, -0.25]))
    for bad, precision in [((a + noise + noise.T).float(), "float32"), (half, "float32"), (half.double(), "float64")]:
        for shown in [bad, bad.double()]:
            with pytest.raises(fr.NotPositiveSemidefiniteError, match=f"rounding of (float64|{precision}) explains"):
                fr.entropy(shown)
    # A matrix of float64 whose bits are all there is judged as one.
    with pytest.raises(fr.NotPositiveSemidefiniteError, match="rounding of float64 explains"):
        fr.entropy(np.diag([1 + 1e-9, -1e-9]))


def test_exact_numbers_are_no_sign_of_a_lower_precision() -> None:
    """Labels of 64 samples have the entries 0 and 1/64, which any dtype has."""
    labels = fr.gram(np.arange(64) % 4, "delta")
    bad = np.diag([-0.003, *np.full(63, 1.003 / 63)])
    for call in [fr.mutual_information, fr.joint_entropy]:
        with pytest.raises(fr.NotPositiveSemidefiniteError):
            call(bad, labels)
