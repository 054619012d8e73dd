"""Undo of a run: exactly what its journal lists goes, and the journal last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from omero_hcs.errors import NotAllowedError
from omero_hcs.results import WriteReport
from omero_hcs.stores.omero.changes import Subject, delete, told
from omero_hcs.stores.omero.crop_looks import remove_datasets
from omero_hcs.stores.omero.journal import Anchors, Journal, Journals
from omero_hcs.stores.omero.journal_lines import UndoingLine
from omero_hcs.stores.omero.present import look
from omero_hcs.stores.omero.record import DATASET, Made, place_of
from omero_hcs.stores.omero.removal import removable, remove, spared
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.tables import restore_bulk_table
from omero_hcs.stores.omero.unlisted import unattached_tables, unlisted

_LOOKED_AT_ONCE = 5_000


@dataclass(frozen=True)
class UndoneReport:
    """What an undo of one journal removed, by kind, what it left, and what else is to be told."""

    counts: Counter[str]
    kept: tuple[str, ...]
    notes: tuple[str, ...]


def undo_run(
    session: Session, journals: Journals, run_id: str, found: Sequence[tuple[Journal, Anchors]]
) -> WriteReport:
    """Remove what a run made, over all its targets.

    Parameters
    ----------
    session : Session
        Who undoes it.
    journals : Journals
        Where journals are.
    run_id : str
        The run.
    found : sequence of (Journal, anchors)
        Its journals, and what each is attached to.

    Raises
    ------
    NotAllowedError
        If the user may not delete what the run made; nothing has been then.
    """
    for journal, _ in found:
        _check_allowed(session, journal, run_id)
    counts: Counter[str] = Counter()
    kept: list[str] = []
    notes: list[str] = []
    for journal, anchors in found:
        group = journal.place.group
        subject = Subject(session, group, f"what run {run_id} made")
        with told(subject):
            undone = session.write(_Undo(session, journals, journal, anchors).run, group)
        counts += undone.counts
        kept += undone.kept
        notes += undone.notes
    return WriteReport(
        run_id, dict(counts), (), tuple(dict.fromkeys(kept)), tuple(dict.fromkeys(notes))
    )


class _Undo:
    """Undoes one journal."""

    def __init__(
        self, session: Session, journals: Journals, journal: Journal, anchors: Anchors
    ) -> None:
        self._session = session
        self._journals = journals
        self._journal = journal
        self._anchors = anchors

    def run(self, conn: Any) -> UndoneReport:  # noqa: ARG002  (`Session.write` gives it)
        """Remove what is the run's; started again after an interruption, it goes on."""
        session, place = self._session, self._journal.place
        counts: Counter[str] = Counter()
        kept: list[str] = []
        self._announce()
        for part in self._parts():
            seen = look(session, part)
            gone = spared(self._journals, self._anchors, place, removable(seen))
            remove(session, place.group, place.owner, gone, part)
            counts.update(one.kind for one in gone if one.kind != "link")
            kept += [one.place for one in seen if one.state == "theirs"]
        datasets, left = remove_datasets(session, self._journal)
        counts += Counter(dataset=datasets)  # one of none is not counted
        kept += left
        tables = unattached_tables(session, self._journal)
        delete(session, place.group, {"OriginalFile": tables}, owner=place.owner)
        notes = restore_bulk_table(session, place.group, self._anchors)
        delete(session, place.group, {"FileAnnotation": [place.annotation]})
        self._journals.forget()
        return UndoneReport(counts, tuple(kept), tuple(notes))

    def _announce(self) -> None:
        """Note that all is about to go: what is gone was not deleted by a user then."""
        # Who undoes the run of another may delete what it made, but not always add to a file.
        if self._journal.units and self._journal.place.owner == self._session.user_id:
            with self._journals.pen(self._journal) as pen:
                pen.write(UndoingLine())

    def _parts(self) -> Iterator[list[Made]]:
        """Everything that the run made but datasets, several units at once, each whole."""
        part: list[Made] = []
        for unit, state in list(self._journal.units.items()):
            found = unlisted(self._session, self._journal, unit)
            both = [*state.made(), *state.pending(), *found]
            part += [one for one in both if one.type != DATASET]
            if len(part) >= _LOOKED_AT_ONCE:
                yield part
                part = []
        if part:
            yield part


def _check_allowed(session: Session, journal: Journal, run_id: str) -> None:
    """Refuse the undo of somebody else's run before it begins, where that may not be."""
    place = journal.place
    hql = (
        "select new map(a.id as id, a as a_details_permissions) from Annotation a where a.id = :id"
    )
    rows = session.project(hql, {"id": place.annotation}, group=place.group)
    if not rows or rows[0][0]["a_details_permissions"]["canDelete"]:
        return
    hql = "select e.omeName from Experimenter e where e.id = :id"
    names = session.project(hql, {"id": place.owner})
    owner = names[0][0] if names else f"user {place.owner}"
    what = place_of(session, "annotation", place.annotation)
    msg = (
        f"Run {run_id} was written by {owner}, and {session.user} may not remove what belongs to "
        f"another user ({what}). Ask {owner}, an owner of the group, or an administrator to undo "
        "it."
    )
    raise NotAllowedError(msg)
