"""What an embedding run leaves: a table of features, and profiles of wells."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.jobs.parts import Parts
from omero_hcs.model import ObjectRef, Plate, RunSpec
from omero_hcs.results import ResultFile, Results, Table
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import layout_of
from omero_hcs.tasks.embed_cells import FEATURES
from omero_hcs.tasks.outcome import JoinedParts, of_target

EMBEDDINGS = "embeddings"
"""Table of a run's cells with their features."""

PROFILES_FILE = "profiles.csv.gz"

Features = NDArray[np.float32]


def embedding_results(
    store: PlateStore,
    spec: RunSpec,
    target: ObjectRef,
    joined: JoinedParts,
    parts: Parts,
    record: ResultFile,
) -> Results:
    """Put together what the store keeps of one plate or image set.

    Parameters
    ----------
    store : PlateStore
        Where the plate is.
    spec : RunSpec
        The run.
    target : ObjectRef
        The plate or image set.
    joined : JoinedParts
        Cells without their features, and fields, of all targets.
    parts : Parts
        Where the features are.
    record : ResultFile
        The run's `run.json`.
    """
    cells = of_target(joined.cells, target)
    files = [record]
    if len(cells):
        features = gather_features(spec, parts, target, rows=len(cells))
        cells = cells.with_columns(**{FEATURES: features})
        layout = layout_of(store, target)
        if spec.params["profiles"] and isinstance(layout, Plate):
            content = gzip.compress(well_profiles(layout, cells).encode(), mtime=0)
            files.append(ResultFile(PROFILES_FILE, "application/gzip", content))
    return Results(
        run_id=spec.run_id,
        key=spec.key,
        task=spec.task,
        target=target,
        tables={EMBEDDINGS: cells, "fields": of_target(joined.fields, target)},
        files=tuple(files),
    )


def gather_features(spec: RunSpec, parts: Parts, target: ObjectRef, *, rows: int) -> Features:
    """Bring the features of a target's cells together, in the order of its fields.

    They are on disk, in a file without a name in the run's folder, and go with the array: those of
    a whole plate may be larger than the memory.

    Returns
    -------
    array, shape (rows, dim), float32
    """
    dim = spec.context["encoder"]["features"]
    with tempfile.TemporaryFile(dir=spec.work_dir) as file:
        made: Features = np.memmap(file, dtype=np.float32, mode="w+", shape=(rows, dim))
    at = 0
    for unit, part in zip(parts.units, parts, strict=True):
        if unit.target == target and len(part.cells):
            made[at : at + len(part.cells)] = part.cells[FEATURES]
            at += len(part.cells)
    return made


def well_profiles(plate: Plate, cells: Table) -> str:
    """Take the median of each feature over the cells of a well, as CSV text.

    Columns are named as programs for image-based profiles (pycytominer) expect them: what is known
    of a well begins with ``Metadata_``, features are ``emb_0000`` and so on. There is a row for
    each well, acquisition and time point; tiles are no cells.

    Parameters
    ----------
    plate : Plate
        The plate.
    cells : Table
        Its cells with their features.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    features = cells[FEATURES]
    writer.writerow([*_METADATA, *(f"emb_{number:04d}" for number in range(features.shape[1]))])
    for facts, rows in _groups(plate, cells):
        median = np.median(features[rows], axis=0)
        writer.writerow([*facts, *(f"{value:.7g}" for value in median.tolist())])
    return text.getvalue()


_METADATA = (
    "Metadata_Plate", "Metadata_Well", "Metadata_Acquisition", "Metadata_Timepoint",
    "Metadata_Treatment", "Metadata_Dose", "Metadata_Dose_Unit", "Metadata_Role",
    "Metadata_Object_Count",
)  # fmt: skip


def _groups(plate: Plate, cells: Table) -> Iterator[tuple[Sequence[Any], NDArray[np.intp]]]:
    """Tell what is known of each group of cells, and its rows, well by well."""
    real = np.flatnonzero(cells["centre"] != "tile")
    columns = [cells[name][real].tolist() for name in ("well", "acquisition", "t")]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, *place in zip(real.tolist(), *columns, strict=True):
        groups.setdefault(tuple(place), []).append(row)
    acquisitions = {item.id: item.name for item in plate.acquisitions}
    for well in plate.wells:
        dose = "" if well.dose is None else well.dose
        about = (well.treatment or "", dose, well.dose_unit or "", well.role or "")
        for key in sorted(key for key in groups if key[0] == well.name):
            rows = np.array(groups[key], dtype=np.intp)
            run = acquisitions.get(key[1], key[1])
            yield (plate.name, well.name, run, key[2], *about, len(rows)), rows
