"""Lazy Grams against dense ones, and what is refused of them and of estimates."""

from __future__ import annotations

import gc
import math
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
from estimates import KERNELS, holds, quiet, samples
from fastrenyi.large import tiles


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_are_those_of_the_dense_gram(
    kernel: Any, dtype: str, rng: np.random.Generator, estimating: None
) -> None:
    x = samples(rng).astype(dtype)
    x[7] = x[3]
    lazy, dense = fr.lazy_gram(x, kernel), fr.gram(x.astype(np.float64), kernel)
    assert lazy.shape == (400, 400)
    assert lazy.dtype == x.dtype
    for shape in ((400,), (400, 3)):
        v = rng.normal(size=shape)
        np.testing.assert_allclose(lazy @ v, dense @ v, rtol=1e-11, atol=1e-12)
        assert (lazy @ v.astype(dtype)).dtype == dtype


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_what_is_kept_of_samples_goes_with_the_estimate(
    kernel: Any, where: str, rng: np.random.Generator, estimating: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and not when Python next looks for cycles: on a GPU it is memory that is wanted elsewhere."""
    made: list[weakref.ref[object]] = []

    def noted(*args: Any) -> object:
        found = tiles.tiles(*args)
        made.append(weakref.ref(found))
        return found

    monkeypatch.setattr("fastrenyi.large.matrix.tiles", noted)
    gc.disable()
    try:
        quiet(fr.entropy, fr.lazy_gram(samples(rng), kernel), 1.01, estimate=0.5)
        assert [ref() for ref in made] == [None] * len(made) != []
    finally:
        gc.enable()


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_tensors_of_every_kernel(kernel: Any, where: str, rng: np.random.Generator, estimating: None) -> None:
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(samples(rng).astype(np.float32))
    x[7] = x[3]
    lazy, dense = fr.lazy_gram(x, kernel), fr.gram(x.double(), kernel)
    v = torch.from_numpy(rng.normal(size=(400, 3)))
    torch.testing.assert_close(lazy @ v, dense @ v, rtol=1e-11, atol=1e-12)
    assert isinstance(lazy @ v.numpy(), np.ndarray)  # vectors stay where they are
    found = quiet(fr.entropy, [lazy, dense.float()], [1, 2], estimate=fr.Estimation(confidence=0.9999))
    holds(found, fr.entropy([dense, dense], [1, 2]).numpy(), slack=1e-5)


def test_tensors(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x = samples(rng)
    lazy = fr.lazy_gram(torch.from_numpy(x), bandwidth=1.0)
    v = rng.normal(size=400)
    found = lazy @ torch.from_numpy(v)
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), fr.gram(x, bandwidth=1.0) @ v, rtol=1e-11, atol=1e-12)
    assert lazy.dtype == torch.float64
    assert "torch float64 on cpu" in repr(lazy)
    assert float(fr.entropy(lazy)) == pytest.approx(float(fr.entropy(fr.gram(x, bandwidth=1.0))), abs=1e-10)


def test_other_tools_take_it_as_a_linear_operator(rng: np.random.Generator) -> None:
    linalg = pytest.importorskip("scipy.sparse.linalg")
    x = samples(rng)
    found = linalg.eigsh(linalg.aslinearoperator(fr.lazy_gram(x, bandwidth=1.0)), k=3, return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(found), fr.spectrum(fr.gram(x, bandwidth=1.0))[-3:], rtol=1e-9)


@pytest.mark.usefixtures("where")
def test_a_memory_map(tmp_path: Path, rng: np.random.Generator, estimating: None) -> None:
    x = samples(rng).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    found = quiet(fr.entropy, fr.lazy_gram(mapped, bandwidth=1.0), estimate=fr.Estimation(confidence=0.9999))
    holds(found, fr.entropy(fr.gram(x.astype(np.float64), bandwidth=1.0)))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r+")
    mapped[371, 2] = np.nan
    with pytest.raises(ValueError, match=r"^x: expected finite numbers, got nan at index \(371, 2\)"):
        fr.lazy_gram(mapped)


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("width", [1e-9, 1e-4, 1e-2])
def test_clusters_far_apart_keep_their_digits(
    offset: float, width: float, rng: np.random.Generator, estimating: None
) -> None:
    """Distances by products would lose what tells the samples of a cluster apart."""
    centres = rng.normal(size=(20, 3)).repeat(20, axis=0)
    x = centres + width * rng.normal(size=(400, 3)) + offset
    v = rng.normal(size=400)
    np.testing.assert_allclose(
        fr.lazy_gram(x, bandwidth=width) @ v, fr.gram(x, bandwidth=width) @ v, rtol=1e-6, atol=1e-7
    )


RULES = ["silverman", "scott", "median", "neighbours", fr.NearestNeighbours(3), fr.Median(0.5)]


@pytest.mark.parametrize("kernel", [fr.Gaussian, fr.Laplacian])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_widths_are_those_of_the_dense_gram(kernel: Any, rule: Any, rng: np.random.Generator) -> None:
    x = samples(rng)
    v = rng.normal(size=400)
    np.testing.assert_allclose(fr.lazy_gram(x, kernel(rule)) @ v, fr.gram(x, kernel(rule)) @ v, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_widths_of_many_samples_are_near_to_those_of_all(rule: Any, rng: np.random.Generator) -> None:
    x = samples(rng, 2500)
    lazy, dense = fr.lazy_gram(x, fr.Gaussian(rule)), fr.gram(x, fr.Gaussian(rule))
    ones = np.ones(2500)
    assert (lazy @ ones).sum() == pytest.approx((dense @ ones).sum(), rel=0.3)


@pytest.mark.usefixtures("where")
def test_a_width_of_zero_is_the_narrow_limit(rng: np.random.Generator) -> None:
    x = np.repeat(samples(rng, 40), 10, axis=0)
    x = np.concatenate([x, np.zeros((600, 4))])
    lazy = fr.lazy_gram(x, bandwidth="median")
    assert float(fr.entropy(lazy, alpha=2)) == pytest.approx(float(fr.entropy(fr.gram(x, bandwidth="median"), alpha=2)))


def refused(error: type[Exception], match: str, call: Any) -> None:
    with pytest.raises(error, match=match):
        call()


def test_bad_input(rng: np.random.Generator) -> None:
    x = samples(rng)
    lazy, dense = fr.lazy_gram(x), fr.gram(x)
    other = fr.lazy_gram(x[:300])
    refused(
        ValueError,
        r"^b: expected Grams of n = 400 samples, as a, got shape",
        lambda: fr.mutual_information(lazy, other),
    )
    refused(ValueError, r"^alpha: expected orders above 0 for large Grams", lambda: fr.entropy(lazy, 0))
    refused(ValueError, r"^a: expected one Gram \(n, n\)", lambda: fr.entropy(np.stack([dense] * 2), estimate=0.1))
    refused(ValueError, r"^x: expected samples of shape \(n, d\)", lambda: fr.lazy_gram(x[None]))
    refused(ValueError, r"^x: .*labels|^x: expected samples", lambda: fr.lazy_gram(x[0]))
    refused(
        ValueError, r"^bandwidth: expected a rule for a Gram", lambda: fr.lazy_gram(x, bandwidth=fr.Alignment(dense))
    )
    refused(TypeError, r"^grams\[0\]: expected dense Grams for normalized=True",
            lambda: fr.total_correlation(lazy, lazy, normalized=True))  # fmt: skip
    refused(TypeError, r"^a: expected dense Grams for permutations", lambda: fr.permutation_test(lazy, lazy, 3))
    refused(TypeError, r"^maps: expected an array", lambda: fr.layer_decomposition(lazy, dense))
    refused(ValueError, r"^v: expected vectors of shape \(400,\)", lambda: lazy @ np.ones(3))
    for tol in (0, -1, math.nan):
        refused(
            ValueError,
            r"^estimate: expected a finite number above zero",
            lambda tol=tol: fr.entropy(lazy, estimate=tol),
        )
        refused(ValueError, r"^tol: expected a finite number above zero", lambda tol=tol: fr.Estimation(tol=tol))
    refused(ValueError, r"^confidence: expected a probability below 1", lambda: fr.Estimation(confidence=1.0))
    refused(ValueError, r"^solve: expected an integer of at least 0", lambda: fr.Estimation(solve=-1))
    refused(TypeError, r"^progress", lambda: fr.Estimation(progress=1))  # type: ignore[arg-type]
    for scale in (1e200, 1e307):
        refused(
            ValueError, r"^x: expected samples within 1e100 widths", lambda s=scale: fr.lazy_gram(x * s, bandwidth=1.0)
        )
    for scale in (1e200, 1e-200):
        found = fr.entropy(fr.lazy_gram(x * scale, "cosine"))
        assert float(found) == pytest.approx(float(fr.entropy(fr.gram(x, "cosine"))), abs=1e-9)
    refused(TypeError, r"^a: expected an array .* by fastrenyi\.gram$", lambda: fr.spectrum(lazy))
    assert f"{fr.entropy(lazy):.1f}" == f"{float(fr.entropy(lazy)):.1f}"


@pytest.mark.usefixtures("where")
def test_indefinite_matrices_are_refused(rng: np.random.Generator) -> None:
    indefinite = np.diag(np.array([1.25, -0.25] + [0.0] * 30))
    noise = rng.normal(size=(300, 300))
    noise = (noise + noise.T) / 300
    np.fill_diagonal(noise, 1 / 300)
    large = 10 * noise
    np.fill_diagonal(large, 1 / 300)
    for a, alpha, solve in ((indefinite, 1, None), (noise, 1, None), (noise, 1, 0), (noise, 3, 0), (large, 2, 0)):
        how = fr.Estimation(tol=0.1, solve=solve)
        refused(fr.NotPositiveSemidefiniteError, r"^a: expected positive semidefinite",
                lambda a=a, o=alpha, how=how: fr.entropy(a, o, estimate=how))  # fmt: skip


def test_the_linear_kernel_has_a_smaller_side(rng: np.random.Generator) -> None:
    match = r"kernel: expected .+, got Linear; of its own spectrum gram\(x, Linear\(side=.smaller.\)\) has all"
    refused(TypeError, match, lambda: fr.lazy_gram(samples(rng), "linear"))


def test_tensors_elsewhere_are_refused() -> None:
    torch = pytest.importorskip("torch")
    x = torch.zeros(10, 2, device="meta")
    refused(fr.BackendUnavailableError, r"^x: expected an array on a device that is served", lambda: fr.lazy_gram(x))


def test_tensors_with_a_gradient_are_refused() -> None:
    torch = pytest.importorskip("torch")
    x = torch.randn(10, 2, requires_grad=True)
    refused(TypeError, r"^x: expected a tensor without a gradient.*x\.detach\(\)$", lambda: fr.lazy_gram(x))
    fr.lazy_gram(x.detach())
