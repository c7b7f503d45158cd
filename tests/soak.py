"""Under load for a given time: threads, processes, forks and DataLoader workers at once, whose answers are known.

``python tests/soak.py --seconds 600``: so many processes, and in each so many threads that measure without a pause,
while its main thread forks children that measure and reads from a DataLoader whose workers do. It fails for

- a wrong number: every answer is compared, bit by bit, with one made on a single thread before;
- a hang: a process whose threads have not all come on for `PATIENCE` seconds says where each of them is, and ends;
- memory: the resident set of a process may grow by `GROWTH` MiB after the first third of the time, which fills
  the caches and the allocator's arenas of so many threads.
"""

from __future__ import annotations

import argparse
import faulthandler
import itertools
import multiprocessing
import os
import signal
import statistics
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import fastrenyi as fr

PATIENCE = 120.0
GROWTH = 64.0
PLANTS = ("wrong", "leak", "hang", "hung child")
"""Faults that ``--plant`` puts in, to see them found."""

Job = Callable[[], Any]


def jobs(tensors: bool) -> dict[str, Job]:
    """What threads do: NumPy's and, if wanted, tensors and gradients; a few milliseconds each."""
    rng = np.random.default_rng(0)
    x, single = rng.normal(size=(12, 50, 5)), rng.normal(size=(8, 40, 3)).astype(np.float32)
    grams, maps = fr.gram(x, "gaussian", "median"), fr.gram(single)
    large = fr.gram(rng.normal(size=(520, 4)))
    found: dict[str, Job] = {
        "gram": lambda: fr.gram(x, "laplacian", "neighbours"),
        "entropy": lambda: fr.entropy(grams, [0.5, 1, 1.01, 2, 3]),
        "joint": lambda: fr.joint_entropy(*grams),
        "interaction": lambda: fr.interaction_information(*grams[:4], alpha=2),
        "layer": lambda: fr.layer_decomposition(maps[:7], maps[7]).pairwise,
        "null": lambda: fr.permutation_test(grams[0], grams[1], 8).null,
        "large": lambda: fr.entropy(large),
    }
    if not tensors:
        return found
    import torch

    import fastrenyi.torch  # noqa: F401 - a child forked while another thread imports would wait for it for ever

    batch = torch.from_numpy(x)

    def gradient(of: Callable[[Any], Any]) -> Job:
        def job() -> Any:
            leaf = batch.clone().requires_grad_()
            of(leaf).sum().backward()
            return leaf.grad.numpy()

        return job

    return found | {
        "tensors": lambda: fr.mutual_information(fr.gram(batch[:6]), fr.gram(batch[6:])).numpy(),
        "gradient": gradient(lambda leaf: fr.entropy(fr.gram(leaf, "gaussian", 2.0))),
        "gradient of order two": gradient(lambda leaf: fr.joint_entropy(*fr.gram(leaf, "gaussian", 2.0), alpha=2)),
        "gradient of a layer": gradient(
            lambda leaf: fr.layer_decomposition(fr.gram(leaf)[:4], fr.gram(leaf)[4]).tradeoff
        ),
    }


def wrong(answer: Any, right: Any) -> bool:
    return np.asarray(answer).tobytes() != np.asarray(right).tobytes()


def answers(tensors: bool, plant: str = "") -> dict[str, Any]:
    """What the jobs give on one thread."""
    import threadpoolctl

    with threadpoolctl.threadpool_limits(1):
        found = {name: np.asarray(job()) for name, job in jobs(tensors).items()}
    if plant == "wrong":
        found["layer"] = found["layer"] + np.finfo(np.float32).eps
    return found


class Samples:
    """A data set whose items are measured where they are read: in the workers."""

    def __init__(self, right: dict[str, Any]) -> None:
        self.right, self.jobs = right, jobs(tensors=True)

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> bool:
        name = ["gram", "entropy", "tensors"][index % 3]
        return wrong(self.jobs[name](), self.right[name])


