"""How an entropy of a large batch is to be estimated, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from fastrenyi import _check
from fastrenyi._array import Values

__all__ = ["Estimate", "Estimation", "How", "as_estimation"]


@dataclass(frozen=True)
class Estimation:
    """How a measure of large Grams is to be estimated.

    Parameters
    ----------
    tol : float
        Half the width of the interval wanted, in the unit of the result (bits, for base 2).
    confidence : float
        With which the interval is to hold what the spectrum would give, between 0 and 1.
    seed : int
        Of the random signs.
    memory : float, optional
        Bytes that may be used; half of what is free unless given.
    progress : bool
        Say step by step how far it is: to the logger "fastrenyi" at INFO, or on stderr where nothing listens to it.
    solve : int, optional
        Samples up to which the whole spectrum is taken: 2,048 unless given, and 8,192 where products do not come to the
        tolerance. 0 never takes it.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.

    Notes
    -----
    Cost: none of its own. See docs/large.md.

    Examples
    --------
    >>> import fastrenyi as fr
    >>> fr.Estimation(tol=0.001)
    Estimation(tol=0.001, confidence=0.95, seed=0, memory=None, progress=False, solve=None)
    """

    tol: float = 0.01
    confidence: float = 0.95
    seed: int = 0
    memory: float | None = None
    progress: bool = False
    solve: int | None = None

    def __post_init__(self) -> None:
        """Check the arguments."""
        _check.positive(self.tol, "tol")
        if not _check.positive(self.confidence, "confidence") < 1:
            _check.value_error("confidence", "a probability below 1", self.confidence)
        _check.integer(self.seed, "seed", 0)
        if self.memory is not None:
            _check.positive(self.memory, "memory")
        _check.flag(self.progress, "progress")
        if self.solve is not None:
            _check.integer(self.solve, "solve", 0)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A measure of large Grams, and the interval that it is known to lie in.

    Attributes
    ----------
    value, low, high : float or array
        The estimate and the ends of its interval; for m orders arrays (m,).
    confidence : float
        Probability, over the random signs, with which the interval holds what the whole spectrum would give.
    exact : bool
        Whether no signs were drawn and the interval is rounding alone.
    converged : bool
        Whether the interval is as narrow as was asked for.
    columns, products : int
        Vectors that were kept, and that the Grams were multiplied with.
    seconds : float
        What it took.

    Notes
    -----
    Cost: see ``seconds``. ``float(estimate)`` is its value, of one order. The interval is of the entropy of this Gram,
    and not of that of the distribution that its samples are from.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> found = fr.entropy(fr.lazy_gram(np.arange(8.0)[:, None], bandwidth=1.0), alpha=2)
    >>> round(float(found), 4), found.exact
    (2.2589, True)
    """

    value: Any
    low: Any
    high: Any
    confidence: float
    exact: bool
    converged: bool
    columns: int
    products: int
    seconds: float

    def __float__(self) -> float:
        """Return the value of the one order."""
        return float(self.value)

    def __format__(self, spec: str) -> str:
        """Show the value of the one order."""
        return format(float(self), spec) if spec else str(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Values:
        """Return the value or values."""
        return np.array(self.value, dtype)


def as_estimation(estimate: object) -> Estimation:
    """Accept settings, or a tolerance."""
    if estimate is None:
        return Estimation()
    if isinstance(estimate, Estimation):
        return estimate
    return Estimation(tol=_check.positive(estimate, "estimate"))


How: TypeAlias = float | Estimation | None
"""What measures take as ``estimate``."""
