"""What others would write, each in its best fair form: torch and NumPy batched, SciPy one by one, published recipes.

Tensors share the memory of the arrays that our side gets. Recipes are written from their formulas.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import scipy.linalg
import torch

from fastrenyi._array import Values

__all__ = [
    "frobenius_matmul", "frobenius_tiles", "grams_cdist", "grams_expanded", "layer_torch", "layer_trios",
    "null_batched", "null_loop", "pair_trios", "pairs_torch", "spectra_numpy", "spectra_scipy", "spectra_torch",
    "vendi_entropy",
]  # fmt: skip

Tensor = torch.Tensor

TILE = 64
"""Pairs whose products are made at once and then go to one batched spectrum."""
NORM_TILE = 16
"""The same for norms, which take so little time that products had better stay in cache."""

# ------------------------------------------------------------------------------------------- spectra, entropies


def spectra_torch(a: Tensor) -> Tensor:
    """One call for the batch."""
    values: Tensor = torch.linalg.eigvalsh(a)
    return values


def spectra_numpy(a: Values) -> Values:
    """One call for the batch."""
    return np.linalg.eigvalsh(a)


def spectra_scipy(a: Values) -> Values:
    """One by one, by the quickest driver, without looking for NaN."""
    flat = a.reshape(-1, *a.shape[-2:])
    found = [scipy.linalg.eigvalsh(one, driver="evd", check_finite=False) for one in flat]
    return np.stack(found).reshape(a.shape[:-1])


def entropies_torch(a: Tensor, alpha: float) -> Tensor:
    """S_alpha in bits, of matrices that are divided by their trace first."""
    a = a / a.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    p = spectra_torch(a).clamp_(min=0)
    entropy: Tensor
    if alpha == 1:
        entropy = -torch.special.xlogy(p, p).sum(-1) / np.log(2)
    else:
        entropy = torch.log2(p.pow_(alpha).sum(-1)) / (1 - alpha)
    return entropy


def vendi_entropy() -> Callable[[Values], float] | None:
    """Return vendi-score's von Neumann entropy (bits) of one Gram, if it is installed."""
    try:
        from vendi_score import vendi
    except ImportError:
        return None

    def entropy(a: Values) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it names a module that SciPy gives up
            return float(np.log2(vendi.score_K(a * len(a))))

    return entropy


# --------------------------------------------------------------------------------------------- pairs and layers


