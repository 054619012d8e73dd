"""The plate on the page: the heat-map's picture, and what each well says when pointed at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omero_hcs.model import parse_well
from omero_hcs.report.columns import is_missing, show_dose
from omero_hcs.report.data import ReportData
from omero_hcs.report.heatmap import heatmap_layout, plate_heatmap
from omero_hcs.report.places import marks_of

ABNORMAL = "abnormal cells"
UNIT_LABEL = f"{ABNORMAL} (%)"


@dataclass(frozen=True, slots=True)
class WellArea:
    """One well's square on the picture, in its pixels, and its line of text."""

    anchor: str
    text: str
    x: float
    y: float
    side: float


@dataclass(frozen=True, slots=True)
class PlateView:
    """The heat-map with the wells that can be pointed at; sizes in pixels of the PNG."""

    png: bytes
    width: int
    height: int
    areas: tuple[WellArea, ...]


def abnormal_heatmap(data: ReportData) -> bytes | None:
    """Draw the plate's heat-map of the abnormal fraction, as a PNG of its own.

    Returns
    -------
    bytes or None
        None for an image set, or where no well has the column `abnormal_fraction`.
    """
    wells = data.wells
    if wells is None or not len(wells) or data.rows < 1 or "abnormal_fraction" not in wells:
        return None
    rows = [(parse_well(row["well"]), row) for row in wells.rows()]
    return plate_heatmap(
        data.rows,
        data.columns,
        {position: _percent(row) for position, row in rows},
        title=f"{data.plate_name}: abnormal cells",
        unit_label=UNIT_LABEL,
        roles={position: row.get("role") or None for position, row in rows},
        marks=marks_of(data.effects, ABNORMAL),
    )


def plate_view(data: ReportData, png: bytes | None) -> PlateView | None:
    """Lay out a heat-map of `abnormal_heatmap` and its wells' texts; None where there is none."""
    if png is None or data.wells is None:
        return None
    layout = heatmap_layout(data.rows, data.columns, marks_of(data.effects, ABNORMAL))
    areas = []
    for row in data.wells.rows():
        x, y, side = layout.well_box(*parse_well(row["well"]))
        text = _well_text(row)
        areas.append(
            WellArea(f"well-{row['well']}", text, round(x, 1), round(y, 1), round(side, 1))
        )
    return PlateView(png, *layout.size, tuple(areas))


def _percent(row: Mapping[str, Any]) -> float | None:
    value = row["abnormal_fraction"]
    has_cells = row.get("cells", 1) != 0
    return None if is_missing(value) or not has_cells else 100.0 * value


def _well_text(row: Mapping[str, Any]) -> str:
    share = _percent(row)
    parts = ["no value" if share is None else f"{share:.1f} % abnormal"]
    if not is_missing(row.get("cells")):
        parts[0] += f" of {row['cells']:.0f} cells"
    if not is_missing(row.get("treatment")):
        has_dose = not is_missing(row.get("dose"))
        dose = " " + show_dose(row["dose"], row.get("dose_unit")) if has_dose else ""
        parts.append(f"{row['treatment']}{dose}")
    parts += [
        str(row[name]).replace("_", " ")
        for name in ("role", "verdict", "why")
        if not is_missing(row.get(name))
    ]
    return f"{row['well']}: {', '.join(parts)}"
