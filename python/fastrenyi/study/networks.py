"""What the studies train, and how: small networks, from their initial weights to the end of the training."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fastrenyi.demo import lenet
from fastrenyi.study.images import Images

__all__ = [
    "ACTIVATIONS",
    "BATCH",
    "MOMENTUM",
    "NETS",
    "NETWORKS",
    "RATES",
    "Net",
    "linear",
    "markdown_rows",
    "probes",
    "steps_per_epoch",
    "trained",
]

BATCH, MOMENTUM = 64, 0.9
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
RATES = {"relu": 0.01, "tanh": 0.01, "sigmoid": 0.1}
"""Learning rates, by activation function."""


def _lenet5(shape: torch.Size, classes: int, maps: int, activation: str) -> nn.Sequential:
    """LeNet-5 with so many maps and twice as many, with PyTorch's initial weights."""
    act = ACTIVATIONS[activation]
    # Two 5 x 5 convolutions without padding, each with a pool behind it.
    height, width = (((side - 4) // 2 - 4) // 2 for side in shape[1:])
    layers = OrderedDict[str, nn.Module](
        conv1=nn.Conv2d(shape[0], maps, 5), act1=act(), pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(maps, 2 * maps, 5), act2=act(), pool2=nn.MaxPool2d(2), flat=nn.Flatten(),
        fc1=nn.Linear(2 * maps * height * width, 120), act3=act(), fc2=nn.Linear(120, 84), act4=act(),
        fc3=nn.Linear(84, classes),
    )  # fmt: skip
    model = nn.Sequential(layers)
    if activation == "sigmoid":  # else it does not learn: its slope is a quarter at most
        for parameter in model.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter, gain=4)
    return model


def _vgg16(shape: torch.Size, classes: int, maps: int, activation: str) -> nn.Sequential:
    """The 13 convolutions of VGG-16 in its five blocks, with batch normalisation, and three linear layers.

    Maps are 1, 2, 4, 8 and 8 times as many as in the first block, where VGG-16 has 64. Pools round up, so that images
    of any size go through, and the mean over places stands before the linear layers.
    """
    act, layers, channels = ACTIVATIONS[activation], OrderedDict[str, nn.Module](), shape[0]
    for block, (times, depth) in enumerate(((1, 2), (2, 2), (4, 3), (8, 3), (8, 3)), start=1):
        for place in (f"{block}_{k}" for k in range(1, depth + 1)):
            layers[f"conv{place}"] = nn.Conv2d(channels, times * maps, 3, padding=1, bias=False)
            layers[f"norm{place}"] = nn.BatchNorm2d(times * maps)
            layers[f"act{place}"] = act()
            channels = times * maps
        layers[f"pool{block}"] = nn.MaxPool2d(2, ceil_mode=True)
    layers.update(mean=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten())
    for k in (1, 2):
        layers.update({f"fc{k}": nn.Linear(channels, channels), f"act{k}": act()})
    layers["fc3"] = nn.Linear(channels, classes)
    return nn.Sequential(layers)


@dataclass(frozen=True)
class Net:
    """A kind of network: how it is made, how many maps its first layer has unless told, what images it needs."""

    build: Callable[[torch.Size, int, int, str], nn.Sequential]
    maps: int
    pixels: int

    def __call__(self, shape: torch.Size, classes: int, maps: int, activation: str, seed: int) -> nn.Sequential:
        """Return the network with the initial weights of a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.build(shape, classes, maps, activation)


NETS = {"lenet5": Net(_lenet5, maps=6, pixels=16), "vgg16": Net(_vgg16, maps=16, pixels=1)}


def _vgg(images: Images, seed: int) -> nn.Module:
    """Four 3 x 3 convolutions in two blocks, as VGG has them, and two linear layers."""
    channels, size = images.images.shape[1], images.images.shape[2] // 4
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * size * size, 64), nn.ReLU(), nn.Linear(64, 10),
        )  # fmt: skip


def linear(images: Images, seed: int) -> nn.Module:
    """Linear layers alone, in which both true chains must hold: each variable is a linear map of the one before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        widths = [images.images[0].numel(), 200, 100, 50, 10]
        layers = [nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
        return nn.Sequential(nn.Flatten(), *layers)


NETWORKS: dict[str, Callable[[Images, int], nn.Module]] = {
    "LeNet-5": lambda images, seed: lenet((6, 12), seed),
    "VGG-like": _vgg,
    "linear": linear,
}


def probes(images: Images, count: int, size: int) -> list[tuple[Tensor, Tensor]]:
    """Minibatches of held-out images."""
    return [
        (images.held_out_images[start : start + size], images.held_out_labels[start : start + size])
        for start in range(0, count * size, size)
    ]


@dataclass(frozen=True)
class Moment:
    """A network at a moment of its training."""

    model: nn.Module
    epoch: int
    accuracy: float
    step: int


def steps_per_epoch(images: Images) -> int:
    """Return how many minibatches there are to train on."""
    return math.ceil(len(images.labels) / BATCH)


def trained(
    model: nn.Module, images: Images, seed: int, epochs: int, rate: float = 0.01, at: Collection[int] | None = None
) -> Iterator[Moment]:
    """Train, and give the network before it and after each epoch, or at the steps `at`."""
    optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=MOMENTUM)
    criterion = nn.CrossEntropyLoss()
    per_epoch = steps_per_epoch(images)
    moments = range(0, per_epoch * epochs + 1, per_epoch) if at is None else at
    for step in range(per_epoch * epochs + 1):
        epoch, place = divmod(step, per_epoch)
        if step in moments:
            yield Moment(model, epoch, _accuracy(model, images), step)
        if place == 0:
            order = torch.from_numpy(np.random.default_rng([seed, epoch + 1]).permutation(len(images.labels)))
        if step == per_epoch * epochs:
            return
        chosen = order[place * BATCH : (place + 1) * BATCH]
        optimiser.zero_grad()
        loss: Any = criterion(model(images.images[chosen]), images.labels[chosen])
        loss.backward()
        optimiser.step()


@torch.no_grad()
def _accuracy(model: nn.Module, images: Images) -> float:
    """The share of held-out images that are told right, in eval mode; the model stays in the mode it was in."""
    training = model.training
    model.eval()
    right = model(images.held_out_images).argmax(1) == images.held_out_labels
    model.train(training)
    return float(right.double().mean())


def markdown_rows(table: pd.DataFrame) -> str:
    """Return a table as Markdown, numbers with three digits."""
    cells = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in table.to_numpy()]
    lines = [[str(name) for name in table], ["---"] * table.shape[1], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
