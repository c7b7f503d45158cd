# Also the stub of _emulated, which runs the same kernels on the host. Memory is named by addresses; all of it is the
# caller's. A `status` is the address of one uint64 with all bits set; kernels bring it down to matrix * 4 + what is
# wrong with the first bad matrix: 0 not finite, or a row of zeros; 1 asymmetric; 2 trace; 3 indefinite.
from collections.abc import Sequence
from typing import Any

# address, batch, rows, columns, and the strides of the last three in elements
_View = tuple[int, int, int, int, int, int, int]

# inspect
def not_finite(x: _View, dtype: str, status: int, device: int, stream: int) -> None: ...
def zero_rows(x: _View, dtype: str, status: int, device: int, stream: int) -> None: ...
def gram_fault(
    a: _View, dtype: str, tolerance: float, trace_one: bool, status: int, device: int, stream: int
) -> None: ...

# gram
def gram(
    x: _View,
    dtype: str,
    kind: str,
    widths: int,
    sigma: float,
    degree: int,
    gamma: float,
    coef0: float,
    out: int,
    status: int,
    device: int,
    stream: int,
) -> None: ...
def distances(x: _View, dtype: str, metric: str, out: int, device: int, stream: int) -> None: ...
def delta_gram(x: _View, dtype: str, out: int, device: int, stream: int) -> None: ...

# hadamard
def hadamard_workspace(count: int, batch: int, n: int) -> int: ...
def hadamard(
    factors: Sequence[_View], dtype: str, out: int, workspace: int, status: int, device: int, stream: int
) -> None: ...

# entropy
def entropy(
    spectra: int,
    batch: int,
    n: int,
    dtype: str,
    orders: Sequence[float],
    epsilon: float,
    unit: float,
    out: int,
    status: int,
    device: int,
    stream: int,
) -> None: ...
def collision_entropy(a: _View, dtype: str, unit: float, out: int, device: int, stream: int) -> None: ...

# spectrum
def block_order(dtype: str) -> int: ...
def spectrum_workspace(batch: int, n: int, dtype: str, device: int) -> int: ...
def spectrum(
    a: _View,
    dtype: str,
    values: int,
    workspace: int,
    workspace_bytes: int,
    device: int,
    stream: int,
) -> None: ...
def eigh_workspace(batch: int, n: int, dtype: str, device: int) -> int: ...
def eigh(
    a: _View,
    dtype: str,
    values: int,
    vectors: int,
    workspace: int,
    workspace_bytes: int,
    device: int,
    stream: int,
) -> None: ...

# pairs
def pairs_workspace(pairs: int, n: int, dtype: str, has_target: bool, device: int) -> int: ...
def pairs(
    maps: _View,
    target: _View | None,
    pairs: int,
    count: int,
    dtype: str,
    orders: Sequence[float],
    epsilon: float,
    unit: float,
    alone: int,
    joint: int,
    workspace: int,
    workspace_bytes: int,
    status: int,
    device: int,
    stream: int,
) -> None: ...

# about this build and this machine
__version__: str

def set_library_paths(paths: Sequence[str]) -> None: ...
def info() -> dict[str, Any]: ...
