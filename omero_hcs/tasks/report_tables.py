"""The tables of a quality run as its report shows them: what a person reads."""

from __future__ import annotations

from collections.abc import Sequence

from omero_hcs.results import Table


def well_columns(wells: Table) -> Table:
    """Columns of the wells' table that a person reads, the verdict first; the file has all."""
    rare = [name for name in ("fields_failed", "fields_without_nuclei") if wells[name].any()]
    counts = [name for name in wells.columns if name.startswith("n_")]
    first = ("well", "verdict", "why", "abnormal_fraction", "cells", "cells_kept")
    facts = ("treatment", "dose", "dose_unit", "role")
    shown = (*first, *facts, "fields", "fields_kept", *rare, *counts)
    return Table({name: wells[name] for name in shown if name in wells})


def field_columns(fields: Table) -> Table:
    """Columns of the fields' table that a person reads; the file has all."""
    names = (
        "well",
        "image",
        "field",
        "acquisition",
        "verdict",
        "why" if "why" in fields else "finding",
        "hand_finding",
        "cells",
        "cells_kept",
        "abnormal_fraction",
    )
    shown = [name for name in names if name in fields and (fields[name] != "").any()]
    return Table({name: fields[name] for name in shown})


def class_counts(cells: Table, classes: Sequence[str]) -> dict[str, int]:
    """Count cells by class; tiles only where there is nothing else."""
    if not len(cells):
        return dict.fromkeys(classes, 0)
    real = cells.where(cells["centre"] != "tile")
    judged = real if len(real) else cells
    return {name: int((judged["class"] == name).sum()) for name in classes}
