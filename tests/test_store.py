"""The store of a Monitor: continued under the same settings, and on the disk before a measurement counts."""

import copy
import json
import math
import os
import pickle
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from conftest import run_python

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")
from torch import nn  # noqa: E402

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402
from fastrenyi.table.columns import COLUMNS, table  # noqa: E402
from fastrenyi.table.files import export, read  # noqa: E402
from fastrenyi.table.store import Store  # noqa: E402

# Random networks and six samples: to some of the kernels these are all apart, or the same.
pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning")


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


def probe(seed=0, count=2):
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(6, 1, 4, 4, generator=generator), torch.randint(3, (6,), generator=generator))
        for _ in range(count)
    ]


def settings_of(path):
    return read(path)[1]


def rows_of(step, count=1):
    return table([dict.fromkeys(COLUMNS, 0.5) | {"step": step, "batch": 0, "layer": "fc"}] * count)


def stored(path, query):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


def test_the_file_holds_the_table_after_each_measurement(path):
    with frt.Monitor(model(), probe(), store=path) as monitor:
        assert not path.exists()
        for step in (4, 0):
            monitor.measure(step)
            pd.testing.assert_frame_equal(read(path)[0], monitor.frame())
        assert list(monitor.frame().dtypes) == list(table([]).dtypes)
    assert os.listdir(path.parent) == ["run.db"]


def test_any_program_that_knows_sqlite_reads_it(path):
    monitor = frt.Monitor(model(), probe(), store=path)
    monitor.measure(3)
    frame = monitor.frame()
    found = stored(path, "SELECT step, layer, mi_input FROM measurements ORDER BY step, batch, depth")
    assert found == list(frame[["step", "layer", "mi_input"]].itertuples(index=False, name=None))
    # What does not apply is missing, not a number that other readers would average.
    assert stored(path, "SELECT count(*) FROM measurements WHERE mi_error IS NULL") == [(2,)]
    assert np.isnan(frame["mi_error"]).sum() == 2


def test_the_settings_are_kept(path):
    monitor = frt.Monitor(
        model(), probe(), ["3", "0"], path, alpha=2, bandwidth="median", error_bandwidth=0.5, label_kernel=fr.Delta()
    )
    monitor.measure(0)
    kept = settings_of(path)
    assert kept == monitor.settings
    assert len(kept.pop("probe_hash")) == 64
    assert kept == {
        "version": fr.__version__,
        "layers": ["0", "3"],
        "alpha": 2.0,
        "bandwidth": "median",
        "error_bandwidth": 0.5,
        "kernel": "gaussian",
        "kernel_on": "tensor",
        "label_kernel": "Delta(dtype=None)",
        "activations": "after",
        "pairs": True,
        "max_pairs": 1000,
        "errors": "before",
        "loss": None,
        "null": 10,
        "seed": 0,
        "links": None,
        "input": None,
        "output": None,
        "select": {},
        "batch_dim": 0,
        "channel_dim": None,
        "probe_sizes": [6, 6],
    }


