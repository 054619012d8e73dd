"""Users, groups, memberships and passwords."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from functools import partial

from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.objects.caller import EVERY_PRIVILEGE, SYSTEM_GROUP_ID, USER_GROUP_ID
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World

ROOT_ID, GUEST_ID = 0, 1
GUEST_GROUP_ID = 2
ADMIN_PRIVILEGE = "AdminPrivilege"  # the enumeration, and what his config calls them


@dataclass(frozen=True)
class PasswordHash:
    """A salted hash. Cheap on purpose: a log-in of a demo should not take 100 ms."""

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, password: str) -> PasswordHash:
        """Hash a password with a salt of its own."""
        salt = secrets.token_bytes(16)
        return cls(salt, _digest(password, salt))

    def matches(self, password: str) -> bool:
        """Compare in a time that tells nothing."""
        return hmac.compare_digest(self.digest, _digest(password, self.salt))


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=1024, r=8, p=1)


class Accounts:
    """Who there is, and who belongs where. Hold the world's lock while asking."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.passwords: dict[Row, PasswordHash] = {}
        world.on_removed.append(self._forget)

    def _forget(self, row: Row) -> None:
        self.passwords.pop(row, None)

    def user(self, name: str) -> Row | None:
        """Find a user by the name he logs in with."""
        return self._world.find("Experimenter", omeName=name)

    def group(self, name: str) -> Row | None:
        """Find a group by its name."""
        return self._world.find("ExperimenterGroup", name=name)

    def group_by_id(self, group_id: int) -> Row:
        """Find a group that OMERO has from the start."""
        group = self._world.get("ExperimenterGroup", group_id)
        if group is None:
            msg = f"The sandbox lost its group {group_id}."
            raise RuntimeError(msg)
        return group

    def members_of(self, group: Row) -> list[Row]:
        """Return the members of a group, by ascending id."""
        members = self._world.members(group, "groupExperimenterMap")
        return sorted((one.values["child"] for one in members), key=lambda user: user.id)

    def authenticate(self, name: str, password: str) -> Row | None:
        """Return the user if the password is his; a user without one can't log in."""
        user = self.user(name)
        known = None if user is None else self.passwords.get(user)
        return user if known is not None and known.matches(password) else None

    def set_password(self, user: Row, password: str) -> None:
        """Give a user a password, once the transaction is certain. A blank one never matches."""
        if password.strip():
            keep = partial(self.passwords.__setitem__, user, PasswordHash.of(password))
        else:
            keep = partial(self._forget, user)
        self._world.after_commit(keep)

    def memberships(self, user: Row) -> list[Row]:
        """Return the user's memberships, his default group's first."""
        return self._world.members(user, "groupExperimenterMap")

    def groups_of(self, user: Row) -> list[Row]:
        """Return the groups of a user, his default group first."""
        return [one.values["parent"] for one in self.memberships(user)]

    def led_by(self, user: Row) -> list[Row]:
        """Return the groups that a user owns."""
        return [one.values["parent"] for one in self.memberships(user) if one.values["owner"]]

    def is_admin(self, user: Row) -> bool:
        """Say whether a user is in the group `system`."""
        return any(group.id == SYSTEM_GROUP_ID for group in self.groups_of(user))

    def privileges_of(self, user: Row) -> frozenset[str]:
        """Return the names of an administrator's privileges; nobody else has any."""
        if not self.is_admin(user):
            return frozenset()
        config = user.values.get("config") or ()
        return EVERY_PRIVILEGE - {
            one.name.removeprefix(f"{ADMIN_PRIVILEGE}:") for one in config if one.value != "true"
        }

    def restrict(self, user: Row, privileges: frozenset[str]) -> None:
        """Leave an administrator these privileges only."""
        others = [
            one
            for one in user.values.get("config") or ()
            if not one.name.startswith(f"{ADMIN_PRIVILEGE}:")
        ]
        taken = [
            omero.model.NamedValue(f"{ADMIN_PRIVILEGE}:{name}", "false")
            for name in sorted(EVERY_PRIVILEGE - privileges)
        ]
        self._world.set(user, "config", others + taken or None)

    def make_default(self, user: Row, group: Row) -> None:
        """Put a group first among those of a user."""
        found = self.memberships(user)
        found.sort(key=lambda one: one.values["parent"] is not group)
        self._world.arrange(user, "groupExperimenterMap", found)

    def default_group(self, user: Row) -> Row:
        """Return the first of a user's groups that is not everybody's."""
        groups = self.groups_of(user)
        return next((one for one in groups if one.id != USER_GROUP_ID), groups[0])

    def join(self, user: Row, group: Row, *, owner: bool = False) -> Row:
        """Make a user a member of a group; a member's ownership is only ever added."""
        for known in self.memberships(user):
            if known.values["parent"] is group:
                if owner:
                    self._world.set(known, "owner", True)  # noqa: FBT003  (a value, not a flag)
                return known
        return self._world.insert("GroupExperimenterMap", parent=group, child=user, owner=owner)

    def group_for_login(self, user: Row, told: str | None) -> Row:
        """Return the group of a new session: the one told by name, or the default one.

        Whether the user is a member is looked at with his first call, as OMERO does.

        Raises
        ------
        omero.WrappedCreateSessionException
            There is no such group.
        """
        if not told or told == "user":
            return self.default_group(user)
        group = self.group(told)
        if group is None:
            reason = f"No info in database for {user.values['omeName']} in the group {told!r}."
            kind = "ome.conditions.RemovedSessionException"
            raise omero.WrappedCreateSessionException(reason, False, -1, kind)  # noqa: FBT003
        return group
