"""Turn a folder of images into an OME-Zarr plate: checked whole first, then written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import DataError, InputErrors
from omero_hcs.model import Acquisition, Channel, Field, Image, Plate, StoreSpec, Well
from omero_hcs.stores.ome_zarr.arrangement import Arrangement, Axes, FieldFiles, arrange_folder
from omero_hcs.stores.ome_zarr.blocks import READERS, Block, BlockInfo, read_block
from omero_hcs.stores.ome_zarr.checks import (
    Faults,
    Progress,
    check_options,
    check_platemap,
    find_gaps,
    find_pixel_size,
    inspect_files,
    name_channels,
)
from omero_hcs.stores.ome_zarr.layout import plate_size
from omero_hcs.stores.ome_zarr.partial import PartialFolder
from omero_hcs.stores.ome_zarr.pattern import parse_pattern
from omero_hcs.stores.ome_zarr.platemap import read_platemap
from omero_hcs.stores.ome_zarr.store import OmeZarrStore
from omero_hcs.stores.ome_zarr.treatments import Position, WellTreatment
from omero_hcs.stores.ome_zarr.writer import PlateWriter


@dataclass(frozen=True, slots=True)
class Conversion:
    """A conversion that was checked: every file decodes and has its place.

    `plate` is the layout that will be written, `fields` has the files of each of its fields in the
    same order, `warnings` are for the user to read first, `missing_wells` the wells without images.
    """

    folder: Path
    plate: Plate
    fields: tuple[FieldFiles, ...]
    warnings: tuple[str, ...] = ()
    missing_wells: tuple[str, ...] = ()

    @property
    def file_count(self) -> int:
        """How many files will be read."""
        return sum(len(field.files) for field in self.fields)


def plan_conversion(
    folder: Path | str,
    pattern: str,
    *,
    platemap: Path | str | None = None,
    channels: Sequence[str] | None = None,
    pixel_size_um: float | tuple[float, float] | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Check everything about a conversion before a byte is written; every file is decoded once.

    Parameters
    ----------
    folder : Path
        Folder of TIFF, PNG or JPEG files.
    pattern : str
        See `parse_pattern`, for example ``"BBBC013_{well}_s{field}_w{channel}.tif"``.
    platemap : Path, optional
        CSV; see `read_platemap`.
    channels : sequence of str, optional
        Names of the channels, in the sorted order of the ``{channel}`` values.
    pixel_size_um : float or (float, float), optional
        Micrometres a pixel, (y, x) where they differ; else what the first file says, if anything.
    progress : callable, optional
        Called with the files checked and all files.

    Returns
    -------
    Conversion
        With warnings about wells without images, files left out, an unknown pixel size.

    Raises
    ------
    InputErrors
        With all faults at once, each naming its file or well.
    """
    folder, faults = Path(folder), Faults()
    faults.gather(lambda: check_options(channels, pixel_size_um))
    treatments = faults.gather(lambda: read_platemap(Path(platemap)) if platemap else {}) or {}
    arrangement = faults.gather(lambda: arrange_folder(folder, parse_pattern(pattern)))
    if arrangement is None:
        raise InputErrors(faults.found)
    faults.found += arrangement.faults
    map_name = Path(platemap or "").name
    faults.gather(lambda: check_platemap(arrangement, treatments, name=map_name))
    usual = faults.gather(lambda: inspect_files(arrangement, progress=progress)) or {}
    named = faults.gather(lambda: name_channels(arrangement, usual, channels)) or {}
    faults.raise_any()
    size, size_warnings = find_pixel_size(arrangement, pixel_size_um)
    missing, warnings = find_gaps(arrangement, treatments)
    images = {
        run: _image(axes, usual[run], named[run], size) for run, axes in arrangement.axes.items()
    }
    plate = _plate(arrangement, images, treatments, name=folder.resolve().name)
    return Conversion(folder, plate, arrangement.fields, (*warnings, *size_warnings), missing)


def check_target(out: Path, *, overwrite: bool) -> None:
    """Refuse a place where no plate may be written, before an hour is spent on checking files.

    Raises
    ------
    WriteError
        If something is there and `overwrite` is not set, or it is no OME-Zarr.
    """
    PartialFolder(Path(out), overwrite=overwrite)


