"""What comes in at the door beside arrays and tensors: tables, arrays of other libraries, lists of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

import fastrenyi as fr
import reference
from conftest import refused

pd = pytest.importorskip("pandas")


class Exporter:
    """An array of a library that nobody here knows, on a device of DLPack's numbering."""

    def __init__(self, values: np.ndarray, device: int = 1) -> None:
        self.values, self.device = values, device

    def __dlpack__(self, **options: Any) -> Any:
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0


class Half:
    """An array of a library that does not say where its memory is."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __dlpack__(self, **options: Any) -> Any:
        return self.values.__dlpack__(**options)


class Convertible:
    """What gives NumPy an array when asked, as xarray's DataArray does."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.values


FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "dlpack": Exporter,
    "half of dlpack": Half,
    "array": Convertible,
    "memoryview": lambda values: memoryview(np.ascontiguousarray(values)),
    "pandas": lambda values: pd.DataFrame(values) if values.ndim == 2 else Convertible(values),
}
X = np.random.default_rng(0).normal(size=(6, 3))
GRAM = fr.gram(X)
MAPS = np.stack([GRAM, fr.gram(X**2)])
CALLS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "gram": (fr.gram, (X,)),
    "channel_grams": (fr.channel_grams, (X,)),
    "tensor_gram": (fr.tensor_gram, (X,)),
    "divergence": (fr.divergence, (X, X + 1)),
    "spectrum": (fr.spectrum, (GRAM,)),
    "entropy": (fr.entropy, (GRAM,)),
    "joint_entropy": (fr.joint_entropy, (GRAM, MAPS[1])),
    "conditional_entropy": (fr.conditional_entropy, (GRAM, MAPS[1])),
    "mutual_information": (fr.mutual_information, (GRAM, MAPS[1])),
    "joint variable": (lambda a, b, c: fr.mutual_information([a, b], c), (GRAM, MAPS[1], GRAM)),
    "conditional_mutual_information": (fr.conditional_mutual_information, (GRAM, MAPS[1], GRAM)),
    "total_correlation": (fr.total_correlation, (GRAM, MAPS[1])),
    "dual_total_correlation": (fr.dual_total_correlation, (GRAM, MAPS[1])),
    "o_information": (fr.o_information, (GRAM, MAPS[1], GRAM)),
    "interaction_information": (fr.interaction_information, (GRAM, MAPS[1])),
    "layer_decomposition": (lambda maps, target: fr.layer_decomposition(maps, target).pairwise, (MAPS, GRAM)),
    "rank_maps": (lambda maps, target: fr.rank_maps(maps, target).gain, (MAPS, GRAM)),
    "leave_one_out": (lambda maps, target: fr.leave_one_out(maps, target).without, (MAPS, GRAM)),
    "group_o_information": (lambda maps, x: fr.group_o_information(maps, 2, x).values, (MAPS, GRAM)),
    "Alignment": (lambda target: fr.gram(X, bandwidth=fr.Alignment(target)), (GRAM,)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_gives_numpy_an_array(name: str, form: str, dtype: str) -> None:
    call, arrays = CALLS[name]
    if name == "Alignment" and dtype == "float32":
        pytest.skip("the samples are float64")
    plain = [values.astype(dtype) for values in arrays]
    found, expected = call(*map(FORMS[form], plain)), call(*plain)
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_tables() -> None:
    frame = pd.DataFrame({"a": X[:, 0], "b": np.arange(6), "c": X[:, 2].astype(np.float32)})
    np.testing.assert_array_equal(fr.gram(frame), fr.gram(frame.to_numpy(np.float64)))
    np.testing.assert_array_equal(fr.tensor_gram(frame["a"]), fr.tensor_gram(X[:, 0]))
    np.testing.assert_array_equal(fr.gram(frame["b"], "delta"), np.eye(6) / 6)
    nullable = frame.astype("Float64")  # which may hold NA, and so comes as objects
    assert "pass x.astype(numpy.float64)" in refused(TypeError, "x", lambda: fr.gram(nullable))
    np.testing.assert_array_equal(fr.gram(nullable.astype(np.float64)), fr.gram(frame))


def test_lists_of_numbers_are_samples() -> None:
    for x in [X.tolist(), tuple(map(tuple, X.tolist())), [X.tolist(), X.tolist()]]:
        np.testing.assert_array_equal(fr.gram(x), fr.gram(np.asarray(x)))
    assert fr.gram([[1], [2]]).dtype == np.float64
    np.testing.assert_array_equal(fr.gram([0, 1, 0], "delta"), fr.gram(np.array([0, 1, 0]), "delta"))
    refused(ValueError, "x", lambda: fr.gram([[1.0], [2.0, 3.0]]))
    refused(ValueError, "x", lambda: fr.gram([1.0, 2.0]))
    refused(ValueError, "x", lambda: fr.gram([]))
    for x in [[[1.0], None], [["a"], ["b"]], [["a"], [1]], [[1j], [2]], [{}, {}]]:
        refused(TypeError, "x", lambda x=x: fr.gram(x))
    for x in [[torch.ones(2), torch.ones(2)], [[torch.tensor(1.0)]], [np.ones(2), np.ones(2)]]:
        assert "numpy.stack(x)" in refused(TypeError, "x", lambda x=x: fr.gram(x))


LABELS = ["cat", "dog", "cat", "eel", "dog", "cat"]
STRINGS: dict[str, Any] = {
    "numpy": np.array(LABELS),
    "bytes": np.array(LABELS, dtype="S"),
    "objects": np.array(LABELS, dtype=object),
    "list": LABELS,
    "series": pd.Series(LABELS),
    "series of objects": pd.Series(LABELS, dtype=object),
    "categories": pd.Series(LABELS, dtype="category"),
    "index": pd.Index(LABELS),
    "table": pd.DataFrame({"a": LABELS}),
}


@pytest.mark.parametrize("kind", STRINGS)
def test_labels_that_are_strings(kind: str) -> None:
    found = fr.gram(STRINGS[kind], "delta")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, reference.gram_delta(np.array(LABELS)))
    refused(TypeError, "x", lambda: fr.gram(STRINGS[kind]))


