"""Entropies and effective ranks: of tokens of prompts, of samples and views from an encoder, of graphs of answers."""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg
import torch

import fastrenyi as fr
from fastrenyi._array import Values
from fastrenyi.bench import answers, data
from fastrenyi.bench.task import Side, Task

__all__ = ["effective_rank_of_samples", "graph_entropies", "lidar_of_views", "prompt_entropies"]

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
        inputs={"x": x, "lengths": lengths, "alpha": 1.0},
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

    def of_products() -> Tensor:
        products = tensor.T @ tensor if n > d else tensor @ tensor.T
        return _rank(torch.linalg.eigvalsh(products).clamp_(min=0).sqrt_())

    def reference() -> Values:
        p = np.linalg.svd(x, compute_uv=False)
        p /= p.sum()
        return np.array(np.exp(-(p * np.log(p)).sum()))

    return Task(
        ours=Side("ours", ours),
        peers=(
            Side("torch eigvalsh", of_products),
            Side("published recipe", lambda: _rank(torch.linalg.svdvals(tensor))),
        ),
        reference=reference,
        error=_relative,
        tolerance=1e-5,
        dtype="float64",
        flops=float(n * d * min(n, d) + 4 / 3 * min(n, d) ** 3),
        inputs={"x": x},
    )


def _rank(values: Tensor) -> Tensor:
    """Return the effective rank of eigenvalues or singular values."""
    p = values / values.sum()
    found: Tensor = torch.special.xlogy(p, p).sum().neg().exp()
    return found


def _relative(found: Values, right: Values) -> float:
    return float(np.abs(found / right - 1).max())


def graph_entropies(count: int, nodes: int) -> Task:
    """Return kernel language entropies: of order 1, in bits, of the heat kernels (t = 0.3) of weighted graphs."""
    rng = np.random.default_rng([count, nodes])
    w = rng.uniform(size=(count, nodes, nodes))
    w = np.triu(w, 1) + np.triu(w, 1).swapaxes(-1, -2)
    tensor, t = torch.from_numpy(w), 0.3
    laplacians = np.eye(nodes) * w.sum(-1)[..., None] - w

    def ours() -> Values:
        return fr.entropy(fr.graph_gram(w, t=t), 1)

    def reference() -> Values:
        values, v = np.linalg.eigh(laplacians)
        k = (v * np.exp(-t * values)[:, None, :]) @ v.swapaxes(-1, -2)
        root = np.sqrt(np.diagonal(k, axis1=-2, axis2=-1))
        return answers.entropies(k / (root[:, :, None] * root[:, None, :]), 1)

    return Task(
        ours=Side("ours", ours),
        peers=(
            Side("torch matrix_exp", lambda: _of_kernels(torch.linalg.matrix_exp(-t * _laplacians(tensor)))),
            Side("torch eigh", lambda: _of_kernels(_heat(_laplacians(tensor), t))),
            Side("published recipe", lambda: _graph_by_graph(w, t)),
        ),
        reference=reference,
        error=answers.bits_error,
        tolerance=1e-10,
        dtype="float64",
        flops=count * 2 * 4 / 3 * nodes**3,
        inputs={"w": w, "t": t, "alpha": 1.0},
    )


def _laplacians(w: Tensor) -> Tensor:
    return torch.diag_embed(w.sum(-1)) - w


def _heat(laplacians: Tensor, t: float) -> Tensor:
    values, v = torch.linalg.eigh(laplacians)
    found: Tensor = (v * torch.exp(-t * values)[:, None, :]) @ v.mT
    return found


def _of_kernels(k: Tensor) -> Tensor:
    """Return bits of kernel matrices (..., n, n) whose diagonal is to be one."""
    root = k.diagonal(dim1=-2, dim2=-1).sqrt()
    p = torch.linalg.eigvalsh(k / (root[..., :, None] * root[..., None, :] * k.shape[-1])).clamp_(min=0)
    found: Tensor = -torch.special.xlogy(p, p).sum(-1) / math.log(2)
    return found


def _graph_by_graph(w: Values, t: float) -> Values:
    """A matrix exponential of SciPy and a spectrum of NumPy for each graph."""
    found = []
    for one in w:
        k = scipy.linalg.expm(-t * (np.diag(one.sum(axis=0)) - one))
        root = np.sqrt(np.diag(k))
        p = np.linalg.eigvalsh(k / np.outer(root, root) / len(k))
        p = p[p > 0]
        found.append(-(p * np.log2(p)).sum())
    return np.stack(found)


def lidar_of_views(n: int, views: int, d: int) -> Task:
    """Return the LiDAR of views of samples with features of falling strength."""
    rng = np.random.default_rng([n, views, d])
    strengths = np.arange(1, d + 1) ** -0.5
    x = (rng.normal(size=(n, 1, d)) + 0.5 * rng.normal(size=(n, views, d))) * strengths
    tensor, delta = torch.from_numpy(x), 1e-4

    def reference() -> Values:
        means = x.mean(axis=1)
        rest = (x - means[:, None, :]).reshape(-1, d)
        centred = means - means.mean(axis=0)
        within = rest.T @ rest / len(rest) + delta * np.eye(d)
        p = scipy.linalg.eigh(centred.T @ centred / n, within, eigvals_only=True).clip(0)
        p /= p.sum()
        safe = np.where(p > 0, p, 1)
        return np.array(np.exp(-(safe * np.log(safe)).sum()))

    return Task(
        ours=Side("ours", lambda: fr.lidar(x, delta)),
        peers=(
            Side("torch eigh", lambda: _lidar(*_scatters(tensor), delta)),
            Side("published recipe", lambda: _lidar(*_scatters_by_sample(tensor), delta)),
        ),
        reference=reference,
        error=_relative,
        tolerance=1e-8,
        dtype="float64",
        flops=float(n * views * d**2 + 3 * n * d**2 + 4 / 3 * d**3),
        inputs={"x": x, "delta": delta},
    )


def _scatters(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return those between and within samples (d, d), by a product of matrices each."""
    means = x.mean(1)
    centred, rest = means - means.mean(0), (x - means[:, None, :]).flatten(0, 1)
    return centred.T @ centred / len(x), rest.T @ rest / len(rest)


def _scatters_by_sample(x: Tensor) -> tuple[Tensor, Tensor]:
    """The same, added up sample by sample, as the published formula and the code of others have it."""
    means = x.mean(1)
    middle = means.mean(0)
    between, within = torch.zeros(2, x.shape[-1], x.shape[-1], dtype=x.dtype)
    for sample, mean in zip(x, means, strict=True):
        between += torch.outer(mean - middle, mean - middle)
        within += (sample - mean).T @ (sample - mean)
    return between / len(x), within / (x.shape[0] * x.shape[1])


def _lidar(between: Tensor, within: Tensor, delta: float) -> Tensor:
    """Return the effective rank of W^(-1/2) B W^(-1/2), by eigenvectors of W."""
    values, v = torch.linalg.eigh(within + delta * torch.eye(len(within), dtype=within.dtype))
    root = (v / values.sqrt()) @ v.T
    return _rank(torch.linalg.eigvalsh(root @ between @ root).clamp_(min=0))
