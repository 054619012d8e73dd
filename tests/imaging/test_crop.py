from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from omero_hcs.errors import InputError
from omero_hcs.imaging.crop import (
    CropScale,
    Recipe,
    at_border,
    choose_scale,
    crop_cells,
    crop_recipe,
    neighbours_in_crop,
    to_rgb,
)


def ramp(height: int, width: int) -> NDArray[np.uint16]:
    """Two channels whose pixels all differ and are never 0."""
    return np.arange(1, 2 * height * width + 1, dtype=np.uint16).reshape(2, height, width)


@given(st.data())
def test_crop_holds_the_image_around_its_centre_and_zeros_past_the_border(
    data: st.DataObject,
) -> None:
    height, width, size = (data.draw(st.integers(1, 12)) for _ in range(3))
    image = ramp(height, width)
    y = data.draw(st.floats(0, height - 1))
    x = data.draw(st.floats(0, width - 1))
    crop = crop_cells(image, np.array([[y, x]]), size=size)[0]
    top, left = int(np.floor(y + 0.5)) - size // 2, int(np.floor(x + 0.5)) - size // 2
    for row in range(size):
        for column in range(size):
            inside = 0 <= top + row < height and 0 <= left + column < width
            expected = image[:, top + row, left + column] if inside else np.zeros(2)
            np.testing.assert_array_equal(crop[:, row, column], expected)
    assert at_border((height, width), np.array([[y, x]]), size=size)[0] == (crop == 0).any()


def test_crops_keep_the_cameras_dtype_and_the_order_of_the_centres() -> None:
    image = ramp(30, 40)
    centers = np.array([[20.0, 30.0], [5.0, 6.0]])
    crops = crop_cells(image, centers, size=8)
    assert crops.shape == (2, 2, 8, 8)
    assert crops.dtype == np.uint16
    np.testing.assert_array_equal(crops[:, :, 4, 4], [image[:, 20, 30], image[:, 5, 6]])
    assert crops.flags.writeable
    assert crops.base is None or not np.shares_memory(crops, image)


def test_no_cells_give_no_crops() -> None:
    assert crop_cells(ramp(9, 9), np.zeros((0, 2)), size=4).shape == (0, 2, 4, 4)
    assert at_border((9, 9), np.zeros((0, 2)), size=4).shape == (0,)
    assert neighbours_in_crop(np.zeros((0, 2)), size=4).shape == (0,)


def test_centres_of_another_image_are_refused() -> None:
    with pytest.raises(InputError, match="1 of 2 centres lie outside"):
        crop_cells(ramp(10, 10), np.array([[5, 5], [5, 10.0]]), size=4)


def test_nan_centres_are_refused() -> None:
    with pytest.raises(InputError, match="outside"):
        crop_cells(ramp(10, 10), np.array([[np.nan, 5.0]]), size=4)


def test_neighbours_count_the_cell_itself_and_those_within_half_a_side() -> None:
    centers = np.array([[50, 50], [50, 60], [50, 71], [90, 90.0]])
    np.testing.assert_array_equal(neighbours_in_crop(centers, size=20), [2, 2, 1, 1])


@pytest.mark.parametrize(
    ("size", "side"),
    [("auto", 60), ("128px", 128), ("30um", 60), ("2nuclei", 40), ("2.5NUCLEI", 50)],
)
def test_size_in_any_unit(size: str, side: int) -> None:
    scale = choose_scale(nuclear_diameter=20.0, pixel_size_um=0.5, size=size)
    assert scale == CropScale(side, side * 0.5, side / 20.0)


@pytest.mark.parametrize(
    ("size", "mend"),
    [
        ("auto", "128px"),
        ("2nuclei", "128px"),
        ("60um", "3.0nuclei"),
        ("60", "Pass"),
        ("3px", "8 to"),
    ],
)
def test_size_that_cannot_be_used_names_the_mend(size: str, mend: str) -> None:
    with pytest.raises(InputError, match=mend):
        choose_scale(nuclear_diameter=None, pixel_size_um=None, size=size)


def test_pixels_need_no_knowledge() -> None:
    assert choose_scale(nuclear_diameter=None, pixel_size_um=None, size="64px") == CropScale(64)


def test_scales_differ_by_the_worst_measure_that_both_have() -> None:
    mine = CropScale(60, 30.0, 3.0)
    assert mine.ratio(CropScale(200, 30.0, 3.0)) == pytest.approx(1.0)
    assert mine.ratio(CropScale(60, 20.0, 4.5)) == pytest.approx(1.5)
    assert mine.ratio(CropScale(60, None, 6.0)) == pytest.approx(2.0)
    assert CropScale(60, None, 6.0).ratio(mine) == pytest.approx(2.0)
    assert CropScale(60).ratio(CropScale(90)) == pytest.approx(1.5)


def test_scale_travels_as_json() -> None:
    scale = CropScale(60, 30.0, None)
    assert CropScale.from_dict(scale.to_dict()) == scale


@pytest.mark.parametrize("channels", range(1, 7))
def test_every_recipe_shows_every_stain(channels: int) -> None:
    crops = np.random.default_rng(0).random((2, channels, 8, 8), dtype=np.float32)
    recipes = ["auto", "concat"] if channels > 3 else ["auto", "composite", "concat"]
    for asked in recipes:
        recipe = crop_recipe(channels, asked)
        kind = "concat" if asked == "concat" or channels > 3 else "composite"
        assert recipe.kind == kind
        assert recipe.passes == (channels if kind == "concat" else 1)
        shown = to_rgb(crops, recipe)
        assert shown.shape == (2, recipe.passes, 3, 8, 8)
        for stain in range(channels):
            seen = (shown == crops[:, None, None, stain]).all(axis=(0, 3, 4))
            assert seen[stain].all() if kind == "concat" else seen[0, stain]


def test_recipes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="concat"):
        crop_recipe(4, "composite")
    with pytest.raises(InputError, match="'rgb'"):
        crop_recipe(2, "rgb")
    with pytest.raises(InputError, match="for 2 channels"):
        to_rgb(np.zeros((1, 3, 8, 8), np.float32), Recipe("composite", 2))


def test_stains_as_rgb() -> None:
    crops = np.random.default_rng(0).random((4, 3, 8, 8), dtype=np.float32)
    three = to_rgb(crops, crop_recipe(3))
    np.testing.assert_array_equal(three[:, 0], crops)
    two = to_rgb(crops[:, :2], crop_recipe(2))
    np.testing.assert_allclose(two[:, 0, 2], crops[:, :2].mean(axis=1), rtol=1e-6)
    one = to_rgb(crops[:, :1], crop_recipe(1))
    np.testing.assert_array_equal(one[:, 0, 2], crops[:, 0])
    alone = to_rgb(crops, crop_recipe(3, "concat"))
    assert alone.shape == (4, 3, 3, 8, 8)
    np.testing.assert_array_equal(alone[:, 1, 0], crops[:, 1])
    assert {array.dtype for array in (three, two, one, alone)} == {np.dtype(np.float32)}
    brighter = np.where(crops > 0.5, crops + 1, crops)
    np.testing.assert_array_equal(
        to_rgb(brighter, crop_recipe(3)), np.minimum(brighter, 1)[:, None]
    )
