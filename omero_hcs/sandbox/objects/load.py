"""From rows to the objects that clients get, with exactly what was fetched loaded.

OMERO gives back what a query fetched and nothing else: other objects are there by id only, other
collections are unloaded. Clients fail loudly when they touch what they did not fetch, and a sandbox
that is more generous would hide their faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from omero_hcs.sandbox.ice.record import omero, rtypes
from omero_hcs.sandbox.model.schema import Field, Kind
from omero_hcs.sandbox.objects.caller import EVERYTHING, Caller
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World


class Plan:
    """What is to be loaded: rows, and collections with the members that were found."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.rows: set[Row] = set(rows)
        self.collections: dict[tuple[Row, str], dict[Row, None]] = {}
        self.counts: set[tuple[Row, str]] = set()

    def load(self, row: Row) -> None:
        """Give the row back loaded, wherever it is met."""
        self.rows.add(row)

    def touch(self, row: Row, collection: str) -> None:
        """Give a collection back loaded, even if it stays empty."""
        self.collections.setdefault((row, collection), {})

    def add(self, row: Row, collection: str, member: Row) -> None:
        """Give a collection back loaded, with this member among others."""
        self.collections.setdefault((row, collection), {})[member] = None

    def count(self, row: Row, collection: str) -> None:
        """Give back how many members of a collection each user owns."""
        self.counts.add((row, collection))


class Builder:
    """Makes objects of rows. One builder makes one object of a row, however often it is met."""

    def __init__(self, world: World, plan: Plan, caller: Caller | None) -> None:
        self._world, self._plan, self._caller = world, plan, caller
        self._loaded: dict[Row, Any] = {}
        self._unloaded: dict[Row, Any] = {}

    def object_of(self, row: Row) -> Any:
        """Return the row's object: loaded if the plan says so, by id only otherwise."""
        if row in self._plan.rows:
            return self._loaded.get(row) or self._build(row)
        found = self._unloaded.get(row)
        if found is None:
            found = self._unloaded[row] = row.entity.unloaded(row.id)
        return found

    def _build(self, row: Row) -> Any:
        made = self._loaded[row] = row.entity.loaded(row.id)
        if hasattr(made, "_version"):
            made._version = rtypes.rint(row.version)
        for field in row.entity.stored:
            value = row.values.get(field.name)
            if value is not None:
                setattr(made, field.attribute, self._value(field, value))
        for field in row.entity.collections:
            self._fill(made, row, field)
        self._describe(made._details, row)
        return made

    def _value(self, field: Field, value: Any) -> Any:
        if field.wrap is not None:
            return field.wrap(value)
        return self.object_of(value) if field.kind is Kind.REF else value

    def _fill(self, made: Any, row: Row, field: Field) -> None:
        members = self._plan.collections.get((row, field.name))
        loaded = None if members is None else [self.object_of(member) for member in members]
        setattr(made, field.attribute, loaded)
        setattr(made, field.loaded_attribute, members is not None)
        if (row, field.name) in self._plan.counts:
            owners = (one.details.owner for one in self._world.members(row, field.name))
            counts = Counter(owner.id for owner in owners if owner is not None)
            setattr(made, field.count_attribute, dict(counts))

    def _describe(self, told: Any, row: Row) -> None:
        details = row.details
        for name, other in (
            ("_owner", details.owner),
            ("_group", details.group),
            ("_creationEvent", details.creation_event),
            ("_updateEvent", details.update_event),
            ("_externalInfo", details.external_info),
        ):
            if other is not None:
                setattr(told, name, self.object_of(other))
        told._permissions = permissions_of(row, self._caller)


def permissions_of(row: Row, caller: Caller | None) -> Any:
    """Return the `omero.model.Permissions` of a row, with what the caller may not do with it."""
    permissions = omero.model.PermissionsI(row.level)
    rights = EVERYTHING if caller is None else caller.rights(row)
    permissions._restrictions = [not right for right in rights]
    return permissions


def materialise(world: World, rows: Sequence[Row], plan: Plan, caller: Caller | None) -> list[Any]:
    """Make the objects of rows; a row that comes twice is the same object twice."""
    builder = Builder(world, plan, caller)
    return [builder.object_of(row) for row in rows]
