"""Texts of drawn shapes, as users write them into regions in the image viewer.

Each shape with a text says something by itself; one without says nothing, even if the region has
other shapes that do. Who changed a shape last is who says it, and when.

A machine region that nobody edited says nothing. Only what was changed after it was made is looked
at: a plate may have hundreds of thousands of them.
"""

from __future__ import annotations

import logging
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from omero_hcs.model import Image, Layout
from omero_hcs.results import QUESTION
from omero_hcs.stores.omero.record import RUN_NAMESPACE
from omero_hcs.stores.omero.said import Said, image_ids, iso_time
from omero_hcs.stores.omero.session import ALL_GROUPS, Session, batches, context_of, parameters_of
from omero_hcs.stores.omero.shapes import (
    GEOMETRY,
    TRANSFORM,
    ShapeFacts,
    centre,
    geometry_of,
    reach,
    roi_mark,
    transform_of,
    written_mark,
)

_log = logging.getLogger(__name__)

_MACHINE = f"r.name like '{RUN_NAMESPACE}/%'"
_BY_PEOPLE = f"(r.name is null or r.name not like '{RUN_NAMESPACE}/%')"
_SCORE = re.compile(r"\s[01]\.\d\d$")
"""What a run puts behind the class in a region's text."""

_MASKS_A_CALL = 100
"""The bits of so many masks of whole planes fit into one of Ice's messages."""

_COLUMNS = (
    "s.id", "r.id", "i.id", "s.textValue", "s.theZ", "s.theT", "s.theC", "x.omeName", "e.time",
    "r.description",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One shape, the region and image it is on, and who changed it last, and when."""

    id: int
    roi: int
    image: int
    facts: ShapeFacts
    user: str
    time: int
    description: str | None


def rois_said(session: Session, layout: Layout) -> list[Said]:
    """Find the texts of all shapes that people drew or edited on the images of a layout."""
    images = {int(site.image.id): site.image for site in layout.sites()}
    found: list[Said] = []
    nowhere = 0
    for drawn in _shapes_of_people(session, image_ids(layout)):
        place = centre(drawn.facts)
        nowhere += place is None
        if place is not None:
            found.append(_said(drawn, place, images[drawn.image]))
    if nowhere:
        _log.warning("%d shapes with a text have no place, and are no labels.", nowhere)
    return found


def _said(drawn: _Drawn, place: tuple[float, float], image: Image) -> Said:
    """Say it of one plane: a shape on every one stands for the middle one, as in runs.

    On every plane is what names none; some programs write -1 instead.
    """
    facts = drawn.facts
    return Said(
        image=image.id,
        text=facts.text,
        user=drawn.user,
        time=iso_time(drawn.time),
        object_id=f"Shape:{drawn.id}",
        y=place[0],
        x=place[1],
        z=image.size_z // 2 if facts.z is None or facts.z < 0 else facts.z,
        t=max(0, facts.t or 0),
        reach=reach(facts) or (math.nan, math.nan),
    )


def _shapes_of_people(session: Session, images: Sequence[int]) -> Iterator[_Drawn]:
    """Shapes with a text, drawn by people or in machine regions that people edited."""
    for ids in batches(images):
        with_text = f"i.id in (:ids) and {_BY_PEOPLE} and s.textValue is not null"
        people = list(_shapes(session, with_text, ids))
        # A machine region that somebody gave another name still has its mark.
        renamed = [drawn for drawn in people if written_mark(drawn.description)]
        yield from _edited(renamed)
        yield from (
            drawn for drawn in people if drawn.facts.text and not written_mark(drawn.description)
        )
        # A region of ours and its shapes were saved in one event; what has another was changed.
        changed = session.project(
            "select distinct r.id from Shape s join s.roi r join r.image i where i.id in (:ids) "
            f"and {_MACHINE} and s.details.updateEvent.id <> r.details.creationEvent.id",
            {"ids": ids},
        )
        for rois in batches([row[0] for row in changed]):
            yield from _edited(_shapes(session, "r.id in (:ids)", rois))


def _edited(shapes: Iterable[_Drawn]) -> Iterator[_Drawn]:
    """Shapes with a text of those machine regions that no longer show what was written.

    What asks for a label (`QUESTION`) says nothing, wherever it was moved.
    """
    regions: dict[int, list[_Drawn]] = defaultdict(list)
    for drawn in shapes:
        regions[drawn.roi].append(drawn)
    for members in regions.values():
        if written_mark(members[0].description) != roi_mark(one.facts for one in members):
            for drawn in members:
                text = _SCORE.sub("", drawn.facts.text)
                if text and text != QUESTION:
                    yield replace(drawn, facts=replace(drawn.facts, text=text))


def _shapes(session: Session, condition: str, ids: Sequence[int]) -> Iterator[_Drawn]:
    """Shapes that fulfil a condition on shape `s`, region `r` and image `i`: a query a class."""
    for kind, places in GEOMETRY.items():
        columns = ", ".join(
            (*_COLUMNS, *(f"m.{name}" for name in TRANSFORM), *(f"s.{name}" for name in places))
        )
        rows = session.project(
            f"select {columns} from {kind} s join s.roi r join r.image i "
            "join s.details.updateEvent e join e.experimenter x left outer join s.transform m "
            f"where {condition} order by s.id",
            {"ids": ids},
        )
        found = [_drawn(kind, row) for row in rows]
        yield from _with_bits(session, found) if kind == "Mask" else found


def _drawn(kind: str, row: Sequence[Any]) -> _Drawn:
    shape, roi, image, text, z, t, c, user, time, description = row[: len(_COLUMNS)]
    matrix, places = row[len(_COLUMNS) :][: len(TRANSFORM)], row[len(_COLUMNS) + len(TRANSFORM) :]
    facts = ShapeFacts(
        kind=kind,
        text=(text or "").strip(),
        z=z,
        t=t,
        c=c,
        geometry=geometry_of(places),
        transform=transform_of(matrix),
    )
    return _Drawn(shape, roi, image, facts, user, time, description)


def _with_bits(session: Session, masks: Sequence[_Drawn]) -> Iterator[_Drawn]:
    """Masks with their bits, which OMERO gives with whole objects only, not in projections."""
    for start in range(0, len(masks), _MASKS_A_CALL):
        batch = masks[start : start + _MASKS_A_CALL]
        bits = _bits(session, [drawn.id for drawn in batch])
        for drawn in batch:
            yield replace(drawn, facts=replace(drawn.facts, bits=bits.get(drawn.id, b"")))


def _bits(session: Session, ids: Sequence[int]) -> dict[int, bytes]:
    def ask(conn: Any) -> dict[int, bytes]:
        masks = conn.getQueryService().findAllByQuery(
            "select s from Mask s where s.id in (:ids)",
            parameters_of({"ids": ids}),
            context_of(ALL_GROUPS),
        )
        return {mask.id.val: bytes(mask.bytes or b"") for mask in masks}

    return session.read(ask)