def _tiles(count: int, size: int) -> Iterable[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def pairs_torch(maps: Tensor, target: Tensor, index: Tensor, alpha: float) -> Tensor:
    """(p, 2): S(Ti, Tj) and S(Ti, Tj, X), by products of a tile of pairs and batched spectra."""
    parts = []
    for tile in _tiles(len(index), TILE):
        product = maps[index[tile, 0]] * maps[index[tile, 1]]
        alone = entropies_torch(product, alpha)
        product *= target
        parts.append(torch.stack([alone, entropies_torch(product, alpha)], dim=1))
    return torch.cat(parts)


def layer_torch(maps: Tensor, target: Tensor, index: Tensor, alpha: float) -> Tensor:
    """(p + C + 1,): I(X; {Ti, Tj}) of the pairs, I(X; Ti) of the maps, and I(X; {T1..TC}), batched."""
    joint = (maps * maps.shape[-1]).prod(dim=0)
    singles = torch.cat([maps, joint[None]])
    single = torch.stack([entropies_torch(singles, alpha), entropies_torch(singles * target, alpha)], dim=1)
    both = torch.cat([pairs_torch(maps, target, index, alpha), single])
    return entropies_torch(target, alpha) + both[:, 0] - both[:, 1]


def trio(x: Tensor, t: Tensor, alpha: float) -> Tensor:
    """I(X; T) by three spectra, as repitl computes a mutual information: S(X) + S(T) - S(X, T), one call each."""
    return entropies_torch(x, alpha) + entropies_torch(t, alpha) - entropies_torch(x * t, alpha)


def pair_trios(maps: Tensor, target: Tensor, index: Tensor, alpha: float) -> Tensor:
    """(p,): I(X; {Ti, Tj}), a pair at a time."""
    return torch.stack([trio(target, maps[i] * maps[j], alpha) for i, j in index.tolist()])


def layer_trios(maps: Tensor, target: Tensor, index: Tensor, alpha: float) -> Tensor:
    """Return what ``layer_torch`` returns, a quantity at a time."""
    joint = (maps * maps.shape[-1]).prod(dim=0)
    single = torch.stack([trio(target, t, alpha) for t in (*maps, joint)])
    return torch.cat([pair_trios(maps, target, index, alpha), single])


def null_batched(a: Tensor, b: Tensor, orders: Tensor, alpha: float) -> Tensor:
    """(k,): I(A; P B P') of each order of the samples, only the joint entropies anew, a tile of them at once."""
    alone = entropies_torch(a, alpha) + entropies_torch(b, alpha)
    parts = []
    for tile in _tiles(len(orders), TILE):
        some = orders[tile]
        parts.append(entropies_torch(a * b[some[:, :, None], some[:, None, :]], alpha))
    return alone - torch.cat(parts)


def null_loop(a: Tensor, b: Tensor, orders: Tensor, alpha: float) -> Tensor:
    """Return the same, one order at a time."""
    alone = entropies_torch(a, alpha) + entropies_torch(b, alpha)
    return alone - torch.stack([entropies_torch(a * b[order][:, order], alpha) for order in orders])


def _collision(square: Tensor, trace: Tensor) -> Tensor:
    return -torch.log2(square / trace**2)


def frobenius_tiles(maps: Tensor, target: Tensor, index: Tensor) -> Tensor:
    """(p, 2) of order 2: the Frobenius norms of a tile of products."""
    parts = []
    for tile in _tiles(len(index), NORM_TILE):
        product = maps[index[tile, 0]] * maps[index[tile, 1]]
        entropies = []
        for _ in range(2):
            trace = product.diagonal(dim1=-2, dim2=-1).sum(-1)
            entropies.append(_collision((product * product).sum(dim=(-2, -1)), trace))
            if len(entropies) == 1:
                product *= target
        parts.append(torch.stack(entropies, dim=1))
    return torch.cat(parts)


def frobenius_matmul(maps: Tensor, target: Tensor, index: Tensor) -> Tensor:
    """(p, 2) of order 2, all pairs as products of the matrix of squared Grams with itself."""
    flat = maps.reshape(len(maps), -1)
    flat, diagonal = flat * flat, maps.diagonal(dim1=-2, dim2=-1)
    rows, cols = index[:, 0], index[:, 1]
    parts = []
    for left, left_diagonal in (
        (flat, diagonal),
        (flat * (target * target).reshape(-1), diagonal * target.diagonal()),
    ):
        parts.append(_collision((left @ flat.T)[rows, cols], (left_diagonal @ diagonal.T)[rows, cols]))
    return torch.stack(parts, dim=1)


# -------------------------------------------------------------------------------------------------------- Grams


def _per_map(maps: Tensor) -> Tensor:
    return maps.flatten(2).transpose(0, 1).contiguous()


def grams_cdist(maps: Tensor, sigma: float, mode: str) -> Tensor:
    """(C, n, n) by torch.cdist on the batch of maps; ``mode`` chooses differences or products."""
    x: Any = _per_map(maps)
    distance = torch.cdist(x, x, compute_mode=mode)
    return distance.square_().mul_(-0.5 / sigma**2).exp_().div_(x.shape[1])


def grams_expanded(maps: Tensor, sigma: float) -> Tensor:
    """(C, n, n) by |x|^2 + |y|^2 - 2 <x, y>, which loses the digits of small distances."""
    x = _per_map(maps)
    square = (x * x).sum(-1)
    distance = torch.baddbmm(square[:, :, None] + square[:, None, :], x, x.transpose(1, 2), alpha=-2)
    return distance.clamp_(min=0).mul_(-0.5 / sigma**2).exp_().div_(x.shape[1])
