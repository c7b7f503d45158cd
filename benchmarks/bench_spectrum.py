"""Spectra of batches of small matrices, and of large single ones."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness import parametrize, run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc, "spectrum")


def test_spectrum(benchmark: BenchmarkFixture, size: str, name: str, side: str) -> None:
    run(benchmark, size, name, side)
