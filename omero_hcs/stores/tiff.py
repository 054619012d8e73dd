"""TIFF files as channels, planes and times: plain, multi-page, ImageJ and OME-TIFF, by tifffile.

Axes come from the file where it names them. Pages without a name are z planes (or, where z is
named, times). RGB is three channels; an alpha channel is dropped. A palette is a look-up table of
the display, as ImageJ saves it: the values are the pixels. Only the first series is read. A file
of an OME-TIFF set is read as itself: tifffile would give the whole set for every one of its files.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from omero_hcs.errors import DataError
from omero_hcs.stores.base import ImageArray

RGB_NAMES = ("red", "green", "blue")

_ALPHA = (1, 2)
_COLOUR = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
_UM = {
    "nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "mm": 1e3,
    "cm": 1e4, "inch": 25.4e3, "m": 1e6,
}  # fmt: skip
_RESOLUTION_UNITS = {2: "inch", 3: "cm"}
# Coarser pixels than this are a printer's 72-600 dpi, which office programs leave in every file.
_COARSEST_UM = 20.0


@dataclass(frozen=True, slots=True)
class Header:
    """What a file's header says: sizes in pixels, channel names, physical sizes where known."""

    size_y: int
    size_x: int
    channels: tuple[str, ...]
    dtype: str
    size_z: int = 1
    size_t: int = 1
    pixel_size_um: tuple[float, float] | None = None
    z_step_um: float | None = None


def tiff_header(path: Path) -> Header:
    """Read the header of a TIFF file.

    Raises
    ------
    ValueError
        If the file is truncated.
    DataError
        If its axes do not say what is channel, z or t.
    OSError, tifffile.TiffFileError
        If it is no TIFF file.
    """
    with _open(path) as tiff:
        series = tiff.series[0]
        _check_whole(tiff, path)
        places = _places(tiff)
        pixel_size, z_step = _physical(tiff, series)
        size_t, pages, size_z = places.shape
        samples = _samples(series)
        names = _names(tiff, pages, samples)
        size = dict(zip(series.axes, series.shape, strict=True))
        return Header(
            size["Y"], size["X"], names, np.dtype(series.dtype).name, size_z, size_t,
            pixel_size, z_step,
        )  # fmt: skip


def tiff_stack(path: Path, *, channels: Sequence[int], planes: Sequence[int], t: int) -> ImageArray:
    """Read some channels and planes of one time point, shape (len(channels), len(planes), Y, X)."""
    with _open(path) as tiff:
        pages = _Pages(tiff)
        stack = []
        for channel in channels:
            numbers, sample = [pages.number(t, channel, z) for z in planes], pages.sample(channel)
            stack.append(np.stack([pages.read(number)[sample] for number in numbers]))
        return np.stack(stack)


@contextmanager
def tiff_planes(path: Path) -> Iterator[Callable[[int, int, int], ImageArray]]:
    """Open a TIFF file once for many planes; one thread at a time may ask.

    Yields
    ------
    callable
        Gives the plane, shape (Y, X), of (t, channel, z); one page is held.
    """
    with _open(path) as tiff:
        pages = _Pages(tiff, held=1)
        yield lambda t, channel, z: pages.read(pages.number(t, channel, z))[pages.sample(channel)]


class _Pages:
    """Pages of an open file by channel, plane and time; those read last are `held`, or all."""

    def __init__(self, tiff: Any, *, held: int | None = None) -> None:
        self._series = tiff.series[0]
        self._places = _places(tiff)
        self._is_colour = _samples(self._series) > 1
        self._held = held
        self._read: dict[int, ImageArray] = {}

    def number(self, t: int, channel: int, z: int) -> int:
        return int(self._places[t, 0 if self._is_colour else channel, z])

    def sample(self, channel: int) -> int:
        return channel if self._is_colour else 0

    def read(self, number: int) -> ImageArray:
        """One page as (S, Y, X)."""
        if number not in self._read:
            if len(self._read) == self._held:
                self._read.clear()
            self._read[number] = _page(self._series, number)
        return self._read[number]


