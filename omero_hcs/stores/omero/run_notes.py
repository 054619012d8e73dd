"""What a plate tells of the runs over it: one map annotation a run, kept up to date meanwhile.

It is for people, in OMERO.web's right panel, and for whoever lists runs: of other processors and of
command lines too. Schema version 1: the names of the pairs below. Its name is the run's id; whose
it is, and with that who runs it, is what the server knows of its owner.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import omero.gateway  # noqa: F401  (first: loads omero.model in a working order)
from omero import OptimisticLockException
from omero.model import MapAnnotationI, NamedValue
from omero.rtypes import rstring

from omero_hcs.errors import NotAllowedError, RunNotFoundError
from omero_hcs.model import ObjectRef, duration
from omero_hcs.stores.base import RunNote, RunState
from omero_hcs.stores.omero.changes import Subject, delete, link_to, load_all, save, told
from omero_hcs.stores.omero.layout import Layouts
from omero_hcs.stores.omero.notes import link_children
from omero_hcs.stores.omero.record import RUN_NAMESPACE
from omero_hcs.stores.omero.session import Session, batches, context_of

_RUN, _STATUS, _STARTED, _STOP = "Run", "Status", "Started", "Stop asked by"
_DONE, _FAILED, _LEFT = "Done", "Failed", "Time left"
_TIME = "%Y-%m-%d %H:%M:%S UTC"
_UNITS: Mapping[str, float] = {"s": 1.0, "min": 60.0, "h": 3600.0}
_TRIES = 3


class RunNotes:
    """Notes of the runs over the objects of one store.

    Parameters
    ----------
    session : Session
        Who tells, reads and stops.
    layouts : Layouts
        What the store's objects are.
    """

    def __init__(self, session: Session, layouts: Layouts) -> None:
        self._session = session
        self._layouts = layouts
        self._own: dict[tuple[ObjectRef, str], int] = {}

    def post(self, target: ObjectRef, note: RunNote) -> None:
        """Tell of a run on an object; see `RunBoard.post_note`."""
        group = self._layouts.group_of(target)
        note = replace(note, user=self._session.user)
        with told(Subject(self._session, group, f"what {target.kind} {target.id} tells of runs")):
            self._session.write(lambda _: self._post(target, group, note), group)

    def notes(self, target: ObjectRef) -> tuple[RunNote, ...]:
        """List the notes of the runs over an object; see `RunBoard.run_notes`."""
        if target not in self._layouts.refs():
            return ()
        return tuple(
            replace(note_of(pairs), user=owner)
            for _, owner, pairs in self._on(target)
            if _RUN in pairs
        )

    def ask_to_stop(self, run_id: str, who: str) -> None:
        """Mark a run's notes, wherever on the server; see `RunBoard.ask_to_stop`."""
        hql = (
            "select new map(a.id as id, a as a_details_permissions) from MapAnnotation a "
            "where a.ns = :ns and a.name = :run"
        )
        rows = self._session.project(hql, {"ns": RUN_NAMESPACE, "run": run_id})
        if not rows:
            msg = (
                f"No object that {self._session.user} may see on {self._session.server} tells of a "
                f"run {run_id!r}. HCS_Runs lists the runs of a plate."
            )
            raise RunNotFoundError(msg)
        numbers = [row[0]["id"] for row in rows if row[0]["a_details_permissions"]["canEdit"]]
        if not numbers:
            raise self._not_his(run_id, rows[0][0]["id"])
        for number in numbers:
            self._mark(number, who)

    def stop_asked(self, run_id: str) -> str | None:
        """Who asked a run of this user to stop; see `RunBoard.stop_asked`."""
        hql = (
            "select m.value from MapAnnotation a join a.mapValue m where a.ns = :ns "
            "and a.name = :run and m.name = :key and a.details.owner.id = :me"
        )
        given: dict[str, str | int] = {"ns": RUN_NAMESPACE, "run": run_id, "key": _STOP}
        rows = self._session.project(hql, {**given, "me": self._session.user_id})
        return next((str(row[0]) for row in rows if row[0]), None)

    def remove(self, run_id: str) -> None:
        """Tell no more of a run on the store's objects; see `RunBoard.remove_note`."""
        for target in self._layouts.refs():
            numbers = [number for number, _, pairs in self._on(target) if pairs.get(_RUN) == run_id]
            group = self._layouts.group_of(target) if numbers else 0
            gone = [number for number in numbers if self._may_delete(number, group)]
            if gone:
                self._delete(gone, group)
            self._own.pop((target, run_id), None)

    def _post(self, target: ObjectRef, group: int, note: RunNote) -> None:
        key = target, note.run_id
        if key not in self._own:
            mine = self._session.user
            known = [
                number
                for number, owner, pairs in self._on(target)
                if (pairs.get(_RUN), owner) == (note.run_id, mine)
            ]
            self._own[key] = known[0] if known else self._attach(target, group, note)
        self._change(self._own[key], lambda pairs: pairs_of(_with_mark(note, pairs)))

    def _attach(self, target: ObjectRef, group: int, note: RunNote) -> int:
        annotation = MapAnnotationI()
        annotation.ns, annotation.name = rstring(RUN_NAMESPACE), rstring(note.run_id)
        annotation.description = rstring("How far a run of omero-hcs is. An undo removes it.")
        annotation.setMapValue([NamedValue(*pair) for pair in pairs_of(note)])
        (kind, first), *rest = self._layouts.anchors(target)
        (link,) = save(self._session, group, [link_to(kind, first, annotation)])
        children = link_children(self._session, [(f"{kind}AnnotationLink", link)])
        number = children[f"{kind}AnnotationLink", link]
        save(self._session, group, [link_to(*one, _unloaded(number)) for one in rest])
        return number

    def _mark(self, number: int, who: str) -> None:
        ((group,),) = self._session.project(
            "select a.details.group.id from MapAnnotation a where a.id = :id", {"id": number}
        )

        def marked(pairs: Mapping[str, str]) -> Iterable[tuple[str, str]]:
            return {**pairs, _STOP: pairs.get(_STOP) or who}.items()

        with told(Subject(self._session, group, "a run's note")):
            self._session.write(lambda _: self._change(number, marked), group)

    def _change(
        self, number: int, changed: Callable[[Mapping[str, str]], Iterable[tuple[str, str]]]
    ) -> None:
        """Give a note other pairs; again, where somebody else was faster."""
        hql = "select a from MapAnnotation a left outer join fetch a.mapValue where a.id in (:ids)"
        for left in reversed(range(_TRIES)):
            for note in load_all(self._session, hql, [number]):
                before = {pair.name: pair.value for pair in note.getMapValue() or ()}
                note.setMapValue([NamedValue(*pair) for pair in changed(before)])
                update = self._session.conn.c.sf.getUpdateService()
                group = note.details.group.id.val
                with contextlib.suppress(*((OptimisticLockException,) if left else ())):
                    update.saveObject(note, context_of(group))
                    return

    def _on(self, target: ObjectRef) -> list[tuple[int, str, dict[str, str]]]:
        """Id, owner's name and pairs of each note on an object."""
        by_kind: dict[str, set[int]] = defaultdict(set)
        for kind, number in self._layouts.anchors(target):
            by_kind[kind].add(number)
        found: dict[int, tuple[str, dict[str, str]]] = {}
        for kind, ids in by_kind.items():
            hql = (
                "select a.id, a.details.owner.omeName, m.name, m.value from MapAnnotation a "
                "join a.mapValue m where a.ns = :ns and a.id in (select l.child.id "
                f"from {kind}AnnotationLink l where l.parent.id in (:ids))"
            )
            for batch in batches(sorted(ids)):
                for row in self._session.project(hql, {"ns": RUN_NAMESPACE, "ids": batch}):
                    number, owner, name, value = row
                    found.setdefault(number, (owner, {}))[1][name] = value
        return [(number, *found[number]) for number in sorted(found)]

    def _delete(self, numbers: list[int], group: int) -> None:
        with told(Subject(self._session, group, "a run's note")):
            self._session.write(
                lambda _: delete(self._session, group, {"MapAnnotation": numbers}), group
            )

    def _may_delete(self, number: int, group: int) -> bool:
        return bool(self._permissions(number, group).get("canDelete"))

    def _permissions(self, number: int, group: int) -> dict[str, Any]:
        hql = "select new map(a.id as id, a as a_details_permissions) from Annotation a "
        rows = self._session.project(f"{hql}where a.id = :id", {"id": number}, group=group)
        return dict(rows[0][0]["a_details_permissions"]) if rows else {}

    def _not_his(self, run_id: str, number: int) -> NotAllowedError:
        hql = (
            "select a.details.owner.omeName, a.details.group.name from MapAnnotation a "
            "where a.id = :id"
        )
        ((owner, group),) = self._session.project(hql, {"id": number})
        msg = (
            f"Run {run_id} is {owner}'s, and {self._session.user} may not stop it. In group "
            f"{group!r} only {owner}, an owner of the group or an administrator may: ask one of "
            "them."
        )
        return NotAllowedError(msg)


