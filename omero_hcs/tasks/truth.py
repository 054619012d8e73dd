"""What is known about a simulated plate: labels drawn from it, and verdicts held against it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from omero_hcs.results import LABEL_COLUMNS, Table

NORMAL, ABNORMAL = "normal", "abnormal"
VISIBLE = 1 / 3
"""Least severity of an artefact that a person would label: below, it can hardly be seen."""


def read_truth(path: Path) -> Table:
    """Read `truth.csv` as `simulate` wrote it."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0]) if rows else []
    return Table({name: _column([row[name] for row in rows]) for name in names})


def _column(values: Sequence[str]) -> NDArray[np.generic]:
    try:
        return np.array([float(value) for value in values])
    except ValueError:
        return np.array(values, dtype=str)


def draw_labels(
    truth: Table, *, plate: str, each: int, rng: np.random.Generator, visible: float = VISIBLE
) -> Table:
    """Label some cells as a user would, from the truth: `each` normal and `each` abnormal.

    Parameters
    ----------
    truth : Table
        Cells with `label` and `severity`; those below `visible` are labelled by nobody.
    plate : str
        Id of the plate.
    each : int
        Labels a class.
    rng : Generator
        Draws the cells.

    Returns
    -------
    Table
        With `results.LABEL_COLUMNS`.
    """
    normal = truth["label"] == NORMAL
    seen = ~normal & (truth["severity"] >= visible)
    rows: list[dict[str, object]] = []
    for name, pool in ((NORMAL, normal), (ABNORMAL, seen)):
        drawn = rng.choice(np.flatnonzero(pool), each, replace=False)
        rows += [_label_row(truth, int(index), plate, name) for index in drawn]
    return Table.from_rows(rows, LABEL_COLUMNS)


def _label_row(truth: Table, index: int, plate: str, label: str) -> dict[str, object]:
    return {
        "plate": plate,
        "well": str(truth["well"][index]),
        "field": int(truth["field"][index]),
        "image": "",
        "z": 0,
        "t": int(truth["t"][index]),
        "y": round(float(truth["y"][index]), 2),
        "x": round(float(truth["x"][index]), 2),
        "label": label,
        "user": "simulation",
        "time": "",
        "source": "truth",
        "object_id": "",
    }


def match_truth(cells: Table, truth: Table, *, radius: float) -> NDArray[np.intp]:
    """Find the true cell of each found one: the nearest centre of the same field.

    Parameters
    ----------
    cells : Table
        Found cells: `well`, `field`, `y`, `x`.
    truth : Table
        True cells, with the same columns.
    radius : float
        Farthest that a centre may be off, in pixels.

    Returns
    -------
    array, shape (N,), int
        Row of `truth` for each cell; -1 where there is none.
    """
    found = np.full(len(cells), -1, dtype=np.intp)
    places = {(well, int(f)) for well, f in zip(cells["well"], cells["field"], strict=True)}
    for well, field in sorted(places):
        mine = np.flatnonzero((cells["well"] == well) & (cells["field"] == field))
        true = np.flatnonzero((truth["well"] == well) & (truth["field"] == field))
        if not len(true):
            continue
        tree = cKDTree(np.stack([truth["y"][true], truth["x"][true]], axis=1))
        points = np.stack([cells["y"][mine], cells["x"][mine]], axis=1)
        distance, nearest = tree.query(points)
        near = distance <= radius
        found[mine[near]] = true[nearest[near]]
    return found
