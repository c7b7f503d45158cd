"""Loads the compiled module; a wrong setting is an ImportError, and one line for whoever runs the command."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

__all__ = ["__version__"]


def _is_command() -> bool:
    """Whether this process is ``fastrenyi ...`` or ``python -m fastrenyi ...``."""
    place = len(sys.orig_argv) - len(sys.argv)  # of the script, which sys.argv[0] calls "-m" for now
    return place > 0 and Path(sys.orig_argv[place].removeprefix("-m")).name == "fastrenyi"


def _in_main_interpreter() -> bool:
    """Whether this is the process's first interpreter, as far as this Python can say."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # of Python 3.13 and of those before
        try:
            interpreters = importlib.import_module(name)
        except ImportError:
            continue
        current, main = interpreters.get_current(), interpreters.get_main()
        return bool(current == main)
    return True


if not _in_main_interpreter():
    raise ImportError(
        "fastrenyi: expected to be imported in the main interpreter of its process, got a sub-interpreter, which NumPy "
        "does not support either; use threads or processes, and with mod_wsgi WSGIApplicationGroup %{GLOBAL}"
    )

# The package is imported before any of the command line's own code can catch what this raises.
try:
    from fastrenyi._core import __version__
except ImportError as error:
    if not (str(error).startswith("FASTRENYI_ISA") and _is_command()):
        raise
    print(f"fastrenyi: error: {error}", file=sys.stderr)
    sys.exit(2)
