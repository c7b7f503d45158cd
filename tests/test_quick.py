"""``fastrenyi entropy``: files of every kind against the library's own functions, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr
from conftest import run_python
from fastrenyi import cli, quick

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
Y = RNG.integers(0, 3, 12)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("y.npy", Y)
    np.save("gram.npy", fr.gram(X))
    np.save("k.npy", 3 * fr.gram(X))
    np.savez("two.npz", x=X, y=Y)
    np.savez("one.npz", x=X)
    np.savetxt("x.csv", X, delimiter=",", fmt="%.17g")
    np.savetxt("named.csv", X, delimiter=",", fmt="%.17g", header="a,b,c", comments="")
    Path("words.csv").write_text("\n".join("abc"[label] for label in Y))
    Path("header.csv").write_text("\n".join(["label", *("abc"[label] for label in Y)]))


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert cli.main(["entropy", *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    try:
        code: Any = cli.main(["entropy", *words])
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    ("words", "gram"),
    [
        (["x.npy"], fr.gram(X)),
        (["x.csv"], fr.gram(X)),
        (["named.csv"], fr.gram(X)),
        (["one.npz"], fr.gram(X)),
        (["two.npz:x"], fr.gram(X)),
        (["y.npy"], fr.gram(Y, "delta")),
        (["words.csv"], fr.gram(Y, "delta")),
        (["header.csv", "--header"], fr.gram(Y, "delta")),
        (["x.csv", "--kernel", "delta"], fr.gram(X, "delta")),
        (["y.npy", "--kernel", "gaussian", "--bandwidth", "2"], fr.gram(Y[:, None] * 1.0, bandwidth=2.0)),
        (["x.npy", "--kernel", "laplacian", "--bandwidth", "median"], fr.gram(X, "laplacian", "median")),
        (["x.npy", "--kernel", "linear"], fr.gram(X, "linear")),
        (["gram.npy", "--gram"], fr.gram(X)),
        (["k.npy", "--kernel-matrix"], fr.gram(X)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_files_of_every_kind(words: list[str], gram: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, *words, "--alpha", "0.5,1,2,inf", "--base", "e")
    (row,) = found["files"]
    np.testing.assert_allclose(row["entropy"], fr.entropy(gram, [0.5, 1, 2, math.inf], math.e), atol=1e-10)
    assert row["samples"] == 12
    assert row["largest"] == pytest.approx(math.log(12))
    assert found["alpha"][:3] == [0.5, 1, 2]
    assert "mutual_information" not in found


def test_two_files_share_information(capsys: pytest.CaptureFixture[str]) -> None:
    a, b = fr.gram(X, bandwidth=1.0), fr.gram(Y, "delta")
    both = ["x.npy", "y.npy", "--bandwidth", "1"]
    found = told(capsys, *both)
    assert found["mutual_information"]["value"] == pytest.approx([float(fr.mutual_information(a, b))])
    assert found["mutual_information"]["permutations"] == 100
    assert told(capsys, *both, "--null", "0")["mutual_information"].keys() == {"value"}
    test = fr.permutation_test(a, b, 20)
    found = told(capsys, *both, "--null", "20")["mutual_information"]
    for name in ("value", "mean", "std", "excess", "pvalue"):
        assert found[name] == pytest.approx([float(getattr(test, name))])
    assert cli.main(["entropy", *both, "--null", "20", "--alpha", "1,2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "entropies in bits"
    assert lines[1].split() == ["kernel", "samples", "features", "at", "most", "alpha", "1", "alpha", "2"]
    assert lines[2].split()[:5] == ["S(x.npy)", "gaussian", "12", "3", f"{math.log2(12):.4f}"]
    assert [line.split("  ")[0] or line.strip().split("  ")[0] for line in lines[4:]] == [
        "mutual information", "its null, 20 permutations", "standard deviation of the null", "excess over the null",
        "p",
    ]  # fmt: skip
    assert len({len(line) for line in lines[1:]}) == 1


def test_files_of_different_samples_share_none(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("short.npy", X[:5])
    assert cli.main(["entropy", "x.npy", "short.npy"]) == 0
    assert capsys.readouterr().out.endswith("no mutual information: that is of two files of the same samples\n")
    assert "--null: expected two files of the same samples, got 12 and 5" in refused(
        capsys, "x.npy", "short.npy", "--null", "9"
    )


def test_what_is_not_finite_is_words_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("same.npy", np.ones((4, 2)))
    found = told(capsys, "same.npy", "same.npy", "--null", "1")
    assert found["mutual_information"]["std"] == ["nan"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: FILE"),
        (["absent.npy"], "absent.npy"),
        (["absent.csv"], "absent.csv"),
        (["x.txt"], "x.txt: expected a file of the kind .npy, .npz or .csv"),
        (
            ["two.npz"],
            "two.npz: expected the name of one of its arrays behind the file's, as FILE.npz:NAME; it has x, y",
        ),
        (["two.npz:z"], "it has x, y"),
        (["bad.npy"], "bad.npy: cannot be read as NumPy's .npy of numbers or strings"),
        (["bad.npz"], "bad.npz: cannot be read as NumPy's .npz of numbers or strings"),
        (["objects.npy"], "objects.npy: cannot be read as NumPy's .npy of numbers or strings"),
        (["hole.csv"], "hole.csv: expected numbers, got ''; --kernel delta takes symbols"),
        (["header.csv", "--kernel", "gaussian"], "header.csv: expected numbers, got 'label'"),
        (["images.npy"], "images.npy: x: expected samples of shape (n, d), got shape (4, 2, 2); save x.reshape(len(x)"),
        (["nan.npy"], "nan.npy: x: expected finite numbers, got nan at index (1, 0)"),
        (["complex.npy"], "complex.npy: x: expected real numbers"),
        (["x.npy", "--gram"], "x.npy: a: expected square matrices"),
        (["y.npy", "--kernel-matrix"], "y.npy: x: expected one matrix of shape (n, n), got shape (12,)"),
        (["k.npy", "--gram"], "k.npy: a: expected Grams of trace one"),
        (["gram.npy", "--gram", "--kernel-matrix"], "not allowed with argument --gram"),
        (["gram.npy", "--gram", "--kernel", "delta"], "--kernel: expected none beside --gram"),
        (["gram.npy", "--kernel-matrix", "--bandwidth", "1"], "--bandwidth: expected none beside --gram"),
        (["x.npy", "--kernel", "box"], "argument --kernel: invalid choice: 'box'"),
        (["x.npy", "--kernel", "cosine", "--bandwidth", "1"], "x.npy: bandwidth: "),
        (["x.npy", "--bandwidth", "wide"], "argument --bandwidth: expected a number or one of silverman, scott"),
        (["x.npy", "--bandwidth", "-1"], "x.npy: bandwidth: expected a finite number above zero, got -1"),
        (["x.npy", "--alpha", "1;2"], "argument --alpha: expected numbers such as 0.5,1,2,inf, got 1;2"),
        (["x.npy", "--alpha", "1,nan"], "argument --alpha: expected orders of at least 0, got 1,nan"),
        (["x.npy", "--base", "1"], "argument --base: expected a number above 1, or e, got 1"),
        (["x.npy", "--base", "two"], "argument --base: expected a number above 1, or e, got two"),
        (["x.npy", "--null", "3"], "--null: expected two files, which it compares, got 1"),
        (["x.npy", "y.npy", "--null", "-1"], "--null: expected at least 1, or 0 for none, got -1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments_are_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.npy").write_text("nothing of the kind")
    Path("bad.npz").write_bytes(b"PK\x03\x04 cut")
    Path("hole.csv").write_text("1,2\n3,\n")
    np.save("objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    np.save("images.npy", np.ones((4, 2, 2)))
    np.save("nan.npy", np.array([[1.0], [np.nan]]))
    np.save("complex.npy", X * 1j)
    assert said in refused(capsys, *words)


def test_a_warning_is_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from fastrenyi import _cost

    monkeypatch.setattr(_cost, "_LONG", 0.0)
    assert cli.main(["entropy", "x.npy"]) == 0
    assert capsys.readouterr().err.startswith("fastrenyi entropy: warning: a Gram of n = 12 will take about 0 minutes")


def test_too_much_memory_is_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def huge(options: Any) -> str:
        raise MemoryError("Unable to allocate 7 TiB")

    monkeypatch.setattr(quick, "run", huge)
    assert "error: more memory than there is (Unable to allocate 7 TiB)" in refused(capsys, "x.npy")


def test_it_needs_numpy_and_scipy_alone() -> None:
    program = f"""
    import sys
    for name in ("torch", "pandas", "matplotlib", "rich"): sys.modules[name] = None
    from fastrenyi import cli
    sys.exit(cli.main(["entropy", {str(Path("x.csv").absolute())!r}]))
"""
    assert "x.csv)" in run_python(program)
