"""The part of IAdmin that makes, changes and removes users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omero_hcs.sandbox.accounts import ROOT_ID
from omero_hcs.sandbox.commands.delete import delete_row
from omero_hcs.sandbox.objects.caller import EVERY_PRIVILEGE, SYSTEM_GROUP_ID, USER_GROUP_ID, Caller
from omero_hcs.sandbox.objects.conditions import api_usage, internal, security, validation
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.services.admin_rights import (
    MODIFY_USER,
    AdminService,
    without_everybodys,
)

SPECIAL_USERS = ("root", "guest")
PROFILE = ("firstName", "middleName", "lastName", "email", "institution")


class UserChanges(AdminService):
    """Operations that change users, their passwords and their privileges."""

    # -- new users

    def createUser(self, user: Any, defaultGroup: str, current: Any) -> int:
        with self.writing(current) as caller:
            groups = [self.group_named(defaultGroup), self._everybody()]
            return self._create(caller, user, groups, "").id

    def createSystemUser(self, user: Any, current: Any) -> int:
        self.for_admins(current)
        with self.writing(current) as caller:
            return self._create(caller, user, [self._system(), self._everybody()], "").id

    def createRestrictedSystemUser(self, user: Any, privileges: list[Any], current: Any) -> int:
        return self.createRestrictedSystemUserWithPassword(user, privileges, None, current)

    def createRestrictedSystemUserWithPassword(
        self, user: Any, privileges: list[Any], password: Any, current: Any
    ) -> int:
        self.for_admins(current)
        with self.writing(current) as caller:
            allowed = self.known_privileges(privileges)
            groups = [self._system(), self._everybody()]
            made = self._create(caller, user, groups, text(password), allowed)
            return made.id

    def createExperimenter(
        self, user: Any, defaultGroup: Any, otherGroups: Sequence[Any], current: Any
    ) -> int:
        return self.createExperimenterWithPassword(user, None, defaultGroup, otherGroups, current)

    def createExperimenterWithPassword(
        self,
        user: Any,
        password: Any,
        defaultGroup: Any,
        otherGroups: Sequence[Any],
        current: Any,
    ) -> int:
        with self.writing(current) as caller:
            groups = [self.managed(group) for group in (defaultGroup, *otherGroups)]
            return self._create(caller, user, groups, text(password)).id

    def _create(
        self,
        caller: Caller,
        told: Any,
        groups: Sequence[Row],
        password: str,
        privileges: frozenset[str] = EVERY_PRIVILEGE,
    ) -> Row:
        self.check_leads_groups(caller, without_everybodys(groups), MODIFY_USER)
        name = text(told._omeName)
        if not name:
            msg = "OmeName may not be null."
            raise validation(msg)
        self._check_free(name)
        profile = {field: text(getattr(told, f"_{field}")) or None for field in PROFILE}
        for field in ("firstName", "lastName"):
            if getattr(told, f"_{field}") is None:
                msg = (
                    "not-null property references a null or transient value: "
                    f"ome.model.meta.Experimenter.{field}"
                )
                raise validation(msg)
            profile[field] = text(getattr(told, f"_{field}"))
        user = self.world.insert("Experimenter", omeName=name, ldap=False, **profile)
        self.accounts.restrict(user, privileges)
        for group in groups:
            self.accounts.join(user, group)
        # " " as in OMERO: an account that was made without a password has none that matches.
        self.accounts.set_password(user, password)
        self.check_gains_nothing(caller, user, frozenset())
        return user

    def _check_free(self, name: str) -> None:
        if self.accounts.user(name) is not None:
            msg = (
                "could not execute statement; duplicate key value violates unique constraint "
                f'"experimenter_omename_key": Key (omename)=({name}) already exists.'
            )
            raise validation(msg)

    def _everybody(self) -> Row:
        return self.accounts.group_by_id(USER_GROUP_ID)

    def _system(self) -> Row:
        return self.accounts.group_by_id(SYSTEM_GROUP_ID)

    # -- changed users

    def updateSelf(self, user: Any, current: Any) -> None:
        with self.writing(current) as caller:
            self._copy_profile(caller.user, user)

    def updateExperimenter(self, user: Any, current: Any) -> None:
        with self.writing(current) as caller:
            row = self.managed(user)
            try:
                self.check_leads_user(caller, row)
            except Exception:
                if row is not caller.user:
                    raise
                self._copy_profile(row, user)
            else:
                self._rename(row, text(user._omeName))
                self._copy_profile(row, user)

    def updateExperimenterWithPassword(self, user: Any, password: Any, current: Any) -> None:
        with self.writing(current) as caller:
            row = self.managed(user)
            self.check_leads_user(caller, row)
            self._rename(row, text(user._omeName))
            self._copy_profile(row, user)
            self._change_password(caller, row, text(password))

    def _copy_profile(self, row: Row, told: Any) -> None:
        for field in PROFILE:
            value = getattr(told, f"_{field}")
            self.world.set(row, field, None if value is None else value.val)

    def _rename(self, row: Row, name: str) -> None:
        old = row.values["omeName"]
        if name == old:
            return
        if old in SPECIAL_USERS:
            msg = f"cannot change name of special experimenter '{old}'"
            raise validation(msg)
        if name in SPECIAL_USERS:
            msg = f"cannot change name to special experimenter '{name}'"
            raise validation(msg)
        self._check_free(name)
        self.world.set(row, "omeName", name)

    def deleteExperimenter(self, user: Any, current: Any) -> None:
        with self.writing(current) as caller:
            row = self.managed(user)
            self.check_leads_user(caller, row)
            for membership in self.accounts.memberships(row):
                self.world.remove(membership)
            delete_row(self.world, row, caller.as_admin())

    # -- privileges

    def setAdminPrivileges(self, user: Any, privileges: Sequence[Any], current: Any) -> None:
        self.for_admins(current)
        with self.writing(current) as caller:
            allowed, row = self.known_privileges(privileges), self.managed(user)
            if row.id == ROOT_ID and allowed != EVERY_PRIVILEGE:
                msg = "cannot remove light administrator privileges from the root user"
                raise api_usage(msg)
            before = self.accounts.privileges_of(row)
            self.accounts.restrict(row, allowed)
            self.check_gains_nothing(caller, row, before)

    # -- passwords

    def changePassword(self, newPassword: Any, current: Any) -> None:
        self.needs_password(current)
        with self.writing(current) as caller:
            self.accounts.set_password(caller.user, text(newPassword))

    def changePasswordWithOldPassword(
        self, oldPassword: Any, newPassword: Any, current: Any
    ) -> None:
        with self.writing(current) as caller:
            name = caller.user.values["omeName"]
            if self.accounts.authenticate(name, text(oldPassword)) is None:
                msg = "Old password is invalid"
                raise security(msg)
            self.accounts.set_password(caller.user, text(newPassword))

    def changeUserPassword(self, omeName: str, newPassword: Any, current: Any) -> None:
        self.needs_password(current)
        with self.writing(current) as caller:
            user = self.user_named(omeName)
            self.check_leads_user(caller, user)
            self._change_password(caller, user, text(newPassword))

    def _change_password(self, caller: Caller, user: Row, password: str) -> None:
        if self.accounts.privileges_of(user) - caller.privileges:
            msg = "Cannot change the password of a more privileged user."
            raise security(msg)
        self.accounts.set_password(user, password)

    def reportForgottenPassword(self, name: str, email: str, current: Any) -> None:
        msg = "The sandbox sends no mail: ask an administrator for a new password."
        raise internal(msg)

    def changeExpiredCredentials(self, name: str, old: str, new: str, current: Any) -> None:
        msg = "java.lang.UnsupportedOperationException"
        raise internal(msg)


def text(told: Any) -> str:
    """Return the value of an rtype or a text, "" for none."""
    if told is None or isinstance(told, str):
        return told or ""
    return str(told.val)
