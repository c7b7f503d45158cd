"""Argument checks, and the one place where messages are made.

A message begins with the argument's name and says what was expected, what came, and the way out.
"""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import numpy as np

from fastrenyi import _backend, _core
from fastrenyi._array import BITS, Array, Home, Values, home_of, is_array
from fastrenyi._conversions import as_real, common_dtype, moved
from fastrenyi._errors import BackendUnavailableError

__all__ = [
    "LOOKING", "adopt", "array", "by_name", "choice", "codes", "double", "finite", "flag", "flat_batch", "index_told",
    "integer", "kind_error", "listed", "nonzero_rows", "not_negative", "orders", "positive", "quoted", "real",
    "real_dtype", "refuse_not_finite", "same_home", "share", "telling", "unit", "value_error", "widths",
]  # fmt: skip

_REAL = tuple(reversed(BITS))

LOOKING: ContextVar[bool] = ContextVar("fastrenyi_looking", default=True)
"""Whether the numbers of arguments are looked at, beyond what a kernel sees on its way; ``settings`` says so."""


def kind_error(name: str, expected: str, got: object, way_out: str = "") -> NoReturn:
    """Raise TypeError for an argument of the wrong kind."""
    shown = f"{type(got).__name__}" if not isinstance(got, str) else got
    raise TypeError(f"{name}: expected {expected}, got {shown}" + (f"; {way_out}" if way_out else ""))


_SHOWN_BITS = 128


def quoted(x: object) -> object:
    """Return what came for ``kind_error``: a string, which it would take for words of the message, in quotes."""
    return repr(x) if isinstance(x, str) else x


def value_error(name: str, expected: str, got: object, way_out: str = "") -> NoReturn:
    """Raise ValueError for an argument of the right kind and a wrong value or shape."""
    raise ValueError(f"{name}: expected {expected}, got {_told(got)}" + (f"; {way_out}" if way_out else ""))


def _told(got: object) -> str:
    if isinstance(got, int) and got.bit_length() > _SHOWN_BITS:
        return f"an integer of {got.bit_length()} bits"
    try:
        return str(got)
    except Exception:  # a stranger's own words
        return type(got).__name__


_DLPACK_CPU = 1


def adopt(x: Any, name: str) -> Array:
    """Return an array of a library that is known here as it is, and what gives NumPy an array as that array.

    It gives one by DLPack, ``__array__``, as tables of pandas do, or the buffer of a memoryview. Other things are left
    to ``array``.
    """
    if is_array(x) or isinstance(x, np.generic):
        return x
    kind = type(x)
    shared, tells = hasattr(kind, "__dlpack__"), hasattr(kind, "__dlpack_device__")
    converts = hasattr(kind, "__array__") or kind is memoryview
    if not shared and not converts:
        return x
    try:
        device, number = map(int, x.__dlpack_device__()) if shared and tells else (_DLPACK_CPU, 0)
        if device == _DLPACK_CPU:
            if converts and not (shared and tells):
                return np.asarray(x)
            return np.from_dlpack(x if tells else _Told(x))
    except MemoryError:
        raise
    except Exception as error:  # another library's code
        got = f"{kind.__name__}, for which it says: {error}"
        kind_error(name, "an array that NumPy can read", got, "convert it to one of float64 first")
    got = f"{kind.__name__} on device {number} of DLPack's type {device}"
    kind_error(name, "an array on the CPU, or one of torch or CuPy", got, f"pass torch.from_dlpack({name})")


class _Told:
    """What exports its memory by DLPack and does not say where it is: NumPy asks first, and then looks itself."""

    def __init__(self, exporter: Any) -> None:
        self.exporter = exporter

    def __dlpack_device__(self) -> tuple[int, int]:
        return _DLPACK_CPU, 0

    def __dlpack__(self, **options: Any) -> Any:
        return self.exporter.__dlpack__(**options)


def listed(x: Any, name: str) -> Array:
    """Return nested lists of numbers as a float64 array, those of strings as an array of strings."""
    if not isinstance(x, (list, tuple)):
        return x
    try:
        items = list(_items(x))
    except RecursionError:
        kind_error(name, "an array, or lists of numbers", "lists in lists without an end")
    if not any(all(isinstance(item, kind) for item in items) for kind in (numbers.Number, str)):
        kind_error(name, "an array, or lists of numbers", "other lists", f"pass numpy.stack({name}) of arrays")
    try:
        values = np.asarray(x)
    except (ValueError, OverflowError) as error:
        value_error(name, "lists of equal lengths", f"others ({error})")
    return values.astype(np.float64) if values.dtype.kind in "iuf" else values


def _items(x: object) -> Iterator[object]:
    for item in x if isinstance(x, (list, tuple)) else ():
        if isinstance(item, (list, tuple)):
            yield from _items(item)
        else:
            yield item


