from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from omero_hcs.errors import InputError
from omero_hcs.report.heatmap import DPI, heatmap_layout, plate_heatmap
from omero_hcs.report.well_values import short_number


def _draw(rows=4, columns=6, values=None, title="P1", roles=None):
    if values is None:
        values = {(row, column): 5.0 for row in range(rows) for column in range(columns)}
    return plate_heatmap(
        rows, columns, values, title=title, unit_label="abnormal cells (%)", roles=roles
    )


def _pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def _well(png, layout, row, column):
    x, y, side = (round(value) for value in layout.well_box(row, column))
    return _pixels(png)[y : y + side, x : x + side]


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (4, 6), (8, 12), (16, 24), (32, 48)])
def test_every_plate_size_gives_a_picture_of_the_size_told(rows, columns):
    png = _draw(rows, columns)
    assert Image.open(io.BytesIO(png)).size == heatmap_layout(rows, columns).size


@pytest.mark.parametrize(("rows", "columns"), [(8, 12), (32, 48)])
def test_zero_no_value_and_not_imaged_look_different(rows, columns):
    values: dict[tuple[int, int], float | None] = {(0, 0): 0.0, (0, 1): None, (1, 1): float("nan")}
    png = _draw(rows, columns, values)
    layout = heatmap_layout(rows, columns)
    zero, none, nan, absent = (
        _well(png, layout, *spot) for spot in [(0, 0), (0, 1), (1, 1), (1, 0)]
    )
    means = [well.mean(axis=(0, 1)) for well in (zero, none, absent)]
    for a, b in [(0, 1), (1, 2), (0, 2)]:
        assert np.abs(means[a] - means[b]).max() > 3
    assert np.abs(none.mean() - nan.mean()) < 2


def test_wells_are_where_the_layout_says():
    values = {(row, column): 0.0 for row in range(8) for column in range(12)}
    layout = heatmap_layout(8, 12)
    before = _pixels(_draw(8, 12, values))
    after = _pixels(_draw(8, 12, values | {(6, 10): 10.0}))
    changed = np.argwhere((before != after).any(axis=2))
    x, y, side = layout.well_box(6, 10)
    assert changed[:, 0].min() >= y - 1
    assert changed[:, 0].max() <= y + side + 1
    assert changed[:, 1].min() >= x - 1
    assert changed[:, 1].max() <= x + side + 1
    assert np.ptp(changed[:, 0]) > 0.7 * side


def test_more_is_darker():
    png = _draw(1, 3, {(0, 0): 0.0, (0, 1): 30.0, (0, 2): 60.0})
    layout = heatmap_layout(1, 3)
    light = [_well(png, layout, 0, column).mean() for column in range(3)]
    assert light[0] > light[1] > light[2]


def test_controls_are_marked_and_told_apart():
    plain, negative, positive = (
        _draw(roles={(0, 0): role})
        for role in ("treatment", "negative_control", "positive_control")
    )
    assert plain == _draw()
    assert len({plain, negative, positive}) == 3


def test_same_input_gives_the_same_bytes():
    assert _draw() == _draw()


def test_any_title_can_be_drawn_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _draw(title="$\\frac{1$ 日本 🧪 " + "very long name " * 30)


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (33, 48), (8, 49)])
def test_a_size_that_no_plate_has_is_refused(rows, columns):
    with pytest.raises(InputError, match="largest has 32 x 48"):
        heatmap_layout(rows, columns)


def test_a_well_outside_the_plate_is_refused():
    with pytest.raises(InputError, match="row 4, column 0"):
        _draw(values={(4, 0): 1.0})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01, "<0.1"),
        (0.44, "0.4"),
        (9.96, "10"),
        (12.4, "12"),
        (100, "100"),
        (23456, "23k"),
    ],
)
def test_numbers_in_wells_are_short(value, text):
    assert short_number(value) == text


@pytest.mark.parametrize(("rows", "columns"), [(8, 12), (16, 24), (32, 48)])
def test_marks_stand_around_the_wells_and_leave_them_where_the_layout_says(rows, columns):
    values = {(row, column): 5.0 for row in range(rows) for column in range(columns)}
    values |= {(2, column): 50.0 for column in range(columns)}
    marks = frozenset({"edge", "rows", "columns"})
    png = plate_heatmap(rows, columns, values, title="P", unit_label="%", marks=marks)
    layout = heatmap_layout(rows, columns, marks)
    assert Image.open(io.BytesIO(png)).size == layout.size
    low, high = (_well(png, layout, row, columns - 1).mean() for row in (1, 2))
    assert low > high
    x, y, side = layout.well_box(2, columns - 1)
    right = round(x + layout.strip * DPI)
    strip = _pixels(png)[round(y) : round(y + side), right : right + round(side)]
    assert np.abs(strip.reshape(-1, 3).min(axis=0) - _pixels(png)[0, 0]).max() > 50


def test_an_edge_is_drawn_only_where_there_are_inner_wells():
    def drawn(rows, columns):
        values = {(row, column): 5.0 for row in range(rows) for column in range(columns)}
        plain = heatmap_layout(rows, columns)
        png = plate_heatmap(
            rows, columns, values, title="P", unit_label="%", marks=frozenset({"edge"})
        )
        x, y, side = (round(value) for value in plain.well_box(1, 1))
        line = _pixels(png)[y - 3 : y + 3, x : x + side]
        return line.min() < 60

    assert drawn(4, 6)
    assert not drawn(2, 3)
