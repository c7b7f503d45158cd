"""The entropy of a large batch, to a tolerance."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness import parametrize, run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc, "large")


def test_large(benchmark: BenchmarkFixture, size: str, name: str, side: str) -> None:
    run(benchmark, size, name, side)
