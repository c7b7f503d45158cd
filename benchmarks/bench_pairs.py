"""The joint entropies of all pairs of maps with a target, orders 1.01 and 2."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness import parametrize, run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc, "pairs")


def test_pairs(benchmark: BenchmarkFixture, size: str, name: str, side: str) -> None:
    run(benchmark, size, name, side)
