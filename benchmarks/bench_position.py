"""Position effects on plates: false alarms where there is nothing, and what is found where it is.

Plates are drawn as tables, without pixels: wells of 400 cells or so, more spread between wells than
chance alone gives, four fields a well, two channels; doses kill cells. "No effect" is the share of
plates with a false alarm of any kind. An effect of 20 % takes 20 % of cells and brightness away and
adds 10 percentage points of abnormal cells: at the edge, at the end of a gradient along rows, or in
one column (along which doses lie in the second layout: there the two cannot be told apart).
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.model import Plate, Well
from omero_hcs.results import Table
from omero_hcs.tasks.position_effects import check_positions

NULL_PLATES, PLATES = 250, 30
LAYOUTS = ("one treatment", "controls and doses", "library")
SIZES = {96: (8, 12), 384: (16, 24)}


def layout(name: str, size: int) -> Plate:
    """Make a plate: all alike; doses along columns with controls; or a library of compounds."""
    rows, columns = SIZES[size]
    wells = []
    for row in range(rows):
        for column in range(columns):
            outside = column in (0, columns - 1)
            known: dict[str, Any] = {}
            if name == "controls and doses":
                known = (
                    {"treatment": "DMSO", "role": "negative_control"}
                    if outside or (row + column) % 6 == 0
                    else {"treatment": f"C{row // 4}", "dose": float(column), "dose_unit": "nM"}
                )
            elif name == "library":
                known = (
                    {"treatment": "DMSO", "role": "negative_control"}
                    if outside
                    else {"treatment": f"compound {row} {column}"}
                )
            wells.append(Well(row, column, **known))
    return Plate("bench", "bench", rows, columns, tuple(wells))


def draw(
    plate: Plate, rng: np.random.Generator, *, effect: str = "", size: float = 0.0
) -> tuple[Table, Table]:
    """Draw the tables of wells and fields of one plate, with an effect planted."""
    rows = np.array([well.row for well in plate.wells])
    columns = np.array([well.column for well in plate.wells])
    edge = (rows % (plate.rows - 1) == 0) | (columns % (plate.columns - 1) == 0)
    place: NDArray[np.float64] = {
        "": np.zeros(len(rows)),
        "edge": edge.astype(float),
        "rows": rows / (plate.rows - 1),
        "column": (columns == plate.columns // 3).astype(float),
    }[effect]
    count = len(rows)
    # Doses work: what is planted has to be told from them.
    doses = np.array([well.dose or 0.0 for well in plate.wells]) / plate.columns
    expected = 400 * (1 - 0.3 * doses) * (1 - size * place)
    cells = rng.poisson(expected * rng.gamma(40, 1 / 40, count))
    share = rng.beta(3, 45, count) * (1 - 0.2) + 0.1 * doses + 0.5 * size * place
    abnormal = rng.binomial(np.maximum(cells, 1), np.clip(share, 0, 1))
    wells = Table(
        {
            "well": np.array([well.name for well in plate.wells]),
            "cells": cells,
            "abnormal_fraction": abnormal / np.maximum(cells, 1),
            "fields": np.full(count, 4),
            "fields_failed": np.zeros(count, dtype=int),
        }
    )
    names = np.repeat(wells["well"], 4)
    fields: dict[str, Any] = {"well": names, "status": np.full(4 * count, "done")}
    for channel in ("DAPI", "GFP"):
        bright = 2000 * np.repeat(rng.normal(1, 0.08, count) * (1 - size * place), 4)
        fields[f"focus_{channel}"] = 0.1 * np.repeat(rng.normal(1, 0.1, count), 4)
        fields[f"background_{channel}"] = np.full(4 * count, 100.0)
        fields[f"p99_{channel}"] = 100 + bright * rng.normal(1, 0.03, 4 * count)
    return wells, Table(fields)


def told(name: str, size: int, number: int, *, effect: str = "", strength: float = 0.0) -> float:
    """Share of plates on which the effect is told; any effect, where there is none."""
    kinds = {"edge": {"edge"}, "rows": {"row trend"}, "column": {"columns"}}.get(effect)
    found = 0
    for seed in range(number):
        rng = np.random.default_rng([seed, size, len(name), int(100 * strength)])
        plate = layout(name, size)
        wells, fields = draw(plate, rng, effect=effect, size=strength)
        report = check_positions(plate, wells, fields, nuclear="DAPI")
        checks = {one.check for one in report.effects}
        found += bool(checks if kinds is None else checks & kinds)
    return found / number


def measure() -> dict[str, Any]:
    """Measure false alarms, and how often planted effects are told."""
    rows = []
    started = time.perf_counter()
    for name in LAYOUTS:
        for size in SIZES:
            row: dict[str, Any] = {"layout": name, "wells": size}
            row["no effect"] = round(told(name, size, NULL_PLATES), 3)
            for effect in ("edge", "rows", "column"):
                for strength in (0.1, 0.2, 0.4):
                    share = told(name, size, PLATES, effect=effect, strength=strength)
                    row[f"{effect} {strength:.0%}"] = round(share, 2)
            rows.append(row)
    plates = len(rows) * (NULL_PLATES + 9 * PLATES)
    return {
        "plates without an effect, each layout and size": NULL_PLATES,
        "plates with one, each": PLATES,
        "share of plates on which an effect is told": rows,
        "ms a plate": round(1000 * (time.perf_counter() - started) / plates, 1),
    }
