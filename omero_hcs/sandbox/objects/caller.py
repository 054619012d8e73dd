"""Who asks, and what he may do: OMERO's permissions of the four kinds of groups.

| group | others' objects: see | annotate | link | edit, delete |
|---|---|---|---|---|
| private `rw----` | no; owners of the group and admins yes | nobody | nobody | owners, admins |
| read-only `rwr---` | members | owners, admins | owners, admins | owners, admins |
| read-annotate `rwra--` | members | members | owners, admins | owners, admins |
| read-write `rwrw--` | members | members | members | members |

Everybody may do everything with his own objects. What lies in the group `user` is there for all to
see and to link to; only its owner and administrators change it. Source: OMERO's documentation,
"Groups and permissions system", and its `BasicACLVoter`, `OneGroupSecurityFilter` and
`AllGroupsSecurityFilter`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from omero_hcs.sandbox.objects.row import PRIVATE, Row

# What lies in these is there for everybody to link to; what lies in `user`, to see as well.
SYSTEM_GROUP_ID, USER_GROUP_ID = 0, 1
GUEST_ID = 1
# Places in "rwrwrw".
USER_READ, USER_WRITE, GROUP_READ, GROUP_WRITE, WORLD_READ, WORLD_WRITE = range(6)
ANNOTATE, WRITE = "aw", "w"
# What an administrator may do, each of which can be taken from him ("light administrators").
EVERY_PRIVILEGE = frozenset(
    (
        "Chgrp", "Chown", "DeleteFile", "DeleteManagedRepo", "DeleteOwned", "DeleteScriptRepo",
        "ModifyGroup", "ModifyGroupMembership", "ModifyUser", "ReadSession", "Sudo", "WriteFile",
        "WriteManagedRepo", "WriteOwned", "WriteScriptRepo",
    )
)  # fmt: skip
# Which privilege lets an administrator change the accounts themselves.
ACCOUNT_PRIVILEGES = {
    "Experimenter": "ModifyUser",
    "ExperimenterGroup": "ModifyGroup",
    "GroupExperimenterMap": "ModifyGroupMembership",
}


class Rights(NamedTuple):
    """What somebody may do with an object, in the order of OMERO's restrictions."""

    link: bool
    edit: bool
    delete: bool
    annotate: bool
    chgrp: bool
    chown: bool


EVERYTHING = Rights(link=True, edit=True, delete=True, annotate=True, chgrp=True, chown=True)
NOTHING = Rights(link=False, edit=False, delete=False, annotate=False, chgrp=False, chown=False)


