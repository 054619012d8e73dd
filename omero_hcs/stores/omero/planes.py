"""From the planes of an image to the pixels that were asked for, whoever gives the planes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import DataError
from omero_hcs.model import Image, ZChoice
from omero_hcs.stores.base import ImageArray

PIXEL_DTYPES: Mapping[str, str] = MappingProxyType(
    {
        "bit": "uint8", "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16",
        "int32": "int32", "uint32": "uint32", "float": "float32", "double": "float64",
        "complex": "complex64", "double-complex": "complex128",
    }
)  # fmt: skip
"""Numpy's name of an OMERO pixels type; a bit takes a byte."""


class Planes(Protocol):
    """The planes of one image."""

    def fill(
        self, targets: Sequence[NDArray[Any]], channels: Sequence[int], *, z: int, t: int
    ) -> None:
        """Put the planes of some channels into arrays of their shape (Y, X) and dtype."""
        ...


def gather(
    planes: Planes, image: Image, *, channels: Sequence[int], z: ZChoice, t: int
) -> ImageArray:
    """Pixels of one image; no more planes are read, or held at once, than are needed.

    Parameters
    ----------
    planes : Planes
        Where the planes come from.
    image : Image
        Its sizes and dtype.
    channels : sequence of int
        Channels wanted, in their order; one may come twice.
    z : int, "middle", "focus" or "max"
        As `imaging.focus.project`; "focus" is judged on the image's first channel.
    t : int
        Time point.

    Returns
    -------
    array, shape (len(channels), Y, X), dtype of the image
    """
    wanted = list(dict.fromkeys(channels))
    found = np.empty((len(wanted), image.size_y, image.size_x), np.dtype(image.dtype))
    if z == "max":
        for target, channel in zip(found, wanted, strict=True):
            _fill_highest(planes, target, image.size_z, c=channel, t=t)
    else:
        plane = _plane_number(planes, image, z, t)
        planes.fill(list(found), wanted, z=plane, t=t)
    if wanted == list(channels):
        return found
    return found[[wanted.index(channel) for channel in channels]]


def _plane_number(planes: Planes, image: Image, z: ZChoice, t: int) -> int:
    if isinstance(z, int):
        return z
    if z == "middle" or image.size_z == 1:
        return image.size_z // 2
    from omero_hcs.imaging.focus import focus_score  # noqa: PLC0415  (scipy, only for stacks)

    plane = np.empty((image.size_y, image.size_x), np.dtype(image.dtype))
    scores = []
    for number in range(image.size_z):
        planes.fill([plane], [0], z=number, t=t)
        scores.append(focus_score(plane))
    return int(np.argmax(scores))


def _fill_highest(planes: Planes, target: NDArray[Any], size_z: int, *, c: int, t: int) -> None:
    planes.fill([target], [c], z=0, t=t)
    if size_z > 1:
        plane = np.empty_like(target)
        for number in range(1, size_z):
            planes.fill([plane], [c], z=number, t=t)
            np.maximum(target, plane, out=target)


def fill_from_wire(target: NDArray[Any], raw: bytes) -> None:
    """Decode what a server sent, big-endian, into an array of native byte order.

    Raises
    ------
    DataError
        If it sent too little or too much.
    """
    if len(raw) != target.nbytes:
        msg = f"the server sent {len(raw)} bytes for {target.nbytes}"
        raise DataError(msg)
    target[...] = np.frombuffer(raw, target.dtype.newbyteorder(">")).reshape(target.shape)
