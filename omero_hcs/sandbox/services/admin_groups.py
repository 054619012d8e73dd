"""The part of IAdmin that makes and changes groups, and who belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omero_hcs.sandbox.accounts import ROOT_ID
from omero_hcs.sandbox.commands.delete import delete_row
from omero_hcs.sandbox.objects.caller import USER_GROUP_ID, Caller
from omero_hcs.sandbox.objects.conditions import api_usage, security, validation
from omero_hcs.sandbox.objects.row import PRIVATE, Row
from omero_hcs.sandbox.services.admin_rights import (
    MODIFY_GROUP,
    MODIFY_MEMBERSHIP,
    MODIFY_USER,
    AdminService,
    is_special,
)
from omero_hcs.sandbox.services.admin_users import text

SPECIAL_GROUPS = ("guest", "system", "user")


class GroupChanges(AdminService):
    """Operations that change groups and memberships."""

    # -- groups

    def createGroup(self, group: Any, current: Any) -> int:
        self.for_admins(current)
        with self.writing(current) as caller:
            if not caller.has(MODIFY_GROUP):
                raise self.refusal()
            name = text(group._name)
            if not name:
                msg = "Group name may not be null."
                raise validation(msg)
            self._check_group_free(name)
            row = self.world.insert(
                "ExperimenterGroup",
                name=name,
                ldap=False,
                description=None if group._description is None else group._description.val,
            )
            self.world.set_details(row, permissions=level_of(group) or PRIVATE)
            return row.id

    def updateGroup(self, group: Any, current: Any) -> None:
        with self.writing(current) as caller:
            row = self.managed(group)
            self.check_leads_groups(caller, [row], MODIFY_GROUP)
            level = level_of(group)
            if level is not None:
                self.change_level(caller, row, level)
            self._rename_group(row, text(group._name), caller)
            told = group._description
            self.world.set(row, "description", None if told is None else told.val)

    def _rename_group(self, row: Row, name: str, caller: Caller) -> None:
        old = row.values["name"]
        if name == old:
            return
        if old in SPECIAL_GROUPS:
            msg = f"cannot change name of special group '{old}'"
            raise validation(msg)
        if name in SPECIAL_GROUPS:
            msg = f"cannot change name to special group '{name}'"
            raise validation(msg)
        if row is caller.group:
            msg = f"cannot rename the current group context '{old}'"
            raise validation(msg)
        self._check_group_free(name)
        self.world.set(row, "name", name)

    def _check_group_free(self, name: str) -> None:
        if self.accounts.group(name) is not None:
            msg = (
                "could not execute statement; duplicate key value violates unique constraint "
                f'"experimentergroup_name_key": Key (name)=({name}) already exists.'
            )
            raise validation(msg)

    def deleteGroup(self, group: Any, current: Any) -> None:
        with self.writing(current) as caller:
            row = self.managed(group)
            self.check_leads_groups(caller, [row], MODIFY_GROUP)
            for membership in self.world.members(row, "groupExperimenterMap"):
                self.world.remove(membership)
            delete_row(self.world, row, caller.as_admin())

    # -- memberships

    def addGroups(self, user: Any, groups: Sequence[Any], current: Any) -> None:
        if not groups:
            msg = "Nothing to do."
            raise validation(msg)
        with self.writing(current) as caller:
            row, joined = self.managed(user), [self.managed(group) for group in groups]
            self.check_leads_groups(caller, joined, MODIFY_MEMBERSHIP)
            self._join(caller, row, joined)

    def _join(self, caller: Caller, user: Row, groups: Sequence[Row]) -> None:
        before = self.accounts.privileges_of(user)
        for group in groups:
            self.accounts.join(user, group)
        self._mend_default_group(user)
        self.check_gains_nothing(caller, user, before)

    def _mend_default_group(self, user: Row) -> None:
        # "user" is nobody's default group while he has another.
        groups = self.accounts.groups_of(user)
        if len(groups) > 1 and groups[0].id == USER_GROUP_ID:
            self.accounts.make_default(user, groups[1])

    def removeGroups(self, user: Any, groups: Sequence[Any], current: Any) -> None:
        if user is None or groups is None:
            return
        with self.writing(current) as caller:
            row, left = self.managed(user), [self.managed(group) for group in groups]
            self.check_leads_groups(caller, left, MODIFY_MEMBERSHIP)
            self._check_may_leave(caller, row, left)
            for membership in self.accounts.memberships(row):
                if membership.values["parent"] in left:
                    self.world.remove(membership)
            self._mend_default_group(row)

    def _check_may_leave(self, caller: Caller, user: Row, left: Sequence[Row]) -> None:
        special = any(is_special(group) for group in left)
        if special and user.id == ROOT_ID:
            msg = "experimenter 'root' may not be removed from the 'system' or 'user' group"
            raise validation(msg)
        if special and user is caller.user:
            msg = "experimenters may not remove themselves from the 'system' or 'user' group"
            raise validation(msg)
        kept = [group for group in self.accounts.groups_of(user) if group not in left]
        if not kept:
            msg = "experimenter must remain a member of some group"
            raise validation(msg)
        if [group.id for group in kept] == [USER_GROUP_ID]:
            msg = (
                "experimenter cannot be a member of only the 'user' group, "
                "a different default group is also required"
            )
            raise validation(msg)

    def setDefaultGroup(self, user: Any, group: Any, current: Any) -> None:
        if user is None or group is None:
            return
        with self.writing(current) as caller:
            row, wanted = self.managed(user), self.managed(group)
            if not (caller.has(MODIFY_USER) or caller.user is row):
                msg = f"User {row.id} can only set own default group."
                raise security(msg)
            if wanted.id == USER_GROUP_ID:
                msg = "Cannot set default group to: user"
                raise api_usage(msg)
            if wanted not in self.accounts.groups_of(row):
                msg = f"Group {wanted.id} was not found for user {row.id}"
                raise api_usage(msg)
            self.accounts.make_default(row, wanted)

    # -- owners

    def setGroupOwner(self, group: Any, owner: Any, current: Any) -> None:
        self._set_owners(group, [owner], current, is_owner=True)

    def unsetGroupOwner(self, group: Any, owner: Any, current: Any) -> None:
        self._set_owners(group, [owner], current, is_owner=False)

    def addGroupOwners(self, group: Any, owners: Sequence[Any], current: Any) -> None:
        self._set_owners(group, owners, current, is_owner=True)

    def removeGroupOwners(self, group: Any, owners: Sequence[Any], current: Any) -> None:
        self._set_owners(group, owners, current, is_owner=False)

    def _set_owners(
        self, group: Any, owners: Sequence[Any], current: Any, *, is_owner: bool
    ) -> None:
        with self.writing(current) as caller:
            row = self.managed(group)
            self.check_leads_groups(caller, [row], MODIFY_MEMBERSHIP)
            for owner in owners:
                user = self.managed(owner)
                if row not in self.accounts.groups_of(user):
                    self._join(caller, user, [row])
                self.world.set(self.accounts.join(user, row), "owner", is_owner)


def level_of(group: Any) -> str | None:
    """Return the permissions that a client gave a group, such as `rwra--`; None for none."""
    details = group._details
    permissions = None if details is None else details._permissions
    return None if permissions is None else str(permissions)