class _Damage(logging.Handler):
    """Hears what tifffile only logs: that parts of the file lie past its end."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        lost = "invalid page offset" in message or "invalid value offset" in message
        if lost and record.thread == self._thread:
            self.heard.append(message)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a TIFF, and refuse it where a part is missing: tifffile would read the rest."""
    damage, logger = _Damage(), logging.getLogger("tifffile")
    logger.addHandler(damage)
    try:
        with tifffile.TiffFile(path) as tiff:
            alone = len(_ome_files(tiff)) < 2
        with tifffile.TiffFile(path, is_ome=None if alone else False) as tiff:
            if not tiff.series:
                msg = "it has no image"
                raise ValueError(msg)
            _ = len(tiff.pages)
            if damage.heard:
                msg = "it is truncated: a part of it is missing"
                raise ValueError(msg)
            yield tiff
    finally:
        logger.removeHandler(damage)


def _ome_files(tiff: Any) -> set[str]:
    """Names of the files that the OME-XML of a file spreads its pixels over."""
    return set(re.findall(r'<UUID\b[^>]*\bFileName="([^"]+)"', tiff.pages.first.description))


def _check_whole(tiff: Any, path: Path) -> None:
    series, size = tiff.series[0], path.stat().st_size
    pages = [page for page in series.pages if page is not None]
    ends = [
        offset + count
        for page in pages
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
    ]
    if series.dataoffset is not None:
        ends.append(series.dataoffset + series.nbytes)
    if max(ends, default=0) > size:
        msg = f"it is truncated: {size} bytes of {max(ends)} are there"
        raise ValueError(msg)


def _places(tiff: Any) -> NDArray[np.intp]:
    """Give the number of the page of each plane, shape (T, C, Z)."""
    series = tiff.series[0]
    sizes = [
        (axis, size)
        for axis, size in zip(series.axes, series.shape, strict=True)
        if axis not in "YXS"
    ]
    axes, shape = "".join(axis for axis, _ in sizes), [size for _, size in sizes]
    unknown = [axis for axis in axes if axis not in "TCZ"]
    free = [axis for axis in "ZT" if axis not in axes]
    named = axes.replace(unknown[0], free[0]) if unknown and free else axes
    if unknown and len(_ome_files(tiff)) > 1:
        msg = (
            f"{tiff.filehandle.path} has {shape[0]} planes of a set of OME-TIFF files that is only "
            "whole together. Save each image of the set as one file, or convert it with "
            "bioformats2raw."
        )
        raise DataError(msg)
    if len(unknown) > 1 or set(named) - set("TCZ"):
        msg = (
            f"The axes of {tiff.filehandle.path} are {series.axes} of sizes {series.shape}: they "
            "do not say what is channel, z or t. Save it as OME-TIFF, or as an ImageJ hyperstack."
        )
        raise DataError(msg)
    if _samples(series) > 1 and "C" in named:
        msg = (
            f"Each channel of {tiff.filehandle.path} is an RGB image (axes {series.axes}). Save "
            "its channels as grey images."
        )
        raise DataError(msg)
    numbers = np.arange(int(np.prod(shape)), dtype=np.intp).reshape(shape)
    numbers = numbers.reshape([*shape, *(1 for axis in "TCZ" if axis not in named)])
    order = named + "".join(axis for axis in "TCZ" if axis not in named)
    return numbers.transpose([order.index(axis) for axis in "TCZ"])


def _samples(series: Any) -> int:
    """Count the samples of a pixel without alpha: 3 for RGB and RGBA, 1 for grey."""
    size = dict(zip(series.axes, series.shape, strict=True)).get("S", 1)
    alpha = sum(code in _ALPHA for code in series.keyframe.extrasamples)
    colours = 3 if series.keyframe.photometric in _COLOUR else size - alpha
    return max(1, min(int(size), int(colours)))


