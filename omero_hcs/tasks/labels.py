"""What users labelled, as the tasks need it: one table over all targets, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from omero_hcs.errors import InputErrors, LabelError
from omero_hcs.model import ObjectRef, Site
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.stores.base import LabelSource, PlateStore
from omero_hcs.tasks.base import sites_by_image


def labels_of(store: PlateStore, targets: Sequence[ObjectRef], path: str | None) -> Table:
    """Read every label of the targets, from a file or from the store's own place.

    Raises
    ------
    LabelError
        If there are none, or they cannot be read.
    """
    source = LabelSource(kind="file", path=path)
    return Table.concat([store.labels(target, source=source) for target in targets])


def labels_digest(store: PlateStore, targets: Sequence[ObjectRef], path: str | None) -> str:
    """Find the sha256 (hex) of the labels: other labels, another run."""
    table = labels_of(store, targets, path)
    text = Table({name: table[name] for name in LABEL_COLUMNS}).to_csv()
    return hashlib.sha256(text.encode()).hexdigest()


def check_labels(store: PlateStore, targets: Sequence[ObjectRef], labels: Table) -> None:
    """Check that every label lies on an image of the targets, and that no two contradict.

    Raises
    ------
    InputErrors
        Naming each label that lies on no image or outside it, and each place with two labels.
    """
    sites = list(sites_by_image(store, targets).values())
    faults = [fault for row in labels.rows() if (fault := _misplaced(row, sites))]
    faults += _conflicts(labels)
    if faults:
        more = [f"... and {len(faults) - 20} more."] if len(faults) > 20 else []
        raise InputErrors(faults[:20] + more)


def _misplaced(row: dict[str, object], sites: Sequence[Site]) -> str | None:
    where = f"Label {row['label']!r} at y={row['y']}, x={row['x']}"
    place = row["image"] or f"{row['well']} field {row['field']}"
    own = [
        site
        for site in sites
        if (row["image"] and site.image.id == row["image"])
        or (
            not row["image"]
            and site.well
            and site.well.name == row["well"]
            and site.field == row["field"]
        )
    ]
    if not own:
        return f"{where} is on {place}, which is not among the {len(sites)} images."
    y, x = float(str(row["y"])), float(str(row["x"]))
    if not any(0 <= y < site.image.size_y and 0 <= x < site.image.size_x for site in own):
        size = own[0].image
        return f"{where} lies outside {place}, which is {size.size_y} x {size.size_x} px."
    return None


def _conflicts(labels: Table) -> list[str]:
    """One place, two labels: say who gave which."""
    seen: dict[tuple[object, ...], dict[str, object]] = {}
    faults = []
    for row in labels.rows():
        place = tuple(row[name] for name in ("plate", "well", "field", "image", "z", "t", "y", "x"))
        other = seen.setdefault(place, row)
        if other["label"] != row["label"]:
            faults.append(
                f"The cell at y={row['y']}, x={row['x']} on {row['image'] or row['well']} has two "
                f"labels: {other['label']!r} (by {other['user'] or 'unknown'}) and {row['label']!r} "
                f"(by {row['user'] or 'unknown'}). Keep one."
            )
    return faults


def class_order(labels: Table, normal: str) -> tuple[str, ...]:
    """Classes in the order of a model: the normal one first, the others by name.

    Raises
    ------
    LabelError
        If there is one class only, or none of the labels is the normal class.
    """
    names = sorted(set(labels["label"].tolist()))
    if normal not in names:
        msg = (
            f"No label is {normal!r}, the class of good cells. Labels are: {', '.join(names)}. "
            f"Label some good cells {normal!r}, or pass --normal-class with your name for them."
        )
        raise LabelError(msg)
    if len(names) < 2:
        msg = f"All {len(labels)} labels are {normal!r}. Label some bad cells too."
        raise LabelError(msg)
    return (normal, *(name for name in names if name != normal))


def count_by_class(labels: Table) -> dict[str, int]:
    """How many labels each class has."""
    names, counts = np.unique(labels["label"], return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def default_labels_file(path: str | None) -> str | None:
    """Give a label file by its absolute path, so that the same file is the same run."""
    return str(Path(path).resolve()) if path else None
