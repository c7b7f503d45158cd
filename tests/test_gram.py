"""Gram matrices: every kernel, layout and batch shape; distances to the last digits; degenerate samples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
import reference
import tolerances
from conftest import Draw, Nx
from fastrenyi import _core

KERNELS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "gaussian": (fr.Gaussian(1.5), lambda x: reference.gram_gaussian(x, 1.5)),
    "laplacian": (fr.Laplacian(2.5), lambda x: reference.gram_laplacian(x, 2.5)),
    "cosine": (fr.Cosine(), reference.gram_cosine),
    "polynomial": (fr.Polynomial(2, 0.7, 0.3), lambda x: reference.gram_polynomial(x, 2, 0.7, 0.3)),
    "homogeneous": (fr.Polynomial(3, coef0=0), lambda x: reference.gram_polynomial(x, 3, None, 0.0)),
    "delta": (fr.Delta(), reference.gram_delta),
}


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> tuple[Any, Callable[[Any], Any]]:
    """A kernel of fastrenyi and the same of the reference."""
    return KERNELS[request.param]


def with_duplicates(x: np.ndarray) -> np.ndarray:
    """Some samples of each set are equal, some equal in a few features."""
    x[..., 2, :] = x[..., 0, :]
    x[..., 4, :2] = x[..., 1, :2]
    return x


# ------------------------------------------------------------------------------------ against the reference


def test_kernels_match_the_reference(kernel: Any, nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    ours, theirs = kernel
    x = nx.array(with_duplicates(draw.samples(*batch, 7, 5)))
    result = nx.values(fr.gram(x, ours))
    expected = reference.over_batch(theirs, nx.values(x))
    assert result.shape == (*batch, 7, 7)
    tolerances.assert_gram(result, expected, nx.dtype)


def test_half_precision_is_computed_in_single(kernel: Any, nx_dtype: Nx, draw: Draw) -> None:
    ours, theirs = kernel
    x = nx_dtype.array(with_duplicates(draw.samples(2, 9, 4)))
    result = nx_dtype.values(fr.gram(x, ours))
    expected = reference.over_batch(theirs, nx_dtype.values(x))
    tolerances.assert_gram(result, expected, nx_dtype.dtype)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 1), (2, 3), (3, 700), (17, 1), (16, 4), (33, 513), (64, 65)])
def test_sizes_around_the_blocks(kernel: Any, shape: tuple[int, int], draw: Draw) -> None:
    ours, theirs = kernel
    x = draw.samples(*shape)
    tolerances.assert_gram(fr.gram(x, ours), theirs(x), "float64")


def test_diagonal_is_one_nth_exactly(kernel: Any, nx_dtype: Nx, draw: Draw) -> None:
    ours, _ = kernel
    for n in [1, 2, 3, 7, 49, 100]:
        a = nx_dtype.values(fr.gram(nx_dtype.array(draw.samples(2, n, 3)), ours))
        assert np.all(np.diagonal(a, axis1=-2, axis2=-1) == nx_dtype.rounded(1 / n))


def test_symmetric_to_the_bit(kernel: Any, nx: Nx, draw: Draw) -> None:
    ours, _ = kernel
    a = nx.values(fr.gram(nx.array(draw.samples(2, 37, 6)), ours))
    np.testing.assert_array_equal(a, np.swapaxes(a, -1, -2))


def test_names_are_the_kernels_with_their_defaults(draw: Draw) -> None:
    x = draw.samples(6, 3)
    sigma = reference.silverman(6, 3)
    for name, instance, expected in [
        ("gaussian", fr.Gaussian(), reference.gram_gaussian(x, sigma)),
        ("laplacian", fr.Laplacian(), reference.gram_laplacian(x, sigma)),
        ("cosine", fr.Cosine(), reference.gram_cosine(x)),
        ("polynomial", fr.Polynomial(), reference.gram_polynomial(x)),
        ("delta", fr.Delta(), reference.gram_delta(x)),
    ]:
        tolerances.assert_gram(fr.gram(x, name), expected, "float64")
        np.testing.assert_array_equal(fr.gram(x, name), fr.gram(x, instance))
    np.testing.assert_array_equal(fr.gram(x), fr.gram(x, "gaussian"))


def test_kernels_are_values() -> None:
    assert fr.Gaussian() == fr.Gaussian("silverman")
    assert fr.Gaussian(fr.Silverman(5.0)) == fr.Gaussian(fr.Silverman())
    assert fr.Gaussian(1.0) != fr.Gaussian(2.0)
    assert len({fr.Polynomial(2), fr.Polynomial(2), fr.Polynomial(3)}) == 2
    assert eval(repr(fr.Polynomial(2, 0.5, 0.0)), vars(fr)) == fr.Polynomial(2, 0.5, 0.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        fr.Gaussian().bandwidth = 2.0  # type: ignore[misc]


# ---------------------------------------------------------------------------------------- memory and layout


def test_input_is_not_modified_and_layout_does_not_matter(kernel: Any, nx: Nx, draw: Draw) -> None:
    ours, _ = kernel
    values = with_duplicates(draw.samples(2, 8, 6))
    x = nx.array(values)
    before = nx.values(x).copy()
    result = nx.values(fr.gram(x, ours))
    np.testing.assert_array_equal(nx.values(x), before)
    np.testing.assert_array_equal(result, nx.values(fr.gram(nx.plain.array(values), ours)))


def test_read_only_misaligned_and_swapped_memory(kernel: Any, draw: Draw) -> None:
    ours, theirs = kernel
    values = draw.samples(6, 4)
    expected = theirs(values)
    frozen = values.copy()
    frozen.flags.writeable = False
    packed = np.zeros(6, dtype=[("flag", "i1"), ("x", "f8", 4)])
    packed["x"] = values
    assert not packed["x"].flags.aligned
    for x in [frozen, packed["x"], values.astype(">f8")]:
        result = fr.gram(x, ours)
        assert result.dtype == np.float64
        assert result.dtype.isnative
        tolerances.assert_gram(result, expected, "float64")


def test_tensors_that_are_views_with_a_twist(draw: Draw) -> None:
    """Expanded, with torch's lazy negation, made in inference mode, and parameters."""
    import torch

    values = torch.from_numpy(draw.samples(6, 4))
    expected = reference.gram_gaussian(values.numpy(), 1.5)
    complex_values = torch.complex(torch.zeros_like(values), -values)
    negated = complex_values.conj().imag
    assert negated.is_neg()
    with torch.inference_mode():
        inference = values * 1.0
    with torch.no_grad():
        for x in [values.expand(2, 6, 4)[1], negated, inference, torch.nn.Parameter(values)]:
            tolerances.assert_gram(fr.gram(x, "gaussian", 1.5).numpy(), expected, "float64")


