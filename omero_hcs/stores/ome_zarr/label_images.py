"""Segmentations as NGFF labels inside an OME-Zarr image, idempotent and with undo.

Each label that we make carries our mark in its attributes: the run, and the digest of its pixels.
What has no mark, or other pixels than the mark says, is a user's: it is never replaced or removed.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from omero_hcs import lazy
from omero_hcs.errors import DataError, InputError, WriteError
from omero_hcs.model import Image
from omero_hcs.results import LabelImage, Results
from omero_hcs.stores.contents import told
from omero_hcs.stores.ome_zarr.documents import read_group
from omero_hcs.stores.ome_zarr.layout import axis_steps, locate_pixels
from omero_hcs.stores.ome_zarr.treatments import ATTRIBUTE_KEY
from omero_hcs.stores.planes import choose_label_image

ENTRY_KIND = "ngff-label"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, eq=False)
class PlannedLabel:
    """One label to write: the planes of one name in one image."""

    folder: Path
    name: str
    task_name: str
    entry: dict[str, Any]
    planes: tuple[LabelImage, ...]


class LabelFolder:
    """NGFF labels in the images of one plate.

    Parameters
    ----------
    root : Path
        The plate's (or single image's) folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def plan(self, results: Results, folder_of: Callable[[str], Path]) -> tuple[PlannedLabel, ...]:
        """Group label images by image and name, each with its entry for the manifest.

        The name on disk carries the run id, so that the labels of two runs stand side by side.

        Raises
        ------
        ImageNotFoundError
            If one is of an image that the plate does not have.
        InputError
            If one does not have its image's size.
        """
        groups: dict[tuple[str, str], list[LabelImage]] = {}
        for label in results.labels:
            groups.setdefault((label.image, label.name), []).append(label)
        planned = []
        for (image, task_name), planes in groups.items():
            folder = folder_of(image)
            name = label_name(task_name, results.run_id)
            _check_shape(folder, planes)
            path = (folder / "labels" / name).relative_to(self._root).as_posix()
            entry = {"kind": ENTRY_KIND, "path": path}
            planned.append(PlannedLabel(folder, name, task_name, entry, tuple(planes)))
        return tuple(planned)

    def write(self, planned: Sequence[PlannedLabel], *, run_id: str) -> tuple[str, ...]:
        """Write labels; returns the paths of those left alone because they are a user's.

        Raises
        ------
        WriteError
            If one cannot be written.
        """
        kept = []
        for label in planned:
            place = label.folder / "labels" / label.name
            if place.is_dir() and not _is_ours(place):
                kept.append(str(place))
                continue
            need = sum(plane.pixels.size * 4 for plane in label.planes)
            with told(place, need), _ngio_told(place):
                _write_label(label, place, run_id)
        return tuple(kept)

    def read(
        self, image: Image, folder: Path, *, name: str | None, z: int, t: int
    ) -> NDArray[np.integer[Any]]:
        """One label image of the image in a folder, shape (Y, X).

        Raises
        ------
        ImageNotFoundError
            If there is none of that name, or several; the message lists them.
        """
        names = _names(folder)
        if name not in names:
            names = {item: place for item, place in names.items() if item == place.name}
        pixels = locate_pixels(choose_label_image(names, image, name))
        at: dict[str, Any] = {"t": t, "z": z, "c": 0}
        array = zarr.open_array(pixels.folder, mode="r")
        found: NDArray[np.integer[Any]] = np.asarray(
            array[tuple(at.get(axis, slice(None)) for axis in pixels.axes)]
        )
        return found

    def remove(self, entry: dict[str, Any]) -> bool:
        """Remove what a manifest's entry names; False if a user changed it and it stays."""
        if entry.get("kind") != ENTRY_KIND:
            return False
        place = (self._root / entry["path"]).resolve()
        inside = place.is_relative_to(self._root) and place.parent.name == "labels"
        if not inside:
            return False
        if place.is_dir() and not _is_ours(place):
            return False
        with told(place):
            if place.is_dir():
                shutil.rmtree(place)
            if place.name in _listed(place.parent):
                _unlist(place)
            if place.parent.is_dir() and not any(path.is_dir() for path in place.parent.iterdir()):
                shutil.rmtree(place.parent)
        return True


def label_name(task_name: str, run_id: str) -> str:
    """Name on disk of a label: ("nuclei", run) -> "hcs_nuclei_<run>"."""
    plain = _UNSAFE.sub("_", task_name).strip("._") or "label"
    return plain if run_id in plain else f"hcs_{plain}_{run_id}"


def _check_shape(folder: Path, planes: Sequence[LabelImage]) -> None:
    pixels = locate_pixels(folder)
    shape = dict(zip(pixels.axes, zarr.open_array(pixels.folder, mode="r").shape, strict=True))
    for plane in planes:
        fits = plane.pixels.shape == (shape["y"], shape["x"])
        if not fits or plane.z >= shape.get("z", 1) or plane.t >= shape.get("t", 1):
            msg = (
                f"Label image {plane.name!r} of {plane.image} is {plane.pixels.shape} at z "
                f"{plane.z}, t {plane.t}; the image is {tuple(shape.values())} ({pixels.axes})."
            )
            raise InputError(msg)


