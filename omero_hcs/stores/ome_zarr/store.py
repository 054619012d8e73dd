"""An OME-Zarr plate or image on disk as a store, with results in a folder beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import BaseZarrError

from omero_hcs import lazy
from omero_hcs.errors import (
    DataError,
    ImageNotFoundError,
    PlateNotFoundError,
)
from omero_hcs.model import Image, ImageSet, ObjectRef, Plate, StoreSpec, ZChoice
from omero_hcs.results import Results, Table, WriteReport
from omero_hcs.stores.base import ImageArray, LabelSource
from omero_hcs.stores.beside import ResultsFolder, results_root
from omero_hcs.stores.ome_zarr.documents import read_group
from omero_hcs.stores.ome_zarr.label_images import ENTRY_KIND, LabelFolder
from omero_hcs.stores.ome_zarr.layout import Pixels, locate_pixels, read_image, read_plate
from omero_hcs.stores.planes import check_request


class OmeZarrStore:
    """One OME-Zarr plate, or one OME-Zarr image (an image set of one), on a disk.

    Parameters
    ----------
    spec : StoreSpec
        `uri` is the path of the folder, usually "something.zarr".

    Raises
    ------
    PlateNotFoundError
        If the folder is neither a plate nor an image.
    """

    def __init__(self, spec: StoreSpec) -> None:
        self._root = Path(spec.uri).resolve()
        # Whole, so that a worker in another folder opens the same plate, and runs have one key.
        self._spec = spec.model_copy(update={"uri": str(self._root)})
        self._name = self._root.name.removesuffix(".zarr").removesuffix(".ome")
        if not self._root.is_dir():
            msg = f"There is no plate at {spec.uri}: no such folder."
            raise PlateNotFoundError(msg)
        ngff = read_group(self._root).ngff
        self._is_plate = "plate" in ngff
        if not self._is_plate and "multiscales" not in ngff:
            msg = (
                f"{spec.uri} is neither an OME-Zarr plate nor an OME-Zarr image. "
                "Pass the folder that holds the plate's or image's own zarr.json or .zattrs."
            )
            raise PlateNotFoundError(msg)
        self._results = ResultsFolder(results_root(self._root))
        self._label_images = LabelFolder(self._root)

    @property
    def spec(self) -> StoreSpec:
        """How a worker reopens this store."""
        return self._spec

    @property
    def readers(self) -> int:
        """One: chunks of a field are read together already."""
        return 1

    def refs(self) -> tuple[ObjectRef, ...]:
        """Return the plate, or the set of the one image."""
        return (ObjectRef(kind="plate" if self._is_plate else "images", id=self._name),)

    def plate(self, plate_id: str) -> Plate:
        """Layout of the plate, without reading a pixel.

        Raises
        ------
        PlateNotFoundError
            If it is not this one, or this is a single image.
        DataError
            If a well or image that the plate lists is missing or cannot be read.
        """
        self._check_ref("plate", plate_id)
        return read_plate(self._root, plate_id=self._name)

    def images(self, set_id: str) -> ImageSet:
        """Return the one image of an OME-Zarr image, without reading a pixel.

        Raises
        ------
        PlateNotFoundError
            If it is not this one, or this is a plate.
        """
        self._check_ref("images", set_id)
        image = read_image(self._root, image_id=self._name, name=self._name)
        return ImageSet(self._name, self._name, (image,))

    def read(
        self, image: Image, *, channels: Sequence[int], z: ZChoice = 0, t: int = 0
    ) -> ImageArray:
        """Pixels of one image at full resolution; safe to call from many threads.

        Parameters
        ----------
        image : Image
            One of this store's layout.
        channels : sequence of int
            Channels to read, in the order wanted.
        z : int, "middle", "focus" or "max"
            "focus" is judged on the image's first channel, whichever channels are asked for.
        t : int
            Time point.

        Returns
        -------
        array, shape (len(channels), Y, X), in the image's own dtype

        Raises
        ------
        DataError
            If the pixels cannot be read; the message names the image and the file.
        """
        check_request(image, channels=channels, z=z, t=t)
        if z == "focus" and image.size_z > 1:
            stack = self._read_stack(image, [0, *channels], z=None, t=t)
            return _project(stack, z)[1:]
        if z == "max" and image.size_z > 1:
            return _project(self._read_stack(image, channels, z=None, t=t), z)
        plane = z if isinstance(z, int) else image.size_z // 2
        return self._read_stack(image, channels, z=plane, t=t)[:, 0]

    def label_image(
        self, image: Image, *, name: str | None = None, z: int = 0, t: int = 0
    ) -> NDArray[np.integer[Any]]:
        """One NGFF label image of an image, shape (Y, X), 0 is background.

        Parameters
        ----------
        image : Image
            One of this store's layout.
        name : str, optional
            Its name on disk, or the name that a task gave it; None is the only one there is.
        z, t : int
            Plane and time point.

        Raises
        ------
        ImageNotFoundError
            If there is none of that name, or several; the message lists them.
        """
        return self._label_images.read(image, self._folder(image), name=name, z=z, t=t)

    def labels(self, target: ObjectRef, *, source: LabelSource) -> Table:
        """Read what users labelled from a `labels.csv`."""
        return self._results.labels(target, source=source)

    def write_faults(self, target: ObjectRef) -> tuple[str, ...]:  # noqa: ARG002  (one place for all)
        """Why nothing can be written beside the plate; see `PlateStore.write_faults`."""
        return self._results.write_faults()

    def write(self, results: Results) -> WriteReport:
        """Keep results beside the plate, and label images as NGFF labels inside it.

        Raises
        ------
        WriteError
            If they cannot be written; the manifest lists what was begun, so that undo removes it.
        """
        planned = self._label_images.plan(results, self._folder_of_id)
        entries = [label.entry for label in planned]
        report = self._results.write(results, extra_entries=entries)
        kept = self._label_images.write(planned, run_id=results.run_id)
        counts = dict(report.counts)
        if planned:
            counts[ENTRY_KIND] = len(planned) - len(kept)
        return WriteReport(report.run_id, counts, report.places, (*report.kept, *kept))

    def runs(self, target: ObjectRef) -> tuple[dict[str, Any], ...]:
        """Manifests of the runs whose results are beside the plate, oldest first."""
        return self._results.runs(target)

    def fetch(
        self,
        run_id: str,
        name: str,
        *,
        target: ObjectRef | None = None,  # noqa: ARG002  (one place for all)
    ) -> bytes:
        """One file of a run's results by name."""
        return self._results.fetch(run_id, name)

    def undo(self, run_id: str) -> WriteReport:
        """Remove what a run wrote, beside the plate and in it; label images changed since stay."""
        return self._results.undo(run_id, remove=self._label_images.remove)

    def close(self) -> None:
        """Nothing is held open between calls."""

    def _check_ref(self, kind: str, wanted: str) -> None:
        (ref,) = self.refs()
        if (ref.kind, ref.id) != (kind, wanted):
            noun = "plate" if self._is_plate else "single image"
            msg = f"{self._spec.uri} is the {noun} {ref.id!r}; it has no {kind} {wanted!r}."
            raise PlateNotFoundError(msg)

    def _folder(self, image: Image) -> Path:
        return self._folder_of_id(image.id)

    def _folder_of_id(self, image_id: str) -> Path:
        folder = self._root if not self._is_plate else (self._root / image_id).resolve()
        known = folder.is_relative_to(self._root) and folder.is_dir()
        if not known or (not self._is_plate and image_id != self._name):
            msg = f"{self._spec.uri} has no image {image_id!r}. Ids are such as 'B/03/0'."
            raise ImageNotFoundError(msg)
        return folder

    def _read_stack(
        self, image: Image, channels: Sequence[int], *, z: int | None, t: int
    ) -> NDArray[Any]:
        """Read planes as (C, Z, Y, X), only the chunks they lie in; `z` None means all planes."""
        folder = self._folder(image)
        pixels = locate_pixels(folder)
        try:
            return _select(pixels, list(channels), z, t)
        except (OSError, RuntimeError, ValueError, IndexError, BaseZarrError) as error:
            msg = (
                f"The pixels of {image.name} ({pixels.folder}) cannot be read: {error}. "
                "A file is damaged or the copy is incomplete; copy or convert the plate again."
            )
            raise DataError(msg) from error


