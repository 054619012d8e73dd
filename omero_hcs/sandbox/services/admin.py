"""IAdmin: users and groups. This part answers questions; others change things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omero_hcs.sandbox.accounts import ADMIN_PRIVILEGE, GUEST_GROUP_ID, GUEST_ID, ROOT_ID
from omero_hcs.sandbox.ice.record import omero, rtypes
from omero_hcs.sandbox.objects.caller import SYSTEM_GROUP_ID, USER_GROUP_ID, Caller
from omero_hcs.sandbox.objects.conditions import api_usage, validation
from omero_hcs.sandbox.objects.load import Plan, materialise
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.services.admin_groups import GroupChanges
from omero_hcs.sandbox.services.admin_objects import ObjectChanges
from omero_hcs.sandbox.services.admin_users import UserChanges
from omero_hcs.sandbox.services.query import known_entity

ALL_GROUPS = -1
NO_ID = -1


class IAdmin(UserChanges, GroupChanges, ObjectChanges):
    """Operations of `omero.api.IAdmin`."""

    # -- who asks

    def getEventContext(self, current: Any) -> Any:
        with self.reading(current) as caller:
            group = caller.group
            sudoer = self.session.sudo.user
            level = "------" if group is None else group.level
            return omero.sys.EventContext(
                shareId=NO_ID,
                sessionId=self.session.row.id,
                sessionUuid=self.session.uuid,
                userId=caller.user.id,
                userName=caller.user.values["omeName"],
                sudoerId=None if sudoer is None else rtypes.rlong(sudoer.id),
                sudoerName=None if sudoer is None else rtypes.rstring(sudoer.values["omeName"]),
                groupId=ALL_GROUPS if group is None else group.id,
                groupName="" if group is None else group.values["name"],
                isAdmin=caller.is_admin,
                adminPrivileges=sorted(caller.privileges),
                eventId=NO_ID,
                eventType="User",
                memberOfGroups=[one.id for one in self.accounts.groups_of(caller.user)],
                leaderOfGroups=[one.id for one in self.accounts.led_by(caller.user)],
                groupPermissions=omero.model.PermissionsI(level),
            )

    def getSecurityRoles(self, current: Any) -> Any:
        return omero.sys.Roles(
            rootId=ROOT_ID,
            rootName="root",
            systemGroupId=SYSTEM_GROUP_ID,
            systemGroupName="system",
            userGroupId=USER_GROUP_ID,
            userGroupName="user",
            guestId=GUEST_ID,
            guestName="guest",
            guestGroupId=GUEST_GROUP_ID,
            guestGroupName="guest",
        )

    # -- users: with their memberships, and the groups of these

    def getExperimenter(self, user_id: int, current: Any) -> Any:
        with self.reading(current) as caller:
            user = self.world.get("Experimenter", user_id)
            if user is None:
                msg = f"No such experimenter: {user_id}"
                raise api_usage(msg)
            return self._users([user], caller)[0]

    def lookupExperimenter(self, name: str, current: Any) -> Any:
        with self.reading(current) as caller:
            return self._users([self.user_named(name)], caller)[0]

    def lookupExperimenters(self, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            return self._users(list(self.world.all("Experimenter")), caller)

    def containedExperimenters(self, group_id: int, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            group = self.world.get("ExperimenterGroup", group_id)
            return self._users([] if group is None else self.accounts.members_of(group), caller)

    def _users(self, users: Sequence[Row], caller: Caller) -> list[Any]:
        plan = Plan(users)
        for user in users:
            self._plan_memberships(plan, user)
        return materialise(self.world, users, plan, caller)

    def _plan_memberships(self, plan: Plan, user: Row) -> None:
        plan.touch(user, "groupExperimenterMap")
        for one in self.accounts.memberships(user):
            plan.load(one)
            plan.load(one.values["parent"])
            plan.add(user, "groupExperimenterMap", one)

    # -- groups: with their memberships, and the users of these

    def getGroup(self, group_id: int, current: Any) -> Any:
        with self.reading(current) as caller:
            group = self.world.get("ExperimenterGroup", group_id)
            if group is None:
                msg = f"No such group: {group_id}"
                raise api_usage(msg)
            return self._groups([group], caller)[0]

    def lookupGroup(self, name: str, current: Any) -> Any:
        with self.reading(current) as caller:
            return self._groups([self.group_named(name)], caller)[0]

    def lookupGroups(self, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            groups = list(self.world.all("ExperimenterGroup"))
            plan = self._group_plan(groups)
            for group in groups:
                for user in self.accounts.members_of(group):
                    self._plan_memberships(plan, user)
            return materialise(self.world, groups, plan, caller)

    def containedGroups(self, user_id: int, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            user = self.world.get("Experimenter", user_id)
            groups = [] if user is None else self.accounts.groups_of(user)
            groups = sorted(groups, key=lambda group: group.id)
            plan = self._group_plan(groups)
            for group in groups:
                for member in self.accounts.members_of(group):
                    plan.touch(member, "groupExperimenterMap")
                    for one in self.accounts.memberships(member):
                        plan.load(one)
                        plan.add(member, "groupExperimenterMap", one)
            return materialise(self.world, groups, plan, caller)

    def _groups(self, groups: Sequence[Row], caller: Caller) -> list[Any]:
        return materialise(self.world, groups, self._group_plan(groups), caller)

    def _group_plan(self, groups: Sequence[Row]) -> Plan:
        plan = Plan(groups)
        for group in groups:
            plan.touch(group, "groupExperimenterMap")
            for one in self.world.members(group, "groupExperimenterMap"):
                plan.load(one)
                plan.load(one.values["child"])
                plan.add(group, "groupExperimenterMap", one)
        return plan

    def getDefaultGroup(self, user_id: int, current: Any) -> Any:
        with self.reading(current) as caller:
            user = self.world.get("Experimenter", user_id)
            groups = [] if user is None else self.accounts.groups_of(user)
            if not groups or groups[0].id == USER_GROUP_ID:
                msg = f"The user {user_id} has no default group set."
                raise validation(msg)
            return self.one(groups[0], caller)

    def getLeaderOfGroupIds(self, user: Any, current: Any) -> list[int]:
        with self.reading(current):
            return [group.id for group in self.accounts.led_by(self.managed(user))]

    def getMemberOfGroupIds(self, user: Any, current: Any) -> list[int]:
        with self.reading(current):
            return [group.id for group in self.accounts.groups_of(self.managed(user))]

    # -- LDAP: there is none

    def lookupLdapAuthExperimenter(self, user_id: int, current: Any) -> str:
        return ""

    def lookupLdapAuthExperimenters(self, current: Any) -> Any:
        return rtypes.rlist()

    def synchronizeLoginCache(self, current: Any) -> None:
        self.for_admins(current)

    # -- privileges

    def getCurrentAdminPrivileges(self, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            return self._privileges(caller.privileges, caller)

    def getAdminPrivileges(self, user: Any, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            return self._privileges(self.accounts.privileges_of(self.managed(user)), caller)

    def getAdminsWithPrivileges(self, privileges: Sequence[Any], current: Any) -> list[Any]:
        with self.reading(current) as caller:
            wanted = self.known_privileges(privileges)
            system = self.accounts.group_by_id(SYSTEM_GROUP_ID)
            found = [
                user
                for user in self.accounts.members_of(system)
                if wanted <= self.accounts.privileges_of(user)
            ]
            return self.each(found, caller)

    def _privileges(self, names: frozenset[str], caller: Caller) -> list[Any]:
        rows = [row for row in self.world.all(ADMIN_PRIVILEGE) if row.values["value"] in names]
        return self.each(rows, caller)

    # -- rights

    def canUpdate(self, obj: Any, current: Any) -> bool:
        if obj is None:
            msg = "Argument cannot be null"
            raise api_usage(msg)
        with self.reading(current) as caller:
            row = self.world.get(known_entity(type(obj).ice_staticId()), obj.id.val)
            if row is None or not caller.can_read(row):
                msg = f"The requested object ({type(obj).__name__},{obj.id.val}) is not available."
                raise validation(msg)
            return caller.rights(row).edit
