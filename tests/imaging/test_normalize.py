from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from omero_hcs.errors import FormatVersionError, InputError
from omero_hcs.imaging.normalize import SATURATED, IntensitySurvey, Normalization, normalize


def field(rng: np.random.Generator, *, cells: float = 800.0) -> NDArray[np.uint16]:
    """One channel: background 100 +- 3, a tenth of the pixels at `cells` +- 20."""
    plane = rng.normal(100, 3, (100, 100))
    if cells:
        plane[:10] = rng.normal(cells, 20, (10, 100))
    return plane.round().astype(np.uint16)[None]


def test_qc_goes_from_background_to_the_top_of_the_cells() -> None:
    rng = np.random.default_rng(0)
    survey = IntensitySurvey(["DNA"])
    for _ in range(4):
        survey.add(field(rng))
    for _ in range(40):
        survey.add(field(rng, cells=0))
    made = survey.qc()
    assert made.black[0] == pytest.approx(100, abs=2)
    assert made.white[0] == pytest.approx(845, abs=25), (
        "empty fields must not lower the white point"
    )
    assert (made.method, made.fields, made.ceiling) == ("qc", 44, 1023.0)


def test_qc_takes_the_foreground_it_is_given() -> None:
    rng = np.random.default_rng(0)
    survey = IntensitySurvey(["DNA"])
    mask = np.zeros((100, 100), dtype=np.bool_)
    survey.add(field(rng), ~mask)
    survey.add(field(rng, cells=5000), mask)
    assert survey.qc().white[0] < 1000


def test_qc_of_empty_fields_alone_still_has_a_range() -> None:
    rng = np.random.default_rng(0)
    survey = IntensitySurvey(["DNA"])
    survey.add(field(rng, cells=0))
    assert survey.qc().white[0] > survey.qc().black[0]


def test_simsearch_is_the_papers_percentiles_of_percentiles() -> None:
    rng = np.random.default_rng(2)
    images = rng.integers(0, 4000, (6, 2, 50, 50)).astype(np.uint16)
    images[:, 1] //= 2
    survey = IntensitySurvey(["a", "b"])
    for image in images:
        survey.add(image)
    ends = np.percentile(images, (5, 95), axis=(2, 3), method="inverted_cdf")
    made = survey.simsearch()
    np.testing.assert_allclose(made.black, np.percentile(ends[0], 0.5, axis=0))
    np.testing.assert_allclose(made.white, np.percentile(ends[1], 99.5, axis=0))


def test_survey_does_not_grow_with_the_images() -> None:
    survey = IntensitySurvey(["a"])
    rng = np.random.default_rng(0)
    survey.add(rng.normal(0, 1e3, (1, 300, 300)))
    survey.add(rng.normal(0, 1e3, (1, 300, 300)))
    made = survey.simsearch()
    assert made.white[0] == pytest.approx(1645, rel=0.02)


def test_stretched_8_bit_plate_has_the_16_bit_ceiling() -> None:
    survey = IntensitySurvey(["a"])
    survey.add((np.arange(100, dtype=np.uint16) * 257).reshape(1, 10, 10))
    assert survey.ceiling() == 65535


def test_nothing_surveyed_is_an_error() -> None:
    with pytest.raises(InputError, match="No image was surveyed"):
        IntensitySurvey(["a"]).qc()


def test_other_number_of_channels_is_refused() -> None:
    with pytest.raises(InputError, match="2 channels"):
        IntensitySurvey(["a", "b"]).add(np.zeros((1, 4, 4), np.uint8))
    made = Normalization("qc", ("a", "b"), (0.0, 0.0), (1.0, 1.0), None, 1)
    with pytest.raises(InputError, match="a, b"):
        normalize(np.zeros((3, 4, 4), np.uint8), made)


def test_normalize_clips_and_survives_bad_pixels() -> None:
    made = Normalization("qc", ("a",), (100.0,), (300.0,), None, 9)
    image = np.array([[[50, 100, 200, 300, 900, np.nan, np.inf, -np.inf]]])
    scaled = normalize(image, made)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[0, 0], [0, 0, 0.5, 1, 1, 0, 1, 0])


def test_headroom_tells_bright_pixels_from_saturated_ones() -> None:
    made = Normalization("qc", ("DNA",), (100.0,), (1100.0,), 4095.0, 24)
    image = np.array([[[100, 600, 1100, 2100, 4094, 4095, 5000, np.nan, -np.inf, np.inf]]])
    shown = normalize(image, made, headroom=True)[0, 0]
    assert shown.dtype == np.float32
    np.testing.assert_array_equal(np.minimum(shown, 1), normalize(image, made)[0, 0])
    np.testing.assert_allclose(shown[:4], [0, 0.5, 1, 1 + np.log(2) / np.log(3.995)], rtol=1e-4)
    assert shown[4] < SATURATED
    np.testing.assert_array_equal(shown[5:], [SATURATED, SATURATED, 0, 0, SATURATED])


def test_headroom_ends_at_the_white_point_where_there_is_none() -> None:
    image = np.array([[[100, 1100, 2100]]], dtype=np.uint16)
    unknown = Normalization("qc", ("DNA",), (100.0,), (1100.0,), None, 24)
    np.testing.assert_array_equal(normalize(image, unknown, headroom=True)[0, 0], [0, 1, 1])
    at_ceiling = Normalization("qc", ("DNA",), (100.0,), (1100.0,), 1100.0, 24)
    shown = normalize(image, at_ceiling, headroom=True)[0, 0]
    np.testing.assert_array_equal(shown, [0, SATURATED, SATURATED])


def test_constant_channel_becomes_black() -> None:
    survey = IntensitySurvey(["a"])
    survey.add(np.full((1, 20, 20), 77, np.uint16))
    scaled = normalize(np.full((1, 20, 20), 77, np.uint16), survey.qc())
    np.testing.assert_array_equal(scaled, 0)


def test_crops_are_normalised_as_their_field_is() -> None:
    made = Normalization("qc", ("a", "b"), (0.0, 10.0), (10.0, 20.0), None, 9)
    image = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
    np.testing.assert_array_equal(normalize(image[None], made)[0], normalize(image, made))


def test_normalization_travels_as_json() -> None:
    made = Normalization("simsearch", ("a", "b"), (0.5, 10.0), (10.0, 20.0), 4095.0, 9)
    assert Normalization.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_newer_normalization_is_refused_by_version() -> None:
    values = Normalization("qc", ("a",), (0.0,), (1.0,), None, 1).to_dict() | {"schema_version": 2}
    with pytest.raises(FormatVersionError, match="schema version 2"):
        Normalization.from_dict(values)
