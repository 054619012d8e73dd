"""SharedResources: tables, and the processors that run scripts."""

from __future__ import annotations

from typing import Any

from omero_hcs import lazy
from omero_hcs.sandbox.bootstrap import REPOSITORY_MIMETYPE
from omero_hcs.sandbox.ice.record import omero, rtypes
from omero_hcs.sandbox.objects.conditions import api_usage, validation
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.save import Merger
from omero_hcs.sandbox.scripts.parameters import acquire
from omero_hcs.sandbox.scripts.runs import submit_job
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.services.processes import InteractiveProcessor
from omero_hcs.sandbox.sessions import now_ms

TABLE_MIMETYPE = "OMERO.tables"
NODES_KEY = "omero.server.nodedescriptors"
LONGEST_SECONDS = 180  # that a client may look for a processor


class SharedResources(Service):
    """Operations of `omero.grid.SharedResources`."""

    # -- scripts

    def addProcessor(self, processor: Any, current: Any) -> None:
        self.server.processors.add(self.session, processor)

    def removeProcessor(self, processor: Any, current: Any) -> None:
        self.server.processors.remove(processor)

    def acquireProcessor(self, job: Any, seconds: int, current: Any) -> Any:
        if seconds > LONGEST_SECONDS:
            msg = "Delay is too long. Maximum = 3 minutes."
            raise api_usage(msg)
        with self.writing(current) as caller:
            row = submit_job(self.world, caller, job, status="Waiting")
        run = acquire(self.server, row, caller, seconds)
        self.session.at_end.append(run.stop)
        made = InteractiveProcessor(self.server, self.session, run)
        proxy = self.server.register(made, omero.grid.InteractiveProcessor, self.session)
        return omero.grid.InteractiveProcessorPrx.uncheckedCast(proxy)

    # -- repositories: a sandbox has none that can be browsed

    def repositories(self, current: Any) -> Any:
        with self.reading(current) as caller:
            rows = self.world.all("OriginalFile")
            found = [row for row in rows if row.values.get("mimetype") == REPOSITORY_MIMETYPE]
            return omero.grid.RepositoryMap(self.each(found, caller), [None] * len(found))

    def getScriptRepository(self, current: Any) -> None:
        return None

    # -- tables

    def areTablesEnabled(self, current: Any) -> bool:
        # As an administrator says what runs: "master:Blitz-0,Indexer-0,Tables-0"; all, by default.
        nodes = self.server.config.get(NODES_KEY, "")
        return not nodes or "Tables-" in nodes

    def newTable(self, repository: int, path: str, current: Any) -> Any:
        file = omero.model.OriginalFileI()
        file._name = file._path = rtypes.rstring(path)
        file._mimetype = rtypes.rstring(TABLE_MIMETYPE)
        file._atime = file._mtime = file._ctime = rtypes.rtime(now_ms())
        with self.writing(current) as caller:
            row = Merger(self.world, caller).merge_all([file])[0]
        return self._open(row, current)

    def openTable(self, file: Any, current: Any) -> Any:
        if file is None or file.id is None:
            msg = "file must be a managed instance."
            raise validation(msg)
        with self.reading(current) as caller:
            if self.world.get("OriginalFile", file.id.val) is None:
                msg = (
                    f"The requested object (ome.model.core.OriginalFile,{file.id.val}) is not "
                    "available.\nPlease use IQuery.find to determine existence.\n"
                )
                raise validation(msg)
            row = self.row("OriginalFile", file.id.val, caller)
        return self._open(row, current)

    def _open(self, row: Row, current: Any) -> Any:
        if not self.areTablesEnabled(current):
            return None  # OMERO leaves the file of a new table where it is
        with self.reading(current) as caller:
            described = self.one(row, caller)
        # PyTables is imported by whoever asks for the first table.
        open_table = lazy.load("omero_hcs.sandbox.tables:open_table", extra="sandbox")
        return open_table(self.server, self.session, row, described)
