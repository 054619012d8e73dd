"""Crop the single cells of a plate: `omero-hcs crop`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic import Field

from omero_hcs.jobs.parts import Parts
from omero_hcs.model import RunSpec, Unit
from omero_hcs.results import LabelImage, Results, Table, UnitResult
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import (
    CellParams,
    Fingerprint,
    Outcome,
    Plan,
    Progress,
    Request,
    all_units,
    names_of,
)

PIXELS = "pixels"


class Params(CellParams):
    """Find the cells of a plate and cut a crop around each."""

    save_crops: bool = Field(
        default=True, description="Keep the crops' raw pixels, one parquet file a field."
    )
    save_masks: bool = Field(
        default=False, description="Keep the segmented nuclei as label images of the plate."
    )


def fingerprint(store: PlateStore, params: Params, request: Request) -> Fingerprint:
    """Nothing but the parameters decides; annotated centres count as labels."""
    from omero_hcs.tasks.labels import annotated_positions, digest_of

    annotated = annotated_positions(store, request.targets, params)
    return Fingerprint(labels_sha256=None if annotated is None else digest_of(annotated))


def plan(store: PlateStore, params: Params, request: Request) -> Plan:
    """Look at the plate, then make one unit a field."""
    from omero_hcs.tasks.survey import survey_plate

    pairs = all_units(store, request.targets, params)
    name = names_of(store, request.targets)
    survey = survey_plate(store, pairs, params, name=name, progress=request.progress)
    units = tuple(unit for unit, _ in pairs)
    return Plan(units, {"survey": survey.model_dump(mode="json")})


def work(store: PlateStore, spec: RunSpec, units: Sequence[Unit]) -> Iterator[UnitResult]:
    """Crop each field; raw pixels go along as a 2-D column."""
    from omero_hcs.tasks.cells import FieldError, finder_of
    from omero_hcs.tasks.failures import describe_failure
    from omero_hcs.tasks.labels import annotated_positions

    params = Params.model_validate(spec.params)
    annotated = annotated_positions(store, spec.targets, params)
    for field in finder_of(store, spec, params, annotated=annotated).fields(units):
        if isinstance(field, FieldError):
            yield describe_failure(field.unit, field.error)
            continue
        cells = field.table
        if params.save_crops:
            width = math.prod(field.crops.shape[1:])
            cells = cells.with_columns(**{PIXELS: field.crops.reshape(-1, width)})
        masks = {"nuclei": field.nuclei} if params.save_masks and field.nuclei is not None else {}
        yield UnitResult(
            field.unit.id,
            "done",
            cells=cells,
            metrics=field.metrics,
            labels=masks,
            seconds=field.seconds,
        )


def unit_results(spec: RunSpec, unit: Unit, part: UnitResult) -> Results | None:
    """Give a field's crops and mask to the store as soon as they are there."""
    plane = unit.z if isinstance(unit.z, int) else 0
    masks = tuple(
        LabelImage(unit.image or "", f"hcs_{name}_{spec.run_id}", pixels, z=plane, t=unit.t)
        for name, pixels in part.labels.items()
    )
    if not masks and PIXELS not in part.cells:
        return None
    if spec.store.on_server and not masks:
        return None
    kept = PIXELS in part.cells and len(part.cells) and not spec.store.on_server
    crops = part.cells if kept else None
    return Results(
        run_id=spec.run_id,
        key=spec.key,
        task=spec.task,
        target=unit.target,
        unit=unit.id,
        tables={} if crops is None else {"crops": _only(crops, ("cell", "y", "x", PIXELS))},
        labels=masks,
    )


def finish(store: PlateStore, spec: RunSpec, parts: Parts, progress: Progress) -> Outcome:
    """Join the fields' cells into one table a plate."""
    from omero_hcs.tasks.outcome import cell_results

    outcome = cell_results(spec, parts, progress=progress, without=(PIXELS,))
    if not (spec.store.on_server and spec.params["save_crops"]):
        return outcome
    where = {"crops": f"in {spec.work_dir}, as attachments they would bury the plate's others"}
    return replace(outcome, summary={**outcome.summary, **where})


def _only(table: Table, names: Sequence[str]) -> Table:
    return Table({name: table[name] for name in names})
