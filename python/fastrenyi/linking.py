"""Where the C interface lies: a header, a library without Python in it, and what CMake's find_package reads."""

from __future__ import annotations

import sys
from pathlib import Path

from fastrenyi import _core

__all__ = ["get_cmake_dir", "get_include", "get_library"]

# Beside the compiled module: in an editable install the Python files lie elsewhere.
_FOLDER = Path(_core.__file__).parent
_LIBRARY = "libfastrenyi.dylib" if sys.platform == "darwin" else "libfastrenyi.so"


def _there(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"fastrenyi: expected {path}, got an installation without it; install fastrenyi again")
    return path


def get_include() -> str:
    """Return the folder of ``fastrenyi.h``, the header of the C interface.

    Returns
    -------
    str
        For a compiler: ``cc -I"$(python -c 'import fastrenyi; print(fastrenyi.get_include())')"``.

    Raises
    ------
    FileNotFoundError
        Where the installation has lost it.

    Notes
    -----
    Cost: a look at the disk. The header, in C99, says what each function computes and needs; ``docs/c-interface.md``
    how to link.

    Examples
    --------
    >>> from pathlib import Path
    >>> import fastrenyi as fr
    >>> "int fr_abi_version(void);" in (Path(fr.get_include()) / "fastrenyi.h").read_text()
    True
    """
    return str(_there(_FOLDER / "include" / "fastrenyi.h").parent)


def get_library() -> str:
    """Return the file of the library that has the functions of ``fastrenyi.h``.

    Returns
    -------
    str
        To be opened (``ctypes``, ``cffi``, ``dlopen``) or linked with.

    Raises
    ------
    FileNotFoundError
        Where the installation has lost it.

    Notes
    -----
    Cost: a look at the disk. The library is linked with neither Python nor LAPACK. What needs LAPACK, as
    eigenvectors and matrices of order above 768, fails until ``fr_load_lapack`` has been given one: from Python
    SciPy's, ``scipy.linalg.cython_lapack.__file__``.

    Examples
    --------
    >>> import ctypes
    >>> import fastrenyi as fr
    >>> ctypes.CDLL(fr.get_library()).fr_abi_version()
    1
    """
    return str(_there(_FOLDER / "lib" / _LIBRARY))


def get_cmake_dir() -> str:
    """Return the folder of ``fastrenyi-config.cmake``, for CMake's ``find_package(fastrenyi CONFIG)``.

    Returns
    -------
    str
        For ``cmake -Dfastrenyi_DIR=...``; the target to link with is ``fastrenyi::fastrenyi``.

    Raises
    ------
    FileNotFoundError
        Where the installation has lost it.

    Notes
    -----
    Cost: a look at the disk. The package may be moved as a whole: paths in it are relative.

    Examples
    --------
    >>> from pathlib import Path
    >>> import fastrenyi as fr
    >>> (Path(fr.get_cmake_dir()) / "fastrenyi-config.cmake").is_file()
    True
    """
    return str(_there(_FOLDER / "cmake" / "fastrenyi-config.cmake").parent)
