"""One image file, TIFF, PNG or JPEG, as channels, planes and times."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import PIL.Image
import tifffile

from omero_hcs.errors import DataError
from omero_hcs.stores.base import ImageArray
from omero_hcs.stores.tiff import RGB_NAMES, Header, tiff_header, tiff_stack

TIFF_EXTENSIONS = (".tif", ".tiff")
EXTENSIONS = (*TIFF_EXTENSIONS, ".png", ".jpg", ".jpeg")
"""Extensions of image files that are read, in lower case."""

# Decoders meet damaged bytes with any of these; Pillow's PNG reader even with a SyntaxError.
_DAMAGE = (
    OSError, ValueError, TypeError, LookupError, EOFError, SyntaxError, RuntimeError,
    ArithmeticError, struct.error, tifffile.TiffFileError, PIL.Image.DecompressionBombError,
)  # fmt: skip
_GREY_MODES = ("L", "LA", "1", "I", "I;16", "I;16B", "F")
_DEEP = 16


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts "s2" before "s10"."""
    parts = re.split(r"(\d+)", name.lower())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def list_images(folder: Path) -> tuple[Path, ...]:
    """Image files directly in a folder, in natural order; hidden files are left out."""
    found = (
        path
        for path in folder.iterdir()
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()
    )
    return tuple(sorted(found, key=lambda path: (natural_key(path.name), path.name)))


def read_header(path: Path) -> Header:
    """Read sizes, channels and dtype of an image file, without its pixels.

    RGB is three channels ("red", "green", "blue"); alpha is dropped; palettes become grey or RGB.

    Raises
    ------
    DataError
        If the file is no image, or is truncated as far as its header tells.
    """
    try:
        if path.suffix.lower() in TIFF_EXTENSIONS:
            return tiff_header(path)
        with PIL.Image.open(path) as image:
            names = ("grey",) if _is_grey(image) else RGB_NAMES
            dtype = "uint16" if _png_depth(path) == _DEEP else "uint8"
            return Header(image.height, image.width, names, dtype)
    except DataError:
        raise
    except _DAMAGE as error:
        raise _unreadable(path, error) from error


def read_stack(path: Path, *, channels: Sequence[int], planes: Sequence[int], t: int) -> ImageArray:
    """Read pixels of one time point.

    Parameters
    ----------
    path : Path
        The file.
    channels, planes : sequence of int
        Indices of channels and z planes.
    t : int
        The time point.

    Returns
    -------
    array, shape (len(channels), len(planes), Y, X), dtype of the file

    Raises
    ------
    DataError
        If the file cannot be decoded.
    """
    try:
        if path.suffix.lower() in TIFF_EXTENSIONS:
            return tiff_stack(path, channels=channels, planes=planes, t=t)
        return _picture(path)[list(channels)][:, np.newaxis]
    except DataError:
        raise
    except _DAMAGE as error:
        raise _unreadable(path, error) from error


def _picture(path: Path) -> ImageArray:
    """Decode a PNG or JPEG, shape (C, Y, X)."""
    # Pillow reads 16-bit colour PNG as 8 bits without a word.
    if _png_depth(path) == _DEEP:
        pixels: ImageArray = imagecodecs.png_decode(path.read_bytes())
    else:
        with PIL.Image.open(path) as image:
            pixels = np.asarray(image.convert("L" if _is_grey(image) else "RGB"))
    if pixels.ndim == 2:
        return pixels[np.newaxis]
    colours = len(RGB_NAMES) if pixels.shape[2] >= len(RGB_NAMES) else 1
    return np.moveaxis(pixels[:, :, :colours], 2, 0)


def _is_grey(image: Any) -> bool:
    if image.mode != "P":
        return image.mode in _GREY_MODES
    palette = np.asarray(image.getpalette("RGB")).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def _png_depth(path: Path) -> int:
    """Bits a sample of a PNG file, from the header chunk; 0 for other files."""
    with path.open("rb") as file:
        head = file.read(25)
    return head[24] if head.startswith(b"\x89PNG") and len(head) == 25 else 0


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = str(error).strip().removesuffix(".") or type(error).__name__
    return DataError(f"{path} cannot be read: {reason}. Copy it again from its source.")
