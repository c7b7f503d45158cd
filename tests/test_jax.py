"""JAX: its arrays come in and go out, and jit, vmap and grad go through every measure."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402

import family  # noqa: E402
import fastrenyi as fr  # noqa: E402
from conftest import Draw, refused  # noqa: E402

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def _doubles() -> Iterator[None]:
    """For all threads, those in which JAX runs what it has compiled among them."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def parts(found: Any) -> list[Any]:
    """The arrays of a result, which may be a dataclass of them."""
    if hasattr(found, "__dataclass_fields__"):
        return [part for name in found.__dataclass_fields__ for part in parts(getattr(found, name))]
    return [] if found is None or isinstance(found, int) else [found]


def same(found: Any, expected: Any, rtol: float = 1e-10, atol: float = 1e-11) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=rtol, atol=atol)


# Functions of samples (n, d), or of two of them: written over what the libraries have in common. ---------------------


def grams(x: Any, y: Any) -> tuple[Any, Any]:
    return fr.gram(x, bandwidth=1.5), fr.gram(y, bandwidth=2.0)


def layer(x: Any) -> Any:
    return fr.channel_grams(x, bandwidth=1.0)


MEASURES: dict[str, Call] = {
    "gaussian": lambda x, y: fr.gram(x),
    "laplacian": lambda x, y: fr.gram(x, "laplacian"),
    "polynomial": lambda x, y: fr.gram(x, fr.Polynomial(2)),
    "cosine": lambda x, y: fr.gram(x, "cosine"),
    "linear": lambda x, y: fr.gram(x, fr.Linear("samples", normalized=True)),
    "smaller": lambda x, y: fr.gram(x, fr.Linear("both", side="smaller")),
    "median": lambda x, y: fr.gram(x, bandwidth="median"),
    "scott": lambda x, y: fr.gram(x, bandwidth=fr.Scott(2.0)),
    "tensor_gram": lambda x, y: fr.tensor_gram(x),
    "channel_grams": lambda x, y: fr.channel_grams(x, bandwidth=1.0),
    "lengths": lambda x, y: fr.gram(x, lengths=5, bandwidth=1.0),
    "linear lengths": lambda x, y: fr.gram(x, "linear", lengths=5),
    "normalize": lambda x, y: fr.normalize(3 * fr.gram(x)),
    "spectrum": lambda x, y: fr.spectrum(fr.gram(x)),
    "entropy_of_spectrum": lambda x, y: fr.entropy_of_spectrum(fr.spectrum(fr.gram(x)), [0.5, 1, 1.01, 2, np.inf]),
    "entropy": lambda x, y: fr.entropy(fr.gram(x), [0.5, 1, 1.01, 2, 70, np.inf]),
    "entropy of order 2": lambda x, y: fr.entropy(fr.gram(x), 2),
    "joint_entropy": lambda x, y: fr.joint_entropy(*grams(x, y), alpha=[1, 2]),
    "conditional_entropy": lambda x, y: fr.conditional_entropy(*grams(x, y)),
    "mutual_information": lambda x, y: fr.mutual_information(*grams(x, y)),
    "joint variable": lambda x, y: fr.mutual_information(list(grams(x, y)), fr.gram(x), alpha=2),
    "conditional_mutual_information": lambda x, y: fr.conditional_mutual_information(*grams(x, y), fr.gram(x * y)),
    "total_correlation": lambda x, y: fr.total_correlation(*grams(x, y), normalized=True),
    "dual_total_correlation": lambda x, y: fr.dual_total_correlation(*grams(x, y), fr.gram(x * y), normalized=True),
    "o_information": lambda x, y: fr.o_information(*grams(x, y), fr.gram(x * y)),
    "interaction_information": lambda x, y: fr.interaction_information(*grams(x, y), fr.gram(x * y)),
    "divergence": lambda x, y: fr.divergence(x, y + 1),
    "layer_decomposition": lambda x, y: fr.layer_decomposition(layer(x), fr.gram(y)).nonredundant,
    "pairwise": lambda x, y: fr.layer_decomposition(layer(x), fr.gram(y), alpha=[1, 2]).pairwise,
    "leave_one_out": lambda x, y: fr.leave_one_out(layer(x), fr.gram(y)).without,
    "rank_maps": lambda x, y: fr.rank_maps(layer(x), fr.gram(y)).relevance,
    "infonce": lambda x, y: fr.infonce(x, y, 0.7),
    "cauchy_schwarz_divergence": lambda x, y: fr.cauchy_schwarz_divergence(x, y + 1, bandwidth=2.0),
    "vendi_score": lambda x, y: fr.vendi_score(len(x) * fr.gram(x), [1, 2]),
    "vendi_score p": lambda x, y: fr.vendi_score(len(x) * fr.gram(x), p=[1 / len(x)] * len(x)),
    "effective_rank": lambda x, y: fr.effective_rank(fr.gram(x), [0.5, 2]),
    "effective_rank power": lambda x, y: fr.effective_rank(fr.gram(x, bandwidth=0.5), [1, 2], power=0.5),
    "lidar": lambda x, y: fr.lidar(x.reshape(-1, 2, x.shape[-1])),
    "spectral_slope": lambda x, y: fr.spectral_slope(x, 1),
    "dime": lambda x, y: fr.dime(*grams(x, y), permutations=3),
    "kernel": lambda x, y: fr.Gaussian(1.5)(x, y + 0.5) + fr.Laplacian(2.0)(x, y + 0.5),
    **{name: (lambda x, y, f=call: f(x)) for name, (call, _) in family.SAMPLES.items() if "spectral" not in name},
    **{name: (lambda x, y, f=call: f(*grams(x, y))) for name, (call, _) in family.TWO.items()},
}
CONSTANT: dict[str, Call] = {
    "delta": lambda x, y: fr.gram(x > 0, "delta"),
    "labels": lambda x, y: fr.gram((x[:, 0] > 0) + 1, fr.Delta("float64")),
    "clip": lambda x, y: fr.normalize(fr.gram(x), clip=True),
    "graph_gram": lambda x, y: fr.graph_gram(fr.gram(x)),
    "permutation_test": lambda x, y: fr.permutation_test(*grams(x, y), n=5),
    "decomposition with a null": lambda x, y: fr.layer_decomposition(
        layer(x), fr.gram(y), null=3, max_pairs=2, leave_one_out=True
    ),
    "ranking with a null": lambda x, y: fr.rank_maps(layer(x), fr.gram(y), null=3),
    "group_o_information": lambda x, y: fr.group_o_information(layer(x), 2, fr.gram(y)),
    "groups": lambda x, y: fr.group_o_information(layer(x), 3),
    "alignment rule": lambda x, y: fr.gram(x, bandwidth=fr.Alignment(np.asarray(fr.gram(FIXED)))),
}
FIXED = np.random.default_rng(3).normal(size=(8, 2))
NOT_MAPPED = {"lengths", "linear lengths"}


