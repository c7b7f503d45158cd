"""What the studies train on: real digits, clothes and photographs, folders of images, arrays of a function."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import os
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastrenyi.demo import Digits, load_digits, read_digits

__all__ = ["DATA", "FASHION", "HELD_OUT", "Images", "Pictures", "load", "missing"]

Images = Digits
TRAIN, HELD_OUT = 4000, 1000
"""How many images are trained on, unless told, and held out, where there are enough."""

FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's and Ubuntu's package dataset-fashion-mnist puts the files of Xiao, Rasul and Vollgraf (2017)."""

_KNOWN = "mnist, digits, fashion, a folder with a subfolder of images for each class, or module:function"


@dataclass(frozen=True)
class Pictures:
    """All images (m, C, H, W) of a data set, their labels (m,), and those that it holds out itself."""

    images: Tensor
    labels: Tensor
    held_out: tuple[Tensor, Tensor] | None = None

    @property
    def classes(self) -> int:
        """How many there are, counted from label 0."""
        return int(max(labels.max() for labels in (self.labels, *(self.held_out or ())[1:]))) + 1

    def digest(self) -> str:
        """Return what tells this data from other data."""
        found = hashlib.sha256()
        for part in (self.images, self.labels, *(self.held_out or ())):
            found.update(str(tuple(part.shape)).encode())
            found.update(part.contiguous().numpy())
        return found.hexdigest()

    def split(self, seed: int, train: int | None = None) -> Images:
        """Return `train` images, and up to a thousand held out: of those the data set has, else a quarter of all."""
        if self.held_out is None:
            held = min(HELD_OUT, len(self.labels) // 4)
            order = torch.from_numpy(np.random.default_rng([seed, 0]).permutation(len(self.labels)))
            rest, apart = order[: len(order) - held], order[len(order) - held :]
            pools = [(self.images, self.labels, rest), (self.images, self.labels, apart)]
        else:
            pools = []
            for (images, labels), count in (((self.images, self.labels), None), (self.held_out, HELD_OUT)):
                order = torch.from_numpy(np.random.default_rng([seed, len(labels)]).permutation(len(labels)))
                pools.append((images, labels, order[:count]))
        available = len(pools[0][2])
        if train is not None and train > available:
            raise ValueError(f"--train: expected at most {available}, the images to train on, got {train}")
        pools[0] = (*pools[0][:2], pools[0][2][: train or TRAIN])
        first, second = ((images[chosen], labels[chosen]) for images, labels, chosen in pools)
        return Images(*first, *second)


@lru_cache(maxsize=1)
def load(data: str, root: Path | None = None, size: int | None = None) -> Pictures:
    """Read a data set by its name, a folder of images, or what a function returns; ValueError saying what is wrong."""
    folder = Path(data)
    if root is not None and data not in ("mnist", "fashion"):
        raise ValueError(f"--root: expected for mnist or fashion alone, the folder of their files, got one for {data}")
    if size is not None and not folder.is_dir():
        raise ValueError(f"--size: expected for a folder of images alone, got one for {data}")
    if data == "fashion" or (data == "mnist" and root is not None):
        return _idx(root or FASHION, data)
    if data in ("mnist", "digits"):
        return Pictures(*read_digits(data))
    if folder.is_dir():
        return _folder(folder, size)
    if ":" in data:
        return _called(data)
    raise ValueError(f"--data: expected {_KNOWN}, got {data}")


def _idx(root: Path, data: str) -> Pictures:
    """Files as those of MNIST, which Fashion-MNIST has taken over: train-images-idx3-ubyte.gz and three more."""

    def read(part: str) -> tuple[Tensor, Tensor]:
        images = _bytes(root / f"{part}-images-idx3-ubyte.gz", data, 16)
        labels = _bytes(root / f"{part}-labels-idx1-ubyte.gz", data, 8)
        if len(images) != 28 * 28 * len(labels) or not len(labels):
            raise ValueError(
                f"--data: expected 28 x 28 pixels for each label of {part} in {root}, got {len(images)} for "
                f"{len(labels)} labels; get the files of {data} anew"
            )
        scaled = images.reshape(-1, 1, 28, 28) / np.float32(255)
        return torch.from_numpy(scaled), torch.from_numpy(labels.astype(np.int64))

    return Pictures(*read("train"), held_out=read("t10k"))


def _bytes(path: Path, data: str, offset: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    try:
        with gzip.open(path) as file:
            return np.frombuffer(file.read(), np.uint8, offset=offset)
    except FileNotFoundError:
        way_out = "; install the package dataset-fashion-mnist of Debian or Ubuntu, or" if data == "fashion" else ";"
        raise ValueError(f"--data: there is no {path}{way_out} name the folder of the files by --root") from None
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"--data: {path} cannot be read ({error}); get the files of {data} anew") from None


def _folder(folder: Path, size: int | None) -> Pictures:
    """A subfolder for each class, in the order of their names; in colour where any image is."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    known = Image.registered_extensions()
    found = [
        (path, label)
        for label, subfolder in enumerate(classes)
        for path in sorted(subfolder.iterdir())
        if path.suffix.lower() in known
    ]
    if len(classes) < 2 or len({label for _, label in found}) < len(classes):
        empty = [path.name for label, path in enumerate(classes) if label not in {label for _, label in found}]
        got = f"no images in {', '.join(empty)}" if empty else f"{len(classes)} subfolders"
        raise ValueError(f"--data: expected subfolders of images in {folder}, one for each class, got {got}")
    images = []
    for path, _ in found:
        try:
            with Image.open(path) as image:
                grey = image.mode in ("1", "L")
                whole = image.convert("L" if grey else "RGB")
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(f"--data: {path} cannot be read as an image ({error}); mend or remove it") from None
        images.append(whole if size is None else ImageOps.fit(whole, (size, size)))
        if images[-1].size != images[0].size:
            raise ValueError(
                f"--data: expected images of one size, got {found[0][0]} of {'x'.join(map(str, images[0].size))} and "
                f"{path} of {'x'.join(map(str, images[-1].size))} pixels; give --size N to cut all to N x N"
            )
    mode = "L" if all(image.mode == "L" for image in images) else "RGB"
    pixels = np.stack([np.atleast_3d(np.asarray(image.convert(mode))) for image in images]) / np.float32(255)
    labels = torch.tensor([label for _, label in found])
    return Pictures(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels)


def _called(data: str) -> Pictures:
    """What module:function returns, the module found as in the folder where the command runs."""
    module, _, function = data.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    if not module:
        raise ValueError(f"--data: expected {_KNOWN}, got {data}")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != module.split(".")[0]:
            raise  # something that the module itself needs
        raise ValueError(f"--data: there is no module {module} here or installed; expected {_KNOWN}") from None
    if not callable(found):
        raise ValueError(f"--data: expected a function of the module {module!r}, got {function!r}")
    parts = found()
    count = len(parts) if isinstance(parts, (tuple, list)) else 0
    if count not in (2, 4):
        got = f"{type(parts).__name__}{f' of {count}' if count else ''}"
        raise ValueError(f"--data: expected {data} to return (x, y) or (train_x, train_y, test_x, test_y), got {got}")
    pairs = [_checked(data, x, y) for x, y in zip(parts[::2], parts[1::2], strict=True)]
    if len({pair[0].shape[1:] for pair in pairs}) > 1:
        shapes = " and ".join(str(tuple(x.shape[1:])) for x, _ in pairs)
        raise ValueError(f"--data: expected {data} to return images of one shape, got {shapes}")
    return Pictures(*pairs[0], held_out=pairs[1] if len(pairs) > 1 else None)


def _checked(data: str, x: object, y: object) -> tuple[Tensor, Tensor]:
    images, labels = (torch.as_tensor(part if isinstance(part, Tensor) else np.array(part)) for part in (x, y))
    kind = images.dtype
    if images.ndim == 3:
        images = images[:, None]
    images = images.float() / 255 if kind == torch.uint8 else images.float()
    whole = not labels.is_floating_point() and not labels.is_complex()
    wrong = {
        f"images (n, H, W) or (n, C, H, W), got the shape {tuple(images.shape)}": images.ndim != 4,
        f"whole numbers (n,) as labels, got {labels.dtype} {tuple(labels.shape)}": not whole or labels.ndim != 1,
        f"a label for each image, got {len(images)} images and {len(labels)} labels": len(images) != len(labels),
        "at least one image, got none": not images.numel(),
        "labels from 0, got a negative one": whole and bool((labels < 0).any()),
        "finite numbers in the images, got NaN or infinity": not bool(images.isfinite().all()),
    }
    for expected, found in wrong.items():
        if found:
            raise ValueError(f"--data: expected {data} to return {expected}")
    return images, labels.long()


# What the study of widths takes, by the names that its page uses.


def _photographs(seed: int) -> Images:
    """Pieces of 16 x 16 pixels, side by side, of scikit-learn's two photographs; the label is which third of which."""
    from sklearn.datasets import load_sample_images

    pieces, labels = [], []
    for number, photograph in enumerate(load_sample_images().images):
        pixels = torch.tensor(np.asarray(photograph) / 255, dtype=torch.float32).permute(2, 0, 1)
        height, width = pixels.shape[1:]
        for top in range(0, height - 15, 16):
            for left in range(0, width - 15, 16):
                third = min(2, 3 * (left + 8) // width)
                pieces.append(pixels[:, top : top + 16, left : left + 16])
                labels.append(3 * number + third)
    order = torch.from_numpy(np.random.default_rng([seed, 0]).permutation(len(labels)))
    images, targets = torch.stack(pieces)[order], torch.tensor(labels)[order]
    held = len(labels) // 4
    return Images(images[held:], targets[held:], images[:held], targets[:held])


def missing(data: str) -> str | None:
    """Return what has to be installed for some data, or nothing."""
    if not data.startswith("Fashion") or (FASHION / "train-images-idx3-ubyte.gz").exists():
        return None
    return f"{data} is not there: install the package dataset-fashion-mnist of Debian or Ubuntu, which fills {FASHION}"


def _standardised(images: Images) -> Images:
    """Each pixel with mean zero and spread one over the training images; pixels that never change stay."""
    mean, spread = images.images.mean(0), images.images.std(0)
    spread[spread < 1e-3] = 1.0
    scaled = ((x - mean) / spread for x in (images.images, images.held_out_images))
    first, second = scaled
    return Images(first, images.labels, second, images.held_out_labels)


DATA: dict[str, Callable[[int], Images]] = {
    "MNIST": lambda seed: load_digits("mnist", seed),
    "MNIST, standardised": lambda seed: _standardised(load_digits("mnist", seed)),
    "Fashion-MNIST": lambda seed: load("fashion").split(seed),
    "photographs": _photographs,
    "photographs, standardised": lambda seed: _standardised(_photographs(seed)),
}
