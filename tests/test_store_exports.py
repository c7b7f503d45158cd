"""The table of a store for other programs, and old stores in the new format."""

import json
import os
import re

import pytest

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402
from fastrenyi.table.columns import COLUMNS  # noqa: E402
from fastrenyi.table.files import export, read  # noqa: E402
from stores import model, probe  # noqa: E402

# Random networks and six samples: to some of the kernels these are all apart, or the same.
pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


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
