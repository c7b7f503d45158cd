"""The operations for JAX's arrays, with the names and arguments of ``fastrenyi._ops``; loaded when the first one comes.

An operation is a frozen dataclass of its settings: its numbers, which are those of ``_ops`` over NumPy's memory, its
shapes, and its gradient. ``_operation.py`` makes of it what ``jax.jit``, ``jax.vmap`` and ``jax.grad`` take.
"""

from fastrenyi.jax.entropies import cross_entropy, entropies, negative_part, spectral_entropies, spectrum
from fastrenyi.jax.layers import (
    all_but_one,
    chosen,
    group_o_information,
    pairs,
    permuted,
    permuted_pairs,
    sample_pairs,
)
from fastrenyi.jax.samples import bandwidth, delta_gram, gram, linear_gram
from fastrenyi.jax.without_gradient import without_gradient

__all__ = [
    "all_but_one", "bandwidth", "chosen", "cross_entropy", "delta_gram", "entropies", "gram", "group_o_information",
    "linear_gram", "negative_part", "pairs", "permuted", "permuted_pairs", "sample_pairs", "spectral_entropies",
    "spectrum", "without_gradient",
]  # fmt: skip
