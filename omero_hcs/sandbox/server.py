"""The server: world, accounts, sessions, files and services behind one Ice adapter."""

from __future__ import annotations

import logging
import threading
import uuid
from pathlib import Path
from typing import Any

from omero_hcs import lazy
from omero_hcs.sandbox.accounts import Accounts
from omero_hcs.sandbox.bootstrap import make_first_rows
from omero_hcs.sandbox.commands.handle import Handle
from omero_hcs.sandbox.configuration import DEFAULTS
from omero_hcs.sandbox.files import BinaryFolder
from omero_hcs.sandbox.hql.engine import Engine
from omero_hcs.sandbox.ice.endpoint import HOST, Endpoint, open_endpoint
from omero_hcs.sandbox.ice.factory import STATEFUL, STATELESS, ServiceFactory
from omero_hcs.sandbox.ice.record import Glacier2, Ice, omero
from omero_hcs.sandbox.ice.router import Router
from omero_hcs.sandbox.ice.servants import Dispatcher
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World
from omero_hcs.sandbox.scripts.parameters import ParameterCache
from omero_hcs.sandbox.scripts.processors import Processors
from omero_hcs.sandbox.scripts.repository import ScriptRepository
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.sessions import (
    BY_ONESELF,
    IDLE_MS,
    NEVER,
    OpenSession,
    Sessions,
    Sudo,
    now_ms,
)
from omero_hcs.sandbox.state import restore_state, save_state

LOG = logging.getLogger("omero_hcs.sandbox")
REAP_SECONDS = 1.0
ROUTER = "OMERO.Glacier2/router"


