"""The tables of several runs as one, as arrays of xarray, as CSV and back, and as numbers for trackers."""

from __future__ import annotations

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402
from conftest import run_python  # noqa: E402
from fastrenyi.table import files, tidy, to_xarray  # noqa: E402
from stores import model, probe  # noqa: E402

# Random networks and six samples: to some of the kernels these are all apart, or the same.
pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning")
ORDERS = [1.01, 2.0]


def measured(path=None, steps=(0, 3), **options):
    monitor = frt.Monitor(model(), probe(), store=path, alpha=ORDERS, **options)
    for step in steps:
        monitor.measure(step)
    monitor.close()
    return monitor


@pytest.fixture(scope="module")
def monitors():
    one, other = measured(config={"seed": 3, "lr": 0.1, "net": "small"}), measured(steps=(0,), kernel_on="maps")
    return {"one": one, "other": other}


# -------------------------------------------------------------------------------------------------- one table


def test_rows_say_of_which_run_they_are(monitors):
    frame = tidy(monitors, settings=["kernel_on", "layers"])
    assert list(frame.columns[:7]) == ["run", "seed", "lr", "net", "kernel_on", "layers", "step"]
    for name, monitor in monitors.items():
        of_run = frame[frame["run"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(of_run[monitor.frame().columns], monitor.frame())
    about = frame.drop_duplicates("run").set_index("run")
    assert about.loc["one", ["seed", "lr", "net", "kernel_on"]].tolist() == [3, 0.1, "small", "tensor"]
    assert about.loc["other", ["seed", "lr", "net"]].isna().all()
    assert about.loc["other", "kernel_on"] == "maps"
    assert about.loc["one", "layers"] == '["0", "3"]'


def test_what_is_given_goes_before_what_was_recorded(monitors):
    frame = tidy(list(monitors.values()), config=[{"seed": 4, "width": np.int64(8)}, {"seed": 5, "width": None}])
    about = frame.drop_duplicates("run")
    assert about["run"].tolist() == ["0", "1"]
    assert about["seed"].tolist() == [4, 5]
    assert frame["seed"].dtype == "int64"
    assert about["lr"].tolist()[0] == 0.1
    assert about["width"].tolist()[0] == 8
    assert tidy(monitors["one"], config={"seed": 9})["seed"].eq(9).all()


def test_stores_and_exports_by_their_folders(tmp_path):
    pytest.importorskip("pyarrow")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        measured(tmp_path / name / "run.db", config={"seed": ord(name)})
    files.export(tmp_path / "a" / "run.db", tmp_path / "a" / "out.parquet")
    files.export(tmp_path / "b" / "run.db", tmp_path / "b" / "out.csv")
    stores = tidy([tmp_path / "a" / "run.db", str(tmp_path / "b" / "run.db")])
    assert stores.drop_duplicates("run")[["run", "seed"]].to_numpy().tolist() == [["a", 97], ["b", 98]]
    exports = tidy([tmp_path / "a" / "out.parquet", tmp_path / "b" / "out.csv"], config=[{}, {"seed": 98}])
    pd.testing.assert_frame_equal(exports, stores)
    one_folder = tidy([tmp_path / "a" / "run.db", tmp_path / "a" / "out.parquet"])
    assert one_folder["run"].unique().tolist() == ["run", "out"]


def test_a_run_without_rows(monitors):
    frame = tidy({"empty": measured(steps=()), "one": monitors["one"]}, config=[{"lr": 1}, {}])
    assert frame["run"].unique().tolist() == ["one"]
    pd.testing.assert_frame_equal(frame[monitors["one"].frame().columns], monitors["one"].frame())


def test_config_is_a_setting_of_a_store(tmp_path):
    path = tmp_path / "run.db"
    measured(path, config={"seed": np.int64(3), "flag": True, "note": None})
    assert files.read(path)[1]["config"] == {"seed": 3, "flag": True, "note": None}
    measured(path, steps=(7,), config={"seed": 3, "flag": True, "note": None})
    with pytest.raises(fr.StoreError, match=r"config was {'seed': 3, .*} and is {'seed': 4}"):
        frt.Monitor(model(), probe(), store=path, alpha=ORDERS, config={"seed": 4})


@pytest.mark.filterwarnings("ignore:Mismatched null-like values:FutureWarning")  # of pandas 2, whose words may be None
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_all_of_it_comes_back_from_a_file(tmp_path, monitors, form):
    frame = tidy(monitors, settings=["kernel_on"])
    frame.loc[0, "layer"] = "NA"
    path = tmp_path / f"all.{form}"
    if form == "csv":
        frame.to_csv(path, index=False)
    else:
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    pd.testing.assert_frame_equal(files.read(path)[0], frame)


def test_an_exported_csv_is_the_table(tmp_path, monitors):
    measured(tmp_path / "run.db")
    files.export(tmp_path / "run.db", tmp_path / "out.csv")
    files.export(tmp_path / "out.csv", tmp_path / "again.db")
    for name in ("out.csv", "again.db"):
        pd.testing.assert_frame_equal(files.read(tmp_path / name)[0], files.read(tmp_path / "run.db")[0])
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "other.csv").write_bytes(b"step,layer\nx,\xff\n")
    for name in ("empty.csv", "other.csv", "absent.csv"):
        with pytest.raises(fr.StoreError, match=rf"^store: .*{name}: "):
            files.read(tmp_path / name)


@pytest.mark.parametrize(
    ("runs", "options", "error", "said"),
    [
        (3, {}, TypeError, r"^runs: expected a store's path, a Monitor, a table, or a list or dict of them, got int"),
        ([], {}, ValueError, r"^runs: expected .*, got none"),
        ({}, {}, ValueError, r"^runs: expected .*, got none"),
        ({1: "one"}, {}, TypeError, r"^runs: expected names that are strings, got int"),
        ("absent.db", {}, fr.StoreError, r"^store: absent.db"),
        (pd.DataFrame({"step": [0]}), {}, ValueError, r"^runs: expected the columns .*, got none called batch"),
        ("one", {"config": "seed"}, TypeError, r"^config: expected a mapping .*, got 'seed'"),
        ("one", {"config": [{}, {}]}, ValueError, r"^config: expected one for each of 1 runs, got 2"),
        ("one", {"config": [3]}, TypeError, r"^config\[0\]: expected a mapping"),
        ("one", {"config": {1: 2}}, TypeError, r"^config: expected names that are strings, got int"),
        (
            "one",
            {"config": {"alpha": 2}},
            ValueError,
            r"^config: .*no column of the table has, got 'alpha'; .*model_alpha",
        ),
        ("one", {"config": {"run": 2}}, ValueError, r"^config: .*no column of the table has, got 'run'"),
        ("one", {"config": {"a": [1]}}, TypeError, r"^config\['a'\]: expected a number, a string or None, got list"),
        ("one", {"config": {"a": 1j}}, TypeError, r"^config\['a'\]: expected a number"),
        ("one", {"config": {"a": float("nan")}}, ValueError, r"^config\['a'\]: expected a finite number, got nan"),
        ("one", {"settings": "kernel"}, TypeError, r"^settings: expected a list of names, got 'kernel'"),
        ("one", {"settings": [3]}, TypeError, r"^settings: expected a list of names, got int in it"),
        ("one", {"settings": ["colour"]}, ValueError, r"^settings: expected what a Monitor was made with.*got colour"),
        (
            "one",
            {"settings": ["seed"]},
            ValueError,
            r"^settings: expected names other than seed and config, which have columns, got 'seed'",
        ),
        ("one", {"settings": ["alpha"]}, ValueError, r"^settings: expected names that no column .*, got 'alpha'"),
    ],
)
def test_wrong_arguments_are_named(monitors, runs, options, error, said):
    with pytest.raises(error, match=said):
        tidy(monitors["one"] if isinstance(runs, str) and runs == "one" else runs, **options)


def test_runs_that_nothing_tells_apart(tmp_path, monitors):
    measured(tmp_path / "run.db")
    with pytest.raises(ValueError, match=r"^runs: expected different ones, got .*; pass a dict by name"):
        tidy([tmp_path / "run.db", tmp_path / "run.db"])
    with pytest.raises(
        ValueError, match=r"^runs: expected tables without columns of their own for runs, got .*run, seed"
    ):
        tidy(tidy(monitors))


# ------------------------------------------------------------------------------------------------------ arrays


def back(dataset, frame):
    """Arrays as a table again, with the rows, columns and kinds of the one they were made of."""
    keys = [name for name in ("run", "step", "batch", "layer", "method", "alpha") if name in frame]
    rows = dataset.to_dataframe().reset_index()
    return frame[keys].merge(rows, on=keys, how="left")[list(frame.columns)].astype(frame.dtypes)


def test_arrays_hold_the_table():
    pytest.importorskip("xarray")
    frame = measured(config={"seed": 3}).frame()
    dataset = to_xarray(frame)
    assert dict(dataset.sizes) == {"step": 2, "batch": 2, "layer": 2, "method": 1, "alpha": 2}
    assert dataset["layer"].to_numpy().tolist() == ["0", "3"]
    assert dataset["depth"].dims == dataset["activation"].dims == ("layer",)
    assert dataset["saturated"].dtype == bool
    assert dataset["samples"].dtype == "int64"
    assert dataset["mi_target"].attrs == {"units": "bits"}
    assert not dataset["tradeoff_share"].attrs
    row = frame[(frame.step == 3) & (frame.batch == 1) & (frame.layer == "3") & (frame.alpha == 2)]
    at = dataset.sel(step=3, batch=1, layer="3", alpha=2)
    assert at["mi_target"].item() == row["mi_target"].item()
    pd.testing.assert_frame_equal(back(dataset, frame), frame)


def test_layers_stand_in_the_order_of_execution():
    pytest.importorskip("xarray")
    frame = measured().frame().replace({"layer": {"0": "z", "3": "a"}})
    assert to_xarray(frame)["layer"].to_numpy().tolist() == ["z", "a"]


def test_runs_are_an_axis_with_what_is_known_of_them(monitors):
    pytest.importorskip("xarray")
    frame = tidy(monitors)
    dataset = to_xarray(frame)
    assert dataset["run"].to_numpy().tolist() == ["one", "other"]
    assert dataset["seed"].dims == dataset["net"].dims == ("run",)
    assert dataset["net"].to_numpy().tolist() == ["small", ""]
    gone = dataset.sel(run="other", step=3)  # not measured
    assert bool(gone["mi_input"].isnull().all())
    assert bool(gone["saturated"].isnull().all())
    assert (gone["not_finite"] == "").all()
    pd.testing.assert_frame_equal(back(dataset, frame.fillna({"net": ""})), frame.fillna({"net": ""}))


def test_what_differs_by_run_and_layer_lies_along_both(monitors):
    pytest.importorskip("xarray")
    frame = tidy(monitors)
    frame.loc[(frame["run"] == "other") & (frame["layer"] == "0"), "channels"] = 7
    dataset = to_xarray(frame)
    assert dataset["channels"].dims == ("run", "layer")
    assert dataset["channels"].to_numpy().tolist() == [[2, 1], [7, 1]]
    frame.loc[0, "activation"] = "gelu"  # and what differs by step lies along all
    dataset = to_xarray(frame)
    assert dataset["activation"].dims == ("run", "step", "batch", "layer", "method", "alpha")


def test_arrays_as_a_file(tmp_path):
    xr = pytest.importorskip("xarray")
    dataset = to_xarray(measured().frame())
    path = tmp_path / "run.nc"
    dataset.to_netcdf(path, engine="scipy")
    with xr.open_dataset(path, engine="scipy") as again:
        np.testing.assert_array_equal(again["mi_target"], dataset["mi_target"])
        assert again["layer"].astype(str).to_numpy().tolist() == ["0", "3"]
        assert again["activation"].astype(str).to_numpy().tolist() == ["relu", ""]


def test_no_rows_are_arrays_of_no_places(monitors):
    pytest.importorskip("xarray")
    for whole in (monitors["one"].frame(), tidy(monitors)):
        some, none = to_xarray(whole), to_xarray(whole[:0])
        assert set(none.sizes) == set(some.sizes)
        assert set(none.sizes.values()) == {0}
        assert set(none.variables) == set(some.variables)
        assert none["mi_target"].attrs == some["mi_target"].attrs
        assert to_xarray(whole[:0]).mi_target.mean().isnull()


def test_wrong_tables_are_named(monitors):
    pytest.importorskip("xarray")
    with pytest.raises(TypeError, match=r"^frame: expected a pandas DataFrame.*, got 'run.db'"):
        to_xarray("run.db")
    frame = monitors["one"].frame()
    with pytest.raises(ValueError, match=r"^frame: expected the columns .*, got none called depth"):
        to_xarray(frame.drop(columns="depth"))
    with pytest.raises(
        ValueError, match=r"^frame: expected one row for each place, got two of step 0, batch 0, layer 0"
    ):
        to_xarray(pd.concat([frame, frame]))


def test_without_xarray_the_extra_is_named():
    program = """
    import sys
    sys.modules["xarray"] = None
    from fastrenyi.table import to_xarray
    try:
        to_xarray(None)
    except ImportError as error:
        print(error, error.name, sep="; ")
"""
    assert re.match(r"to_xarray needs xarray: pip install 'fastrenyi\[xarray\]' \(.*\); xarray\n", run_python(program))


def test_tables_need_no_torch():
    program = """
    import sys
    sys.modules["torch"] = None
    import pandas as pd
    from fastrenyi.table import tidy
    frame = pd.DataFrame({"step": 0, "batch": 0, "layer": ["fc"], "depth": 0, "alpha": 1.0, "entropy": 2.0})
    print(*tidy(frame, config={"seed": 1}).iloc[0])
"""
    assert run_python(program) == "0 1 0 0 fc 0 1.0 2.0\n"


# ------------------------------------------------------------------------------------------- numbers for trackers


def test_scalars_of_the_last_step(monitors):
    frame = monitors["one"].frame()
    one = frame[frame["alpha"] == 2]
    found = frt.scalars(one)
    last = one[one["step"] == 3]
    assert found["0/mi_target"] == pytest.approx(last.loc[last["layer"] == "0", "mi_target"].mean())
    assert all(type(value) is float and np.isfinite(value) for value in found.values())
    assert "3/tradeoff" not in found  # of one variable there are no pairs
    assert not {"0/channel_dim", "0/samples", "0/alpha"} & found.keys()
    assert frt.scalars(frame)["0/mi_target/alpha_2.0"] == found["0/mi_target"]
    assert frt.scalars(tidy(one, config={"lr": 0.1})) == found


def test_names_of_scalars_are_those_that_trackers_take(monitors):
    frame = monitors["one"].frame().replace({"layer": {"0": "blocks.0.conv#2", "3": "head(x)"}})
    found = frt.scalars(frame)
    assert "blocks.0.conv-2/entropy/alpha_1.01" in found
    assert all(re.fullmatch(r"[/\w.\- ]*", name) for name in found)  # mlflow's own rule
    assert "entropy/alpha_2.0" in frt.scalars(frame.assign(layer=""))  # of a model that is one layer itself


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda frame: None, TypeError, r"^frame: expected a pandas DataFrame"),
        (lambda frame: frame[:0], ValueError, r"^frame: expected at least one row, got none"),
        (lambda frame: frame.drop(columns="layer"), ValueError, r"^frame: .* none called layer"),
        (lambda frame: tidy({"a": frame, "b": frame}), ValueError, r"^frame: expected rows of one run, got 2 runs"),
    ],
)
def test_scalars_of_what_is_no_table(monitors, change, error, said):
    frame = change(monitors["one"].frame())
    with pytest.raises(error, match=said):
        frt.scalars(frame)

    class Writer:
        def add_scalar(self, *_):
            pass

    if frame is None or len(frame):
        with pytest.raises(error, match=said):
            frt.write_scalars(Writer(), frame)


def test_tensorboard_reads_what_was_written(tmp_path, monitors):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    frame = monitors["one"].frame()
    with SummaryWriter(tmp_path) as writer:
        frt.write_scalars(writer, frame)
    written = EventAccumulator(str(tmp_path)).Reload()
    expected = {step: frt.scalars(frame[frame["step"] == step]) for step in (0, 3)}
    assert set(written.Tags()["scalars"]) == expected[0].keys() | expected[3].keys()
    for name, value in expected[3].items():
        last = written.Scalars(name)[-1]
        assert (last.step, last.value) == (3, pytest.approx(value, rel=1e-6))
    with pytest.raises(TypeError, match=r"^writer: expected a SummaryWriter, or what has its add_scalar, got 'x'"):
        frt.write_scalars("x", frame)
