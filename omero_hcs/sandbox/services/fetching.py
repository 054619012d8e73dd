"""What a service gives back loaded: paths from an object to others, and options of a call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from omero_hcs.sandbox.model.schema import Kind
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.load import Plan
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World

DETAILS = {
    "owner": "owner",
    "group": "group",
    "creationEvent": "creation_event",
    "updateEvent": "update_event",
    "externalInfo": "external_info",
}


class Fetch:
    """Loads rows, and what paths lead to from them; nothing that the caller can't see.

    Attributes
    ----------
    plan : Plan
        What has been loaded so far.
    """

    def __init__(self, world: World, caller: Caller) -> None:
        self._world, self._caller = world, caller
        self.plan = Plan()

    def load(self, rows: Iterable[Row], *paths: str) -> None:
        """Load rows and what lies on paths such as `pixels.pixelsType` or `details.owner`."""
        rows = list(rows)
        for row in rows:
            self.plan.load(row)
        for path in paths:
            reached = rows
            for name in path.removeprefix("details.").split("."):
                reached = [other for row in reached for other in self._step(row, name)]

    def _step(self, row: Row, name: str) -> Iterable[Row]:
        if name in DETAILS and name not in row.entity.fields:
            return self._loaded([getattr(row.details, DETAILS[name])])
        field = row.entity.fields.get(name)
        if field is None:  # a field of some of an entity's descendants only
            return []
        if field.kind is not Kind.COLLECTION:
            return self._loaded([row.values.get(name)])
        self.plan.touch(row, name)
        members = self._loaded(self._world.members(row, name))
        for member in members:
            self.plan.add(row, name, member)
        return members

    def _loaded(self, rows: Iterable[Row | None]) -> list[Row]:
        seen = [row for row in rows if row is not None and self._caller.can_read(row)]
        for row in seen:
            self.plan.load(row)
        return seen


@dataclass(frozen=True)
class Choice:
    """What the parameters of a call choose, besides the values of a query.

    Attributes
    ----------
    owner, group : int or None
        Ids: only what belongs to them.
    start, end : int or None
        Milliseconds since 1970: only what was made in between.
    leaves, orphan, acquisition : bool
        Load the images in containers; also what is in no container; how images were taken.
    """

    owner: int | None = None
    group: int | None = None
    start: int | None = None
    end: int | None = None
    offset: int | None = None
    limit: int | None = None
    leaves: bool = False
    orphan: bool = False
    acquisition: bool = False

    @classmethod
    def of(cls, parameters: Any) -> Choice:
        """Read the parameters of a call; None chooses nothing."""
        if parameters is None:
            return cls()
        chosen, options = parameters.theFilter, parameters.theOptions
        return cls(
            *(
                _value(getattr(chosen, name, None))
                for name in ("ownerId", "groupId", "startTime", "endTime", "offset", "limit")
            ),
            *(
                bool(_value(getattr(options, name, None)))
                for name in ("leaves", "orphan", "acquisitionData")
            ),
        )

    def takes(self, row: Row) -> bool:
        """Say whether a row belongs to whom was chosen; an owner goes before a group."""
        if self.owner is not None:
            return row.details.owner is not None and row.details.owner.id == self.owner
        if self.group is not None:
            return row.details.group is not None and row.details.group.id == self.group
        return True

    def is_in_time(self, row: Row) -> bool:
        """Say whether a row was made in the chosen time."""
        event = row.details.creation_event
        made = 0 if event is None else event.values["time"]
        return (self.start is None or made > self.start) and (self.end is None or made < self.end)

    def page(self, rows: list[Row]) -> list[Row]:
        """Return the chosen part of rows."""
        start = self.offset or 0
        return rows[start:] if self.limit is None else rows[start : start + self.limit]


def _value(told: Any) -> Any:
    return None if told is None else told.val