def samples(draw: Draw, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    return draw.samples(*shape), draw.samples(*shape)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [*MEASURES, *CONSTANT])
def test_arrays_of_jax_in_and_out(name: str, dtype: str, draw: Draw) -> None:
    x, y = (part.astype(dtype) for part in samples(draw, 8, 3))
    call = {**MEASURES, **CONSTANT}[name]
    found, expected = parts(call(jnp.asarray(x), jnp.asarray(y))), parts(call(x, y))
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, jax.Array)
        if np.asarray(other).dtype.kind == "f":  # indices have JAX's own size
            assert one.dtype == np.asarray(other).dtype
        same(one, other, *((1e-10, 1e-11) if dtype == "float64" else (2e-3, 2e-4)))


@pytest.mark.parametrize("name", [*MEASURES, *CONSTANT])
def test_under_jit_and_vmap(name: str, draw: Draw) -> None:
    x, y = map(jnp.asarray, samples(draw, 2, 8, 3))
    call = {**MEASURES, **CONSTANT}[name]

    def found(x: Any, y: Any) -> list[Any]:
        return parts(call(x, y))

    expected = found(x[1], y[1])
    for one, other in zip(jax.jit(found)(x[1], y[1]), expected, strict=True):
        same(one, other, 1e-9, 1e-10)
    if name not in NOT_MAPPED:
        mapped = jax.vmap(found)(x, y)
        for one, other in zip(mapped, expected, strict=True):
            same(one[1], other, 1e-9, 1e-10)
        mapped = jax.vmap(found, in_axes=(2, None))(jnp.moveaxis(x, 0, 2), y[0])
        for one, other in zip(mapped, found(x[1], y[0]), strict=True):
            same(one[1], other, 1e-9, 1e-10)


