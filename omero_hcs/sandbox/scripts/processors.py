"""Processors: who runs scripts. Ours is started when the first script needs it.

It is OMERO's own `omero.processor`, run as root in a client of its own, for official scripts only.
Whoever calls `omero script serve` adds another, for scripts of his own. The first processor that
accepts a job gets it, as in OMERO.
"""

from __future__ import annotations

import logging
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omero_hcs import lazy
from omero_hcs.sandbox.ice.record import Ice, omero
from omero_hcs.sandbox.services.answers import Answers

if TYPE_CHECKING:
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

LOG = logging.getLogger("omero_hcs.sandbox")
ROOT_ID = SYSTEM_GROUP_ID = 0


@dataclass(frozen=True)
class Registered:
    """A processor, and the session that added it."""

    proxy: Any
    session: OpenSession


class Processors:
    """The processors of a server.

    Parameters
    ----------
    server : Server
    home : Path
        Made for the processor: what it takes for the folder of an OMERO.
    """

    def __init__(self, server: Server, home: Path) -> None:
        self._server, self._home = server, home
        self._lock = threading.Lock()
        self._registered: list[Registered] = []
        self._own: _OwnProcessor | None = None
        self._stopped = False

    def add(self, session: OpenSession, proxy: Any) -> None:
        """Ask a processor from now on, as long as its session lasts."""
        known = Registered(omero.grid.ProcessorPrx.uncheckedCast(proxy), session)
        self._registered.append(known)
        session.at_end.append(lambda: self._forget(known))

    def remove(self, proxy: Any) -> None:
        """Ask a processor no longer."""
        identity = proxy.ice_getIdentity()
        for known in tuple(self._registered):
            if known.proxy.ice_getIdentity() == identity:
                self._forget(known)

    def acquire(self, owner: Any, group: Any, job: Any, seconds: float) -> Any:
        """Return the proxy of the first processor that accepts a job.

        Parameters
        ----------
        owner, group, job : omero.model objects
            Who wants to run it, in which group, and the saved job with its details; job may be
            None, to ask who would run scripts of that user or group.
        seconds : float
            How long to wait for an answer.

        Raises
        ------
        omero.NoProcessorAvailable
        """
        self._start_own()
        question = Answers(self._server)
        try:
            asked = tuple(self._registered)
            if not asked:
                question.count_end(0)
            for known in asked:
                self._ask(question, known, (owner, group, job), len(asked))
            return question.wait(seconds)
        finally:
            question.close()

    def stop(self) -> None:
        """End every script that our own processor runs, and the processor."""
        with self._lock:
            self._stopped = True
            own, self._own = self._own, None
        if own is not None:
            own.stop()

    def _ask(
        self, question: Answers, known: Registered, subject: tuple[Any, Any, Any], count: int
    ) -> None:
        def failed(error: Exception) -> None:
            LOG.debug("a processor does not answer", exc_info=error)
            if isinstance(error, Ice.LocalException):
                self._forget(known)
            question.count_end(count)

        known.proxy.begin_willAccept(
            *subject, question.proxy, _response=lambda: question.count_end(count), _ex=failed
        )

    def _forget(self, known: Registered) -> None:
        if known in self._registered:
            self._registered.remove(known)

    def _start_own(self) -> None:
        with self._lock:
            if self._own is None and not self._stopped:
                self._own = _OwnProcessor(self._server, self._home)


class _OwnProcessor:
    """The processor of the server itself, in a client of root's."""

    def __init__(self, server: Server, home: Path) -> None:
        for folder in ("lib/server", "lib/python", "etc"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        configuration = home / "etc" / "ice.config"
        configuration.touch()
        self._server, self._session = server, _root_session(server)
        ports = server.endpoint.ports
        router = f"OMERO.Glacier2/router:tcp -p {ports.plain} -h 127.0.0.1"
        self._client = omero.client([f"--Ice.Default.Router={router}"])
        self._client.setAgent("OMERO.processor")
        self._client.joinSession(self._session.uuid)
        ended = threading.Event()
        context = omero.util.ServerContext("Processor-0", self._client.ic, ended)
        # It asks this session every minute whether a script's is still there, looks for a grid of
        # servers if it has none, and then ends the script.
        context.session = self._client.sf
        category = self._client.getCategory()
        self._processor = lazy.load("omero_hcs.sandbox.scripts.watched:WatchedProcessor")(
            context,
            use_session=self._client.sf,
            accepts_list=[],  # official scripts only
            cfg=str(configuration),
            omero_home=lazy.load("omero_ext.path:path", extra="sandbox")(str(home)),
            category=category,
        )
        identity = Ice.Identity(f"Processor-{uuid.uuid4()}", category)
        context.add_servant(self._client.adapter, self._processor, identity)

    def stop(self) -> None:
        self._processor.cleanup()
        self._client.closeSession()


def _root_session(server: Server) -> OpenSession:
    world = server.world
    with world.lock:
        root, system = world.get("Experimenter", ROOT_ID), world.get("ExperimenterGroup", 0)
        if root is None or system is None:
            msg = "A server without root can't run scripts."
            raise RuntimeError(msg)
        return server.open_session(root, system, agent="OMERO.processor", idle_ms=0)
