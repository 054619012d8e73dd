"""What a quality run stored of a small plate whose verdicts are known, without a model."""

from __future__ import annotations

import json

import numpy as np

from omero_hcs.model import Channel, Field, Image, ImageSet, ObjectRef, Plate, Well
from omero_hcs.results import ResultFile, Results, Table
from omero_hcs.stores.memory import MemoryStore

RUN = "20260101T120000Z-0000aaaa"
CLASSES = ("normal", "debris", "out of focus")
CHANNELS = (Channel(0, "DNA"),)

VERDICTS = {("A01", 0): "warn", ("A01", 1): "fail", ("B03", 0): "pass", ("B03", 1): ""}
"""Verdict of each field; the last one could not be read."""

CELLS = (
    ("A01", 0, 10.0, 12.5, "normal"),
    ("A01", 0, 30.0, 31.5, "debris"),
    ("A01", 1, 20.0, 21.5, "normal"),
    ("A01", 1, 25.0, 26.5, "out of focus"),
    ("B03", 0, 40.0, 41.5, "normal"),
)
"""Well, field, y, x and class of each cell."""

FLAGGED = (False, True, True, True, False)
"""Which of them are to be left out: the bad one of a field that only warns, all of a bad field."""


def image(name):
    return Image(f"i{name}", f"{name}.tif", 64, 64, CHANNELS)


def plate():
    wells = [
        Well(row, column, tuple(Field(n, image(f"{name}_{n}")) for n in range(2)))
        for name, row, column in (("A01", 0, 0), ("B03", 1, 2))
    ]
    return Plate("p1", "Plate, 1", 8, 12, tuple(wells))


def cells_table(cells=CELLS, *, tiles=0):
    rows = [
        {
            "cell": f"p1/{well}/f{field}/z0/t0/c{number:05d}", "plate": "p1", "well": well,
            "field": field, "acquisition": "", "image": f"i{well}_{field}", "z": 0, "t": 0,
            "y": y, "x": x, "centre": "nucleus" if number < len(cells) else "tile",
            "class": label, "abnormal": 0.1 if label == "normal" else 0.9,
            **{f"p_{name}": float(name == label) for name in CLASSES},
        }
        for number, (well, field, y, x, label) in enumerate(
            [*cells, *[("A01", 1, 0.0, 0.0, "debris")] * tiles]
        )
    ]  # fmt: skip
    return Table.from_rows(rows)


def fields_table(cells=CELLS):
    rows = []
    for (well, field), verdict in VERDICTS.items():
        own = [label for *place, label in cells if place[:2] == [well, field]]
        rows.append(
            {
                "unit": f"p1/{well}/f{field}/z0/t0", "plate": "p1", "well": well, "field": field,
                "acquisition": "", "image": f"i{well}_{field}", "z": "0", "t": 0,
                "status": "done" if verdict else "failed", "reason": "" if verdict else "torn",
                "focus_DNA": 0.5, "cells": len(own),
                "abnormal_fraction": np.mean([x != "normal" for x in own]) if own else np.nan,
                **{f"n_{name}": own.count(name) for name in CLASSES},
                "verdict": verdict, "finding": "few nuclei" if verdict == "fail" else "",
            }
        )  # fmt: skip
    return Table.from_rows(rows)


def wells_table():
    both = {"plate": "p1", "treatment": "drug", "dose": 1.0, "dose_unit": "uM", "role": ""}
    rows = [
        {**both, "well": well, "fields": 2, "cells": cells, "abnormal_fraction": share,
         "n_normal": normal, "n_debris": 1, "n_out of focus": 1, "verdict": verdict}
        for well, cells, share, normal, verdict in (
            ("A01", 4, 0.5, 2, "fail"), ("B03", 1, 0.0, 1, "pass"),
        )
    ]  # fmt: skip
    return Table.from_rows(rows)


def run_record(**more):
    return {
        "schema_version": 1, "run_id": RUN, "key": "k", "task": "apply_qc",
        "package_version": "0.1.0", "params": {"warn": 0.2, "fail": 0.5}, "survey": None,
        "model": {"name": "m", "path": "/secret/m.safetensors", "sha256": "ab" * 32},
        "warnings": ["The plate is small."], "classes": list(CLASSES),
        "plate": {"verdict": "warn", "why": "1 of 2 wells failed"}, **more,
    }  # fmt: skip


def results(target, *, cells=None, fields=None, wells=True, run_id=RUN, record=None):
    tables = {
        "cells": cells_table() if cells is None else cells,
        "fields": fields_table() if fields is None else fields,
    }
    tables |= {"wells": wells_table()} if wells else {}
    content = json.dumps({**(record or run_record()), "run_id": run_id}).encode()
    files = (ResultFile("run.json", "application/json", content),)
    return Results(run_id, "k", "apply_qc", target, tables=tables, files=files)


def judged_store(name, **given):
    """A plate in memory with its run."""
    store = MemoryStore.create(name, plate(), {})
    store.write(results(ObjectRef(kind="plate", id="p1"), **given))
    return store


def plate_with_pixels(name):
    """The plate, black, and not judged."""
    pixels = np.zeros((1, 1, 1, 64, 64), dtype=np.uint16)
    layout = plate()
    return MemoryStore.create(name, layout, {site.image.id: pixels for site in layout.sites()})


def results_elsewhere(layout):
    """The run as if it had been over this copy of the plate, whose ids are others."""
    images = {f"i{site.well.name}_{site.field}": site.image.id for site in layout.sites()}
    tables = []
    for table in (cells_table(), fields_table()):
        own = [images[image] for image in table["image"].tolist()]
        ids = {"plate": np.full(len(table), layout.id), "image": np.array(own)}
        tables.append(table.with_columns(**ids))
    return results(ObjectRef(kind="plate", id=layout.id), cells=tables[0], fields=tables[1])


def judged_set(name):
    """Two images of no plate, with a run over them."""
    store = MemoryStore.create(name, ImageSet("p1", "set", (image("A01_0"), image("A01_1"))), {})
    of_no_well = [("", 0, *cell[2:]) for cell in CELLS[:2]]
    fields = fields_table().where(np.arange(2)).with_columns(well=np.full(2, ""))
    units = np.array(["p1//f0/z0/t0", "p1//f1/z0/t0"])
    store.write(
        results(
            ObjectRef(kind="images", id="p1"),
            cells=cells_table(of_no_well),
            fields=fields.with_columns(unit=units),
            wells=False,
        )
    )
    return store
