"""
A training loop of one's own, with TensorBoard
==============================================

Follow the layers of a network in a training loop of one's own, and send what they know to TensorBoard.

::

    pip install tensorboard
    python examples/training_loop.py --out runs
    tensorboard --logdir runs
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

import fastrenyi.torch as frt
from fastrenyi.demo import lenet, load_digits


def main(arguments: list[str] | None = None) -> frt.Monitor:
    """Run the example; return the monitor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs"), help="TensorBoard's folder")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--samples", type=int, default=4000, help="digits to train on")
    given = parser.parse_args(arguments)
    digits = load_digits("mnist", seed=0)
    model = lenet((6, 12), seed=0)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    given.out.mkdir(parents=True, exist_ok=True)
    probe = [(digits.held_out_images[:100], digits.held_out_labels[:100])]
    monitor = frt.Monitor(model, probe, layers=["conv1", "conv2", "fc1", "fc2", "fc3"])
    with SummaryWriter(given.out) as writer:
        step = 0
        frt.write_scalars(writer, monitor.measure(step))
        for _ in range(given.epochs):
            for batch in torch.randperm(given.samples).split(128):
                optimiser.zero_grad()
                nn.functional.cross_entropy(model(digits.images[batch]), digits.labels[batch]).backward()
                optimiser.step()
                step += 1
            frt.write_scalars(writer, monitor.measure(step))
    print(f"wrote {given.out.resolve()}; tensorboard --logdir {given.out}")
    return monitor


if __name__ == "__main__":
    main()
