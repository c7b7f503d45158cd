"""What only a GPU can show: streams, graphs, several devices, memory given back, matrices too large for a block.

``make gpu-check`` runs it, and the tests of the emulated kernels on the GPU as well (``carried.py``).
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import estimates
import reference
from conftest import Draw

pytest.importorskip("torch")

import torch

import fastrenyi as fr
import fastrenyi.torch
from fastrenyi import _backend

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a driver too old
    if not torch.cuda.is_available():
        pytest.skip("no GPU", allow_module_level=True)
try:
    _cuda = _backend.module_for("cuda:0", "x")
except fr.BackendUnavailableError:
    pytest.skip("no _cuda: built where there is no nvcc", allow_module_level=True)

GPU = "cuda"
LATE = 200_000_000  # cycles, about a tenth of a second: whoever does not wait for what comes then reads stale data
SHAPE = (3, 40, 5)  # sets of samples, each of n samples of d features
WITHIN = {"float64": 1e-9, "float32": 5e-4}


def information(x: Any, alpha: float = 1.01) -> Any:
    a = fr.gram(x, bandwidth=1.5)
    return fr.mutual_information(a[0], a[1], alpha=alpha) + fr.joint_entropy(a[0], a[1], a[2], alpha=alpha)


def layer(x: Any) -> Any:
    a = fr.gram(x, bandwidth=1.5)
    found = fr.layer_decomposition(a[1:], a[0])
    return found.mmi + found.tradeoff + found.pairwise[0, 1]


FORWARDS: dict[str, Callable[[Any], Any]] = {
    "information": information,
    "order two": lambda x: information(x, 2),
    "spectrum": lambda x: fr.spectrum(fr.gram(x, bandwidth=1.5)),
    "layer": layer,
    "laplacian": lambda x: fr.entropy(fr.gram(x, kernel=fr.Laplacian(2.5)), alpha=[0.5, 1, 3]),
    "polynomial": lambda x: fr.entropy(fr.gram(x, kernel=fr.Polynomial()), alpha=2),
    "cosine": lambda x: fr.gram(x, kernel=fr.Cosine()),
}


def gradient(x: Any) -> Any:
    leaf = x.detach().clone().requires_grad_()
    return torch.autograd.grad(information(leaf), leaf)[0]


every_forward = pytest.mark.parametrize("forward", FORWARDS.values(), ids=FORWARDS)
every_call = pytest.mark.parametrize("call", [*FORWARDS.values(), gradient], ids=[*FORWARDS, "gradient"])


def on_gpu(values: Any, dtype: str = "float64") -> Any:
    return torch.from_numpy(values).to(GPU, getattr(torch, dtype))


def close(found: Any, expected: Any, within: float = 1e-9) -> None:
    np.testing.assert_allclose(found.numpy(force=True), expected.numpy(force=True), rtol=within, atol=within)


def on_cpu(call: Callable[[Any], Any], values: Any) -> Any:
    """The right answer: the CPU's path is tested against the reference elsewhere."""
    return call(torch.from_numpy(values))


@pytest.mark.parametrize("dtype", WITHIN)
@every_call
def test_the_gpu_finds_what_the_cpu_finds(call: Callable[[Any], Any], dtype: str, draw: Draw) -> None:
    x = draw.samples(*SHAPE)
    found = call(on_gpu(x, dtype))
    assert found.device.type == GPU
    assert found.dtype == getattr(torch, dtype)
    close(found, on_cpu(call, x), WITHIN[dtype])


# -------------------------------------------------------------------------------------------------------- streams


@every_call
def test_data_that_comes_late_on_a_side_stream(call: Callable[[Any], Any], draw: Draw) -> None:
    """Kernels in another stream than the caller's would read the old data, which is as good as the new."""
    old, new = draw.samples(*SHAPE), draw.samples(*SHAPE)
    x, fresh = on_gpu(old), on_gpu(new)
    call(x)
    stream = torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(LATE)
        x.copy_(fresh)
        found = call(x)
    stream.synchronize()
    close(found, on_cpu(call, new))


