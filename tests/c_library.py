"""The C interface by ctypes, as its header declares it: views of NumPy arrays in, a Failure where a call fails."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import fastrenyi as fr

HEADER = Path(fr.get_include()) / "fastrenyi.h"
LIBRARY = ctypes.CDLL(fr.get_library())

OK, INVALID, NOT_FINITE, NOT_SYMMETRIC, ZERO, INDEFINITE, NO_LAPACK, NOT_CONVERGED, OUT_OF_MEMORY, INTERNAL = range(10)
UNCHECKED = 1

_BY_VALUE = {
    "int": ctypes.c_int, "int64_t": ctypes.c_int64, "uint32_t": ctypes.c_uint32, "double": ctypes.c_double,
}  # fmt: skip


def without_comments() -> str:
    return re.sub(r"/\*.*?\*/", "", HEADER.read_text(encoding="utf-8"), flags=re.DOTALL)


def declared() -> dict[str, tuple[str, list[str]]]:
    """What each function returns, and the kinds of its arguments, pointers by their "*"."""
    found = {}
    for result, name, arguments in re.findall(r"^([\w ]+?[ *]+)(fr_\w+)\(([^)]*)\);", without_comments(), re.MULTILINE):
        kinds = [re.sub(r"\s*\w+$", "", re.sub(r"\s+", " ", argument).strip()) for argument in arguments.split(",")]
        found[name] = (result.strip(), [kind for kind in kinds if kind])
    return found


DECLARED = declared()
for _name, (_result, _kinds) in DECLARED.items():
    _function = getattr(LIBRARY, _name)
    _function.argtypes = [_BY_VALUE.get(kind, ctypes.c_void_p) for kind in _kinds]
    _function.restype = ctypes.c_char_p if "*" in _result else _BY_VALUE[_result]


class View(ctypes.Structure):
    """fr_view_f32, _f64 and _i64."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("batch", "rows", "cols", "batch_stride", "row_stride", "col_stride")),
    ]


def view(x: Any, **other: int | None) -> View:
    """A view of an array (b, rows, cols), with other fields if wanted."""
    result = View(x.ctypes.data, *x.shape, *(stride // x.itemsize for stride in x.strides))
    result.array = x  # which is to live as long
    for name, value in other.items():
        setattr(result, name, value)
    return result


def views(arrays: Sequence[Any]) -> Any:
    result = (View * len(arrays))(*(view(x) for x in arrays))
    result.arrays = arrays
    return result


def suffix(dtype: Any) -> str:
    return {"float32": "f32", "float64": "f64", "int64": "i64"}[np.dtype(dtype).name]


class Failure(Exception):
    """A status other than FR_OK, with what the library says of it."""

    def __init__(self, status: int) -> None:
        super().__init__(LIBRARY.fr_error_message().decode())
        self.status = status
        self.index = LIBRARY.fr_error_index()


def call(name: str, *arguments: Any) -> None:
    """Call a function with numbers, views, None, and arrays that give their addresses."""
    given = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            assert argument.flags.c_contiguous
            given.append(argument.ctypes.data)
        elif isinstance(argument, (ctypes.Structure, ctypes.Array)):
            given.append(ctypes.addressof(argument))
        else:
            given.append(argument)
    status = getattr(LIBRARY, name)(*given)
    if status != OK:
        raise Failure(status)


def load_lapack() -> None:
    """SciPy's, as a program with Python in it would."""
    from scipy.linalg import cython_lapack

    file = ctypes.create_string_buffer(str(cython_lapack.__file__).encode())
    call("fr_load_lapack", file)