def scalar(name: str) -> Call:
    """A measure as one number that depends on each of its own by another weight."""

    def weighed(x: Any, y: Any) -> Any:
        found = MEASURES[name](x, y)
        count = int(np.prod(found.shape))
        return sum(found.reshape(-1)[k] * (1 + 0.3 * np.sin(k)) for k in range(min(count, 9))) + 0.1 * found.sum()

    return weighed


def test_gradient_of_graphs_is_refused(draw: Draw) -> None:
    x = jnp.asarray(draw.samples(6, 3))
    for transform in (lambda f: f, jax.jit):
        call = transform(jax.grad(lambda w: fr.entropy(fr.graph_gram(w), 1)))
        assert "stop_gradient" in refused(TypeError, "w", lambda call=call: call(fr.gram(x)))
    beside = jax.grad(lambda x: fr.mutual_information(fr.gram(x), fr.graph_gram(jax.lax.stop_gradient(fr.gram(x)))))
    assert jnp.isfinite(beside(x)).all()


@pytest.mark.parametrize("name", MEASURES)
def test_gradients_are_those_of_torch(name: str, draw: Draw) -> None:
    torch = pytest.importorskip("torch")
    x, y = samples(draw, 8, 3)
    tensors = [torch.tensor(part, requires_grad=True) for part in (x, y)]
    value = scalar(name)(*tensors)
    expected = [
        np.zeros_like(x) if slope is None else slope.numpy()
        for slope in torch.autograd.grad(value, tensors, allow_unused=True)
    ]
    found, slopes = jax.value_and_grad(scalar(name), argnums=(0, 1))(jnp.asarray(x), jnp.asarray(y))
    same(found, value.detach().numpy())
    for slope, other in zip(slopes, expected, strict=True):
        same(slope, other, 1e-7, 1e-8)


@pytest.mark.parametrize("name", ["gaussian", "cosine", "linear", "spectrum", "entropy", "mutual_information",
                                  "layer_decomposition", "leave_one_out", "relative_entropy", "median"])  # fmt: skip
def test_gradients_inside_jit_and_vmap(name: str, draw: Draw) -> None:
    x, y = map(jnp.asarray, samples(draw, 3, 8, 3))
    call = scalar(name)
    each = [jax.grad(call, argnums=(0, 1))(one, y[0]) for one in x]
    value, found = jax.jit(jax.value_and_grad(call, argnums=(0, 1)))(x[1], y[0])
    same(value, call(x[1], y[0]), 1e-9, 1e-10)
    for one, other in zip(found, each[1], strict=True):
        same(one, other, 1e-8, 1e-9)
    mapped = jax.jit(jax.vmap(jax.grad(call, argnums=(0, 1)), in_axes=(0, None)))(x, y[0])
    for argument, part in enumerate(mapped):
        same(part, np.stack([slopes[argument] for slopes in each]), 1e-8, 1e-9)
    over = jax.grad(lambda x, y: jax.vmap(call, in_axes=(0, None))(x, y).sum(), argnums=(0, 1))(x, y[0])
    same(over[0], np.stack([slopes[0] for slopes in each]), 1e-8, 1e-9)
    same(over[1], sum(slopes[1] for slopes in each), 1e-8, 1e-9)


def test_gradients_are_differences(draw: Draw) -> None:
    x, y = samples(draw, 7, 3)
    step = 1e-5 * draw.samples(7, 3)
    for name in ("mutual_information", "divergence", "pairwise", "effective_rank power", "laplacian"):
        call = scalar(name)
        slope = jax.grad(call)(jnp.asarray(x), jnp.asarray(y))
        same((slope * step).sum(), (call(x + step, y) - call(x - step, y)) / 2, 1e-5, 1e-9)


def test_gradients_to_widths_and_to_grams_that_broadcast(draw: Draw) -> None:
    torch = pytest.importorskip("torch")
    x, b = draw.samples(4, 7, 3), draw.grams(7)

    def call(x: Any, width: Any, b: Any, kernel: type = fr.Gaussian) -> Any:
        return fr.mutual_information(fr.gram(x, kernel(width)), b, alpha=[1, 2]).sum()

    for kernel in (fr.Gaussian, fr.Laplacian):
        for width in (np.array(1.5), np.array([1.0, 1.5, 2.0, 0.5])):
            tensors = [torch.tensor(part, requires_grad=True) for part in (x, width, b)]
            expected = torch.autograd.grad(call(*tensors, kernel), tensors)
            arrays = [jnp.asarray(part) for part in (x, width, b)]
            found = jax.jit(jax.grad(lambda *a, k=kernel: call(*a, k), argnums=(0, 1, 2)))(*arrays)
            for one, other in zip(found, expected, strict=True):
                same(one, other.numpy(), 1e-8, 1e-9)
    each = [fr.gram(jnp.asarray(x[0]), bandwidth=width) for width in (0.5, 1.0)]
    same(jax.vmap(lambda width: fr.gram(jnp.asarray(x[0]), bandwidth=width))(jnp.array([0.5, 1.0])), each)


