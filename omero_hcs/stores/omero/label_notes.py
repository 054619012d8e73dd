"""Tags, ratings, comments and key-values on images and wells, and names of datasets, as texts.

A tag is said by who linked it, when it was linked. Ratings, comments and key-values can be changed
later: they are said by whoever came last, in linking or in changing them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from omero_hcs.stores.omero.said import NOT_OURS, Said, iso_time
from omero_hcs.stores.omero.session import Session, batches

RATING_NAMESPACE = "openmicroscopy.org/omero/insight/rating"
TAG_SET_NAMESPACE = "openmicroscopy.org/omero/insight/tagset"

NoteKind = Literal["tag", "rating", "comment", "key-value", "dataset"]


@dataclass(frozen=True, slots=True)
class _Query:
    """How one kind of note is asked for: its OMERO class, its text, further joins, conditions."""

    type: str
    text: str
    where: str = ""
    join: str = ""


_QUERIES: Mapping[str, _Query] = {
    "tag": _Query(
        "TagAnnotation", "a.textValue", f"and (a.ns is null or a.ns <> '{TAG_SET_NAMESPACE}')"
    ),
    "comment": _Query("CommentAnnotation", "a.textValue"),
    "rating": _Query("LongAnnotation", "a.longValue", f"and a.ns = '{RATING_NAMESPACE}'"),
    "key-value": _Query(
        "MapAnnotation", "v.value", "and lower(v.name) = :key", "join a.mapValue v"
    ),
}


@dataclass(frozen=True, slots=True)
class Note:
    """One text on one object."""

    parent: int
    text: str
    user: str
    time: str
    object_id: str

    def about(self, image: str, **place: Any) -> Said:
        """Say it about an image, or about one place of it."""
        return Said(image, self.text, self.user, self.time, self.object_id, **place)


def notes_on(
    session: Session, parent: Literal["Image", "Well"], ids: Sequence[int], kind: NoteKind, key: str
) -> list[Note]:
    """Find notes of one kind on images or wells, in the order in which they were linked.

    Parameters
    ----------
    session : Session
        Who reads.
    parent : str
        OMERO class of the objects.
    ids : sequence of int
        The objects.
    kind : str
        Kind of the notes; wells are in no datasets.
    key : str
        Key of the key-values that are meant, in whatever case.
    """
    if kind == "dataset":
        return list(_datasets_of(session, ids)) if parent == "Image" else []
    query = _QUERIES[kind]
    given = {"key": key.strip().lower()} if kind == "key-value" else {}
    found = []
    for batch in batches(ids):
        rows = session.project(
            f"select l.parent.id, a.id, {query.text}, o.omeName, c.time, x.omeName, e.time "
            f"from {parent}AnnotationLink l join l.child a {query.join} "
            "join l.details.owner o join l.details.creationEvent c "
            "join a.details.updateEvent e join e.experimenter x "
            f"where l.parent.id in (:ids) and a.class = {query.type} and {NOT_OURS} "
            f"{query.where} order by l.id",
            {**given, "ids": batch},
        )
        found += [_note(query, row) for row in rows]
    return found


def keys_on(session: Session, parent: Literal["Image", "Well"], ids: Sequence[int]) -> list[str]:
    """List the keys of all key-values that people put on images or wells: for messages."""
    keys = set()
    for batch in batches(ids):
        rows = session.project(
            f"select distinct v.name from {parent}AnnotationLink l join l.child a "
            f"join a.mapValue v where l.parent.id in (:ids) and {NOT_OURS}",
            {"ids": batch},
        )
        keys |= {row[0] for row in rows if row[0]}
    return sorted(keys)


def _note(query: _Query, row: Sequence[Any]) -> Note:
    parent, annotation, text, owner, linked, editor, changed = row
    last = (editor, changed) if query.type != "TagAnnotation" and changed > linked else None
    user, time = last or (owner, linked)
    text = "" if text is None else str(text)
    return Note(parent, text, user, iso_time(time), f"{query.type}:{annotation}")


def _datasets_of(session: Session, images: Sequence[int]) -> Iterator[Note]:
    """Find the names of the datasets that images are in, as said by who put them there."""
    for batch in batches(images):
        rows = session.project(
            "select l.child.id, d.id, d.name, o.omeName, c.time from DatasetImageLink l "
            "join l.parent d join l.details.owner o join l.details.creationEvent c "
            "where l.child.id in (:ids) order by l.id",
            {"ids": batch},
        )
        for image, dataset, name, user, time in rows:
            yield Note(image, name, user, iso_time(time), f"Dataset:{dataset}")
