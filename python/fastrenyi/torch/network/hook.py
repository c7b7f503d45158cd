"""Hooks that stay with the model they were hung on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["Hook"]


class Hook:
    """A hook of ours, which does nothing in a copy of the model: an average of weights, or one that is saved."""

    def __init__(self, act: Callable[..., Any]) -> None:
        """Keep what is to be done."""
        self._act = act

    def __call__(self, *args: Any) -> Any:
        """Do it."""
        return self._act(*args)

    def __deepcopy__(self, memo: object) -> Callable[..., None]:
        """Nothing, in a copy."""
        return nothing

    def __reduce__(self) -> tuple[Any, ...]:
        """Nothing, in what is saved."""
        return functools.partial, (nothing,)


def nothing(*args: object) -> None:
    """Stand in a copy for what was hooked up to the model itself."""