@every_call
def test_two_streams_at_once(call: Callable[[Any], Any], draw: Draw) -> None:
    """What one call allocates and gives back is not memory that the other stream's kernels still write to."""
    inputs = [on_gpu(draw.samples(*SHAPE)) for _ in range(2)]
    alone = [call(x).clone() for x in inputs]
    streams = [torch.cuda.Stream() for _ in range(2)]
    torch.cuda.synchronize()
    found: list[list[Any]] = [[], []]
    for _ in range(20):
        for k, stream in enumerate(streams):
            with torch.cuda.stream(stream):
                torch.cuda._sleep(LATE // 1000)
                found[k].append(call(inputs[k]))
    torch.cuda.synchronize()
    for k in range(2):
        for one in found[k]:
            close(one, alone[k])  # cuBLAS does not promise the same bits in several streams


# ------------------------------------------------------------------------------------------- kernels by addresses


class Launches:
    """The compiled kernels, on tensors that stay where they are; all that they write is there before they run."""

    def __init__(self, x: Any, device: int = 0) -> None:
        self.x, self.device = x, device
        self.a = self.grams(x)
        self.out: Any = None
        self.status = torch.full((1,), -1, dtype=torch.int64, device=x.device)
        self.widths = torch.full((len(x),), 1.5, dtype=torch.float64, device=x.device)
        self.index = torch.tensor([[0, 1], [1, 1], [0, 2]], device=x.device)

    @staticmethod
    def grams(x: Any) -> Any:
        values = reference.over_batch(reference.gram_gaussian, x.numpy(force=True), sigma=1.5)
        return torch.from_numpy(values).to(x.device)

    def renew(self, other: Launches) -> None:
        self.x.copy_(other.x)
        self.a.copy_(other.a)

    @staticmethod
    def view(a: Any) -> tuple[int, ...]:
        return (a.data_ptr(), *a.shape, *a.stride())

    def _room(self, size: int) -> Any:
        self.room = torch.empty(size, dtype=torch.uint8, device=self.x.device)
        return self.room.data_ptr()

    def _result(self, *shape: int) -> int:
        self.out = torch.zeros(shape, dtype=torch.float64, device=self.x.device)
        return int(self.out.data_ptr())

    def prepared(self, name: str) -> Callable[[int], None]:
        """A function of the stream that launches the kernel."""
        b, n, _ = self.x.shape
        where, status = self.device, self.status.data_ptr()
        x, a, dtype = self.view(self.x), self.view(self.a), "float64"
        if name == "gram":
            out, width = self._result(b, n, n), (self.widths.data_ptr(), 0.0)
            return lambda s: _cuda.gram(x, dtype, "gaussian", *width, 1, 1.0, 0.0, out, status, where, s)
        if name == "distances":
            out = self._result(b, n, n)
            return lambda s: _cuda.distances(x, dtype, "euclidean", out, where, s)
        if name == "hadamard":
            out, room = self._result(b, n, n), self._room(_cuda.hadamard_workspace(2, b, n))
            return lambda s: _cuda.hadamard([a, a], dtype, out, room, status, where, s)
        if name == "spectrum":
            size = _cuda.spectrum_workspace(b, n, dtype, where)
            out, room = self._result(b, n), self._room(size)
            return lambda s: _cuda.spectrum(a, dtype, out, room, size, where, s)
        if name == "collision_entropy":
            out = self._result(b)
            return lambda s: _cuda.collision_entropy(a, dtype, 1.0, out, where, s)
        assert name == "pairs"
        size, count = _cuda.pairs_workspace(len(self.index), n, dtype, True, where), len(self.index)
        alone, room = self._result(2, count), self._room(size)
        target = (a[0], 1, *a[2:])
        return lambda s: _cuda.pairs(
            a, target, self.index.data_ptr(), count, dtype, [1.01], 2.0**-52, 1.0, alone, alone + 8 * count, room, size,
            status, where, s,
        )  # fmt: skip


KERNELS = pytest.mark.parametrize("name", ["gram", "distances", "hadamard", "spectrum", "collision_entropy", "pairs"])


@KERNELS
def test_kernels_keep_to_their_stream_and_do_not_wait(name: str, draw: Draw) -> None:
    old, new = (Launches(on_gpu(draw.samples(3, 100, 7))) for _ in range(2))
    new.prepared(name)(torch.cuda.current_stream().cuda_stream)
    launch = old.prepared(name)
    launch(torch.cuda.current_stream().cuda_stream)  # what is loaded at the first call is there
    torch.cuda.synchronize()
    stream, done = torch.cuda.Stream(), torch.cuda.Event()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(5 * LATE)
        old.renew(new)
        old.out.zero_()
        launch(stream.cuda_stream)
        done.record()
        came_back_first = not done.query()
    stream.synchronize()
    assert came_back_first, "the call waited for the GPU"
    assert new.out.count_nonzero()
    torch.testing.assert_close(old.out, new.out, rtol=0, atol=0)
    assert int(old.status) == -1


@KERNELS
def test_kernels_are_captured(name: str, draw: Draw) -> None:
    old, new = (Launches(on_gpu(draw.samples(3, 100, 7))) for _ in range(2))
    new.prepared(name)(torch.cuda.current_stream().cuda_stream)
    launch = old.prepared(name)
    launch(torch.cuda.current_stream().cuda_stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):  # an error here if anything waits
        launch(torch.cuda.current_stream().cuda_stream)
    old.renew(new)
    old.out.zero_()
    graph.replay()
    torch.cuda.synchronize()
    torch.testing.assert_close(old.out, new.out, rtol=0, atol=0)


# --------------------------------------------------------------------------------------------------------- graphs


@every_forward
def test_a_graph_of_the_forward_pass(forward: Callable[[Any], Any], draw: Draw) -> None:
    """Captured once, which fails if anything waits for the GPU; replayed on new data in the same place."""
    static = on_gpu(draw.samples(*SHAPE))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            forward(static)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = forward(static)
    for _ in range(3):
        x = draw.samples(*SHAPE)
        static.copy_(torch.from_numpy(x))
        graph.replay()
        torch.cuda.synchronize()
        close(found, on_cpu(forward, x))


# --------------------------------------------------------------------------------------------------- several GPUs

several = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU")


@several
@every_call
def test_arrays_of_a_device_that_is_not_the_current_one(call: Callable[[Any], Any], draw: Draw) -> None:
    x = draw.samples(*SHAPE)
    found = call(torch.from_numpy(x).to("cuda:1"))
    assert str(found.device) == "cuda:1"
    assert torch.cuda.current_device() == 0
    close(found, on_cpu(call, x))


@several
@KERNELS
def test_kernels_on_another_device(name: str, draw: Draw) -> None:
    x = draw.samples(3, 100, 7)
    first, second = Launches(on_gpu(x)), Launches(torch.from_numpy(x).to("cuda:1"), device=1)
    first.prepared(name)(torch.cuda.current_stream(0).cuda_stream)
    second.prepared(name)(torch.cuda.current_stream(1).cuda_stream)
    torch.testing.assert_close(second.out.cpu(), first.out.cpu(), rtol=1e-12, atol=1e-13)
    assert torch.cuda.current_device() == 0


# --------------------------------------------------------------------------------------------------------- memory


def allocated() -> int:
    gc.collect()
    torch.cuda.synchronize()
    return int(torch.cuda.memory_allocated())


@every_call
def test_no_memory_is_kept(call: Callable[[Any], Any], draw: Draw) -> None:
    x = on_gpu(draw.samples(*SHAPE))
    call(x)
    before = allocated()
    for _ in range(5):
        call(x)
    assert allocated() == before


def test_no_memory_is_kept_after_an_error(draw: Draw) -> None:
    a = on_gpu(np.array([[0.5, 0.9], [0.9, 0.5]]))
    fr.entropy(on_gpu(draw.grams(2)))
    before = allocated()
    for _ in range(3):
        with pytest.raises(fr.NotPositiveSemidefiniteError):
            fr.entropy(a)
    assert allocated() == before


# ------------------------------------------------------------------------------------------------------ gradients


@pytest.mark.parametrize("call", FORWARDS.values(), ids=FORWARDS)
def test_gradients_are_slopes(call: Callable[[Any], Any], draw: Draw) -> None:
    """By the GPU in float64, and by differences of the CPU's values along a direction."""
    x, along = draw.samples(*SHAPE), draw.samples(*SHAPE)
    leaf = on_gpu(x).requires_grad_()
    values = call(leaf)
    weights = draw.rng.uniform(0.5, 1.5, size=tuple(values.shape))
    (found,) = torch.autograd.grad((values * on_gpu(weights)).sum(), leaf)
    step = 1e-5
    ends = [float((on_cpu(call, x + sign * step * along) * torch.from_numpy(weights)).sum()) for sign in (1, -1)]
    slope = (ends[0] - ends[1]) / (2 * step)
    scale = float(np.linalg.norm(found.numpy(force=True)) * np.linalg.norm(along))
    assert float((found * on_gpu(along)).sum()) == pytest.approx(slope, abs=1e-6 * scale)


# ------------------------------------------------------------------------------- too large for one block's memory


@pytest.mark.parametrize("dtype", WITHIN)
def test_spectra_and_entropies_beyond_a_block(dtype: str, draw: Draw) -> None:
    n = _cuda.block_order(dtype) + 7
    # Far from each other: of full rank, so that orders below one are no sums of rounding.
    a = reference.over_batch(reference.gram_laplacian, draw.samples(2, n, 3), sigma=1.0)
    x = on_gpu(a, dtype)
    values = fr.spectrum(x).numpy(force=True)
    right = np.stack([reference.spectrum(one) for one in x.double().numpy(force=True)])
    allowed = 8 * n * float(np.finfo(dtype).eps) * right.max()
    np.testing.assert_allclose(values, right, rtol=0, atol=allowed)
    orders = [0.7, 1, 1.01, 2, 5]
    close(fr.entropy(x, alpha=orders), on_cpu(lambda y: fr.entropy(y, alpha=orders), a), 2 * WITHIN[dtype])


def test_gradients_beyond_a_block(draw: Draw) -> None:
    n = _cuda.block_order("float64") + 7
    x = draw.samples(3, n, 4)
    close(gradient(on_gpu(x)), on_cpu(gradient, x))


# ----------------------------------------------------------------------------------------------------------- CuPy


@pytest.fixture
def cupy() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its import warns of is not ours
        return pytest.importorskip("cupy")


@every_forward
def test_cupy_arrays(forward: Callable[[Any], Any], cupy: Any, draw: Draw) -> None:
    x = draw.samples(*SHAPE)
    found = forward(cupy.asarray(x))
    assert isinstance(found, cupy.ndarray)
    np.testing.assert_allclose(found.get(), forward(x), rtol=1e-9, atol=1e-9)


@every_forward
def test_data_that_comes_late_on_a_stream_of_cupy(forward: Callable[[Any], Any], cupy: Any, draw: Draw) -> None:
    old, new = draw.samples(*SHAPE), draw.samples(*SHAPE)
    x, fresh = cupy.asarray(old), cupy.asarray(new)
    forward(x)
    stream = cupy.cuda.Stream(non_blocking=True)
    cupy.cuda.Device().synchronize()
    with torch.cuda.stream(torch.cuda.ExternalStream(stream.ptr)):
        torch.cuda._sleep(LATE)
    with stream:
        x[...] = fresh
        found = forward(x)
    stream.synchronize()
    np.testing.assert_allclose(found.get(), forward(new), rtol=1e-9, atol=1e-9)


@every_forward
def test_no_memory_of_cupy_is_kept(forward: Callable[[Any], Any], cupy: Any, draw: Draw) -> None:
    x = cupy.asarray(draw.samples(*SHAPE))
    forward(x)
    pool = cupy.get_default_memory_pool()
    gc.collect()
    before = pool.used_bytes()
    for _ in range(5):
        forward(x)
    gc.collect()
    assert pool.used_bytes() == before


# ------------------------------------------------------------------------------------------------- Grams not formed


@pytest.mark.parametrize("kernel", estimates.KERNELS.values(), ids=estimates.KERNELS)
def test_large_grams(kernel: Any, draw: Draw, estimating: None) -> None:
    """Tiles and products are there, vectors here."""
    x = draw.samples(700, 5)
    there, here = fr.lazy_gram(on_gpu(x), kernel), fr.lazy_gram(x, kernel)
    v = draw.samples(700, 3)
    close(there @ on_gpu(v), torch.from_numpy(here @ v))
    assert (there @ on_gpu(v)).device.type == GPU
    how = fr.Estimation(tol=0.05, confidence=0.9999)
    for alpha in (1.01, 2, 2.5):
        estimates.holds(estimates.quiet(fr.entropy, there, alpha, estimate=how), fr.entropy(fr.gram(x, kernel), alpha))
    mixed = estimates.quiet(fr.mutual_information, there, fr.gram(on_gpu(x), kernel), estimate=how)
    estimates.holds(mixed, fr.mutual_information(*2 * [fr.gram(x, kernel)]))


def test_large_grams_leave_no_memory(draw: Draw) -> None:
    def run() -> None:
        fr.entropy(fr.lazy_gram(on_gpu(draw.samples(3000, 20))), estimate=0.1)

    run()
    gc.collect()  # what other tests have left
    before = torch.cuda.memory_allocated()
    run()
    assert torch.cuda.memory_allocated() == before