class Server:
    """An OMERO-compatible server on loopback.

    Parameters
    ----------
    data : Path
        A private folder of its own, for pixels, files and the certificate.
    password : str
        Of the user `root`.
    port, plain_port : int
        TLS and plain TCP; 0 for free ones.
    scripts : Path, optional
        Folder of official scripts.
    snapshot : Path, optional
        File that keeps the state: read now if it is there, written by `stop`.

    Raises
    ------
    InputError
        The snapshot can't be read.
    PortTakenError
    """

    def __init__(
        self,
        data: Path,
        password: str,
        *,
        port: int = 0,
        plain_port: int = 0,
        scripts: Path | None = None,
        snapshot: Path | None = None,
    ) -> None:
        self.world = World()
        self.accounts = Accounts(self.world)
        self.sessions = Sessions()
        self.files = BinaryFolder(data)
        self.files.follow(self.world)
        self.config = dict(DEFAULTS)
        self.engine = Engine(self.world)
        self.dispatcher = Dispatcher()
        self.scripts = ScriptRepository(self.world, self.files, scripts)
        self.parameters = ParameterCache(self)
        self.processors = Processors(self, data / "processor")
        self.database_uuid = str(uuid.uuid4())
        self._snapshot = snapshot
        if snapshot is not None and snapshot.exists():
            restore_state(self, snapshot, password)
        else:
            make_first_rows(self.world, self.accounts, password)
        self.scripts.refresh()
        self.endpoint: Endpoint = open_endpoint(data, port=port, plain_port=plain_port)
        self._stopped = threading.Event()

    def start(self) -> None:
        """Answer from now on."""
        ports = self.endpoint.ports
        self.config["omero.router.insecure"] = f"{ROUTER}:tcp -p {ports.plain} -h {HOST}"
        identity = self.endpoint.communicator.stringToIdentity(ROUTER)
        self.endpoint.add(self.dispatcher.servant(Glacier2.Router, Router(self)), identity)
        self.endpoint.adapter.activate()
        threading.Thread(target=self._reap, name="sessions", daemon=True).start()

    def stop(self) -> None:
        """End every session, and answer no longer."""
        self._stopped.set()
        self.processors.stop()
        with self.world.lock:
            for session in self.sessions:
                self.close_session(session)
        self.endpoint.close()
        if self._snapshot is not None:
            save_state(self, self._snapshot)

    def _reap(self) -> None:
        while not self._stopped.wait(REAP_SECONDS):
            with self.world.lock:
                for session in self.sessions.expired():
                    LOG.info("a session of %s timed out", session.user.values["omeName"])
                    self.close_session(session)

    # -- sessions

    def open_session(
        self,
        user: Row,
        group: Row,
        *,
        agent: str = "",
        life_ms: int = NEVER,
        idle_ms: int = IDLE_MS,
        sudo: Sudo = BY_ONESELF,
    ) -> OpenSession:
        """Log a user in, in a group. Times are in milliseconds, 0 for no limit."""
        key = str(uuid.uuid4())
        with self.world.transaction():
            row = self.world.insert(
                "Session",
                uuid=key,
                owner=user,
                sudoer=sudo.user,
                node=next(self.world.all("Node")),
                started=now_ms(),
                timeToLive=life_ms,
                timeToIdle=idle_ms,
                message="Initial message.",
                defaultEventType="User",
                userAgent=agent,
            )
        session = OpenSession(
            key, user, group, row, self.accounts, self.world,
            agent=agent, life_ms=life_ms, idle_ms=idle_ms, sudo=sudo,
        )  # fmt: skip
        self.sessions.add(session)
        return session

    def release_session(self, session: OpenSession) -> int:
        """Give a reference to a session back; without any it ends. Return those that are left."""
        session.references -= 1
        if session.references <= 0:
            self.close_session(session)
        return session.references

    def close_session(self, session: OpenSession) -> None:
        """End a session, and take its servants away."""
        self.sessions.remove(session)
        with self.world.transaction():
            self.world.set(session.row, "closed", now_ms())
        for identity in tuple(session.identities):
            self.endpoint.remove(identity)
        session.identities.clear()
        for action in session.at_end:
            action()

    def new_event(self, caller: Caller) -> Row:
        """Note that somebody changes something. Inside a transaction."""
        return self.world.insert(
            "Event",
            time=now_ms(),
            type=self.world.find("EventType", value="User"),
            session=caller.session,
            experimenter=caller.user,
            experimenterGroup=caller.group or caller.session_group,
            status="",
        )

    # -- proxies

    def factory_proxy(self, session: OpenSession, client_uuid: str) -> Any:
        """Return the service factory of one client of a session.

        Real servers call its category "session-<client uuid>": the tables servant cuts these eight
        characters off.
        """
        category = f"session-{client_uuid or uuid.uuid4()}"
        identity = Ice.Identity(session.uuid, category)
        factory = ServiceFactory(self, session)
        try:
            proxy = self.register(factory, omero.api.ServiceFactory, session, identity)
        except Ice.AlreadyRegisteredException:
            proxy = self.endpoint.proxy(identity)
        return omero.api.ServiceFactoryPrx.uncheckedCast(proxy)

    def service(self, session: OpenSession, name: str, *, stateful: bool = False) -> Any:
        """Return the proxy of a service: the session's one, or a new one of a stateful service."""
        known = session.services.get(name)
        if known is not None:
            return known
        entry = (STATEFUL if stateful else STATELESS)[name]
        service = lazy.load(entry)(self, session)
        module = omero.grid if name == "SharedResources" else omero.api
        proxy = self.register(service, getattr(module, name), session)
        proxy = getattr(module, f"{name}Prx").uncheckedCast(proxy)
        if not stateful:
            session.services[name] = proxy
        return proxy

    def submit(self, session: OpenSession, request: Any, current: Any) -> Any:
        """Run a request of `omero.cmd`, and return the proxy of its handle."""
        handle = Handle(self, session, request)
        proxy = self.register(handle, omero.cmd.Handle, session)
        handle.run(current)
        return omero.cmd.HandlePrx.uncheckedCast(proxy)

    def register(
        self, service: Service, slice_class: Any, session: OpenSession, identity: Any = None
    ) -> Any:
        """Give a service a servant that lives as long as its session, and return the proxy."""
        if identity is None:
            name = f"{slice_class.ice_staticId().rpartition('::')[2]}-{uuid.uuid4()}"
            identity = Ice.Identity(name, session.uuid)
        proxy = self.endpoint.add(self.dispatcher.servant(slice_class, service), identity)
        service.identity = identity
        session.identities.add(identity)
        return proxy

    def forget(self, service: Service) -> None:
        """Take the servant of a service away."""
        service.session.identities.discard(service.identity)
        self.endpoint.remove(service.identity)
