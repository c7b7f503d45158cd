"""Each way out that a message names, followed to its end: what is written there is done, and the number is right."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

import fastrenyi as fr
import reference
from conftest import Draw
from precisions import AS_THEY_ARE, SIZES, cast, made, numbers
from tolerances import assert_bits, assert_gram

MOST = 3
"""How many messages may come before the number does."""


def written_in(message: str) -> list[str]:
    """The code of a message's way out."""
    way_out = message.rpartition("; ")[2]
    after = re.split(r"\bpass each Gram a as |numerals as |transpose, |\bpass ", way_out)[-1]
    return re.split(r" of | where |, or \w+ |, else ", after)[0].split(" and ")


def followed(call: Callable[..., Any], **given: Any) -> tuple[Any, list[str]]:
    """The result of a call whose arguments are changed as its messages say, and those messages."""
    names = "|".join(given)
    messages: list[str] = []
    while True:
        try:
            return call(**given), messages
        except (TypeError, ValueError) as error:
            message = str(error)
        messages.append(message)
        assert len(messages) <= MOST, messages
        room = {"numpy": np, "torch": torch, "fastrenyi": fr, "value": 0.0}
        if "each Gram a" in message:
            (code,) = written_in(message)
            given = {name: eval(code, room | {"a": value}) for name, value in given.items()}
            continue
        for code in written_in(message):
            found = re.search(rf"\b({names})\b(\[\d+\])*", code)
            assert found, message
            exec(f"{found[0]} = {code}", room, given)


# --------------------------------------------------------------------------------------- messages and what they say


@pytest.mark.parametrize(("library", "lower", "higher"), AS_THEY_ARE)
@pytest.mark.parametrize("n", SIZES)
def test_mixed_dtypes(library: str, lower: str, higher: str, n: int, draw: Draw) -> None:
    a, exact = made(draw, n, lower)
    b, other = made(draw, n, higher)
    a, b = cast(a, library, lower), cast(b, library, higher)
    for first, second in [(a, b), (b, a)]:
        found, messages = followed(fr.mutual_information, a=first, b=second)
        assert len(messages) == 1
        assert_bits(numbers(found), reference.mutual_information(exact, other), lower, terms=3)
        if library == "numpy":
            found, messages = followed(lambda grams: fr.joint_entropy(*grams), grams=[first, second, second])
            right = reference.joint_entropy(*(exact if gram is a else other for gram in [first, second, second]))
            assert_bits(numbers(found), right, lower)


def test_mixed_libraries(draw: Draw) -> None:
    for dtype in ["float16", "bfloat16", "float32", "float64"]:
        a, exact = made(draw, 6, dtype)
        for other_dtype in ["float16", "float32", "float64"]:
            b, other = made(draw, 6, other_dtype)
            loose = max(dtype, other_dtype, key=["float64", "float32", "float16", "bfloat16"].index)
            expected = reference.mutual_information(exact, other)
            for given in [{"a": a, "b": b.numpy()}, {"a": b.numpy(), "b": a}]:
                found, messages = followed(fr.mutual_information, **given)
                assert len(messages) == 1, messages
                assert_bits(numbers(found), expected, loose, terms=3)


def test_mixed_halves(draw: Draw) -> None:
    (a, exact), (b, other) = made(draw, 6, "float16"), made(draw, 6, "bfloat16")
    found, messages = followed(fr.mutual_information, a=a, b=b)
    assert len(messages) == 1
    assert_bits(numbers(found), reference.mutual_information(exact, other), "bfloat16", terms=3)


def test_a_layer_and_a_target_of_another_dtype(draw: Draw) -> None:
    (a, exact), (b, other) = made(draw, 6, "float32"), made(draw, 6, "float64")
    found, messages = followed(fr.layer_decomposition, maps=a[None], target=b)
    assert len(messages) == 1
    right = reference.layer_decomposition(exact[None], other)
    assert_bits(numbers(found.mmi), right["mmi"], "float32", terms=3)


def test_samples_of_another_dtype(draw: Draw) -> None:
    x, y = draw.samples(8, 2).astype(np.float32), draw.samples(6, 2)
    found, messages = followed(lambda x, y: fr.divergence(x, y, bandwidth=1.0), x=x, y=y)
    assert len(messages) == 1
    assert found == pytest.approx(fr.divergence(x.astype(np.float64), y, bandwidth=1.0))
    labels = np.arange(8)[:, None] % 3
    for other in [labels.astype(np.int32), labels.astype(np.uint8), labels.astype(np.float32), labels > 0]:
        for given in [{"x": labels, "y": other}, {"x": other, "y": labels}]:
            found, messages = followed(lambda x, y: fr.divergence(x, y, "delta"), **given)
            assert len(messages) == 1
            assert found == pytest.approx(fr.divergence(labels, other.astype(int), "delta"), abs=1e-9)


