"""Copy a plate into an OMERO server through its API, with its pixels, as an importer does.

Objects go in batches, as graphs whose parents are unloaded; pixels through one store that stays
open, one plane a call, big-endian.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omero.gateway import BlitzGateway
from omero.model import (
    ChannelI,
    ImageI,
    LengthI,
    LogicalChannelI,
    PixelsI,
    PlateAcquisitionI,
    PlateI,
    ScreenI,
    ScreenPlateLinkI,
    StatsInfoI,
    WellI,
    WellSampleI,
)
from omero.model.enums import UnitsLength
from omero.rtypes import rdouble, rint, rstring

from omero_hcs.errors import InputError
from omero_hcs.model import Channel, Image, Layout, Plate, Site, Well
from omero_hcs.sandbox.sources import PlateSource
from omero_hcs.tasks.base import Progress, no_progress

PIXEL_TYPES = MappingProxyType(
    {
        "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16",
        "int32": "int32", "uint32": "uint32", "float32": "float", "float64": "double",
    }
)  # fmt: skip
"""OMERO's name of a numpy dtype."""

Planes = Callable[[int, Site], Iterator[tuple[int, int, NDArray[Any]]]]
"""See `PlateSource.planes`."""

IMAGES_A_BATCH = 96
_BYPASS_ORIGINAL_FILE = True
_SAMPLES = 20_000
_LOW, _HIGH = 1.0, 99.5
"""Percentiles of a field between which it is shown."""


@dataclass(frozen=True)
class ImportedPlate:
    """Ids of what was made in the server; wells by their (row, column)."""

    screen: int
    plate: int
    wells: dict[tuple[int, int], int]
    images: tuple[int, ...]


