"""What the parts of IAdmin share: finding people, and who may change what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from omero_hcs.sandbox.accounts import Accounts
from omero_hcs.sandbox.model.schema import SCHEMA, entity_of
from omero_hcs.sandbox.objects.caller import (
    EVERY_PRIVILEGE,
    GROUP_READ,
    SYSTEM_GROUP_ID,
    USER_GROUP_ID,
    USER_READ,
    Caller,
)
from omero_hcs.sandbox.objects.conditions import api_usage, group_security, security, validation
from omero_hcs.sandbox.objects.ownership import linked, named, references
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.services.base import Service

MODIFY_USER, MODIFY_GROUP, MODIFY_MEMBERSHIP = "ModifyUser", "ModifyGroup", "ModifyGroupMembership"


class AdminService(Service):
    """Lookups and checks for the operations of IAdmin."""

    @property
    def accounts(self) -> Accounts:
        """Users, groups, memberships and passwords."""
        return self.server.accounts

    # -- finding

    def managed(self, obj: Any) -> Row:
        """Find the row that a client's object, which may be unloaded, stands for.

        Raises
        ------
        omero.ApiUsageException
            The object is none, or has no id.
        omero.ValidationException
            There is no such row.
        """
        if obj is None:
            msg = "Argument may not be null."
            raise api_usage(msg)
        entity = entity_of(obj)
        if obj._id is None:
            msg = f"ome.model.meta.{entity.name} has no id."
            raise api_usage(msg)
        row = self.world.get(entity.name, obj._id.val)
        if row is None:
            msg = (
                f"The requested object (ome.model.meta.{entity.name},{obj._id.val}) "
                "is not available.\nPlease use IQuery.find to determine existence.\n"
            )
            raise validation(msg)
        return row

    def user_named(self, name: str) -> Row:
        """Find a user by the name he logs in with.

        Raises
        ------
        omero.ApiUsageException
            There is none.
        """
        user = self.accounts.user(name)
        if user is None:
            msg = f"No such experimenter: {name}"
            raise api_usage(msg)
        return user

    def group_named(self, name: str) -> Row:
        """Find a group by its name.

        Raises
        ------
        omero.ApiUsageException
            There is none.
        """
        group = self.accounts.group(name)
        if group is None:
            msg = f"No such group: {name}"
            raise api_usage(msg)
        return group

    def known_privileges(self, told: Sequence[Any]) -> frozenset[str]:
        """Return the names of privileges.

        Raises
        ------
        omero.ApiUsageException
            There is no such privilege.
        """
        names = frozenset(
            self.managed(one).values["value"] if one._value is None else one._value.val
            for one in told
        )
        for name in sorted(names - EVERY_PRIVILEGE):
            msg = f"unknown light administrator privilege: {name}"
            raise api_usage(msg)
        return names

    # -- who may

    def check_leads_user(self, caller: Caller, user: Row) -> None:
        """Let administrators change a user, and owners of one of his groups.

        Raises
        ------
        omero.SecurityViolation
        """
        his = self.accounts.groups_of(user)
        if not (caller.has(MODIFY_USER) or any(group in caller.led for group in his)):
            raise self.refusal()

    def check_leads_groups(self, caller: Caller, groups: Iterable[Row], privilege: str) -> None:
        """Let administrators change groups, and who owns all of them.

        Raises
        ------
        omero.SecurityViolation
        """
        if not (caller.has(privilege) or all(group in caller.led for group in groups)):
            raise self.refusal()

    @staticmethod
    def refusal() -> Exception:
        """Make the error of somebody who is neither an admin nor an owner."""
        msg = "Current user is neither admin nor group-leader for the given user(s)/group(s)"
        return security(msg)

    # -- changing

    def change_level(self, caller: Caller, group: Row, level: str) -> None:
        """Change what the members of a group may do with each other's objects.

        Raises
        ------
        omero.SecurityViolation
            The caller may not, or the group would become private although objects of its members
            are joined: `Chmod2` parts them.
        """
        if not (caller.has(MODIFY_GROUP) or group in caller.led):
            msg = "chmod not permitted"
            raise security(msg)
        if level[USER_READ] != "r":
            msg = f"Cannot remove user read: {named(group)}"
            raise group_security(msg)
        if group.level[GROUP_READ] == "r" and level[GROUP_READ] != "r":
            locks = self._joined(group)
            if locks:
                told = ", ".join(f"{entity}={count}" for entity, count in locks.items())
                msg = (
                    f"Cannot change permissions on {named(group)} to {level} due to locks:\n{told}"
                )
                raise security(msg)
        if level != group.level:
            self.world.set_details(group, permissions=level)

    def _joined(self, group: Row) -> Counter[str]:
        """Count what points at an object of another owner, by entity."""
        return Counter(
            row.entity.name
            for entity in SCHEMA.values()
            if not entity.is_global and entity.implementation is not None and references(entity)
            for row in self.world.all(entity.name)
            if row.entity is entity and row.details.group is group
            for other in linked(row)
            if other.details.group is group and other.details.owner is not row.details.owner
        )

    def check_gains_nothing(self, caller: Caller, user: Row, before: frozenset[str]) -> None:
        """Let nobody give a privilege that he lacks himself.

        Raises
        ------
        omero.SecurityViolation
        """
        if self.accounts.privileges_of(user) - before - caller.privileges:
            msg = "cannot give administrator privileges that current user does not have"
            raise security(msg)


def without_everybodys(groups: Iterable[Row]) -> list[Row]:
    """Leave out the group that nobody owns and everybody is in."""
    return [group for group in groups if group.id != USER_GROUP_ID]


def is_special(group: Row) -> bool:
    """Say whether a group is `system` or `user`."""
    return group.id in (SYSTEM_GROUP_ID, USER_GROUP_ID)
