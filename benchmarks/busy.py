"""What calls take where other processes have the cores: python benchmarks/busy.py.

Beside so many processes that only compute, each side is called over and over; times are means, as a median leaves out
the calls that waited. A thread that is woken may wait for a core for milliseconds, and its team with it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable

from fastrenyi.bench.command import chosen
from fastrenyi.bench.measure import default_threads, threads_set, verify

HOG = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"  # and no longer than that
WORKLOADS = ("gradient-128-order2-float32", "gradient-128-order1.01-float32", "spectra-500x32-float64", "single-1024")


def mean(run: Callable[[], object], seconds: float) -> float:
    """Return the mean time of a call."""
    calls, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds or not calls:
        run()
        calls += 1
    return spent / calls


def main() -> None:
    """Measure, and print a line for each workload."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hogs", type=int, default=os.cpu_count(), help="processes, one for each core unless given")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each side, 3 unless given")
    parser.add_argument("--only", action="append", help="workloads, as fastrenyi bench names them")
    given = parser.parse_args()
    with threads_set(default_threads()):
        for workload in chosen("normal", given.only or WORKLOADS):
            task = workload.make()
            verify(task)
            hogs = [subprocess.Popen([sys.executable, "-c", HOG]) for _ in range(given.hogs)]
            try:
                times = {side.name: mean(side.run, given.seconds) for side in task.sides}
            finally:
                for hog in hogs:
                    hog.kill()
                    hog.wait()
            told = ", ".join(f"{name} {1e3 * seconds:.2f} ms" for name, seconds in times.items())
            print(f"{workload.name}: {told}", flush=True)


if __name__ == "__main__":
    main()
