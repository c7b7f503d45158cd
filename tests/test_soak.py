"""The soak: a few seconds of it find nothing, and it finds what is planted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import soak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")
pytest.importorskip("threadpoolctl")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A small soak in an interpreter of its own."""
    order = [sys.executable, "-W", "error", str(Path(soak.__file__)), "--processes", "2", "--threads", "4", *arguments]
    return subprocess.run(
        order, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "2"}
    )


def test_ten_seconds() -> None:
    pytest.importorskip("torch")
    done = run("--seconds", "10")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 processes of 4 threads for 10 s: 0 failed" in done.stdout


@pytest.mark.parametrize(
    ("plant", "arguments", "words"),
    [
        ("wrong", [], "layer: a wrong number in"),
        ("hang", ["--patience", "3"], "Timeout (0:00:03)!"),
        ("hung child", ["--patience", "3"], "Timeout (0:00:03)!"),
        ("leak", [], "MiB more than before"),
    ],
)
def test_a_fault_is_found(plant: str, arguments: list[str], words: str) -> None:
    done = run("--numpy", "--processes", "1", "--seconds", "4", "--plant", plant, *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    assert words in done.stderr


def test_growth_is_that_of_the_middles() -> None:
    assert soak.growth([1.0]) == 0
    assert soak.growth([50, 90, 100, 100, 100, 100, 100, 250, 100]) == 0
    assert soak.growth([100.0 + k for k in range(30)]) == 10
