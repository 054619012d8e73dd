"""A plain folder of images as a store: an image set without wells, results beside it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from omero_hcs.errors import DataError, ImageNotFoundError, InputError, PlateNotFoundError
from omero_hcs.model import Channel, Image, ImageSet, ObjectRef, Plate, StoreSpec, ZChoice
from omero_hcs.results import LabelImage, ResultFile, Results, Table, WriteReport
from omero_hcs.stores.base import ImageArray, LabelSource
from omero_hcs.stores.beside import ResultsFolder, results_root
from omero_hcs.stores.contents import safe_name
from omero_hcs.stores.imagefile import EXTENSIONS, list_images, read_header, read_stack
from omero_hcs.stores.planes import check_request, choose_label_image


class FolderStore:
    """Images of one folder (TIFF, PNG, JPEG), without its subfolders.

    An image's id is its file name. RGB is three channels, an alpha channel is dropped, TIFF pages
    without named axes are z planes. Results go to ``<folder>.hcs`` beside the folder.

    Parameters
    ----------
    spec : StoreSpec
        The folder's path.

    Raises
    ------
    PlateNotFoundError
        If there is no such folder.
    """

    def __init__(self, spec: StoreSpec) -> None:
        self._spec = spec
        self._folder = Path(spec.uri)
        if not self._folder.is_dir():
            msg = f"There are no images at {spec.uri}: no such folder."
            raise PlateNotFoundError(msg)
        self._beside = ResultsFolder(results_root(self._folder))

    @property
    def spec(self) -> StoreSpec:
        """How a worker reopens this store."""
        return self._spec

    @property
    def readers(self) -> int:
        """One: files are read in turn."""
        return 1

    def refs(self) -> tuple[ObjectRef, ...]:
        """Name the one image set: its id is the folder's name."""
        return (ObjectRef(kind="images", id=self._folder.resolve().name),)

    def plate(self, plate_id: str) -> Plate:
        """Refuse: a folder of images is no plate.

        Raises
        ------
        PlateNotFoundError
            Always.
        """
        msg = (
            f"{self.spec.uri} has no plate {plate_id!r}: it is a plain folder of images. Make a "
            "plate of it with: omero-hcs convert FOLDER OUT.zarr --pattern '...'"
        )
        raise PlateNotFoundError(msg)

    def images(self, set_id: str) -> ImageSet:
        """Images of the folder in natural order, from their headers.

        Raises
        ------
        PlateNotFoundError
            If the folder has another name.
        InputError
            If there is no image in it.
        DataError
            If files cannot be read or are truncated; the message names every one.
        """
        (ref,) = self.refs()
        if set_id != ref.id:
            msg = f"{self.spec.uri} has no image set {set_id!r}. It has: {ref.id!r}."
            raise PlateNotFoundError(msg)
        paths = list_images(self._folder)
        if not paths:
            msg = (
                f"The folder {self.spec.uri} has no image. Files with these extensions are looked "
                f"for, not in its subfolders: {', '.join(EXTENSIONS)}."
            )
            raise InputError(msg)
        images, faults = [], []
        for path in paths:
            try:
                images.append(_image(path))
            except DataError as error:
                faults.append(str(error))
        if faults:
            head = f"{len(faults)} of {len(paths)} images cannot be read; mend or remove them:"
            raise DataError("\n".join([head, *(f"  - {fault}" for fault in faults)]))
        return ImageSet(ref.id, ref.id, tuple(images))

    def read(
        self, image: Image, *, channels: Sequence[int], z: ZChoice = 0, t: int = 0
    ) -> ImageArray:
        """Pixels, shape (len(channels), Y, X), in the file's own dtype; see `PlateStore.read`.

        "focus" is judged on the image's first channel, whichever channels are asked for.
        """
        from omero_hcs.imaging.focus import project  # noqa: PLC0415  (scipy, only to read)

        check_request(image, channels=channels, z=z, t=t)
        path = self._folder / image.id
        if Path(image.id).name != image.id or not path.is_file():
            msg = f"The folder {self.spec.uri} has no image {image.id!r}. Was it moved or renamed?"
            raise ImageNotFoundError(msg)
        planes = [z] if isinstance(z, int) else range(image.size_z)
        stack = read_stack(path, channels=[0, *channels], planes=planes, t=t)
        if stack.shape[2:] != (image.size_y, image.size_x):
            msg = f"{path} has changed since its header was read. Start the run again."
            raise DataError(msg)
        plane: ImageArray = project(stack, 0 if isinstance(z, int) else z)
        return plane[1:]

    def label_image(
        self, image: Image, *, name: str | None = None, z: int = 0, t: int = 0
    ) -> NDArray[np.integer[Any]]:
        """One label image that a run wrote, shape (Y, X); the latest of a name."""
        prefix, suffix = _label_ends(image.id, z, t)
        found = {
            path.name[len(prefix) : -len(suffix)]: path
            for path in sorted(self._beside.root.glob(f"runs/**/{prefix}*{suffix}"), key=_age)
        }
        path = choose_label_image(found, image, name)
        labels: NDArray[np.integer[Any]] = read_stack(path, channels=[0], planes=[0], t=0)[0, 0]
        return labels

    def labels(self, target: ObjectRef, *, source: LabelSource) -> Table:
        """Labels of ``source.path`` or of ``<folder>.hcs/labels.csv``; see `PlateStore.labels`."""
        return self._beside.labels(target, source=source)

    def write_faults(self, target: ObjectRef) -> tuple[str, ...]:  # noqa: ARG002  (one place for all)
        """Why nothing can be written beside the folder; see `PlateStore.write_faults`."""
        return self._beside.write_faults()

    def write(self, results: Results) -> WriteReport:
        """Keep results beside the folder, label images as TIFF; see `PlateStore.write`."""
        files = (*results.files, *(_label_file(label) for label in results.labels))
        return self._beside.write(replace(results, files=files, labels=()))

    def runs(self, target: ObjectRef) -> tuple[dict[str, Any], ...]:
        """Manifests of the runs over the folder, oldest first."""
        return self._beside.runs(target)

    def fetch(
        self,
        run_id: str,
        name: str,
        *,
        target: ObjectRef | None = None,  # noqa: ARG002  (one place for all)
    ) -> bytes:
        """One file of a run's results; see `PlateStore.fetch`."""
        return self._beside.fetch(run_id, name)

    def undo(self, run_id: str) -> WriteReport:
        """Remove exactly what a run wrote; see `PlateStore.undo`."""
        return self._beside.undo(run_id)

    def close(self) -> None:
        """Do nothing: files are open only while they are read."""


def _image(path: Path) -> Image:
    header = read_header(path)
    return Image(
        id=path.name,
        name=path.name,
        size_y=header.size_y,
        size_x=header.size_x,
        channels=tuple(Channel(index, name) for index, name in enumerate(header.channels)),
        dtype=header.dtype,
        size_z=header.size_z,
        size_t=header.size_t,
        pixel_size_um=header.pixel_size_um,
        z_step_um=header.z_step_um,
    )


def _label_ends(image: str, z: int, t: int) -> tuple[str, str]:
    """Beginning and end of a label image's file name; the label's name stands between."""
    return f"labels-{safe_name(image)}-", f"-z{z}-t{t}.tif"


def _label_file(label: LabelImage) -> ResultFile:
    prefix, suffix = _label_ends(label.image, label.z, label.t)
    content = io.BytesIO()
    tifffile.imwrite(content, label.pixels, compression="zlib", datetime=False)
    return ResultFile(f"{prefix}{label.name}{suffix}", "image/tiff", content.getvalue())


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns
