"""Entropies and effective ranks of representations: tokens of prompts at a layer, samples of an encoder."""

from __future__ import annotations

import math

import numpy as np
import torch

import fastrenyi as fr
from fastrenyi._array import Values
from fastrenyi.bench import answers, data
from fastrenyi.bench.task import Side, Task

__all__ = ["effective_rank_of_samples", "prompt_entropies"]

Tensor = torch.Tensor

_AT_ONCE = 25
"""Prompts to a call of ours, as minibatches come: their Grams are memory that the next ones take again."""
_TOGETHER = 16
"""Prompts of about one length that a batch is padded for."""


def prompt_entropies(count: int, least: int, most: int, d: int) -> Task:
    """Return the entropies of order 1 of the tokens of prompts at one layer, centred and of length one, in single."""
    x, lengths = data.tokens(count, least, most, d)
    tensor, sizes = torch.from_numpy(x), torch.from_numpy(lengths)
    kernel = fr.Linear("samples", normalized=True)

    def ours() -> Values:
        parts = (slice(start, start + _AT_ONCE) for start in range(0, count, _AT_ONCE))
        return np.concatenate([fr.entropy(fr.gram(x[part], kernel, lengths=lengths[part]), alpha=1) for part in parts])

    def reference() -> Values:
        found = []
        for prompt, length in zip(x, lengths, strict=True):
            z = prompt[:length].astype(np.float64)
            z -= z.mean(axis=0)
            z /= np.linalg.norm(z, axis=1, keepdims=True)
            found.append(answers.entropies(z @ z.T, 1))
        return np.stack(found)

    return Task(
        ours=Side("ours", ours),
        peers=(
            Side("torch, groups of one length", lambda: _by_length(tensor, sizes)),
            Side("torch, padded", lambda: _padded(tensor, sizes)),
            Side("torch, a loop", lambda: _one_by_one(tensor, sizes, False)),
            Side("published recipe", lambda: _one_by_one(tensor, sizes, True)),
        ),
        reference=reference,
        error=answers.bits_error,
        tolerance=5e-4,
        dtype="float32",
        flops=float((lengths.astype(float) ** 2 * d + 4 / 3 * lengths.astype(float) ** 3).sum()),
    )


def _entropies(z: Tensor) -> Tensor:
    """Return bits of tokens (..., n, d)."""
    k = z @ z.mT
    p = torch.linalg.eigvalsh(k / k.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]).clamp_(min=0)
    found: Tensor = -torch.special.xlogy(p, p).sum(-1) / math.log(2)
    return found


def _one_by_one(x: Tensor, lengths: Tensor, double_with_vectors: bool) -> Tensor:
    """A spectrum for each prompt: in single, or as repitl has it, with eigenvectors, and its users in double."""
    found = []
    for prompt, length in zip(x, lengths.tolist(), strict=True):
        z = prompt[:length].double() if double_with_vectors else prompt[:length]
        z = z - z.mean(0)
        z = z / z.norm(dim=1, keepdim=True)
        if not double_with_vectors:
            found.append(_entropies(z))
            continue
        k = z @ z.T
        p, _ = torch.linalg.eigh(k / k.trace())
        p = p[p > 0]
        p = p / p.sum()
        found.append(-(p * p.log2()).sum())
    return torch.stack(found)


def _by_length(x: Tensor, lengths: Tensor) -> Tensor:
    """A batch for each length that there is."""
    found = torch.empty(len(x))
    for length in sorted(set(lengths.tolist())):
        places = lengths == length
        z = x[places, :length]
        z = z - z.mean(1, keepdim=True)
        found[places] = _entropies(z / z.norm(dim=2, keepdim=True))
    return found


def _padded(x: Tensor, lengths: Tensor) -> Tensor:
    """Batches of prompts of about one length, padded to the longest of them."""
    found = torch.empty(len(x))
    for places in torch.split(lengths.argsort(), _TOGETHER):
        length = lengths[places]
        longest = int(length.max())
        keep = (torch.arange(longest) < length[:, None])[..., None]
        z = torch.where(keep, x[places, :longest], 0)
        z = (z - z.sum(1, keepdim=True) / length[:, None, None]) * keep
        found[places] = _entropies(z / z.norm(dim=2, keepdim=True).clamp_(min=1e-30))
    return found


def effective_rank_of_samples(n: int, d: int) -> Task:
    """Return the effective rank of the singular values of samples, as RankMe has it."""
    rng = np.random.default_rng([n, d])
    inner = max(1, d // 8)
    strengths = np.arange(1, inner + 1, dtype=np.float32)[:, None] ** -0.5
    x = rng.standard_normal((n, inner), np.float32) @ (rng.standard_normal((inner, d), np.float32) * strengths)
    x = (x + 0.1 * rng.standard_normal((n, d), np.float32)).astype(np.float64)
    tensor = torch.from_numpy(x)
    smaller = fr.Linear(side="smaller")

    def ours() -> Values:
        return fr.effective_rank(fr.gram(x, smaller), power=0.5)

    def rank(s: Tensor) -> Tensor:
        p = s / s.sum()
        found: Tensor = torch.special.xlogy(p, p).sum().neg().exp()
        return found

    def of_products() -> Tensor:
        products = tensor.T @ tensor if n > d else tensor @ tensor.T
        return rank(torch.linalg.eigvalsh(products).clamp_(min=0).sqrt_())

    def reference() -> Values:
        p = np.linalg.svd(x, compute_uv=False)
        p /= p.sum()
        return np.array(np.exp(-(p * np.log(p)).sum()))

    return Task(
        ours=Side("ours", ours),
        peers=(
            Side("torch eigvalsh", of_products),
            Side("published recipe", lambda: rank(torch.linalg.svdvals(tensor))),
        ),
        reference=reference,
        error=lambda found, right: float(np.abs(found / right - 1).max()),
        tolerance=1e-5,
        dtype="float64",
        flops=float(n * d * min(n, d) + 4 / 3 * min(n, d) ** 3),
    )
