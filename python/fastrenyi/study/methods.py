"""Four ways to measure one network, side by side: ``python -m fastrenyi.study.methods``.

LeNet-5 on MNIST digits, measured before training and after each epoch on the same forward passes by the defaults of
``Monitor``, the paper's settings, tensor kernels with aligned and smoothed widths, and exact information of bins.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import pandas as pd
from tqdm import tqdm

import fastrenyi.torch as frt
from fastrenyi.demo import lenet
from fastrenyi.study.images import DATA
from fastrenyi.study.networks import markdown_rows, probes, trained

METHODS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": frt.PAPER,
    "tensor": frt.TENSOR,
    "binned, 30 bins": frt.BINNED,
    "binned, 2 bins": {**frt.BINNED, "bins": 2},
}
SAMPLES, BATCHES = 100, 4


def measure(seed: int, epochs: int) -> pd.DataFrame:
    """Train a network and measure it on the way."""
    images = DATA["MNIST"](seed)
    model = lenet((6, 12), seed)
    frames = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # saturation is a column
        monitor = frt.Monitor(model, probes(images, BATCHES, SAMPLES), pairs=False, errors="after", methods=METHODS)
        for moment in trained(model, images, seed, epochs):
            frames.append(monitor.measure(moment.epoch).assign(accuracy=moment.accuracy))
    return pd.concat(frames).assign(seed=seed)


def knowledge(frame: pd.DataFrame) -> pd.DataFrame:
    """S(T) beside its largest value, and both informations above their null, by method and layer: means of all."""
    rows = []
    for (method, layer), found in frame.groupby(["method", "layer"], sort=False):
        row: dict[str, Any] = {"method": method, "layer": layer}
        for words, step in (("before", 0), ("after", frame["step"].max())):
            here = found[found["step"] == step]
            row[f"S(T) {words}"] = f"{here['entropy'].mean():.2f}"
            for name, symbol in (("mi_input", "I(X;T)"), ("mi_target", "I(T;Y)")):
                above = (here[name] - here[f"{name}_null"]).groupby(here["seed"]).mean()
                row[f"{symbol} above null {words}"] = f"{above.mean():.3f} ± {above.std():.3f}"
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    frame = pd.concat([measure(seed, options.epochs) for seed in tqdm(range(options.seeds))])
    last = frame[frame["step"] == frame["step"].max()]
    print(f"accuracy {last['accuracy'].mean():.3f}\n\n{markdown_rows(knowledge(frame))}")


if __name__ == "__main__":
    main()
