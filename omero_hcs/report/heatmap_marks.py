"""What a heat-map shows around the wells: where the edge differs, medians of rows and columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.patches import Patch, Rectangle

from omero_hcs.report.well_values import color_at, write_value

if TYPE_CHECKING:
    from omero_hcs.report.heatmap import HeatmapLayout

Mark = Literal["edge", "rows", "columns"]
"""The edge's wells set off from the inner ones; a strip with the median of each row, or column."""

STRIP, GAP = 0.8, 0.35
"""Width of a strip, and the space before it, in wells."""

_WITH_NUMBERS = 0.4  # inches that a well needs for its number

Values = Mapping[tuple[int, int], float]


def draw_marks(
    axes: Axes,
    layout: HeatmapLayout,
    marks: frozenset[Mark],
    values: Values,
    mapper: ScalarMappable,
) -> list[tuple[Patch, str]]:
    """Draw what a plate is marked with, on and beside its wells.

    Parameters
    ----------
    axes : Axes
        Of the wells; strips get axes of their own beside them.
    layout : HeatmapLayout
        Made for the same marks.
    marks : set of Mark
        What is drawn.
    values : mapping of (row, column) to float
        Of the wells that have one.
    mapper : ScalarMappable
        Their colours.

    Returns
    -------
    list of (Patch, str)
        Entries of the legend.
    """
    bottom = axes.get_position().y0 * layout.height
    if "rows" in marks:
        _draw_row_medians(axes, layout, bottom, values, mapper)
    if "columns" in marks:
        _draw_column_medians(axes, layout, bottom, values, mapper)
    if "edge" not in marks or min(layout.rows, layout.columns) < 3:
        return []
    inner = Rectangle((0.5, 0.5), layout.columns - 2, layout.rows - 2, **_edge_style())
    axes.add_patch(inner)
    return [(Patch(**_edge_style()), "the edge differs from inner wells")]


def _edge_style() -> dict[str, Any]:
    return {"ec": "#111111", "ls": (0, (4, 2)), "lw": 1.6, "fc": "none"}


def _draw_row_medians(
    plate: Axes, layout: HeatmapLayout, bottom: float, values: Values, mapper: ScalarMappable
) -> None:
    left = layout.left + layout.plate_width + layout.strip - STRIP * layout.cell
    axes = _strip(plate, layout, (left, bottom, STRIP * layout.cell, layout.plate_height))
    for row in range(layout.rows):
        own = [value for (at, _), value in values.items() if at == row]
        _square(axes, (0.0, float(row)), own, mapper, layout)
    axes.set(xlim=(-0.5, 0.5), ylim=plate.get_ylim())
    axes.set_title("median", fontsize=8, color="#222222", pad=4)


def _draw_column_medians(
    plate: Axes, layout: HeatmapLayout, bottom: float, values: Values, mapper: ScalarMappable
) -> None:
    below = bottom - (GAP + STRIP) * layout.cell
    axes = _strip(plate, layout, (layout.left, below, layout.plate_width, STRIP * layout.cell))
    for column in range(layout.columns):
        own = [value for (_, at), value in values.items() if at == column]
        _square(axes, (float(column), 0.0), own, mapper, layout)
    axes.set(xlim=plate.get_xlim(), ylim=(0.5, -0.5))
    axes.text(-0.7, 0.0, "median", fontsize=8, color="#222222", ha="right", va="center")


def _strip(plate: Axes, layout: HeatmapLayout, box: tuple[float, float, float, float]) -> Axes:
    left, bottom, width, height = box
    axes: Axes = plate.figure.add_axes((
        left / layout.width, bottom / layout.height, width / layout.width, height / layout.height,
    ))  # fmt: skip
    axes.set_axis_off()
    return axes


def _square(
    axes: Axes,
    at: tuple[float, float],
    values: list[float],
    mapper: ScalarMappable,
    layout: HeatmapLayout,
) -> None:
    if not values:
        return
    middle = float(np.median(values))
    color = color_at(mapper, middle)
    axes.add_patch(Rectangle((at[0] - 0.5, at[1] - 0.5), 1, 1, fc=color, ec="#888888", lw=0.4))
    if layout.cell > _WITH_NUMBERS:
        write_value(axes, (at[1], at[0]), middle, color, size=layout.letters)
