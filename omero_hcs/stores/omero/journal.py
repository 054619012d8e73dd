"""The journal of a run: a file attached to its plate or images, which only ever grows.

It is there before anything it tells of, so that undo finds whatever a run made, also after a crash.
See `stores.omero.journal_lines` for its lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import omero.gateway  # noqa: F401  (first: loads omero.model and omero.cmd in a working order)
from omero.model import FileAnnotationI
from omero.rtypes import rstring

from omero_hcs.model import ObjectRef
from omero_hcs.results import Results
from omero_hcs.stores.omero.changes import link_to, project_all
from omero_hcs.stores.omero.journal_lines import (
    Group,
    IntentLine,
    Line,
    MadeLine,
    RemovedLine,
    RemovingLine,
    RunLine,
    UndoingLine,
    lines_about,
    read_lines,
    written,
)
from omero_hcs.stores.omero.rawfiles import new_file, raw_store, read_file
from omero_hcs.stores.omero.record import DATASET, RUN_NAMESPACE, Made, WriteContext
from omero_hcs.stores.omero.session import Session, context_of

_PREFIX, _SUFFIX = "omero-hcs-run-", ".jsonl"
_FIRST_READ = 1 << 12
_LONGEST_HEADER = 1 << 20

Anchors = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a journal is: its FileAnnotation, its file, whose it is, and when it last grew."""

    annotation: int
    file: int
    name: str
    size: int
    owner: int
    group: int
    updated: datetime

    @property
    def run_id(self) -> str:
        """The run as the file's name tells it; a user may have renamed it."""
        return self.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)


@dataclass
class UnitState:
    """What a journal knows of one unit."""

    groups: list[Group] = field(default_factory=list)
    released: set[tuple[str, int]] = field(default_factory=set)
    removed: set[tuple[str, int]] = field(default_factory=set)
    open_intents: list[IntentLine] = field(default_factory=list)

    def made(self) -> list[Made]:
        """List what the unit has now."""
        gone = self.released | self.removed
        return [item for item in self._each() if (item.type, item.id) not in gone]

    def pending(self) -> list[Made]:
        """List what was to be removed, and may be there still."""
        waiting = self.released - self.removed
        return [item for item in self._each() if (item.type, item.id) in waiting]

    def release_all(self) -> None:
        """Note that all there is so far is about to be removed."""
        self.released |= {(item.type, item.id) for item in self._each()}

    def _each(self) -> Iterator[Made]:
        for group in self.groups:
            yield from group.each()


@dataclass
class Journal:
    """One journal, read: `good` is how many bytes of it are whole lines."""

    place: Place
    header: RunLine | None = None
    units: dict[str | None, UnitState] = field(default_factory=lambda: defaultdict(UnitState))
    good: int = 0

    def take(self, lines: Iterable[Line]) -> None:
        """Know what some more lines tell."""
        for line in lines:
            match line:
                case RunLine():
                    self.header = line
                case IntentLine():
                    self.units[line.unit].open_intents.append(line)
                case MadeLine():
                    self._take_made(line)
                case RemovingLine() | RemovedLine():
                    self._take_away(line)
                case UndoingLine():
                    for state in self.units.values():
                        state.release_all()

    def tag_links(self) -> frozenset[tuple[str, int]]:
        """Class and id of each link that the run put a tag on something with."""
        made = (one for state in self.units.values() for one in state.made())
        return frozenset((one.type, one.id) for one in made if one.kind == "tag")

    def datasets(self) -> tuple[int, ...]:
        """Ids of the datasets that the run made for its crops."""
        groups = [group for state in self.units.values() for group in state.groups]
        ids = [number for group in groups if group.type == DATASET for number in group.ids]
        return tuple(dict.fromkeys(ids))

    def _take_made(self, line: MadeLine) -> None:
        state = self.units[line.unit]
        state.groups += line.objects
        if line.complete:
            state.open_intents.clear()

    def _take_away(self, line: RemovingLine | RemovedLine) -> None:
        state = self.units[line.unit]
        known = {(group.type, number) for group in line.objects for number in group.ids}
        (state.released if isinstance(line, RemovingLine) else state.removed).update(known)


class Pen:
    """Adds lines to a journal; each is on the server when `write` returns."""

    def __init__(self, journal: Journal, store: Any, context: dict[str, str]) -> None:
        self._journal = journal
        self._store = store
        self._context = context

    def write(self, *lines: Line) -> None:
        """Add lines at the end."""
        data, journal = written(lines), self._journal
        self._store.write(data, journal.good, len(data), self._context)
        journal.good += len(data)
        journal.take(lines)


