"""``pytest benchmarks --size quick|normal|full``: pytest-benchmark over the workloads of ``fastrenyi.bench``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastrenyi.bench import SIZES
from fastrenyi.bench.measure import default_threads, threads_set


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--size", choices=SIZES, default="normal", help="of the workloads (default: normal)")
    parser.addoption("--threads", type=int, help="for all sides (default: torch's, which obeys OMP_NUM_THREADS)")


@pytest.fixture
def size(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--size"))


@pytest.fixture(autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    with threads_set(request.config.getoption("--threads") or default_threads()):
        yield
