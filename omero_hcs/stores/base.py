"""The one protocol behind which every plate is read and every result is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from omero_hcs.model import Image, ImageSet, ObjectRef, Plate, Screen, StoreSpec, ZChoice
from omero_hcs.results import Results, Table, WriteReport

ImageArray = NDArray[np.generic]
"""One field, shape (C, Y, X), in the camera's own dtype."""


LabelKind = Literal["file", "roi", "tag", "rating", "comment", "key-value", "dataset"]


class LabelSource(BaseModel):
    """Where labels come from: a `labels.csv`, or what users annotated in the store.

    `path` is of a label file; None means the store's own place (on disk `labels.csv` beside the
    plate, in OMERO a `labels.csv` attached to it). `key` is the key of key-value pairs whose value
    is a label. `prefix` is what the text of a label begins with, and is taken off; texts without it
    are none. `names` maps texts to classes, and where it is given, texts that it lacks are none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: LabelKind = "file"
    path: str | None = None
    key: str = "Label"
    prefix: str | None = None
    names: tuple[tuple[str, str], ...] = ()

    def label_of(self, text: str) -> str | None:
        """Class that a text stands for, or None where it is no label."""
        text = text.strip()
        if self.prefix is not None:
            if not text.startswith(self.prefix):
                return None
            text = text.removeprefix(self.prefix).strip()
        if self.names:
            return dict(self.names).get(text)
        return text or None


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A model file that a store keeps: its id there, and what is told about it."""

    id: str
    name: str
    owner: str
    created: str
    size: int
    card: str
    """The model's card, as JSON."""


LinkedKind = Literal["screen", "plate", "well", "image", "file"]
"""What a page of the web may show; "file" is one that a run attached."""


class PlateStore(Protocol):
    """A home of plates or image sets. Workers only read; the driver alone writes."""

    @property
    def spec(self) -> StoreSpec:
        """How a worker reopens this store; no secret in its repr."""
        ...

    def refs(self) -> tuple[ObjectRef, ...]:
        """Objects that the store's URI names, each a plate or an image set."""
        ...

    def plate(self, plate_id: str) -> Plate:
        """Layout of one plate, without reading a pixel.

        Raises
        ------
        PlateNotFoundError
            If there is no such plate, naming those that are there.
        """
        ...

    def images(self, set_id: str) -> ImageSet:
        """Images of one set (a folder, a Dataset), without reading a pixel."""
        ...

    @property
    def readers(self) -> int:
        """How many threads may `read` at once to be faster; 1 where it is no use."""
        ...

    def read(
        self, image: Image, *, channels: Sequence[int], z: ZChoice = 0, t: int = 0
    ) -> ImageArray:
        """Pixels of one image, shape (len(channels), Y, X), in the image's own dtype.

        Raises
        ------
        DataError
            If the pixels cannot be read; the message names the image and the file.
        """
        ...

    def label_image(
        self, image: Image, *, name: str | None = None, z: int = 0, t: int = 0
    ) -> NDArray[np.integer[Any]]:
        """One segmentation that the store has for an image, shape (Y, X), 0 is background.

        `name` None means the only one there is.

        Raises
        ------
        ImageNotFoundError
            If there is none of that name, or several and no name; the message lists them.
        """
        ...

    def labels(self, target: ObjectRef, *, source: LabelSource) -> Table:
        """Read what users labelled: a table with `results.LABEL_COLUMNS`.

        A row whose y and x are NaN is about a whole image: a weak label of all its cells. A store
        that knows how large drawn regions are adds `results.REACH_COLUMNS`.

        Raises
        ------
        LabelError
            If there are none, or they cannot be read.
        """
        ...

    def write_faults(self, target: ObjectRef) -> tuple[str, ...]:
        """Why results cannot be kept with an object, found without writing; empty if they can."""
        ...

    def write(self, results: Results) -> WriteReport:
        """Keep results; writing the same (run id, unit) again replaces what it wrote.

        Raises
        ------
        WriteError
            If they cannot be written; nothing half-written is left.
        """
        ...

    def runs(self, target: ObjectRef) -> tuple[dict[str, Any], ...]:
        """Manifests of the runs whose results are on an object, oldest first.

        A store of several users says in `mine` whether the user's own these results are.
        """
        ...

    def fetch(self, run_id: str, name: str, *, target: ObjectRef | None = None) -> bytes:
        """One file of a run's results by name: "cells.parquet", "report.html".

        A run over several objects leaves such a file with each of them: `target` says of which.

        Raises
        ------
        RunNotFoundError
            If the store has no such run, or the run no such file; the message lists them.
        """
        ...

    def undo(self, run_id: str) -> WriteReport:
        """Remove exactly what a run wrote; what users made or changed since stays, and is told.

        Raises
        ------
        RunNotFoundError
            If the store has no results of that run.
        """
        ...

    def close(self) -> None:
        """Let go of files, sessions and threads; safe to call twice."""
        ...


