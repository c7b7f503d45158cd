"""Large Grams on the ranks of a process group: the answers of one process, and errors for all of them."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastrenyi as fr

pytest.importorskip("torch")
distributed = pytest.importorskip("torch.distributed")
if not (distributed.is_available() and distributed.is_gloo_available()):
    pytest.skip("PyTorch without gloo", allow_module_level=True)

BEGIN = """
import datetime, os, pickle, sys
import numpy as np, torch
import torch.distributed as dist
import fastrenyi as fr
from fastrenyi.large import matrix, run
rank, count, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(1)
run._AT_ONCE = run._AT_LAST = 1
matrix._TILE = 90
dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=count,
                        timeout=datetime.timedelta(seconds=20))
group = dist.group.WORLD
x = np.random.default_rng(5).normal(size=(401, 3)) * [1, 2, 0.5]
labels = np.arange(401) % 3
def own(values):
    cuts = [0, 100, 150, 300, 401] if count == 4 else [0, 250, 401]
    return values[cuts[rank]:cuts[rank + 1]]
def done(found):
    with open(f"{folder}/{rank}", "wb") as file:
        pickle.dump(found, file)
    globals().pop("group")
    dist.destroy_process_group()
"""


def started(tmp_path: Path, count: int, body: str, first: str = "") -> list[subprocess.Popen[bytes]]:
    """Processes that run a script, each with what it says on stderr in a file."""
    (tmp_path / "script.py").write_text(first + BEGIN + textwrap.dedent(body))
    processes = []
    for rank in range(count):
        command = [sys.executable, str(tmp_path / "script.py"), str(rank), str(count), str(tmp_path)]
        with (tmp_path / f"stderr{rank}").open("wb") as told:
            processes.append(subprocess.Popen(command, stderr=told))
    return processes


def of_all(tmp_path: Path, count: int, body: str, first: str = "") -> list[Any]:
    """What each rank found."""
    codes = [process.wait(timeout=240) for process in started(tmp_path, count, body, first)]
    assert not any(codes), (tmp_path / f"stderr{int(np.flatnonzero(codes)[0])}").read_text()
    return [pickle.loads((tmp_path / str(rank)).read_bytes()) for rank in range(count)]


@pytest.mark.parametrize("count", [2, 4])
def test_the_answer_is_that_of_one_process(tmp_path: Path, count: int, estimating: None) -> None:
    body = """
    lazy = fr.lazy_gram(own(x), bandwidth=1.0, group=group)
    whole = fr.lazy_gram(x, "laplacian", bandwidth=2.0, group=group, sharded=False)
    told = fr.lazy_gram(own(labels), "delta", group=group)
    how = fr.Estimation(tol=0.02)
    orders = [0.8, 1.01, 2, 3, float("inf")]
    v = np.arange(401.0)
    # The last one with memory in which the tiles of some ranks fit, and those of others do not.
    found = [fr.entropy(lazy, orders, estimate=how),
             fr.mutual_information(lazy, whole, alpha=[1.01, 1.5], estimate=how),
             fr.conditional_entropy(lazy, told, alpha=1.01, estimate=how)]
    single = fr.entropy(lazy, 1.5, estimate=fr.Estimation(tol=0.05, memory=3.25e5 if count == 2 else 1.6e5))
    done([(np.array(e.value), np.array(e.low), np.array(e.high), e.columns) for e in [*found, single]]
         + [lazy @ v, repr(lazy.rows)])
    """
    found = of_all(tmp_path, count, body)
    x = np.random.default_rng(5).normal(size=(401, 3)) * [1, 2, 0.5]
    lazy, whole = fr.lazy_gram(x, bandwidth=1.0), fr.lazy_gram(x, "laplacian", bandwidth=2.0)
    told = fr.lazy_gram(np.arange(401) % 3, "delta")
    how = fr.Estimation(tol=0.02)
    alone = [
        fr.entropy(lazy, [0.8, 1.01, 2, 3, float("inf")], estimate=how),
        fr.mutual_information(lazy, whole, alpha=[1.01, 1.5], estimate=how),
        fr.conditional_entropy(lazy, told, alpha=1.01, estimate=how),
        fr.entropy(lazy, 1.5, estimate=fr.Estimation(tol=0.05)),
    ]
    for rank, answers in enumerate(found):
        for (*numbers, columns), expected in zip(answers[:-2], alone, strict=True):
            for number, one in zip(numbers, (expected.value, expected.low, expected.high), strict=True):
                np.testing.assert_allclose(number, one, rtol=0, atol=1e-6)
            assert columns == expected.columns
        np.testing.assert_allclose(answers[-2], lazy @ np.arange(401.0), rtol=1e-12)
        assert answers[-1] == f"rank {rank} of {count}"
    for answers in found[1:]:
        for one, other in zip(found[0][:-2], answers[:-2], strict=True):
            for number, same in zip(one, other, strict=True):
                np.testing.assert_array_equal(number, same)


def test_an_error_on_one_rank_is_one_on_all(tmp_path: Path) -> None:
    body = """
    told = []
    def refused(call):
        try:
            call()
        except (ValueError, TypeError) as error:
            told.append(f"{type(error).__name__} {error}")
    x[300, 1] = np.nan
    refused(lambda: fr.lazy_gram(own(x), bandwidth=1.0, group=group))
    refused(lambda: fr.lazy_gram(own(x) if rank == 0 else None, bandwidth=1.0, group=group))
    refused(lambda: fr.lazy_gram(own(labels)[:, None].repeat(rank + 1, 1), bandwidth=1.0, group=group))
    refused(lambda: fr.lazy_gram(own(labels)[:, None], bandwidth=1.0, group=group, sharded=False))
    noise = np.random.default_rng(0).normal(size=(301, 301))
    noise = (noise + noise.T) / 301
    np.fill_diagonal(noise, 1 / 301)
    far = fr.lazy_gram(np.arange(301.0)[:, None], bandwidth=1e3, group=group, sharded=False)
    refused(lambda: fr.joint_entropy(noise, far))
    refused(lambda: fr.mutual_information(fr.lazy_gram(x[:9], bandwidth=1.0),
                                          fr.lazy_gram(x[:9], bandwidth=1.0, group=group, sharded=False)))
    refused(lambda: fr.lazy_gram(x[:9], group="all"))
    done(told)
    """
    first, second = of_all(tmp_path, 2, body)
    expected = [
        "ValueError x: expected finite numbers, got nan at index (300, 1)",
        "TypeError x: expected an array",
        "ValueError x: expected samples of as many features on each rank, got shapes [(250, 1), (151, 2)]",
        "ValueError x: expected the same samples on each rank",
        "NotPositiveSemidefiniteError grams[0], grams[1]: expected positive semidefinite",
        "ValueError b: expected a lazy Gram of the same group as a",
        "TypeError group: expected a process group",
    ]
    for told in (first, second):
        assert len(told) == len(expected)
        for message, beginning in zip(told, expected, strict=True):
            assert message.startswith(beginning), message


def test_a_rank_that_dies_ends_the_others(tmp_path: Path) -> None:
    body = """
    big = np.random.default_rng(0).normal(size=(3000, 3))
    lazy = fr.lazy_gram(big, bandwidth=0.3, group=group, sharded=False)
    open(f"{folder}/begun{rank}", "w").close()
    while True:
        fr.entropy(lazy, 1.01, estimate=fr.Estimation(tol=1e-4, solve=0))
    """
    processes = started(tmp_path, 2, body)
    for _ in range(600):
        if (tmp_path / "begun1").exists():
            break
        time.sleep(0.1)
    time.sleep(0.5)
    processes[1].send_signal(signal.SIGKILL)
    assert processes[0].wait(timeout=60) > 0  # of which the group's timeout is 20 seconds
    processes[1].wait()
    assert "Error" in (tmp_path / "stderr0").read_text()


def test_a_gram_does_not_keep_its_group(tmp_path: Path) -> None:
    """Its threads end with destroy_process_group, and not while Python does."""
    body = """
    import weakref
    lazy = fr.lazy_gram(own(x), bandwidth=1.0, group=group)
    other = fr.lazy_gram(own(x), bandwidth=2.0, group=group)
    ended, equal = weakref.ref(group), lazy.rows == other.rows
    done([])
    told = []
    try:
        fr.entropy(lazy)
    except ValueError as error:
        told.append(str(error))
    with open(f"{folder}/{rank}", "wb") as file:
        pickle.dump((ended() is None, equal, lazy.rows == other.rows, told), file)
    """
    before_the_group = "import fastrenyi.torch"  # the compiler that it loads has defaults that hold one which is there
    for is_gone, *are_equal, told in of_all(tmp_path, 2, body, before_the_group):
        assert is_gone
        assert are_equal == [True, True]
        assert told == [
            "group: expected the process group that the lazy Gram was made in, got one that is destroyed; "
            "compute before torch.distributed.destroy_process_group"
        ]


def test_no_group() -> None:
    with pytest.raises(ValueError, match=r"^group: expected a process group .*init_process_group first"):
        fr.lazy_gram(np.ones((3, 1)), group=object())
    with pytest.raises(TypeError, match=r"^sharded: expected True or False"):
        fr.lazy_gram(np.ones((3, 1)), sharded="no")  # type: ignore[arg-type]
