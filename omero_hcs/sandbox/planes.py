"""The planes of one Pixels: a file of big-endian values in the order (T, C, Z, Y, X), mapped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from omero_hcs.sandbox.files import BinaryFolder
from omero_hcs.sandbox.objects.conditions import api_usage, locked
from omero_hcs.sandbox.objects.row import Row

# Big-endian, as on the wire. A bit takes a byte, as importers write it.
TYPES: Mapping[str, str] = {
    "bit": ">u1",
    "int8": ">i1",
    "uint8": ">u1",
    "int16": ">i2",
    "uint16": ">u2",
    "int32": ">i4",
    "uint32": ">u4",
    "float": ">f4",
    "double": ">f8",
    "complex": ">c8",
    "double-complex": ">c16",
}
PixelArray = npt.NDArray[Any]
TILE_BYTES = 1 << 20
WAIT_MS = 15_000  # what OMERO tells clients to wait for pixels that are not there yet


class Planes:
    """The planes of one Pixels.

    Parameters
    ----------
    path : Path
        Their file. It is made, full of zeros, when somebody first touches `array`.
    row : Row
        The Pixels, which says how large they are and of which type.

    Attributes
    ----------
    sizes : dict
        By axis: x, y, z, c, t.
    dtype : numpy.dtype
        Big-endian.
    """

    def __init__(self, path: Path, row: Row) -> None:
        self.path = path
        self.kind: str = row.values["pixelsType"].values["value"]
        self.dtype = np.dtype(TYPES[self.kind])
        self.sizes = {axis: int(row.values[f"size{axis.upper()}"]) for axis in "xyzct"}
        self._array: PixelArray | None = None

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Shape of `array`: (T, C, Z, Y, X)."""
        sizes = self.sizes
        return sizes["t"], sizes["c"], sizes["z"], sizes["y"], sizes["x"]

    @property
    def array(self) -> PixelArray:
        """All planes, (T, C, Z, Y, X): what is assigned to it is in the file."""
        if self._array is None:
            length = int(np.prod(self.shape)) * self.dtype.itemsize
            self.path.touch(mode=0o600)
            if self.path.stat().st_size < length:
                with self.path.open("r+b") as file:
                    file.truncate(length)  # sparse: costs nothing until it is written
            self._array = np.memmap(self.path, self.dtype, "r+", shape=self.shape)
        return self._array

    @property
    def is_written(self) -> bool:
        """Say whether anybody has touched them yet."""
        return self._array is not None or self.path.exists()

    @property
    def is_signed(self) -> bool:
        """Say whether values can be below zero."""
        return self.dtype.kind in "ifc"

    @property
    def is_float(self) -> bool:
        """Say whether values are no integers."""
        return self.dtype.kind in "fc"

    def check(self, **places: int) -> None:
        """Look whether places are inside of the image: `check(z=0, c=1)`.

        Raises
        ------
        omero.ApiUsageException
        """
        for axis, place in places.items():
            size = self.sizes[axis]
            if not 0 <= place < size:
                name = axis.upper()
                msg = f"{name} '{place}' greater than size{name} '{size}'."
                raise api_usage(msg)

    def plane(self, z: int, c: int, t: int) -> PixelArray:
        """Return a plane, (Y, X), as a view into the file.

        Raises
        ------
        omero.ApiUsageException
            There is no such plane.
        """
        self.check(z=z, c=c, t=t)
        plane: PixelArray = self.array[t, c, z]
        return plane

    def flat(self) -> npt.NDArray[np.uint8]:
        """Return all bytes of the file."""
        return self.array.reshape(-1).view(np.uint8)

    def tile_size(self) -> list[int]:
        """Return width and height of what OMERO reads at once: whole rows, a megabyte."""
        width, height = self.sizes["x"], self.sizes["y"]
        return [width, min(height, TILE_BYTES // self.dtype.itemsize // width)]

    def digest(self) -> bytes:
        """Return the SHA-1 of all planes."""
        return hashlib.sha1(self.flat().data, usedforsecurity=False).digest()


def written_planes(files: BinaryFolder, row: Row) -> Planes:
    """Return the planes of a Pixels for looking at them.

    Raises
    ------
    omero.LockTimeout
        Nobody has written them yet.
    """
    planes = Planes(files.pixels(row), row)
    if not planes.is_written:
        msg = "Import in progress."
        raise locked(msg, wait_ms=WAIT_MS)
    return planes
