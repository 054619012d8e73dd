"""ScriptProcess and InteractiveProcessor: a script that runs, as its user sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.ice.record import rtypes
from omero_hcs.sandbox.objects.conditions import api_usage
from omero_hcs.sandbox.scripts.runs import job_object, script_of, set_status
from omero_hcs.sandbox.services.base import Service

if TYPE_CHECKING:
    from omero_hcs.sandbox.scripts.runs import ScriptRun
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

LONGEST_SECONDS = 5  # that a client may make the server wait for results


class ScriptProcess(Service):
    """Operations of `omero.grid.ScriptProcess`; those of a process go on to the processor's own."""

    def __init__(self, server: Server, session: OpenSession, run: ScriptRun, process: Any) -> None:
        super().__init__(server, session)
        self._run, self._process = run, process

    def poll(self, current: Any) -> Any:
        return self._process.poll()

    def wait(self, current: Any) -> int:
        return int(self._process.wait())

    def cancel(self, current: Any) -> bool:
        return bool(self._process.cancel())

    def kill(self, current: Any) -> bool:
        return bool(self._process.kill())

    def shutdown(self, current: Any) -> None:
        self._process.shutdown()

    def registerCallback(self, callback: Any, current: Any) -> None:
        self._process.registerCallback(callback)

    def unregisterCallback(self, callback: Any, current: Any) -> None:
        self._process.unregisterCallback(callback)

    def getJob(self, current: Any) -> Any:
        with self.reading(current) as caller:
            return job_object(self.world, self._run.job, caller)

    def getResults(self, seconds: int, current: Any) -> dict[str, Any]:
        if not 0 <= seconds <= LONGEST_SECONDS:
            msg = f"Refusing to wait more than {LONGEST_SECONDS} seconds: {seconds}"
            raise api_usage(msg)
        self._run.wait(seconds)
        return self._run.take_results()

    def setMessage(self, message: str, current: Any) -> str:
        with self.writing(current):
            return set_status(self.world, self._run.job, None, message)

    def close(self, detach: bool, current: Any) -> None:  # type: ignore[override]  # Slice's own
        self._run.is_detached = detach
        self._run.stop()
        if self._run.stop in self.session.at_end:
            self.session.at_end.remove(self._run.stop)
        self.server.forget(self)


class InteractiveProcessor(Service):
    """Operations of `omero.grid.InteractiveProcessor`."""

    def __init__(self, server: Server, session: OpenSession, run: ScriptRun) -> None:
        super().__init__(server, session)
        self._run = run

    def expires(self, current: Any) -> int:
        return self._run.started_ms + self._run.life_ms

    def getJob(self, current: Any) -> Any:
        with self.reading(current) as caller:
            return job_object(self.world, self._run.job, caller)

    def params(self, current: Any) -> Any:
        with self.reading(current) as caller:
            script = script_of(self.world, self._run.job)
        if self._run.job.entity.name == "ParseJob":
            return self._run.parse(script)
        return self.server.parameters.of(script, caller)

    def execute(self, inputs: Any, current: Any) -> Any:
        values = {} if inputs is None else inputs.val or {}
        return self._run.execute(self.params(current), values, dict(current.ctx))

    def getResults(self, process: Any, current: Any) -> Any:
        return rtypes.rmap(self._run.take_results())

    def setDetach(self, detach: bool, current: Any) -> bool:
        old, self._run.is_detached = self._run.is_detached, detach
        return old

    def stop(self, current: Any) -> None:
        self._run.stop()
