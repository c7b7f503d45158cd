"""The floors of the house: includes and imports only go down, and the checker that says so can fail."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# ------------------------------------------------------------------------------------------------------- C++

CPP_FLOORS = {"common": 0, "ops": 1, "cpu": 2, "cuda": 2, "bindings": 3, "c": 3}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
# The C++ standard library's headers have neither a folder nor an extension.
STANDARD = re.compile(r"[a-z_0-9]+")
HEADER = "c/fastrenyi.h"  # which is installed, and alone
PYTHON = re.compile(r"pybind11/|Python\.h|numpy/")


def cpp_sources(root: Path) -> dict[str, str]:
    """All C++ and CUDA sources by their path below csrc."""
    suffixes = {".hpp", ".h", ".cpp", ".cu", ".cuh"}
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(root.rglob("*"))
        if path.suffix in suffixes
    }


def cpp_faults(sources: Mapping[str, str]) -> Iterator[str]:
    """Includes that go up, sideways, or to what a floor must not know."""
    for path, text in sources.items():
        room = path.split("/")[0]
        if room not in CPP_FLOORS or "/" not in path:
            yield f"{path}: on no floor"
            continue
        for bracket, target in INCLUDE.findall(text):
            if bracket == "<":
                if room == "common" and not STANDARD.fullmatch(target):
                    yield f"{path}: <{target}> is not of the standard library"
                if path == HEADER and target != "stdint.h":
                    yield f"{path}: <{target}> is not of C"
                if room != "bindings" and PYTHON.match(target):
                    yield f"{path}: <{target}> belongs to bindings"
                continue
            if path == HEADER:
                yield f'{path}: "{target}" is not installed with it'
                continue
            below = target.split("/")[0]
            if target not in sources or below not in CPP_FLOORS:
                yield f'{path}: "{target}" is no file of csrc, named from its root'
            elif CPP_FLOORS[below] > CPP_FLOORS[room]:
                yield f'{path}: "{target}" is a floor above'
            elif CPP_FLOORS[below] == CPP_FLOORS[room] and below != room:
                yield f'{path}: "{target}" is another room of this floor'


def test_includes_only_go_down() -> None:
    sources = cpp_sources(ROOT / "csrc")
    assert {path.split("/")[0] for path in sources} >= {"common", "ops", "cpu", "bindings"}
    assert list(cpp_faults(sources)) == []


GOOD_CPP = {
    "common/view.hpp": "#include <cstdint>\n#include <vector>\n",
    "ops/gram.hpp": '#include "common/view.hpp"\n',
    "cpu/gram.cpp": '#include <omp.h>\n#include "ops/gram.hpp"\n#include "cpu/tile.hpp"\n',
    "cpu/tile.hpp": "",
    "cuda/gram.cu": '#include <cuda_runtime.h>\n#include "ops/gram.hpp"\n',
    "c/gram.cpp": '#include "c/fastrenyi.h"\n#include "ops/gram.hpp"\n',
    "c/fastrenyi.h": "#include <stdint.h>\n",
    "bindings/core.cpp": '#include <pybind11/pybind11.h>\n#include "cpu/tile.hpp"\n#include "ops/gram.hpp"\n',
}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("common/view.hpp", '#include "ops/gram.hpp"'),
        ("common/view.hpp", "#include <omp.h>"),
        ("common/view.hpp", "#include <sys/types.h>"),
        ("ops/gram.hpp", '#include "cpu/tile.hpp"'),
        ("ops/gram.hpp", "#include <pybind11/numpy.h>"),
        ("cpu/gram.cpp", '  #  include "bindings/core.cpp"'),
        ("cpu/gram.cpp", '#include "cuda/gram.cu"'),
        ("cuda/gram.cu", '#include "cpu/tile.hpp"'),
        ("cuda/gram.cu", "#include <Python.h>"),
        ("c/gram.cpp", "#include <Python.h>"),
        ("c/gram.cpp", '#include "bindings/core.cpp"'),
        ("c/fastrenyi.h", '#include "c/door.hpp"'),
        ("c/fastrenyi.h", "#include <vector>"),
        ("cpu/gram.cpp", '#include "tile.hpp"'),
        ("cpu/gram.cpp", '#include "../ops/gram.hpp"'),
        ("utils/helpers.hpp", ""),
        ("loose.hpp", ""),
    ],
)
def test_the_checker_of_includes_can_fail(path: str, line: str) -> None:
    assert list(cpp_faults(GOOD_CPP)) == []
    bad = {**GOOD_CPP, path: GOOD_CPP.get(path, "") + line + "\n"}
    faults = list(cpp_faults(bad))
    assert len(faults) == 1
    assert faults[0].startswith(path)


# ---------------------------------------------------------------------------------------------------- Python

CORE = 2  # the highest floor that `import fastrenyi` reaches
PYTHON_FLOORS = {
    "_core": 0, "_cuda": 0, "_emulated": 0,
    "_array": 1, "_check": 1, "_matrices": 1, "_conversions": 1, "_spec": 1, "_backend": 1, "_errors": 1, "_loading": 1,
    "_cost": 1, "_log": 1, "_configured": 1,
    "_kernels": 1, "_ops": CORE,
    "torch.ops": CORE, "torch.ranks": CORE, "jax": CORE, "_dispatch": CORE,
    "_call": CORE, "null": CORE,
    "kernels": CORE, "bandwidths": CORE, "measures": CORE, "decomposition": CORE, "ranking": CORE,
    "leave_one_out": CORE, "groups": CORE,
    "normalization": CORE, "grams": CORE, "large": CORE, "multivariate": CORE, "divergence": CORE, "": CORE,
    "linking": CORE, "_ragged": CORE, "_samples": CORE, "_between": CORE, "_called": CORE, "_kernel": CORE,
    "_bandwidth": CORE,
    "_out": CORE, "_settings": CORE,
    "effective": CORE, "logdet": CORE, "comparison": CORE, "selfsupervised": CORE,
    "paths": CORE, "graphs": CORE,
    "table": 3, "_info": 3, "quick": 3, "compat": 3,
    "torch": 4, "compat.torchmetrics": 4,
    "report": 5, "demo": 5, "bench": 5, "study": 6, "cli": 7, "__main__": 7,
}  # fmt: skip
CORE_LIBRARIES = {"numpy", "scipy"}


def module_name(path: str) -> str:
    """The name inside the package: "" for fastrenyi itself, "torch.capture" for torch/capture.py."""
    return path.removesuffix(".py").removesuffix("__init__").strip("/").replace("/", ".")


def room(module: str) -> str:
    """A room of the house: the first part of a name, or as much of it as has a floor of its own."""
    first, *rest = module.split(".")
    inner = ".".join([first, *rest[:1]])
    return inner if inner in PYTHON_FLOORS else first


def allowed(module: str) -> set[str]:
    """Libraries that a room of the core may load: what meets tensors, groups or JAX is loaded when one comes."""
    return CORE_LIBRARIES | {"torch.ops": {"torch"}, "torch.ranks": {"torch"}, "jax": {"jax"}}.get(room(module), set())


def imports(path: str, text: str, modules: set[str]) -> Iterator[tuple[str, bool]]:
    """What a file imports, wherever in it: names of other libraries, or (True) modules of the package."""
    package = ["fastrenyi", *path.split("/")[:-1]]
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Call):  # import_module("fastrenyi.x") and the like
            named = (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))
            names = [name for name in named if re.fullmatch(r"fastrenyi(\.\w+)+", name)]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{start}.{alias.name}" for alias in node.names]
        for name in names:
            top, _, rest = name.partition(".")
            if top != "fastrenyi":
                yield top, False
                continue
            # `from fastrenyi.kernels import gram` names something in a module, `from fastrenyi import kernels` one.
            while rest and rest not in modules:
                rest = rest.rpartition(".")[0]
            yield rest, True


def python_sources(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.py"))}


def python_faults(sources: Mapping[str, str]) -> Iterator[str]:
    """Imports that go up, in circles, or out of the core to libraries that it must do without."""
    modules = {module_name(path) for path in sources} | {"_core", "_cuda"}
    graph: dict[str, set[str]] = {}
    for path, text in sources.items():
        module = module_name(path)
        if room(module) not in PYTHON_FLOORS:
            yield f"{path}: on no floor"
            continue
        floor = PYTHON_FLOORS[room(module)]
        below = graph.setdefault(module, set())
        for name, ours in imports(path, text, modules):
            if not ours:
                if floor <= CORE and name not in allowed(module) | sys.stdlib_module_names:
                    yield f"{path}: {name} in the core"
                elif name == "torch" not in allowed(module) and floor < PYTHON_FLOORS["torch"]:
                    yield f"{path}: torch below its room"
            elif PYTHON_FLOORS[room(name)] > floor:
                yield f"{path}: {name} is a floor above"
            elif name == "" and floor <= CORE:
                yield f"{path}: the package itself in the core"
            elif name != module:
                below.add(name)
        if module == "" and not only_names(text):
            yield f"{path}: more than names"
    while graph:  # take away what imports nothing that is left
        free = {module for module, below in graph.items() if not below & graph.keys()}
        if not free:
            yield f"{sorted(graph)}: a circle"
            return
        graph = {module: below for module, below in graph.items() if module not in free}


def only_names(text: str) -> bool:
    """Whether a module is a docstring, imports, and __all__."""
    docstring, *rest = ast.parse(text).body
    is_docstring = isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant)
    return is_docstring and all(
        isinstance(node, (ast.Import, ast.ImportFrom))
        or (isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["__all__"])
        for node in rest
    )


def test_imports_only_go_down() -> None:
    sources = python_sources(ROOT / "python" / "fastrenyi")
    assert {"__init__.py", "kernels.py", "measures.py", "decomposition.py", "torch/__init__.py"} <= set(sources)
    assert list(python_faults(sources)) == []


GOOD_PYTHON = {
    "__init__.py": '"""Names."""\nfrom fastrenyi.kernels import gram\n__all__ = ["gram"]\n',
    "_array.py": "import sys\nimport numpy as np\n",
    "_errors.py": "",
    "_check.py": "from fastrenyi import _array, _core\nfrom fastrenyi._errors import Error\n",
    "kernels.py": "from fastrenyi import _check, _core\nfrom fastrenyi.bandwidths import Silverman\n",
    "bandwidths.py": "from scipy import special\nfrom fastrenyi._array import Array\n",
    "table/store.py": "import pandas as pd\nfrom fastrenyi import _check\n",
    "torch/__init__.py": '"""Torch."""\nfrom .capture import capture\n',
    "torch/ops/gram.py": "import torch\nfrom fastrenyi import _check\n",
    "torch/capture.py": "import torch\nimport fastrenyi as fr\nfrom fastrenyi._errors import Error\n",
    "report/__init__.py": "from .plots import plot\n",
    "report/plots.py": "import matplotlib\n",
    "demo.py": "import fastrenyi.torch as frt\nfrom fastrenyi.report.plots import plot\n",
    "cli.py": "def main():\n    from fastrenyi.demo import run\n",
}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("_array.py", "from fastrenyi.kernels import gram"),
        ("_array.py", "import torch"),
        ("_check.py", "from fastrenyi import measures, kernels"),
        ("_check.py", "def f():\n    from .kernels import gram"),
        ("kernels.py", "import fastrenyi.torch.capture"),
        ("kernels.py", "import importlib\nimportlib.import_module('fastrenyi.torch.capture')"),
        ("_check.py", "def f():\n    return named('fastrenyi.kernels')"),
        ("torch/ops/gram.py", "import fastrenyi.torch.capture"),
        ("torch/ops/gram.py", "import pandas"),
        ("kernels.py", "from fastrenyi import gram"),
        ("kernels.py", "try:\n    import cupy\nexcept ImportError:\n    pass"),
        ("kernels.py", "def f():\n    import torch.linalg"),
        ("bandwidths.py", "from fastrenyi.kernels import gram"),
        ("bandwidths.py", "import pandas as pd"),
        ("table/store.py", "def f():\n    from torch import Tensor"),
        ("table/store.py", "from fastrenyi.torch import capture"),
        ("torch/capture.py", "from ..report import plots"),
        ("torch/capture.py", "from . import capture as other\nfrom fastrenyi.demo import run"),
        ("report/plots.py", "from fastrenyi.cli import main\nimport fastrenyi.demo"),
        ("__init__.py", "VALUE = 3"),
        ("__init__.py", "from fastrenyi import torch"),
        ("utils.py", ""),
        ("utils/__init__.py", ""),
    ],
)
def test_the_checker_of_imports_can_fail(path: str, line: str) -> None:
    assert list(python_faults(GOOD_PYTHON)) == []
    bad = {**GOOD_PYTHON, path: GOOD_PYTHON.get(path, "") + line + "\n"}
    faults = list(python_faults(bad))
    assert faults
    assert all(fault.startswith(path) or "circle" in fault for fault in faults)
