"""A Lightning callback that measures the layers of a module while it trains: needs lightning."""

from __future__ import annotations

from typing import Any

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ModuleNotFoundError as error:
    if error.name != "lightning":
        raise
    message = "fastrenyi.torch.lightning needs lightning: pip install lightning"
    raise ImportError(message, name="lightning") from error

from fastrenyi import _check
from fastrenyi.torch.monitor import Monitor
from fastrenyi.torch.scalars import scalars

__all__ = ["MonitorCallback"]


class MonitorCallback(Callback):
    """Measure the layers before training and at the end of every ``every``-th epoch, and log the means.

    Parameters
    ----------
    monitor : Monitor
        Of the model that is trained, with its own probe; its table grows with each measurement, under the trainer's
        global step.
    every : int
        Epochs between two measurements.

    Raises
    ------
    TypeError, ValueError
        Naming ``monitor`` or ``every``.

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

    def __init__(self, monitor: Monitor, every: int = 1) -> None:
        """Check the settings."""
        if not isinstance(monitor, Monitor):
            _check.kind_error("monitor", "a fastrenyi.torch.Monitor", monitor)
        self.monitor, self.every = monitor, _check.integer(every, "every", 1)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the untrained network."""
        self._measure(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure at the end of an epoch."""
        if (trainer.current_epoch + 1) % self.every == 0:
            self._measure(trainer)

    def _measure(self, trainer: Trainer) -> None:
        step = int(trainer.global_step)
        again = step in self.monitor.steps and self.monitor.existing != "replace"
        if not trainer.is_global_zero or again:
            return
        frame: Any = self.monitor.measure(step)
        for logger in trainer.loggers:
            for at, values in scalars(frame).items():
                logger.log_metrics(values, step=at)
