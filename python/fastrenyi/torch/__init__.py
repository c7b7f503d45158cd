"""Measure PyTorch networks: keep their activations, follow what the layers know during training, check both chains."""

from fastrenyi.torch.capture import Activations, capture
from fastrenyi.torch.inequalities import inequalities
from fastrenyi.torch.monitor import Monitor

__all__ = ["Activations", "Monitor", "capture", "inequalities"]
