"""IRoi: regions of interest, the pixels in them and what was measured there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import api_usage
from omero_hcs.sandbox.objects.load import materialise
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.planes import Planes
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.services.fetching import Choice, Fetch
from omero_hcs.sandbox.services.shapes import Statistics, covered, statistics

MEASUREMENT = "openmicroscopy.org/omero/measurement"
EVERYWHERE = -1  # place of a shape that is on all planes


class IRoi(Service):
    """Operations of `omero.api.IRoi`."""

    # -- regions

    def findByImage(self, imageId: int, opts: Any, current: Any) -> Any:
        with self.reading(current) as caller:
            return self._result(self._regions(imageId, caller), opts, caller)

    def findByRoi(self, roiId: int, opts: Any, current: Any) -> Any:
        with self.reading(current) as caller:
            roi = self.world.get("Roi", roiId)
            return self._result([] if roi is None else [roi], opts, caller)

    def findByPlane(self, imageId: int, z: int, t: int, opts: Any, current: Any) -> Any:
        def is_there(shape: Row) -> bool:
            return (shape.values.get("theZ", z), shape.values.get("theT", t)) == (z, t)

        with self.reading(current) as caller:
            rois = self._regions(imageId, caller)
            return self._result(rois, opts, caller, is_there)

    def _regions(self, image_id: int, caller: Caller) -> list[Row]:
        image = self.world.get("Image", image_id)
        if image is None or not caller.can_read(image):
            return []
        return self.world.members(image, "rois")

    def _result(self, rois: Iterable[Row], opts: Any, caller: Caller, takes: Any = None) -> Any:
        """Give back regions with their shapes. A region without any is not found, as in OMERO."""
        choice = choice_of(opts)
        found: dict[Row, list[Row]] = {}
        for roi in sorted(rois, key=lambda roi: roi.id):
            shapes = self.world.members(roi, "shapes")
            shapes = [shape for shape in shapes if takes is None or takes(shape)]
            if shapes and caller.can_read(roi) and choice.takes(roi):
                found[roi] = shapes
        chosen = choice.page(list(found))
        fetch = Fetch(self.world, caller)
        fetch.load(chosen)
        for roi in chosen:
            for shape in found[roi]:
                fetch.plan.load(shape)
                fetch.plan.add(roi, "shapes", shape)
        objects = materialise(self.world, chosen, fetch.plan, caller)
        shapes = [shape for roi in objects for shape in roi._shapesSeq]
        return omero.api.RoiResult(
            opts, objects, by_place(shapes, "_theZ"), by_place(shapes, "_theT")
        )

    # -- pixels of shapes

    def getPoints(self, shapeId: int, current: Any) -> Any:
        with self.reading(current) as caller:
            xs, ys = covered(self.row("Shape", shapeId, caller))
            return omero.api.ShapePoints(xs.tolist(), ys.tolist())

    def getShapeStats(self, shapeId: int, current: Any) -> Any:
        return self.getShapeStatsList([shapeId], current)[0]

    def getShapeStatsList(self, shapeIds: Sequence[int], current: Any) -> list[Any]:
        with self.reading(current) as caller:
            shapes = [self.row("Shape", one, caller) for one in shapeIds]
            pixels = [self._pixels_of(shape) for shape in shapes]
        return [self._measured(*one) for one in zip(shapes, pixels, strict=True)]

    def getShapeStatsRestricted(
        self, shapeIds: Sequence[int], z: int, t: int, channels: Sequence[int], current: Any
    ) -> list[Any]:
        with self.reading(current) as caller:
            shapes = [self.row("Shape", one, caller) for one in shapeIds]
            pixels = [self._pixels_of(shape) for shape in shapes]
        if len(set(pixels)) > 1:
            msg = "the shapes have to belong to one image"
            raise api_usage(msg)
        return [
            self._measured(shape, one, (z, t), channels)
            for shape, one in zip(shapes, pixels, strict=True)
        ]

    def getRoiStats(self, roiId: int, current: Any) -> Any:
        with self.reading(current) as caller:
            roi = self.row("Roi", roiId, caller)
            shapes = self.world.members(roi, "shapes")
            pixels = [self._pixels_of(shape) for shape in shapes]
            if not shapes:
                msg = f"Roi:{roiId} has no shapes to measure. Add some first."
                raise api_usage(msg)
        measured = [self._measured(*one) for one in zip(shapes, pixels, strict=True)]
        channels = [one.id for one in self.world.members(pixels[0], "channels")]
        zeros = [0.0] * len(channels)
        # OMERO leaves these empty as well, but for their channels.
        combined = omero.api.ShapeStats(
            -1, channels, [0] * len(channels), zeros, zeros, zeros, zeros, zeros
        )
        image = roi.values["image"]
        return omero.api.RoiStats(roi.id, image.id, pixels[0].id, combined, measured)

    def _pixels_of(self, shape: Row) -> Row:
        image = shape.values["roi"].values.get("image")
        pixels = [] if image is None else self.world.members(image, "pixels")
        if not pixels:
            msg = f"{shape} is on no image with pixels, so nothing can be measured in it."
            raise api_usage(msg)
        return pixels[0]

    def _measured(
        self,
        shape: Row,
        pixels: Row,
        unattached: tuple[int, int] | None = None,
        channels: Sequence[int] = (),
    ) -> Any:
        """Measure a shape, in planes that are read without holding the world's lock."""
        planes = Planes(self.server.files.pixels(pixels), pixels)
        places = chosen_channels(shape, planes, channels)
        spots = list(planes_of(shape, planes, unattached))
        xs, ys = covered(shape)
        measured = [statistics([planes.plane(z, c, t) for z, t in spots], xs, ys) for c in places]
        members = self.world.members(pixels, "channels")
        return told_statistics(shape, [members[c].id for c in places], measured)

    # -- measurements

    def getRoiMeasurements(self, imageId: int, opts: Any, current: Any) -> list[Any]:
        choice = choice_of(opts)
        with self.reading(current) as caller:
            on_plate = set(self._annotations_of_plates(imageId, caller))
            on_rois = {
                link.values["child"]
                for roi in self._regions(imageId, caller)
                for link in self.world.members(roi, "annotationLinks")
            }
            found = [
                one
                for one in on_plate & on_rois
                if one.values.get("ns") == MEASUREMENT and choice.takes(one)
            ]
            return self.each(sorted(found, key=lambda one: one.id), caller)

    def _annotations_of_plates(self, image_id: int, caller: Caller) -> Iterator[Row]:
        image = self.world.get("Image", image_id)
        if image is not None and caller.can_read(image):
            for sample in self.world.members(image, "wellSamples"):
                plate = sample.values["well"].values["plate"]
                for link in self.world.members(plate, "annotationLinks"):
                    yield link.values["child"]

    def getMeasuredRois(self, imageId: int, annotationId: int, opts: Any, current: Any) -> Any:
        with self.reading(current) as caller:
            annotations = self._annotations_of_plates(imageId, caller)
            is_there = any(one.id == annotationId for one in annotations)
            rois = self._regions(imageId, caller) if is_there else []
            return self._result(rois, opts, caller)

    def getMeasuredRoisMap(
        self, imageId: int, annotationIds: Sequence[int], opts: Any, current: Any
    ) -> dict[int, Any]:
        return {one: self.getMeasuredRois(imageId, one, opts, current) for one in annotationIds}

    def getTable(self, annotationId: int, current: Any) -> Any:
        with self.reading(current) as caller:
            annotation = self.world.get("FileAnnotation", annotationId)
            file = None if annotation is None else annotation.values.get("file")
            if file is None or not caller.can_read(file):
                msg = f"No such file annotation: {annotationId}"
                raise api_usage(msg)
        resources = self.server.service(self.session, "SharedResources")
        return resources.openTable(file.entity.unloaded(file.id), current.ctx)


