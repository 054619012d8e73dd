"""The overview of a screen as a picture: its plates side by side on one scale of colours."""

from __future__ import annotations

import io
import math

from PIL import Image, ImageDraw

from omero_hcs.report.colors import NO_VALUE_COLOR, PLATE_COLOR, color_of
from omero_hcs.report.columns import show_number
from omero_hcs.report.letters import drawable, fitted, font_of
from omero_hcs.report.overview import OverviewData, PlateLine, overview_headline, plate_caption

WIDTH = 1600
"""Of the picture, in pixels."""

_MARGIN, _GAP, _TOP, _TEXT = 32, 26, 150, 62
_INK, _SOFT = "#1b1f24", "#545d68"
_RAMP = 360


def overview_picture(data: OverviewData) -> bytes:
    """Draw all plates of a screen that have results.

    Returns
    -------
    bytes
        A PNG, `WIDTH` pixels wide; the same bytes for the same data.
    """
    plates = data.judged
    across = _across(len(plates))
    side = (WIDTH - 2 * _MARGIN - (across - 1) * _GAP) // across
    tall = max((round(side * plate.rows / plate.columns) for plate in plates), default=0)
    down = math.ceil(len(plates) / across)
    height = _TOP + down * (tall + _TEXT + _GAP) + _MARGIN
    picture = Image.new("RGB", (WIDTH, height), "white")
    draw = ImageDraw.Draw(picture)
    ends = data.ends
    _draw_head(draw, data, ends)
    for number, plate in enumerate(plates):
        left = _MARGIN + number % across * (side + _GAP)
        top = _TOP + number // across * (tall + _TEXT + _GAP)
        _draw_plate(draw, plate, (left, top, side), ends)
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def _across(count: int) -> int:
    """How many plates stand in a row: the more there are, the smaller they are."""
    return next(across for across, most in ((3, 3), (4, 12), (6, 36), (8, 10**9)) if count <= most)


def _draw_head(draw: ImageDraw.ImageDraw, data: OverviewData, ends: tuple[float, float]) -> None:
    title, small = font_of(30, bold=True), font_of(18)
    room = WIDTH - 2 * _MARGIN
    name = f"{data.screen}: abnormal cells in each well"
    draw.text((_MARGIN, 22), fitted(drawable(name), title, room), fill=_INK, font=title)
    told = " ".join(overview_headline(data))
    draw.text((_MARGIN, 66), fitted(told, small, room), fill=_SOFT, font=small)
    low, high = ends
    top = 104
    draw.text((_MARGIN, top - 3), f"{show_number(low)} %", fill=_SOFT, font=small)
    left = _MARGIN + 52
    for x in range(_RAMP):
        color = color_of(low + (high - low) * x / (_RAMP - 1), ends)
        draw.line((left + x, top, left + x, top + 16), fill=color)
    draw.text((left + _RAMP + 10, top - 3), f"{show_number(high)} %", fill=_SOFT, font=small)
    x = left + _RAMP + 110
    draw.rectangle((x, top, x + 16, top + 16), fill=NO_VALUE_COLOR)
    draw.text((x + 26, top - 3), f"no value      {data.created}", fill=_SOFT, font=small)


def _draw_plate(
    draw: ImageDraw.ImageDraw,
    plate: PlateLine,
    place: tuple[int, int, int],
    ends: tuple[float, float],
) -> None:
    left, top, side = place
    step = side / plate.columns
    bold, small = font_of(18, bold=True), font_of(16)
    draw.text((left, top), fitted(drawable(plate.name), bold, side), fill=_INK, font=bold)
    caption = fitted(plate_caption(plate), small, side)
    draw.text((left, top + 27), caption, fill=_SOFT, font=small)
    top += _TEXT - 8
    draw.rectangle((left, top, left + side, top + round(step * plate.rows)), fill=PLATE_COLOR)
    gap = 1 if step > 5 else 0
    for (row, column), value in plate.values.items():
        x, y = left + column * step, top + row * step
        color = NO_VALUE_COLOR if value is None else color_of(value, ends)
        draw.rectangle((x + gap, y + gap, x + step - gap, y + step - gap), fill=color)
