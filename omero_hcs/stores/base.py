"""The one protocol behind which every plate is read and every result is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from omero_hcs.model import Image, ImageSet, ObjectRef, Plate, StoreSpec, ZChoice
from omero_hcs.results import Results, Table, WriteReport

ImageArray = NDArray[np.generic]
"""One field, shape (C, Y, X), in the camera's own dtype."""


class LabelSource(BaseModel):
    """Where labels come from: a `labels.csv`, or what users annotated in the store.

    `path` None means the store's own place (on disk: `labels.csv` beside the plate).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["file", "roi", "tag", "rating", "comment", "key-value"] = "file"
    path: str | None = None


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

        Raises
        ------
        LabelError
            If there are none, or they cannot be read.
        """
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
        """Manifests of the runs whose results are on an object, oldest first."""
        ...

    def fetch(self, run_id: str, name: str) -> bytes:
        """One file of a run's results by name: "cells.parquet", "report.html".

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
