"""What the conformance tests build: small images and plates, made through the client's API alone.

These tests use clients that nobody here wrote, and run against a real server as well: set
``OMERO_HCS_TEST_SERVER``. What only the sandbox fulfils has no place in them.
"""

from __future__ import annotations

import numpy as np
import omero
import pytest
from omero.gateway import BlitzGateway  # noqa: F401  (loads the modules in the order that works)
from omero.model import (
    DatasetI,
    ImageI,
    PlateAcquisitionI,
    PlateI,
    ProjectI,
    ScreenI,
    WellI,
    WellSampleI,
)
from omero.rtypes import rint, rstring


@pytest.fixture
def save(omero_conn):
    """Save an object as the ordinary user, and give what the server gave back."""

    def saver(row, conn=omero_conn):
        return conn.getUpdateService().saveAndReturnObject(row, conn.SERVICE_OPTS)

    return saver


@pytest.fixture
def named(omero_conn):
    """Save an object of a class that needs a name only: its id."""
    kinds = {"Project": ProjectI, "Dataset": DatasetI, "Screen": ScreenI, "Plate": PlateI}

    def saver(kind, name="a name", conn=omero_conn):
        row = kinds[kind]()
        row.name = rstring(name)
        return conn.getUpdateService().saveAndReturnObject(row, conn.SERVICE_OPTS).id.val

    return saver


def planes(size_z, size_c, size_t, shape=(6, 8), dtype="uint16"):
    """Planes whose every pixel tells where it is."""
    first = np.arange(np.prod(shape)).reshape(shape)
    for number in range(size_z * size_c * size_t):
        yield (first + 100 * number).astype(dtype)


@pytest.fixture
def new_image(omero_conn):
    """Make an image with pixels: its wrapper."""

    def make(name="image", sizes=(1, 1, 1), dtype="uint16", conn=omero_conn, **more):
        return conn.createImageFromNumpySeq(planes(*sizes, dtype=dtype), name, *sizes, **more)

    return make


@pytest.fixture
def new_plate(omero_conn, new_image):
    """Make a plate of wells A1 and B2 with two fields each, in one acquisition: its id."""

    def make(name="plate", conn=omero_conn):
        plate, run = PlateI(), PlateAcquisitionI()
        plate.name, run.name = rstring(name), rstring("run")
        plate.rows, plate.columns = rint(8), rint(12)
        plate.addPlateAcquisition(run)
        for place in (0, 1):
            well = WellI()
            well.row, well.column = rint(place), rint(place)
            for field in range(2):
                sample = WellSampleI()
                image = new_image(f"{name} {place} {field}", conn=conn)
                sample.image = ImageI(image.getId(), loaded=False)
                well.addWellSample(sample)
                run.addWellSample(sample)
            plate.addWell(well)
        return conn.getUpdateService().saveAndReturnObject(plate, conn.SERVICE_OPTS).id.val

    return make


@pytest.fixture
def delete():
    """Delete objects as a client does, and give the response: omero.cmd.OK or omero.cmd.ERR."""

    def run(conn, **targets):
        request = omero.cmd.Delete2(targetObjects=targets)
        callback = conn.c.submit(request, loops=100, failonerror=False, ctx=conn.SERVICE_OPTS)
        try:
            return callback.getResponse()
        finally:
            callback.close(closeHandle=True)

    return run
