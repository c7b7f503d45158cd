"""Sample sets of different sizes in one array: each is measured as if it were alone, whatever the padding holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
import reference
import tolerances
from conftest import Draw, Nx, refused

N, D = 7, 4
KERNELS: list[Any] = [
    "gaussian", fr.Gaussian(fr.Median()), "laplacian", "cosine", "polynomial", "linear",
    fr.Linear("samples", normalized=True), fr.Linear(side="smaller"),
]  # fmt: skip


def sizes(draw: Draw, batch: tuple[int, ...]) -> np.ndarray:
    return draw.rng.integers(2, N + 1, size=batch)


def padded(nx: Nx, draw: Draw, lengths: np.ndarray) -> Any:
    """Samples of these lengths, and NaN behind them."""
    values = draw.samples(*lengths.shape, N, D)
    values[np.arange(N) >= lengths[..., None]] = np.nan
    return nx.array(values)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_each_set_is_as_if_alone(kernel: Any, nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    lengths = sizes(draw, batch)
    x = padded(nx, draw, lengths)
    found = nx.values(fr.gram(x, kernel, lengths=lengths))
    order = D if kernel == fr.Linear(side="smaller") else N
    assert found.shape == (*batch, order, order)
    for index in np.ndindex(batch):
        alone = nx.values(fr.gram(x[index][: lengths[index]], kernel))
        m = len(alone)
        np.testing.assert_allclose(found[index][:m, :m], alone, rtol=0, atol=2 * tolerances.GRAM[nx.dtype] / m)
        assert not found[index][m:].any()
        assert not found[index][:, m:].any()


def test_against_the_reference(nx_dtype: Nx, draw: Draw) -> None:
    lengths = np.array([5, 1, 7, 5])
    x = padded(nx_dtype, draw, lengths)
    found = nx_dtype.values(fr.entropy(fr.gram(x, "linear", lengths=lengths), 1))
    values = nx_dtype.values(x)
    expected = [reference.entropy(reference.gram_linear(values[k, :n]), 1) for k, n in enumerate(lengths)]
    tolerances.assert_bits(found, expected, nx_dtype.dtype, 1)


def test_joint_entropies_are_of_the_samples_that_count(draw: Draw) -> None:
    lengths = np.array([3, 7, 6])
    x, y = (draw.samples(3, N, D) for _ in range(2))
    found = fr.mutual_information(
        fr.gram(x, bandwidth=1.0, lengths=lengths), fr.gram(y, bandwidth=2.0, lengths=lengths), alpha=1.5
    )
    expected = [
        reference.mutual_information(
            reference.gram_gaussian(x[k, :n], 1.0), reference.gram_gaussian(y[k, :n], 2.0), 1.5
        )
        for k, n in enumerate(lengths)
    ]
    tolerances.assert_bits(found, expected, "float64", 1.5, terms=3)


@pytest.mark.parametrize("kind", [bool, np.int64, np.uint8])
def test_a_mask_chooses_samples_anywhere(kind: Any, nx: Nx, draw: Draw) -> None:
    mask = draw.rng.random((3, N)) < 0.5
    mask[:, -1] = True
    values = draw.samples(2, 3, N, D)
    values[:, ~mask] = np.inf
    x = nx.array(values)
    given = torch.from_numpy(mask.astype(kind)) if nx.library == "torch" else mask.astype(kind)
    found = nx.values(fr.gram(x, bandwidth=1.5, mask=given))
    for k, j in np.ndindex(2, 3):
        chosen = nx.values(x[k, j])[mask[j]]
        m = len(chosen)
        tolerances.assert_gram(found[k, j, :m, :m], reference.gram_gaussian(chosen, 1.5), nx.dtype)
        assert not found[k, j, m:].any()
    full = np.arange(N) < np.array([3, 1, 5])[:, None]
    np.testing.assert_array_equal(
        fr.gram(np.nan_to_num(values), mask=full), fr.gram(np.nan_to_num(values), lengths=[[3, 1, 5]])
    )


def test_lengths_are_integers_arrays_and_tensors(draw: Draw) -> None:
    x = draw.samples(2, 3, N, D)
    expected = fr.gram(x, lengths=np.array([[3, 1, 5], [3, 1, 5]]))
    for lengths in ([3, 1, 5], (3, 1, 5), np.array([3, 1, 5], np.int32), torch.tensor([3, 1, 5]), [[3, 1, 5]] * 2):
        np.testing.assert_array_equal(fr.gram(x, lengths=lengths), expected)
    np.testing.assert_array_equal(fr.gram(x, lengths=4)[..., :4, :4], fr.gram(x[..., :4, :]))
    np.testing.assert_array_equal(fr.gram(x[0, 0], lengths=4)[:4, :4], fr.gram(x[0, 0, :4]))
    np.testing.assert_array_equal(fr.gram(x, lengths=N), fr.gram(x))


def test_labels_have_lengths_too() -> None:
    found = fr.gram(np.array([["a", "b", "a"], ["a", "a", "?"]])[..., None], "delta", lengths=[3, 2])
    np.testing.assert_allclose(found[1], [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 0]])
    np.testing.assert_allclose(found[0], np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]]) / 3)


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (5, 5), (1, 3), (3, 1)], ids=str)
@pytest.mark.parametrize("center", [None, "samples", "both"])
def test_the_smaller_side_has_the_same_spectrum(shape: tuple[int, int], center: Any, nx: Nx, draw: Draw) -> None:
    if 1 in shape:  # of which nothing would be left
        center = None
    x = nx.array(draw.samples(2, *shape))
    side = {side: fr.gram(x, fr.Linear(center, side=side)) for side in ("samples", "features", "smaller")}
    assert [a.shape[-1] for a in side.values()] == [*shape, min(shape)]
    found = [nx.values(fr.entropy(a, [1, 2])) for a in side.values()]
    for values in found[1:]:
        tolerances.assert_bits(values, found[0], nx.dtype, [1, 2])


def test_gradients(draw: Draw) -> None:
    x = torch.from_numpy(draw.samples(3, N, D)).requires_grad_()
    mask = torch.tensor([[0, 1, 1, 0, 1, 0, 0], [1] * 7, [0, 0, 0, 0, 0, 1, 1]])

    def entropies(x: torch.Tensor) -> torch.Tensor:
        return fr.entropy(fr.gram(x, "linear", lengths=[3, 7, 2]), 1.5) + fr.entropy(fr.gram(x, mask=mask), 1.5)

    assert torch.autograd.gradcheck(entropies, (x,))
    gradient = torch.autograd.grad(fr.entropy(fr.gram(x, lengths=[3, 7, 2]), 2).sum(), x)[0]
    assert not gradient[0, 3:].any()
    assert gradient[0, :3].any()


@pytest.mark.parametrize("center", [None, "samples", "features", "both"])
@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("side", ["samples", "features", "smaller"])
def test_gradients_of_the_linear_kernel(center: Any, normalized: bool, side: Any, draw: Draw) -> None:
    """With lengths, and with some sets of fewer samples than features."""
    x = torch.from_numpy(draw.samples(3, N, D)).requires_grad_()
    kernel = fr.Linear(center, normalized, side)
    weights = torch.from_numpy(draw.samples(3, *fr.gram(x, kernel).shape[-2:]))

    def weighed(x: torch.Tensor) -> torch.Tensor:
        return (fr.gram(x, kernel, lengths=[3, 7, 4]) * weights).sum()

    assert torch.autograd.gradcheck(weighed, (x,))
    assert torch.autograd.gradgradcheck(weighed, (x,))
    assert not torch.autograd.grad(weighed(x), x)[0][0, 3:].any()
    together = torch.stack([weighed(x), weighed(2 * x + 1)])
    torch.testing.assert_close(torch.func.vmap(weighed)(torch.stack([x, 2 * x + 1])), together)


def test_vmap_and_compile(draw: Draw) -> None:
    x = torch.from_numpy(draw.samples(2, 3, N, D))

    def entropies(x: torch.Tensor) -> torch.Tensor:
        return fr.entropy(fr.gram(x, "linear", lengths=[3, 7, 2]), 1.5)

    torch.testing.assert_close(torch.func.vmap(entropies)(x), entropies_of_each(x, entropies))
    torch.testing.assert_close(torch.compile(entropies, fullgraph=True, backend="aot_eager")(x[0]), entropies(x[0]))
    message = refused(
        ValueError, "mask", lambda: torch.func.vmap(lambda x, m: fr.gram(x, mask=m))(x[0], torch.ones(3, N) > 0)
    )
    assert "pass lengths as integers" in message


def entropies_of_each(x: torch.Tensor, entropies: Any) -> torch.Tensor:
    return torch.stack([entropies(each) for each in x])


@pytest.mark.parametrize(
    ("given", "error", "name", "said"),
    [
        ({"lengths": [3, 8, 1]}, ValueError, "lengths", "1 to 7 samples for the set at index (1,), got 8"),
        ({"lengths": [3, -1, 1]}, ValueError, "lengths", "got -1"),
        ({"lengths": [3, 0, 1]}, ValueError, "lengths", r"none at index (1,); leave it out of x"),
        ({"lengths": [3, 1]}, ValueError, "lengths", "3 integers"),
        ({"lengths": np.array([3, 1])}, ValueError, "lengths", "broadcasts to (3,), got (2,)"),
        ({"lengths": [3.0, 1.0, 2.0]}, TypeError, "lengths", "integers, got dtype float64"),
        ({"lengths": "3"}, TypeError, "lengths", "array"),
        ({"lengths": [3, 1, 2], "mask": np.ones((3, 7))}, ValueError, "lengths", "both"),
        ({"mask": np.ones((3, 6), bool)}, ValueError, "mask", "broadcasts to (3, 7)"),
        ({"mask": np.full((3, 7), 2)}, ValueError, "mask", "ones and zeros"),
        ({"mask": np.zeros((3, 7), bool)}, ValueError, "mask", "none at index (0,)"),
        ({"mask": np.ones((3, 7))}, TypeError, "mask", "integers, got dtype float64"),
        ({"lengths": [1, 2, 3], "bandwidth": np.ones(3)}, ValueError, "bandwidth", "one width"),
    ],
    ids=str,
)
def test_what_is_refused(given: dict[str, Any], error: Any, name: str, said: str, draw: Draw) -> None:
    x = draw.samples(3, N, D)
    assert said in refused(error, name, lambda: fr.gram(x, **given))


def test_what_is_wrong_with_one_set_is_found(draw: Draw) -> None:
    x = draw.samples(2, 3, N, D)
    x[1, 2, 3, 1] = np.nan
    x[0, 1, 6] = np.nan  # padding
    lengths = [[3, 4, 7], [3, 4, 5]]
    message = refused(ValueError, "x", lambda: fr.gram(x, lengths=lengths))
    assert "at index (1, 2, 3, 1)" in message
    x[1, 2] = 0
    assert "index (1, 2)" in refused(ValueError, "x", lambda: fr.gram(x, "linear", lengths=lengths))
    x[1, 2], x[1, 0, 2] = 1, 0
    assert "index (2,)" in refused(ValueError, "x[1, 0]", lambda: fr.gram(x, "cosine", lengths=lengths))
    refused(ValueError, "x", lambda: fr.gram(np.zeros((3, 2)), "linear", lengths=2))
    refused(ValueError, "x", lambda: fr.gram(np.zeros((2, 0, 2)), "linear", lengths=[1, 1]))


def test_sides_have_names() -> None:
    refused(ValueError, "side", lambda: fr.Linear(side="rows"))  # type: ignore[arg-type]


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_what_takes_rows_for_samples_refuses_padding(library: str, draw: Draw) -> None:
    """Permuted or centred with what stands behind the samples, they would be another null, without a word."""
    x, y = draw.samples(N, D), draw.samples(N, D)
    arrays = [x, y] if library == "numpy" else [torch.from_numpy(x), torch.from_numpy(y)]
    a, b = (fr.gram(v, bandwidth=1.0, lengths=5) for v in arrays)
    maps = np.stack([a, b]) if library == "numpy" else torch.stack([a, b])
    for name, call in {
        "b": lambda: fr.permutation_test(a, b, 3),
        "target": lambda: fr.layer_decomposition(maps, b, null=3),
    }.items():
        assert "[:n, :n]" in refused(ValueError, name, call)
    refused(ValueError, "b", lambda: fr.mutual_information(a, b, null=3))
    refused(ValueError, "b", lambda: fr.dime(a, b))
    refused(ValueError, "b", lambda: fr.alignment(a, b, centered=True))
    refused(ValueError, "target", lambda: fr.rank_maps(maps, b, null=3))
    whole = fr.gram(arrays[1], bandwidth=1.0)
    assert np.isfinite(float(fr.permutation_test(a, whole, 3).excess))  # a sample of zeros, and not padding
    assert np.isfinite(float(fr.permutation_test(a[:5, :5], b[:5, :5], 3).excess))
