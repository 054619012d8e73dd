"""Pictures: planes in their colours, packed, compressed, small."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from omero_hcs.sandbox.rendering.quantum import Levels, levels_of
from omero_hcs.sandbox.rendering.settings import DEPTH, GREYSCALE, Settings

QUALITY = 0.85  # of JPEG, OMERO's default
OPAQUE = 0xFF000000
Planes = Mapping[int, npt.NDArray[Any]]


def shown(settings: Settings) -> list[int]:
    """Return the numbers of the channels that a picture is made of."""
    active = [number for number, one in enumerate(settings.channels) if one.is_active]
    return active[:1] if settings.model == GREYSCALE else active


def render(planes: Planes, settings: Settings, size: tuple[int, int]) -> Levels:
    """Paint planes.

    Parameters
    ----------
    planes : mapping
        By number of channel, those of `shown`: arrays of shape (Y, X).
    settings : Settings
    size : tuple of int
        (Y, X), for a picture of no channel at all: black.

    Returns
    -------
    array, shape (Y, X, 3), uint8
    """
    if settings.model == GREYSCALE:
        grey = np.zeros(size, np.uint8)
        for number in shown(settings):
            grey = levels_of(planes[number], settings.channels[number], settings)
        return np.repeat(grey[..., None], 3, axis=-1)
    sums = np.zeros((3, *size), np.uint16)  # band by band: faster than pixel by pixel
    for number in shown(settings):
        channel = settings.channels[number]
        levels = levels_of(planes[number], channel, settings)
        for band, most in enumerate(channel.rgba[:3]):
            if most > 0:
                sums[band] += _shaded(levels, most, channel.rgba[3])
    return np.ascontiguousarray(np.moveaxis(np.minimum(sums, DEPTH).astype(np.uint8), 0, -1))


def _shaded(levels: Levels, most: int, alpha: int) -> Levels:
    if most == alpha == DEPTH:
        return levels
    # OMERO cuts after the colour, and again after the transparency.
    plain = np.floor(most / DEPTH * np.arange(DEPTH + 1.0))
    shades = np.floor(plain * (alpha / DEPTH)).astype(np.uint8)
    shaded: Levels = shades[levels]
    return shaded


def packed(picture: Levels, settings: Settings) -> npt.NDArray[np.int32]:
    """Pack a picture into one int a pixel: 0xAARRGGBB.

    Returns
    -------
    array, shape (Y * X,), int32
    """
    active = shown(settings)
    if not active:
        return np.zeros(picture.shape[0] * picture.shape[1], np.int32)
    wide = picture.reshape(-1, 3).astype(np.uint32)
    opaque = np.uint32(OPAQUE)
    if settings.model == GREYSCALE:
        opaque = np.uint32(settings.channels[active[0]].rgba[3] << 24)
    return (opaque | wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]).view(np.int32)


def bands(picture: Levels) -> list[bytes]:
    """Return the red, the green and the blue bytes of a picture."""
    return [picture[..., band].tobytes() for band in range(3)]


def jpeg(picture: Levels, quality: float = QUALITY) -> bytes:
    """Compress a picture; quality from 0 to 1."""
    return _jpeg(Image.fromarray(picture), quality)


def thumbnail(picture: Levels, width: int, height: int) -> bytes:
    """Make a small JPEG of a picture, of exactly that size."""
    image = Image.fromarray(picture)
    return _jpeg(image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0))


def clock(width: int, height: int) -> bytes:
    """Make the JPEG of an image that is not there yet: a clock."""
    image = Image.new("RGB", (width, height), (51, 51, 51))
    draw = ImageDraw.Draw(image)
    x, y, radius = width / 2, height / 2, 0.3 * min(width, height)
    hand = max(1, round(radius / 8))
    grey = (204, 204, 204)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=grey, width=hand)
    draw.line((x, y, x, y - 0.75 * radius), fill=grey, width=hand)
    draw.line((x, y, x + 0.5 * radius, y), fill=grey, width=hand)
    return _jpeg(image)


def _jpeg(image: Image.Image, quality: float = QUALITY) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=min(max(round(quality * 100), 1), 100))
    return buffer.getvalue()


def fitting(sizes: Sequence[int], longest: int) -> tuple[int, int]:
    """Return width and height of a thumbnail whose longest side is given.

    Parameters
    ----------
    sizes : sequence of int
        (X, Y) of the image.
    """
    x, y = sizes
    ratio = np.float32(longest) / np.float32(max(x, y))
    short = max(1, int(np.float32(min(x, y)) * ratio))
    return (longest, short) if x > y else (short, longest)