RunState = Literal["running", "done", "partial", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class RunNote:
    """What an object tells of a run over it, while that goes on and afterwards.

    Times are seconds since the epoch. `alive` is when the run last gave a sign of life: one that
    says "running" and has been silent for long was killed. `done`, `total` and `failed` count
    units; `left` is an estimate in seconds. `user` is who runs it, `stop_asked_by` who asked it to
    stop. `result` is what it came to, or why it ended.
    """

    run_id: str
    task: str
    status: RunState
    started: float
    alive: float
    stage: str = ""
    done: int = 0
    total: int = 0
    failed: int = 0
    left: float | None = None
    user: str = ""
    model: str = ""
    result: str = ""
    stop_asked_by: str = ""


@runtime_checkable
class RunBoard(Protocol):
    """A store whose objects tell which runs go on over them, and by which runs are stopped."""

    def post_note(self, target: ObjectRef, note: RunNote) -> None:
        """Tell of a run on an object; the note of the same run there is replaced.

        A mark of `ask_to_stop` stays while the run goes on, but not from an earlier start of it.

        Raises
        ------
        WriteError, NotAllowedError
            If it cannot be told there.
        """
        ...

    def run_notes(self, target: ObjectRef) -> tuple[RunNote, ...]:
        """List the notes of the runs over an object, in no order; `user` is known for sure."""
        ...

    def ask_to_stop(self, run_id: str, who: str) -> None:
        """Mark a run's notes, so that it stops; `who` is for people.

        Raises
        ------
        RunNotFoundError
            If there is no note of that run.
        NotAllowedError
            If the user may not stop it; the message says who may.
        """
        ...

    def stop_asked(self, run_id: str) -> str | None:
        """Who asked a run to stop, or None."""
        ...

    def remove_note(self, run_id: str) -> None:
        """Tell no more of a run on the store's objects; nothing happens where nothing is told."""
        ...


@runtime_checkable
class ModelHome(Protocol):
    """A store that keeps model files, too."""

    def models(self) -> tuple[KeptModel, ...]:
        """Models that the user can read there, newest first."""
        ...

    def fetch_model(self, model_id: str) -> tuple[KeptModel, bytes]:
        """One model and its file.

        Raises
        ------
        ModelNotFoundError
            If there is none of that id; the message lists those that there are.
        """
        ...

    def keep_model(self, target: ObjectRef, name: str, content: bytes, *, card: str) -> KeptModel:
        """Attach a model file to an object; the same content twice is one file.

        Raises
        ------
        WriteError, NotAllowedError
            If it cannot be kept there.
        """
        ...


@runtime_checkable
class ScreenHome(Protocol):
    """A store that keeps plates together in screens, and files with a screen as well."""

    def screens(self) -> tuple[Screen, ...]:
        """Screens that the store's URI names; their plates are in `PlateStore.refs`."""
        ...


@runtime_checkable
class Linked(Protocol):
    """A store whose objects people see on pages of the web."""

    def link(self, kind: LinkedKind, object_id: str) -> str:
        """Address of an object's page; empty where it is not known.

        A well is named by its plate and its name: "51/B03".
        """
        ...

    def file_link(self, run_id: str, name: str, *, target: ObjectRef) -> str:
        """Address of a file that a run left with an object; empty where there is none."""
        ...
