"""What is measured from outside this package: peers that others install, and workloads in a file of the user's.

A peer is an entry point of the group ``fastrenyi.bench.peers``: ``peer(workload, inputs)``, which returns one side or
several, or nothing where it does not do the work. A file of workloads has a function ``workloads(size)``, as this
package has one. benchmarks/README.md shows both.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from fastrenyi.bench.task import Side, Task, Workload
from fastrenyi.bench.workloads import workloads

__all__ = ["GROUP", "Peer", "every", "task_of"]

GROUP = "fastrenyi.bench.peers"
Peer = Callable[[Workload, Mapping[str, Any]], Side | Iterable[Side] | None]


def every(size: str, file: Path | None = None) -> list[Workload]:
    """Return all workloads of a size: those of the package, and behind them those of a file."""
    found = workloads(size)
    if file is None:
        return found
    taken = {workload.name for workload in found}
    for workload in _of_file(file, size):
        if workload.name in taken:
            raise ValueError(f"--workloads: {file}: expected names that are not taken, got {workload.name} again")
        taken.add(workload.name)
        found.append(workload)
    return found


def task_of(workload: Workload) -> Task:
    """Make the data of a workload, with the sides that peers from outside add to it."""
    task = workload.make()
    for name, peer in _peers().items():
        task = replace(task, peers=(*task.peers, *_sides(name, peer, workload, task)))
    if not any(side.ranked for side in task.peers):
        raise ValueError(f"{workload.name}: expected a peer, of no tolerance of its own, to compare with, got none")
    return task


def _peers() -> dict[str, Peer]:
    found: dict[str, Peer] = {}
    for point in metadata.entry_points(group=GROUP):
        try:
            found[point.name] = point.load()
        except Exception as error:  # whatever the code of others raises
            raise ValueError(
                f"{GROUP}: {point.name} ({point.value}) cannot be loaded: {error!r}; mend or uninstall it"
            ) from error
    return found


def _sides(name: str, peer: Peer, workload: Workload, task: Task) -> list[Side]:
    try:
        given = peer(workload, task.inputs)
        sides = [given] if isinstance(given, Side) else list(given or ())
    except Exception as error:
        raise ValueError(f"{GROUP}: {name} failed to prepare {workload.name}: {error!r}") from error
    taken = {side.name for side in task.sides}
    for side in sides:
        if not isinstance(side, Side):
            raise ValueError(f"{GROUP}: {name}: expected sides, fastrenyi.bench.Side, got {type(side).__name__}")
        if side.name in taken:
            raise ValueError(f"{GROUP}: {name}: expected names that {workload.name} has not, got {side.name!r}")
        taken.add(side.name)
    return sides


def _of_file(file: Path, size: str) -> list[Workload]:
    if file.suffix != ".py" or not file.is_file():
        raise ValueError(f"--workloads: expected a file of Python, FILE.py, got {file}")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        found = list(module.workloads(size))
    except Exception as error:  # whatever the code of others raises
        raise ValueError(f"--workloads: {file}: expected workloads(size), which returns some, got {error!r}") from error
    for workload in found:
        if not isinstance(workload, Workload):
            raise ValueError(f"--workloads: {file}: expected fastrenyi.bench.Workload, got {type(workload).__name__}")
    return found
