"""What the axes of a layer's output mean: where its features stand, and where the samples.

A linear layer puts its features last and a convolution puts them second, whatever the number of axes; where samples
stand no module tells in full (those that take time first pass it on to all in them), but exchanging samples does.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules import conv

__all__ = ["alike", "arranged", "feature_axis", "follows", "is_named", "places_of_samples", "takes_time_first"]

_SECOND = (
    conv._ConvNd, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.GroupNorm, nn.InstanceNorm1d,
    nn.InstanceNorm2d, nn.InstanceNorm3d, nn.LocalResponseNorm,
)  # fmt: skip
_LAST = (
    nn.Linear, nn.Bilinear, nn.LayerNorm, nn.RMSNorm, nn.Embedding, nn.EmbeddingBag, nn.RNNBase, nn.RNNCellBase,
    nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer, nn.Transformer,
)  # fmt: skip
# Of other libraries, which are not imported to find out.
_SECOND_ELSEWHERE = {
    "timm.layers.norm.LayerNorm2d",
    "torch.ao.nn.quantized.modules.conv._ConvNd",
    "torchvision.models.convnext.LayerNorm2d",
}
_LAST_ELSEWHERE = {
    "torch.ao.nn.quantized.modules.linear.Linear",
    "torch_geometric.nn.conv.message_passing.MessagePassing",
    "torch_geometric.nn.dense.linear.Linear",
    "transformers.pytorch_utils.Conv1D",
}

_CLOSE, _CLOSE_SPREAD, _LEAST_SPREAD = 1e-6, 3e-5, 0.3
"""How far outputs may be from each other, in parts of each feature's largest and of its spread.

The spread is no less than a part of the largest one: behind a ReLU a feature can be nearly zero in all samples. Where a
layer looks at all of a minibatch (its mean, its spread), other samples in other blocks change the rounding.
"""


def feature_axis(module: nn.Module) -> int:
    """Return the axis of features, 1 or -1: as the module says, or as all in it agree, and 1 where nothing does."""
    own = _says(module)
    if own is not None:
        return own
    inside = {said for inner in module.modules() if (said := _says(inner)) is not None}
    return inside.pop() if len(inside) == 1 else 1


def _says(module: nn.Module) -> int | None:
    if isinstance(module, _SECOND) or is_named(module, _SECOND_ELSEWHERE):
        return 1
    return -1 if isinstance(module, _LAST) or is_named(module, _LAST_ELSEWHERE) else None


def is_named(module: nn.Module, names: set[str]) -> bool:
    """Whether a module is of one of the classes, by their full names."""
    return any(f"{kind.__module__}.{kind.__qualname__}" in names for kind in type(module).__mro__)


def takes_time_first(model: nn.Module) -> bool:
    """Whether something in it takes (time, samples, features)."""
    return any(getattr(module, "batch_first", True) is False for module in model.modules())


def places_of_samples(output: Tensor, n: int, batch_dim: int) -> list[int]:
    """Return the axes that could be that of n samples, the likely ones first."""
    likely = dict.fromkeys([batch_dim, 0, *range(output.ndim)])
    return [axis for axis in likely if axis < output.ndim and output.shape[axis] == n]


def follows(output: Tensor, of_exchanged: Tensor, order: Tensor, axis: int) -> bool:
    """Whether an axis is in another order where the samples of the input are."""
    return output.shape == of_exchanged.shape and alike(
        output.movedim(axis, 0)[order.to(output.device)], of_exchanged.movedim(axis, 0)
    )


def alike(a: Tensor, b: Tensor) -> bool:
    """Whether outputs (n, ...) are the same but for rounding."""
    if a.shape != b.shape:
        return False
    spread = b.amax(0) - b.amin(0)
    spread = spread.clamp_min(_LEAST_SPREAD * spread.max())
    allowed = _CLOSE * b.abs().amax(0) + _CLOSE_SPREAD * spread
    return bool(((a - b).abs().amax(0) <= allowed).all())


def arranged(output: Tensor, samples: int, features: int) -> Tensor:
    """Return an output with samples first and then features."""
    if output.ndim < 3:
        return output.movedim(samples, 0)
    return output.movedim((samples, features % output.ndim), (0, 1))
