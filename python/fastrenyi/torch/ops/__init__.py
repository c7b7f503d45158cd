"""The operations for tensors, with the names and arguments of ``fastrenyi._ops``, differentiable.

One operation a file: its numbers, its shapes, its gradient and its rule under ``torch.vmap`` side by side. The numbers
come from the compiled operations. Backward passes are operations too; those of entropies, spectra and pairs have no
gradient of their own and say so.
"""

from fastrenyi.torch.ops.all_but_one import all_but_one
from fastrenyi.torch.ops.cross import cross_entropy
from fastrenyi.torch.ops.entropies import entropies
from fastrenyi.torch.ops.gram import bandwidth, delta_gram, gram
from fastrenyi.torch.ops.groups import group_o_information
from fastrenyi.torch.ops.linear import linear_gram
from fastrenyi.torch.ops.negative import negative_part
from fastrenyi.torch.ops.pairs import pairs, sample_pairs
from fastrenyi.torch.ops.permutations import permuted, permuted_pairs
from fastrenyi.torch.ops.ranking import chosen
from fastrenyi.torch.ops.spectral_entropies import spectral_entropies
from fastrenyi.torch.ops.spectrum import spectrum
from fastrenyi.torch.ops.without_gradient import without_gradient

__all__ = [
    "all_but_one", "bandwidth", "chosen", "cross_entropy", "delta_gram", "entropies", "gram", "group_o_information",
    "linear_gram", "negative_part", "pairs", "permuted", "permuted_pairs", "sample_pairs", "spectral_entropies",
    "spectrum", "without_gradient",
]  # fmt: skip
