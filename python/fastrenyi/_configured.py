"""What is shown, compared and hashed by the arguments that it was made with: kernels and rules for their widths."""

from __future__ import annotations

import inspect
from typing import Any

from fastrenyi import _check
from fastrenyi._array import key

__all__ = ["Configured"]


class Configured:
    """Its class keeps each argument of ``__init__`` as an attribute of the same name, as dataclasses do."""

    def _settings(self) -> dict[str, Any]:
        found = {}
        for name, parameter in inspect.signature(type(self)).parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                expected = "an __init__ whose arguments have names"
                _check.kind_error(type(self).__name__, expected, str(parameter), "name each setting")
            if not hasattr(self, name):
                expected = f"the argument {name!r} of __init__ as an attribute of that name"
                _check.kind_error(type(self).__name__, expected, "none", f"write self.{name} = {name}")
            found[name] = getattr(self, name)
        return found

    def _key(self) -> tuple[Any, ...]:
        return type(self), *((name, key(value)) for name, value in self._settings().items())

    def __eq__(self, other: object) -> bool:
        """Whether other is of the same class and settings; of arrays the numbers count."""
        return type(self) is type(other) and isinstance(other, Configured) and self._key() == other._key()

    def __hash__(self) -> int:
        """Return a hash of the settings, whose arrays must keep their numbers as long as it is used."""
        return hash(self._key())

    def __repr__(self) -> str:
        """Return the call that makes it."""
        listed = ", ".join(f"{name}={value!r}" for name, value in self._settings().items())
        return f"{type(self).__name__}({listed})"
