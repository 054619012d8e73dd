"""The handle of a submitted request: it is run at once, and the client asks for the response."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from omero_hcs import lazy
from omero_hcs.sandbox.ice.record import Ice, omero
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.sessions import now_ms

if TYPE_CHECKING:
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

LOG = logging.getLogger("omero_hcs.sandbox")
# Request class -> `run(server, session, request, current) -> Response`, inside a transaction.
REQUESTS: Mapping[str, str] = {
    "Chgrp2": "omero_hcs.sandbox.commands.move:chgrp",
    "Chmod2": "omero_hcs.sandbox.commands.move:chmod",
    "Chown2": "omero_hcs.sandbox.commands.move:chown",
    "CurrentSessionsRequest": "omero_hcs.sandbox.commands.sessions:current_sessions",
    "Delete2": "omero_hcs.sandbox.commands.delete:delete",
    "DiskUsage2": "omero_hcs.sandbox.commands.find:disk_usage",
    "DoAll": "omero_hcs.sandbox.commands.several:do_all",
    "Duplicate": "omero_hcs.sandbox.commands.duplicate:duplicate",
    "FindChildren": "omero_hcs.sandbox.commands.find:find_children",
    "FindParents": "omero_hcs.sandbox.commands.find:find_parents",
    "FindPyramids": "omero_hcs.sandbox.commands.find:find_pyramids",
    "LegalGraphTargets": "omero_hcs.sandbox.commands.several:legal_targets",
    "OriginalMetadataRequest": "omero_hcs.sandbox.commands.find:original_metadata",
    "ResetPasswordRequest": "omero_hcs.sandbox.commands.sessions:reset_password",
    "Save": "omero_hcs.sandbox.commands.several:save",
    "SkipHead": "omero_hcs.sandbox.commands.several:skip_head",
    "UpdateSessionTimeoutRequest": "omero_hcs.sandbox.commands.sessions:update_timeout",
}


class RequestFailedError(Exception):
    """A request that ends with an error response.

    Attributes
    ----------
    response : omero.cmd.ERR
        What the client gets: a `GraphException` and the like have classes of their own.
    """

    def __init__(self, response: Any) -> None:
        super().__init__(response.name)
        self.response = response


class Handle(Service):
    """Operations of `omero.cmd.Handle`."""

    def __init__(self, server: Server, session: OpenSession, request: Any) -> None:
        super().__init__(server, session)
        self._request = request
        self._response: Any = None
        self._status = omero.cmd.Status(flags=[], steps=1, startTime=now_ms())

    def run(self, current: Any) -> None:
        """Run the request; whatever goes wrong becomes its response, and nothing of it is kept."""
        try:
            with self.world.transaction():
                self._response = run_request(self.server, self.session, self._request, current)
        except RequestFailedError as error:
            self._response = error.response
        except Ice.Exception as error:
            self._response = error_response(type(error).__name__, error)
        except Exception as error:
            LOG.exception("the request %s failed", type(self._request).__name__)
            self._response = error_response("InternalException", error)
        if isinstance(self._response, omero.cmd.ERR):
            self._status.flags += [omero.cmd.State.FAILURE, omero.cmd.State.CANCELLED]
        self._status.stopTime = now_ms()
        self._status.currentStep = 1

    def getRequest(self, current: Any) -> Any:
        return self._request

    def getResponse(self, current: Any) -> Any:
        return self._response

    def getStatus(self, current: Any) -> Any:
        return self._status

    def addCallback(self, callback: Any, current: Any) -> None:
        callback = omero.cmd.CmdCallbackPrx.uncheckedCast(callback)
        # A thread of its own: the client may answer only after this call has returned.
        threading.Thread(target=self._tell, args=(callback,), daemon=True).start()

    def _tell(self, callback: Any) -> None:
        try:
            callback.finished(self._response, self._status)
        except Ice.Exception:
            LOG.debug("a client did not wait for its request", exc_info=True)

    def removeCallback(self, callback: Any, current: Any) -> None:
        return None

    def cancel(self, current: Any) -> bool:
        return False  # it has run already


def run_request(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a request of any class, inside the transaction that is open.

    Raises
    ------
    RequestFailedError
        The request can't be done.
    """
    name = type(request).__name__
    if name not in REQUESTS:
        LOG.warning("not implemented: request %s", name)
        unknown = omero.cmd.Unknown("::omero::cmd::Unknown", "unknown", {"type": name})
        raise RequestFailedError(unknown)
    run: Callable[..., Any] = lazy.load(REQUESTS[name])
    return run(server, session, request, current)


def error_response(name: str, error: BaseException) -> Any:
    """Make the response of a request that failed."""
    message = getattr(error, "message", "") or str(error)
    return omero.cmd.ERR("::omero::cmd::ERR", name, {"message": message, "stacktrace": ""})
