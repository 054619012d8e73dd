"""Users and groups for tests, made through the API of any OMERO server and removed afterwards."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import omero
from omero.gateway import BlitzGateway  # loads omero.model and omero.cmd, in the order that works
from omero.rtypes import rfalse, rstring
from omero.sys import ParametersI

from omero_hcs.errors import InputError, NotFoundError
from omero_hcs.sandbox.address import Address

LEVELS = {
    "private": "rw----",
    "read-only": "rwr---",
    "read-annotate": "rwra--",
    "read-write": "rwrw--",
}
# What a user can own, containers first: what is left of a group's content goes with them.
_CONTENT = (
    "Screen", "Plate", "Project", "Dataset", "Folder", "Fileset", "Image", "Roi",
    "Annotation", "Job", "OriginalFile",
)  # fmt: skip


@dataclass(frozen=True)
class Group:
    """A group that a test made; `level` is one of `LEVELS`."""

    id: int
    name: str
    level: str


@dataclass(frozen=True)
class User:
    """An ordinary user that a test made; the first of `groups` is the default one."""

    id: int
    name: str
    password: str = field(repr=False)
    groups: tuple[Group, ...] = ()


class People:
    """Makes users and groups whose names share a unique prefix, and removes them again.

    Parameters
    ----------
    address : Address
        The server, and an administrator of it.

    Attributes
    ----------
    prefix : str
        What the name of everything that was made begins with.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.prefix = f"hcs-test-{secrets.token_hex(4)}"
        self._admin = self.connect_admin()
        self._admin.c.enableKeepAlive(60)
        self._groups: list[Group] = []
        self._users: list[User] = []
        self._made = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def make_group(self, level: str = "read-annotate") -> Group:
        """Make an empty group of one of the four permission levels.

        Raises
        ------
        InputError
            If there is no such level.
        """
        if level not in LEVELS:
            msg = f"There is no permission level {level!r}. Use one of {', '.join(LEVELS)}."
            raise InputError(msg)
        row = omero.model.ExperimenterGroupI()
        row.name = rstring(self._name(level))
        row.ldap = rfalse
        row.details.permissions = omero.model.PermissionsI(LEVELS[level])
        group = Group(self._service().createGroup(row), row.name.val, level)
        self._groups.append(group)
        return group

    def make_user(self, *groups: Group, owns: Sequence[Group] = ()) -> User:
        """Make an ordinary user.

        Parameters
        ----------
        *groups : Group
            The groups he is a member of, his default group first.
        owns : sequence of Group
            Those of them that he leads.
        """
        if not groups:
            msg = "A user is a member of at least one group: make one with make_group()."
            raise InputError(msg)
        user = User(0, self._name("user"), secrets.token_hex(12), groups)
        row = omero.model.ExperimenterI()
        row.omeName = rstring(user.name)
        row.firstName, row.lastName = rstring("Test"), rstring("User")
        row.ldap = rfalse
        service = self._service()
        everybody = service.getSecurityRoles().userGroupId
        others = [_group(group.id) for group in groups[1:]] + [_group(everybody)]
        number = service.createExperimenterWithPassword(
            row, rstring(user.password), _group(groups[0].id), others
        )
        for group in owns:
            service.setGroupOwner(_group(group.id), _experimenter(number))
        user = User(number, user.name, user.password, groups)
        self._users.append(user)
        return user

    def connect(self, user: User, group: Group | None = None) -> Any:
        """Log a user in; the caller closes the connection.

        Parameters
        ----------
        user : User
            Who.
        group : Group, optional
            The group he works in; his default group otherwise.

        Returns
        -------
        omero.gateway.BlitzGateway

        Raises
        ------
        NotFoundError
            If the server cannot be reached or refuses him.
        """
        conn = self._connect(user.name, user.password)
        if group is not None:
            conn.setGroupForSession(group.id)
        return conn

    def connect_admin(self) -> Any:
        """Log the administrator in, as `connect` does a user."""
        return self._connect(self.address.user, self.address.password)

    def remove(self) -> list[str]:
        """Remove all that was made, with what the groups contain.

        A server that does not let go of a user (events may name him for ever) keeps a user without
        a password and without a group.

        Returns
        -------
        list of str
            The names of users and groups that are still there.
        """
        left = [group.name for group in self._groups if not self._empty(group)]
        left += [user.name for user in self._users if not self._remove_user(user)]
        left += [group.name for group in self._groups if not self._remove_group(group)]
        self._users, self._groups = [], []
        return sorted(set(left))

    def close(self) -> None:
        """End the administrator's session; what was made stays."""
        self._admin.close()

    def _name(self, kind: str) -> str:
        self._made += 1
        return f"{self.prefix}-{self._made}-{kind}"

    def _service(self) -> Any:
        return self._admin.getAdminService()

    def _connect(self, name: str, password: str) -> Any:
        place = f"{self.address.host}:{self.address.port}"
        conn = BlitzGateway(
            name, password, host=self.address.host, port=self.address.port, secure=True
        )
        if not conn.connect():
            reason = conn.getLastError()
            conn.close()
            msg = f"User {name!r} could not log in at {place}: {reason}"
            raise NotFoundError(msg)
        return conn

    def _empty(self, group: Group) -> bool:
        context = {"omero.group": str(group.id)}
        query, given = self._admin.getQueryService(), ParametersI()
        given.addLong("group", group.id)
        targets = {}
        for kind in _CONTENT:
            # By the row's own group: a group's context shows the user group's files, too, which
            # are the server's scripts and repositories.
            text = f"select o.id from {kind} o where o.details.group.id = :group"
            rows = query.projection(text, given, context)
            if rows:
                targets[kind] = [row[0].val for row in rows]
        return not targets or self._delete(targets, context)

    def _delete(self, targets: dict[str, list[int]], context: dict[str, str]) -> bool:
        request = omero.cmd.Delete2(targetObjects=targets)
        callback = self._admin.c.submit(request, loops=500, ms=500, failonerror=False, ctx=context)
        try:
            return not isinstance(callback.getResponse(), omero.cmd.ERR)
        finally:
            callback.close(closeHandle=True)

    def _remove_user(self, user: User) -> bool:
        service = self._service()
        try:
            service.deleteExperimenter(_experimenter(user.id))
        except omero.ServerError:
            with contextlib.suppress(omero.ServerError):
                service.changeUserPassword(user.name, rstring(secrets.token_urlsafe(24)))
                groups = [_group(row.id.val) for row in service.containedGroups(user.id)]
                service.removeGroups(_experimenter(user.id), groups)
            return False
        return True

    def _remove_group(self, group: Group) -> bool:
        try:
            self._service().deleteGroup(_group(group.id))
        except omero.ServerError:
            return False
        return True


def _group(number: int) -> Any:
    return omero.model.ExperimenterGroupI(number, loaded=False)


def _experimenter(number: int) -> Any:
    return omero.model.ExperimenterI(number, loaded=False)
