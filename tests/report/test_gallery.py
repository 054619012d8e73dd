from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from omero_hcs.errors import InputError
from omero_hcs.report.gallery import color_note, crop_to_rgb, field_thumbnail


def test_one_channel_is_grey():
    picture = crop_to_rgb(np.full((1, 32, 32), 0.5))
    assert picture.shape == (96, 96, 3)
    assert picture.dtype == np.uint8
    assert np.unique(picture).tolist() == [128]


def test_channels_get_safe_colours_without_any_given():
    crop = np.zeros((3, 8, 8))
    crop[1] = 1.0
    assert crop_to_rgb(crop, size=8)[4, 4].tolist() == [255, 0, 255]


def test_given_colours_are_used():
    crop = np.zeros((2, 8, 8))
    crop[0] = 0.5
    picture = crop_to_rgb(crop, colors=["00ff00", "#0000FF"], size=8)
    assert picture[0, 0].tolist() == [0, 128, 0]


@pytest.mark.parametrize("colors", [["FFFFFF", "FFFFFF"], [None, "FF0000"], ["green", "blue"], []])
def test_colours_that_cannot_tell_channels_apart_are_replaced(colors):
    crop = np.zeros((2, 8, 8))
    crop[0] = 1.0
    assert crop_to_rgb(crop, colors=colors, size=8)[0, 0].tolist() == [0, 255, 255]


def test_more_than_three_channels_show_the_first_three_and_say_so():
    crop = np.zeros((5, 8, 8))
    crop[3:] = 1.0
    assert crop_to_rgb(crop).max() == 0
    names = ["DNA", "ER", "AGP", "Mito", "RNA"]
    assert color_note(names) == "DNA cyan, ER magenta, AGP yellow; not shown: Mito, RNA"


@pytest.mark.parametrize(("name", "note"), [("DNA", "DNA in grey"), ("Grey", "grey")])
def test_the_colour_of_one_channel_is_said(name, note):
    assert color_note([name]) == note


def test_channels_add_up_without_overflow():
    crop = np.full((3, 8, 8), 2.0)
    crop[:, 0, 0] = np.nan
    picture = crop_to_rgb(crop, size=8)
    assert picture[4, 4].tolist() == [255, 255, 255]


def test_an_array_that_is_no_crop_is_refused():
    with pytest.raises(InputError, match=r"\(8, 8\)"):
        crop_to_rgb(np.zeros((8, 8)))


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 400, 800), (320, 160)), ((1, 90, 120), (120, 90))]
)
def test_thumbnails_keep_proportions_and_are_never_enlarged(shape, size):
    picture = Image.open(io.BytesIO(field_thumbnail(np.random.default_rng(0).random(shape))))
    assert picture.format == "JPEG"
    assert picture.size == size
