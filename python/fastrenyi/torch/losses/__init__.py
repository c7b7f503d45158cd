"""Training losses of matrix-based entropies: ``nn.Module``s for minibatches of n samples, in bits by default.

All take features (n, ...), flattened to one vector per sample, compute in their dtype (half precision in single), and
are differentiable in each tensor that requires grad. A kernel's width is a constant of the gradient. Settings come from
the papers that are named; every entropy of a batch is at most log2 n, so that losses of batches of different n differ.

A minibatch of one sample has no information: terms that are informations are zero, and so is their gradient.
"""

from fastrenyi.torch.losses.bottleneck import InformationBottleneckLoss, NoisyInformationLoss
from fastrenyi.torch.losses.distillation import CorrelationLoss, DistillationLoss
from fastrenyi.torch.losses.divergences import CauchySchwarzLoss, RelevantInformationLoss
from fastrenyi.torch.losses.views import MatrixSSLLoss, MutualInformationLoss, TotalCorrelationLoss

__all__ = [
    "CauchySchwarzLoss", "CorrelationLoss", "DistillationLoss", "InformationBottleneckLoss", "MatrixSSLLoss",
    "MutualInformationLoss", "NoisyInformationLoss", "RelevantInformationLoss", "TotalCorrelationLoss",
]  # fmt: skip
