"""What a Krylov space says of tr f(A): a bracket of its deterministic part, and probes of the rest.

tr f(A) = tr V'f(A)V + tr P f(A) P with P = I - VV', of which the second part is the mean of p'f(A)p over p = Pz with
random signs z. For v in span W, v = Wu, the matrix M = W'AW gives two quadratures of v'f(A)v: Gauss' u'f(M)u, and that
of Radau with a node at zero. For resolvents both are bounds, of opposite sides, whatever the subspace (they are the
variational forms of (A + t)^-1 over it), and so for x^alpha and x ln x, which are integrals of resolvents of one sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastrenyi._array import Values
from fastrenyi.large.krylov import Space
from fastrenyi.large.order import Order

__all__ = ["Noise", "Traces", "traces"]

_TOWARDS_RADAU = 0.4  # of the way from Gauss to Radau, where the value was nearest in trials
_ZERO = 1e-17  # of the largest eigenvalue, in place of zero and below
_UNIT = 2.0**-53


@dataclass(frozen=True)
class Traces:
    """tr f(A) by each probe (s,), its bracket by their mean, and what rounding may change."""

    probes: Values
    low: float
    high: float
    rounding: float


class Noise(NamedTuple):
    """What rounding may change of an eigenvalue: a share of it, or of the norm of what is rounded, and some more."""

    relative: float
    norm: float
    absolute: float

    def moved(self, x: Values) -> Values:
        """Return eigenvalues with as much more."""
        found: Values = x + self.relative * np.minimum(np.abs(x), self.norm) + self.absolute
        return found

    def share(self, x: float) -> float:
        """Return by which share of it an eigenvalue may be off."""
        return float(self.moved(np.array(x))) / x - 1


def traces(
    space: Space, inside: Values, probes: Values, squares: float, noise: Noise, orders: Sequence[Order]
) -> list[Traces]:
    """Return tr f(A) for each order.

    `inside` is V and `probes` are the p, in coordinates of the space (D, K) and (D, s); `squares` is |A|_F^2.
    """
    inner, rest = space.inner, space.open
    gauss, directions = np.linalg.eigh(inner)
    least = max(float(gauss[-1]), 0.0) * _ZERO
    found_below, gauss = gauss, np.maximum(gauss, least)
    last = directions[len(directions) - len(rest) :] / np.sqrt(gauss)
    radau, turned = np.linalg.eigh(np.diag(gauss) + last.T @ rest @ last)
    radau = np.maximum(radau, least)

    weights_in, weights = (directions.T @ inside) ** 2, (directions.T @ probes) ** 2
    roots = np.sqrt(gauss)[:, None]
    radau_in, radau_out = (((turned.T @ (roots * (directions.T @ v))) ** 2) / radau[:, None] for v in (inside, probes))
    controls = _controls(space, inside, probes, squares)

    pooled = weights.sum(axis=1)
    everywhere = weights_in.sum(axis=1) + weights.mean(axis=1)
    found = []
    with np.errstate(over="ignore", invalid="ignore"):  # of high orders; whoever asks looks at what came
        for order in orders:
            at_gauss, at_radau = order.function(gauss), order.function(radau)
            fitted = _fitted(gauss, at_gauss, pooled)
            correction = fitted @ controls
            by_gauss = at_gauss @ weights_in.sum(axis=1) + at_gauss @ weights - correction
            by_radau = at_radau @ radau_in.sum(axis=1) + at_radau @ radau_out - correction
            low, high = sorted((float(by_gauss.mean()), float(by_radau.mean())))
            # The traces of 1, A and A^2 are known: rounding is of what f has beside them.
            moved = noise.moved(gauss)
            shifted = np.abs(order.function(moved) - at_gauss - _powers(moved) @ fitted + _powers(gauss) @ fitted)
            # Those that rounding made negative count as none, in the controls as what they are.
            lifted = abs(float(((_powers(gauss) - _powers(found_below)) @ fitted) @ everywhere))
            summed = np.abs(at_gauss) @ everywhere + np.abs(correction).mean()
            found.append(
                Traces(
                    by_gauss + _TOWARDS_RADAU * (by_radau - by_gauss),
                    low,
                    high,
                    float(shifted @ everywhere) + lifted + 64 * _UNIT * float(summed),
                )
            )
    return found


def _controls(space: Space, inside: Values, probes: Values, squares: float) -> Values:
    """Return p'p, p'Ap and p'A^2p of each probe less what they are in the mean (3, s)."""
    inside_image, image = space.inner @ inside, space.inner @ probes
    n = space.samples
    ones = (probes * probes).sum(axis=0) - (n - inside.shape[1])
    first = (probes * image).sum(axis=0) - (1 - float((inside * inside_image).sum()))
    rest = squares - float(_lengths(space, inside, inside_image).sum())
    return np.stack([ones, first, _lengths(space, probes, image) - rest])


def _lengths(space: Space, v: Values, image: Values) -> Values:
    """Return v'A^2v, the part that leaves the space included."""
    last = v[len(v) - len(space.open) :]
    found: Values = (image * image).sum(axis=0) + (last * (space.open @ last)).sum(axis=0)
    return found


def _powers(x: Values) -> Values:
    return np.stack([np.ones_like(x), x, x**2], axis=1)


def _fitted(nodes: Values, values: Values, weights: Values) -> Values:
    """Return the coefficients of 1, x and x^2 nearest to some values, where the probes have their weight."""
    powers = _powers(nodes) * np.sqrt(weights)[:, None]
    scale = np.maximum(np.abs(powers).max(axis=0), np.finfo(np.float64).tiny)
    found: Values = np.linalg.lstsq(powers / scale, values * np.sqrt(weights), rcond=None)[0] / scale
    return found