def test_a_store_is_continued(path):
    net = model()
    frt.Monitor(net, probe(), store=path).measure(0)
    monitor = frt.Monitor(net, probe(), store=str(path))
    assert monitor.steps == [0]
    with pytest.raises(ValueError, match=r"^step: .*got 0"):
        monitor.measure(0)
    monitor.measure(1)
    whole = frt.Monitor(net, probe())
    whole.measure(0)
    whole.measure(1)
    pd.testing.assert_frame_equal(monitor.frame(), whole.frame())
    pd.testing.assert_frame_equal(read(path)[0], whole.frame())


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"alpha": 2}, ["alpha was 1.01 and is 2.0"]),
        ({"layers": "3"}, ["layers"]),
        ({"activations": "before"}, ["activations was 'after' and is 'before'"]),
        ({"kernel_on": "maps"}, ["kernel_on"]),
        ({"errors": "after"}, ["errors"]),
        ({"null": 3}, ["null was 10 and is 3"]),
        ({"seed": 1}, ["seed"]),
        ({"links": [("0", "3")]}, ["links"]),
        ({"bandwidth": fr.Silverman(4.0)}, ["bandwidth was 'Median(scale=1.0)' and is 'Silverman(scale=4.0)'"]),
        ({"error_bandwidth": 0.1}, ["error_bandwidth"]),
        ({"kernel": "laplacian"}, ["kernel was 'gaussian' and is 'laplacian'"]),
        ({"label_kernel": fr.Delta()}, ["label_kernel"]),
        ({"pairs": False}, ["pairs"]),
        ({"errors": False}, ["errors"]),
        ({"loss": nn.functional.cross_entropy}, ["loss was None and is 'torch.nn.functional.cross_entropy'"]),
        ({"loss": nn.CrossEntropyLoss()}, ["loss was None and is 'CrossEntropyLoss()'"]),
        ({"probe": probe(seed=1)}, ["probe_hash"]),
        ({"probe": probe(count=1)}, ["probe_hash", "probe_sizes was [6, 6] and is [6]"]),
        ({"probe": [(x, 2 - y) for x, y in probe()]}, ["probe_hash"]),
        ({"probe": [(x.view(6, 1, 2, 8), y) for x, y in probe()]}, ["probe_hash"]),
    ],
)
def test_other_settings_are_refused(path, change, names):
    frt.Monitor(model(), probe(), store=path).measure(0)
    content = path.read_bytes()
    options = {"probe": probe(), "store": path, **change}
    with pytest.raises(ValueError, match=r"^store: .*another file") as caught:
        frt.Monitor(model(), **options)
    told = re.search(r"others \((.*)\); give", str(caught.value)).group(1).split("; ")
    assert [part.split(" was")[0] for part in told] == [name.split(" was")[0] for name in names]
    for name in names:
        assert name in str(caught.value)
    assert path.read_bytes() == content


def test_equal_settings_in_other_objects_are_the_same(path):
    def choose(name, module):
        return name in ("0", "3")

    options = {"alpha": 2, "bandwidth": fr.Silverman(3), "loss": nn.CrossEntropyLoss(reduction="sum")}
    frt.Monitor(model(), probe(), choose, path, **options).measure(0)
    options = {"alpha": 2.0, "bandwidth": fr.Silverman(3), "loss": nn.CrossEntropyLoss(reduction="sum")}
    assert frt.Monitor(model(), probe(), ["3", "0"], path, **options).steps == [0]
    infinite = path.with_name("infinite.db")
    for step in range(2):
        frt.Monitor(model(), probe(), store=infinite, alpha=float("inf")).measure(step)


def test_another_version_continues(path):
    settings = {"version": "0.0.1", "alpha": 2.0}
    Store(path, settings).append(rows_of(0))
    Store(path, {**settings, "version": fr.__version__}).append(rows_of(1))
    assert settings_of(path) == {**settings, "version": fr.__version__}


@pytest.mark.parametrize("kind", ["text", "truncated", "foreign", "columns", "format", "folder", "pipe", "device"])
def test_what_is_no_store_is_refused_and_stays(path, kind):
    Store(path, {}).append(rows_of(0))
    whole = path.read_bytes()
    if kind == "text":
        path.write_text("step,batch\n0,0\n")
    elif kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind in ("foreign", "columns", "format"):
        change = {
            "foreign": "PRAGMA application_id=1",
            "columns": "ALTER TABLE measurements DROP COLUMN mi_error",
            "format": "PRAGMA user_version=99",
        }
        stored(path, change[kind])
    elif kind == "device":
        path.unlink()
        path.symlink_to("/dev/null")
    else:
        path.unlink()
        path.mkdir() if kind == "folder" else os.mkfifo(path)
    content = path.read_bytes() if path.is_file() else None
    with pytest.raises(fr.StoreError, match=rf"^store: .*{path.name}.* another file$"):
        Store(path, {})
    assert not path.is_file() if content is None else path.read_bytes() == content


@pytest.mark.parametrize("name", ["x" * 300, "sub/" * 2000 + "run.db"])
def test_a_name_too_long(path, name):
    with pytest.raises(fr.StoreError, match=r"^store: .*name another file$"):
        frt.Monitor(model(), probe(), store=path.parent / name)


def test_an_empty_file_becomes_a_store(path):
    path.write_bytes(b"")
    Store(path, {}).append(rows_of(0))
    assert Store(path, {}).steps == [0]


