"""``fastrenyi study``: the studies of the paper, over several seeds, each with its tables and figures in a folder."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from fastrenyi.study import images, runs
from fastrenyi.study.filters import FILTERS
from fastrenyi.study.inequalities import INEQUALITIES
from fastrenyi.study.networks import ACTIVATIONS, NETS, markdown_rows, steps_per_epoch
from fastrenyi.study.plane import PLANE
from fastrenyi.study.tables import Study
from fastrenyi.table import files

__all__ = ["STUDIES", "Options", "run"]

STUDIES: dict[str, Study] = {"plane": PLANE, "filters": FILTERS, "inequalities": INEQUALITIES}
_MAPS = (1, 2, 4, 8, 16, 32, 64)
_SHARED = ("data", "root", "size", "epochs", "rate", "probes", "order", "threads", "out")  # by all runs


@dataclass(frozen=True)
class Options:
    """The options of ``fastrenyi study``; ValueError naming the option for a value out of its range."""

    out: Path
    data: str = "mnist"
    root: Path | None = None
    size: int | None = None
    train: int | None = None
    net: str = "lenet5"
    maps: tuple[int, ...] | None = None
    activations: tuple[str, ...] = ("relu",)
    settings: tuple[str, ...] = ("default",)
    epochs: int = 10
    seeds: int = 5
    rate: float | None = None
    probes: int = 4
    order: float = 1.01
    jobs: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        """Check each option, as far as that goes without the data."""
        for name in ("size", "train", "maps", "epochs", "seeds", "probes", "jobs", "threads"):
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                if number is not None and number < 1:
                    raise ValueError(f"--{name}: expected at least 1, got {number}")
        for name, known in (("net", NETS), ("activations", ACTIVATIONS), ("settings", runs.SETTINGS)):
            value = getattr(self, name)
            for word in value if isinstance(value, tuple) else (value,):
                if word not in known:
                    raise ValueError(f"--{name}: expected {' or '.join(known)}, got {word}")
        for name in ("maps", "activations", "settings"):
            given = getattr(self, name)
            if given is not None and len(set(given)) < len(given):
                raise ValueError(f"--{name}: expected each once, got {','.join(map(str, given))}")
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"--rate: expected a learning rate above 0, got {self.rate:g}")
        if math.isnan(self.order) or self.order < 0:
            raise ValueError(f"--order: expected an order of at least 0, got {self.order:g}")
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(f"--out: {self.out} is a file; name a folder")


def run(name: str, given: Mapping[str, Any]) -> list[Path]:
    """Make what a study lacks of its runs, print its tables and return the files that are written.

    `given` holds the fields of :class:`Options` that are not to be the default. ValueError for a value out of its
    range, data that is not as expected, and a folder whose runs have other settings.
    """
    options = Options(**given)
    study = STUDIES[name]
    pictures = images.load(options.data, options.root, options.size)
    split = pictures.split(0, options.train)
    _check_data(options, pictures.classes, split)
    plan = runs.Plan(
        name=name,
        leaves_out=study.leaves_out,
        steps=tuple(study.steps(steps_per_epoch(split), options.epochs)),
        train=len(split.labels),
        **{key: getattr(options, key) for key in _SHARED},
    )
    maps = options.maps or (_MAPS if name == "filters" else (NETS[options.net].maps,))
    planned = [
        runs.Run(options.net, activation, count, seed, options.settings)
        for seed, activation, count in itertools.product(range(options.seeds), options.activations, maps)
    ]
    settings = plan.settings()
    frames = _kept(plan, planned, settings)
    lacking = {
        each: tuple(how for how, path in each.files(options.out).items() if path not in frames) for each in planned
    }
    todo = [replace(each, settings=left) for each, left in lacking.items() if left]
    if todo:
        (options.out / "runs").mkdir(parents=True, exist_ok=True)
        jobs = options.jobs or max(1, torch.get_num_threads() // options.threads)
        with (
            tqdm(total=len(planned), initial=len(planned) - len(todo), unit="run", desc=name, disable=None) as bar,
            closing(runs.done(plan, todo, settings, jobs)) as lines,
        ):
            for line in lines:
                tqdm.write(line)
                sys.stdout.flush()  # a reader behind a pipe sees each run when it is done
                bar.update()
        frames = _kept(plan, planned, settings)
    several = f"{options.seeds} seeds (mean ± standard deviation over them)"
    title = (
        f"# {name}: {options.net} on {options.data}, {plan.train} images, {options.epochs} epochs, "
        f"{several if options.seeds > 1 else 'one seed'}\n\n"
    )
    return _written(study, title, pd.concat(frames.values(), ignore_index=True), options.out)


def _kept(plan: runs.Plan, planned: list[runs.Run], settings: Mapping[str, Any]) -> dict[Path, pd.DataFrame]:
    """Read what the folder has of the planned runs, in their order."""
    paths = [path for each in planned for path in each.files(plan.out).values()]
    return {path: frame for path in paths if (frame := runs.read(path, settings)) is not None}


def _check_data(options: Options, classes: int, split: images.Images) -> None:
    least, (height, width) = NETS[options.net].pixels, split.images.shape[2:]
    if min(height, width) < least:
        raise ValueError(
            f"--net: {options.net} expects images of at least {least} x {least} pixels, got {height} x {width}; take "
            "another one, or larger images"
        )
    if classes < 2:
        raise ValueError(f"--data: expected labels of two classes or more, got {classes}")
    held = len(split.held_out_labels)
    if options.probes * runs.SAMPLES > held:
        raise ValueError(
            f"--probes: expected at most {held // runs.SAMPLES}, since {held} images of {options.data} are held out "
            f"and a probe takes {runs.SAMPLES}, got {options.probes}"
        )


def _written(study: Study, title: str, frame: pd.DataFrame, out: Path) -> list[Path]:
    """Write the tables and figures, and print what a reader looks at first."""
    written = {out / "table.parquet": files.as_parquet(frame, {})}
    for name, table in {"table": frame, **study.tables(frame)}.items():
        written[out / f"{name}.csv"] = table.to_csv(index=False, lineterminator="\n").encode()
    parts = [f"## {words}\n\n{markdown_rows(table)}" for words, table in study.shown(frame).items()]
    text = title + "\n\n".join(parts) + "\n"
    written[out / "summary.md"] = text.encode()
    for path, content in written.items():
        files.write_whole(path, content)
    study.draw(frame, out)
    print(text, end="")
    return list(written)
