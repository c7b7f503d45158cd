"""The store of representations: what goes on, what is refused, what a killed run leaves."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import language_models
from language_models import (
    D,
)

torch = pytest.importorskip("torch")

import pandas as pd  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402


@pytest.fixture
def model(rng: np.random.Generator) -> Any:
    return language_models.transformer(rng)


@pytest.fixture
def batches(rng: np.random.Generator) -> list[dict[str, Tensor]]:
    return language_models.three_batches(rng)


def test_a_store_goes_on_behind_the_last_whole_minibatch(model: Any, batches: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    whole = frt.representations(model, batches, alpha=[1, 2])
    calls = model.calls.clone()

    def ended() -> Iterator[Any]:
        yield from batches[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frt.representations(model, ended(), alpha=[1, 2], store=path)
    seen = []
    hook = model.register_forward_hook(lambda *_: seen.append(1))
    pd.testing.assert_frame_equal(frt.representations(model, batches, alpha=[1, 2], store=path), whole)
    assert len(seen) == 1
    pd.testing.assert_frame_equal(frt.representations(model, batches, alpha=[1, 2], store=str(path)), whole)
    assert len(seen) == 1
    hook.remove()
    assert torch.equal(model.calls, calls)
    assert [found.name for found in tmp_path.iterdir()] == ["run.db"]
    # What a table is made with may change.
    nats = frt.representations(model, batches, alpha=[1, 2], store=path, base=math.e, dataset_kernel="gaussian")
    expected = frt.representations(model, batches, alpha=[1, 2], base=math.e, dataset_kernel="gaussian")
    pd.testing.assert_frame_equal(nats, expected)
    longer = [*batches, batches[0]]
    pd.testing.assert_frame_equal(
        frt.representations(model, longer, alpha=[1, 2], store=path), frt.representations(model, longer, alpha=[1, 2])
    )


def test_a_killed_run_leaves_whole_minibatches(tmp_path: Path) -> None:
    """By SIGKILL, in the middle of a run."""

    program = """
import sys, torch, fastrenyi.torch as frt
class Same(torch.nn.Module):
    def forward(self, x):
        return x
def batches(n):
    for k in range(n):
        yield torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(k))
frame = frt.representations(Same(), batches(int(sys.argv[2])), store=sys.argv[1])
print(frame.n_prompts.max())
"""
    path = tmp_path / "run.db"
    running = subprocess.Popen([sys.executable, "-c", program, str(path), "1000000"])
    try:
        deadline = time.monotonic() + 60
        while (not path.exists() or path.stat().st_size < 40_000) and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        running.kill()
        running.wait()
    with sqlite3.connect(path) as connection:
        kept = connection.execute("SELECT count(*) FROM pieces").fetchone()[0]
    connection.close()
    assert kept > 0
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), str(kept + 1)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{2 * (kept + 1)}\n"


def test_a_store_of_something_else_is_refused(model: Any, batches: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    frt.representations(model, batches, store=path)
    for wrong, said in [
        ({"alpha": 2}, r"alpha was \[1.0\] and is \[2.0\]"),
        ({"kernel": "linear"}, "kernel was "),
        ({"tokens": "normalized"}, "tokens was 'raw' and is 'normalized'"),
        ({"layers": "blocks.0"}, "layers was None and is"),
        ({"output": "hidden_states"}, "output was None and is 'hidden_states'"),
        ({"mask": "attention_mask"}, "mask was None and is 'attention_mask'"),
    ]:
        with pytest.raises(fr.StoreError, match=said):
            frt.representations(model, batches, store=path, **wrong)
    with pytest.raises(fr.StoreError, match=r"another one as batches\[0\]; pass them in the same order"):
        frt.representations(model, batches[::-1], store=path)
    with pytest.raises(fr.StoreError, match="expected all 3 minibatches"):
        frt.representations(model, batches[:2], store=path)
    with torch.no_grad():
        model.blocks[2].linear1.weight[0, 0] += 1
    with pytest.raises(fr.StoreError, match="model was '"):
        frt.representations(model, batches, store=path)


def test_a_store_knows_functions_by_what_they_do_and_a_model_by_all_its_numbers(
    model: Any, batches: list[Any], tmp_path: Path
) -> None:
    path = tmp_path / "run.db"
    frt.representations(model, batches, output=lambda found: found["hidden_states"][:1], store=path)
    frt.representations(model, batches, output=lambda found: found["hidden_states"][:1], store=path)
    with pytest.raises(fr.StoreError, match="output was"):
        frt.representations(model, batches, output=lambda found: found["hidden_states"][1:2], store=path)
    last = list(model.parameters())[-1]
    with torch.no_grad():
        last.reshape(-1)[-1] += 1
    with pytest.raises(fr.StoreError, match="model was"):
        frt.representations(model, batches, output=lambda found: found["hidden_states"][:1], store=path)


def test_a_collapsed_layer_has_a_rank_of_one(batches: list[Any]) -> None:
    class Collapsed(torch.nn.Module):
        def forward(self, **given: Any) -> list[torch.Tensor]:
            mask = next(iter(given.values()))
            return [torch.ones(*mask.shape[:2], D, dtype=torch.float64)]

    with pytest.warns(UserWarning, match="all the same"):
        table = frt.representations(Collapsed(), batches)
    found = table.set_index("measure")["value"]
    assert found["rank_me"] == pytest.approx(1, abs=1e-4)
    assert math.isnan(found["dataset_entropy"])


def test_a_damaged_store_is_said(model: Any, batches: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    frt.representations(model, batches, store=path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pieces SET content = zeroblob(100) WHERE place = 1")
    connection.close()
    with pytest.raises(fr.StoreError, match="the checksum of minibatch 1"):
        frt.representations(model, batches, store=path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM pieces WHERE place = 1")
    connection.close()
    with pytest.raises(fr.StoreError, match="damaged"):
        frt.representations(model, batches, store=path)
    path.write_bytes(b"not of SQLite" * 100)
    with pytest.raises(fr.StoreError, match="not a database"):
        frt.representations(model, batches, store=path)
    monitored = tmp_path / "monitor.db"
    probe = [(torch.rand(8, 3), torch.arange(8) % 2)]
    monitor = frt.Monitor(nn.Sequential(nn.Linear(3, 2)), probe, store=monitored)
    monitor.measure(0)
    monitor.close()
    with pytest.raises(fr.StoreError, match="is not a store of representations"):
        frt.representations(model, batches, store=monitored)
    for wrong in (tmp_path, tmp_path / "absent" / "run.db"):
        with pytest.raises(fr.StoreError, match="store: expected a file"):
            frt.representations(model, batches, store=wrong)


def test_a_store_in_use_is_said(model: Any, batches: list[Any], tmp_path: Path) -> None:

    path = tmp_path / "run.db"
    held = subprocess.Popen(
        [sys.executable, "-c", "import sys; from pathlib import Path; from fastrenyi.table.writer import writer\n"
         "w = writer(Path(sys.argv[1])); w.take(); print('held', flush=True); sys.stdin.read()", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert held.stdin is not None
    assert held.stdout is not None
    try:
        held.stdout.readline()
        with pytest.raises(fr.StoreError, match="no other process writes to"):
            frt.representations(model, batches, store=path)
    finally:
        held.communicate()
