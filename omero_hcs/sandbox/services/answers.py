"""ProcessorCallback: the answers of processors that were asked whether they accept a job."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.ice.record import Ice, omero

if TYPE_CHECKING:
    from omero_hcs.sandbox.server import Server

# A processor answers beside the end of the call that asked it, so maybe a little after that.
LATE_SECONDS = 0.5


class Answers:
    """Waits for the first of several processors that accepts a job.

    Attributes
    ----------
    proxy : ProcessorCallbackPrx
        What the processors get to answer with.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._changed = threading.Condition()
        self._accepted: Any = None
        self._answers = self._ended = 0
        self._all_ended = False
        servant = server.dispatcher.servant(omero.grid.ProcessorCallback, self)
        self._identity = Ice.Identity(str(uuid.uuid4()), "ProcessorCallback")
        proxy = server.endpoint.add(servant, self._identity)
        self.proxy = omero.grid.ProcessorCallbackPrx.uncheckedCast(proxy)

    def isProxyAccepted(self, accepted: bool, session: str, proxy: Any, current: Any) -> None:
        with self._changed:
            self._answers += 1
            if accepted and self._accepted is None:
                self._accepted = omero.grid.ProcessorPrx.uncheckedCast(proxy)
            self._changed.notify_all()

    def count_end(self, asked: int) -> None:
        """Note that one of the processors that were asked has nothing more to say."""
        with self._changed:
            self._ended += 1
            self._all_ended = self._ended >= asked
            self._changed.notify_all()

    def wait(self, seconds: float) -> Any:
        """Return the processor that accepted first; give up early once all have ended without.

        Raises
        ------
        omero.NoProcessorAvailable
        """
        with self._changed:
            self._changed.wait_for(lambda: self._accepted or self._all_ended, seconds)
            self._changed.wait_for(
                lambda: self._accepted or self._answers >= self._ended, LATE_SECONDS
            )
            if self._accepted is None:
                msg = f"No processor available! [{self._answers} response(s)]"
                raise omero.NoProcessorAvailable(message=msg, processorCount=self._answers)
            return self._accepted

    def close(self) -> None:
        """Take no more answers."""
        self._server.endpoint.remove(self._identity)
