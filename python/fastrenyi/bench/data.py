"""Synthetic data, the same in every run; made without the library, so that no side starts from its results."""

from __future__ import annotations

import numpy as np

from fastrenyi._array import Values

__all__ = ["activations", "gaussian_grams", "layer_grams", "sample_grams", "silverman", "tokens"]


def silverman(n: int, d: int) -> float:
    """Return the paper's width for activations."""
    return float(5.0 * n ** (-1 / (4 + d)))


def gaussian_grams(x: Values, dtype: str) -> Values:
    """Return Gaussian Grams of samples (b, n, d) at Silverman's width; (b, n, n)."""
    batch, n, d = x.shape
    grams = np.empty((batch, n, n), dtype=dtype)
    for samples, out in zip(x, grams, strict=True):
        square = np.einsum("ij,ij->i", samples, samples)
        distance = samples @ samples.T
        distance *= -2
        distance += square[:, None]
        distance += square[None, :]
        np.maximum(distance, 0, out=distance)
        distance *= -0.5 / silverman(n, d) ** 2
        np.exp(distance, out=distance)
        distance /= n
        distance += distance.T.copy()
        distance /= 2
        np.fill_diagonal(distance, 1 / n)
        out[...] = distance
    return grams


def sample_grams(batch: int, n: int, dtype: str, d: int = 16) -> Values:
    """Return Grams of a batch of normal samples."""
    return gaussian_grams(np.random.default_rng([batch, n]).normal(size=(batch, n, d)), dtype)


def two_clusters(n: int) -> Values:
    """Return samples with ten features, half N(-1, I), half N(1, I), as Gong, Yu and Chen (IEEE TSP 70, 2022) have."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(-1, 1, (n - n // 2, 10)), rng.normal(1, 1, (n // 2, 10))])


def activations(n: int, channels: int, height: int, width: int, dtype: str) -> Values:
    """Return (n, C, H, W), what a layer might give: rectified mixtures of the samples' few factors, and noise."""
    rng = np.random.default_rng([n, channels, height, width])
    factors = rng.normal(size=(n, 8)).astype(np.float32)
    mix = rng.normal(size=(8, channels * height * width)).astype(np.float32)
    maps = factors @ mix
    maps *= 0.3
    maps += 0.1 * rng.standard_normal(size=maps.shape, dtype=np.float32)
    np.maximum(maps, 0, out=maps)
    return maps.reshape(n, channels, height, width).astype(dtype)


def layer_grams(n: int, channels: int, height: int, width: int, dtype: str) -> tuple[Values, Values]:
    """Return the Grams (C, n, n) of a layer's maps, and that of an input (n, n)."""
    maps = activations(n, channels, height, width, dtype)
    x = maps.reshape(n, channels, -1).transpose(1, 0, 2).astype(np.float64)
    target = np.random.default_rng(n).normal(size=(1, n, 32))
    return gaussian_grams(x, dtype), gaussian_grams(target, dtype)[0]


def tokens(count: int, least: int, most: int, d: int) -> tuple[Values, Values]:
    """Return the tokens (count, most, d) of prompts in single, zeros behind them, and the length of each prompt."""
    rng = np.random.default_rng([count, least, most, d])
    lengths = rng.integers(least, most + 1, count)
    factors = rng.standard_normal((count, most, 32), np.float32)
    x = factors @ rng.standard_normal((32, d), np.float32) + rng.standard_normal((count, most, d), np.float32)
    x[np.arange(most) >= lengths[:, None]] = 0
    return x, lengths