@dataclass
class _Levels:
    """What the pixels of one channel were like: extremes of the image, and its usual range."""

    least: float = np.inf
    most: float = -np.inf
    sampled: list[NDArray[Any]] = field(default_factory=list)

    def look_at(self, plane: NDArray[Any]) -> None:
        self.least = min(self.least, float(plane.min()))
        self.most = max(self.most, float(plane.max()))
        self.sampled.append(plane.ravel()[:: max(1, plane.size // _SAMPLES)])

    def window(self) -> tuple[float, float]:
        low, high = np.percentile(np.concatenate(self.sampled), (_LOW, _HIGH))
        return float(low), float(high)


def import_plate(
    conn: BlitzGateway, source: PlateSource, *, screen: str, progress: Progress = no_progress
) -> ImportedPlate:
    """Make a screen, a plate with its wells and images, and send all pixels.

    Images are shown in their channels' colours, each channel from its median field's 1st to its
    99.5th percentile, so that fields of a plate can be compared by eye.

    Parameters
    ----------
    conn : BlitzGateway
        Connected as whom the plate is to belong to.
    source : PlateSource
        What to copy.
    screen : str
        Name of the new screen.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    InputError
        If an image's dtype is none of OMERO's; nothing is made then.
    """
    layout = source.plate
    _check_dtypes(layout)
    update = conn.getUpdateService()
    screen_id, plate_id, runs = _save_containers(update, layout, screen)
    enums = Enums(conn)
    wells: dict[tuple[int, int], int] = {}
    pixels: list[tuple[int, int]] = []
    for batch in _batches(layout.wells):
        graphs = [_well_graph(well, plate_id, runs, enums) for well in batch]
        for well, saved in zip(batch, update.saveAndReturnArray(graphs), strict=True):
            wells[well.row, well.column] = saved.id.val
            images = [sample.image for sample in saved.copyWellSamples()]
            pixels += [(image.id.val, image.getPrimaryPixels().id.val) for image in images]
    windows = send_pixels(conn, layout, source.planes, [ids for _, ids in pixels], progress)
    show_alike(conn, layout, ("Plate", plate_id), [image for image, _ in pixels], windows)
    return ImportedPlate(screen_id, plate_id, wells, tuple(image for image, _ in pixels))


def _check_dtypes(layout: Plate) -> None:
    for site in layout.sites():
        if site.image.dtype not in PIXEL_TYPES:
            msg = (
                f"{site.label} of {layout.name} is of {site.image.dtype}, which OMERO has not. "
                f"It has: {', '.join(PIXEL_TYPES)}. Convert the plate to one of these."
            )
            raise InputError(msg)


def _batches(wells: Sequence[Well]) -> Iterator[list[Well]]:
    batch: list[Well] = []
    for well in wells:
        batch.append(well)
        if sum(len(one.fields) for one in batch) >= IMAGES_A_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _save_containers(update: Any, layout: Plate, screen: str) -> tuple[int, int, dict[str, int]]:
    """Save screen, plate and acquisitions; the value is their ids."""
    plate = PlateI()
    plate.name = rstring(layout.name)
    plate.rows, plate.columns = rint(layout.rows), rint(layout.columns)
    plate.rowNamingConvention, plate.columnNamingConvention = rstring("letter"), rstring("number")
    for run in layout.acquisitions:
        acquisition = PlateAcquisitionI()
        acquisition.name = rstring(run.name)
        plate.addPlateAcquisition(acquisition)
    parent = ScreenI()
    parent.name = rstring(screen)
    link = ScreenPlateLinkI()
    link.parent, link.child = parent, plate
    saved = update.saveAndReturnObject(link)
    ids = [run.id.val for run in saved.child.copyPlateAcquisitions()]
    runs = {run.id: number for run, number in zip(layout.acquisitions, ids, strict=True)}
    return saved.parent.id.val, saved.child.id.val, runs


class Enums:
    """Enumeration values of the server by their names, each asked for once."""

    def __init__(self, conn: BlitzGateway) -> None:
        self._query = conn.getQueryService()
        self._known: dict[tuple[str, str], Any] = {}

    def get(self, kind: str, value: str) -> Any:
        """Find the value of an enumeration."""
        if (kind, value) not in self._known:
            self._known[kind, value] = self._query.findByString(kind, "value", value)
        return self._known[kind, value]


def _well_graph(well: Well, plate: int, runs: dict[str, int], enums: Enums) -> Any:
    graph = WellI()
    graph.row, graph.column = rint(well.row), rint(well.column)
    graph.plate = PlateI(plate, loaded=False)
    for item in well.fields:
        sample = WellSampleI()
        sample.image = image_graph(item.image, enums)
        # A plate of one acquisition may not say so at each field.
        run = runs.get(item.acquisition or "") or (len(runs) == 1 and next(iter(runs.values())))
        if run:
            sample.plateAcquisition = PlateAcquisitionI(run, loaded=False)
        if item.image.pixel_size_um:
            width = item.image.size_x * item.image.pixel_size_um[1]
            sample.posX = LengthI(item.index * width, UnitsLength.MICROMETER)
            sample.posY = LengthI(0.0, UnitsLength.MICROMETER)
        graph.addWellSample(sample)
    return graph


def image_graph(image: Image, enums: Enums) -> Any:
    """Make an image to be saved, with its pixels' description and its channels."""
    pixels = PixelsI()
    pixels.sizeX, pixels.sizeY = rint(image.size_x), rint(image.size_y)
    pixels.sizeZ, pixels.sizeT = rint(image.size_z), rint(image.size_t)
    pixels.sizeC = rint(len(image.channels))
    pixels.dimensionOrder = enums.get("DimensionOrder", "XYZCT")
    pixels.pixelsType = enums.get("PixelsType", PIXEL_TYPES[image.dtype])
    pixels.sha1 = rstring("Pending...")
    if image.pixel_size_um:
        size_y, size_x = image.pixel_size_um
        pixels.physicalSizeY = LengthI(size_y, UnitsLength.MICROMETER)
        pixels.physicalSizeX = LengthI(size_x, UnitsLength.MICROMETER)
    if image.z_step_um:
        pixels.physicalSizeZ = LengthI(image.z_step_um, UnitsLength.MICROMETER)
    for channel in image.channels:
        pixels.addChannel(_channel_graph(channel))
    graph = ImageI()
    graph.name = rstring(image.name)
    graph.addPixels(pixels)
    return graph


def _channel_graph(channel: Channel) -> Any:
    graph = ChannelI()
    graph.logicalChannel = LogicalChannelI()
    graph.logicalChannel.name = rstring(channel.name)
    graph.statsInfo = StatsInfoI()  # to be set once the pixels were seen
    graph.statsInfo.globalMin, graph.statsInfo.globalMax = rdouble(0.0), rdouble(1.0)
    if channel.color:
        red, green, blue = bytes.fromhex(channel.color)
        graph.red, graph.green, graph.blue = rint(red), rint(green), rint(blue)
        graph.alpha = rint(255)
    return graph


def send_pixels(
    conn: BlitzGateway, layout: Layout, planes: Planes, pixels: Sequence[int], progress: Progress
) -> list[tuple[float, float]]:
    """Send the pixels of every image; the value is each channel's window for all of them.

    Parameters
    ----------
    conn : BlitzGateway
        Connected as whom the images belong to.
    layout : Plate or ImageSet
        The images.
    planes : callable
        See `PlateSource.planes`.
    pixels : sequence of int
        Ids of the images' Pixels, in the order of the sites.
    progress : callable
        See `tasks.base.Progress`.
    """
    described = conn.getPixelsService()
    store = conn.c.sf.createRawPixelsStore()
    windows: list[list[tuple[float, float]]] = []
    try:
        for number, (site, ids) in enumerate(zip(layout.sites(), pixels, strict=True)):
            store.setPixelsId(ids, _BYPASS_ORIGINAL_FILE)
            levels = _send_field(store, planes(number, site), site.image)
            store.save()
            for channel, level in enumerate(levels):
                described.setChannelGlobalMinMax(ids, channel, level.least, level.most)
            windows.append([level.window() for level in levels])
            progress(f"sending {layout.name}", number + 1, len(pixels))
    finally:
        store.close()
    return [
        (float(np.median([low for low, _ in each])), float(np.median([high for _, high in each])))
        for each in zip(*windows, strict=False)
    ]


def _send_field(
    store: Any, planes: Iterator[tuple[int, int, NDArray[Any]]], image: Image
) -> list[_Levels]:
    levels = [_Levels() for _ in image.channels]
    for z, t, stack in planes:
        big_endian = stack.astype(stack.dtype.newbyteorder(">"), copy=False)
        for channel, plane in enumerate(big_endian):
            store.setPlane(plane.tobytes(), z, channel, t)
            levels[channel].look_at(stack[channel])
    return levels


def show_alike(
    conn: BlitzGateway,
    layout: Layout,
    container: tuple[str, int],
    images: Sequence[int],
    windows: Sequence[tuple[float, float]],
) -> None:
    """Give every image of a plate or dataset the same rendering settings.

    Parameters
    ----------
    conn : BlitzGateway
        Connected as their owner.
    layout : Plate or ImageSet
        The images.
    container : tuple of str and int
        OMERO class and id of what holds them.
    images : sequence of int
        Their ids.
    windows : sequence of tuple
        Where each channel begins and ends.
    """
    first = next(layout.sites(), None)
    if first is None or not windows:
        return
    channels = first.image.channels[: len(windows)]
    # OMERO, too, shows the first three channels of an image that nobody has looked at.
    active = [number if number <= 3 else -number for number in range(1, len(channels) + 1)]
    image = conn.getObject("Image", images[0])
    whole = not first.image.dtype.startswith("float")
    ranges = [_range(low, high, whole=whole) for low, high in windows]
    colors = [channel.color for channel in channels]
    image.set_active_channels(active, ranges, colors, set_inactive=True)
    if len(channels) > 1:
        image.setColorRenderingModel()
    else:
        image.setGreyscaleRenderingModel()
    image.saveDefaults()
    source = image.getPrimaryPixels().getId()
    conn.getRenderingSettingsService().applySettingsToSet(source, container[0], [container[1]])


def _range(low: float, high: float, *, whole: bool) -> list[float]:
    """Where a channel begins and ends: whole numbers for whole pixels, and never the same."""
    if whole:
        low, high = float(round(low)), float(round(high))
    return [low, max(high, low + 1.0)]
