"""Write a plate as OME-Zarr (NGFF 0.5, zarr 3) through ngio, whole or not at all."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import ngio
import numpy as np
import zarr
from ngio.ome_zarr_meta import NgioPlateMeta, NgioWellMeta
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from omero_hcs.errors import DataError, InputError, WriteError
from omero_hcs.model import Acquisition, Field, Image, Plate, Well, row_name
from omero_hcs.stores.ome_zarr.display import DisplayRanges, default_color
from omero_hcs.stores.ome_zarr.label_images import write_plate_label
from omero_hcs.stores.ome_zarr.partial import PartialFolder
from omero_hcs.stores.ome_zarr.treatments import ATTRIBUTE_KEY, treatments_to_json

NGFF_VERSION: Literal["0.5"] = "0.5"

_LONGEST_CHUNK = 1280
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_AXES = ("t", "c", "z", "y", "x")

FieldPixels = NDArray[Any]
"""One field, shape (T, C, Z, Y, X), or (C, Y, X) where it has one plane and time point."""


class PlateWriter:
    """Writes one plate; a context manager that leaves the whole plate or nothing.

    Parameters
    ----------
    path : Path
        The new folder, "plate.zarr".
    plate : Plate
        Layout: wells with their treatments, fields with the sizes, channels, dtype and pixel size
        of their images. Wells without fields keep their treatment.
    overwrite : bool
        Replace an OME-Zarr that is there already. What runs left beside it stays.

    Raises
    ------
    WriteError
        If the target is there already, cannot be written, or the disk is full; the message names
        the path and the need.

    Examples
    --------
    >>> with PlateWriter(Path("plate.zarr"), plate) as writer:  # doctest: +SKIP
    ...     writer.write_field("B03", 0, None, pixels)
    """

    def __init__(self, path: Path, plate: Plate, *, overwrite: bool = False) -> None:
        self._plate = plate
        self._partial = PartialFolder(Path(path), overwrite=overwrite)
        self._fields = _field_paths(plate)
        self._written: set[str] = set()
        self._bytes = 0
        self._ranges = DisplayRanges()

    def __enter__(self) -> Self:
        root = self._partial.open()
        try:
            with self._told("the plate's layout"):
                _write_plate(root, self._plate, self._fields)
        except BaseException:
            self._partial.discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._partial.discard()

    def write_field(
        self, well: str, field_index: int, acquisition: str | None, pixels: FieldPixels
    ) -> None:
        """Write the pixels of one field of the plate, with its pyramid.

        Parameters
        ----------
        well : str
            Name such as "B03".
        field_index : int
            The field's `index`.
        acquisition : str, optional
            The field's `acquisition`, an id.
        pixels : array, shape (T, C, Z, Y, X) or (C, Y, X)
            In the dtype and sizes of the field's image.

        Raises
        ------
        InputError
            If the plate has no such field, it was written already, or the pixels do not fit it.
        WriteError
            If the disk is full or the folder cannot be written.
        """
        field, path = self._field(well, field_index, acquisition)
        stack = _as_stack(pixels, field.image)
        with self._told(field.image.name or path):
            _write_image(self._partial.path / path, field.image, stack)
        self._ranges.add(field.image.channel_names, stack)
        self._written.add(path)
        self._bytes += stack.nbytes

    def write_labels(
        self,
        well: str,
        field_index: int,
        acquisition: str | None,
        name: str,
        labels: NDArray[np.integer[Any]],
    ) -> None:
        """Write a label image of a field that was written before; it belongs to the plate.

        Parameters
        ----------
        well, field_index, acquisition
            As for `write_field`.
        name : str
            Name of the label, such as "nuclei".
        labels : array, shape (T, Y, X) or (Y, X), integer
            0 is background.

        Raises
        ------
        InputError
            If the field was not written yet, or the shape is another.
        WriteError
            If the disk is full or the folder cannot be written.
        """
        field, path = self._place(well, field_index, acquisition)
        image, stack = field.image, labels.reshape(-1, *labels.shape[-2:])
        wanted = (image.size_t, image.size_y, image.size_x)
        if path not in self._written or stack.shape != wanted:
            msg = f"Labels of {well} field {field_index} are {stack.shape}, its pixels {wanted}."
            raise InputError(msg)
        with self._told(f"{name} of {image.name or path}"):
            write_plate_label(self._partial.path / path, name, stack)

    def _field(self, well: str, index: int, acquisition: str | None) -> tuple[Field, str]:
        field, path = self._place(well, index, acquisition)
        if path in self._written:
            msg = f"Field {index} of well {well} was written already ({path})."
            raise InputError(msg)
        return field, path

    def _place(self, well: str, index: int, acquisition: str | None) -> tuple[Field, str]:
        name = self._plate.well(well).name
        try:
            return self._fields[name, index, acquisition]
        except KeyError:
            run = f" of acquisition {acquisition}" if acquisition else ""
            msg = f"Plate {self._plate.name} has no field {index}{run} in well {name}."
            raise InputError(msg) from None

    def _finish(self) -> None:
        missing = sorted({path for _, path in self._fields.values()} - self._written)
        if missing:
            shown = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
            msg = (
                f"{len(missing)} of {len(self._fields)} fields of plate {self._plate.name} were "
                f"not written: {shown}. The plate was not kept."
            )
            raise WriteError(msg)
        with self._told("the display ranges"):
            for field, path in self._fields.values():
                _set_display(self._partial.path / path, field.image, self._ranges)
        with self._told("the plate's final name"):
            self._partial.commit()

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, WriteError | DataError):
                raise
            raise WriteError(self._reason(what, error)) from error

    def _reason(self, what: str, error: OSError) -> str:
        target, count, total = self._partial.target, len(self._written), len(self._fields)
        msg = f"Cannot write {what} to {target}: {error.strerror or error}. Nothing was kept."
        if error.errno not in _NO_ROOM:
            return f"{msg} Check that you may write there and that the disk is sound."
        used = sum(file.stat().st_size for file in self._partial.path.rglob("*") if file.is_file())
        need = used / count * total if count else _raw_bytes(self._plate)
        free = shutil.disk_usage(self._partial.target.parent).free + used
        return (
            f"{msg} {count} of {total} fields were done; the whole plate needs about "
            f"{need / 1e6:.4g} MB, {free / 1e6:.4g} MB are free there. Make room or pass another "
            "place."
        )


def _field_paths(plate: Plate) -> dict[tuple[str, int, str | None], tuple[Field, str]]:
    """Path of every field by (well, index, acquisition); later acquisitions follow earlier ones."""
    order = {item.id: number for number, item in enumerate(plate.acquisitions)}
    paths: dict[tuple[str, int, str | None], tuple[Field, str]] = {}
    for well in plate.wells:
        fields = sorted(
            well.fields, key=lambda field: (order.get(field.acquisition or "", -1), field.index)
        )
        for number, field in enumerate(fields):
            key = (well.name, field.index, field.acquisition)
            if key in paths:
                msg = f"Plate {plate.name} lists field {field.index} of well {well.name} twice."
                raise InputError(msg)
            unknown = field.acquisition is not None and field.acquisition not in order
            if unknown:
                msg = f"Plate {plate.name} has no acquisition {field.acquisition!r}."
                raise InputError(msg)
            paths[key] = (field, f"{_well_path(well)}/{number}")
    return paths


def _well_path(well: Well) -> str:
    return f"{row_name(well.row)}/{well.column + 1:02d}"


def _acquisition_numbers(acquisitions: tuple[Acquisition, ...]) -> dict[str | None, int]:
    """NGFF numbers of acquisitions: their ids where all are numbers, else counted from 1."""
    ids = [item.id for item in acquisitions]
    if all(item.isdecimal() and item == str(int(item)) for item in ids):
        return {item: int(item) for item in ids}
    return {item: number for number, item in enumerate(ids, 1)}


def _write_plate(
    root: Path, plate: Plate, fields: dict[tuple[str, int, str | None], tuple[Field, str]]
) -> None:
    numbers = _acquisition_numbers(plate.acquisitions)
    filled = [well for well in plate.wells if well.fields]
    stored: dict[str, Any] = {
        "rows": [{"name": row_name(row)} for row in range(plate.rows)],
        "columns": [{"name": f"{column + 1:02d}"} for column in range(plate.columns)],
        "wells": [
            {"path": _well_path(well), "rowIndex": well.row, "columnIndex": well.column}
            for well in filled
        ],
        "acquisitions": [{"id": numbers[item.id], "name": item.name} for item in plate.acquisitions]
        or None,
        "field_count": max((len(well.fields) for well in filled), default=0) or None,
        "name": plate.name,
        "version": NGFF_VERSION,
    }
    made = ngio.create_empty_plate(str(root), plate.name, ngff_version=NGFF_VERSION)
    made.meta_handler.update_meta(NgioPlateMeta.model_validate({"plate": stored}))
    zarr.open_group(root, mode="r+").attrs[ATTRIBUTE_KEY] = treatments_to_json(plate.wells)
    images: dict[str, list[dict[str, Any]]] = {}
    for field, path in fields.values():
        well_path, _, name = path.rpartition("/")
        image = {"path": name, "acquisition": numbers.get(field.acquisition)}
        images.setdefault(well_path, []).append(image)
    for well_path, listed in images.items():
        well = ngio.create_empty_well(str(root / well_path), ngff_version=NGFF_VERSION)
        meta = NgioWellMeta.model_validate({"images": listed, "version": NGFF_VERSION})
        well.meta_handler.update_meta(meta)


def _as_stack(pixels: FieldPixels, image: Image) -> FieldPixels:
    stack = pixels[np.newaxis, :, np.newaxis] if pixels.ndim == 3 else pixels
    expected = (image.size_t, len(image.channels), image.size_z, image.size_y, image.size_x)
    if stack.shape != expected or stack.dtype != np.dtype(image.dtype):
        msg = (
            f"The pixels of {image.name} are {pixels.shape} {pixels.dtype}; its layout says "
            f"{expected} {image.dtype} (T, C, Z, Y, X)."
        )
        raise InputError(msg)
    return stack


def _write_image(folder: Path, image: Image, stack: FieldPixels) -> None:
    made = ngio.create_empty_ome_zarr(
        str(folder),
        shape=stack.shape,
        pixelsize=image.pixel_size_um or 1.0,
        z_spacing=image.z_step_um or 1.0,
        levels=_levels(image),
        axes_names=_AXES,
        name=image.name or None,
        channels_meta=[
            ngio.Channel.default_init(
                channel.name,
                color=channel.color or default_color(channel.name, channel.index),
                data_type=image.dtype,
            )
            for channel in image.channels
        ],
        ngff_version=NGFF_VERSION,
        chunks=(1, 1, 1, _chunk(image.size_y), _chunk(image.size_x)),
        dtype=image.dtype,
        # Byte shuffle beat bit shuffle and none in size on all real images tried (8 and 16 bit).
        compressors=BloscCodec(cname="zstd", clevel=5, shuffle="shuffle"),
    )
    full = made.get_image()
    full.set_array(stack)
    # In memory: through dask, ngio's default still, it takes three times as long.
    full.consolidate(mode="auto")


def _levels(image: Image) -> int:
    """Two levels for a camera of today's usual size or less, three above."""
    return 3 if max(image.size_y, image.size_x) > 1024 else 2


