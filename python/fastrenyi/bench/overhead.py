"""``python -m fastrenyi.bench.overhead``: what a Monitor costs a training, on a CPU or a GPU.

LeNet-5 on scikit-learn's digits, as many as MNIST has, and a network like VGG on as many noisy colour images as
CIFAR-10 has; a measurement with the default settings is made on a minibatch of 100 that are held out. Steps and
measurements are timed in turn, and a measurement is compared with an epoch. LeNet-5 is trained for that epoch as well,
with a Monitor that measures when by default it is due, and without. On a GPU the numbers are compared with those of
the CPU for the same weights.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

import fastrenyi.torch as frt
from fastrenyi.demo import LAYERS, MOMENTUM, PROBE_SIZE, Digits, lenet, load_digits

__all__ = ["main"]

_BATCH = 128
_MAPS = (6, 12)
_SETTINGS: dict[str, dict[str, object]] = {
    "a measurement": {},
    "without the null": {"null": 0},
    "without the null and pairs": {"null": 0, "pairs": False},
}
_COMPARED = (
    "input_entropy", "target_entropy", "mi_input", "mi_target", "mi_error", "mi_input_null", "mi_target_null",
    "tradeoff", "nonredundant",
)  # fmt: skip


@dataclass
class _Case:
    """A network in training; data are taken again until an epoch has so many."""

    name: str
    model: nn.Module
    data: tuple[Tensor, Tensor]
    probe: tuple[Tensor, Tensor]
    epoch: int
    timed: int
    """Steps that are timed together."""

    @property
    def steps(self) -> int:
        """In an epoch."""
        return math.ceil(self.epoch / _BATCH)

    def training(self) -> Callable[[int, frt.Monitor | None], None]:
        """Return what trains for some steps, and measures where a Monitor says so."""
        optimiser = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=MOMENTUM)
        images, labels = self.data
        criterion = nn.CrossEntropyLoss()

        def train(steps: int, monitor: frt.Monitor | None = None) -> None:
            for step in range(steps):
                if monitor is not None and monitor.due(step):
                    monitor.measure(step)
                chosen = torch.randint(len(labels), (_BATCH,), device=labels.device)
                optimiser.zero_grad()
                criterion(self.model(images[chosen]), labels[chosen]).backward()
                optimiser.step()

        return train

    def monitor(self, **more: object) -> frt.Monitor:
        """Return one with the default settings but for these."""
        return frt.Monitor(self.model, [self.probe], **more)  # type: ignore[arg-type]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the times; 1 if a GPU's numbers differ from the CPU's by more than rounding."""
    parser = argparse.ArgumentParser(prog="python -m fastrenyi.bench.overhead", description=__doc__)
    gpu = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=gpu, help="default: a GPU, if there is one")
    parser.add_argument("--rounds", type=int, default=5, help="medians are over so many (default: 5)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: for correctness only")
    options = parser.parse_args(arguments)
    digits, device = load_digits("digits", 0), options.device
    small = _of_lenet(digits, device, options.quick)
    for case in (small, _of_vgg(device, options.quick)):
        _show(case, options.rounds, device)
    _show_run(small, options.rounds, device)
    return 0 if device == "cpu" else _agreement(small.model, digits, device)


def _of_lenet(digits: Digits, device: str, quick: bool) -> _Case:
    data = digits.images.to(device), digits.labels.to(device)
    probe = digits.held_out_images[:PROBE_SIZE].to(device), digits.held_out_labels[:PROBE_SIZE].to(device)
    size, timed = (512, 2) if quick else (60_000, 50)
    return _Case("LeNet-5", lenet(_MAPS, 0).to(device), data, probe, size, timed)


