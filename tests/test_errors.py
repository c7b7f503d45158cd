"""Each argument wrong in turn: the right type of error, with the argument's name at the front of the message."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import fastrenyi as fr
from conftest import Nx, refused, with_value

NAN, INF = math.nan, math.inf

X = np.arange(12.0).reshape(4, 3) ** 1.5
GRAM = fr.gram(X, "gaussian", 3.0)
OTHER = fr.gram(X[:, ::-1] ** 0.5, "gaussian", 1.0)
SMALL = np.eye(3) / 3
MAPS = np.stack([GRAM, OTHER])


# ------------------------------------------------------------------------------------------- arrays of samples

KINDS: dict[str, Any] = {
    "list": [[1.0], [2.0]],
    "tuple": ((1.0,), (2.0,)),
    "number": 3.0,
    "None": None,
    "text": "x",
    "object": object(),
    "int": np.ones((4, 3), dtype=np.int64),
    "uint8": np.ones((4, 3), dtype=np.uint8),
    "bool": np.ones((4, 3), dtype=bool),
    "complex": np.ones((4, 3), dtype=complex),
    "longdouble": np.ones((4, 3), dtype=np.longdouble),
    "objects": np.ones((4, 3), dtype=object),
    "texts": np.full((4, 3), "1.0"),
    "dates": np.zeros((4, 3), dtype="datetime64[s]"),
    "records": np.zeros((4, 3), dtype=[("v", "f8")]),
    "torch int": torch.ones(4, 3, dtype=torch.int64),
    "torch bool": torch.ones(4, 3, dtype=torch.bool),
    "torch complex": torch.ones(4, 3, dtype=torch.complex64),
    "torch sparse": torch.ones(4, 3).to_sparse(),
}
SAMPLE_SHAPES: dict[str, np.ndarray] = {
    "no axes": np.array(1.0),
    "one axis": np.ones(4),
    "no samples": np.ones((0, 3)),
    "no features": np.ones((4, 0)),
    "no samples in a batch": np.ones((2, 0, 3)),
}
OF_SAMPLES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "gram": ("x", fr.gram),
    "gram cosine": ("x", lambda x: fr.gram(x, "cosine")),
    "gram polynomial": ("x", lambda x: fr.gram(x, "polynomial")),
    "gram laplacian": ("x", lambda x: fr.gram(x, fr.Laplacian("median"))),
    "channel_grams": ("maps", fr.channel_grams),
    "tensor_gram": ("maps", fr.tensor_gram),
    "divergence x": ("x", lambda x: fr.divergence(x, X)),
    "divergence y": ("y", lambda y: fr.divergence(X, y)),
}


@pytest.fixture(params=OF_SAMPLES)
def of_samples(request: pytest.FixtureRequest) -> tuple[str, Callable[[Any], Any]]:
    """An argument that takes samples: its name and a call with it."""
    return OF_SAMPLES[request.param]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_an_array_of_real_numbers(kind: str, of_samples: Any) -> None:
    name, call = of_samples
    if name == "x" and kind in ("list", "tuple") and call is not OF_SAMPLES["divergence x"][1]:
        assert call(KINDS[kind]).shape == (2, 2)  # gram alone takes lists of numbers
        return
    refused(TypeError, name, lambda: call(KINDS[kind]))


@pytest.mark.parametrize("kind", SAMPLE_SHAPES)
def test_shapes_of_samples(kind: str, of_samples: Any) -> None:
    name, call = of_samples
    x = SAMPLE_SHAPES[kind]
    if call is fr.tensor_gram and kind == "one axis":
        assert call(x).shape == (4, 4)
        return
    if call is fr.channel_grams and kind == "no features":
        assert call(x).shape == (0, 4, 4)
        return
    if call is fr.channel_grams and kind == "no samples in a batch":
        x = np.ones((0, 2, 3))
    if call is fr.tensor_gram and kind == "no samples in a batch":
        x = np.ones((2, 0, 3))
    refused(ValueError, name, lambda: call(x))


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_the_first_sample_that_is_not_finite_is_named(value: float, of_samples: Any) -> None:
    name, call = of_samples
    message = refused(ValueError, name, lambda: call(with_value(X, value, (2, 1), (3, 0))))
    assert "(2, 1)" in message
    assert str(value) in message


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_bad_values_in_every_layout(value: float, nx: Nx) -> None:
    x = with_value(np.ones((2, 5, 6, 7)), value, (1, 3, 4, 2), (1, 3, 4, 6), (1, 3, 5, 0), (1, 4, 0, 0))
    message = refused(ValueError, "x", lambda: fr.gram(nx.array(x)))
    assert "(1, 3, 4, 2)" in message
    grams = np.broadcast_to(np.eye(4) / 4, (2, 3, 4, 4))
    bad = with_value(grams, value, (1, 1, 2, 3), (1, 2, 0, 0))
    message = refused(ValueError, "a", lambda: fr.entropy(nx.array(bad)))
    assert "(1, 1, 2, 3)" in message


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_a_single_bad_value_is_found_anywhere(size: int) -> None:
    rng = np.random.default_rng(size)
    for _ in range(20):
        at = tuple(int(rng.integers(0, length)) for length in (3, size))
        message = refused(ValueError, "x", lambda at=at: fr.gram(with_value(np.ones((3, size)), NAN, at)))
        assert str(at) in message


def test_the_index_is_one_of_the_array_that_was_given() -> None:
    """The axes of maps are samples, channels, height, width: so is the index in the message."""
    maps = with_value(np.ones((5, 3, 2, 4)), NAN, (4, 1, 1, 2))
    for call in [fr.channel_grams, fr.tensor_gram]:
        assert "(4, 1, 1, 2)" in refused(ValueError, "maps", lambda call=call: call(maps))


def test_large_finite_values_are_finite() -> None:
    x = np.array([[1e308, 1e308], [1.5e308, 0.0]])
    assert np.all(np.isfinite(fr.gram(x, "gaussian", 1e308)))
    singles = np.array([[3e38, 3e38, 3e38], [-3e38, 3e38, 3e38]], dtype=np.float32)
    assert np.all(np.isfinite(fr.gram(singles, "gaussian", 1e38)))


def test_the_way_out_of_integers_works() -> None:
    message = refused(TypeError, "x", lambda: fr.gram(np.ones((4, 3), dtype=int)))
    assert "astype(" in message


@pytest.mark.parametrize(
    "x",
    [
        np.array([[1 + 2j, 3j], [1.0, 2.0]]), torch.tensor([[1 + 2j, 3j], [1.0, 2.0]]),
        np.array(["2026-01-01", "2026-01-03"], dtype="datetime64[D]")[:, None],
        np.array([3, 5], dtype="timedelta64[m]")[:, None], np.array([[1, 2.5]], dtype=object),
        np.array([["1.5"], ["2"]]), np.array([(1.0, 2.0), (3.0, 5.0)], dtype=[("a", "f8"), ("b", "f8")]),
        torch.ones(2, 2, dtype=torch.bool), np.ones((2, 2), np.longdouble),
    ],
    ids=lambda x: str(x.dtype),
)  # fmt: skip
def test_the_way_out_of_every_dtype_works(x: Any) -> None:
    import numpy.lib.recfunctions  # noqa: F401 - named in a message

    samples = x if x.ndim == 2 else x[:, None]
    message = refused(TypeError, "x", lambda: fr.gram(samples))
    written = message.rpartition("; pass ")[2].split(", or")[-1 if "numerals" in message else 0]
    written = written.removeprefix(" numerals as ").partition(" where ")[0]
    found = eval(written, {"x": x, "numpy": np, "torch": torch})
    fr.gram(found.reshape(len(x), -1))


def test_a_device_without_a_backend() -> None:
    meta = torch.ones(4, 3, device="meta")
    refused(fr.BackendUnavailableError, "x", lambda: fr.gram(meta))
    assert issubclass(fr.BackendUnavailableError, RuntimeError)


@pytest.mark.parametrize("kernel", ["cosine", fr.Polynomial(2, coef0=0)], ids=str)
def test_a_zero_sample_without_direction(kernel: Any, nx: Nx) -> None:
    x = with_value(np.ones((2, 4, 3)), 0.0, (1, 2), (1, 3))
    message = refused(ValueError, "x", lambda: fr.gram(nx.array(x), kernel))
    assert "(1, 2)" in message


# ------------------------------------------------------------------------------------------------- Gram matrices

OF_GRAMS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "spectrum a": ("a", fr.spectrum),
    "entropy a": ("a", fr.entropy),
    "joint_entropy first": ("grams[0]", lambda a: fr.joint_entropy(a, GRAM)),
    "joint_entropy second": ("grams[1]", lambda a: fr.joint_entropy(GRAM, a)),
    "joint_entropy listed": ("grams[0][1]", lambda a: fr.joint_entropy([GRAM, a])),
    "conditional_entropy a": ("a", lambda a: fr.conditional_entropy(a, GRAM)),
    "conditional_entropy given": ("given", lambda a: fr.conditional_entropy(GRAM, a)),
    "mutual_information a": ("a", lambda a: fr.mutual_information(a, GRAM)),
    "mutual_information b": ("b", lambda a: fr.mutual_information(GRAM, a)),
    "mutual_information listed": ("b[1]", lambda a: fr.mutual_information(GRAM, [GRAM, a])),
    "conditional_mutual_information a": ("a", lambda a: fr.conditional_mutual_information(a, GRAM, GRAM)),
    "conditional_mutual_information b": ("b", lambda a: fr.conditional_mutual_information(GRAM, a, GRAM)),
    "conditional_mutual_information given": (
        "given",
        lambda a: fr.conditional_mutual_information(GRAM, GRAM, a),
    ),
    "total_correlation": ("grams[1]", lambda a: fr.total_correlation(GRAM, a)),
    "dual_total_correlation": ("grams[1]", lambda a: fr.dual_total_correlation(GRAM, a)),
    "o_information": ("grams[2]", lambda a: fr.o_information(GRAM, GRAM, a)),
    "interaction_information": ("grams[0]", lambda a: fr.interaction_information(a, GRAM, GRAM)),
    "layer_decomposition maps": ("maps", lambda a: fr.layer_decomposition(a, GRAM)),
    "layer_decomposition target": ("target", lambda a: fr.layer_decomposition(MAPS, a)),
    "rank_maps maps": ("maps", lambda a: fr.rank_maps(a, GRAM)),
    "rank_maps target": ("target", lambda a: fr.rank_maps(MAPS, a)),
    "leave_one_out maps": ("maps", lambda a: fr.leave_one_out(a, GRAM)),
    "leave_one_out target": ("target", lambda a: fr.leave_one_out(MAPS, a)),
    "group_o_information maps": ("maps", lambda a: fr.group_o_information(a, 2, GRAM)),
}
GRAM_KINDS = {name: KINDS[name] for name in KINDS if name not in ("list", "tuple")}
GRAM_SHAPES = {
    "no axes": np.array(1.0),
    "one axis": np.ones(1),
    "not square": np.ones((4, 3)) / 4,
    "no samples": np.ones((0, 0)),
}


@pytest.fixture(params=OF_GRAMS)
def of_grams(request: pytest.FixtureRequest) -> tuple[str, Callable[[Any], Any]]:
    """An argument that takes a Gram: its name and a call with it."""
    return OF_GRAMS[request.param]


def refused_gram(error: type[Exception], of_grams: Any, gram: Any) -> str:
    name, call = of_grams
    message = refused(error, name.partition("[")[0], lambda: call(gram))
    assert message.startswith(name), message
    return message


@pytest.mark.parametrize("kind", GRAM_KINDS)
def test_what_is_not_a_gram(kind: str, of_grams: Any) -> None:
    refused_gram(TypeError, of_grams, GRAM_KINDS[kind])


@pytest.mark.parametrize("kind", GRAM_SHAPES)
def test_shapes_of_grams(kind: str, of_grams: Any) -> None:
    refused_gram(ValueError, of_grams, GRAM_SHAPES[kind])


def test_values_of_grams(of_grams: Any) -> None:
    name, call = of_grams
    many = name == "maps"

    def shaped(gram: np.ndarray) -> np.ndarray:
        return np.stack([GRAM, gram]) if many else gram

    for value in [NAN, INF, -INF]:
        message = refused_gram(ValueError, of_grams, shaped(with_value(GRAM, value, (2, 1), (1, 2), (3, 3))))
        assert ("(1, 1, 2)" if many else "(1, 2)") in message
    refused_gram(ValueError, of_grams, shaped(with_value(GRAM, GRAM[0, 1] + 0.01, (0, 1))))
    if call is fr.spectrum:
        assert call(2 * GRAM).shape == (4,)
        return
    for factor in [2.0, 0.5, 0.0, -1.0, 1 + 1e-6]:
        refused_gram(ValueError, of_grams, shaped(factor * GRAM))


def test_libraries_dtypes_and_sizes_are_not_mixed(of_grams: Any) -> None:
    name, call = of_grams
    if name in ("a", "grams[0]", "maps"):
        second = {
            "a": lambda a: fr.mutual_information(GRAM, a),
            "grams[0]": lambda a: fr.joint_entropy(GRAM, a),
            "maps": lambda a: fr.layer_decomposition(MAPS, a),
        }
        name = {"a": "b", "grams[0]": "grams[1]", "maps": "target"}[name]
        call = second[of_grams[0]]
    for other in [torch.from_numpy(GRAM), GRAM.astype(np.float32), GRAM.astype(np.float16)]:
        refused_gram(TypeError, (name, call), other)
    refused_gram(ValueError, (name, call), SMALL)


def test_batch_axes_that_do_not_broadcast() -> None:
    two, three = np.stack([GRAM] * 2), np.stack([GRAM] * 3)
    refused(ValueError, "b", lambda: fr.mutual_information(two, three))
    refused(ValueError, "given", lambda: fr.conditional_entropy(two, three))
    refused(ValueError, "grams[1]", lambda: fr.joint_entropy(two, three))
    refused(ValueError, "y", lambda: fr.divergence(np.ones((2, 4, 3)), np.ones((3, 4, 3))))


def test_joint_variables_without_a_gram() -> None:
    refused(ValueError, "a", lambda: fr.entropy([]))
    refused(ValueError, "b", lambda: fr.mutual_information(GRAM, []))
    refused(ValueError, "grams[1]", lambda: fr.total_correlation(GRAM, ()))
    refused(TypeError, "a", lambda: fr.entropy([[0.5, 0.0], [0.0, 0.5]]))


def test_number_of_variables() -> None:
    refused(ValueError, "grams", lambda: fr.joint_entropy())
    for measure in [
        fr.total_correlation, fr.dual_total_correlation, fr.o_information, fr.interaction_information,
    ]:  # fmt: skip
        refused(ValueError, "grams", lambda measure=measure: measure())
        refused(ValueError, "grams", lambda measure=measure: measure(GRAM))
    refused(ValueError, "grams", lambda: fr.interaction_information(*[GRAM] * 40))


def test_indefinite_matrices_of_every_argument(of_grams: Any) -> None:
    name, call = of_grams
    if call is fr.spectrum:
        return
    bad = np.eye(4) * [0.6, 0.5, 0.1, -0.2]
    gram = np.stack([GRAM, bad]) if name == "maps" else bad
    with pytest.raises(fr.NotPositiveSemidefiniteError) as caught:
        call(gram)
    # A joint is named by its variables: "a, given: expected positive semidefinite matrices, ..."
    front = str(caught.value).partition(":")[0]
    assert name.partition("[")[0] in re.split(r"\W+", front), str(caught.value)
    assert caught.value.eigenvalue < -0.01


# ---------------------------------------------------------------------------------------- orders, bases and flags

MEASURES: dict[str, Callable[..., Any]] = {
    "entropy": lambda **o: fr.entropy(GRAM, **o),
    "joint_entropy": lambda **o: fr.joint_entropy(GRAM, OTHER, **o),
    "conditional_entropy": lambda **o: fr.conditional_entropy(GRAM, OTHER, **o),
    "mutual_information": lambda **o: fr.mutual_information(GRAM, OTHER, **o),
    "conditional_mutual_information": lambda **o: fr.conditional_mutual_information(GRAM, OTHER, GRAM, **o),
    "total_correlation": lambda **o: fr.total_correlation(GRAM, OTHER, **o),
    "dual_total_correlation": lambda **o: fr.dual_total_correlation(GRAM, OTHER, **o),
    "o_information": lambda **o: fr.o_information(GRAM, OTHER, GRAM, **o),
    "interaction_information": lambda **o: fr.interaction_information(GRAM, OTHER, **o),
    "divergence": lambda **o: fr.divergence(X, X + 1, **o),
    "layer_decomposition": lambda **o: fr.layer_decomposition(MAPS, GRAM, **o),
    "rank_maps": lambda **o: fr.rank_maps(MAPS, GRAM, **o),
    "leave_one_out": lambda **o: fr.leave_one_out(MAPS, GRAM, **o),
    "group_o_information": lambda **o: fr.group_o_information(MAPS, 2, GRAM, **o),
}


@pytest.fixture(params=MEASURES)
def measure(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """A measure that waits for its options."""
    return MEASURES[request.param]


def test_alpha(measure: Callable[..., Any]) -> None:
    for alpha in ["1", None, 1j, True, [1, "2"], [1, None], [[1, 2]], np.ones((2, 2)), {1: 2}, object()]:
        refused(TypeError, "alpha", lambda alpha=alpha: measure(alpha=alpha))
    for alpha in [-1, -1e-9, NAN, -INF, [], (), np.array([]), [1, -1], [2, NAN]]:
        refused(ValueError, "alpha", lambda alpha=alpha: measure(alpha=alpha))


def test_base(measure: Callable[..., Any]) -> None:
    for base in ["e", None, 1j, True, [2]]:
        refused(TypeError, "base", lambda base=base: measure(base=base))
    for base in [0, -2, 0.5, 1, NAN, INF]:
        refused(ValueError, "base", lambda base=base: measure(base=base))


def test_flags() -> None:
    for flag in ["yes", None, 1, 0.0]:
        for name in ("pairs", "leave_one_out"):
            refused(TypeError, name, lambda flag=flag, n=name: fr.layer_decomposition(MAPS, GRAM, **{n: flag}))
        for measure in [fr.total_correlation, fr.dual_total_correlation]:
            refused(TypeError, "normalized", lambda flag=flag, m=measure: m(GRAM, OTHER, normalized=flag))


def test_samples_of_pairs() -> None:
    for most in ["2", 2.0, True, [3]]:
        refused(TypeError, "max_pairs", lambda most=most: fr.layer_decomposition(MAPS, GRAM, max_pairs=most))
    for most in [0, -1, 2**31]:
        refused(ValueError, "max_pairs", lambda most=most: fr.layer_decomposition(MAPS, GRAM, max_pairs=most))


def test_layer_shapes() -> None:
    for maps in [GRAM, MAPS[None], MAPS[:0]]:
        refused(ValueError, "maps", lambda maps=maps: fr.layer_decomposition(maps, GRAM))
    for target in [MAPS, SMALL, GRAM[None]]:
        refused(ValueError, "target", lambda target=target: fr.layer_decomposition(MAPS, target))


def test_divergence_features() -> None:
    refused(ValueError, "y", lambda: fr.divergence(X, X[:, :2]))
    refused(TypeError, "y", lambda: fr.divergence(X, X.astype(np.float32)))
    refused(TypeError, "y", lambda: fr.divergence(X, torch.from_numpy(X)))


def test_arguments_are_checked_in_their_order() -> None:
    bad: Any = object()
    refused(TypeError, "x", lambda: fr.gram(bad, "nonsense", -1.0))
    refused(ValueError, "kernel", lambda: fr.gram(X, "nonsense", -1.0))
    refused(TypeError, "maps", lambda: fr.channel_grams(bad, "nonsense"))
    refused(TypeError, "x", lambda: fr.divergence(bad, bad, "nonsense"))
    refused(TypeError, "y", lambda: fr.divergence(X, bad, "nonsense"))
    refused(TypeError, "a", lambda: fr.entropy(bad, "1", "2"))
    refused(TypeError, "alpha", lambda: fr.entropy(GRAM, "1", "2"))
    refused(TypeError, "a", lambda: fr.mutual_information(bad, bad, alpha="1"))
    refused(TypeError, "b", lambda: fr.mutual_information(GRAM, bad, alpha="1"))
    refused(TypeError, "maps", lambda: fr.layer_decomposition(bad, bad, "1"))
    refused(TypeError, "target", lambda: fr.layer_decomposition(MAPS, bad, "1"))


def test_errors_survive_pickling() -> None:
    """As they must to come out of a worker process."""
    with pytest.raises(fr.NotPositiveSemidefiniteError) as caught:
        fr.entropy(np.diag([1.2, -0.2]))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is fr.NotPositiveSemidefiniteError
    assert str(copy) == str(caught.value)
    assert copy.eigenvalue == caught.value.eigenvalue
    unavailable = pickle.loads(pickle.dumps(fr.BackendUnavailableError("x: expected")))
    assert str(unavailable) == "x: expected"


def test_masked_arrays() -> None:
    """Their mask would go unseen."""
    refused(TypeError, "x", lambda: fr.gram(np.ma.masked_array(X, mask=X > 0)))
    refused(TypeError, "a", lambda: fr.entropy(np.ma.masked_array(GRAM, mask=GRAM > 1)))
