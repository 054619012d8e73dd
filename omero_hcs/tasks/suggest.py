"""What to label next: the cells of a run of which its model is least sure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from omero_hcs.jobs.identity import unit_generator
from omero_hcs.learning.modelcard import ExamplesCard
from omero_hcs.learning.picking import margin, pick
from omero_hcs.model import RunSpec
from omero_hcs.results import LABEL_COLUMNS, QUESTION, ResultFile, Roi, Table
from omero_hcs.stores.base import Linked, PlateStore
from omero_hcs.tasks.judging import VIEW

CSV_FILE, PICTURE_FILE = "suggestions.csv", "suggestions.png"
"""Files of a run, by their names."""

_ROOM = 20
"""Cells that a well may offer, for each that it would give if all gave as many."""

_WIDER = 1.15
"""A suggestion's box against the crop's, so that it is not hidden by the box of a verdict."""

Rows = NDArray[np.intp]


def suggested(spec: RunSpec, cells: Table, examples: ExamplesCard | None) -> Rows:
    """Pick the cells whose labels would teach a model most.

    Each well offers its most uncertain cells; of those with the smallest margins between the two
    most probable classes, one of each cluster is taken (`learning.picking.pick`), by the few
    numbers that runs with suggestions keep of what a cell looks like. A model without these
    numbers gives its most uncertain ones. Tiles and cells that the model learnt from are left out.

    Parameters
    ----------
    spec : RunSpec
        The run: how many are asked for, its classes and its seed.
    cells : Table
        The judged cells of all its plates, with `VIEW` if the model can tell.
    examples : ExamplesCard or None
        The labelled cells that the model keeps.

    Returns
    -------
    array, shape (M,), int
        Rows of `cells`, the most useful first.
    """
    count = int(spec.params.get("suggest", 0))
    if not count or not len(cells):
        return np.empty(0, dtype=np.intp)
    proba = np.stack([cells[f"p_{name}"] for name in spec.context["classes"]], axis=1)
    rng = unit_generator(int(spec.params["seed"]), "suggestions")
    learnt = _places(examples)
    known = np.array([place in learnt for place in _places_of(cells)])
    usable = ~known & (cells["centre"] != "tile")
    whole = usable & ~cells["at_border"]  # what is cut off can hardly be labelled
    rows = np.flatnonzero(whole if whole.sum() >= count else usable)
    rows = _offered(rows, margin(proba), _wells_of(cells), count, rng)
    if VIEW not in cells:
        return rows[pick("uncertain", proba[rows], None, (), count, rng)]
    return rows[pick("diverse", proba[rows], cells[VIEW][rows], (), count, rng)]


def _places(examples: ExamplesCard | None) -> set[tuple[str, float, float]]:
    if examples is None:
        return set()
    return {
        (unit, round(y, 1), round(x, 1))
        for unit, y, x in zip(examples.unit, examples.y, examples.x, strict=True)
    }


def _places_of(cells: Table) -> list[tuple[str, float, float]]:
    places = (cells[name].tolist() for name in ("cell", "y", "x"))
    return [
        (cell.rpartition("/")[0], round(y, 1), round(x, 1))
        for cell, y, x in zip(*places, strict=True)
    ]


def _wells_of(cells: Table) -> NDArray[Any]:
    """Give the well of each cell a number, or its image where it has no well."""
    where = np.where(cells["well"] == "", cells["image"], cells["well"])
    names = np.array([f"{plate}/{well}" for plate, well in zip(cells["plate"], where, strict=True)])
    return np.unique(names, return_inverse=True)[1]


def _offered(
    rows: Rows, margins: NDArray[np.float64], wells: NDArray[Any], count: int, rng: Generator
) -> Rows:
    """Leave each well its most uncertain cells, so that no single one fills the list."""
    rows = rng.permutation(rows)
    rows = rows[np.argsort(margins[rows], kind="stable")]
    each = math.ceil(_ROOM * count / max(1, len(np.unique(wells[rows]))))
    kept = [rows[wells[rows] == well][:each] for well in np.unique(wells[rows])]
    return np.sort(np.concatenate(kept)) if kept else rows


def suggestion_table(
    store: PlateStore, cells: Table, picked: Sequence[str], classes: Sequence[str]
) -> Table:
    """List suggested cells as a label file does, each with the question instead of a label.

    Parameters
    ----------
    store : PlateStore
        Where the pages of the images are.
    cells : Table
        The judged cells of one plate or image set.
    picked : sequence of str
        Ids of the cells that are suggested; those of other plates are left out.
    classes : sequence of str
        Of the model.

    Returns
    -------
    Table
        `results.LABEL_COLUMNS`, then `cell`, the probabilities, and `link`, the image's page.
    """
    rows = {cell: row for row, cell in enumerate(cells["cell"].tolist())} if picked else {}
    chosen = np.array([rows[cell] for cell in picked if cell in rows], dtype=np.intp)
    if not len(chosen):
        return Table({})
    own, count = cells.where(chosen), len(chosen)
    given: Mapping[str, NDArray[Any]] = {
        "label": np.full(count, QUESTION),
        "z": np.maximum(own["z"], 0),
        "source": np.full(count, "suggestion"),
    }
    blank = np.full(count, "")
    listed = {name: own.columns.get(name, blank) for name in LABEL_COLUMNS}
    images = own["image"].tolist()
    links = [store.link("image", one) if isinstance(store, Linked) else "" for one in images]
    return Table(
        {
            **listed,
            **given,
            "cell": own["cell"],
            **{f"p_{name}": own[f"p_{name}"] for name in classes},
            "link": np.array(links, dtype=str),
        }
    )


def suggestion_line(picked: Sequence[str]) -> str:
    """Tell in the summary of a run what was suggested, and what to do with it."""
    if not picked:
        return ""
    return (
        f"{len(picked)} cells are marked {QUESTION!r} in the images, and listed in {CSV_FILE}:"
        " write the class there instead, and train again"
    )


def suggestion_file(table: Table) -> ResultFile:
    """Make the file of suggested cells, to fill in and to train with."""
    about = "Quality check: cells whose labels would teach the model most, to fill in"
    return ResultFile(CSV_FILE, "text/csv", table.to_csv().encode(), about)


def suggestion_rois(table: Table, side: float) -> tuple[Roi, ...]:
    """Draw a box around each suggested cell, with the question as its text."""
    half = _WIDER * side / 2
    return tuple(
        Roi(
            image=row["image"],
            kind="rectangle",
            points=((row["y"] - half, row["x"] - half), (row["y"] + half, row["x"] + half)),
            text=QUESTION,
            z=row["z"],
            t=row["t"],
        )
        for row in table.rows()
    )