def test_broadcast_input(kernel: Any, draw: Draw) -> None:
    ours, theirs = kernel
    values = draw.samples(6, 4)
    result = fr.gram(np.broadcast_to(values, (3, 6, 4)), ours)
    tolerances.assert_gram(result, np.broadcast_to(theirs(values), (3, 6, 6)), "float64")


def test_results_share_no_memory_with_the_input() -> None:
    x = np.ones((1, 1))
    result = fr.gram(x, "cosine")
    result[...] = 7.0
    assert x[0, 0] == 1.0


# ------------------------------------------------------------------------------------------------ distances


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_distances_far_from_the_origin(metric: str, dtype: str, draw: Draw) -> None:
    """Explicit differences keep what an expanded square loses: ten of sixteen digits at an offset of 1e6."""
    x = (draw.samples(2, 40, 70) + 1e6).astype(dtype)
    x[:, 1] = x[:, 0]
    x[:, 2] = x[:, 0]
    x[:, 2, 3] = np.nextafter(x[:, 0, 3], np.inf, dtype=x.dtype)
    found = _core.distances(x, metric, 1)
    expected = np.stack([reference.distances(item, metric) for item in x]).astype(np.float64)
    assert found.dtype == x.dtype
    np.testing.assert_allclose(found, expected, rtol=tolerances.DISTANCE[dtype], atol=0)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize("scale", [1e300, 1e150, 1e-150, 1e-300])
def test_distances_at_any_scale(metric: str, scale: float, draw: Draw) -> None:
    x = draw.samples(1, 9, 5) * scale
    expected = reference.distances(x[0], metric).astype(np.float64)
    np.testing.assert_allclose(_core.distances(x, metric, 1)[0], expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e6])
def test_gram_gives_distances_back(offset: float, draw: Draw) -> None:
    """-2 s^2 log(n A) is the squared distance; where A is not near 1 or 0 the logarithm keeps its digits."""
    n, d = 30, 8
    x = draw.samples(n, d) + offset
    exact = reference.distances(x).astype(np.float64)
    s = float(np.median(exact))
    squared = -2 * s**2 * np.log(n * fr.gram(x, "gaussian", s))
    off = ~np.eye(n, dtype=bool)
    np.testing.assert_allclose(np.sqrt(squared[off]), exact[off], rtol=1e-12)
    manhattan = reference.distances(x, "manhattan").astype(np.float64)
    s = float(np.median(manhattan))
    np.testing.assert_allclose(-s * np.log(n * fr.gram(x, "laplacian", s)[off]), manhattan[off], rtol=1e-12)


