"""The report: its figures, its page and the record of its run."""

import dataclasses
import math
from html.parser import HTMLParser

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("matplotlib")
pytest.importorskip("plotly")

from fastrenyi.report import plots  # noqa: E402
from fastrenyi.report.findings import findings  # noqa: E402
from fastrenyi.report.groups import Group  # noqa: E402
from fastrenyi.report.page import html_page, write_report  # noqa: E402
from fastrenyi.report.run import Run, digest, read_table  # noqa: E402
from fastrenyi.table.files import temporary_of, write_whole  # noqa: E402
from tables import NAN, NULLS, ORDERED, RECORD, deep, table, with_values  # noqa: E402


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


def boxes(figure):
    """The text of a figure that is seen, each with the box that it is in."""
    from matplotlib.text import Text

    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    # A tick outside the axis, and its label, are there but not drawn.
    drawn = {
        id(label)
        for panel in figure.axes
        for axis in (panel.xaxis, panel.yaxis)
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if not (axis.get_visible() and panel.axison)
        or not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts if id(text) not in drawn]


@pytest.mark.parametrize("column", ["single", "double"])
@pytest.mark.parametrize("name", plots.FIGURES)
@pytest.mark.parametrize("layers", [4, 12, 53])
def test_no_text_of_a_figure_is_on_another_or_cut(layers, name, column):
    layers = 21 if (layers, column) == (53, "double") else layers
    rows = ORDERED if layers == 4 else deep(layers)
    figure = plots.FIGURES[name](table(rows, steps=(0, 1, 10, 1000)), column=column)
    assert figure.get_figwidth() == {"single": 3.5, "double": 7.2}[column]
    assert figure.get_figheight() < 9.5  # of a page
    found = boxes(figure)
    if layers > 12 and name != "information_plane":
        assert {row[0] for row in rows[:-1]} <= {text for text, _ in found}
    for place, (text, box) in enumerate(found):
        assert figure.bbox.padded(1).contains(*box.min), text
        assert figure.bbox.padded(1).contains(*box.max), text
        on = [other for other, its in found[:place] if box.padded(-1).overlaps(its.padded(-1))]
        assert not on, f"{text!r} is on {on}"


@pytest.mark.parametrize("column", ["single", "double"])
def test_no_text_of_a_comparison_is_on_another_or_cut(column):
    frames = {f"run of {count} layers": table(deep(count)) for count in (21, 30, 53)}
    found = boxes(plots.comparison(frames, column=column))
    for place, (text, box) in enumerate(found):
        assert not [other for other, its in found[:place] if box.padded(-1).overlaps(its.padded(-1))], text


def test_the_boxes_of_text_show_what_overlaps():
    figure = plots.true_and_shuffled(table())
    figure.axes[0].text(0.5, 1, "here"), figure.axes[0].text(0.5, 1, "there")
    first, second = (box for text, box in boxes(figure) if text in ("here", "there"))
    assert first.overlaps(second)


def test_a_column_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^column: expected 'single' or 'double', got 'triple'"):
        plots.shares(table(), column="triple")
    with pytest.raises(ValueError, match=r"^path: expected a name that ends in \.png, \.svg, \.pdf, got .*a\.gif"):
        plots.shares(table(), path=tmp_path / "a.gif")


