"""The peak memory of one side of a workload, in a process of its own.

``tracemalloc`` does not see C++, and ``ru_maxrss`` of a child begins with its parent's peak. The child resets Linux's
high-water mark when its data is made and its libraries are warm, and reads it after one call: what is reported is the
peak over the data. ``None`` where there is no /proc.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

__all__ = ["peak_bytes"]

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def peak_bytes(size: str, workload: str, side: str, threads: int, file: Path | None = None) -> int | None:
    """Return the bytes that one call takes at most beyond its data, results included; `file` has more workloads."""
    if not os.access(_RESET, os.W_OK):
        return None
    program = "from fastrenyi.bench import memory; memory.child()"
    done = subprocess.run(
        [sys.executable, "-c", program, size, workload, side, str(threads), *([] if file is None else [str(file)])],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{workload}, {side}: the process that measures memory failed\n{done.stderr}")
    return int(done.stdout)


def _bytes(field: str) -> int:
    found = re.search(rf"^{field}:\s*(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    assert found is not None, field
    return 1024 * int(found[1])


def _child(size: str, name: str, side_name: str, threads: int, file: Path | None) -> int:
    from fastrenyi.bench.measure import threads_set
    from fastrenyi.bench.outside import every, task_of

    # A small task of the same group first: thread pools and the buffers of BLAS belong to no side.
    with threads_set(threads):
        wanted = next(workload for workload in every(size, file) if workload.name == name)
        small = next((workload for workload in every("quick", file) if workload.group == wanted.group), wanted)
        for side in task_of(small).sides:
            side.run()
        task = task_of(wanted)
        run = next(side.run for side in task.sides if side.name == side_name)
        _RESET.write_text("5")
        before = _bytes("VmRSS")
        result = run()
        peak = _bytes("VmHWM") - before
        del result
    return max(0, peak)


def child() -> None:
    """Print the peak of the side that the command line names."""
    size, name, side, threads, *file = sys.argv[1:]
    print(_child(size, name, side, int(threads), Path(file[0]) if file else None))
