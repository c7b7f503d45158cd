"""Measure PyTorch networks: keep their activations, follow what the layers know during training, check both chains."""

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError("fastrenyi.torch needs torch: pip install 'fastrenyi[torch]'", name="torch") from error

import fastrenyi.torch.ops  # noqa: F401 - the operations of every public function for tensors
from fastrenyi.table.pairs import pairs
from fastrenyi.table.tidy import tidy, to_xarray
from fastrenyi.torch import losses
from fastrenyi.torch.average import Average
from fastrenyi.torch.inequalities import inequalities
from fastrenyi.torch.methods import BINNED, PAPER, TENSOR
from fastrenyi.torch.monitor import Monitor
from fastrenyi.torch.network.capture import Activations, capture
from fastrenyi.torch.representations import representations
from fastrenyi.torch.scalars import scalars, write_scalars

__all__ = [
    "BINNED", "PAPER", "TENSOR", "Activations", "Average", "Monitor", "capture", "inequalities", "losses", "pairs",
    "representations", "scalars", "tidy", "to_xarray", "write_scalars",
]  # fmt: skip
