"""The information plane: what each layer knows of the input and of the label as the network trains."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fastrenyi.demo import measured_steps
from fastrenyi.report import plots
from fastrenyi.study.tables import CONFIG, Study, networks, over_seeds, with_spread

__all__ = ["PLANE", "summary"]

_SHOWN = {"input_share": "I(X;T)/S(X)", "mi_input_excess": "I(X;T) above null", "mi_target_excess": "I(T;Y) above null"}


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return both informations of each layer at each step, as they are and above their nulls, over seeds."""
    by = [*CONFIG, "step", "epoch", "layer", "depth"]
    values = frame[[*by, "seed", "accuracy", "mi_input", "mi_target"]].assign(
        input_share=frame["mi_input"] / frame["input_entropy"],
        mi_input_excess=frame["mi_input"] - frame["mi_input_null"],
        mi_target_excess=frame["mi_target"] - frame["mi_target_null"],
    )
    return over_seeds(values, by)


def _shown(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the layers before and after training, a table for each."""
    found = summary(frame)
    moments = {"Before training": found["step"].min(), "After training": found["step"].max()}
    return {
        words: pd.DataFrame(
            {
                "activation": at["activation_function"],
                "maps": at["maps"],
                "settings": at["settings"],
                "layer": at["layer"],
                **{title: with_spread(at, name) for name, title in _SHOWN.items()},
                "accuracy": with_spread(at, "accuracy"),
            }
        )
        for words, step in moments.items()
        for at in [found[found["step"] == step]]
    }


def _draw(frame: pd.DataFrame, out: Path) -> None:
    for name, table in networks(frame):
        plots.information_plane(table, path=out / f"information_plane-{name}.png")


PLANE = Study(
    leaves_out={"pairs": False, "errors": False},
    steps=measured_steps,
    tables=lambda frame: {"summary": summary(frame)},
    shown=_shown,
    draw=_draw,
)
