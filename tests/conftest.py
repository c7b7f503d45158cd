"""What the tests share: a seed per run, and arrays of every library, dtype and memory layout."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import reference
from fastrenyi import _core

SEED_VARIABLE = "FASTRENYI_TEST_SEED"
BATCHES = [(), (3,), (2, 3), (0,), (2, 0)]

_core.expect_delay(0.0)  # so that calls are of several threads on a busy machine too

try:
    import hypothesis
except ModuleNotFoundError:  # where the tests of the GPU run there may be none, and they use none
    pass
else:
    hypothesis.settings.register_profile("fastrenyi", deadline=None, database=None, print_blob=True, max_examples=30)
    hypothesis.settings.register_profile("fuzz", hypothesis.settings.get_profile("fastrenyi"), max_examples=200)
    hypothesis.settings.load_profile("fastrenyi")


def pytest_configure(config: pytest.Config) -> None:
    # In the environment, so that pytest-xdist's workers and the tests' own subprocesses share it.
    os.environ.setdefault(SEED_VARIABLE, str(int.from_bytes(os.urandom(4), "little")))
    if config.getoption("--kernels") == "emulated":
        from fastrenyi import _backend

        _backend.MODULES["cpu"] = "_emulated"


def pytest_report_header(config: pytest.Config) -> str:
    return f"{SEED_VARIABLE}={os.environ[SEED_VARIABLE]}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kernels", choices=["core", "emulated"], default="core",
        help="emulated: arrays on the CPU go the way of arrays on a GPU, through its kernels run on the host",
    )  # fmt: skip


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers that are new in every run; a failing test shows the seed that brings them back."""
    seed = int(os.environ[SEED_VARIABLE])
    print(f"random numbers of this test: set {SEED_VARIABLE}={seed}")
    return np.random.default_rng([seed, zlib.crc32(request.node.nodeid.encode())])


def refused(error: type[Exception], name: str, call: Callable[[], Any]) -> str:
    """Check that the call raises exactly this error, in the form of the house; return the message."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert type(caught.value) is error, f"{type(caught.value)}: {message}"
    assert re.match(rf"{re.escape(name)}(?!\w)", message), message
    assert re.search(r": expected .+, got .+", message, re.DOTALL), message
    return message


def with_value(array: NDArray[Any], value: float, *indices: tuple[int, ...]) -> NDArray[Any]:
    result = array.copy()
    for index in indices:
        result[index] = value
    return result


class Draw:
    """Random samples and Grams, float64 NumPy."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def samples(self, *shape: int) -> NDArray[np.float64]:
        return self.rng.normal(size=shape)

    def grams(self, *shape: int, sigma: float = 1.0) -> NDArray[np.float64]:
        """Gaussian Grams of shape (*batch, n), in three dimensions."""
        batch, n = shape[:-1], shape[-1]
        return reference.over_batch(reference.gram_gaussian, self.samples(*batch, n, 3), sigma=sigma)

    def matrices(self, *shape: int) -> NDArray[np.float64]:
        """Positive definite, trace one, with a diagonal that is not uniform; shape (*batch, n)."""
        factor = self.samples(*shape, shape[-1]) * self.rng.uniform(0.2, 2.0, size=(*shape, 1))
        product = factor @ np.swapaxes(factor, -1, -2)
        product = (product + np.swapaxes(product, -1, -2)) / 2
        return product / np.trace(product, axis1=-2, axis2=-1)[..., None, None]

    def rounded(self, dtype: str, *shape: int) -> NDArray[Any]:
        """`matrices` of a dtype, far enough from singular that rounding to it leaves them positive."""
        return (0.95 * self.matrices(*shape) + 0.05 * np.eye(shape[-1]) / shape[-1]).astype(dtype)


@pytest.fixture
def draw(rng: np.random.Generator) -> Draw:
    return Draw(rng)


