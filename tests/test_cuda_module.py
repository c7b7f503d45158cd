"""The module for GPUs as far as it can be tried on any machine: it is imported, and says what it finds."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import run_python

_cuda = pytest.importorskip("fastrenyi._cuda", reason="no _cuda: built where there is no nvcc")


def test_info_says_what_there_is() -> None:
    info = _cuda.info()
    assert info["version"] == _cuda.__version__
    assert info["architectures"]
    assert info["runtime"] >= 11000
    assert info["cusolver"]
    assert bool(info["devices"]) != bool(info["problem"])


def test_without_a_device_a_call_says_why() -> None:
    if _cuda.info()["devices"]:
        pytest.skip("there is a device")
    x, status = np.zeros(4), np.zeros(1, dtype=np.uint64)
    view = (x.ctypes.data, 1, 2, 2, 4, 2, 1)
    with pytest.raises(RuntimeError, match=r"current device: .*driver"):
        _cuda.not_finite(view, "float64", status.ctypes.data, 0, 0)


def test_it_is_not_loaded_before_it_is_needed() -> None:
    program = "import sys, fastrenyi; print('fastrenyi._cuda' in sys.modules)"
    assert run_python(program).strip() == "False"
