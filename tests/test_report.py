"""The report: what is said must be true of the table, also when the table shows the opposite."""

import base64
import dataclasses
import math
from html.parser import HTMLParser

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

from fastrenyi.report import plots  # noqa: E402
from fastrenyi.report.findings import excess, findings, layers, layers_with_maps, trace  # noqa: E402
from fastrenyi.report.page import html_page, write_report  # noqa: E402
from fastrenyi.report.run import Run, digest, read_table, temporary_of, write_whole  # noqa: E402

NAN = math.nan
NULLS = ("mi_input", "mi_target", "mi_error", "tradeoff", "nonredundant")
# (layer, channels, I(X;T), trade-off, non-redundant, I(delta_K;delta_i)), in bits
ORDERED = [
    ("conv1", 6, 5.9, 3.0, 2.0, 1.0),
    ("conv2", 12, 5.7, 2.5, 2.2, 1.5),
    ("fc1", 1, 5.0, NAN, NAN, 2.0),
    ("fc2", 1, 4.0, NAN, NAN, NAN),
]
RECORD = Run(
    settings={"network": "LeNet-5 & <b>friends</b>"},
    history=[
        {"step": 0, "epoch": 0.0, "loss": 2.3, "accuracy": 0.1},
        {"step": 20, "epoch": 2.0, "loss": 0.2, "accuracy": 0.95},
    ],
    moments={"before training": 0, "after one epoch": 10, "at the end": 20},
    versions={"fastrenyi": "0.0.test"},
)


def table(rows=ORDERED, steps=(0, 10, 20), batches=2, change=None):
    """A table in which every step looks as `rows`; change(step, row) gives other rows."""
    made = []
    for step in steps:
        for batch in range(batches):
            for depth, row in enumerate(rows):
                layer, channels, mmi, tradeoff, rest, error = change(step, row) if change else row
                shift = 0.01 * batch
                made.append(
                    {
                        "step": step, "batch": batch, "layer": layer, "depth": depth, "channels": channels,
                        "samples": 100, "activation": "relu",
                        "input_via": rows[depth - 1][0] if depth else "",
                        "error_via": rows[depth + 1][0] if depth + 1 < len(rows) else "",
                        "input_entropy": 6.0, "target_entropy": 3.2, "entropy": 6.2, "saturated": False, "dead": False,
                        "permutations": 10, "pair_permutations": 2,
                        "mi_input": mmi + shift, "mi_input_null": mmi - 0.5, "mi_input_null_std": 0.02,
                        "mi_target": 3.0, "mi_target_null": 3.0 - 0.01 * step, "mi_target_null_std": 0.02,
                        "tradeoff": tradeoff, "tradeoff_null": tradeoff - 0.5, "tradeoff_null_std": 0.02,
                        "nonredundant": rest, "nonredundant_null": rest, "nonredundant_null_std": 0.02,
                        "mi_error": error + shift, "mi_error_null": 0.5, "mi_error_null_std": 0.02,
                        "tradeoff_share": tradeoff / mmi, "nonredundant_share": rest / mmi,
                    }
                )  # fmt: skip
    return pd.DataFrame(made)


def said(frame, title, run=RECORD):
    return next(one for one in findings(frame, run) if title in one.title)


def with_values(**values):
    """Change named columns of the row of one layer, at all steps or from (step, value) on."""
    order = ["layer", "channels", "mi_input", "tradeoff", "nonredundant", "mi_error"]

    def change(step, row):
        row = dict(zip(order, row, strict=True))
        for name, value in values.items():
            layer, column = name.split("__")
            if row["layer"] == layer:
                since, value = value if isinstance(value, tuple) else (0, value)
                if step >= since:
                    row[column] = value
        return tuple(row.values())

    return change


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
    assert "grew over training. It moved within 16.9 percentage points in the first 10 steps" in early.text
    late = said(table(change=with_values(conv1__tradeoff=(20, 1.0))), "shares of conv1")
    assert "share fell over training" in late.text
    assert "share did not move over training" in said(table(), "shares of conv1").text
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


@pytest.mark.parametrize("name", plots.FIGURES)
@pytest.mark.parametrize(
    ("frame", "run"),
    [
        (table(), RECORD),
        (table(batches=1), None),
        (table(steps=(0,)), RECORD),
        (table(ORDERED[:1]), None),
        (table(ORDERED[2:]), RECORD),
        (table(change=with_values(conv1__tradeoff=-1.0, fc2__mi_input=6.5)).assign(mi_error=NAN), None),
        (table().assign(**{f"{name}_null{of}": NAN for name in NULLS for of in ("", "_std")}), None),
        (table().assign(input_via="", error_via=["conv2", "fc1", "conv1", ""] * 6), None),
    ],
    ids=["whole", "one batch", "one step", "one layer", "no maps", "broken", "no null", "no chain"],
)
def test_every_figure_can_be_drawn(name, frame, run, tmp_path):
    from matplotlib.figure import Figure

    path = tmp_path / "figure.png"
    figure = plots.FIGURES[name](frame, run, path)
    assert isinstance(figure, Figure)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert not temporary_of(path).exists()


def test_figures_show_the_means_and_leave_pyplot_alone():
    import sys

    figure = plots.decomposition(table(), RECORD)
    line = next(line for line in figure.axes[0].lines if line.get_label().startswith("I(X;T)"))
    np.testing.assert_allclose(line.get_ydata(), [5.905] * 3)
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["conv1, 6 maps", "conv2, 12 maps"]
    assert "bits" in figure.axes[0].get_ylabel()
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    shares = plots.shares(table())
    grey = next(line for line in shares.axes[0].lines if line.get_label().startswith("sum"))
    np.testing.assert_allclose(grey.get_ydata(), [5.0 / 5.9] * 3)


