"""Merge a graph of model objects that a client sent into the world, as IUpdate does.

What has no id is new; what has one and is loaded is changed where it differs; what is unloaded is
only pointed at. Collections that are not loaded, and members missing from one that is, are left
alone. What a rule forbids ends the transaction, and nothing of the graph is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from omero_hcs.sandbox.model.schema import Entity, Field, Kind, entity_of
from omero_hcs.sandbox.objects.caller import USER_GROUP_ID, Caller
from omero_hcs.sandbox.objects.conditions import (
    api_usage,
    group_security,
    security,
    stale,
    validation,
)
from omero_hcs.sandbox.objects.load import Plan
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World

# To make these beside another user's object is to annotate it; anything else is to link to it.
ANNOTATING = ("Annotation", "Roi", "Shape", "RenderingDef", "Thumbnail", "ChannelBinding")
# Filled by the server where the client sends nothing.
SERVER_FILLS = {("Pixels", "sha1"): "Pending...", ("MapAnnotation", "mapValue"): None}


class Merger:
    """One save: objects in, rows out. Used once, inside a transaction."""

    def __init__(self, world: World, caller: Caller) -> None:
        self._world, self._caller = world, caller
        self._rows: dict[int, Row] = {}  # by identity of the client's object
        self._loaded: list[tuple[Row, Any]] = []
        self._new: dict[Row, None] = {}

    def merge_all(self, objects: Sequence[Any]) -> list[Row]:
        """Merge the objects, then look whether what is new keeps the rules.

        Raises
        ------
        omero.ValidationException, omero.SecurityViolation, omero.OptimisticLockException
        """
        rows = [self._merge(one) for one in objects]
        for row in self._new:
            self._settle(row)
        for row in self._new:
            self._check_links(row)
        return rows

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
        entity = entity_of(sent)
        row_id = None if sent._id is None else sent._id.val
        if not sent._loaded:
            row = self._rows[id(sent)] = self._existing(entity, row_id)
            return row
        if entity.is_enum and row_id is None:
            row = self._rows[id(sent)] = self._enumeration(entity, sent)
            return row
        row = self._insert(entity) if row_id is None else self._existing(entity, row_id)
        self._rows[id(sent)] = row
        self._loaded.append((row, sent))
        if row in self._new:
            self._own(row, sent._details)
        else:
            self._check_version(row, sent)
        self._copy(row, sent)
        self._adopt_members(row, sent)
        return row

    def _existing(self, entity: Entity, row_id: int | None) -> Row:
        row = None if row_id is None else self._world.get(entity.name, row_id)
        if row is None:
            msg = f"No row with the given identifier exists: [ome.model.{entity.name}#{row_id}]"
            raise validation(msg)
        if not self._caller_sees(row):
            msg = f"Cannot read ome.model.{entity.name}:Id_{row_id}"
            raise security(msg)
        return row

    def _caller_sees(self, row: Row) -> bool:
        # A call may name one group and point at what lies in another of the caller's: that is
        # refused for its group later, with a better reason than "does not exist".
        group = row.details.group
        everywhere = self._caller.in_all_groups()
        return group is None or everywhere.can_read(row)

    def _enumeration(self, entity: Entity, sent: Any) -> Row:
        value = None if sent._value is None else sent._value.val
        row = self._world.find(entity.name, value=value)
        if row is None:
            msg = f"An ome.model.enums.{entity.name} was not found with the value: {value}"
            raise api_usage(msg)
        return row

    def _insert(self, entity: Entity) -> Row:
        if entity.is_global and not (entity.is_enum and self._caller.is_admin):
            msg = (
                f"ome.model.meta.{entity.name} is a System-type, "
                "and may only be created through privileged APIs."
            )
            raise security(msg)
        row = self._world.insert(entity.name)
        self._new[row] = None
        return row

    def _own(self, row: Row, details: Any) -> None:
        caller = self._caller
        owner, group = caller.user, caller.group
        if details is not None and details._group is not None and details._group._id is not None:
            group = self._world.get("ExperimenterGroup", details._group._id.val)
            if not caller.is_admin and group not in caller.groups:
                msg = (
                    f"Not authorized to set the ExperimenterGroup for {row.entity.name} to {group}"
                )
                raise security(msg)
        if details is not None and details._owner is not None and details._owner._id is not None:
            told = self._world.get("Experimenter", details._owner._id.val)
            if told is not owner and not caller.supervises(group):
                msg = f"You are not authorized to set the Experimenter for {row.entity.name}"
                raise security(msg)
            owner = told or owner
        self._world.set_details(
            row,
            owner=owner,
            group=group,
            creation_event=caller.event,
            update_event=caller.event,
        )

    def _check_version(self, row: Row, sent: Any) -> None:
        version = getattr(sent, "_version", None)
        if version is not None and version.val < row.version:
            msg = (
                "Row was updated or deleted by another transaction (or unsaved-value mapping was "
                f"incorrect): {row}"
            )
            raise stale(msg)

    def _copy(self, row: Row, sent: Any) -> None:
        changed = False
        for field in row.entity.stored:
            value = self._read(field, getattr(sent, field.attribute))
            if not same(value, row.values.get(field.name)):
                self._may_change(row)
                self._world.set(row, field.name, value)
                changed = True
        external = None if sent._details is None else sent._details._externalInfo
        if external is not None:
            info = self._merge(external)
            changed = changed or info is not row.details.external_info
            self._world.set_details(row, external_info=info)
        if changed and row not in self._new:
            self._world.touch(row, self._caller.event)

    def _read(self, field: Field, value: Any) -> Any:
        if value is None:
            return None
        if field.kind is Kind.SCALAR:
            return value.val
        return self._merge(value) if field.kind is Kind.REF else value

    def _may_change(self, row: Row) -> None:
        if row not in self._new and not self._caller.rights(row).edit:
            msg = f"Cannot update object: ome.model.{row.entity.name}:Id_{row.id}"
            raise security(msg)

    def _adopt_members(self, row: Row, sent: Any) -> None:
        for field in row.entity.collections:
            members = getattr(sent, field.attribute)
            if members and getattr(sent, field.loaded_attribute):
                merged = [self._adopt(row, field, one) for one in members if one is not None]
                if len(merged) > 1 and self._world.members(row, field.name) != merged:
                    self._world.arrange(row, field.name, merged)

    def _adopt(self, row: Row, field: Field, sent: Any) -> Row:
        member = self._merge(sent)
        if sent._loaded and member.values.get(field.inverse) is not row:
            self._may_change(member)
            self._world.set(member, field.inverse, row)
        return member

    # -- rules that what is new has to keep, once the whole graph is there

    def _settle(self, row: Row) -> None:
        entity = row.entity
        for field in entity.stored:
            if not field.nullable and row.values.get(field.name) is None:
                key = (entity.name, field.name)
                if key not in SERVER_FILLS:
                    msg = (
                        "not-null property references a null or transient value: "
                        f"ome.model.{entity.name}.{field.name}"
                    )
                    raise validation(msg)
                if SERVER_FILLS[key] is not None:
                    self._world.set(row, field.name, SERVER_FILLS[key])
        if row.details.group is None or entity.is_link:
            self._world.set_details(row, group=self._group_of(row))

    def _group_of(self, row: Row) -> Row:
        groups = (other.details.group for other in linked(row))
        shared = (group for group in groups if group is not None and group.id != USER_GROUP_ID)
        return next(shared, None) or row.details.group or self._caller.session_group

    def _check_links(self, row: Row) -> None:
        annotating = row.entity.is_annotation_link or any(map(row.entity.isa, ANNOTATING))
        for other in linked(row):
            self._check_group(row, other)
            rights = self._caller.rights(other)
            if not (rights.annotate if annotating else rights.link):
                msg = (
                    f"Group permissions do not allow you to link to object: {other} ({other.level})"
                )
                raise security(msg)
        if row.entity.is_link:
            self._check_unique(row)

    def _check_group(self, row: Row, other: Row) -> None:
        mine, theirs = row.details.group, other.details.group
        if mine is None or theirs is None or mine is theirs:
            return
        if USER_GROUP_ID not in (mine.id, theirs.id):
            msg = f"MIXED GROUP: {row} of {mine} cannot be linked to {other} of {theirs}"
            raise group_security(msg)

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


def linked(row: Row) -> Iterator[Row]:
    """Rows that a row points at and that belong to somebody."""
    for field in row.entity.stored:
        other = row.values.get(field.name)
        if field.kind is Kind.REF and other is not None and not other.entity.is_global:
            yield other


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
