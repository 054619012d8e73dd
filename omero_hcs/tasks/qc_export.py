"""Verdicts for other programs: `omero-hcs qc export`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from omero_hcs.errors import InputError
from omero_hcs.model import ObjectRef
from omero_hcs.results import Table
from omero_hcs.stores.base import PlateStore
from omero_hcs.stores.contents import safe_name, told
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.base import Progress, layout_of, no_progress
from omero_hcs.tasks.export_columns import (
    ENDINGS,
    FILES,
    FORMATS,
    LEVELS,
    Format,
    Level,
    Meanings,
    file_name,
)
from omero_hcs.tasks.export_folder import ExportFolder
from omero_hcs.tasks.export_readme import readme
from omero_hcs.tasks.export_tables import JudgedPlate, export_table, flags_of
from omero_hcs.tasks.quality_runs import quality_runs, run_tables
from omero_hcs.tasks.thresholds import described, thresholds_used

README = "README.txt"


class ExportParams(BaseModel):
    """What is exported, and what is flagged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: tuple[Format, ...] | None = Field(
        default=None,
        description=f"For which programs: {', '.join(FORMATS)}; all of them by default.",
    )
    level: tuple[Level, ...] | None = Field(
        default=None, description=f"Tables of what: {', '.join(LEVELS)}; all of them by default."
    )
    flag: tuple[str, ...] | None = Field(
        default=None,
        description="Classes whose cells are to be left out; by default what the run did not keep."
        " The verdicts of fields and wells stay those of the run.",
    )


@dataclass(frozen=True)
class Exported:
    """The export of one plate or image set.

    Parameters
    ----------
    name, run_id : str
        What was exported.
    counts : mapping of str to mapping
        How many `cells`, `fields` and `wells` there are (`all`), and to be left out (`flagged`).
    rows : mapping of str to int
        Rows of each table, by the names of the files.
    places : tuple of str
        The files.
    notes : tuple of str
        What to know before relying on it.
    """

    name: str
    run_id: str
    counts: Mapping[str, Mapping[str, int]]
    rows: Mapping[str, int]
    places: tuple[str, ...]
    notes: tuple[str, ...] = ()


def export_verdicts(
    where: str | Path,
    params: ExportParams,
    *,
    run_id: str | None = None,
    output: str | Path | None = None,
    progress: Progress = no_progress,
) -> tuple[Exported, ...]:
    """Write who is to be left out, and why, for CellProfiler, pycytominer and pandas.

    Parameters
    ----------
    where : str or Path
        The plates or image folder.
    params : ExportParams
        What is exported.
    run_id : str, optional
        The quality run; the latest one of each plate by default.
    output : str or Path, optional
        Folder for the files, by default `qc-export-<run id>`; of several plates each has a folder
        in it. An earlier export there is replaced.
    progress : callable
        Told after every plate.

    Raises
    ------
    RunNotFoundError
        If there is no finished quality run.
    InputError
        If a class is not one of the model, or the folder has files that no export wrote.
    WriteError
        If the files cannot be written; nothing half-written is left.
    """
    with contextlib.closing(open_store(where)) as store:
        found = quality_runs(store, run_id, str(where))
        newest = max(str(run["run_id"]) for run in found.values())
        root = Path(output) if output is not None else Path(f"qc-export-{newest}")
        exported = []
        for number, (target, run) in enumerate(found.items(), 1):
            folder = root
            if len(found) > 1:
                folder /= safe_name(f"{layout_of(store, target).name} {target.id}")
            exported.append(_export(store, target, str(run["run_id"]), params, folder))
            progress("exporting", number, len(found))
    return tuple(exported)


def _export(
    store: PlateStore, target: ObjectRef, run_id: str, params: ExportParams, place: Path
) -> Exported:
    folder = ExportFolder(place)
    tables, content = run_tables(store, target, run_id)
    record = json.loads(content)
    plate = _judged(store, target, tables, record, params)
    counts, about = _counts(plate), _about(plate, record)
    notes = tuple(_notes(plate, params, record))
    rows: dict[str, int] = {}
    files: dict[str, tuple[int, Sequence[str], Meanings]] = {}
    with folder as staged:
        for form, name, table, meanings in _tables(plate, params):
            _write(staged, name, table, ENDINGS[form])
            rows[name] = len(table)
            files[file_name(form, name)] = (len(table), tuple(table.columns), meanings)
        with told(staged / README):
            (staged / README).write_bytes(readme(about, notes, files).encode())
        places = folder.keep(about, rows)
    return Exported(plate.name, run_id, counts, rows, places, notes)


