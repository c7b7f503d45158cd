"""What the fuzzer draws: samples of every kind, kernels with their widths, orders."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastrenyi as fr
import reference

UNIT = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
SMALLEST = {"float64": 5e-324, "float32": 1.4e-45, "float16": 6e-8, "bfloat16": 9.2e-41}
"""The smallest number above zero."""
LARGEST = {"float64": 300, "float32": 37, "float16": 3, "bfloat16": 37}
"""How large and, halved for float16, how small a scale may be, as a power of ten."""


def computed_in(dtype: str) -> str:
    return "float64" if dtype == "float64" else "float32"


def number_of_samples(rng: np.random.Generator) -> int:
    return int(rng.choice([rng.integers(1, 5), rng.integers(2, 13), rng.integers(8, 33), rng.integers(30, 70)],
                          p=[0.3, 0.4, 0.25, 0.05]))  # fmt: skip


def batch(rng: np.random.Generator) -> tuple[int, ...]:
    return [(), (int(rng.integers(1, 5)),), (2, int(rng.integers(1, 4))), (0,), (3, 0)][
        rng.choice(5, p=[0.5, 0.3, 0.14, 0.03, 0.03])
    ]


def samples(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Samples (..., n, d) as this dtype can hold them, of a kind at random: those that are hard are likely."""
    n, d = shape[-2:]
    kind = rng.choice(["normal", "whole", "constant", "rank one", "clusters", "outlier", "sparse", "copies"])
    x = rng.normal(size=shape)
    if kind == "whole":
        x = rng.integers(-2, 3, shape).astype(float)
    elif kind == "constant":
        x = np.broadcast_to(x[..., :1, :], shape)
    elif kind == "rank one":
        x = rng.normal(size=(*shape[:-1], 1)) * rng.normal(size=(*shape[:-2], 1, d))
    elif kind == "clusters":
        x = 10.0 ** -rng.integers(0, 9) * x + rng.integers(0, 3, (*shape[:-1], 1))
    elif kind == "outlier":
        x[..., 0, :] *= 10.0 ** rng.integers(1, 5)
    elif kind == "sparse":
        x = np.where(rng.random(shape) < 0.7, 0, x)
    elif kind == "copies":
        x = x[..., rng.integers(0, (n + 1) // 2, n), :]
    if rng.random() < 0.2:
        x = x + 10.0 ** rng.integers(0, 4)
    if rng.random() < 0.3:
        x = x * scale(rng, dtype)
    return rounded(x, dtype)


def scale(rng: np.random.Generator, dtype: str) -> float:
    return float(10.0 ** rng.uniform(-LARGEST[dtype], LARGEST[dtype]))


def rounded(x: Any, dtype: str) -> Any:
    """The values as a dtype holds them, none infinite, in float64."""
    with np.errstate(over="ignore"):
        if dtype != "bfloat16":
            result = np.asarray(x).astype(dtype).astype(np.float64)
        else:
            torch = sys.modules["torch"]
            result = torch.from_numpy(np.array(x, np.float64)).to(torch.bfloat16).double().numpy()
    return np.where(np.isfinite(result), result, 1.0)


@dataclass(frozen=True)
class Kernel:
    """A kernel with its width, and Grams by it in long double."""

    name: str
    rule: Any
    """None, a number, or the name of a rule."""
    degree: int = 0
    gamma: float | None = None
    coef0: float = 0.0

    def of_package(self) -> Any:
        if self.name == "polynomial":
            return fr.Polynomial(self.degree, self.gamma, self.coef0)
        return self.name

    def steepness(self) -> int:
        """How much an entry magnifies what rounding does to distances and products, which are of order one."""
        return max(self.degree, 1)

    def width(self, x: Any) -> float:
        metric = "manhattan" if self.name == "laplacian" else "euclidean"
        n, d = x.shape
        if self.rule is None or self.rule == "silverman":
            return reference.silverman(n, d)
        if self.rule == "scott":
            return reference.scott(x)
        if self.rule == "median":
            return reference.median(x, metric=metric)
        if self.rule == "neighbours":
            return reference.neighbours(x, metric=metric)
        return float(self.rule)

    def gram(self, x: Any) -> Any:
        """The Gram of one sample (n, d)."""
        if self.name == "gaussian":
            return reference.gram_gaussian(x, self.width(x))
        if self.name == "laplacian":
            return reference.gram_laplacian(x, self.width(x))
        if self.name == "cosine":
            return reference.gram_cosine(x)
        if self.name == "polynomial":
            return reference.gram_polynomial(x, self.degree, self.gamma, self.coef0)
        return reference.gram_delta(x)


def kernel(rng: np.random.Generator, n: int, typical: float) -> Kernel:
    """A kernel for n samples; `typical` is what a width that is given is near to."""
    name = str(rng.choice(["gaussian", "laplacian", "polynomial", "cosine", "delta"], p=[0.4, 0.25, 0.15, 0.1, 0.1]))
    if name == "polynomial":
        gamma = None if rng.random() < 0.5 else float(10.0 ** rng.uniform(-3, 3))
        return Kernel(name, None, int(rng.integers(1, 6)), gamma, float(rng.choice([0.5, 1.0, 10.0])))
    if name in ("cosine", "delta"):
        return Kernel(name, None)
    rules = [None, "silverman", "scott", "median", float(typical * 10.0 ** rng.uniform(-2, 2))]
    return Kernel(name, rules[rng.integers(5)] if n <= 10 or rng.random() < 0.8 else "neighbours")


def orders(rng: np.random.Generator) -> list[float]:
    """One to four orders in [0, inf]."""
    return [_order(rng) for _ in range(rng.choice([1, 1, 2, 4]))]


def _order(rng: np.random.Generator) -> float:
    close = rng.choice([-1, 1]) * 10.0 ** rng.uniform(-15, -1)
    usual = rng.choice([0.0, 1.0, 2.0, math.inf, 1.01, 0.5, 3.0])
    rare = rng.choice([64.0, 65.0, 1e6, 1e300, 5e-324])
    found = [usual, rng.uniform(0, 2), 10.0 ** rng.uniform(-4, 4), 1 + close, 2 + close, rare]
    return float(rng.choice(found, p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05]))
