"""Colours of heat-maps: the ends of a scale, and the colour of a value on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import matplotlib as mpl
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex

Palette = Literal["abnormal", "amount"]
"""What is wrong, in browns; or how much there is of something, in blues. Darker is more."""

NO_VALUE_COLOR = "#D4D8DC"
"""Of a well that was imaged but has no value."""

PLATE_COLOR = "#EEF0F2"
"""Of the plate around the wells."""

SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Of lines that are told apart (Okabe and Ito), with every colour blindness."""

_PERCENT_TOPS = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0)
_SHADES = 48  # as many as an eye tells apart; it keeps the page small
_STEPS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def scale_ends(values: Sequence[float], *, percent: bool) -> tuple[float, float]:
    """Find the ends of a colour scale: 0 (or a round number below), and a round number above.

    A scale of percent ends at 10 at least, so that a plate of 1 % does not look like a disaster.
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    bottom = -_round_up(-low) if low < 0 else 0.0
    if percent and high <= _PERCENT_TOPS[-1]:
        return bottom, next(top for top in _PERCENT_TOPS if top >= high)
    return bottom, _round_up(high) if high > 0 else 1.0


@lru_cache(maxsize=4)
def colormap(palette: Palette = "abnormal") -> Colormap:
    """Colours from the least to the most."""
    # ColorBrewer's palettes keep their order with every colour blindness and in grey print; their
    # dark ends are cut, so that rings and signs stay visible.
    source = {"abnormal": "YlOrBr", "amount": "PuBu"}[palette]
    colors = mpl.colormaps[source]([0.0, 0.1, 0.25, 0.4, 0.55, 0.7, 0.9])
    return LinearSegmentedColormap.from_list(palette, list(colors))


def color_of(value: float, ends: tuple[float, float], palette: Palette = "abnormal") -> str:
    """Colour of a value as a page writes it: "#fee79b"."""
    low, high = ends
    share = (value - low) / (high - low) if high > low else 0.0
    return _shades(palette)[round(min(max(share, 0.0), 1.0) * _SHADES)]


@lru_cache(maxsize=4)
def _shades(palette: Palette) -> tuple[str, ...]:
    return tuple(to_hex(colormap(palette)(step / _SHADES)) for step in range(_SHADES + 1))


def gradient(palette: Palette = "abnormal") -> str:
    """Write the palette as a style of a page, from left to right."""
    stops = ", ".join(to_hex(colormap(palette)(step / 8)) for step in range(9))
    return f"linear-gradient(90deg, {stops})"


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _STEPS if step * power >= value * (1 - 1e-9))
