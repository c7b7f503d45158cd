"""``fastrenyi representations``: a language model in a folder, on the lines of a file, as a table and a figure."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader

from fastrenyi import _check
from fastrenyi.report.representations import representations as draw
from fastrenyi.table import files
from fastrenyi.table.prompts import Layer, by_layer, differences
from fastrenyi.torch.representations import measured
from fastrenyi.torch.streaming import left_out

__all__ = ["UNTRAINED", "Options", "run"]

UNTRAINED = "untrained"
"""The model with weights as it is made with, to compare with."""
_SHOWN = ("prompt_entropy", "effective_rank", "curvature", "dataset_entropy")
_LONGEST = 512
_STORES = "model.db", "against.db"


@dataclass(frozen=True)
class Options:
    """The options of ``fastrenyi representations``; ValueError naming the option for a value out of its range."""

    model: Path
    texts: Path
    out: Path
    against: str | None = None
    alpha: tuple[float, ...] = (1.0,)
    base: float = 2.0
    tokens: str = "raw"
    batch_size: int = 16
    max_tokens: int = _LONGEST
    prompts: int | None = None
    device: str | None = None
    seed: int = 0
    format: str = "png"
    column: str = "double"

    def __post_init__(self) -> None:
        """Check each option, as far as that goes without the model."""
        for name in ("batch_size", "max_tokens", "prompts"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"--{name.replace('_', '-')}: expected at least 1, got {number}")
        _check.orders(list(self.alpha))
        _check.unit(self.base)
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(f"--out: {self.out} is a file; name a folder")
        for what, folder in (("MODEL", self.model), ("--against", self.other)):
            if folder is not None and not (folder / "config.json").is_file():
                raise ValueError(f"{what}: expected a folder with the config.json of Hugging Face, got {folder}")
        if not self.texts.is_file():
            raise ValueError(f"TEXTS: there is no file {self.texts}")

    @property
    def other(self) -> Path | None:
        """The folder of the model to compare with."""
        return None if self.against in (None, UNTRAINED) else Path(str(self.against))


def run(options: Options) -> list[Path]:
    """Measure what is not measured yet, print what a reader looks at first, and return the files that are written."""
    texts = _texts(options)
    options.out.mkdir(parents=True, exist_ok=True)
    orders = list(options.alpha)
    found = {_name(options.model): _measured(options, _trained(options.model), options.model, texts, _STORES[0])}
    if options.against is not None:
        folder = options.other or options.model
        name = UNTRAINED if options.other is None else _name(options.other)
        name = name if name not in found else str(options.other)
        other = _untrained(options) if options.other is None else _trained(folder)
        found[name] = _measured(options, other, folder, texts, _STORES[1])
    tables = [by_layer(layers, orders, options.base).assign(model=name) for name, layers in found.items()]
    if len(found) > 1:
        (name, layers), (against, others) = found.items()
        _same(layers, others, options)
        tables.append(differences(layers, others, orders).assign(model=f"{against} - {name}"))
    frame = pd.concat(tables, ignore_index=True)
    frame.insert(0, "model", frame.pop("model"))
    written = [options.out / f"representations.{kind}" for kind in ("csv", "parquet", options.format)]
    files.write_whole(written[0], frame.to_csv(index=False, lineterminator="\n").encode())
    frame.to_parquet(files.temporary_of(written[1]), index=False)
    files.temporary_of(written[1]).replace(written[1])
    draw(frame, written[2], column=options.column)  # type: ignore[arg-type]
    print(_shown(frame, options).to_string(index=False))
    return written


def _texts(options: Options) -> list[str]:
    """Read the prompts: lines that are not blank."""
    try:
        lines = options.texts.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"TEXTS: expected text in UTF-8, got {options.texts} ({error})") from None
    texts = [line.strip() for line in lines if line.strip()][: options.prompts]
    if not texts:
        raise ValueError(f"TEXTS: expected a prompt a line, got {options.texts} without any")
    return texts


def _name(folder: Path) -> str:
    return folder.resolve().name


def _trained(folder: Path) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder, local_files_only=True)


def _untrained(options: Options) -> Any:
    from transformers import AutoConfig, AutoModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        return AutoModel.from_config(AutoConfig.from_pretrained(options.model, local_files_only=True))


def _measured(options: Options, model: nn.Module, folder: Path, texts: list[str], store: str) -> list[Layer]:
    from transformers import AutoTokenizer

    if options.device is not None:
        model = model.to(options.device)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token  # masked, whatever it is
    longest = min(options.max_tokens, tokenizer.model_max_length)

    def tokens_of(some: list[str]) -> Any:
        return tokenizer(some, padding=True, truncation=True, max_length=longest, return_tensors="pt")

    batches: Any = DataLoader(texts, options.batch_size, collate_fn=tokens_of)  # type: ignore[arg-type]
    try:
        found = measured(
            model, batches, alpha=list(options.alpha), tokens=options.tokens, store=options.out / store, progress=True
        )
    except TypeError as error:  # of a call with tokens, or of what it returns; the options are checked
        argument = "MODEL" if store == _STORES[0] else "--against"
        expected = "a model that is called with tokens and puts out hidden states"
        way_out = "for one that has them elsewhere call frt.representations with output="
        raise ValueError(
            f"{argument}: expected {expected}, got {type(model).__name__} in {folder} ({error}); {way_out}"
        ) from error
    if (missing := left_out(found)) is not None:
        print(f"fastrenyi representations: warning: {_name(folder)}: {missing}", file=sys.stderr)
    return found


def _same(layers: list[Layer], others: list[Layer], options: Options) -> None:
    if len(layers) != len(others):
        raise ValueError(
            f"--against: expected a model of {len(layers)} layers of hidden states, got one of {len(others)} in "
            f"{options.against}"
        )


def _shown(frame: pd.DataFrame, options: Options) -> pd.DataFrame:
    """Return a row for each layer and model, values with their errors."""
    order = options.alpha[0]
    rows = frame[(frame["alpha"] == order) | frame["alpha"].isna()]
    rows = rows[rows["measure"].isin([*_SHOWN, "diff_erank"])]
    words = [
        f"{value:.3f}" if math.isnan(error) else f"{value:.3f} ± {error:.3f}"
        for value, error in zip(rows["value"], rows["standard_error"], strict=True)
    ]
    wide = rows.assign(words=words).pivot_table(
        index=["model", "depth"], columns="measure", values="words", aggfunc="first", sort=False
    )
    return wide.fillna("").reset_index().rename_axis(columns=None)
