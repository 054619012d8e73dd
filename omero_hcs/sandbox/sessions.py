"""Sessions: who is logged in, for how long, and what belongs to each of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import removed, security
from omero_hcs.sandbox.objects.row import Row

if TYPE_CHECKING:
    from omero_hcs.sandbox.objects.world import World
    from omero_hcs.sandbox.accounts import Accounts

IDLE_MS = 600_000  # omero.sessions.timeout: ten minutes
MAXIMUM_USER_IDLE_MS = 6_000_000  # omero.sessions.max_user_time_to_idle: a hundred minutes
MAXIMUM_USER_LIFE_MS = 0  # omero.sessions.max_user_time_to_live: none
NEVER = 0  # as a time-out


def now_ms() -> int:
    """Milliseconds since 1970, as OMERO's times are."""
    return time.time_ns() // 1_000_000


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
        Connections that joined it.
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
    references: int = 0
    close_on_destroy: bool = False
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
            The context names a group that the user is no member of.
        """
        context = {} if current is None else current.ctx
        accounts, user = self.accounts, self.user
        is_admin = accounts.is_admin(user)
        told = context.get("omero.user", "")
        if is_admin and told.isdigit():
            user = self.world.get("Experimenter", int(told)) or user
        groups = accounts.groups_of(self.user)
        return Caller(
            user,
            self._group(context.get("omero.group", ""), groups, is_admin=is_admin),
            self.group,
            is_admin=is_admin,
            groups=frozenset(groups),
            led=frozenset(accounts.led_by(self.user)),
            session=self.row,
        )

    def _group(self, told: str, groups: list[Row], *, is_admin: bool) -> Row | None:
        if told == "-1":
            return None
        if not told.isdigit():  # clients send str(rlong(3)) as well; OMERO ignores it
            return self.group
        group = self.world.get("ExperimenterGroup", int(told))
        if group is None or not (is_admin or group in groups):
            name = self.user.values["omeName"]
            msg = f"User {name} is not a member of group {told} and cannot login"
            raise security(msg)
        return group


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
