"""Which kernel width says most, and says nothing false: ``python -m fastrenyi.study.widths``.

For each rule, on each network and data: how far the informations are above their null, in the untrained and the
trained network; how many links of both chains are broken, and by how much; in linear networks, where the true chains
must hold, all that is broken is the estimator's fault.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, nn
from tqdm import tqdm

import fastrenyi as fr
import fastrenyi.torch as frt
from fastrenyi.study.images import DATA, missing
from fastrenyi.study.networks import NETWORKS, markdown_rows, probes, trained
from fastrenyi.table.files import write_whole

SAMPLES, BATCHES = 100, 4
BROKEN = 1e-3
"""A rise along a chain above so many bits is a broken link."""


def _rules(labels: Tensor) -> dict[str, tuple[fr.Silverman | Any, Any]]:
    """Rules for variables and for errors."""
    return {
        "Silverman h = 5, 0.1 (the paper)": (fr.Silverman(5.0), fr.Silverman(0.1)),
        "Silverman h = 5 times the spread": (fr.Scott(5.0), fr.Scott(5.0)),
        "median": (fr.Median(), fr.Median()),
        "10 nearest neighbours": (fr.NearestNeighbours(), fr.NearestNeighbours()),
        "alignment with the labels": (fr.Alignment(fr.gram(labels.numpy(), "delta")),) * 2,
    }


def _measured(model: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> Iterator[pd.DataFrame]:
    """Measure a network with each rule and on each kind of kernel."""
    for batch, (x, y) in enumerate(batches):
        for rule, (width, error_width) in _rules(y).items():
            for kernel_on in ("maps", "tensor"):
                if rule.startswith("alignment") and kernel_on == "maps":
                    continue  # 75 Grams for each map
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # saturation is a column
                    monitor = frt.Monitor(
                        model,
                        [(x, y)],
                        bandwidth=width,
                        error_bandwidth=error_width,
                        kernel_on=kernel_on,
                        errors="after" if rule.endswith("(the paper)") and kernel_on == "maps" else "before",
                        pairs=False,
                    )
                    frame = monitor.measure(0)
                yield frame.assign(batch=batch, rule=rule, kernel_on=kernel_on)


def measure(data: str, network: str, seed: int, epochs: int) -> pd.DataFrame:
    """Train a network and measure it before, after one epoch and at the end."""
    images = DATA[data](seed)
    batches = probes(images, BATCHES, SAMPLES)
    frames = []
    for moment in trained(NETWORKS[network](images, seed), images, seed, epochs):
        if moment.epoch in (0, 1, epochs):
            for frame in _measured(moment.model, batches):
                frames.append(frame.assign(step=moment.epoch, accuracy=moment.accuracy))
    return pd.concat(frames).assign(data=data, network=network, seed=seed)


def _error(rows: pd.DataFrame, quantity: str) -> float:
    """Standard deviation of the mean of an excess where nothing is shared."""
    variance = (rows[f"{quantity}_null_std"] ** 2).sum() / len(rows) ** 2
    return math.sqrt(variance * 1.1)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each data, network, rule and kind of kernel."""
    rows = []
    last = frame["step"].max()
    for (data, network, rule, kernel_on), found in frame.groupby(["data", "network", "rule", "kernel_on"], sort=False):
        row: dict[str, Any] = {"data": data, "network": network, "rule": rule, "kernel on": kernel_on}
        ends = found[found["step"] == last]
        row["S(X) of log2 n"] = found["input_entropy"].mean() / math.log2(SAMPLES)
        row["saturated"] = found["saturated"].mean()
        for quantity, symbol in (("mi_input", "I(X;T)"), ("mi_target", "I(T;Y)")):
            for words, some in (("before", found[found["step"] == 0]), ("after", ends)):
                row[f"{symbol} excess {words}"] = (some[quantity] - some[f"{quantity}_null"]).mean()
            row[f"{symbol} in errors"] = row[f"{symbol} excess after"] / max(_error(ends, quantity), 1e-9)
        links = pd.concat([frt.inequalities(part, BROKEN).assign(seed=seed) for seed, part in found.groupby("seed")])
        for chain, some in links.groupby("chain"):
            bad = some["violation"] > BROKEN
            row[f"{chain} broken"] = f"{int(bad.sum())}/{len(some)}"
            row[f"{chain} worst"] = some["violation"].max()
        rows.append(row)
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """The summary as tables, one for each data and network."""
    parts = []
    for (data, network), rows in table.groupby(["data", "network"], sort=False):
        shown = rows.drop(columns=["data", "network"])
        parts.append(f"### {network}, {data}\n\n{markdown_rows(shown)}")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--data", choices=DATA, action="append")
    parser.add_argument("--network", choices=NETWORKS, action="append")
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps what was measured, to go on from")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.data is None:
        for words in filter(None, map(missing, DATA)):
            print(f"left out: {words}", file=sys.stderr)
    elif found := next(filter(None, map(missing, options.data)), None):
        parser.error(f"--data: {found}")
    cases = [
        (data, network, seed)
        for seed in range(options.seeds)
        for data in options.data or [data for data in DATA if not missing(data)]
        for network in options.network or NETWORKS
        if not (network == "LeNet-5" and data.startswith("photographs"))  # made for 28 x 28 pixels
    ]
    frames = [_kept(options.out, *case, options.epochs) for case in tqdm(cases)]
    print(markdown(summary(pd.concat(frames))))


def _kept(folder: Path, data: str, network: str, seed: int, epochs: int) -> pd.DataFrame:
    """Measure one case, unless the folder has it."""
    path = folder / f"{data} {network} {seed} {epochs}.parquet".replace(", ", "-").replace(" ", "-")
    if not path.exists():
        buffer = io.BytesIO()
        measure(data, network, seed, epochs).to_parquet(buffer)
        write_whole(path, buffer.getvalue())
    return pd.read_parquet(path)


if __name__ == "__main__":
    main()
