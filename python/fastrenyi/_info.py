"""What is built, found and running: the words of ``fastrenyi info``, and what a benchmark says of its machine."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from fastrenyi import _backend, _core

__all__ = ["commit", "found", "processor"]

_LIBRARIES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "torch": "torch",
    "cupy": "cupy|cupy-cuda12x|cupy-cuda11x|cupy-cuda13x",
    "pandas": "pandas",
    "matplotlib": "matplotlib",
    "plotly": "plotly",
}
# What changes how the library is built, threaded and run; nothing else of the environment is anybody's to see.
_SETTINGS = re.compile(r"FASTRENYI_ISA|FASTRENYI_CUDA|(OMP|MKL|OPENBLAS)_NUM_THREADS|CUDA_VISIBLE_DEVICES")
_CPUINFO = Path("/proc/cpuinfo")


def found() -> dict[str, str | int]:
    """Return what a bug report has to say, by name; it imports none of the libraries that it names."""
    build = _core.build_info()
    settings = [f"{name}={value}" for name, value in sorted(os.environ.items()) if _SETTINGS.fullmatch(name)]
    return {
        "fastrenyi": metadata.version("fastrenyi"),
        "commit": commit() or "not known",
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor(),
        "instruction sets": f"{', '.join(build['isa'])}; {build['isa_in_use']} in use",
        "OpenMP": build["openmp"],
        "compiler": build["compiler"],
        "BLAS": _core.blas_info(),
        "threads": _core.max_threads(),
        "environment": ", ".join(settings) or "nothing set",
        **{name: _installed(names.split("|")) for name, names in _LIBRARIES.items()},
        "CUDA backend": _cuda(),
    }


def processor() -> str:
    """Return the name of the processor."""
    try:
        described = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:  # not on Linux
        described = ""
    named = re.search(r"^model name\s*:\s*(.+)$", described, re.MULTILINE)  # not there on ARM
    return named[1].strip() if named else platform.processor() or platform.machine()


def commit() -> str | None:
    """Return the commit that the package is of, "-dirty" behind it where files differ; None where nothing says.

    That of the checkout it lies in, or what pip wrote down when it installed from a repository.
    """
    return _of_checkout(Path(__file__).parent) or _of_install()


def _of_checkout(folder: Path) -> str | None:
    # A package installed in an environment may lie in a checkout of something else.
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None or not (Path(top) / "python" / "fastrenyi" / Path(__file__).name).is_file():
        return None
    return _git(folder, "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty")


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):  # no git
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _of_install() -> str | None:
    try:
        written = metadata.distribution("fastrenyi").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    found = json.loads(written or "{}").get("vcs_info", {}).get("commit_id")
    return None if found is None else str(found)


def _installed(distributions: list[str]) -> str:
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "not found"


def _cuda() -> str:
    if find_spec("fastrenyi._cuda") is None:
        return "not built: no nvcc was found, or FASTRENYI_CUDA=OFF"
    found = _backend.opened("fastrenyi._cuda").info()
    version = f"{found['runtime'] // 1000}.{found['runtime'] % 1000 // 10}"
    parts = [f"built for {found['architectures']}, runtime {version}"]
    parts += [f"device {k}: {name}, {major}.{minor}" for k, (name, (major, minor)) in enumerate(found["devices"])]
    if found["problem"]:
        parts.append(f"no device: {found['problem']}")
    parts.append(f"cuSOLVER: {found['cusolver']}")
    return "; ".join(parts)
