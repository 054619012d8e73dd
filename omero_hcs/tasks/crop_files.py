"""Crops in one file: an OME-Zarr in a zip, or a zip of OME-TIFF files.

The OME-Zarr (NGFF 0.5) is one image whose time points are the crops: viewers have a slider over
time, and none over anything that they do not know. Its files are not compressed in the zip, so that
zarr reads it where it is. Both have `cells.csv` beside the pixels, a row a crop.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs import lazy
from omero_hcs.errors import InputError
from omero_hcs.model import Channel
from omero_hcs.results import Table
from omero_hcs.tasks.crop_choice import FieldCrops

LARGEST_FILE = 500_000_000
"""Bytes of crops in one file at most: it is sent, kept and downloaded as a whole."""

NAMES: Mapping[str, str] = MappingProxyType({"zarr": "crops.ome.zarr.zip", "zip": "crops.zip"})
"""Names of the files, by what crops become."""

CELLS = "cells.csv"
_NGFF = "0.5"
_WHITE = "FFFFFF"


@dataclass(frozen=True)
class CropLook:
    """What all crops of a file have in common.

    Parameters
    ----------
    name : str
        Of the plate or the images.
    channels : tuple of Channel
        Those that were kept.
    ranges : tuple of (float, float)
        Grey values between which each is shown.
    pixel_size_um : tuple of (float, float) or None
        As (y, x).
    dtype : dtype
        Of the pixels.
    side : int
        Of a crop, in pixels.
    """

    name: str
    channels: tuple[Channel, ...]
    ranges: tuple[tuple[float, float], ...]
    pixel_size_um: tuple[float, float] | None
    dtype: np.dtype[Any]
    side: int

    @property
    def nbytes(self) -> int:
        """Bytes of one crop."""
        return len(self.channels) * self.side**2 * self.dtype.itemsize


def most_in_file(look: CropLook) -> int:
    """Tell how many crops one file may hold."""
    return max(1, LARGEST_FILE // look.nbytes)


def refuse_too_large(look: CropLook, count: int, *, on_server: bool) -> None:
    """Stop before anything is read if a file would be too large.

    Raises
    ------
    InputError
        With how many crops would do.
    """
    most = most_in_file(look)
    if count <= most:
        return
    channels, side = len(look.channels), look.side
    other = "dataset" if on_server else "table"
    msg = (
        f"{count} crops of {channels} channel(s), {side} x {side} px of {look.dtype.name}, are "
        f"{count * look.nbytes / 1e6:.0f} MB, and one file holds {LARGEST_FILE / 1e6:.0f} MB. Pass "
        f"--limit {most}, a smaller --crop-size, fewer --channels, or --crops {other}."
    )
    raise InputError(msg)


def write_zarr(path: Path, look: CropLook, count: int, fields: Iterator[FieldCrops]) -> None:
    """Write crops as one OME-Zarr in a zip: axes (t, c, y, x), t the crop."""
    zarr = lazy.load("zarr", extra="disk")
    shape = (count, len(look.channels), look.side, look.side)
    store = lazy.load("zarr.storage:ZipStore", extra="disk")(path, mode="w")
    try:
        group = zarr.create_group(store, attributes={"ome": _ome(look)}, overwrite=False)
        array = group.create_array(
            "0",
            shape=shape,
            chunks=(1, *shape[1:]),
            dtype=look.dtype,
            dimension_names=("t", "c", "y", "x"),
        )
        tables, at = [], 0
        for field in fields:
            for number, crop in enumerate(field.pixels, at):
                array[number] = crop
            at += len(field.pixels)
            tables.append(field.cells)
    finally:
        store.close()
    cells = _numbered(tables, "crop", np.arange(at))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(CELLS, cells.to_csv())


def write_tiffs(path: Path, look: CropLook, count: int, fields: Iterator[FieldCrops]) -> None:
    """Write crops as OME-TIFF files in a zip, each with the axes (c, y, x)."""
    imwrite = lazy.load("tifffile:imwrite", extra="disk")
    names: list[str] = []
    tables = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for field in fields:
            for crop in field.pixels:
                names.append(_file_name(field, len(names) + 1))
                content = io.BytesIO()
                imwrite(content, crop, ome=True, compression="zlib", **_tiff_facts(look, names[-1]))
                archive.writestr(names[-1], content.getvalue())
            tables.append(field.cells)
        archive.writestr(CELLS, _numbered(tables, "file", np.array(names)).to_csv())


WRITERS: Mapping[str, Callable[[Path, CropLook, int, Iterator[FieldCrops]], None]] = (
    MappingProxyType({"zarr": write_zarr, "zip": write_tiffs})
)
"""What writes the file, by what crops become."""


def _numbered(tables: Sequence[Table], name: str, values: NDArray[Any]) -> Table:
    return Table({name: values, **Table.concat(tables).columns})


def _file_name(field: FieldCrops, number: int) -> str:
    where = f"{field.unit.well}_f{field.unit.field + 1}" if field.unit.well else "image"
    return f"{where}_{number:05d}.ome.tif"


def _tiff_facts(look: CropLook, name: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "axes": "CYX",
        "Name": name.removesuffix(".ome.tif"),
        "Channel": {"Name": [channel.name for channel in look.channels]},
    }
    if look.pixel_size_um:
        height, width = look.pixel_size_um
        described |= {"PhysicalSizeY": height, "PhysicalSizeYUnit": "µm"}
        described |= {"PhysicalSizeX": width, "PhysicalSizeXUnit": "µm"}
    return {"metadata": described, "photometric": "minisblack"}


def _ome(look: CropLook) -> dict[str, Any]:
    """Metadata of an NGFF image of one level."""
    unit = {"unit": "micrometer"} if look.pixel_size_um else {}
    axes = [
        {"name": "t", "type": "time"},
        {"name": "c", "type": "channel"},
        *({"name": name, "type": "space", **unit} for name in "yx"),
    ]
    scale = [1.0, 1.0, *(look.pixel_size_um or (1.0, 1.0))]
    level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    return {
        "version": _NGFF,
        "multiscales": [{"name": f"crops of {look.name}", "axes": axes, "datasets": [level]}],
        "omero": {"channels": [_shown(look, index) for index in range(len(look.channels))]},
    }


def _shown(look: CropLook, index: int) -> dict[str, Any]:
    channel, (start, end) = look.channels[index], look.ranges[index]
    is_float = look.dtype.kind == "f"
    ends = (start, end) if is_float else (np.iinfo(look.dtype).min, np.iinfo(look.dtype).max)
    return {
        "label": channel.name,
        "color": channel.color or _WHITE,
        "active": True,
        "window": {"start": start, "end": end, "min": float(ends[0]), "max": float(ends[1])},
    }
