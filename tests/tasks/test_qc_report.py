"""The report of a quality run from its tables and record: today's, and those of older releases."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("jinja2", reason="the extra 'report' is not installed")

from omero_hcs.results import ResultFile, Table
from omero_hcs.settings import Thresholds
from omero_hcs.tasks.apply_qc import Params
from omero_hcs.tasks.base import layout_of, no_progress, units_of
from omero_hcs.tasks.hand_metrics import with_hand_metrics
from omero_hcs.tasks.plate_record import plate_record
from omero_hcs.tasks.qc_results import qc_results
from omero_hcs.tasks.survey import survey_plate
from omero_hcs.tasks.verdicts import field_row, kept_cells, well_rows

WELLS = 28
CLASSES = ("normal", "debris", "mitotic")
LIMITS = Thresholds(artefacts=("debris",))
NEW = {"kept", "cells_kept", "fields_kept", "why", "hand_finding"}


@pytest.fixture
def judged(memory):
    """A plate of 28 wells with 12 cells each: debris in B01, mitoses in B02, a blurred B03."""
    store = memory(WELLS).store
    (target,) = store.refs()
    layout = layout_of(store, target)
    pairs = list(units_of(target, layout, z="middle", t=0))
    survey = survey_plate(store, pairs, Params(), name="p", progress=no_progress)
    cells, rows = [], []
    for unit, site in pairs:
        names = {"B01": "debris", "B02": "mitotic"}.get(unit.well, "normal")
        own = _cells(unit, [names] * 7 + ["normal"] * 5)
        cells.append(own)
        judged = field_row(own, CLASSES, few_nuclei=1.0, limits=LIMITS)
        place = {"unit": unit.id, "plate": target.id, "well": unit.well, "image": site.image.id}
        place |= {"field": 0, "z": "0", "t": 0, "status": "done", "reason": "", "nuclei": 12}
        focus = 0.01 if unit.well == "B03" else 0.1
        rows.append({**place, "focus_DNA": focus, **judged})
    fields = with_hand_metrics(Table.from_rows(rows), ["DNA"])
    every = Table.concat(cells)
    every = every.with_columns(kept=kept_cells(every, fields, LIMITS.artefacts))
    facts = {(target.id, well.name): _facts(well) for well in layout.wells}
    wells = Table.from_rows(well_rows(fields, CLASSES, facts, limits=LIMITS))
    tables = {"cells": every, "fields": fields, "wells": wells}
    record = {
        "schema_version": 1, "run_id": "20261121T063000Z-3fa9c1d2", "key": "k", "task": "apply_qc",
        "package_version": "0.1.0", "params": Params().model_dump(mode="json"), "warnings": [],
        "survey": survey.model_dump(mode="json"), "model": {"name": "m"},
        "card": {"labels": {"counts": {}}},
        "classes": list(CLASSES), "thresholds": LIMITS.model_dump(mode="json"),
        "plate": plate_record(layout, tables, LIMITS, nuclear="DNA"),
    }  # fmt: skip
    return store, target, tables, record


def _facts(well):
    return {"treatment": "", "dose": np.nan, "dose_unit": "", "role": well.role or ""}


def _cells(unit, names):
    count = len(names)
    at = np.linspace(10, 80, count)
    return Table(
        {
            "cell": np.array([f"{unit.id}/c{index:05d}" for index in range(count)]),
            "plate": np.full(count, unit.target.id),
            "well": np.full(count, unit.well),
            "y": at,
            "x": at,
            "centre": np.full(count, "nucleus"),
            "class": np.array(names),
            "abnormal": np.where(np.array(names) == "normal", 0.1, 0.9),
        }
    )


def made(judged, **changes):
    store, target, tables, record = judged
    tables = changes.pop("tables", tables)
    content = json.dumps({**record, **changes}, allow_nan=False).encode()
    file = ResultFile("run.json", "application/json", content)
    results = qc_results(store, target, tables, file, no_progress)
    page = next(file.content for file in results.files if file.name == "report.html")
    return results, page.decode()


def test_it_has_the_plates_verdict_what_is_kept_and_where_metrics_differ(judged):
    results, page = made(judged)
    assert "1 of 28 wells failed (4 %)" in page
    assert "324 of 336 cells are kept" in page
    assert "would throw 12 away" in page
    assert "58 % abnormal" in page
    assert "Only the metrics find these odd" in page
    assert "out of focus (DNA)" in page
    assert "Only the model finds these bad" in page
    assert [(tag.object_id, tag.text) for tag in results.tags] == [("small/B01", "QC: fail")]
    on_plate = dict(results.key_values[0].pairs)
    assert (on_plate["verdict"], on_plate["cells kept"]) == ("pass", "324")


def test_a_class_that_is_no_artefact_is_drawn_and_counted_as_good(judged):
    _, page = made(judged)
    assert "7 of 336 cells (2.1 %) look abnormal." in page
    assert "B02 field 1, 7 of 12" not in page
    assert "Field B02 field 1, 0 of 12 cells abnormal" in page
    assert "Field B01 field 1, 7 of 12 cells abnormal" in page


def test_effects_of_places_are_marked_told_and_noted(judged):
    *_, record = judged
    effect = {
        "measure": "abnormal cells", "check": "edge", "effect": 0.5, "change": 0.1, "p": 0.01,
        "wells": 28, "text": "Wells at the edge have more abnormal cells.", "place": None,
    }  # fmt: skip
    plate = {**record["plate"], "positions": {"effects": [effect], "notes": ["A note."]}}
    results, page = made(judged, plate=plate)
    plain, _ = made(judged)
    assert effect["text"] in page
    assert "A note." in page
    assert dict(results.key_values[0].pairs)["position effects"] == effect["text"]
    pictures = [
        next(file.content for file in each.files if file.name == "heatmap.png")
        for each in (results, plain)
    ]
    assert pictures[0] != pictures[1]


def test_tables_of_older_releases_are_reported_as_far_as_they_go(judged):
    _, _, tables, record = judged
    old = {
        name: Table(
            {
                column: values
                for column, values in table.columns.items()
                if column not in NEW and not column.startswith("z_")
            }
        )
        for name, table in tables.items()
    }
    params = {**record["params"], "warn": 0.2, "fail": 0.5}
    del params["assay"], params["artefacts"]
    results, page = made(judged, tables=old, params=params, thresholds=None, plate=None)
    assert "14 of 336 cells (4.2 %)" not in page  # the wells' own fractions count
    assert "This plate" not in page
    assert "are kept" not in page
    assert 'id="metrics"' not in page
    assert "verdict" not in dict(results.key_values[0].pairs)


def test_images_that_are_no_plate_have_a_report_without_wells(judged):
    _, _, tables, _ = judged
    only = {name: tables[name] for name in ("cells", "fields")}
    results, page = made(judged, tables=only, plate=None)
    assert "are kept" in page
    assert results.key_values == ()
