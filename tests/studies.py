"""Studies in short, and what they say of wrong arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pandas")
pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("mlxtend")
pytest.importorskip("sklearn")
pytest.importorskip("tqdm")
pytest.importorskip("pyarrow")
pytest.importorskip("PIL")

import pandas as pd

from fastrenyi import cli

SHORT = ["--data", "digits", "--seeds", "2", "--epochs", "1", "--train", "130", "--probes", "1", "--jobs", "1"]
STEPS = [0, 1, 2, 3]  # of 130 images in minibatches of 64


def studied(name: str, out: Path, *options: str) -> pd.DataFrame:
    """Run a study and return the table that it has written."""
    assert cli.main(["study", name, "--out", str(out), *SHORT, *options]) == 0
    table = pd.read_parquet(out / "table.parquet")
    written = pd.read_csv(out / "table.csv", keep_default_na=False, na_values={name: [""] for name in floats(table)})
    pd.testing.assert_frame_equal(written, table, check_dtype=False)
    return table


def floats(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table if table[name].dtype.kind == "f"]


def wrong(capsys: pytest.CaptureFixture[str], name: str, *options: str) -> str:
    """Run a study that is refused, with one line on stderr, and return that."""
    try:
        code = cli.main(["study", name, *options])
    except SystemExit as exit_:  # argparse
        code = int(exit_.code or 0)
    told = capsys.readouterr().err
    assert code == 2, told
    assert "Traceback" not in told
    return told.splitlines()[-1]
