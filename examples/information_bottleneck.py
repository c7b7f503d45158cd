"""
The information bottleneck as a loss
====================================

Train a classifier of digits with and without the information-bottleneck loss; draw accuracy and I(X;Z).

::

    python examples/information_bottleneck.py --out bottleneck.png

Both runs start from the same weights, see the same 500 digits of MNIST in the same order, and are measured on the same
held-out digits. Z is the output of the second hidden layer (fc2). What it knows of the input is the excess over the
information of shuffled digits, which is drawn beside it. Silverman's width does not depend on the data: a
width that grows and shrinks with Z, as that of the nearest neighbours does, hides from the loss what it changes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from tqdm import trange

import fastrenyi as fr
import fastrenyi.torch as frt
from fastrenyi.demo import Digits, lenet, load_digits


def forward(model: nn.Sequential, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the representation z and the logits."""
    z = model[:-1](x)
    return z, model[-1](z)


@torch.no_grad()
def measure(model: nn.Sequential, digits: Digits, probe: int = 200) -> dict[str, float]:
    """Return the accuracy on all held-out digits, and I(X;Z) in bits on the first of them, true and shuffled."""
    _, logits = forward(model, digits.held_out_images)
    x = digits.held_out_images[:probe]
    z, _ = forward(model, x)
    grams = fr.tensor_gram(x, bandwidth="silverman"), fr.gram(z, bandwidth="silverman")
    information = fr.mutual_information(*grams, null=10)
    return {
        "accuracy": float((logits.argmax(dim=1) == digits.held_out_labels).double().mean()),
        "information": float(information.value),
        "shuffled": float(information.null.mean()),
    }


def train(beta: float, digits: Digits, epochs: int, samples: int, seed: int) -> list[dict[str, float]]:
    """Train with cross entropy + beta I(X;Z), plain cross entropy for 0; return a measurement per epoch."""
    model = lenet((6, 12), seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    bottleneck = frt.losses.InformationBottleneckLoss(beta, bandwidth="silverman") if beta > 0 else None
    order = torch.Generator().manual_seed(seed)
    history = [measure(model, digits)]
    for _ in trange(epochs, desc=f"beta = {beta:g}"):
        for batch in torch.randperm(samples, generator=order).split(100):
            x, y = digits.images[batch], digits.labels[batch]
            z, logits = forward(model, x)
            loss = bottleneck(logits, y, x, z) if bottleneck else nn.functional.cross_entropy(logits, y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        history.append(measure(model, digits))
    return history


def draw(runs: dict[str, list[dict[str, float]]], out: Path) -> None:
    """Draw both quantities over the epochs."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    panels = {"accuracy": "accuracy on held-out digits", "information": "I(X;Z) in bits"}
    for axes, (quantity, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for name, history in runs.items():
            (line,) = axes.plot([row[quantity] for row in history], label=name)
            if quantity == "information":
                shuffled = [row["shuffled"] for row in history]
                axes.plot(shuffled, color=line.get_color(), linestyle=":", label=f"{name}, shuffled digits")
        axes.set(xlabel="epoch", ylabel=label)
        axes.legend()
    figure.savefig(out, dpi=150)


def main(arguments: list[str] | None = None) -> dict[str, list[dict[str, float]]]:
    """Run the example; return the measurements of both runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bottleneck.png"), help="the figure")
    parser.add_argument("--beta", type=float, default=0.3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--samples", type=int, default=500, help="digits to train on")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    digits = load_digits("mnist", given.seed)
    runs = {
        name: train(beta, digits, given.epochs, given.samples, given.seed)
        for name, beta in {"cross entropy": 0.0, f"+ {given.beta:g} I(X;Z)": given.beta}.items()
    }
    draw(runs, given.out)
    for name, history in runs.items():
        last = history[-1]
        known = f"I(X;Z) {last['information']:.3f} bits, {last['shuffled']:.3f} with shuffled digits"
        print(f"{name}: accuracy {last['accuracy']:.3f}, {known}")
    return runs


if __name__ == "__main__":
    main()

# %%
# The build does not run it. The figure that the repository keeps:
#
# .. image:: /bottleneck.png
#
# sphinx_gallery_thumbnail_path = 'bottleneck.png'
