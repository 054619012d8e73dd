"""The part of an image that a client wants to see."""

from __future__ import annotations

from typing import Any

from omero_hcs.sandbox.planes import PixelArray, Planes

XY, ZY, XZ = 0, 1, 2  # of omero.romio.PlaneDef


def section(planes: Planes, channel: int, told: Any) -> PixelArray:
    """Cut a channel: a plane of any orientation, a region of it, every n-th pixel.

    Parameters
    ----------
    told : omero.romio.PlaneDef

    Returns
    -------
    array, shape (Y, X), (Z, X) or (Y, Z)

    Raises
    ------
    omero.ApiUsageException
        It is outside of the image.
    """
    planes.check(c=channel, t=told.t)
    if told.slice == XZ:
        planes.check(y=told.y)
        plane: PixelArray = planes.array[told.t, channel, :, told.y, :]
    elif told.slice == ZY:
        planes.check(x=told.x)
        plane = planes.array[told.t, channel, :, :, told.x].T
    else:
        plane = planes.plane(told.z, channel, told.t)
    return _every(_region(plane, told.region), told.stride)


def section_size(planes: Planes, told: Any) -> tuple[int, int]:
    """Return (Y, X) of what `section` cuts."""
    y, x = section(planes, 0, told).shape
    return int(y), int(x)


def _region(plane: PixelArray, region: Any) -> PixelArray:
    if region is None:
        return plane
    # What sticks out is cut off.
    return plane[
        region.y : max(region.y + region.height, 0), region.x : max(region.x + region.width, 0)
    ]


def _every(plane: PixelArray, stride: int) -> PixelArray:
    step = max(stride, 0) + 1
    height, width = (size // step * step for size in plane.shape)
    return plane[:height:step, :width:step]