def test_near_duplicates_among_distant_samples(draw: Draw) -> None:
    """Two samples 2^-20 apart, others 2^20 away: the narrow width sees exactly that distance."""
    x = draw.samples(5, 3) * 2.0**20
    x[1] = x[0]
    x[2] = x[0]
    x[2, 1] = x[0, 1] + 2.0**-20
    gap = x[2, 1] - x[0, 1]
    a = fr.gram(x, "gaussian", gap)
    assert a[0, 1] == 1 / 5
    assert a[0, 2] == pytest.approx(math.exp(-0.5) / 5, rel=1e-14)
    assert a[0, 3] == 0


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e15])
@pytest.mark.parametrize("name", ["gaussian", "laplacian"])
def test_duplicates_are_equal_exactly(name: str, offset: float, draw: Draw) -> None:
    x = np.repeat(draw.samples(4, 11) + offset, 3, axis=0)
    a = fr.gram(x, name, 0.37)
    for first in range(0, 12, 3):
        assert np.all(a[first : first + 3, first : first + 3] == 1 / 12)


@pytest.mark.parametrize("scale", [2.0**997, 2.0**500, 2.0**-500, 2.0**-1000])
@pytest.mark.parametrize("name", ["gaussian", "laplacian"])
def test_widths_in_proportion_to_huge_and_tiny_data(name: str, scale: float, draw: Draw) -> None:
    x = draw.samples(9, 4)
    expected = fr.gram(x, name, 1.25)
    np.testing.assert_allclose(fr.gram(x * scale, name, 1.25 * scale), expected, rtol=1e-14)


def test_small_entries_keep_their_digits() -> None:
    """The relative error of e^-t is that of t, also where e^-t itself is far below rounding next to one."""
    distance = np.linspace(0.0, 37.0, 400)  # e^(-37^2 / 2) = 5e-298
    a = fr.gram(np.stack([np.zeros_like(distance), distance], axis=1)[..., None], "gaussian", 1.0)[:, 0, 1]
    np.testing.assert_allclose(a, np.exp(-(distance**2) / 2) / 2, rtol=3e-13)


@pytest.mark.parametrize("scale", [1e300, 1e150, 1e-150, 1e-300])
def test_cosine_and_homogeneous_polynomial_do_not_see_scale(scale: float, draw: Draw) -> None:
    x = draw.samples(9, 4)
    for kernel in [fr.Cosine(), fr.Polynomial(3, coef0=0)]:
        tolerances.assert_gram(fr.gram(x * scale, kernel), fr.gram(x, kernel), "float64")
        mixed = x * np.where(np.arange(9) % 2, scale, 1.0)[:, None]
        tolerances.assert_gram(fr.gram(mixed, kernel), fr.gram(x, kernel), "float64")


def test_polynomial_of_huge_and_tiny_data(draw: Draw) -> None:
    x = draw.samples(6, 4)
    homogeneous = fr.gram(x, fr.Polynomial(3, coef0=0))
    tolerances.assert_gram(fr.gram(x * 1e200, fr.Polynomial(3)), homogeneous, "float64")
    tolerances.assert_gram(fr.gram(x * 1e-200, fr.Polynomial(3)), np.full((6, 6), 1 / 6), "float64")


def test_small_and_large_singles(draw: Draw) -> None:
    """Near the ends of float32's range sums run in double."""
    for scale in [2.0**120, 2.0**-120]:
        x = draw.samples(8, 5).astype(np.float32)
        expected = fr.gram(x, "gaussian", 1.5)
        np.testing.assert_allclose(fr.gram(x * np.float32(scale), "gaussian", 1.5 * scale), expected, rtol=1e-6)


# ------------------------------------------------------------------------------------------------ degenerate


def test_equal_samples_give_all_ones(nx: Nx) -> None:
    for ours, _ in KERNELS.values():
        a = nx.values(fr.gram(nx.array(np.full((2, 5, 3), 2.5)), ours))
        np.testing.assert_allclose(a * 5, np.ones((2, 5, 5)), rtol=0, atol=tolerances.GRAM[nx.dtype])