@dataclass(frozen=True)
class Nx:
    """An array library, a dtype and a memory layout."""

    library: str
    dtype: str
    layout: str = "contiguous"

    def __str__(self) -> str:
        return f"{self.library}-{self.dtype}-{self.layout}"

    def array(self, values: Any) -> Any:
        """The values in this library, dtype and layout; what lies between them in memory is NaN."""
        values = np.asarray(values)
        if self.library == "torch":
            import torch

            plain = torch.from_numpy(np.array(values)).to(getattr(torch, self.dtype))
            empty = torch.full((*values.shape[:-1], 2 * values.shape[-1]), torch.nan, dtype=plain.dtype)
        else:
            plain = np.array(values).astype(self.dtype)
            empty = np.full((*values.shape[:-1], 2 * values.shape[-1]), np.nan, dtype=plain.dtype)
        if self.layout == "contiguous":
            return plain
        if self.layout == "transposed":
            return (
                plain.swapaxes(-1, -2).copy().swapaxes(-1, -2)
                if self.library == "numpy"
                else (plain.transpose(-1, -2).contiguous().transpose(-1, -2))
            )
        if self.layout == "sliced":
            view = empty[..., ::2]
            view[...] = plain
            return view
        assert self.layout == "reversed"
        view = empty[..., ::-1, ::-2]
        view[...] = plain
        return view

    @property
    def plain(self) -> Nx:
        """The same library and dtype, contiguous."""
        return Nx(self.library, self.dtype)

    def rounded(self, values: Any) -> NDArray[np.float64]:
        """The values as this dtype holds them."""
        return self.plain.values(self.plain.array(np.asarray(values)[None]))[0]

    def values(self, result: Any) -> NDArray[np.float64]:
        """float64 NumPy values of a result, which must be of this library and dtype."""
        if self.library == "torch":
            import torch

            assert isinstance(result, torch.Tensor), type(result)
            assert result.dtype == getattr(torch, self.dtype), result.dtype
            assert not result.requires_grad
            return np.asarray(result.to(torch.float64).numpy())
        assert isinstance(result, (np.ndarray, np.generic)), type(result)
        assert result.dtype == np.dtype(self.dtype), result.dtype
        if result.ndim == 0:
            assert isinstance(result, np.generic), "a result without axes is a NumPy scalar"
        return np.asarray(result, dtype=np.float64)


FLOATS = [
    Nx(library, dtype, layout)
    for library, layouts in {
        "numpy": ["contiguous", "transposed", "sliced", "reversed"],
        "torch": ["contiguous", "transposed", "sliced"],
    }.items()
    for dtype in ["float64", "float32"]
    for layout in layouts
]
HALVES = [Nx("numpy", "float16"), Nx("torch", "float16"), Nx("torch", "bfloat16")]


@pytest.fixture(params=FLOATS, ids=str)
def nx(request: pytest.FixtureRequest) -> Nx:
    """NumPy and torch x float64 and float32 x contiguous, transposed, sliced and (NumPy) negative strides."""
    return request.param


@pytest.fixture(params=[nx for nx in FLOATS if nx.layout == "contiguous"] + HALVES, ids=str)
def nx_dtype(request: pytest.FixtureRequest) -> Nx:
    """NumPy and torch x float64, float32, float16 and (torch) bfloat16, contiguous."""
    return request.param


@pytest.fixture(params=BATCHES, ids=str)
def batch(request: pytest.FixtureRequest) -> tuple[int, ...]:
    """No batch axes, one, two, and batches without an item."""
    return request.param


@pytest.fixture
def torch_as_it_was() -> Iterator[None]:
    """Take away what torchlens wraps torch's functions in, and leaves there, for the tests that follow."""
    yield
    if "torchlens.backends.torch.wrappers" in sys.modules:
        sys.modules["torchlens.backends.torch.wrappers"].unwrap_torch()


def run_python(program: str, timeout: float = 120, **environment: str) -> str:
    """Standard output of a program under this Python, warnings being errors; one that hangs is killed and fails."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        # With all its children, which would keep the pipes open.
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        pytest.fail(f"no end after {timeout:g} s\n{output}\n{errors}")
    assert process.returncode == 0, f"exit status {process.returncode}\n{output}\n{errors}"
    return output


@pytest.fixture(params=["host", "device"])
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make tiles of large Grams as on the host, or by the array's library, as on a GPU."""
    if request.param == "device":
        monkeypatch.setattr("fastrenyi.large.tiles.serves_core", lambda device: False)
        looked_at = SimpleNamespace(matrices=lambda a, name: a)  # stays where it is; what looks at it is not tried here
        monkeypatch.setattr("fastrenyi.large.lazy.kernels_for", lambda x: nullcontext(looked_at))
    found: str = request.param
    return found


@pytest.fixture
def estimating(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the way of large Grams for small ones, whose spectrum is there to compare with."""
    monkeypatch.setattr("fastrenyi.large.run._AT_ONCE", 1)
    monkeypatch.setattr("fastrenyi.large.run._AT_LAST", 1)
    monkeypatch.setattr("fastrenyi.large.matrix._TILE", 190)
