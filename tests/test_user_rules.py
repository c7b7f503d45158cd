"""Rules for widths that a user has written: served where numbers are there, refused with the way out elsewhere."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import pdist

import fastrenyi as fr
from conftest import Draw, Nx, refused
from fastrenyi import _backend


class Range(fr.Bandwidth):
    """The largest difference in any feature."""

    def find(self, x: Any, kernel: Any) -> Any:
        return np.ptp(np.asarray(x, dtype=np.float64), axis=1).max(axis=1)


def test_for_numpy(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 7, 2))
    widths = np.ptp(x, axis=1).max(axis=1)
    np.testing.assert_array_equal(fr.gram(x, bandwidth=Range()), fr.gram(x, bandwidth=widths))


def test_for_tensors_with_a_gradient(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(rng.normal(size=(7, 2)), requires_grad=True)
    width = float(np.ptp(x.detach().numpy(), axis=0).max())
    found, expected = (torch.autograd.grad(fr.gram(x, bandwidth=w).square().sum(), x)[0] for w in (Range(), width))
    torch.testing.assert_close(found, expected)


def test_refused_where_numbers_are_not_there(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(rng.normal(size=(2, 7, 2)))
    with pytest.raises(NotImplementedError, match=r"^bandwidth: expected .*, got Range; find the widths before"):
        torch.vmap(lambda x: fr.gram(x, bandwidth=Range()))(x)
    torch._dynamo.reset()
    with pytest.raises(Exception, match="got Range; find the widths before"):
        torch.compile(lambda x: fr.gram(x, bandwidth=Range()), fullgraph=True, backend="aot_eager")(x)


def test_on_devices(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers come to the host, as they are."""
    pytest.importorskip("fastrenyi._emulated")
    x = rng.normal(size=(3, 7, 2))
    widths = np.ptp(x, axis=1).max(axis=1)
    monkeypatch.setitem(_backend.MODULES, "cpu", "_emulated")
    np.testing.assert_allclose(fr.gram(x, bandwidth=Range()), fr.gram(x, bandwidth=widths), rtol=1e-13)


# ------------------------------------------------------------------------------------- rules of the package, once more


@dataclass(frozen=True)
class OwnSilverman(fr.Bandwidth):
    scale: float = 5.0

    def find(self, x: Any, kernel: str) -> Any:
        _, n, d = x.shape
        return [self.scale * n ** (-1 / (4 + d)) for _ in x]


class OwnScott(fr.Bandwidth):
    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def find(self, x: Any, kernel: str) -> Any:
        _, n, d = x.shape
        return self.scale * n ** (-1 / (4 + d)) * np.sqrt(x.astype(np.float64).var(axis=1, ddof=1).mean(axis=-1))


class OwnMedian(fr.Bandwidth):
    def find(self, x: Any, kernel: str) -> Any:
        metric = "euclidean" if kernel == "gaussian" else "cityblock"
        return [np.median(pdist(samples, metric)) for samples in x]


TWINS = [(OwnSilverman(2.0), fr.Silverman(2.0)), (OwnScott(0.5), fr.Scott(0.5)), (OwnMedian(), fr.Median())]


@pytest.mark.parametrize(("own", "ours"), TWINS, ids=repr)
@pytest.mark.parametrize("kernel", [fr.Gaussian, fr.Laplacian])
def test_a_rule_written_again(own: Any, ours: Any, kernel: Any, nx: Nx, batch: tuple[int, ...], draw: Draw) -> None:
    x = nx.array(draw.samples(*batch, 9, 2))
    rough = 1e-12 if nx.dtype == "float64" else 2e-6
    np.testing.assert_allclose(nx.values(fr.gram(x, kernel(own))), nx.values(fr.gram(x, kernel(ours))), atol=rough)
    if x.shape[0] and x.ndim == 2:
        np.testing.assert_allclose(nx.values(kernel(own)(x, x[:3])), nx.values(kernel(ours)(x, x[:3])), atol=rough)


