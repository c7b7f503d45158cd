"""Tables as a Monitor makes them, for the tests of what a report says and shows."""

import math

import numpy as np
import pandas as pd

from fastrenyi.report.run import Run

NAN = math.nan
NULLS = ("mi_input", "mi_target", "mi_error", "tradeoff", "nonredundant")
# (layer, channels, I(X;T), trade-off, non-redundant, I(delta_K;delta_i)), in bits
ORDERED = [
    ("conv1", 6, 5.9, 3.0, 2.0, 1.0),
    ("conv2", 12, 5.7, 2.5, 2.2, 1.5),
    ("fc1", 1, 5.0, NAN, NAN, 2.0),
    ("fc2", 1, 4.0, NAN, NAN, NAN),
]
RECORD = Run(
    settings={"network": "LeNet-5 & <b>friends</b>"},
    history=[
        {"step": 0, "epoch": 0.0, "loss": 2.3, "accuracy": 0.1},
        {"step": 20, "epoch": 2.0, "loss": 0.2, "accuracy": 0.95},
    ],
    moments={"before training": 0, "after one epoch": 10, "at the end": 20},
    versions={"fastrenyi": "0.0.test"},
)


def table(rows=ORDERED, steps=(0, 10, 20), batches=2, change=None):
    """A table in which every step looks as `rows`; change(step, row) gives other rows."""
    made = []
    for step in steps:
        for batch in range(batches):
            for depth, row in enumerate(rows):
                layer, channels, mmi, tradeoff, rest, error = change(step, row) if change else row
                shift = 0.01 * batch
                made.append(
                    {
                        "step": step, "batch": batch, "layer": layer, "part": "", "depth": depth,
                        "method": "", "alpha": 1.01, "channels": channels, "channel_dim": 1 if channels > 1 else -1,
                        "samples": 100, "activation": "relu", "bandwidth": 3.0,
                        "input_via": rows[depth - 1][0] if depth else "",
                        "error_via": rows[depth + 1][0] if depth + 1 < len(rows) else "",
                        "input_entropy": 6.0, "target_entropy": 3.2, "entropy": 6.2, "saturated": False, "dead": False,
                        "not_finite": "",
                        "permutations": 10, "pair_permutations": 2,
                        "mi_input": mmi + shift, "mi_input_null": mmi - 0.5, "mi_input_null_std": 0.02,
                        "mi_target": 3.0, "mi_target_null": 3.0 - 0.01 * step, "mi_target_null_std": 0.02,
                        "tradeoff": tradeoff, "tradeoff_null": tradeoff - 0.5, "tradeoff_null_std": 0.02,
                        "nonredundant": rest, "nonredundant_null": rest, "nonredundant_null_std": 0.02,
                        "mi_error": error + shift, "mi_error_null": 0.5, "mi_error_null_std": 0.02,
                        "tradeoff_share": tradeoff / mmi, "nonredundant_share": rest / mmi,
                        "pairs": channels * (channels - 1) // 2,
                        "tradeoff_standard_error": 0 * tradeoff, "nonredundant_standard_error": 0 * tradeoff,
                    }
                )  # fmt: skip
    return pd.DataFrame(made)


def pairs_of(frame, seed=0):
    """What a Monitor keeps of single pairs of maps of such a table: two kinds of maps, redundant among themselves."""
    generator = np.random.default_rng(seed)
    rows = []
    for row in frame[frame["channels"] > 1].itertuples():
        kind = np.arange(row.channels) % 2
        together = np.where(kind[:, None] == kind, 2.5, 3.5) + 0.01 * generator.random((row.channels, row.channels))
        matrix = (together + together.T) / 2 + 0.1 * row.batch
        np.fill_diagonal(matrix, 2.0 + 0.1 * row.batch)
        rows.append((row.step, row.batch, row.layer, row.method, row.alpha, matrix))
    return pd.DataFrame(rows, columns=["step", "batch", "layer", "method", "alpha", "pairwise"])


def deep(count):
    """Rows of a network of nine layers or more, with names as long as those of a ResNet; all but the last have maps."""
    names = ["conv1", *(f"layer{k // 12 + 1}.{k % 12 // 3}.conv{k % 3 + 1}" for k in range(count - 2))]
    names[7] = "layer2.0.downsample.0"
    rows = [(name, 64, 6 - 0.05 * k, 3 - 0.03 * k, 2 + 0.01 * k, 1 + 0.02 * k) for k, name in enumerate(names)]
    return [*rows, ("fc", 1, 3.0, NAN, NAN, NAN)]


def with_values(**values):
    """Change named columns of the row of one layer, at all steps or from (step, value) on."""
    order = ["layer", "channels", "mi_input", "tradeoff", "nonredundant", "mi_error"]

    def change(step, row):
        row = dict(zip(order, row, strict=True))
        for name, value in values.items():
            layer, column = name.split("__")
            if row["layer"] == layer:
                since, value = value if isinstance(value, tuple) else (0, value)
                if step >= since:
                    row[column] = value
        return tuple(row.values())

    return change
