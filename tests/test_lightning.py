"""The Lightning callback, in a real training of a small module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import lightning.pytorch as pl  # noqa: E402
from lightning.pytorch.loggers import CSVLogger  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402
from fastrenyi.torch import pace  # noqa: E402
from fastrenyi.torch.lightning import MonitorCallback  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:lightning.*", "ignore::FutureWarning", "ignore::DeprecationWarning"
)


class Module(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))

    def training_step(self, batch: Any, _: int) -> Any:
        x, y = batch
        return torch.nn.functional.cross_entropy(self.net(x), y)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_callback(tmp_path: Path) -> None:
    x, y = torch.randn(24, 4), torch.arange(24) % 2
    module = Module()
    monitor = frt.Monitor(module.net, probe=[(x, y)], layers=["0", "2"])
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=8)
    logger = CSVLogger(tmp_path)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=4, logger=logger, callbacks=[MonitorCallback(monitor, every=2)],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader)
    assert monitor.steps == [0, 6, 12]
    logged = {step: row for row in logger.experiment.metrics for step in [row["step"]] if "2/entropy" in row}
    written = Path(logger.log_dir, "metrics.csv").read_text()
    assert "0/mi_input" in written
    frame = monitor.frame()
    for step, row in logged.items():
        assert row["2/entropy"] == pytest.approx(frame[(frame.step == step) & (frame.layer == "2")].entropy.mean())


def test_a_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that moves by a second a batch and by ten a measurement."""

    class Clock:
        now = 0.0

        def perf_counter(self) -> float:
            return self.now

    clock = Clock()

    class Timed(Module):
        def training_step(self, batch: Any, _: int) -> Any:
            clock.now += 1
            return super().training_step(batch, _)

    x, y = torch.randn(24, 4), torch.arange(24) % 2
    module = Timed()
    monitor = frt.Monitor(module.net, probe=[(x, y)], pairs=False)
    measure = monitor.measure

    def measured(step: int) -> Any:
        clock.now += 10
        return measure(step)

    monkeypatch.setattr(pace, "time", clock)
    monkeypatch.setattr(monitor, "measure", measured)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=8)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=10, logger=False, callbacks=[MonitorCallback(monitor, every="auto", share=0.5)],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader)
    assert monitor.steps == [0, 10, 20, 30]
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=4, logger=False, callbacks=[MonitorCallback(monitor, every="auto", share=0.01)],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader)
    # Step 0 is there and costs nothing; step 1 is not paid for by the end, which is measured all the same.
    assert monitor.steps == [0, 1, 10, 12, 20, 30]


def test_a_training_that_diverges(tmp_path: Path) -> None:
    class Diverging(Module):
        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=1e30)

    x, y = torch.randn(24, 4), torch.arange(24) % 2
    module = Diverging()
    monitor = frt.Monitor(module.net, probe=[(x, y)], on_nan="record")
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=8)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=3, logger=CSVLogger(tmp_path), callbacks=[MonitorCallback(monitor)],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader)
    assert monitor.steps == [0, 3, 6, 9]
    frame = monitor.frame()
    assert (frame.loc[frame["step"] == 0, "not_finite"] == "").all()
    assert (frame.loc[frame["step"] == 9, "not_finite"] != "").all()


@pytest.mark.parametrize(("precision", "dtype"), [("bf16-true", torch.bfloat16), ("64-true", torch.float64)])
def test_a_trainer_that_casts_the_model(precision: Any, dtype: torch.dtype) -> None:
    """Lightning casts when the training starts, long after the Monitor was made."""
    x, y = torch.randn(24, 4), torch.arange(24) % 2
    module = Module()
    monitor = frt.Monitor(module.net, probe=[(x, y)])
    before = monitor.measure(10**6)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x.to(dtype), y), batch_size=8)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, callbacks=[MonitorCallback(monitor)], precision=precision,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader)
    assert monitor.steps == [0, 3, 10**6]
    assert module.net[0].weight.dtype == dtype
    close = 0.1 if dtype == torch.bfloat16 else 1e-4
    untrained = monitor.frame().query("step == 0")
    assert untrained["mi_input"].to_numpy() == pytest.approx(before["mi_input"].to_numpy(), abs=close)


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match=r"monitor.*Monitor"):
        MonitorCallback(Module())  # type: ignore[arg-type]
    monitor = frt.Monitor(Module().net, probe=[(torch.randn(4, 4), torch.arange(4) % 2)])
    with pytest.raises(ValueError, match=r"every"):
        MonitorCallback(monitor, every=0)
    with pytest.raises(ValueError, match=r"every"):
        MonitorCallback(monitor, every="epoch")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"share"):
        MonitorCallback(monitor, every="auto", share=1)
