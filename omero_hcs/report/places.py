"""Effects of places on a plate, as its pictures and its page show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omero_hcs.report.heatmap_marks import Mark

_MARKS: dict[str, Mark] = {
    "edge": "edge",
    "row trend": "rows",
    "rows": "rows",
    "column trend": "columns",
    "columns": "columns",
}


@dataclass(frozen=True, slots=True)
class PlaceEffect:
    """One effect of places.

    Parameters
    ----------
    measure : str
        What it is on: "abnormal cells", "cells", "focus of DAPI", "brightness of DAPI".
    check : str
        What it is of: "edge", "row trend", "column trend", "rows", "columns" or "reading order".
    text : str
        It in a sentence.
    """

    measure: str
    check: str
    text: str


def marks_of(effects: Sequence[PlaceEffect], measure: str) -> frozenset[Mark]:
    """Say what is drawn on the picture of a measure because of the effects on it."""
    own = (effect.check for effect in effects if effect.measure == measure)
    return frozenset(_MARKS[check] for check in own if check in _MARKS)


def texts_of(effects: Sequence[PlaceEffect], measure: str) -> list[str]:
    """Sentences about the effects on a measure."""
    return [effect.text for effect in effects if effect.measure == measure]