class Worker:
    """One process: its threads, its forks and its data."""

    def __init__(self, right: dict[str, Any], threads: int, seconds: float, plant: str, patience: float) -> None:
        self.right, self.seconds, self.plant, self.patience = right, seconds, plant, patience
        self.jobs, self.stop = jobs("tensors" in right), threading.Event()
        self.faults: list[str] = []
        self.steps = [0] * threads
        self.kept: list[Any] = []

    def thread(self, index: int) -> None:
        names = list(self.jobs)
        for name in itertools.islice(itertools.cycle(names), index % len(names), None):
            if self.stop.is_set():
                return
            try:
                if wrong(self.jobs[name](), self.right[name]):
                    self.faults.append(f"{name}: a wrong number in thread {index}")
            except Exception:
                self.faults.append(f"{name}: {traceback.format_exc()}")
            while self.plant == "hang" and index == 0:
                time.sleep(1)
            self.steps[index] += 1

    def fork(self) -> None:
        """A child that measures with NumPy; as OpenMP's of torch, torch's threads are gone there."""
        child = os.fork()
        if child == 0:
            signal.alarm(int(self.patience))  # one that hangs ends by itself
            while self.plant == "hung child":
                time.sleep(1)
            names = ("gram", "entropy", "joint", "layer", "null", "large")
            os._exit(sum(wrong(self.jobs[name](), self.right[name]) for name in names))
        status = os.waitpid(child, 0)[1]
        if status:
            self.faults.append(f"a forked child: status {status} ({os.waitstatus_to_exitcode(status)})")

    def load(self) -> None:
        """Workers of a DataLoader, forked as well."""
        from torch.utils.data import DataLoader

        data: Any = Samples(self.right)
        loader = DataLoader(data, batch_size=3, num_workers=2, timeout=self.patience, multiprocessing_context="fork")
        if any(bool(batch.any()) for batch in loader):
            self.faults.append("a wrong number in a worker of a DataLoader")

    def run(self) -> tuple[list[str], int, int, list[float]]:
        """Everything at once until the time is over: the faults, the steps, the forks, and the memory over time."""
        threads = [threading.Thread(target=self.thread, args=(i,), daemon=True) for i in range(len(self.steps))]
        for thread in threads:
            thread.start()
        start, forks, memory = time.monotonic(), 0, []
        while (passed := time.monotonic() - start) < self.seconds and not self.faults:
            before = list(self.steps)
            faulthandler.dump_traceback_later(self.patience, exit=True)
            self.fork()
            if "tensors" in self.jobs:
                self.load()
            while self.plant == "leak" and len(self.kept) < 10 * passed:  # 100 MiB a second
                self.kept.append(np.ones(10 * 2**17))
            forks += 1
            while any(now == then for now, then in zip(self.steps, before, strict=True)):
                time.sleep(0.01)
            memory.append(resident())
        faulthandler.dump_traceback_later(self.patience, exit=True)
        self.stop.set()
        for thread in threads:
            thread.join()
        faulthandler.cancel_dump_traceback_later()
        return self.faults, sum(self.steps), forks, memory


def resident() -> float:
    """The resident set of this process in MiB."""
    with open("/proc/self/statm") as counts:
        return int(counts.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth(memory: list[float]) -> float:
    """How much more there is in the last third than in the second, in the middle of each."""
    third = len(memory) // 3
    return statistics.median(memory[-third:]) - statistics.median(memory[third : 2 * third]) if third else 0.0


def process(right: dict[str, Any], threads: int, seconds: float, plant: str, patience: float) -> None:
    # From 3.12 on Python warns of any fork of a process with threads, which is what is tried here.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    faults, steps, forks, memory = Worker(right, threads, seconds, plant, patience).run()
    grown = growth(memory)
    if grown > GROWTH:
        faults.append(f"memory: {grown:.0f} MiB more than before, of {memory[-1]:.0f}")
    sizes = f"{memory[0]:.0f} to {max(memory):.0f} MiB, grown by {grown:.1f}" if memory else "unknown"
    print(f"process {os.getpid()}: {steps} answers, {forks} forks and loaders, memory {sizes}", flush=True)
    for fault in faults[:5]:
        print(f"process {os.getpid()}: {fault}", file=sys.stderr, flush=True)
    sys.exit(min(len(faults), 100))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=8, help="in each process")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds after which it is a hang")
    parser.add_argument("--numpy", action="store_true", help="without torch and its DataLoader")
    parser.add_argument("--plant", choices=PLANTS, default="", help="a fault, to see it found")
    given = parser.parse_args(arguments)
    right = answers(not given.numpy, given.plant)
    context = multiprocessing.get_context("spawn")
    settings = (right, given.threads, given.seconds, given.plant, given.patience)
    processes = [context.Process(target=process, args=settings) for _ in range(given.processes)]
    for one in processes:
        one.start()
    for one in processes:
        one.join(given.seconds + 5 * given.patience)
        if one.is_alive():  # its own watch has not ended it
            one.kill()
            one.join()
    failed = [one for one in processes if one.exitcode]
    print(f"{len(processes)} processes of {given.threads} threads for {given.seconds:g} s: {len(failed)} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
