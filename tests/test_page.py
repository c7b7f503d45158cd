"""The page of a report in a browser, and runs that are laid over one another."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("matplotlib")
pytest.importorskip("plotly")

from fastrenyi.report.findings import excess, trace  # noqa: E402
from fastrenyi.report.groups import Group, by_run, grouped, pooled, views_of  # noqa: E402
from fastrenyi.report.interactive import COLOURS, NAMES, interactive, on_black  # noqa: E402
from fastrenyi.report.page import html_page, write_report, write_together  # noqa: E402
from fastrenyi.report.run import Run  # noqa: E402
from fastrenyi.table.inequalities import inequalities  # noqa: E402
from tables import NAN, ORDERED, RECORD, deep, pairs_of, table, with_values  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
UNUSUAL = {
    "no null": table().assign(**{name: NAN for name in table().columns if "_null" in name}),
    "one batch": table(batches=1),
    "one step": table(steps=(0,)),
    "no maps": table(ORDERED[2:]),
    "not finite": table(change=with_values(conv2__mi_input=(10, NAN), conv2__mi_error=(10, NAN))),
    "no chain": table().assign(input_via="", error_via=""),
    "names": table([("<b>$x$", *row[1:]) if row[0] == "conv1" else row for row in ORDERED]),
}


def seeds(count=3):
    """Tables of runs that differ by a tenth of a bit in I(X;T)."""
    return [table().assign(mi_input=lambda frame, k=k: frame["mi_input"] + 0.1 * k) for k in range(count)]


# ------------------------------------------------------------------------------------------------------- groups


def test_runs_of_one_label_are_seeds():
    frame = pooled(seeds())
    assert len(frame) == 3 * 3 * 4  # steps, runs, layers
    found = trace(frame, "conv1", "mi_input")
    np.testing.assert_allclose(found["mean"], 5.905 + 0.1)
    np.testing.assert_allclose(found["std"], 0.1)
    above = excess(frame, "conv1", "mi_input")
    # Two minibatches in each of three runs, each with a null of ten permutations.
    np.testing.assert_allclose(above["error"], 0.02 * np.sqrt(6 * 1.1) / 6)
    links = inequalities(frame)
    np.testing.assert_allclose(links["gap_error"], 0, atol=1e-12)  # what all layers differ by goes out


def test_labels_make_groups_in_their_order():
    frames = [*seeds(2), table(deep(9))]
    groups = grouped(frames, [RECORD, Run(), Run()], ["a", "a", "b"])
    assert [(group.label, group.seeds) for group in groups] == [("a", 2), ("b", 1)]
    assert groups[0].run is RECORD
    assert groups[1].frame is frames[2]


@pytest.mark.parametrize(
    ("frames", "labels", "expected"),
    [
        ([table(), table()], ["a"], "labels: expected one for each table, 2, got 1"),
        ([table(), table()], ["a", " "], "labels: expected words, got an empty one"),
        ([table(), table(deep(9))], ["a", "a"], "the same layers, but run 2 of 'a' has others; give it a label"),
        ([table(), table(steps=(0, 1))], ["a", "a"], "the same steps, but run 2 of 'a'"),
        ([table(), table().assign(alpha=2.0)], ["a", "a"], "the same alphas, but run 2 of 'a'"),
    ],
)
def test_runs_that_are_no_seeds_of_one_are_refused(frames, labels, expected):
    with pytest.raises(ValueError, match=f"^labels: .*{re.escape(expected.removeprefix('labels: '))}"):
        grouped(frames, [Run()] * 2, labels)


def several(*views):
    """A table of several methods and orders, whose I(X;T) differ."""
    views = views or (("paper", 2.0), ("plain", 1.01), ("plain", 2.0))
    frames = [
        table().assign(method=method, alpha=alpha, mi_input=lambda frame, k=k: frame["mi_input"] + 0.1 * k)
        for k, (method, alpha) in enumerate(views)
    ]
    return pd.concat(frames, ignore_index=True)


METHODS = Run(settings={"methods": {"plain": {"alpha": [1.01, 2.0]}, "paper": {"alpha": 2.0, "kernel_on": "maps"}}})


def test_each_method_and_order_is_a_view():
    frame = several()
    views = views_of([Group(frame, METHODS, "a", pairs=pairs_of(frame)), Group(table(), label="b")])
    assert list(views) == [("plain", 1.01), ("plain", 2.0), ("paper", 2.0)]  # as in the settings
    for (method, alpha), (one, other) in views.items():
        for rows in (one.frame, one.pairs):
            assert set(rows[["method", "alpha"]].itertuples(index=False, name=None)) == {(method, alpha)}
        assert one.run.settings["method"] == method
        assert len(other.frame) == len(table())  # what has but one is laid over each
    assert views["paper", 2.0][0].run.settings["kernel_on"] == "maps"


def test_seeds_are_pooled_within_each_view():
    seeded = [several(), several().assign(mi_input=lambda frame: frame["mi_input"] + 1)]
    (group,) = grouped(seeded, [METHODS] * 2, ["a", "a"], [pairs_of(frame) for frame in seeded])
    for place, (_, alpha) in enumerate(group.views):
        (one,) = views_of([group])[group.views[place]]
        assert one.seeds == 2
        assert set(one.frame["alpha"]) == {alpha}
        np.testing.assert_allclose(trace(one.frame, "conv1", "mi_input")["std"], np.sqrt(0.5))


def test_what_was_kept_of_pairs_stays_apart_by_seed():
    frames = seeds(3)
    kept = [pairs_of(frames[0], 0), None, pairs_of(frames[2], 2)]  # an export keeps none
    (group,) = grouped(frames, [Run()] * 3, ["a"] * 3, kept)
    runs = by_run(group.pairs)
    assert list(runs) == [1, 3]
    for place, its in runs.items():
        for matrix, expected in zip(its["pairwise"], kept[place - 1]["pairwise"], strict=True):
            np.testing.assert_array_equal(matrix, expected)
    assert list(by_run(kept[0])) == [1]
    (none,) = grouped(frames, [Run()] * 3, ["a"] * 3, [None] * 3)
    assert none.pairs is None


def test_other_methods_beside_one_another_are_refused():
    groups = [Group(several(), label="a"), Group(several(("x", 1.0), ("y", 2.0)), label="b")]
    with pytest.raises(
        ValueError, match=r"^frames: .*same methods and orders, got 'paper' of order 2.*; 'x' of order 1"
    ):
        views_of(groups)


# ------------------------------------------------------------------------------------------------------ figures


@pytest.mark.parametrize("frame", UNUSUAL.values(), ids=UNUSUAL)
def test_every_figure_is_one_of_plotly(frame):
    from plotly.graph_objects import Figure

    groups = [Group(frame, pairs=pairs_of(frame)), Group(table(), label="other & <i>b</i>")]
    for some in (groups[:1], groups):
        for figure in interactive(some).values():
            json.dumps(figure, allow_nan=False)
            for traces in figure["steps"].values() or [[]]:
                Figure([*figure["data"], *traces], figure["layout"])  # which refuses what plotly does not know


def test_the_plane_is_of_what_is_above_the_null():
    figure = interactive([Group(table())])["plane"]
    (points,) = figure["steps"][10]
    assert points["text"] == ["conv1", "conv2", "fc1", "fc2"]
    np.testing.assert_allclose(points["x"], 0.505, rtol=1e-5)
    np.testing.assert_allclose(points["y"], 0.1, rtol=1e-5)
    across, up = figure["layout"]["shapes"]
    needed = excess(table(), "conv1", "mi_input")["needed"].iloc[0]
    assert (across["x0"], across["x1"], up["y1"]) == pytest.approx((-needed, needed, needed))


def test_the_differences_have_their_errors():
    frame = table(change=with_values(fc1__mi_input=(20, 5.95)))
    frame.loc[(frame["batch"] == 1) & (frame["layer"] == "fc1"), "mi_input"] += 0.1
    forward, _ = interactive([Group(frame)])["differences"]["steps"][20]
    assert forward["text"][1] == "conv2 → fc1"
    assert forward["x"][1] == pytest.approx(-0.3)
    assert forward["error_x"]["array"][1] == pytest.approx(0.1)  # two errors of 0.05
    assert len(set(forward["marker"]["color"])) == 2  # red for what goes up


def test_pairs_are_heat_maps_in_one_order():
    frame = table()
    kept = pairs_of(frame)
    traces = interactive([Group(frame, RECORD, pairs=kept)])["pairs"]["data"]
    found = {tuple(trace["meta"].values()): trace for trace in traces}
    assert len(found) == len(traces) == 2 * 2 * 3  # layers, measures, moments
    last = found["tradeoff", "conv2", "at the end", "1"]
    order = [int(name) for name in last["x"]]
    assert last["y"] == last["x"] == found["nonredundant", "conv2", "before training", "1"]["x"]
    assert len({name % 2 for name in order[:6]}) == 1  # both kinds of maps stand together
    both = np.mean(list(kept[(kept["layer"] == "conv2") & (kept["step"] == 20)]["pairwise"]), axis=0)
    for measure, value in (("tradeoff", 4.1 - both), ("nonredundant", 2 * both - 4.1)):
        z = np.array(found[measure, "conv2", "at the end", "1"]["z"], float)
        np.fill_diagonal(value, NAN)
        np.testing.assert_allclose(z, value[np.ix_(order, order)], rtol=1e-5)
    assert (last["zmin"], last["zmax"]) == pytest.approx((0.5, 1.6), abs=0.11)
    # What all pairs have is told beside its null, which is not known of each.
    assert last["name"] == "all pairs: mean 2.500, with shuffled inputs 2.000 bits"


def test_each_seed_has_heat_maps_of_its_own():
    frames = [table().assign(tradeoff=2.5 + k) for k in range(2)]
    (group,) = grouped(frames, [RECORD] * 2, ["a"] * 2, [pairs_of(frame, k) for k, frame in enumerate(frames)])
    traces = interactive([group])["pairs"]["data"]
    assert len(traces) == 2 * 2 * 2 * 3  # runs, layers, measures, moments
    first, second = (
        next(trace for trace in traces if trace["meta"]["run"] == run and trace["meta"]["layer"] == "conv2 a")
        for run in "12"
    )
    assert first["z"] != second["z"]
    assert [trace["name"][:22] for trace in (first, second)] == ["all pairs: mean 2.500,", "all pairs: mean 3.500,"]


def test_without_a_null_none_is_told_of_pairs():
    frame = UNUSUAL["no null"]
    names = {trace["name"] for trace in interactive([Group(frame, pairs=pairs_of(frame))])["pairs"]["data"]}
    assert "all pairs: mean 2.500 bits" in names
    assert not any("shuffled" in name for name in names)


def contrast(one, other):
    """As WCAG has it, which asks for 3 of what is drawn."""

    def luminance(colour):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return np.dot([0.2126, 0.7152, 0.0722], linear)

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_of_layers_stand_out_on_white_and_on_black():
    twins = on_black([Group(table(deep(53)))])
    paper = re.search(r"--paper: light-dark\((#\w{6}), (#\w{6})\)", html_page([Group(table())]))
    white, black = paper[1], paper[2]
    of_layers = [colour for colour in twins if colour not in COLOURS]
    assert len(of_layers) >= 53
    assert min(contrast(colour, white) for colour in of_layers) >= 2.99
    assert min(contrast(colour, black) for colour in [*twins.values(), *(c for c in COLOURS if c not in twins)]) >= 3
    assert contrast(COLOURS[0], white) >= 3  # that of a single run


def test_a_sample_of_pairs_is_told_under_the_mouse():
    frame = table()
    frame.loc[frame["layer"] == "conv2", "tradeoff_standard_error"] = 0.0123
    told = {
        (curve["meta"]["layer"], curve["meta"]["quantity"]): curve["text"]
        for curve in interactive([Group(frame)])["curves"]["data"]
        if "text" in curve
    }
    assert told["conv2", "tradeoff"] == [", ± 0.012 as a sample of pairs"] * 3
    assert told["conv1", "tradeoff"] == told["conv2", "mi_input"] == [""] * 3


# --------------------------------------------------------------------------------------------------------- page


def test_a_page_of_several_runs(tmp_path):
    groups = grouped([*seeds(2), table(deep(9))], [RECORD, Run(), Run()], ["wide", "wide", "deep <9>"])
    page = write_together(groups, tmp_path, title="Two & more", kind="svg", column="single")
    assert {entry.name for entry in tmp_path.iterdir()} == {"report.html", "comparison.svg"}
    text = page.read_text(encoding="utf-8")
    for part in ("<h1>Two &amp; more</h1>", "<title>Two &amp; more", "<b>wide</b>", "2 runs", "deep &lt;9&gt;"):
        assert part in text
    assert "<h3>deep <9>" not in text


def test_the_methods_can_be_cited():
    text = html_page([Group(table(), RECORD)])
    for part in ("100 samples", "α = 1.01", "10 permutations, 2 for pairs", "doi:10.1109/TNNLS.2020.2968509"):
        assert part in text
    none = table().assign(permutations=0, pair_permutations=0)
    assert "No null was measured." in html_page([Group(none)])


def test_pairs_that_are_not_kept_are_missed_in_words():
    assert "<code>Monitor(..., keep_pairs=True)</code> keeps it" in html_page([Group(table())])
    kept = pairs_of(table())
    text = html_page([Group(table(), pairs=kept[kept["layer"] == "conv1"])])
    assert "Not kept of conv2; <code>Monitor(..., keep_pairs=True)</code>" in text
    many = table(deep(20))
    few = pairs_of(many)
    text = html_page([Group(many, pairs=few[few["layer"] == "conv1"])])
    assert "layer1.1.conv3 and 12 more layers; <code>Monitor" in text
    wide = table([("conv1", 200, *ORDERED[0][2:]), *ORDERED[1:]])
    text = html_page([Group(wide, pairs=pairs_of(wide))])
    assert "Of more than 128 maps" in text
    assert "conv1" not in {
        trace["meta"]["layer"] for trace in interactive([Group(wide, pairs=pairs_of(wide))])["pairs"]["data"]
    }


def test_figures_are_files_of_one_method_and_order(tmp_path):
    write_report(several(), tmp_path / "all", METHODS)
    assert [entry.name for entry in (tmp_path / "all").iterdir()] == ["report.html"]
    write_report(table(), tmp_path / "one", pairs=pairs_of(table()))
    assert (tmp_path / "one" / "pairs_of_maps.png").exists()


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"kind": "gif"}, "format: expected png, svg, pdf"), ({"title": " "}, "title: expected words"),
     ({"column": "wide"}, "column: expected 'single'")],
)  # fmt: skip
def test_wrong_words_are_refused_and_nothing_is_written(given, expected, tmp_path):
    with pytest.raises(ValueError, match=f"^{expected}"):
        write_report(table(), tmp_path / "new", **given)
    assert not (tmp_path / "new").exists()


# ------------------------------------------------------------------------------------------------------ browser

# What a reader does, and what there is then; the page's own state is left in its title.
_READER = """<script>
const faults = [];
addEventListener("error", (event) => faults.push(event.message));
addEventListener("unhandledrejection", (event) => faults.push(String(event.reason)));
for (const kind of ["error", "warn"]) console[kind] = (...words) => faults.push(words.join(" "));
const until = async (holds) => { while (!holds()) await new Promise((go) => setTimeout(go, 20)); };
addEventListener("load", async () => {
  await until(() => document.body.hasAttribute("data-drawn"));
  const plane = document.getElementById("plane"), at = () => plane.data.at(-1).y[0];
  const found = { faults, last: at(), dark: matchMedia("(prefers-color-scheme: dark)").matches,
    plots: [...document.querySelectorAll(".plot .main-svg:first-child")].length };
  const slider = document.getElementById("step");
  slider.value = 0; slider.dispatchEvent(new Event("input"));
  await until(() => at() !== found.last);
  found.first = at(); found.said = document.getElementById("step-said").textContent;
  Plotly.Fx.hover(plane, [{ curveNumber: plane.data.length - 1, pointNumber: 0 }]);
  await until(() => plane.querySelector(".hovertext"));
  found.hover = plane.querySelector(".hovertext").textContent;
  const curves = document.getElementById("curves");
  found.curves = curves.data.length;
  const layer = document.getElementById("layer");
  layer.selectedIndex = layer.options.length - 1; layer.dispatchEvent(new Event("change"));
  await until(() => curves.data.length < found.curves);
  found.one = curves.data.map((trace) => trace.meta.layer);
  const paper = () => getComputedStyle(document.body).backgroundColor;
  found.before = [paper(), plane.layout.template.layout.font.color];
  document.getElementById("theme").click();
  found.after = [paper(), plane.layout.template.layout.font.color];
  const rows = (name) => [...document.querySelectorAll(`details[data-of="${name}"] tr`)].map((row) =>
    [...row.children].map((cell) => cell.textContent));
  found.tables = {};
  for (const details of document.querySelectorAll("details[data-of]")) {
    details.open = true;
    await until(() => rows(details.dataset.of).length);
    found.tables[details.dataset.of] = rows(details.dataset.of);
  }
  const heat = document.getElementById("pairs");
  if (heat) {
    found.heat = [heat.data[0].meta];
    for (const id of ["pairs-layer", "measure", "moment", "run"]) {
      const choice = document.getElementById(id);
      if (choice.options.length < 2) continue;
      choice.selectedIndex = 1; choice.dispatchEvent(new Event("change"));
      await until(() => JSON.stringify(heat.data[0].meta) !== JSON.stringify(found.heat.at(-1)));
      found.heat.push(heat.data[0].meta);
    }
  }
  const method = document.getElementById("method"), order = document.getElementById("order");
  found.choices = [method, order].map((choice) => choice.checkVisibility());
  found.views = [];
  for (const option of [...method.options].map((one) => one.value)) {
    method.value = option; method.dispatchEvent(new Event("change"));
    for (const alpha of [...order.options].map((one) => one.value)) {
      order.value = alpha; order.dispatchEvent(new Event("change"));
      const values = rows("layers").filter((row) => row[0] === "conv1" && row[1] === "true").map((row) => row[3]);
      const parts = [...document.querySelectorAll("[data-view]")].filter((part) => part.checkVisibility());
      const said = parts.length > 0 && parts[0].textContent.includes(`α\u00a0=\u00a0${Number(alpha)}.`);
      found.views.push([option, alpha, values[0], said]);
    }
  }
  const names = [...document.querySelectorAll("#layers .ytick text, #differences .ytick text")];
  const boxes = names.map((name) => name.getBoundingClientRect());
  found.named = names.length;
  found.overlapping = boxes.filter((box, k) => k && box.top < boxes[k - 1].bottom - 1 && box.top > boxes[k - 1].top
    ).length;
  found.width = innerWidth;
  found.covered = [];
  for (const plot of document.querySelectorAll(".plot")) {
    const drawn = [...plot.querySelectorAll("text, .modebar")].filter((part) => !part.closest(".hoverlayer")
      && (part.textContent || part.matches("div")));
    const places = drawn.map((part) => part.getBoundingClientRect());
    places.forEach((a, k) => places.slice(0, k).forEach((b, l) => {
      const over = Math.min(a.right, b.right) - Math.max(a.left, b.left), up = Math.min(a.bottom, b.bottom)
        - Math.max(a.top, b.top);
      if (over > 1 && up > 2) found.covered.push([plot.id, drawn[l].textContent, drawn[k].textContent]);
    }));
  }
  const said = document.createElement("pre");
  said.id = "found"; said.textContent = JSON.stringify(found); document.body.append(said);
});
</script>"""


def visit(page, folder, *options):
    """Open a page in a browser without a network, do what a reader does, and return what was found."""
    path = folder / "visited.html"
    path.write_text(page.replace("<head>", f"<head>{_READER}", 1), encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=60000", "--dump-dom", *options,
            path.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)[1]))


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium (apt-get install chromium)")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_works_in_a_browser(dark, tmp_path):
    page = html_page([Group(table(deep(53)), RECORD)])
    found = visit(page, tmp_path, f"--blink-settings=preferredColorScheme={0 if dark else 1}")
    assert found["faults"] == []
    assert found["plots"] == 5
    assert found["dark"] is dark
    assert (found["first"], found["last"], found["said"]) == (0, 0.2, "0")
    assert "conv1" in found["hover"]
    assert "0.505" in found["hover"]
    assert found["curves"] == 53
    assert set(found["one"]) == {"fc"}
    assert found["before"] != found["after"]
    assert found["choices"] == [False, False]  # a choice between one is none
    assert (found["named"], found["overlapping"]) == (2 * 53, 0)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium (apt-get install chromium)")
def test_a_page_of_several_runs_works_in_a_browser(tmp_path):
    groups = grouped([*seeds(2), table(deep(9))], [Run()] * 3, ["two", "two", "<deep>"])
    found = visit(html_page(groups), tmp_path)
    assert found["faults"] == []
    assert "<deep>" in found["hover"]
    assert set(found["one"]) == {"fc"}


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium (apt-get install chromium)")
def test_methods_orders_and_pairs_are_chosen_and_told_without_a_mouse(tmp_path):
    frame = several()
    found = visit(html_page([Group(frame, METHODS, pairs=pairs_of(frame))]), tmp_path)
    assert found["faults"] == []
    assert found["choices"] == [True, True]
    # At the first step, of conv1: the first value is that of I(X;T).
    assert found["views"] == [
        ["plain", "1.01", "6.005", True], ["plain", "2.0", "6.105", True], ["paper", "2.0", "5.905", True]
    ]  # fmt: skip
    told = found["tables"]
    assert set(told) == {"plane", "layers", "curves", "pairs", "chains", "differences"}
    assert told["layers"][0] == ["Layer", "Shown", "Quantity", "Value", "±"]
    assert ["conv2", "true", "I(T;Y) (bits)", "3.000", "0.000"] in told["layers"]
    assert ["20", "fc2", "I(X;T) (bits)", "4.105", "0.007"] in told["curves"]
    assert ["conv1 → conv2", "", "I(X;T) lost (bits)", "0.200", "0.000"] in told["differences"]
    head, *rows = told["pairs"]
    assert head[0] == "Maps"
    assert [row[0] for row in rows] == head[1:]
    assert [row[1 + k] for k, row in enumerate(rows)] == [""] * 6
    assert found["heat"] == [
        {"measure": "tradeoff", "layer": "conv1", "moment": "step 20", "run": "1"},
        {"measure": "tradeoff", "layer": "conv2", "moment": "step 20", "run": "1"},
        {"measure": "nonredundant", "layer": "conv2", "moment": "step 20", "run": "1"},
        {"measure": "nonredundant", "layer": "conv2", "moment": "step 10", "run": "1"},
    ]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium (apt-get install chromium)")
@pytest.mark.parametrize("width", [500, 1100])
def test_no_text_of_a_figure_lies_on_another(width, tmp_path):
    frames = [table(deep(21)), table(deep(21)).assign(tradeoff=1.0)]
    groups = grouped(frames, [RECORD] * 2, ["a"] * 2, [pairs_of(frame, k) for k, frame in enumerate(frames)])
    found = visit(html_page(groups), tmp_path, f"--window-size={width},900")
    assert found["faults"] == []
    assert found["width"] == width
    assert found["covered"] == []
    assert [meta["run"] for meta in found["heat"]] == ["1"] * 4 + ["2"]


def test_quantities_are_columns():
    assert set(NAMES) <= set(table().columns)