def choice_of(opts: Any) -> Choice:
    """Read the options of a search for regions."""
    if opts is None:
        return Choice()
    told = (opts.userId, opts.groupId, opts.offset, opts.limit)
    owner, group, offset, limit = (None if one is None else one.val for one in told)
    return Choice(owner=owner, group=group, offset=offset, limit=limit)


def by_place(shapes: Iterable[Any], attribute: str) -> dict[int, list[Any]]:
    """Group shapes by the plane they are on."""
    found: dict[int, list[Any]] = defaultdict(list)
    for shape in shapes:
        place = getattr(shape, attribute)
        found[EVERYWHERE if place is None else place.val].append(shape)
    return found


def chosen_channels(shape: Row, planes: Planes, channels: Sequence[int]) -> list[int]:
    """Return the channels to measure a shape in: its own one, those asked for, or all."""
    own = shape.values.get("theC")
    if channels:
        return [c for c in channels if 0 <= c < planes.sizes["c"] and own in (None, c)]
    return list(range(planes.sizes["c"])) if own is None else [own]


def planes_of(
    shape: Row, planes: Planes, unattached: tuple[int, int] | None
) -> Iterator[tuple[int, int]]:
    """Yield z and t of the planes that a shape is on."""
    z, t = shape.values.get("theZ"), shape.values.get("theT")
    if unattached is not None:
        yield unattached[0] if z is None else z, unattached[1] if t is None else t
        return
    for each_z in range(planes.sizes["z"]) if z is None else [z]:
        for each_t in range(planes.sizes["t"]) if t is None else [t]:
            yield each_z, each_t


def told_statistics(shape: Row, channels: list[int], measured: Sequence[Statistics]) -> Any:
    """Make the `ShapeStats` of a shape: one value for each channel."""
    return omero.api.ShapeStats(
        shape.id,
        channels,
        [one.count for one in measured],
        [one.minimum for one in measured],
        [one.maximum for one in measured],
        [one.total for one in measured],
        [one.mean for one in measured],
        [one.deviation for one in measured],
    )
