"""Join a run's parts into the tables, files and summary that the store keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omero_hcs.jobs.parts import Parts
from omero_hcs.model import ObjectRef, RunSpec, Unit
from omero_hcs.results import ResultFile, Results, Table, UnitResult
from omero_hcs.tasks.base import Outcome, Progress

RUN_FILE = "run.json"
RUN_SCHEMA_VERSION = 1

FieldJudge = Callable[[Table], Mapping[str, Any]]

CellsTold = Callable[[Table], tuple[Mapping[str, Any], Sequence[str]]]
"""Tells of the cells of a run what belongs into its summary, and warnings."""


@dataclass(frozen=True, eq=False)
class JoinedParts:
    """The parts of a run as one: every cell, a row a field, and each warning once."""

    cells: Table
    fields: Table
    warnings: tuple[str, ...]


def field_tables(
    parts: Parts,
    *,
    progress: Progress,
    judge: FieldJudge | None = None,
    without: Sequence[str] = (),
) -> JoinedParts:
    """Read every part once, and join what they hold.

    Parameters
    ----------
    parts : Parts
        One a unit; read from disk one after the other.
    judge : callable, optional
        More columns of the fields' table, from a field's cells.
    without : sequence of str
        Columns of the cells that are left out (pixels).

    Returns
    -------
    JoinedParts
        Rows in the order of the units, cells within a field by (y, x).
    """
    warnings: list[str] = []
    cells: list[Table] = []
    rows: list[dict[str, Any]] = []
    for number, (unit, part) in enumerate(zip(parts.units, parts, strict=True), 1):
        own = Table({k: v for k, v in part.cells.columns.items() if k not in without})
        if len(own):
            cells.append(own)
        # A field that could not be read is not one without nuclei: it gets no verdict at all.
        warnings += part.warnings
        judged = judge(own) if judge and part.status == "done" else {}
        rows.append({**_place(unit, part), **part.metrics, **judged})
        progress("joining the fields", number, len(parts))
    joined = Table.concat(cells) if cells else Table({})
    return JoinedParts(joined, _even(rows), tuple(dict.fromkeys(warnings)))


def _place(unit: Unit, part: UnitResult) -> dict[str, Any]:
    return {
        "unit": unit.id,
        "plate": unit.target.id,
        "well": unit.well or "",
        "field": unit.field,
        "acquisition": unit.acquisition or "",
        "image": unit.image or "",
        "z": str(unit.z),
        "t": unit.t,
        "status": part.status,
        "reason": part.reason or "",
        "seconds": part.seconds,
    }


def _even(rows: Sequence[dict[str, Any]]) -> Table:
    """Give every row the same columns: a field that failed has no metrics."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    blanks = {name: _blank(name, rows) for name in names}
    return Table.from_rows([{name: row.get(name, blanks[name]) for name in names} for row in rows])


def _blank(name: str, rows: Sequence[dict[str, Any]]) -> Any:
    example = next(row[name] for row in rows if name in row)
    if isinstance(example, str):
        return ""
    return 0 if isinstance(example, int) else float("nan")


def run_file(spec: RunSpec, *, warnings: Sequence[str], **more: Any) -> ResultFile:
    """Describe the run in JSON, for the report and for people: no store path, no secret."""
    record = {
        "schema_version": RUN_SCHEMA_VERSION,
        "run_id": spec.run_id,
        "key": spec.key,
        "task": spec.task,
        "package_version": spec.package_version,
        "params": spec.params,
        "survey": spec.context.get("survey"),
        "model": spec.model.model_dump() if spec.model else None,
        "warnings": list(dict.fromkeys(warnings)),
        **more,
    }
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False, default=str)
    return ResultFile(RUN_FILE, "application/json", text.encode())


def of_target(table: Table, target: ObjectRef) -> Table:
    """Rows of one plate or image set."""
    return table.where(table["plate"] == target.id) if len(table) else table


def finite(value: float) -> float | None:
    """Give None for NaN, which JSON does not have."""
    return None if np.isnan(value) else float(value)


def cell_results(
    spec: RunSpec,
    parts: Parts,
    *,
    progress: Progress,
    without: Sequence[str] = (),
    tell: CellsTold | None = None,
) -> Outcome:
    """Results of a run that only finds cells: its tables, a plate at a time, and a summary."""
    joined = field_tables(parts, progress=progress, without=without)
    cells, fields, survey = joined.cells, joined.fields, spec.context["survey"]
    told, more = tell(cells) if tell else ({}, ())
    warnings = [*survey["warnings"], *joined.warnings, *more]
    summary = {**describe_survey(survey), **count_up(cells, fields), **told, "warnings": warnings}
    results = tuple(
        Results(
            run_id=spec.run_id,
            key=spec.key,
            task=spec.task,
            target=target,
            tables={"cells": of_target(cells, target), "fields": of_target(fields, target)},
            files=(run_file(spec, warnings=warnings, summary=summary),),
        )
        for target in spec.targets
    )
    return Outcome(results, summary)


def describe_survey(survey: Mapping[str, Any]) -> dict[str, Any]:
    """Say what was decided about the plate, in words for the user."""
    scale, diameter = survey["scale"], survey["nuclear_diameter"]
    size = f"{scale['side_px']} px"
    if scale["side_um"]:
        size += f" = {scale['side_um']:.1f} um"
    if scale["side_nuclei"]:
        size += f" = {scale['side_nuclei']:.1f} nuclear diameters"
    nuclear = survey["nuclear"]
    return {
        "channels": ", ".join(survey["channels"]),
        "nuclei": f"{nuclear} ({survey['nuclear_why']})" if nuclear else survey["nuclear_why"],
        "nuclear diameter": f"{diameter:.1f} px" if diameter else "not measured",
        "crop": size,
    }


def encoder_line(fields: Table) -> str:
    """Say in which number format, and how often, each cell went through the encoder."""
    read = fields.where(fields["status"] == "done")
    if not len(read):
        return ""
    formats = ", ".join(sorted(set(read["precision"].tolist())))
    return f"{formats}, {int(read['passes'][0])} pass(es) a cell"


def count_up(cells: Table, fields: Table) -> dict[str, Any]:
    """Wells, fields and cells of a run, and cells a well."""
    if not len(cells):
        return {"wells": 0, "fields": len(fields), "cells": 0}
    found = cells.where(cells["centre"] != "tile")
    counted = found if len(found) else cells
    wells_of: Any = np.char.add(np.char.add(counted["plate"], "/"), counted["well"])
    _, per_well = np.unique(wells_of, return_counts=True)
    wells = len({(p, w) for p, w in zip(fields["plate"], fields["well"], strict=True) if w})
    return {
        "wells": wells,
        "fields": len(fields),
        "fields failed": int((fields["status"] == "failed").sum()),
        "cells": len(counted),
        "cells a well": _spread(per_well) if wells else "",
    }


def _spread(counts: Any) -> str:
    if not len(counts):
        return "0"
    low, middle, high = counts.min(), np.median(counts), counts.max()
    return f"{low} to {high}, median {middle:.0f}"
