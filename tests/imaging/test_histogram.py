from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from omero_hcs.imaging.histogram import Histogram

percents = st.floats(0, 100)


@given(
    st.lists(
        arrays.arrays(np.uint16, st.integers(1, 30)) | arrays.arrays(np.int16, st.integers(1, 30)),
        min_size=1,
        max_size=1,
    ),
    percents,
)
def test_percentiles_of_cameras_pixels_are_exact(pixels: list[np.ndarray], percent: float) -> None:
    expected = np.percentile(pixels[0], percent, method="inverted_cdf")
    assert Histogram.of(pixels[0]).percentile(percent) == expected


@given(
    arrays.arrays(
        np.float32,
        st.integers(1, 50),
        elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
    ),
    percents,
)
def test_percentiles_of_floats_are_close(pixels: np.ndarray, percent: float) -> None:
    expected = float(np.percentile(pixels, percent, method="inverted_cdf"))
    found = Histogram.of(pixels).percentile(percent)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-30)


@given(arrays.arrays(np.uint16, (3, 20)), percents)
def test_merged_is_the_same_as_counted_at_once(pixels: np.ndarray, percent: float) -> None:
    merged = Histogram()
    for row in pixels:
        merged.merge(Histogram.of(row))
    whole = Histogram.of(pixels)
    assert merged.percentile(percent) == whole.percentile(percent)
    assert (merged.total, merged.maximum) == (whole.total, whole.maximum)


def test_nan_and_infinity_are_left_out() -> None:
    histogram = Histogram.of(np.array([np.nan, 1.0, np.inf, -np.inf], dtype=np.float32))
    assert histogram.total == 1
    assert histogram.percentile(50) == pytest.approx(1.0, rel=1e-3)


def test_nothing_has_percentile_zero() -> None:
    assert Histogram().percentile(50) == 0.0


def test_8_bit_data_stretched_to_16_are_told() -> None:
    pixels = np.arange(0, 100, dtype=np.uint16)
    assert Histogram.of(pixels * 257).stretched
    assert not Histogram.of(pixels).stretched
