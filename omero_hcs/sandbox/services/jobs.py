"""JobHandle: jobs, that is scripts that were started, and how they fare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.ice.record import rtypes
from omero_hcs.sandbox.objects.conditions import api_usage
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.scripts.runs import job_object, set_status, submit_job
from omero_hcs.sandbox.services.base import Service

if TYPE_CHECKING:
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

ACCEPTED = ("Submitted", "Waiting")


class JobHandle(Service):
    """Operations of `omero.api.JobHandle`."""

    def __init__(self, server: Server, session: OpenSession) -> None:
        super().__init__(server, session)
        self._job_id: int | None = None

    def submit(self, job: Any, current: Any) -> int:
        status = _status_of(job)
        if status not in ACCEPTED:
            msg = "Currently only SUBMITTED and WAITING are accepted as JobStatus"
            raise api_usage(msg)
        with self.writing(current) as caller:
            self._job_id = submit_job(self.world, caller, job, status=status).id
            return self._job_id

    def attach(self, job_id: int, current: Any) -> Any:
        self._job_id = job_id
        return self.jobStatus(current)

    def getJob(self, current: Any) -> Any:
        with self.reading(current) as caller:
            return job_object(self.world, self._job(current), caller)

    def jobStatus(self, current: Any) -> Any:
        with self.reading(current) as caller:
            return self.one(self._job(current).values["status"], caller)

    def jobFinished(self, current: Any) -> Any:
        with self.reading(current):
            finished = self._job(current).values.get("finished")
            return None if finished is None else rtypes.rtime(finished)

    def jobMessage(self, current: Any) -> str:
        with self.reading(current):
            return self._job(current).values.get("message") or ""

    def jobRunning(self, current: Any) -> bool:
        return self._has(current, "Running")

    def jobError(self, current: Any) -> bool:
        return self._has(current, "Error")

    def cancelJob(self, current: Any) -> None:
        self.setStatus("Cancelled", current)

    def setStatus(self, status: str, current: Any) -> str:
        return self._set(status, None, current)

    def setMessage(self, message: str, current: Any) -> str:
        return self._set(None, message, current)

    def setStatusAndMessage(self, status: str, message: Any, current: Any) -> str:
        return self._set(status, None if message is None else message.val, current)

    def _set(self, status: str | None, message: str | None, current: Any) -> str:
        with self.writing(current) as caller:
            job = self._job(current)
            self.world.touch(job, caller.event)
            return set_status(self.world, job, status, message)

    def _has(self, current: Any, status: str) -> bool:
        with self.reading(current):
            return bool(self._job(current).values["status"].values["value"] == status)

    def _job(self, current: Any) -> Row:
        if self._job_id is None:
            msg = "JobHandle not ready: Please submit() or attach() to a Job."
            raise api_usage(msg)
        caller = self.session.caller(current)
        job = self.world.get("Job", self._job_id)
        if job is None or not caller.can_read(job):
            msg = f"Unknown job:{self._job_id}"
            raise api_usage(msg)
        return job


def _status_of(job: Any) -> str:
    status = job._status
    if status is None:
        return "Submitted"
    value = status._value if status._loaded else None
    if value is None:
        msg = "JobStatus must have id or value set."
        raise api_usage(msg)
    return str(value.val)
