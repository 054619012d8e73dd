"""Screens of a server: what they are called, and the group that they are in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from omero_hcs.model import Screen
from omero_hcs.stores.omero.changes import project_all
from omero_hcs.stores.omero.session import Session


@dataclass(frozen=True)
class ScreenRecord:
    """A screen as a server has it."""

    screen: Screen
    group: int


def read_screens(session: Session, plates: Mapping[int, Iterable[int]]) -> list[ScreenRecord]:
    """Read screens by their ids, in that order.

    Parameters
    ----------
    session : Session
        Who reads.
    plates : mapping of int to iterable of int
        Ids of the plates of each screen.
    """
    hql = "select s.id, s.name, s.details.group.id from Screen s where s.id in (:ids)"
    rows = {row[0]: row for row in project_all(session, hql, plates)}
    return [
        ScreenRecord(
            Screen(str(number), rows[number][1] or f"Screen {number}", tuple(map(str, own))),
            rows[number][2],
        )
        for number, own in plates.items()
        if number in rows
    ]


def screens_around(session: Session, plates: Iterable[int]) -> dict[int, set[int]]:
    """Ids of all plates of each screen that some plates are in, by the screen's id."""
    hql = (
        "select l.parent.id, l.child.id from ScreenPlateLink l where l.parent.id in "
        "(select own.parent.id from ScreenPlateLink own where own.child.id in (:ids))"
    )
    found: dict[int, set[int]] = {}
    for screen, plate in project_all(session, hql, plates):
        found.setdefault(screen, set()).add(plate)
    return found