def _write_label(label: PlannedLabel, place: Path, run_id: str) -> None:
    if label.name not in _listed(place.parent) or not _stored_mark(place):
        shutil.rmtree(place, ignore_errors=True)
        _create_label(label.folder, place)
    # Marked as begun before a pixel is there: what a crash leaves is known to be ours.
    _mark(place, {"run_id": run_id, "name": label.task_name, "sha256": None})
    pixels = locate_pixels(place)
    array = zarr.open_array(pixels.folder, mode="r+")
    for plane in label.planes:
        at: dict[str, Any] = {"t": plane.t, "z": plane.z}
        selection = tuple(at.get(axis, slice(None)) for axis in pixels.axes)
        array[selection] = plane.pixels.astype(np.uint32)
    lazy.load("ngio:open_label", extra="disk")(str(place)).consolidate(mode="auto")
    _list(place)
    _mark(place, {"run_id": run_id, "name": label.task_name, "sha256": _digest(place)})


def write_plate_label(folder: Path, name: str, labels: NDArray[np.integer[Any]]) -> None:
    """Write a label of the plate's own, such as a simulation's or a segmentation program's.

    No run owns it, so no run and no undo ever touches it.

    Parameters
    ----------
    folder : Path
        The image's folder, its pixels written already.
    name : str
        Name of the label.
    labels : array, shape (T, Y, X), integer
        0 is background; every z plane gets the same.
    """
    place = folder / "labels" / name
    _create_label(folder, place)
    pixels = locate_pixels(place)
    array = zarr.open_array(pixels.folder, mode="r+")
    stack = labels.astype(np.uint32)
    if "z" in pixels.axes:
        stack = np.repeat(stack[:, None], array.shape[pixels.axes.index("z")], axis=1)
    array[:] = stack if "t" in pixels.axes else stack[0]
    lazy.load("ngio:open_label", extra="disk")(str(place)).consolidate(mode="auto")
    _list(place)


def _create_label(folder: Path, place: Path) -> None:
    """Make an empty NGFF label of the size, scale and version of the image in a folder.

    Not by ngio's `derive_label`: it refuses images whose channels have no or the same names.
    """
    multiscale = read_group(folder).ngff["multiscales"][0]
    pixels = locate_pixels(folder)
    full = zarr.open_array(pixels.folder, mode="r")
    kept = [index for index, axis in enumerate(pixels.axes) if axis != "c"]
    step = dict(zip(pixels.axes, axis_steps(multiscale), strict=True))
    is_zarr3 = full.metadata.zarr_format == 3
    lazy.load("ngio:create_empty_ome_zarr", extra="disk")(
        str(place),
        shape=[full.shape[index] for index in kept],
        pixelsize=(step["y"], step["x"]),
        z_spacing=step.get("z", 1.0),
        time_spacing=step.get("t", 1.0),
        levels=len(multiscale["datasets"]),
        axes_names=[pixels.axes[index] for index in kept],
        name=place.name,
        ngff_version="0.5" if is_zarr3 else "0.4",
        chunks=[full.chunks[index] for index in kept],
        dtype="uint32",
        compressors=BloscCodec(cname="zstd", clevel=5, shuffle="shuffle") if is_zarr3 else "auto",
    )
    group = zarr.open_group(place, mode="r+")
    ngff: dict[str, Any] = dict(read_group(place).ngff)
    # The image's own axes, because ngio calls a step of which the unit is not known a micrometre.
    ngff["multiscales"][0]["axes"] = [multiscale["axes"][index] for index in kept]
    ngff["image-label"] = {"source": {"image": "../../"}}
    group.attrs.update({"ome": ngff} if is_zarr3 else ngff)


def _mark(place: Path, mark: dict[str, Any]) -> None:
    zarr.open_group(place, mode="r+").attrs[ATTRIBUTE_KEY] = mark


def _stored_mark(place: Path) -> dict[str, Any] | None:
    try:
        mark = read_group(place).attributes.get(ATTRIBUTE_KEY)
    except DataError:
        return None
    return mark if isinstance(mark, dict) else None


def _is_ours(place: Path) -> bool:
    mark = _stored_mark(place)
    if mark is None:
        # A folder without a document is what a crash leaves of a label, not a label.
        return not any((place / name).exists() for name in ("zarr.json", ".zattrs"))
    return mark.get("sha256") in (None, _digest(place))


def _digest(place: Path) -> str:
    array = zarr.open_array(locate_pixels(place).folder, mode="r")
    return hashlib.sha256(np.ascontiguousarray(array[:]).tobytes()).hexdigest()


def _listed(labels: Path) -> list[str]:
    try:
        return list(read_group(labels).ngff.get("labels", ()))
    except DataError:
        return []


def _list(place: Path) -> None:
    names = _listed(place.parent)
    _set_listed(place, names if place.name in names else [*names, place.name])


def _unlist(place: Path) -> None:
    _set_listed(place, [name for name in _listed(place.parent) if name != place.name])


def _set_listed(place: Path, names: list[str]) -> None:
    """Set the names in the labels group of a label, making the group where there is none."""
    is_zarr3 = (place.parents[1] / "zarr.json").is_file()
    group = zarr.open_group(place.parent, mode="a", zarr_format=3 if is_zarr3 else 2)
    listed = {"labels": names}
    group.attrs.update({"ome": {"version": "0.5", **listed}} if is_zarr3 else listed)


def _names(folder: Path) -> dict[str, Path]:
    """Labels of an image by their names on disk, and by a task's name where only one has it."""
    labels = folder / "labels"
    on_disk = {name: labels / name for name in _listed(labels)}
    marks = [(str((_stored_mark(place) or {}).get("name")), place) for place in on_disk.values()]
    counts = Counter(name for name, _ in marks)
    return {name: place for name, place in marks if counts[name] == 1} | on_disk


@contextmanager
def _ngio_told(place: Path) -> Iterator[None]:
    try:
        yield
    except lazy.load("ngio:NgioError", extra="disk") as error:
        msg = f"Cannot write the label image {place}: {error}"
        raise WriteError(msg) from error