def test_one_sample(nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    for ours, _ in KERNELS.values():
        result = nx.values(fr.gram(nx.array(draw.samples(*batch, 1, 3)), ours))
        np.testing.assert_array_equal(result, np.ones((*batch, 1, 1)))


def test_very_wide_and_very_narrow_widths(draw: Draw) -> None:
    x = draw.samples(6, 4)
    x[1] = x[0]
    for name in ["gaussian", "laplacian"]:
        np.testing.assert_array_equal(fr.gram(x, name, 1e300), np.full((6, 6), 1 / 6))
        np.testing.assert_array_equal(fr.gram(x, name, 1e-300), reference.gram_delta(x))
        np.testing.assert_array_equal(fr.gram(x, name, 5e-324), reference.gram_delta(x))


@pytest.mark.parametrize("scale", [1e-318, 1e-310, 1e-308, 1e-300, 1e290, 1e300])
@pytest.mark.parametrize("name", ["gaussian", "laplacian"])
def test_widths_whose_inverse_is_no_number(name: str, scale: float, draw: Draw) -> None:
    """Nor a number of all digits: samples are as far apart as their own rounding leaves them."""
    theirs = {"gaussian": reference.gram_gaussian, "laplacian": reference.gram_laplacian}[name]
    x = draw.samples(6, 3) * scale
    for width in (2 * scale, 0.5 * scale):
        tolerances.assert_gram(fr.gram(x, name, bandwidth=width), theirs(x, width), "float64")
    if scale >= 1e-300:  # else the median itself has lost digits
        width = reference.median(x, metric="euclidean" if name == "gaussian" else "manhattan")
        tolerances.assert_gram(fr.gram(x, name, bandwidth="median"), theirs(x, width), "float64")


# ---------------------------------------------------------------------------------------------------- widths


@pytest.mark.parametrize("name", ["gaussian", "laplacian"])
def test_one_width_for_each_sample_set(name: str, nx: Nx, draw: Draw) -> None:
    widths = draw.rng.uniform(0.5, 3.0, size=(2, 3))
    x = nx.array(draw.samples(2, 3, 6, 4))
    theirs = getattr(reference, f"gram_{name}")
    given = nx.plain.array(widths)
    expected = np.stack([[theirs(nx.values(x)[i, j], nx.values(given)[i, j]) for j in range(3)] for i in range(2)])
    tolerances.assert_gram(nx.values(fr.gram(x, name, given)), expected, nx.dtype)


def test_width_as_number_scalar_and_array(draw: Draw) -> None:
    x = draw.samples(3, 6, 4)
    expected = fr.gram(x, fr.Gaussian(2.0))
    for width in [2, 2.0, np.float32(2.0), np.float64(2.0), np.full(3, 2.0), np.array(2.0)]:
        np.testing.assert_array_equal(fr.gram(x, "gaussian", width), expected)


# ------------------------------------------------------------------------------------------------------ delta


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "uint64", "bool", "float32"])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_delta_of_labels(library: str, dtype: str, draw: Draw) -> None:
    import torch

    labels = draw.rng.integers(0, 2 if dtype == "bool" else 4, size=12).astype(dtype)
    given = torch.from_numpy(labels) if library == "torch" else labels
    default = str(torch.get_default_dtype()).removeprefix("torch.") if library == "torch" else "float64"
    expected = reference.gram_delta(labels)
    nx = Nx(library, dtype if "float" in dtype else default)
    for x in [given, given[:, None]]:
        np.testing.assert_array_equal(nx.values(fr.gram(x, "delta")), nx.rounded(expected))
    single = Nx(library, "float32")
    np.testing.assert_array_equal(single.values(fr.gram(given, fr.Delta(dtype="float32"))), single.rounded(expected))


def test_delta_follows_torchs_default_dtype() -> None:
    import torch

    before = torch.get_default_dtype()
    try:
        for dtype in [torch.float64, torch.float32]:
            torch.set_default_dtype(dtype)
            assert fr.gram(torch.tensor([0, 1, 0]), "delta").dtype == dtype
            assert fr.gram(torch.tensor([0, 1, 0]), fr.Delta("float32")).dtype == torch.float32
    finally:
        torch.set_default_dtype(before)


def test_delta_of_rows_in_batches(draw: Draw) -> None:
    x = draw.rng.integers(0, 2, size=(2, 3, 9, 2))
    expected = reference.over_batch(reference.gram_delta, x)
    np.testing.assert_array_equal(fr.gram(x, "delta"), expected)


