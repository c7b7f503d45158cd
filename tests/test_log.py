"""What is said of how far work is: by the logger, as tests/test_large.py has it, and by a clock on a terminal."""

from __future__ import annotations

import io
import threading
import time

import pytest

from fastrenyi import _log


class Terminal(io.StringIO):
    """A stderr that people look at."""

    def isatty(self) -> bool:
        return True


def after_work(stream: io.StringIO, seconds: float, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(_log, "_PATIENCE", 0.05)
    monkeypatch.setattr(_log, "_STEP", 0.01)
    before = threading.active_count()

    def work() -> None:
        with _log.waiting("fastrenyi report"):
            time.sleep(seconds)
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        work()
    assert threading.active_count() == before
    return stream.getvalue()


def test_a_terminal_shows_long_work_and_is_left_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_, last, end = after_work(Terminal(), 0.3, monkeypatch).split("\r")[1:]
    assert first == "fastrenyi report: at work for 0 s"
    assert last == " " * len(first)
    assert end == ""


@pytest.mark.parametrize(("stream", "seconds"), [(Terminal(), 0.0), (io.StringIO(), 0.1)], ids=["quick", "a file"])
def test_nothing_is_said_of_quick_work_nor_to_a_file(
    stream: io.StringIO, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert after_work(stream, seconds, monkeypatch) == ""
