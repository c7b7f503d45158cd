"""The gradient of a mutual information with respect to data: forward and backward, as a training loss needs it."""

from __future__ import annotations

import numpy as np
import torch

import fastrenyi as fr
import fastrenyi.torch
from fastrenyi._array import Values
from fastrenyi.bench import data
from fastrenyi.bench.task import Side, Task

__all__ = ["information_gradient"]

Tensor = torch.Tensor


def information_gradient(n: int, d: int, dtype: str, alpha: float, device: str = "cpu") -> Task:
    """Return dI(X; Z)/dZ of n samples of d features, both sides with Silverman's width."""
    both = data.activations(n, 2, d, 1, dtype)[..., 0]
    x, z = np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])
    sigma = data.silverman(n, d)
    fixed, leaf = torch.from_numpy(x).to(device), torch.from_numpy(z).to(device).requires_grad_()

    def ours() -> Tensor:
        information = fr.mutual_information(
            fr.gram(fixed, bandwidth=sigma), fr.gram(leaf, bandwidth=sigma), alpha=alpha
        )
        return torch.autograd.grad(information, leaf)[0]

    def usual() -> Tensor:
        return torch.autograd.grad(_information(fixed, leaf, sigma, alpha), leaf)[0]

    def read(found: Tensor) -> Values:
        return found.numpy(force=True)

    return Task(
        ours=Side("ours", ours, read),
        peers=(Side("torch autograd", usual, read),),
        reference=lambda: _reference(x, z, sigma, alpha),
        error=lambda found, right: float(np.abs(found - right).max() / np.abs(right).max()),
        tolerance=5e-3,  # the clamp at 1e-12, without which the usual code gives NaN, costs it most digits
        dtype=dtype,
        # Two Grams and the way back to the data; three reductions, two carried back, where there are spectra.
        flops=5 * n**2 * d + (8 * n**3 if alpha != 2 else 0),
        inputs={"x": x, "z": z, "bandwidth": sigma, "alpha": alpha},
    )


def _information(x: Tensor, z: Tensor, sigma: float, alpha: float) -> Tensor:
    """I(X; Z) as people write it: cdist, exp, eigvalsh (Frobenius norms at order 2), autograd."""

    def gram(samples: Tensor) -> Tensor:
        return torch.exp(torch.cdist(samples, samples).square() * (-0.5 / sigma**2)) / len(samples)

    def entropy(a: Tensor) -> Tensor:
        if alpha == 2:
            return -torch.log2(a.square().sum())
        return torch.log2((torch.linalg.eigvalsh(a).clamp(min=1e-12) ** alpha).sum()) / (1 - alpha)

    a, b = gram(x), gram(z)
    joint = a * b
    return entropy(a) + entropy(b) - entropy(joint / joint.trace())


def _reference(x: Values, z: Values, sigma: float, alpha: float) -> Values:
    """By NumPy in float64: dS/dA = V f'(lambda) V^T, then through the product and the kernel."""
    n = len(x)
    x, z = x.astype(np.float64), z.astype(np.float64)
    a, b = (np.exp(-np.square(v[:, None] - v).sum(-1) / (2 * sigma**2)) / n for v in (x, z))
    joint = a * b
    trace = np.trace(joint)

    def slope(gram: Values) -> Values:
        values, v = np.linalg.eigh(gram)
        p = np.maximum(values, 0) / values.sum()
        power = (p > 0) * np.where(p > 0, p, 1) ** (alpha - 1)
        along = alpha / (1 - alpha) / np.log(2) * (power / (p @ power) - 1)
        return np.asarray((v * along) @ v.T)

    weights = 2 * b * (slope(b) - slope(joint / trace) * a / trace)
    return np.asarray((weights @ z - weights.sum(axis=1, keepdims=True) * z) / sigma**2)
