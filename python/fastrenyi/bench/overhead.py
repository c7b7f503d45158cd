"""``python -m fastrenyi.bench.overhead``: what a Monitor costs a training, on a CPU or a GPU.

LeNet-5 on scikit-learn's digits, as the demo trains it; a measurement is made on two minibatches of 100 held-out
digits, with all pairs of feature maps. On a GPU the numbers are compared with those of the CPU for the same weights.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

import fastrenyi.torch as frt
from fastrenyi.demo import LAYERS, MOMENTUM, PROBE_SIZE, Digits, lenet, load_digits

__all__ = ["main"]

_BATCH = 128
_MAPS = (6, 12)
_COMPARED = (
    "input_entropy", "target_entropy", "mi_input", "mi_target", "mi_error", "mi_input_null", "mi_target_null",
    "tradeoff", "nonredundant",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the times; 1 if a GPU's numbers differ from the CPU's by more than rounding."""
    parser = argparse.ArgumentParser(prog="python -m fastrenyi.bench.overhead", description=__doc__)
    gpu = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=gpu, help="default: a GPU, if there is one")
    parser.add_argument("--rounds", type=int, default=5, help="medians are over so many (default: 5)")
    options = parser.parse_args(arguments)
    digits, device = load_digits("digits", 0), options.device
    model = lenet(_MAPS, 0).to(device)
    epoch = _training(model, digits, device)
    monitors = {
        "a measurement": _monitor(model, digits, device),
        "without the null": _monitor(model, digits, device, null=0),
        "without the null and pairs": _monitor(model, digits, device, null=0, pairs=False),
    }
    steps = itertools.count()
    calls: dict[str, Callable[[], object]] = {f"an epoch of {len(digits.labels)} digits": epoch}
    calls |= {name: _measuring(monitor, steps) for name, monitor in monitors.items()}
    times = _in_turn(calls, options.rounds, device)
    for name, seconds in times.items():
        print(f"{name:<28} {1e3 * seconds:8.1f} ms")
    return 0 if device == "cpu" else _agreement(model, digits, device)


def _measuring(monitor: frt.Monitor, steps: Iterator[int]) -> Callable[[], object]:
    return lambda: monitor.measure(next(steps))


def _training(model: torch.nn.Module, digits: Digits, device: str) -> Callable[[], object]:
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=MOMENTUM)
    images, labels = digits.images.to(device), digits.labels.to(device)
    criterion = torch.nn.CrossEntropyLoss()

    def epoch() -> None:
        for chosen in torch.split(torch.randperm(len(labels), device=device), _BATCH):
            optimiser.zero_grad()
            criterion(model(images[chosen]), labels[chosen]).backward()
            optimiser.step()

    return epoch


def _monitor(model: torch.nn.Module, digits: Digits, device: str, **more: object) -> frt.Monitor:
    images, labels = digits.held_out_images.to(device), digits.held_out_labels.to(device)
    probe = [(images[k : k + PROBE_SIZE], labels[k : k + PROBE_SIZE]) for k in (0, PROBE_SIZE)]
    return frt.Monitor(model, probe=probe, layers=list(LAYERS), **more)  # type: ignore[arg-type]


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
