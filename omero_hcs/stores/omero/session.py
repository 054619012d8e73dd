"""One connection to an OMERO server, which stays alive, and comes back once when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from omero.rtypes import unwrap

from omero_hcs.errors import HcsError, LoginError, NotAllowedError, ServerLostError
from omero_hcs.stores.omero.connect import close_client, gateway_of, place_of
from omero_hcs.stores.omero.entrance import Entrance
from omero_hcs.stores.omero.faults import is_lost, is_unknown_group, reason
from omero_hcs.stores.omero.keepalive import keep_alive
from omero_hcs.stores.omero.login import Login

T = TypeVar("T")

ASKED_AT_ONCE = 1_000
"""Ids in one query; the data base takes 32,767 parameters."""

ALL_GROUPS = -1
"""Group context of reads: every group of the user. Writes name the group of their object."""


@dataclass(frozen=True, eq=False)
class _Link:
    """One connection, as long as it lasts."""

    client: Any = field(repr=False)  # the names of its services begin with the session's key
    conn: Any = field(repr=False)
    query: Any = field(repr=False)
    user: str
    user_id: int
    is_ours: bool = True


class Session:
    """A user's connection. Several threads may use it at once.

    Parameters
    ----------
    login : Login
        The way in.
    entrance : Entrance, optional
        That of a session to share; a new one by default.
    client : omero.client, optional
        One that is connected already, and is not ours to close.

    Raises
    ------
    LoginError
        If the server is not reached, or lets nobody in.
    """

    def __init__(
        self, login: Login, *, entrance: Entrance | None = None, client: Any = None
    ) -> None:
        self._entrance = entrance or Entrance(login)
        self._reconnecting = threading.Lock()
        self._writing = threading.RLock()
        self._generation = 0
        self._closed = threading.Event()
        self._link = self._connect() if client is None else _link(client, is_ours=False)
        keep_alive(self, self._closed)

    @classmethod
    def of_client(cls, client: Any) -> Session:
        """Use the client that an OMERO script was given; it is the script's to close."""
        host, port = place_of(client)
        login = Login(host, port, key=client.getSessionId(), origin="the script")
        return cls(login, entrance=Entrance(login, client.getPropertyMap()), client=client)

    def another(self) -> Session:
        """Connect once more with the same OMERO session: for reading in parallel.

        Each of them is closed by itself, in any order.
        """
        return type(self)(self._entrance.login, entrance=self._entrance)

    def __repr__(self) -> str:
        return f"Session({self.user}@{self.server})"

    @property
    def conn(self) -> Any:
        """The gateway; for reads of every group, and inside `write` for the group named there.

        Another one after a reconnection: ask for it anew in each call.
        """
        return self._link.conn

    @property
    def client(self) -> Any:
        """The gateway's `omero.client`."""
        return self._link.client

    @property
    def generation(self) -> int:
        """How often it was reconnected; services made before have ended with their connection."""
        return self._generation

    @property
    def server(self) -> str:
        """Host and port, for messages."""
        login = self._entrance.login
        return f"{login.host}:{login.port}"

    @property
    def server_version(self) -> str:
        """Version of the server: "5.6.10"."""
        return str(self.read(lambda conn: conn.c.sf.getConfigService().getVersion()))

    @property
    def user(self) -> str:
        """Name of who is connected."""
        return self._link.user

    @property
    def user_id(self) -> int:
        """Id of who is connected."""
        return self._link.user_id

    def project(
        self,
        hql: str,
        given: Mapping[str, int | str | Sequence[int] | Sequence[str]] | None = None,
        *,
        group: int = ALL_GROUPS,
    ) -> list[list[Any]]:
        """Rows of a projection query, as Python values; a read, so it is tried again once.

        Parameters
        ----------
        hql : str
            ``select a.id, a.name from ... where a.id in (:ids)``.
        given : mapping, optional
            Named parameters: numbers, texts, or lists of them.
        group : int
            Group context.
        """
        parameters, context = parameters_of(given or {}), context_of(group)
        # The proxy that is kept spares the gateway's question whether its own is still there.
        rows = self._twice(lambda link: link.query.projection(hql, parameters, context))
        return [[unwrap(value) for value in row] for row in rows]

    def read(self, call: Callable[[Any], T]) -> T:
        """Call with the gateway; after a lost connection, once more with a new one.

        Only for calls that change nothing, or that may be made twice.

        Raises
        ------
        ServerLostError
            If the server is gone for good.
        """
        return self._twice(lambda link: call(link.conn))

    def write(self, call: Callable[[Any], T], group: int) -> T:
        """Call with the gateway, in the context of a group, and never twice.

        For calls that change something. Whether the server is there is found out before; if the
        connection is lost on the way, there is a new one afterwards, but what was done of the call
        is not known.

        Parameters
        ----------
        call : callable
            Takes the gateway.
        group : int
            The group of the object that is written to; `conn.SERVICE_OPTS` names it.

        Raises
        ------
        ServerLostError
            If the connection was lost; what the call did is for the caller to find out.
        NotAllowedError
            If there is no such group, or the user is not in it.
        """
        with self._writing:
            link = self._twice(_awake)
            options = link.conn.SERVICE_OPTS
            before = options.getOmeroGroup()
            options.setOmeroGroup(group)
            try:
                return call(link.conn)
            except Exception as error:
                self._tell_of_write(link, group, error)
                raise
            finally:
                options.setOmeroGroup(before)

    def create_run_session(self, group: int, hours: float) -> str:
        """Open an OMERO session of its own for a run that outlives this one.

        Parameters
        ----------
        group : int
            The group that the run works in.
        hours : float
            How long it lasts, at most; it may be idle all the time where the server allows that.

        Returns
        -------
        str
            Its key: a secret, to be kept with `login.write_session_file`.

        Raises
        ------
        NotAllowedError
            If this session was joined by its key: OMERO opens further ones only for those who gave
            their password. Also if the user is not in the group, or it may not last that long.
        """
        from omero_hcs.stores.omero.runsession import open_run_session  # noqa: PLC0415

        return self.read(
            lambda conn: open_run_session(conn, self._entrance.login, group=group, hours=hours)
        )

    def close(self) -> None:
        """Log out, where it was we who logged in; safe to call twice."""
        with self._reconnecting:
            if self._closed.is_set():
                return
            self._closed.set()
        if self._link.is_ours:
            close_client(self._link.client)

    def _connect(self) -> _Link:
        client = self._entrance.open()
        try:
            link = _link(client)
            self._entrance.check_user(link.user)
        except BaseException:
            close_client(client)
            raise
        return link

    def _twice(self, call: Callable[[_Link], T]) -> T:
        link = self._link
        try:
            return call(link)
        except Exception as error:
            if not self._is_gone(link, error):
                raise
            link = self._replace(link, error)
        try:
            return call(link)
        except Exception as error:
            if is_lost(error):
                raise self._lost(reason(error)) from error
            raise

    def _is_gone(self, link: _Link, error: Exception) -> bool:
        # Whatever fails on a connection that another thread has closed failed because of that.
        return not isinstance(error, HcsError) and (is_lost(error) or link is not self._link)

    def _replace(self, old: _Link, cause: Exception) -> _Link:
        """Reconnect, unless another thread did meanwhile."""
        with self._reconnecting:
            if self._closed.is_set():
                msg = f"This connection to OMERO at {self.server} was closed. Open the store again."
                raise ServerLostError(msg) from cause
            if self._link is not old:
                return self._link
            try:
                self._link = self._connect()
            except LoginError as error:
                raise self._lost(str(error)) from cause
            except Exception as error:
                if is_lost(error):
                    raise self._lost(reason(error)) from cause
                raise
            self._generation += 1
        if old.is_ours:
            close_client(old.client)
        return self._link

    def _tell_of_write(self, link: _Link, group: int, error: Exception) -> None:
        """Raise what a failed write means; return if it means what it says."""
        if self._is_gone(link, error):
            self._replace(link, error)
            msg = (
                f"The connection to OMERO at {self.server} was lost while something was written "
                f"({reason(error)}), and it is there again. Start the same command again: what is "
                "done is kept, and what is half done is found."
            )
            raise ServerLostError(msg) from error
        if is_unknown_group(error):
            msg = (
                f"User {self.user} cannot work in group {group} of {self.server}: there is no such "
                "group, or the user is not in it. Ask the group's owner or an administrator."
            )
            raise NotAllowedError(msg) from error

    def _lost(self, why: str) -> ServerLostError:
        msg = (
            f"The connection to OMERO at {self.server} was lost, and did not come back. "
            f"{why[:1].upper()}{why[1:].removesuffix('.')}. Start the same command again when the "
            "server is there: what is done is kept."
        )
        return ServerLostError(msg)


