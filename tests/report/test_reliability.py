import io

import numpy as np
import pytest
from PIL import Image

from omero_hcs.report.colors import SERIES
from omero_hcs.report.reliability import reliability_figure, share_interval

TWO = ((12, 0.55, 0.4), (30, 0.65, 0.6), (184, 0.97, 1.0))


def pixels(bins, **texts):
    content = reliability_figure(bins, title="Model", **texts)
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def drawn(picture, color):
    wanted = [int(color[place : place + 2], 16) for place in (1, 3, 5)]
    return np.argwhere((picture == wanted).all(axis=2))


def test_a_share_that_is_higher_is_drawn_higher():
    first = (100, 0.65, 0.3)  # its interval is the lowest, so that the axis stays the same
    low, high = (drawn(pixels((first, (100, 0.95, right))), SERIES[0]) for right in (0.6, 0.9))
    right = [found[found[:, 1] > 600][:, 0].mean() for found in (low, high)]
    assert right[1] < right[0] - 50


def test_the_same_cells_give_the_same_picture():
    assert reliability_figure(TWO, title="a") == reliability_figure(TWO, title="a")


def test_more_than_two_classes_may_be_chosen_at_less_than_a_half():
    few, many = pixels(TWO), pixels(((9, 0.15, 0.2), *TWO))
    left = [drawn(picture, SERIES[5])[:, 1].min() for picture in (few, many)]
    assert left[1] > 100
    assert left[0] != left[1]


def test_texts_with_signs_that_a_formula_would_have_are_drawn_as_they_are():
    assert pixels(TWO, note="$x^2$ of \\frac").shape[1] == 800
    assert pixels(()).shape[1] == 800


def test_intervals_hold_where_all_were_right():
    low, high = share_interval(1.0, 10)
    assert low == pytest.approx(0.722, abs=0.001)
    assert high == 1.0
    assert share_interval(0.5, 100) == pytest.approx((0.404, 0.596), abs=0.001)
