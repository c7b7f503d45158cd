"""The logger "fastrenyi", and what long work says of how far it is."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["LOGGER", "tell", "waiting"]

LOGGER = logging.getLogger("fastrenyi")
_PATIENCE, _STEP = 3.0, 1.0  # seconds before a word is said, and between two


def tell(text: str, *, asked: bool) -> None:
    """Log how far some work is, at INFO where the caller has asked for it, else at DEBUG.

    What was asked for is not to go nowhere: where no handler takes it, it is written to stderr.
    """
    level = logging.INFO if asked else logging.DEBUG
    if LOGGER.hasHandlers() and LOGGER.isEnabledFor(level):
        LOGGER.log(level, text)
    elif asked:
        print(f"fastrenyi: {text}", file=sys.stderr, flush=True)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on a terminal for how long work of unknown length has gone on, and nothing of what is quick."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    clock = threading.Thread(target=_clock, args=(what, done), daemon=True)
    clock.start()
    try:
        yield
    finally:
        done.set()
        clock.join()


def _clock(what: str, done: threading.Event) -> None:
    start, wait, shown = time.monotonic(), _PATIENCE, ""
    while not done.wait(wait):
        shown = f"{what}: at work for {time.monotonic() - start:.0f} s"
        print(f"\r{shown}", end="", file=sys.stderr, flush=True)
        wait = _STEP
    if shown:
        print(f"\r{' ' * len(shown)}\r", end="", file=sys.stderr, flush=True)
