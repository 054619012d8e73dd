"""One connection to an OMERO server, which stays alive, and comes back once when it is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from omero.gateway import BlitzGateway  # first: loads omero.model and omero.cmd in a working order
from omero.rtypes import unwrap
from omero.sys import ParametersI

from omero_hcs.errors import LoginError
from omero_hcs.stores.omero.login import Login

T = TypeVar("T")

ALL_GROUPS = -1
"""Group context of reads: every group of the user. Writes name the group of their object."""

_KEEP_ALIVE = 60


class Session:
    """A user's connection.

    Parameters
    ----------
    login : Login
        The way in.
    """

    def __init__(self, login: Login) -> None:
        self._login = login
        self._conn = _connect(login)

    @classmethod
    def of_client(cls, client: Any) -> Session:
        """Use the client that an OMERO script was given; it is the script's to close."""
        raise NotImplementedError

    @property
    def conn(self) -> Any:
        """The gateway; for reads of every group unless `in_group` says another."""
        return self._conn

    @property
    def server(self) -> str:
        """Host and port, for messages."""
        return f"{self._login.host}:{self._login.port}"

    @property
    def user(self) -> str:
        """Name of who is connected."""
        return str(self._conn.getUser().getName())

    @property
    def user_id(self) -> int:
        """Id of who is connected."""
        return int(self._conn.getUserId())

    def another(self) -> Session:
        """Connect once more with the same OMERO session: for reading in parallel."""
        key = self._conn.getSession().getUuid().val
        return Session(Login(self._login.host, self._login.port, key=key, origin="joined"))

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
        parameters = parameters_of(given or {})
        return self.read(
            lambda conn: [
                [unwrap(value) for value in row]
                for row in conn.getQueryService().projection(hql, parameters, context_of(group))
            ]
        )

    def read(self, call: Callable[[Any], T]) -> T:
        """Call with the gateway; after a lost connection, once more with a new one.

        Only for calls that change nothing, or that may be made twice.

        Raises
        ------
        ServerLostError
            If the server is gone for good.
        """
        return call(self._conn)

    def close(self) -> None:
        """Log out, where it was we who logged in; safe to call twice."""
        self._conn.close()


def context_of(group: int) -> dict[str, str]:
    """Call context of a group, as OMERO's services take it in their last argument."""
    return {"omero.group": str(group)}


def parameters_of(given: Mapping[str, int | str | Sequence[int] | Sequence[str]]) -> Any:
    """Named parameters of a query."""
    from omero.rtypes import rlist, rlong, rstring  # noqa: PLC0415

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


def _connect(login: Login) -> Any:
    conn = BlitzGateway(
        login.user or "", login.password or "", host=login.host, port=login.port, secure=True
    )
    if not conn.connect(sUuid=login.key):
        msg = f"{login.host}:{login.port} let nobody in: {conn.getLastError()}"
        raise LoginError(msg)
    conn.c.enableKeepAlive(_KEEP_ALIVE)
    return conn
