"""Folders of labelled crops, the layout of many published sets: a subfolder a class, or a table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import InputErrors, LabelError
from omero_hcs.imaging.normalize import normalize
from omero_hcs.results import Table
from omero_hcs.tasks.base import Progress, no_progress
from omero_hcs.tasks.crop_names import CropFile, crop_files
from omero_hcs.tasks.crop_pixels import (
    chosen_channels,
    crop_shapes,
    intensities_of,
    mixed_shapes,
    read_pixels,
)
from omero_hcs.tasks.labelled import Labelled
from omero_hcs.tasks.labels import class_order
from omero_hcs.tasks.qc_choices import SourceParams

_SHOWN = 20
_AT_ONCE = 256


def labelled_of_folder(
    folder: Path, params: SourceParams, progress: Progress = no_progress
) -> Labelled:
    """Read the labelled crops of a folder.

    Parameters
    ----------
    folder : Path
        With a table of the crops ("crops.csv": file, label, and plate, well, field where they are
        known), or with a subfolder a class. Crops are TIFF, PNG or JPEG files, square, alike in
        size, channels and depth. Pages of a TIFF are channels.
    params : SourceParams
        What the classes are called, which channels are taken, how files are named.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    InputErrors
        With every fault of the files.
    LabelError
        If there is one class only, or a class has too few crops.
    """
    files, faults = crop_files(folder, params)
    shapes, more = crop_shapes(files)
    faults += more + mixed_shapes(shapes)
    classes, more = _classes(files, params)
    faults += more
    if faults:
        left = len(faults) - _SHOWN
        raise InputErrors([*faults[:_SHOWN], *([f"... and {left} more."] if left > 0 else [])])
    shape = next(iter(shapes))
    chosen = chosen_channels(shape.channels, params.channels, folder)
    raw = read_pixels(files, shape, chosen, progress)
    names = tuple(shape.channels[index] for index in chosen)
    warnings = _warnings(raw, files)
    normal = np.array([file.label == params.normal_class for file in files])
    intensities = intensities_of(raw, names, normal)
    crops = np.empty(raw.shape, dtype=np.float32)
    for start in range(0, len(raw), _AT_ONCE):
        some = raw[start : start + _AT_ONCE]
        crops[start : start + len(some)] = normalize(some, intensities, headroom=True)
    return Labelled(
        name=folder.resolve().name,
        crops=crops,
        table=_table(files, folder.resolve().name),
        classes=classes,
        channels=names,
        warnings=warnings,
        normalization=intensities,
    )


def _classes(files: Sequence[CropFile], params: SourceParams) -> tuple[tuple[str, ...], list[str]]:
    if not files:
        return (), ["There is no labelled crop. Put crops into a folder a class, or into a table."]
    own = np.zeros(len(files))  # each label is of its own crop, not of a whole field
    placed = Table({"label": np.array([file.label for file in files]), "y": own, "x": own})
    try:
        return class_order(placed, params.normal_class), []
    except LabelError as error:
        return (), [str(error)]


def _warnings(raw: NDArray[Any], files: Sequence[CropFile]) -> tuple[str, ...]:
    """Tell of crops that show nothing, or show the same.

    Raises
    ------
    InputErrors
        If not one crop shows anything, or one picture has two labels.
    """
    flat = raw.reshape(len(raw), -1)
    told = []
    if raw.dtype.kind == "f":
        bad = int((~np.isfinite(flat)).any(axis=1).sum())
        if bad:
            told.append(f"{bad} crops have pixels that are no numbers (NaN): those count as black.")
    blank = (flat == flat[:, :1]).all(axis=1)
    if blank.all():
        raise InputErrors([f"All {len(raw)} crops are of one grey value: there is nothing to see."])
    if blank.any():
        told.append(f"{int(blank.sum())} crops are of one grey value.")
    told += _same(flat, files, blank)
    return tuple(told)


def _same(flat: NDArray[Any], files: Sequence[CropFile], blank: NDArray[np.bool_]) -> list[str]:
    """Find pictures that are there several times; blank ones are all the same."""
    first: dict[bytes, int] = {}
    conflicts, repeated = [], 0
    for row in np.flatnonzero(~blank).tolist():
        one = first.setdefault(hashlib.sha256(flat[row].tobytes()).digest(), row)
        if files[one].label != files[row].label:
            conflicts.append(
                f"{files[one].name} and {files[row].name} are the same picture, labelled "
                f"{files[one].label!r} and {files[row].label!r}. Keep one of them."
            )
        repeated += one != row
    if conflicts:
        raise InputErrors(conflicts[:_SHOWN])
    if not repeated:
        return []
    return [f"{repeated} crops are copies of others: a test on a copy of what was learnt is none."]


def _table(files: Sequence[CropFile], name: str) -> Table:
    """Give the rows of `Labelled.table`; places that are not known are "" and NaN."""
    known = {
        key: np.array([file.known.get(key, "") for file in files], dtype=str)
        for key in ("plate", "well", "field", "user", "time")
    }
    plates = np.where(known["plate"] == "", name, known["plate"])
    groups, units = zip(
        *(_group(plate, file.known) for plate, file in zip(plates.tolist(), files, strict=True)),
        strict=True,
    )
    return Table({
        "label": np.array([file.label for file in files]),
        "plate": plates,
        "well": known["well"],
        "unit": np.array(units),
        "group": np.array(groups),
        "weak": np.zeros(len(files), dtype=bool),
        "y": np.array([_number(file.known.get("y", "")) for file in files]),
        "x": np.array([_number(file.known.get("x", "")) for file in files]),
        "user": known["user"],
        "time": known["time"],
        "image": np.array([file.name for file in files]),
        "link": np.full(len(files), ""),
    })  # fmt: skip


def _group(plate: str, known: Mapping[str, str]) -> tuple[str, str]:
    """Say what a crop may not be parted from, its well or field, and its field; or the plate."""
    well, field = known.get("well", ""), known.get("field", "")
    unit = "/".join(part for part in (plate, well, f"f{field}" if field else "") if part)
    return (f"{plate}/{well}" if well else unit), unit


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
