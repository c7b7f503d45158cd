"""The errors that are our own; all others are TypeError and ValueError."""

from __future__ import annotations

__all__ = ["BackendUnavailableError", "NotPositiveSemidefiniteError", "StoreError"]


class NotPositiveSemidefiniteError(ValueError):
    """A matrix given as a Gram has an eigenvalue lambda < -max(n, 8) eps lambda_max, below what rounding explains.

    Attributes
    ----------
    eigenvalue : float
        The lowest one found.

    Notes
    -----
    A ValueError. Only where a spectrum is taken is it found: not at order 2 alone. Cost: none of its own.

    eps is that of the dtype in which the numbers were made, as far as they show it: those of a float32 Gram that was
    cast to float64 have no more than 24 significant bits. Where all Grams of a call have the bits of their dtype, it is
    that dtype's, and else the largest of any of them. What was computed from such a cast, as by ``normalize``, shows it
    no more; the message then names a lower dtype that would explain the eigenvalue. Pass the Grams in it if it is the
    one they were made in.

    Examples
    --------
    >>> import numpy as np, fastrenyi as fr
    >>> try:
    ...     fr.entropy(np.diag([1.25, -0.25]))
    ... except fr.NotPositiveSemidefiniteError as error:
    ...     error.eigenvalue
    -0.25
    """

    def __init__(self, message: str, eigenvalue: float) -> None:
        super().__init__(message)
        self.eigenvalue = eigenvalue

    def __reduce__(self) -> tuple[type[NotPositiveSemidefiniteError], tuple[str, float]]:
        """Survive the way out of a worker process."""
        return type(self), (str(self), self.eigenvalue)


class BackendUnavailableError(RuntimeError):
    """No compiled module of this installation serves the device an array is on.

    Notes
    -----
    A RuntimeError. ``fastrenyi info`` on the command line says which modules there are. Cost: none of its own.

    Examples
    --------
    >>> import torch, fastrenyi as fr
    >>> try:
    ...     fr.gram(torch.ones(4, 3, device="meta"))
    ... except fr.BackendUnavailableError as error:
    ...     print(str(error).partition(",")[0])
    x: expected an array on a device that is served
    """


class StoreError(OSError, ValueError):
    """The file of a ``Monitor(store=...)`` cannot be used: for its name, content, settings, disk or writer.

    Notes
    -----
    An OSError and a ValueError, whose message begins with ``store`` and names the file. What was measured before is in
    the file and in ``Monitor.frame()``; what could not be written is in neither, and can be measured again. Cost: none
    of its own.

    Examples
    --------
    >>> import torch, fastrenyi as fr, fastrenyi.torch as frt
    >>> x, y = torch.arange(12.0).reshape(4, 3), torch.arange(4) % 2
    >>> try:
    ...     frt.Monitor(torch.nn.Linear(3, 2), [(x, y)], store="no/such/folder/run.db")
    ... except fr.StoreError as error:
    ...     print(error)
    store: expected a file in an existing folder, got no/such/folder/run.db; create no/such/folder
    """
