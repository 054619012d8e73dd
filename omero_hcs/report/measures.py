"""Measures of a plate's wells beside the share of abnormal cells: cells, focus, classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from omero_hcs.model import parse_well
from omero_hcs.report.colors import Palette
from omero_hcs.results import Table

Position = tuple[int, int]
"""Zero-based (row, column) of a well."""

MAX_CLASSES, MAX_CHANNELS = 6, 3
_FOCUS = "focus_"


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
    """

    title: str
    unit: str
    values: Mapping[Position, float | None]
    palette: Palette = "amount"
    about: str = ""


def well_measures(wells: Table, fields: Table, classes: Mapping[str, int]) -> list[WellMeasure]:
    """Choose what a plate is shown by: its cells, their focus, and the classes that are there.

    Parameters
    ----------
    wells : Table
        One row a well, with `well`, `cells` and `n_<class>`.
    fields : Table
        One row a field that was read, with `well` and `focus_<channel>`.
    classes : mapping of str to int
        Cells by class, the normal one first; what no cell is of is left out.
    """
    if not len(wells):
        return []
    return [*_cells(wells), *_focus(wells, fields), *_classes(wells, classes)]


def _cells(wells: Table) -> list[WellMeasure]:
    if "cells" not in wells:
        return []
    values = _by_position(wells, wells["cells"].astype(float))
    return [WellMeasure("Cells", "", values, about="Cells found in each well, all its fields.")]


def _focus(wells: Table, fields: Table) -> list[WellMeasure]:
    names = [name for name in fields.columns if name.startswith(_FOCUS)][:MAX_CHANNELS]
    found = []
    for name in names if len(fields) else ():
        means = [_mean(fields[name][fields["well"] == well]) for well in wells["well"]]
        found.append(
            WellMeasure(
                f"Focus, {name.removeprefix(_FOCUS)}",
                "",
                _by_position(wells, np.array(means)),
                about="Sharpness, mean of the well's fields. Low: blurred, or little to see.",
            )
        )
    return found


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


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _by_position(wells: Table, values: np.ndarray) -> dict[Position, float | None]:
    return {
        parse_well(str(well)): None if np.isnan(value) else float(value)
        for well, value in zip(wells["well"], values, strict=True)
    }
