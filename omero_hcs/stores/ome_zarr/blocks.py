"""One image file as a block of pixels, read whole or refused by name.

Most files of a plate hold one grey plane. Files of several pages, and RGB, are read by the same
reader as plain folders of images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from omero_hcs.errors import DataError
from omero_hcs.stores.imagefile import TIFF_EXTENSIONS, read_header, read_stack

READERS = 2
"""Threads that read files at once; the decoders let go of Python's lock."""

Block = NDArray[Any]
"""Pixels of one file, shape (T, C, Z, Y, X)."""

_GREY_PAGES = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)


@dataclass(frozen=True, slots=True)
class BlockInfo:
    """What one file holds; `is_grey` also for an RGB file whose three colours are the same."""

    size_t: int
    size_c: int
    size_z: int
    size_y: int
    size_x: int
    dtype: str
    is_grey: bool


def read_block(path: Path) -> Block:
    """Read all pixels of a file.

    Parameters
    ----------
    path : Path
        TIFF, PNG or JPEG. A one-page TIFF is read as it stands, also where its OME metadata tell
        of other files.

    Returns
    -------
    array, shape (T, C, Z, Y, X), dtype of the file

    Raises
    ------
    DataError
        If the file is truncated or cannot be read; the message has its name.
    """
    if path.suffix.lower() in TIFF_EXTENSIONS:
        page = _grey_page(path)
        if page is not None:
            return page[np.newaxis, np.newaxis, np.newaxis]
    header = read_header(path)
    channels, planes = range(len(header.channels)), range(header.size_z)
    times = [read_stack(path, channels=channels, planes=planes, t=t) for t in range(header.size_t)]
    return np.stack(times)


def inspect_blocks(
    paths: Sequence[Path], progress: Callable[[int, int], None] | None = None
) -> dict[Path, BlockInfo | DataError]:
    """Decode every file once, and say what it holds or why it cannot be read.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    progress : callable, optional
        Called with the files done and all files.
    """
    found: dict[Path, BlockInfo | DataError] = {}
    pool = ThreadPoolExecutor(READERS)
    try:
        for done, (path, info) in enumerate(zip(paths, pool.map(_inspect, paths), strict=True), 1):
            found[path] = info
            if progress:
                progress(done, len(paths))
    finally:
        # An interrupt does not wait for the thousands of files that are still in the queue.
        pool.shutdown(cancel_futures=True)
    return found


def _inspect(path: Path) -> BlockInfo | DataError:
    try:
        block = read_block(path)
    except DataError as error:
        return error
    is_grey = block.shape[1] == 1 or (block.shape[1] == 3 and bool((block == block[:, :1]).all()))
    size_t, size_c, size_z, size_y, size_x = block.shape
    return BlockInfo(size_t, size_c, size_z, size_y, size_x, block.dtype.name, is_grey)


def _grey_page(path: Path) -> NDArray[Any] | None:
    """Pixels of a one-page grey TIFF, shape (Y, X); None if it is another kind of TIFF."""
    # Not as OME: tifffile would follow the metadata to the other files of the set.
    with _told(path), tifffile.TiffFile(path, is_ome=False) as tiff:
        page = tiff.pages.first
        if len(tiff.pages) > 1 or page.ndim != 2 or page.photometric not in _GREY_PAGES:
            return None
        if _announces_more(tiff):
            msg = f"{path.name} cannot be read: its end is missing. Copy it again from its source."
            raise DataError(msg)
        return np.asarray(page.asarray())


def _announces_more(tiff: Any) -> bool:
    """Whether a page is announced that lies past the file's end, which tifffile only logs."""
    tiff.filehandle.seek(tiff.pages.next_page_offset)
    return any(tiff.filehandle.read(tiff.tiff.offsetsize))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:
        # The decoders raise errors of many kinds, some of them derived from Exception alone.
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = (
            f"{path.name} cannot be read: {reason}. It is truncated or damaged; copy it again from "
            "its source."
        )
        raise DataError(msg) from error
