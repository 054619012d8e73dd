"""IProjection: stacks projected onto planes, given back or made into a new image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from omero_hcs.sandbox.ice.record import rtypes
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import validation
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.planes import TYPES, PixelArray, Planes, written_planes
from omero_hcs.sandbox.rendering.projection import METHODOLOGY, Projection, project
from omero_hcs.sandbox.services.pixels import IPixels
from omero_hcs.sandbox.services.rawpixels import wire
from omero_hcs.sandbox.services.rendering import check_interval


class IProjection(IPixels):
    """Operations of `omero.api.IProjection`. It makes images as IPixels does."""

    def projectStack(
        self,
        pixelsId: int,
        pixelsType: Any,
        algorithm: Any,
        timepoint: int,
        channelIndex: int,
        stepping: int,
        start: int,
        end: int,
        current: Any,
    ) -> memoryview:
        with self.reading(current) as caller:
            source = self._existing("Pixels", pixelsId, caller)
            planes = written_planes(self.server.files, source)
            dtype = self._dtype(pixelsType, source)
        check_interval(planes, timepoint, stepping, start, end)
        if not 0 <= channelIndex < planes.sizes["c"]:
            msg = f"channel index must be <{planes.sizes['c']}"
            raise validation(msg)
        stack = planes.array[timepoint, channelIndex]
        return wire(project(stack, Projection(algorithm.value), start, end, stepping, dtype))

    def projectPixels(
        self,
        pixelsId: int,
        pixelsType: Any,
        algorithm: Any,
        tStart: int,
        tEnd: int,
        channelList: Sequence[int],
        stepping: int,
        zStart: int,
        zEnd: int,
        name: str,
        current: Any,
    ) -> int:
        how, times = Projection(algorithm.value), range(tStart, tEnd + 1)
        with self.reading(current) as caller:
            source = self._existing("Pixels", pixelsId, caller)
            planes = written_planes(self.server.files, source)
            image = source.values["image"]
            name = name or f"{image.values['name']} Projection"
        for timepoint in (tStart, tEnd):
            check_interval(planes, timepoint, stepping, zStart, zEnd)
        sizes = (None, None, rtypes.rint(1), rtypes.rint(len(times)))
        made = self.copyAndResizeImage(
            image.id, *sizes, channelList, name, copyStats=False, current=current
        )
        with self.writing(current) as caller:
            target = self._target(made.val, pixelsType, how)
        written = Planes(self.server.files.pixels(target), target)
        for place, channel in enumerate(channelList):
            for time, timepoint in enumerate(times):
                stack = planes.array[timepoint, channel]
                result = project(stack, how, zStart, zEnd, stepping, written.dtype)
                written.plane(0, place, time)[...] = result
        self._finish(target, written, current)
        image_id: int = made.val
        return image_id

    def _dtype(self, told: Any, source: Row) -> np.dtype[Any]:
        row = source.values["pixelsType"]
        if told is not None:
            row = self.world.get("PixelsType", told.id.val) or row
        return np.dtype(TYPES[row.values["value"]])

    def _target(self, image_id: int, told: Any, how: Projection) -> Row:
        image = self.world.get("Image", image_id)
        if image is None:
            msg = f"No such object: Image:{image_id}"
            raise validation(msg)
        target = self.world.members(image, "pixels")[0]
        self.world.set(target, "methodology", METHODOLOGY[how])
        if told is not None:
            self.world.set(target, "pixelsType", self.world.get("PixelsType", told.id.val))
        return target

    def _finish(self, target: Row, written: Planes, current: Any) -> None:
        ranges = [_range(written.array[:, number]) for number in range(written.sizes["c"])]
        digest = written.digest().hex()
        with self.writing(current) as caller:
            self._describe(target, ranges, digest, caller)

    def _describe(
        self, target: Row, ranges: Sequence[tuple[float, float]], digest: str, caller: Caller
    ) -> None:
        self.world.set(target, "sha1", digest)
        channels = self.world.members(target, "channels")
        for channel, (low, high) in zip(channels, ranges, strict=True):
            self._set_range(channel, low, high, caller)


def _range(values: PixelArray) -> tuple[float, float]:
    return float(values.min()), float(values.max())
