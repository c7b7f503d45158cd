"""How true the intervals of large batches are, and what they cost: ``python -m fastrenyi.study.large``.

``coverage``: the entropies of 2,000 samples by their spectrum, and how many intervals, each with signs of its own, hold
them. ``cost``: 10,000 samples by their spectrum and by estimates of two tolerances. ``peers``: what others compute of
4,000 and 10,000 samples, with their errors and times.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import io
import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

import fastrenyi as fr
from fastrenyi.bench.estimators import ESTIMATORS, minibatches, random_features
from fastrenyi.demo import lenet, load_digits
from fastrenyi.study.images import FASHION
from fastrenyi.study.networks import markdown_rows, trained
from fastrenyi.table.files import write_whole

__all__ = ["WORKLOADS", "cost", "coverage", "peers"]

ORDERS = (0.5, 1.0, 1.01, 1.5, 2.5, 5.0)
Lazies = list[fr.LazyGram]


def _digits(n: int) -> Any:
    """Real digits, the first ones again where there are not enough; for large n, clothes."""
    from sklearn.datasets import load_digits as small

    if n > 5000:
        return _clothes(n)
    pixels = small(return_X_y=True)[0] / 16
    return np.concatenate([pixels] * (1 + n // len(pixels)))[:n]


def _clothes(n: int) -> Any:
    with gzip.open(FASHION / "train-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)[:n] / np.float32(255)


def _two(n: int) -> Any:
    """Half N(-1, I), half N(1, I), ten features."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(-1, 1, (n - n // 2, 10)), rng.normal(1, 1, (n // 2, 10))])


def _layers(n: int, name: str) -> Any:
    """What a layer of a LeNet-5 puts out, trained for an epoch on MNIST; for large n, on shifted digits as well."""
    images = load_digits("mnist", 0)
    *_, moment = trained(lenet((6, 12), 0), images, 0, epochs=1)
    every = torch.cat([images.images, images.held_out_images])
    shifted = torch.cat([torch.roll(every, shifts, (2, 3)) for shifts in ((0, 0), (1, 0), (0, 1), (1, 1))])[:n]
    network = torch.nn.Sequential()
    for child, module in moment.model.named_children():
        network.append(module)
        if child == name:
            break
    with torch.no_grad():
        return network(shifted).numpy()


WORKLOADS: dict[str, Callable[[int], Lazies]] = {
    "digits, Silverman h = 5": lambda n: [fr.lazy_gram(_digits(n))],
    "digits, narrow": lambda n: [fr.lazy_gram(_digits(n), bandwidth=fr.Silverman(0.7))],
    "digits, wide": lambda n: [fr.lazy_gram(_digits(n), bandwidth=fr.Median(5.0))],
    "digits, neighbours": lambda n: [fr.lazy_gram(_digits(n), bandwidth="neighbours")],
    "two Gaussians, sigma = 1": lambda n: [fr.lazy_gram(_two(n), bandwidth=1.0)],
    "output of a LeNet-5": lambda n: [fr.lazy_gram(_layers(n, "fc3"), bandwidth="median")],
    "six maps of a LeNet-5, joint": lambda n: [
        fr.lazy_gram(maps.reshape(n, -1), bandwidth="median") for maps in np.moveaxis(_layers(n, "relu1"), 1, 0)
    ],
}


def _estimated(lazies: Lazies, orders: Sequence[float], how: fr.Estimation) -> fr.Estimate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of intervals that stay wide: that is a column
        return fr.joint_entropy(*lazies, alpha=list(orders), estimate=how)


def coverage(n: int, seeds: int, tol: float) -> pd.DataFrame:
    """Return, by workload and order, how many intervals hold the entropy, their width, and the columns they took."""
    rows = []
    for name, make in WORKLOADS.items():
        lazies = make(n)
        exact = _estimated(lazies, ORDERS, fr.Estimation(solve=n)).value
        for order, expected in zip(ORDERS, exact, strict=True):
            held, half, columns = [], [], []
            for seed in tqdm(range(seeds), desc=f"{name}, {order:g}"):
                found = _estimated(lazies, [order], fr.Estimation(tol=tol, seed=seed, solve=0))
                held.append(bool(found.low[0] <= expected <= found.high[0]))
                half.append((found.high[0] - found.low[0]) / 2)
                columns.append(found.columns)
            rows.append((name, order, float(expected), sum(held), seeds, np.mean(half), np.mean(columns)))
    return pd.DataFrame(rows, columns=["workload", "order", "S", "held", "of", "half-width", "columns"])


def cost(n: int, tolerances: Sequence[float]) -> pd.DataFrame:
    """Return, by workload and order, the time of the spectrum and of estimates, and how far these were off."""
    rows = []
    for name, make in WORKLOADS.items():
        if "joint" in name:
            continue
        lazies = make(n)
        begun = time.perf_counter()
        exact = _estimated(lazies, ORDERS, fr.Estimation(solve=n))
        whole = time.perf_counter() - begun
        for order, expected in zip(ORDERS, exact.value, strict=True):
            for tol in tolerances:
                found = _estimated(lazies, [order], fr.Estimation(tol=tol, solve=0))
                off, half = float(found.value[0] - expected), float(found.high[0] - found.low[0]) / 2
                rows.append((name, order, tol, half, off, found.columns, found.seconds, found.seconds / whole))
                print(f"{name}, order {order:g}, {tol:g}: {half:.2g} to each side, off by {off:.2g}, "
                      f"{found.seconds:.1f} s for {whole:.1f}", file=sys.stderr, flush=True)  # fmt: skip
    names = ["workload", "order", "wanted", "half-width", "off by", "columns", "seconds", "of the spectrum's time"]
    return pd.DataFrame(rows, columns=names)


