"""Letters on pictures: one font on every machine, and which letters it can draw."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import matplotlib as mpl
from matplotlib.ft2font import FT2Font
from PIL import ImageFont


@lru_cache(maxsize=8)
def font_of(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Load the font for pictures that Pillow draws, at a size in pixels."""
    return ImageFont.truetype(str(_file(bold=bold)), size)


def drawable(text: str) -> str:
    """Put "?" for letters that the font cannot draw (Chinese, emoji)."""
    return "".join(letter if ord(letter) in _known_letters() else "?" for letter in text)


def fitted(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Cut a text to a width in pixels, and say so with an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


@lru_cache(maxsize=1)
def _known_letters() -> frozenset[int]:
    return frozenset(FT2Font(str(_file())).get_charmap())


def _file(*, bold: bool = False) -> Path:
    # matplotlib's own DejaVu: the same letters on every machine, and more of them than Pillow's.
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return Path(mpl.get_data_path()) / "fonts/ttf" / name