def test_degenerate_data(draw: Draw) -> None:
    """Duplicates, one sample, samples that are all the same: finite, and those of NumPy."""
    same_ones, one = np.ones((6, 2)), draw.samples(1, 3)
    doubled = np.concatenate([draw.samples(3, 2)] * 2)
    for x in (same_ones, one, doubled):
        call = lambda x: fr.entropy(fr.gram(x, bandwidth=1.0), [0.5, 1, 2]).sum()  # noqa: E731
        value, slope = jax.jit(jax.value_and_grad(call))(jnp.asarray(x))
        same(value, call(x), atol=1e-6)  # of rank one: the root of rounding
        assert np.isfinite(slope).all()
    zeros = jax.grad(lambda x: fr.logdet_entropy(x) + fr.coding_rate(x))(jnp.zeros((3, 2)))
    assert not zeros.any()


def test_half_precision(draw: Draw) -> None:
    for dtype in (jnp.float16, jnp.bfloat16):
        x = jnp.asarray(draw.samples(6, 2), dtype)
        a = fr.gram(x)
        assert a.dtype == dtype
        same(a.astype("float32"), fr.gram(np.asarray(x, np.float32)), 1e-2, 1e-2)
        slope = jax.grad(lambda x: fr.entropy(fr.gram(x)))(x)
        assert slope.dtype == dtype
        same(slope.astype("float32"), jax.grad(lambda x: fr.entropy(fr.gram(x)))(x.astype("float32")), 0.1, 0.02)


def test_without_float64(draw: Draw) -> None:
    """What JAX's user has not enabled is not there: results are float32, and what needs double precision says so."""
    jax.config.update("jax_enable_x64", False)
    x = jnp.asarray(draw.samples(6, 2))
    for call in (
        lambda x: fr.gram(x, bandwidth="median"),
        lambda x: fr.gram(x > 0, "delta"),
        lambda x: fr.entropy(fr.gram(x), [1, 2]),
        jax.grad(lambda x: fr.entropy(fr.gram(x), 2)),
    ):
        found, compiled = call(x), jax.jit(call)(x)
        assert found.dtype == compiled.dtype == jnp.float32
        same(found, compiled, 1e-5, 1e-6)
    assert "jax_enable_x64" in refused(TypeError, "x", lambda: fr.lidar(x.reshape(3, 2, 2)))
    assert "jax_enable_x64" in refused(TypeError, "w", lambda: fr.graph_gram(fr.gram(x)))
    a, b = fr.gram(x), fr.gram(np.asarray(x, np.float64))
    message = refused(TypeError, "b", lambda: fr.mutual_information(a, b))
    assert message.endswith("pass jax.numpy.asarray(b.astype(numpy.float32))")
    message = refused(TypeError, "b", lambda: fr.mutual_information(b, a))
    assert "pass numpy.asarray(b).astype(numpy.float64)" in message


def test_memory_is_shared_and_the_device_kept(draw: Draw) -> None:
    from fastrenyi._array import home_of, wrap

    x = jnp.asarray(draw.samples(64, 8))
    assert wrap(x).__array_interface__["data"][0] == x.unsafe_buffer_pointer()
    assert str(home_of(x)) == "jax float64 on cpu"
    assert fr.gram(x).devices() == x.devices()


class _Elsewhere:
    platform = "gpu"


