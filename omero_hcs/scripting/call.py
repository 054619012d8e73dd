"""One click on a script's button: who asks for what, and the way to the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omero_hcs.model import StoreSpec
from omero_hcs.scripting.catalog import Script
from omero_hcs.scripting.inputs import Asked
from omero_hcs.settings import Settings
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import Progress, no_progress


@dataclass(frozen=True)
class Call:
    """What a script's function gets.

    Parameters
    ----------
    script : Script
        Which script.
    asked : Asked
        What the dialog said.
    client : omero.client
        Connected as the user who clicked; the launcher closes it.
    settings : Settings
        Those of the processor's machine.
    server : str
        Host and port, as a URI has them.
    progress : callable
        See `tasks.base.Progress`.
    """

    script: Script
    asked: Asked
    client: Any = field(repr=False)
    settings: Settings
    server: str
    progress: Progress = no_progress

    @property
    def uri(self) -> str:
        """The objects that were asked for."""
        return f"omero://{self.server}/{self.asked.place}".removesuffix("/")

    def open(self, where: str | Path | StoreSpec) -> PlateStore:
        """Open objects of the server over the script's own session; see `stores.open.Opener`."""
        from omero_hcs.stores.omero.session import Session
        from omero_hcs.stores.omero.store import OmeroStore

        spec = where if isinstance(where, StoreSpec) else StoreSpec(uri=str(where))
        return OmeroStore(spec, session=Session.of_client(self.client), settings=self.settings)
