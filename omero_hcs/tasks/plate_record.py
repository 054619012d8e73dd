"""What a quality run says of a plate as a whole; `plate` in its `run.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from omero_hcs.model import Plate
from omero_hcs.results import Table
from omero_hcs.settings import Thresholds
from omero_hcs.tasks.verdicts import plate_verdict


def plate_record(
    plate: Plate, tables: Mapping[str, Table], limits: Thresholds, *, nuclear: str
) -> dict[str, Any]:
    """Judge a plate by its wells, and look for effects of places on it.

    Returns
    -------
    dict
        "verdict" and "why"; "positions": "effects", "notes" and "checks", as
        `position_effects.PositionReport` has them.
    """
    from omero_hcs.tasks.position_effects import check_positions

    wells = tables["wells"]
    positions = check_positions(plate, wells, tables["fields"], nuclear=nuclear)
    return {**plate_verdict(wells, limits), "positions": asdict(positions)}


def effects_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the effects of places that a run found; none where it did not look for them."""
    found: list[dict[str, Any]] = _positions(record).get("effects", [])
    return list(found)


def notes_of(record: Mapping[str, Any]) -> list[str]:
    """List what a run could not tell about places, in sentences."""
    notes: list[str] = _positions(record).get("notes", [])
    return list(notes)


def _positions(record: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (record.get("plate") or {}).get("positions") or {}
    return found


def kept_line(fields: Table) -> str:
    """Tell how many cells are kept, and what leaving out whole fields would have cost.

    Parameters
    ----------
    fields : Table
        With `cells`, `cells_kept` and `verdict`.
    """
    if "cells_kept" not in fields or not len(fields):
        return ""
    read = fields.where(fields["status"] == "done")
    cells, kept = int(read["cells"].sum()), int(read["cells_kept"].sum())
    warned = read.where(read["verdict"] == "warn")
    flagged = int(read["cells"][read["verdict"] == "fail"].sum() + warned["cells"].sum())
    text = f"{kept:,} of {cells:,} cells are kept"
    if not flagged:
        return text
    saved = int(warned["cells_kept"].sum())
    text += f". Leaving out every field that warns or fails would throw {flagged:,} away"
    return (
        f"{text}; {saved:,} good ones of these, in fields that only warn, stay" if saved else text
    )
