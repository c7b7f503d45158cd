"""Every measure against the reference: layouts, batches, joint variables, orders and bases; identities."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
import reference
import tolerances
from conftest import FLOATS, Draw, Nx

N = 7

# Each measure by name, with the number of its variables and the number of entropies in it.
MEASURES: dict[str, tuple[int, int, dict[str, Any]]] = {
    "joint_entropy": (3, 1, {}),
    "conditional_entropy": (2, 2, {}),
    "mutual_information": (2, 3, {}),
    "conditional_mutual_information": (3, 4, {}),
    "total_correlation": (3, 4, {}),
    "total_correlation normalized": (3, 8, {"normalized": True}),
    "dual_total_correlation": (3, 5, {}),
    "dual_total_correlation normalized": (3, 8, {"normalized": True}),
    "o_information": (3, 8, {}),
    "interaction_information": (3, 7, {}),
}


@pytest.fixture(params=MEASURES)
def measure(request: pytest.FixtureRequest) -> tuple[Callable[..., Any], Callable[..., Any], int, int]:
    """A measure of fastrenyi and the same of the reference; its number of variables and of entropies."""
    name = request.param.split()[0]
    variables, terms, options = MEASURES[request.param]

    def ours(*grams: Any, **more: Any) -> Any:
        return getattr(fr, name)(*grams, **options, **more)

    def theirs(*grams: Any, **more: Any) -> Any:
        return getattr(reference, name)(*grams, **options, **more)

    return ours, theirs, variables, terms


def over_batch(function: Callable[..., float], *variables: Any, **options: Any) -> np.ndarray:
    """The reference for each item of the batch; a variable is an array of Grams or a list of such arrays."""
    first = variables[0][0] if isinstance(variables[0], list) else variables[0]
    batch = first.shape[:-2]

    def item(variable: Any, index: tuple[int, ...]) -> Any:
        return [gram[index] for gram in variable] if isinstance(variable, list) else variable[index]

    values = [function(*(item(v, index) for v in variables), **options) for index in np.ndindex(*batch)]
    return np.array(values).reshape(batch)


# ------------------------------------------------------------------------------------ against the reference


def test_measures_match_the_reference(measure: Any, nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    ours, theirs, variables, terms = measure
    grams = [draw.grams(*batch, N), *(draw.matrices(*batch, N) for _ in range(variables - 1))]
    result = nx.values(ours(*(nx.array(gram) for gram in grams)))
    tolerances.assert_bits(result, over_batch(theirs, *grams), nx.dtype, n=N, terms=terms)


@pytest.mark.parametrize("alpha", [0.5, 1, 2, 5, math.inf, [0.5, 1, 2]], ids=str)
def test_orders(measure: Any, alpha: Any, draw: Draw) -> None:
    ours, theirs, variables, terms = measure
    grams = [draw.matrices(2, N) for _ in range(variables)]
    result = ours(*grams, alpha=alpha)
    if isinstance(alpha, list):
        expected = np.stack([over_batch(theirs, *grams, alpha=order) for order in alpha], axis=-1)
    else:
        expected = over_batch(theirs, *grams, alpha=alpha)
    tolerances.assert_bits(result, expected, "float64", alpha, n=N, terms=terms)


@pytest.mark.parametrize("base", [math.e, 10])
def test_bases(measure: Any, base: float, draw: Draw) -> None:
    ours, theirs, variables, terms = measure
    grams = [draw.grams(N) for _ in range(variables)]
    result = ours(*grams, base=base)
    tolerances.assert_bits(result, theirs(*grams, base=base), "float64", n=N, terms=terms)


def test_joint_variables(measure: Any, nx: Nx, draw: Draw) -> None:
    """Lists and tuples of Grams stand for one variable each, and may be mixed with Grams."""
    ours, theirs, variables, terms = measure
    lists = [[draw.grams(2, N) for _ in range(size)] for size in (3, 2, 1)][:variables]
    expected = over_batch(theirs, *lists)
    arrays = [[nx.array(gram) for gram in grams] for grams in lists]
    tolerances.assert_bits(nx.values(ours(*arrays)), expected, nx.dtype, terms=terms)
    tolerances.assert_bits(nx.values(ours(*map(tuple, arrays))), expected, nx.dtype, terms=terms)
    mixed = [*arrays[:-1], arrays[-1][0]] if variables == 3 else arrays
    tolerances.assert_bits(nx.values(ours(*mixed)), expected, nx.dtype, terms=terms)


def test_half_precision(measure: Any, nx_dtype: Nx, draw: Draw) -> None:
    ours, theirs, variables, terms = measure
    grams = [draw.grams(3, N) for _ in range(variables)]
    result = nx_dtype.values(ours(*(nx_dtype.array(gram) for gram in grams)))
    tolerances.assert_bits(result, over_batch(theirs, *grams), nx_dtype.dtype, terms=terms)


def test_batch_axes_broadcast(measure: Any, draw: Draw) -> None:
    ours, theirs, variables, terms = measure
    shapes = [(2, 1), (3,), ()][:variables]
    grams = [draw.grams(*shape, N) for shape in shapes]
    full = [np.broadcast_to(gram, (2, 3, N, N)) for gram in grams]
    tolerances.assert_bits(ours(*grams), over_batch(theirs, *full), "float64", terms=terms)


def test_inputs_are_not_modified(measure: Any, nx: Nx, draw: Draw) -> None:
    ours, _, variables, _ = measure
    grams = [nx.array(draw.matrices(2, N)) for _ in range(variables)]
    before = [nx.values(gram).copy() for gram in grams]
    ours(*grams)
    ours([grams[0], grams[1]], *grams[1:], alpha=2)
    for gram, values in zip(grams, before, strict=True):
        np.testing.assert_array_equal(nx.values(gram), values)


def test_one_gram_each_gives_a_scalar(measure: Any, draw: Draw) -> None:
    ours, _, variables, _ = measure
    assert isinstance(ours(*(draw.grams(N) for _ in range(variables))), np.float64)


def test_keywords(draw: Draw) -> None:
    a, b, c = draw.grams(3, N)
    assert fr.conditional_entropy(a=a, given=b) == fr.conditional_entropy(a, b)
    assert fr.mutual_information(a=a, b=b) == fr.mutual_information(a, b)
    assert fr.conditional_mutual_information(a=a, b=b, given=c) == fr.conditional_mutual_information(a, b, c)
    for function in [fr.conditional_entropy, fr.mutual_information]:
        with pytest.raises(TypeError, match="positional"):
            function(a, b, 2.0)


# ------------------------------------------------------------------------------------- products of many Grams


@pytest.mark.parametrize("nx", [nx for nx in FLOATS if nx.layout == "contiguous"], ids=str)
def test_many_grams_neither_underflow_nor_overflow(nx: Nx, draw: Draw) -> None:
    """n^-512 is far below the smallest number, and so is the product of 512 traces."""
    x = draw.samples(512, 100, 4)
    sigma = 90.0
    grams = reference_gaussian(x, sigma)
    together = np.concatenate(list(x), axis=1)
    expected = reference.entropy(reference.gram_gaussian(together, sigma))
    assert 0.05 < expected < math.log2(100) - 0.05
    listed = [nx.array(gram) for gram in grams]
    result = nx.values(fr.joint_entropy(listed))
    # 512 rounded factors: the product is off by up to 512 roundings.
    tolerances.assert_bits(result, expected, nx.dtype, terms=8)


def reference_gaussian(x: np.ndarray, sigma: float) -> np.ndarray:
    squared = ((x[:, :, None] - x[:, None, :]) ** 2).sum(axis=-1)
    return np.exp(-squared / (2 * sigma**2)) / x.shape[1]


def test_many_grams_with_diagonals_that_are_not_uniform(draw: Draw) -> None:
    grams = list(draw.matrices(512, 9))
    expected = reference.joint_entropy(*grams, alpha=1)
    assert fr.joint_entropy(grams, alpha=1) == pytest.approx(expected, abs=1e-9)
    assert fr.joint_entropy(*grams, alpha=1) == pytest.approx(expected, abs=1e-9)


def test_joint_of_narrow_kernels_is_the_identity(draw: Draw) -> None:
    narrow = draw.grams(8, sigma=1e-3)
    assert fr.joint_entropy([narrow] * 300, alpha=[0, 1, 2]).tolist() == pytest.approx([3, 3, 3], abs=1e-12)


def test_product_of_disjoint_diagonals_has_no_trace() -> None:
    first, second = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    for alpha in [1.01, 2]:
        with pytest.raises(ValueError, match=r"^grams.*trace"):
            fr.joint_entropy(first, second, alpha=alpha)
        with pytest.raises(ValueError, match=r"^a.*trace"):
            fr.mutual_information(first, second, alpha=alpha)


def test_order_of_the_factors_does_not_matter(draw: Draw) -> None:
    a, b, c = draw.matrices(3, N)
    assert fr.joint_entropy(a, b, c) == pytest.approx(fr.joint_entropy(c, [a, b]), abs=1e-12)


# ------------------------------------------------------------------------------------------------- identities


@pytest.mark.parametrize("alpha", [0.5, 1, 1.01, 2, math.inf])
def test_identities(alpha: float, draw: Draw) -> None:
    """Equations between measures hold at every order."""
    a, b, c, d = draw.grams(4, 9)
    order = {"alpha": alpha}
    close = {"abs": float(tolerances.bits("float64", alpha, 9, 10))}

    def s(*grams: Any) -> Any:
        return fr.joint_entropy(*grams, **order)

    assert s(a) == fr.entropy(a, alpha)
    assert s([a]) == fr.entropy([a], alpha) == fr.entropy(a, alpha)
    assert s(a, b) == pytest.approx(fr.entropy([a, b], alpha), **close)
    information = fr.mutual_information(a, b, **order)
    assert information == pytest.approx(s(a) - fr.conditional_entropy(a, b, **order), **close)
    assert information == pytest.approx(fr.mutual_information(b, a, **order), **close)
    assert information == pytest.approx(fr.total_correlation(a, b, **order), **close)
    assert information == pytest.approx(fr.dual_total_correlation(a, b, **order), **close)
    assert information == pytest.approx(fr.interaction_information(a, b, **order), **close)
    assert fr.o_information(a, b, **order) == pytest.approx(0, **close)
    # chain rules
    assert fr.mutual_information(a, [b, c], **order) == pytest.approx(
        information + fr.conditional_mutual_information(a, c, b, **order), **close
    )
    assert fr.total_correlation(a, b, c, **order) == pytest.approx(
        information + fr.mutual_information([a, b], c, **order), **close
    )
    three = fr.interaction_information(a, b, c, **order)
    assert three == pytest.approx(information - fr.conditional_mutual_information(a, b, c, **order), **close)
    assert three == pytest.approx(fr.o_information(a, b, c, **order), **close)
    four = reference.interaction_information(a, b, c, d, **order)
    assert fr.interaction_information(a, b, c, d, **order) == pytest.approx(four, **close)


def test_exclusive_or_and_copies() -> None:
    a, b, c = (fr.gram(np.array(v), "delta") for v in ([0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]))
    for alpha in [0, 1, 1.01, 2, math.inf]:
        order = {"alpha": alpha}
        close = {"abs": 1e-12}
        assert fr.interaction_information(a, b, c, **order) == pytest.approx(-1, **close)
        assert fr.interaction_information(a, a, a, **order) == pytest.approx(1, **close)
        assert fr.o_information(a, b, c, **order) == pytest.approx(-1, **close)
        assert fr.o_information(a, a, a, **order) == pytest.approx(1, **close)
        assert fr.total_correlation(a, b, c, normalized=True, **order) == pytest.approx(0.5, **close)
        assert fr.total_correlation(a, a, a, normalized=True, **order) == pytest.approx(1, **close)
        assert fr.dual_total_correlation(a, b, c, normalized=True, **order) == pytest.approx(1, **close)
        assert fr.conditional_mutual_information(a, b, c, **order) == pytest.approx(1, **close)


def test_a_share_of_nothing_is_nan() -> None:
    constant = np.full((4, 4), 0.25)
    assert math.isnan(fr.total_correlation(constant, constant, normalized=True, alpha=2))
    assert math.isnan(fr.dual_total_correlation(constant, constant, normalized=True, alpha=2))


@pytest.mark.parametrize("alpha", [0.5, 1, 1.01, 2, 5, [0.9, 1.01, 3]])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [2, 3, 7, 50])
def test_a_share_of_nothing_but_rounding_is_nan(n: int, dtype: str, alpha: Any, draw: Draw) -> None:
    constant = np.full((n, n), 1 / n, dtype=dtype)
    other = draw.rounded(dtype, n)
    for variables in [(constant, constant), (constant, constant, constant)]:
        assert np.isnan(fr.total_correlation(*variables, alpha=alpha, normalized=True)).all()
        assert np.isnan(fr.dual_total_correlation(*variables, alpha=alpha, normalized=True)).all()
    # One that is not constant: nothing that it could share, of something.
    assert np.isnan(fr.total_correlation(other, constant, constant, alpha=alpha, normalized=True)).all()
    dual = fr.dual_total_correlation(other, constant, alpha=alpha, normalized=True)
    np.testing.assert_allclose(dual, 0, atol=0.3 if np.min(alpha) < 1 else 1e-2)
    layer = fr.layer_decomposition(np.stack([constant, constant]), other, alpha)
    assert np.isnan(layer.tradeoff_share).all()
    assert np.isnan(layer.nonredundant_share).all()


@pytest.mark.parametrize("alpha", [0.1, 0.25, 0.5, 1.01, 2])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_shares_of_what_is_no_rounding_are_numbers(dtype: str, alpha: float, draw: Draw) -> None:
    torch = pytest.importorskip("torch")
    x = draw.samples(100, 2)
    a, b = (torch.from_numpy(fr.gram(z, bandwidth=1.0)).to(getattr(torch, dtype)) for z in (x, x[:, :1]))
    assert torch.isfinite(fr.total_correlation(a, b, alpha=alpha, normalized=True))
    assert torch.isfinite(fr.dual_total_correlation(a, b, alpha=alpha, normalized=True))
    if alpha >= 1:  # below, a Gram's rounding in half precision is most of its entropy
        assert torch.isfinite(fr.layer_decomposition(torch.stack([a, b]), a, alpha).tradeoff_share)


# ------------------------------------------------------------------------------------------------- divergence


@pytest.mark.parametrize("name", ["gaussian", "laplacian"])
def test_divergence_matches_the_reference(name: str, nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    x, y = nx.array(draw.samples(*batch, 5, 3)), nx.array(draw.samples(*batch, 8, 3) + 1.0)
    gram = getattr(reference, f"gram_{name}")
    for alpha in [1, 1.01, 2]:
        values = [
            reference.divergence(nx.values(x)[i], nx.values(y)[i], lambda v: gram(v, 1.5), alpha)
            for i in np.ndindex(*batch)
        ]
        result = nx.values(fr.divergence(x, y, name, 1.5, alpha=alpha))
        tolerances.assert_bits(result, np.array(values).reshape(batch), nx.dtype, terms=3)


def test_divergence_finds_one_width_on_the_pooled_sample(draw: Draw) -> None:
    x, y = draw.samples(6, 3), 5 * draw.samples(9, 3)
    pooled = np.concatenate([x, y])
    widths = {
        None: reference.silverman(15, 3),
        "scott": reference.scott(pooled),
        "median": reference.median(pooled),
        fr.NearestNeighbours(3): reference.neighbours(pooled, 3),
    }
    for rule, width in widths.items():
        expected = reference.divergence(x, y, lambda v, w=width: reference.gram_gaussian(v, w))
        assert fr.divergence(x, y, "gaussian", rule) == pytest.approx(expected, abs=1e-10)


def test_divergence_of_labels_and_of_orders(draw: Draw) -> None:
    x, y = draw.rng.integers(0, 3, size=(8, 1)), draw.rng.integers(1, 4, size=(4, 1))
    orders = [0.5, 1, 2, math.inf]
    expected = [reference.divergence(x, y, reference.gram_delta, alpha, math.e) for alpha in orders]
    result = fr.divergence(x, y, "delta", alpha=orders, base=math.e)
    tolerances.assert_bits(result, expected, "float64", orders, n=12, terms=3)


def test_divergence_of_equal_and_of_distant_samples(draw: Draw) -> None:
    x = draw.samples(6, 2)
    for alpha in [1, 1.01, 2]:
        assert fr.divergence(x, x, alpha=alpha) == pytest.approx(0, abs=1e-12)
    assert fr.divergence(x, x[:2] + 1e5, bandwidth=1.0, alpha=1) == pytest.approx(
        -0.75 * math.log2(0.75) - 0.25 * math.log2(0.25), abs=1e-12
    )
