"""Where labels lie: on which image of the targets, inside it or not, and in which plane."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import InputErrors
from omero_hcs.model import ObjectRef, Site
from omero_hcs.results import Table
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import sites_by_image
from omero_hcs.tasks.conflicts import conflict_faults, settle
from omero_hcs.tasks.labels import is_weak

_SHOWN = 20


@dataclass(frozen=True, eq=False)
class Places:
    """The images of the targets, found by what a label says of its place."""

    sites: Mapping[tuple[str, str], Site]
    by_image: Mapping[str, list[Site]]
    by_field: Mapping[tuple[str, int], list[tuple[str, Site]]]

    @classmethod
    def of(cls, store: PlateStore, targets: Iterable[ObjectRef]) -> Places:
        """Look up the layout of every target."""
        sites = sites_by_image(store, targets)
        by_image, by_field = defaultdict(list), defaultdict(list)
        for (target, image), site in sites.items():
            by_image[image].append(site)
            if site.well:
                by_field[site.well.name, site.field].append((target, site))
        return cls(sites, by_image, by_field)

    def own(self, row: Mapping[str, Any]) -> list[Site]:
        """Find the images that a label may be on: by image id, else by well and field."""
        if row["image"]:
            return self.by_image.get(row["image"], [])
        there = self.by_field.get((row["well"], row["field"]), [])
        return [site for target, site in there if row["plate"] in ("", target)]

    def range(self) -> str:
        """Name the first and the last image."""
        sites = list(self.sites.values())
        return (
            f"They go from {_site(sites[0])} to {_site(sites[-1])}" if sites else "There are none"
        )


def check_labels(
    store: PlateStore,
    targets: Sequence[ObjectRef],
    labels: Table,
    *,
    refuse: bool = True,
    planes: bool = False,
) -> None:
    """Check that every label lies on an image of the targets, and what contradicts.

    Parameters
    ----------
    store, targets
        Where the images are.
    labels : Table
        The labels; those without a place are about a whole image.
    refuse : bool
        Whether two classes of one place are a fault.
    planes : bool
        Whether labels are looked at in the plane that they name, which then has to be there.

    Raises
    ------
    InputErrors
        Naming each label that lies on no image or outside it, and each place with two labels.
    """
    faults = label_faults(Places.of(store, targets), labels, refuse=refuse, planes=planes)
    if faults:
        left = len(faults) - _SHOWN
        raise InputErrors(faults[:_SHOWN] + ([f"... and {left} more."] if left > 0 else []))


def label_faults(places: Places, labels: Table, *, refuse: bool, planes: bool) -> list[str]:
    """Find every fault that `check_labels` raises, all of them."""
    weak = is_weak(labels)
    rows = list(labels.rows())
    faults = _placeless(rows, places)
    for row, about_all in zip(rows, weak, strict=True):
        fault = None if about_all else _outside(row, places, planes=planes)
        faults += [fault] if fault else []
    if refuse:
        keys = [place_of(row) for row in rows]
        faults += conflict_faults(
            settle(labels, keys, [point_name(row) for row in rows], rule="refuse").conflicts
        )
    return faults


def place_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Make a key of the very place that a label is at; a NaN would equal no other."""
    names = ("plate", "well", "field", "image", "z", "t")
    point = tuple(None if np.isnan(row[name]) else row[name] for name in ("y", "x"))
    return (*(row[name] for name in names), *point)


def field_name(row: Mapping[str, Any]) -> str:
    """Name the image of a label, for a message."""
    field = f"well {row['well']}, field {row['field']}"
    if not row["image"]:
        return field
    return f"image {row['image']}" + (f" ({field})" if row["well"] else "")


def point_name(row: Mapping[str, Any]) -> str:
    """Name the place of a label, for a message."""
    if np.isnan(row["y"]) and np.isnan(row["x"]):
        return f"{field_name(row)[0].upper()}{field_name(row)[1:]}"
    return f"The cell at y={row['y']:g}, x={row['x']:g} on {field_name(row)}"


class LabelRows:
    """Rows of a label table by the image that they are about, whatever the plane and time point.

    Parameters
    ----------
    labels : Table
        With `results.LABEL_COLUMNS`.
    """

    def __init__(self, labels: Table) -> None:
        self._by_image: dict[str, list[int]] = defaultdict(list)
        self._by_field: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
        names = ("image", "well", "field", "plate")
        columns = (labels[name].tolist() for name in names)
        for row, (image, well, field, plate) in enumerate(zip(*columns, strict=True)):
            if image:
                self._by_image[image].append(row)
            else:
                self._by_field[well, field].append((row, plate))

    def of(self, site: Site, target: str) -> NDArray[np.intp]:
        """Rows about one image of a target, in their order."""
        rows = list(self._by_image.get(site.image.id, ()))
        if site.well:
            there = self._by_field.get((site.well.name, site.field), ())
            rows += [row for row, plate in there if plate in ("", target)]
        return np.array(sorted(rows), dtype=np.intp)


def _placeless(rows: Sequence[Mapping[str, Any]], places: Places) -> list[str]:
    """One fault a place that is not there, with how many labels are on it."""
    counts = Counter(field_name(row) for row in rows if not places.own(row))
    return [
        f"{count} label(s) are on {place}, which is not among the {len(places.sites)} images. "
        f"{places.range()} (label files count fields from 0)."
        for place, count in counts.items()
    ]


def _site(site: Site) -> str:
    return f"well {site.well.name}, field {site.field}" if site.well else f"image {site.image.id}"


def _outside(row: Mapping[str, Any], places: Places, *, planes: bool) -> str | None:
    own = [site.image for site in places.own(row)]
    if not own:
        return None
    y, x, label = row["y"], row["x"], f"Label {row['label']!r}"
    if not any(0 <= y < image.size_y and 0 <= x < image.size_x for image in own):
        return (
            f"{label} at y={y:g}, x={x:g} lies outside {field_name(row)}, "
            f"which is {own[0].size_y} x {own[0].size_x} px."
        )
    z = row["z"] if planes else 0
    if not any(0 <= row["t"] < image.size_t and 0 <= z < image.size_z for image in own):
        return (
            f"{label} at y={y:g}, x={x:g} of {field_name(row)} is in plane z={row['z']}, "
            f"t={row['t']}; the image has {own[0].size_z} plane(s) and {own[0].size_t} time "
            "point(s), counted from 0."
        )
    return None
