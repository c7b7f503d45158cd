"""What the paper found, looked at again beside a null: ``python -m fastrenyi.study.paper --out folder``.

LeNet-5 with 2 to 32 maps in its first convolution, several activation functions and seeds, measured before training,
after one epoch and at the end with the paper's settings and with the defaults of ``Monitor``.
"""

from __future__ import annotations

import argparse
import io
import itertools
import math
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

import fastrenyi.torch as frt
from fastrenyi.study.networks import DATA, markdown_rows, probes, trained
from fastrenyi.table.files import write_whole

ACTIVATIONS: dict[str, type[nn.Module]] = {"ReLU": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
MAPS = (2, 4, 8, 16, 32)
SETTINGS: dict[str, dict[str, Any]] = {"paper": frt.PAPER, "default": {}}
SAMPLES, BATCHES, BROKEN = 100, 4, 1e-3
RATES = {"ReLU": 0.01, "tanh": 0.01, "sigmoid": 0.1}


def lenet(maps: int, activation: str, seed: int) -> nn.Module:
    """Return LeNet-5 for 28 x 28 images with so many maps and twice as many, with PyTorch's initial weights."""
    act = ACTIVATIONS[activation]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = OrderedDict(
            conv1=nn.Conv2d(1, maps, 5), act1=act(), pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(maps, 2 * maps, 5), act2=act(), pool2=nn.MaxPool2d(2), flat=nn.Flatten(),
            fc1=nn.Linear(2 * maps * 16, 120), act3=act(), fc2=nn.Linear(120, 84), act4=act(), fc3=nn.Linear(84, 10),
        )  # fmt: skip
        model = nn.Sequential(layers)
        if activation == "sigmoid":  # else it does not learn: its slope is a quarter at most
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    nn.init.xavier_uniform_(parameter, gain=4)
        return model


def measure(activation: str, maps: int, seed: int, epochs: int) -> pd.DataFrame:
    """Train a network and measure it before, after one epoch and at the end."""
    images = DATA["MNIST"](seed)
    batches = probes(images, BATCHES, SAMPLES)
    frames = []
    for moment in trained(lenet(maps, activation, seed), images, seed, epochs, RATES[activation]):
        if moment.epoch not in (0, 1, epochs):
            continue
        for name, settings in SETTINGS.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # saturation is a column
                frame = frt.Monitor(moment.model, batches, **settings).measure(moment.epoch)
            frames.append(frame.assign(settings=name, accuracy=moment.accuracy))
    return pd.concat(frames).assign(activation_function=activation, maps=maps, seed=seed)


def _mean(rows: pd.DataFrame, values: pd.Series[float]) -> pd.Series[float]:
    """Average over minibatches, by seed."""
    return values.groupby(rows["seed"]).mean()


def shares(frame: pd.DataFrame) -> pd.DataFrame:
    """How the parts of conv1's information change with the number of its maps: mean and spread over seeds."""
    last = frame[(frame["step"] == frame["step"].max()) & (frame["layer"] == "conv1")]
    rows = []
    for (activation, settings), found in last.groupby(["activation_function", "settings"], sort=False):
        for measure_name, values in {
            "trade-off, share of I(X;{T})": found["tradeoff_share"],
            "non-redundant, share of I(X;{T})": found["nonredundant_share"],
            "trade-off, share of a pair's": found["tradeoff"] / (found["tradeoff"] + found["nonredundant"]),
            "trade-off above its null, bits": found["tradeoff"] - found["tradeoff_null"],
            "I(X;T) above its null, bits": found["mi_input"] - found["mi_input_null"],
        }.items():
            row: dict[str, Any] = {"activation": activation, "settings": settings, "measure": measure_name}
            each = {maps: _mean(some, values[found["maps"] == maps]) for maps, some in found.groupby("maps")}
            for maps, by_seed in each.items():
                row[f"{maps} maps"] = f"{by_seed.mean():.3f} ± {by_seed.std():.3f}"
            change = each[max(each)] - each[min(each)]
            error = float(change.std() / math.sqrt(len(change))) if len(change) > 1 else math.nan
            clear = abs(change.mean()) > 2 * error
            row["over all"] = ("grows" if change.mean() > 0 else "falls") if clear else "not clear"
            rows.append(row)
    return pd.DataFrame(rows)


def chains(frame: pd.DataFrame) -> pd.DataFrame:
    """Links of both chains that go up, of all networks, seeds and moments."""
    rows = []
    for (activation, settings), found in frame.groupby(["activation_function", "settings"], sort=False):
        parts = [frt.inequalities(some, BROKEN) for _, some in found.groupby(["maps", "seed"])]
        links = pd.concat(parts)
        row: dict[str, Any] = {"activation": activation, "settings": settings}
        for chain, some in links.groupby("chain"):
            row[f"{chain}: up"] = f"{int((some['violation'] > BROKEN).sum())}/{len(some)}"
            row[f"{chain}: by more than two errors"] = f"{int((~some['holds']).sum())}/{len(some)}"
            row[f"{chain}: worst, bits"] = f"{some['violation'].max():.3f}"
        rows.append(row)
    return pd.DataFrame(rows)


def knowledge(frame: pd.DataFrame) -> pd.DataFrame:
    """I(X;T) and I(T;Y) of each layer, as they are and above the null, of the network of 8 maps."""
    some = frame[frame["maps"] == 8]
    rows = []
    for (activation, settings, layer), found in some.groupby(["activation_function", "settings", "layer"], sort=False):
        row: dict[str, Any] = {"activation": activation, "settings": settings, "layer": layer}
        for words, step in (("before", 0), ("after", frame["step"].max())):
            here = found[found["step"] == step]
            row[f"I(X;T)/S(X) {words}"] = f"{(here['mi_input'] / here['input_entropy']).mean():.3f}"
            for quantity, symbol in (("mi_input", "I(X;T)"), ("mi_target", "I(T;Y)")):
                above = _mean(here, here[quantity] - here[f"{quantity}_null"])
                row[f"{symbol} above null {words}"] = f"{above.mean():.3f} ± {above.std():.3f}"
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps what was measured, to go on from")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    frames = []
    for seed, activation, maps in tqdm(list(itertools.product(range(options.seeds), ACTIVATIONS, MAPS))):
        path = options.out / f"{activation}-{maps}-{seed}-{options.epochs}.parquet"
        if not path.exists():
            buffer = io.BytesIO()
            measure(activation, maps, seed, options.epochs).to_parquet(buffer)
            write_whole(path, buffer.getvalue())
        frames.append(pd.read_parquet(path))
    frame = pd.concat(frames)
    last = frame[frame["step"] == frame["step"].max()]
    accuracy = last.groupby(["activation_function", "maps"], sort=False)["accuracy"].mean().unstack()
    print("accuracy\n" + accuracy.round(3).to_string(), end="\n\n")
    for table in (shares(frame), chains(frame), knowledge(frame)):
        print(markdown_rows(table), end="\n\n")


if __name__ == "__main__":
    main()
