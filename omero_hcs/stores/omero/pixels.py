"""Pixels of images over raw pixel stores that stay open.

A store stays open for each connection and goes from image to image: opening one for each plane, as
the gateway does, takes longer than the plane. Planes come as big-endian bytes and are decoded by
numpy straight into the array that is returned.
"""

from __future__ import annotations

import contextlib
import queue
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import Ice
import omero
from numpy.typing import NDArray

from omero_hcs.errors import DataError, ImageNotFoundError
from omero_hcs.model import Image, ZChoice
from omero_hcs.stores.base import ImageArray
from omero_hcs.stores.omero.faults import reason
from omero_hcs.stores.omero.inplace import OriginalFiles
from omero_hcs.stores.omero.planes import PIXEL_DTYPES, fill_from_wire, gather
from omero_hcs.stores.omero.session import Session, context_of
from omero_hcs.stores.planes import check_request

WHOLE_PLANE_BYTES = 32 << 20
"""Planes up to this size are read in one message; a server's limit is usually 256 MB."""

_PYRAMID_PIXELS = 3192 * 3192  # a server's own limit, omero.pixeldata.max_plane_width x height
_PENDING = "Pending..."  # sha1 of planes that nobody has finished writing
_BYPASS_ORIGINAL_FILE = True
_QUERY = (
    "select i.id, p.id, t.value, p.sizeC, p.sizeZ, p.sizeT, p.sizeY, p.sizeX, p.sha1, "
    "i.details.group.id, f.id from Image i left outer join i.pixels p "
    "left outer join p.pixelsType t left outer join i.fileset f where i.id in (:ids) "
    "order by i.id, p.id"
)


Place = tuple[int, int, int]
"""z, channel and time point of a plane, as OMERO's calls take them."""


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """The pixels of one image on the server; `sizes` are (C, Z, T, Y, X)."""

    id: int
    kind: str
    sizes: tuple[int, ...]
    sha1: str
    group: int
    fileset: int | None

    @property
    def is_unfinished(self) -> bool:
        """Whether nobody said that the planes are written; imported files have no such mark."""
        return self.sha1 == _PENDING and self.fileset is None


class PixelReader:
    """Reads planes; several threads may call `read` at once, one connection each.

    Parameters
    ----------
    session : Session
        Who reads; further connections are made from it when they are first needed.
    readers : int
        Most connections at once.
    mount : Path, optional
        Where the ManagedRepository is mounted; plain originals are then read from there.
    whole_plane_bytes : int
        Larger planes are read in parts.
    """

    def __init__(
        self,
        session: Session,
        *,
        readers: int = 2,
        mount: Path | None = None,
        whole_plane_bytes: int = WHOLE_PLANE_BYTES,
    ) -> None:
        self._session = session
        self._files = None if mount is None else OriginalFiles(session, mount)
        self._largest = whole_plane_bytes
        self._known: dict[int, StoredPixels] = {}
        # Last in, first out: a connection that is open goes before one that is not.
        self._idle: queue.LifoQueue[_Connection | None] = queue.LifoQueue()
        self._readers = readers
        for _ in range(readers - 1):
            self._idle.put(None)
        self._idle.put(_Connection(session, is_ours=False))

    def read(
        self, image: Image, *, channels: Sequence[int], z: ZChoice = 0, t: int = 0
    ) -> ImageArray:
        """Pixels of one image, shape (len(channels), Y, X); see `PlateStore.read`."""
        check_request(image, channels=channels, z=z, t=t)
        stored = self._stored(image)
        if self._files is not None:
            found = self._files.read(image, stored.fileset, channels=channels, z=z, t=t)
            if found is not None:
                return found
        try:
            with self._connection() as connection:
                planes = _ServerPlanes(connection, image, stored, self._largest)
                connection.last = gather(planes, image, channels=channels, z=z, t=t)
                return connection.last
        except DataError:
            self._known.pop(int(image.id), None)
            self._stored(image)  # says so if the image was deleted since
            raise

    def close(self) -> None:
        """Close every store and connection that this reader opened; safe to call twice."""
        for _ in range(self._readers):
            connection = self._idle.get()
            if connection is not None:
                connection.close()
        for _ in range(self._readers - 1):
            self._idle.put(None)
        self._idle.put(_Connection(self._session, is_ours=False))

    @contextlib.contextmanager
    def _connection(self) -> Iterator[_Connection]:
        """Lend a connection; waits where all are in use."""
        connection = self._idle.get()
        try:
            if connection is None:
                connection = _Connection(self._session.another(), is_ours=True)
            yield connection
        finally:
            self._idle.put(connection)

    def _stored(self, image: Image) -> StoredPixels:
        number = int(image.id) if image.id.isascii() and image.id.isdecimal() else 0
        stored = self._known.get(number)
        if stored is None:
            stored = self._known[number] = self._ask(image, number)
        _check_same(image, stored)
        return stored

    def _ask(self, image: Image, number: int) -> StoredPixels:
        rows = self._session.project(_QUERY, {"ids": [number]}) if number else []
        if not rows:
            msg = (
                f"{self._session.server} has no image of id {image.id!r} that you may read: it was "
                "deleted, or is in a group that you are no member of. Take images from the layout."
            )
            raise ImageNotFoundError(msg)
        _, pixels, kind, *sizes, sha1, group, fileset = rows[0]
        if pixels is None:
            msg = (
                f"Image {image.name} (id {number}) has no pixels on {self._session.server}: its "
                "import did not finish. Delete it and import it again."
            )
            raise DataError(msg)
        return StoredPixels(pixels, kind, tuple(sizes), sha1, group, fileset)


