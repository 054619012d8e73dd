"""IScript: scripts by id and path, their parameters, and running them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from omero_hcs.sandbox.ice.record import Ice, omero, rtypes
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import api_usage, internal, security, validation
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.scripts.parameters import acquire
from omero_hcs.sandbox.scripts.repository import (
    DISABLED,
    HASHER,
    PYTHON,
    normalised,
    parent_path,
)
from omero_hcs.sandbox.scripts.runs import script_of, submit_job
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.services.processes import ScriptProcess

LOG = logging.getLogger("omero_hcs.sandbox")
NO_ADMINISTRATOR = "User is not an administrator"
RUN_SECONDS = 5  # how long to look for a processor, unless the client says


class IScript(Service):
    """Operations of `omero.api.IScript`."""

    def getScripts(self, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            return self.each(self.server.scripts.refresh(), caller)

    def getScriptsByMimetype(self, mimetype: str, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            scripts = self.server.scripts.refresh()
            return self.each([one for one in scripts if one.values["mimetype"] == mimetype], caller)

    def getUserScripts(self, accepts: Sequence[Any], current: Any) -> list[Any]:
        with self.reading(current) as caller:
            group = caller.group or caller.session_group
            rows = [
                row
                for row in self.world.all("OriginalFile")
                if row.values.get("mimetype") == PYTHON
                and not self.server.scripts.is_official(row)
                and caller.can_read(row)
                and (accepted(row, accepts) if accepts else row.details.group is group)
            ]
            return self.each(rows, caller)

    def getScriptID(self, path: str, current: Any) -> int:
        with self.reading(current):
            script = self.server.scripts.find(path)
            return -1 if script is None else script.id

    def getScriptText(self, script_id: int, current: Any) -> str | None:
        with self.reading(current) as caller:
            script = self._find(script_id, caller)
            return None if script is None else self.server.scripts.read(script)

    def getScriptWithDetails(self, script_id: int, current: Any) -> dict[str, Any] | None:
        with self.reading(current) as caller:
            script = self._find(script_id, caller)
            if script is None:
                return None
            return {self.server.scripts.read(script): rtypes.robject(self.one(script, caller))}

    def getParams(self, script_id: int, current: Any) -> Any:
        with self.reading(current) as caller:
            script = self._find(script_id, caller)
        return None if script is None else self.server.parameters.of(script, caller)

    def uploadScript(self, path: str, text: str, current: Any) -> int:
        content, place = text.encode(), PurePosixPath(path)
        with self.writing(current) as caller:
            script = self.world.insert(
                "OriginalFile",
                name=place.name,
                path=parent_path(place),
                mimetype=PYTHON if place.suffix == ".py" else None,
                hasher=self.world.find("ChecksumAlgorithm", value=HASHER),
            )
            self.world.set_details(
                script,
                owner=caller.user,
                group=caller.group or caller.session_group,
                creation_event=caller.event,
                update_event=caller.event,
            )
            self.server.scripts.write(script, content)
        self._validate(script, caller)
        return script.id

    def uploadOfficialScript(self, path: str, text: str, current: Any) -> int:
        with self.writing(current) as caller:
            if not caller.has("WriteScriptRepo"):
                is_admin = caller.is_admin
                msg = "No permission to upload script" if is_admin else NO_ADMINISTRATOR
                raise security(msg)
            self.server.scripts.refresh()
            if self.server.scripts.find(path) is not None:
                msg = (
                    f"Path already exists: {path}\n"
                    "Use editScript to modify existing official scripts."
                )
                raise api_usage(msg)
            script = self.server.scripts.put(normalised(path), text.encode())
        self._validate(script, caller)
        return script.id

    def editScript(self, file: Any, text: str, current: Any) -> None:
        if file is None:
            msg = "file object cannot be null"
            raise api_usage(msg)
        with self.writing(current) as caller:
            script = self._any_file(file.id.val, caller)
            if not caller.rights(script).edit:
                msg = f"Cannot update object: ome.model.core.OriginalFile:Id_{script.id}"
                raise security(msg)
            if PurePosixPath(script.values["name"]).suffix == ".py":
                self.world.set(script, "mimetype", PYTHON)
            self.server.scripts.write(script, text.encode())
            self.world.touch(script, caller.event)
        self.server.parameters.forget(script)
        self._validate(script, caller)

    def deleteScript(self, script_id: int, current: Any) -> None:
        with self.reading(current) as caller:
            script = self._find(script_id, caller)
            if script is None:
                msg = f"No script with id {script_id} on server."
                raise api_usage(msg)
            if not caller.rights(script).delete:
                msg = f"No permission to delete script with id {script_id}"
                raise security(msg)
        request = omero.cmd.Delete2(targetObjects={"OriginalFile": [script_id]})
        handle = self.server.submit(self.session, request, current)
        response = handle.getResponse()
        handle.close()
        if isinstance(response, omero.cmd.ERR):
            msg = f"Cannot delete {script_id}\nIs in use by other objects"
            raise api_usage(msg)

    def canRunScript(self, script_id: int, current: Any) -> bool:
        with self.reading(current) as caller:
            script = self._find(script_id, caller)
            if script is not None and self.server.scripts.is_official(script):
                return True
            group = caller.group or caller.session_group
            user = caller.user.entity.unloaded(caller.user.id)
        try:
            self.server.processors.acquire(user, group.entity.unloaded(group.id), None, RUN_SECONDS)
        except omero.NoProcessorAvailable:
            return False
        return True

    def runScript(self, script_id: int, inputs: Any, seconds: Any, current: Any) -> Any:
        with self.writing(current) as caller:
            script = self._find(script_id, caller)
            if script is None:
                msg = "Could not submit job. "
                raise api_usage(msg)
            job = omero.model.ScriptJobI()
            job.linkOriginalFile(script.entity.unloaded(script_id))
            row = submit_job(self.world, caller, job, status="Waiting")
        wait = RUN_SECONDS if seconds is None else seconds.val
        run = acquire(self.server, row, caller, wait)
        try:
            parameters = self.server.parameters.of(script, caller)
            process = run.execute(parameters, inputs or {}, dict(current.ctx))
        except BaseException:
            run.stop()
            raise
        self.session.at_end.append(run.stop)
        made = ScriptProcess(self.server, self.session, run, process)
        identity = Ice.Identity(str(uuid.uuid4()), omero.constants.categories.PROCESSCALLBACK)
        proxy = self.server.register(made, omero.grid.ScriptProcess, self.session, identity)
        return omero.grid.ScriptProcessPrx.uncheckedCast(proxy)

    def validateScript(self, job: Any, accepts: Sequence[Any], current: Any) -> Any:
        with self.reading(current) as caller:
            row = self.row("Job", job.id.val, caller)
            script = script_of(self.world, row)
            is_official = self.server.scripts.is_official(script)
            if not accepts:
                return self.one(script, caller) if is_official else None
            if not accepted(script, accepts):
                msg = "Found wrong number of files: []"
                raise validation(msg)
            return self.one(script, caller)

    def _find(self, script_id: int, caller: Caller) -> Row | None:
        row = self.world.get("OriginalFile", script_id)
        if row is None or row.values.get("mimetype") != PYTHON or not caller.can_read(row):
            return None
        return row

    def _any_file(self, script_id: int, caller: Caller) -> Row:
        row = self.world.get("OriginalFile", script_id)
        if row is None or not caller.can_read(row):
            msg = f"could not find file: {script_id}"
            raise api_usage(msg)
        return row

    def _validate(self, script: Row, caller: Caller) -> None:
        """Look whether a script can be parsed; one that can't is disabled, and stays."""
        try:
            self.server.parameters.of(script, caller)
        except omero.ValidationException:
            with self.world.transaction():
                self.world.set(script, "mimetype", DISABLED)
            raise
        except omero.ResourceError:
            LOG.debug("nobody runs script %d yet", script.id)
        except Ice.Exception:
            LOG.warning("script %d can't be looked at", script.id, exc_info=True)


def accepted(script: Row, accepts: Sequence[Any]) -> bool:
    """Say whether a script belongs to every user and group of a list.

    Raises
    ------
    omero.InternalException
        The list has something else.
    """
    for one in accepts:
        owners = (omero.model.Experimenter, omero.model.ExperimenterGroup)
        if not isinstance(one, owners):
            msg = f"Unsupported accept-type: {type(one).__name__}"
            raise internal(msg)
        is_user = isinstance(one, omero.model.Experimenter)
        mine = script.details.owner if is_user else script.details.group
        if mine is None or mine.id != one.id.val:
            return False
    return True
