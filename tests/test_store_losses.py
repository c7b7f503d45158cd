"""What may happen to a store: full disks, processes killed, bits flipped. Nothing that counted is lost."""

import os
import resource
import shutil
import signal
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402
from fastrenyi.table.files import read  # noqa: E402
from fastrenyi.table.store import Store  # noqa: E402
from stores import model, probe, rows_of  # noqa: E402

# Random networks and six samples: to some of the kernels these are all apart, or the same.
pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


def limited_to(size, call):
    """Call where no file may grow beyond a size, as on a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        call()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_the_old_table(path):
    store = Store(path, {})
    store.append(rows_of(0, 20))
    before = store.frame
    with pytest.raises(fr.StoreError, match=r"^store: .*run\.db: .*the rows measured so far are in Monitor\.frame\(\)"):
        limited_to(path.stat().st_size, lambda: store.append(rows_of(1, 2000)))
    assert store.steps == [0]
    pd.testing.assert_frame_equal(store.frame, before)
    pd.testing.assert_frame_equal(read(path)[0], before)
    store.append(rows_of(1, 2000))  # not measured yet, so it can be
    assert Store(path, {}).steps == [0, 1]


def test_a_folder_that_is_removed(path):
    path = path.parent / "runs" / "run.db"
    path.parent.mkdir()
    monitor = frt.Monitor(model(), probe(), store=path)
    monitor.measure(0)
    before = monitor.frame()
    shutil.rmtree(path.parent)
    with pytest.raises(fr.StoreError, match=r"^store: .*run\.db"):
        monitor.measure(1)
    pd.testing.assert_frame_equal(monitor.frame(), before)
    path.parent.mkdir()
    with pytest.raises(fr.StoreError, match=r"^store: .*run\.db"):  # it would begin with step 1
        monitor.measure(1)
    assert not path.exists()


def test_an_interrupted_commit_is_found_again(path, monkeypatch):
    """An exception between the last word to the disk and the first to memory."""
    from fastrenyi.table import database

    store = Store(path, {})
    append = database.append

    def interrupted(*args):
        append(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(database, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.append(rows_of(0))
    assert store.steps == [0]
    store.append(rows_of(1))
    assert Store(path, {}).steps == [0, 1]


@pytest.mark.parametrize("where", ["layer", "commit"])
def test_an_interrupted_measurement_says_what_was_dropped(path, monkeypatch, where):
    from fastrenyi.torch import measurement as room

    monitor = frt.Monitor(model(), probe(), store=path)
    monitor.measure(0)

    def interrupted(*args):
        raise KeyboardInterrupt

    def after_one(*args):
        yield from [next(of_batch(*args))]
        raise KeyboardInterrupt

    of_batch, append = room.of_batch, Store.append
    with monkeypatch.context() as patch:
        if where == "layer":
            patch.setattr(room, "of_batch", after_one)
            expected = r"^step 1 was dropped whole; Monitor\.measure\(1\) measures it again$"
        else:
            patch.setattr(Store, "append", lambda *args, **more: (append(*args, **more), interrupted()))
            expected = "^step 1 was kept whole$"
        with pytest.raises(KeyboardInterrupt, match=expected):
            monitor.measure(1)
    assert monitor.steps == ([0] if where == "layer" else [0, 1])
    monitor.measure(2)
    assert Store(path, monitor.settings).steps == monitor.steps


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from fastrenyi.table.columns import COLUMNS, table
from fastrenyi.table.files import read
from fastrenyi.table.store import Store

path, kills = Path(sys.argv[1]), int(sys.argv[2])
random.seed(int(sys.argv[3]))
rows = lambda step: table([dict.fromkeys(COLUMNS, 0.5) | {"step": step, "layer": "fc"}] * 20)
acknowledged = -1
for kill in range(kills):
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        store = Store(path, {})
        os.write(into, b"r")
        step = len(store.steps)
        while True:
            store.append(rows(step))
            os.write(into, step.to_bytes(4, "big"))
            step += 1
    os.close(into)
    told = b"".join(os.read(out, size) for size in [1] + [4] * random.randrange(3))  # that it is ready, and steps
    time.sleep(random.random() * 0.03)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told = b"".join([told, *iter(lambda: os.read(out, 4096), b"")])[1:]
    os.close(out)
    if told:
        acknowledged = int.from_bytes(told[-4:], "big")
    counts = read(path)[0].groupby("step").size() if acknowledged >= 0 else {}
    steps = sorted(counts.keys())
    assert steps == list(range(len(steps))), steps
    assert acknowledged + 1 <= len(steps) <= acknowledged + 2, (acknowledged, steps)
    assert all(counts[step] == 20 for step in steps)
    acknowledged = len(steps) - 1
print(acknowledged + 1)
"""


def test_processes_killed_at_random_moments_lose_nothing(path, rng):
    kills = int(os.environ.get("FASTRENYI_TEST_KILLS", "40"))
    command = [sys.executable, "-c", KILLED, str(path), str(kills), str(rng.integers(2**31))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > kills // 4  # and so most were killed at work


def test_a_flipped_bit_is_found_or_changes_nothing(path, rng):
    """Of 400 single bits none gives other rows, or an error of somebody else's."""
    monitor = frt.Monitor(model(), probe(), store=path)
    for step in range(5):
        monitor.measure(step)
    monitor.close()
    expected, content = monitor.frame(), path.read_bytes()
    settings, found = monitor.settings, 0
    for place in rng.choice(8 * len(content), 400, replace=False):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        try:
            frame, kept = read(path)
        except fr.StoreError as error:
            found += str(error).startswith(f"store: {path}: ")
        else:
            pd.testing.assert_frame_equal(frame, expected)
            assert kept == settings
    assert found > 100


def test_appending_touches_the_end_of_the_file_alone(path):
    """Of a table of a hundred times as many rows no more pages are written."""
    touched = []
    for count in (100, 10_000):
        place = path.with_name(f"{count}.db")
        store = Store(place, {})
        store.append(rows_of(0, count))
        file, before = place.stat().st_ino, place.read_bytes()
        store.append(rows_of(1))
        after = place.read_bytes()
        assert place.stat().st_ino == file
        pages = range(0, len(after), 4096)
        touched.append(sum(before[at : at + 4096] != after[at : at + 4096] for at in pages))
    assert max(touched) <= 6  # the head of the file, that of the table, the way down to its end, and what is new
    assert len(after) > 100 * 4096
