"""Merge a graph of model objects that a client sent into the world, as IUpdate does.

What has no id is new; what has one and is loaded is changed where it differs; what is unloaded is
only pointed at. Collections that are not loaded, and members missing from one that is, are left
alone; but shapes missing from their region are deleted. What a rule forbids ends the transaction,
and nothing of the graph is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from omero_hcs.sandbox.model.java import java_name
from omero_hcs.sandbox.model.schema import SCHEMA, Entity, Field, Kind, entity_of
from omero_hcs.sandbox.objects.caller import SYSTEM_GROUP_ID, Caller
from omero_hcs.sandbox.objects.conditions import api_usage, security, stale, validation
from omero_hcs.sandbox.objects.load import Plan
from omero_hcs.sandbox.objects.ownership import Ownership, linked, named
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World

# Filled by the server where the client sends nothing.
SERVER_FILLS = {("Pixels", "sha1"): "Pending...", ("MapAnnotation", "mapValue"): None}
# Ordered collections own their members: what is missing from one that was sent is deleted. Of those
# in OMERO's model, clients change this one.
OWNED = frozenset({"Shape"})


class Merger:
    """One save: objects in, rows out. Used once, inside a transaction."""

    def __init__(self, world: World, caller: Caller) -> None:
        self._world, self._caller = world, caller
        self._ownership = Ownership(world, caller)
        self._rows: dict[int, Row] = {}  # by identity of the client's object
        self._loaded: list[tuple[Row, Any]] = []
        self._new: dict[Row, Any] = {}  # with the client's details
        self._changed: dict[Row, Any] = {}
        self._owned: set[Row] = set()

    def merge_all(self, objects: Sequence[Any]) -> list[Row]:
        """Merge the objects, then look whether what is new or changed keeps the rules.

        Raises
        ------
        omero.ApiUsageException, omero.ValidationException, omero.SecurityViolation,
        omero.OptimisticLockException
        """
        if any(one is None for one in objects):
            msg = "Argument to save cannot be null."
            raise api_usage(msg)
        rows = [self._merge(one) for one in objects]
        for row in self._new:
            self._own(row)
        for row in self._new:
            self._settle(row)
        for row, told in self._changed.items():
            self._ownership.check_change(row, told)
            self._world.touch(row, self._caller.event)
        return rows

    def _own(self, row: Row) -> None:
        if row in self._owned:
            return
        self._owned.add(row)
        for other in linked(row):
            if other in self._new:
                self._own(other)
        self._ownership.own(row, self._new[row])

    def plan(self) -> Plan:
        """Say what the client gets back: as much as he sent, no more."""
        plan = Plan()
        for row, sent in self._loaded:
            plan.load(row)
            for field in row.entity.collections:
                if getattr(sent, field.loaded_attribute):
                    plan.touch(row, field.name)
                    for member in self._world.members(row, field.name):
                        plan.load(member)
                        plan.add(row, field.name, member)
        return plan

    def _merge(self, sent: Any) -> Row:
        known = self._rows.get(id(sent))
        if known is not None:
            return known
        row = self._find(sent)
        if row is not None and (sent._id is None or not sent._loaded):
            self._rows[id(sent)] = row  # only pointed at, or an enumeration's value
            return row
        if row is None:
            row = self._world.insert(entity_of(sent).name)
            self._new[row] = sent._details
        else:
            self._check_version(row, sent)
        self._rows[id(sent)] = row
        self._loaded.append((row, sent))
        self._copy(row, sent)
        self._adopt_members(row, sent)
        return row

    def _find(self, sent: Any) -> Row | None:
        """Find the row that a client's object stands for; None for a new one."""
        entity = entity_of(sent)
        if sent._id is not None:
            return self._existing(entity, sent._id.val, is_loaded=sent._loaded)
        if not sent._loaded:
            msg = f"An unloaded {entity.name} has no id: there is nothing that it points at."
            raise validation(msg)
        if entity.is_enum and sent._value is not None:
            return self._world.find(entity.name, value=sent._value.val)
        return None

    def _existing(self, entity: Entity, row_id: int, *, is_loaded: bool) -> Row:
        row = self._world.get(entity.name, row_id)
        if row is None and is_loaded:
            msg = f"object no longer exists in database: {entity.name}:{row_id}"
            raise validation(msg)
        if row is None:
            msg = f"No row with the given identifier exists: [{java_name(entity)}#{row_id}]"
            raise validation(msg)
        if not self._can_load(row):
            msg = f"Cannot read {named(row)}"
            raise security(msg)
        return row

    def _can_load(self, row: Row) -> bool:
        group = row.details.group
        in_system = group is not None and group.id == SYSTEM_GROUP_ID
        return in_system or self._caller.can_read(row)

    def _check_version(self, row: Row, sent: Any) -> None:
        version = getattr(sent, "_version", None)
        if version is not None and version.val != row.version:
            msg = (
                "Row was updated or deleted by another transaction (or unsaved-value mapping was "
                f"incorrect): [{java_name(row.entity)}#{row.id}]"
            )
            raise stale(msg)

    def _copy(self, row: Row, sent: Any) -> None:
        changed, known = False, row.values
        for field in row.entity.stored:
            told = getattr(sent, field.attribute)
            if told is None and (field.name not in known or field.name in owners(row.entity)):
                continue  # most fields of most objects
            value = self._read(field, told)
            if not same(value, known.get(field.name)):
                self._world.set(row, field.name, value)
                changed = True
        changed = self._copy_external_info(row, sent._details) or changed
        if row not in self._new and (changed or self._ownership.moved(row, sent._details)):
            self._changed[row] = sent._details

    def _copy_external_info(self, row: Row, details: Any) -> bool:
        # Details that come without external information take it away.
        if details is None:
            return False
        told = details._externalInfo
        info = None if told is None else self._merge(told)
        if info is row.details.external_info:
            return False
        self._world.set_details(row, external_info=info)
        return True

    def _read(self, field: Field, value: Any) -> Any:
        if value is None:
            return None
        if field.kind is Kind.SCALAR:
            return value.val
        return self._merge(value) if field.kind is Kind.REF else value

    def _adopt_members(self, row: Row, sent: Any) -> None:
        for field in row.entity.collections:
            members = getattr(sent, field.attribute)
            if members and getattr(sent, field.loaded_attribute):
                merged = [self._adopt(row, field, one) for one in members if one is not None]
                if len(merged) > 1 and self._world.members(row, field.name) != merged:
                    self._world.arrange(row, field.name, merged)
            if field.target in OWNED and row not in self._new:
                self._remove_missing(row, field, sent)

    def _remove_missing(self, row: Row, field: Field, sent: Any) -> None:
        """Delete members of an ordered collection that came back without them."""
        if not getattr(sent, field.loaded_attribute):
            return
        kept = {self._rows[id(one)] for one in getattr(sent, field.attribute) if one is not None}
        for member in self._world.members(row, field.name):
            if member not in kept:
                if self._world.referrers(member):
                    msg = f"{named(member)} cannot be deleted: other objects point at it."
                    raise validation(msg)
                self._changed[row] = sent._details
                self._world.remove(member)

    def _adopt(self, row: Row, field: Field, sent: Any) -> Row:
        member = self._merge(sent)
        if sent._loaded and member.values.get(field.inverse) is not row:
            if member not in self._new:
                self._changed[member] = sent._details
            self._world.set(member, field.inverse, row)
        return member

    # -- rules that what is new has to keep, once the whole graph is there

    def _settle(self, row: Row) -> None:
        entity = row.entity
        for name in required(entity):
            if row.values.get(name) is None:
                key = (entity.name, name)
                if key not in SERVER_FILLS:
                    msg = (
                        "not-null property references a null or transient value: "
                        f"{java_name(entity)}.{name}"
                    )
                    raise validation(msg)
                if SERVER_FILLS[key] is not None:
                    self._world.set(row, name, SERVER_FILLS[key])
        if entity.is_link:
            self._check_unique(row)

    def _check_unique(self, row: Row) -> None:
        parent, child = row.values.get("parent"), row.values.get("child")
        if parent is None:
            return
        for other in self._world.references(parent, row.entity.name, "parent"):
            same_owner = other.details.owner is row.details.owner
            if other is not row and same_owner and other.values.get("child") is child:
                name = f"{row.entity.name.lower()}_parent_child_owner_id_key"
                msg = f'duplicate key value violates unique constraint "{name}"'
                raise validation(msg)


@cache
def required(entity: Entity) -> tuple[str, ...]:
    """Names of the fields that may not be null."""
    return tuple(one.name for one in entity.stored if not one.nullable)


@cache
def owners(entity: Entity) -> frozenset[str]:
    """Names of the references to a parent with an ordered collection of such rows.

    The collection alone writes that column: OMERO.iviewer saves a changed shape without its region,
    and the shape stays in it.
    """
    collections = (one for parent in SCHEMA.values() for one in parent.collections)
    return frozenset(
        one.inverse for one in collections if one.is_ordered and entity.isa(one.target)
    )


def same(one: Any, other: Any) -> bool:
    """Compare two values of a field; units and lists of named values by what they say."""
    if one is other:
        return True
    if hasattr(one, "getUnit") and hasattr(other, "getUnit"):
        return (one.getValue(), one.getUnit()) == (other.getValue(), other.getUnit())
    if isinstance(one, list) and isinstance(other, list):
        return [_parts(item) for item in one] == [_parts(item) for item in other]
    return bool(one == other)


def _parts(item: Any) -> Any:
    return (item.name, item.value) if hasattr(item, "name") else item
