"""What a URI means: its plates, parts of plates and image sets, and where crop images lead."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from omero_hcs.errors import PlateNotFoundError
from omero_hcs.model import ObjectRef
from omero_hcs.stores.imagefile import natural_key
from omero_hcs.stores.omero.address import OmeroAddress
from omero_hcs.stores.omero.cropnote import CropNote
from omero_hcs.stores.omero.imagesets import SET_KINDS, SetName
from omero_hcs.stores.omero.plates import WHOLE, PlatePart
from omero_hcs.stores.omero.record import CROP_NAMESPACE
from omero_hcs.stores.omero.session import Session, batches

_ENTITIES = {"screen": "Screen", "plate": "Plate", "run": "PlateAcquisition", "well": "Well"} | {
    kind: entity for kind, (entity, _) in SET_KINDS.items()
}
_PLATES_OF_SCREENS = (
    "select l.parent.id, pl.id, pl.name from ScreenPlateLink l join l.child pl "
    "where l.parent.id in (:ids)"
)
_NOTES = "join i.annotationLinks al join al.child ann join ann.mapValue mv"
_WELLS_OF_IMAGES = (
    "select i.id, w.plate.id from Image i left outer join i.wellSamples ws "
    "left outer join ws.well w where i.id in (:ids)"
)


@dataclass
class Selection:
    """What a URI means: parts of plates by their ids, `crops` by what they were cut from.

    `screens` has the ids of the plates of each screen that is named, in the order of `plates`.
    """

    plates: dict[int, PlatePart] = field(default_factory=dict)
    screens: dict[int, tuple[int, ...]] = field(default_factory=dict)
    sets: dict[str, SetName] = field(default_factory=dict)
    crops: dict[ObjectRef, dict[int, CropNote]] = field(default_factory=dict)

    def refs(self) -> tuple[ObjectRef, ...]:
        """Plates, then image sets."""
        return (*map(plate_ref, self.plates), *map(set_ref, self.sets))


def plate_ref(plate_id: int) -> ObjectRef:
    """Name a plate."""
    return ObjectRef(kind="plate", id=str(plate_id))


def set_ref(set_id: str) -> ObjectRef:
    """Name an image set."""
    return ObjectRef(kind="images", id=set_id)


def select(session: Session, address: OmeroAddress) -> Selection:
    """Find what a URI means.

    Raises
    ------
    PlateNotFoundError
        If the user sees none of some of its objects, or a screen without plates.
    """
    if address.kind is None:
        return Selection()
    _check_there(session, address)
    if address.kind == "run" or address.kind == "well":
        return Selection(plates=_parts(session, address))
    if address.kind == "screen":
        return _of_screens(session, address)
    if address.kind == "plate":
        return Selection(plates=dict.fromkeys(address.ids, WHOLE))
    selection = Selection()
    if address.kind == "image":
        names = [SetName("image", address.ids)]
    else:
        names = [SetName(address.kind, (number,)) for number in address.ids]
    for name in names:
        notes = _crop_notes(session, name)
        if notes:
            _add_sources(session, selection, notes, name)
        else:
            selection.sets[name.id] = name
    return selection


def _check_there(session: Session, address: OmeroAddress) -> None:
    entity = _ENTITIES[address.kind or ""]
    found = {
        number
        for ids in batches(address.ids)
        for (number,) in session.project(
            f"select o.id from {entity} o where o.id in (:ids)", {"ids": ids}
        )
    }
    missing = [str(number) for number in address.ids if number not in found]
    if missing:
        there = ", ".join(str(number) for number in address.ids if number in found) or "none"
        msg = (
            f"{session.server} has no {address.kind} {', '.join(missing)}, or {session.user} may "
            f"not see it. Of {address.uri} there are: {there}. Look the id up in OMERO.web, or "
            "log in as a member of its group."
        )
        raise PlateNotFoundError(msg)


def _parts(session: Session, address: OmeroAddress) -> dict[int, PlatePart]:
    by_plate: dict[int, list[int]] = defaultdict(list)
    query = f"select o.id, o.plate.id from {_ENTITIES[address.kind or '']} o where o.id in (:ids)"
    for ids in batches(address.ids):
        for number, plate in sorted(session.project(query, {"ids": ids})):
            by_plate[plate].append(number)
    name = "wells" if address.kind == "well" else "runs"
    return {plate: PlatePart(**{name: frozenset(ids)}) for plate, ids in sorted(by_plate.items())}


def _of_screens(session: Session, address: OmeroAddress) -> Selection:
    """Select the plates of screens: screen by screen, by name."""
    rows = session.project(_PLATES_OF_SCREENS, {"ids": address.ids})
    if not rows:
        msg = f"{address.uri} has no plates that {session.user} may see."
        raise PlateNotFoundError(msg)
    order = {screen: place for place, screen in enumerate(address.ids)}
    rows.sort(key=lambda row: (order[row[0]], natural_key(row[2] or ""), row[1]))
    plates: dict[int, list[int]] = {}
    for screen, plate, _ in rows:
        plates.setdefault(screen, []).append(plate)
    return Selection(
        plates={plate: WHOLE for _, plate, _ in rows},
        screens={screen: tuple(own) for screen, own in plates.items()},
    )


def _crop_notes(session: Session, name: SetName) -> dict[int, CropNote]:
    """Find the notes of a set's images, if all of them are crops made by us; else nothing."""
    query = SET_KINDS[name.kind][1]
    given: dict[str, Any] = {"ids": name.ids, "ns": CROP_NAMESPACE}
    pairs: dict[int, dict[int, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
    told = f"select i.id, ann.id, mv.name, mv.value {query.format(joins=_NOTES)} and ann.ns = :ns"
    for image, note, key, value in session.project(told, given):
        pairs[image][note].append((key, value))
    if not pairs:
        return {}
    # Copied key-values are older than what a run wrote, so the newest note that can be read counts.
    notes = {
        image: next(filter(None, map(CropNote.from_pairs, _newest_first(several))), None)
        for image, several in pairs.items()
    }
    images = session.project(f"select i.id {query.format(joins='')}", {"ids": name.ids})
    if any(notes.get(number) is None for (number,) in images):
        return {}
    return {image: note for image, note in notes.items() if note is not None}


def _newest_first(notes: Mapping[int, list[tuple[str, str]]]) -> Iterator[list[tuple[str, str]]]:
    return (notes[number] for number in sorted(notes, reverse=True))


def _add_sources(
    session: Session, selection: Selection, notes: Mapping[int, CropNote], name: SetName
) -> None:
    """Put the plates and images that crops were cut from into a selection."""
    plates: dict[int, int | None] = {}
    for ids in batches(sorted({note.source for note in notes.values()})):
        rows = session.project(_WELLS_OF_IMAGES, {"ids": ids})
        plates |= {row[0]: row[1] for row in rows}
    if not plates:
        msg = (
            f"All images of {name.id} are crops that omero-hcs made, and {session.user} sees none "
            "of the images that they were cut from."
        )
        raise PlateNotFoundError(msg)
    alone = sorted(image for image, plate in plates.items() if plate is None)
    if alone:
        of_images = SetName("image", tuple(alone))
        selection.sets[of_images.id] = of_images
    for plate in sorted({its for its in plates.values() if its is not None}):
        images = frozenset(image for image, its in plates.items() if its == plate)
        before = selection.plates.get(plate, PlatePart(images=frozenset()))
        selection.plates[plate] = replace(before, images=(before.images or frozenset()) | images)
    for crop, note in notes.items():
        if note.source in plates:
            its = plates[note.source]
            ref = set_ref(of_images.id) if its is None else plate_ref(its)
            selection.crops.setdefault(ref, {})[crop] = note