def convert_folder(
    conversion: Conversion, out: Path, *, overwrite: bool = False, progress: Progress | None = None
) -> Plate:
    """Write a checked conversion as an OME-Zarr plate, with two fields in memory at most.

    Parameters
    ----------
    conversion : Conversion
        From `plan_conversion`.
    out : Path
        The new folder, "plate.zarr".
    overwrite : bool
        Replace an OME-Zarr that is there already.
    progress : callable, optional
        Called with the fields written and all fields.

    Returns
    -------
    Plate
        The layout, as read back from `out`.

    Raises
    ------
    WriteError
        If it cannot be written; nothing half-written is left.
    DataError
        If a file changed since it was checked.
    """
    out = Path(out)
    name = out.name.removesuffix(".zarr").removesuffix(".ome")
    plate = replace(conversion.plate, id=name, name=name)
    sites = list(plate.sites())
    with PlateWriter(out, plate, overwrite=overwrite) as writer:
        stacks = _stacks(conversion.fields, [site.image for site in sites])
        for done, (site, stack) in enumerate(zip(sites, stacks, strict=True), 1):
            well = site.well.name if site.well else ""
            writer.write_field(well, site.field, site.acquisition, stack)
            if progress:
                progress(done, len(sites))
    store = OmeZarrStore(StoreSpec(uri=str(out)))
    return store.plate(store.refs()[0].id)


def _image(
    axes: Axes, info: BlockInfo, channels: tuple[Channel, ...], size: tuple[float, float] | None
) -> Image:
    """Image that every field of one acquisition is."""
    return Image(
        id="",
        name="",
        size_y=info.size_y,
        size_x=info.size_x,
        channels=channels,
        dtype=info.dtype,
        size_z=len(axes.zs) * info.size_z,
        size_t=len(axes.ts) * info.size_t,
        pixel_size_um=size,
    )


def _plate(
    arrangement: Arrangement,
    images: Mapping[str | None, Image],
    treatments: Mapping[Position, WellTreatment],
    *,
    name: str,
) -> Plate:
    runs = [run for run in arrangement.axes if run is not None]
    numbered = all(run.isdecimal() and run == str(int(run)) for run in runs)
    ids = {run: run if numbered else str(number) for number, run in enumerate(runs, 1)}
    fields: dict[Position, list[Field]] = {}
    for item in arrangement.fields:
        run = item.place.acquisition
        image = replace(images[run], name=f"{item.place.well} field {item.index + 1}")
        field = Field(item.index, image, None if run is None else ids[run])
        fields.setdefault((item.place.row, item.place.column), []).append(field)
    positions = sorted({*fields, *treatments})
    wells = []
    for at in positions:
        known = treatments.get(at, WellTreatment())
        well = Well(*at, tuple(fields.get(at, ())), known.treatment, known.dose)
        wells.append(
            replace(well, dose_unit=known.dose_unit, role=known.role, metadata=known.metadata)
        )
    acquisitions = tuple(Acquisition(ids[run], run) for run in runs)
    return Plate(name, name, *plate_size(positions), tuple(wells), acquisitions)


def _stacks(fields: Sequence[FieldFiles], images: Sequence[Image]) -> Iterator[NDArray[np.generic]]:
    """Pixels of each field (T, C, Z, Y, X); the next one is read while one is written."""
    with ThreadPoolExecutor(READERS) as pool:

        def start(number: int) -> dict[tuple[int, int, int], Future[Block]]:
            files = fields[number].files
            return {key: pool.submit(read_block, path) for key, path in files.items()}

        ahead = start(0) if fields else {}
        for number, image in enumerate(images):
            reading, ahead = ahead, start(number + 1) if number + 1 < len(fields) else {}
            yield _join(reading, image)


def _join(
    reading: Mapping[tuple[int, int, int], Future[Block]], image: Image
) -> NDArray[np.generic]:
    shape = (image.size_t, len(image.channels), image.size_z, image.size_y, image.size_x)
    stack = np.empty(shape, image.dtype)
    # One file may hold a whole axis: then no file name counts along it.
    counted = [len({key[axis] for key in reading}) > 1 for axis in range(3)]
    for key, future in reading.items():
        block = future.result()
        lengths = [1 if counted[axis] else shape[axis] for axis in range(3)]
        at = tuple(slice(i, i + n) for i, n in zip(key, lengths, strict=True))
        block = block[: lengths[0], : lengths[1], : lengths[2]]
        if block.shape != stack[at].shape or block.dtype != stack.dtype:
            msg = f"A file of {image.name} changed while it was converted. Start again."
            raise DataError(msg)
        stack[at] = block
    return stack
