"""The GPU's kernels of Grams and distances on the host: tiles, layouts, degenerate samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import reference
import tolerances
from conftest import Draw, Nx
from emulated import NUMPY, STREAM, Status, kernels, view, written

# name: kind, width, degree, gamma, coef0, and the same of the reference
KERNELS: dict[str, tuple[tuple[Any, ...], Callable[[Any], Any]]] = {
    "gaussian": (("gaussian", 1.5, 1, 1.0, 0.0), lambda x: reference.gram_gaussian(x, 1.5)),
    "laplacian": (("laplacian", 2.5, 1, 1.0, 0.0), lambda x: reference.gram_laplacian(x, 2.5)),
    "narrow": (("gaussian", 0.0, 1, 1.0, 0.0), reference.gram_delta),
    "narrow laplacian": (("laplacian", 0.0, 1, 1.0, 0.0), reference.gram_delta),
    "cosine": (("polynomial", None, 1, 1.0, 0.0), reference.gram_cosine),
    "polynomial": (("polynomial", None, 2, 0.7, 0.3), lambda x: reference.gram_polynomial(x, 2, 0.7, 0.3)),
    "cubic": (("polynomial", None, 3, 0.2, 0.0), lambda x: reference.gram_polynomial(x, 3, 0.2, 0.0)),
}


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> tuple[tuple[Any, ...], Callable[[Any], Any]]:
    return KERNELS[request.param]


def gram(x: np.ndarray, kind: str, width: Any, degree: int = 1, gamma: float = 1.0, coef0: float = 0.0) -> np.ndarray:
    """(b, n, d) -> (b, n, n); a width for all or one each."""
    each = np.ascontiguousarray(width) if np.ndim(width) else None
    widths = (0, 0.0 if width is None else float(width)) if each is None else (each.ctypes.data, 0.0)
    status, what = Status(), (view(x), x.dtype.name, kind, *widths, degree, gamma, coef0)
    with written(*x.shape[:2], x.shape[1], dtype=x.dtype) as out:
        kernels.gram(*what, out.ctypes.data, status.address, *STREAM)
    assert status.fault is None
    return out


def distances(x: np.ndarray, metric: str) -> np.ndarray:
    with written(*x.shape[:2], x.shape[1], dtype=x.dtype) as out:
        kernels.distances(view(x), x.dtype.name, metric, out.ctypes.data, *STREAM)
    return out


def delta_gram(x: np.ndarray) -> np.ndarray:
    with written(*x.shape[:2], x.shape[1], dtype=np.float64) as out:
        kernels.delta_gram(view(x), x.dtype.name, out.ctypes.data, *STREAM)
    return out


def with_duplicates(x: np.ndarray) -> np.ndarray:
    """Some samples of each set are equal, some equal in a few features."""
    x[..., 2, :] = x[..., 0, :]
    x[..., 4, :2] = x[..., 1, :2]
    return x


# ------------------------------------------------------------------------------------ against the reference


@pytest.mark.parametrize("nx", NUMPY, ids=str)
def test_kernels_match_the_reference(kernel: Any, nx: Nx, draw: Draw) -> None:
    ours, theirs = kernel
    x = nx.array(with_duplicates(draw.samples(3, 35, 19)))
    result = gram(x, *ours)
    tolerances.assert_gram(result, reference.over_batch(theirs, nx.values(x)), nx.dtype)
    np.testing.assert_array_equal(result, result.swapaxes(-1, -2))
    diagonal = np.diagonal(result, axis1=-2, axis2=-1)
    assert np.all(diagonal == np.dtype(nx.dtype).type(1 / 35))


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1),
        (1, 9),
        (2, 1),
        (2, 3),
        (3, 161),
        (31, 15),
        (32, 16),
        (33, 17),
        (65, 4),
        (97, 2),
        (100, 40),
        (128, 33),
        (129, 5),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sizes_around_the_tiles(kernel: Any, shape: tuple[int, int], dtype: str, draw: Draw) -> None:
    ours, theirs = kernel
    x = draw.samples(1, *shape).astype(dtype)
    tolerances.assert_gram(gram(x, *ours)[0], theirs(x[0]), dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_maps_of_a_layer_each_with_its_width(dtype: str, draw: Draw) -> None:
    maps = draw.samples(37, 5, 3, 4).astype(dtype)  # n, C, H, W
    x = maps.reshape(37, 5, 12).swapaxes(0, 1)
    assert not x.flags.c_contiguous
    widths = np.array([0.5, 1.0, 0.0, 3.0, 1e-3])
    for kind, theirs in [("gaussian", reference.gram_gaussian), ("laplacian", reference.gram_laplacian)]:
        expected = np.stack([theirs(x[c], widths[c]) for c in range(5)])
        result = gram(x, kind, widths)
        tolerances.assert_gram(result, expected, dtype)
        # Not a bit of a map's Gram comes from the others.
        np.testing.assert_array_equal(result[3:4], gram(x[3:4], kind, widths[3]))


def test_broadcast_maps(draw: Draw) -> None:
    x = np.broadcast_to(draw.samples(1, 6, 3), (4, 6, 3))
    np.testing.assert_array_equal(gram(x, "gaussian", 1.0), np.broadcast_to(gram(x[:1], "gaussian", 1.0), (4, 6, 6)))


def test_an_empty_batch(kernel: Any) -> None:
    ours, _ = kernel
    assert gram(np.empty((0, 5, 3)), *ours).shape == (0, 5, 5)
    assert distances(np.empty((0, 5, 3)), "euclidean").shape == (0, 5, 5)
    assert delta_gram(np.empty((0, 5, 3))).shape == (0, 5, 5)


# ------------------------------------------------------------------------------------------------ degenerate


@pytest.mark.parametrize("exponent", [-300, -150, 150, 300])
@pytest.mark.parametrize("kind", ["gaussian", "laplacian"])
def test_extreme_scales_of_samples_and_width(kind: str, exponent: int, draw: Draw) -> None:
    theirs = {"gaussian": reference.gram_gaussian, "laplacian": reference.gram_laplacian}[kind]
    scale, x = 10.0**exponent, with_duplicates(draw.samples(1, 9, 5))
    tolerances.assert_gram(gram(x * scale, kind, 2 * scale)[0], theirs(x[0], 2.0), "float64")
    # Samples alone: all far apart, or all the same.
    alone = reference.gram_delta(x[0]) if exponent > 0 else np.full((9, 9), 1 / 9)
    tolerances.assert_gram(gram(x * scale, kind, 1.0)[0], alone, "float64")
    # The width alone, likewise.
    alone = np.full((9, 9), 1 / 9) if exponent > 0 else reference.gram_delta(x[0])
    tolerances.assert_gram(gram(x, kind, scale)[0], alone, "float64")


@pytest.mark.parametrize("exponent", [-37, -30, -15, 15, 30, 37])
@pytest.mark.parametrize("kind", ["gaussian", "laplacian"])
def test_extreme_scales_of_floats(kind: str, exponent: int, draw: Draw) -> None:
    theirs = {"gaussian": reference.gram_gaussian, "laplacian": reference.gram_laplacian}[kind]
    x = with_duplicates(draw.samples(1, 9, 5))
    scaled = (x * 10.0**exponent).astype(np.float32)
    width = 2 * 10.0**exponent
    tolerances.assert_gram(gram(scaled, kind, width)[0], theirs(scaled[0].astype(np.float64) / width, 1.0), "float32")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [5, 40, 130])
def test_what_is_not_finite_is_reported(n: int, dtype: str, kernel: Any, draw: Draw) -> None:
    (kind, width, *polynomial), _ = kernel
    for value, place in [(np.nan, (2, n - 1, 32)), (-np.inf, (1, 0, 0))]:
        x = draw.samples(3, n, 33).astype(dtype)
        x[place] = value
        status, out = Status(), np.empty((3, n, n), dtype)
        what = (view(x), dtype, kind, 0, width or 0.0, *polynomial, out.ctypes.data)
        kernels.gram(*what, status.address, *STREAM)
        assert status.fault == ("not finite", place[0])
        kernels.gram(*what, 0, *STREAM)  # nobody asks


@pytest.mark.parametrize("width", [5e-324, 1e-310])
@pytest.mark.parametrize("kind", ["gaussian", "laplacian"])
def test_widths_below_the_normal_numbers(kind: str, width: float, draw: Draw) -> None:
    x = with_duplicates(draw.samples(1, 7, 3))
    tolerances.assert_gram(gram(x, kind, width)[0], reference.gram_delta(x[0]), "float64")


@pytest.mark.parametrize("kind", ["gaussian", "laplacian"])
def test_a_width_of_zero_tells_the_nearest_numbers_apart(kind: str) -> None:
    x = np.array([[[0.0], [5e-324], [1.0], [np.nextafter(1.0, 2.0)], [-0.0]]])
    tolerances.assert_gram(gram(x, kind, 0.0)[0], reference.gram_delta(x[0]), "float64")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_far_from_the_origin(dtype: str, draw: Draw) -> None:
    x = (draw.samples(1, 12, 4) + 1e4).astype(dtype)
    tolerances.assert_gram(gram(x, "gaussian", 1.0)[0], reference.gram_gaussian(x[0], 1.0), dtype)


@pytest.mark.parametrize("exponent", [-320, -300, -160, 160, 300])
def test_extreme_scales_of_the_polynomial(exponent: int, draw: Draw) -> None:
    scale, x = 10.0**exponent, draw.samples(1, 9, 5)
    x[0, 3] *= 1e-2
    cosine = gram(x * scale, "polynomial", None)[0]
    # Below the normal numbers samples have lost digits: the reference takes those that are left.
    tolerances.assert_gram(cosine, reference.gram_cosine(x[0] * scale), "float64")
    expected = reference.gram_cosine(x[0]) ** 2 * 9 if exponent > 0 else np.full((9, 9), 1 / 9)
    tolerances.assert_gram(gram(x * scale, "polynomial", None, 2, 1.0, 1.0)[0], expected, "float64")


def test_a_zero_sample_has_the_kernel_of_its_offset(draw: Draw) -> None:
    x = draw.samples(1, 6, 3)
    x[0, 2] = 0
    expected = reference.gram_polynomial(x[0], 3, 0.5, 0.2)
    tolerances.assert_gram(gram(x, "polynomial", None, 3, 0.5, 0.2)[0], expected, "float64")


# ------------------------------------------------------------------------------------- distances and equality


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize("nx", NUMPY, ids=str)
def test_distances_match_the_reference(nx: Nx, metric: str, draw: Draw) -> None:
    x = nx.array(with_duplicates(draw.samples(2, 34, 18)))
    result = distances(x, metric)
    expected = reference.over_batch(reference.distances, nx.values(x), metric=metric).astype(np.float64)
    np.testing.assert_allclose(result, expected, rtol=tolerances.DISTANCE[nx.dtype], atol=0)
    np.testing.assert_array_equal(result, result.swapaxes(-1, -2))
    assert np.all(np.diagonal(result, axis1=-2, axis2=-1) == 0)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_distances_at_any_scale(metric: str, scale: float, draw: Draw) -> None:
    x = draw.samples(1, 40, 3)
    x[0, :3] *= 1e-100  # near each other, far below the largest
    expected = reference.distances(x[0] * scale, metric).astype(np.float64)
    np.testing.assert_allclose(distances(x * scale, metric)[0], expected, rtol=1e-12, atol=0)


def test_distances_of_extreme_floats(draw: Draw) -> None:
    for scale in [1e-38, 1e37]:
        x = (draw.samples(1, 5, 3) * scale).astype(np.float32)
        expected = reference.distances(x[0]).astype(np.float64)
        np.testing.assert_allclose(distances(x, "euclidean")[0], expected, rtol=2e-6, atol=0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_equal_samples(dtype: str, draw: Draw) -> None:
    for shape in [(1, 1, 1), (2, 33, 1), (3, 40, 3), (1, 5, 40)]:
        x = draw.rng.integers(0, 3, size=shape).astype(dtype)
        tolerances.assert_gram(delta_gram(x), reference.over_batch(reference.gram_delta, x), "float64")
    transposed = x.swapaxes(-1, -2).copy().swapaxes(-1, -2)
    np.testing.assert_array_equal(delta_gram(transposed), delta_gram(x))


def test_large_integers_are_told_apart() -> None:
    x = np.array([[[2**62], [2**62 + 1], [2**62], [-(2**63)]]])
    np.testing.assert_array_equal(delta_gram(x)[0], reference.gram_delta(x[0]))


def test_what_is_no_kernel_is_refused(draw: Draw) -> None:
    x = draw.samples(1, 2, 2)
    with pytest.raises(ValueError, match="no such kernel"):
        gram(x, "cubic", 1.0)
    with pytest.raises(ValueError, match="no such metric"):
        distances(x, "chebyshev")
    with pytest.raises(ValueError, match="dtype"):
        kernels.distances(view(x), "int64", "euclidean", 0, *STREAM)
