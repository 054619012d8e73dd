"""What all services share: the server, the session that asks, and how to read and to write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.model.schema import SCHEMA, entity_name
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import api_usage, security
from omero_hcs.sandbox.objects.load import Plan, materialise
from omero_hcs.sandbox.objects.loading import load_whole
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World

if TYPE_CHECKING:
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession


class Service:
    """A service of one session. Stateful ones (`RawPixelsStore`) are made anew for each proxy."""

    def __init__(self, server: Server, session: OpenSession) -> None:
        self.server, self.session = server, session
        self.identity: Any = None  # Ice's, once it has a servant

    def enter(self) -> None:
        """Keep the session alive: this is called before every operation.

        Raises
        ------
        omero.RemovedSessionException
            The session has ended.
        """
        self.session.use()

    @property
    def world(self) -> World:
        """The objects of the sandbox."""
        return self.server.world

    @contextmanager
    def reading(self, current: Any) -> Iterator[Caller]:
        """Hold the world still, and say who asks."""
        with self.world.lock:
            yield self.session.caller(current)

    @contextmanager
    def writing(self, current: Any) -> Iterator[Caller]:
        """Open a transaction with an event, and say who asks."""
        with self.world.transaction():
            caller = self.session.caller(current)
            caller.event = self.server.new_event(caller)
            yield caller

    def one(self, row: Row, caller: Caller | None) -> Any:
        """Give back one row's object; of the others only what is always loaded with it."""
        return self.each([row], caller)[0]

    def each(self, rows: Sequence[Row], caller: Caller | None) -> list[Any]:
        """Give back the objects of rows; of the others only what is always loaded with them."""
        plan = Plan()
        load_whole(plan, rows, caller)
        return materialise(self.world, rows, plan, caller)

    def row(self, entity: str, row_id: int, caller: Caller) -> Row:
        """Find a row that the caller may read.

        Raises
        ------
        omero.ApiUsageException
            There is no such entity or row.
        omero.SecurityViolation
            The caller may not see it.
        """
        name = entity_name(entity)
        if name not in SCHEMA:
            msg = f"{entity} is not a known type."
            raise api_usage(msg)
        row = self.world.get(name, row_id)
        if row is None:
            msg = f"No such object: {name}:{row_id}"
            raise api_usage(msg)
        if not caller.can_read(row):
            msg = f"Cannot read {name}:{row_id}"
            raise security(msg)
        return row

    def enumeration(self, entity: str, value: str) -> Row:
        """Find the row of an enumeration's value."""
        row = self.world.find(entity, value=value)
        if row is None:
            msg = f"An {entity} was not found with the value: {value}"
            raise api_usage(msg)
        return row

    # -- who may call

    def for_admins(self, current: Any) -> None:
        """Let only administrators pass.

        Raises
        ------
        omero.SecurityViolation
        """
        with self.reading(current) as caller:
            if not caller.is_admin:
                names = [group.values["name"] for group in caller.groups]
                session = self.session.uuid
                msg = (
                    f"No matching roles found in {names} for session {session} (allowed: [system])"
                )
                raise security(msg)

    def needs_password(self, current: Any) -> None:
        """Let only connections pass that logged in with a password.

        OMERO refuses this to who joined a session by its key, as scripts and OMERO.web do, until he
        calls `setSecurityPassword`.

        Raises
        ------
        omero.SecurityViolation
        """
        if not self.session.client(current.con).has_password:
            msg = (
                "Bad authentication credentials for this action.\n"
                "See setSecurityPassword for more information"
            )
            raise security(msg)

    # -- operations of stateful services

    def close(self, current: Any) -> None:
        self.server.forget(self)

    def activate(self, current: Any) -> None:
        return None

    def passivate(self, current: Any) -> None:
        return None
