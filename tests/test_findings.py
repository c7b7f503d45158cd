"""Findings: what is said must be true of the table, also when the table shows the opposite."""

import math

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

from fastrenyi.report.findings import excess, findings, layers, layers_with_maps, trace  # noqa: E402
from fastrenyi.report.run import Run  # noqa: E402
from tables import NAN, NULLS, ORDERED, RECORD, deep, table, with_values  # noqa: E402


def said(frame, title, run=RECORD):
    return next(one for one in findings(frame, run) if title in one.title)


def test_layers_come_in_the_order_of_depth_and_means_over_batches():
    frame = table().sample(frac=1, random_state=0)
    assert layers(frame) == ["conv1", "conv2", "fc1", "fc2"]
    assert layers_with_maps(frame) == ["conv1", "conv2"]
    row = trace(frame, "conv1", "mi_input").loc[10]
    assert row["mean"] == pytest.approx(5.905)
    assert row["std"] == pytest.approx(np.std([5.9, 5.91], ddof=1))
    assert trace(table(batches=1), "conv1", "mi_input")["std"].eq(0).all()


def test_excess_over_the_null_and_its_error():
    row = excess(table(), "conv1", "mi_input").loc[10]
    assert row["mean"] == pytest.approx(0.505)
    assert row["std"] == pytest.approx(np.std([0.5, 0.51], ddof=1))
    assert row["error"] == pytest.approx(0.02 * math.sqrt(1.1 * 2) / 2)
    assert row["needed"] == pytest.approx(2.15 * row["error"], rel=0.01)  # Student's t, 18 degrees of freedom
    alone = excess(table(batches=1), "conv1", "mi_input").loc[10]
    assert (alone["std"], alone["error"]) == (0, pytest.approx(0.02 * math.sqrt(1.1)))
    pairs = excess(table(), "conv1", "tradeoff").loc[10]
    assert pairs["needed"] == pytest.approx(4.53 * pairs["error"], rel=0.01)  # 2 degrees of freedom
    assert excess(table().assign(mi_input_null=NAN), "conv1", "mi_input")["mean"].isna().all()


def test_what_layers_know_is_the_excess_over_the_null():
    finding = said(table(), "know of the input")
    assert finding.shown is True
    assert "Before training, I(X;T) is above its null by conv1 0.505 ± 0.015, conv2 0.505 ± 0.015" in finding.text
    # 32 thousandths of a bit are what is needed; the second minibatch adds 5 to the mean.
    for above, shown in ((0.025, False), (0.029, True)):
        frame = table()
        frame.loc[frame["layer"] == "conv2", "mi_input_null"] = 5.7 - above
        finding = said(frame, "know of the input")
        assert finding.shown is shown
        assert ("not told apart from its null in conv2." in finding.text) is not shown
        assert ("conv2 0.0" in finding.text) is shown
    everywhere = said(table().assign(mi_input_null=table()["mi_input"]), "know of the input")
    assert everywhere.shown is False
    assert "not told apart from its null in conv1, conv2, fc1, fc2." in everywhere.text
    assert "above" not in everywhere.text


def test_of_many_layers_the_least_and_the_greatest_are_named():
    frame = table(deep(53))
    frame.loc[frame["layer"] == "fc", ["mi_input", "mi_target"]] += 1.0
    frame.loc[frame["layer"] == "conv1", "mi_input"] -= 0.25
    known, labels, learning, *_ = findings(frame)
    assert (
        "Step 0, I(X;T) is above its null by conv1 0.255 ± 0.015 to fc 1.505 ± 0.015 bits in 53 layers." in known.text
    )
    assert (
        "Step 0, I(T;Y) is above its null by fc 1.000 ± 0.015 bits; not told apart from its null in 52" in labels.text
    )
    assert "layers, conv1 to layer5.0.conv3." in labels.text
    assert "bits in 53 layers. It grew by more than two of its errors in 53 layers, conv1 to fc." in learning.text


