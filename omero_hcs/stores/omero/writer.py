"""Results of runs on a server: written in order, told, fetched and undone."""

from __future__ import annotations

from typing import Any

from omero_hcs.model import ObjectRef
from omero_hcs.results import Results, WriteReport
from omero_hcs.stores.omero.layout import Layouts
from omero_hcs.stores.omero.session import Session


class RunWriter:
    """Writes and undoes the runs of one store.

    Parameters
    ----------
    session : Session
        Who writes.
    layouts : Layouts
        Where results may go.
    """

    def __init__(self, session: Session, layouts: Layouts) -> None:
        self._session = session
        self._layouts = layouts

    def write(self, results: Results) -> WriteReport:
        """Keep results; see `PlateStore.write`."""
        raise NotImplementedError

    def runs(self, target: ObjectRef) -> tuple[dict[str, Any], ...]:
        """Manifests of the runs over an object, oldest first; see `PlateStore.runs`."""
        raise NotImplementedError

    def fetch(self, run_id: str, name: str) -> bytes:
        """One file of a run's finishing step; see `PlateStore.fetch`."""
        raise NotImplementedError

    def undo(self, run_id: str) -> WriteReport:
        """Remove what a run made; see `PlateStore.undo`."""
        raise NotImplementedError