def peers(n: int, alphas: Sequence[float] = (1.01, 1.5, 2.5)) -> pd.DataFrame:
    """Return errors and times of others' estimators, and of ours; a dense Gram's time is in those that need it.

    Of Fashion-MNIST where its files are, so that all n are of the same pictures, else of scikit-learn's digits.
    """
    told, pictures = ("Fashion-MNIST", _clothes) if FASHION.exists() else ("digits", _digits)
    sets = {f"{told}, Silverman h = 5": pictures(n).astype(np.float64), "two Gaussians, sigma = 1": _two(n)}
    rows = []
    for name, x in sets.items():
        width = 1.0 if name.startswith("two") else 5.0 * n ** (-1 / (4 + x.shape[1]))
        for alpha in alphas:
            begun = time.perf_counter()
            a = _dense(x, width)
            gram_seconds = time.perf_counter() - begun
            exact, whole = _timed(fr.entropy, a, alpha)
            rows.append((name, n, alpha, "spectrum", exact, 0.0, gram_seconds + whole, math.nan))
            for told, peer in ESTIMATORS.items():
                value, seconds = _timed(peer, a, alpha)
                rows.append((name, n, alpha, told, value, value - exact, gram_seconds + seconds, math.nan))
            del a
            others: dict[str, Callable[..., float]] = {
                "1,000 random features": random_features,
                "mean over minibatches of 100": minibatches,
                "mean over minibatches of 500": functools.partial(minibatches, size=500),
            }
            for told, other in others.items():
                value, seconds = _timed(other, x, width, alpha)
                rows.append((name, n, alpha, told, value, value - exact, seconds, math.nan))
            for tol in (0.01, 0.001):
                lazy = fr.lazy_gram(x, bandwidth=width)
                found = _estimated([lazy], [alpha], fr.Estimation(tol=tol, solve=0))
                half = (found.high[0] - found.low[0]) / 2
                rows.append((name, n, alpha, f"fastrenyi, within {tol:g}", found.value[0], found.value[0] - exact,
                             found.seconds, half))  # fmt: skip
    return pd.DataFrame(rows, columns=["workload", "n", "order", "estimator", "S", "off by", "seconds", "half-width"])


def drawn(table: pd.DataFrame, path: Path) -> None:
    """Draw error and time against n, a column for each workload."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(table["workload"]))
    figure = Figure(figsize=(4.2 * len(names), 6.4), layout="constrained")
    axes = figure.subplots(2, len(names), sharex=True, sharey="row", squeeze=False)
    for column, name in zip(axes.T, names, strict=True):
        for estimator, rows in table[table["workload"] == name].groupby("estimator", sort=False):
            ours = str(estimator).startswith("fastrenyi")
            style: dict[str, Any] = {"marker": "o" if ours else "x", "linewidth": 2 if ours else 1, "label": estimator}
            line = column[1].plot(rows["n"], rows["seconds"], **style)[0]
            if estimator == "spectrum":
                continue
            column[0].plot(rows["n"], rows["off by"].abs(), color=line.get_color(), **style)
            if ours:  # how far off it may be
                column[0].plot(rows["n"], rows["half-width"], ":", color=line.get_color())
        column[0].set(title=name, yscale="log", xscale="log")
        column[1].set(xlabel="samples n", yscale="log")
        every = sorted(table["n"].unique())
        column[1].set_xticks(every, [f"{n:,}" for n in every])
        column[1].minorticks_off()
    axes[0, 0].set_ylabel("error in bits (dotted: half the interval)")
    axes[1, 0].set_ylabel("seconds")
    handles, labels = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_whole(path, buffer.getvalue())


def _dense(x: Any, width: float) -> Any:
    """A Gram as others make it: distances by one matrix product."""
    x = x - x.mean(axis=0)
    squares = (x * x).sum(axis=1)
    a = x @ x.T
    a *= 2
    a -= squares
    a -= squares[:, None]
    np.fill_diagonal(a, 0)
    np.minimum(a, 0, out=a)
    a /= 2 * width**2
    return np.exp(a, out=a) / len(x)


def _timed(call: Callable[..., Any], *arguments: Any) -> tuple[float, float]:
    begun = time.perf_counter()
    found = float(call(*arguments))
    return found, time.perf_counter() - begun


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one of the studies, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=("coverage", "cost", "peers"))
    parser.add_argument("--n", type=int, nargs="+", help="samples (default: 2,000, 10,000, 4,000 and 10,000)")
    parser.add_argument("--alpha", type=float, nargs="+", default=[1.01, 1.5, 2.5], help="orders of peers")
    parser.add_argument("--figure", type=Path, help="draw peers' errors and times against n, of the first order")
    parser.add_argument("--seeds", type=int, default=200, help="intervals of each kind for coverage (default: 200)")
    parser.add_argument("--tol", type=float, nargs="+", help="half-widths wanted (default: 0.005; 0.01 and 0.001)")
    parser.add_argument("--csv", type=Path, help="write the table as well")
    given = parser.parse_args(arguments)
    if given.study == "coverage":
        table = coverage((given.n or [2000])[0], given.seeds, (given.tol or [0.005])[0])
    elif given.study == "peers":
        table = pd.concat([peers(n, given.alpha) for n in (given.n or [4000, 10_000])])
        if given.figure:
            drawn(table[table["order"] == given.alpha[0]], given.figure)
    else:
        table = pd.concat([cost(n, given.tol or [0.01, 0.001]) for n in (given.n or [10_000])])
    if given.csv:
        write_whole(given.csv, table.to_csv(index=False).encode())
    print(markdown_rows(table))


if __name__ == "__main__":
    main()
