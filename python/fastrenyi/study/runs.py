"""Runs of a study: one network trained from one seed and measured on the way, each kept in a file of its own.

A file is written whole when its run is done, so that a study that was ended, however it ended, goes on from there.
Each run has its own number of threads, however many run at once: the same numbers from one process as from many.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import fastrenyi.torch as frt
from fastrenyi.study import images
from fastrenyi.study.networks import BATCH, MOMENTUM, NETS, RATES, probes, steps_per_epoch, trained
from fastrenyi.table import files

__all__ = ["SAMPLES", "SETTINGS", "Plan", "Run", "done", "read"]

SAMPLES = 100
"""In a probe minibatch."""
SETTINGS: dict[str, dict[str, Any]] = {"default": {}, "paper": frt.PAPER}
_INFORMATIVE = {"threads", "version"}  # what may change from one call to the next


@dataclass(frozen=True)
class Plan:
    """What all runs of a study have in common; `leaves_out` are the arguments of its Monitors for what it needs not."""

    name: str
    leaves_out: Mapping[str, Any]
    steps: tuple[int, ...]
    data: str
    root: Path | None
    size: int | None
    train: int | None
    epochs: int
    rate: float | None
    probes: int
    order: float
    threads: int
    out: Path

    def pictures(self) -> images.Pictures:
        """Return the data, read once in a process."""
        return images.load(self.data, self.root, self.size)

    def settings(self) -> dict[str, Any]:
        """Return what a file of a run keeps beside its rows, in which all have to agree."""
        return {
            "study": self.name,
            "data": self.data,
            "images": self.pictures().digest(),
            "train": self.train,
            "epochs": self.epochs,
            "rate": self.rate,
            "momentum": MOMENTUM,
            "batch": BATCH,
            "probes": self.probes,
            "order": self.order,
            "threads": self.threads,
            "version": version("fastrenyi"),
        }


@dataclass(frozen=True)
class Run:
    """One network in training, and how it is measured: each of `settings` has a file."""

    net: str
    activation: str
    maps: int
    seed: int
    settings: tuple[str, ...]

    def __str__(self) -> str:
        """What it is called in files and on the screen."""
        return f"{self.net}-{self.activation}-{self.maps}-maps-seed-{self.seed}"

    def files(self, out: Path) -> dict[str, Path]:
        """Return the file of each of the settings."""
        return {settings: out / "runs" / f"{self}-{settings}.parquet" for settings in self.settings}


def done(plan: Plan, runs: Sequence[Run], settings: Mapping[str, Any], jobs: int) -> Generator[str, None, None]:
    """Make the runs, so many at once, and give the line that tells of each; what is done stays if one of them fails."""
    if jobs == 1 or len(runs) == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(plan.threads)
        try:
            for run in runs:
                yield _made(plan, run, settings)
        finally:
            torch.set_num_threads(threads)
        return
    others = set(multiprocessing.active_children())
    # Not forked: OpenMP's threads do not survive that.
    with ProcessPoolExecutor(min(jobs, len(runs)), get_context("spawn"), _begin, (plan.threads,)) as pool:
        try:
            futures = [pool.submit(_made, plan, run, settings) for run in runs]
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise ChildProcessError(
                "--jobs: the process of a run was ended from outside, perhaps as memory ran out; the same command goes "
                "on from the runs that are done, with fewer --jobs if so"
            ) from None
        except BaseException:  # Ctrl-C too: what runs is ended, rather than waited for
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise


def read(path: Path, settings: Mapping[str, Any]) -> pd.DataFrame | None:
    """Read the file of a run, None where it is not there; ValueError for one of other settings."""
    if not path.exists():
        return None
    frame, kept = files.read(path)
    different = [
        f"{name} was {kept.get(name)}, now {value}"
        for name, value in settings.items()
        if name not in _INFORMATIVE and kept.get(name) != value
    ]
    if different:
        raise ValueError(
            f"--out: {path} was measured with other settings: {'; '.join(different)}. Give what it was measured with, "
            "or another folder"
        )
    return frame


def _begin(threads: int) -> None:
    """Make a process ready: Ctrl-C is the business of the one that has begun it, with which it also ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _made(plan: Plan, run: Run, settings: Mapping[str, Any]) -> str:
    """Train and measure a network, write its files, and return a line about it."""
    begun = time.perf_counter()
    whole = plan.pictures()
    pictures = whole.split(run.seed, plan.train)
    model = NETS[run.net](pictures.images.shape[1:], whole.classes, run.maps, run.activation, run.seed)
    batches = probes(pictures, plan.probes, SAMPLES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # saturation is a column
        monitors = {
            name: frt.Monitor(model, batches, alpha=plan.order, **{**SETTINGS[name], **plan.leaves_out})
            for name in run.settings
        }
        frames: dict[str, list[pd.DataFrame]] = {name: [] for name in monitors}
        per_epoch = steps_per_epoch(pictures)
        rate = plan.rate or RATES[run.activation]
        for moment in trained(model, pictures, run.seed, plan.epochs, rate, plan.steps):
            for name, monitor in monitors.items():
                measured = monitor.measure(moment.step)
                frames[name].append(measured.assign(epoch=moment.step / per_epoch, accuracy=moment.accuracy))
    for name, path in run.files(plan.out).items():
        config: dict[str, Any] = {
            "data": plan.data,
            "net": run.net,
            "activation_function": run.activation,
            "maps": run.maps,
            "settings": name,
            "seed": run.seed,
        }
        rows = pd.concat(frames[name], ignore_index=True).assign(**config)
        first = [*config, "epoch", "accuracy"]
        rows = rows[[*first, *rows.columns.drop(first)]]
        files.write_whole(path, files.as_parquet(rows, dict(settings)))
    return f"{run}: accuracy {moment.accuracy:.1%}, {time.perf_counter() - begun:.0f} s"
