"""Objects to delete, move and give, made by one call each, and a way to ask for it."""

from __future__ import annotations

from typing import Any

import omero
import pytest
from omero.gateway import BlitzGateway  # noqa: F401  (loads the modules in the order that works)
from omero.model import (
    ChannelI,
    DimensionOrderI,
    ImageI,
    LogicalChannelI,
    PixelsI,
    PixelsTypeI,
    PlateAcquisitionI,
    PlateI,
    RectangleI,
    RoiI,
    StatsInfoI,
    WellI,
    WellSampleI,
)
from omero.rtypes import rdouble, rint, rlong, rstring
from omero.sys import ParametersI

EVERYWHERE = {"omero.group": "-1"}


class Bench:
    """What one user makes, and what is there."""

    def __init__(self, conn):
        self.conn = conn

    def save(self, made, **fields):
        """Save an object with these fields; ids of objects saved before stand for them."""
        for name, value in fields.items():
            setattr(made, name, self._wrapped(value))
        update = self.conn.getUpdateService()
        saved = update.saveAndReturnObject(made, self.conn.SERVICE_OPTS)
        return saved.__class__(saved.id.val, False)

    @staticmethod
    def _wrapped(value):
        if isinstance(value, str):
            return rstring(value)
        return value

    def add(self, kind, **fields):
        """Save an object of a class: `add("Dataset", name="d")`."""
        return self.save(getattr(omero.model, f"{kind}I")(), **fields)

    def link(self, parent, child, kind=None):
        """Put an object into another, or annotate it."""
        names = [one.__class__.__name__.removesuffix("I") for one in (parent, child)]
        if names[1].endswith("Annotation"):
            names[1] = "Annotation"
        return self.add(kind or f"{names[0]}{names[1]}Link", parent=parent, child=child)

    def image(self, name="image", **fields):
        """Save an image with pixels of one channel."""
        return self.save(self.new_image(name), **fields)

    def new_image(self, name="image"):
        """Make an image with pixels of one channel."""
        image, pixels, channel = ImageI(), PixelsI(), ChannelI()
        image.name = rstring(name)
        for axis in "XYZCT":
            setattr(pixels, f"size{axis}", rint(1))
        pixels.sha1 = rstring("-")
        pixels.pixelsType = PixelsTypeI()
        pixels.pixelsType.value = rstring("uint8")
        pixels.dimensionOrder = DimensionOrderI()
        pixels.dimensionOrder.value = rstring("XYZCT")
        channel.logicalChannel = LogicalChannelI()
        channel.statsInfo = StatsInfoI()
        channel.statsInfo.globalMin = channel.statsInfo.globalMax = rdouble(1)
        pixels.addChannel(channel)
        image.addPixels(pixels)
        return image

    def roi(self, image):
        """Save a region with one rectangle."""
        roi, box = RoiI(), RectangleI()
        roi.image = image
        for name in ("x", "y", "width", "height"):
            setattr(box, name, rdouble(1))
        roi.addShape(box)
        return self.save(roi)

    def plate(self, wells=2):
        """Save a plate with a run, and a field with an image in each well."""
        plate, run = PlateI(), PlateAcquisitionI()
        plate.name = rstring("plate")
        plate.addPlateAcquisition(run)
        for place in range(wells):
            well, sample = WellI(), WellSampleI()
            well.row, well.column = rint(0), rint(place)
            sample.image, sample.plateAcquisition = self.new_image(), run
            well.addWellSample(sample)
            plate.addWell(well)
        return self.save(plate)

    def ids(self, kind, where="1 = 1", **values):
        """Ids of the objects of a class that are left: `ids("Image", "o.name = :n", n="x")`."""
        params = ParametersI()
        for name, value in values.items():
            params.add(name, rlong(value) if isinstance(value, int) else rstring(value))
        hql = f"select o.id from {kind} o where {where} order by o.id"  # noqa: S608  (it is HQL)
        found = self.conn.getQueryService().projection(hql, params, EVERYWHERE)
        return [row[0].val for row in found]

    def exists(self, *made):
        """Say of each object whether it is still there."""
        query = self.conn.getQueryService()
        found = [
            query.find(one.__class__.__name__.removesuffix("I"), one.id.val, EVERYWHERE)
            for one in made
        ]
        return [one is not None for one in found]

    def submit(self, request) -> Any:
        """Run a request, and return its response, which may be an error."""
        callback = self.conn.c.submit(
            request, loops=200, ms=50, failonerror=False, ctx=self.conn.SERVICE_OPTS
        )
        try:
            return callback.getResponse()
        finally:
            callback.close(closeHandle=True)

    def delete(self, *made, options=None, **more):
        """Delete objects as `Delete2` does, and return the response."""
        return self.submit(omero.cmd.Delete2(self.targets(*made), options, **more))

    @staticmethod
    def targets(*made):
        """Objects, as requests name them."""
        found = {}
        for one in made:
            found.setdefault(one.__class__.__name__.removesuffix("I"), []).append(one.id.val)
        return found

    @staticmethod
    def option(**told):
        """A child option, in a list as requests take it."""
        return [omero.cmd.graphs.ChildOption(**told)]


@pytest.fixture
def bench(omero_conn):
    return Bench(omero_conn)


@pytest.fixture
def second_bench(omero_second_conn):
    return Bench(omero_second_conn)


@pytest.fixture
def root_bench(omero_root):
    return Bench(omero_root)


@pytest.fixture
def lab(omero_make_group, omero_make_user, omero_connect):
    """Make benches of some members of a new group: `lab("read-only", 2)`."""

    def make(level, members=2, leads=False):
        group = omero_make_group(level)
        users = [omero_make_user(group) for _ in range(members)]
        if leads:
            users.append(omero_make_user(group, owns=[group]))
        return [Bench(omero_connect(user)) for user in users]

    return make


@pytest.fixture
def bench_of():
    return Bench
