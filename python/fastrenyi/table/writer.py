"""Who may write to a store: one process at a time, in which threads are served in turn."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import threading
import time
import weakref
from pathlib import Path

from fastrenyi._errors import StoreError
from fastrenyi.table.database import naming

__all__ = ["Writer", "writer"]


_PATIENCE = 10  # times


class Writer:
    """The right of this process to write to a store, from the first time that it is asked for.

    A record lock on a file beside the store, which says whose it is. The system takes it back from a process that ends,
    however it ends, and does not give it to forked children.
    """

    def __init__(self, store: Path) -> None:
        """Ask for nothing yet."""
        self.turn = threading.RLock()
        self.turns = 0
        """How often this process has begun to write, by which its Monitors see that another one of them has."""
        self._store = store
        self._path = store.with_name(f"{store.name}-lock")
        self._owner = 0
        self._give_back: weakref.finalize[..., Writer] | None = None

    @property
    def held(self) -> bool:
        """Whether this process has it; a forked child does not have what its parent has."""
        return self._give_back is not None and self._give_back.alive and self._owner == os.getpid()

    def take(self) -> None:
        """Take it for this process; StoreError if another one has it."""
        if self.held:
            return
        with naming(self._store, "name a file in a folder that can be written to"):
            while True:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                try:
                    self._lock(descriptor, _PATIENCE)
                    if _is_at(descriptor, self._path):
                        os.ftruncate(descriptor, 0)
                        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
                        break
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)  # whoever had it has removed the file meanwhile
        self._owner = os.getpid()
        self._give_back = weakref.finalize(self, _release, descriptor, self._path, self._owner)

    def refuse_others(self) -> None:
        """Raise StoreError if another process has it now."""
        if self.held or not self._path.exists():
            return
        with naming(self._store, "name a file in a folder that can be written to"):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            try:
                self._lock(descriptor)
            finally:
                os.close(descriptor)

    def let_go(self) -> None:
        """Give it back."""
        if self.held and self._give_back is not None:
            self._give_back()

    def _lock(self, descriptor: int, patience: int = 0) -> None:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            if patience > 0:  # who only looks whether it is taken has it for a moment
                time.sleep(0.02)
                self._lock(descriptor, patience - 1)
                return
            who = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
            raise StoreError(
                f"store: {self._store}: expected a store that no other process writes to, got one that {who} has; "
                "name another file, measure in one process alone, or end the other one (Monitor.close() gives it back)"
            ) from None


_WRITERS: weakref.WeakValueDictionary[Path, Writer] = weakref.WeakValueDictionary()
_finding = threading.Lock()


def writer(store: Path) -> Writer:
    """Return the one Writer that this process has for a store, so that its Monitors do not meet as strangers."""
    place = store.resolve()
    with _finding:
        found = _WRITERS.get(place)
        if found is None:
            found = _WRITERS[place] = Writer(place)
        return found


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _release(descriptor: int, path: Path, owner: int) -> None:
    if os.getpid() == owner and _is_at(descriptor, path):  # and not where a forked child ends
        path.unlink()
    os.close(descriptor)
