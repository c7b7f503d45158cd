"""The logger "fastrenyi": what long work says of how far it is."""

from __future__ import annotations

import logging
import sys

__all__ = ["LOGGER", "tell"]

LOGGER = logging.getLogger("fastrenyi")


def tell(text: str, *, asked: bool) -> None:
    """Log how far some work is, at INFO where the caller has asked for it, else at DEBUG.

    What was asked for is not to go nowhere: where no handler takes it, it is written to stderr.
    """
    level = logging.INFO if asked else logging.DEBUG
    if LOGGER.hasHandlers() and LOGGER.isEnabledFor(level):
        LOGGER.log(level, text)
    elif asked:
        print(f"fastrenyi: {text}", file=sys.stderr, flush=True)
