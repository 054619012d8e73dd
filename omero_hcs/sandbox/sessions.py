"""Sessions: who is logged in, for how long, and what belongs to each of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from omero_hcs.sandbox.objects.caller import WORLD_READ, Caller
from omero_hcs.sandbox.objects.conditions import removed, security, validation
from omero_hcs.sandbox.objects.row import Row

if TYPE_CHECKING:
    from omero_hcs.sandbox.accounts import Accounts
    from omero_hcs.sandbox.objects.world import World

IDLE_MS = 600_000  # omero.sessions.timeout: ten minutes
MAXIMUM_USER_IDLE_MS = 6_000_000  # omero.sessions.max_user_time_to_idle: a hundred minutes
MAXIMUM_USER_LIFE_MS = 0  # omero.sessions.max_user_time_to_live: none
NEVER = 0  # as a time-out


def now_ms() -> int:
    """Milliseconds since 1970, as OMERO's times are."""
    return time.time_ns() // 1_000_000


@dataclass(eq=False)
class Attachment:
    """One client of a session.

    Attributes
    ----------
    connection : Ice.Connection
        It can be compared, not hashed.
    has_password : bool
        It logged in with a password; not so whoever joined by the session's key.
    closes : bool
        The session ends with it, if it is the last one.
    """

    connection: Any
    has_password: bool = False
    closes: bool = True


class Sudo(NamedTuple):
    """Who opened a session in somebody else's name.

    Attributes
    ----------
    user : Row or None
        An administrator, or the owner of a group.
    groups : frozenset of Row, or None
        The groups that a group owner's session is bound to.
    """

    user: Row | None = None
    groups: frozenset[Row] | None = None


BY_ONESELF = Sudo()


