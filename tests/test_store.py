"""The store of a Monitor: a file that any program reads, continued under the same settings."""

import os
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")
from torch import nn  # noqa: E402

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402
from fastrenyi.table.columns import table  # noqa: E402
from fastrenyi.table.files import read  # noqa: E402
from fastrenyi.table.store import Store  # noqa: E402
from stores import model, probe, rows_of, settings_of, stored  # noqa: E402

# Random networks and six samples: to some of the kernels these are all apart, or the same.
pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning")


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
        "smooth": 0.0,
        "bins": None,
        "softmax": False,
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
        ({"smooth": 0.9}, ["smooth was 0.0 and is 0.9"]),
        ({"softmax": True}, ["softmax"]),
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
