"""Sub-interpreters are refused, wherever NumPy stands; the main one goes on."""

from __future__ import annotations

import importlib
import sysconfig

import pytest

from conftest import run_python

PROGRAM = """
import sys, warnings
warnings.filterwarnings("ignore", "The global interpreter lock", RuntimeWarning)  # of a Python without one
try:
    import _interpreters as interpreters  # of Python 3.13
except ImportError:
    import _xxsubinterpreters as interpreters
{before}
def within(program):
    '''What the program raises in an interpreter of its own.'''
    made = interpreters.create({config})
    try:
        raised = interpreters.run_string(made, program)
    except Exception as error:  # before Python 3.13
        return str(error)
    finally:
        interpreters.destroy(made)
    return "" if raised is None else raised.msg

print(within("import fastrenyi"))
import numpy as np
import fastrenyi as fr
assert fr.entropy(np.eye(4) / 4) == 2
"""


@pytest.mark.parametrize("before", ["", "import fastrenyi"])
@pytest.mark.parametrize("config", ["", "'legacy'"])
def test_a_sub_interpreter_is_refused(before: str, config: str) -> None:
    """One with a GIL of its own, and one of the kind that embedding programs make."""
    try:
        importlib.import_module("_interpreters")
    except ImportError:
        pytest.importorskip("_xxsubinterpreters")
        if config:
            pytest.skip("this Python makes one kind")
    said = run_python(PROGRAM.format(before=before, config=config), timeout=60)
    assert "fastrenyi: expected to be imported in the main interpreter" in said
    assert "got a sub-interpreter" in said


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL at all times")
def test_a_python_without_gil_gets_one() -> None:
    program = """
    import sys, warnings
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        import fastrenyi as fr, numpy as np
    assert any("GIL" in str(warning.message) for warning in said), said
    assert sys._is_gil_enabled()
    assert fr.entropy(np.eye(4) / 4) == 2
    """
    run_python(program, timeout=60)