@pytest.mark.parametrize(("kind", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_figures_are_the_same_bytes_each_time(kind, begins, tmp_path):
    written = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.{kind}"
        plots.inequalities(table(), RECORD, path)
        written.append(path.read_bytes())
    assert written[0].startswith(begins)
    assert written[0] == written[1]
    if kind == "pdf":
        assert b"/Type3" not in written[0].replace(b" ", b"")


def test_figures_show_the_means_and_leave_pyplot_alone():
    import sys

    pyplot = sys.modules.get("matplotlib.pyplot")
    before = pyplot.get_fignums() if pyplot else []
    figure = plots.decomposition(table(), RECORD)
    line = next(line for line in figure.axes[0].lines if line.get_label() == "$I(X;T)$")
    np.testing.assert_allclose(line.get_ydata(), [5.905] * 3)
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["conv1\n6 maps", "conv2\n12 maps"]
    assert "bits" in figure.axes[0].get_ylabel()
    assert sys.modules.get("matplotlib.pyplot") is pyplot
    assert not pyplot or pyplot.get_fignums() == before
    shares = plots.shares(table())
    grey = next(line for line in shares.axes[0].lines if line.get_label().startswith("sum"))
    np.testing.assert_allclose(grey.get_ydata(), [5.0 / 5.9] * 3)


def test_the_inequalities_figure_takes_steps_and_marks_violations():
    frame = table(change=with_values(fc1__mi_input=(20, 5.95)))
    figure = plots.inequalities(frame, moments={"late": 20})
    dotted = [[line for line in panel.lines if line.get_linestyle() == ":"] for panel in figure.axes]
    assert [len(lines) for lines in dotted] == [1, 0]
    np.testing.assert_allclose(dotted[0][0].get_xdata(), [5.705, 5.955])
    np.testing.assert_array_equal(dotted[0][0].get_ydata(), [1, 2])  # the rows of conv2 and fc1
    for draw in (plots.inequalities, plots.differences):
        with pytest.raises(ValueError, match=r"^moments: expected measured steps, got 7"):
            draw(frame, moments={"never": 7})


def test_the_differences_figure_has_each_link_with_two_errors():
    frame = table(change=with_values(fc1__mi_input=(20, 5.95), fc2__mi_input=4.0))
    frame.loc[(frame["batch"] == 1) & (frame["layer"] == "fc1"), "mi_input"] += 0.1
    figure = plots.differences(frame, moments={"late": 20})
    dots, _, (bars,) = figure.axes[0].containers[0]
    np.testing.assert_allclose(dots.get_xdata().astype(float), [0.2, -0.3, 2.0])
    np.testing.assert_allclose(dots.get_ydata().astype(float), [1, 2, 3])
    left, right = bars.get_segments()[1][:, 0]
    assert (left, right) == pytest.approx((-0.4, -0.2))  # the minibatches differ by 0.1: an error of 0.05


@pytest.mark.parametrize("draw", [*plots.FIGURES.values(), findings])
def test_a_table_that_is_none_is_refused(draw):
    with pytest.raises(ValueError, match=r"^frame: .* mi_error are missing"):
        draw(table().drop(columns="mi_error"))
    with pytest.raises(ValueError, match=r"^frame: expected at least one row"):
        draw(table().iloc[:0])


class Page(HTMLParser):
    """What a page holds: plots, links to elsewhere, its text and whether all tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.plots, self.links, self.text, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if values.get("class") == "plot":
            self.plots.append(values["aria-label"])
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("br", "hr", "input", "meta"):
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
    assert page.links == []  # nothing is loaded; that nothing is asked for by scripts, test_page.py looks at
    assert all(len(told) > 20 for told in page.plots)
    assert len(page.plots) == 5
    text = "".join(page.text)
    for finding in findings(table(), RECORD):
        assert finding.title in text
        assert finding.text.replace("I(δ_K;δ_i)", "I(δK;\u202fδi)") in text  # in the page as mathematics
    assert "LeNet-5 & <b>friends</b>" in text  # escaped, not bold
    assert "0.0.test" in text
    for name in ("numpy", "scipy", "torch", "BLAS"):
        assert name in text


def test_names_from_the_table_are_escaped():
    frame = table([("<script>alert()", *row[1:]) if row[0] == "conv1" else row for row in ORDERED])
    assert "<script>alert" not in html_page([Group(frame, RECORD)])


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

    path = tmp_path / "run.db"
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
    with pytest.raises(ValueError, match=r"^store: .*text\.parquet: file is not a database; restore"):
        read_table(tmp_path / "text.parquet")
    table().drop(columns="depth").to_parquet(tmp_path / "part.parquet")
    with pytest.raises(ValueError, match="depth are missing"):
        read_table(tmp_path / "part.parquet")
    table().to_parquet(tmp_path / "whole.parquet")
    assert len(read_table(tmp_path / "whole.parquet")) == len(table())


# ------------------------------------------------------------------------------------- what is no table of a Monitor


@pytest.mark.parametrize("name", ["$x$ and $y", r"a$b_{c and \frac$1$", "<b>&amp;</b> %s {0}"])
def test_names_of_layers_are_text(name):
    from matplotlib.text import Text

    frame = table().replace({"layer": {"conv1": name}, "input_via": {"conv1": name}, "error_via": {"conv1": name}})
    for draw in plots.FIGURES.values():
        figure = draw(frame, RECORD)
        figure.canvas.draw()
        named = [text for text in figure.findobj(Text) if name in text.get_text()]
        assert named
        assert not any(text.get_parse_math() for text in named)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("step", "first", "whole numbers in the column step, got (object|str) such as 'first'"),
        ("layer", 3, "text in the column layer, got int64 such as (np.int64\\()?3"),
        ("mi_input", "much", "numbers in the column mi_input, got (object|str) such as 'much'"),
        ("mi_target", 1j, "numbers in the column mi_target, got complex128"),
        ("depth", NAN, "whole numbers in the column depth, got float64 such as"),
    ],
)
def test_tables_of_other_kinds_are_refused(column, values, expected):
    frame = table().assign(**{column: values})
    for call in (findings, *plots.FIGURES.values()):
        with pytest.raises(ValueError, match=f"^frame: expected {expected}"):
            call(frame)


def test_a_column_that_comes_twice_is_refused():
    frame = table()
    with pytest.raises(ValueError, match=r"^frame: expected each column .*, got one twice"):
        findings(pd.concat([frame, frame[["mi_input"]]], axis=1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("settings", [1]), ("history", {"step": 1}), ("history", [{"step": "one"}]), ("history", [3]),
        ("moments", ["start"]),
        ("moments", {"start": "now"}), ("versions", {"numpy": 2}), ("versions", None), ("table", 7),
    ],
)  # fmt: skip
def test_records_of_other_kinds_are_refused(field, value, tmp_path):
    import json

    path = tmp_path / "run.parquet"
    frame = table()
    frame.to_parquet(path)
    record = dataclasses.asdict(dataclasses.replace(RECORD, table=digest(frame))) | {field: value}
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=f"run.json is not the record of a run \\({field} is .*move it away"):
        Run.load(path)
