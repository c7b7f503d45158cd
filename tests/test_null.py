"""Information beside its null: what the same measure gives with one side's samples permuted."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
import reference

Rng = np.random.Generator
LIBRARIES: dict[str, Callable[[Any], Any]] = {"numpy": np.asarray}
if (torch := pytest.importorskip("torch")) is not None:
    LIBRARIES["torch"] = torch.as_tensor


def grams(rng: Rng, *shape: int) -> Any:
    """Grams of random samples, one width for all."""
    return fr.gram(rng.normal(size=(*shape, 2)), bandwidth=0.7)


def orders(n: int, count: int, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.permutation(n) for _ in range(count)]


def close(found: Any, expected: Any, bits: float = 1e-11) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=bits)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("alpha", [1.01, 2, 0.5, math.inf])
def test_the_null_is_the_measure_of_permuted_samples(library: str, alpha: float, rng: Rng) -> None:
    a, b, c = (grams(rng, 9) for _ in range(3))
    of = LIBRARIES[library]
    test = fr.permutation_test([of(a), of(b)], of(c), 7, 3, alpha=alpha)
    close(test.value, reference.mutual_information([a, b], c, alpha))
    expected = [reference.mutual_information([a, b], c[p][:, p], alpha) for p in orders(9, 7, 3)]
    close(test.null, expected)
    close(test.mean, np.mean(expected))
    close(test.std, np.std(expected, ddof=1))
    close(test.excess, test.value - np.mean(expected))
    close(test.z, float(test.excess) / np.std(expected, ddof=1), 1e-6)
    assert float(test.pvalue) == (1 + sum(one >= float(test.value) - 1e-12 for one in expected)) / 8
    assert type(test.null) is type(of(a))


@pytest.mark.parametrize("library", LIBRARIES)
def test_batches_and_orders(library: str, rng: Rng) -> None:
    of = LIBRARIES[library]
    a, b = grams(rng, 3, 1, 6), grams(rng, 2, 6)
    test = fr.permutation_test(of(a), of(b), n=4, alpha=[1.01, 2])
    assert tuple(test.value.shape) == (3, 2, 2)
    assert tuple(test.null.shape) == (4, 3, 2, 2)
    for i in range(3):
        for j in range(2):
            one = fr.permutation_test(a[i, 0], b[j], n=4, alpha=[1.01, 2])
            close(test.null[:, i, j], one.null)
            close(test.pvalue[i, j], one.pvalue)
    assert tuple(fr.permutation_test(of(a[:0]), of(b), n=4).null.shape) == (4, 0, 2)


def test_the_first_permutations_do_not_depend_on_how_many(rng: Rng) -> None:
    a, b = grams(rng, 8), grams(rng, 8)
    close(fr.permutation_test(a, b, 3).null, fr.permutation_test(a, b, 9).null[:3])
    assert not np.allclose(fr.permutation_test(a, b, 3).null, fr.permutation_test(a, b, 3, seed=1).null)


def test_many_permutations_in_parts(rng: Rng, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = grams(rng, 2, 8), grams(rng, 8)
    whole = fr.permutation_test(a, b, 11).null
    monkeypatch.setattr(sys.modules["fastrenyi._ops.permutations"], "_WORKSPACE_BYTES", 8 * 64 * 3)
    close(fr.permutation_test(a, b, 11).null, whole)


def test_independent_data_have_no_excess_and_p_values_at_their_rate(rng: Rng) -> None:
    draws, small = 300, 0
    excess = []
    for _ in range(draws):
        test = fr.permutation_test(grams(rng, 20), grams(rng, 20), n=19, seed=int(rng.integers(2**31)))
        small += float(test.pvalue) <= 0.1
        excess.append(float(test.excess) / float(test.std))
    # 300 draws at a rate of 0.1: six standard deviations to each side.
    assert abs(small / draws - 0.1) < 6 * math.sqrt(0.09 / draws)
    assert abs(np.mean(excess)) < 6 * math.sqrt((1 + 1 / 19) * 1.2 / draws)


def test_copies_have_all_and_the_narrow_limit_shows_nothing(rng: Rng) -> None:
    a = grams(rng, 30)
    test = fr.permutation_test(a, a, 40)
    assert float(test.pvalue) == 1 / 41
    assert float(test.z) > 2
    identity = np.eye(30) / 30
    test = fr.permutation_test(identity, grams(rng, 30), 40)
    close(test.value, fr.entropy(identity) + 0 * test.value + test.value - fr.entropy(identity))
    assert abs(float(test.excess)) < 1e-9
    assert float(test.pvalue) == 1
    assert math.isnan(test.z)  # it does not vary: nothing can be said


@pytest.mark.parametrize("n", [1, 2])
def test_few_samples(n: int, rng: Rng) -> None:
    a = grams(rng, n)
    test = fr.permutation_test(a, a, 5)
    assert abs(float(test.excess)) < 1e-9
    assert float(test.pvalue) == 1
    assert math.isnan(fr.permutation_test(a, a, 1).std)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_the_dtype_of_the_grams(dtype: str, rng: Rng) -> None:
    a, b = (grams(rng, 12).astype(dtype) for _ in range(2))
    test = fr.permutation_test(a, b, 5)
    assert {x.dtype.name for x in (test.value, test.null, test.mean, test.std, test.z, test.pvalue)} == {dtype}
    expected = [reference.mutual_information(a, b[p][:, p]) for p in orders(12, 5, 0)]
    close(test.null, expected, 1e-2 if dtype == "float32" else 1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_rounding_hides_no_excess(dtype: str, rng: Rng) -> None:
    x = rng.normal(size=(100, 40))
    a, b = (fr.gram(z, bandwidth=4.0) for z in (x, x + 0.5 * rng.normal(size=x.shape)))
    exact = fr.permutation_test(a, b, 20)
    assert float(exact.excess) < 0.1  # bits: little, and far above the null
    assert float(exact.z) > 10
    if dtype == "float32":
        found = fr.permutation_test(a.astype(dtype), b.astype(dtype), 20)
        assert float(found.z) == pytest.approx(float(exact.z), rel=0.05)
        assert float(found.pvalue) == pytest.approx(1 / 21)
    half = grams(rng, 30).astype(dtype)
    copies = fr.permutation_test(half, half, 40)
    assert float(copies.pvalue) == pytest.approx(1 / 41, rel=1e-3)
    assert float(copies.z) > 2


def test_what_is_not_there_has_no_p_value(rng: Rng) -> None:
    null = fr.layer_decomposition(grams(rng, 1, 8), grams(rng, 8), null=5).null
    assert null is not None
    assert math.isnan(null.tradeoff.pvalue)
    assert not math.isnan(null.mmi.pvalue)


def test_information_with_a_null(rng: Rng) -> None:
    a, b = grams(rng, 8), grams(rng, 8)
    found = fr.mutual_information(a, b, alpha=2, null=6, seed=5)
    close(found.null, fr.permutation_test(a, b, 6, 5, alpha=2).null)
    close(found.value, fr.mutual_information(a, b, alpha=2))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_layer(library: str, pairs: bool, count: int, rng: Rng) -> None:
    of = LIBRARIES[library]
    maps, target = grams(rng, count, 7), grams(rng, 7)
    found = fr.layer_decomposition(of(maps), of(target), pairs=pairs, null=3, seed=2, alpha=[1.01, 2])
    assert found.null is not None
    for k, p in enumerate(orders(7, 3, 2)):
        expected = fr.layer_decomposition(maps, target[p][:, p], pairs=pairs, alpha=[1.01, 2])
        for name in ("mmi", "tradeoff", "nonredundant"):
            close(getattr(found.null, name).null[k], getattr(expected, name))
            close(getattr(found.null, name).value, getattr(found, name))
    assert fr.layer_decomposition(of(maps), of(target), pairs=pairs).null is None


def test_tensors_gradients_maps_and_compilers(rng: Rng) -> None:
    a, b = torch.tensor(grams(rng, 6), requires_grad=True), torch.tensor(grams(rng, 6))
    test = fr.permutation_test(a, b, 4)
    assert not test.null.requires_grad
    (found,) = torch.autograd.grad(test.excess, a)  # the null is a constant
    (expected,) = torch.autograd.grad(fr.mutual_information(a, b), a)
    torch.testing.assert_close(found, expected)

    layers = torch.tensor(grams(rng, 3, 6))
    each = torch.vmap(lambda x: fr.permutation_test(x, b, 4).null)(layers)
    close(each, torch.stack([fr.permutation_test(x, b, 4).null for x in layers]))
    each = torch.vmap(lambda x: fr.layer_decomposition(layers, x, null=2).null.tradeoff.null)(layers)  # type: ignore[union-attr]
    close(each[1], fr.layer_decomposition(layers, layers[1], null=2).null.tradeoff.null)  # type: ignore[union-attr]

    compiled = torch.compile(lambda x, y: fr.permutation_test(x, y, 4).excess, backend="aot_eager", fullgraph=True)
    close(compiled(b, b), fr.permutation_test(b, b, 4).excess)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"a": np.eye(3) / 3}, ValueError, r"b: expected Grams of n = 3 samples, as a"),
        ({"a": np.eye(4)}, ValueError, "a: expected Grams of trace one"),
        ({"n": 0}, ValueError, "n: expected"),
        ({"n": 2.5}, TypeError, "n: expected"),
        ({"seed": -1}, ValueError, "seed: expected"),
        ({"seed": "0"}, TypeError, "seed: expected"),
        ({"alpha": -1}, ValueError, "alpha: expected"),
        ({"base": 1}, ValueError, "base: expected"),
    ],
)
def test_arguments(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"a": np.eye(4) / 4, "b": np.eye(4) / 4, "n": 3, **change}
    with pytest.raises(error, match=message):
        fr.permutation_test(**arguments)


def test_what_is_no_gram_is_named(rng: Rng) -> None:
    a = grams(rng, 5)
    indefinite = np.eye(5) / 5
    indefinite[0, 1] = indefinite[1, 0] = 0.5
    with pytest.raises(fr.NotPositiveSemidefiniteError, match="b"):
        fr.permutation_test(a, indefinite, 3)
    with pytest.raises(ValueError, match="null: expected"):
        fr.mutual_information(a, a, null=0)
    with pytest.raises(TypeError, match="null: expected"):
        fr.layer_decomposition(a[None], a, null="3")  # type: ignore[arg-type]
