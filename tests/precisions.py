"""Grams of one precision in another dtype: what the tests of precisions and of ways out share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import fastrenyi as fr
import reference
from conftest import Draw

LOWER = [("float32", "float64"), ("float16", "float64"), ("float16", "float32"), ("bfloat16", "float32")]
LOWER += [("bfloat16", "float64")]
IN_BOTH = [(library, *dtypes) for library in ("numpy", "torch") for dtypes in LOWER]
"""Of library, a dtype and a higher one: where a bfloat16 is passed as it is, torch alone has it."""
AS_THEY_ARE = [each for each in IN_BOTH if each[:2] != ("numpy", "bfloat16")]
SIZES = [2, 6, 50, 200]


def numbers(found: Any) -> np.ndarray:
    return np.asarray(found.double() if isinstance(found, torch.Tensor) else found, dtype=np.float64)


def made(draw: Draw, n: int, dtype: str) -> tuple[torch.Tensor, np.ndarray]:
    """A Gaussian Gram of this precision, and the exact one of the same samples."""
    x = torch.from_numpy(draw.samples(n, 3)).to(getattr(torch, dtype))
    return fr.gram(x, bandwidth=1.0), reference.gram_gaussian(x.double().numpy(), 1.0)


def cast(a: torch.Tensor, library: str, dtype: str) -> Any:
    higher = a.to(getattr(torch, dtype))
    return higher.numpy() if library == "numpy" else higher
