"""Pixels of crops that are files: what they are, whether they are alike, how bright they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from omero_hcs.errors import ChannelNotFoundError, DataError, InputErrors
from omero_hcs.imaging.levels import camera_ceiling
from omero_hcs.imaging.normalize import Normalization
from omero_hcs.stores.imagefile import TIFF_EXTENSIONS, read_header, read_stack
from omero_hcs.stores.tiff import Header
from omero_hcs.tasks.base import Progress
from omero_hcs.tasks.crop_names import CropFile

BLACK_PERCENTILE, WHITE_PERCENTILE, BRIGHTEST = 1.0, 99.9, 95.0
"""Where grey values are deeper than 8 bits: see `intensities_of`."""


@dataclass(frozen=True)
class CropShape:
    """What all crops of a set have in common."""

    channels: tuple[str, ...]
    side_y: int
    side_x: int
    dtype: str

    def __str__(self) -> str:
        count = len(self.channels)
        return f"{self.side_y} x {self.side_x} px, {count} channel(s), {self.dtype}"


def crop_shapes(files: Sequence[CropFile]) -> tuple[Counter[CropShape], list[str]]:
    """Count the shapes of crops that are there, and say which files are no crops."""
    shapes: Counter[CropShape] = Counter()
    faults = []
    for file in files:
        if not file.path.is_file():
            continue
        try:
            header = read_header(file.path)
        except DataError as error:
            faults.append(str(error))
            continue
        fault = _fault(file, header)
        if fault:
            faults.append(fault)
        else:
            shapes[CropShape(_channels(header), header.size_y, header.size_x, header.dtype)] += 1
    return shapes, faults


def _fault(file: CropFile, header: Header) -> str | None:
    if header.size_t > 1 or (header.size_z > 1 and len(header.channels) > 1):
        return (
            f"{file.name} has {len(header.channels)} channels, {header.size_z} planes and "
            f"{header.size_t} times: a crop is one plane. Save that plane alone."
        )
    if header.size_y != header.size_x:
        return f"{file.name} is {header.size_y} x {header.size_x} px. Crops have to be square."
    if _has_alpha(file.path):
        return (
            f"{file.name} has a fourth, transparent channel (RGBA), which may hide a stain. Save "
            "three stains as RGB, and more than three as a TIFF with a page a stain."
        )
    return None


def _has_alpha(path: Path) -> bool:
    """Whether a file has an alpha channel that is not the same everywhere."""
    if path.suffix.lower() in TIFF_EXTENSIONS:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            if not page.extrasamples:
                return False
            pixels = page.asarray()
            alpha = pixels[..., -1] if page.planarconfig == 1 else pixels[-1]
            return bool(alpha.min() != alpha.max())
    with Image.open(path) as image:
        if "A" not in image.getbands():
            return False
        low, high = image.getchannel("A").getextrema()
        return bool(low != high)


def _channels(header: Header) -> tuple[str, ...]:
    """Name the channels: pages of a TIFF that says nothing of them are channels, not planes."""
    if header.size_z == 1:
        return header.channels
    return tuple(f"channel {number}" for number in range(1, header.size_z + 1))


def mixed_shapes(shapes: Mapping[CropShape, int]) -> list[str]:
    """Say how crops differ, if they do."""
    if len(shapes) < 2:
        return []
    each = "; ".join(f"{count} are {shape}" for shape, count in Counter(shapes).most_common(5))
    return [f"The crops are not alike: {each}. Make them all of one size, channels and depth."]


def chosen_channels(
    channels: tuple[str, ...], wanted: tuple[str, ...] | None, folder: Path
) -> list[int]:
    """Give the places of the channels that are asked for, by name or by number from 1.

    Raises
    ------
    ChannelNotFoundError
        If there is none of that name.
    """
    by_name = {name.lower(): index for index, name in enumerate(channels)}
    numbers = {str(index + 1): index for index in range(len(channels))}
    asked = wanted or channels
    known = {**numbers, **by_name}
    missing = [name for name in asked if name.lower() not in known]
    if missing:
        msg = (
            f"The crops in {folder} have no channel {', '.join(missing)}. They have: "
            f"{', '.join(channels)}. Pass --channels with some of these, or their numbers."
        )
        raise ChannelNotFoundError(msg)
    return [known[name.lower()] for name in asked]


def read_pixels(
    files: Sequence[CropFile], shape: CropShape, chosen: Sequence[int], progress: Progress
) -> NDArray[Any]:
    """Read the crops, shape (N, C, S, S), in their own data type.

    Raises
    ------
    InputErrors
        Naming every file that cannot be decoded.
    """
    raw = np.empty((len(files), len(chosen), shape.side_y, shape.side_x), dtype=shape.dtype)
    faults = []
    for number, file in enumerate(files):
        try:
            raw[number] = _read(file.path)[list(chosen)]
        except DataError as error:
            faults.append(str(error))
        progress("crops read", number + 1, len(files))
    if faults:
        raise InputErrors(faults)
    return raw


def _read(path: Path) -> NDArray[Any]:
    header = read_header(path)
    channels, planes = range(len(header.channels)), range(header.size_z)
    stack = read_stack(path, channels=channels, planes=planes, t=0)
    return stack.reshape(-1, *stack.shape[2:])


def intensities_of(
    crops: NDArray[Any], channels: Sequence[str], normal: NDArray[np.bool_]
) -> Normalization:
    """Find what is black and what is white in a set of crops.

    Eight bits are taken as they are, from 0 to 255. Of deeper ones, black is the median over all
    crops of their 1st percentile, and white the 95th percentile over the normal crops of their
    99.9th: what good cells look like sets the scale, however many crops are saturated or empty.

    Parameters
    ----------
    crops : array, shape (N, C, S, S)
        Raw pixels; those that are no numbers are left out.
    channels : sequence of str
        Names of the C channels.
    normal : array, shape (N,), bool
        Which crops show good cells.
    """
    ends = [(0.0, 255.0)] * len(channels)
    if crops.dtype != np.uint8:
        ends = [_ends(crops[:, index], normal) for index in range(len(channels))]
    return Normalization(
        method="qc",
        channels=tuple(channels),
        black=tuple(black for black, _ in ends),
        white=tuple(white for _, white in ends),
        ceiling=camera_ceiling(crops.dtype, _brightest(crops)),
        fields=len(crops),
    )


def _brightest(crops: NDArray[Any]) -> float:
    """Find the largest value that is a number; 0 if none is."""
    if crops.dtype.kind != "f":
        return float(crops.max(initial=0))
    return float(np.where(np.isfinite(crops), crops, 0).max(initial=0))


def _ends(planes: NDArray[Any], normal: NDArray[np.bool_]) -> tuple[float, float]:
    """Black and white of one channel (N, S, S); 0 and 1 where nothing is a number."""
    low, high = [], []
    for plane, good in zip(planes, normal, strict=True):
        values = plane[np.isfinite(plane)]
        if len(values):
            low.append(np.percentile(values, BLACK_PERCENTILE))
        if len(values) and good:
            high.append(np.percentile(values, WHITE_PERCENTILE))
    if not high:
        return 0.0, 1.0
    return float(np.median(low)), float(np.percentile(high, BRIGHTEST))