def batches(items: Sequence[T], size: int = ASKED_AT_ONCE) -> Iterator[Sequence[T]]:
    """Parts of a sequence of at most `size` items: by default, what one query may name."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def context_of(group: int) -> dict[str, str]:
    """Call context of a group, as OMERO's services take it in their last argument."""
    return {"omero.group": str(group)}


def parameters_of(given: Mapping[str, int | str | Sequence[int] | Sequence[str]]) -> Any:
    """Named parameters of a query."""
    from omero.rtypes import rlist, rlong, rstring  # noqa: PLC0415
    from omero.sys import ParametersI  # noqa: PLC0415

    parameters = ParametersI()
    for name, value in given.items():
        if isinstance(value, str):
            parameters.add(name, rstring(value))
        elif isinstance(value, int):
            parameters.add(name, rlong(value))
        else:
            wrap = rstring if any(isinstance(item, str) for item in value) else rlong
            parameters.add(name, rlist([wrap(item) for item in value]))
    return parameters


def _link(client: Any, *, is_ours: bool = True) -> _Link:
    factory = client.getSession()
    who = factory.getAdminService().getEventContext()
    conn = gateway_of(client, ALL_GROUPS)
    return _Link(client, conn, factory.getQueryService(), who.userName, who.userId, is_ours)


def _awake(link: _Link) -> _Link:
    """Ask the server for a sign of life."""
    link.client.getSession().keepAlive(None)
    return link
