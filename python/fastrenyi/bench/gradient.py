"""The gradient of a mutual information with respect to data: forward and backward, as a training loss needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch

import fastrenyi as fr
import fastrenyi.torch
from fastrenyi._array import Values
from fastrenyi.bench import data
from fastrenyi.bench.task import Side, Task

__all__ = ["information_gradient", "information_gradient_in_jax"]

Tensor = torch.Tensor


def information_gradient(n: int, d: int, dtype: str, alpha: float, device: str = "cpu") -> Task:
    """Return dI(X; Z)/dZ of n samples of d features, both sides with Silverman's width."""
    x, z, sigma = _samples(n, d, dtype)
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

    return _task(Side("ours", ours, read), Side("torch autograd", usual, read), x, z, sigma, alpha)


def information_gradient_in_jax(n: int, d: int, dtype: str, alpha: float) -> Task:
    """Return the same of JAX arrays, with the value, compiled; beside ``jnp.linalg.eigvalsh`` and its gradient."""
    import jax

    x, z, sigma = _samples(n, d, dtype)
    fixed, leaf = jax.numpy.asarray(x), jax.numpy.asarray(z)

    def information(z: Any) -> Any:
        return fr.mutual_information(fr.gram(fixed, bandwidth=sigma), fr.gram(z, bandwidth=sigma), alpha=alpha)

    def side(name: str, function: Callable[[Any], Any]) -> Side:
        compiled, finished = jax.jit(jax.value_and_grad(function)), cast(Any, jax.block_until_ready)
        return Side(name, lambda: finished(compiled(leaf)), lambda found: np.asarray(found[1]))

    usual = side("jax eigvalsh", lambda z: _information_in_jax(fixed, z, sigma, alpha))
    return _task(side("ours", information), usual, x, z, sigma, alpha)


def _samples(n: int, d: int, dtype: str) -> tuple[Values, Values, float]:
    both = data.activations(n, 2, d, 1, dtype)[..., 0]
    return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1]), data.silverman(n, d)


def _task(ours: Side, peer: Side, x: Values, z: Values, sigma: float, alpha: float) -> Task:
    n, d = x.shape
    return Task(
        ours=ours,
        peers=(peer,),
        reference=lambda: _reference(x, z, sigma, alpha),
        error=lambda found, right: float(np.abs(found - right).max() / np.abs(right).max()),
        tolerance=5e-3,  # the clamp at 1e-12, without which the usual code gives NaN, costs it most digits
        dtype=x.dtype.name,
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


def _information_in_jax(x: Any, z: Any, sigma: float, alpha: float) -> Any:
    """Return the same in JAX: distances by products, as there is no cdist."""
    import jax.numpy as jnp

    def gram(samples: Any) -> Any:
        squares = (samples * samples).sum(1)
        distances = squares[:, None] + squares[None, :] - 2 * samples @ samples.T
        return jnp.exp(jnp.maximum(distances, 0) * (-0.5 / sigma**2)) / len(samples)

    def entropy(a: Any) -> Any:
        return jnp.log2((jnp.maximum(jnp.linalg.eigvalsh(a), 1e-12) ** alpha).sum()) / (1 - alpha)

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
