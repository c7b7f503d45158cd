"""Calls that take long, or more memory than is free, say so before they begin."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import fastrenyi as fr
from fastrenyi import _cost
from fastrenyi._cost import announce_gram, announce_spectra, free_bytes


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cost._backend, "threads", lambda: 2)
    monkeypatch.setattr(_cost, "free_bytes", lambda: 8 * 2**30)


def test_a_long_spectrum(threads: None) -> None:
    with pytest.warns(
        UserWarning,
        match=r"^a spectrum of n = 20,000 will take about 5 minutes; for an estimate ",
    ):
        announce_spectra(1, 20_000, 8)
    with pytest.warns(
        UserWarning, match=r"^400,000 spectra of n = 200 will take 119 GiB of memory, of which 8 are free "
    ):
        announce_spectra(400_000, 200, 8)
    with pytest.warns(UserWarning, match=r"about 11 hours"):
        announce_spectra(1, 100_000, 8)


def test_a_large_gram(threads: None) -> None:
    with pytest.warns(
        UserWarning, match=r"^a Gram of n = 60,000 will take 26.8 GiB of memory, of which 8 are free and"
    ):
        announce_gram((1, 60_000, 784), 8)


def test_what_is_quick_and_small_is_not_told(threads: None) -> None:
    announce_spectra(512, 100, 8)
    announce_spectra(1, 8192, 8)
    announce_gram((1, 10_000, 784), 8)


def test_what_a_user_calls_is_told_where_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cost, "_LONG", 1e-12)
    x = np.random.default_rng().normal(size=(20, 3))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        a = fr.gram(x)
        fr.entropy(a)
        fr.joint_entropy(a, a)
        fr.spectrum(a)
        fr.gram(np.arange(20), kernel="delta")
    assert [str(w.message).partition(" will")[0] for w in told] == [
        "a Gram of n = 20", "a spectrum of n = 20", "a spectrum of n = 20", "a spectrum of n = 20", "a Gram of n = 20",
    ]  # fmt: skip
    assert {w.filename for w in told} == {__file__}


def test_free_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container its limit counts, and not the machine's memory."""
    here = free_bytes()
    assert here is None or here > 2**20
    most, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.setattr(_cost, "_CGROUPS", ((str(most), str(used)),))
    most.write_text("3000000")
    used.write_text("1000000")
    assert free_bytes() == 2_000_000
    most.write_text("max")
    assert free_bytes() != 2_000_000