def test_delta_tells_values_apart_that_floats_cannot() -> None:
    labels = np.array([2**62, 2**62 + 1, 2**62], dtype=np.int64)
    np.testing.assert_array_equal(fr.gram(labels, "delta"), reference.gram_delta(labels))
    unsigned = np.array([2**64 - 1, 2**64 - 2, 2**64 - 1], dtype=np.uint64)
    np.testing.assert_array_equal(fr.gram(unsigned, "delta"), reference.gram_delta(unsigned))


def test_delta_compares_by_value() -> None:
    """Negative zero is zero, and subnormal numbers differ."""
    x = np.array([0.0, -0.0, 5e-324])
    np.testing.assert_array_equal(fr.gram(x, "delta") * 3, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])


# ------------------------------------------------------------------------------------------------------- maps


@pytest.mark.parametrize("spatial", [(), (5,), (4, 3), (2, 3, 2)])
def test_channel_grams(spatial: tuple[int, ...], nx: Nx, draw: Draw) -> None:
    maps = nx.array(draw.samples(6, 3, *spatial))
    d = math.prod(spatial)
    flat = nx.values(maps).reshape(6, 3, d)
    expected = [reference.gram_gaussian(flat[:, c], reference.silverman(6, d)) for c in range(3)]
    tolerances.assert_gram(nx.values(fr.channel_grams(maps)), np.stack(expected), nx.dtype)
    widths = np.array([0.5, 1.0, 2.0])
    expected = [reference.gram_laplacian(flat[:, c], widths[c]) for c in range(3)]
    result = fr.channel_grams(maps, "laplacian", nx.plain.array(widths))
    tolerances.assert_gram(nx.values(result), np.stack(expected), nx.dtype)


@pytest.mark.parametrize("shape", [(6,), (6, 5), (6, 3, 4, 2)])
def test_tensor_gram(shape: tuple[int, ...], nx: Nx, draw: Draw) -> None:
    if len(shape) == 1 and nx.layout != "contiguous":
        nx = nx.plain
    maps = nx.array(draw.samples(*shape))
    flat = nx.values(maps).reshape(6, -1)
    expected = reference.gram_gaussian(flat, reference.silverman(6, flat.shape[1]))
    tolerances.assert_gram(nx.values(fr.tensor_gram(maps)), expected, nx.dtype)
    expected = reference.gram_cosine(flat)
    tolerances.assert_gram(nx.values(fr.tensor_gram(maps, "cosine")), expected, nx.dtype)


def test_channels_last_memory(draw: Draw) -> None:
    import torch

    maps = torch.from_numpy(draw.samples(6, 3, 4, 5))
    last = maps.to(memory_format=torch.channels_last)
    assert not last.is_contiguous()
    assert torch.equal(fr.channel_grams(last), fr.channel_grams(maps))
    assert torch.equal(fr.tensor_gram(last), fr.tensor_gram(maps))


def test_no_channels_and_no_sample_sets(draw: Draw) -> None:
    assert fr.channel_grams(draw.samples(4, 0, 3, 3)).shape == (0, 4, 4)
    assert fr.gram(draw.samples(0, 4, 3)).shape == (0, 4, 4)


def test_product_of_gaussians_of_one_width(draw: Draw) -> None:
    """The joint of all maps is the Gram of the whole tensor, where the widths are one."""
    maps = draw.samples(7, 4, 3, 2)
    grams = fr.channel_grams(maps, "gaussian", 2.0)
    np.testing.assert_allclose(
        fr.joint_entropy(list(grams)), fr.entropy(fr.tensor_gram(maps, "gaussian", 2.0)), atol=1e-10
    )


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
def test_maps_of_one_width_are_one_tensor(rng: np.random.Generator, kernel: str) -> None:
    """The product of exponentials of sums is the exponential of the sum: the joint Gram of all maps."""
    maps = rng.normal(size=(20, 6, 3, 3))
    joint, _ = _core.hadamard(list(fr.channel_grams(maps, kernel, 9.0)[:, None]), 2)
    np.testing.assert_allclose(fr.tensor_gram(maps, kernel, 9.0), joint[0], rtol=1e-12)
    entropies = [fr.joint_entropy(list(fr.channel_grams(maps, kernel, 9.0)), alpha=a) for a in (1.01, 2)]
    np.testing.assert_allclose(fr.entropy(fr.tensor_gram(maps, kernel, 9.0), [1.01, 2]), entropies, rtol=1e-10)
