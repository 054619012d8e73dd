"""The gallery as a picture of its own: the most abnormal cells beside normal ones."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from omero_hcs.report.data import GalleryItem
from omero_hcs.report.letters import drawable, fitted, font_of

WIDTH = 1600
"""Of the picture, in pixels: that of a slide or a screen."""

ACROSS, MOST = 4, 24
"""Cells in a row of each side, and on each side."""

_MARGIN, _BETWEEN, _GAP, _LINE = 28, 56, 12, 19
_SIDE = (WIDTH - 2 * _MARGIN - _BETWEEN - 2 * (ACROSS - 1) * _GAP) // (2 * ACROSS)
_TOP, _HEADING, _CAPTION = 104, 40, 3 * _LINE + 14
_INK, _SOFT, _LINE_COLOR = "#1b1f24", "#545d68", "#d5dae0"


@dataclass(frozen=True)
class SheetText:
    """What is written on the sheet beside the cells: one line above, one below it in small."""

    title: str
    note: str = ""


def gallery_sheet(
    abnormal: Sequence[GalleryItem], normal: Sequence[GalleryItem], text: SheetText
) -> bytes:
    """Lay the most abnormal cells out beside normal ones, each with its caption and score.

    Parameters
    ----------
    abnormal, normal : sequence of GalleryItem
        As `ReportData` has them; of each, the first `MOST` are shown.
    text : SheetText
        What it is about.

    Returns
    -------
    bytes
        A PNG, `WIDTH` pixels wide; the same bytes for the same cells.
    """
    sides = (
        ("Most abnormal cells, highest score first", "No abnormal cells.", abnormal[:MOST]),
        ("Normal cells, drawn at random", "No normal cells.", normal[:MOST]),
    )
    down = max(1, *(math.ceil(len(items) / ACROSS) for *_, items in sides))
    sheet = _blank_sheet(down, text)
    for left, (heading, none, items) in zip(_lefts(), sides, strict=True):
        _draw_side(sheet, left, heading, items, none=none)
    middle = WIDTH // 2
    draw = ImageDraw.Draw(sheet)
    draw.line((middle, _TOP, middle, sheet.height - _MARGIN), fill=_LINE_COLOR, width=2)
    return _png(sheet)


def _lefts() -> tuple[int, int]:
    """Where the two sides begin."""
    return _MARGIN, (WIDTH - _BETWEEN) // 2 + _BETWEEN


def _blank_sheet(down: int, text: SheetText) -> Image.Image:
    """Make a sheet for so many rows of cells, with its title."""
    height = _TOP + _HEADING + down * (_SIDE + _CAPTION) + _MARGIN
    sheet = Image.new("RGB", (WIDTH, height), "white")
    draw = ImageDraw.Draw(sheet)
    room = WIDTH - 2 * _MARGIN
    title, note = font_of(28, bold=True), font_of(17)
    draw.text((_MARGIN, 22), fitted(drawable(text.title), title, room), fill=_INK, font=title)
    draw.text((_MARGIN, 64), fitted(drawable(text.note), note, room), fill=_SOFT, font=note)
    return sheet


def _png(sheet: Image.Image) -> bytes:
    stream = io.BytesIO()
    sheet.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def suggestion_sheet(items: Sequence[GalleryItem], text: SheetText) -> bytes:
    """Lay cells out that were picked to be labelled, over the whole width.

    Parameters
    ----------
    items : sequence of GalleryItem
        As `ReportData` has them; the first `MOST` twice over are shown.
    text : SheetText
        What it is about.

    Returns
    -------
    bytes
        A PNG, `WIDTH` pixels wide.
    """
    shown = items[: 2 * MOST]
    sheet = _blank_sheet(math.ceil(len(shown) / (2 * ACROSS)), text)
    heading = "Cells of which the model is least sure, the most useful first"
    for number, across in enumerate((slice(0, ACROSS), slice(ACROSS, 2 * ACROSS))):
        rows = [shown[start : start + 2 * ACROSS] for start in range(0, len(shown), 2 * ACROSS)]
        half = [item for row in rows for item in row[across]]
        _draw_side(sheet, _lefts()[number], heading if not number else "", half, none="")
    return _png(sheet)


def _draw_side(
    sheet: Image.Image, left: int, heading: str, items: Sequence[GalleryItem], *, none: str
) -> None:
    draw, font = ImageDraw.Draw(sheet), font_of(21, bold=True)
    draw.text((left, _TOP), heading, fill=_INK, font=font)
    if not items:
        draw.text((left, _TOP + _HEADING), none, fill=_SOFT, font=font_of(18))
    for index, item in enumerate(items):
        x = left + index % ACROSS * (_SIDE + _GAP)
        y = _TOP + _HEADING + index // ACROSS * (_SIDE + _CAPTION)
        crop = Image.fromarray(np.ascontiguousarray(item.image))
        sheet.paste(crop.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), (x, y))
        for line, (words, color) in enumerate(_caption(item)):
            shown = fitted(drawable(words), font_of(16), _SIDE)
            top = y + _SIDE + 5 + line * _LINE
            draw.text((x, top), shown, fill=color, font=font_of(16))


def _caption(item: GalleryItem) -> list[tuple[str, str]]:
    """Break a caption behind its place, so that the class of "B03 field 1, debris" is not cut."""
    where, _, what = item.caption.partition(", ")
    score = "" if item.score is None or not math.isfinite(item.score) else f"score {item.score:.2f}"
    lines = ((what, _INK), (where, _SOFT), (score, _SOFT))
    return [(words, color) for words, color in lines if words]
