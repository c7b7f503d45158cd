"""Random calls of which one to three arguments are of any kind: a named error, or a result of finite numbers.

The values are those of ``zoo`` and what `value` makes: arrays of every dtype and shape, lists in lists, numbers at the
ends of their ranges, objects that lie or refuse when asked. Integers between 50 and 2^31 are left out: as a number of
permutations they are right, and take for ever.
"""

from __future__ import annotations

import array
import enum
import math
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import calls
import fastrenyi as fr
import zoo
from fuzz.layouts import told


class Wrong(AssertionError):
    """A call that did not end as it should, with what was given."""

    def __init__(self, name: str, given: dict[str, Any], what: str) -> None:
        shown = {key: _shown(value) for key, value in given.items()}
        super().__init__(f"{name}({', '.join(f'{key}={value}' for key, value in shown.items())}): {what}")
        self.record = {"call": name, "what": what, "arguments": shown}


class _Lies:
    """Says that it is a number."""

    __class__: Any = float


class _Raises:
    """Raises whatever it is asked, but for its type."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no ==")

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise RuntimeError("no bool")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __iter__(self) -> Any:
        raise RuntimeError("no iter")


class _Exports:
    """Says that it gives arrays, and does not."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.error:
            raise self.error
        return "no array"

    def __dlpack__(self, **options: Any) -> Any:
        return self.__array__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


class _Device(_Exports):
    def __dlpack_device__(self) -> Any:
        return self.__array__()


class _Word(str):
    __slots__ = ()


class _Whole(enum.IntEnum):
    TWO = 2


class _Shape:
    shape, dtype, ndim = (6, 6), np.dtype("float64"), 2


def _itself() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


def _deep() -> Any:
    items: Any = 1.0
    for _ in range(3000):
        items = [items]
    return items


OF_PYTHON: list[Callable[[], Any]] = [
    _Lies, _Raises, _Shape, _itself, _deep, lambda: _Exports(None), lambda: _Exports(KeyError("no")),
    lambda: _Device(None), lambda: _Device(OSError("no")), lambda: _Word("gaussian"), lambda: _Word("inf"),
    lambda: _Whole.TWO, lambda: _Exports, lambda: "x" * 10**5, lambda: "\ud800", lambda: "line\nline", lambda: "\0",
    lambda: bytearray(b"xx"), lambda: memoryview(b"xx"), lambda: memoryview(np.eye(3)),
    lambda: array.array("d", [1, 2]),
    lambda: types.SimpleNamespace(shape=3), lambda: sys, lambda: {1: 2}.items(), lambda: (i for i in range(3)),
    lambda: [None, 1.0], lambda: [True, 2], lambda: [1, "a"], lambda: ["a"], lambda: [b"a"], lambda: [1j],
    lambda: [np.eye(3)], lambda: [np.eye(6) / 6] * 2, lambda: (np.eye(6) / 6,), lambda: [[]], lambda: [[], [1]],
    lambda: [10**400], lambda: [math.nan], lambda: [math.inf, 1], lambda: range(0),
    lambda: {"a": 1}, lambda: frozenset([1]), lambda: -(2**63), lambda: 2**64, lambda: 2**31, lambda: 5e-324,
    lambda: sys.float_info.max, lambda: -sys.float_info.max, lambda: 1 + 2**-52, lambda: 1 - 2**-53,
    lambda: lambda *_: 1,
    lambda: fr.Gaussian, lambda: fr.Gaussian(), lambda: fr.Delta(), lambda: fr.Cosine(), lambda: fr.Median(),
    lambda: fr.NearestNeighbours(3), lambda: fr.Alignment(np.eye(6) / 6), lambda: fr.Alignment(np.eye(3) / 3),
    lambda: "gaussian", lambda: "delta", lambda: "cosine", lambda: "median", lambda: "neighbours", lambda: "float32",
]  # fmt: skip
DTYPES = ["f8", "f4", "f2", ">f8", "g", "i1", "u8", "i8", "?", "c8", "O", "U3", "S3", "M8[s]", "m8[s]", "V8", "f8,i4"]
SHAPES = [
    (),
    (1,),
    (6,),
    (0,),
    (6, 6),
    (6, 3),
    (3, 6),
    (1, 1),
    (0, 0),
    (6, 0),
    (2, 6, 6),
    (0, 6, 6),
    (6, 2, 3, 3),
    (1,) * 20,
]


def value(rng: np.random.Generator) -> Any:
    """A value of any kind."""
    kinds = {"zoo": 0.2, "python": 0.3, "array": 0.2, "tensor": 0.15, "table": 0.03, "number": 0.07, "list": 0.05}
    kind = rng.choice(list(kinds), p=list(kinds.values()))
    if kind == "zoo":
        found = zoo.every()
        return found[rng.integers(len(found))]
    if kind == "python":
        return OF_PYTHON[rng.integers(len(OF_PYTHON))]()
    if kind == "number":
        power = float(10.0 ** rng.uniform(-320, 308))
        return [int(rng.integers(-5, 50)), power, -power, np.float32(3), np.float16(3), np.longdouble(3)][
            rng.integers(6)
        ]
    if kind == "list":
        return [value(rng) for _ in range(rng.integers(1, 4))]
    if kind == "table":
        return _table(rng)
    return _tensor(rng) if kind == "tensor" else _array(rng)


