"""ROIs of a run: made in batches, known again by their marks.

A ROI of ours holds one shape. Its name is ``omero-hcs/run/<run id>``, its description the unit and
the mark of what we drew, so that one that shows something else was changed by a user.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from omero.gateway import BlitzGateway  # noqa: F401  (first: loads omero.model in order)
from omero.model import PointI, PolygonI, RectangleI, RoiI
from omero.rtypes import rdouble, rint, rstring, unwrap

from omero_hcs.results import Roi
from omero_hcs.stores.omero.changes import load_all, project_all, save, unloaded
from omero_hcs.stores.omero.record import Made, Seen, WriteContext, place_of, roi_name
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.shapes import (
    ShapeFacts,
    is_untouched,
    mark_line,
    roi_mark,
    written_mark,
)

RoiKey = tuple[str, str]
"""Image id, and mark."""

SHOWN_AT_ONCE = 500
"""ROIs of an image that OMERO's viewer lists on one page; it becomes slow with thousands."""

_DECIMALS = 3
_OPAQUE = 255
_CLEAR = 1
"""Filling as good as none; of alpha 0, OMERO.web's own viewer takes it for black."""
_UNIT = "unit="

_COLOURS = (
    "E6194B", "3CB44B", "FFE119", "4363D8", "F58231", "42D4F4", "F032E6", "BFEF45",
    "FABED4", "469990", "DCBEFF", "FFFAC8",
)  # fmt: skip
"""Colours that differ on black and on grey, for people who see colours differently as well."""

_POINTS = MappingProxyType({"rectangle": (2, 2), "polygon": (3, math.inf), "point": (1, 1)})


def roi_fault(roi: Roi) -> str | None:
    """Say why a ROI cannot be drawn, or None."""
    least, most = _POINTS[roi.kind]
    if not least <= len(roi.points) <= most:
        return f"A {roi.kind} on image {roi.image} has {len(roi.points)} points."
    if not all(math.isfinite(value) for point in roi.points for value in point):
        return f"A {roi.kind} on image {roi.image} has a corner that is no number: {roi.points}."
    return None


def wanted_rois(rois: Iterable[Roi]) -> dict[RoiKey, Roi]:
    """ROIs by (image id, mark); equal ones are one."""
    return {(roi.image, roi_mark([_facts(roi)])): roi for roi in rois}


def save_rois(context: WriteContext, wanted: Mapping[RoiKey, Roi]) -> list[Made]:
    """Draw ROIs on their images."""
    # Ice sends an object once, however often a call refers to it.
    images = {name: unloaded("Image", int(name)) for name, _ in wanted}
    name, unit = rstring(roi_name(context.run_id)), f"{_UNIT}{context.unit or ''}"
    objects = []
    for (image, mark), wish in wanted.items():
        roi = RoiI()
        roi.setImage(images[image])
        roi.setName(name)
        roi.setDescription(rstring(f"{unit}\n{mark_line(mark)}"))
        roi.addShape(_shape(wish))
        objects.append(roi)
    ids = save(context.session, context.group, objects)
    return [
        Made("roi", "Roi", number, mark, image)
        for number, (image, mark) in zip(ids, wanted, strict=True)
    ]


def look_at_rois(session: Session, made: Sequence[Made]) -> list[Seen]:
    """Find out which ROIs are as they were made.

    Most were never saved again, which two events tell; only the others are read whole.
    """
    hql = (
        "select r.id, s.id, r.details.creationEvent.id, s.details.updateEvent.id, s.textValue "
        "from Roi r left outer join r.shapes s where r.id in (:ids)"
    )
    same: dict[int, bool] = {}
    texts: dict[int, str] = {}
    for number, _, created, updated, text in project_all(session, hql, [one.id for one in made]):
        same[number] = number not in same and created == updated
        texts[number] = text or ""
    doubtful = [number for number, is_same in same.items() if not is_same]
    same |= _compared(session, doubtful)
    return [
        Seen(
            one,
            "gone" if one.id not in same else "ours" if same[one.id] else "theirs",
            f"{place_of(session, 'image', int(one.name))} ROI {one.id} ({texts.get(one.id, '')})",
        )
        for one in made
    ]


def unlisted_rois(
    session: Session, run_id: str, images: Iterable[int], unit: str | None
) -> list[Made]:
    """Find the ROIs of a unit on some images, as their own names tell."""
    hql = (
        "select r.id, r.image.id, r.description from Roi r "
        "where r.name = :name and r.image.id in (:ids)"
    )
    found = []
    for number, image, text in project_all(session, hql, images, name=roi_name(run_id)):
        if (text or "").partition("\n")[0] == f"{_UNIT}{unit or ''}":
            found.append(Made("roi", "Roi", number, written_mark(text) or "", str(image)))
    return found


@cache
def color_of(text: str) -> int:
    """Colour of a class, the same in every run, as OMERO keeps it: RGBA in a signed integer."""
    word = text.strip().lower()
    choice = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") % len(_COLOURS)
    value = int(_COLOURS[choice], 16) << 8 | _OPAQUE
    return value - (1 << 32) if value >= 1 << 31 else value


def _compared(session: Session, ids: Sequence[int]) -> dict[int, bool]:
    hql = (
        "select distinct r from Roi r left outer join fetch r.shapes s "
        "left outer join fetch s.transform where r.id in (:ids)"
    )
    return {unwrap(roi.id): is_untouched(roi) for roi in load_all(session, hql, ids)}


def _facts(roi: Roi) -> ShapeFacts:
    """Foresee the facts of the shape that `_shape` makes."""
    kind = roi.kind.capitalize()
    return ShapeFacts(kind, _text(roi).strip(), roi.z, roi.t, geometry=_geometry(roi))


def _geometry(roi: Roi) -> tuple[float, ...]:
    """Numbers of a shape, in the order of `shapes.GEOMETRY`."""
    flat = tuple(round(value, _DECIMALS) for y, x in roi.points for value in (x, y))
    if roi.kind != "rectangle":
        return flat
    left, top, right, bottom = flat
    width, height = (round(abs(side), _DECIMALS) for side in (right - left, bottom - top))
    return min(left, right), min(top, bottom), width, height


def _text(roi: Roi) -> str:
    return roi.text if roi.score is None else f"{roi.text} {roi.score:.2f}"


def _shape(roi: Roi) -> Any:
    shape = _OUTLINES[roi.kind](_geometry(roi))
    shape.setTextValue(rstring(_text(roi)))
    shape.setTheZ(rint(roi.z))
    shape.setTheT(rint(roi.t))
    shape.setStrokeColor(rint(color_of(roi.text)))
    shape.setFillColor(rint(_CLEAR))
    return shape


def _rectangle(geometry: Sequence[float]) -> Any:
    shape = RectangleI()
    x, y, width, height = map(rdouble, geometry)
    shape.setX(x)
    shape.setY(y)
    shape.setWidth(width)
    shape.setHeight(height)
    return shape


def _polygon(geometry: Sequence[float]) -> Any:
    shape = PolygonI()
    pairs = zip(geometry[::2], geometry[1::2], strict=True)
    shape.setPoints(rstring(" ".join(f"{x},{y}" for x, y in pairs)))
    return shape


def _point(geometry: Sequence[float]) -> Any:
    shape = PointI()
    x, y = map(rdouble, geometry)
    shape.setX(x)
    shape.setY(y)
    return shape


_OUTLINES: MappingProxyType[str, Callable[[Sequence[float]], Any]] = MappingProxyType(
    {"rectangle": _rectangle, "polygon": _polygon, "point": _point}
)
