"""A thread that keeps a session from timing out while its program computes.

OMERO's client has one as well, which stops at the first failure, asks at most every five seconds
and keeps the client alive for ever; and the gateway's must be asked from outside.
"""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any

from omero.rtypes import unwrap

from omero_hcs.stores.omero.faults import reason

if TYPE_CHECKING:
    from omero_hcs.stores.omero.session import Session

LOG = logging.getLogger("omero_hcs")
EVERY_SECONDS = 60.0
_ASKS_A_TIMEOUT = 4
"""How often at least the server is asked before the session would time out."""


def keep_alive(session: Session, closed: threading.Event) -> None:
    """Ask the server for a sign of life now and then, until the session is closed or forgotten.

    It works beside long calls that let go of Python's lock, as those of torch and numpy do. If one
    holds it for longer than the server's time-out, the session ends, and the next `read` logs in
    anew (which a session that was joined by its key cannot).
    """
    wait = _ask(session.client) or EVERY_SECONDS
    threading.Thread(
        target=_run, args=(weakref.ref(session), closed, wait), name="omero-keep-alive", daemon=True
    ).start()


def _run(known: weakref.ref[Session], closed: threading.Event, wait: float) -> None:
    while not closed.wait(wait):
        session = known()
        if session is None:
            return
        wait = _ask(session.client) or wait
        del session  # or it would never be forgotten


def _ask(client: Any) -> float | None:
    """Ask for the session, which starts its idle time anew; return when to ask again."""
    try:
        row = client.getSession().getSessionService().getSession(client.getSessionId())
    except Exception as error:  # noqa: BLE001  (the next call finds it out, and reconnects)
        LOG.debug("the session gave no sign of life: %s", reason(error))
        return None
    idle_ms = unwrap(row.timeToIdle)
    return min(EVERY_SECONDS, idle_ms / 1000 / _ASKS_A_TIMEOUT) if idle_ms else EVERY_SECONDS
