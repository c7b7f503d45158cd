"""The arguments of ``fastrenyi representations``, known without what it needs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

__all__ = ["OPTIONS", "add_to", "given"]

OPTIONS = (
    "model", "texts", "out", "against", "alpha", "base", "tokens", "batch_size", "max_tokens", "prompts", "device",
    "seed", "format", "column",
)  # fmt: skip
_FOLDER = """
MODEL is a folder as Hugging Face's transformers save one, with its
tokenizer; nothing is loaded from elsewhere. FOLDER has representations.csv
and .parquet, a row for each layer and measure, a figure by layer, and
model.db and against.db, what was measured minibatch by minibatch, from which
the same command goes on.
"""


_EXAMPLES = """
examples:
  fastrenyi representations all-MiniLM-L6-v2 texts.txt --out minilm
  fastrenyi representations gpt2 texts.txt --out gpt2 --against untrained
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of ``fastrenyi``."""
    parser = commands.add_parser(
        "representations",
        help="measure the hidden states of a language model by layer",
        description="How much the layers of a language model hold of prompts.\n" + _FOLDER,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    # No defaults here: those of fastrenyi.study.language.Options hold.
    parser.add_argument("model", type=Path, metavar="MODEL", help="a folder")
    parser.add_argument("texts", type=Path, metavar="TEXTS", help="a file in UTF-8, a prompt a line")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="to write into, and to go on from")
    parser.add_argument(
        "--against", metavar="untrained|FOLDER", help="measure another model as well, or this one untrained, and how "
        "much lower the effective rank is (Diff-eRank)",
    )  # fmt: skip
    parser.add_argument("--alpha", type=float, nargs="+", help="orders of the entropy (default: 1)")
    parser.add_argument(
        "--base", type=float, help="of the logarithm: 2 gives bits, 2.718281828459045 nats (default: 2)"
    )
    parser.add_argument(
        "--tokens", choices=("raw", "normalized"), help="what mean tokens and curvature are of (default: raw)"
    )
    parser.add_argument("--batch-size", type=int, metavar="N", help="prompts in a minibatch (default: 16)")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="of a prompt, which is cut (default: 512)")
    parser.add_argument("--prompts", type=int, metavar="N", help="the first N (default: all)")
    parser.add_argument("--device", help="to run on, such as cuda (default: the CPU)")
    parser.add_argument("--seed", type=int, help="of the untrained weights (default: 0)")
    parser.add_argument("--format", choices=("png", "svg", "pdf"), help="of the figure (default: png)")
    parser.add_argument(
        "--column", choices=("single", "double"), help="of a journal: 3.5 or 7.2 inches (default: double)"
    )


def given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given."""
    found = {name: value for name in OPTIONS if (value := getattr(options, name)) is not None}
    return {**found, "alpha": tuple(found["alpha"])} if "alpha" in found else found
