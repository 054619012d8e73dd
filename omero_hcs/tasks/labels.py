"""What users labelled, as the tasks need it: one table over all targets, and its digest."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from omero_hcs.errors import InputErrors, LabelError
from omero_hcs.model import ObjectRef, Site
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.stores.base import LabelSource, PlateStore
from omero_hcs.tasks.base import sites_by_image

MIN_LABELS = 5
"""Labels that each class must have: as many as there are neighbours to ask, or folds to test in."""


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
    faults = _placeless(labels, sites)
    faults += [fault for row in labels.rows() if (fault := _outside(row, sites))]
    faults += _conflicts(labels)
    if faults:
        more = [f"... and {len(faults) - 20} more."] if len(faults) > 20 else []
        raise InputErrors(faults[:20] + more)


def _placeless(labels: Table, sites: Sequence[Site]) -> list[str]:
    """One fault a place that is not there, with how many labels are on it."""
    counts = Counter(_place(row) for row in labels.rows() if not _own(row, sites))
    there = f"They go from {_site(sites[0])} to {_site(sites[-1])}" if sites else "There are none"
    return [
        f"{count} label(s) are on {place}, which is not among the {len(sites)} images. "
        f"{there} (label files count fields from 0)."
        for place, count in counts.items()
    ]


def _place(row: dict[str, object]) -> str:
    return f"image {row['image']}" if row["image"] else f"well {row['well']}, field {row['field']}"


def _site(site: Site) -> str:
    return f"well {site.well.name}, field {site.field}" if site.well else f"image {site.image.id}"


def _own(row: dict[str, object], sites: Sequence[Site]) -> list[Site]:
    """Find the images that a label may be on: by image id, else by well and field."""
    if row["image"]:
        return [site for site in sites if site.image.id == row["image"]]
    return [
        site
        for site in sites
        if site.well and site.well.name == row["well"] and site.field == row["field"]
    ]


def _outside(row: dict[str, object], sites: Sequence[Site]) -> str | None:
    own = _own(row, sites)
    y, x = float(str(row["y"])), float(str(row["x"]))
    if not own or any(0 <= y < site.image.size_y and 0 <= x < site.image.size_x for site in own):
        return None
    size = own[0].image
    return (
        f"Label {row['label']!r} at y={y:g}, x={x:g} lies outside {_place(row)}, "
        f"which is {size.size_y} x {size.size_x} px."
    )


def _conflicts(labels: Table) -> list[str]:
    """One place, two labels: say who gave which."""
    seen: dict[tuple[object, ...], dict[str, object]] = {}
    faults = []
    for row in labels.rows():
        place = tuple(row[name] for name in ("plate", "well", "field", "image", "z", "t", "y", "x"))
        other = seen.setdefault(place, row)
        if other["label"] != row["label"]:
            names = [f"{each['label']!r} (by {each['user'] or 'unknown'})" for each in (other, row)]
            faults.append(
                f"The cell at y={row['y']:g}, x={row['x']:g} on {_place(row)} has two labels: "
                f"{' and '.join(names)}. Keep one."
            )
    return faults


def class_order(labels: Table, normal: str) -> tuple[str, ...]:
    """Classes in the order of a model: the normal one first, the others by name.

    Raises
    ------
    LabelError
        If there is one class only, none of the labels is the normal class, or a class has too few.
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
    counts = count_by_class(labels)
    rare = [f"{name!r} has {counts[name]}" for name in names if counts[name] < MIN_LABELS]
    if rare:
        msg = (
            f"Every class needs at least {MIN_LABELS} labels, and a few dozen make a model useful; "
            f"{', '.join(rare)}. Label more cells."
        )
        raise LabelError(msg)
    return (normal, *(name for name in names if name != normal))


def count_by_class(labels: Table) -> dict[str, int]:
    """How many labels each class has."""
    names, counts = np.unique(labels["label"], return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def default_labels_file(path: str | None) -> str | None:
    """Give a label file by its absolute path, so that the same file is the same run."""
    return str(Path(path).resolve()) if path else None
