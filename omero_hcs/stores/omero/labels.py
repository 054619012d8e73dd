"""What users annotated, as one table of labels, whichever way they did it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from omero_hcs.errors import LabelError
from omero_hcs.model import Layout, ObjectRef, Plate, Site
from omero_hcs.results import LABEL_COLUMNS, REACH_COLUMNS, Table
from omero_hcs.stores.base import LabelKind, LabelSource
from omero_hcs.stores.omero.label_crops import crops_said
from omero_hcs.stores.omero.label_file import label_file
from omero_hcs.stores.omero.label_notes import NoteKind, keys_on, notes_on
from omero_hcs.stores.omero.label_rois import rois_said
from omero_hcs.stores.omero.layout import Layouts
from omero_hcs.stores.omero.said import Said, image_ids
from omero_hcs.stores.omero.session import Session

_WHAT: Mapping[LabelKind, str] = {
    "roi": "a drawn region with a text",
    "tag": "a tag",
    "rating": "a rating",
    "comment": "a comment",
    "key-value": "a key-value pair with the key {key!r}",
    "dataset": "a dataset that holds them",
}
_HOW: Mapping[LabelKind, str] = {
    "roi": "Draw regions or points on cells in the image viewer (OMERO.iviewer), type the class "
    "into their Comment, and save.",
    "tag": "Tag images or wells with the class in OMERO.web.",
    "rating": "Give images 1 to 5 stars in OMERO.web, and pass what they mean: "
    "--classes 5=normal,1=abnormal.",
    "comment": "Write the class as a comment on images or wells in OMERO.web.",
    "key-value": "Add a key-value pair to images or wells in OMERO.web, or pass another key with "
    "--label-key.",
    "dataset": "Move crop images or images into datasets named after the classes in OMERO.web.",
}
_SHOWN, _LETTERS = 10, 40
"""How many texts a message lists, and how much of each."""


def read_labels(
    session: Session,
    layouts: Layouts,
    target: ObjectRef,
    layout: Layout,
    source: LabelSource,
) -> Table:
    """Labels of one plate or image set, with `results.LABEL_COLUMNS`; see `PlateStore.labels`.

    Those of a file apart, they have `results.REACH_COLUMNS`, too.

    Rows go image by image, and by time within one. Tags and other notes on wells and images have
    no place (y and x are NaN; z and t are 0), one row an image; those on crop images that the URI
    names have that of the crop, and are then the only ones.

    Parameters
    ----------
    session : Session
        Who reads.
    layouts : Layouts
        Where wells and crop images of the target are found.
    target : ObjectRef
        The plate or image set.
    layout : Plate or ImageSet
        Its layout: labels on images that are not in it are left out.
    source : LabelSource
        Which annotations are labels, and of what class.

    Raises
    ------
    LabelError
        If there are none; the message lists texts that are there and stand for no class.
    """
    if source.kind == "file":
        return label_file(session, target, layout, layouts.anchors(target), source.path)
    if source.kind == "roi":
        said = rois_said(session, layout)
    else:
        said = _notes(session, layouts, target, layout, source)
    table = _table(said, target, layout, source)
    if not len(table):
        keys = _keys(session, layouts, target, layout) if source.kind == "key-value" else ()
        raise _none_found(said, target, layout, source, keys)
    return table


def _notes(
    session: Session, layouts: Layouts, target: ObjectRef, layout: Layout, source: LabelSource
) -> list[Said]:
    """Look at crop images that the URI names; if it names none, at images and wells."""
    kind = cast("NoteKind", source.kind)
    crops = layouts.crops(target)
    if crops:
        return crops_said(notes_on(session, "Image", sorted(crops), kind, source.key), crops)
    on_images = notes_on(session, "Image", image_ids(layout), kind, source.key)
    found = [note.about(str(note.parent)) for note in on_images]
    fields = _fields_of_wells(layouts, target, layout)
    for note in notes_on(session, "Well", sorted(fields), kind, source.key):
        found += [note.about(image) for image in fields[note.parent]]
    return found


def _fields_of_wells(layouts: Layouts, target: ObjectRef, layout: Layout) -> dict[int, list[str]]:
    """Ids of a plate's wells, and of the images of each."""
    if not isinstance(layout, Plate):
        return {}
    ids = layouts.wells(target)
    return {
        ids[well.name]: [field.image.id for field in well.fields]
        for well in layout.wells
        if well.name in ids
    }


def _keys(session: Session, layouts: Layouts, target: ObjectRef, layout: Layout) -> Sequence[str]:
    images = sorted(layouts.crops(target)) or image_ids(layout)
    wells = sorted(_fields_of_wells(layouts, target, layout))
    return sorted({*keys_on(session, "Image", images), *keys_on(session, "Well", wells)})


def _table(said: Iterable[Said], target: ObjectRef, layout: Layout, source: LabelSource) -> Table:
    """Rows of what stands for a class, on images of the layout."""
    places = {site.image.id: (order, site) for order, site in enumerate(layout.sites())}
    plate = target.id if target.kind == "plate" else ""
    found: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    for item in said:
        label = source.label_of(item.text)
        if label is not None and item.image in places:
            order, site = places[item.image]
            row = _row(item, plate, site) | {"label": label, "source": source.kind}
            found.append(((order, item.time, item.object_id), row))
    found.sort(key=lambda pair: pair[0])
    return Table.from_rows([row for _, row in found], (*LABEL_COLUMNS, *REACH_COLUMNS))


def _row(item: Said, plate: str, site: Site) -> dict[str, Any]:
    return {
        "plate": plate,
        "well": site.well.name if site.well else "",
        "field": site.field,
        "image": item.image,
        "z": item.z,
        "t": item.t,
        "y": item.y,
        "x": item.x,
        "label": "",
        "user": item.user,
        "time": item.time,
        "source": "",
        "object_id": item.object_id,
        **dict(zip(REACH_COLUMNS, item.reach, strict=True)),
    }


def _none_found(
    said: Sequence[Said],
    target: ObjectRef,
    layout: Layout,
    source: LabelSource,
    keys: Sequence[str],
) -> LabelError:
    """Say what was looked for, where, what is there instead, and how to make labels."""
    count = sum(1 for _ in layout.sites())
    where = f"the {count} images of {target.kind} {layout.name} ({target.id})"
    what = _WHAT[source.kind].format(key=source.key)
    texts = Counter(item.text for item in said if item.text)
    parts = [f"There are no labels on {where}: looked for {what}{_meaning(source)}."]
    if texts:
        parts.append(f"Texts there: {_listed(texts)}. Name those that are classes with --classes.")
    if keys:
        parts.append(f"Keys there: {', '.join(map(_short, keys[:_SHOWN]))}.")
    parts.append(_HOW[source.kind])
    return LabelError(" ".join(parts))


def _meaning(source: LabelSource) -> str:
    """Say what a text must be like to be a label."""
    prefix = f" that begins with {source.prefix!r}" if source.prefix is not None else ""
    names = " or ".join(repr(text) for text, _ in source.names)
    return prefix + (f" that says {names}" if names else "")


def _listed(texts: Counter[str]) -> str:
    listed = [f"{_short(text)} ({count})" for text, count in texts.most_common(_SHOWN)]
    more = len(texts) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "")


def _short(text: str) -> str:
    return repr(text if len(text) <= _LETTERS else f"{text[:_LETTERS]}...")