def test_labels_of_several_features_and_in_every_layout() -> None:
    rows = np.array([LABELS, LABELS[::-1]]).T
    np.testing.assert_array_equal(fr.gram(rows, "delta"), reference.gram_delta(rows))
    np.testing.assert_array_equal(fr.gram(pd.DataFrame(rows), "delta"), reference.gram_delta(rows))
    np.testing.assert_array_equal(fr.gram(rows[None], "delta")[0], reference.gram_delta(rows))
    np.testing.assert_array_equal(fr.tensor_gram(rows, "delta"), reference.gram_delta(rows))
    expected = np.stack([reference.gram_delta(column) for column in rows.T])
    np.testing.assert_array_equal(fr.channel_grams(rows, "delta"), expected)
    numbered = pd.Series([3, 1, 3], dtype="category")
    np.testing.assert_array_equal(fr.gram(numbered, "delta"), reference.gram_delta(np.array([3, 1, 3])))
    assert fr.gram(np.array(LABELS), fr.Delta("float32")).dtype == np.float32


def test_labels_that_are_missing() -> None:
    for missing in [None, np.nan]:
        labels = pd.Series(["a", missing, "b"], dtype=object)
        message = refused(TypeError, "x", lambda labels=labels: fr.gram(labels, "delta"))
        assert "at index (1,)" in message
        assert "x.astype(str)" in message
    refused(TypeError, "x", lambda: fr.gram(pd.Series(["a", None], dtype="category"), "delta"))
    refused(ValueError, "x", lambda: fr.gram(np.array([], dtype=str), "delta"))


def test_strings_for_other_kernels_are_told_of_the_delta_kernel() -> None:
    assert "the Delta kernel" in refused(TypeError, "x", lambda: fr.gram(np.array([["a"], ["b"]])))
    assert "the Delta kernel" in refused(TypeError, "x", lambda: fr.divergence(*[np.array([["a"]])] * 2, "delta"))


def test_lists_of_numbers_are_no_grams() -> None:
    """A list there is a joint variable of several."""
    for call in [fr.entropy, fr.joint_entropy, lambda a: fr.mutual_information(GRAM, a)]:
        with pytest.raises(TypeError, match=r"got a list of rows; pass numpy.asarray\((a|b|grams\[0\])\)$"):
            call(GRAM.tolist())
    for call in [fr.spectrum, fr.channel_grams, fr.tensor_gram, lambda a: fr.layer_decomposition(a, GRAM)]:
        with pytest.raises(TypeError, match=r"pass numpy.asarray\("):
            call(GRAM.tolist())


def test_what_has_another_meaning_is_refused_with_the_way_out() -> None:
    sparse = scipy.sparse.csr_array(X)
    assert "pass x.toarray()" in refused(TypeError, "x", lambda: fr.gram(sparse))
    assert fr.gram(sparse.toarray()).shape == (6, 6)
    mixed = pd.DataFrame({"a": X[:, 0], "b": list("abcdef")})
    assert "x.select_dtypes('number')" in refused(TypeError, "x", lambda: fr.gram(mixed))
    assert fr.gram(mixed.select_dtypes("number")).shape == (6, 6)
    refused(TypeError, "x", lambda: fr.gram(pd.DataFrame({"a": [1.0, None]}, dtype=object)))
    refused(ValueError, "x", lambda: fr.gram(pd.DataFrame({"a": [1.0, None]})))
    integers = pd.DataFrame({"a": [1, 2]})
    assert "pass x.astype(numpy.float64)" in refused(TypeError, "x", lambda: fr.gram(integers))
    assert fr.gram(integers.astype(np.float64)).shape == (2, 2)
    refused(TypeError, "x", lambda: fr.gram(np.ma.masked_array(X, mask=X > 0)))
    for thing in ["table", b"table", pd.DataFrame, np.ndarray, torch.Tensor]:
        refused(TypeError, "x", lambda thing=thing: fr.gram(thing))


def test_arrays_of_other_devices_and_those_that_numpy_cannot_read() -> None:
    message = refused(TypeError, "x", lambda: fr.gram(Exporter(X, device=2)))
    assert "pass torch.from_dlpack(x)" in message
    refused(TypeError, "a", lambda: fr.entropy(Exporter(np.array(["a"]))))

    class Refusing:
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
            raise TypeError("not as one array")

    assert "not as one array" in refused(TypeError, "x", lambda: fr.gram(Refusing()))


def test_memory_that_is_shared_is_not_changed() -> None:
    values = X.copy()
    values.flags.writeable = False
    np.testing.assert_array_equal(fr.gram(Exporter(values)), fr.gram(X))


def test_tensors_do_not_go_through_dlpack(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(torch.Tensor, "__dlpack__", fail)
    monkeypatch.setattr(torch.Tensor, "__array__", fail)
    x = torch.tensor(X, requires_grad=True)
    fr.entropy(fr.gram(x)).backward()
    assert x.grad is not None
