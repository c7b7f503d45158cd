"""The errors that are our own; all others are TypeError and ValueError."""

from __future__ import annotations

__all__ = ["BackendUnavailableError", "NotPositiveSemidefiniteError"]


class NotPositiveSemidefiniteError(ValueError):
    """A matrix given as a Gram has an eigenvalue below what rounding explains.

    ``eigenvalue`` is the lowest one found.
    """

    def __init__(self, message: str, eigenvalue: float) -> None:
        super().__init__(message)
        self.eigenvalue = eigenvalue

    def __reduce__(self) -> tuple[type[NotPositiveSemidefiniteError], tuple[str, float]]:
        """Survive the way out of a worker process."""
        return type(self), (str(self), self.eigenvalue)


class BackendUnavailableError(RuntimeError):
    """No compiled module of this installation serves the device an array is on."""