def test_of_the_feature_maps_of_a_layer(nx: Nx, draw: Draw) -> None:
    maps = nx.array(draw.samples(8, 3, 4, 4))
    found, right = (nx.values(fr.channel_grams(maps, bandwidth=rule)) for rule in TWINS[1])
    np.testing.assert_allclose(found, right, atol=1e-12 if nx.dtype == "float64" else 2e-6)


def test_a_rule_over_another_one(draw: Draw) -> None:
    class Half(fr.Median):
        def find(self, x: Any, kernel: str) -> Any:
            return super().find(x, kernel) / 2

    class Wide(fr.Silverman):
        def find(self, x: Any, kernel: str) -> Any:
            return 10 * super().find(x, kernel)

    x = draw.samples(7, 2)
    np.testing.assert_allclose(fr.gram(x, bandwidth=Half()), fr.gram(x, bandwidth=fr.Median(0.5)), rtol=1e-13)
    np.testing.assert_allclose(fr.gram(x, bandwidth=Wide()), fr.gram(x, bandwidth=fr.Silverman(50.0)), rtol=1e-13)


def test_of_a_large_batch(draw: Draw) -> None:
    x = draw.samples(300, 2)
    found = fr.entropy(fr.lazy_gram(x, bandwidth=OwnMedian()), estimate=1e-9)
    assert found.low <= fr.entropy(fr.gram(x, bandwidth="median")) <= found.high


def test_settings_are_shown_compared_and_stored() -> None:
    assert repr(OwnScott(0.5)) == "OwnScott(scale=0.5)"
    assert OwnScott(0.5) == OwnScott(0.5) != OwnScott(0.25)
    assert OwnScott(0.5) != fr.Scott(0.5)
    assert hash(OwnScott(0.5)) == hash(OwnScott(0.5))
    assert fr.Gaussian(OwnScott(0.5)) == fr.Gaussian(OwnScott(0.5)) != fr.Gaussian(OwnScott(0.25))
    assert pickle.loads(pickle.dumps(OwnScott(0.5))) == OwnScott(0.5)
    assert copy.deepcopy(fr.Gaussian(OwnScott(0.5))) == fr.Gaussian(OwnScott(0.5))


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (np.ones((2, 1)), ValueError), (1.0, ValueError), ([1.0], ValueError), (None, TypeError), ("wide", TypeError),
        (["a", "b"], TypeError), ([True, False], TypeError), (np.ones(2, complex), TypeError), ([[1], 2], Exception),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_not_one_width_for_each_set(given: Any, error: Any, nx_dtype: Nx, draw: Draw) -> None:
    class Wrong(fr.Bandwidth):
        def find(self, x: Any, kernel: str) -> Any:
            return given

    x = nx_dtype.array(draw.samples(2, 5, 2))
    if error is Exception:
        with pytest.raises((TypeError, ValueError), match=r"^Wrong\.find: expected"):
            fr.gram(x, bandwidth=Wrong())
    else:
        refused(error, "Wrong.find", lambda: fr.gram(x, bandwidth=Wrong()))


@pytest.mark.parametrize("width", [-1.0, np.nan, np.inf])
def test_widths_that_are_none(width: float, nx_dtype: Nx, draw: Draw) -> None:
    class Wrong(fr.Bandwidth):
        def find(self, x: Any, kernel: str) -> Any:
            return np.full(len(x), width)

    refused(ValueError, "bandwidth", lambda: fr.gram(nx_dtype.array(draw.samples(5, 2)), bandwidth=Wrong()))


def test_a_rule_without_its_method() -> None:
    class Empty(fr.Bandwidth):
        pass

    with pytest.raises(TypeError, match="find"):
        Empty()  # type: ignore[abstract]
    with pytest.raises(TypeError, match="find"):
        fr.Bandwidth()  # type: ignore[abstract]
