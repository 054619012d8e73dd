"""ITimeline: what a user made when, as OMERO.web's history and "recent" pages ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from omero_hcs.sandbox.ice.record import omero, rtypes
from omero_hcs.sandbox.model.java import java_name
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.load import Plan, materialise
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.services.base import Service

KINDS = ("RenderingDef", "Image", "Project", "Dataset")
LOGGED = ("Image", "Dataset", "Project")
LINKED = ("Project", "Dataset", "Image")
ANYBODY = -1
# Collections, and the ref of their members, that are loaded with an object.
PARENTS = {"Image": (("datasetLinks", "parent"),), "Dataset": (("projectLinks", "parent"),)}


class ITimeline(Service):
    """Operations of `omero.api.ITimeline`."""

    def getByPeriod(
        self, types: Sequence[str], start: Any, end: Any, params: Any, merge: bool, current: Any
    ) -> dict[str, list[Any]]:
        with self.reading(current) as caller:
            found = {
                kind: list(self._made(kind, start, end, params, caller)) for kind in types or KINDS
            }
            if merge:
                found = merged(found, params)
            else:
                found = {kind: paged(rows, params) for kind, rows in found.items()}
            return {kind: self._loaded(rows, caller) for kind, rows in found.items()}

    def getMostRecentObjects(
        self, types: Sequence[str], params: Any, merge: bool, current: Any
    ) -> dict[str, list[Any]]:
        return self.getByPeriod(types, None, None, params, merge, current)

    def countByPeriod(
        self, types: Sequence[str], start: Any, end: Any, params: Any, current: Any
    ) -> dict[str, int]:
        with self.reading(current) as caller:
            return {
                kind: sum(1 for _ in self._made(kind, start, end, params, caller))
                for kind in types or KINDS
            }

    def getEventLogsByPeriod(self, start: Any, end: Any, params: Any, current: Any) -> list[Any]:
        """Return a log of each object's making; a sandbox keeps no others."""
        with self.reading(current) as caller:
            return [
                event_log(row)
                for kind in LOGGED
                for row in self._made(kind, start, end, params, caller, by_event=True)
            ]

    def getMostRecentAnnotationLinks(
        self,
        parentTypes: Sequence[str],
        childTypes: Sequence[str],
        namespaces: Sequence[str],
        params: Any,
        current: Any,
    ) -> list[Any]:
        with self.reading(current) as caller:
            links = [
                link
                for parent in parentTypes or LINKED
                for link in self.world.all(f"{parent}AnnotationLink")
                if caller.can_read(link) and _matches(link.values["child"], childTypes, namespaces)
            ]
            links.sort(key=last_changed, reverse=True)
            links = paged(links, params)
            plan = Plan(links)
            for link in links:
                plan.load(link.values["parent"])
                plan.load(link.values["child"])
            return materialise(self.world, links, plan, caller)

    def getMostRecentShareCommentLinks(self, params: Any, current: Any) -> list[Any]:
        return []

    # -- parts

    def _made(
        self,
        kind: str,
        start: Any,
        end: Any,
        params: Any,
        caller: Caller,
        *,
        by_event: bool = False,
    ) -> Iterator[Row]:
        first = float("-inf") if start is None else start.val
        last = float("inf") if end is None else end.val
        owner, group = wanted_owner(params, caller)
        for row in self.world.all(kind):
            his = row.details.owner
            if owner != ANYBODY and (his is None or his.id != owner):
                continue
            if group is not None and (row.details.group is None or row.details.group.id != group):
                continue
            times = times_of(row, by_event=by_event or start is None)
            if any(first <= time <= last for time in times) and caller.can_read(row):
                yield row

    def _loaded(self, rows: list[Row], caller: Caller) -> list[Any]:
        plan = Plan()
        for row in rows:
            self._plan(plan, row)
        return materialise(self.world, rows, plan, caller)

    def _plan(self, plan: Plan, row: Row) -> None:
        plan.load(row)
        details = row.details
        for other in (details.creation_event, details.owner, details.group):
            if other is not None:
                plan.load(other)
        for collection, parent in PARENTS.get(row.entity.name, ()):
            plan.touch(row, collection)
            for link in self.world.members(row, collection):
                plan.load(link)
                plan.add(row, collection, link)
                plan.load(link.values[parent])


def wanted_owner(params: Any, caller: Caller) -> tuple[int, int | None]:
    """Return whose objects are asked for, and of which group: a filter's, else one's own."""
    told = None if params is None else params.theFilter
    owner = caller.user.id if told is None or told.ownerId is None else told.ownerId.val
    group = None if told is None or told.groupId is None else told.groupId.val
    return owner, None if group is not None and group < 0 else group


def times_of(row: Row, *, by_event: bool) -> Iterator[int]:
    """Yield when an object was made and changed; an image counts when it was acquired."""
    if row.entity.name == "Image" and not by_event:
        acquired = row.values.get("acquisitionDate")
        if acquired is not None:
            yield acquired
        return
    for event in (row.details.creation_event, row.details.update_event):
        if event is not None:
            yield event.values["time"]


def last_changed(row: Row) -> tuple[int, int]:
    """Return what orders rows by their last change."""
    event = row.details.update_event
    return (0 if event is None else event.id, row.id)


def merged(found: dict[str, list[Row]], params: Any) -> dict[str, list[Row]]:
    """Keep the most recent of all kinds together, as many as the filter allows."""
    rows = [row for rows in found.values() for row in rows]
    rows.sort(key=last_changed, reverse=True)
    kept = set(paged(rows, params))
    return {kind: [row for row in rows if row in kept] for kind, rows in found.items()}


def paged(rows: list[Row], params: Any) -> list[Row]:
    """Return the part of rows that a filter's offset and limit ask for."""
    told = None if params is None else params.theFilter
    if told is None:
        return rows
    start = 0 if told.offset is None else told.offset.val
    return rows[start:] if told.limit is None else rows[start : start + told.limit.val]


def event_log(row: Row) -> Any:
    """Make the log of an object's making."""
    event = row.details.creation_event
    log = omero.model.EventLogI(row.id, True)  # noqa: FBT003  (omero-py's signature)
    log._action = rtypes.rstring("INSERT")
    log._entityType = rtypes.rstring(java_name(row.entity))
    log._entityId = rtypes.rlong(row.id)
    if event is not None:
        log._event = omero.model.EventI(event.id, True)  # noqa: FBT003
        log._event._time = rtypes.rtime(event.values["time"])
    return log


def _matches(annotation: Row, kinds: Sequence[str], namespaces: Sequence[str]) -> bool:
    if kinds and not any(annotation.entity.isa(kind) for kind in kinds):
        return False
    return not namespaces or annotation.values.get("ns") in namespaces
