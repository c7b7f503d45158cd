"""The study of large batches, on small ones."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("pandas")

from fastrenyi.study import large


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the peers' own
def test_peers_and_their_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    figure, table = tmp_path / "large.png", tmp_path / "large.csv"
    large.main(["peers", "--n", "120", "150", "--alpha", "1.01", "--figure", str(figure), "--csv", str(table)])
    assert figure.read_bytes().startswith(b"\x89PNG")
    told = capsys.readouterr().out
    assert told.count("| fastrenyi, within 0.01 |") == 4
    for line in table.read_text().splitlines():
        if "fastrenyi" in line:
            *_, off, _, half = line.split(",")
            assert abs(float(off)) <= 3 * float(half) + 1e-9


def test_coverage_and_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "two Gaussians, sigma = 1"
    monkeypatch.setattr(large, "WORKLOADS", {name: large.WORKLOADS[name]})
    held = large.coverage(200, 2, 0.05)
    assert len(held) == len(large.ORDERS)
    assert (held["held"] <= held["of"]).all()
    assert held["held"].sum() > 0
    assert len(large.cost(200, [0.1])) == len(large.ORDERS)
