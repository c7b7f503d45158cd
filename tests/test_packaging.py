"""What is published: the sdist is whole, and everything that names a version or a Python names the same."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

import fastrenyi as fr

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings it there
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
if not (ROOT / "pyproject.toml").is_file():
    pytest.skip("the tests lie outside of a source tree", allow_module_level=True)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CITATION = (ROOT / "CITATION.cff").read_text()
RECIPE = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text()


def test_one_version() -> None:
    version = PYPROJECT["project"]["version"]
    assert fr.__version__ == version
    assert re.findall(r"^version: (.+)$", CITATION, re.MULTILINE) == [version]
    assert re.findall(r'^  version: "(.+)"$', RECIPE, re.MULTILINE) == [version]
    assert re.search(rf"^## {re.escape(version)} ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_one_licence() -> None:
    licence = PYPROJECT["project"]["license"]
    assert f"\nlicense: {licence}\n" in CITATION
    assert f"  license: {licence}\n" in RECIPE


def test_the_citation_has_what_the_format_demands() -> None:
    keys = re.findall(r"^([a-z-]+):", CITATION, re.MULTILINE)
    assert {"cff-version", "message", "title", "authors"} <= set(keys)
    assert len(keys) == len(set(keys))


def test_pythons_said_are_pythons_built() -> None:
    said = [name.split()[-1] for name in PYPROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", name)]
    built = PYPROJECT["tool"]["cibuildwheel"]["build"].split()
    assert built == [f"cp{version.replace('.', '')}-*" for version in said]
    assert PYPROJECT["project"]["requires-python"] == f">={said[0]}"


def test_the_recipe_needs_what_the_package_needs() -> None:
    run = re.search(r"^  run:\n((?:    - .+\n)+)", RECIPE, re.MULTILINE)
    assert run
    needed = [line.strip().removeprefix("- ").replace(" ", "") for line in run[1].splitlines()]
    assert needed == ["python", *PYPROJECT["project"]["dependencies"]]
    for path in re.findall(r"packaging/\S+\.py", RECIPE):
        assert (ROOT / path).is_file()


def test_types_are_there() -> None:
    installed = Path(fr.__file__).parent
    assert all((installed / name).is_file() for name in ("py.typed", "_core.pyi"))


def test_the_sdist_is_whole(tmp_path: Path) -> None:
    """All that the checkout has, but what is left out on purpose, and nothing that was built."""
    pytest.importorskip("scikit_build_core")
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no checkout to compare with")
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    left_out = PYPROJECT["tool"]["scikit-build"]["sdist"]["exclude"]
    wanted = {
        name
        for name in listed
        if (ROOT / name).is_file() and not any(fnmatch(name, rule) or name.startswith(f"{rule}/") for rule in left_out)
    }
    program = "import sys; from scikit_build_core.build import build_sdist; build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as sdist:
        found = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    assert wanted <= found, sorted(wanted - found)
    assert {"CMakeLists.txt", "csrc/cpu/spectrum.cpp", "python/fastrenyi/py.typed", "LICENSE", "CITATION.cff"} <= found
    assert not [name for name in found if re.search(r"\.(so|pyc|whl)$|^(build|dist|demo|\.venv)/", name)]
