"""Runs the examples in the docstrings of an installed fastrenyi, with no library for tests.

    python packaging/try_wheel.py

Those that need another library which is not there are left out and counted. Exit code 1 where one is wrong or none ran.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import pkgutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import fastrenyi


def loaded(name: str) -> ModuleType | None:
    """The module, or None where it needs a library that is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if str(error.name).startswith("fastrenyi"):  # the wheel itself lacks something
            raise
        return None


def can_run(test: doctest.DocTest) -> bool:
    """Whether all that the examples of a docstring import is there."""
    nodes = [node for example in test.examples for node in ast.walk(ast.parse(example.source))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return all(loaded(name) for name in names)


def main() -> int:
    """Run them; print how many there were."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    names = ["fastrenyi"] + [
        module.name
        for module in pkgutil.walk_packages(fastrenyi.__path__, "fastrenyi.", onerror=lambda name: None)
        if not module.name.endswith("__main__")
    ]
    modules = [module for name in names if (module := loaded(name))]
    tests = [test for module in modules for test in doctest.DocTestFinder().find(module) if test.examples]
    some = [test for test in tests if can_run(test)]
    runner = doctest.DocTestRunner()
    with tempfile.TemporaryDirectory() as folder:  # some write files
        os.chdir(folder)
        for test in some:
            runner.run(test)
        os.chdir("/")
    print(
        f"fastrenyi {fastrenyi.__version__} in {Path(fastrenyi.__file__).parent}, Python {sys.version.split()[0]}: "
        f"{runner.tries} examples of {len(some)} docstrings, {runner.failures} wrong; left out for want of a library: "
        f"{len(names) - len(modules)} of {len(names)} modules, {len(tests) - len(some)} docstrings of the others"
    )
    return 1 if runner.failures or not runner.tries else 0


if __name__ == "__main__":
    sys.exit(main())
