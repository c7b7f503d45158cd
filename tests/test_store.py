"""The Parquet store of a Monitor: continued under the same settings, and never half-written."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
from torch import nn  # noqa: E402

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402

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
    return json.loads(pq.read_schema(path).metadata[b"fastrenyi"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.parquet"


def test_the_file_holds_the_table_after_each_measurement(path):
    monitor = frt.Monitor(model(), probe(), store=path)
    assert not path.exists()
    for step in (4, 0):
        monitor.measure(step)
        stored = pd.read_parquet(path)
        pd.testing.assert_frame_equal(stored, monitor.frame())
        assert list(stored.dtypes) == list(monitor.frame().dtypes)
    assert os.listdir(path.parent) == ["run.parquet"]
    kinds = {str(field.type) for field in pq.read_schema(path)}
    assert kinds - {"string", "large_string"} == {"int64", "double", "bool"}


def test_the_settings_are_in_the_metadata(path):
    monitor = frt.Monitor(
        model(), probe(), ["3", "0"], path, alpha=2, bandwidth="median", error_bandwidth=0.5, label_kernel=fr.Delta()
    )
    monitor.measure(0)
    stored = settings_of(path)
    assert stored == monitor.settings
    assert len(stored.pop("probe_hash")) == 64
    assert stored == {
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
        "errors": "before",
        "loss": None,
        "null": 10,
        "seed": 0,
        "links": None,
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
    pd.testing.assert_frame_equal(pd.read_parquet(path), whole.frame())


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
    infinite = path.with_name("infinite.parquet")
    for step in range(2):
        frt.Monitor(model(), probe(), store=infinite, alpha=float("inf")).measure(step)


def test_another_version_continues(path):
    frt.Monitor(model(), probe(), store=path).measure(0)
    stored = pq.read_table(path)
    settings = {**settings_of(path), "version": "0.0.1"}
    pq.write_table(stored.replace_schema_metadata({b"fastrenyi": json.dumps(settings)}), path)
    monitor = frt.Monitor(model(), probe(), store=path)
    monitor.measure(1)
    assert settings_of(path)["version"] == fr.__version__


@pytest.mark.parametrize("kind", ["text", "empty", "truncated", "foreign", "columns", "folder"])
def test_what_is_no_store_is_refused_and_stays(path, kind):
    frt.Monitor(model(), probe(), store=path).measure(0)
    whole = path.read_bytes()
    if kind == "text":
        path.write_text("step,batch\n0,0\n")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "foreign":
        pd.DataFrame({"step": [1]}).to_parquet(path)
    elif kind == "columns":
        table = pq.read_table(path)
        pq.write_table(table.drop_columns(["mi_error"]), path)
    else:
        path.unlink()
        path.mkdir()
    content = None if kind == "folder" else path.read_bytes()
    with pytest.raises(ValueError, match=r"^store: expected a table that a Monitor has written.*name another file"):
        frt.Monitor(model(), probe(), store=path)
    assert path.is_dir() if content is None else path.read_bytes() == content


def test_a_folder_that_is_not_there(path):
    with pytest.raises(ValueError, match=r"^store: .*existing folder.*create .*nowhere"):
        frt.Monitor(model(), probe(), store=path.parent / "nowhere" / "run.parquet")


def test_a_path_that_looks_like_a_partition_adds_no_column(path):
    path = path.parent / "epoch=3" / "run.parquet"
    path.parent.mkdir()
    for step in range(2):
        frt.Monitor(model(), probe(), store=path).measure(step)


def test_a_link_keeps_leading_to_the_file(path):
    link = path.with_name("link.parquet")
    link.symlink_to(path)
    frt.Monitor(model(), probe(), store=link).measure(0)
    assert link.is_symlink()
    assert len(pd.read_parquet(path)) == 4


@pytest.mark.parametrize("failure", ["write", "fsync", "replace", "interrupt"])
def test_a_failed_write_leaves_the_old_table(path, monkeypatch, failure):
    monitor = frt.Monitor(model(), probe(), store=path)
    monitor.measure(0)
    content = path.read_bytes()

    def fail(*args, **kwargs):
        if failure == "write":
            args[1].write(b"PAR1 half of it")
        raise KeyboardInterrupt if failure == "interrupt" else OSError("disk full")

    with monkeypatch.context() as patch:
        if failure == "replace":
            patch.setattr(Path, "replace", fail)
        elif failure == "fsync":
            patch.setattr(os, "fsync", fail)
        else:
            patch.setattr(pq, "write_table", fail)
        with pytest.raises(KeyboardInterrupt if failure == "interrupt" else OSError):
            monitor.measure(1)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["run.parquet"]
    assert monitor.steps == [0]
    monitor.measure(1)  # not measured yet, so it can be
    assert sorted(pd.read_parquet(path)["step"].unique()) == [0, 1]


def test_the_data_are_on_the_disk_before_the_name_changes(path, monkeypatch):
    events = []
    sync, replace = os.fsync, Path.replace

    def watched_sync(descriptor):
        events.append(("sync", os.fstat(descriptor).st_size))
        sync(descriptor)

    def watched_replace(part, target):
        events.append(("rename", part.stat().st_size))
        return replace(part, target)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    frt.Monitor(model(), probe(), store=path).measure(0)
    size = path.stat().st_size
    assert events[:2] == [("sync", size), ("rename", size)]
    assert [name for name, _ in events[2:]] == ["sync"]  # of the folder


WRITER = """
import sys
from pathlib import Path
from fastrenyi.table.store import COLUMNS, Store, table
store = Store(Path(sys.argv[1]), {"alpha": 1.01})
print("ready", flush=True)
for step in range(10**9):
    row = dict.fromkeys(COLUMNS, 0) | {"step": step, "layer": "fc"}
    store.append(table([row] * 500))
    print(step, flush=True)
"""


def test_a_killed_process_leaves_a_whole_table(path):
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        seen = -1
        for line in process.stdout:
            if line.strip() == "8":  # and so in the middle of the next one
                process.send_signal(signal.SIGKILL)
            if line.strip().isdigit():
                seen = int(line)
    assert process.returncode == -signal.SIGKILL
    counts = pd.read_parquet(path).groupby("step").size()
    assert set(counts) == {500}
    assert list(counts.index) in ([*range(seen + 1)], [*range(seen + 2)])
    from fastrenyi.table.store import Store

    assert len(Store(path, {"alpha": 1.01}).frame) == 500 * len(counts)


def test_a_mean_of_the_file_is_that_of_the_table(path):
    # What does not apply is missing in the file, not a number that other readers would average.
    monitor = frt.Monitor(model(), probe(), store=path)
    monitor.measure(0)
    column = pq.read_table(path)["mi_error"]
    assert column.null_count == 2
    assert np.isnan(monitor.frame()["mi_error"]).sum() == 2