def _select(pixels: Pixels, channels: list[int], z: int | None, t: int) -> NDArray[Any]:
    array = zarr.open_array(pixels.folder, mode="r")

    def read(first: int, last: int) -> NDArray[Any]:
        wanted: dict[str, Any] = {
            "t": t,
            "c": slice(first, last + 1),
            "z": slice(None) if z is None else slice(z, z + 1),
        }
        # Plain slices: zarr's orthogonal indexing takes four times as long.
        found = np.asarray(array[tuple(wanted.get(axis, slice(None)) for axis in pixels.axes)])
        found = found if "c" in pixels.axes else found[np.newaxis]
        return found if "z" in pixels.axes else found[:, np.newaxis]

    if "c" not in pixels.axes:
        return np.concatenate([read(0, 0)] * len(channels))
    first, last = min(channels), max(channels)
    shared = array.chunks[pixels.axes.index("c")] > 1
    if shared or len(set(channels)) == last - first + 1:
        found = read(first, last)
        in_order = channels == list(range(first, last + 1))
        return found if in_order else found[[index - first for index in channels]]
    return np.concatenate([read(index, index) for index in channels])


def _project(stack: NDArray[Any], z: ZChoice) -> ImageArray:
    projected: ImageArray = lazy.load("omero_hcs.imaging.focus:project")(stack, z)
    return projected
