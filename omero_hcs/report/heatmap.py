"""A plate as a picture: one value a well, from 6 to 1536 wells, as PNG."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch, Rectangle

from omero_hcs.errors import InputError
from omero_hcs.model import MAX_COLUMNS, MAX_ROWS, row_name
from omero_hcs.report.colors import NO_VALUE_COLOR, PLATE_COLOR, colormap, scale_ends
from omero_hcs.report.heatmap_marks import GAP, STRIP, Mark, draw_marks
from omero_hcs.report.letters import drawable
from omero_hcs.report.well_values import color_at, write_value

DPI = 200
"""Pixels an inch; the page shows 100, so that the picture is sharp on a dense screen."""

Position = tuple[int, int]
"""Zero-based (row, column) of a well."""

_WITH_NUMBERS = 96
_ROLE_STYLE = {
    "negative_control": ("\N{MINUS SIGN}", "#0072B2", "negative control"),
    "positive_control": ("+", "#000000", "positive control"),
}
_MEDIAN_WIDTH = 0.5  # inches that the word "median" takes
_TOP, _LEFT, _RIGHT, _BOTTOM = 0.9, 0.55, 1.25, 0.65
_MIN_WIDTH = 5.6
_PAD = 0.08
"""Free space between the wells and the plate's outline, in wells."""


@dataclass(frozen=True, slots=True)
class HeatmapLayout:
    """Where things are on a heat-map, in inches; wells are squares of side `cell`.

    `strip` is the width of the strip on the right, 0 without one.
    """

    rows: int
    columns: int
    cell: float
    left: float
    width: float
    height: float
    strip: float = 0.0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the PNG, in pixels."""
        return round(self.width * DPI), round(self.height * DPI)

    def well_box(self, row: int, column: int) -> tuple[float, float, float]:
        """Left, top and side of a well's square, in pixels of the PNG."""
        x = (self.left + (column + _PAD) * self.cell) * DPI
        return x, (_TOP + (row + _PAD) * self.cell) * DPI, self.cell * DPI

    @property
    def letters(self) -> float:
        """Size of the numbers on wells, in points."""
        return min(13.0, 15.0 * self.cell)

    @property
    def plate_width(self) -> float:
        """Width of the plate's outline, in inches."""
        return (self.columns + 2 * _PAD) * self.cell

    @property
    def plate_height(self) -> float:
        """Height of the plate's outline, in inches."""
        return (self.rows + 2 * _PAD) * self.cell


def heatmap_layout(rows: int, columns: int, marks: frozenset[Mark] = frozenset()) -> HeatmapLayout:
    """Decide the size of a heat-map by the plate's, and by what is drawn around it.

    Raises
    ------
    InputError
        If no plate has that size.
    """
    if not (1 <= rows <= MAX_ROWS and 1 <= columns <= MAX_COLUMNS):
        msg = f"No plate has {rows} x {columns} wells; the largest has {MAX_ROWS} x {MAX_COLUMNS}."
        raise InputError(msg)
    cell = min(1.1, max(0.235, 8.4 / columns))
    plate_width, strip = cell * (columns + 2 * _PAD), cell * (GAP + STRIP)
    beside = max(strip, _MEDIAN_WIDTH) if "rows" in marks else 0.0
    width = _whole_pixels(max(_MIN_WIDTH, _LEFT + plate_width + beside + _RIGHT))
    left = _LEFT + (width - _LEFT - _RIGHT - beside - plate_width) / 2
    below = strip if "columns" in marks else 0.0
    height = _whole_pixels(_TOP + cell * (rows + 2 * _PAD) + below + _BOTTOM)
    return HeatmapLayout(rows, columns, cell, left, width, height, beside)


def _whole_pixels(inches: float) -> float:
    # Eighths of an inch are exact in binary, so that matplotlib rounds to the same picture size.
    return math.ceil(inches * 8) / 8