def test_without_a_null_nothing_is_said_of_knowledge():
    frame = table().assign(**{f"{name}_null{of}": NAN for name in NULLS for of in ("", "_std")})
    for title in ("know of the input", "know of the label", "came to know", "maps of conv1"):
        assert said(frame, title).shown is None
    assert "measured without a null" in said(frame, "know of the input").text
    assert "is not known" in said(frame, "maps of conv1").text


def test_learning_is_a_change_of_the_excess():
    finding = said(table(), "came to know of the label")
    assert finding.shown is True
    assert "conv1 +0.200 ± 0.021, conv2 +0.200 ± 0.021" in finding.text
    assert "grew by more than two of its errors in conv1, conv2, fc1, fc2." in finding.text
    still = said(table().assign(mi_target_null=2.5), "came to know of the label")
    assert still.shown is False
    assert "conv1 +0.000 ± 0.021" in still.text
    assert "It grew nowhere clearly." in still.text
    assert said(table(steps=(0,)), "came to know of the label").shown is None


def test_chains_that_hold_are_said_to_hold():
    for chain in ("forward", "backward"):
        finding = said(table(), f"{chain} data-processing")
        assert finding.shown is True
        assert "broken" not in finding.text
        assert "At every link of all 3 measurements." in finding.text
    assert "Before training: at all 3 links." in said(table(), "forward data-processing").text
    assert "At the end: at all 2 links." in said(table(), "backward data-processing").text


def test_a_chain_that_shuffled_samples_keep_too_is_said_to_be_one():
    assert (
        "With shuffled samples it holds at 9 of 9 links, so that by itself it says nothing of the data."
        in said(table(), "forward").text
    )
    frame = table()
    frame.loc[frame["layer"] == "fc2", "mi_input_null"] = 6.5
    assert "With shuffled samples it holds at 6 of 9 links." in said(frame, "forward").text
    assert "shuffled" not in said(frame.assign(mi_input_null=NAN), "forward").text


def test_a_broken_chain_is_said_with_place_and_size():
    frame = table(change=with_values(fc1__mi_input=(20, 5.95)))
    finding = said(frame, "forward data-processing")
    assert finding.shown is False
    assert "After one epoch: at all 3 links." in finding.text
    assert "At the end: broken at 1 of 3 links, most at conv2 → fc1 by 0.250 bits." in finding.text
    assert "1 of 9 links are broken" in finding.text
    assert "the largest violation is 0.250 ± 0.000 bits, at conv2 → fc1 at step 20" in finding.text
    assert "I(X;T) goes up from 5.705 to 5.955 bits" in finding.text
    one = said(frame[frame["batch"] == 0], "forward data-processing")
    assert one.shown is None
    assert "Of one minibatch no error is known." in one.text
    assert "±" not in one.text
    assert "errors" not in one.text
    large = said(table(change=with_values(conv1__mi_error=2.5)), "backward data-processing")
    assert large.shown is False
    assert "I(δ_K;δ_i) goes up from 1.505 to 2.505 bits" in large.text
    assert "the paper" not in large.text


def test_a_difference_below_the_tolerance_or_its_error_is_no_violation():
    assert said(table(change=with_values(conv2__mi_input=5.9005)), "forward data-processing").shown is True
    assert said(table(change=with_values(conv2__mi_input=5.9015)), "forward data-processing").shown is False
    frame = table(change=with_values(conv2__mi_input=5.95))
    frame.loc[(frame["layer"] == "conv2") & (frame["batch"] == 1), "mi_input"] -= 0.05
    doubtful = said(frame, "forward data-processing")
    assert doubtful.shown is None
    assert "3 more go up, by at most 0.0" in doubtful.text


@pytest.mark.parametrize("gone", [{"mi_target_null": NAN}, {"mi_target_null_std": NAN}])
def test_a_layer_whose_null_is_missing(gone):
    frame = table()
    frame.loc[frame["layer"] == "conv1", list(gone)] = NAN
    finding = said(frame, "know of the label")
    assert finding.shown is None
    assert "without a null, or one of a single permutation, in conv1" in finding.text
    assert "conv1" not in said(frame, "came to know").text


