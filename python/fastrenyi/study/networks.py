"""What the studies train on, and what they train: real digits and photographs, small networks."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fastrenyi.demo import SIZES, Digits, lenet, load_digits

__all__ = ["DATA", "NETWORKS", "Images", "linear", "markdown_rows", "missing", "probes", "trained"]

Images = Digits


def _photographs(seed: int) -> Images:
    """Pieces of 16 x 16 pixels, side by side, of scikit-learn's two photographs; the label is which third of which."""
    from sklearn.datasets import load_sample_images

    pieces, labels = [], []
    for number, photograph in enumerate(load_sample_images().images):
        pixels = torch.tensor(np.asarray(photograph) / 255, dtype=torch.float32).permute(2, 0, 1)
        height, width = pixels.shape[1:]
        for top in range(0, height - 15, 16):
            for left in range(0, width - 15, 16):
                third = min(2, 3 * (left + 8) // width)
                pieces.append(pixels[:, top : top + 16, left : left + 16])
                labels.append(3 * number + third)
    order = torch.from_numpy(np.random.default_rng([seed, 0]).permutation(len(labels)))
    images, targets = torch.stack(pieces)[order], torch.tensor(labels)[order]
    held = len(labels) // 4
    return Images(images[held:], targets[held:], images[:held], targets[:held])


FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's and Ubuntu's package dataset-fashion-mnist puts the files of Xiao, Rasul and Vollgraf (2017)."""


def _fashion(seed: int) -> Images:
    """As many pieces of clothing as there are digits of MNIST: of the training images, and held out of the test's."""

    def read(part: str, count: int) -> tuple[Tensor, Tensor]:
        with gzip.open(FASHION / f"{part}-images-idx3-ubyte.gz") as file:
            pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
        with gzip.open(FASHION / f"{part}-labels-idx1-ubyte.gz") as file:
            labels = np.frombuffer(file.read(), np.uint8, offset=8)
        chosen = np.random.default_rng([seed, len(labels)]).permutation(len(labels))[:count]
        return torch.from_numpy(pixels[chosen] / np.float32(255)), torch.from_numpy(labels[chosen].astype(np.int64))

    training, held_out = SIZES["mnist"]
    return Images(*read("train", training), *read("t10k", held_out))


def missing(data: str) -> str | None:
    """Return what has to be installed for some data, or nothing."""
    if not data.startswith("Fashion") or (FASHION / "train-images-idx3-ubyte.gz").exists():
        return None
    return f"{data} is not there: install the package dataset-fashion-mnist of Debian or Ubuntu, which fills {FASHION}"


def _standardised(images: Images) -> Images:
    """Each pixel with mean zero and spread one over the training images; pixels that never change stay."""
    mean, spread = images.images.mean(0), images.images.std(0)
    spread[spread < 1e-3] = 1.0
    scaled = ((x - mean) / spread for x in (images.images, images.held_out_images))
    first, second = scaled
    return Images(first, images.labels, second, images.held_out_labels)


DATA: dict[str, Callable[[int], Images]] = {
    "MNIST": lambda seed: load_digits("mnist", seed),
    "MNIST, standardised": lambda seed: _standardised(load_digits("mnist", seed)),
    "Fashion-MNIST": _fashion,
    "photographs": _photographs,
    "photographs, standardised": lambda seed: _standardised(_photographs(seed)),
}


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


def trained(model: nn.Module, images: Images, seed: int, epochs: int, rate: float = 0.01) -> Iterator[Moment]:
    """Train, and give the network before it and after each epoch."""
    optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs + 1):
        if epoch:
            order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(len(images.labels)))
            for chosen in torch.split(order, 64):
                optimiser.zero_grad()
                loss: Any = criterion(model(images.images[chosen]), images.labels[chosen])
                loss.backward()
                optimiser.step()
        with torch.no_grad():
            right = model(images.held_out_images).argmax(1) == images.held_out_labels
        yield Moment(model, epoch, float(right.double().mean()))


def markdown_rows(table: pd.DataFrame) -> str:
    """Return a table as Markdown, numbers with three digits."""
    cells = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in table.to_numpy()]
    lines = [[str(name) for name in table], ["---"] * table.shape[1], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