@dataclass(slots=True)
class Caller:
    """Who asks, in which group.

    Attributes
    ----------
    user : Row
    group : Row or None
        The group that the call is about; None for all of the user's (`omero.group=-1`).
    session_group : Row
        The group of the session: where things are made if the call names none.
    groups, led : collections of Row
        Groups that the user is a member of, and those that he owns.
    privileges : frozenset of str
        Of an administrator; a full one has `EVERY_PRIVILEGE`.
    event : Row or None
        The event of a call that changes something.
    session : Row or None
    real_user : Row or None
        Who logged in, if it was in somebody else's name.
    """

    user: Row
    group: Row | None
    session_group: Row
    is_admin: bool = False
    groups: Collection[Row] = frozenset()
    led: Collection[Row] = frozenset()
    event: Row | None = None
    session: Row | None = field(default=None, repr=False)
    privileges: frozenset[str] = EVERY_PRIVILEGE
    real_user: Row | None = None
    # Rights depend on little: thousands of objects share them.
    _known: dict[tuple[Row | None, bool, str], Rights] = field(default_factory=dict, repr=False)

    def has(self, privilege: str) -> bool:
        """Say whether he is an administrator with a privilege."""
        return self.is_admin and privilege in self.privileges

    def as_admin(self) -> Caller:
        """Return a caller who may do everything, for what a service does in his name."""
        return replace(self, is_admin=True, privileges=EVERY_PRIVILEGE, _known={})

    def in_all_groups(self) -> Caller:
        """Return him asking about all of his groups."""
        return replace(self, group=None, _known={})

    # -- reading

    def can_read(self, row: Row) -> bool:
        """Say whether a row exists for him."""
        if row.entity.is_global:
            return not row.entity.isa("Session") or self._can_read_session(row)
        group = row.details.group
        if group is None or group.id == USER_GROUP_ID:
            return True
        if self.group is None:
            return self._can_read_anywhere(row, group)
        return group is self.group and self._can_read_here(row, group)

    def _can_read_session(self, row: Row) -> bool:
        owner = row.values.get("sudoer") or row.values.get("owner")
        return owner is (self.real_user or self.user) or self.has("ReadSession")

    def _can_read_here(self, row: Row, group: Row) -> bool:
        # He is in the group, or he could not ask about it.
        level = row.level
        shared = level[GROUP_READ] == "r" or level[WORLD_READ] == "r"
        return shared or self.supervises(group) or row.details.owner is self.user

    def _can_read_anywhere(self, row: Row, group: Row) -> bool:
        level = row.level
        return (
            self.supervises(group)
            or row.details.owner is self.user
            or (group in self.groups and level[GROUP_READ] == "r")
            or level[WORLD_READ] == "r"
        )

    # -- changing

    def supervises(self, group: Row | None) -> bool:
        """Say whether he is an admin or an owner of the group."""
        return self.is_admin or group in self.led

    def is_graph_critical(self, row: Row) -> bool:
        """Say whether it is private data that he sees only because he supervises the group.

        Whoever links to such data, or annotates them, would make a graph that their owner can't
        see whole.
        """
        group = row.details.group
        if group is None or group.id == USER_GROUP_ID:
            return False
        level = row.level
        return level[GROUP_READ] != "r" and level[WORLD_READ] != "r" and self.supervises(group)

    def rights(self, row: Row) -> Rights:
        """Say what he may do with a row that he can read."""
        if row.entity.is_global:
            return self._rights_to_global(row)
        if self.user.id == GUEST_ID:
            return NOTHING
        mine, kind = row.details.owner is self.user, privileged_kind(row)
        key = (row.details.group, mine, kind)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._rights_to(row, kind, mine=mine)
        return known

    def _rights_to(self, row: Row, kind: str, *, mine: bool) -> Rights:
        group = row.details.group
        level = PRIVATE if group is not None and group.id == USER_GROUP_ID else row.level
        leads = group in self.led
        write = leads or self._is_granted(level, WRITE, group, mine=mine)
        annotate = leads or self._is_granted(level, ANNOTATE, group, mine=mine)
        shared = group is not None and group.id in (SYSTEM_GROUP_ID, USER_GROUP_ID)
        may_write, may_delete = self.has(f"Write{kind}"), self.has(f"Delete{kind}")
        linkable = mine or not self.is_graph_critical(row)
        return Rights(
            link=linkable and (write or may_write or shared),
            edit=write or may_write,
            delete=write or may_delete,
            annotate=linkable and (annotate or may_write or shared),
            chgrp=mine or self.has("Chgrp"),
            chown=leads or self.has("Chown"),
        )

    def _rights_to_global(self, row: Row) -> Rights:
        privilege = ACCOUNT_PRIVILEGES.get(row.entity.name)
        change = self.is_admin if privilege is None else self.has(privilege)
        chgrp, chown = self.has("Chgrp"), self.has("Chown")
        return Rights(
            link=True, edit=change, delete=change, annotate=True, chgrp=chgrp, chown=chown
        )

    def _is_granted(self, level: str, right: str, group: Row | None, *, mine: bool) -> bool:
        return (
            level[WORLD_WRITE] in right
            or (mine and level[USER_WRITE] in right)
            or (group in self.groups and level[GROUP_WRITE] in right)
        )


def privileged_kind(row: Row) -> str:
    """Return what the privileges to change such a row end with: `Owned`, `File` and others."""
    if row.entity.name != "OriginalFile":
        return "Owned"
    if row.values.get("repo") is None:
        return "File"
    return "ScriptRepo" if row.values.get("mimetype") == "text/x-python" else "ManagedRepo"
