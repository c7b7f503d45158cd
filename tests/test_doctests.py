"""Every example in docstrings of the installed package, in README.md and on pages of docs gives what it says."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import fastrenyi as fr

MODULES = [
    "fastrenyi",
    *(
        module.name
        for module in pkgutil.walk_packages(fr.__path__, "fastrenyi.")
        if not module.name.endswith("__main__")
    ),
]
ROOT = Path(__file__).parents[1]
TOOLS = {"docs/drop-ins.md": ["sklearn", "torchmetrics", "captum", "torchlens"], "docs/jax.md": ["jax"]}
PAGES = [
    page.relative_to(ROOT).as_posix()
    for page in (ROOT / "README.md", ROOT / "PYPI.md", *sorted(ROOT.glob("docs/*.md")))
    if page.is_file() and "\n>>> " in page.read_text(encoding="utf-8")
]


pytestmark = pytest.mark.usefixtures("torch_as_it_was")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    if name.startswith(("fastrenyi.compat.", "fastrenyi.jax")):
        module = pytest.importorskip(name, exc_type=ImportError)  # of a tool that is not there, which it says
    else:
        module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("page", PAGES)
def test_pages(page: str) -> None:
    for tool in TOOLS.get(page, []):
        pytest.importorskip(tool)
    result = doctest.testfile(str(ROOT / page), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0


def test_pages_with_examples_are_found() -> None:
    if not (ROOT / "docs").is_dir():
        pytest.skip("the tests lie outside of a source tree")
    assert {"README.md", "docs/family.md", "docs/faq.md", "docs/numbers.md"} <= set(PAGES)


@pytest.mark.parametrize("name", [name for name in fr.__all__ if not name.startswith("__")])
def test_public_names_have_an_example(name: str) -> None:
    thing = getattr(fr, name)
    if inspect.isclass(thing) and (issubclass(thing, Exception) or thing is fr.LayerDecomposition):
        return
    assert ">>>" in (inspect.getdoc(thing) or "")


def test_examples_that_are_wrong_fail() -> None:
    """The check itself."""
    module = type(doctest)("example", ">>> 1 + 1\n3\n")
    assert doctest.testmod(module, verbose=False).failed == 1
