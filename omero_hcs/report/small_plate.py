"""A plate in small, drawn by the page itself: a square a well, in the colour of its value."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from omero_hcs.model import row_name, well_name
from omero_hcs.report.colors import (
    NO_VALUE_COLOR,
    Palette,
    color_of,
    gradient,
    scale_ends,
)
from omero_hcs.report.columns import show_number
from omero_hcs.report.measures import Position, WellMeasure
from omero_hcs.report.places import PlaceEffect, marks_of, texts_of

_GAP = 0.1
_ROW_LABELS, _COLUMN_LABELS = 8, 12
_LETTER = 0.035  # height of a letter in widths of the plate: some 12 pixels of the page


@dataclass(frozen=True, slots=True)
class Spot:
    """One well: its place in wells from the top left, its colour and its line of text."""

    x: float
    y: float
    color: str
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """A letter or number beside the wells."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class SmallPlate:
    """A plate in small; sizes in wells.

    `has_edge` is whether its edge differs from inner wells, `told` what places do to it.
    """

    title: str
    about: str
    rows: int
    columns: int
    side: float
    spots: tuple[Spot, ...]
    row_labels: tuple[Label, ...]
    column_labels: tuple[Label, ...]
    letter: float
    margin: float
    low: str
    high: str
    gradient: str
    has_edge: bool = False
    told: tuple[str, ...] = ()


def small_plates(
    rows: int,
    columns: int,
    measures: Sequence[WellMeasure],
    effects: Sequence[PlaceEffect] = (),
) -> list[SmallPlate]:
    """Draw each measure by itself, on a scale of its own, with the effects of places on it."""
    return [
        replace(
            _drawn(rows, columns, measure),
            has_edge="edge" in marks_of(effects, measure.key),
            told=tuple(texts_of(effects, measure.key)),
        )
        for measure in measures
    ]


def plate_paths(
    values: Mapping[Position, float | None], ends: tuple[float, float], palette: Palette
) -> tuple[tuple[str, str], ...]:
    """Draw wells with one path a colour: a fifth of the size of as many squares.

    Returns
    -------
    tuple of (str, str)
        Colour, and path in wells from the top left.
    """
    by_color: dict[str, list[str]] = defaultdict(list)
    for (row, column), value in values.items():
        color = NO_VALUE_COLOR if value is None else color_of(value, ends, palette)
        by_color[color].append(f"M{column + _GAP / 2:g} {row + _GAP / 2:g}h.9v.9h-.9z")
    return tuple((color, "".join(parts)) for color, parts in sorted(by_color.items()))


def _drawn(rows: int, columns: int, measure: WellMeasure) -> SmallPlate:
    known = [value for value in measure.values.values() if value is not None]
    ends = scale_ends(known, percent=measure.unit == "%")
    spots = [
        Spot(
            round(column + _GAP / 2, 2),
            round(row + _GAP / 2, 2),
            NO_VALUE_COLOR if value is None else color_of(value, ends, measure.palette),
            f"{well_name(row, column)}: {_shown(value, measure.unit)}",
        )
        for (row, column), value in sorted(measure.values.items())
    ]
    letter = round((columns + 1) * _LETTER, 2)
    return SmallPlate(
        title=f"{measure.title} (%)" if measure.unit == "%" else measure.title,
        about=measure.about,
        rows=rows,
        columns=columns,
        side=1 - _GAP,
        spots=tuple(spots),
        row_labels=tuple(
            Label(round(-0.8 * letter, 2), round(row + 0.5 + letter / 3, 2), row_name(row))
            for row in range(0, rows, math.ceil(rows / _ROW_LABELS))
        ),
        column_labels=tuple(
            Label(column + 0.5, round(-0.8 * letter, 2), str(column + 1))
            for column in range(0, columns, math.ceil(columns / _COLUMN_LABELS))
        ),
        letter=letter,
        margin=round(2 * letter, 2),
        low=show_number(ends[0]),
        high=show_number(ends[1]),
        gradient=gradient(measure.palette),
    )


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "no value"
    return f"{value:.1f} %" if unit == "%" else show_number(value)
