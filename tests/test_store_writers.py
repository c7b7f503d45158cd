"""Who writes to a store: one process at a time, in which threads and Monitors take turns."""

import copy
import math
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from conftest import run_python

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402
from fastrenyi.table.columns import COLUMNS, table  # noqa: E402
from fastrenyi.table.files import read  # noqa: E402
from fastrenyi.table.store import Store  # noqa: E402
from stores import model, probe, rows_of  # noqa: E402

# Random networks and six samples: to some of the kernels these are all apart, or the same.
pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


WRITER = """
import sys
from pathlib import Path
from fastrenyi.table.columns import COLUMNS, table
from fastrenyi.table.store import Store
store = Store(Path(sys.argv[1]), {})
print("ready", flush=True)
for line in sys.stdin:
    step = int(line)
    try:
        store.append(table([dict.fromkeys(COLUMNS, 0.5) | {"step": step, "layer": "fc"}]))
        print("kept", flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)
"""


class Other:
    """Another process that writes to the store when it is told to."""

    def __init__(self, path):
        command = [sys.executable, "-c", WRITER, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def append(self, step):
        self.process.stdin.write(f"{step}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def other(path):
    process = Other(path)
    yield process
    process.kill()


def test_a_second_process_is_refused_until_the_first_lets_go(path, other):
    store = Store(path, {})
    store.append(rows_of(0))
    told = other.append(1)
    assert told.startswith(f"StoreError store: {path}: expected a store that no other process writes to, got one that")
    assert f"process {os.getpid()} on " in told
    assert "Monitor.close()" in told
    assert read(path)[0]["step"].tolist() == [0]
    store.close()
    assert other.append(1) == "kept"
    assert store.steps == [0, 1]  # what another process has written is seen
    with pytest.raises(fr.StoreError, match=rf"process {other.process.pid} on "):
        store.append(rows_of(2))
    with pytest.raises(fr.StoreError, match=rf"process {other.process.pid} on "):
        Store(path, {})  # said before a training begins
    other.kill()  # which gives it back
    store.append(rows_of(2))
    assert Store(path, {}).steps == [0, 1, 2]


def test_a_lost_lock_is_found(path):
    """Whoever removes the lock, two writers do not mix their rows."""
    from fastrenyi.table import database

    store = Store(path, {})
    store.append(rows_of(0))
    database.append(path, rows_of(1), {}, store._head, store._checksum)  # as another process would
    with pytest.raises(fr.StoreError, match="was changed by another process meanwhile"):
        database.append(path, rows_of(2), {}, store._head, store._checksum)
    assert Store(path, {}).steps == [0, 1]


def test_the_folder_of_the_process_may_change(path, monkeypatch):
    for name in "ab":
        (path.parent / name).mkdir()
        Store(path.parent / name / "run.db", {}).append(rows_of(ord(name)))
    monkeypatch.chdir(path.parent / "a")
    store = Store(Path("run.db"), {})
    monkeypatch.chdir(path.parent / "b")
    store.append(rows_of(0))
    assert Store(path.parent / "a" / "run.db", {}).steps == [0, ord("a")]
    assert Store(path.parent / "b" / "run.db", {}).steps == [ord("b")]


def test_numbers_that_sqlite_does_not_keep_as_they_are(path):
    values = [-0.0, math.nan, math.inf, -math.inf, 5e-324, 1.0, -1e308]
    known = {"batch": 0, "layer": "fc", "depth": 0, "channels": 1, "samples": 2, "saturated": False, "dead": True}
    known |= {
        "permutations": 0,
        "pair_permutations": 0,
        "pairs": 0,
        "not_finite": "",
        "activation": "",
        "input_via": "",
        "error_via": "",
    }
    known |= {"method": "", "part": "", "channel_dim": -1}
    frame = table([dict.fromkeys(COLUMNS, value) | known | {"step": k} for k, value in enumerate(values)])
    Store(path, {}).append(frame)
    pd.testing.assert_frame_equal(read(path)[0], frame)


def test_a_monitor_that_is_gone_lets_go(path, other):
    store = Store(path, {})
    store.append(rows_of(0))
    del store
    assert other.append(1) == "kept"


def test_a_forked_child_does_not_have_what_its_parent_has(path):
    output = run_python(f"""
        import os
        from pathlib import Path
        from fastrenyi.table.columns import COLUMNS, table
        from fastrenyi.table.store import Store
        rows = lambda step: table([dict.fromkeys(COLUMNS, 0.5) | {{"step": step, "layer": "fc"}}])
        store = Store(Path({str(path)!r}), {{}})
        if os.fork() == 0:  # of a parent that has not written, as in a launcher
            store.append(rows(0))
            os._exit(0)
        os.wait()
        store.append(rows(1))
        if os.fork() == 0:
            try:
                store.append(rows(2))
            except ValueError as error:
                print(f"process {{os.getppid()}} on" in str(error), flush=True)
            raise SystemExit  # with all that is done at an exit
        os.wait()
        store.append(rows(3))
        print(store.steps, os.listdir(os.path.dirname({str(path)!r})))
    """)
    assert output == "True\n[0, 1, 3] ['run.db', 'run.db-lock']\n" or output == (
        "True\n[0, 1, 3] ['run.db-lock', 'run.db']\n"
    )


def test_monitors_of_one_process_share_the_store(path):
    """As in a notebook, where a cell that makes a Monitor is run again while the old one is there."""
    first, second = (frt.Monitor(model(), probe(), store=path) for _ in range(2))
    first.measure(0)
    second.measure(1)
    assert first.steps == second.steps == [0, 1]
    with pytest.raises(ValueError, match=r"^step: .*got 1"):
        first.measure(1)
    pd.testing.assert_frame_equal(first.frame(), second.frame())
    del second
    first.measure(2)
    assert Store(path, first.settings).steps == [0, 1, 2]


@pytest.mark.parametrize("kept", [True, False])
def test_threads_are_served_in_turn(path, kept):
    monitor = frt.Monitor(model(), probe(count=1), store=path if kept else None, null=1)
    threads = [
        threading.Thread(target=lambda k=k: [monitor.measure(step) for step in range(k, 40, 8)]) for k in range(8)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):  # readers see whole measurements
        assert set(monitor.frame().groupby("step").size()) <= {2}
    assert monitor.steps == list(range(40))
    if kept:
        pd.testing.assert_frame_equal(read(path)[0], monitor.frame())


@pytest.mark.parametrize("kept", [True, False])
def test_copies_of_a_monitor(path, kept):
    """A model that holds its Monitor is copied with it, and goes to other processes."""
    monitor = frt.Monitor(model(), probe(), store=path if kept else None)
    monitor.measure(0)
    twin, sent = copy.deepcopy(monitor), pickle.loads(pickle.dumps(monitor))
    for step, one in enumerate((twin, sent, monitor), start=1):
        assert 0 in one.steps
        one.measure(step)
    assert monitor.steps == ([0, 1, 2, 3] if kept else [0, 3])