def codes(x: Array, name: str) -> Array:
    """Return labels that are strings as integers, the same for the same string; other arrays as they are."""
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "OSTU":
        return x
    if x.dtype.kind == "O":
        strings = np.array([isinstance(label, str) for label in x.flat], dtype=bool)
        if not strings.any():
            return x
        if not strings.all():
            index = int(strings.argmin())
            kind_error(
                name, "labels that are all strings", f"{x.flat[index]!r} at index {index_told(index, x.shape)}",
                f"fill in what is missing, or pass {name}.astype(str)",
            )  # fmt: skip
    return np.unique(x, return_inverse=True)[1].reshape(x.shape)


def array(x: Array, name: str) -> Home:
    """Accept an array of any dtype on a device that is served; its numbers are not looked at."""
    if not is_array(x):
        way_out = f"pass numpy.asarray({name})" if isinstance(x, (list, tuple, numbers.Number)) else ""
        if hasattr(type(x), "toarray"):
            way_out = f"pass {name}.toarray()"
        if type(x).__name__ == "LazyGram":
            way_out = "make a dense one of its samples by fastrenyi.gram"
        kind_error(name, "an array (NumPy, CuPy, JAX, torch, or what gives NumPy one)", quoted(x), way_out)
    if isinstance(x, np.ma.MaskedArray):
        kind_error(name, "an array without a mask", "a masked array", f"pass {name}.filled(value)")
    home = home_of(x)
    if home.library == "torch" and isinstance(x, sys.modules["torch"].nn.parameter.UninitializedTensorMixin):
        kind_error(name, "a tensor with a shape", "a parameter that is not initialised", "call its module first")
    if home.library == "torch" and x.is_nested:
        kind_error(name, "a tensor of one shape", "a nested tensor", f"pass each of {name}.unbind() alone")
    if home.library == "torch" and x.layout != sys.modules["torch"].strided:
        kind_error(name, "a dense tensor", f"layout {x.layout}", f"pass {name}.to_dense()")
    _backend.module_for(home.device, name, home.library)
    if home.library == "torch" and home.dtype.startswith("float8"):
        kind_error(name, f"real numbers ({', '.join(_REAL)})", f"dtype {home.dtype}", f"pass {name}.float()")
    return home


def double(home: Home, name: str, what: str) -> Home:
    """Return this home for what is computed in double precision, which JAX has where its user has enabled it."""
    if home.widest() != "float64":
        way_out = f"jax.config.update('jax_enable_x64', True), or pass numpy.asarray({name})"
        kind_error(name, f"an array of a library with float64, in which {what} is computed", "JAX without it", way_out)
    return home.with_dtype("float64")


def real_dtype(home: Home, name: str) -> None:
    """Refuse what is not real numbers, saying how to convert it."""
    if home.dtype not in _REAL:
        way_out = f"pass {as_real(home, name)}"
        kind_error(name, f"real numbers ({', '.join(_REAL)})", f"dtype {home.dtype}", way_out)


def real(x: object, name: str) -> Home:
    """Accept an array of real numbers."""
    home = array(x, name)
    real_dtype(home, name)
    return home


def same_home(home: Home, name: str, first: Home, first_name: str) -> None:
    """Refuse to mix libraries, dtypes and devices."""
    if home == first:
        return
    common = first.with_dtype(common_dtype(home.dtype, first.dtype))
    if common.dtype == "float64":
        common = first.with_dtype(first.widest())
    both = ((first, first_name), (home, name))
    way_out = "pass " + " and ".join(moved(one, label, common) for one, label in both if one != common)
    kind_error(name, f"the library, dtype and device of {first_name} ({first})", str(home), way_out)


def flat_batch(values: Values, axes: int) -> Values:
    """Join all axes but the last ``axes`` into one; a view where the strides allow."""
    if values.ndim == axes + 1:
        return values
    batch = values.shape[: values.ndim - axes]
    return values.reshape(math.prod(batch), *values.shape[values.ndim - axes :])


def index_told(index: int, shape: tuple[int, ...]) -> str:
    return str(tuple(int(i) for i in np.unravel_index(index, shape)))


def finite(values: Values, name: str) -> None:
    """Refuse NaN and infinity, naming the first bad index, if numbers are to be looked at."""
    if LOOKING.get():
        refuse_not_finite(values, name)


def refuse_not_finite(values: Values, name: str) -> None:
    """Refuse NaN and infinity, naming the first bad index; integers are finite."""
    if values.dtype.kind != "f":
        return
    rows = values if values.ndim > 1 else values.reshape(1, -1)
    index = _core.first_not_finite(flat_batch(rows, 2), _backend.threads())
    if index >= 0:
        bad = values[np.unravel_index(index, values.shape)]
        value_error(name, "finite numbers", f"{bad} at index {index_told(index, values.shape)}", "clean the data first")


def nonzero_rows(values: Values, name: str, kernel: str) -> None:
    """Refuse samples that are zero in every feature."""
    if not LOOKING.get():
        return
    index = _core.first_zero_row(flat_batch(values, 2), _backend.threads())
    if index >= 0:
        value_error(
            name,
            f"samples that are not all zero, as the {kernel} kernel divides by their length",
            f"a zero sample at index {index_told(index, values.shape[:-1])}",
            "use a Gaussian kernel, or a Polynomial with coef0 > 0",
        )