@pytest.mark.parametrize(("library", "lower", "higher"), AS_THEY_ARE)
@pytest.mark.parametrize("n", SIZES)
def test_a_kernel_matrix_that_was_cast(library: str, lower: str, higher: str, n: int, draw: Draw) -> None:
    """Its trace leads to ``normalize``, which leaves no sign of the precision; that leads to the dtype that is one."""
    x = torch.from_numpy(draw.samples(n, 3))
    k = torch.exp(-(torch.cdist(x, x) ** 2) / 50).to(getattr(torch, lower))
    found, messages = followed(lambda a: fr.entropy(a, 2.5), a=cast(k, library, higher))
    assert "trace of" in messages[0]
    assert len(messages) <= 2
    assert_bits(numbers(found), reference.entropy(reference.gram_gaussian(x.numpy(), 5.0), 2.5), lower)


def test_a_matrix_divided_by_its_trace(draw: Draw) -> None:
    x = draw.samples(50, 3).astype(np.float32)
    a = fr.gram(x, bandwidth=5.0).astype(np.float64)
    b = fr.gram(np.arange(50) % 4, "delta")
    found, messages = followed(fr.mutual_information, a=a / np.trace(a), b=b)
    assert len(messages) == 1
    assert "rounding of float64 explains; if the numbers were made in float32, pass each Gram a as" in messages[0]
    labels = reference.gram_delta(np.arange(50) % 4)
    expected = reference.mutual_information(reference.gram_gaussian(x, 5.0), labels)
    assert_bits(numbers(found), expected, "float32", terms=3)


def test_a_difference_is_printed_so_that_it_is_seen(draw: Draw) -> None:
    a = draw.grams(5)
    for difference, shown in [(1.3e-8, "1 + 1.3e-08"), (-2.5e-4, "1 - 0.00025"), (-0.2, "0.8"), (3.0, "4")]:
        with pytest.raises(ValueError, match=rf"got a trace of {re.escape(shown)};"):
            fr.entropy(a * (1 + difference))
    a[1, 3] += 1.5e-8
    entry = r"\d[\d.]*(e-\d+)?"  # an entry of a Gram of trace one may be small
    with pytest.raises(ValueError, match=rf"got {entry} - 1\.5e-08 at index \(3, 1\) and {entry} mirrored;"):
        fr.entropy(a)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_traces_and_asymmetry(library: str, draw: Draw) -> None:
    k = 7 * draw.matrices(2, 6)
    found, messages = followed(fr.entropy, a=cast(torch.from_numpy(k), library, "float64"))
    assert len(messages) == 1
    assert_bits(numbers(found), [reference.entropy(reference.normalize(each)) for each in k], "float64")
    lost = cast(torch.from_numpy(1.0005 * k / np.trace(k, axis1=1, axis2=2)[:, None, None]), library, "float64")
    with pytest.raises(ValueError, match=r"a trace of 1 \+ 0\.0005 at index \(0,\); ") as caught:
        fr.entropy(lost)
    (code,) = re.findall(r"kernel matrix, (.*) of a Gram that has lost its trace", str(caught.value))
    found = fr.entropy(eval(code, {"a": lost}))
    assert_bits(numbers(found), [reference.entropy(each / np.trace(each)) for each in k], "float64")
    assert_bits(numbers(fr.entropy(eval(code, {"a": lost[0]}))), numbers(found)[0], "float64")
    wrong = draw.grams(2, 6)
    wrong[:, 1, 3] += 1e-3
    mean = (wrong + wrong.swapaxes(-1, -2)) / 2
    found, messages = followed(fr.entropy, a=cast(torch.from_numpy(wrong), library, "float64"))
    assert len(messages) == 1
    assert_bits(numbers(found), [reference.entropy(each) for each in mean], "float64")
    found, messages = followed(fr.normalize, k=cast(torch.from_numpy(6 * wrong), library, "float64"))
    assert len(messages) == 1
    assert_gram(numbers(found), reference.over_batch(reference.normalize, 6 * mean), "float64")


A = reference.gram_gaussian(np.arange(4.0)[:, None] ** 1.3, 2.0)
INTEGERS = np.array([[2, 1], [1, 2]])
OF_GRAMS: dict[str, tuple[Any, np.ndarray, int]] = {
    "lists": (A.tolist(), A, 1),
    "masked": (np.ma.masked_array(A), A, 1),
    "sparse": (scipy.sparse.csr_array(A), A, 1),
    "torch sparse": (torch.from_numpy(A).to_sparse(), A, 1),
    "objects": (A.astype(object), A, 1),
    "strings": (A.astype(str), A, 1),
    "longdouble": (A.astype(np.longdouble), A, 1),
    "integers": (INTEGERS, INTEGERS / 4, 2),
    "torch integers": (torch.from_numpy(INTEGERS), INTEGERS / 4, 2),
    "a list of lists": ([A.tolist(), A.tolist()], reference.joint(A, A), 2),
}


