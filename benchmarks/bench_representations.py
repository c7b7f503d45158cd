"""Entropies of prompts of different lengths and of graphs, effective ranks of many samples and of views."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness import parametrize, run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc, "representations")


def test_representations(benchmark: BenchmarkFixture, size: str, name: str, side: str) -> None:
    run(benchmark, size, name, side)
