"""Measures of a plate's wells beside the share of abnormal cells: cells, focus, classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from omero_hcs.model import parse_well
from omero_hcs.report.colors import Palette
from omero_hcs.report.places import PlaceEffect
from omero_hcs.results import Table

Position = tuple[int, int]
"""Zero-based (row, column) of a well."""

MAX_CLASSES, MAX_CHANNELS = 6, 3
_FOCUS, _BRIGHTNESS = "focus_", "brightness of "


@dataclass(frozen=True, slots=True)
class WellMeasure:
    """One number a well.

    Parameters
    ----------
    title : str
        What it is: "Cells".
    unit : str
        Its unit, "" for none; "%" is shown as a share.
    values : mapping of (row, column) to float or None
        None where a well that was imaged has no value.
    palette : str
        See `colors.Palette`.
    about : str
        How to read it, in a sentence.
    key : str
        What effects of places call it: "cells", "focus of DAPI".
    """

    title: str
    unit: str
    values: Mapping[Position, float | None]
    palette: Palette = "amount"
    about: str = ""
    key: str = ""


def well_measures(
    wells: Table,
    fields: Table,
    classes: Mapping[str, int],
    effects: Sequence[PlaceEffect] = (),
) -> list[WellMeasure]:
    """Choose what a plate is shown by: its cells, their focus, and the classes that are there.

    Brightness is shown where places have an effect on it.

    Parameters
    ----------
    wells : Table
        One row a well, with `well`, `cells` and `n_<class>`.
    fields : Table
        One row a field that was read, with `well` and `focus_<channel>`.
    classes : mapping of str to int
        Cells by class, the normal one first; what no cell is of is left out.
    effects : sequence of PlaceEffect
        Effects of places on the plate.
    """
    if not len(wells):
        return []
    measures = [*_cells(wells), *_focus(wells, fields), *_classes(wells, classes)]
    return measures + _brightness(wells, fields, effects) + _novelty(wells)


def _cells(wells: Table) -> list[WellMeasure]:
    if "cells" not in wells:
        return []
    values = _by_position(wells, wells["cells"].astype(float))
    about = "Cells found in each well, all its fields."
    return [WellMeasure("Cells", "", values, about=about, key="cells")]


def _focus(wells: Table, fields: Table) -> list[WellMeasure]:
    names = [name for name in fields.columns if name.startswith(_FOCUS)][:MAX_CHANNELS]
    found = []
    for name in names if len(fields) else ():
        channel = name.removeprefix(_FOCUS)
        found.append(
            WellMeasure(
                f"Focus, {channel}",
                "",
                _means(wells, fields, fields[name]),
                about="Sharpness, mean of the well's fields. Low: blurred, or little to see.",
                key=f"focus of {channel}",
            )
        )
    return found


def _brightness(wells: Table, fields: Table, effects: Sequence[PlaceEffect]) -> list[WellMeasure]:
    keys = dict.fromkeys(
        effect.measure for effect in effects if effect.measure.startswith(_BRIGHTNESS)
    )
    found = []
    for key in keys:
        channel = key.removeprefix(_BRIGHTNESS)
        if f"p99_{channel}" in fields and f"background_{channel}" in fields:
            above = fields[f"p99_{channel}"] - fields[f"background_{channel}"]
            values = _means(wells, fields, above)
            about = "Grey values of the brightest percent, above the background."
            found.append(WellMeasure(f"Brightness, {channel}", "", values, about=about, key=key))
    return found


def _novelty(wells: Table) -> list[WellMeasure]:
    if "novelty" not in wells or not np.isfinite(wells["novelty"].astype(float)).any():
        return []
    values = _by_position(wells, wells["novelty"].astype(float))
    about = "How unlike the cells that the model learnt from; 1 is like them. Lower quartile."
    return [WellMeasure("Novelty", "", values, about=about)]


def _classes(wells: Table, classes: Mapping[str, int]) -> list[WellMeasure]:
    if len(classes) < 3:  # that of the one abnormal class is the plate's own heat-map
        return []
    counted = [name for name in list(classes)[1:] if classes[name] and f"n_{name}" in wells]
    counted.sort(key=lambda name: -classes[name])
    every = sum(wells[f"n_{name}"] for name in classes if f"n_{name}" in wells)
    total = np.asarray(every, dtype=float)
    found = []
    for name in counted[:MAX_CLASSES]:
        share = 100 * np.divide(
            wells[f"n_{name}"], total, out=np.full(len(wells), np.nan), where=total > 0
        )
        values = _by_position(wells, share)
        found.append(WellMeasure(name, "%", values, "abnormal", f"Share of cells of class {name}."))
    return found


def _means(wells: Table, fields: Table, values: np.ndarray) -> dict[Position, float | None]:
    means = [_mean(values[fields["well"] == well]) for well in wells["well"]]
    return _by_position(wells, np.array(means))


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _by_position(wells: Table, values: np.ndarray) -> dict[Position, float | None]:
    return {
        parse_well(str(well)): None if np.isnan(value) else float(value)
        for well, value in zip(wells["well"], values, strict=True)
    }