def _of_vgg(device: str, quick: bool) -> _Case:
    """Two convolutions at each of three resolutions; what they are trained on costs nothing but to be told apart."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(1024) % 10
    classes = torch.randn(10, 3, 32, 32, generator=generator)
    images = classes[labels] + torch.randn(1024, 3, 32, 32, generator=generator)
    layers: list[nn.Module] = []
    channels = 3
    for width in (4, 4, 4) if quick else (32, 64, 128):
        for _ in range(2):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * channels, 128), nn.ReLU(), nn.Linear(128, 10))
    images, labels = images.to(device), labels.to(device)
    probe = images[-PROBE_SIZE:], labels[-PROBE_SIZE:]
    data = images[:-PROBE_SIZE], labels[:-PROBE_SIZE]
    return _Case("a network like VGG", model.to(device), data, probe, 512 if quick else 50_000, 2)


def _show(case: _Case, rounds: int, device: str) -> None:
    """Print what a measurement costs, with less in it and beside an epoch."""
    train, steps = case.training(), itertools.count()
    calls: dict[str, Callable[[], object]] = {"training": lambda: train(case.timed, None)}
    for name, more in _SETTINGS.items():
        calls[name] = _measuring(case.monitor(**more), steps)
    times = _in_turn(calls, rounds, device)
    step = times.pop("training") / case.timed
    epoch = step * case.steps
    print(f"{case.name}, {case.epoch:,} images an epoch")
    print(f"  {'an epoch, by its steps':<28} {epoch:9.3f} s")
    for name, seconds in times.items():
        beside = f"{seconds / epoch:7.1%} of the epoch, the time of {seconds / step:.0f} steps"
        print(f"  {name:<28} {seconds:9.3f} s  {beside}")


def _show_run(case: _Case, rounds: int, device: str) -> None:
    """Print what an epoch takes with a Monitor of the defaults, and without."""
    train = case.training()
    counted: list[int] = []

    def followed() -> None:
        monitor = case.monitor()
        train(case.steps, monitor)
        counted.append(len(monitor.steps))

    calls: dict[str, Callable[[], object]] = {"alone": lambda: train(case.steps, None), "followed": followed}
    times = _in_turn(calls, rounds, device)
    more = times["followed"] / times["alone"] - 1
    print(f"{case.name}, trained for an epoch")
    print(f"  {'alone':<28} {times['alone']:9.3f} s")
    print(
        f"  {'with a Monitor, by default':<28} {times['followed']:9.3f} s  {more:+7.1%}, "
        f"{statistics.median(counted[1:]):.0f} measurements"
    )


def _measuring(monitor: frt.Monitor, steps: itertools.count[int]) -> Callable[[], object]:
    return lambda: monitor.measure(next(steps))


def _monitor(model: nn.Module, digits: Digits, device: str) -> frt.Monitor:
    images, labels = digits.held_out_images.to(device), digits.held_out_labels.to(device)
    probe = [(images[k : k + PROBE_SIZE], labels[k : k + PROBE_SIZE]) for k in (0, PROBE_SIZE)]
    return frt.Monitor(model, probe=probe, layers=list(LAYERS))


def _in_turn(calls: dict[str, Callable[[], object]], rounds: int, device: str) -> dict[str, float]:
    """Return the median seconds of each, all of them once in each round, after one that is not counted."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(1 + rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            if device != "cpu":
                torch.cuda.synchronize()
            found[name].append(time.perf_counter() - begin)
    return {name: statistics.median(seconds[1:]) for name, seconds in found.items()}


def _agreement(model: torch.nn.Module, digits: Digits, device: str) -> int:
    """Compare with the CPU's numbers for the same weights; activations themselves differ by rounding in float32."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False  # which keep three digits
    there = _monitor(model, digits, device).measure(0)
    here = _monitor(lenet_like(model), digits, "cpu").measure(0)
    worst = 0.0
    for column in _COMPARED:
        ours, theirs = there[column].to_numpy(float), here[column].to_numpy(float)
        apart = np.where(np.isnan(ours) & np.isnan(theirs), 0.0, np.abs(ours - theirs)).max()
        worst = max(worst, math.inf if math.isnan(apart) else float(apart))
        print(f"{column:<28} {apart:8.1e} bits from the CPU's at most")
    return int(not worst < 5e-3)


def lenet_like(model: torch.nn.Module) -> torch.nn.Module:
    """Return the same network on the CPU."""
    found = lenet(_MAPS, 0)
    found.load_state_dict({name: value.cpu() for name, value in model.state_dict().items()})
    return found


if __name__ == "__main__":
    raise SystemExit(main())
