"""The parameters of scripts: found by running a script up to `omero.scripts.client`, then kept."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.ice.record import omero, rtypes
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.scripts.runs import ScriptRun, job_object, set_status, submit_job

if TYPE_CHECKING:
    from omero_hcs.sandbox.objects.caller import Caller
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

PARSE_SECONDS = 10  # how long to look for a processor


class ParameterCache:
    """Parameters by script and by the hash of its text, as OMERO's `ParamsCache` keeps them.

    Scripts in the namespace `NSDYNAMIC` make lists for their dialog: they are parsed each time, as
    whoever asks, so that a list may hold what he sees and nothing else.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._found: dict[tuple[int, str], Any] = {}
        self._locks: dict[int, threading.Lock] = defaultdict(threading.Lock)

    def of(self, script: Row, caller: Caller) -> Any:
        """Return the `omero.grid.JobParams` of a script.

        Parameters
        ----------
        script : Row
        caller : Caller
            Who asks: it is parsed as him, be it official or his own.

        Raises
        ------
        omero.ValidationException
            It can't be parsed.
        omero.NoProcessorAvailable
            Nobody runs scripts of that user.
        """
        key = (script.id, script.values.get("hash") or "")
        with self._locks[script.id]:
            found = self._found.get(key)
            if found is None:
                found = parse(self._server, script, caller)
                if omero.constants.namespaces.NSDYNAMIC not in (found.namespaces or ()):
                    self._found[key] = found
            return found

    def forget(self, script: Row) -> None:
        """Parse a script anew when it is next asked for."""
        for key in [key for key in self._found if key[0] == script.id]:
            del self._found[key]


def parse(server: Server, script: Row, asker: Caller) -> Any:
    """Run a script up to its parameters, in a session of whoever asks for them."""
    session = _session_of(server, asker)
    try:
        with server.world.transaction():
            caller = session.caller()
            caller.event = server.new_event(caller)
            job = omero.model.ParseJobI()
            job._message = rtypes.rstring(f"Parsing script {script.id}")
            job.linkOriginalFile(omero.model.OriginalFileI(script.id, loaded=False))
            row = submit_job(server.world, caller, job, status="Waiting")
        run = acquire(server, row, caller, PARSE_SECONDS)
        try:
            return run.parse(script)
        finally:
            run.stop()
    finally:
        with server.world.lock:
            server.close_session(session)


def acquire(server: Server, job: Row, caller: Caller, seconds: float) -> ScriptRun:
    """Find a processor for a saved job.

    Raises
    ------
    omero.NoProcessorAvailable
        None accepts it; the job says so as well.
    """
    group = caller.group or caller.session_group
    who = caller.user.entity.unloaded(caller.user.id), group.entity.unloaded(group.id)
    described = job_object(server.world, job, caller)
    try:
        processor = server.processors.acquire(*who, described, seconds)
    except omero.NoProcessorAvailable as error:
        with server.world.transaction():
            set_status(server.world, job, "Error", error.message)
        raise
    return ScriptRun(server, processor, job, caller)


def _session_of(server: Server, caller: Caller) -> OpenSession:
    with server.world.lock:
        group = caller.group or caller.session_group
        return server.open_session(caller.user, group, agent="OMERO.scripts", idle_ms=0)
