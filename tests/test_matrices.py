"""Pairs of feature maps as matrices: what is drawn, in which order, and the figure for paper."""

import re

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

from fastrenyi.report.matrices import clustered, last_order, measures_of, pairs_of_maps, scale  # noqa: E402
from tables import deep, pairs_of, table  # noqa: E402


def test_both_measures_follow_from_the_informations():
    kept = pairs_of(table())
    found = measures_of(kept, "conv1", 10)
    both = np.mean(list(kept[(kept["layer"] == "conv1") & (kept["step"] == 10)]["pairwise"]), axis=0)
    for i, j in ((0, 1), (4, 2)):
        alone = both[i, i] + both[j, j]
        assert found["tradeoff"][i, j] == pytest.approx(alone - both[i, j])
        assert found["nonredundant"][i, j] == pytest.approx(2 * both[i, j] - alone)
        assert found["tradeoff"][i, j] + found["nonredundant"][i, j] == pytest.approx(both[i, j])
    for matrix in found.values():
        assert np.isnan(matrix.diagonal()).all()
        assert np.isnan(matrix).sum() == len(matrix)


def test_redundant_maps_stand_together():
    kind = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], 5))
    tradeoff = np.where(kind[:, None] == kind, 1.0, -0.5)
    np.fill_diagonal(tradeoff, np.nan)
    order = clustered(tradeoff)
    assert sorted(order) == list(range(15))
    assert np.count_nonzero(np.diff(kind[order])) == 2
    assert len(clustered(tradeoff[:2, :2])) == 2
    assert sorted(clustered(np.where(np.eye(4) > 0, np.nan, 0.3))) == [0, 1, 2, 3]  # all alike


def test_the_order_is_that_of_the_last_step():
    kept = pairs_of(table())
    changed = kept.copy()
    changed.loc[changed["step"] == 0, "pairwise"] = changed.loc[changed["step"] == 0, "pairwise"].map(lambda m: -m)
    np.testing.assert_array_equal(last_order(changed, "conv2"), last_order(kept, "conv2"))


def test_colours_part_at_zero_where_there_are_both_signs():
    one, other = np.array([[np.nan, 1.0], [1.0, np.nan]]), np.array([[np.nan, -3.0], [-3.0, np.nan]])
    assert scale([one, 2 * one]) == {"low": 1.0, "high": 2.0, "colours": "viridis"}
    assert scale([one, other]) == {"low": -3.0, "high": 3.0, "colours": "RdBu_r"}


@pytest.mark.parametrize("column", ["single", "double"])
@pytest.mark.parametrize("rows", [None, deep(14)], ids=["two layers", "many"])
def test_text_keeps_clear_of_other_text_and_stays_in_the_figure(rows, column):
    frame = table() if rows is None else table(rows, steps=(0,))
    figure = pairs_of_maps(pairs_of(frame), column=column)
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    drawn = []
    for panel in figure.findobj(lambda artist: hasattr(artist, "yaxis")):  # those of colours too
        low, high = sorted(panel.get_ylim())
        drawn += [panel._left_title, *(t for t in panel.get_yticklabels() if low <= t.get_position()[1] <= high)]
    boxes = [text.get_window_extent(renderer) for text in drawn if text.get_text()]
    width, height = figure.canvas.get_width_height()
    for k, box in enumerate(boxes):
        assert -1 <= box.x0 <= box.x1 <= width + 1
        assert -1 <= box.y0 <= box.y1 <= height + 1
        for other in boxes[:k]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            up = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert not (across > 1 and up > 2), (box, other)


def test_the_figure_is_written_and_says_its_step(tmp_path):
    figure = pairs_of_maps(pairs_of(table()), tmp_path / "pairs.svg", step=10)
    assert "at step 10" in figure.get_supxlabel()
    assert (tmp_path / "pairs.svg").exists()


@pytest.mark.parametrize(
    ("change", "given", "words"),
    [
        (
            lambda kept: kept[:0],
            {},
            "pairs: expected at least one row, got none; make the Monitor with keep_pairs=True",
        ),
        (lambda kept: kept, {"step": 7}, "step: expected one of which pairs were kept, got 7"),
        (lambda kept: pd.concat([kept, kept.assign(alpha=2.0)]), {}, "pairs: expected rows of one alpha, got 2"),
        (lambda kept: pd.concat([kept, kept.assign(method="b")]), {}, "pairs: expected rows of one method, got 2"),
        (lambda kept: kept, {"column": "wide"}, "column: expected 'single' or 'double'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, given, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        pairs_of_maps(change(pairs_of(table())), **given)
