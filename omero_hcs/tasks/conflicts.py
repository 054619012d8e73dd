"""Several labels of one cell: which one counts, by a stated rule, and who said what."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from omero_hcs.results import Table

Rule = Literal["refuse", "latest", "majority", "owner"]
"""Refuse to train; the latest label; that of most users; that of the owner of the images.

A tie of the majority, and an owner who labelled nothing there, leave it to the latest.
"""

EXAMPLES = 2
"""Conflicts that a message tells one by one."""


@dataclass(frozen=True, slots=True)
class Said:
    """One label: the class, by whom, when (UTC, ISO 8601), in which object; "" is not known."""

    label: str
    user: str = ""
    time: str = ""
    object_id: str = ""

    def text(self) -> str:
        """Give it as a message does: "'normal' (by ann, 2026-01-02T03:04:05Z)"."""
        when = f", {self.time}" if self.time else ""
        return f"{self.label!r} (by {self.user or 'unknown'}{when})"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One place with labels of several classes; `kept` is the class that counts."""

    place: str
    said: tuple[Said, ...]
    kept: str

    def text(self) -> str:
        """Say who labelled the place how."""
        return f"{self.place} has two labels: {' and '.join(each.text() for each in self.said)}"


@dataclass(frozen=True, eq=False)
class Settled:
    """Which rows count.

    Parameters
    ----------
    rows : array, shape (N,), int
        One row a place, in the order in which places first occur.
    overruled : array, shape (M,), int
        Rows that said something else than the one that counts.
    conflicts : tuple of Conflict
        What was decided.
    """

    rows: NDArray[np.intp]
    overruled: NDArray[np.intp]
    conflicts: tuple[Conflict, ...] = field(default=())


def settle(
    labels: Table, places: Sequence[Hashable], names: Sequence[str], *, rule: Rule, owner: str = ""
) -> Settled:
    """Leave one label a place.

    Parameters
    ----------
    labels : Table, N rows
        With `results.LABEL_COLUMNS`.
    places : sequence of N hashables
        Equal where two labels are about the same cell.
    names : sequence of N str
        What a message calls each place.
    rule : str
        Which label counts; "refuse" decides as "latest" does, and leaves the refusal to the caller.
    owner : str
        Whose label counts by the rule "owner".
    """
    at: dict[Hashable, list[int]] = {}
    for row, place in enumerate(places):
        at.setdefault(place, []).append(row)
    columns = [labels[name].tolist() for name in ("label", "user", "time", "object_id")]
    said = [Said(*map(str, each)) for each in zip(*columns, strict=True)]
    rows, overruled, conflicts = [], [], []
    for own in at.values():
        winner = _winner(own, said, rule, owner)
        kept = said[winner].label
        rows.append(winner)
        others = [row for row in own if said[row].label != kept]
        overruled += others
        if others:
            told = tuple(said[row] for row in sorted([winner, *others]))
            conflicts.append(Conflict(names[winner], told, kept))
    return Settled(np.array(rows, np.intp), np.array(overruled, np.intp), tuple(conflicts))


def conflict_faults(conflicts: Sequence[Conflict]) -> list[str]:
    """Say of each conflict what to do about it, where none may be left."""
    return [
        f"{each.text()}. Keep one, or pass --conflicts latest, majority or owner."
        for each in conflicts
    ]


def conflict_warnings(conflicts: Sequence[Conflict], rule: Rule) -> tuple[str, ...]:
    """Tell how many conflicts there were, by which rule they were settled, and some of them."""
    if not conflicts:
        return ()
    how = {
        "latest": "the latest label counts",
        "majority": "the class that most users gave counts",
        "owner": "the label by the owner of the images counts",
        "refuse": "none may be left",
    }
    shown = [f"{each.text()}: {each.kept!r} was taken" for each in conflicts[:EXAMPLES]]
    more = len(conflicts) - EXAMPLES
    tail = f"; and {more} more" if more > 0 else ""
    text = (
        f"{len(conflicts)} cells or fields have labels of several classes; by the rule {rule!r} "
        f"{how[rule]}. {'; '.join(shown)}{tail}."
    )
    return (text,)


def _winner(rows: Sequence[int], said: Sequence[Said], rule: Rule, owner: str) -> int:
    if rule == "majority":
        rows = _of_most_users(rows, said)
    elif rule == "owner":
        rows = [row for row in rows if owner and said[row].user == owner] or rows
    return _latest(rows, said)


def _latest(rows: Sequence[int], said: Sequence[Said]) -> int:
    """Find the latest row; where times are the same or unknown, the last one in the table."""
    return max(rows, key=lambda row: (said[row].time, row))


def _of_most_users(rows: Sequence[int], said: Sequence[Said]) -> list[int]:
    """Rows of the classes that most users gave; a user has one vote, the latest label."""
    votes: dict[str, int] = {}
    voters: dict[str, list[int]] = {}
    for row in rows:
        voters.setdefault(said[row].user or f"row {row}", []).append(row)
    for own in voters.values():
        label = said[_latest(own, said)].label
        votes[label] = votes.get(label, 0) + 1
    most = max(votes.values())
    return [row for row in rows if votes.get(said[row].label) == most]
