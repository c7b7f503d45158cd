"""
Pruning filters by what they tell of the label
==============================================

Remove the filters of a trained LeNet-5 that say least of the label; draw accuracy against the share removed.

::

    python examples/pruning.py --out pruning.png

A LeNet-5 of 12 and 24 maps, twice those of the paper, is trained on 4,000 digits of MNIST. Its maps are put in order on
200 of these digits: by what each adds to those before it (``fastrenyi.rank_maps``) and by what it says alone; and by
the L1 norm of its filter, and at random. From both convolutions the same share of maps is taken, the last in order
first. Accuracy is that on the 1,000 held-out digits, which no order has seen, at once and after one more epoch.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from tqdm import tqdm

import fastrenyi as fr
import fastrenyi.torch as frt
from fastrenyi.demo import Digits, lenet, load_digits

LAYERS = ("conv1", "conv2")
RANDOM_ORDERS = 3
Orders = dict[str, Tensor]
"""For each layer its maps, those to keep first."""


def train(model: nn.Module, digits: Digits, epochs: int, samples: int, seed: int) -> nn.Module:
    """Train with cross entropy."""
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in torch.randperm(samples, generator=order).split(100):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(digits.images[batch]), digits.labels[batch]).backward()
            optimiser.step()
    return model


def by_information(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Orders]:
    """Return the orders by what maps tell of the label: each behind those before it, and each alone."""
    with torch.no_grad(), frt.capture(model, LAYERS) as acts:
        model(x)
    label = fr.gram(y, fr.Delta("float64"))
    orders: dict[str, Orders] = {"conditional relevance": {}, "relevance": {}}
    for layer in LAYERS:
        ranking = fr.rank_maps(fr.channel_grams(acts[layer].double(), bandwidth="median"), label)
        orders["conditional relevance"][layer] = ranking.order
        orders["relevance"][layer] = ranking.relevance.argsort(descending=True)
    return orders


def by_magnitude(model: nn.Module) -> Orders:
    """Return the order by the L1 norm of filters."""
    weights = {layer: model.get_parameter(f"{layer}.weight") for layer in LAYERS}
    return {layer: weight.abs().sum((1, 2, 3)).argsort(descending=True) for layer, weight in weights.items()}


def pruned(model: nn.Module, orders: Orders, share: float) -> nn.Module:
    """Return a copy in which this share of the maps of each layer is zero, and stays so in training."""

    def without(last: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        return lambda module, inputs, maps: maps.index_fill(1, last, 0)

    model = copy.deepcopy(model)
    for layer, order in orders.items():
        kept = len(order) - round(share * len(order))
        model.get_submodule(layer).register_forward_hook(without(order[kept:]))
    return model


@torch.no_grad()
def accuracy(model: nn.Module, digits: Digits) -> float:
    """Return the accuracy on the held-out digits."""
    return float((model(digits.held_out_images).argmax(dim=1) == digits.held_out_labels).double().mean())


def curves(
    seed: int, maps: tuple[int, int], epochs: int, samples: int, probe: int, removed: list[float]
) -> dict[str, np.ndarray]:
    """Return for each order the accuracies (2, shares): at once, and after one more epoch; at random their mean."""
    digits = load_digits("mnist", seed)
    model = train(lenet(maps, seed), digits, epochs, samples, seed)
    draw = torch.Generator().manual_seed(seed)
    orders = {
        name: [order] for name, order in by_information(model, digits.images[:probe], digits.labels[:probe]).items()
    }
    orders["magnitude"] = [by_magnitude(model)]
    orders["random"] = [
        {layer: torch.randperm(count, generator=draw) for layer, count in zip(LAYERS, maps, strict=True)}
        for _ in range(RANDOM_ORDERS)
    ]

    def both(order: Orders, share: float) -> tuple[float, float]:
        smaller = pruned(model, order, share)
        at_once = accuracy(smaller, digits)
        return at_once, accuracy(train(smaller, digits, 1, samples, seed), digits)

    return {
        name: np.mean([[both(order, share) for share in removed] for order in listed], axis=0).T
        for name, listed in tqdm(orders.items(), desc=f"seed {seed}")
    }


def draw(runs: list[dict[str, np.ndarray]], removed: list[float], out: Path) -> None:
    """Draw mean and standard deviation over the seeds."""
    figure, percent = Figure(figsize=(10, 4), layout="constrained"), 100 * np.array(removed)
    for k, axes in enumerate(figure.subplots(1, 2, sharey=True)):
        for name in runs[0]:
            accuracies = 100 * np.array([run[name][k] for run in runs])
            mean, spread = accuracies.mean(0), accuracies.std(0)
            (line,) = axes.plot(percent, mean, label=name, linestyle=":" if name == "random" else "-")
            axes.fill_between(percent, mean - spread, mean + spread, color=line.get_color(), alpha=0.15, linewidth=0)
        axes.set(xlabel="maps removed from each convolution, %", title=("at once", "after one more epoch")[k])
        axes.legend(title="maps kept by")
    figure.axes[0].set_ylabel("accuracy on held-out digits, %")
    figure.savefig(out, dpi=120)


def main(arguments: list[str] | None = None) -> list[dict[str, np.ndarray]]:
    """Run the example; return the accuracies of each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("pruning.png"), help="the figure")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--maps", type=int, nargs=2, default=(12, 24), help="of the two convolutions")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--samples", type=int, default=4000, help="digits to train on")
    parser.add_argument("--probe", type=int, default=200, help="of these, those that maps are put in order on")
    parser.add_argument("--removed", type=float, nargs="+", default=[k / 10 for k in range(10)], help="shares of maps")
    given = parser.parse_args(arguments)
    how = ((given.maps[0], given.maps[1]), given.epochs, given.samples, given.probe, given.removed)
    runs = [curves(seed, *how) for seed in range(given.seeds)]
    draw(runs, given.removed, given.out)
    for k, when in enumerate(("at once", "after one more epoch")):
        print(f"{when}; % removed".ljust(32) + "".join(f"{100 * share:12.0f}" for share in given.removed))
        for name in runs[0]:
            accuracies = 100 * np.array([run[name][k] for run in runs])
            shown = zip(accuracies.mean(0), accuracies.std(0), strict=True)
            print(name.ljust(32) + "".join(f"{mean:6.1f} ±{spread:4.1f}" for mean, spread in shown))
    return runs


if __name__ == "__main__":
    main()

# %%
# A quarter of an hour of one core: the build does not run it. The figure, which :doc:`/pruning` explains:
#
# .. image:: /pruning.png
#
# sphinx_gallery_thumbnail_path = 'pruning.png'