@pytest.mark.parametrize("kind", OF_GRAMS)
def test_kinds_of_grams(kind: str) -> None:
    given, right, steps = OF_GRAMS[kind]
    found, messages = followed(fr.entropy, a=given)
    assert len(messages) == steps, messages
    assert_bits(numbers(found), reference.entropy(right), "float64")


X = np.arange(12.0).reshape(4, 3) ** 1.5
OF_SAMPLES: dict[str, tuple[Any, np.ndarray]] = {
    "lists of arrays": ([X[0], X[1]], X[:2]),
    "masked": (np.ma.masked_array(X), X),
    "sparse": (scipy.sparse.csr_array(X), X),
    "torch sparse": (torch.from_numpy(X).to_sparse(), X),
    "objects": (X.astype(object), X),
    "integers": (X.astype(int), X.astype(int)),
    "torch integers": (torch.from_numpy(X).long(), X.astype(int)),
    "one axis": (X[:, 0], X[:, :1]),
    "float8": (torch.from_numpy(X).to(torch.float8_e5m2), X),
    "nested": (torch.nested.nested_tensor([torch.from_numpy(X)], layout=torch.jagged), X),
}


@pytest.mark.parametrize("kind", OF_SAMPLES)
def test_kinds_of_samples(kind: str) -> None:
    given, right = OF_SAMPLES[kind]
    if kind == "nested":
        with pytest.raises(TypeError, match=r"pass each of x\.unbind\(\) alone"):
            fr.gram(given)
        given = given.unbind()[0]
    if kind == "float8":
        right = given.double().numpy()
    found, _ = followed(lambda x: fr.gram(x, bandwidth=5.0), x=given)
    assert_gram(numbers(found), reference.gram_gaussian(right, 5.0), str(found.dtype).removeprefix("torch."))


# ------------------------------------------------------------------------------------------------ ways out in words


def refused(way_out: str, call: Callable[[], Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(way_out)):
        call()


def test_ways_out_in_words(draw: Draw) -> None:
    x = draw.samples(12, 3)
    zero = np.concatenate([x, np.zeros((1, 3))])
    refused("use a Gaussian kernel, or a Polynomial with coef0 > 0", lambda: fr.gram(zero, "cosine"))
    assert_gram(fr.gram(zero, fr.Gaussian(1.0)), reference.gram_gaussian(zero, 1.0), "float64")
    assert_gram(fr.gram(zero, fr.Polynomial(2, coef0=1.0)), reference.gram_polynomial(zero, 2), "float64")

    k = x @ x.T
    k[3] = k[:, 3] = 0
    refused("leave that sample out", lambda: fr.normalize(k))
    without = np.delete(np.delete(k, 3, 0), 3, 1)
    assert_gram(fr.normalize(without), reference.normalize(without), "float64")

    unclean = np.concatenate([x, [[1.0, np.nan, 2.0]]])
    refused("clean the data first", lambda: fr.gram(unclean))
    clean = unclean[np.isfinite(unclean).all(axis=1)]
    assert_gram(fr.gram(clean, bandwidth=1.0), reference.gram_gaussian(x, 1.0), "float64")

    refused("make Grams of samples with fastrenyi.gram", lambda: fr.entropy(x))
    assert_bits(fr.entropy(fr.gram(x, bandwidth=1.0)), reference.entropy(reference.gram_gaussian(x, 1.0)), "float64")

    refused("choose a smaller k", lambda: fr.gram(x, bandwidth=fr.NearestNeighbours(12)))
    found = fr.gram(x, bandwidth=fr.NearestNeighbours(3))
    assert_gram(found, reference.gram_gaussian(x, reference.neighbours(x, 3)), "float64")

    refused("leave it out", lambda: fr.gram(x, "cosine", 1.0))
    assert_gram(fr.gram(x, "cosine"), reference.gram_cosine(x), "float64")
    refused("give the width in one place", lambda: fr.gram(x, fr.Gaussian(1.0), 2.0))
    assert_gram(fr.gram(x, "gaussian", 2.0), reference.gram_gaussian(x, 2.0), "float64")

    many: list[Any] = list(draw.grams(13, 5))
    refused("join some of them in lists", lambda: fr.interaction_information(*many))
    joined = [many[:6], many[6:12], many[12]]
    assert_bits(fr.interaction_information(*joined), reference.interaction_information(*joined), "float64", terms=8)

    words: Any = "inf"
    refused("pass math.inf", lambda: fr.entropy(many[0], words))
    assert_bits(fr.entropy(many[0], np.inf), reference.entropy(many[0], np.inf), "float64")
    refused("2 gives bits, math.e nats", lambda: fr.entropy(many[0], base=1))
    assert_bits(fr.entropy(many[0], base=np.e), reference.entropy(many[0], base=np.e), "float64")

    labels: Any = np.array(["a", None, "b"], dtype=object)
    refused("pass x.astype(str)", lambda: fr.gram(labels, "delta"))
    assert_gram(fr.gram(labels.astype(str), "delta"), reference.gram_delta(np.arange(3)), "float64")
