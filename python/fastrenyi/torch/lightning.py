"""A Lightning callback that measures the layers of a module while it trains: needs lightning."""

from __future__ import annotations

from typing import Any, Literal

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ModuleNotFoundError as error:
    if error.name != "lightning":
        raise
    message = "fastrenyi.torch.lightning needs lightning: pip install lightning"
    raise ImportError(message, name="lightning") from error

from fastrenyi import _check
from fastrenyi.torch.monitor import Monitor
from fastrenyi.torch.pace import Pace
from fastrenyi.torch.scalars import by_step

__all__ = ["MonitorCallback"]


class MonitorCallback(Callback):
    """Measure the layers before training and at the ends of epochs, or in a share of the time, and log the means.

    Parameters
    ----------
    monitor : Monitor
        Of the model that is trained, with its own probe; its table grows with each measurement, under the trainer's
        global step.
    every : int or "auto"
        Epochs between two measurements; or after any batch for which ``share`` leaves time, and at the end.
    share : float
        With ``every="auto"``, the part of the time that measurements may take, above 0 and below 1, as of a `Monitor`,
        whose own ``every`` and ``share`` are not used here.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.

    Notes
    -----
    Every logger of the trainer gets "layer/quantity" values. With several processes the first one measures. A step that
    the monitor has measured, in a run that was resumed, is not measured again, if it was not made with
    ``existing="replace"``. Cost: that of ``Monitor.measure``.

    Examples
    --------
    >>> import torch, fastrenyi.torch as frt
    >>> from fastrenyi.torch.lightning import MonitorCallback
    >>> monitor = frt.Monitor(torch.nn.Linear(3, 2), probe=[(torch.randn(8, 3), torch.arange(8) % 2)])
    >>> callback = MonitorCallback(monitor, every=5)  # for lightning.Trainer(callbacks=[callback])
    """

    def __init__(self, monitor: Monitor, every: int | Literal["auto"] = 1, share: float = 0.05) -> None:
        """Check the settings."""
        if not isinstance(monitor, Monitor):
            _check.kind_error("monitor", "a fastrenyi.torch.Monitor", _check.quoted(monitor))
        self.monitor, self.every = monitor, every
        self._pace = Pace(every, share)  # of epochs, or "auto"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the untrained network."""
        self._measure(trainer)

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Measure after a batch, if there is time."""
        if self.every == "auto" and self._pace.due(trainer.global_step):
            self._measure(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure at the end of an epoch."""
        if self.every != "auto" and self._pace.due(trainer.current_epoch + 1):
            self._measure(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure what the training has come to, where no epoch's end did."""
        if self.every == "auto":
            self._measure(trainer)

    def _measure(self, trainer: Trainer) -> None:
        step = int(trainer.global_step)
        again = step in self.monitor.steps and self.monitor.existing != "replace"
        if not trainer.is_global_zero or again:
            return
        with self._pace.spending():
            frame: Any = self.monitor.measure(step)
            for logger in trainer.loggers:
                for at, values in by_step(frame).items():
                    logger.log_metrics(values, step=at)
