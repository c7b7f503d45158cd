"""A small language model and prompts for it, and what is to be measured of them, in plain NumPy."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("pandas")

import pandas as pd  # noqa: E402
from torch import Tensor, nn  # noqa: E402

WORDS, D, LAYERS = 30, 6, 3
Values = NDArray[np.float64]


class Output(dict[str, Any]):
    """What Hugging Face's models put out: keys that are attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Config:
    output_hidden_states = False


class Transformer(nn.Module):
    """A small random one, in the manner of Hugging Face: it puts out hidden states when it is told to."""

    def __init__(self, d: int = D, dropout: float = 0.5) -> None:
        super().__init__()
        self.config = Config()
        self.embedding = nn.Embedding(WORDS, d)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(d, 2, 8, dropout, batch_first=True) for _ in range(LAYERS)
        )
        self.register_buffer("calls", torch.zeros(()))
        self.double()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, output_hidden_states: bool = False
    ) -> Output:
        self.calls += 1
        torch.rand(1), random.random(), np.random.random()  # noqa: NPY002
        states = [self.embedding(input_ids) + torch.arange(input_ids.shape[1])[:, None] / 10]
        padding = None if attention_mask is None else attention_mask == 0
        for block in self.blocks:
            states.append(block(states[-1], src_key_padding_mask=padding))
        return Output(last=states[-1], hidden_states=tuple(states) if output_hidden_states else None)


def transformer(rng: np.random.Generator) -> Transformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        return Transformer()


def batch_of(rng: np.random.Generator, lengths: list[int], padding: str = "behind") -> dict[str, Tensor]:
    """Prompts with padding before, behind or between their tokens."""
    longest = max(lengths)
    mask = np.zeros((len(lengths), longest), dtype=int)
    for row, length in zip(mask, lengths, strict=True):
        places = {"behind": np.arange(length), "before": np.arange(longest - length, longest)}
        row[places[padding] if padding in places else rng.permutation(longest)[:length]] = 1
    ids = rng.integers(WORDS, size=mask.shape)
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def three_batches(rng: np.random.Generator) -> list[dict[str, Tensor]]:
    return [batch_of(rng, [9, 4, 7]), batch_of(rng, [3, 12], "before"), batch_of(rng, [5, 6, 8, 4], "between")]


# ------------------------------------------------------------------------------------------- plain NumPy


def states_of(model: Any, batches: list[dict[str, Tensor]]) -> list[list[Values]]:
    """For each layer the tokens that count of each prompt."""
    layers: list[list[Values]] = [[] for _ in range(LAYERS + 1)]
    model = model.eval()
    with torch.no_grad():
        for batch in batches:
            found = model(**batch, output_hidden_states=True).hidden_states
            for prompts, states in zip(layers, found, strict=True):
                kept = batch["attention_mask"].bool()
                prompts.extend(one[counts].numpy() for one, counts in zip(states, kept, strict=True))
    return layers


def normalized(z: Values) -> Values:
    z = z - z.mean(0)
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def entropy(k: Values, alpha: float) -> float:
    """In nats, of a matrix over its trace."""
    p = np.linalg.eigvalsh(k / np.trace(k))
    p = p[p > 1e-12]
    return float(-(p * np.log(p)).sum() if alpha == 1 else np.log((p**alpha).sum()) / (1 - alpha))


def curvature(z: Values) -> float:
    steps = np.diff(z, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    return float(np.arccos(np.clip((steps[1:] * steps[:-1]).sum(1), -1, 1)).mean())


def participation(z: Values) -> float:
    values = np.linalg.eigvalsh(np.cov(z.T))
    return float(values.sum() ** 2 / (values**2).sum())


def rank_me(z: Values) -> float:
    s = np.linalg.svd(z, compute_uv=False)
    p = s / s.sum() + 1e-7
    return float(np.exp(-(p * np.log(p)).sum()))


def lidar(x: Values) -> float:
    means = x.mean(1)
    within = np.mean([np.outer(v - m, v - m) for views, m in zip(x, means, strict=True) for v in views], 0)
    values, vectors = np.linalg.eigh(within + 1e-4 * np.eye(x.shape[2]))
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    return float(np.exp(entropy(root @ np.cov(means.T, bias=True) @ root, 1)))


def infonce(a: Values, b: Values) -> float:
    z = np.concatenate([a, b])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    total = 0.0
    for i in range(len(z)):
        products = np.exp(z @ z[i] / 0.1)
        total -= np.log(products[(i + len(a)) % len(z)] / (products.sum() - products[i]))
    return total / len(z)


def shares(nats: Values, n: Values, d: int) -> dict[str, Values]:
    log_n = np.log(n)
    return {
        "by_log_n": nats / log_n,
        "by_log_d": nats / math.log(d),
        "by_log_min": nats / np.minimum(log_n, math.log(d)),
        "by_log_n_log_d": nats / (log_n * math.log(d)),
    }


def of_prompts(prompts: list[Values], alpha: float, base: float) -> dict[str, Values]:
    n = np.array([len(z) for z in prompts], dtype=float)
    nats = np.array([entropy(normalized(z) @ normalized(z).T, alpha) for z in prompts])
    found = {"tokens": n, "prompt_entropy": nats / math.log(base), "effective_rank": np.exp(nats)}
    found |= {f"prompt_entropy_{by}": share for by, share in shares(nats, n, prompts[0].shape[1]).items()}
    found["participation_ratio"] = np.array([participation(z) for z in prompts])
    found["curvature"] = np.array([curvature(z) for z in prompts])
    return found


def of_dataset(means: Values, alpha: float, base: float) -> dict[str, float]:
    nats = entropy(normalized(means) @ normalized(means).T, alpha)
    n, d = means.shape
    found = {"dataset_entropy": nats / math.log(base), "dataset_effective_rank": math.exp(nats)}
    by = shares(np.array([nats]), np.array([float(n)]), d)
    found |= {f"dataset_entropy_{name}": float(share[0]) for name, share in by.items()}
    return found | {"dataset_participation_ratio": participation(means), "rank_me": rank_me(means)}


def cells(table: pd.DataFrame, depth: int, alpha: float) -> dict[str, Any]:
    rows = table[(table["depth"] == depth) & (table["alpha"].isna() | (table["alpha"] == alpha))]
    return {str(row.measure): row for row in rows.itertuples()}


class Puts(nn.Module):
    """A model that puts out what it is told to make of its input."""

    def __init__(self, out: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.out = out

    def forward(self, x: Tensor) -> Any:
        return self.out(x)