def widths(found: Values, given: bool) -> NoReturn:
    """Refuse widths that are not finite and above zero, given or found by a rule."""
    if given:
        value_error("bandwidth", "finite widths above zero", found)
    value_error("bandwidth", "a rule that gives finite widths for this data", found, "rescale the data")


def _as_float(x: object, name: str, expected: str, way_out: str = "") -> float:
    """Accept a number and return it as a float, one that is too large for it as infinity."""
    if isinstance(x, (bool, np.bool_)) or not isinstance(x, numbers.Real):
        kind_error(name, expected, quoted(x), way_out)
    try:
        return float(x)
    except OverflowError:
        return math.copysign(math.inf, 1 if x > 0 else -1)  # type: ignore[operator]
    except (TypeError, ValueError):  # a number by name only, as NumPy's timedelta64
        kind_error(name, expected, type(x).__name__)


def positive(x: object, name: str) -> float:
    """Accept a finite number above zero."""
    number = _as_float(x, name, "a number")
    if not 0 < number < math.inf:  # comparisons are what every torch.compile traces of a symbol
        value_error(name, "a finite number above zero", x)
    return number


def share(x: object, name: str) -> float:
    """Accept a number from 0 on and below 1."""
    value = _as_float(x, name, "a number in [0, 1)")
    if not 0 <= value < 1:
        value_error(name, "a number in [0, 1)", value)
    return value


def not_negative(x: object, name: str) -> float:
    """Accept a finite number of at least zero."""
    number = _as_float(x, name, "a number")
    if not 0 <= number < math.inf:
        value_error(name, "a finite number, not negative", x)
    return number


def integer(x: object, name: str, least: int) -> int:
    """Accept an integer not below ``least``."""
    if isinstance(x, (bool, np.bool_)) or not isinstance(x, numbers.Integral):
        kind_error(name, "an integer", quoted(x))
    try:
        number = int(x)
    except (TypeError, ValueError):
        kind_error(name, "an integer", type(x).__name__)
    if not least <= number < 2**31:
        value_error(name, f"an integer of at least {least} and below 2**31", x)
    return number


def choice(x: object, name: str, among: Sequence[str]) -> str:
    """Accept one of a few words."""
    *others, last = map(repr, among)
    expected = f"{', '.join(others)} or {last}"
    if not isinstance(x, str):
        kind_error(name, expected, x)
    if x not in among:
        value_error(name, expected, repr(x))
    return x


def flag(x: object, name: str) -> bool:
    """Accept True or False."""
    if not isinstance(x, (bool, np.bool_)):
        kind_error(name, "True or False", quoted(x))
    return bool(x)


def orders(alpha: object, name: str = "alpha") -> tuple[list[float], bool]:
    """Accept one order in [0, inf] or a sequence of them; the second result says whether it was one."""
    if isinstance(alpha, np.ndarray):
        alpha = alpha.tolist()
    elif isinstance(alpha, range):
        alpha = list(alpha)
    one = not isinstance(alpha, (list, tuple))
    listed: Sequence[object] = [alpha] if not isinstance(alpha, (list, tuple)) else alpha
    if not listed:
        value_error(name, "at least one order", "none")
    accepted = []
    for order in listed:
        way_out = "pass math.inf" if isinstance(order, str) and "inf" in order.lower() else ""
        number = _as_float(order, name, "a number in [0, inf] or a sequence of them", way_out)
        if not number >= 0 or (number == math.inf and order != math.inf):
            value_error(name, "orders in [0, inf]", order)
        accepted.append(number)
    return accepted, one


def unit(base: object) -> float:
    """Accept the base of the logarithm; the result turns bits into its unit.

    Below one entropies would be negative, and where some are compared, in a share or a null, the least the largest.
    """
    number = positive(base, "base")
    if number <= 1:
        value_error("base", "a base above 1", base, "2 gives bits, math.e nats")
    return 1.0 / math.log2(number)


@contextmanager
def telling(where: str, instead_of: str = "") -> Iterator[None]:
    """Put before an error's message what it is about, in place of an inner argument's name."""
    try:
        yield
    except (TypeError, ValueError, BackendUnavailableError) as error:
        told = str(error).removeprefix(f"{instead_of}: ")
        if instead_of:  # also in the way out: maps.cpu() becomes x.cpu()
            told = told.replace(f" {instead_of}.", f" {where.split()[-1]}.")
        error.args = (f"{where}: {told}", *error.args[1:])
        raise


def by_name(of_one: Callable[[Any], Any], given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what a function gives of each of a mapping, by the same names, which are told in messages."""
    if not given:
        value_error(name, "at least one layer", "none")
    found = {}
    for key, each in given.items():
        with telling(f"{name}[{key!r}]", instead_of=name):
            found[key] = of_one(each)
    return found
