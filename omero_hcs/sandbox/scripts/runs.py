"""One script on a processor: the job, the session that the script gets, and its results.

What OMERO calls an interactive processor. A run ends with the session that started it, unless it
was detached: whoever logs out of OMERO.web ends his scripts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.ice.record import Ice, omero, rtypes
from omero_hcs.sandbox.objects.conditions import api_usage, validation
from omero_hcs.sandbox.objects.load import Plan, materialise
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.save import Merger
from omero_hcs.sandbox.scripts.repository import PYTHON
from omero_hcs.sandbox.sessions import now_ms

if TYPE_CHECKING:
    from omero_hcs.sandbox.objects.caller import Caller
    from omero_hcs.sandbox.objects.world import World
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

LOG = logging.getLogger("omero_hcs.sandbox")
POLL_SECONDS = 0.05
MESSAGE_CHARACTERS = 255
STREAMS = ("stdout", "stderr")
FINAL = ("Finished", "Error", "Cancelled")


class ScriptRun:
    """A job that a processor has accepted.

    Parameters
    ----------
    server : Server
    processor : ProcessorPrx
    job : Row
        A `ScriptJob` or `ParseJob` that is saved.
    caller : Caller
        Who runs it: the script gets a session of his, in the group of the call.

    Attributes
    ----------
    started_ms, life_ms : int
        When the script's session began, and how long it may last (`omero.scripts.timeout`).
    is_detached : bool
        Whether the script goes on when the session that started it ends.
    """

    def __init__(self, server: Server, processor: Any, job: Row, caller: Caller) -> None:
        self._server, self._processor, self.job, self._caller = server, processor, job, caller
        self.is_detached = False
        self.started_ms = now_ms()
        self.life_ms = int(server.config.get("omero.scripts.timeout", "3600000"))
        self._process: Any = None
        self._stopped = False
        with server.world.lock:
            self.session: OpenSession = server.open_session(
                caller.user,
                caller.group or caller.session_group,
                agent="OMERO.scripts",
                life_ms=self.life_ms,
                idle_ms=0,
            )

    def parse(self, script: Row) -> Any:
        """Return the parameters of the job's script.

        Raises
        ------
        omero.ValidationException
            The script can't be parsed; the message has what it printed.
        """
        described = job_object(self._server.world, self.job, self._caller)
        found = self._processor.parseJob(self.session.uuid, described, launcher({}))
        if found is None:
            raise validation(self._why_not_parsed(script))
        return found

    def execute(
        self, parameters: Any, inputs: Mapping[str, Any], context: Mapping[str, str]
    ) -> Any:
        """Start the script, and return its `ProcessPrx`.

        Raises
        ------
        omero.ValidationException
            The inputs don't fit the parameters.
        omero.ApiUsageException
            It runs already, or its results wait to be read.
        """
        if self._process is not None or self._stopped:
            msg = "This processor is stopped." if self._stopped else "Process currently running."
            raise api_usage(msg)
        self.session.inputs.update(inputs)
        described = job_object(self._server.world, self.job, self._caller)
        try:
            process = self._processor.processJob(
                self.session.uuid, parameters, described, launcher(context)
            )
        except omero.ValidationException as error:
            with self._server.world.transaction():
                set_status(self._server.world, self.job, "Error", error.message)
            raise
        self._process = omero.grid.ProcessPrx.uncheckedCast(process)
        return self._process

    def wait(self, seconds: float) -> None:
        """Wait until the script has ended, at most so long."""
        end = time.monotonic() + seconds
        while self._process is not None and self._process.poll() is None:
            if time.monotonic() >= end:
                return
            time.sleep(POLL_SECONDS)

    def take_results(self) -> dict[str, Any]:
        """Return what the script has put out, with its `stdout` and `stderr`; only once.

        Raises
        ------
        omero.ApiUsageException
            It still runs, or its results have been taken.
        """
        if self._process is None or self._process.poll() is None:
            is_running = self._process is not None
            msg = "Process still running." if is_running else "No current process."
            raise api_usage(msg)
        self._process = None
        results = dict(self.session.outputs)
        with self._server.world.lock:
            for name in STREAMS:
                file = self._stream(name)
                if file is not None:
                    results[name] = rtypes.robject(file.entity.unloaded(file.id))
        return results

    def stop(self) -> None:
        """End the script and its session, unless it is detached. Safe to call twice."""
        if self._stopped:
            return
        self._stopped = True
        if self.is_detached:
            return
        process, self._process = self._process, None
        if process is not None:
            # Takes up to half a minute, and the caller may hold the world's lock.
            threading.Thread(target=_shut_down, args=(process,), daemon=True).start()
        with self._server.world.lock:
            self._server.close_session(self.session)  # OMERO asks nobody who joined it

    def _stream(self, name: str) -> Row | None:
        files = linked_files(self._server.world, self.job)
        return next((file for file in files if file.values.get("name") == name), None)

    def _why_not_parsed(self, script: Row) -> str:
        parts = [f"Can't find params for {script.id}!"]
        for name in STREAMS:
            file = self._stream(name)
            if file is None:
                parts.append(f"No {name}.")
            else:
                path = self._server.files.original(file)
                line = "---------------------------------"
                text = path.read_text(encoding="utf-8", errors="replace")
                parts += [f"{name} is in file {file.id}:", line, text, line]
        return "\n".join(parts)


def submit_job(world: World, caller: Caller, job: Any, *, status: str = "Submitted") -> Row:
    """Save a job, with what only the server says about it. Inside a transaction."""
    now, group = now_ms(), caller.group or caller.session_group
    row = Merger(world, caller).merge_all([prepared(job)])[0]
    for field, value in (
        ("username", caller.user.values["omeName"]),
        ("groupname", group.values["name"]),
        ("type", "User"),
        ("submitted", now),
        ("scheduledFor", max(row.values.get("scheduledFor") or 0, now)),
        ("status", world.find("JobStatus", value=status)),
    ):
        world.set(row, field, value)
    return row


def prepared(job: Any) -> Any:
    """Fill the fields of a job that may not be null, and that clients leave to the server."""
    job._username = job._groupname = job._type = rtypes.rstring("")
    job._submitted = job._scheduledFor = job._scheduledFor or rtypes.rtime(0)
    job._started = job._finished = None
    job._message = job._message or rtypes.rstring("")
    job._status = omero.model.JobStatusI()
    job._status._value = rtypes.rstring("Submitted")
    return job


def set_status(world: World, job: Row, status: str | None, message: str | None = None) -> str:
    """Give a job a status, a message or both, and return what it had. Inside a transaction.

    Raises
    ------
    omero.ValidationException
        It is a status that nobody may give a job.
    """
    old = ""
    if message is not None:
        old = job.values.get("message") or ""
        world.set(job, "message", message[:MESSAGE_CHARACTERS])
    if status is not None:
        row = world.find("JobStatus", value=status)
        if row is None or status not in ("Running", *FINAL):
            msg = f"Currently unsupported: {status}"
            raise validation(msg)
        old = job.values["status"].values["value"]
        world.set(job, "status", row)
        world.set(job, "started" if status == "Running" else "finished", now_ms())
    return old


def script_of(world: World, job: Row) -> Row:
    """Return the script that a job runs.

    Raises
    ------
    omero.ValidationException
        It has none, or several.
    """
    found = [file for file in linked_files(world, job) if file.values.get("mimetype") == PYTHON]
    if len(found) != 1:
        msg = f"Found wrong number of files: {found}"
        raise validation(msg)
    return found[0]


def linked_files(world: World, job: Row) -> list[Row]:
    """Return the files of a job: its script, and what the script printed."""
    return [link.values["child"] for link in world.members(job, "originalFileLinks")]


def job_object(world: World, job: Row, caller: Caller) -> Any:
    """Return a job with its status loaded, as `JobHandle.getJob` does."""
    with world.lock:
        return materialise(world, [job], Plan([job, job.values["status"]]), caller)[0]


def launcher(context: Mapping[str, str]) -> dict[str, str]:
    """Return the context of a call to a processor: it wants to know which interpreter to take."""
    return {**context, "omero.launcher": "", "omero.process": ""}


def _shut_down(process: Any) -> None:
    try:
        process.shutdown()
    except Ice.Exception:
        LOG.debug("a script's processor is gone", exc_info=True)