def test_the_inequalities_figure_takes_steps_and_marks_violations():
    frame = table(change=with_values(fc1__mi_input=(20, 5.95)))
    figure = plots.inequalities(frame, moments={"late": 20})
    assert [text.get_text() for text in figure.axes[0].texts] == ["+0.250"]
    assert [text.get_text() for text in figure.axes[1].texts] == []
    with pytest.raises(ValueError, match=r"^moments: expected measured steps, got 7"):
        plots.inequalities(frame, moments={"never": 7})


@pytest.mark.parametrize("draw", [*plots.FIGURES.values(), findings])
def test_a_table_that_is_none_is_refused(draw):
    with pytest.raises(ValueError, match=r"^frame: .* mi_error are missing"):
        draw(table().drop(columns="mi_error"))
    with pytest.raises(ValueError, match=r"^frame: expected at least one row"):
        draw(table().iloc[:0])


class Page(HTMLParser):
    """What a page holds: images, links to elsewhere, its text and whether all tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.images, self.links, self.text, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "img":
            self.images.append(values)
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_whole_and_needs_nothing_else(tmp_path):
    path = write_report(table(), tmp_path / "new" / "folder", RECORD)
    assert {entry.name for entry in path.parent.iterdir()} == {
        "report.html",
        *(f"{name}.png" for name in plots.FIGURES),
    }
    content = path.read_text(encoding="utf-8")
    page = Page(content)
    assert page.open == []
    assert len(page.images) == len(plots.FIGURES)
    for image, name in zip(page.images, plots.FIGURES, strict=True):
        kind, data = image["src"].split(",", 1)
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data) == (path.parent / f"{name}.png").read_bytes()
        assert len(image["alt"]) > 20
    assert all(link.startswith("data:") for link in page.links)
    assert "http" not in content
    text = " ".join(page.text)
    for finding in findings(table(), RECORD):
        assert finding.title in text
        assert finding.text in text
    assert "LeNet-5 & <b>friends</b>" in text  # escaped, not bold
    assert "0.0.test" in text
    for name in ("numpy", "scipy", "torch", "BLAS"):
        assert name in text


def test_names_from_the_table_are_escaped(tmp_path):
    frame = table([("<script>", *row[1:]) if row[0] == "conv1" else row for row in ORDERED])
    images = dict.fromkeys(plots.FIGURES, b"")
    assert "<script>" not in html_page(frame, images, RECORD)


def test_a_failing_report_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "report.html").write_text("old")
    with pytest.raises(ValueError, match="frame"):
        write_report(table().drop(columns="step"), tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_whole(tmp_path / "report.html", b"new")
    assert (tmp_path / "report.html").read_text() == "old"
    assert not temporary_of(tmp_path / "report.html").exists()


def test_the_record_survives_a_round_trip(tmp_path):
    table().sample(frac=1, random_state=0).to_parquet(tmp_path / "any.parquet")
    record = dataclasses.replace(RECORD, table=digest(table()))
    record.save(tmp_path)
    assert Run.load(tmp_path / "any.parquet") == record
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json is not the record of a run"):
        Run.load(tmp_path / "any.parquet")
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match=r"run\.json is not the record of a run"):
        Run.load(tmp_path / "any.parquet")


@pytest.mark.parametrize(
    "other",
    [
        table(steps=(0, 10, 20, 30)),
        table(change=with_values(fc1__mi_input=(20, math.nextafter(5.0, 6)))),
        table([("stem", *row[1:]) if row[0] == "conv1" else row for row in ORDERED]),
    ],
    ids=["grown", "one figure", "one name"],
)
def test_a_record_of_another_table_is_refused(other, tmp_path):
    dataclasses.replace(RECORD, table=digest(table())).save(tmp_path)
    other.to_parquet(tmp_path / "other.parquet")
    with pytest.raises(
        ValueError, match=r"run\.json is not the record of .*other\.parquet.*--resume, or move"
    ) as caught:
        Run.load(tmp_path / "other.parquet")
    assert str(tmp_path / "run.json") in str(caught.value)
    (tmp_path / "run.json").unlink()
    assert Run.load(tmp_path / "other.parquet") == Run()


def test_a_record_that_names_no_table_is_refused(tmp_path):
    RECORD.save(tmp_path)
    table().to_parquet(tmp_path / "run.parquet")
    with pytest.raises(ValueError, match=r"run\.json is not the record of .*run\.parquet"):
        Run.load(tmp_path / "run.parquet")


def test_without_a_record_the_settings_of_the_monitor_are_shown(tmp_path):
    torch = pytest.importorskip("torch")

    import fastrenyi.torch as frt

    path = tmp_path / "run.parquet"
    probe = [(torch.arange(40.0).reshape(20, 2), torch.arange(20) % 2)]
    frt.Monitor(torch.nn.Sequential(torch.nn.Linear(2, 2)), probe, store=path).measure(0)
    run = Run.load(path)
    assert run.settings["alpha"] == 1.01
    table().to_parquet(tmp_path / "plain.parquet")
    assert Run.load(tmp_path / "plain.parquet") == Run()


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="frame: there is no"):
        read_table(tmp_path / "absent.parquet")
    (tmp_path / "text.parquet").write_text("nothing of the kind")
    with pytest.raises(ValueError, match=r"^frame: .* cannot be read as a Parquet table"):
        read_table(tmp_path / "text.parquet")
    table().drop(columns="depth").to_parquet(tmp_path / "part.parquet")
    with pytest.raises(ValueError, match="depth are missing"):
        read_table(tmp_path / "part.parquet")
    table().to_parquet(tmp_path / "whole.parquet")
    assert len(read_table(tmp_path / "whole.parquet")) == len(table())
