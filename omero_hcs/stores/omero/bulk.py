"""The table that omero-parade and OMERO.web show for the wells of a plate: one of ours at most.

They take any table on the plate or its screens that has the bulk-annotations namespace or OMERO's
media type of tables, and parade the first of them, whatever is in it. So the tables of runs have
neither: they are HDF5 files under our own namespace. The latest run's well table has a second
annotation, with that namespace, which is taken away and made again as runs come and go. No journal
lists it. A table of a user's own is never put behind ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import omero.gateway  # noqa: F401  (first: loads omero's modules in order)

import Ice  # isort: skip
from omero.model import OriginalFileI

from omero_hcs.errors import NotAllowedError
from omero_hcs.stores.omero.attachments import ANNOTATION, file_annotation
from omero_hcs.stores.omero.changes import Subject, delete, link_to, project_all, save, told
from omero_hcs.stores.omero.faults import is_lost
from omero_hcs.stores.omero.record import BULK_NAMESPACE, TABLE_NAMESPACE
from omero_hcs.stores.omero.session import ALL_GROUPS, Session, context_of

TABLE_MEDIA_TYPE = "OMERO.tables"
WELLS_STEM = "omero-hcs-wells"
_LABEL = "Well table of omero-hcs run "


@dataclass(frozen=True)
class _Note:
    """An annotation of a table on a plate or its screen."""

    place: str
    id: int
    file: int
    name: str
    namespace: str | None
    media_type: str | None
    description: str | None
    owner: str

    @property
    def is_run_table(self) -> bool:
        """Whether it is the well table of some run."""
        return self.namespace == TABLE_NAMESPACE and self.name.startswith(WELLS_STEM)

    @property
    def is_our_bulk_table(self) -> bool:
        """Whether it is the annotation that shows a run's well table as the plate's."""
        is_labelled = (self.description or "").startswith(_LABEL)
        return self.namespace == BULK_NAMESPACE and is_labelled and self.name.startswith(WELLS_STEM)

    @property
    def run_id(self) -> str:
        """Run of a well table of ours, as its name says it."""
        return self.name.removeprefix(f"{WELLS_STEM}-").removesuffix(".h5")


def settle_bulk_table(
    session: Session, group: int, anchors: Sequence[tuple[str, int]]
) -> tuple[str, ...]:
    """Make the latest run's well table the bulk table of a plate, and no other run's.

    Safe to call at any time and as often as one likes. For what is no plate it does nothing.

    Returns
    -------
    tuple of str
        What stays as it is, and why.
    """
    said: list[str] = []
    for kind, plate in anchors:
        if kind == "Plate":
            said += _settle(session, group, plate)
    return tuple(said)


def _settle(session: Session, group: int, plate: int) -> list[str]:
    notes = _notes_of_plate(session, plate)
    others = [
        note
        for note in [*notes, *_notes_of_screens(session, plate)]
        if not note.is_our_bulk_table and _is_shown(session, note)
    ]
    shown = [note for note in notes if note.is_our_bulk_table]
    tables = [note for note in notes if note.is_run_table]
    wanted = max(tables, key=lambda note: note.id) if tables and not others else None
    stay = [note for note in shown if wanted is not None and note.file == wanted.file][:1]
    said = [_in_the_way(plate, note) for note in others[:1] if tables]
    try:
        # Those of earlier runs go first: two at once would be worse than none after a crash.
        _take_away(session, group, [note for note in shown if note not in stay])
        if wanted is not None and not stay:
            _show(session, group, plate, wanted)
    except NotAllowedError as error:
        said.append(f"Plate {plate} does not show the well table of its latest run: {error}")
    return said


def _in_the_way(plate: int, note: _Note) -> str:
    return (
        f"Plate {plate} shows a table of {note.owner}'s own ({note.name}, annotation {note.id} on "
        f"{note.place}). It stays the plate's table of wells, and the run's own is attached "
        "beside it: omero-parade and the right panel show theirs."
    )


def _take_away(session: Session, group: int, notes: Sequence[_Note]) -> None:
    """Delete annotations; a file goes with its last one, and a run's own keeps it."""
    if notes:
        with told(Subject(session, group, f"the table shown, {notes[0].name},")):
            delete(session, group, {ANNOTATION: [note.id for note in notes]})


def _show(session: Session, group: int, plate: int, note: _Note) -> None:
    file = OriginalFileI(note.file, False)  # noqa: FBT003  (OMERO's own: not loaded)
    annotation = file_annotation(file, BULK_NAMESPACE, f"{_LABEL}{note.run_id}")
    with told(Subject(session, group, f"plate {plate}")):
        save(session, group, [link_to("Plate", plate, annotation)])


def _is_shown(session: Session, note: _Note) -> bool:
    """Whether programs take an annotation for the table of the plate's wells."""
    if note.namespace == BULK_NAMESPACE:
        return True
    return note.media_type == TABLE_MEDIA_TYPE and session.read(
        lambda conn: _tells_of_wells(conn, note.file)
    )


def _tells_of_wells(conn: Any, file_id: int) -> bool:
    """Whether a table has a column of wells; one that cannot be opened may have."""
    file = OriginalFileI(file_id, False)  # noqa: FBT003  (OMERO's own: not loaded)
    try:
        table = conn.c.sf.sharedResources().openTable(file, context_of(ALL_GROUPS))
        if table is None:
            return True
        try:
            return any(head.name.lower() == "well" for head in table.getHeaders())
        finally:
            table.close()
    except Ice.Exception as error:
        if is_lost(error):
            raise
        return True


_ASKED = (
    "select a.id, f.id, f.name, a.ns, f.mimetype, a.description, o.omeName "
    "from {kind}AnnotationLink l join l.child a join a.file f join a.details.owner o "
    "where l.parent.id in (:ids)"
)


def _notes_of_plate(session: Session, plate: int) -> list[_Note]:
    return _notes(session, "Plate", [plate])


def _notes_of_screens(session: Session, plate: int) -> list[_Note]:
    hql = "select l.parent.id from ScreenPlateLink l where l.child.id = :id"
    return _notes(session, "Screen", [row[0] for row in session.project(hql, {"id": plate})])


def _notes(session: Session, kind: str, ids: Sequence[int]) -> list[_Note]:
    rows = project_all(session, _ASKED.format(kind=kind), ids)
    return [_Note(f"the {kind.lower()}", *row) for row in rows]
