"""One benchmark per workload and side, each verified before it is timed."""

from __future__ import annotations

from functools import lru_cache

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fastrenyi.bench import Task, workloads
from fastrenyi.bench.estimators import ESTIMATORS
from fastrenyi.bench.measure import verify

# The sides of a workload are made with its data; a test needs their names before that.
SIDES = {
    "spectrum": ["ours", "torch", "numpy", "scipy"],
    "entropy": ["ours", "torch", "vendi-score"],
    "layer": ["ours", "torch", "repitl recipe"],
    "pairs": ["ours", "torch", "torch Frobenius", "torch matmul"],
    "null": ["ours", "torch", "torch, a loop"],
    "gram": ["ours", "torch.cdist*", "torch.cdist exact", "torch expanded*"],
    "gradient": ["ours", "torch autograd", "jax eigvalsh"],
    "large": ["ours", "torch", *(f"{name}*" for name in ESTIMATORS), "random features*", "mean of minibatches*"],
    "representations": [
        "ours", "torch, groups of one length", "torch, padded", "torch, a loop", "torch eigvalsh", "torch matrix_exp",
        "torch eigh", "published recipe",
    ],
}  # fmt: skip


def parametrize(metafunc: pytest.Metafunc, group: str) -> None:
    """Give a test all workloads and sides of a group."""
    listed = [workload for workload in workloads(metafunc.config.getoption("--size")) if workload.group == group]
    metafunc.parametrize("side", SIDES[group])
    metafunc.parametrize("name", [workload.name for workload in listed], scope="module")


@lru_cache(maxsize=1)
def _verified(size: str, name: str) -> tuple[Task, dict[str, float]]:
    """The data of one workload at a time, and the errors of its sides."""
    task = next(workload for workload in workloads(size) if workload.name == name).make()
    return task, verify(task)


def run(benchmark: BenchmarkFixture, size: str, name: str, side_name: str) -> None:
    """Time one side; where it does a share of the work, ``extra_info`` says which."""
    task, errors = _verified(size, name)
    side = next((side for side in task.sides if side.name == side_name), None)
    if side is None:
        pytest.skip(f"{name} has no side {side_name}")
    benchmark.group = name
    benchmark.extra_info.update(share=side.share, error=errors[side.name], tolerance=task.tolerance)
    benchmark(side.run)
