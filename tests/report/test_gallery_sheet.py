from __future__ import annotations

import io

import numpy as np
from PIL import Image

from omero_hcs.report.data import GalleryItem
from omero_hcs.report.gallery_sheet import MOST, WIDTH, SheetText, gallery_sheet
from omero_hcs.report.letters import fitted, font_of

TEXT = SheetText("Plate 1: most abnormal cells", "run 1")


def items(*shades, caption="B03 field 1, debris"):
    return [GalleryItem(np.full((40, 40, 3), s, np.uint8), caption, 0.9) for s in shades]


def opened(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def colors_of(half):
    """Greys of large flat squares, in reading order."""
    return sorted({int(v) for v in np.unique(half) if (half == v).all(axis=2).sum() > 10_000})


def test_abnormal_cells_are_on_the_left_and_normal_ones_on_the_right():
    sheet = opened(gallery_sheet(items(40, 80), items(120), TEXT))
    assert sheet.shape[1] == WIDTH
    assert colors_of(sheet[:, : WIDTH // 2]) == [40, 80, 255]
    assert colors_of(sheet[:, WIDTH // 2 :]) == [120, 255]


def test_it_is_the_same_picture_each_time_and_no_taller_for_more_than_it_shows():
    full = gallery_sheet(items(*[90] * MOST), [], TEXT)
    assert full == gallery_sheet(items(*[90] * MOST), [], TEXT)
    assert opened(gallery_sheet(items(*[90] * 99), [], TEXT)).shape == opened(full).shape


def test_none_on_a_side_is_said_and_not_left_empty():
    without, blank = opened(gallery_sheet([], items(90), TEXT)), np.full(3, 255)
    below_heading = without[140:180, 28 : WIDTH // 2 - 40]
    assert (below_heading != blank).any()


def test_odd_and_long_names_are_drawn_within_the_picture():
    odd = items(90, caption="<b>B03</b> 细胞 field 1, " + "very long class " * 9)
    sheet = opened(gallery_sheet(odd, odd, SheetText("plate " * 60, "细胞" * 200)))
    assert (sheet[:, -10:] == 255).all()


def test_a_text_is_cut_to_its_room():
    assert fitted("debris", font_of(16), 400) == "debris"
    assert fitted("debris" * 9, font_of(16), 60).endswith("…")
