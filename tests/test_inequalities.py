"""inequalities: both chains, link by link."""

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("torch")
import fastrenyi.torch as frt  # noqa: E402

NAN = float("nan")


def frame(mi_input, mi_error, layers=("a", "b", "c", "d"), step=0, batch=0):
    count = len(mi_input)
    layers = list(layers)[:count]
    return pd.DataFrame(
        {
            "step": step,
            "batch": batch,
            "layer": layers,
            "depth": range(count),
            "input_via": ["", *layers[:-1]] if layers else [],
            "error_via": [*layers[1:], ""] if layers else [],
            "mi_input": mi_input,
            "mi_error": mi_error,
        }
    )


def rows(links, *names):
    return list(links[list(names)].itertuples(index=False, name=None))


def test_both_chains():
    links = frt.inequalities(frame([6.0, 5.0, 5.5, 1.0], [1.0, 2.0, 1.5, NAN]))
    assert rows(links, "step", "chain", "source", "target", "left", "right", "gap", "violation", "holds") == [
        (0, "forward", "a", "b", 6.0, 5.0, 1.0, 0.0, True),
        (0, "forward", "b", "c", 5.0, 5.5, -0.5, 0.5, False),
        (0, "forward", "c", "d", 5.5, 1.0, 4.5, 0.0, True),
        # I(d_K; d_{K-1}) >= I(d_K; d_{K-2}) >= ...: from the end to the beginning
        (0, "backward", "c", "b", 1.5, 2.0, -0.5, 0.5, False),
        (0, "backward", "b", "a", 2.0, 1.0, 1.0, 0.0, True),
    ]
    kinds = [str(kind).replace("object", "str") for kind in links.dtypes]
    assert kinds == ["int64", "str", "float64", "str", "str", "str", *["float64"] * 7, "bool"]


def test_equality_holds():
    links = frt.inequalities(frame([2.0, 2.0], [1.0, NAN]))
    assert rows(links, "gap", "violation", "holds") == [(0.0, 0.0, True)]


def test_tolerance_is_a_bound_that_may_be_reached():
    table = frame([1.0, 1.5], [NAN, NAN])
    for tolerance, holds in [(0.0, False), (0.49, False), (0.5, True), (np.float32(1), True), (1, True)]:
        links = frt.inequalities(table, tolerance)
        assert rows(links, "violation", "holds") == [(0.5, holds)]


def test_differences_are_paired_over_the_batches():
    # Each batch alone violates one direction; their means do not.
    table = pd.concat([frame([3.0, 1.0], [NAN, NAN], batch=0), frame([1.0, 2.0], [NAN, NAN], batch=1)])
    links = frt.inequalities(table)
    assert rows(links, "left", "right", "violation", "gap_error") == [(2.0, 1.5, 0.0, pytest.approx(1.5))]


def test_a_violation_within_two_of_its_errors_holds():
    def of(gaps):
        return frt.inequalities(pd.concat([frame([5.0 + gap, 5.0], [NAN] * 2, batch=k) for k, gap in enumerate(gaps)]))

    gaps = [-0.5, -0.1, 0.3, -0.3]
    links = of(gaps)
    assert links["gap"][0] == pytest.approx(np.mean(gaps))
    assert links["gap_error"][0] == pytest.approx(np.std(gaps, ddof=1) / 2)
    assert links["holds"][0]
    assert not of([gap - 0.5 for gap in gaps])["holds"][0]
    assert np.isnan(of(gaps[:1])["gap_error"][0])
    assert not of(gaps[:1])["holds"][0]  # of one minibatch nothing is known of the error


def test_only_layers_that_all_has_come_through_are_compared():
    # A residual block: b and c stand between a and d, and there is a way around them.
    table = frame([3.0, 2.0, 5.0, 9.0], [1.0, 2.0, 7.0, NAN])
    table["input_via"] = ["", "a", "b", "a"]
    table["error_via"] = ["d", "c", "d", ""]
    links = frt.inequalities(table)
    assert rows(links, "chain", "source", "target") == [
        ("forward", "a", "b"),
        ("forward", "b", "c"),
        ("forward", "a", "d"),
        ("backward", "c", "b"),
    ]
    table["input_via"] = ""
    assert list(frt.inequalities(table)["chain"]) == ["backward"]


def test_the_nulls_of_a_link_stand_beside_it():
    table = pd.concat([frame([3.0, 2.0], [1.0, NAN], batch=k).assign(mi_input_null=[2.0 + k, 1.0]) for k in (0, 1)])
    link = frt.inequalities(table).iloc[0]
    assert (link["left_null"], link["right_null"]) == (2.5, 1.0)
    assert frt.inequalities(frame([3.0, 2.0], [1.0, NAN]))[["left_null", "right_null"]].isna().all(axis=None)


