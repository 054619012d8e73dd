"""Tables: OMERO's own servant of HDF5 tables (`omero.tables`), one for each that is open."""

from __future__ import annotations

import logging
import threading
import uuid
from typing import TYPE_CHECKING, Any

from omero.columns import ObjectFactories
from omero.hdfstorageV2 import HDFLIST
from omero.tables import TableI

from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.services.rawfile import checksum

if TYPE_CHECKING:
    from omero_hcs.sandbox.objects.row import Row
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

LOG = logging.getLogger("omero_hcs.sandbox")
ALL_GROUPS = {"omero.group": "-1"}
_OPENING = threading.Lock()


class TableContext:
    """What the servant asks its server for: the part of `omero.util.ServerContext` it uses."""

    def __init__(self, factory: Any, communicator: Any) -> None:
        self._factory, self.communicator = factory, communicator
        self.stop_event = threading.Event()

    def getSession(self, recreate: bool = True) -> Any:  # noqa: ARG002, N802  (omero's)
        """Return the service factory of the session that opened the table."""
        return self._factory


class SessionTable(TableI):  # type: ignore[misc]  # omero-py has no types
    """A table of a session: closed by its client, or with the session at the latest."""

    def __init__(self, server: Server, session: OpenSession, row: Row, described: Any) -> None:
        self._server, self._session, self._row = server, session, row
        self._closed = False
        # A factory of its own: the servant takes the client's uuid from its name for later calls.
        factory = server.factory_proxy(session, str(uuid.uuid4()))
        super().__init__(
            TableContext(factory, server.endpoint.communicator),
            described,
            str(server.files.original(row)),
            factory,
            HDFLIST,
            uuid=str(uuid.uuid4()),
            call_context=ALL_GROUPS,
            adapter=server.endpoint.adapter,
        )
        session.at_end.append(self.close_with_session)

    def close(self, current: Any = None) -> None:
        """Close the table, and save size and hash of its file."""
        if self.close_with_session in self._session.at_end:
            self._session.at_end.remove(self.close_with_session)
        super().close(current)

    def close_with_session(self) -> None:
        """Do so without calling the server: the session has ended."""
        if self._closed:
            return
        self._closed, is_changed = True, self.can_write and self.storage.modified()
        self.cleanup()
        self._server.endpoint.remove(self.id)
        path = self._server.files.original(self._row)
        if is_changed and path.exists():
            world, hasher = self._server.world, self._row.values.get("hasher")
            with world.transaction():
                world.set(self._row, "size", path.stat().st_size)
                if hasher is not None:  # that of a new table is null, as in OMERO
                    world.set(self._row, "hash", checksum(path, hasher.values["value"]))


def open_table(server: Server, session: OpenSession, row: Row, described: Any) -> Any:
    """Open the table of a file for a session, and return its `TablePrx`.

    Parameters
    ----------
    described : omero.model.OriginalFile
        The row's object, with its details.
    """
    with _OPENING:
        _register_columns(server.endpoint.communicator)
    servant = SessionTable(server, session, row, described)
    proxy = server.endpoint.add(servant, servant.id)
    return omero.grid.TablePrx.uncheckedCast(proxy)


def _register_columns(communicator: Any) -> None:
    for factory in ObjectFactories.values():
        if communicator.findObjectFactory(factory.id) is None:
            factory.register(communicator)