@dataclass(eq=False)
class OpenSession:
    """A session that is open.

    Attributes
    ----------
    uuid : str
        The key by which clients join it: a secret.
    user, group, row : Row
        Whose it is, in which group, and its `Session` object.
    life_ms, idle_ms : int
        Time-outs in milliseconds, 0 for none.
    references : int
        Who opened it, and the clients that joined it and have not left.
    clients : list of Attachment
        Connections that opened or joined it.
    sudo : Sudo
        Who opened it, if it was in somebody else's name.
    inputs, outputs : dict
        The environment of a script's session: `ISession.setInput` and its kind.
    identities : set of Ice.Identity
        Its servants.
    at_end : list
        What to do when it ends.
    """

    uuid: str = field(repr=False)
    user: Row
    group: Row
    row: Row
    accounts: Accounts = field(repr=False)
    world: World = field(repr=False)
    agent: str = ""
    life_ms: int = NEVER
    idle_ms: int = IDLE_MS
    started_ms: int = field(default_factory=now_ms)
    used_ms: int = field(default_factory=now_ms)
    references: int = 1
    clients: list[Attachment] = field(default_factory=list, repr=False)
    sudo: Sudo = BY_ONESELF
    closed: bool = False
    callback: Any = field(default=None, repr=False)
    inputs: dict[str, Any] = field(default_factory=dict, repr=False)
    outputs: dict[str, Any] = field(default_factory=dict, repr=False)
    identities: set[Any] = field(default_factory=set, repr=False)
    services: dict[str, Any] = field(default_factory=dict, repr=False)
    at_end: list[Callable[[], None]] = field(default_factory=list, repr=False)

    def use(self) -> None:
        """Start the idle time anew.

        Raises
        ------
        omero.RemovedSessionException
            It has ended.
        """
        if self.closed:
            msg = "The session has ended: log in again."
            raise removed(msg)
        self.used_ms = now_ms()

    def client(self, connection: Any) -> Attachment:
        """Return how a connection uses the session; one that does not joined without password."""
        for one in self.clients:
            if one.connection == connection:
                return one
        return Attachment(connection)

    def attach(self, connection: Any, *, has_password: bool) -> None:
        """Count a connection that opened the session, or joined it by its key."""
        if not has_password:
            self.references += 1
        self.clients.append(Attachment(connection, has_password=has_password))
        self.use()

    def detach(self, connection: Any) -> bool:
        """Count a connection no longer; say whether the session ends with it."""
        left = self.client(connection)
        self.clients = [one for one in self.clients if one is not left]
        self.references -= 1
        return left.closes and self.references <= 0

    def is_expired(self, now: int) -> bool:
        """Say whether one of its time-outs has passed."""
        idle = self.idle_ms != NEVER and now - self.used_ms > self.idle_ms
        old = self.life_ms != NEVER and now - self.started_ms > self.life_ms
        return idle or old

    def caller(self, current: Any = None) -> Caller:
        """Say who asks in a call: the session's user, in the group of the call's context.

        Raises
        ------
        omero.SecurityViolation
            The context names a group or a user that is not for him.
        """
        context = {} if current is None else current.ctx
        accounts = self.accounts
        groups = accounts.groups_of(self.user)
        is_admin = accounts.is_admin(self.user)
        return Caller(
            self._user(context.get("omero.user", ""), is_admin=is_admin),
            self._group(context.get("omero.group", ""), groups, is_admin=is_admin),
            self.group,
            is_admin=is_admin,
            groups=frozenset(groups),
            led=frozenset(accounts.led_by(self.user)),
            session=self.row,
            privileges=self.privileges(),
            real_user=self.sudo.user or self.user,
        )

    def privileges(self) -> frozenset[str]:
        """Return an administrator's privileges: those that who opened the session has as well."""
        mine = self.accounts.privileges_of(self.user)
        return (
            mine if self.sudo.user is None else mine & self.accounts.privileges_of(self.sudo.user)
        )

    def _user(self, told: str, *, is_admin: bool) -> Row:
        number = as_number(told)
        if number is None or number == self.user.id:
            return self.user
        if not is_admin:
            msg = f"User {self.user.id} is not an admin and so cannot set uid to {number}"
            raise security(msg)
        user = self.world.get("Experimenter", number)
        if user is None:
            msg = f"The requested object (ome.model.meta.Experimenter,{number}) is not available."
            raise validation(msg)
        return user

    def _group(self, told: str, groups: list[Row], *, is_admin: bool) -> Row | None:
        number = as_number(told)
        if number is None:
            number = self.group.id  # he may have left it, or may never have been in it
        if number < 0:
            self._check_sudo(None)
            return None
        group = self.world.get("ExperimenterGroup", number)
        if group is None:
            msg = (
                f"The requested object (ome.model.meta.ExperimenterGroup,{number}) "
                "is not available."
            )
            raise validation(msg)
        if not (is_admin or group in groups or group.level[WORLD_READ] == "r"):
            msg = f"User {self.user.id} is not a member of group {number} and cannot login"
            raise security(msg)
        self._check_sudo(group)
        return group

    def _check_sudo(self, group: Row | None) -> None:
        if self.sudo.groups is not None and group not in self.sudo.groups:
            msg = "Group-sudo session cannot change context!"
            raise security(msg)


def as_number(told: str) -> int | None:
    """Return the number in a value of a call's context; None for what OMERO ignores.

    Clients send `str(rlong(3))` too: OMERO takes what is no number as nothing.
    """
    try:
        return int(told)
    except ValueError:
        return None


class Sessions:
    """The open sessions, by key."""

    def __init__(self) -> None:
        self._open: dict[str, OpenSession] = {}

    def __iter__(self) -> Any:
        """All of them, in the order of their log-ins."""
        return iter(tuple(self._open.values()))

    def get(self, uuid: str) -> OpenSession | None:
        """Find an open session by its key."""
        return self._open.get(uuid)

    def add(self, session: OpenSession) -> None:
        """Count a session among the open ones."""
        self._open[session.uuid] = session

    def remove(self, session: OpenSession) -> None:
        """Count a session no longer."""
        self._open.pop(session.uuid, None)
        session.closed = True

    def expired(self) -> list[OpenSession]:
        """Return the sessions whose time is over."""
        now = now_ms()
        return [session for session in self if session.is_expired(now)]
