"""From intensities to levels: what holds for any window, curve and type."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from omero_hcs.sandbox.rendering.quantum import CURVES, levels_of, quantise
from omero_hcs.sandbox.rendering.settings import GREYSCALE, RGB, ChannelSettings, Settings

WHITE = (255, 255, 255, 255)
WHOLE = Settings(0, 0, GREYSCALE)
windows = st.tuples(st.integers(-40_000, 40_000), st.integers(0, 70_000)).map(
    lambda pair: (float(pair[0]), float(sum(pair)))
)


@trials(deadline=None)
@given(window=windows, family=st.sampled_from(sorted(CURVES)), exponent=st.floats(0.1, 4.0))
def test_levels_never_fall_and_stay_within_bounds(window, family, exponent):
    channel = ChannelSettings(*window, WHITE, family=family, coefficient=exponent)
    settings = Settings(0, 0, RGB, first_level=20, last_level=220, depth=127)
    values = np.linspace(window[0] - 10, window[1] + 10, 2000)
    levels = quantise(values, channel, settings).astype(int)
    assert (np.diff(levels) >= 0).all()
    assert levels[0] == 20
    assert levels[-1] == 220


@trials(deadline=None)
@given(window=windows, low=st.integers(-32_768, 32_000))
@pytest.mark.parametrize("dtype", [">i2", "<i2", ">u2", "i1", "u1"])
def test_small_types_go_through_a_table_that_says_the_same(dtype, window, low):
    limits = np.iinfo(np.dtype(dtype))
    plane = np.clip(np.arange(low, low + 700), limits.min, limits.max).astype(dtype).reshape(7, 100)
    channel = ChannelSettings(*window, WHITE)
    expected = quantise(plane.astype(np.float64), channel, WHOLE)
    np.testing.assert_array_equal(levels_of(plane, channel, WHOLE), expected)


@trials(deadline=None)
@given(window=windows)
def test_a_reversal_turns_every_level_around(window):
    values = np.linspace(window[0] - 10, window[1] + 10, 500)
    plain = quantise(values, ChannelSettings(*window, WHITE), WHOLE)
    turned = quantise(values, ChannelSettings(*window, WHITE, is_reversed=True), WHOLE)
    np.testing.assert_array_equal(plain.astype(int) + turned, 255)


def test_an_empty_window_cuts_in_two():
    channel = ChannelSettings(5.0, 5.0, WHITE)
    levels = quantise(np.array([4.0, 5.0, 6.0, np.nan]), channel, WHOLE)
    assert levels.tolist()[:3] == [0, 255, 255]
