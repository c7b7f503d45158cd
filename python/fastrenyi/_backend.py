"""Which compiled module serves which device, and with how many threads."""

from __future__ import annotations

import importlib
import site
import sys
from pathlib import Path
from types import ModuleType

from fastrenyi import _core
from fastrenyi._errors import BackendUnavailableError

__all__ = ["MODULES", "limit_threads", "module_for", "opened", "serves_core", "threads"]

MODULES = {"cpu": "_core", "cuda": "_cuda"}
"""The compiled module for each kind of device. A test puts _emulated in the place of _core, and so runs on the host
what would run on a GPU."""


_TO_CPU = {"torch": "{}.cpu()", "cupy": "{}.get()", "jax": "numpy.asarray({})"}


def serves_core(device: str) -> bool:
    """Whether arrays on a device are NumPy's to the kernels."""
    return MODULES.get(device) == "_core"


def module_for(device: str, name: str, library: str = "torch") -> ModuleType:
    """Return the compiled module for a device, or say why there is none."""
    if serves_core(device):
        return _core
    module = MODULES.get(device.partition(":")[0])
    why = "for which fastrenyi has no backend"
    if module is not None:
        try:
            return opened(f"fastrenyi.{module}")
        except ImportError as error:
            why = f"for which this build of fastrenyi has no backend ({error}), as it has where nvcc is found"
    to_cpu = _TO_CPU.get(library, "{}.cpu()").format(name)
    raise BackendUnavailableError(
        f"{name}: expected an array on a device that is served, got one on {device!r}, {why}; "
        f"move it first, for instance with {to_cpu}"
    )


_told: set[str] = set()


def opened(name: str) -> ModuleType:
    """Return a module for GPUs, told the first time where wheels put cuSOLVER, which it opens by name."""
    module = sys.modules.get(name) or importlib.import_module(name)
    if name not in _told:
        roots = {*site.getsitepackages(), *sys.path}
        found = {str(file) for root in roots for file in Path(root).glob("nvidia/cu*/lib/libcusolver.so.*")}
        module.set_library_paths(sorted(found))
        _told.add(name)
    return module


_most: int | None = None
"""Of threads, that set_num_threads allows; None for what PyTorch or OpenMP are set to."""


def limit_threads(most: int | None) -> None:
    """Let each kernel use no more than so many threads, or as many as other settings say."""
    global _most
    _most = most


def threads() -> int:
    """Return the threads a kernel may use: our own setting, else PyTorch's if it is loaded, else 0 for OpenMP's."""
    if _most is not None:
        return _most
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch is not None and hasattr(torch, "get_num_threads") else 0