def test_ways_in_a_circle_end():
    table = frame([1.0, NAN, NAN], [NAN] * 3)
    table["input_via"] = ["b", "c", "b"]
    assert len(frt.inequalities(table)) == 0
    table["input_via"] = ["a", "a", "a"]
    assert len(frt.inequalities(table)) == 0


def test_a_way_that_changes_between_batches_is_none():
    one, two = frame([3.0, 2.0], [NAN, NAN]), frame([3.0, 2.0], [NAN, NAN], batch=1)
    two["input_via"] = ""
    assert len(frt.inequalities(pd.concat([one, two]))) == 0


def test_steps_are_apart_and_ascending_and_rows_may_come_in_any_order():
    table = pd.concat(
        [frame([1.0, 2.0, 3.0], [5.0, 4.0, NAN], step=9), frame([3.0, 2.0, 1.0], [4.0, 5.0, NAN], step=2)]
    )
    expected = [
        (2, "forward", "a", "b", 1.0),
        (2, "forward", "b", "c", 1.0),
        (2, "backward", "b", "a", 1.0),
        (9, "forward", "a", "b", -1.0),
        (9, "forward", "b", "c", -1.0),
        (9, "backward", "b", "a", -1.0),
    ]
    for seed in range(5):
        shuffled = table.sample(frac=1, random_state=seed)
        assert rows(frt.inequalities(shuffled), "step", "chain", "source", "target", "gap") == expected


def test_depth_and_not_the_name_gives_the_order():
    links = frt.inequalities(frame([3.0, 2.0, 1.0], [1.0, 2.0, NAN], layers=["z", "m", "a"]))
    assert rows(links, "source", "target") == [("z", "m"), ("m", "a"), ("m", "z")]


def test_layers_without_a_value_are_left_out_of_the_chain():
    links = frt.inequalities(frame([4.0, 3.0, 2.0, 1.0], [1.0, NAN, 2.0, NAN]))
    backward = links[links["chain"] == "backward"]
    assert rows(backward, "source", "target", "gap") == [("c", "a", 1.0)]


@pytest.mark.parametrize("table", [frame([], []), frame([1.0], [NAN])])
def test_no_link_gives_no_row(table):
    links = frt.inequalities(table)
    assert len(links) == 0
    assert "holds" in links.columns
    assert links["holds"].dtype == bool


def test_on_what_a_monitor_measures():
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 3), torch.nn.Linear(3, 2))
    monitor = frt.Monitor(model, [(torch.randn(12, 4), torch.arange(12) % 2) for _ in range(2)])
    monitor.measure(0)
    table = monitor.frame()
    links = frt.inequalities(table)
    assert rows(links, "chain", "source", "target") == [
        ("forward", "0", "2"), ("forward", "2", "3"), ("backward", "2", "0"),
    ]  # fmt: skip
    mean = table.groupby("layer")["mi_error"].mean()
    assert links["gap"].iloc[-1] == pytest.approx(mean["2"] - mean["0"])


def test_the_frame_stays_as_it_was():
    table = frame([1.0, 2.0], [3.0, NAN])
    copy = table.copy()
    frt.inequalities(table)
    pd.testing.assert_frame_equal(table, copy)


@pytest.mark.parametrize("name", ["step", "batch", "layer", "depth", "mi_input", "mi_error", "input_via", "error_via"])
def test_missing_columns(name):
    with pytest.raises(ValueError, match=rf"^frame: .*none called {name};.*Monitor\.frame"):
        frt.inequalities(frame([1.0], [NAN]).drop(columns=name))


@pytest.mark.parametrize("name", ["step", "batch", "depth", "mi_input", "mi_error"])
def test_columns_that_are_no_numbers(name):
    table = frame([1.0], [NAN]).astype({name: "str"})
    with pytest.raises(TypeError, match=rf"^frame: .*column {name}"):
        frt.inequalities(table)


def test_a_layer_twice():
    table = pd.concat([frame([1.0, 2.0], [3.0, NAN])] * 2)
    with pytest.raises(ValueError, match=r"^frame: .*two of step 0, batch 0, layer 'a'"):
        frt.inequalities(table)


@pytest.mark.parametrize("table", [None, {"step": [0]}, [1], np.zeros((2, 6))])
def test_wrong_kinds_of_frame(table):
    with pytest.raises(TypeError, match=r"^frame: .*DataFrame"):
        frt.inequalities(table)


@pytest.mark.parametrize(
    ("tolerance", "error"),
    [
        ("0", TypeError),
        (None, TypeError),
        (True, TypeError),
        (-0.1, ValueError),
        (NAN, ValueError),
        (float("inf"), ValueError),
    ],
)
def test_wrong_tolerances(tolerance, error):
    with pytest.raises(error, match=r"^tolerance: "):
        frt.inequalities(frame([1.0], [NAN]), tolerance)
