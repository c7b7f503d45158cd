"""Activations of captum and torchlens, and of capture, go into layer_decomposition by the names of layers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402
from conftest import refused  # noqa: E402

FIELDS = ["mmi", "tradeoff", "nonredundant", "single", "pairwise", "entropy"]


class LeNet(nn.Module):
    """Two convolutions, activations as a module and as a function, and a layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 6, 3)
        self.relu = nn.ReLU()
        self.fc, self.again, self.out = nn.Linear(6 * 16, 8), nn.Linear(8, 8), nn.Linear(8, 10)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.conv2(self.relu(self.conv1(x)))).flatten(1)
        return self.out(self.again(self.again(self.fc(x))))


@pytest.fixture(scope="module")
def trained() -> tuple[Any, Any]:
    """A network that has learned real digits for a while, and some of them."""
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    images = torch.tensor(digits.images[:, None] / 16, dtype=torch.float32)
    labels = torch.tensor(digits.target)
    torch.manual_seed(0)
    model = LeNet()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for batch in torch.arange(1200).repeat(4).split(60):
        optimizer.zero_grad()
        F.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    assert (model(images[1200:]).argmax(1) == labels[1200:]).float().mean() > 0.5
    return model.eval(), images[1200:1240]


@pytest.fixture(scope="module")
def ours(trained: tuple[Any, Any]) -> Any:
    """What ``capture`` keeps of convolutions behind their activation functions."""
    model, x = trained
    with frt.capture(model, ["conv1", "conv2", "fc"]) as kept, torch.no_grad():
        model(x)
    return kept


def decomposed(layers: Any, x: Any) -> Any:
    return fr.layer_decomposition(fr.channel_grams(layers), fr.tensor_gram(x))


def assert_same(found: Any, expected: Any) -> None:
    for name in FIELDS:
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-5, equal_nan=True)


def test_capture_by_name(trained: tuple[Any, Any], ours: Any) -> None:
    found = decomposed(ours, trained[1])
    assert list(found) == ["conv1", "conv2", "fc"]
    for name, layer in found.items():
        assert layer.single.shape == (ours[name].shape[1],)
        assert_same(layer, decomposed({"one": ours[name]}, trained[1])["one"])
        assert_same(layer, fr.layer_decomposition(fr.channel_grams(ours[name]), fr.tensor_gram(trained[1])))


def test_captum(trained: tuple[Any, Any], ours: Any) -> None:
    attr = pytest.importorskip("captum.attr")
    model, x = trained
    names = {"conv1": model.relu, "fc": model.fc}
    with torch.no_grad():
        found = attr.LayerActivation(model, list(names.values())).attribute(x)
    layers = dict(zip(names, found, strict=True))
    together = decomposed(layers, x)
    for name in names:
        torch.testing.assert_close(layers[name], ours[name])
        assert_same(together[name], decomposed(ours, x)[name])
    alone = attr.LayerActivation(model, model.relu).attribute(x)
    assert_same(fr.layer_decomposition(fr.channel_grams(alone.detach()), fr.tensor_gram(x)), together["conv1"])


@pytest.mark.usefixtures("torch_as_it_was")
def test_torchlens(trained: tuple[Any, Any], ours: Any) -> None:
    torchlens = pytest.importorskip("torchlens")
    from fastrenyi.compat.torchlens import activations

    model, x = trained
    log = torchlens.trace(model, x)
    layers = activations(log)
    assert list(layers) == [
        "conv2d_1_1", "relu_1_2", "conv2d_2_3", "relu_2_4", "flatten_1_5", "linear_1_6", "linear_2_7:1",
        "linear_2_7:2", "linear_3_8",
    ]  # fmt: skip
    assert not any(layer.requires_grad for layer in layers.values())
    renamed = {"conv1": layers["relu_1_2"], "conv2": layers["relu_2_4"], "fc": layers["linear_1_6"]}
    found, expected = decomposed(renamed, x), decomposed(ours, x)
    for name in renamed:
        torch.testing.assert_close(renamed[name], ours[name])
        assert_same(found[name], expected[name])
    torch.testing.assert_close(log["relu"].out.detach(), ours["conv1"])  # its own way to a module
    some = torchlens.trace(model, x, save=torchlens.func("relu"))
    assert list(activations(some)) == ["relu_1_2", "relu_2_4"]
    for wrong in (None, "log", layers, [1]):
        refused(TypeError, "log", lambda wrong=wrong: activations(wrong))


# ---------------------------------------------------------------------------------------------------- mappings at all


def test_mappings_of_arrays(rng: np.random.Generator) -> None:
    maps = OrderedDict(b=rng.normal(size=(9, 3, 4)), a=rng.normal(size=(9, 2)))
    grams = fr.channel_grams(maps, "laplacian", 2.0)
    assert list(grams) == ["b", "a"]
    target = fr.gram(np.arange(9) % 2, "delta")
    found = fr.layer_decomposition(grams, target, [1, 2], pairs=False, null=2)
    for name, layer in grams.items():
        np.testing.assert_array_equal(layer, fr.channel_grams(maps[name], "laplacian", 2.0))
        expected = fr.layer_decomposition(layer, target, [1, 2], pairs=False, null=2)
        np.testing.assert_array_equal(found[name].mmi, expected.mmi)
        np.testing.assert_array_equal(found[name].null.mmi.null, expected.null.mmi.null)
        assert found[name].pairwise is None


def test_a_wrong_layer_is_named(rng: np.random.Generator) -> None:
    good, target = rng.normal(size=(9, 3)), fr.gram(np.arange(9) % 2, "delta")
    told = refused(ValueError, "maps", lambda: fr.channel_grams({"conv1": good, "fc": good * np.nan}))
    assert told.startswith("maps['fc']: expected finite numbers")
    told = refused(TypeError, "maps", lambda: fr.channel_grams({"fc": (good,)}))
    assert told.startswith("maps['fc']: expected an array")
    told = refused(ValueError, "maps", lambda: fr.layer_decomposition({"fc": good}, target))
    assert told.startswith("maps['fc']: expected ")
    told = refused(ValueError, "maps", lambda: fr.layer_decomposition(fr.channel_grams({"fc": good[:5]}), target))
    assert told.startswith("maps['fc']: target: expected one Gram of shape (5, 5)")
    refused(ValueError, "maps", lambda: fr.channel_grams({}))
    refused(ValueError, "maps", lambda: fr.layer_decomposition({}, target))