class Journals:
    """Journals of a server: found by what they are attached to, read once, and added to.

    Parameters
    ----------
    session : Session
        Who reads and writes.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._headers: dict[int, RunLine] = {}
        self._tags: dict[tuple[int, int], frozenset[tuple[str, int]]] = {}
        self._last: Journal | None = None

    def places(self, anchors: Anchors) -> list[Place]:
        """Journals attached to some objects, in the order in which they were made."""
        by_kind: dict[str, list[int]] = defaultdict(list)
        for kind, number in anchors:
            by_kind[kind].append(number)
        found: dict[int, Place] = {}
        for kind, ids in by_kind.items():
            hql = (
                "select a.id, f.id, f.name, f.size, a.details.owner.id, a.details.group.id, "
                "f.details.updateEvent.time from FileAnnotation a join a.file f "
                f"where a.ns = :ns and a.id in (select l.child.id from {kind}AnnotationLink l "
                "where l.parent.id in (:ids))"
            )
            for row in project_all(self._session, hql, ids, ns=RUN_NAMESPACE):
                number, file, name, size, owner, group, time = row
                found[number] = Place(number, file, name, size or 0, owner, group, _time(time))
        return [found[number] for number in sorted(found)]

    def header(self, place: Place) -> RunLine | None:
        """First line of a journal; None where a crash left it without."""
        if place.file not in self._headers:
            header = self._read_header(place)
            if header is None:
                return None
            self._headers[place.file] = header
        return self._headers[place.file]

    def find(self, anchors: Anchors, run_id: str, target: ObjectRef) -> Place | None:
        """Journal of a run of this user over a target.

        Where members may edit each other's things, what another one wrote is still in his journal.
        """
        for place in self.places(anchors):
            if place.owner != self._session.user_id:
                continue
            header = self.header(place)
            if header is None and place.run_id == run_id:
                return place
            if header is not None and (header.run_id, header.target) == (run_id, target):
                return place
        return None

    def open(self, place: Place) -> Journal:
        """Read a journal, unless it is the one that was read or written last."""
        last = self._last
        if last is None or last.place.file != place.file or last.good != place.size:
            last = Journal(place)
            lines, last.good = read_lines(self._content(place), _shown(place))
            last.take(lines)
        self._last = last
        return last

    def start(self, context: WriteContext, results: Results) -> Journal:
        """Find the journal of a run, or attach a new one."""
        place = self.find(context.anchors, results.run_id, results.target)
        journal = self.open(place or self._attach(context, results.run_id))
        if journal.header is None:
            with self.pen(journal) as pen:
                pen.write(_header(results))
        return journal

    def tags_of_others(self, anchors: Anchors, own: Place) -> frozenset[tuple[str, int]]:
        """Class and id of each link of a tag that another journal lists as well."""
        found: frozenset[tuple[str, int]] = frozenset()
        for place in self.places(anchors):
            if place.file == own.file:
                continue
            key = (place.file, place.size)
            if key not in self._tags:
                data = lines_about(self._content(place), "tag")
                journal = Journal(place)
                journal.take(read_lines(data, _shown(place))[0])
                self._tags[key] = journal.tag_links()
            found |= self._tags[key]
        return found

    def forget(self) -> None:
        """Read again what is asked for next: what is known may not be what is on the server."""
        self._last = None

    @contextmanager
    def pen(self, journal: Journal) -> Iterator[Pen]:
        """Open a journal to add lines; what a crash left of a line goes first."""
        place = journal.place
        context = context_of(place.group)
        try:
            with raw_store(self._session.conn, place.file, group=place.group) as store:
                if store.size(context) > journal.good:
                    store.truncate(journal.good, context)
                yield Pen(journal, store, context)
        except BaseException:
            self.forget()
            raise

    def _attach(self, context: WriteContext, run_id: str) -> Place:
        annotation = FileAnnotationI()
        name = f"{_PREFIX}{run_id}{_SUFFIX}"
        annotation.file = new_file(name, path="omero-hcs/", media_type="application/x-ndjson")
        annotation.ns = rstring(RUN_NAMESPACE)
        annotation.description = rstring(
            f"What omero-hcs run {run_id} made here. Keep it: undo needs it."
        )
        # In one call, so that there is never a journal that is attached to nothing.
        links = [link_to(kind, number, annotation) for kind, number in context.anchors]
        update = self._session.conn.c.sf.getUpdateService()
        ids = update.saveAndReturnIds(links, context_of(context.group))
        kind = context.anchors[0][0]
        hql = f"select l.child.id from {kind}AnnotationLink l where l.id = :id"
        ((number,),) = self._session.project(hql, {"id": ids[0]})
        return next(place for place in self.places(context.anchors) if place.annotation == number)

    def _read_header(self, place: Place) -> RunLine | None:
        length = _FIRST_READ
        while True:
            data = self._content(place, length)
            if b"\n" in data or len(data) < length or length > _LONGEST_HEADER:
                break
            length *= 8
        lines, _ = read_lines(data[: data.find(b"\n") + 1], _shown(place))
        return lines[0] if lines and isinstance(lines[0], RunLine) else None

    def _content(self, place: Place, limit: int | None = None) -> bytes:
        return self._session.read(
            lambda conn: read_file(conn, place.file, group=place.group, most=limit)
        )


def _header(results: Results) -> RunLine:
    return RunLine(
        run_id=results.run_id,
        key=results.key,
        task=results.task,
        target=results.target,
        started=datetime.now(UTC),
        package_version=version("omero-hcs"),
    )


def _shown(place: Place) -> str:
    return f"The run journal {place.name!r} (annotation {place.annotation})"


def _time(value: float) -> datetime:
    return datetime.fromtimestamp(value / 1000, UTC)
