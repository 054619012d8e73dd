"""Pictures of cells and fields: channels to colours, a field in small."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from omero_hcs.errors import InputError

RgbImage = NDArray[np.uint8]
"""A picture, shape (Y, X, 3)."""

SAFE_COLORS = ("00FFFF", "FF00FF", "FFFF00")
"""Cyan, magenta, yellow: told apart with every common colour blindness."""

MAX_COLORS = len(SAFE_COLORS)
_COLOR_NAMES = {
    "00FFFF": "cyan", "FF00FF": "magenta", "FFFF00": "yellow", "FF0000": "red", "00FF00": "green",
    "0000FF": "blue", "FFFFFF": "grey", "808080": "grey",
}  # fmt: skip


def crop_to_rgb(
    crop: NDArray[np.floating[Any]], *, colors: Sequence[str | None] | None = None, size: int = 96
) -> RgbImage:
    """Turn the channels of one crop into a picture.

    Parameters
    ----------
    crop : array, shape (C, Y, X), float
        Intensities from 0 to 1; what lies outside is clipped, NaN is black.
    colors : sequence of str, optional
        "RRGGBB" of each channel. One channel is always grey; without colours, or where they are
        missing or all the same, channels are cyan, magenta and yellow. Of more than three channels
        the first three are shown, and `color_note` says so.
    size : int
        Side of the picture, in pixels.

    Returns
    -------
    array, shape (size, size, 3), uint8

    Raises
    ------
    InputError
        If the crop is not three-dimensional or has no pixels.
    """
    picture = Image.fromarray(_composite(crop, colors))
    return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC), dtype=np.uint8)


def color_note(names: Sequence[str], colors: Sequence[str | None] | None = None) -> str:
    """Say which channel has which colour: "GFP cyan, DNA magenta".

    Parameters
    ----------
    names : sequence of str
        Names of the channels, in the order of the crop.
    colors : sequence of str, optional
        As for `crop_to_rgb`.
    """
    if len(names) == 1:
        return "grey" if names[0].lower() in ("grey", "gray") else f"{names[0]} in grey"
    shown = _channel_colors(len(names), colors)
    pairs = [
        f"{name} {_COLOR_NAMES.get(color, '#' + color)}"
        for name, color in zip(names, shown, strict=False)
    ]
    left_out = names[MAX_COLORS:]
    rest = f"; not shown: {', '.join(left_out)}" if left_out else ""
    return ", ".join(pairs) + rest


def field_thumbnail(
    image: NDArray[np.floating[Any]],
    *,
    colors: Sequence[str | None] | None = None,
    width: int = 320,
) -> bytes:
    """Make a small JPEG of one field.

    Parameters
    ----------
    image : array, shape (C, Y, X), float
        Intensities from 0 to 1.
    colors : sequence of str, optional
        As for `crop_to_rgb`.
    width : int
        Width of the picture, in pixels; its height keeps the image's proportions. Smaller images
        are not enlarged.

    Returns
    -------
    bytes
        A JPEG of roughly 10 to 30 kB at the default width.
    """
    picture = Image.fromarray(_composite(image, colors))
    if picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.BOX)
    return _encode(picture, quality=82)


def jpeg_bytes(picture: RgbImage) -> bytes:
    """Encode a picture as JPEG, without colour subsampling: a stain's edge stays where it is.

    Parameters
    ----------
    picture : array, shape (Y, X, 3), uint8
    """
    return _encode(Image.fromarray(np.ascontiguousarray(picture)), quality=85)


def _composite(image: NDArray[np.floating[Any]], colors: Sequence[str | None] | None) -> RgbImage:
    if image.ndim != 3 or 0 in image.shape:
        msg = f"A picture needs an array (C, Y, X) with pixels; this one has shape {image.shape}."
        raise InputError(msg)
    planes = np.clip(np.nan_to_num(image[:MAX_COLORS].astype(np.float32)), 0.0, 1.0)
    if len(planes) == 1:
        rgb = np.repeat(planes[0][..., None], 3, axis=2)
    else:
        palette = np.array([_rgb(color) for color in _channel_colors(len(image), colors)])
        rgb = np.einsum("cyx,ck->yxk", planes, palette.astype(np.float32))  # c channel, k R G B
    picture: RgbImage = np.rint(np.clip(rgb, 0.0, 1.0) * 255.0).astype(np.uint8)
    return picture


def _channel_colors(count: int, colors: Sequence[str | None] | None) -> tuple[str, ...]:
    shown = min(count, MAX_COLORS)
    given = [(color or "").lstrip("#").upper() for color in colors or ()][:shown]
    usable = len(given) == shown == len(set(given)) and all(map(_is_visible, given))
    return tuple(given) if usable else SAFE_COLORS[:shown]


def _is_visible(color: str) -> bool:
    return len(color) == 6 and set(color) <= set("0123456789ABCDEF") and color != "000000"


def _rgb(color: str) -> tuple[float, float, float]:
    red, green, blue = bytes.fromhex(color)
    return red / 255, green / 255, blue / 255


def _encode(picture: Image.Image, *, quality: int) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=quality, subsampling=0)
    return stream.getvalue()