def test_a_folder_that_is_not_there(path):
    with pytest.raises(ValueError, match=r"^store: .*existing folder.*create .*nowhere"):
        frt.Monitor(model(), probe(), store=path.parent / "nowhere" / "run.db")


def test_a_path_may_have_any_characters(path):
    path = path.parent / "epoch=3" / "run?#%.db"
    path.parent.mkdir()
    for step in range(2):
        frt.Monitor(model(), probe(), store=path).measure(step)


def test_a_link_keeps_leading_to_the_file(path):
    link = path.with_name("link.db")
    link.symlink_to(path)
    frt.Monitor(model(), probe(), store=link).measure(0)
    assert link.is_symlink()
    assert len(read(path)[0]) == 4


# ------------------------------------------------------------------------------------------------ nothing is lost


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
    from fastrenyi.torch import monitor as room

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


# ------------------------------------------------------------------------------------------------------- one writer


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
    known |= {"part": "", "channel_dim": -1}
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


# --------------------------------------------------------------------------------------------- for other programs


@pytest.fixture
def measured(path):
    monitor = frt.Monitor(model(), probe(), store=path)
    monitor.measure(0)
    monitor.measure(1)
    monitor.close()
    return monitor


def test_exports(path, measured):
    pytest.importorskip("pyarrow")
    expected = measured.frame()
    table_, text, again = (path.with_name(f"out.{kind}") for kind in ("parquet", "csv", "db"))
    export(path, table_)
    pd.testing.assert_frame_equal(pd.read_parquet(table_), expected)
    assert read(table_)[1] == measured.settings
    export(table_, text)
    pd.testing.assert_frame_equal(
        pd.read_csv(text, keep_default_na=False, na_values=[""])["mi_input"].to_frame(), expected[["mi_input"]]
    )
    export(table_, again)
    monitor = frt.Monitor(model(), probe(), store=again)
    monitor.measure(2)
    monitor.close()
    pd.testing.assert_frame_equal(monitor.frame().query("step < 2"), expected)
    for target in (table_, text, again):
        with pytest.raises(fr.StoreError, match=rf"^store: {target}: is there already; name another file$"):
            export(path, target)
    with pytest.raises(fr.StoreError, match=r"of no known kind: \.parquet, \.csv or \.db"):
        export(path, path.with_name("out.xls"))
    assert sorted(os.listdir(path.parent)) == ["out.csv", "out.db", "out.parquet", "run.db"]


def old_store(path, monitor):
    """A table as a Monitor wrote it when its store was a Parquet file."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    content = pa.Table.from_pandas(monitor.frame(), preserve_index=False)
    metadata = {**content.schema.metadata, b"fastrenyi": json.dumps(monitor.settings)}
    parquet.write_table(content.replace_schema_metadata(metadata), path)


def test_an_old_store_is_read_and_continued_by_the_way_out(path, measured):
    old = path.with_name("old.parquet")
    old_store(old, measured)
    frame, settings = read(old)
    pd.testing.assert_frame_equal(frame, measured.frame())
    assert settings == measured.settings
    with pytest.raises(fr.StoreError, match=r"^store: expected the name of a SQLite file") as caught:
        frt.Monitor(model(), probe(), store=old)
    command = re.search(r"fastrenyi (export \S+ \S+) makes", str(caught.value))[1]
    from fastrenyi import cli

    assert cli.main(command.split()) == 0
    monitor = frt.Monitor(model(), probe(), store=old.with_suffix(".db"))
    monitor.measure(2)
    assert monitor.steps == [0, 1, 2]


@pytest.mark.parametrize("of", ["an export", "an old store"])
def test_a_flipped_bit_of_a_table_for_other_programs(path, measured, rng, of):
    """With the checksum of an export it gives no other rows; without, no error of somebody else's."""
    target = path.with_name("out.parquet")
    export(path, target) if of == "an export" else old_store(target, measured)
    content, expected = target.read_bytes(), measured.frame()
    for place in rng.choice(8 * len(content), 400, replace=False):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << (place % 8)
        target.write_bytes(flipped)
        try:
            frame, _ = read(target)
        except fr.StoreError:
            continue
        if of == "an export" and list(frame.columns) == list(COLUMNS):
            pd.testing.assert_frame_equal(frame, expected)
