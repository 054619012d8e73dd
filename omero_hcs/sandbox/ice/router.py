"""The router: where clients log in, and through which the server calls them back.

A client is behind its own connection only: for each connection there is a category of identities,
and what is called in that category is sent back over that connection (`Forward`). So callbacks, and
the processor that runs scripts, need no port of the client's.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.ice.record import Glacier2, Ice

if TYPE_CHECKING:
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

LOG = logging.getLogger("omero_hcs.sandbox")


@dataclass
class Client:
    """One connection, the category of its callbacks, and the sessions it joined."""

    connection: Any
    category: str = field(default_factory=lambda: f"client-{uuid.uuid4()}")
    sessions: list[OpenSession] = field(default_factory=list)


class Router:
    """Operations of `Glacier2::Router`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._clients: list[Client] = []  # a connection can be compared, not hashed

    def createSession(self, user: str, password: str, current: Any) -> Any:
        """Log in, or join a session whose key is given as the name.

        Raises
        ------
        Glacier2.PermissionDeniedException
        """
        server = self._server
        with server.world.lock:
            joined = server.sessions.get(user)
            session = joined or self._log_in(user, password, current)
            session.attach(current.con, has_password=joined is None)
            self._client(current.con).sessions.append(session)
            return server.factory_proxy(session, current.ctx.get("omero.client.uuid", ""))

    def _log_in(self, user: str, password: str, current: Any) -> OpenSession:
        row = self._server.accounts.authenticate(user, password)
        if row is None:
            reason = "Password check failed"
            raise Glacier2.PermissionDeniedException(reason)
        group = self._server.accounts.group_for_login(row, current.ctx.get("omero.group"))
        session = self._server.open_session(row, group, agent=current.ctx.get("omero.agent", ""))
        address = current.ctx.get("omero.ip")
        if address:
            with self._server.world.transaction():
                self._server.world.set(session.row, "userIP", address)
        return session

    def destroySession(self, current: Any) -> None:
        """Leave the sessions that the connection joined."""
        self._leave(self._client(current.con))

    def getCategoryForClient(self, current: Any) -> str:
        """Return the category in which the client's callbacks live."""
        return self._client(current.con).category

    def getClientProxy(self, current: Any) -> None:
        """Return nothing: proxies of ours are called over the connection that they came by."""
        return

    def getServerProxy(self, current: Any) -> Any:
        """Return the endpoint that callbacks are called at: ours, see `Forward`."""
        return self._server.endpoint.proxy(Ice.Identity("callbacks", "sandbox"))

    def addProxies(self, proxies: list[Any], current: Any) -> list[Any]:
        """Evict nothing: every proxy of ours may be called."""
        return []

    def refreshSession(self, current: Any) -> None:
        """Keep the connection's sessions alive."""
        for session in self._client(current.con).sessions:
            session.use()

    def getSessionTimeout(self, current: Any) -> int:
        """Return 0: sessions time out by themselves, not by the router."""
        return 0

    def getACMTimeout(self, current: Any) -> int:
        """Return 0: quiet connections are kept."""
        return 0

    def _client(self, connection: Any) -> Client:
        with self._server.world.lock:
            for client in self._clients:
                if client.connection == connection:
                    return client
            client = Client(connection)
            self._clients.append(client)
        self._server.endpoint.adapter.addDefaultServant(Forward(connection), client.category)
        connection.setCallback(Closed(self, client))
        return client

    def forget(self, client: Client) -> None:
        """Let a closed connection go: its callbacks, and its share of its sessions."""
        with self._server.world.lock:
            self._clients = [known for known in self._clients if known is not client]
        self._leave(client)
        try:
            self._server.endpoint.adapter.removeDefaultServant(client.category)
        except Ice.LocalException:
            LOG.debug("the adapter closed before a connection did", exc_info=True)

    def _leave(self, client: Client) -> None:
        with self._server.world.lock:
            left, client.sessions = client.sessions, []
            for session in left:
                if session.detach(client.connection) and not session.closed:
                    self._server.close_session(session)


class Forward(Ice.Blobject):  # type: ignore[misc]  # IcePy has no types
    """Passes what is called in a client's category on to that client."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def ice_invoke(self, data: bytes, current: Any) -> Any:
        """Send a request over the client's own connection, and return its answer."""
        proxy = self._connection.createProxy(current.id)
        return proxy.ice_invoke(current.operation, current.mode, data, current.ctx)


class Closed(Ice.ConnectionCallback):  # type: ignore[misc]  # IcePy has no types
    """Tells the router when a connection ends, however it ends."""

    def __init__(self, router: Router, client: Client) -> None:
        self._router, self._client = router, client

    def heartbeat(self, connection: Any) -> None:
        """Ignore a sign of life."""

    def closed(self, connection: Any) -> None:
        """Forget the client."""
        self._router.forget(self._client)