def _numbers(rng: np.random.Generator) -> Any:
    x: Any = rng.normal(size=SHAPES[rng.integers(len(SHAPES))])
    if rng.random() < 0.3 and x.ndim >= 2 and x.shape[-1] == x.shape[-2] and x.size:  # a Gram
        x = x @ np.swapaxes(x, -1, -2)
        x = (x + np.swapaxes(x, -1, -2)) / 2 / np.trace(x, axis1=-2, axis2=-1)[..., None, None]
    x = x * rng.choice([1, 1, 0, 1e30, 1e-30])
    if x.size and rng.random() < 0.1:
        x.flat[rng.integers(x.size)] = rng.choice([math.nan, math.inf])
    return np.asarray(x)


def _array(rng: np.random.Generator) -> Any:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        x, dtype = _numbers(rng), DTYPES[rng.integers(len(DTYPES))]
        x = np.zeros(x.shape, dtype) if dtype in ("M8[s]", "m8[s]", "V8", "f8,i4") else x.astype(dtype)
    form = rng.choice(["plain", "plain", "matrix", "masked", "broadcast", "read only", "record"])
    if form == "matrix" and x.ndim == 2 and dtype[0] == "f":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asmatrix(x)
    if form == "masked":
        return np.ma.masked_array(x)
    if form == "broadcast":
        return np.broadcast_to(x, (2, *x.shape)) if x.ndim < 20 else x
    if form == "record" and dtype == "f8,i4":
        return x.view(np.recarray)
    x.flags.writeable = form != "read only"
    return x


def _tensor(rng: np.random.Generator) -> Any:
    torch = sys.modules.get("torch")
    if torch is None:
        return _array(rng)
    kinds = ["float64", "float32", "float16", "bfloat16", "int64", "uint8", "bool", "complex128", "float8_e4m3fn"]
    x = torch.from_numpy(_numbers(rng))
    x = x.to(getattr(torch, kinds[rng.integers(len(kinds))]))
    forms = ["grad", "parameter", "sparse", "csr", "meta", "conj", "lazy", "quantized", "expanded"]
    form = rng.choice(["plain", "plain", *forms])
    real = x.is_floating_point() and x.element_size() > 1
    if form == "grad" and real:
        return x.requires_grad_()
    if form == "parameter" and real:
        return torch.nn.Parameter(x)
    if form == "sparse" and real and x.ndim:
        return x.to_sparse()
    if form == "csr" and x.dtype == torch.float64 and x.ndim == 2:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return x.to_sparse_csr()
    if form == "meta":
        return x.to("meta")
    if form == "conj" and x.is_complex():
        return x.conj().imag
    if form == "lazy":
        return torch.nn.UninitializedParameter()
    if form == "quantized" and x.dtype == torch.float32 and bool(x.isfinite().all()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)
    return x.expand(2, *x.shape) if form == "expanded" else x


def _table(rng: np.random.Generator) -> Any:
    try:
        import pandas as pd
    except ModuleNotFoundError:
        return _array(rng)
    frames: list[Callable[[], Any]] = [
        lambda: pd.DataFrame(calls.X), lambda: pd.DataFrame(calls.G), lambda: pd.Series([1.0, 2.0]), lambda: pd.NA,
        lambda: pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), lambda: pd.DataFrame(), lambda: pd.NaT,
        lambda: pd.Series([1, None], dtype="Int64"), lambda: pd.Categorical(["a", "b", "a"]), lambda: pd.Index([1, 2]),
    ]  # fmt: skip
    return frames[rng.integers(len(frames))]()


def check(rng: np.random.Generator, table: dict[str, calls.Call] | None = None) -> None:
    """One random call of a public function; `Wrong` if it does not end as it should."""
    table = table or calls.all_calls()
    name = list(table)[rng.integers(len(table))]
    call = table[name]
    if not call.keys:
        return
    keys = rng.choice(call.keys, min(len(call.keys), int(rng.choice([1, 1, 1, 2, 3]))), replace=False)
    given = {str(key): value(rng) for key in keys}
    given = {key: wrong for key, wrong in given.items() if call.tries(key, wrong)}
    for key, wrong in given.items():  # a tensor without numbers beside one with them is for PyTorch to refuse
        if type(wrong).__name__ == "FakeTensor":
            given = {key: wrong}
            break
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = calls.fault(call, given)
    if found:
        raise Wrong(name, given, found)


def _shown(x: Any) -> str:
    try:
        if isinstance(x, np.ndarray) or type(x).__module__.startswith("torch"):
            return f"<{type(x).__name__} {told(x)}> {repr(x)[:200]}"
        return f"<{type(x).__name__}> {repr(x)[:200]}"
    except Exception:
        return f"<{type(x).__name__}>"
