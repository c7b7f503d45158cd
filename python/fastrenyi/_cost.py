"""What a call will take of this machine, said before a long one begins."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from fastrenyi import _backend, _core

__all__ = ["announce_gram", "announce_spectra", "free_bytes", "outside"]

# Seconds of one thread, as measured in benchmarks/README.md: they tell minutes from hours, not more.
_PER_PAIR, _PER_FEATURE, _PER_CUBE = 1e-8, 8e-11, 8e-11
_LONG = 60.0
_SMALL = 2**28  # bytes that nobody need be asked for
_WAY_OUT = "for an estimate with its interval pass fastrenyi.lazy_gram(x), or a Gram with estimate=0.01, to a measure"
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def announce_gram(shape: tuple[int, ...], itemsize: int) -> None:
    """Warn if the Grams of samples (b, n, d) take long, or more memory than is free."""
    count, n, d = shape
    elements = count * n * n
    what = f"{_some(count, 'Gram')} of n = {n:,}"
    _announce(what, elements * (_PER_PAIR + d * _PER_FEATURE), elements * itemsize)


def announce_spectra(count: int, n: int, itemsize: int) -> None:
    """Warn if the eigenvalues of so many matrices take long, or more memory than is free: a copy of one, or of all."""
    _announce(f"{_some(count, 'spectrum', 'spectra')} of n = {n:,}", count * n**3 * _PER_CUBE, count * n * n * itemsize)


def free_bytes() -> int | None:
    """Return the bytes that can be had without swapping, in a container those of its limit; None where nothing says."""
    found = [
        int(line.split()[1]) * 1024
        for line in (_text("/proc/meminfo") or "").splitlines()
        if line.startswith("MemAvailable:")
    ]
    for limit, used in _CGROUPS:
        most, now = _text(limit), _text(used)
        if most and now and most.strip().isdigit():
            found.append(max(0, int(most) - int(now)))
    return min(found) if found else None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return None


def _announce(what: str, thread_seconds: float, size: int) -> None:
    seconds = thread_seconds / (_backend.threads() or _core.max_threads())
    told = []
    if size > _SMALL and (free := free_bytes()) is not None and size > free:
        told.append(f"{size / 2**30:.3g} GiB of memory, of which {free / 2**30:.3g} are free")
    if seconds > _LONG:
        told.append(f"about {_time(seconds)}")
    if told:
        warnings.warn(f"{what} will take {' and '.join(told)}; {_WAY_OUT}", stacklevel=outside())


def _some(count: int, one: str, many: str = "") -> str:
    return f"a {one}" if count == 1 else f"{count:,} {many or one + 's'}"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.0f} hours"


def outside() -> int:
    """Return the stack level of the first frame that is not the library's, for a warning of the caller."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "fastrenyi":
        level, frame = level + 1, frame.f_back
    return level
