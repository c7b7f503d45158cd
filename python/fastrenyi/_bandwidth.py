"""What a rule for the width of a kernel is, ours or a user's own, and widths that are known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from fastrenyi import _check
from fastrenyi._array import BITS, Array, has_numbers, home_of, is_array, key, wrap
from fastrenyi._configured import Configured
from fastrenyi._kernels import kernels_for

__all__ = ["Bandwidth", "Code", "Found", "Given"]

Code: TypeAlias = tuple[str, list[float], Array | None]
"""The name of a rule, its numbers, and an array."""


class Bandwidth(Configured, ABC):
    """A rule for the width of a Gaussian or Laplacian kernel; subclass it for one of your own.

    A subclass has one method, ``find(x, kernel)``: one width for each of the b sample sets in x (b, n, d), a NumPy
    array of float32 or float64, for the kernel "gaussian" or "laplacian". It keeps each argument of its ``__init__`` as
    an attribute of the same name, as dataclasses do. It is then taken wherever a width is.

    Raises
    ------
    TypeError
        For a subclass without ``find``. Named ``Name.find``, when it is used: for what is not numbers, and
        ValueError for other than b of them. A width that is negative or not finite is a ValueError of ``bandwidth``.

    Notes
    -----
    A rule that comes to zero, as a median over mostly equal samples does, means the narrow limit of the kernel: 1 for
    equal samples and 0 for others. Tensors and JAX arrays come as NumPy arrays, also from a GPU, which waits for it;
    the width is a constant of the gradient. Under ``torch.compile``, ``torch.func`` and ``torch.vmap``, and in a CUDA
    graph, there are no numbers to look at: there a rule of your own is refused, and its widths are found before (under
    ``jax.jit`` it is called when the function runs). A subclass of a rule that calls ``super().find(x, kernel)`` has
    that one's. Settings are shown, compared and hashed by value.
    Cost: that of ``find``.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np, fastrenyi as fr
    >>> @dataclass(frozen=True)
    ... class Range(fr.Bandwidth):
    ...     share: float = 0.5
    ...
    ...     def find(self, x, kernel):
    ...         return self.share * np.ptp(x, axis=1).max(axis=1)
    >>> x = np.array([[0.0], [1.0], [4.0]])
    >>> bool((fr.gram(x, bandwidth=Range()) == fr.gram(x, bandwidth=2.0)).all())
    True
    """

    def __init_subclass__(cls) -> None:
        """Ask a class that has widths of its own for these; no other class speaks for how it is coded."""
        super().__init_subclass__()
        if "find" in vars(cls) and "_known" not in vars(cls):
            cls._known = Bandwidth._known  # type: ignore[method-assign]
        if "_code" not in vars(cls):
            cls._code = Bandwidth._code  # type: ignore[method-assign]

    def _known(self, batch: tuple[int, ...], n: int, d: int) -> float | Array | None:
        """Return the width, or widths of the batch shape, where they do not depend on the data.

        A rule that cannot serve so many samples says so here, before numbers are looked at.
        """
        return None

    def _code(self) -> Code | None:
        """Return it as what an operation of PyTorch can be given, which ``decode`` reads; None of a user's own."""
        return None

    @abstractmethod
    def find(self, x: Array, kernel: str) -> Array:
        """Return one width, not negative, for each of the b sample sets in x (b, n, d).

        Those of fastrenyi take arrays of any library and give float64 ones of the same.
        """

    def _found(self, x: Array, kernel: str) -> Array:
        """Return what ``find`` gives, if it is widths: float64 in the memory of x."""
        with np.errstate(over="ignore", invalid="ignore"):  # a width that is not finite is refused by name
            if self._code() is not None:
                return self.find(x, kernel)
            on, name = kernels_for(x), f"{type(self).__name__}.find"
            if not has_numbers(x):
                _check.kind_error("bandwidth", "a rule of fastrenyi in a CUDA graph", self, "find the widths before")
            given: Any = self.find(wrap(x), kernel)
            found = given if is_array(given) else np.asarray(_check.listed(given, name))
        if home_of(found).dtype not in BITS and not home_of(found).dtype.startswith(("int", "uint")):
            _check.kind_error(name, "an array of numbers", f"{type(given).__name__} of dtype {home_of(found).dtype}")
        if tuple(found.shape) != (len(x),):
            expected = f"one width for each sample set, of shape ({len(x)},)"
            _check.value_error(name, expected, f"shape {tuple(found.shape)}")
        return on.here(found, "float64")


@dataclass(frozen=True, eq=False, repr=False)
class Given(Bandwidth):
    """Widths that the caller has chosen: one for all, or one for each sample set."""

    value: Any

    def __eq__(self, other: object) -> bool:
        """Whether other is the same widths."""
        return isinstance(other, Given) and key(self.value) == key(other.value)

    def __hash__(self) -> int:
        """Return a hash of the numbers, which an array must keep as long as the hash is used."""
        return hash(key(self.value))

    def __repr__(self) -> str:
        """Return what was given."""
        return repr(self.value)

    def _known(self, batch: tuple[int, ...], n: int, d: int) -> float | Array | None:
        shape = tuple(self.value.shape) if is_array(self.value) else ()
        if shape and shape != batch:
            _check.value_error("bandwidth", f"one width, or widths of shape {batch}", f"shape {shape}")
        return self.value

    def find(self, x: Array, kernel: str) -> Array:
        """Return nothing: they are known."""
        raise AssertionError("known")


@dataclass(frozen=True, eq=False, repr=False)
class Found(Given):
    """A width that a rule has found before: unlike a given one it may be zero, the narrow limit."""
