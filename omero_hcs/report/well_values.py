"""The number of a well on its picture: its colour, and its text on that colour."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable

Color = tuple[float, float, float, float]
"""Red, green, blue, alpha, from 0 to 1."""


def color_at(mapper: ScalarMappable, value: float) -> Color:
    """Colour of a value."""
    red, green, blue, alpha = mapper.to_rgba(np.array([value]))[0].tolist()
    return red, green, blue, alpha


def write_value(
    axes: Axes, spot: tuple[float, float], value: float, color: Color, *, size: float
) -> None:
    """Write a value at (row, column), dark on light colours and light on dark ones."""
    red, green, blue, _ = color
    is_light = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5
    ink = "#111111" if is_light else "#FFFFFF"
    text = short_number(value)
    axes.text(spot[1], spot[0], text, ha="center", va="center_baseline", fontsize=size, color=ink)


def short_number(value: float) -> str:
    """Show a number in at most four characters or so: 0, 0.4, 12, 213, 1.2k, <0.1."""
    if value == 0:
        return "0"
    size = abs(value)
    if size < 0.05:
        return "<0.1" if value > 0 else f"{value:.0e}"
    if size < 9.95:
        return f"{value:.1f}"
    return f"{value:.0f}" if size < 9999.5 else f"{value / 1000:.0f}k"
