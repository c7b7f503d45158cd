"""What the feature maps of one layer know about a target together, and how redundant or synergistic they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic

from fastrenyi import _backend, _check
from fastrenyi._array import Array, ArrayT
from fastrenyi.measures import Alpha, share

__all__ = ["LayerDecomposition", "layer_decomposition"]


@dataclass(frozen=True, eq=False)
class LayerDecomposition(Generic[ArrayT]):
    """The information C feature maps T_1..T_C have of a target X; all in the unit of the base, shares of 1.

    For a sequence of m orders every field has one more axis of length m, the last.
    """

    mmi: ArrayT
    """Multivariate mutual information I(X; {T_1..T_C})."""
    tradeoff: ArrayT
    """Redundancy-synergy trade-off: mean over pairs of I(X;Ti) + I(X;Tj) - I(X;{Ti,Tj}) = redundancy - synergy."""
    nonredundant: ArrayT
    """Weighted non-redundant information: mean over pairs of 2 I(X;{Ti,Tj}) - I(X;Ti) - I(X;Tj)."""
    tradeoff_share: ArrayT
    """tradeoff / mmi."""
    nonredundant_share: ArrayT
    """nonredundant / mmi."""
    single: ArrayT
    """(C,): I(X; Ti)."""
    pairwise: ArrayT | None
    """(C, C), symmetric: I(X; {Ti, Tj}), and I(X; Ti) on the diagonal; None with pairs=False."""
    entropy: ArrayT
    """S(T_1, ..., T_C)."""


def layer_decomposition(
    maps: ArrayT, target: ArrayT, alpha: Alpha = 1.01, base: float = 2, pairs: bool = True
) -> LayerDecomposition[ArrayT]:
    """Return the paper's three quantities of a convolutional layer, and what they are made of.

    mmi = I(X; {T_1..T_C}); tradeoff = 2/(C(C-1)) sum_{i<j} [I(X;Ti) + I(X;Tj) - I(X;{Ti,Tj})];
    nonredundant = 2/(C(C-1)) sum_{i<j} [2 I(X;{Ti,Tj}) - I(X;Ti) - I(X;Tj)]. tradeoff + nonredundant is the mean
    pairwise I(X;{Ti,Tj}).

    Parameters
    ----------
    maps
        Grams (C, n, n) of the feature maps, as ``channel_grams`` makes them.
    target
        Gram (n, n) of the input, of the labels, or of another variable.
    alpha, base
        Order or orders in [0, inf], and base of the logarithm (2: bits).
    pairs
        False leaves out the C(C-1)/2 pairs, which are nearly all of the cost.

    Returns
    -------
    LayerDecomposition, in the library, dtype and device of maps. tradeoff, nonredundant and the shares are NaN where
    there are no pairs (C = 1 or ``pairs=False``); shares are NaN where mmi is zero.

    Raises
    ------
    TypeError, ValueError and NotPositiveSemidefiniteError as all measures (see ``entropy``).

    Notes
    -----
    Cost: C(C+1) spectra of O(n^3). Memory: the Grams and a workspace of at most 64 MB. Source: arXiv 1804.06537.

    >>> import numpy as np, fastrenyi as fr
    >>> bits = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    >>> maps = np.stack([fr.gram(b, kernel="delta") for b in bits])
    >>> xor = fr.layer_decomposition(maps, fr.gram(bits[0] ^ bits[1], kernel="delta"))
    >>> round(float(xor.mmi), 9), round(float(xor.tradeoff), 9), round(float(xor.nonredundant), 9)
    (1.0, -1.0, 2.0)
    """
    maps = _check.adopt(maps, "maps")
    home = _check.gram(maps, "maps")
    if maps.ndim != 3 or maps.shape[0] == 0:
        _check.value_error("maps", "Grams of shape (C, n, n) with C >= 1", f"shape {tuple(maps.shape)}")
    target = _check.adopt(target, "target")
    _check.same_home(_check.gram(target, "target"), "target", home, "maps")
    if target.shape != maps.shape[1:]:
        _check.value_error("target", f"one Gram of shape {tuple(maps.shape[1:])}", f"shape {tuple(target.shape)}")
    orders, one_order = _check.orders(alpha)
    unit = _check.unit(base)
    pairs = _check.flag(pairs, "pairs")

    operations = _backend.operations(home.library, home.device)
    s_x, s_maps, s_all = operations.pairs(maps, target, pairs, orders, unit)
    mmi = s_x + s_all[0] - s_all[1]
    information = s_x + s_maps[0] - s_maps[1]
    count = maps.shape[0]
    if pairs and count > 1:
        # Each pair stands twice in the square and its maps once on the diagonal; each map is in C - 1 pairs.
        single = information.diagonal(0, 0, 1).swapaxes(0, 1)
        pairwise = (information.sum(axis=0).sum(axis=0) - single.sum(axis=0)) / (count * (count - 1))
        alone = 2 * single.sum(axis=0) / count
        tradeoff, nonredundant = alone - pairwise, 2 * pairwise - alone
    else:
        single = information[:, 0] if pairs else information
        tradeoff = nonredundant = mmi * math.nan

    def leave(values: Array) -> ArrayT:
        found: ArrayT = home.leave(values[..., 0] if one_order else values)
        return found

    return LayerDecomposition(
        mmi=leave(mmi),
        tradeoff=leave(tradeoff),
        nonredundant=leave(nonredundant),
        tradeoff_share=leave(share(tradeoff, mmi, home)),
        nonredundant_share=leave(share(nonredundant, mmi, home)),
        single=leave(single),
        pairwise=leave(information) if pairs else None,
        entropy=leave(s_all[0]),
    )
