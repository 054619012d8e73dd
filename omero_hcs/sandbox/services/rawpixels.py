"""RawPixelsStore: planes as big-endian bytes, in and out."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import (
    api_usage,
    internal,
    resource,
    security,
    validation,
)
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.planes import PixelArray, Planes
from omero_hcs.sandbox.services.base import Service

if TYPE_CHECKING:
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

AXES = "xyzct"  # of a hypercube's lists
BINS = 256
UNSET = (
    "This RawPixelsStore has not been properly initialized.\n"
    "Please set the pixels id before executing any other methods.\n"
)


class RawPixelsStore(Service):
    """Operations of `omero.api.RawPixelsStore`.

    As in OMERO, planes are written once: a store may write if it was opened before the file of the
    planes was there. Nothing holds the world's lock while bytes move.
    """

    def __init__(self, server: Server, session: OpenSession) -> None:
        super().__init__(server, session)
        self._row: Row | None = None
        self._opened: Planes | None = None
        self._may_edit = self._is_new = self._is_modified = False

    @property
    def _planes(self) -> Planes:
        if self._opened is None:
            raise api_usage(UNSET)
        return self._opened

    # -- which pixels

    def setPixelsId(self, pixelsId: int, bypassOriginalFile: bool, current: Any) -> None:
        if self._row is not None and self._row.id == pixelsId:
            return
        self._row = self._opened = None
        with self.reading(current) as caller:
            row = self.world.get("Pixels", pixelsId)
            if row is None or not caller.can_read(row):
                msg = f"Cannot read pixels id={pixelsId}"
                raise validation(msg)
            self._opened = Planes(self.server.files.pixels(row), row)
            self._may_edit = caller.rights(row).edit
        # As in OMERO, that something was written is remembered, though not of which pixels: save()
        # before going on to others.
        self._row, self._is_new = row, not self._opened.is_written

    def prepare(self, pixelsIds: Sequence[int], current: Any) -> None:
        return None  # nothing to fetch beforehand

    def getPixelsId(self, current: Any) -> int:
        if self._row is None:
            raise api_usage(UNSET)
        return self._row.id

    def getPixelsPath(self, current: Any) -> str:
        return str(self._planes.path)

    # -- what they are like

    def getByteWidth(self, current: Any) -> int:
        return self._planes.dtype.itemsize

    def isSigned(self, current: Any) -> bool:
        return self._planes.is_signed

    def isFloat(self, current: Any) -> bool:
        return self._planes.is_float

    def getRowSize(self, current: Any) -> int:
        return self._size("x")

    def getPlaneSize(self, current: Any) -> int:
        return self._size("xy")

    def getStackSize(self, current: Any) -> int:
        return self._size("xyz")

    def getTimepointSize(self, current: Any) -> int:
        return self._size("xyzc")

    def getTotalSize(self, current: Any) -> int:
        return self._size("xyzct")

    def getRowOffset(self, y: int, z: int, c: int, t: int, current: Any) -> int:
        self._planes.check(y=y, z=z, c=c, t=t)
        return self.getPlaneOffset(z, c, t, current) + y * self._size("x")

    def getPlaneOffset(self, z: int, c: int, t: int, current: Any) -> int:
        self._planes.check(z=z, c=c, t=t)
        return self.getStackOffset(c, t, current) + z * self._size("xy")

    def getStackOffset(self, c: int, t: int, current: Any) -> int:
        self._planes.check(c=c, t=t)
        return self.getTimepointOffset(t, current) + c * self._size("xyz")

    def getTimepointOffset(self, t: int, current: Any) -> int:
        self._planes.check(t=t)
        return t * self._size("xyzc")

    def _size(self, axes: str) -> int:
        planes = self._planes
        size = planes.dtype.itemsize
        for axis in axes:
            size *= planes.sizes[axis]
        return size

    def getTileSize(self, current: Any) -> list[int]:
        return self._planes.tile_size()

    def requiresPixelsPyramid(self, current: Any) -> bool:
        return False

    def getResolutionLevels(self, current: Any) -> int:
        self._planes  # noqa: B018  (an unset store is an error here, too)
        return 1

    def getResolutionLevel(self, current: Any) -> int:
        self._planes  # noqa: B018
        return 0

    def getResolutionDescriptions(self, current: Any) -> list[Any]:
        sizes = self._planes.sizes
        return [omero.api.ResolutionDescription(sizes["x"], sizes["y"])]

    def setResolutionLevel(self, resolutionLevel: int, current: Any) -> None:
        msg = "Cannot set resolution levels on a ROMIO pixel buffer."
        raise internal(msg)

    # -- out

    def getPlane(self, z: int, c: int, t: int, current: Any) -> memoryview:
        return wire(self._planes.plane(z, c, t))

    def getPlaneRegion(
        self, z: int, c: int, t: int, size: int, offset: int, current: Any
    ) -> memoryview:
        plane = self._planes.plane(z, c, t).reshape(-1)
        if offset < 0 or size < 0 or offset + size > plane.size:
            msg = "BufferUnderflowException: null"
            raise resource(msg)
        return wire(plane[offset : offset + size])

    def getTile(
        self, z: int, c: int, t: int, x: int, y: int, w: int, h: int, current: Any
    ) -> memoryview:
        return wire(self._tile(z, c, t, x, y, w, h))

    def _tile(self, z: int, c: int, t: int, x: int, y: int, w: int, h: int) -> PixelArray:
        planes = self._planes
        planes.check(x=x, y=y, z=z, c=c, t=t)
        planes.check(x=x + w - 1, y=y + h - 1)
        return planes.plane(z, c, t)[y : y + h, x : x + w]

    def getRow(self, y: int, z: int, c: int, t: int, current: Any) -> memoryview:
        self._planes.check(y=y)
        return wire(self._planes.plane(z, c, t)[y])

    def getCol(self, x: int, z: int, c: int, t: int, current: Any) -> memoryview:
        self._planes.check(x=x)
        return wire(self._planes.plane(z, c, t)[:, x])

    def getStack(self, c: int, t: int, current: Any) -> memoryview:
        self._planes.check(c=c, t=t)
        return wire(self._planes.array[t, c])

    def getTimepoint(self, t: int, current: Any) -> memoryview:
        self._planes.check(t=t)
        return wire(self._planes.array[t])

    def getHypercube(
        self, offset: Sequence[int], size: Sequence[int], step: Sequence[int], current: Any
    ) -> memoryview:
        planes = self._planes
        if not len(offset) == len(size) == len(step) == len(AXES):
            msg = "Invalid List length: each list must contain 5 elements XYZCT"
            raise api_usage(msg)
        planes.check(**dict(zip(AXES, offset, strict=True)))
        last = (start + length - 1 for start, length in zip(offset, size, strict=True))
        planes.check(**dict(zip(AXES, last, strict=True)))
        if min(step) < 1:
            msg = "Invalid step size: steps sizes must be 1 or greater"
            raise api_usage(msg)
        x, y, z, c, t = (
            slice(start, start + length, every)
            for start, length, every in zip(offset, size, step, strict=True)
        )
        return wire(planes.array[t, c, z, y, x])

    def getRegion(self, size: int, offset: int, current: Any) -> memoryview:
        return wire(self._region(size, offset))

    def _region(self, size: int, offset: int) -> PixelArray:
        every = self._planes.flat()
        if size < 0 or not 0 <= offset <= every.size - size:
            msg = f"There are {every.size} bytes, not {size} from {offset} on."
            raise api_usage(msg)
        return every[offset : offset + size]

    # -- in

    def setPlane(self, buffer: bytes, z: int, c: int, t: int, current: Any) -> None:
        self._check_writable()
        self._write(self._planes.plane(z, c, t), buffer)

    def setRow(self, buffer: bytes, y: int, z: int, c: int, t: int, current: Any) -> None:
        self._check_writable()
        self._planes.check(y=y)
        self._write(self._planes.plane(z, c, t)[y], buffer)

    def setStack(self, buffer: bytes, z: int, c: int, t: int, current: Any) -> None:
        self._check_writable()
        self._planes.check(c=c, t=t)
        self._write(self._planes.array[t, c], buffer)

    def setTimepoint(self, buffer: bytes, t: int, current: Any) -> None:
        self._check_writable()
        self._planes.check(t=t)
        self._write(self._planes.array[t], buffer)

    def setTile(
        self,
        buffer: bytes,
        z: int,
        c: int,
        t: int,
        x: int,
        y: int,
        w: int,
        h: int,
        current: Any,
    ) -> None:
        self._check_writable()
        sizes = self._planes.sizes
        if not self._is_large(sizes):
            # OMERO itself writes whole rows only, unless it makes a pyramid of the image.
            if x != 0:
                msg = "ROMIO pixel buffer only supports 0 offseted tile writes."
                raise internal(msg)
            if w != sizes["x"]:
                msg = "ROMIO pixel buffer only supports full row writes."
                raise internal(msg)
        self._write(self._tile(z, c, t, x, y, w, h), buffer)

    def _is_large(self, sizes: dict[str, int]) -> bool:
        config = self.server.config
        widest = int(config["omero.pixeldata.max_plane_width"])
        highest = int(config["omero.pixeldata.max_plane_height"])
        return sizes["x"] * sizes["y"] > widest * highest

    def setRegion(self, size: int, offset: int, buffer: bytes, current: Any) -> None:
        self._check_writable()
        self._write(self._region(size, offset), buffer[:size])

    def _check_writable(self) -> None:
        if not self._may_edit and self._row is not None:
            msg = f"Cannot update object: ome.model.core.Pixels:Id_{self._row.id}"
            raise security(msg)
        if self._opened is not None and not self._is_new:
            msg = "Write-method not permitted."
            raise api_usage(msg)

    def _write(self, target: PixelArray, buffer: bytes) -> None:
        if len(buffer) != target.nbytes:
            way = "Underflow" if len(buffer) < target.nbytes else "Overflow"
            msg = f"Buffer{way}Exception: null"
            raise resource(msg)
        target[...] = np.frombuffer(buffer, target.dtype).reshape(target.shape)
        if not self._is_modified:
            self._is_modified = True
            self.session.at_end.append(self._save_at_end)

    # -- figures

    def calculateMessageDigest(self, current: Any) -> bytes:
        return self._planes.digest()

    def findMinMax(self, channels: Sequence[int], current: Any) -> dict[int, list[float]]:
        planes = self._planes
        z, t = (planes.sizes["z"] - 1) // 2, (planes.sizes["t"] - 1) // 2
        middle = {channel: planes.plane(z, channel, t) for channel in channels}
        return {channel: [float(p.min()), float(p.max())] for channel, p in middle.items()}

    def getHistogram(
        self, channels: Sequence[int], binCount: int, globalRange: bool, plane: Any, current: Any
    ) -> dict[int, list[int]]:
        found = {}
        for channel in channels:
            values = self._histogram_plane(channel, plane)
            low, high = self._range(channel, values, use_global=globalRange)
            inside = _part(values, plane)
            bins = binCount if binCount > 0 else BINS
            if low == high:
                counts = [int((inside == low).sum())] + [0] * (bins - 1)
            else:
                counts = np.histogram(inside, bins, (low, high))[0].tolist()
            found[channel] = counts
        return found

    def _histogram_plane(self, channel: int, plane: Any) -> PixelArray:
        z, t = (0, 0) if plane is None else (max(plane.z, 0), max(plane.t, 0))
        return self._planes.plane(z, channel, t)

    def _range(self, channel: int, values: PixelArray, *, use_global: bool) -> tuple[float, float]:
        if use_global and self._row is not None:
            with self.world.lock:
                stats = self.world.members(self._row, "channels")[channel].values.get("statsInfo")
                if stats is not None and stats.values["globalMax"] != 1.0:
                    return stats.values["globalMin"], stats.values["globalMax"]
        return float(values.min()), float(values.max())

    # -- the end

    def save(self, current: Any) -> Any:
        if not self._is_modified or self._row is None:
            return None
        with self.reading(current) as caller:
            asking = caller
        return self._save(asking)

    def _save(self, caller: Caller) -> Any:
        row, opened = self._row, self._opened
        self._is_modified = False
        if not self.session.closed:  # whoever ends it goes through that list
            with contextlib.suppress(ValueError):
                self.session.at_end.remove(self._save_at_end)
        if row is None or opened is None or not self._may_edit:
            return None
        digest = opened.digest().hex()
        with self.world.transaction():
            if self.world.get("Pixels", row.id) is not row:
                return None  # deleted meanwhile
            caller.event = self.server.new_event(caller)
            self.world.set(row, "sha1", digest)
            self.world.touch(row, caller.event)
            return self.one(row, caller)

    def _save_at_end(self) -> None:
        # Whoever ends a session holds the world's lock: not while the planes are read.
        caller = self.session.caller()
        threading.Thread(target=self._save, args=(caller,), daemon=True).start()

    def close(self, current: Any) -> None:
        try:
            self.save(current)
        finally:
            self._row = self._opened = None
            super().close(current)


def wire(values: PixelArray) -> memoryview:
    """Return the bytes of an array, without a copy if they lie together in the file already."""
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data


def _part(values: PixelArray, plane: Any) -> PixelArray:
    region = None if plane is None else plane.region
    if region is None:
        return values
    y, x = max(region.y, 0), max(region.x, 0)
    bottom = y + region.height if region.height > 0 else None
    right = x + region.width if region.width > 0 else None
    return values[y:bottom, x:right]