def plate_heatmap(  # noqa: PLR0913  (each one is a part of the picture)
    rows: int,
    columns: int,
    values: Mapping[Position, float | None],
    *,
    title: str,
    unit_label: str,
    roles: Mapping[Position, str | None] | None = None,
    marks: frozenset[Mark] = frozenset(),
) -> bytes:
    """Draw one value a well.

    Parameters
    ----------
    rows, columns : int
        The plate's size: 2 x 3 to 32 x 48.
    values : mapping of (row, column) to float or None
        In the unit of `unit_label`. None or NaN: a well that was imaged but has no value (hatched).
        A well that is not in the mapping was not imaged (dotted outline). The scale begins at 0 and
        ends at a round number above the largest value; with "%" in `unit_label` at 10 at least, so
        that a plate of 1 % does not look like a disaster.
    title : str
        Shown above, two lines at most; name the plate.
    unit_label : str
        What the values are, with their unit: "abnormal cells (%)".
    roles : mapping of (row, column) to `model.Role`, optional
        Negative and positive controls get a ring and a sign.
    marks : set of Mark
        What is drawn because the edge, rows or columns differ.

    Returns
    -------
    bytes
        A PNG of `heatmap_layout(rows, columns, marks).size` pixels; the same for the same input.

    Raises
    ------
    InputError
        If no plate has that size, or a well lies outside of it.
    """
    layout = heatmap_layout(rows, columns, marks)
    _check_inside(layout, values)
    known = {spot: value for spot, value in values.items() if _is_number(value)}
    empty = frozenset(values) - frozenset(known)
    low, high = scale_ends(list(known.values()), percent="%" in unit_label)
    mapper = ScalarMappable(Normalize(low, high), colormap())
    figure = Figure(figsize=(layout.width, layout.height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = _plate_axes(figure, layout)
    _draw_wells(axes, layout, known, empty, mapper)
    marked = _draw_roles(axes, layout, roles or {}, frozenset(values))
    absent = len(values) < rows * columns
    entries = _legend_entries(marked, empty=bool(empty), absent=absent)
    _draw_legend(figure, layout, entries + draw_marks(axes, layout, marks, known, mapper))
    _draw_title(figure, layout, title)
    _draw_colorbar(figure, layout, mapper, unit_label)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def _check_inside(layout: HeatmapLayout, values: Mapping[Position, float | None]) -> None:
    outside = [s for s in values if not (0 <= s[0] < layout.rows and 0 <= s[1] < layout.columns)]
    if outside:
        msg = (
            f"{len(outside)} wells lie outside a plate of {layout.rows} x {layout.columns}, for "
            f"example row {outside[0][0]}, column {outside[0][1]} (counted from 0)."
        )
        raise InputError(msg)


def _is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _plate_axes(figure: Figure, layout: HeatmapLayout) -> Axes:
    axes = figure.add_axes((
        layout.left / layout.width, 1 - (_TOP + layout.plate_height) / layout.height,
        layout.plate_width / layout.width, layout.plate_height / layout.height,
    ))  # fmt: skip
    axes.set_facecolor(PLATE_COLOR)
    axes.set_xlim(-0.5 - _PAD, layout.columns - 0.5 + _PAD)
    axes.set_ylim(layout.rows - 0.5 + _PAD, -0.5 - _PAD)
    axes.xaxis.tick_top()
    size = 10 if layout.cell > 0.3 else 7
    axes.set_xticks(range(layout.columns), [str(c + 1) for c in range(layout.columns)])
    axes.set_yticks(range(layout.rows), [row_name(row) for row in range(layout.rows)])
    axes.tick_params(length=0, labelsize=size, labelcolor="#222222", pad=3)
    for spine in axes.spines.values():
        spine.set(color="#999999", linewidth=0.8)
    return axes


def _draw_wells(
    axes: Axes,
    layout: HeatmapLayout,
    known: Mapping[Position, float],
    empty: frozenset[Position],
    mapper: ScalarMappable,
) -> None:
    # Outlines thinner than a pixel of the page come and go when a browser scales the picture.
    line, side = (0.6, 0.8) if layout.cell > 0.3 else (0.0, 0.86)
    for row in range(layout.rows):
        for column in range(layout.columns):
            spot = (row, column)
            if spot in known:
                style: dict[str, Any] = {"fc": color_at(mapper, known[spot]), "ec": "#555555"}
            else:
                style = _empty_style() if spot in empty else _absent_style()
            axes.add_patch(_well_shape(layout, spot, side, lw=line, **style))
            if spot in known and layout.rows * layout.columns <= _WITH_NUMBERS:
                color = color_at(mapper, known[spot])
                write_value(axes, spot, known[spot], color, size=layout.letters)


def _empty_style() -> dict[str, Any]:
    return {"fc": NO_VALUE_COLOR, "ec": "#555555", "hatch": "//////"}


def _absent_style() -> dict[str, Any]:
    return {"fc": PLATE_COLOR, "ec": "#8A929C", "ls": (0, (1, 1.5))}


def _well_shape(layout: HeatmapLayout, spot: Position, side: float, **style: Any) -> Patch:
    """Make a round well up to 96 wells, a square one above, as real plates have them."""
    row, column = spot
    style["hatch_linewidth"] = 0.5
    if layout.rows * layout.columns <= _WITH_NUMBERS:
        return Circle((column, row), side / 2, **style)
    return Rectangle((column - side / 2, row - side / 2), side, side, **style)


def _draw_roles(
    axes: Axes,
    layout: HeatmapLayout,
    roles: Mapping[Position, str | None],
    imaged: frozenset[Position],
) -> list[str]:
    """Mark the controls; return the roles that were drawn, in the legend's order."""
    numbered = layout.rows * layout.columns <= _WITH_NUMBERS
    shift = 0.41 if numbered else 0.0
    size = 11 if numbered else max(5.5, 22 * layout.cell)
    drawn = {role for spot, role in roles.items() if spot in imaged and role in _ROLE_STYLE}
    for (row, column), role in roles.items():
        if role not in drawn or (row, column) not in imaged:
            continue
        sign, color, _ = _ROLE_STYLE[role]
        ring = _well_shape(layout, (row, column), 0.94, fc="none", ec=color)
        ring.set_linewidth(1.8 if layout.cell > 0.3 else 0.9)
        axes.add_patch(ring)
        axes.text(
            column - shift, row - shift, sign, color=color, fontsize=size, fontweight="bold",
            ha="center", va="center_baseline",
        )  # fmt: skip
    return [role for role in _ROLE_STYLE if role in drawn]


def _legend_entries(roles: list[str], *, empty: bool, absent: bool) -> list[tuple[Patch, str]]:
    entries: list[tuple[Patch, str]] = []
    for role in roles:
        sign, color, label = _ROLE_STYLE[role]
        entries.append((Patch(fc="none", ec=color, lw=1.8), f"{label} ({sign})"))
    if empty:
        entries.append((Patch(hatch_linewidth=0.5, lw=0.6, **_empty_style()), "imaged, no value"))
    if absent:
        entries.append((Patch(lw=0.8, **_absent_style()), "not imaged"))
    return entries


def _draw_legend(figure: Figure, layout: HeatmapLayout, entries: list[tuple[Patch, str]]) -> None:
    if entries:
        figure.legend(
            [patch for patch, _ in entries], [label for _, label in entries], loc="center",
            bbox_to_anchor=(0.5, _BOTTOM / 2 / layout.height), ncols=4 if layout.width > 7 else 2,
            frameon=False, fontsize=9, handlelength=1.3, handleheight=1.2, columnspacing=1.6,
        )  # fmt: skip


def _draw_title(figure: Figure, layout: HeatmapLayout, title: str) -> None:
    letters = int(layout.width * 8.5)
    lines = textwrap.wrap(drawable(title), letters)
    if len(lines) > 2:
        lines = [lines[0], lines[1][: letters - 2] + " …"]
    figure.text(
        0.5, 1 - 0.3 / layout.height, "\n".join(lines), ha="center", va="center", fontsize=12,
        fontweight="bold", color="#111111", parse_math=False,
    )  # fmt: skip


def _draw_colorbar(
    figure: Figure, layout: HeatmapLayout, mapper: ScalarMappable, unit_label: str
) -> None:
    tall = layout.plate_height
    height = min(tall, 4.0)
    left = layout.left + layout.plate_width + layout.strip + 0.25
    bottom = layout.height - _TOP - (tall + height) / 2
    axes = figure.add_axes((
        left / layout.width, bottom / layout.height, 0.18 / layout.width, height / layout.height,
    ))  # fmt: skip
    bar = figure.colorbar(mapper, cax=axes)
    bar.ax.tick_params(labelsize=9, length=3)
    bar.outline.set(linewidth=0.6)
    bar.ax.set_ylabel(drawable(unit_label), fontsize=10, parse_math=False)
