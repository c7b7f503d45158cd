"""What a Monitor keeps of single pairs of feature maps, in memory and in its store."""

import os
import re
import sqlite3
from contextlib import closing

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")
from torch import nn  # noqa: E402

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402
from fastrenyi.table.files import export  # noqa: E402
from stores import probe, stored  # noqa: E402

# Random networks and six samples: to some of the kernels these are all apart, or the same.
pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning")
KEYS = ["step", "batch", "layer", "method", "alpha"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


def net(wide=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Conv2d(3, wide, 2), nn.Flatten(), nn.Linear(4 * wide, 3))


def monitor(path=None, wide=4, **given):
    return frt.Monitor(net(wide), probe(), store=path, **{"keep_pairs": True, **given})


def equal(found, expected):
    pd.testing.assert_frame_equal(found[KEYS], expected[KEYS])
    for one, other in zip(found["pairwise"], expected["pairwise"], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("where", ["memory", "file"])
def test_their_means_are_the_quantities_of_the_table(where, path):
    some = monitor(path if where == "file" else None, alpha=[1.01, 2], methods={"one": {}, "maps": frt.PAPER})
    frame = some.measure(5)
    found = some.pairs()
    with_pairs = frame[frame["pairs"] > 0]
    assert len(found) == len(with_pairs) == 2 * 2 * 2 * 2  # minibatches, methods, orders, layers with maps
    key = found.set_index(KEYS)["pairwise"]
    for row in with_pairs.itertuples():
        matrix = key[row.step, row.batch, row.layer, row.method, row.alpha]
        assert matrix.shape == (row.channels, row.channels)
        np.testing.assert_array_equal(matrix, matrix.T)
        single, off = matrix.diagonal(), ~np.eye(row.channels, dtype=bool)
        tradeoff = (single[:, None] + single - matrix)[off].mean()
        assert tradeoff == pytest.approx(row.tradeoff, abs=1e-5)
        assert (2 * matrix - single[:, None] - single)[off].mean() == pytest.approx(row.nonredundant, abs=1e-5)


def test_by_default_there_are_none(path):
    some = monitor(path, keep_pairs=False)
    assert some.pairs().empty
    some.measure(0)
    assert some.pairs().empty
    assert frt.pairs(path).empty


def test_layers_of_which_a_sample_is_measured_have_none():
    some = monitor(max_pairs=4)  # of 3 pairs and of 6
    assert list(some.measure(0)["pairs"]) == [3, 4, 0] * 2
    assert list(some.pairs()["layer"]) == ["0", "0"]


def test_steps_are_read_alone_and_replaced_with_their_rows(path):
    some = monitor(path, existing="replace")
    for step in (3, 0):
        some.measure(step)
    whole = some.pairs()
    assert list(whole["step"]) == [0] * 4 + [3] * 4
    equal(some.pairs(3), whole[whole["step"] == 3].reset_index(drop=True))
    equal(frt.pairs(path), whole)
    equal(frt.pairs(some, 0), whole[:4])
    some.measure(3)
    equal(some.pairs(), whole)
    some.close()
    without = monitor(path, existing="replace", keep_pairs=False)  # it may change where a store is continued
    without.measure(0)
    assert set(without.pairs()["step"]) == {3}
    assert without.pairs(7).empty


def test_without_a_file_they_are_replaced_too():
    some = monitor(existing="replace")
    some.measure(0)
    whole = some.pairs()
    some.measure(0)
    equal(some.pairs(), whole)


def test_what_is_not_written_whole_is_not_there(path, monkeypatch):
    some = monitor(path)
    some.measure(0)
    before = some.pairs()
    with monkeypatch.context() as patch:
        patch.setattr("fastrenyi.table.database._packed", lambda row: (1, 2))  # fails behind the rows
        with pytest.raises(fr.StoreError):
            some.measure(1)
    assert some.steps == [0]
    equal(some.pairs(), before)
    some.measure(1)
    assert set(some.pairs()["step"]) == {0, 1}


@pytest.mark.parametrize(
    "change", ["batch = 7", "layer = 'x'", "alpha = 2", "maps = 2", "pairwise = zeroblob(72)", "pairwise = NULL"]
)
def test_damage_is_told(change, path):
    some = monitor(path)
    some.measure(0)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE pairs SET {change} WHERE rowid = 1")
    with pytest.raises(fr.StoreError, match=rf"^store: {re.escape(str(path))}: is damaged .*; restore it"):
        frt.pairs(path)


def test_a_store_of_before_goes_on(path):
    some = monitor(path, keep_pairs=False)
    some.measure(0)
    some.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE pairs")
    assert frt.pairs(path).empty
    more = monitor(path)
    more.measure(1)
    assert set(more.pairs()["step"]) == {1}


def test_any_program_that_knows_sqlite_reads_them(path):
    some = monitor(path)
    some.measure(0)
    ((maps, content),) = stored(path, "SELECT maps, pairwise FROM pairs WHERE layer = '2' AND batch = 1")
    np.testing.assert_array_equal(np.frombuffer(content, "<f8").reshape(maps, maps), some.pairs()["pairwise"][3])


def test_an_export_to_a_store_has_them(path):
    some = monitor(path)
    some.measure(0)
    some.close()
    export(path, path.with_name("again.db"))
    equal(frt.pairs(path.with_name("again.db")), some.pairs())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: monitor(keep_pairs=1), TypeError, "^keep_pairs: "),
        (lambda: monitor(pairs=False), ValueError, "^keep_pairs: expected False, as no pairs are measured"),
        (lambda: monitor().pairs(-1), ValueError, "^step: "),
        (lambda: monitor().pairs("0"), TypeError, "^step: "),
        (lambda: frt.pairs(pd.DataFrame()), TypeError, "^run: expected a store's path or a Monitor"),
        (lambda: frt.pairs("absent.db"), fr.StoreError, "^store: absent.db: "),
        (lambda: frt.pairs(os.devnull, -1), ValueError, "^step: "),
    ],
)
def test_wrong_arguments(call, error, words):
    with pytest.raises(error, match=words):
        call()