def pairs_of(note: RunNote) -> list[tuple[str, str]]:
    """Write a note down for people; what is not known is left out."""
    goes_on = note.status == "running"
    how = f"omero-hcs runs cancel {note.run_id}" if goes_on else f"omero-hcs undo {note.run_id}"
    pairs = [
        (_RUN, note.run_id),
        ("Task", note.task),
        (_STATUS, f"{note.status}: {note.stage}" if goes_on and note.stage else note.status),
        (_DONE, f"{note.done} of {note.total}" if note.total else ""),
        (_FAILED, str(note.failed or "")),
        (_LEFT, f"about {duration(note.left)}" if goes_on and note.left is not None else ""),
        (_STARTED, _written(note.started)),
        ("Last sign of life" if goes_on else "Ended", _written(note.alive)),
        ("Run by", note.user),
        ("Model", note.model),
        ("Result", note.result),
        ("To cancel it" if goes_on else "To undo it", f"script HCS_Runs, or: {how}"),
        (_STOP, note.stop_asked_by),
    ]
    return [(name, value) for name, value in pairs if value]


def note_of(pairs: Mapping[str, str]) -> RunNote:
    """Read what `pairs_of` wrote; what somebody garbled counts as not known."""
    status, _, stage = pairs.get(_STATUS, "").partition(": ")
    done, total = _numbers(pairs.get(_DONE, ""), 2)
    (failed,) = _numbers(pairs.get(_FAILED, ""), 1)
    known: dict[str, RunState] = {state: state for state in get_args(RunState)}
    return RunNote(
        run_id=pairs[_RUN],
        task=pairs.get("Task", ""),
        status=known.get(status, "failed"),
        stage=stage,
        started=_read(pairs.get(_STARTED, "")),
        alive=_read(pairs.get("Last sign of life") or pairs.get("Ended", "")),
        done=done,
        total=total,
        failed=failed,
        left=_seconds(pairs.get(_LEFT, "")),
        user=pairs.get("Run by", ""),
        model=pairs.get("Model", ""),
        result=pairs.get("Result", ""),
        stop_asked_by=pairs.get(_STOP, ""),
    )


def _with_mark(note: RunNote, before: Mapping[str, str]) -> RunNote:
    """Keep the mark of whoever wants this start of the run to stop."""
    if note.status != "running" or before.get(_STARTED) != _written(note.started):
        return note
    return replace(note, stop_asked_by=before.get(_STOP, ""))


def _unloaded(number: int) -> Any:
    return MapAnnotationI(number, False)  # noqa: FBT003  (OMERO's own: not loaded)


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(_TIME)


def _read(text: str) -> float:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _seconds(text: str) -> float | None:
    found = re.fullmatch(r"about ([0-9.]{1,12}) (s|min|h)", text)
    return float(found[1]) * _UNITS[found[2]] if found else None


def _numbers(text: str, count: int) -> list[int]:
    found = [int(number) for number in re.findall(r"[0-9]{1,12}", text)][:count]
    return found + [0] * (count - len(found))
