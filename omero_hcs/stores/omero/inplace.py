"""Images read from their original files, where OMERO's ManagedRepository is mounted.

Only where the file can be nothing but the image: one TIFF or OME-Zarr image that was imported as
one image, of the shape and type that the server tells, and that every reader decodes alike. All
else is read from the server, which knows 150 formats. Nothing outside the mount is ever opened,
wherever the paths in the database or links in the repository lead.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import tifffile
from numpy.typing import NDArray

from omero_hcs.errors import DataError, HcsError
from omero_hcs.model import Image, StoreSpec, ZChoice
from omero_hcs.stores.base import ImageArray
from omero_hcs.stores.imagefile import TIFF_EXTENSIONS, read_header
from omero_hcs.stores.omero.planes import gather
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.tiff import tiff_planes

_LOG = logging.getLogger(__name__)
_QUERY = (
    "select count(distinct i.id), count(distinct o.id), min(o.path), max(o.path), min(o.name), "
    "min(o.size) from Fileset f join f.images i join f.usedFiles e join e.originalFile o "
    "where f.id = :fileset"
)
_LOSSLESS = (
    tifffile.COMPRESSION.NONE,
    tifffile.COMPRESSION.LZW,
    tifffile.COMPRESSION.DEFLATE,
    tifffile.COMPRESSION.ADOBE_DEFLATE,
    tifffile.COMPRESSION.PACKBITS,
)
_AS_THEY_ARE = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)

_NEITHER = "it is neither one TIFF file nor one OME-Zarr image"

Read = Callable[..., ImageArray]
"""Called with an image, and `channels`, `z` and `t` by name."""


class OriginalFiles:
    """Reads images from their original files where that is possible.

    Parameters
    ----------
    session : Session
        Who asks for the files' paths.
    mount : Path
        Where the ManagedRepository is mounted.
    """

    def __init__(self, session: Session, mount: Path) -> None:
        self._session = session
        self._mount = mount.resolve()
        self._found: dict[str, Read | None] = {}
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def read(
        self, image: Image, fileset: int | None, *, channels: Sequence[int], z: ZChoice, t: int
    ) -> ImageArray | None:
        """Pixels of one image, as `PlateStore.read`; None where the server is to be asked.

        Parameters
        ----------
        image : Image
            As the server describes it.
        fileset : int or None
            Id of the files that it was imported from.
        channels, z, t
            What is wanted of it.
        """
        if image.id not in self._found:
            self._found[image.id] = self._locate(image, fileset)
        read = self._found[image.id]
        if read is None:
            return None
        try:
            return read(image, channels=channels, z=z, t=t)
        except Exception as error:  # noqa: BLE001  (decoders raise anything; the server has the image, too)
            self._found[image.id] = None
            self._tell(image, f"its file cannot be read in place: {error}")
            return None

    def _locate(self, image: Image, fileset: int | None) -> Read | None:
        try:
            return self._reader_of(image, fileset)
        except _NotInPlaceError as error:
            self._tell(image, str(error))
        except (HcsError, OSError, ValueError) as error:
            self._tell(image, f"its file cannot be used in place: {error}")
        return None

    def _reader_of(self, image: Image, fileset: int | None) -> Read:
        _require(fileset is not None, "it was not imported from a file")
        images, files, first, last, name, size = self._session.project(
            _QUERY, {"fileset": fileset or 0}
        )[0]
        _require(images == 1, "its files hold several images")
        if files == 1 and Path(name).suffix.lower() in TIFF_EXTENSIONS:
            return _tiff_reader(image, self._inside(f"{first}/{name}"), size)
        folder = _zarr_folder(first)
        if folder is None or folder != _zarr_folder(last):
            raise _NotInPlaceError(_NEITHER)
        return _zarr_reader(image, self._inside(folder))

    def _inside(self, path: str) -> Path:
        """Find a path of the database under the mount."""
        found = (self._mount / path.lstrip("/")).resolve()
        _require(found.is_relative_to(self._mount), "its path leads out of the mounted repository")
        _require(found.exists(), "its file is not in the mounted repository")
        return found

    def _tell(self, image: Image, why: str) -> None:
        """Say once for each reason that the server is read."""
        with self._lock:
            if why in self._told:
                return
            self._told.add(why)
        _LOG.info(
            "Image %s (id %s) is read from the server: %s. The same goes for others like it.",
            image.name, image.id, why,
        )  # fmt: skip


class _NotInPlaceError(Exception):
    """Why an image has to come from the server."""


def _zarr_folder(path: str) -> str | None:
    """Path of the OME-Zarr folder that a path leads into."""
    parts = path.split("/")
    ends = [number for number, part in enumerate(parts, 1) if part.endswith(".zarr")]
    return "/".join(parts[: ends[0]]) if ends else None


def _tiff_reader(image: Image, path: Path, size: int) -> Read:
    _require(path.stat().st_size == size, "its file has another size than when it was imported")
    with tifffile.TiffFile(path) as tiff:
        _check_tiff(tiff, path.name)
    header = read_header(path)
    sizes = (len(header.channels), header.size_z, header.size_t, header.size_y, header.size_x)
    _check_same(image, sizes, header.dtype)
    return partial(_read_tiff, path)


def _check_tiff(tiff: Any, name: str) -> None:
    """Take only files that tifffile and Bio-Formats read alike."""
    page = tiff.pages.first
    # Before `series` is touched, which opens the files that the metadata name.
    files = re.findall(r"""\bFileName\s*=\s*["']([^"']*)""", page.description)
    alone = set(files) <= {name} and len(files) == page.description.count("FileName")
    _require(alone and "BinaryOnly" not in page.description, "its metadata name other files")
    _require(page.compression in _LOSSLESS, "its TIFF compression is not lossless everywhere")
    # Palettes and negatives are shown, and sent, in more than one way.
    _require(page.photometric in _AS_THEY_ARE, "its TIFF colours are read in several ways")
    _require(len(tiff.series) == 1, "its TIFF file holds several images")
    # Which pages are z, t or channels: these two kinds of file say so, others leave it to readers.
    told = tiff.flags - {"uniform", "virtual"} in ({"ome"}, {"imagej"})
    one = set(tiff.series[0].axes) <= set("YXS")
    _require(told or one, "its TIFF file does not say which pages are z, c and t")


def _read_tiff(
    path: Path, image: Image, *, channels: Sequence[int], z: ZChoice, t: int
) -> ImageArray:
    with tiff_planes(path) as plane:
        return gather(_TiffPlanes(plane), image, channels=channels, z=z, t=t)


class _TiffPlanes:
    """Planes of an open TIFF file."""

    def __init__(self, plane: Callable[[int, int, int], ImageArray]) -> None:
        self._plane = plane

    def fill(
        self, targets: Sequence[NDArray[Any]], channels: Sequence[int], *, z: int, t: int
    ) -> None:
        """Read planes; see `Planes.fill`."""
        for target, channel in zip(targets, channels, strict=True):
            _put(target, self._plane(t, channel, z))


def _put(target: NDArray[Any], plane: ImageArray) -> None:
    if (plane.shape, plane.dtype.name) != (target.shape, target.dtype.name):
        msg = f"it is {plane.dtype.name} of shape {plane.shape}, not {target.dtype} {target.shape}"
        raise DataError(msg)
    target[...] = plane


def _zarr_reader(image: Image, folder: Path) -> Read:
    from omero_hcs.stores.ome_zarr.layout import locate_pixels  # noqa: PLC0415  (zarr, if needed)
    from omero_hcs.stores.ome_zarr.store import OmeZarrStore  # noqa: PLC0415

    linked = any(path.is_symlink() for path in folder.rglob("*"))
    _require(not linked, "its OME-Zarr folder has links that may lead anywhere")
    store = OmeZarrStore(StoreSpec(uri=str(folder)))
    (ref,) = store.refs()
    _require(ref.kind == "images", "it is an OME-Zarr plate, not an image")
    inside = locate_pixels(folder).folder.resolve().is_relative_to(folder)
    _require(inside, "its OME-Zarr metadata lead out of its folder")
    (own,) = store.images(ref.id).images
    sizes = (len(own.channels), own.size_z, own.size_t, own.size_y, own.size_x)
    _check_same(image, sizes, own.dtype)
    return partial(_read_zarr, store, own)


def _read_zarr(
    store: Any, own: Image, image: Image, *, channels: Sequence[int], z: ZChoice, t: int
) -> ImageArray:
    read: ImageArray = store.read(own, channels=channels, z=z, t=t)
    shape = (len(channels), image.size_y, image.size_x)
    if (read.shape, read.dtype.name) != (shape, image.dtype):
        msg = f"it is {read.dtype.name} of shape {read.shape}, not {image.dtype} {shape}"
        raise DataError(msg)
    return read


def _check_same(image: Image, sizes: tuple[int, ...], dtype: str) -> None:
    wanted = (len(image.channels), image.size_z, image.size_t, image.size_y, image.size_x)
    same = (dtype, sizes) == (image.dtype, wanted)
    _require(same, "its file has another shape or type than the image")


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise _NotInPlaceError(otherwise)