def test_chains_of_dead_layers_say_nothing():
    frame = table()
    assert said(frame.assign(dead=True), "forward data-processing").shown is None
    frame.loc[frame["layer"] == "conv2", "dead"] = True
    assert "at all 1 links" in said(frame, "forward data-processing").text.replace("At", "at")
    assert said(frame[frame["batch"] == 0], "forward data-processing").shown is None


def test_a_dead_layer_and_one_that_is_gone():
    frame = table()
    frame.loc[(frame["layer"] == "conv1") & (frame["step"] == 20), ["tradeoff_share", "nonredundant_share"]] = NAN
    frame = frame[~((frame["layer"] == "conv2") & (frame["step"] == 20))]
    text = " ".join(one.text for one in findings(frame, RECORD))
    assert "nan" not in text
    assert "the layer puts out the same" in text


def test_a_chain_that_was_not_measured_is_not_judged():
    finding = said(table().assign(mi_error=NAN), "backward data-processing")
    assert finding.shown is None
    assert "not measured" in finding.text
    assert said(table(ORDERED[:1]), "forward data-processing").shown is None
    assert said(table().assign(input_via=""), "forward data-processing").shown is None


@pytest.mark.parametrize(("mark", "title"), [("saturated", "too narrow"), ("dead", "say nothing")])
def test_layers_that_no_width_fits_are_named(mark, title):
    frame = table()
    assert not any(title in one.title for one in findings(frame))
    frame.loc[(frame["layer"] == "fc1") & (frame["step"] == 10), mark] = True
    finding = said(frame, title)
    assert finding.shown is None
    assert "In fc1, at some step" in finding.text


@pytest.mark.parametrize(
    ("null", "shown", "words"), [(2.5, True, "+0.500"), (3.5, False, "-0.500"), (2.95, None, "not told")]
)
def test_the_trade_off_is_judged_by_its_excess(null, shown, words):
    frame = table()
    frame.loc[frame["layer"] == "conv1", "tradeoff_null"] = null
    finding = said(frame, "maps of conv1")
    assert "trade-off is 3.000 bits" in finding.text
    assert words in finding.text
    assert f"It is {3 / 5.9:.1%} of the multivariate" in finding.text
    assert finding.shown is shown


def test_how_the_shares_moved():
    early = said(table(change=with_values(conv1__tradeoff=(10, 4.0))), "shares of conv1")
    assert "50.8% → 67.8% → 67.8%" in early.text
    assert "grew over training (by +16.9 ± 0.0 percentage points)" in early.text
    assert "It moved within 16.9 percentage points in the first 10 steps" in early.text
    late = said(table(change=with_values(conv1__tradeoff=(20, 1.0))), "shares of conv1")
    assert "share fell over training" in late.text
    assert "share is not told apart from what it was over training" in said(table(), "shares of conv1").text
    frame = table()
    last = (frame["layer"] == "conv1") & (frame["step"] == frame["step"].max())
    frame.loc[last & (frame["batch"] == 0), "tradeoff_share"] += 0.1  # one minibatch goes up, the others do not
    text = said(frame, "shares of conv1").text
    assert "share is not told apart from what it was over training" in text
    alone = said(frame[frame["batch"] == 0], "shares of conv1").text
    assert "share was measured on one minibatch, which does not say whether it moved over training" in alone
    assert said(table(steps=(0, 10)), "shares of conv1", Run()).text.startswith("It takes three")


def test_accuracy_comes_from_the_log_and_only_from_it():
    assert (
        "95.0% of the held-out digits correctly (cross entropy 0.200 nats); before it was 10.0%"
        in said(table(), "Accuracy").text
    )
    assert all(one.title != "Accuracy" for one in findings(table()))


def test_moments_are_those_of_the_run_or_first_middle_and_last():
    frame = table(steps=(0, 3, 5, 9))
    assert Run().moments_of(frame) == {"step 0": 0, "step 5": 5, "step 9": 9}
    assert Run().moments_of(table(steps=(4,))) == {"step 4": 4}
    assert Run(moments={"start": 0, "never": 7}).moments_of(frame) == {"start": 0}