def _page(series: Any, number: int) -> ImageArray:
    """One page as (S, Y, X)."""
    shape = dict(zip(series.axes, series.shape, strict=True))
    count = int(np.prod([size for axis, size in shape.items() if axis not in "YXS"]))
    if len(series.pages) == count:
        page = series.pages[number]
        if page is None:
            msg = f"plane {number} of {count} is missing"
            raise ValueError(msg)
        pixels = page.asarray()
    else:
        whole = series.asarray()
        pixels = whole.reshape(count, *whole.shape[-3 if "S" in shape else -2 :])[number]
    if "S" not in shape:
        return np.asarray(pixels)[np.newaxis]
    return np.moveaxis(pixels, -1, 0) if series.axes.endswith("S") else np.asarray(pixels)


def _names(tiff: Any, pages: int, samples: int) -> tuple[str, ...]:
    """Channel names: unique, from OME-XML where it has them."""
    if samples == len(RGB_NAMES) and tiff.series[0].keyframe.photometric in _COLOUR:
        return RGB_NAMES
    count = pages * samples
    given = [str(channel.get("Name", "")) for channel in _ome_channels(tiff)][:count]
    given += [""] * (count - len(given))
    if count == 1:
        return (given[0] or "grey",)
    return tuple(
        f"{name or 'channel'} {index}" if not name or given.count(name) > 1 else name
        for index, name in enumerate(given, 1)
    )


def _ome_pixels(tiff: Any) -> dict[str, Any]:
    """Attributes of the first image's pixels in OME-XML; empty where there is none."""
    if not tiff.pages.first.is_ome:
        return {}
    image = tifffile.xml2dict(tiff.pages.first.description).get("OME", {}).get("Image", {})
    image = image[0] if isinstance(image, (list, tuple)) else image
    pixels: dict[str, Any] = image.get("Pixels", {})
    return pixels


def _ome_channels(tiff: Any) -> list[dict[str, Any]]:
    channels = _ome_pixels(tiff).get("Channel", []) if tiff.is_ome else []
    return [channels] if isinstance(channels, dict) else list(channels)


def _physical(tiff: Any, series: Any) -> tuple[tuple[float, float] | None, float | None]:
    """Pixel size (y, x) and z step in micrometres, where the file has believable ones."""
    pixels = _ome_pixels(tiff)
    if "PhysicalSizeX" in pixels:
        y, x, z = (_length(pixels, f"PhysicalSize{axis}") for axis in "YXZ")
        return ((y, x) if y and x else None), z
    meta = tiff.imagej_metadata or {}
    tags = series.keyframe.tags
    unit = _UM.get(_plain_unit(meta.get("unit", "")))
    unit = unit or _UM.get(_RESOLUTION_UNITS.get(tags.valueof("ResolutionUnit"), ""))
    spacing = meta.get("spacing")
    step = float(spacing) * unit if spacing and unit else None
    lines = [_per_unit(tags.valueof(f"{axis}Resolution")) for axis in "YX"]
    if unit is None or not all(lines):
        return None, step
    y, x = (unit / line for line in lines)
    return ((y, x) if max(y, x) <= _COARSEST_UM else None), step


def _plain_unit(text: str) -> str:
    # ImageJ writes the micro sign as an escape: "\\u00B5m".
    return re.sub(r"\\u00B5", "µ", str(text), flags=re.IGNORECASE).strip().lower()


def _per_unit(value: Any) -> float:
    try:
        return float(value[0] / value[1])
    except (TypeError, IndexError, ZeroDivisionError):
        return 0.0


def _length(pixels: dict[str, Any], name: str) -> float | None:
    unit = _UM.get(_plain_unit(pixels.get(f"{name}Unit", "µm")))
    return float(pixels[name]) * unit if name in pixels and unit else None
