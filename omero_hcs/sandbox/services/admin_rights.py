"""What the parts of IAdmin share: finding people, and who may change what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from omero_hcs.sandbox.accounts import Accounts
from omero_hcs.sandbox.model.schema import entity_of
from omero_hcs.sandbox.objects.caller import EVERY_PRIVILEGE, SYSTEM_GROUP_ID, USER_GROUP_ID, Caller
from omero_hcs.sandbox.objects.conditions import api_usage, security, validation
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
