"""Figures of scores: what is in them, and that no input breaks them."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from omero_hcs.report.colors import SERIES
from omero_hcs.report.score_figures import Scored, confusion_figure, curve_figure, scores_figure

NAN = math.nan


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def has(content, color):
    """How many pixels are of a colour, "#RRGGBB"."""
    wanted = np.frombuffer(bytes.fromhex(color[1:]), dtype=np.uint8)
    return int((pixels(content) == wanted).all(axis=2).sum())


def line(group="lite0", series="knn", score=(0.9, 0.8, 0.95), **more):
    return Scored(group, series, {"accuracy": score, "f1": score, "auc": score}, **more)


def judged(names, *, right=30, wrong=2):
    return [
        {
            "class": one, "precision": 0.9, "recall": 0.8,
            "judged": {name: right if name == one else wrong for name in names},
        }
        for one in names
    ]  # fmt: skip


def test_every_series_has_its_colour():
    found = scores_figure([line(series=name) for name in ("knn", "linear")], title="t")
    assert has(found, SERIES[0]) > 100
    assert has(found, SERIES[1]) > 100
    assert has(found, SERIES[2]) == 0


def test_what_is_no_result_is_hollow():
    full, hollow = (scores_figure([line(hollow=one)], title="t") for one in (False, True))
    assert has(hollow, SERIES[0]) < 0.6 * has(full, SERIES[0])


def test_a_score_that_cannot_be_measured_leaves_its_place_empty():
    nothing = scores_figure([line(score=(NAN, NAN, NAN))], title="t")
    assert has(nothing, SERIES[0]) == 0
    without_ends = scores_figure([line(score=(0.9, NAN, NAN))], title="t")
    assert has(without_ends, SERIES[0]) > 100


@pytest.mark.parametrize("name", ["$x_1$ <b>", "\u7d30\u80de", "a" * 200, "two\nlines"])
def test_any_name_can_be_shown(name):
    found = scores_figure([line(group=name, series=name)], title=name, note=name)
    assert pixels(found).shape[1] > 1000
    assert pixels(confusion_figure(judged([name, "b"]), title=name, note=name)).shape[1] > 800


def test_more_lines_make_a_higher_figure_of_the_same_width():
    low, high = (
        pixels(scores_figure([line(group=str(n)) for n in range(count)], title="t")).shape
        for count in (2, 12)
    )
    assert high[0] > 2 * low[0] - 300
    assert high[1] == low[1]


def test_a_curve_a_way_of_picking_with_its_range():
    rows = [
        {"pick": pick, "count": count, **{
            f"{name}{end}": value + shift
            for name in ("f1", "auc")
            for end, shift in (("", 0), ("_low", -0.1), ("_high", 0.1))
        }}
        for pick in ("random", "uncertain")
        for count, value in ((10, 0.6), (100, 0.8))
    ]  # fmt: skip
    found = curve_figure(rows, title="t")
    assert has(found, SERIES[1]) > 500
    alone = curve_figure(rows[:2], title="t")
    assert has(alone, SERIES[0]) > 500
    assert has(alone, SERIES[1]) == 0


@pytest.mark.parametrize("count", [2, 9, 20])
def test_a_confusion_of_any_number_of_classes(count):
    shape = pixels(confusion_figure(judged([f"class {n}" for n in range(count)]), title="t")).shape
    assert 900 < shape[1] < 3200
    assert shape[0] < shape[1]


def test_a_class_without_cells_is_drawn_without_a_score():
    rows = judged(["a", "b"])
    rows[1] |= {"precision": NAN, "recall": NAN, "judged": {"a": 0, "b": 0}}
    assert pixels(confusion_figure(rows, title="t")).shape[1] > 800


def test_the_same_scores_give_the_same_bytes():
    assert scores_figure([line()], title="t") == scores_figure([line()], title="t")