def test_what_is_refused(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    x = jnp.asarray(draw.samples(6, 2))
    refused(TypeError, "x", lambda: fr.gram(jax.random.key(0)))
    refused(TypeError, "x", lambda: fr.gram(jnp.arange(6).reshape(3, 2)))
    refused(ValueError, "x", lambda: fr.gram(x[:, 0]))
    bad = x.at[2, 1].set(jnp.nan)
    assert "(2, 1)" in refused(ValueError, "x", lambda: fr.gram(bad))
    refused(ValueError, "a", lambda: fr.entropy(2 * fr.gram(x)))
    with pytest.raises(fr.NotPositiveSemidefiniteError, match=r"^a: "):
        fr.entropy(jnp.diag(jnp.array([1.5, -0.5])))
    # Under jit, where there are no numbers yet, when it runs.
    with pytest.raises(
        jax.errors.JaxRuntimeError, match=r"ValueError: x: expected finite numbers, got nan at index \(2, 1\)"
    ):
        jax.block_until_ready(jax.jit(fr.gram)(bad))
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"ValueError: a: expected Grams of trace one"):
        jax.block_until_ready(jax.jit(fr.entropy)(2 * fr.gram(x)))
    refused(ValueError, "x", lambda: jax.jit(fr.gram)(x[:, 0]))
    assert "traced" in refused(TypeError, "x", lambda: jax.jit(lambda x: fr.lazy_gram(x).shape)(x))
    call = scalar("mutual_information")
    with pytest.raises(NotImplementedError, match=r"^(gram|entropy): expected one gradient, got a second"):
        jax.grad(lambda x: jax.grad(call)(x, x + 1).sum())(x)
    for forward in (jax.hessian(lambda x: call(x, x)), lambda x: jax.jvp(lambda x: call(x, x), (x,), (x,))):
        with pytest.raises(TypeError, match="forward-mode"):
            forward(x)
    monkeypatch.setattr(type(x), "devices", lambda self: {_Elsewhere()})
    with pytest.raises(fr.BackendUnavailableError, match=r"^x: .*'gpu'.*numpy.asarray\(x\)"):
        fr.gram(x)


def test_large_batches_are_estimated(draw: Draw) -> None:
    x = draw.samples(400, 2)
    found, expected = (
        fr.entropy(fr.lazy_gram(to(x), bandwidth=1.0), estimate=0.05) for to in (jnp.asarray, np.asarray)
    )
    same(found.value, expected.value)


def test_other_names(draw: Draw) -> None:
    import fastrenyi.compat.repitl as itl
    from fastrenyi.compat.vendi import score_K

    k = draw.grams(6) * 6
    a = jnp.asarray(k)
    same(score_K(a, 2), score_K(k, 2))
    same(itl.matrixAlphaMutualInformation(a, a, 1.01), itl.matrixAlphaMutualInformation(k, k, 1.01))
    assert isinstance(itl.doe(a, a, 1.01), jax.Array)


def test_threads(draw: Draw) -> None:
    call = jax.jit(jax.value_and_grad(scalar("mutual_information")))
    x, y = map(jnp.asarray, samples(draw, 40, 3))
    expected, faults = jax.block_until_ready(call(x, y)), []

    def run() -> None:
        for _ in range(5):
            for found in (call(x, y), jax.value_and_grad(scalar("mutual_information"))(x, y)):
                if abs(found[0] - expected[0]) > 1e-9 or abs(found[1] - expected[1]).max() > 1e-9:
                    faults.append(found[0])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not faults
    assert not any(thread.is_alive() for thread in threads)


def test_a_layer_of_a_loop_is_trained(draw: Draw) -> None:
    """Steps by a compiled gradient raise I(Z;Y), as lax.scan runs them."""
    x, y = jnp.asarray(draw.samples(24, 4)), jnp.arange(24) % 3
    labels = fr.gram(y, "delta")

    def loss(w: Any) -> Any:
        return -fr.mutual_information(fr.gram(jnp.tanh(x @ w), bandwidth=0.5), labels)

    def step(w: Any, _: Any) -> Any:
        value, slope = jax.value_and_grad(loss)(w)
        return w - 0.1 * slope, value

    _, values = jax.jit(lambda w: jax.lax.scan(step, w, length=10))(jnp.asarray(draw.samples(4, 2)))
    assert values[-1] < values[0]


def test_torch_compiles_beside_jax(draw: Draw) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(draw.samples(6, 2))
    call = torch.compile(lambda x: fr.entropy(fr.gram(x, bandwidth=1.0)), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(call(x), fr.entropy(fr.gram(x, bandwidth=1.0)))


def test_no_result_is_written_into_an_array() -> None:
    x = jnp.ones((4, 2))
    message = refused(TypeError, "out", lambda: fr.gram(x, bandwidth=1.0, out=jnp.zeros((4, 4))))
    assert "JAX, whose arrays do not change" in message
