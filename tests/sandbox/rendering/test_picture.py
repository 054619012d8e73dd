"""Pictures: sizes of thumbnails, packing, colours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from omero_hcs.sandbox.rendering import picture
from omero_hcs.sandbox.rendering.projection import Projection, project
from omero_hcs.sandbox.rendering.settings import GREYSCALE, RGB, ChannelSettings, Settings

colours = st.tuples(*[st.integers(0, 255)] * 4)


@pytest.mark.parametrize(
    ("sizes", "longest", "expected"),
    [
        ((300, 200), 96, (96, 64)),
        ((200, 300), 96, (64, 96)),
        ((1080, 1080), 96, (96, 96)),
        ((5000, 3), 96, (96, 1)),  # never less than a pixel
    ],
)
def test_a_thumbnail_fits(sizes, longest, expected):
    assert picture.fitting(sizes, longest) == expected


@trials(deadline=None)
@given(first=colours, second=colours, values=st.tuples(st.integers(0, 255), st.integers(0, 255)))
def test_colours_add_up_to_white_at_most(first, second, values):
    channels = [ChannelSettings(0, 255, colour) for colour in (first, second)]
    planes = {number: np.full((2, 3), value, "u1") for number, value in enumerate(values)}
    painted = picture.render(planes, Settings(0, 0, RGB, channels), (2, 3))
    expected = [
        min(
            sum(
                int(int(colour[band] / 255 * value) * (colour[3] / 255))
                for colour, value in zip((first, second), values, strict=True)
            ),
            255,
        )
        for band in range(3)
    ]
    assert painted.shape == (2, 3, 3)
    assert painted[1, 2].tolist() == expected


def test_a_picture_of_no_channel_is_black_and_transparent():
    settings = Settings(0, 0, GREYSCALE, [ChannelSettings(0, 1, (9, 9, 9, 9), is_active=False)])
    painted = picture.render({}, settings, (2, 2))
    assert not painted.any()
    assert picture.packed(painted, settings).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("dtype", [">u2", ">i2", ">f4"])
def test_projections_keep_the_type(dtype):
    stack = (np.arange(24).reshape(4, 2, 3) - 12).astype(dtype)
    highest = project(stack, Projection.MAXIMUM, 0, 3, 1)
    assert highest.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(highest, np.maximum(stack.max(axis=0), 0))
    every_other = project(stack, Projection.SUM, 0, 3, 2, np.dtype(">f8"))
    np.testing.assert_array_equal(every_other, stack[0].astype(float) + stack[2])
    nothing = project(stack, Projection.MEAN, 1, 1, 1)
    assert not nothing.any()
