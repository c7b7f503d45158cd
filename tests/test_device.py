"""The public functions on a device's arrays against the reference: emulated kernels, and a GPU if there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
import reference
from conftest import Draw
from fastrenyi import _backend
from tolerances import assert_bits, assert_gram


class On:
    """A library and a device."""

    def __init__(self, library: str, device: str) -> None:
        self.library, self.device = library, device

    def array(self, values: Any, dtype: str) -> Any:
        if self.library == "torch":
            import torch

            return torch.tensor(np.asarray(values), dtype=getattr(torch, dtype), device=self.device)
        return self.xp.asarray(values, dtype=dtype)

    @property
    def xp(self) -> Any:
        return pytest.importorskip("cupy") if self.library == "cupy" else np

    def values(self, found: Any, dtype: str) -> Any:
        """The numbers of a result, which must have stayed in its library, on its device and in its dtype."""
        if self.library == "torch":
            assert found.device.type == self.device
            assert str(found.dtype) == f"torch.{dtype}"
            return found.double().cpu().numpy()
        assert isinstance(found, (self.xp.ndarray, self.xp.generic))
        assert found.dtype == dtype
        return (found.get() if self.library == "cupy" else found).astype(np.float64)


def _gpu() -> str:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    pytest.importorskip("fastrenyi._cuda")
    return "cuda"


@pytest.fixture(params=["emulated-numpy", "emulated-torch", "cuda-torch", "cuda-cupy"])
def on(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> On:
    kernels, _, library = request.param.partition("-")
    if kernels == "emulated":
        pytest.importorskip("fastrenyi._emulated")
        monkeypatch.setitem(_backend.MODULES, "cpu", "_emulated")
        device = "cpu"
    else:
        device = _gpu()
    return On(library, device)


KERNELS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "gaussian": (fr.Gaussian(1.5), lambda x: reference.gram_gaussian(x, 1.5)),
    "laplacian": (fr.Laplacian(2.0), lambda x: reference.gram_laplacian(x, 2.0)),
    "cosine": ("cosine", reference.gram_cosine),
    "polynomial": (fr.Polynomial(2, coef0=0.5), lambda x: reference.gram_polynomial(x, 2, coef0=0.5)),
    "linear": (fr.Linear("samples"), lambda x: reference.gram_linear(x, "samples")),
    "median": (fr.Gaussian("median"), lambda x: reference.gram_gaussian(x, reference.median(x))),
    "scott": (fr.Gaussian("scott"), lambda x: reference.gram_gaussian(x, reference.scott(x))),
    "neighbours": (
        fr.Gaussian(fr.NearestNeighbours(3)),
        lambda x: reference.gram_gaussian(x, reference.neighbours(x, 3)),
    ),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", [(2, 3), (33, 5), (3, 20, 40)], ids=str)
def test_grams(shape: tuple[int, ...], kernel: str, dtype: str, on: On, draw: Draw) -> None:
    if kernel == "neighbours" and shape[-2] <= 3:
        shape = (4, shape[-1])
    x = draw.samples(*shape).astype(dtype).astype(np.float64)
    given, right = KERNELS[kernel]
    found = fr.gram(on.array(x, dtype), given)
    assert_gram(on.values(found, dtype), reference.over_batch(right, x), dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_grams_of_a_layer(dtype: str, on: On, draw: Draw) -> None:
    maps = draw.samples(10, 3, 4, 5).astype(dtype).astype(np.float64)
    right = np.stack([reference.gram_gaussian(maps[:, c].reshape(10, 20), 2.0) for c in range(3)])
    assert_gram(on.values(fr.channel_grams(on.array(maps, dtype), bandwidth=2.0), dtype), right, dtype)


def grams(draw: Draw, dtype: str, *shape: int) -> Any:
    """Grams as the dtype holds them."""
    return draw.rounded(dtype, *shape).astype(np.float64)


MEASURES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "mutual information": (fr.mutual_information, reference.mutual_information),
    "total correlation": (fr.total_correlation, reference.total_correlation),
    "joint entropy": (fr.joint_entropy, reference.joint_entropy),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("alpha", [0.5, 1, 1.01, 2, 5, float("inf")])
@pytest.mark.parametrize("measure", MEASURES)
def test_measures(measure: str, alpha: float, dtype: str, on: On, draw: Draw) -> None:
    a, b = grams(draw, dtype, 4, 9), grams(draw, dtype, 9)
    ours, right = MEASURES[measure]
    found = ours(on.array(a, dtype), on.array(b, dtype), alpha=alpha)
    expected = np.array([right(one, b, alpha=alpha) for one in a])
    assert_bits(on.values(found, dtype), expected, dtype, alpha, n=9, terms=3)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("alpha", [1.01, 2])
def test_layers(alpha: float, dtype: str, on: On, draw: Draw) -> None:
    maps, target = grams(draw, dtype, 4, 8), grams(draw, dtype, 8)
    found = fr.layer_decomposition(on.array(maps, dtype), on.array(target, dtype), alpha)
    right = reference.layer_decomposition(maps, target, alpha)
    for name in ("mmi", "tradeoff", "nonredundant", "pairwise"):
        expected = right[name] if isinstance(right, dict) else getattr(right, name)
        assert_bits(on.values(getattr(found, name), dtype), np.asarray(expected), dtype, alpha, n=8, terms=6)


def test_a_sample_of_pairs(on: On, draw: Draw) -> None:
    maps, target = grams(draw, "float64", 6, 8), grams(draw, "float64", 8)
    found = fr.layer_decomposition(on.array(maps, "float64"), on.array(target, "float64"), max_pairs=5, seed=2, null=2)
    host = fr.layer_decomposition(maps, target, max_pairs=5, seed=2)  # of which pairs: the numbers are the reference's
    pairwise = on.values(found.pairwise, "float64")
    there = ~np.isnan(pairwise)
    np.testing.assert_array_equal(there, ~np.isnan(host.pairwise))
    expected = np.asarray(reference.layer_decomposition(maps, target)["pairwise"])
    assert_bits(pairwise[there], expected[there], "float64", 1.01, n=8, terms=6)
    assert found.pairs == 5


def test_ranked_maps(on: On, draw: Draw) -> None:
    maps, target = grams(draw, "float64", 5, 8), grams(draw, "float64", 8)
    found = fr.rank_maps(on.array(maps, "float64"), on.array(target, "float64"), null=2)
    right = reference.rank_maps(maps, target)
    assert [int(f) for f in found.order] == right["order"]
    for name in ("relevance", "gain", "redundancy"):
        assert_bits(on.values(getattr(found, name), "float64"), np.array(right[name]), "float64", n=8, terms=6)
    host = fr.rank_maps(maps, target, null=2)
    assert_bits(on.values(found.null.gain.null, "float64"), host.null.gain.null, "float64", n=8, terms=6)
    assert int(found.informative) == int(host.informative)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_layers_without_one_map(dtype: str, on: On, draw: Draw) -> None:
    maps, target = grams(draw, dtype, 5, 8), grams(draw, dtype, 8)
    found = fr.leave_one_out(on.array(maps, dtype), on.array(target, dtype))
    right = reference.leave_one_out(maps, target)
    for name in ("without", "single", "joint", "synergy", "unique_upper"):
        assert_bits(on.values(getattr(found, name), dtype), right[name], dtype, n=8, terms=6)


@pytest.mark.parametrize("with_target", [False, True])
def test_groups(with_target: bool, on: On, draw: Draw) -> None:
    maps, target = grams(draw, "float64", 5, 8), grams(draw, "float64", 8)
    given = on.array(target, "float64") if with_target else None
    found = fr.group_o_information(on.array(maps, "float64"), 3, given, [1.01, 2])
    for k, alpha in enumerate((1.01, 2)):
        right = reference.group_o_information(maps, 3, target if with_target else None, alpha)
        assert [tuple(map(int, group)) for group in found.groups] == list(right)
        assert_bits(on.values(found.values, "float64")[:, k], [*right.values()], "float64", n=8, terms=12)


def test_labels(on: On) -> None:
    labels = on.array([0, 0, 1, 1, 2, 2], "int64")
    found = fr.entropy(fr.gram(labels, fr.Delta("float64")), alpha=1)
    assert_bits(on.values(found, "float64"), np.float64(np.log2(3)), "float64", 1, n=6)


def test_wrong_numbers_are_named(on: On, draw: Draw) -> None:
    x, a = draw.samples(5, 3), grams(draw, "float64", 2, 5)
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"x: expected finite numbers, got nan at index \(3, 1\)"):
        fr.gram(on.array(x, "float64"), bandwidth=1.0)
    a[1, 0, 2] += 0.1
    with pytest.raises(ValueError, match=r"b: expected symmetric matrices.*\(1, (0, 2|2, 0)\)"):
        fr.mutual_information(on.array(a[0], "float64"), on.array(a, "float64"))
    indefinite = np.diag([0.6, 0.6, -0.2])
    with pytest.raises(fr.NotPositiveSemidefiniteError, match=r"a: .*-0\.2"):
        fr.entropy(on.array(indefinite, "float64"))
    with pytest.raises(ValueError, match="bandwidth: "):
        fr.gram(on.array(np.ones((2, 4, 3)), "float64"), bandwidth=on.array([1.0, -1.0], "float64"))


@pytest.mark.parametrize("alpha", [1.01, 2])
def test_gradients_beyond_what_a_block_holds(alpha: float, on: On, draw: Draw) -> None:
    """There the forward pass keeps eigenvectors; of two of three joint Grams, as the target asks for no gradient."""
    if on.library != "torch":
        pytest.skip("gradients are PyTorch's")
    import torch

    n = _backend.module_for("cuda:0" if on.device == "cuda" else "cpu", "x").block_order("float64") + 3
    x, y = draw.samples(n, 3), torch.from_numpy(draw.grams(n)).to(on.device)

    def gradient(y: Any, device: str) -> Any:
        leaf = torch.tensor(x, device=device, requires_grad=True)
        found = fr.mutual_information(fr.gram(leaf, bandwidth=1.0), y, alpha=alpha)
        return torch.autograd.grad(found, leaf)[0].cpu().numpy()

    found = gradient(y, on.device)
    _backend.MODULES["cpu"] = "_core"
    right = gradient(y.cpu(), "cpu")
    np.testing.assert_allclose(found, right, rtol=0, atol=1e-9 * np.abs(right).max())


def test_nothing_to_do(on: On) -> None:
    empty = on.array(np.empty((0, 4, 2)), "float64")
    assert fr.gram(empty, bandwidth=1.0).shape == (0, 4, 4)
    assert fr.entropy(fr.gram(empty, bandwidth=1.0)).shape == (0,)


def test_findings_of_one_with_block_after_another(on: On) -> None:
    """Each block reads what was looked at in it, also where the same object is entered again."""
    from fastrenyi._kernels import kernels_for

    good, bad = on.array(np.ones((2, 3)), "float64"), on.array([[1.0, np.nan, 1.0]] * 2, "float64")
    kernels = kernels_for(good)
    with kernels:
        kernels.finite(good, "x")
    with pytest.raises(ValueError, match=r"^x: expected finite numbers, got nan at index \(0, 1\)"), kernels:
        kernels.finite(bad, "x")


@pytest.mark.parametrize("wrong", [0, 255, 256, 600])
def test_more_findings_than_a_block_of_words_has(on: On, wrong: int, draw: Draw) -> None:
    values = [draw.grams(3)] * 601
    values[wrong] = np.eye(3)  # of trace three
    grams = [on.array(a, "float64") for a in values]
    from fastrenyi import _ops

    labels = [f"a[{k}]" for k in range(601)]
    with pytest.raises(ValueError, match=rf"^a\[{wrong}\]: expected Grams of trace one, got a trace of 3"):
        _ops.entropies(grams, labels, [[0]], ["a"], [], [1.5], 1.0)


@pytest.mark.parametrize("lower", ["float32", "float16"])
def test_matrices_are_judged_by_the_precision_that_they_were_made_in(on: On, lower: str, draw: Draw) -> None:
    samples = draw.samples(2, 40, 3)
    x, y = (on.values(on.array(each, lower), lower) for each in samples)
    exact = [reference.gram_gaussian(each, 5.0) for each in (x, y)]
    a, b = (on.array(gram.astype(lower), "float64") for gram in exact)
    assert np.linalg.eigvalsh(exact[0].astype(lower).astype(np.float64))[0] < -1e-10
    found = on.values(fr.mutual_information(a, b, alpha=2.5), "float64")
    assert_bits(found, reference.mutual_information(*exact, alpha=2.5), lower, 2.5, terms=3)
    # One that shows its precision is enough for a call.
    a = a / a.diagonal().sum()
    found = on.values(fr.mutual_information(a, b, alpha=2.5), "float64")
    assert_bits(found, reference.mutual_information(*exact, alpha=2.5), lower, 2.5, terms=3)
    with pytest.raises(fr.NotPositiveSemidefiniteError, match=f"if the numbers were made in {lower}, pass each Gram"):
        fr.mutual_information(a, a)


@pytest.mark.parametrize(
    "rule", [fr.NearestNeighbours(5), fr.Alignment(np.eye(4) / 4)], ids=["neighbours", "alignment"]
)
def test_a_rule_for_other_numbers_of_samples_is_refused_before_numbers_are_looked_at(on: On, rule: Any) -> None:
    x = on.array(np.full((3, 2), np.nan), "float64")
    with pytest.raises(ValueError, match=r"^bandwidth: expected .*, got "):
        fr.gram(x, bandwidth=rule)


@pytest.mark.parametrize("rule", ["median", "scott", "neighbours"])
def test_widths_beyond_all_numbers_are_refused_without_a_warning(on: On, rule: str) -> None:
    x = on.array(np.where(np.arange(12)[:, None] % 2, 1.7e308, -1.7e308) * np.ones((12, 3)), "float64")
    given = {"median": fr.Median(1e300), "scott": fr.Scott(1e300), "neighbours": fr.NearestNeighbours(11)}[rule]
    with pytest.raises(ValueError, match=r"^bandwidth: expected a rule that gives finite widths"):
        fr.gram(x, bandwidth=given)
