"""The arguments of ``fastrenyi study``, known without what the studies need."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import Any

__all__ = ["OPTIONS", "add_to", "given"]

OPTIONS = (
    "out", "data", "root", "size", "train", "net", "maps", "activations", "settings", "epochs", "seeds", "rate",
    "probes", "order", "jobs", "threads",
)  # fmt: skip
_STUDIES = {
    "plane": "what each layer knows of the input and of the label as the network trains, above their nulls",
    "filters": "redundancy, synergy and what a layer knows of the label, by the number of its maps",
    "inequalities": "both data-processing inequalities as the network trains: which links hold, and by how much",
}
_FOLDER = """

Each run (a network, a seed) is a file in FOLDER/runs, written when it is done:
the same command goes on where an earlier one was ended, and more seeds or maps
add to it. FOLDER/table.csv and table.parquet have all that was measured, with
columns for seed and configuration; summary.csv has mean and standard deviation
over seeds; summary.md is what is printed; the figures are those of a report.
`fastrenyi report FOLDER/runs/*.parquet --labels ...` makes a page."""
_EXAMPLES = {
    "plane": """
examples:
  fastrenyi study plane --out plane
  fastrenyi study plane --out tanh --activations tanh --data digits --seeds 3
""",
    "filters": """
examples:
  fastrenyi study filters --out filters --maps 1,2,4,...,64 --jobs 2
  fastrenyi study filters --out mine --data images/ --size 32 --net vgg16
""",
    "inequalities": """
examples:
  fastrenyi study inequalities --out chains --settings default,paper
""",
}
_LAID_OUT: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of ``fastrenyi``."""
    study = commands.add_parser(
        "study", help="repeat the studies of the paper, over seeds", description="The studies of the paper, over seeds."
        + _FOLDER, epilog=_EXAMPLES["plane"], **_LAID_OUT,
    )  # fmt: skip
    kinds = study.add_subparsers(dest="study", required=True, metavar=" | ".join(_STUDIES))
    for name, words in _STUDIES.items():
        description = textwrap.fill(f"{words[0].upper()}{words[1:]}.", 78) + _FOLDER
        one = kinds.add_parser(name, help=words, description=description, epilog=_EXAMPLES[name], **_LAID_OUT)
        _add_options(one, "1,2,4,...,64" if name == "filters" else "6, of vgg16 16")


def given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name in OPTIONS if (value := getattr(options, name)) is not None}


def _add_options(parser: argparse.ArgumentParser, maps: str) -> None:
    # No defaults here: those of fastrenyi.study.command.Options hold.
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="of the study, to go on from")
    parser.add_argument(
        "--data",
        help="mnist (5,000 digits, or with --root all 70,000), digits (scikit-learn's), fashion, a folder with a "
        "subfolder of images for each class, or module:function that returns arrays (x, y) or (train_x, train_y, "
        "test_x, test_y) (default: mnist)",
    )
    parser.add_argument(
        "--root", type=Path, metavar="FOLDER", help="of train-images-idx3-ubyte.gz and the three other files of mnist "
        "or fashion (default of fashion: where the package dataset-fashion-mnist of Debian has them)",
    )  # fmt: skip
    parser.add_argument("--size", type=int, metavar="N", help="cut the images of a folder to N x N pixels")
    parser.add_argument("--train", type=int, metavar="N", help="images to train on (default: 4000, if there are)")
    parser.add_argument("--net", choices=("lenet5", "vgg16"), help="LeNet-5, or 13 convolutions as VGG-16 has them, "
                        "with batch normalisation (default: lenet5)")  # fmt: skip
    parser.add_argument(
        "--maps", type=_numbers, metavar="M,...", help=f"feature maps of the first convolution; the others have a "
        f"multiple; 1,2,4,...,64 are all doublings (default: {maps})",
    )  # fmt: skip
    parser.add_argument("--activations", type=_words, metavar="A,...", help="relu, tanh, sigmoid (default: relu)")
    parser.add_argument(
        "--settings", type=_words, metavar="S,...", help="how to measure: default (as Monitor does) and paper "
        "(default: default)",
    )  # fmt: skip
    parser.add_argument("--epochs", type=int, help="passes over the training images (default: 10)")
    parser.add_argument("--seeds", type=int, metavar="K", help="repeat with the seeds 0 to K - 1 (default: 5)")
    parser.add_argument("--rate", type=float, help="learning rate (default: 0.01, of sigmoid 0.1)")
    parser.add_argument("--probes", type=int, help="minibatches of 100 held-out images to measure on (default: 4)")
    parser.add_argument("--order", type=float, help="order alpha of the entropy (default: 1.01)")
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="runs at once, each in a process (default: as many as there are processors for, or OMP_NUM_THREADS)",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="of each run (default: 1)")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


def _numbers(text: str) -> tuple[int, ...]:
    """Read 1,2,5 or 1,2,4,...,64, where the dots are doublings."""
    found: list[int] = []
    words = _words(text)
    for place, word in enumerate(words):
        if word != "...":
            found.append(_number(word, text))
            continue
        end = _number(words[place + 1], text) if 0 < place < len(words) - 1 else 0
        while found and 0 < 2 * found[-1] < end:
            found.append(2 * found[-1])
        if not found or 2 * found[-1] != end:
            raise argparse.ArgumentTypeError(f"expected doublings at the dots, such as 1,2,4,...,64, got {text}")
    return tuple(found)


def _number(word: str, text: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected whole numbers such as 1,2,4,...,64, got {text}") from None
