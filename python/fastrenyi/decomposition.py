"""What the feature maps of one layer know about a target together, and how redundant or synergistic they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastrenyi import _backend, _check, _core
from fastrenyi._array import Array, Values
from fastrenyi.measures import Alpha, entropies, product

__all__ = ["LayerDecomposition", "layer_decomposition"]


@dataclass(frozen=True, eq=False)
class LayerDecomposition:
    """The information C feature maps T_1..T_C have of a target X; all in the unit of the base, shares of 1.

    For a sequence of m orders every field has one more axis of length m, the last.
    """

    mmi: Array
    """Multivariate mutual information I(X; {T_1..T_C})."""
    tradeoff: Array
    """Redundancy-synergy trade-off: mean over pairs of I(X;Ti) + I(X;Tj) - I(X;{Ti,Tj}) = redundancy - synergy."""
    nonredundant: Array
    """Weighted non-redundant information: mean over pairs of 2 I(X;{Ti,Tj}) - I(X;Ti) - I(X;Tj)."""
    tradeoff_share: Array
    """tradeoff / mmi."""
    nonredundant_share: Array
    """nonredundant / mmi."""
    single: Array
    """(C,): I(X; Ti)."""
    pairwise: Array | None
    """(C, C), symmetric: I(X; {Ti, Tj}), and I(X; Ti) on the diagonal; None with pairs=False."""
    entropy: Array
    """S(T_1, ..., T_C)."""


def _symmetric(upper: Values, diagonal: Values, rows: Values, cols: Values) -> Values:
    count = len(diagonal)
    full = np.empty((count, count, *diagonal.shape[1:]), dtype=diagonal.dtype)
    full[np.arange(count), np.arange(count)] = diagonal
    full[rows, cols] = full[cols, rows] = upper
    return full


def layer_decomposition(
    maps: Array, target: Array, alpha: Alpha = 1.01, base: float = 2, pairs: bool = True
) -> LayerDecomposition:
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
    grams, home = _check.gram(maps, "maps")
    if grams.ndim != 3 or grams.shape[0] == 0:
        _check.value_error("maps", "Grams of shape (C, n, n) with C >= 1", f"shape {grams.shape}")
    x, target_home = _check.gram(target, "target")
    _check.same_home(target_home, "target", home, "maps")
    if x.shape != grams.shape[1:]:
        _check.value_error("target", f"one Gram of shape {grams.shape[1:]}", f"shape {x.shape}")
    orders, one_order = _check.orders(alpha)
    unit = _check.unit(base)
    pairs = _check.flag(pairs, "pairs")

    count = len(grams)
    s_x, verdict = entropies(x[None], orders, unit, home.epsilon)
    _check.verdict(verdict, "target", ())

    # A map alone is the pair of the map with itself; then all pairs above the diagonal.
    alone = np.arange(count)
    rows, cols = np.triu_indices(count, 1) if pairs else (alone[:0], alone[:0])
    index = np.stack([np.concatenate([alone, rows]), np.concatenate([alone, cols])], axis=1)
    s_t, s_t_x, verdict = _core.pairs(grams, x[None], index, orders, home.epsilon, unit, _backend.threads())
    if verdict is not None:
        kind, where, value = verdict
        i, j = index[where]
        _check.verdict((kind, 0, value), f"maps[{i}]" if i == j else f"maps[{i}], maps[{j}]", ())
    information = s_x + s_t - s_t_x
    single, pairwise = information[:count], information[count:]

    joint = product(list(grams), "maps")
    s_joint, verdict = entropies(np.stack([joint, product([joint, x], "maps, target")]), orders, unit, home.epsilon)
    _check.verdict(verdict and (verdict[0], 0, verdict[2]), "maps", ())
    s_all, s_all_x = s_joint
    mmi = s_x[0] + s_all - s_all_x
    if len(rows):
        tradeoff = (single[rows] + single[cols] - pairwise).mean(axis=0)
        nonredundant = (2 * pairwise - single[rows] - single[cols]).mean(axis=0)
    else:
        tradeoff = nonredundant = np.full_like(mmi, math.nan)
    shares = [np.divide(q, mmi, out=np.full_like(mmi, math.nan), where=mmi != 0) for q in (tradeoff, nonredundant)]

    def leave(values: Values) -> Array:
        return home.leave(values[..., 0] if one_order else values)

    return LayerDecomposition(
        mmi=leave(mmi),
        tradeoff=leave(tradeoff),
        nonredundant=leave(nonredundant),
        tradeoff_share=leave(shares[0]),
        nonredundant_share=leave(shares[1]),
        single=leave(single),
        pairwise=leave(_symmetric(pairwise, single, rows, cols)) if pairs else None,
        entropy=leave(s_all),
    )
