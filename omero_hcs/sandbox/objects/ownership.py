"""Whose a saved object is, and whether its saver may link and change what he did.

These are the rules of OMERO's `OmeroInterceptor` and `BasicACLVoter`: what is new belongs to the
user and to the group that the call is about; it may point only at objects of that group, and only
at those of others if the group's permissions, or his own rank, allow it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from omero_hcs.sandbox.model.java import java_name
from omero_hcs.sandbox.model.schema import SCHEMA, Entity, Kind
from omero_hcs.sandbox.objects.caller import (
    GROUP_READ,
    GUEST_ID,
    SYSTEM_GROUP_ID,
    USER_GROUP_ID,
    USER_READ,
    USER_WRITE,
    WORLD_READ,
    WORLD_WRITE,
    Caller,
    privileged_kind,
)
from omero_hcs.sandbox.objects.conditions import (
    api_usage,
    group_security,
    permission_mismatch,
    read_only_group,
    security,
    stale,
)
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World

# What a group allows while a call is about all groups at once: nothing.
ALL_GROUPS_LEVEL = "------"
# To read an object is enough to make these beside it.
DISPLAY = ("RenderingDef", "ChannelBinding", "QuantumDef", "CodomainMapContext", "ProjectionDef")
READ, ANNOTATE, WRITE = "read", "annotate", "write"


class Ownership:
    """The rules about owners and groups, for one save by one caller."""

    def __init__(self, world: World, caller: Caller) -> None:
        self._world, self._caller = world, caller

    # -- new objects

    def own(self, row: Row, told: Any) -> None:
        """Give a new row its owner and group, and look at what it points at.

        Parameters
        ----------
        row : Row
            Its references are set, and what they point at has an owner already.
        told : omero.model.Details or None
            What the client said of it.

        Raises
        ------
        omero.SecurityViolation
            The caller may not make it, or not for this owner or group.
        omero.GroupSecurityViolation
            It would join objects of different groups.
        """
        self._check_creation(row)
        caller = self._caller
        owner = self._told(told, "_owner", "Experimenter")
        group = self._told(told, "_group", "ExperimenterGroup")
        if not row.entity.is_global:
            derived = self._check_links(row, owner, group)
            owner = self._owner(row, owner)
            group = self._group(row, group, derived)
            self._check_level(told, group)
        self._world.set_details(
            row,
            owner=None if row.entity.is_global else owner,
            group=None if row.entity.is_global else group,
            creation_event=None if row.entity.is_global else caller.event,
            update_event=None if row.entity.is_global else caller.event,
        )
        if row.entity.name == "ExperimenterGroup" and told is not None and told._permissions:
            self._world.set_details(row, permissions=str(told._permissions))

    def _told(self, told: Any, attribute: str, entity: str) -> Row | None:
        obj = None if told is None else getattr(told, attribute)
        return None if obj is None or obj._id is None else self._world.get(entity, obj._id.val)

    def _check_creation(self, row: Row) -> None:
        caller = self._caller
        if row.entity.is_global:
            if not caller.rights(row).edit:
                msg = (
                    f"{named(row)} is a System-type, "
                    "and may be created only through privileged APIs."
                )
                raise security(msg)
        elif caller.user.id == GUEST_ID:
            msg = f"not permitted to create {named(row)}"
            raise security(msg)
        elif row.entity.name == "OriginalFile" and row.values.get("repo") is not None:
            msg = f"cannot set repo property of {named(row)} via ORM"
            raise security(msg)

    def _owner(self, row: Row, told: Row | None) -> Row:
        caller = self._caller
        if told is None or told is caller.user:
            return caller.user
        if not caller.has(f"Write{privileged_kind(row)}"):
            msg = f"You are not authorized to set the Experimenter for {named(row)} to {told}"
            raise security(msg)
        return told

    def _group(self, row: Row, told: Row | None, derived: Row | None) -> Row:
        caller = self._caller
        privileged = caller.has(f"Write{privileged_kind(row)}")
        if told is not None:
            shared = privileged and told.id == USER_GROUP_ID
            anywhere = caller.group is None and (privileged or told in caller.groups)
            if told is not caller.group and not (shared or anywhere):
                msg = (
                    f"You are not authorized to set the ExperimenterGroup for {named(row)} "
                    f"to {told}"
                )
                raise security(msg)
            return told
        group = caller.group or derived
        if group is None:
            raise self._no_group(row, privileged=privileged)
        if not (privileged or group in caller.groups or self._open_to_all(row, group)):
            msg = f"You are not authorized to create {named(row)}"
            raise security(msg)
        return group

    @staticmethod
    def _no_group(row: Row, *, privileged: bool) -> Exception:
        if privileged:
            msg = f"Object unloaded: the group of {named(row)}. A save needs one group, not -1."
            return api_usage(msg)
        msg = f"You are not authorized to create {named(row)}: a save needs one group, not -1."
        return security(msg)

    @staticmethod
    def _open_to_all(row: Row, group: Row) -> bool:
        level = group.level
        wanted = "aw" if row.entity.is_annotation_link else "w"
        return level[WORLD_WRITE] in wanted or (
            level[WORLD_READ] == "r" and row.entity.name in (*DISPLAY, "Thumbnail")
        )

    @staticmethod
    def _check_level(told: Any, group: Row) -> None:
        permissions = None if told is None else told._permissions
        if permissions is None or group.id == USER_GROUP_ID or str(permissions) == group.level:
            return
        msg = "Manually setting permissions currently disallowed"
        raise permission_mismatch(msg)

    # -- changed objects

    def check_change(self, row: Row, told: Any) -> None:
        """Look whether the caller may change a row as he did.

        Raises
        ------
        omero.SecurityViolation
            He may not change it, or he asks in another group.
        omero.OptimisticLockException
            His copy is older than the row.
        """
        if not row.entity.is_global:
            self._check_links(row, row.details.owner, row.details.group)
            self._check_context(row)
            self._check_events(row, told)
        if not self._caller.rights(row).edit:
            msg = f"Updating {named(row)} not allowed."
            critical = not row.entity.is_global and self._caller.is_graph_critical(row)
            raise group_security(msg) if critical else security(msg)
        if not row.entity.is_global:
            self._move(row, told)

    def _check_context(self, row: Row) -> None:
        group, here = row.details.group, self._caller.group
        if group is not None and group is not here and group.id != USER_GROUP_ID:
            number = -1 if here is None else here.id
            msg = f"Currently logged into group {number}. Cannot alter object in group {group.id}"
            raise security(msg)

    def _check_events(self, row: Row, told: Any) -> None:
        made = self._told(told, "_creationEvent", "Event")
        if made is not None and made is not row.details.creation_event:
            msg = (
                f"You are not authorized to change the creation event for {named(row)} "
                f"from {row.details.creation_event} to {made}"
            )
            raise security(msg)
        changed = self._told(told, "_updateEvent", "Event")
        if changed is not None and changed is not row.details.update_event:
            msg = (
                f"You are not authorized to change the update event for {named(row)} "
                f"from {row.details.update_event} to {changed}\n"
                "You may need to reload the object before continuing."
            )
            raise stale(msg)

    def moved(self, row: Row, told: Any) -> bool:
        """Say whether a client's copy of a row names another owner or group."""
        owner = self._told(told, "_owner", "Experimenter")
        group = self._told(told, "_group", "ExperimenterGroup")
        details = row.details
        return owner not in (None, details.owner) or group not in (None, details.group)

    def _move(self, row: Row, told: Any) -> None:
        caller, details = self._caller, row.details
        owner = self._told(told, "_owner", "Experimenter")
        if owner is not None and owner is not details.owner:
            if not caller.has("Chown"):
                msg = (
                    f"You are not authorized to change the owner for {named(row)} "
                    f"from {details.owner} to {owner}"
                )
                raise security(msg)
            self._world.set_details(row, owner=owner)
        group = self._told(told, "_group", "ExperimenterGroup")
        if group is not None and group is not details.group:
            his = group in caller.groups and group.id != USER_GROUP_ID
            if not (his or caller.has("Chgrp")):
                msg = (
                    f"You are not authorized to change the group for {named(row)} "
                    f"from {details.group} to {group}"
                )
                raise security(msg)
            self._world.set_details(row, group=group)

    # -- what an object points at

    def _check_links(self, row: Row, owner: Row | None, group: Row | None) -> Row | None:
        """Look at the references of a row; return the group of the first, in a call about all."""
        if group is not None and group.id == SYSTEM_GROUP_ID:
            return None
        derived = None
        for other in linked(row):
            theirs = other.details.group
            if theirs is None or self._is_for_all(row, other):
                continue
            here = self._caller.group or derived or theirs
            derived = here
            if theirs is not here:
                msg = (
                    f"MIXED GROUP: {named(row)}(group={here}) and "
                    f"{named(other)}(group={theirs}) cannot be linked."
                )
                raise group_security(msg)
            self._check_link(row, owner, other)
        return derived if self._caller.group is None else None

    @staticmethod
    def _is_for_all(row: Row, other: Row) -> bool:
        group = other.details.group
        if group is None or group.id == SYSTEM_GROUP_ID:
            return True
        folder = row.entity.name == "OriginalFile" and row.values.get("mimetype") == "Directory"
        return group.id == USER_GROUP_ID and not folder

    def _check_link(self, row: Row, owner: Row | None, other: Row) -> None:
        caller, theirs = self._caller, other.details
        if not caller.can_read(other):
            msg = f"Cannot read {named(other)}"
            raise security(msg)
        mine = theirs.owner is caller.user
        if not mine and caller.is_graph_critical(other) and owner is not theirs.owner:
            name = caller.user.values["omeName"]
            msg = (
                f"Cannot link to {named(other)}\n"
                f"Current user ({name}) is an admin or the owner of\n"
                f"the private group ({theirs.group}={other.level}). It is not allowed to\n"
                "link to users' data."
            )
            raise read_only_group(msg)
        supervises = not mine and (
            theirs.group in caller.led or caller.has(f"Write{privileged_kind(other)}")
        )
        if not supervises and not self._is_granted(row, other, mine=mine):
            level = ALL_GROUPS_LEVEL if caller.group is None else caller.group.level
            msg = f"Group is {level}. Cannot link to object: {named(other)}"
            raise security(msg)

    def _is_granted(self, row: Row, other: Row, *, mine: bool) -> bool:
        here = self._caller.group
        level = ALL_GROUPS_LEVEL if here is None else here.level
        place = USER_READ if mine else WORLD_READ
        if not mine and other.details.group in self._caller.groups:
            place = GROUP_READ
        write = level[place + USER_WRITE]
        needed = needed_right(row, other)
        if needed == READ:
            return level[place] == "r"
        return write == "w" or (needed == ANNOTATE and write == "a")


def needed_right(row: Row, other: Row) -> str:
    """Say what somebody must be allowed to do with an object to make another point at it."""
    names = (row.entity.name, other.entity.name)
    if "RenderingDef" in names or names == ("Thumbnail", "Pixels"):
        return READ
    if row.entity.is_annotation_link or names == ("Roi", "Image"):
        return ANNOTATE
    return WRITE


def linked(row: Row) -> Iterator[Row]:
    """Rows that a row points at and that belong to somebody."""
    for name in references(row.entity):
        other = row.values.get(name)
        if other is not None:
            yield other


@cache
def references(entity: Entity) -> tuple[str, ...]:
    """Names of the fields that point at what belongs to somebody."""
    refs = (one for one in entity.stored if one.kind is Kind.REF)
    return tuple(one.name for one in refs if not SCHEMA[one.target].is_global)


def named(row: Row) -> str:
    """Name a row as the server's Java objects do: `ome.model.core.Image:Id_5`."""
    return f"{java_name(row.entity)}:Id_{row.id}"
