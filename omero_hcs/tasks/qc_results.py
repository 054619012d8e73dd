"""What a quality run leaves: tables, ROIs, tags, key-values, heat-map and report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.jobs.parts import Parts
from omero_hcs.learning.modelcard import ModelCard
from omero_hcs.model import Layout, ObjectRef, Plate, RunSpec, Unit
from omero_hcs.results import ResultFile, Results, Roi, Table, UnitResult
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import Outcome, Progress, layout_of
from omero_hcs.tasks.hand_metrics import with_hand_metrics
from omero_hcs.tasks.judging import VIEW
from omero_hcs.tasks.models import load
from omero_hcs.tasks.novelty_told import (
    PlateNovelty,
    novelty_line,
    novelty_of_wells,
    plate_novelty,
)
from omero_hcs.tasks.outcome import (
    JoinedParts,
    count_up,
    describe_survey,
    encoder_line,
    field_tables,
    of_target,
    run_file,
)
from omero_hcs.tasks.plate_record import effects_of, kept_line, plate_record
from omero_hcs.tasks.qc_notes import qc_key_values, qc_tags
from omero_hcs.tasks.qc_report import report_files
from omero_hcs.tasks.screen_overview import PlateResults, run_overviews
from omero_hcs.tasks.suggest import (
    suggested,
    suggestion_file,
    suggestion_line,
    suggestion_rois,
    suggestion_table,
)
from omero_hcs.tasks.survey import PlateSurvey
from omero_hcs.tasks.suspects import most_suspicious
from omero_hcs.tasks.thresholds import described, thresholds_used
from omero_hcs.tasks.verdicts import artefacts_of, field_row, kept_cells, well_rows

_OF_A_PLATE = "table, tags and key-values of wells, key-values of the plate, heat-map"
"""What a run over images that are no plate leaves out."""


def field_rois(spec: RunSpec, unit: Unit, part: UnitResult, *, limit: int) -> tuple[Roi, ...]:
    """Rectangles around the most abnormal cells of a field, worst first.

    Parameters
    ----------
    spec : RunSpec
        The run.
    unit : Unit
        The field.
    part : UnitResult
        Its judged cells.
    limit : int
        How many at most.
    """
    cells = part.cells
    if not len(cells) or not limit:
        return ()
    artefacts = thresholds_used(spec.context).artefacts or ()
    abnormal = np.flatnonzero(np.isin(cells["class"], artefacts))
    worst = abnormal[np.argsort(-cells["abnormal"][abnormal], kind="stable")][:limit]
    half = spec.context["survey"]["scale"]["side_px"] / 2
    plane = unit.z if isinstance(unit.z, int) else 0
    return tuple(
        Roi(
            image=unit.image or "",
            kind="rectangle",
            points=((row["y"] - half, row["x"] - half), (row["y"] + half, row["x"] + half)),
            text=row["class"],
            z=plane,
            t=unit.t,
            score=round(row["abnormal"], 4),
        )
        for row in cells.where(worst).rows()
    )


def qc_outcome(store: PlateStore, spec: RunSpec, parts: Parts, progress: Progress) -> Outcome:
    """Join the parts, judge fields and wells, and write down what a person wants to see."""
    classes: tuple[str, ...] = tuple(spec.context["classes"])
    survey = PlateSurvey.model_validate(spec.context["survey"])
    limits = thresholds_used(spec.context)
    few = survey.few_nuclei if survey.nuclear else 0.0
    judge = partial(field_row, classes=classes, few_nuclei=few, limits=limits)
    joined = field_tables(parts, progress=progress, judge=judge)
    fields, artefacts = joined.fields, artefacts_of(limits, classes)
    cells = joined.cells
    if len(cells):
        cells = cells.with_columns(kept=kept_cells(cells, fields, artefacts))
    card = load(spec.model).card
    rows = suggested(spec, cells, card.examples)
    picked = tuple(cells["cell"][rows].tolist()) if len(rows) else ()
    cells = Table({name: own for name, own in cells.columns.items() if name != VIEW})
    joined = replace(joined, cells=cells, warnings=(*survey.warnings, *joined.warnings))
    judged = tuple(
        replace(_judged(store, spec, target, joined), suggested=picked).compared(card)
        for target in spec.targets
    )
    news = [(one.name, one.novelty) for one in judged if one.novelty]
    summary = {
        **describe_survey(spec.context["survey"]),
        **count_up(cells, fields),
        **_verdict_counts(cells, fields, classes, artefacts),
        **_of_plates(judged),
        "cells kept": kept_line(fields),
        "thresholds": described(limits, assay=spec.params.get("assay")),
        "most suspicious": most_suspicious(fields) or "",
        "model": spec.model.name if spec.model else "",
        "encoder": encoder_line(fields),
        "novelty": novelty_line(card, news),
        "to label": suggestion_line(picked),
        "left out": _left_out(store, spec.targets),
        "warnings": [*(text for one in judged for text in one.warnings()), *joined.warnings],
    }
    results = tuple(_target_results(store, spec, one, joined.warnings, progress) for one in judged)
    found = {
        one.target.id: PlateResults(
            spec.run_id, one.tables, verdict=one.plate["verdict"] if one.plate else ""
        )
        for one in judged
    }
    return Outcome(results, summary, closing=run_overviews(store, spec, found))


def _left_out(store: PlateStore, targets: Sequence[ObjectRef]) -> str:
    sets = [repr(layout_of(store, target).name) for target in targets if target.kind == "images"]
    if not sets:
        return ""
    verb = "is" if len(sets) == 1 else "are"
    return f"{_OF_A_PLATE}: {', '.join(sets)} {verb} no plate"


def _verdict_counts(
    cells: Table, fields: Table, classes: Sequence[str], artefacts: Sequence[str]
) -> dict[str, Any]:
    real = cells.where(cells["centre"] != "tile") if len(cells) else cells
    judged = real if len(real) else cells
    counts = {name: int((judged["class"] == name).sum()) for name in classes} if len(judged) else {}
    abnormal = sum(counts.get(name, 0) for name in artefacts)
    return {
        "classes": counts,
        "abnormal": f"{abnormal / len(judged):.1%}" if len(judged) else "nothing judged",
        "fields without nuclei": int((fields["finding"] != "").sum()),
        "field verdicts": _tally(fields.where(fields["status"] == "done")["verdict"]),
    }


def _tally(values: Any) -> dict[str, int]:
    names, counts = np.unique(values, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class _Judged:
    """One plate or image set of a run: its tables, and what is said of a plate as a whole."""

    target: ObjectRef
    name: str
    tables: dict[str, Table]
    plate: dict[str, Any] | None = None
    novelty: PlateNovelty | None = None
    suggested: tuple[str, ...] = ()
    """Ids of the cells of all plates of the run that were picked to be labelled."""

    def compared(self, card: ModelCard) -> _Judged:
        """Add how new its cells are to the model."""
        tables, cells = dict(self.tables), self.tables["cells"]
        if "wells" in tables and "novelty" in cells:
            wells = tables["wells"]
            tables["wells"] = wells.with_columns(novelty=novelty_of_wells(cells, wells))
        return replace(self, tables=tables, novelty=plate_novelty(card, cells))

    def warnings(self) -> tuple[str, ...]:
        """Warn of a plate that is unlike those that the model learnt from."""
        warns = self.novelty is not None and self.novelty.warns
        return (self.novelty.warning(self.name),) if self.novelty and warns else ()


def _judged(store: PlateStore, spec: RunSpec, target: ObjectRef, joined: JoinedParts) -> _Judged:
    layout, survey = layout_of(store, target), spec.context["survey"]
    cells, fields = of_target(joined.cells, target), of_target(joined.fields, target)
    fields = with_hand_metrics(fields, survey["channels"], _of_controls(layout, fields))
    tables = {"cells": cells, "fields": fields}
    if not isinstance(layout, Plate) or not len(fields):
        return _Judged(target, layout.name, tables)
    tables["wells"] = _wells(layout, fields, spec)
    limits = thresholds_used(spec.context)
    plate = plate_record(layout, tables, limits, nuclear=survey["nuclear"] or "")
    return _Judged(target, layout.name, tables, plate)


def _of_controls(layout: Layout, fields: Table) -> NDArray[np.bool_] | None:
    """Fields of negative controls; None without wells."""
    if not isinstance(layout, Plate):
        return None
    names = [well.name for well in layout.wells if well.role == "negative_control"]
    return np.isin(fields["well"], names)


def _of_plates(judged: Sequence[_Judged]) -> dict[str, Any]:
    """Tell the verdict of each plate and the effects of places on it."""
    plates = [(one.name, one.plate) for one in judged if one.plate]
    verdicts = {name: f"{plate['verdict']} ({plate['why']})" for name, plate in plates}
    effects = [
        effect["text"] if len(plates) == 1 else f"{name}: {effect['text']}"
        for name, plate in plates
        for effect in effects_of({"plate": plate})
    ]
    told = [f"Plate {name}: {verdict}." for name, verdict in verdicts.items()]
    told += [f"Effects of places on the plate: {' '.join(effects)}"] if effects else []
    told += [f"{suggestion_line(one.suggested)}." for one in judged[:1] if one.suggested]
    return {
        "plate verdict": verdicts if len(verdicts) > 1 else "".join(verdicts.values()),
        "position effects": effects,
        "told": " ".join(told),
    }


def _target_results(
    store: PlateStore,
    spec: RunSpec,
    judged: _Judged,
    warnings: Sequence[str],
    progress: Progress,
) -> Results:
    card = load(spec.model).card
    record = run_file(
        spec,
        warnings=[*judged.warnings(), *warnings],
        card=card.model_dump(mode="json"),
        classes=list(spec.context["classes"]),
        thresholds=thresholds_used(spec.context).model_dump(mode="json"),
        plate=judged.plate,
        novelty=judged.novelty.as_json() if judged.novelty else None,
        suggested=list(judged.suggested),
    )
    results = qc_results(store, judged.target, judged.tables, record, progress)
    asked = suggestion_table(store, judged.tables["cells"], judged.suggested, card.classes)
    if not len(asked):
        return results
    side = spec.context["survey"]["scale"]["side_px"]
    return replace(
        results,
        rois=suggestion_rois(asked, side),
        files=(*results.files, suggestion_file(asked)),
    )


def qc_results(
    store: PlateStore,
    target: ObjectRef,
    tables: Mapping[str, Table],
    record: ResultFile,
    progress: Progress,
) -> Results:
    """Put together all that the store keeps of a run over one plate or image set.

    Parameters
    ----------
    store : PlateStore
        Where the report's pictures come from.
    target : ObjectRef
        The plate or image set.
    tables : mapping of str to Table
        "cells", "fields" and, for a plate, "wells".
    record : ResultFile
        The run's `run.json`; a report can be made again from it and the tables.
    progress : callable
        Told after every field that is drawn.
    """
    run = json.loads(record.content)
    # Images that were deleted since they were judged cannot be noted on.
    there = [site.image.id for site in layout_of(store, target).sites()]
    noted = {**tables, "fields": tables["fields"].where(np.isin(tables["fields"]["image"], there))}
    return Results(
        run_id=run["run_id"],
        key=run["key"],
        task=run["task"],
        target=target,
        tables=tables,
        tags=tuple(qc_tags(run, target, noted)),
        key_values=tuple(qc_key_values(run, target, noted)),
        files=(record, *report_files(store, target, tables, record.content, progress)),
    )


def _wells(plate: Plate, fields: Table, spec: RunSpec) -> Table:
    facts: dict[tuple[str, str], Mapping[str, Any]] = {
        (plate.id, well.name): {
            "treatment": well.treatment or "",
            "dose": float("nan") if well.dose is None else float(well.dose),
            "dose_unit": well.dose_unit or "",
            "role": well.role or "",
        }
        for well in plate.wells
    }
    limits = thresholds_used(spec.context)
    return Table.from_rows(well_rows(fields, spec.context["classes"], facts, limits=limits))
