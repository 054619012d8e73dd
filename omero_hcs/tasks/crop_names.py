"""What is known of the crops of a folder: from a table beside them, or from folders and names."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omero_hcs.errors import InputError, InputErrors, LabelError
from omero_hcs.model import parse_well, well_name
from omero_hcs.stores.base import LabelSource
from omero_hcs.stores.imagefile import list_images
from omero_hcs.stores.ome_zarr.pattern import read_pattern
from omero_hcs.tasks.labels import class_names
from omero_hcs.tasks.qc_choices import SourceParams

TABLES = ("crops.csv", "cells.csv")
"""Tables of the crops in a folder, the first that is there; the latter is what `crop` writes."""

PLACES = ("plate", "well", "field", "y", "x", "user", "time")
"""What a table may know of a crop."""

_FORMS = {
    "plate": r"[^/]+?",
    "well": r"[A-Za-z]{1,2}\d{1,2}",
    "field": r"[^/]+?",
    "cell": r"[^/]+?",
}


@dataclass(frozen=True)
class CropFile:
    """One labelled crop: its file, and what is known of its place, of `PLACES`."""

    path: Path
    name: str
    label: str
    known: Mapping[str, str]


def is_crop_folder(path: Path, params: SourceParams) -> bool:
    """Whether a folder holds labelled crops, not whole fields of view."""
    if not path.is_dir() or any((path / name).exists() for name in ("zarr.json", ".zattrs")):
        return False
    if _table(path, params) is not None:
        return True
    return not list_images(path) and any(list_images(folder) for folder in _folders(path))


def crop_files(folder: Path, params: SourceParams) -> tuple[list[CropFile], list[str]]:
    """List the labelled crops of a folder, and all that is wrong with names and labels.

    Parameters
    ----------
    folder : Path
        With a table of the crops, or with a subfolder a class.
    params : SourceParams
        What the classes are called, and how the files are.

    Raises
    ------
    InputError
        If the names of classes, the pattern or the table cannot be understood.
    """
    source = LabelSource(prefix=params.label_prefix, names=class_names(params.classes))
    table = _table(folder, params)
    listed = _from_table(folder, table) if table else _from_folders(folder)
    named = [replace(file, label=source.label_of(file.label) or "") for file in listed]
    found, faults = _distinct([file for file in named if file.label])
    faults += _missing(found, folder)
    if params.pattern is not None:
        found, more = _placed(found, params.pattern)
        faults += more
    known, more = _with_wells(found)
    return known, faults + more


def _table(folder: Path, params: SourceParams) -> Path | None:
    """Find the table of the crops: that which --labels names, or one in the folder."""
    given = [Path(params.labels)] if params.labels and params.in_file else []
    for path in (*given, *(folder / name for name in TABLES)):
        if path.is_file() and {"file", "label"} <= set(_header(path)):
            return path
    return None


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return next(csv.reader(file), [])


def _from_table(folder: Path, path: Path) -> list[CropFile]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [
                {key: (value or "").strip() for key, value in row.items() if key}
                for row in csv.DictReader(file)
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{path} cannot be read: {error}. Save it again as CSV in UTF-8."
        raise LabelError(msg) from error
    return [
        CropFile(
            path=folder / row["file"],
            name=row["file"],
            label=row["label"],
            known={name: row[name] for name in PLACES if row.get(name)},
        )
        for row in rows
    ]


def _from_folders(folder: Path) -> list[CropFile]:
    return [
        CropFile(path, f"{own.name}/{path.name}", own.name, {})
        for own in _folders(folder)
        for path in list_images(own)
    ]


def _folders(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def _distinct(files: Sequence[CropFile]) -> tuple[list[CropFile], list[str]]:
    """Take every file once; one with two labels is a fault."""
    by_name: dict[str, list[CropFile]] = {}
    for file in files:
        by_name.setdefault(file.name, []).append(file)
    faults = []
    for name, same in by_name.items():
        labels = sorted({file.label for file in same})
        if len(labels) > 1:
            faults.append(f"{name} has several labels: {', '.join(labels)}. Keep one of them.")
    return [same[0] for same in by_name.values()], faults


def _missing(files: Sequence[CropFile], folder: Path) -> list[str]:
    root = folder.resolve()
    return [
        f"{file.name} is in the table of crops, and not in the folder {folder}."
        for file in files
        if not (file.path.resolve().is_relative_to(root) and file.path.is_file())
    ]


def _placed(files: Sequence[CropFile], pattern: str) -> tuple[list[CropFile], list[str]]:
    """Read places from file names, with or without what stands after the first dot."""
    names, expression, faults = read_pattern(pattern, _FORMS)
    if not names & {"plate", "well", "field"}:
        faults.append(f"Pattern {pattern!r} tells no place. Put in {{well}}, {{field}} or both.")
    if faults:
        raise InputErrors(faults)
    placed, others = [], []
    for file in files:
        whole = file.path.name
        match = expression.fullmatch(whole) or expression.fullmatch(whole.partition(".")[0])
        if match is None:
            others.append(file.name)
        found = match.groupdict() if match else {}
        placed.append(replace(file, known={**file.known, **found}))
    if others:
        faults.append(
            f"{len(others)} of {len(files)} files are not named like {pattern!r}, such as "
            f"{', '.join(others[:3])}. Pass --pattern as they are named."
        )
    return placed, faults


def _with_wells(files: Sequence[CropFile]) -> tuple[list[CropFile], list[str]]:
    """Bring the names of wells to one form, "B03"."""
    found, faults = [], []
    for file in files:
        try:
            own = (
                {"well": well_name(*parse_well(file.known["well"]))} if "well" in file.known else {}
            )
            found.append(replace(file, known={**file.known, **own}))
        except InputError as error:
            faults.append(f"{file.name}: {error}")
    return found, faults