def _chunk(size: int) -> int:
    """Side of chunks that split a side evenly and are not longer than `_LONGEST_CHUNK`."""
    return ceil(size / ceil(size / _LONGEST_CHUNK))


def _set_display(folder: Path, image: Image, ranges: DisplayRanges) -> None:
    """Set the plate's display range on one image, and take away units that are not known."""
    group = zarr.open_group(folder, mode="r+")
    ome: Any = group.attrs["ome"]
    for stored, channel in zip(ome["omero"]["channels"], image.channels, strict=True):
        start, end = ranges.range_of(channel.name)
        stored["window"] |= {"start": start, "end": end}
        if np.dtype(image.dtype).kind == "f":
            # The ends of a float type would be the ends of the viewer's slider.
            stored["window"] |= {"min": start, "max": end}
    for axis in ome["multiscales"][0]["axes"]:
        known = image.z_step_um if axis["name"] == "z" else image.pixel_size_um
        if axis["type"] == "space" and not known:
            # ngio writes micrometres always; a scale of 1 would then be a lie.
            axis.pop("unit", None)
    group.attrs["ome"] = ome


def _raw_bytes(plate: Plate) -> int:
    total = 0
    for site in plate.sites():
        image = site.image
        planes = image.size_t * len(image.channels) * image.size_z
        total += planes * image.size_y * image.size_x * np.dtype(image.dtype).itemsize
    return total
