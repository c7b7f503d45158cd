"""The functions of fastrenyi.h: their numbers against the reference, strides, threads, what is refused and why."""

from __future__ import annotations

import ctypes
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import c_library as c
import reference
from c_library import Failure, call, view, views
from conftest import run_python
from tolerances import DISTANCE, EIGENVALUE, GRAM, assert_bits

ORDERS = np.array([0, 0.5, 1, 1.01, 2, 3, np.inf])


@pytest.fixture(params=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(params=["dense", "transposed", "sliced", "reversed"])
def laid(request: pytest.FixtureRequest) -> Any:
    """A function that lays an array (b, rows, cols) in memory in another way; its numbers are the same."""

    def lay(x: Any) -> Any:
        if request.param == "transposed":
            return np.ascontiguousarray(x.transpose(2, 0, 1)).transpose(1, 2, 0)
        if request.param == "sliced":
            room = np.full(tuple(2 * length for length in x.shape), np.nan if x.dtype.kind == "f" else -1, x.dtype)
            room[::2, 1::2, ::2] = x
            return room[::2, 1::2, ::2]
        if request.param == "reversed":
            return np.ascontiguousarray(x[::-1, ::-1, ::-1])[::-1, ::-1, ::-1]
        return np.ascontiguousarray(x)

    return lay


def grams(rng: np.random.Generator, count: int, n: int, dtype: str) -> Any:
    x = rng.normal(size=(count, n, 3))
    return np.stack([reference.gram_gaussian(item, 1.0) for item in x]).astype(dtype)


def spectra_of(a: Any, flags: int = 0) -> Any:
    values = np.empty(a.shape[:2], a.dtype)
    call(f"fr_spectrum_{c.suffix(a.dtype)}", view(a), values, flags, 0)
    return values


# ------------------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("shape", [(3, 7, 4), (2, 40, 20), (1, 1, 1), (0, 5, 2)])
def test_grams(shape: tuple[int, int, int], dtype: str, laid: Any, rng: np.random.Generator) -> None:
    x = laid(rng.normal(size=shape).astype(dtype))
    b, n, _ = shape
    widths = rng.uniform(0.5, 2.0, size=b)
    out, kind = np.empty((b, n, n), dtype), c.suffix(dtype)
    calls = {
        "gaussian": ([widths], lambda k: reference.gram_gaussian(x[k], widths[k])),
        "laplacian": ([widths], lambda k: reference.gram_laplacian(x[k], widths[k])),
        "polynomial": ([3, 0.25, 1.0], lambda k: reference.gram_polynomial(x[k], 3, 0.25, 1.0)),
    }
    for name, (settings, expected) in calls.items():
        call(f"fr_{name}_gram_{kind}", view(x), *settings, out, 0, 0)
        for k in range(b):
            np.testing.assert_allclose(n * out[k], n * expected(k), rtol=0, atol=GRAM[dtype], err_msg=name)
    for p, metric in [(1, "manhattan"), (2, "euclidean")]:
        call(f"fr_distances_{kind}", view(x), p, out, 0, 0)
        for k in range(b):
            np.testing.assert_allclose(out[k], reference.distances(x[k], metric).astype(float), rtol=DISTANCE[dtype])


@pytest.mark.parametrize("kind", ["float64", "float32", "int64"])
def test_grams_of_labels(kind: str, laid: Any, rng: np.random.Generator) -> None:
    x = laid(rng.integers(3, size=(2, 9, 1)).astype(kind))
    out = np.empty((2, 9, 9))
    call(f"fr_delta_gram_{c.suffix(kind)}", view(x), out, 0, 0)
    np.testing.assert_array_equal(out, [reference.gram_delta(item) for item in x])


def test_a_width_of_zero_is_the_narrow_limit(dtype: str) -> None:
    x, out = np.array([[[1.0], [2.0], [1.0]]], dtype), np.empty((1, 3, 3), dtype)
    call(f"fr_gaussian_gram_{c.suffix(dtype)}", view(x), np.zeros(1), out, 0, 0)
    np.testing.assert_allclose(out[0], reference.gram_delta(x[0]), rtol=1e-6)


def test_joint_grams_and_their_collision_entropy(dtype: str, laid: Any, rng: np.random.Generator) -> None:
    factors = [
        grams(rng, 4, 12, dtype),
        laid(grams(rng, 4, 12, dtype)),
        np.broadcast_to(grams(rng, 1, 12, dtype), (4, 12, 12)),
    ]
    out, bits, kind = np.empty((4, 12, 12), dtype), np.empty(4, dtype), c.suffix(dtype)
    call(f"fr_hadamard_{kind}", views(factors), 3, out, 0, 0)
    call(f"fr_collision_entropy_{kind}", views(factors), 3, bits, 0, 0)
    for k in range(4):
        items = [factor[k] for factor in factors]
        np.testing.assert_allclose(12 * out[k], 12 * reference.joint(*items), rtol=0, atol=GRAM[dtype])
        assert_bits(bits[k], reference.joint_entropy(*items, alpha=2), dtype, 2)


@pytest.mark.parametrize(("b", "n"), [(3, 1), (70, 10), (2, 65), (9, 130), (0, 4)])
def test_spectra_and_their_entropies(b: int, n: int, dtype: str, laid: Any, rng: np.random.Generator) -> None:
    a = laid(grams(rng, b, n, dtype) if b else np.empty((0, n, n), dtype))
    values, bits = spectra_of(a), np.empty((b, len(ORDERS)), dtype)
    orders = ORDERS[1:] if dtype == "float32" else ORDERS  # the rank of a float Gram is its rounding's
    bits = bits[:, : len(orders)].copy()
    call(f"fr_entropy_{c.suffix(dtype)}", values, b, n, orders, len(orders), 0.0, bits, 0, 0)
    for k in range(b):
        np.testing.assert_allclose(values[k], reference.spectrum(a[k]), rtol=0, atol=EIGENVALUE[dtype])
        for m, order in enumerate(orders):
            assert_bits(bits[k, m], reference.spectrum_entropy(np.maximum(values[k], 0), order), dtype, order, n)


def test_an_epsilon_of_ones_own() -> None:
    """A spectrum that is rounding of half precision, held in doubles."""
    spectrum, bits = np.array([-1e-4, 0.5, 0.5]), np.empty(1)
    with pytest.raises(Failure, match=r"eigenvalue of -0\.0001") as raised:
        call("fr_entropy_f64", spectrum, 1, 3, np.ones(1), 1, 0.0, bits, 0, 0)
    assert (raised.value.status, raised.value.index) == (c.INDEFINITE, 0)
    call("fr_entropy_f64", spectrum, 1, 3, np.ones(1), 1, 2.0**-10, bits, 0, 0)
    assert bits[0] == pytest.approx(1.0)


@pytest.mark.parametrize("orders", [[0.5, 1.01, 2.0], [2.0]])
@pytest.mark.parametrize("labels", [False, True])
def test_pairs(orders: list[float], labels: bool, dtype: str, laid: Any, rng: np.random.Generator) -> None:
    c.load_lapack()
    maps, kind = grams(rng, 6, 15, dtype), c.suffix(dtype)
    target = reference.gram_delta(np.arange(15) % 3)[None].astype(dtype) if labels else grams(rng, 1, 15, dtype)
    index = np.array(list(itertools.combinations_with_replacement(range(6), 2)) * 2)
    alone, joint = (np.empty((len(index), len(orders)), dtype) for _ in range(2))
    settings = [index, len(index), np.array(orders), len(orders), 0.0]
    call(f"fr_pairs_{kind}", view(laid(maps)), view(laid(target)), *settings, alone, joint, 0, 0)
    without = np.empty_like(alone)
    call(f"fr_pairs_{kind}", view(maps), None, *settings, without, None, 0, 0)
    np.testing.assert_array_equal(without, alone)
    for m, order in enumerate(orders):
        several = [[maps[i] for i in {*pair}] for pair in index.tolist()]  # one of (i, i)
        expected = [reference.joint_entropy(*some, alpha=order) for some in several]
        with_target = [reference.joint_entropy(*some, target[0], alpha=order) for some in several]
        assert_bits(alone[:, m], expected, dtype, order, 15)
        assert_bits(joint[:, m], with_target, dtype, order, 15)


def test_eigenvectors_and_large_matrices(dtype: str, rng: np.random.Generator) -> None:
    c.load_lapack()
    a, kind = grams(rng, 2, 30, dtype), c.suffix(dtype)
    values, vectors = np.empty((2, 30), dtype), np.empty((2, 30, 30), dtype)
    call(f"fr_eigh_{kind}", view(a), values, vectors, 0, 0)
    np.testing.assert_allclose(vectors * values[:, None] @ vectors.swapaxes(1, 2), a, rtol=0, atol=EIGENVALUE[dtype])
    large = grams(rng, 1, 800, dtype)
    np.testing.assert_allclose(spectra_of(large)[0], reference.spectrum(large[0]), rtol=0, atol=EIGENVALUE[dtype])


def test_unchecked_numbers_give_the_same_bits(dtype: str, rng: np.random.Generator) -> None:
    a = grams(rng, 5, 20, dtype)
    np.testing.assert_array_equal(spectra_of(a), spectra_of(a, c.UNCHECKED))
    a[3, 1, 2] += 1  # of which one triangle is read
    spectra_of(a, c.UNCHECKED)


# ------------------------------------------------------------------------------------------------------ refusals

X, A, VALUES, ORDER, PAIRS = (
    np.ones((2, 3, 4)),
    np.eye(3)[None] / 3,
    np.ones((1, 3)),
    np.ones(1),
    np.zeros((1, 2), np.int64),
)
OUT = np.empty(100)
RIGHT: dict[str, list[Any]] = {
    "gaussian_gram": [view(X), np.ones(2), OUT, 0, 1],
    "laplacian_gram": [view(X), np.ones(2), OUT, 0, 1],
    "polynomial_gram": [view(X), 2, 1.0, 0.0, OUT, 0, 1],
    "delta_gram": [view(X), OUT, 0, 1],
    "distances": [view(X), 2, OUT, 0, 1],
    "hadamard": [views([A, A]), 2, OUT, 0, 1],
    "spectrum": [view(A), OUT, 0, 1],
    "eigh": [view(A), OUT, np.empty(9), 0, 1],
    "entropy": [VALUES, 1, 3, ORDER, 1, 0.0, OUT, 0, 1],
    "collision_entropy": [views([A, A]), 2, OUT, 0, 1],
    "pairs": [view(A), view(A), PAIRS, 1, ORDER, 1, 0.0, OUT, np.empty(9), 0, 1],
}


def with_one(x: Any, value: float) -> Any:
    x = x.copy()
    x.flat[1] = value
    return x


def wrong() -> Any:
    """(function, place of an argument, something wrong, status, message, index)."""
    large = {"batch": 2**40, "rows": 2**40}
    for name, right in RIGHT.items():
        for place, argument in enumerate(right):
            if isinstance(argument, (np.ndarray, ctypes.Structure, ctypes.Array)) and (name, place) != ("pairs", 1):
                yield name, place, None, c.INVALID, "expected .*, got NULL", -1
            if isinstance(argument, np.ndarray):
                yield name, place, argument.ctypes.data + 1, c.INVALID, "a multiple of 8, got another", -1
        yield name, len(right) - 2, 2, c.INVALID, "flags: expected flags of fr_flags, got 2", -1
        yield name, len(right) - 1, -1, c.INVALID, "threads: expected 0 or more, got -1", -1
        if not isinstance(right[0], c.View):
            continue
        x = X if right[0].rows == X.shape[1] and right[0].cols == X.shape[2] else A
        for key, got in [("batch", -1), ("rows", 0), ("rows", -3), ("cols", 0), ("cols", -1)]:
            yield name, 0, view(x, **{key: got}), c.INVALID, f"{key}: expected [01] or more, got {got}", -1
        yield name, 0, view(x, data=None), c.INVALID, "data: expected an address, got NULL", -1
        yield name, 0, view(x, **large), c.INVALID, "sizes that fit in memory", -1
        for value in (np.nan, np.inf, -np.inf):
            yield name, 0, view(with_one(x, value)), c.NOT_FINITE, f"finite numbers, got -?{abs(value)}", 1
        if x is A:
            yield name, 0, view(x[:, :2]), c.INVALID, "square matrices, got 2 rows and 3 columns", -1
            yield name, 0, view(with_one(x, 0.1)), c.NOT_SYMMETRIC, "symmetric matrices", None
    for name in ("gaussian_gram", "laplacian_gram"):
        for value in (-1.0, np.nan, np.inf):
            yield name, 1, with_one(np.ones(2), value), c.INVALID, "widths: expected finite numbers of 0 or more", 1
    yield "polynomial_gram", 0, view(X * [[[1], [0], [1]]]), c.ZERO, "x: expected samples other than zero", 1
    yield "polynomial_gram", 1, 0, c.INVALID, "degree: expected 1 or more, got 0", -1
    for value in (0.0, -1.0, np.nan, np.inf):
        yield "polynomial_gram", 2, value, c.INVALID, "gamma: expected a finite number above 0", -1
    for value in (-1.0, np.nan, np.inf):
        yield "polynomial_gram", 3, value, c.INVALID, "coef0: expected a finite number of 0 or more", -1
    for value in (0, 3, -1):
        yield "distances", 1, value, c.INVALID, f"p: expected 1 or 2, got {value}", -1
    apart = np.zeros((1, 3, 3))
    apart[0, 0, 0] = 1
    for name in ("hadamard", "collision_entropy"):
        yield name, 1, 0, c.INVALID, "count: expected 1 or more, got 0", -1
        yield name, 0, views([A, np.eye(2)[None]]), c.INVALID, r"factors\[1\]: expected the shape of factors", -1
        yield name, 0, views([A, with_one(A, np.nan)]), c.NOT_FINITE, r"factors\[1\]: expected finite numbers", 1
        yield name, 0, views([A, A[:, :2]]), c.INVALID, r"factors\[1\]: expected square", -1
        yield name, 0, views([apart, apart[:, ::-1, ::-1]]), c.ZERO, "factors: expected a trace above zero", 0
    for place, key, least in [(1, "batch", 0), (2, "n", 1), (4, "order_count", 1)]:
        yield "entropy", place, least - 1, c.INVALID, f"{key}: expected {least} or more, got {least - 1}", -1
        yield "entropy", place, 2**60, c.INVALID, "sizes that fit in memory", -1
    yield "entropy", 0, np.array([[0.5, np.nan, 0.5]]), c.NOT_FINITE, "spectra: expected finite numbers", 1
    yield "entropy", 0, np.array([[-0.5, 0.5, 1.0]]), c.INDEFINITE, "spectra: expected positive", 0
    yield "entropy", 0, np.zeros((1, 3)), c.ZERO, "spectra: expected a trace above zero", 0
    for name, place in [("entropy", 3), ("pairs", 4)]:
        for value in (-0.5, np.nan, -np.inf):
            yield name, place, np.array([value]), c.INVALID, "orders: expected numbers in", 0
        for value in (-1.0, 1.0, np.nan):
            yield name, place + 2, value, c.INVALID, "epsilon: expected a number in", -1
    yield "pairs", 0, view(-A), c.INDEFINITE, "pairs: expected positive", 0
    yield "pairs", 0, view(np.zeros_like(A)), c.ZERO, "pairs: expected a trace above zero", 0
    for target, message in [(np.tile(A, (2, 1, 1)), "got 2 of order 3"), (np.eye(2)[None], "got 1 of order 2")]:
        yield "pairs", 1, view(target), c.INVALID, f"target: expected one matrix of the order .*, {message}", -1
    for value in (-1, 1):
        yield "pairs", 2, np.array([[0, value]]), c.INVALID, f"pairs: expected maps from 0 to 0, got {value}", 1
    yield "pairs", 3, -1, c.INVALID, "pair_count: expected 0 or more", -1
    yield "pairs", 5, 0, c.INVALID, "order_count: expected 1 or more", -1


@pytest.mark.parametrize(
    ("name", "place", "value", "status", "message", "index"),
    [pytest.param(*row, id=f"{k}-{row[0]}-{row[1]}") for k, row in enumerate(wrong())],  # values may be addresses
)
def test_a_wrong_argument_is_refused(
    name: str, place: int, value: Any, status: int, message: str, index: int | None
) -> None:
    c.load_lapack()
    call(f"fr_{name}_f64", *RIGHT[name])
    arguments = list(RIGHT[name])
    arguments[place] = value
    with pytest.raises(Failure, match=message) as raised:
        call(f"fr_{name}_f64", *arguments)
    assert raised.value.status == status
    if index is not None:
        assert raised.value.index == index


def test_every_function_is_tried() -> None:
    about = {"abi_version", "version", "max_threads", "error_message", "error_index", "load_lapack"}
    assert {name.removeprefix("fr_") for name in c.DECLARED} == about | {
        f"{name}_{kind}" for name in RIGHT for kind in ("f32", "f64")
    } | {"delta_gram_i64"}


# ------------------------------------------------------------------------------------------ threads and LAPACK


def test_any_number_of_threads_gives_the_same_bits(dtype: str, rng: np.random.Generator) -> None:
    x, kind = rng.normal(size=(8, 60, 20)).astype(dtype), c.suffix(dtype)
    found = []
    for threads in (1, 2, 5, 0):
        out, values = np.empty((8, 60, 60), dtype), np.empty((8, 60), dtype)
        call(f"fr_gaussian_gram_{kind}", view(x), np.full(8, 2.0), out, 0, threads)
        call(f"fr_spectrum_{kind}", view(out), values, 0, threads)
        found.append(out.tobytes() + values.tobytes())
    assert len(set(found)) == 1


def test_threads_at_once_have_results_and_errors_of_their_own(rng: np.random.Generator) -> None:
    several = [grams(rng, 20, 40, "float64") for _ in range(8)]
    alone = [spectra_of(a).tobytes() for a in several]

    def work(k: int) -> Any:
        with pytest.raises(Failure, match=f"got -{k + 1}$"):
            call("fr_spectrum_f64", view(several[k], batch=-k - 1), OUT, 0, 0)
        found = spectra_of(several[k]).tobytes()
        assert f"got -{k + 1}" in c.LIBRARY.fr_error_message().decode()  # until this thread's next failure
        return found

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == alone


FRESH = """
import numpy as np, threading
import c_library as c
from c_library import Failure, call, view, views
a = np.ones((40, 20, 20)) / 20
"""


def test_the_first_calls_of_a_process_at_once() -> None:
    """None has chosen the instruction set."""
    program = f"""{FRESH}
start, found = threading.Barrier(8), []
def work():
    values = np.empty((40, 20))
    start.wait()
    call("fr_spectrum_f64", view(a), values, 0, 1)
    found.append(values.tobytes())
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), len(set(found)))
"""
    assert run_python(program) == "8 1\n"


def test_what_needs_lapack_says_so_until_it_is_loaded() -> None:
    program = f"""{FRESH}
large, pairs = np.eye(769)[None], np.array([[0, 1]] * 200)
calls = [
    ("fr_eigh_f64", view(a), np.empty((40, 20)), np.empty_like(a), 0, 2),
    ("fr_spectrum_f64", view(large + 1e-3), np.empty(769), 0, 2),
    ("fr_pairs_f64", view(a), None, pairs, 200, np.array([2.0]), 1, 0.0, np.empty(200), None, 0, 2),
]
for name, *arguments in calls:
    try:
        call(name, *arguments)
    except Failure as failure:
        print(failure.status, failure)
for wrong in ("no such library", "libm.so.6"):
    try:
        call("fr_load_lapack", __import__("ctypes").create_string_buffer(wrong.encode()))
    except Failure as failure:
        print(failure.status, failure)
c.load_lapack()
c.load_lapack()  # once more changes nothing
for name, *arguments in calls:
    call(name, *arguments)
print("done")
"""
    output = run_python(program).splitlines()
    assert output[:3] == 3 * [f"{c.NO_LAPACK} LAPACK is needed for what was asked: call fr_load_lapack first"]
    assert output[3].startswith(f"{c.INVALID} library: expected one that can be loaded, got no such library: ")
    assert output[4] == f"{c.INVALID} library: expected LAPACK and BLAS, got no ddot_ in libm.so.6"
    assert output[5:] == ["done"]


def test_a_wrong_instruction_set_is_told() -> None:
    """The module has chosen its own by then."""
    program = f"""{FRESH}
import os
for name in ("abacus", "baseline"):
    os.environ["FASTRENYI_ISA"] = name
    try:
        call("fr_spectrum_f64", view(a), np.empty((40, 20)), 0, 2)
        print("done")
    except Failure as failure:
        print(failure.status, failure)
"""
    output = run_python(program).splitlines()
    assert output[0].startswith(f"{c.INTERNAL} FASTRENYI_ISA: expected one of baseline")
    assert output[0].endswith("got 'abacus'")
    assert output[1] == "done"


def test_a_forked_child_computes() -> None:
    program = f"""{FRESH}
import os, warnings
warnings.filterwarnings("ignore", category=DeprecationWarning)
a = np.tile(a, (30, 1, 1))
values = np.empty((1200, 20))
call("fr_spectrum_f64", view(a), values, 0, 0)
child = os.fork()
if child == 0:
    again = np.empty_like(values)
    call("fr_spectrum_f64", view(a), again, 0, 0)
    os._exit(0 if again.tobytes() == values.tobytes() and c.LIBRARY.fr_max_threads() == 1 else 1)
assert os.waitpid(child, 0)[1] == 0
print("done")
"""
    assert run_python(program, OMP_NUM_THREADS="2") == "done\n"


def test_versions() -> None:
    import fastrenyi as fr

    assert c.LIBRARY.fr_version().decode() == fr.__version__
    assert f"#define FASTRENYI_ABI_VERSION {c.LIBRARY.fr_abi_version()}\n" in c.HEADER.read_text(encoding="utf-8")
    assert c.LIBRARY.fr_max_threads() >= 1