def _check_same(image: Image, stored: StoredPixels) -> None:
    sizes = (len(image.channels), image.size_z, image.size_t, image.size_y, image.size_x)
    dtype = PIXEL_DTYPES.get(stored.kind)
    if (dtype, stored.sizes) != (image.dtype, sizes):
        msg = (
            f"Image {image.name} (id {image.id}) is {stored.kind} of shape {stored.sizes} "
            f"(C, Z, T, Y, X) on the server, and {image.dtype} of shape {sizes} in the layout. "
            "Read the layout again."
        )
        raise DataError(msg)


class _Connection:
    """One connection with a raw pixel store that goes from image to image."""

    def __init__(self, session: Session, *, is_ours: bool) -> None:
        self.session = session
        self._is_ours = is_ours
        # Held until there is another: memory that goes back to the system after each image has to
        # be got anew, page by page, which took a third of the processor's time.
        self.last: ImageArray | None = None
        self._store: Any = None
        self._conn: Any = None
        self._pixels: int | None = None

    def is_open(self, conn: Any) -> bool:
        """Whether there is a store on this gateway."""
        return self._store is not None and self._conn is conn

    def store(self, conn: Any, stored: StoredPixels) -> Any:
        """Give the store, set to some pixels; `conn` is the gateway as it is now."""
        if self._conn is not conn:
            self.drop()
        if self._store is None:
            self._store, self._conn = conn.c.sf.createRawPixelsStore(), conn
        if self._pixels != stored.id:
            self._pixels = None
            self._store.setPixelsId(stored.id, _BYPASS_ORIGINAL_FILE, context_of(stored.group))
            self._pixels = stored.id
        return self._store

    def drop(self) -> None:
        """Forget the store, and close it where its connection still is."""
        store, self._store, self._conn, self._pixels = self._store, None, None, None
        if store is not None:
            with contextlib.suppress(Ice.Exception, omero.ServerError):
                store.close()

    def close(self) -> None:
        """Close the store, and the connection if it was made for reading."""
        self.drop()
        self.last = None
        if self._is_ours:
            self.session.close()


class _ServerPlanes:
    """Planes of one image, from the server."""

    def __init__(
        self, connection: _Connection, image: Image, stored: StoredPixels, largest: int
    ) -> None:
        self._connection = connection
        self._image = image
        self._stored = stored
        self._largest = largest

    def fill(
        self, targets: Sequence[NDArray[Any]], channels: Sequence[int], *, z: int, t: int
    ) -> None:
        """Read planes; see `Planes.fill`."""
        places = [(z, channel, t) for channel in channels]
        try:
            self._connection.session.read(lambda conn: self._fill(conn, targets, places))
        except (DataError, omero.ServerError, Ice.Exception) as error:
            raise self._unreadable(error, places) from error
        if self._stored.is_unfinished and not all(target.any() for target in targets):
            msg = (
                f"Image {self._image.name} (id {self._image.id}) has no planes: they were never "
                "written, or are being written now. Wait for its import, or import it again."
            )
            raise DataError(msg)

    def _fill(self, conn: Any, targets: Sequence[NDArray[Any]], places: Sequence[Place]) -> None:
        is_old = self._connection.is_open(conn)
        try:
            self._transfer(conn, targets, places)
        except BaseException as error:
            self._connection.drop()
            if not (is_old and isinstance(error, Ice.ObjectNotExistException)):
                raise
            # The server has let go of a store that was idle for long; its session may be alive.
            self._transfer(conn, targets, places)

    def _transfer(
        self, conn: Any, targets: Sequence[NDArray[Any]], places: Sequence[Place]
    ) -> None:
        store = self._connection.store(conn, self._stored)
        plane = targets[0]
        if plane.nbytes <= self._largest and plane.size <= _PYRAMID_PIXELS:
            _stream(store, targets, places)
            return
        for target, place in zip(targets, places, strict=True):
            for rows, columns in _tiles(store, target, self._largest):
                part = target[rows, columns]
                size_y, size_x = part.shape
                raw = store.getTile(*place, columns.start, rows.start, size_x, size_y)
                fill_from_wire(part, raw)

    def _unreadable(self, error: Exception, places: Sequence[Place]) -> DataError:
        why = str(error) if isinstance(error, DataError) else reason(error)
        z, _, t = places[0]
        channels = ", ".join(str(channel) for _, channel, _ in places)
        msg = (
            f"Image {self._image.name} (id {self._image.id}) cannot be read (z {z}, channel "
            f"{channels}, time point {t}): {why}. See whether OMERO.web shows it; if not, import "
            "it again."
        )
        return DataError(msg)


def _stream(store: Any, targets: Sequence[NDArray[Any]], places: Sequence[Place]) -> None:
    """Read whole planes; the server prepares the next one while this one is decoded."""
    asked: deque[Any] = deque()
    left = iter(places)
    for target in targets:
        asked.extend(store.begin_getPlane(*place) for place in islice(left, 2 - len(asked)))
        fill_from_wire(target, store.end_getPlane(asked.popleft()))


def _tiles(store: Any, plane: NDArray[Any], largest: int) -> Iterator[tuple[slice, slice]]:
    """Cut a plane into parts of whole tiles of the server, each at most `largest` bytes."""
    levels = store.getResolutionLevels()
    if levels > 1:
        store.setResolutionLevel(levels - 1)  # 0 is the smallest
    size_y, size_x = plane.shape
    tile_x, tile_y = (max(1, side) for side in store.getTileSize())
    width = min(size_x, max(tile_x, largest // (plane.itemsize * tile_y) // tile_x * tile_x))
    height = max(tile_y, largest // (plane.itemsize * width) // tile_y * tile_y)
    for y in range(0, size_y, height):
        for x in range(0, size_x, width):
            yield (
                slice(y, min(y + height, size_y)),
                slice(x, min(x + width, size_x)),
            )
