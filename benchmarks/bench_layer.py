"""A layer's decomposition: LeNet-5 whole, VGG-16 by its shapes."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness import parametrize, run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc, "layer")


def test_layer(benchmark: BenchmarkFixture, size: str, name: str, side: str) -> None:
    run(benchmark, size, name, side)
