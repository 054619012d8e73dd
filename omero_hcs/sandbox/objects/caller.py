"""Who asks, and what he may do: OMERO's permissions of the four kinds of groups.

| group | others' objects: see | annotate | link | edit, delete |
|---|---|---|---|---|
| private `rw----` | no; owners of the group and admins yes | nobody | nobody | owners, admins |
| read-only `rwr---` | members | owners, admins | owners, admins | owners, admins |
| read-annotate `rwra--` | members | members | owners, admins | owners, admins |
| read-write `rwrw--` | members | members | members | members |

Source: OMERO's documentation, "Groups and permissions system", and its `BasicACLVoter`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from omero_hcs.sandbox.objects.row import Row

# Everybody is a member of it; what lies in it is there for everybody to read.
USER_GROUP_ID = 1
GROUP_READ, GROUP_WRITE, WORLD_READ = 2, 3, 4  # places in "rwrwrw"


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
    event : Row or None
        The event of a call that changes something.
    """

    user: Row
    group: Row | None
    session_group: Row
    is_admin: bool = False
    groups: Collection[Row] = frozenset()
    led: Collection[Row] = frozenset()
    event: Row | None = None
    session: Row | None = field(default=None, repr=False)

    def can_read(self, row: Row) -> bool:
        """Say whether a row exists for him."""
        group = row.details.group
        if group is None or row.entity.is_global or group.id == USER_GROUP_ID:
            return True
        if self.group is not None and group is not self.group:
            return False
        if self.is_admin or group in self.led:
            return True
        level = row.level
        if group in self.groups:
            return row.details.owner is self.user or level[GROUP_READ] == "r"
        return level[WORLD_READ] == "r"

    def supervises(self, group: Row | None) -> bool:
        """Say whether he is an admin or an owner of the group."""
        return self.is_admin or group in self.led

    def rights(self, row: Row) -> Rights:
        """Say what he may do with a row that he can read."""
        group = row.group
        if row.entity.is_global:
            return EVERYTHING if self.is_admin else NOTHING
        mine, above = row.details.owner is self.user, self.supervises(group)
        if mine:
            return EVERYTHING._replace(chown=above)
        if group is None or not (above or group in self.groups):
            return NOTHING
        level = row.level
        if above:
            # Nobody links to or annotates what is private, not even an admin.
            shared = level[GROUP_READ] == "r"
            return EVERYTHING._replace(link=shared, annotate=shared, chgrp=self.is_admin)
        writable = level[GROUP_WRITE] == "w"
        annotatable = writable or level[GROUP_WRITE] == "a"
        return NOTHING._replace(link=writable, edit=writable, delete=writable, annotate=annotatable)
