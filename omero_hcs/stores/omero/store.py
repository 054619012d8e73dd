"""A store of plates and image sets on an OMERO server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.model import Image, ImageSet, Layout, ObjectRef, Plate, Screen, StoreSpec, ZChoice
from omero_hcs.results import Results, Table, WriteReport
from omero_hcs.settings import Settings, load_settings
from omero_hcs.stores.base import ImageArray, KeptModel, LabelSource, LinkedKind, RunNote
from omero_hcs.stores.omero import models
from omero_hcs.stores.omero.address import parse_address
from omero_hcs.stores.omero.label_images import read_label_image
from omero_hcs.stores.omero.labels import read_labels
from omero_hcs.stores.omero.layout import Layouts
from omero_hcs.stores.omero.login import find_login
from omero_hcs.stores.omero.pixels import PixelReader
from omero_hcs.stores.omero.rights import write_faults
from omero_hcs.stores.omero.run_notes import RunNotes
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.webpages import page_of
from omero_hcs.stores.omero.writer import RunWriter


class OmeroStore:
    """Objects of an OMERO server that a URI names.

    Parameters
    ----------
    spec : StoreSpec
        ``omero://[user@]host[:port]/KIND/ID[,ID...]``; see `stores.omero.address`.
    session : Session, optional
        One that is there already, such as an OMERO script's; a new one by default.
    settings : Settings, optional
        Those of the installation by default.

    Raises
    ------
    InputError
        If the URI is none.
    LoginError
        If the server is not reached, or lets nobody in.
    """

    def __init__(
        self, spec: StoreSpec, *, session: Session | None = None, settings: Settings | None = None
    ) -> None:
        settings = settings or load_settings().values
        address = parse_address(spec.uri, server_only=True)
        session = session or Session(find_login(address, spec.secret, settings))
        self._spec = StoreSpec(uri=address.uri, secret=spec.secret)
        self._session = session
        self._readers = settings.omero_readers
        self._web = settings.omero_web
        self._layouts = Layouts(session, address, settings)
        self._pixels = PixelReader(
            session, readers=settings.omero_readers, mount=settings.omero_mount
        )
        self._runs = RunWriter(session, self._layouts)
        self._notes = RunNotes(session, self._layouts)

    def __repr__(self) -> str:
        return f"OmeroStore({self._spec.uri!r})"

    @property
    def spec(self) -> StoreSpec:
        """How a worker reopens this store: it finds a way in by itself."""
        return self._spec

    @property
    def readers(self) -> int:
        """How many threads may `read` at once."""
        return self._readers

    def refs(self) -> tuple[ObjectRef, ...]:
        """Plates and image sets that the URI names; see `Layouts.refs`.

        Raises
        ------
        InputError
            If it names a server alone.
        """
        parse_address(self._spec.uri)
        return self._layouts.refs()

    def screens(self) -> tuple[Screen, ...]:
        """Screens that the URI names; see `ScreenHome.screens`."""
        return self._layouts.screens()

    def link(self, kind: LinkedKind, object_id: str) -> str:
        """Page of an object in OMERO.web, whose address is a setting; see `Linked.link`."""
        return page_of(self._web, self._layouts, kind, object_id)

    def file_link(self, run_id: str, name: str, *, target: ObjectRef) -> str:
        """Page of OMERO.web that gives a run's file; see `Linked.file_link`."""
        number = self._runs.annotation(run_id, name, target) if self._web else None
        return self.link("file", str(number)) if number else ""

    def plate(self, plate_id: str) -> Plate:
        """Layout of one plate; see `PlateStore.plate`."""
        return self._layouts.plate(plate_id)

    def images(self, set_id: str) -> ImageSet:
        """Images of one set; see `PlateStore.images`."""
        return self._layouts.images(set_id)

    def read(
        self, image: Image, *, channels: Sequence[int], z: ZChoice = 0, t: int = 0
    ) -> ImageArray:
        """Pixels, shape (len(channels), Y, X); see `PlateStore.read`."""
        return self._pixels.read(image, channels=channels, z=z, t=t)

    def label_image(
        self, image: Image, *, name: str | None = None, z: int = 0, t: int = 0
    ) -> NDArray[np.integer[Any]]:
        """One label image, shape (Y, X); see `PlateStore.label_image`."""
        return read_label_image(self._session, image, name=name, z=z, t=t)

    def labels(self, target: ObjectRef, *, source: LabelSource) -> Table:
        """Read what users annotated; see `PlateStore.labels`."""
        return read_labels(self._session, self._layouts, target, self._layout(target), source)

    def write_faults(self, target: ObjectRef) -> tuple[str, ...]:
        """Why results cannot be kept there; see `PlateStore.write_faults`."""
        layout = None if target.kind == "screen" else self._layout(target)
        return write_faults(self._session, self._layouts, target, layout)

    def write(self, results: Results) -> WriteReport:
        """Keep results; see `PlateStore.write`."""
        return self._runs.write(results)

    def runs(self, target: ObjectRef) -> tuple[dict[str, Any], ...]:
        """Manifests of the runs over an object, oldest first; see `PlateStore.runs`."""
        return self._runs.runs(target)

    def fetch(self, run_id: str, name: str, *, target: ObjectRef | None = None) -> bytes:
        """One file of a run's results; see `PlateStore.fetch`."""
        return self._runs.fetch(run_id, name, target)

    def undo(self, run_id: str) -> WriteReport:
        """Remove exactly what a run made; see `PlateStore.undo`."""
        report = self._runs.undo(run_id)
        self._notes.remove(run_id)
        return report

    def post_note(self, target: ObjectRef, note: RunNote) -> None:
        """Tell of a run on an object; see `RunBoard.post_note`."""
        self._notes.post(target, note)

    def run_notes(self, target: ObjectRef) -> tuple[RunNote, ...]:
        """List the notes of the runs over an object; see `RunBoard.run_notes`."""
        return self._notes.notes(target)

    def ask_to_stop(self, run_id: str, who: str) -> None:
        """Mark a run's notes; see `RunBoard.ask_to_stop`."""
        self._notes.ask_to_stop(run_id, who)

    def stop_asked(self, run_id: str) -> str | None:
        """Who asked a run to stop; see `RunBoard.stop_asked`."""
        return self._notes.stop_asked(run_id)

    def remove_note(self, run_id: str) -> None:
        """Tell no more of a run; see `RunBoard.remove_note`."""
        self._notes.remove(run_id)

    def models(self) -> tuple[KeptModel, ...]:
        """Models on the server; see `ModelHome.models`."""
        return models.list_models(self._session)

    def fetch_model(self, model_id: str) -> tuple[KeptModel, bytes]:
        """One model and its file; see `ModelHome.fetch_model`."""
        return models.fetch_model(self._session, model_id)

    def keep_model(self, target: ObjectRef, name: str, content: bytes, *, card: str) -> KeptModel:
        """Attach a model file; see `ModelHome.keep_model`."""
        return models.keep_model(self._session, self._layouts, target, (name, card), content)

    def close(self) -> None:
        """Close every connection; safe to call twice."""
        self._pixels.close()
        self._session.close()

    def _layout(self, target: ObjectRef) -> Layout:
        return self.plate(target.id) if target.kind == "plate" else self.images(target.id)
