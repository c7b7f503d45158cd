"""The data of studies: files of Fashion-MNIST and MNIST, folders of images, functions."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("mlxtend")
pytest.importorskip("sklearn")
pytest.importorskip("tqdm")
pytest.importorskip("pyarrow")
pytest.importorskip("PIL")

from PIL import Image

from fastrenyi.study import images
from studies import studied, wrong


def test_fashion_and_mnist_as_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = {}
    for part, count in (("train", 70), ("t10k", 50)):
        pixels, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count, np.uint8)
        with gzip.open(tmp_path / f"{part}-images-idx3-ubyte.gz", "wb") as file:
            file.write(b"\0" * 16 + pixels.tobytes())
        with gzip.open(tmp_path / f"{part}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(b"\0" * 8 + labels.tobytes())
        parts[part] = pixels, labels
    for data in ("mnist", "fashion"):
        found = images.load(data, tmp_path)
        assert found.held_out is not None
        for (x, y), (pixels, labels) in zip(
            ((found.images, found.labels), found.held_out), parts.values(), strict=True
        ):
            np.testing.assert_array_equal(x[:, 0].numpy(), pixels / np.float32(255))
            np.testing.assert_array_equal(y.numpy(), labels)
    split = found.split(3, 20)
    assert (len(split.labels), len(split.held_out_labels)) == (20, 50)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(b"no gzip")
    images.load.cache_clear()
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte\.gz cannot be read"):
        images.load("fashion", tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"\0" * 12))
    with pytest.raises(ValueError, match="expected 28 x 28 pixels for each label of t10k"):
        images.load("fashion", tmp_path)


def written(folder: Path, name: str, shape: tuple[int, ...], value: int = 0) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full(shape, value, np.uint8)
    Image.fromarray(pixels).save(folder / name)


def test_a_folder_of_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in range(3):
        written(tmp_path, f"cats/{k}.png", (20, 24), 10 * k)
        written(tmp_path, f"dogs/{k}.png", (20, 24, 3), 255)
    (tmp_path / "cats" / "notes.txt").write_text("no image")
    found = images.load(str(tmp_path))
    assert found.images.shape == (6, 3, 20, 24)  # in colour, as some are
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.classes == 2
    np.testing.assert_allclose(found.images[:, 0, 0, 0].numpy(), np.array([0, 10, 20, 255, 255, 255]) / 255, rtol=1e-6)
    assert images.load(str(tmp_path), size=16).images.shape == (6, 3, 16, 16)
    written(tmp_path, "dogs/wide.png", (20, 30), 0)
    images.load.cache_clear()
    refused = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert "got " in (told := wrong(capsys, "plane", *refused))
    assert "0.png of 24x20 and" in told
    assert "give --size N" in told
    (tmp_path / "dogs" / "broken.png").write_text("no image")
    assert "broken.png cannot be read as an image" in wrong(capsys, "plane", *refused, "--size", "20")
    (tmp_path / "empty").mkdir()
    assert "no images in empty" in wrong(capsys, "plane", *refused)
    written(tmp_path / "one", "class/0.png", (20, 20))
    assert "got 1 subfolders" in wrong(capsys, "plane", "--data", str(tmp_path / "one"), *refused[2:])
    assert not (tmp_path / "out").exists()


def test_a_folder_without_pillow_says_what_to_install(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(tmp_path, f"{name}/0.png", (20, 20))
    code = "import sys; sys.modules['PIL'] = None; from fastrenyi import cli; sys.exit(cli.main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "study", "plane", "--data", str(tmp_path), "--out", str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        2, "fastrenyi study: error: needs PIL; pip install 'fastrenyi[demo]'\n",
    )  # fmt: skip


MODULE = """
import numpy as np
rng = np.random.default_rng(0)
x, y = rng.normal(size=(420, 18, 18)).astype("float32"), np.arange(420) % 3
def two(): return x, y
def four(): return x[:60, None], y[:60], x[60:, None], y[60:]
def three(): return x, y, x
def words(): return "ab"
def flat(): return x.reshape(420, -1), y
def halves(): return x, y / 2
def fewer(): return x, y[1:]
def none(): return x[:0], y[:0]
def negative(): return x, y - 1
def infinite(): return x / 0, y
def shapes(): return x, y, x[:, :17], y
def one(): return x, 0 * y
def small(): return x[:, :8, :8], y
def big(): return (x * 0 + 255).astype("uint8"), y
value = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_images.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_images", raising=False)
    images.load.cache_clear()
    return "my_images"


def test_a_function_gives_the_data(module: str, tmp_path: Path) -> None:
    found = images.load(f"{module}:two")
    assert (found.images.shape, found.held_out, found.classes) == ((420, 1, 18, 18), None, 3)
    split = found.split(0)
    assert (len(split.labels), len(split.held_out_labels)) == (315, 105)
    assert not {tuple(image.flatten()[:3].tolist()) for image in split.images} & {
        tuple(image.flatten()[:3].tolist()) for image in split.held_out_images
    }
    assert images.load(f"{module}:big").images.unique().tolist() == [1.0]
    table = studied("plane", tmp_path / "out", "--data", f"{module}:four", "--train", "60", "--jobs", "2")
    assert set(table["data"]) == {"my_images:four"}
    assert set(table["samples"]) == {100}


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("three", "to return (x, y) or (train_x, train_y, test_x, test_y), got tuple of 3"),
        ("words", "got str"),
        ("flat", "images (n, H, W) or (n, C, H, W), got the shape (420, 324)"),
        ("halves", "whole numbers (n,) as labels, got torch.float64 (420,)"),
        ("fewer", "a label for each image, got 420 images and 419 labels"),
        ("none", "at least one image, got none"),
        ("negative", "labels from 0, got a negative one"),
        ("shapes", "images of one shape, got (1, 18, 18) and (1, 17, 18)"),
        ("one", "labels of two classes or more, got 1"),
        ("small", "--net: lenet5 expects images of at least 16 x 16 pixels, got 8 x 8"),
        ("value", "expected a function of the module 'my_images', got 'value'"),
        ("absent", "expected a function of the module 'my_images', got 'absent'"),
    ],
)
def test_a_function_that_gives_something_else(
    module: str, function: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    told = wrong(capsys, "plane", "--data", f"{module}:{function}", "--out", str(out), "--probes", "1")
    assert said in told
    assert not out.exists()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_images_that_are_not_finite(module: str) -> None:
    with pytest.raises(ValueError, match="finite numbers in the images, got NaN or infinity"):
        images.load(f"{module}:infinite")