def _judged(
    store: PlateStore,
    target: ObjectRef,
    tables: Mapping[str, Table],
    record: Mapping[str, Any],
    params: ExportParams,
) -> JudgedPlate:
    layout = layout_of(store, target)
    classes = tuple(record["classes"])
    unknown = [name for name in params.flag or () if name not in classes]
    if unknown:
        msg = (
            f"The model of run {record['run_id']} has no class {', '.join(map(repr, unknown))}. "
            f"It has: {', '.join(classes)}. Pass --flag with some of these."
        )
        raise InputError(msg)
    return JudgedPlate(
        name=layout.name,
        classes=classes,
        artefacts=thresholds_used(record).artefacts or classes[1:],
        cells=tables["cells"],
        fields=tables["fields"],
        wells=tables.get("wells"),
        image_names={site.image.id: site.image.name for site in layout.sites()},
        flagged=params.flag or (),
    )


def _tables(
    plate: JudgedPlate, params: ExportParams
) -> Iterator[tuple[Format, str, Table, Meanings]]:
    levels = params.level or LEVELS
    for (form, level), (name, meanings) in FILES.items():
        there = level != "wells" or plate.wells is not None
        if form in (params.format or FORMATS) and level in levels and there:
            yield form, name, export_table(plate, form, level), meanings


def _write(folder: Path, name: str, table: Table, endings: Sequence[str]) -> None:
    place = folder / name
    need = sum(column.nbytes for column in table.columns.values())
    with told(place, need):
        place.parent.mkdir(exist_ok=True)
        # Bytes, for text would have other ends of lines on other systems.
        place.with_suffix(".csv").write_bytes(_flat(table).to_csv().encode())
        if ".parquet" in endings:
            table.to_parquet(place.with_suffix(".parquet"))


def _flat(table: Table) -> Table:
    """Leave out columns of lists, which a CSV file has no place for."""
    return Table({name: column for name, column in table.columns.items() if column.ndim == 1})


def _counts(plate: JudgedPlate) -> dict[str, dict[str, int]]:
    flags = {"cells": plate.flags[plate.single], "fields": flags_of(plate.fields)}
    if plate.wells is not None:
        flags["wells"] = flags_of(plate.wells)
    return {level: {"all": len(own), "flagged": int(own.sum())} for level, own in flags.items()}


def _about(plate: JudgedPlate, record: Mapping[str, Any]) -> dict[str, Any]:
    """Say of what the export is: lines of the README and of `export.json`."""
    model, limits = record["model"] or {}, thresholds_used(record)
    return {
        "plate": plate.name,
        "run": record["run_id"],
        "model": f"{model.get('name', '')} (sha256 {str(model.get('sha256', ''))[:12]})",
        "classes": ", ".join(plate.classes),
        "thresholds": described(limits, assay=record["params"].get("assay")),
        "verdict": _worded(record.get("plate") or {}),
        "flagged cells": ", ".join(plate.flagged) or "what the run did not keep",
        **{
            level: f"{own['all']}, {own['flagged']} of them flagged"
            for level, own in _counts(plate).items()
        },
        "omero-hcs": record["package_version"],
    }


def _worded(verdict: Mapping[str, Any]) -> str:
    words = (str(verdict.get(name, "")) for name in ("verdict", "why"))
    return ": ".join(filter(None, words)) or "none of the plate as a whole"


def _notes(plate: JudgedPlate, params: ExportParams, record: Mapping[str, Any]) -> Iterator[str]:
    tiles = int((~plate.single).sum())
    if tiles:
        yield (
            f"{tiles} tiles of fields with next to no nuclei were judged, too. They are no cells, "
            "and in pandas/cells alone."
        )
    if plate.wells is None and "wells" in (params.level or LEVELS):
        yield "These images are of no plate, so there are no tables of wells."
    yield from record["warnings"]
