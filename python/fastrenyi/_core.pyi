from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_Real = npt.NDArray[Any]  # float32 or float64
_Verdict = tuple[str, int, float] | None

# gram
def gram(
    x: _Real,
    kind: str,
    widths: npt.NDArray[np.float64] | None,
    degree: int,
    gamma: float,
    coef0: float,
    threads: int,
    out: _Real | None = None,
) -> _Real | None: ...
def delta_gram(x: npt.NDArray[Any], threads: int) -> npt.NDArray[np.float64]: ...
def distances(x: _Real, metric: str, threads: int) -> _Real: ...

# linear_gram
def linear_gram(
    x: _Real,
    sizes: npt.NDArray[np.int64] | None,
    samples: bool,
    features: bool,
    normalized: bool,
    side: str,
    threads: int,
) -> _Real | None: ...

# kernel_tile
def gaussian_tile(x: _Real, y: _Real, single: bool, shift: float, threads: int) -> tuple[_Real, float]: ...

# tile_product
def tile_product(tile: _Real, x: _Real, y: _Real, to_rows: _Real, to_columns: _Real | None, threads: int) -> None: ...

# hadamard
def hadamard(factors: Sequence[_Real], threads: int) -> tuple[_Real, _Verdict]: ...

# spectrum
def spectrum(a: _Real, threads: int, out: _Real | None = None) -> _Real: ...
def eigh(a: _Real, threads: int) -> tuple[_Real, _Real]: ...

# entropy
def entropy(
    spectra: _Real, orders: Sequence[float], epsilon: float, unit: float, threads: int
) -> tuple[_Real, _Verdict]: ...
def collision_entropy(
    grams: Sequence[_Real], subsets: Sequence[Sequence[int]], unit: float, threads: int
) -> tuple[_Real, npt.NDArray[np.float64], _Verdict]: ...

# slope
def reduce(matrices: Sequence[_Real], threads: int) -> tuple[_Real, _Real]: ...
def slope(
    reduced: _Real, grads: npt.NDArray[np.float64], orders: Sequence[float], unit: float, threads: int
) -> _Real: ...
def joint_slope(factors: Sequence[_Real], to_joint: _Real, out: Sequence[_Real | None], threads: int) -> None: ...
def collision_slope(
    grams: Sequence[_Real],
    subsets: Sequence[Sequence[int]],
    purities: npt.NDArray[np.float64],
    grads: npt.NDArray[np.float64],
    unit: float,
    out: Sequence[_Real | None],
    threads: int,
) -> None: ...
def gram_slope(x: _Real, kind: str, width: npt.NDArray[np.float64], a: _Real, grad: _Real, threads: int) -> _Real: ...

# pairs
def pairs(
    maps: _Real,
    target: _Real | None,
    index: npt.NDArray[np.int64],
    orders: Sequence[float],
    epsilon: float,
    unit: float,
    threads: int,
) -> tuple[_Real, Any, _Verdict]: ...

# inspect
def first_not_finite(x: _Real, threads: int) -> int: ...
def first_zero_row(x: _Real, threads: int) -> int: ...
def gram_fault(a: _Real, tolerance: float, trace_one: bool, threads: int) -> _Verdict: ...

# about this build
__version__: str

def build_info() -> dict[str, Any]: ...
def blas_info() -> str: ...
def max_threads() -> int: ...
def expect_delay(seconds: float) -> None: ...
