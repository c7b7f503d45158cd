"""The operations behind the public names: each once, over the kernels for the memory of its arrays.

Shapes, kinds and dtypes have been checked by who calls; numbers are looked at here. NumPy arrays come out of the host's
memory, arrays of the same library out of a device's. ``fastrenyi.torch.ops`` has the same names for tensors, with
gradients, and calls these for the numbers.
"""

from fastrenyi._ops.all_but_one import all_but_one
from fastrenyi._ops.cross import cross_entropy
from fastrenyi._ops.entropies import entropies, spectral_entropies, spectrum
from fastrenyi._ops.gram import bandwidth, delta_gram, gram, linear_gram
from fastrenyi._ops.groups import group_o_information
from fastrenyi._ops.negative import negative_part
from fastrenyi._ops.pairs import pairs, sample_pairs
from fastrenyi._ops.permutations import permuted, permuted_pairs
from fastrenyi._ops.ranking import chosen
from fastrenyi._ops.without_gradient import without_gradient

__all__ = [
    "all_but_one", "bandwidth", "chosen", "cross_entropy", "delta_gram", "entropies", "gram", "group_o_information",
    "linear_gram", "negative_part", "pairs", "permuted", "permuted_pairs", "sample_pairs", "spectral_entropies",
    "spectrum", "without_gradient",
]  # fmt: skip
